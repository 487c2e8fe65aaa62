//! The meta API: what the router tells about itself, as procedures and events of the realm concerned
//! (specification, "Session Meta API", "Registration Meta API", "Subscription Meta API", "Testaments").
//!
//! A meta procedure is a function of the router, found by its name when a CALL has passed the caller's permissions.
//! What one shard does not know is gathered from others by a [`Question`], and answered once all have spoken.
//! Meta events are ordinary publications without a publisher. Those about one subscription or registration all come
//! from its key's owner, so no two of them contradict each other: create, register, unregister, delete. Those about
//! one session come from its own shard.
//!
//! `wamp.*` topics are left out: nobody hears or sees who listens to meta events.

mod arguments;
mod asking;
pub(crate) mod details;
mod events;
mod question;
mod registration;
mod session;
mod subscription;
mod testament;

use std::sync::Arc;

pub(crate) use self::arguments::{MetaCall, expected};
pub(crate) use self::asking::Asking;
pub(crate) use self::events::{MetaEvent, MetaTopics};
pub use self::question::{Answer, Kill, Query, Question, Victims};
pub(crate) use self::question::{Gathering, Whom};
pub(crate) use self::testament::Testaments;
use crate::arguments::Arguments;
use crate::effect::Effects;
use crate::error_uri as uri;
use crate::ids::{ConnKey, RequestId};
use crate::message::{Call, CallResult, Message, RequestKind};
use crate::options::ResultDetails;
use crate::router::{Refusal, Router, is_passthru};
use crate::value::Value;

/// How far a meta procedure has come when its function returns.
pub(crate) enum Step {
    /// The positional results.
    Done(Vec<Value>),
    /// Other shards were asked.
    Asked,
}

/// A meta procedure.
pub(crate) type Procedure = fn(&mut Router, &MetaCall, &mut Effects) -> Result<Step, Refusal>;

/// The meta procedure of this name. There are no others whose names begin with `wamp.`.
pub(crate) fn procedure(name: &str) -> Option<Procedure> {
    Some(match name.strip_prefix("wamp.")? {
        "session.count" => Router::session_count,
        "session.list" => Router::session_list,
        "session.get" => Router::session_get,
        "session.kill" => Router::session_kill,
        "session.kill_by_authid" => Router::session_kill_by_authid,
        "session.kill_by_authrole" => Router::session_kill_by_authrole,
        "session.kill_all" => Router::session_kill_all,
        "subscription.get_events" => Router::subscription_get_events,
        "session.add_testament" => Router::add_testament,
        "session.flush_testaments" => Router::flush_testaments,
        "registration.list" => Router::registration_list,
        "registration.lookup" => Router::registration_lookup,
        "registration.match" => Router::registration_match,
        "registration.get" => Router::registration_get,
        "registration.list_callees" => Router::registration_list_callees,
        "registration.count_callees" => Router::registration_count_callees,
        "registration.remove_callee" => Router::registration_remove_callee,
        "subscription.list" => Router::subscription_list,
        "subscription.lookup" => Router::subscription_lookup,
        "subscription.match" => Router::subscription_match,
        "subscription.get" => Router::subscription_get,
        "subscription.list_subscribers" => Router::subscription_list_subscribers,
        "subscription.count_subscribers" => Router::subscription_count_subscribers,
        "subscription.remove_subscriber" => Router::subscription_remove_subscriber,
        _ => return None,
    })
}

impl Router {
    /// Carries out a call that its caller may make.
    pub(crate) fn call_meta(
        &mut self,
        conn: ConnKey,
        call: Call,
        procedure: Procedure,
        fx: &mut Effects,
    ) -> Result<(), Refusal> {
        let Some(session) = self.conns.session(conn) else {
            return Ok(());
        };
        let (caller, realm) = (self.session_ref(conn, session), session.realm);
        if call.options.progress || is_passthru(&call.options.rest) {
            let message = "a meta procedure takes its arguments at once and in the open";
            return Err(Refusal::new(uri::FEATURE_NOT_SUPPORTED, message));
        }
        let Some(Arguments { list, dict }) = self.config.values.read(&call.payload) else {
            return Err(invalid_argument("expected fewer arguments, in a list"));
        };
        let call = MetaCall {
            caller,
            realm,
            request: call.request,
            list,
            dict,
            payload: call.payload,
        };
        match procedure(self, &call, fx)? {
            Step::Done(results) => self.meta_result(conn, call.request, results, fx),
            Step::Asked => {}
        }
        Ok(())
    }

    fn meta_result(&mut self, conn: ConnKey, request: RequestId, list: Vec<Value>, fx: &mut Effects) {
        let payload = self.config.values.write(&Arguments {
            list,
            ..Arguments::default()
        });
        let details = ResultDetails::default();
        fx.send(
            conn,
            Message::Result(CallResult {
                request,
                details,
                payload,
            }),
        );
    }

    /// All shards that were asked have answered.
    pub(crate) fn conclude(&mut self, gathering: Gathering, fx: &mut Effects) {
        if self.conns.same_session_mut(gathering.caller).is_none() {
            return;
        }
        let (conn, request) = (gathering.caller.conn, gathering.request);
        match (gathering.conclude)(gathering.answer) {
            Ok(results) => self.meta_result(conn, request, results, fx),
            Err(refusal) => self.refuse(conn, (RequestKind::Call, request), refusal, fx),
        }
        self.ask_next(gathering.caller, gathering.whom, fx);
    }

    /// As one of the shards that were asked.
    pub(crate) fn asked(&mut self, question: &Arc<Question>, fx: &mut Effects) {
        let realm = question.realm;
        let answer = match &question.query {
            Query::SessionCount { roles } => self.count_sessions(realm, roles.as_deref()),
            Query::SessionList { roles } => self.list_sessions(realm, roles.as_deref()),
            Query::Session(id) => self.tell_session(realm, *id),
            Query::Events(query) => return self.find_events(question, query, fx),
            Query::Kill(kill) => self.kill_sessions(realm, kill, fx),
            Query::Registration(id) => self.tell_registration(realm, *id),
            Query::Callees(id) => self.list_callees(realm, *id),
            Query::CalleeCount(id) => self.count_callees(realm, *id),
            Query::RemoveCallee {
                registration,
                session,
                reason,
            } => self.remove_callee((realm, *registration, *session), reason, fx),
            Query::SubscriptionList => self.list_subscriptions(realm),
            Query::Subscription(key) => self.look_subscription_up(key),
            Query::SubscriptionMatch(topic) => self.match_subscriptions(realm, topic),
            Query::SubscriptionDetails(id) => self.tell_subscription(realm, *id),
            Query::Subscribers(id) => self.list_subscribers(realm, *id),
            Query::SubscriberCount(id) => self.count_subscribers(realm, *id),
            Query::RemoveSubscriber {
                subscription,
                session,
                reason,
            } => self.remove_subscriber_here((realm, *subscription, *session), reason.as_deref(), fx),
        };
        self.answer(question, answer, fx);
    }
}

pub(crate) fn invalid_argument(what: impl Into<std::borrow::Cow<'static, str>>) -> Refusal {
    Refusal::new(uri::INVALID_ARGUMENT, what)
}
