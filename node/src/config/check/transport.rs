//! `transports`: what is spoken on which endpoint.

use std::net::SocketAddr;

use super::section::{Field, Section};
use super::{Scope, access, count, endpoint, identifier, web, websocket};
use crate::config::model::{Endpoint, Http, Listener, RawSocket, Route, Service};

/// Most connections of a transport where `max_connections` is not set, as in Crossbar.io.
const DEFAULT_MAX_CONNECTIONS: usize = 50_000;

/// What a RawSocket handshake can announce at most: 2^24 bytes.
const LARGEST_RAWSOCKET_MESSAGE: usize = 16 << 20;

#[derive(Clone, Copy)]
enum Kind {
    RawSocket,
    Testee,
    Universal,
    Web,
    WebSocket,
}

/// The listening transports of a router worker.
pub(super) fn listeners(field: &Field<'_>, scope: &Scope<'_>) -> Vec<Listener> {
    let items = field.some_items("transports");
    let mut listeners: Vec<Listener> = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let Some(listener) = item
            .section("a transport")
            .and_then(|section| listener(section, index, scope))
        else {
            continue;
        };
        add(&mut listeners, listener, item);
    }
    listeners
}

/// The transport of a testee worker, which is one more listener of the router.
pub(super) fn testee(field: &Field<'_>, scope: &Scope<'_>, listeners: &mut Vec<Listener>) {
    let kinds = [("websocket", Kind::Testee), ("websocket.testee", Kind::Testee)];
    let found = field
        .section("a transport")
        .and_then(|section| listener_of(&kinds, &[], section, listeners.len(), scope));
    if let Some(listener) = found {
        add(listeners, listener, field);
    }
}

/// Adds a listener that is unlike all others.
fn add(listeners: &mut Vec<Listener>, listener: Listener, item: &Field<'_>) {
    if let Some(other) = listeners
        .iter()
        .find(|other| overlap(&other.endpoint, &listener.endpoint))
    {
        item.error(format!(
            "listens where the transport {:?} listens; expected another port or path",
            other.id
        ));
    }
    if let Some(other) = listeners.iter().find(|other| other.id == listener.id) {
        item.error(format!(
            "found a second transport {:?}; expected an id that no other has",
            other.id
        ));
    }
    listeners.push(listener);
}

/// Whether two transports cannot listen at the same time.
fn overlap(one: &Endpoint, other: &Endpoint) -> bool {
    match (one, other) {
        (Endpoint::Unix { path: one, .. }, Endpoint::Unix { path: other, .. }) => one == other,
        (Endpoint::Tcp { address: one, .. }, Endpoint::Tcp { address: other, .. }) => {
            let is_any = |address: &SocketAddr| address.ip().is_unspecified();
            let same_address = if one.is_ipv4() == other.is_ipv4() {
                one.ip() == other.ip() || is_any(one) || is_any(other)
            } else {
                // All addresses of IPv6 are those of IPv4 too.
                [one, other]
                    .into_iter()
                    .any(|address| address.is_ipv6() && is_any(address))
            };
            one.port() != 0 && one.port() == other.port() && same_address
        }
        _ => false,
    }
}

fn listener(section: Section<'_>, index: usize, scope: &Scope<'_>) -> Option<Listener> {
    let kinds = [
        ("websocket", Kind::WebSocket),
        ("rawsocket", Kind::RawSocket),
        ("universal", Kind::Universal),
        ("web", Kind::Web),
        ("websocket.testee", Kind::Testee),
    ];
    let later = ["mqtt", "flashpolicy", "stream.testee"];
    listener_of(&kinds, &later, section, index, scope)
}

