//! WAMP over WebSocket: the keys of the transport, of the web service and of their `options`.

use std::time::Duration;

use crosspoint_core::payload::Format;

use super::section::{Field, Section};
use super::{Scope, access, compression, count};
use crate::config::model::{Access, AutoPing, WebSocket};

/// The largest message or frame size that can be set, as in Crossbar.io.
const LARGEST_MESSAGE: u64 = 64 << 20;

/// Longest message where `max_message_size` is not set, as in Crossbar.io.
const DEFAULT_MAX_MESSAGE: usize = 16 << 20;

const DEFAULT_CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Reads a WebSocket transport or service, whose `type` and endpoint have been taken.
pub(super) fn websocket(mut section: Section<'_>, scope: &Scope<'_>) -> WebSocket {
    let serializers = access::serializers(&mut section);
    let access = access::access(&mut section, scope);
    section.not_yet(&["cookie"]);
    common(section, serializers, access, scope)
}

/// Reads the WebSocket of a testee, whose `type` and endpoint have been taken: what it speaks needs no session.
pub(super) fn testee(section: Section<'_>, scope: &Scope<'_>) -> WebSocket {
    let nobody = Access {
        role: String::new(),
        realm: None,
        authid: None,
    };
    if let Some(options) = section.peek("options") {
        refuse_what_testees_have_not(&options);
    }
    common(section, Vec::new(), nobody, scope)
}

fn refuse_what_testees_have_not(options: &Field<'_>) {
    for (key, why) in [
        ("batched", "a testee does not know messages"),
        ("ubjson_dialect", "a testee does not know serializers"),
        ("enable_webstatus", "a testee has no page to show"),
        ("auto_ping_interval", "a testee sends no pings"),
    ] {
        let found = options.peek(key);
        if let Some(field) = found.filter(|field| !field.node.asks_for_nothing() && field.node.to_json() != 0)
        {
            field.error(format!("{why}, which {key:?} is about; remove this key"));
        }
    }
}

fn common(
    mut section: Section<'_>,
    serializers: Vec<Format>,
    access: Access,
    scope: &Scope<'_>,
) -> WebSocket {
    section.or("url", (), |field| {
        let url = field.text("a ws:// or wss:// URL")?;
        if !["ws://", "wss://"].iter().any(|scheme| url.starts_with(scheme)) {
            field.wrong("a ws:// or wss:// URL");
        }
        Some(())
    });
    let defaults = WebSocket {
        serializers,
        access,
        batched: false,
        compression: None,
        allowed_origins: vec!["*".to_owned()],
        allow_null_origin: true,
        max_message_size: DEFAULT_MAX_MESSAGE,
        open_handshake_timeout: scope.limits.handshake_timeout,
        close_handshake_timeout: DEFAULT_CLOSE_TIMEOUT,
        auto_ping: None,
        tcp_nodelay: true,
        webstatus: true,
        show_server_version: false,
    };
    section.not_yet(&["debug"]);
    let websocket = match section
        .get("options")
        .and_then(|field| field.section("WebSocket options"))
    {
        Some(found) => options(found, defaults),
        None => defaults,
    };
    section.finish();
    websocket
}

fn options(mut section: Section<'_>, mut defaults: WebSocket) -> WebSocket {
    access::ubjson_dialect(&mut section, &mut defaults.serializers);
    let allowed_origins = allowed_origins(&mut section, defaults.allowed_origins);
    let batched = section.or("batched", false, Field::boolean);
    let compression = compression::compression(&mut section);
    let allow_null_origin = section.or("allow_null_origin", true, Field::boolean);
    let max_message_size = size(&mut section, "max_message_size", defaults.max_message_size);
    max_frame_size(&mut section, max_message_size);
    let open_handshake_timeout =
        time(&mut section, "open_handshake_timeout").unwrap_or(defaults.open_handshake_timeout);
    let close_handshake_timeout =
        time(&mut section, "close_handshake_timeout").unwrap_or(DEFAULT_CLOSE_TIMEOUT);
    let auto_ping = auto_ping(&mut section);
    let tcp_nodelay = section.or("tcp_nodelay", true, Field::boolean);
    let webstatus = section.or("enable_webstatus", true, Field::boolean);
    let show_server_version = section.or("show_server_version", false, Field::boolean);
    fixed(&mut section);
    section.finish();
    WebSocket {
        batched,
        compression,
        allowed_origins,
        allow_null_origin,
        max_message_size,
        open_handshake_timeout,
        close_handshake_timeout,
        auto_ping,
        tcp_nodelay,
        webstatus,
        show_server_version,
        ..defaults
    }
}

