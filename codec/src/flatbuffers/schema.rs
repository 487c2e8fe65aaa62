//! The numbers of autobahn's schema: fields by their place in their table, and the values of its enumerations.
//!
//! Every message's field 0 is a session id that is only used in WELCOME.

use crosspoint_core::options::{CancelMode, InvokePolicy, MatchPolicy};

/// The number of a field in its table.
pub(super) type Slot = u16;

/// The root table.
pub(super) const MESSAGE_TYPE: Slot = 0;
pub(super) const MESSAGE: Slot = 1;

/// EVENT_RECEIVED, whose code elsewhere is more than the byte that there is for it.
pub(super) const EVENT_RECEIVED_TYPE: u8 = 37;

/// The first id of most messages.
pub(super) const REQUEST: Slot = 1;

pub(super) mod hello {
    use super::Slot;
    pub(crate) const ROLES: Slot = 1;
    pub(crate) const REALM: Slot = 2;
    pub(crate) const AUTHMETHODS: Slot = 3;
    pub(crate) const AUTHID: Slot = 4;
    pub(crate) const AUTHROLE: Slot = 5;
    pub(crate) const AUTHEXTRA: Slot = 6;
    pub(crate) const RESUMABLE: Slot = 7;
    pub(crate) const RESUME_SESSION: Slot = 8;
    pub(crate) const RESUME_TOKEN: Slot = 9;
}

pub(super) mod welcome {
    use super::Slot;
    pub(crate) const SESSION: Slot = 0;
    pub(crate) const ROLES: Slot = 1;
    pub(crate) const REALM: Slot = 2;
    pub(crate) const AUTHID: Slot = 3;
    pub(crate) const AUTHROLE: Slot = 4;
    pub(crate) const AUTHMETHOD: Slot = 5;
    pub(crate) const AUTHPROVIDER: Slot = 6;
    pub(crate) const AUTHEXTRA: Slot = 7;
}

/// ABORT and GOODBYE.
pub(super) mod leave {
    use super::Slot;
    pub(crate) const REASON: Slot = 1;
    pub(crate) const MESSAGE: Slot = 2;
    pub(crate) const RESUMABLE: Slot = 3;
}

/// CHALLENGE and AUTHENTICATE.
pub(super) mod authentication {
    use super::Slot;
    pub(crate) const METHOD: Slot = 1;
    pub(crate) const SIGNATURE: Slot = 1;
    pub(crate) const EXTRA: Slot = 2;
}

/// The one entry of a dictionary.
pub(super) mod map {
    use super::Slot;
    pub(crate) const KEY: Slot = 0;
    pub(crate) const VALUE: Slot = 1;
}

/// A router that a message came through.
pub(super) mod principal {
    use super::Slot;
    pub(crate) const SESSION: Slot = 0;
    pub(crate) const AUTHID: Slot = 1;
    pub(crate) const AUTHROLE: Slot = 2;
}

pub(super) mod error {
    use super::Slot;
    pub(crate) const REQUEST_TYPE: Slot = 1;
    pub(crate) const REQUEST: Slot = 2;
    pub(crate) const ERROR: Slot = 3;
    pub(crate) const PAYLOAD: Slot = 4;
    pub(crate) const FORWARD_FOR: Slot = 11;
}

pub(super) mod publish {
    use super::Slot;
    pub(crate) const TOPIC: Slot = 2;
    pub(crate) const PAYLOAD: Slot = 3;
    pub(crate) const ACKNOWLEDGE: Slot = 10;
    pub(crate) const EXCLUDE_ME: Slot = 11;
    pub(crate) const EXCLUDE: Slot = 12;
    pub(crate) const EXCLUDE_AUTHID: Slot = 13;
    pub(crate) const EXCLUDE_AUTHROLE: Slot = 14;
    pub(crate) const ELIGIBLE: Slot = 15;
    pub(crate) const ELIGIBLE_AUTHID: Slot = 16;
    pub(crate) const ELIGIBLE_AUTHROLE: Slot = 17;
    pub(crate) const RETAIN: Slot = 18;
    pub(crate) const TRANSACTION_HASH: Slot = 19;
    pub(crate) const FORWARD_FOR: Slot = 20;
}

/// PUBLISHED, and what else carries a request and an id.
pub(super) mod pair {
    use super::Slot;
    pub(crate) const ID: Slot = 2;
    /// Of UNSUBSCRIBED and UNREGISTERED.
    pub(crate) const REASON: Slot = 3;
}

pub(super) mod subscribe {
    use super::Slot;
    pub(crate) const TOPIC: Slot = 2;
    pub(crate) const MATCH: Slot = 3;
    pub(crate) const GET_RETAINED: Slot = 4;
}

pub(super) mod event {
    use super::Slot;
    pub(crate) const SUBSCRIPTION: Slot = 1;
    pub(crate) const PUBLICATION: Slot = 2;
    pub(crate) const PAYLOAD: Slot = 3;
    pub(crate) const PUBLISHER: Slot = 10;
    pub(crate) const PUBLISHER_AUTHID: Slot = 11;
    pub(crate) const PUBLISHER_AUTHROLE: Slot = 12;
    pub(crate) const TOPIC: Slot = 13;
    pub(crate) const RETAINED: Slot = 14;
    pub(crate) const TRANSACTION_HASH: Slot = 15;
    pub(crate) const ACKNOWLEDGE: Slot = 16;
    pub(crate) const FORWARD_FOR: Slot = 17;
}

