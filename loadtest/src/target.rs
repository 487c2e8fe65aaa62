//! Where the router is, and what it speaks: the URL of the command line.

use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use crosspoint_codec::frame::Framing;

/// What is spoken over a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Wamp(Framing),
    Nats,
    Redis,
    Mqtt,
}

/// A router's transport, with the name not yet looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) protocol: Protocol,
    /// Whether it is spoken over TLS.
    pub(crate) tls: bool,
    /// Name or address, without the brackets of IPv6.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// The path and query of the upgrade request; `/` and unused but for WebSocket.
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

    /// Whether serializers and realms mean anything there.
    pub(crate) const fn is_wamp(&self) -> bool {
        matches!(self.protocol, Protocol::Wamp(_))
    }

    /// The address to connect to: the first of the name's that accepts a connection, and that one of `sources`, if there
    /// are any, can connect to.
    ///
    /// # Errors
    /// If there is none.
    pub(crate) fn reach(&self, sources: &[IpAddr]) -> anyhow::Result<SocketAddr> {
        let host = &self.host;
        let addresses = (&**host, self.port).to_socket_addrs();
        let mut addresses: Vec<_> = addresses.with_context(|| format!("looking up {host}"))?.collect();
        ensure!(!addresses.is_empty(), "{host} has no address");
        addresses
            .retain(|address| sources.is_empty() || sources.iter().any(|source| fits(*source, *address)));
        ensure!(
            !addresses.is_empty(),
            "--source: {host} has no address of the same family, IPv4 or IPv6"
        );
        first_that_accepts(&addresses).with_context(|| format!("connecting to {host}"))
    }
}

/// Whether one can be connected to from the other: both are of IPv4, or of IPv6.
pub(crate) const fn fits(source: IpAddr, address: SocketAddr) -> bool {
    source.is_ipv4() == address.is_ipv4()
}

/// A name such as `localhost` often has an IPv6 address first, while the router listens on IPv4 only. A single address is
/// not tried out.
fn first_that_accepts(addresses: &[SocketAddr]) -> anyhow::Result<SocketAddr> {
    const PATIENCE: Duration = Duration::from_secs(3);
    if let [only] = addresses {
        return Ok(*only);
    }
    let mut refusals = Vec::new();
    for address in addresses {
        match TcpStream::connect_timeout(address, PATIENCE) {
            Ok(_) => return Ok(*address),
            Err(error) => refusals.push(format!("{address}: {error}")),
        }
    }
    bail!("no address accepts: {}", refusals.join("; "))
}

impl FromStr for Target {
    type Err = anyhow::Error;

    fn from_str(url: &str) -> anyhow::Result<Self> {
        const FORMS: &str =
            "expected ws[s]://HOST:PORT/PATH, rs[s]://HOST:PORT, nats://, redis:// or mqtt://";
        let (scheme, rest) = url.split_once("://").with_context(|| FORMS)?;
        // Without a port, WAMP has 8080, Crossbar.io's and ours; the others have their own.
        let (protocol, usual_port) = match scheme {
            "wss" => (Protocol::Wamp(Framing::WebSocket), 443),
            "rss" => (Protocol::Wamp(Framing::RawSocket), 8080),
            "ws" => (Protocol::Wamp(Framing::WebSocket), 8080),
            "rs" => (Protocol::Wamp(Framing::RawSocket), 8080),
            "nats" => (Protocol::Nats, 4222),
            "redis" => (Protocol::Redis, 6379),
            "mqtt" => (Protocol::Mqtt, 1883),
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
            protocol == Protocol::Wamp(Framing::WebSocket) || path == "/",
            "a URL of {scheme}:// has no path; {FORMS}"
        );
        // The path goes into an HTTP request line as it is.
        ensure!(
            path.bytes().all(|octet| octet.is_ascii_graphic()),
            "the path must be percent-encoded"
        );
        let (host, port) = split_authority(authority, usual_port)?;
        Ok(Self {
            protocol,
            tls: matches!(scheme, "wss" | "rss"),
            host: host.to_owned(),
            port,
            path,
        })
    }
}

/// `HOST`, `HOST:PORT` or `[V6]:PORT`.
fn split_authority(authority: &str, usual_port: u16) -> anyhow::Result<(&str, u16)> {
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
    let port = port.map_or(Ok(usual_port), str::parse);
    Ok((host, port.context("the port must be a number from 1 to 65535")?))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn target(url: &str) -> Target {
        url.parse().unwrap()
    }

    #[test]
    fn urls_of_all_protocols() {
        let ws = target("ws://example.org:9000/ws?a=b");
        assert_eq!(ws.protocol, Protocol::Wamp(Framing::WebSocket));
        assert_eq!((&*ws.host, ws.port, &*ws.path), ("example.org", 9000, "/ws?a=b"));
        let raw = target("rs://127.0.0.1:8081");
        assert_eq!(raw.protocol, Protocol::Wamp(Framing::RawSocket));
        assert_eq!((&*raw.host, raw.port), ("127.0.0.1", 8081));
        assert!(!ws.tls && !raw.tls);
        let secure = target("wss://example.org/ws");
        assert_eq!(
            (secure.protocol, secure.port, secure.tls),
            (ws.protocol, 443, true)
        );
        assert!(target("rss://h:1").tls);
        for (url, protocol, port) in [
            ("nats://h", Protocol::Nats, 4222),
            ("redis://h:7000", Protocol::Redis, 7000),
            ("mqtt://h", Protocol::Mqtt, 1883),
        ] {
            let target = target(url);
            assert_eq!((target.protocol, target.port), (protocol, port), "{url}");
        }
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
        assert!(target.reach(&[]).unwrap().is_ipv6());
        let source = IpAddr::from([127, 0, 0, 1]);
        let error = target.reach(&[source]).unwrap_err().to_string();
        assert!(error.contains("--source: ::1"), "{error}");
    }

    #[test]
    fn of_several_addresses_the_first_that_accepts_is_taken() {
        let listener = TcpListener::bind("127.0.0.2:0").unwrap();
        let good = listener.local_addr().unwrap();
        let bad = SocketAddr::from(([127, 0, 0, 1], good.port()));
        assert_eq!(first_that_accepts(&[bad, good]).unwrap(), good);
        drop(listener);
        let error = first_that_accepts(&[bad, good]).unwrap_err().to_string();
        assert!(
            error.contains(&bad.to_string()) && error.contains(&good.to_string()),
            "{error}"
        );
    }

    #[test]
    fn wrong_urls_say_what_is_wrong() {
        let error = |url: &str| url.parse::<Target>().unwrap_err().to_string();
        assert!(error("localhost:8080").contains("://HOST"));
        assert!(error("http://localhost").contains("`http`"));
        assert!(error("rs://localhost:1/path").contains("no path"));
        assert!(error("ws://:80/").contains("host"));
        assert!(error("ws://h:99999/").contains("port"));
        assert!(error("ws://h/a b").contains("percent-encoded"));
        assert!(error("ws://h/a\r\nX: y").contains("percent-encoded"));
    }
}
