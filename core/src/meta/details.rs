//! What meta procedures and events say about a session.

use crate::router::{AUTH_METHOD, AUTH_PROVIDER};
use crate::session::Session;
use crate::value::Dict;

/// The session's identity, and nothing of what its client or transport sent along with it: neither `authextra`, nor
/// headers, nor cookies.
pub(crate) fn of_session(session: &Session) -> Dict {
    Dict::new()
        .with("session", session.id.0)
        .with("authid", session.identity.authid.clone())
        .with("authrole", session.identity.authrole.clone())
        .with("authmethod", AUTH_METHOD)
        .with("authprovider", AUTH_PROVIDER)
}