/// The origins of web pages that may connect.
pub(super) fn allowed_origins(section: &mut Section<'_>, default: Vec<String>) -> Vec<String> {
    section.or("allowed_origins", default, |field| {
        let items = field.items("origins, such as [\"https://example.com\", \"*\"]");
        Some(
            items
                .iter()
                .filter_map(|item| item.text("an origin, as text").map(str::to_owned))
                .collect(),
        )
    })
}

/// Options that can only have the value by which RFC 6455 and the router work anyway.
fn fixed(section: &mut Section<'_>) {
    section.only("enable_rfc6455", true, "there is no other version of WebSocket");
    section.only("enable_hybi10", false, "browsers left that draft in 2011");
    section.only("validate_utf8", true, "text frames must be UTF-8");
    section.only("require_masked_client_frames", true, "RFC 6455 demands it");
    section.only("mask_server_frames", false, "RFC 6455 forbids it");
    section.only("apply_mask", true, "unmasked frames would be garbage");
    section.only(
        "require_websocket_subprotocol",
        true,
        "the subprotocol names the serializer",
    );
    section.only("enable_flash_policy", false, "Flash is gone");
    section.not_yet(&["fail_by_drop", "echo_close_codereason", "flash_policy"]);
    for (key, instead) in [
        ("external_port", "remove this key"),
        (
            "auto_fragment_size",
            "remove this key, or set 0: messages are sent in one frame",
        ),
    ] {
        if let Some(field) = section.get(key)
            && field.node.to_json() != 0
            && !field.node.asks_for_nothing()
        {
            field.not_yet(instead);
        }
    }
}

fn auto_ping(section: &mut Section<'_>) -> Option<AutoPing> {
    warn_of_idle_ping_options(section);
    let interval = time(section, "auto_ping_interval");
    let timeout = time(section, "auto_ping_timeout");
    let size = section.or("auto_ping_size", 12, |field| count(field, "bytes", 12, 125));
    let restart_on_any_traffic = section.or("auto_ping_restart_on_any_traffic", true, Field::boolean);
    interval.map(|interval| AutoPing {
        interval,
        timeout,
        size,
        restart_on_any_traffic,
    })
}

/// Says that what pings are like means nothing where there are none, unless somebody has turned them off.
fn warn_of_idle_ping_options(section: &Section<'_>) {
    if section.peek("auto_ping_interval").is_some() {
        return;
    }
    for key in [
        "auto_ping_timeout",
        "auto_ping_size",
        "auto_ping_restart_on_any_traffic",
    ] {
        if let Some(field) = section.peek(key).filter(|field| field.node.to_json() != 0) {
            field.warn(format!(
                "{key:?} is without effect, since no pings are sent; set \"auto_ping_interval\" beside it"
            ));
        }
    }
}

/// A time in milliseconds; 0 and no key mean the same.
fn time(section: &mut Section<'_>, key: &'static str) -> Option<Duration> {
    const ONE_DAY: u64 = 86_400_000;
    let field = section.get(key)?;
    match field.integer("milliseconds: 0 (off), or", 0..=ONE_DAY)? {
        0 => None,
        // As in Crossbar.io: a small number was probably meant to be seconds.
        1..1000 => {
            field.wrong("milliseconds: 0 (off), or from 1000");
            None
        }
        milliseconds => Some(Duration::from_millis(milliseconds)),
    }
}

/// A size in bytes; 0, which means unlimited in Crossbar.io, is the default here.
fn size(section: &mut Section<'_>, key: &'static str, default: usize) -> usize {
    match section.or(key, default, |field| count(field, "bytes", 0, LARGEST_MESSAGE)) {
        0 => default,
        size => size,
    }
}

/// A frame may be as large as a message; Crossbar.io can keep it smaller.
fn max_frame_size(section: &mut Section<'_>, max_message_size: usize) {
    if let Some(field) = section.get("max_frame_size")
        && let Some(size) = count(&field, "bytes", 0, LARGEST_MESSAGE)
        && (1..max_message_size).contains(&size)
    {
        field.not_yet(&format!(
            "expected 0, or at least the {max_message_size} bytes of a message"
        ));
    }
}
