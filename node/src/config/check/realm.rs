//! `realms`: names, options, roles and their permissions.

use std::time::Duration;

use crosspoint_core::config::{CallRules, Retention};
use crosspoint_core::options::MatchPolicy;

use super::section::{Field, Section};
use super::store::Store;
use super::{Surroundings, calls, count, store};
use crate::config::model::{Permission, Realm, Role, UriCheck};

/// The realms of a router worker.
pub(super) fn realms(field: &Field<'_>, surroundings: &Surroundings<'_>) -> Vec<Realm> {
    let items = field.some_items("realms");
    let mut realms: Vec<Realm> = Vec::new();
    for item in &items {
        if let Some(section) = item.section("a realm") {
            realms.push(realm(section, &realms, surroundings));
        }
    }
    realms
}

fn realm(mut section: Section<'_>, others: &[Realm], surroundings: &Surroundings<'_>) -> Realm {
    section.or("id", (), |field| super::identifier(field).map(drop));
    let name = section.need("name", "the realm's name").and_then(|field| {
        let name = realm_name(&field)?;
        if others.iter().any(|other| other.name == name) {
            field.error(format!(
                "found a second realm {name:?}; expected a name that no other realm has"
            ));
        }
        Some(name)
    });
    let options = section
        .get("options")
        .and_then(|field| options(&field))
        .unwrap_or_default();
    let roles = section
        .get("roles")
        .map(|field| roles(&field))
        .unwrap_or_default();
    let Store {
        queues,
        histories,
        storage,
    } = section.or("store", Store::default(), |field| {
        store::store(field, others, surroundings)
    });
    section.not_yet(&["stats", "inventory", "rlinks"]);
    section.finish();
    Realm {
        name: name.unwrap_or_default(),
        roles,
        uri_check: options.uri_check,
        strict_request_ids: options.strict_request_ids,
        allow_disclose: !options.refuse_disclose,
        retention: options.retention,
        enable_meta_api: !options.disable_meta_api,
        calls: CallRules {
            timeout: options.call_timeout,
            queues,
        },
        histories,
        storage,
    }
}

/// A realm's name, by Crossbar.io's pattern.
pub(super) fn realm_name(field: &Field<'_>) -> Option<String> {
    const PATTERN: &str = "a realm name: a letter, then 2 to 254 letters, digits, \"_\", \"-\", \"@\" or \".\", such as \"realm1\"";
    let name = field.text(PATTERN)?;
    let rest = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '@' | '.');
    let first = name.starts_with(|c: char| c.is_ascii_alphabetic());
    if !first || !(3..=255).contains(&name.len()) || !name.chars().all(rest) {
        field.wrong(PATTERN);
        return None;
    }
    Some(name.to_owned())
}

/// Options that differ from what a realm does by default.
#[derive(Default)]
struct RealmOptions {
    uri_check: UriCheck,
    strict_request_ids: bool,
    refuse_disclose: bool,
    retention: Retention,
    call_timeout: Option<Duration>,
    disable_meta_api: bool,
}

fn options(field: &Field<'_>) -> Option<RealmOptions> {
    let mut section = field.section("a realm's options")?;
    section.only(
        "bridge_meta_api",
        false,
        "there is no management realm that the meta API could be bridged to",
    );
    if let Some(chunk) = section.get("event_dispatching_chunk_size") {
        chunk.not_yet("remove this key: a fan-out is cut into slices by time");
    }
    let options = RealmOptions {
        uri_check: section.or("uri_check", UriCheck::Loose, |field| {
            field.choice(&[("strict", UriCheck::Strict), ("loose", UriCheck::Loose)], &[])
        }),
        strict_request_ids: section.or("strict_request_ids", false, Field::boolean),
        refuse_disclose: !section.or("allow_disclose", true, Field::boolean),
        retention: section.or("event_retention", Retention::default(), retention),
        call_timeout: section.or("call_timeout", None, calls::timeout),
        disable_meta_api: !section.or("enable_meta_api", true, Field::boolean),
    };
    section.finish();
    Some(options)
}

/// Bounds on retained events.
fn retention(field: &Field<'_>) -> Option<Retention> {
    let mut section = field.section("bounds on retained events")?;
    let defaults = Retention::default();
    let retention = Retention {
        events: section.or("events", defaults.events, |field| {
            count(field, "a number of events", 1, 100_000_000)
        }),
        bytes: section.or("bytes", defaults.bytes, |field| {
            count(field, "bytes", 1 << 16, 1 << 40)
        }),
        per_topic: section.or("per_topic", defaults.per_topic, |field| {
            count(field, "a number of events", 1, 1_000)
        }),
        per_subscribe: section.or("per_subscribe", defaults.per_subscribe, |field| {
            count(field, "a number of events", 1, 100_000)
        }),
        expiry: section.or("expiry", defaults.expiry, |field| {
            let millis = field.integer("milliseconds", 1..=1 << 53)?;
            Some(Some(Duration::from_millis(millis)))
        }),
    };
    section.finish();
    Some(retention)
}

