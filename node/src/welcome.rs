//! What a person sees when the router runs: where to connect and what to try next.

use std::fmt::Write;
use std::net::SocketAddr;

use crosspoint_net::Address;

use crate::config::{Config, Listener, Service};

/// The text for these transports, which listen at these addresses.
pub(crate) fn welcome(config: &Config, addresses: &[Address], shards: u16) -> String {
    let realms = config
        .router
        .realms
        .iter()
        .map(|realm| realm.name.as_str())
        .collect::<Vec<_>>()
        .join(", ");
    let shards = if shards == 1 {
        "1 shard".to_owned()
    } else {
        format!("{shards} shards")
    };
    let mut text = format!(
        "Crosspoint {} runs: {shards}, realms: {realms}\n\n",
        env!("CARGO_PKG_VERSION")
    );
    let mut demo = None;
    for (listener, address) in config.router.listeners.iter().zip(addresses) {
        for (what, url) in urls(listener, address) {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  {what:<11}{url}");
        }
        demo = demo.or_else(|| demo_urls(listener, address));
    }
    if let (Some((page, websocket)), Some(realm)) = (demo, config.router.realms.first()) {
        let realm = &realm.name;
        let _ = write!(
            text,
            "
Try it: open {page} in two browser windows. Or from Python (pip install autobahn):

  from autobahn.asyncio.component import Component, run
  demo = Component(transports=\"{websocket}\", realm=\"{realm}\")
  demo.subscribe(\"com.example.demo.chat\")(lambda line: print(line[\"name\"], \"says\", line[\"text\"]))
  run([demo])
"
        );
    }
    text + "\nStop with Ctrl+C.\n\n"
}

/// What is served on a transport, with the URL of each.
fn urls(listener: &Listener, address: &Address) -> Vec<(&'static str, String)> {
    let authority = authority(address);
    let mut urls = Vec::new();
    for route in listener.http.iter().flat_map(|http| &http.routes) {
        match route.service {
            Service::WebSocket(_) => urls.push(("WebSocket", format!("ws://{authority}{}", route.path))),
            Service::LongPoll(_) => urls.push(("Long-poll", format!("http://{authority}{}", route.path))),
            Service::Testee(_) => urls.push(("Testee", format!("ws://{authority}{}", route.path))),
            Service::Nothing => {}
            _ => urls.push(("Web", format!("http://{authority}{}", route.path))),
        }
    }
    if listener.rawsocket.is_some() {
        let scheme = if matches!(address, Address::Unix(_)) {
            "unix"
        } else {
            "tcp"
        };
        urls.push(("RawSocket", format!("{scheme}://{authority}")));
    }
    urls
}

/// The demo's page, and a WebSocket beside it.
fn demo_urls(listener: &Listener, address: &Address) -> Option<(String, String)> {
    let routes = &listener.http.as_ref()?.routes;
    let demo = routes.iter().find(|route| route.service == Service::Demo)?;
    let websocket = routes
        .iter()
        .find(|route| matches!(route.service, Service::WebSocket(_)))?;
    let authority = authority(address);
    Some((
        format!("http://{authority}{}", demo.path),
        format!("ws://{authority}{}", websocket.path),
    ))
}

/// What stands behind `://`: for "all addresses" one that a client on this machine can use.
fn authority(address: &Address) -> String {
    match address {
        Address::Tcp(SocketAddr::V4(address)) if address.ip().is_unspecified() => {
            format!("localhost:{}", address.port())
        }
        Address::Tcp(SocketAddr::V6(address)) if address.ip().is_unspecified() => {
            format!("localhost:{}", address.port())
        }
        Address::Tcp(address) => address.to_string(),
        Address::Unix(path) => path.display().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_configuration_is_explained_with_the_real_port() {
        let config = crate::config::load_default().unwrap();
        let text = welcome(&config, &[Address::Tcp("127.0.0.1:4711".parse().unwrap())], 2);
        for line in [
            "2 shards, realms: realm1",
            "  WebSocket  ws://127.0.0.1:4711/ws\n",
            "  RawSocket  tcp://127.0.0.1:4711\n",
            "  Web        http://127.0.0.1:4711/\n",
            "Component(transports=\"ws://127.0.0.1:4711/ws\", realm=\"realm1\")",
        ] {
            assert!(text.contains(line), "no {line:?} in {text}");
        }
        let everywhere = welcome(&config, &[Address::Tcp("0.0.0.0:80".parse().unwrap())], 1);
        assert!(everywhere.contains("ws://localhost:80/ws"), "{everywhere}");
    }
}
