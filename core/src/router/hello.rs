//! From HELLO to WELCOME or ABORT (specification, "Session Establishment").

use std::sync::Arc;

use super::Router;
use crate::config::Anonymous;
use crate::effect::{Close, Effect, Effects};
use crate::error_uri as uri;
use crate::features::ClientFeatures;
use crate::ids::{ConnKey, RealmId};
use crate::message::{Hello, Message, Welcome};
use crate::meta::{MetaEvent, details};
use crate::options::MatchPolicy;
use crate::session::{Identity, Session, State};
use crate::session_id::Location;
use crate::uri::{UriCheck, is_valid};
use crate::value::{Dict, Value};

/// How sessions without credentials authenticate: all that there are.
pub(crate) const AUTH_METHOD: &str = "anonymous";
/// Who says so: the configuration.
pub(crate) const AUTH_PROVIDER: &str = "static";

/// Why a HELLO is answered by ABORT.
struct Refused {
    reason: &'static str,
    message: String,
}

/// The identity that a HELLO gets.
struct Granted {
    realm: RealmId,
    role: usize,
    identity: Arc<Identity>,
}

impl Router {
    /// A message on a connection without a session: HELLO, or the peer giving up.
    pub(super) fn before_session(&mut self, conn: ConnKey, message: Message, fx: &mut Effects) {
        match message {
            Message::Hello(hello) if self.shutting_down => {
                let message = format!("the router shuts down and opens no session in {}", hello.realm);
                self.abort(conn, uri::SYSTEM_SHUTDOWN, &message, fx);
                self.close(conn, Close::Shutdown, fx);
            }
            Message::Hello(hello) => self.hello(conn, &hello, fx),
            Message::Abort(_) => self.close(conn, Close::Normal, fx),
            _ => self.violate(conn, "the first message of a session must be HELLO", fx),
        }
    }

    fn hello(&mut self, conn: ConnKey, hello: &Hello, fx: &mut Effects) {
        let features = match ClientFeatures::from_hello(&hello.details) {
            Ok(features) => features,
            Err(text) => return self.violate(conn, &text, fx),
        };
        match self.authenticate(conn, hello) {
            Ok(granted) => self.welcome(conn, granted, features, &hello.details, fx),
            // The peer may try again on the same transport until the deadline that is already running.
            Err(refused) => self.abort(conn, refused.reason, &refused.message, fx),
        }
    }

    /// Walks the client's methods in its order and takes the first that this transport offers.
    fn authenticate(&mut self, conn: ConnKey, hello: &Hello) -> Result<Granted, Refused> {
        let access = self
            .conns
            .get(conn)
            .map(|conn| Arc::clone(&conn.access))
            .unwrap_or_default();
        let offered: Vec<&str> = match hello.details.get("authmethods").and_then(Value::as_list) {
            Some(list) if !list.is_empty() => list.iter().filter_map(Value::as_str).collect(),
            _ => vec![AUTH_METHOD],
        };
        for method in &offered {
            if let (AUTH_METHOD, Some(anonymous)) = (*method, &access.anonymous) {
                return self.anonymous(anonymous, hello);
            }
        }
        Err(Refused {
            reason: uri::NO_MATCHING_AUTH_METHOD,
            message: format!(
                "none of the offered methods can be used here: {}",
                offered.join(", ")
            ),
        })
    }

    fn anonymous(&mut self, anonymous: &Anonymous, hello: &Hello) -> Result<Granted, Refused> {
        let realm = self.find_realm(anonymous.realm.as_deref().unwrap_or(&hello.realm))?;
        let roles = &self.config.realms[realm.0 as usize].roles;
        let Some(role) = roles.iter().position(|role| *role.name() == anonymous.role) else {
            return Err(Refused {
                reason: uri::NO_SUCH_ROLE,
                message: format!("the realm has no role '{}'", anonymous.role),
            });
        };
        let authid = anonymous
            .authid
            .clone()
            .unwrap_or_else(|| random_authid(&mut self.rng));
        let identity = Identity {
            authid: authid.into(),
            authrole: roles[role].name().clone(),
        };
        Ok(Granted {
            realm,
            role,
            identity: Arc::new(identity),
        })
    }

    fn find_realm(&self, name: &str) -> Result<RealmId, Refused> {
        if name.len() > self.config.limits.uri_bytes || !is_valid(UriCheck::Loose, MatchPolicy::Exact, name) {
            return Err(Refused {
                reason: uri::INVALID_URI,
                message: "the realm is no valid URI".into(),
            });
        }
        match self.config.realms.iter().position(|realm| realm.name == name) {
            Some(index) => Ok(RealmId(index as u32)),
            None => {
                let message = format!("there is no realm '{name}' on this router");
                Err(Refused {
                    reason: uri::NO_SUCH_REALM,
                    message,
                })
            }
        }
    }

    fn welcome(
        &mut self,
        conn: ConnKey,
        granted: Granted,
        features: ClientFeatures,
        hello: &Dict,
        fx: &mut Effects,
    ) {
        let id = self.session_ids.make(
            Location {
                slot: 0,
                shard: self.me,
            },
            self.next_session,
        );
        self.next_session = self.next_session.wrapping_add(1);
        let mut details = Dict::new()
            .with("roles", self.realm(granted.realm).roles.clone())
            .with("realm", self.realm_config(granted.realm).name.as_str())
            // A copy: one that is shared takes more memory from then on, and few sessions are ever disclosed.
            .with("authid", &*granted.identity.authid)
            .with("authrole", granted.identity.authrole.clone())
            .with("authmethod", AUTH_METHOD)
            .with("authprovider", AUTH_PROVIDER)
            .with("agent", self.config.agent.as_str());
        if let Some(extra @ Value::Dict(_)) = hello.get("authextra") {
            details.push("authextra", extra.clone());
        }
        let realm = granted.realm;
        self.realm(realm).sessions[granted.role] += 1;
        let identity = (granted.role, granted.identity);
        self.conns
            .establish(conn, Session::new(id, realm, identity, features));
        fx.send(conn, Message::Welcome(Welcome { session: id, details }));
        let details = |router: &Self| {
            let session = router.conns.session(conn);
            session
                .map(|session| details::of_session(session).into())
                .into_iter()
                .collect()
        };
        self.tell(realm, MetaEvent::SessionJoin, details, fx);
    }

    pub(super) fn abort(&self, conn: ConnKey, reason: &'static str, message: &str, fx: &mut Effects) {
        let details = Dict::new().with("message", message);
        let abort = crate::message::Abort {
            details,
            reason: reason.into(),
            payload: Default::default(),
        };
        fx.send(conn, Message::Abort(abort));
    }

    pub(super) fn close(&mut self, conn: ConnKey, reason: Close, fx: &mut Effects) {
        if let Some(conn) = self.conns.get_mut(conn) {
            conn.state = State::Closed;
        }
        fx.list.push(Effect::Close { conn, reason });
    }
}

/// An authid for a session that has none: readable, and too long to be guessed.
fn random_authid(rng: &mut fastrand::Rng) -> String {
    const ALPHABET: &[u8] = b"34679ACEFGHJKLMNPQRTUVWXY";
    let mut authid = String::with_capacity(29);
    for group in 0..6 {
        if group > 0 {
            authid.push('-');
        }
        for _ in 0..4 {
            authid.push(char::from(ALPHABET[rng.usize(..ALPHABET.len())]));
        }
    }
    authid
}
