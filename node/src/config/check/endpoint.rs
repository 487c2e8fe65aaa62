//! `endpoint`: where a transport listens.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::files::check_socket;
use super::section::{Field, Section};
use super::{Surroundings, count};
use crate::config::model::Endpoint;
use crate::config::tree::Value;

/// Connections that may wait to be accepted where `backlog` is not set. Crossbar.io's 50 is soon too few where
/// thousands of clients connect again at the same time.
const DEFAULT_BACKLOG: u32 = 1024;

const PORT: &str = "a port from 1 to 65535, or \"$NAME\" for the environment variable NAME";

/// Reads a listening endpoint.
pub(super) fn endpoint(field: &Field<'_>, surroundings: &Surroundings<'_>) -> Option<Endpoint> {
    let mut section = field.section("an endpoint")?;
    let kinds = [("tcp", true), ("unix", false)];
    let is_tcp = section
        .need("type", "\"tcp\" or \"unix\"")?
        .choice(&kinds, &["onion", "twisted"])?;
    if is_tcp {
        tcp(section, surroundings)
    } else {
        unix(section, surroundings)
    }
}

fn tcp(mut section: Section<'_>, surroundings: &Surroundings<'_>) -> Option<Endpoint> {
    section.not_yet(&["user_timeout"]);
    section.not_yet_but(
        "tls",
        "expected no such key, a proxy that speaks TLS in front of this port, and \"interface\": \"127.0.0.1\", since \
         without TLS passwords and messages can be read on their way",
    );
    let ranged = section.not_yet_but("portrange", "expected \"port\"");
    let port = if ranged {
        section.get("port")
    } else {
        section.need("port", PORT)
    };
    let port = port.and_then(|field| port_number(&field, surroundings));
    let v6 = section.or("version", false, |field| {
        match field.integer("an IP version, 4 or 6,", 4..=6)? {
            4 => Some(false),
            6 => Some(true),
            _ => {
                field.wrong("4 or 6");
                None
            }
        }
    });
    let everywhere = if v6 {
        IpAddr::V6(Ipv6Addr::UNSPECIFIED)
    } else {
        Ipv4Addr::UNSPECIFIED.into()
    };
    let interface = section.or("interface", everywhere, |field| interface(field, v6));
    // Several shards listen on one port by SO_REUSEPORT in any case.
    section.or("shared", (), |field| field.boolean().map(drop));
    let backlog = backlog(&mut section);
    section.finish();
    Some(Endpoint::Tcp {
        address: SocketAddr::new(interface, port?),
        backlog,
    })
}

fn port_number(field: &Field<'_>, surroundings: &Surroundings<'_>) -> Option<u16> {
    let text = match &field.node.value {
        Value::Text(text) => text.as_str(),
        // Port 0 is not documented: it is for tests, which read the port that the system chose from the log.
        Value::Number(number) => {
            let port = number.as_u64().and_then(|port| u16::try_from(port).ok());
            if port.is_none() {
                field.wrong(PORT);
            }
            return port;
        }
        _ => "",
    };
    let Some(name) = text.strip_prefix('$').filter(|name| is_variable(name)) else {
        field.wrong(PORT);
        return None;
    };
    match (surroundings.variable)(name) {
        Some(value) => match value.parse() {
            Ok(port) => return Some(port),
            Err(_) => field.error(format!(
                "the environment variable {name} is {value:?}; expected a port in it"
            )),
        },
        None => field.error(format!(
            "the environment variable {name} is not set; expected a port in it"
        )),
    }
    None
}

fn interface(field: &Field<'_>, v6: bool) -> Option<IpAddr> {
    let expected = if v6 {
        "an IPv6 address, such as \"::1\""
    } else {
        "an IPv4 address, such as \"127.0.0.1\""
    };
    let text = field.text(expected)?;
    let address = match text {
        "localhost" if v6 => Some(Ipv6Addr::LOCALHOST.into()),
        "localhost" => Some(Ipv4Addr::LOCALHOST.into()),
        text => text.parse::<IpAddr>().ok(),
    };
    match address {
        Some(address) if address.is_ipv6() && !v6 => {
            field.wrong("an IPv4 address, or \"version\": 6 beside it");
            None
        }
        Some(address) if address.is_ipv6() == v6 => Some(address),
        _ => {
            field.wrong(expected);
            None
        }
    }
}

fn unix(mut section: Section<'_>, surroundings: &Surroundings<'_>) -> Option<Endpoint> {
    // What fits into the address of a Unix socket on Linux, without its terminating zero.
    const LONGEST_PATH: usize = 107;
    let path = section.need("path", "the path of the socket").and_then(|field| {
        let text = field.text("the path of the socket, as text")?;
        let path = surroundings.directory.join(expand(&field, text, surroundings)?);
        if text.is_empty() || path.as_os_str().len() > LONGEST_PATH {
            field.wrong(&format!("a path of 1 to {LONGEST_PATH} bytes"));
        } else {
            check_socket(&field, &path);
        }
        Some(path)
    });
    let backlog = backlog(&mut section);
    section.finish();
    Some(Endpoint::Unix { path: path?, backlog })
}

fn backlog(section: &mut Section<'_>) -> u32 {
    let backlog = section
        .get("backlog")
        .and_then(|field| count(&field, "a number of connections", 1, 65_535));
    backlog
        .and_then(|backlog| u32::try_from(backlog).ok())
        .unwrap_or(DEFAULT_BACKLOG)
}

/// Replaces `$NAME` and `${NAME}` by environment variables.
pub(super) fn expand(field: &Field<'_>, text: &str, surroundings: &Surroundings<'_>) -> Option<String> {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        expanded += before;
        let (name, behind) = match after.strip_prefix('{').and_then(|braced| braced.split_once('}')) {
            Some(braced) => braced,
            None => after.split_at(
                after
                    .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                    .unwrap_or(after.len()),
            ),
        };
        if !is_variable(name) {
            field.wrong("the name of an environment variable after \"$\"");
            return None;
        }
        let Some(value) = (surroundings.variable)(name) else {
            field.error(format!(
                "the environment variable {name} is not set; expected a part of the path in it"
            ));
            return None;
        };
        expanded += &value;
        rest = behind;
    }
    Some(expanded + rest)
}

fn is_variable(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