/// A transport of one of these kinds.
fn listener_of(
    kinds: &[(&str, Kind)],
    later: &[&str],
    mut section: Section<'_>,
    index: usize,
    scope: &Scope<'_>,
) -> Option<Listener> {
    let key_path = section.field.path().to_owned();
    let kind = section
        .need("type", "\"websocket\", \"rawsocket\", \"universal\" or \"web\"")?
        .choice(kinds, later)?;
    let id = section.or("id", format!("transport{:03}", index + 1), identifier);
    let endpoint = section.need("endpoint", "where to listen: {\"type\": \"tcp\", \"port\": …}");
    let endpoint = endpoint.and_then(|field| endpoint::endpoint(&field, scope.surroundings));
    let max_connections = max_connections(&mut section);
    let (rawsocket, http) = match kind {
        Kind::RawSocket => (Some(rawsocket(section, scope)), None),
        Kind::Universal => universal(section, scope),
        Kind::Web => (None, Some(web::web(section, scope))),
        Kind::WebSocket => everywhere(Service::WebSocket(websocket::websocket(section, scope))),
        Kind::Testee => everywhere(Service::Testee(websocket::testee(section, scope))),
    };
    Some(Listener {
        key_path,
        id,
        endpoint: endpoint?,
        max_connections,
        rawsocket,
        http,
    })
}

/// A service on every path, and nothing else.
fn everywhere(service: Service) -> (Option<RawSocket>, Option<Http>) {
    let path = "/".to_owned();
    (None, Some(web::with_routes(vec![Route { path, service }])))
}

fn max_connections(section: &mut Section<'_>) -> usize {
    section.or("max_connections", DEFAULT_MAX_CONNECTIONS, |field| {
        count(field, "a number of connections", 1, 10_000_000)
    })
}

fn rawsocket(mut section: Section<'_>, scope: &Scope<'_>) -> RawSocket {
    let mut serializers = access::serializers(&mut section);
    let access = access::access(&mut section, scope);
    let max_message_size = section.or("options", LARGEST_RAWSOCKET_MESSAGE, |field| {
        let mut options = field.section("RawSocket options")?;
        let size = options.or("max_message_size", LARGEST_RAWSOCKET_MESSAGE, |field| {
            count(field, "bytes", 512, LARGEST_RAWSOCKET_MESSAGE as u64)
        });
        access::ubjson_dialect(&mut options, &mut serializers);
        options.finish();
        Some(size)
    });
    section.not_yet(&["debug"]);
    section.finish();
    // The handshake can only say a power of two; as Crossbar.io does, the next larger one is announced.
    RawSocket {
        serializers,
        access,
        max_message_size: max_message_size.next_power_of_two(),
    }
}

/// One port for everything; the first octet of a connection tells RawSocket from HTTP.
fn universal(mut section: Section<'_>, scope: &Scope<'_>) -> (Option<RawSocket>, Option<Http>) {
    let raw = section
        .get("rawsocket")
        .and_then(|field| field.section("RawSocket"));
    let raw = raw.map(|inner| rawsocket(inner, scope));
    let websockets = section
        .get("websocket")
        .and_then(|field| field.section("paths for WebSocket"));
    let mut routes = websockets
        .map(|paths| websocket_paths(&paths, scope))
        .unwrap_or_default();
    let web = section
        .get("web")
        .and_then(|field| field.section("a web transport"));
    let http = match web.map(|inner| web::web(inner, scope)) {
        None if routes.is_empty() => None,
        None => Some(web::with_routes(routes)),
        Some(mut http) => {
            for route in http.routes {
                if routes.iter().any(|other| other.path == route.path) {
                    let path = &route.path;
                    section.field.error(format!(
                        "both \"websocket\" and \"web\" serve {path:?}; expected one of them"
                    ));
                }
                routes.push(route);
            }
            http.routes = routes;
            Some(http)
        }
    };
    if raw.is_none() && http.is_none() {
        section
            .field
            .error("nothing is served here; expected \"rawsocket\", \"websocket\" or \"web\"");
    }
    section.not_yet(&["mqtt"]);
    section.finish();
    (raw, http)
}

fn websocket_paths(paths: &Section<'_>, scope: &Scope<'_>) -> Vec<Route> {
    let mut routes = Vec::new();
    for (key, field) in paths.entries() {
        let Some(path) = web::path_below(paths, "", key) else {
            continue;
        };
        let Some(mut inner) = field.section("WebSocket") else {
            continue;
        };
        if let Some(kind) = inner.get("type") {
            kind.choice(&[("websocket", ())], &[]);
        }
        let service = Service::WebSocket(websocket::websocket(inner, scope));
        routes.push(Route { path, service });
    }
    routes
}
