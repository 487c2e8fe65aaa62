//! Meta procedures: kills, testaments, and past events.

use crosspoint_codec::PayloadValues;
use crosspoint_core::arguments::Values;
use crosspoint_core::error_uri as uri;
use crosspoint_core::ids::{RequestId, SessionId};
use crosspoint_core::message::Call;
use crosspoint_core::payload::Payload;
use crosspoint_core::value::Value;

use super::Oracle;
use super::recall::Recall;
use crate::broken::{Check, ensure};
use crate::workload::{ADD_TESTAMENT, GET_EVENTS, KILL};

/// A call of a meta procedure that waits for its answer.
#[derive(Clone, Debug)]
pub(super) enum MetaCall {
    Kill(SessionId),
    AddTestament(u64),
    Recall(Box<Recall>),
}

impl Oracle {
    /// Takes a CALL that is one of these. Whether it is.
    pub(super) fn meta_call(&mut self, session: usize, call: &Call) -> bool {
        let arguments = match &*call.procedure {
            KILL | ADD_TESTAMENT | GET_EVENTS => PayloadValues.read(&call.payload),
            _ => return false,
        };
        let arguments = arguments.unwrap_or_default();
        let meta_call = match &arguments.list[..] {
            list if call.procedure == GET_EVENTS => {
                MetaCall::Recall(Box::new(self.recall(list, &arguments.dict)))
            }
            [victim] => {
                let victim = SessionId(victim.as_u64().unwrap_or_default());
                self.condemned.insert(victim);
                MetaCall::Kill(victim)
            }
            [Value::Str(topic), Value::List(args)] => {
                let token = args.first().and_then(Value::as_u64).unwrap_or_default();
                self.testament(session, topic, token);
                MetaCall::AddTestament(token)
            }
            _ => return false,
        };
        self.sessions[session].meta_calls.insert(call.request, meta_call);
        self.tally.add("meta calls");
        true
    }

    /// RESULT or ERROR of a call. Whether it was one of these.
    pub(super) fn meta_answer(
        &mut self,
        session: usize,
        request: RequestId,
        answer: Result<&Payload, &str>,
    ) -> Result<bool, crate::broken::Broken> {
        let Some(call) = self.sessions[session].meta_calls.remove(&request) else {
            return Ok(false);
        };
        let error = answer.err();
        match call {
            MetaCall::Recall(recall) => match answer {
                Ok(payload) => self.recalled(session, &recall, payload)?,
                Err(error) => self.recall_refused(session, &recall, error)?,
            },
            MetaCall::Kill(victim) => self.killed(session, victim, error)?,
            MetaCall::AddTestament(token) => {
                if let Some(error) = error {
                    ensure!(
                        error == uri::LIMIT_EXCEEDED,
                        "a testament is refused for the right reason",
                        "session {} gets {error}",
                        self.sessions[session].id
                    );
                    self.sessions[session].testaments.retain(|held| *held != token);
                }
            }
        }
        Ok(true)
    }

    fn killed(&mut self, session: usize, victim: SessionId, error: Option<&str>) -> Check {
        let (own, realm) = (self.sessions[session].id, self.sessions[session].realm);
        let found = self.by_id.get(&victim).map(|place| &self.sessions[*place]);
        let is_open = found.is_some_and(|found| found.is_alive && found.realm == realm && found.id != own);
        ensure!(
            !is_open || error == Some(uri::LIMIT_EXCEEDED),
            "a session that was killed has ended",
            "session {own} kills {victim}, gets {error:?}, and it lives on"
        );
        let could_be = found.is_some_and(|found| found.realm == realm && found.id != own);
        ensure!(
            could_be || error.is_some(),
            "only others of the realm can be killed",
            "session {own} kills {victim}"
        );
        if error.is_none() {
            self.tally.add("kills");
        }
        Ok(())
    }
}
