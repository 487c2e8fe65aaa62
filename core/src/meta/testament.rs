//! Testaments: publications that a session leaves behind (specification, "Testament Meta API").
//!
//! They are published whenever the session ends, in whatever way, but for `wamp.session.kill_all`: first those of
//! scope `detached`, then those of `destroyed`, in the order in which they were added. The permission to publish is
//! asked for when a testament is added, since the session may have no second chance. The session itself hears none.

use std::time::Duration;

use super::arguments::expected;
use super::{MetaCall, Step, invalid_argument};
use crate::broker::{cost, detached, retain_for};
use crate::effect::Effects;
use crate::error_uri as uri;
use crate::extensions::violation;
use crate::ids::{ConnKey, PublicationId, SessionId, is_valid_id};
use crate::options::{PublishOptions, Receivers};
use crate::payload::Payload;
use crate::peer::Publication;
use crate::router::{Refusal, Router, is_passthru, passthru};
use crate::value::Value;

/// What a session wants to be published when it ends.
#[derive(Debug, Default)]
pub(crate) struct Testaments {
    detached: Vec<Testament>,
    destroyed: Vec<Testament>,
}

#[derive(Debug)]
struct Testament {
    publication: Publication,
    /// See [`Router::distribute`].
    retain_for: Option<Option<Duration>>,
    /// Bytes that it holds, about.
    bytes: usize,
}

/// When a testament is published. Sessions cannot be resumed here, so that both come at the same time.
#[derive(Clone, Copy)]
enum Scope {
    Detached,
    Destroyed,
}

impl Testaments {
    fn of(&mut self, scope: Scope) -> &mut Vec<Testament> {
        match scope {
            Scope::Detached => &mut self.detached,
            Scope::Destroyed => &mut self.destroyed,
        }
    }

    fn len(&self) -> usize {
        self.detached.len() + self.destroyed.len()
    }

    fn bytes(&self) -> usize {
        let all = self.detached.iter().chain(&self.destroyed);
        all.map(|testament| testament.bytes).sum()
    }
}

impl Router {
    /// Answers the id that the publication will have.
    pub(super) fn add_testament(&mut self, call: &MetaCall, _: &mut Effects) -> Result<Step, Refusal> {
        let topic = call.text(0, "topic")?.clone();
        let options = publish_options(call)?;
        if is_passthru(&options.rest) && !self.may_publish_passthru(call.caller.conn) {
            return Err(invalid_argument(
                "publish_options: the session did not announce payload_passthru_mode as a publisher",
            ));
        }
        let scope = scope(call, 4)?;
        let payload = self.testament_payload(call, &options)?;
        let Some(session) = self.conns.session(call.caller.conn) else {
            return Ok(Step::Asked);
        };
        let (publisher, trustlevel) = self.admit_publish(session, &topic, options.disclose_me)?;
        let retention = &self.realm_config(call.realm).retention;
        let retain_for = options
            .retain
            .then(|| retain_for(&options.rest, retention))
            .transpose()?;
        // In memory of its own, so that a testament does not hold the whole of what was received with it.
        let publication = detached(&Publication {
            realm: call.realm,
            topic,
            publication: PublicationId(0),
            publisher,
            trustlevel,
            receivers: options.receivers,
            retain: options.retain,
            rest: passthru(options.rest),
            payload,
        });
        let bytes = cost(&publication);
        self.check_testament_limits(session.testaments.as_deref(), bytes)?;
        let id = PublicationId(self.random_id());
        let publication = Publication {
            publication: id,
            ..publication
        };
        if let Some(session) = self.conns.session_mut(call.caller.conn) {
            let testaments = session.testaments.get_or_insert_default();
            testaments.of(scope).push(Testament {
                publication,
                retain_for,
                bytes,
            });
        }
        Ok(Step::Done(vec![id.0.into()]))
    }

    /// Answers how many there were.
    pub(super) fn flush_testaments(&mut self, call: &MetaCall, _: &mut Effects) -> Result<Step, Refusal> {
        let scope = scope(call, 0)?;
        let session = self.conns.session_mut(call.caller.conn);
        let mut count = 0;
        if let Some(place) = session.map(|session| &mut session.testaments)
            && let Some(testaments) = place
        {
            count = std::mem::take(testaments.of(scope)).len() as u64;
            if testaments.len() == 0 {
                *place = None;
            }
        }
        Ok(Step::Done(vec![count.into()]))
    }

    /// The session `who` has ended.
    pub(crate) fn publish_testaments(
        &mut self,
        who: (ConnKey, SessionId),
        testaments: Testaments,
        fx: &mut Effects,
    ) {
        for testament in testaments.detached.into_iter().chain(testaments.destroyed) {
            let Testament {
                publication,
                retain_for,
                ..
            } = testament;
            self.distribute(publication, Some(who), retain_for, fx);
        }
    }