fn roles(field: &Field<'_>) -> Vec<Role> {
    let mut roles: Vec<Role> = Vec::new();
    for item in field.items("roles") {
        let Some(mut section) = item.section("a role") else {
            continue;
        };
        section.or("id", (), |field| super::identifier(field).map(drop));
        let name = section.need("name", "the role's name").and_then(|field| {
            let name = field.text("a role name, as text")?;
            if name.is_empty() {
                field.wrong("a role name of at least one letter");
            }
            if roles.iter().any(|role| role.name == name) {
                field.error(format!(
                    "found a second role {name:?}; expected a name that no other role has"
                ));
            }
            Some(name.to_owned())
        });
        section.not_yet(&["authorizer"]);
        let permissions = section.or("permissions", Vec::new(), |field| {
            let items = field.items("permissions");
            Some(
                items
                    .iter()
                    .filter_map(|item| item.section("a permission").map(permission))
                    .collect(),
            )
        });
        section.finish();
        roles.push(Role {
            name: name.unwrap_or_default(),
            permissions,
        });
    }
    roles
}

fn permission(mut section: Section<'_>) -> Permission {
    let uri_field = section.need("uri", "a URI or pattern, such as \"com.example.\"");
    let policy = section.get("match").and_then(|field| {
        let policies = [MatchPolicy::Exact, MatchPolicy::Prefix, MatchPolicy::Wildcard];
        field.choice(&policies.map(|policy| (policy.name(), policy)), &[])
    });
    let (uri, policy) = uri_field
        .and_then(|field| pattern(&field, policy))
        .unwrap_or_default();
    let allowed = actions(&mut section);
    let [caller, publisher] = section.or("disclose", [false; 2], |field| {
        let mut section = field.section("who is disclosed")?;
        let disclosed = ["caller", "publisher"].map(|key| section.or(key, false, Field::boolean));
        section.finish();
        Some(disclosed)
    });
    let trustlevel = section.get("trustlevel").and_then(|field| {
        let level = field.integer("a trust level", 0..=u64::from(u32::MAX))?;
        u32::try_from(level).ok()
    });
    // Decisions are cached wherever that pays; there is nothing to switch.
    section.or("cache", (), |field| field.boolean().map(drop));
    section.not_yet(&["validate"]);
    section.finish();
    let [call, register, publish, subscribe] = allowed;
    Permission {
        uri,
        policy,
        call,
        register,
        publish,
        subscribe,
        disclose_caller: caller,
        disclose_publisher: publisher,
        trustlevel,
    }
}

/// What is allowed: the object `allow`, or the same keys directly in the permission, as older files have them.
fn actions(section: &mut Section<'_>) -> [bool; 4] {
    const ACTIONS: [&str; 4] = ["call", "register", "publish", "subscribe"];
    let older = ACTIONS.map(|key| section.get(key));
    let Some(allow) = section.get("allow") else {
        return older.map(|field| field.and_then(|field| field.boolean()).unwrap_or(false));
    };
    for (key, field) in ACTIONS.iter().zip(older) {
        if let Some(field) = field {
            field.error(format!(
                "{key:?} stands beside \"allow\"; expected it inside of \"allow\""
            ));
        }
    }
    let Some(mut allow) = allow.section("what is allowed") else {
        return [false; 4];
    };
    let allowed = ACTIONS.map(|key| allow.or(key, false, Field::boolean));
    allow.finish();
    allowed
}

/// The URI of a permission without its stars, and how it is compared.
///
/// Without `match`, Crossbar.io's stars decide: one at the end (`com.example.*`) makes a prefix, any other
/// (`com.*.create`) a wildcard component, none an exact URI.
fn pattern(field: &Field<'_>, policy: Option<MatchPolicy>) -> Option<(String, MatchPolicy)> {
    let text = field.text("a URI or pattern, such as \"com.example.*\"")?;
    if text.contains(|c: char| c.is_whitespace() || c == '#') {
        field.wrong("a URI without white space and \"#\"");
    }
    let (uri, policy) = match (policy, text.strip_suffix('*')) {
        (Some(_), _) if text.contains('*') => {
            field.wrong("no \"*\" beside \"match\": remove either of them");
            return None;
        }
        (Some(policy), _) => (text.to_owned(), policy),
        (None, Some(prefix)) if !prefix.contains('*') => (prefix.to_owned(), MatchPolicy::Prefix),
        (None, _) if text.contains('*') => (text.replace('*', ""), MatchPolicy::Wildcard),
        (None, _) => (text.to_owned(), MatchPolicy::Exact),
    };
    if policy == MatchPolicy::Exact && uri.split('.').any(str::is_empty) {
        field.wrong("a URI without empty components, or a \"match\" of \"prefix\" or \"wildcard\" beside it");
    }
    Some((uri, policy))
}
