//! Predefined URIs of errors and closings that the router sends (specification, "Predefined URIs").
#![allow(missing_docs, reason = "each constant is named after its URI")]

pub const CANCELED: &str = "wamp.error.canceled";
pub const DISCLOSE_ME_DISALLOWED: &str = "wamp.error.option_disallowed.disclose_me";
/// Crossbar.io's, for a subscription whose events are not kept.
pub const HISTORY_UNAVAILABLE: &str = "wamp.error.history_unavailable";
pub const INVALID_ARGUMENT: &str = "wamp.error.invalid_argument";
/// The callee lacks what a call needs.
pub const FEATURE_NOT_SUPPORTED: &str = "wamp.error.feature_not_supported";
pub const INVALID_URI: &str = "wamp.error.invalid_uri";
/// Not in the specification: a limit of `config::Limits` is reached.
pub const LIMIT_EXCEEDED: &str = "crosspoint.error.limit_exceeded";
/// Crossbar.io's: all callees work on as many calls as they want, and no further one may wait.
pub const MAX_CONCURRENCY_REACHED: &str = "crossbar.error.max_concurrency_reached";
pub const NO_AVAILABLE_CALLEE: &str = "wamp.error.no_available_callee";
pub const NO_MATCHING_AUTH_METHOD: &str = "wamp.error.no_matching_auth_method";
pub const NO_SUCH_PROCEDURE: &str = "wamp.error.no_such_procedure";
pub const NO_SUCH_REALM: &str = "wamp.error.no_such_realm";
pub const NO_SUCH_REGISTRATION: &str = "wamp.error.no_such_registration";
pub const NO_SUCH_ROLE: &str = "wamp.error.no_such_role";
pub const NO_SUCH_SESSION: &str = "wamp.error.no_such_session";
pub const NO_SUCH_SUBSCRIPTION: &str = "wamp.error.no_such_subscription";
pub const NOT_AUTHORIZED: &str = "wamp.error.not_authorized";
pub const PAYLOAD_SIZE_EXCEEDED: &str = "wamp.error.payload_size_exceeded";
pub const PROCEDURE_ALREADY_EXISTS: &str = "wamp.error.procedure_already_exists";
/// Crossbar.io's, known to its clients; the specification names none for this.
pub const PROCEDURE_EXISTS_WITH_DIFFERENT_POLICY: &str =
    "wamp.error.procedure_exists_with_different_invocation_policy";
pub const PROTOCOL_VIOLATION: &str = "wamp.error.protocol_violation";
pub const TIMEOUT: &str = "wamp.error.timeout";
/// A callee's: another one may take the call.
pub const UNAVAILABLE: &str = "wamp.error.unavailable";
/// Crossbar.io's, for a registration that another session took over.
pub const UNREGISTERED: &str = "wamp.error.unregistered";

pub const GOODBYE_AND_OUT: &str = "wamp.close.goodbye_and_out";
pub const KILLED: &str = "wamp.close.killed";
pub const SYSTEM_SHUTDOWN: &str = "wamp.close.system_shutdown";
