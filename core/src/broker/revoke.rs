//! Subscriptions that the router takes back (specification, "Subscription Revocation").

use crate::effect::Effects;
use crate::ids::{ConnKey, RequestId, SubscriptionId};
use crate::message::{Message, Unsubscribed};
use crate::router::Router;
use crate::value::Dict;

impl Router {
    /// Ends a subscription of the session on `conn`, and tells its client, with `reason`, a URI, if it announced that
    /// it understands. Whether the session had it. A SUBSCRIBE that is not yet answered is not touched.
    pub(crate) fn revoke_subscription(
        &mut self,
        conn: ConnKey,
        subscription: SubscriptionId,
        reason: Option<&str>,
        fx: &mut Effects,
    ) -> bool {
        let Some(session) = self.conns.session_mut(conn) else {
            return false;
        };
        if !session.subscriptions.remove(subscription) {
            return false;
        }
        let (id, realm, is_told) = (
            session.id,
            session.realm,
            session.features.subscription_revocation,
        );
        self.remove_subscriber((conn, id), realm, subscription, fx);
        if is_told {
            let mut details = Dict::new().with("subscription", subscription.0);
            if let Some(reason) = reason {
                details.push("reason", reason);
            }
            let message = Unsubscribed {
                request: RequestId(0),
                details: Some(details),
            };
            fx.send(conn, Message::Unsubscribed(message));
        }
        true
    }
}
