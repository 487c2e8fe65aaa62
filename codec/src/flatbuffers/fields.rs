//! Fields by their type, with the checks that each type asks for.

use bytestring::ByteString;
use crosspoint_core::ids::{RequestId, SessionId, is_valid_id};
use crosspoint_core::options::CancelMode;
use crosspoint_core::value::{Dict, Value};

use super::schema::{self as s, REQUEST, Slot};
use super::table::Table;
use crate::decode::Limits;
use crate::error::DecodeError;

type Refusal = Box<DecodeError>;

/// A message that is being read.
pub(super) struct Incoming<'s> {
    pub(super) table: Table<'s>,
    pub(super) limits: Limits,
    pub(super) name: &'static str,
}

impl Incoming<'_> {
    /// `expected` was not what came as `element`.
    #[cold]
    pub(super) fn unexpected(&self, element: &str, expected: &'static str, found: &str) -> Refusal {
        DecodeError::Unexpected {
            place: format!("{}.{element}", self.name),
            expected,
            found: found.to_owned(),
        }
        .into()
    }

    /// Refuses lists that take much more memory than they have bytes.
    pub(super) fn count(&self, items: usize) -> Result<(), Refusal> {
        let (message, limit) = (self.name, self.limits.values);
        if items > limit as usize {
            return Err(DecodeError::TooManyValues { message, limit }.into());
        }
        Ok(())
    }

    pub(super) fn checked_id(&self, id: u64, element: &str) -> Result<u64, Refusal> {
        if is_valid_id(id) {
            return Ok(id);
        }
        Err(self.unexpected(element, "an integer from 1 to 2^53", &id.to_string()))
    }

    pub(super) fn id(&self, slot: Slot, element: &str) -> Result<u64, Refusal> {
        self.checked_id(self.table.u64(slot)?, element)
    }

    pub(super) fn request(&self, element: &str) -> Result<RequestId, Refusal> {
        self.id(REQUEST, element).map(RequestId)
    }

    /// A request, or 0: that of a revocation.
    pub(super) fn request_or_zero(&self, element: &str) -> Result<RequestId, Refusal> {
        match self.table.u64(REQUEST)? {
            0 => Ok(RequestId(0)),
            id => self.checked_id(id, element).map(RequestId),
        }
    }

    pub(super) fn optional_session(&self, slot: Slot, element: &str) -> Result<Option<SessionId>, Refusal> {
        match self.table.u64(slot)? {
            0 => Ok(None),
            id => self.checked_id(id, element).map(|id| Some(SessionId(id))),
        }
    }

    /// Text that every message of the kind has. Autobahn leaves it out where it is empty, as a pattern may be.
    pub(super) fn needed_text(&self, slot: Slot) -> Result<ByteString, Refusal> {
        Ok(self.table.text(slot)?.unwrap_or_default())
    }

    pub(super) fn timeout(&self, slot: Slot) -> Result<Option<u64>, Refusal> {
        let timeout = self.table.u32(slot)?;
        Ok((timeout > 0).then_some(timeout.into()))
    }

    pub(super) fn sessions(&self, slot: Slot) -> Result<Option<Vec<SessionId>>, Refusal> {
        let Some(items) = self.table.u64s(slot)? else {
            return Ok(None);
        };
        self.count(items.len())?;
        let session = |id| self.checked_id(id, "Options").map(SessionId);
        let sessions: Result<_, Refusal> = items.map(|id| session(id?)).collect();
        sessions.map(Some)
    }

    pub(super) fn texts(&self, slot: Slot) -> Result<Option<Vec<ByteString>>, Refusal> {
        let Some(items) = self.table.texts(slot)? else {
            return Ok(None);
        };
        self.count(items.len())?;
        let texts: Result<_, Refusal> = items.map(|text| Ok(text?)).collect();
        texts.map(Some)
    }

    /// One of `all`, whose first one is as good as none.
    pub(super) fn one_of<T: Copy>(&self, slot: Slot, key: &str, all: &[T]) -> Result<Option<T>, Refusal> {
        let number = self.table.u8(slot)?.unwrap_or(0);
        match all.get(usize::from(number)) {
            Some(_) if number == 0 => Ok(None),
            Some(value) => Ok(Some(*value)),
            None => {
                let place = format!("Options.{key}");
                Err(self.unexpected(&place, "a value of the enumeration", &number.to_string()))
            }
        }
    }

    pub(super) fn mode(&self, slot: Slot, default: u8) -> Result<CancelMode, Refusal> {
        let number = self.table.u8(slot)?.unwrap_or(default);
        let mode = s::MODE.get(usize::from(number)).copied();
        mode.ok_or_else(|| {
            self.unexpected(
                "Options.mode",
                "\"skip\", \"kill\" or \"killnowait\"",
                &number.to_string(),
            )
        })
    }

    pub(super) fn text(&self, slot: Slot, key: &'static str, details: &mut Dict) -> Result<(), Refusal> {
        if let Some(text) = self.table.text(slot)? {
            details.push(ByteString::from_static(key), text);
        }
        Ok(())
    }

    pub(super) fn flag(&self, slot: Slot, key: &'static str, details: &mut Dict) -> Result<(), Refusal> {
        if self.table.flag(slot)? {
            details.push(ByteString::from_static(key), true);
        }
        Ok(())
    }

    /// An id, which 0 is not.
    pub(super) fn number(&self, slot: Slot, key: &'static str, details: &mut Dict) -> Result<(), Refusal> {
        match self.table.u64(slot)? {
            0 => {}
            id => details.push(
                ByteString::from_static(key),
                self.checked_id(id, &format!("Details.{key}"))?,
            ),
        }
        Ok(())
    }

    pub(super) fn extra(&self) -> Result<Dict, Refusal> {
        self.map(s::authentication::EXTRA).map(Option::unwrap_or_default)
    }

    pub(super) fn entry(&self, slot: Slot, key: &'static str, details: &mut Dict) -> Result<(), Refusal> {
        if let Some(map) = self.map(slot)? {
            details.push(ByteString::from_static(key), map);
        }
        Ok(())
    }

    pub(super) fn map(&self, slot: Slot) -> Result<Option<Dict>, Refusal> {
        let Some(table) = self.table.table(slot)? else {
            return Ok(None);
        };
        let mut map = Dict::new();
        if let Some(key) = table.text(s::map::KEY)? {
            map.push(key, table.text(s::map::VALUE)?.unwrap_or_default());
        }
        Ok(Some(map))
    }

    pub(super) fn forward_for(&self, slot: Slot, rest: &mut Dict) -> Result<(), Refusal> {
        let Some(items) = self.table.tables(slot)? else {
            return Ok(());
        };
        // Each router is a dictionary with three entries.
        self.count(items.len().saturating_mul(4))?;
        let mut routers = Vec::with_capacity(items.len());
        for table in items {
            let table = table?;
            let session = self.checked_id(table.u64(s::principal::SESSION)?, "forward_for")?;
            let authid = table.text(s::principal::AUTHID)?.unwrap_or_default();
            let authrole = table.text(s::principal::AUTHROLE)?.unwrap_or_default();
            let router = Dict::new().with("session", session).with("authid", authid);
            routers.push(Value::Dict(router.with("authrole", authrole)));
        }
        rest.push("forward_for", routers);
        Ok(())
    }

    /// The details of UNSUBSCRIBED and UNREGISTERED, if they have any; `key` is that of what was revoked.
    pub(super) fn revoked(&self, key: &'static str) -> Result<Option<Dict>, Refusal> {
        let mut details = Dict::new();
        self.number(s::pair::ID, key, &mut details)?;
        self.text(s::pair::REASON, "reason", &mut details)?;
        Ok((!details.is_empty()).then_some(details))
    }
}
