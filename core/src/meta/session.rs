//! Meta procedures about sessions (specification, "Session Meta API").

use std::sync::Arc;

use ahash::HashSet;

use super::arguments::expected;
use super::{Answer, Kill, MetaCall, Query, Step, Victims, Whom, details};
use crate::effect::{Close, Effects};
use crate::error_uri as uri;
use crate::ids::{ConnKey, RealmId, SessionId, ShardId};
use crate::options::MatchPolicy;
use crate::router::{Farewell, Refusal, Router};
use crate::session::Session;
use crate::uri::{UriCheck, is_valid};
use crate::value::Value;

impl Router {
    pub(super) fn session_count(&mut self, call: &MetaCall, fx: &mut Effects) -> Result<Step, Refusal> {
        let roles = self.roles_of(call)?;
        let query = Query::SessionCount { roles };
        self.ask(call, (Whom::All, query), |answer| Ok(answer.count()), fx)
    }

    pub(super) fn session_list(&mut self, call: &MetaCall, fx: &mut Effects) -> Result<Step, Refusal> {
        let roles = self.roles_of(call)?;
        let query = Query::SessionList { roles };
        self.ask(call, (Whom::All, query), |answer| Ok(answer.sorted().ids()), fx)
    }

    pub(super) fn session_get(&mut self, call: &MetaCall, fx: &mut Effects) -> Result<Step, Refusal> {
        let id = SessionId(call.id(0, "session")?);
        let shard = self.home_of(id).ok_or_else(no_such_session)?;
        let details = |answer: Answer| answer.details(no_such_session);
        self.ask(call, (Whom::One(shard), Query::Session(id)), details, fx)
    }

    pub(super) fn session_kill(&mut self, call: &MetaCall, fx: &mut Effects) -> Result<Step, Refusal> {
        let id = SessionId(call.id(0, "session")?);
        let kill = kill(call, Victims::Session(id))?;
        let shard = self
            .home_of(id)
            .filter(|_| id != call.caller.id)
            .ok_or_else(no_such_session)?;
        let nothing = |answer: Answer| answer.or_refuse(no_such_session).map(|_| Vec::new());
        self.ask(call, (Whom::One(shard), kill), nothing, fx)
    }

    pub(super) fn session_kill_by_authid(
        &mut self,
        call: &MetaCall,
        fx: &mut Effects,
    ) -> Result<Step, Refusal> {
        let kill = kill(call, Victims::Authid(call.text(0, "authid")?.clone()))?;
        self.ask(call, (Whom::All, kill), |answer| Ok(answer.sorted().ids()), fx)
    }

    /// Answers the number of sessions, as the specification has it; Crossbar.io answers their ids.
    pub(super) fn session_kill_by_authrole(
        &mut self,
        call: &MetaCall,
        fx: &mut Effects,
    ) -> Result<Step, Refusal> {
        let kill = kill(call, Victims::Authrole(call.text(0, "authrole")?.clone()))?;
        self.ask(call, (Whom::All, kill), |answer| Ok(answer.count()), fx)
    }

    pub(super) fn session_kill_all(&mut self, call: &MetaCall, fx: &mut Effects) -> Result<Step, Refusal> {
        let kill = kill(call, Victims::All)?;
        self.ask(call, (Whom::All, kill), |answer| Ok(answer.count()), fx)
    }

    /// Which of the realm's roles a call names: looked up once, not for each session.
    fn roles_of(&self, call: &MetaCall) -> Result<Option<Vec<bool>>, Refusal> {
        let Some(names) = call.texts(0, "filter_authroles")? else {
            return Ok(None);
        };
        let mut wanted = HashSet::with_hasher(self.hasher.clone());
        wanted.extend(names.iter().map(|name| &**name));
        let roles = self.realm_config(call.realm).roles.iter();
        Ok(Some(roles.map(|role| wanted.contains(&**role.name())).collect()))
    }

    pub(super) fn count_sessions(&self, realm: RealmId, roles: Option<&[bool]>) -> Answer {
        let is_wanted = |role: usize| roles.is_none_or(|roles| roles[role]);
        let counts = self.realms[realm.0 as usize].sessions.iter().enumerate();
        let count = counts.filter(|(role, _)| is_wanted(*role));
        Answer::Count(count.map(|(_, count)| u64::from(*count)).sum())
    }