    fn testament_payload(&self, call: &MetaCall, options: &PublishOptions) -> Result<Payload, Refusal> {
        let may_be_opaque = options.rest.get("enc_algo").is_some();
        let is_opaque = may_be_opaque && matches!(call.list.get(1), Some(Value::Str(_) | Value::Bytes(_)));
        let args = match call.list.get(1) {
            None | Some(Value::Null) => false,
            Some(Value::List(list)) => !list.is_empty(),
            Some(_) if is_opaque => true,
            Some(_) => return Err(expected("args", "a list")),
        };
        let kwargs = match call.list.get(2) {
            None | Some(Value::Null) => false,
            Some(Value::Dict(dict)) if dict.is_empty() => false,
            Some(Value::Dict(_)) if is_opaque => {
                return Err(expected("kwargs", "none beside an opaque payload"));
            }
            Some(Value::Dict(_)) => true,
            Some(_) => return Err(expected("kwargs", "a dictionary")),
        };
        if !args && !kwargs {
            return Ok(Payload::EMPTY);
        }
        let values = self.config.values;
        let args = args.then(|| {
            let args = values.item(&call.payload, 1);
            args.ok_or_else(|| invalid_argument("expected topic, args and kwargs by place"))
        });
        let kwargs = kwargs.then(|| {
            let kwargs = values.keywords(&call.payload, 2);
            kwargs.ok_or_else(|| expected("kwargs", "a dictionary by place, whose keys are text"))
        });
        Ok(Payload {
            format: call.payload.format,
            args: args.transpose()?.unwrap_or_default(),
            kwargs: kwargs.transpose()?.unwrap_or_default(),
        })
    }

    fn check_testament_limits(&self, held: Option<&Testaments>, more: usize) -> Result<(), Refusal> {
        let (count, bytes) = held.map_or((0, 0), |held| (held.len(), held.bytes()));
        let (most, most_bytes) = (self.config.limits.testaments, self.config.limits.testament_bytes);
        if count < most && bytes + more <= most_bytes {
            return Ok(());
        }
        let message = format!("a session may have {most} testaments, of {most_bytes} bytes together");
        Err(Refusal::new(uri::LIMIT_EXCEEDED, message))
    }
}

fn scope(call: &MetaCall, place: usize) -> Result<Scope, Refusal> {
    match call.argument(place, "scope") {
        None => Ok(Scope::Destroyed),
        Some(Value::Str(scope)) if scope == "destroyed" => Ok(Scope::Destroyed),
        Some(Value::Str(scope)) if scope == "detached" => Ok(Scope::Detached),
        Some(_) => Err(expected("scope", "\"destroyed\" or \"detached\"")),
    }
}

/// PUBLISH.Options as an argument. Nobody is left to be told by `acknowledge`, or to be excluded by `exclude_me`.
fn publish_options(call: &MetaCall) -> Result<PublishOptions, Refusal> {
    let mut options = PublishOptions::default();
    let given = match call.argument(3, "publish_options") {
        None => return Ok(options),
        Some(Value::Dict(given)) => given,
        Some(_) => return Err(expected("publish_options", "a dictionary")),
    };
    let mut receivers = Receivers::default();
    for (key, value) in &given.0 {
        match &**key {
            _ if *value == Value::Null => {}
            "acknowledge" | "exclude_me" => drop(bool(key, value)?),
            "disclose_me" => options.disclose_me = Some(bool(key, value)?),
            "retain" => options.retain = bool(key, value)?,
            "eligible" => receivers.eligible = Some(list(key, value, session)?),
            "eligible_authid" => receivers.eligible_authid = Some(list(key, value, text)?),
            "eligible_authrole" => receivers.eligible_authrole = Some(list(key, value, text)?),
            "exclude" => receivers.exclude = Some(list(key, value, session)?),
            "exclude_authid" => receivers.exclude_authid = Some(list(key, value, text)?),
            "exclude_authrole" => receivers.exclude_authrole = Some(list(key, value, text)?),
            _ => match violation(key, value) {
                Some((what, _)) => return Err(expected(key, what)),
                None => options.rest.0.push((key.clone(), value.clone())),
            },
        }
    }
    if receivers != Receivers::default() {
        options.receivers = Some(Box::new(receivers));
    }
    Ok(options)
}

fn bool(key: &str, value: &Value) -> Result<bool, Refusal> {
    value.as_bool().ok_or_else(|| expected(key, "a bool"))
}

fn list<T>(key: &str, value: &Value, item: impl Fn(&Value) -> Option<T>) -> Result<Vec<T>, Refusal> {
    let items = value.as_list().and_then(|list| list.iter().map(item).collect());
    items.ok_or_else(|| expected(key, "a list of session ids, authids or authroles"))
}

fn session(value: &Value) -> Option<SessionId> {
    value.as_u64().filter(|id| is_valid_id(*id)).map(SessionId)
}

fn text(value: &Value) -> Option<bytestring::ByteString> {
    match value {
        Value::Str(text) => Some(text.clone()),
        _ => None,
    }
}
