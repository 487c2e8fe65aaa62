//! `compression` of a WebSocket: permessage-deflate (RFC 7692).

use crosspoint_codec::frame::websocket::deflate::{Compression, WindowBits};

use super::section::{Field, Section};

/// Reads `compression`; `false` and no key mean the same.
pub(super) fn compression(options: &mut Section<'_>) -> Option<Compression> {
    let field = options.get("compression")?;
    if field.node.asks_for_nothing() {
        return None;
    }
    let mut section = field.section("ways to compress: {\"deflate\": {}}")?;
    let deflate = section
        .need("deflate", "\"deflate\": {}")
        .and_then(|field| deflate(&field));
    section.finish();
    deflate
}

fn deflate(field: &Field<'_>) -> Option<Compression> {
    let defaults = Compression::default();
    let mut section = field.section("parameters of permessage-deflate")?;
    let compression = Compression {
        window: section.or("max_window_bits", defaults.window, |field| bits(field, false)),
        client_no_context_takeover: section.or(
            "request_no_context_takeover",
            defaults.client_no_context_takeover,
            Field::boolean,
        ),
        client_window: section.or("request_max_window_bits", defaults.client_window, |field| {
            bits(field, true)
        }),
    };
    // Messages are compressed for all receivers at once, whatever these say.
    section.or("no_context_takeover", false, Field::boolean);
    section.or("memory_level", 8, |field| field.integer("a level", 1..=9));
    section.finish();
    Some(compression)
}

/// A window; `or_zero` also takes 0, which means the largest.
fn bits(field: &Field<'_>, or_zero: bool) -> Option<WindowBits> {
    if or_zero && field.node.to_json() == 0 {
        return Some(WindowBits::LARGEST);
    }
    let what = if or_zero {
        "0, or a number of bits"
    } else {
        "a number of bits"
    };
    let (least, most) = (WindowBits::SMALLEST.get(), WindowBits::LARGEST.get());
    let bits = field.integer(what, least.into()..=most.into())?;
    WindowBits::new(u8::try_from(bits).ok()?)
}
