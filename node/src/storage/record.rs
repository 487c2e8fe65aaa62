//! An event as a record of a store.
//!
//! A record is a version, the event and a checksum. Numbers are little-endian; texts, byte strings and lists have
//! their length before them, as 32 bits. All forms of payload are stored as they are.
//!
//! Invariant: whatever the bytes, [`decode`] returns an event or an error. It never panics, and what it takes of memory is
//! a small multiple of the record's length.

use std::fmt;
use std::hash::Hasher;
use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;
use crosspoint_core::effect::StoredEvent;
use crosspoint_core::ids::{PublicationId, RealmId, SessionId};
use crosspoint_core::options::Receivers;
use crosspoint_core::payload::{Format, Payload};
use crosspoint_core::peer::{Disclosed, Publication};
use crosspoint_core::session::Identity;
use crosspoint_core::time::UnixTime;
use crosspoint_core::value::{Dict, Value};
use siphasher::sip::SipHasher13;

/// The form that records are written in, their first byte.
const VERSION: u8 = 1;

/// Bytes of a checksum, a record's last.
const CHECKSUM: usize = 8;

/// How deep values nest at most: more than any configuration lets a message nest.
const DEPTH: u8 = u8::MAX;

/// Why a record is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// It is of another version.
    Version(u8),
    /// It is not what was written.
    Damaged,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(version) => {
                write!(f, "its form is version {version}, this program reads {VERSION}")
            }
            Self::Damaged => f.write_str("it is not what was written"),
        }
    }
}

/// Appends the record of an event to `out`.
pub(super) fn encode(event: &StoredEvent, out: &mut Vec<u8>) {
    let start = out.len();
    out.push(VERSION);
    out.extend_from_slice(&event.at.0.to_le_bytes());
    let publication = &*event.publication;
    out.extend_from_slice(&publication.publication.0.to_le_bytes());
    put(out, publication.topic.as_bytes());
    out.push(u8::from(publication.retain));
    option(out, publication.trustlevel.as_ref(), |out, level| {
        out.extend_from_slice(&level.to_le_bytes());
    });
    option(out, publication.publisher.as_ref(), |out, publisher| {
        out.extend_from_slice(&publisher.session.0.to_le_bytes());
        put(out, publisher.identity.authid.as_bytes());
        put(out, publisher.identity.authrole.as_bytes());
    });
    option(out, publication.receivers.as_deref(), |out, lists| {
        for ids in [&lists.eligible, &lists.exclude] {
            option(out, ids.as_ref(), |out, ids| {
                length(out, ids.len());
                ids.iter()
                    .for_each(|id| out.extend_from_slice(&id.0.to_le_bytes()));
            });
        }
        let names = [
            &lists.eligible_authid,
            &lists.eligible_authrole,
            &lists.exclude_authid,
            &lists.exclude_authrole,
        ];
        for names in names {
            option(out, names.as_ref(), |out, names| {
                length(out, names.len());
                names.iter().for_each(|name| put(out, name.as_bytes()));
            });
        }
    });
    put_dict(out, &publication.rest);
    out.push(publication.payload.format as u8);
    put(out, &publication.payload.args);
    put(out, &publication.payload.kwargs);
    seal(out, start);
}

/// Ends the record that begins at `start`.
pub(super) fn seal(out: &mut Vec<u8>, start: usize) {
    let checksum = checksum(&out[start..]);
    out.extend_from_slice(&checksum);
}

/// The event of `realm` with this number whose record this is. `before` is the publisher of the one before, which
/// shares its memory if it is the same.
///
/// # Errors
/// [`Unreadable`]
pub(super) fn decode(
    (realm, number): (RealmId, u64),
    record: &[u8],
    before: &mut Option<Arc<Identity>>,
) -> Result<StoredEvent, Unreadable> {
    let (body, found) = record.split_last_chunk::<CHECKSUM>().ok_or(Unreadable::Damaged)?;
    if *found != checksum(body) {
        return Err(Unreadable::Damaged);
    }
    let (version, body) = body.split_first().ok_or(Unreadable::Damaged)?;
    if *version != VERSION {
        return Err(Unreadable::Version(*version));
    }
    let (at, mut publication) = Reader(body).event(realm).ok_or(Unreadable::Damaged)?;
    if let Some(publisher) = &mut publication.publisher {
        match before {
            Some(before) if *before == publisher.identity => publisher.identity = Arc::clone(before),
            _ => *before = Some(Arc::clone(&publisher.identity)),
        }
    }
    Ok(StoredEvent {
        number,
        at,
        publication: Arc::new(publication),
    })
}

/// Tells what a failing disk or another program changed; it is no secret.
fn checksum(bytes: &[u8]) -> [u8; CHECKSUM] {
    let mut hasher = SipHasher13::new();
    hasher.write(bytes);
    hasher.finish().to_le_bytes()
}

fn option<T: ?Sized>(out: &mut Vec<u8>, value: Option<&T>, write: impl FnOnce(&mut Vec<u8>, &T)) {
    out.push(u8::from(value.is_some()));
    if let Some(value) = value {
        write(out, value);
    }
}

