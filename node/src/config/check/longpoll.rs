//! `longpoll` services: WAMP over HTTP long-polling.

use std::time::Duration;

use super::section::{Field, Section};
use super::websocket::allowed_origins;
use super::{Scope, access, count};
use crate::config::model::LongPoll;

/// Where `request_timeout` is not set, as in Crossbar.io.
const DEFAULT_REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Where `session_timeout` is not set, as in Crossbar.io.
const DEFAULT_SESSION_TIMEOUT: Duration = Duration::from_secs(30);

/// Where `queue_limit_bytes` is not set, as in Crossbar.io.
const DEFAULT_QUEUE_BYTES: usize = 128 << 10;

/// Where `queue_limit_messages` is not set, as in Crossbar.io.
const DEFAULT_QUEUE_MESSAGES: usize = 100;

/// Longest body where `max_message_size` is not set, and the longest that can be set.
const LARGEST_MESSAGE: usize = 16 << 20;

/// Most transports where `max_transports` is not set: each takes two file descriptors.
const DEFAULT_MAX_TRANSPORTS: usize = 10_000;

/// Reads a long-poll service, whose `type` has been taken.
pub(super) fn longpoll(mut section: Section<'_>, scope: &Scope<'_>) -> LongPoll {
    let mut service = LongPoll {
        serializers: access::serializers(&mut section),
        access: access::access(&mut section, scope),
        allowed_origins: vec!["*".to_owned()],
        allow_null_origin: true,
        request_timeout: DEFAULT_REQUEST_TIMEOUT,
        session_timeout: DEFAULT_SESSION_TIMEOUT,
        queue_limit_bytes: DEFAULT_QUEUE_BYTES,
        queue_limit_messages: DEFAULT_QUEUE_MESSAGES,
        max_message_size: LARGEST_MESSAGE,
        max_transports: DEFAULT_MAX_TRANSPORTS,
    };
    if let Some(found) = section
        .get("options")
        .and_then(|field| field.section("long-poll options"))
    {
        options(found, &mut service);
    }
    section.finish();
    service
}

fn options(mut section: Section<'_>, service: &mut LongPoll) {
    service.allowed_origins = allowed_origins(&mut section, std::mem::take(&mut service.allowed_origins));
    service.allow_null_origin = section.or("allow_null_origin", true, Field::boolean);
    access::ubjson_dialect(&mut section, &mut service.serializers);
    service.request_timeout = seconds(&mut section, "request_timeout", DEFAULT_REQUEST_TIMEOUT);
    service.session_timeout = seconds(&mut section, "session_timeout", DEFAULT_SESSION_TIMEOUT);
    let mut size = |key, what, default, most| section.or(key, default, |field| count(field, what, 1, most));
    service.queue_limit_bytes = size("queue_limit_bytes", "bytes", DEFAULT_QUEUE_BYTES, 64 << 20);
    service.queue_limit_messages = size(
        "queue_limit_messages",
        "a number of messages",
        DEFAULT_QUEUE_MESSAGES,
        1_000_000,
    );
    service.max_message_size = size(
        "max_message_size",
        "bytes",
        LARGEST_MESSAGE,
        LARGEST_MESSAGE as u64,
    );
    service.max_transports = size(
        "max_transports",
        "a number of transports",
        DEFAULT_MAX_TRANSPORTS,
        10_000_000,
    );
    section.not_yet(&["debug"]);
    if let Some(field) = section.get("debug_transport_id").filter(|field| !field.is_null()) {
        field.error(
            "\"debug_transport_id\" is not supported: whoever knows the id of a transport may use it, so that ids are \
             always random; remove this key",
        );
    }
    section.finish();
}

fn seconds(section: &mut Section<'_>, key: &'static str, default: Duration) -> Duration {
    section.or(key, default, |field| {
        field.integer("seconds", 1..=86_400).map(Duration::from_secs)
    })
}