pub(super) mod event_received {
    use super::Slot;
    pub(crate) const PUBLICATION: Slot = 1;
}

pub(super) mod call {
    use super::Slot;
    pub(crate) const PROCEDURE: Slot = 2;
    pub(crate) const PAYLOAD: Slot = 3;
    pub(crate) const TIMEOUT: Slot = 10;
    pub(crate) const RECEIVE_PROGRESS: Slot = 11;
    pub(crate) const TRANSACTION_HASH: Slot = 12;
    pub(crate) const CALLER: Slot = 13;
    pub(crate) const CALLER_AUTHID: Slot = 14;
    pub(crate) const CALLER_AUTHROLE: Slot = 15;
    pub(crate) const FORWARD_FOR: Slot = 16;
}

pub(super) mod cancel {
    use super::Slot;
    pub(crate) const MODE: Slot = 2;
    pub(crate) const FORWARD_FOR: Slot = 3;
}

/// RESULT and YIELD.
pub(super) mod result {
    use super::Slot;
    pub(crate) const PAYLOAD: Slot = 2;
    pub(crate) const PROGRESS: Slot = 9;
    pub(crate) const CALLEE: Slot = 10;
    pub(crate) const CALLEE_AUTHID: Slot = 11;
    pub(crate) const CALLEE_AUTHROLE: Slot = 12;
    pub(crate) const FORWARD_FOR: Slot = 13;
}

pub(super) mod register {
    use super::Slot;
    pub(crate) const PROCEDURE: Slot = 2;
    pub(crate) const MATCH: Slot = 3;
    pub(crate) const INVOKE: Slot = 4;
    pub(crate) const CONCURRENCY: Slot = 5;
    pub(crate) const FORCE_REREGISTER: Slot = 6;
}

pub(super) mod invocation {
    use super::Slot;
    pub(crate) const REGISTRATION: Slot = 2;
    pub(crate) const PAYLOAD: Slot = 3;
    pub(crate) const PROCEDURE: Slot = 10;
    pub(crate) const TIMEOUT: Slot = 11;
    pub(crate) const RECEIVE_PROGRESS: Slot = 12;
    pub(crate) const TRANSACTION_HASH: Slot = 13;
    pub(crate) const CALLER: Slot = 14;
    pub(crate) const CALLER_AUTHID: Slot = 15;
    pub(crate) const CALLER_AUTHROLE: Slot = 16;
    pub(crate) const FORWARD_FOR: Slot = 17;
}

pub(super) mod interrupt {
    use super::Slot;
    pub(crate) const MODE: Slot = 2;
    pub(crate) const REASON: Slot = 3;
    pub(crate) const FORWARD_FOR: Slot = 4;
}

/// The fields of a payload, which follow each other wherever there is one: these are added to the first one's.
pub(super) mod payload {
    use super::Slot;
    pub(crate) const ARGS: Slot = 0;
    pub(crate) const KWARGS: Slot = 1;
    pub(crate) const OPAQUE: Slot = 2;
    pub(crate) const SCHEME: Slot = 3;
    pub(crate) const SERIALIZER: Slot = 4;
    pub(crate) const KEY: Slot = 6;
}

/// Match policies by their number; the first one is not written.
pub(super) const MATCH: [MatchPolicy; 3] = [MatchPolicy::Exact, MatchPolicy::Prefix, MatchPolicy::Wildcard];

/// Invocation policies by their number; the first one is not written.
pub(super) const INVOKE: [InvokePolicy; 5] = [
    InvokePolicy::Single,
    InvokePolicy::First,
    InvokePolicy::Last,
    InvokePolicy::RoundRobin,
    InvokePolicy::Random,
];

/// Cancel modes by their number. What is not written is skip in CANCEL, and kill in INTERRUPT.
pub(super) const MODE: [CancelMode; 3] = [CancelMode::Skip, CancelMode::Kill, CancelMode::KillNoWait];
pub(super) const CANCEL_DEFAULT: u8 = 0;
pub(super) const INTERRUPT_DEFAULT: u8 = 1;

/// Authentication methods by their number; the first one is not written.
pub(super) const AUTHMETHOD: [&str; 5] = ["anonymous", "ticket", "wampcra", "wamp-scram", "cryptosign"];

/// Values of `enc_algo` by their number; the last one stands for every other.
pub(super) const SCHEME: [&str; 5] = ["", "cryptobox", "mqtt", "xbr", "x_opaque"];

/// Values of `enc_serializer` by their number; the last one stands for every other.
pub(super) const SERIALIZER: [&str; 8] = [
    "",
    "json",
    "msgpack",
    "cbor",
    "ubjson",
    "opaque",
    "flatbuffers",
    "x_flexbuffers",
];
