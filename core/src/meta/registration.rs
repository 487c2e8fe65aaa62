//! Meta procedures and events about registrations (specification, "Registration Meta API").
//!
//! Every shard knows all procedures, so that most questions need no other shard. Ids are known to the owners only.

use bytestring::ByteString;

use super::arguments::{options_key, revocation_reason};
use super::question::Conclude;
use super::{Answer, MetaCall, MetaEvent, Query, Step, Whom};
use crate::dealer::Procedure;
use crate::effect::Effects;
use crate::error_uri as uri;
use crate::ids::{RealmId, RegistrationId, SessionId};
use crate::router::{Refusal, Router};
use crate::uri::is_reserved;
use crate::value::{Dict, Value};

impl Router {
    /// Crossbar.io also takes a session here; the specification knows no arguments.
    pub(super) fn registration_list(&mut self, call: &MetaCall, _: &mut Effects) -> Result<Step, Refusal> {
        let mut lists = [const { Vec::new() }; 3];
        for found in self.realms[call.realm.0 as usize].dealer.procedures().iter() {
            lists[found.policy as usize].push(found.value.registration.0);
        }
        Ok(Step::Done(Answer::ByPolicy(lists).by_policy()))
    }

    pub(super) fn registration_lookup(&mut self, call: &MetaCall, _: &mut Effects) -> Result<Step, Refusal> {
        let (policy, uri) = options_key(call, "procedure")?;
        let procedures = self.realms[call.realm.0 as usize].dealer.procedures();
        let found = procedures.get(policy, &uri);
        Ok(Step::Done(vec![id_or_null(
            found.map(|found| found.registration),
        )]))
    }

    pub(super) fn registration_match(&mut self, call: &MetaCall, _: &mut Effects) -> Result<Step, Refusal> {
        let procedures = self.realms[call.realm.0 as usize].dealer.procedures();
        // Calls of the router's own procedures get to no registration.
        let called = Some(call.text(0, "procedure")?).filter(|called| !is_reserved(called));
        let found = called.and_then(|called| procedures.best(called));
        Ok(Step::Done(vec![id_or_null(
            found.map(|found| found.value.registration),
        )]))
    }

    pub(super) fn registration_get(&mut self, call: &MetaCall, fx: &mut Effects) -> Result<Step, Refusal> {
        let details = |answer: Answer| answer.details(no_such_registration);
        let id = RegistrationId(call.id(0, "registration")?);
        self.ask_owner_of(call, id, Query::Registration(id), details, fx)
    }

    pub(super) fn registration_list_callees(
        &mut self,
        call: &MetaCall,
        fx: &mut Effects,
    ) -> Result<Step, Refusal> {
        let callees = |answer: Answer| Ok(answer.or_refuse(no_such_registration)?.ids());
        let id = RegistrationId(call.id(0, "registration")?);
        self.ask_owner_of(call, id, Query::Callees(id), callees, fx)
    }

    pub(super) fn registration_count_callees(
        &mut self,
        call: &MetaCall,
        fx: &mut Effects,
    ) -> Result<Step, Refusal> {
        let callees = |answer: Answer| Ok(answer.or_refuse(no_such_registration)?.count());
        let id = RegistrationId(call.id(0, "registration")?);
        self.ask_owner_of(call, id, Query::CalleeCount(id), callees, fx)
    }

    /// Crossbar.io's; the specification has revocation, and leaves open what causes it.
    pub(super) fn registration_remove_callee(
        &mut self,
        call: &MetaCall,
        fx: &mut Effects,
    ) -> Result<Step, Refusal> {
        let removed = |answer: Answer| answer.removed(no_such_registration, "it does not serve this");
        let id = RegistrationId(call.id(0, "registration")?);
        let query = Query::RemoveCallee {
            registration: id,
            session: SessionId(call.id(1, "session")?),
            reason: revocation_reason(call)?.unwrap_or_else(|| uri::UNREGISTERED.into()),
        };
        self.ask_owner_of(call, id, query, removed, fx)
    }

