//! Where the router is: the URL of the command line.

use std::net::{SocketAddr, ToSocketAddrs};
use std::str::FromStr;

use anyhow::{Context, bail, ensure};
use crosspoint_codec::frame::Framing;

/// A router's transport, with the name not yet looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) framing: Framing,
    /// Name or address, without the brackets of IPv6.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// The path and query of the upgrade request; `/` and unused for RawSocket.
    pub(crate) path: String,
}

impl Target {
    /// The value of the `Host` header.
    pub(crate) fn authority(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }

    /// The address to connect to: the first that the name has.
    pub(crate) fn resolve(&self) -> anyhow::Result<SocketAddr> {
        let addresses = (&*self.host, self.port).to_socket_addrs();
        let mut addresses = addresses.with_context(|| format!("looking up {}", self.host))?;
        addresses
            .next()
            .with_context(|| format!("{} has no address", self.host))
    }
}

impl FromStr for Target {
    type Err = anyhow::Error;

    fn from_str(url: &str) -> anyhow::Result<Self> {
        const FORMS: &str = "expected ws://HOST:PORT/PATH or rs://HOST:PORT";
        let (scheme, rest) = url.split_once("://").with_context(|| FORMS)?;
        let framing = match scheme {
            "ws" => Framing::WebSocket,
            "rs" => Framing::RawSocket,
            "wss" | "rss" => bail!("TLS is not supported yet; {FORMS}"),
            _ => bail!("unknown scheme `{scheme}`; {FORMS}"),
        };
        let (authority, path) = match rest.find(['/', '?']) {
            Some(end) => rest.split_at(end),
            None => (rest, ""),
        };
        let path = match path.as_bytes().first() {
            Some(b'/') => path.to_owned(),
            _ => format!("/{path}"),
        };
        ensure!(
            framing == Framing::WebSocket || path == "/",
            "a RawSocket URL has no path; {FORMS}"
        );
        // The path goes into an HTTP request line as it is.
        ensure!(
            path.bytes().all(|octet| octet.is_ascii_graphic()),
            "the path must be percent-encoded"
        );
        let (host, port) = split_authority(authority)?;
        Ok(Self {
            framing,
            host: host.to_owned(),
            port,
            path,
        })
    }
}

/// `HOST`, `HOST:PORT` or `[V6]:PORT`; without a port it is 8080, Crossbar.io's and ours.
fn split_authority(authority: &str) -> anyhow::Result<(&str, u16)> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']').context("`[` without `]`")?;
            (host, rest.strip_prefix(':'))
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    ensure!(!host.is_empty(), "the host is missing");
    let port = port.map_or(Ok(8080), str::parse);
    Ok((host, port.context("the port must be a number from 1 to 65535")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(url: &str) -> Target {
        url.parse().unwrap()
    }

    #[test]
    fn urls_of_both_transports() {
        let ws = target("ws://example.org:9000/ws?a=b");
        assert_eq!(ws.framing, Framing::WebSocket);
        assert_eq!((&*ws.host, ws.port, &*ws.path), ("example.org", 9000, "/ws?a=b"));
        let raw = target("rs://127.0.0.1:8081");
        assert_eq!(raw.framing, Framing::RawSocket);
        assert_eq!((&*raw.host, raw.port), ("127.0.0.1", 8081));
    }

    #[test]
    fn what_is_left_out_has_a_default() {
        assert_eq!(target("ws://localhost").path, "/");
        assert_eq!(target("ws://localhost").port, 8080);
        assert_eq!(target("ws://localhost?x").path, "/?x");
        assert_eq!(target("rs://localhost:1/"), target("rs://localhost:1"));
    }

    #[test]
    fn an_ipv6_address_is_in_brackets() {
        let target = target("ws://[::1]:8080/ws");
        assert_eq!(target.host, "::1");
        assert_eq!(target.authority(), "[::1]:8080");
        assert!(target.resolve().unwrap().is_ipv6());
    }

    #[test]
    fn wrong_urls_say_what_is_wrong() {
        let error = |url: &str| url.parse::<Target>().unwrap_err().to_string();
        assert!(error("localhost:8080").contains("ws://"));
        assert!(error("http://localhost").contains("`http`"));
        assert!(error("wss://localhost").contains("TLS"));
        assert!(error("rs://localhost:1/path").contains("no path"));
        assert!(error("ws://:80/").contains("host"));
        assert!(error("ws://h:99999/").contains("port"));
        assert!(error("ws://h/a b").contains("percent-encoded"));
        assert!(error("ws://h/a\r\nX: y").contains("percent-encoded"));
    }
}