    pub(super) fn list_sessions(&mut self, realm: RealmId, roles: Option<&[bool]>) -> Answer {
        let is_wanted = |role: usize| roles.is_none_or(|roles| roles[role]);
        let conns = self.with_roles(realm, is_wanted);
        Answer::Ids(self.ids_of(&conns))
    }

    /// The open sessions of a realm whose roles, by their places in its configuration, `is_wanted` says yes to.
    fn with_roles(&mut self, realm: RealmId, is_wanted: impl Fn(usize) -> bool) -> Vec<ConnKey> {
        let counts = &self.realms[realm.0 as usize].sessions;
        let mut found = Vec::new();
        for (role, count) in counts.iter().enumerate() {
            if *count > 0 && is_wanted(role) {
                found.extend_from_slice(self.conns.of_role((realm, role), &self.hasher));
            }
        }
        found
    }

    fn ids_of(&self, conns: &[ConnKey]) -> Vec<u64> {
        let sessions = conns.iter().filter_map(|conn| self.conns.session(*conn));
        sessions.map(|session| session.id.0).collect()
    }

    pub(super) fn tell_session(&mut self, realm: RealmId, id: SessionId) -> Answer {
        match self.session_here(realm, id) {
            Some((_, session)) => Answer::Details(details::of_session(session)),
            None => Answer::Nothing,
        }
    }

    pub(super) fn kill_sessions(&mut self, realm: RealmId, kill: &Kill, fx: &mut Effects) -> Answer {
        let mut victims: Vec<ConnKey> = match &kill.victims {
            Victims::Session(id) => match self.session_here(realm, *id) {
                Some((conn, _)) => vec![conn],
                None => return Answer::Nothing,
            },
            Victims::Authid(authid) => self.conns.of_authid((realm, authid), &self.hasher).to_vec(),
            Victims::Authrole(name) => {
                let config = Arc::clone(&self.config);
                let roles = &config.realms[realm.0 as usize].roles;
                self.with_roles(realm, |role| roles[role].name() == name)
            }
            Victims::All => self.with_roles(realm, |_| true),
        };
        let is_victim = |session: &Session| {
            session.realm == realm && session.id != kill.except && is_among(session, &kill.victims)
        };
        victims.retain(|conn| self.conns.session(*conn).is_some_and(is_victim));
        // In an order that does not depend on what was asked before.
        victims.sort_unstable();
        let ids = self.ids_of(&victims);
        // The specification wants no meta events of a realm that is emptied, and no testaments.
        let quiet = matches!(kill.victims, Victims::All);
        for conn in victims {
            let farewell = Farewell {
                reason: kill.reason.clone(),
                message: kill.message.clone(),
                close: Close::Normal,
                quiet,
            };
            self.say_goodbye(conn, farewell, fx);
        }
        Answer::Ids(ids)
    }

    /// The shard that a session id names.
    pub(crate) fn home_of(&self, id: SessionId) -> Option<ShardId> {
        let home = self.session_ids.locate(id)?;
        (home.slot == 0 && home.shard.0 < self.shards).then_some(home.shard)
    }

    /// The open session of this id on this shard, if it is in `realm`.
    pub(crate) fn session_here(&mut self, realm: RealmId, id: SessionId) -> Option<(ConnKey, &Session)> {
        let conn = self.conns.find(id, &self.hasher)?;
        let session = self
            .conns
            .session(conn)
            .filter(|session| session.realm == realm)?;
        Some((conn, session))
    }
}

/// What the call wants to be done to `victims`.
fn kill(call: &MetaCall, victims: Victims) -> Result<Query, Refusal> {
    let text = |name| match call.named(name) {
        None => Ok(None),
        Some(Value::Str(text)) => Ok(Some(text.clone())),
        Some(_) => Err(expected(name, "text")),
    };
    let reason = text("reason")?.unwrap_or_else(|| uri::KILLED.into());
    if !is_valid(UriCheck::Loose, MatchPolicy::Exact, &reason) {
        return Err(crate::router::invalid_uri("the reason is no valid URI"));
    }
    Ok(Query::Kill(Kill {
        victims,
        except: call.caller.id,
        reason,
        message: text("message")?,
    }))
}

fn is_among(session: &Session, victims: &Victims) -> bool {
    match victims {
        Victims::Session(id) => session.id == *id,
        Victims::Authid(authid) => session.identity.authid == *authid,
        Victims::Authrole(authrole) => session.identity.authrole == *authrole,
        Victims::All => true,
    }
}

fn no_such_session() -> Refusal {
    Refusal::new(uri::NO_SUCH_SESSION, "")
}