    fn ask_owner_of(
        &mut self,
        call: &MetaCall,
        id: RegistrationId,
        query: Query,
        conclude: Conclude,
        fx: &mut Effects,
    ) -> Result<Step, Refusal> {
        let owner = self.realms[call.realm.0 as usize].hasher.owner(id.0);
        self.ask(call, (Whom::One(owner), query), conclude, fx)
    }

    pub(super) fn tell_registration(&self, realm: RealmId, id: RegistrationId) -> Answer {
        let found = self.realms[realm.0 as usize].dealer.owned_by_id(id);
        found.map_or(Answer::Nothing, |found| {
            Answer::Details(self.registration_details(found))
        })
    }

    pub(super) fn list_callees(&self, realm: RealmId, id: RegistrationId) -> Answer {
        let found = self.realms[realm.0 as usize].dealer.owned_by_id(id);
        found.map_or(Answer::Nothing, |found| {
            Answer::Ids(found.callees.iter().map(|callee| callee.session.id.0).collect())
        })
    }

    pub(super) fn count_callees(&self, realm: RealmId, id: RegistrationId) -> Answer {
        let found = self.realms[realm.0 as usize].dealer.owned_by_id(id);
        found.map_or(Answer::Nothing, |found| Answer::Count(found.callees.len() as u64))
    }

    pub(super) fn remove_callee(
        &mut self,
        (realm, id, session): (RealmId, RegistrationId, SessionId),
        reason: &ByteString,
        fx: &mut Effects,
    ) -> Answer {
        let Some(found) = self.realms[realm.0 as usize].dealer.owned_by_id(id) else {
            return Answer::Nothing;
        };
        let key = found.key.clone();
        let callee = found.callees.iter().find(|callee| callee.session.id == session);
        let Some(callee) = callee.map(|callee| callee.session) else {
            return Answer::Count(0);
        };
        let removed = self.own_revoke(&key, (id, callee), reason.clone(), fx);
        Answer::Count(u64::from(removed))
    }

    /// As owner: a registration is there with its first callee.
    pub(crate) fn tell_registration_created(
        &mut self,
        procedure: &Procedure,
        session: SessionId,
        fx: &mut Effects,
    ) {
        let details = |router: &Self| vec![session.0.into(), router.registration_details(procedure).into()];
        self.tell(procedure.key.realm, MetaEvent::RegistrationCreate, details, fx);
        self.tell_callee(procedure, (MetaEvent::RegistrationRegister, session), fx);
    }

    /// As owner: all callees of a registration have lost it at once.
    pub(crate) fn tell_registration_lost(&mut self, procedure: &Procedure, fx: &mut Effects) {
        for callee in &procedure.callees {
            self.tell_callee(
                procedure,
                (MetaEvent::RegistrationUnregister, callee.session.id),
                fx,
            );
        }
        if let Some(last) = procedure.callees.last() {
            self.tell_callee(procedure, (MetaEvent::RegistrationDelete, last.session.id), fx);
        }
    }

    /// As owner: what happened between a registration and a session.
    pub(crate) fn tell_callee(
        &mut self,
        procedure: &Procedure,
        (event, session): (MetaEvent, SessionId),
        fx: &mut Effects,
    ) {
        let ids = |_: &Self| vec![session.0.into(), procedure.registration.0.into()];
        self.tell(procedure.key.realm, event, ids, fx);
    }

    fn registration_details(&self, procedure: &Procedure) -> Dict {
        Dict::new()
            .with("id", procedure.registration.0)
            .with("created", self.config.started.at(procedure.created).to_rfc3339())
            .with("uri", &*procedure.key.uri)
            .with("match", procedure.key.policy.name())
            .with("invoke", procedure.invoke.name())
    }
}

fn id_or_null(id: Option<RegistrationId>) -> Value {
    id.map_or(Value::Null, |id| id.0.into())
}

fn no_such_registration() -> Refusal {
    Refusal::new(uri::NO_SUCH_REGISTRATION, "")
}
