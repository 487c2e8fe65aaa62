//! The transports of one long-poll service, by their ids.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use rustix::rand::{GetRandomFlags, getrandom};
use tokio::task::AbortHandle;
use tokio::time::sleep;
use tracing::debug;

use super::transport::Transport;

/// Octets of an id: 192 bits.
const ID_LEN: usize = 24;

/// What a transport is called in URLs: whoever knows it may use the transport, so nobody must be able to guess it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Id([u8; ID_LEN]);

impl Id {
    /// # Errors
    /// If the system has no randomness to give.
    fn draw() -> io::Result<Self> {
        let mut id = [0; ID_LEN];
        // Up to 256 bytes arrive in one piece.
        getrandom(&mut id, GetRandomFlags::empty())?;
        Ok(Self(id))
    }

    pub(super) fn to_text(self) -> String {
        self.0.iter().map(|octet| format!("{octet:02x}")).collect()
    }

    /// Of the text in a URL; `None` if it never was an id.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut id = [0; ID_LEN];
        if text.len() != 2 * ID_LEN || !text.bytes().all(|octet| octet.is_ascii_hexdigit()) {
            return None;
        }
        for (octet, digits) in id.iter_mut().zip(text.as_bytes().chunks(2)) {
            *octet = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        }
        Some(Self(id))
    }
}

/// All transports that are open.
#[derive(Debug)]
pub(super) struct Table {
    max: usize,
    session_timeout: Duration,
    transports: Mutex<HashMap<Id, Entry>>,
    /// Itself, for the tasks that close idle transports.
    me: Weak<Self>,
}

#[derive(Debug)]
struct Entry {
    transport: Arc<Transport>,
    expiry: AbortHandle,
}

impl Table {
    pub(super) fn new(max: usize, session_timeout: Duration) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            max,
            session_timeout,
            transports: Mutex::default(),
            me: Weak::clone(me),
        })
    }

    pub(super) fn is_full(&self) -> bool {
        self.transports().len() >= self.max
    }

    /// # Errors
    /// If the system has no randomness to give.
    pub(super) fn insert(&self, transport: Transport) -> io::Result<Id> {
        let (id, transport) = (Id::draw()?, Arc::new(transport));
        let expire = expire(
            Weak::clone(&self.me),
            id,
            Arc::clone(&transport),
            self.session_timeout,
        );
        let entry = Entry {
            transport,
            expiry: tokio::spawn(expire).abort_handle(),
        };
        self.transports().insert(id, entry);
        Ok(id)
    }

    pub(super) fn get(&self, id: Id) -> Option<Arc<Transport>> {
        Some(Arc::clone(&self.transports().get(&id)?.transport))
    }

    /// Closes the transport, so that its session is lost. Whether there was one.
    pub(super) fn remove(&self, id: Id) -> bool {
        let entry = self.transports().remove(&id);
        let found = entry.is_some();
        if let Some(entry) = entry {
            entry.transport.shut();
            entry.expiry.abort();
        }
        found
    }

    fn transports(&self) -> MutexGuard<'_, HashMap<Id, Entry>> {
        // No code that holds the lock can leave it half changed.
        self.transports.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes a transport whose client stays away.
async fn expire(table: Weak<Table>, id: Id, transport: Arc<Transport>, timeout: Duration) {
    loop {
        let idle = transport.idle();
        if idle >= timeout {
            break;
        }
        sleep(timeout - idle).await;
    }
    if let Some(table) = table.upgrade() {
        debug!("a long-poll transport is closed: its client stays away");
        table.remove(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ_and_survive_their_text() {
        let (one, other) = (Id::draw().unwrap(), Id::draw().unwrap());
        assert_ne!(one, other);
        assert_eq!(Id::parse(&one.to_text()), Some(one));
        for text in [
            "",
            "open",
            &"+1".repeat(ID_LEN),
            &one.to_text()[1..],
            &"é".repeat(ID_LEN),
        ] {
            assert_eq!(Id::parse(text), None, "{text}");
        }
    }
}