/// A length. Messages are much shorter than 4 GiB.
fn length(out: &mut Vec<u8>, length: usize) {
    out.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
}

fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    length(out, bytes.len());
    out.extend_from_slice(bytes);
}

fn put_dict(out: &mut Vec<u8>, dict: &Dict) {
    length(out, dict.0.len());
    for (key, value) in &dict.0 {
        put(out, key.as_bytes());
        put_value(out, value);
    }
}

fn put_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        // Options were read as values; only answers of the router pass encoded ones on.
        Value::Null | Value::Encoded(..) => out.push(0),
        Value::Bool(value) => out.extend_from_slice(&[1, u8::from(*value)]),
        Value::Int(value) => {
            out.push(2);
            out.extend_from_slice(&value.to_le_bytes());
        }
        Value::UInt(value) => {
            out.push(3);
            out.extend_from_slice(&value.to_le_bytes());
        }
        Value::Float(value) => {
            out.push(4);
            out.extend_from_slice(&value.to_bits().to_le_bytes());
        }
        Value::Str(text) => {
            out.push(5);
            put(out, text.as_bytes());
        }
        Value::Bytes(bytes) => {
            out.push(6);
            put(out, bytes);
        }
        Value::List(list) => {
            out.push(7);
            length(out, list.len());
            list.iter().for_each(|value| put_value(out, value));
        }
        Value::Dict(dict) => {
            out.push(8);
            put_dict(out, dict);
        }
    }
}

/// Reads from the front of what is left of a record. `None` is the end of reading: there is no such record.
struct Reader<'r>(&'r [u8]);

impl<'r> Reader<'r> {
    fn event(mut self, realm: RealmId) -> Option<(UnixTime, Publication)> {
        let at = UnixTime(i64::from_le_bytes(self.array()?));
        let publication = Publication {
            publication: PublicationId(self.u64()?),
            realm,
            topic: self.text()?,
            retain: self.bool()?,
            trustlevel: self.option(|reader| reader.array().map(u32::from_le_bytes))?,
            publisher: self.option(Self::publisher)?,
            receivers: self.option(|reader| reader.receivers().map(Box::new))?,
            rest: self.dict(DEPTH)?,
            payload: self.payload()?,
        };
        self.0.is_empty().then_some((at, publication))
    }

    fn publisher(&mut self) -> Option<Disclosed> {
        Some(Disclosed {
            session: SessionId(self.u64()?),
            identity: Arc::new(Identity {
                authid: self.text()?,
                authrole: self.text()?,
            }),
        })
    }

    fn receivers(&mut self) -> Option<Receivers> {
        let ids = |reader: &mut Self| reader.list(|reader| reader.u64().map(SessionId));
        let (eligible, exclude) = (self.option(ids)?, self.option(ids)?);
        let mut names = || self.option(|reader| reader.list(Self::text));
        Some(Receivers {
            eligible,
            exclude,
            eligible_authid: names()?,
            eligible_authrole: names()?,
            exclude_authid: names()?,
            exclude_authrole: names()?,
        })
    }

    fn payload(&mut self) -> Option<Payload> {
        let format = self.byte()?;
        let is_it = |known: &Format| *known as u8 == format;
        Some(Payload {
            format: Format::OF_PAYLOADS.into_iter().find(is_it)?,
            args: self.owned()?,
            kwargs: self.owned()?,
        })
    }

    fn dict(&mut self, depth: u8) -> Option<Dict> {
        let entry = |reader: &mut Self| Some((reader.text()?, reader.value(depth)?));
        self.list(entry).map(Dict)
    }

    fn value(&mut self, depth: u8) -> Option<Value> {
        let depth = depth.checked_sub(1)?;
        Some(match self.byte()? {
            0 => Value::Null,
            1 => Value::Bool(self.bool()?),
            2 => Value::Int(i64::from_le_bytes(self.array()?)),
            3 => Value::UInt(self.u64()?),
            4 => Value::Float(f64::from_bits(self.u64()?)),
            5 => Value::Str(self.text()?),
            6 => Value::Bytes(self.owned()?),
            7 => Value::List(self.list(|reader| reader.value(depth))?),
            8 => Value::Dict(self.dict(depth)?),
            _ => return None,
        })
    }

    fn option<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        Some(if self.bool()? { Some(read(self)?) } else { None })
    }

    /// Takes memory only for what is there.
    fn list<T>(&mut self, mut read: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let length = self.length()?;
        let mut list = Vec::with_capacity(length.min(self.0.len()).min(64));
        for _ in 0..length {
            list.push(read(self)?);
        }
        Some(list)
    }

    fn text(&mut self) -> Option<ByteString> {
        std::str::from_utf8(self.bytes()?).ok().map(ByteString::from)
    }

    fn owned(&mut self) -> Option<Bytes> {
        self.bytes().map(Bytes::copy_from_slice)
    }

    fn bytes(&mut self) -> Option<&'r [u8]> {
        let length = self.length()?;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    fn length(&mut self) -> Option<usize> {
        usize::try_from(u32::from_le_bytes(self.array()?)).ok()
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn bool(&mut self) -> Option<bool> {
        match self.byte()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    fn byte(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*array)
    }
}
