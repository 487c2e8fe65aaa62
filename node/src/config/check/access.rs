//! `auth` and `serializers` of a transport: who may join over it, in which serializers.

use crosspoint_core::payload::Format;

use super::Scope;
use super::section::{Field, Section};
use crate::config::diagnostic::nearest;
use crate::config::model::Access;

/// The role that sessions get on a transport that has no `auth`.
const DEFAULT_ROLE: &str = "anonymous";

/// Methods of Crossbar.io that are not built yet.
const LATER: [&str; 8] = [
    "ticket",
    "wampcra",
    "scram",
    "cryptosign",
    "tls",
    "cookie",
    "anonymous-proxy",
    "cryptosign-proxy",
];

/// The `auth` of a transport or service. Without it, anonymous sessions join with the role `anonymous`.
pub(super) fn access(transport: &mut Section<'_>, scope: &Scope<'_>) -> Access {
    let default = Access {
        role: DEFAULT_ROLE.to_owned(),
        realm: None,
        authid: None,
    };
    let Some(field) = transport.get("auth") else {
        if !has_default_role(scope, None) {
            transport.field.warn(
                "nobody can join here: without \"auth\" sessions get the role \"anonymous\", which no realm has",
            );
        }
        return default;
    };
    let Some(mut auth) = field.section("authentication methods") else {
        return default;
    };
    let mut is_closed = false;
    for method in LATER {
        is_closed |= auth.not_yet_but(
            method,
            "without it everybody who reaches this transport may join, so listen where only those do who may (such as \
             \"interface\": \"127.0.0.1\")",
        );
    }
    // To those who wanted passwords it would be wrong to recommend that everybody may join.
    let anonymous = if is_closed {
        auth.get("anonymous")
    } else {
        auth.need(
            "anonymous",
            "{\"type\": \"static\", \"role\": …}, by which everybody may join, the only method so far",
        )
    };
    auth.finish();
    anonymous
        .and_then(|field| anonymous_access(&field, scope))
        .unwrap_or(default)
}

/// Whether a session can have the role that it gets unless something else is said, in `realm` or else in any.
fn has_default_role(scope: &Scope<'_>, realm: Option<&str>) -> bool {
    let mut realms = scope
        .realms
        .iter()
        .filter(|open| realm.is_none_or(|name| open.name == name));
    realms.any(|realm| realm.roles.iter().any(|role| role.name == DEFAULT_ROLE))
}

fn anonymous_access(field: &Field<'_>, scope: &Scope<'_>) -> Option<Access> {
    let mut section = field.section("anonymous authentication")?;
    let kind = section.need("type", "\"type\": \"static\"")?;
    kind.choice(&[("static", ())], &["dynamic", "function"])?;
    let realm = section.get("realm").and_then(|field| {
        let name = field.text("the name of a realm")?;
        let names = || scope.realms.iter().map(|realm| realm.name.as_str());
        known(&field, name, "realm", names());
        Some(name.to_owned())
    });
    if section.peek("role").is_none() && !has_default_role(scope, realm.as_deref()) {
        section.field.warn(
            "nobody can join here: without \"role\" sessions get the role \"anonymous\", which is not there; set \"role\"",
        );
    }
    let role = section.or("role", DEFAULT_ROLE.to_owned(), |field| {
        let name = field.text("the name of a role")?;
        let open = scope
            .realms
            .iter()
            .filter(|candidate| realm.as_ref().is_none_or(|name| candidate.name == *name));
        known(
            field,
            name,
            "role",
            open.flat_map(|realm| realm.roles.iter().map(|role| role.name.as_str())),
        );
        Some(name.to_owned())
    });
    let authid = section
        .get("authid")
        .and_then(|field| field.text("an authid, as text").map(str::to_owned));
    section.finish();
    Some(Access { role, realm, authid })
}

/// Complains unless `name` is one of `names`.
fn known<'a>(field: &Field<'_>, name: &str, what: &str, names: impl Iterator<Item = &'a str>) {
    let names: Vec<&str> = names.collect();
    if names.contains(&name) {
        return;
    }
    let hint = match nearest(name, names.iter().copied()) {
        Some(near) => format!("did you mean {near:?}?"),
        None => format!("there are: {}", names.join(", ")),
    };
    field.wrong(&format!("the name of a {what} of this worker; {hint}"));
}

/// The `serializers` of a transport; all that there are without the key.
pub(super) fn serializers(transport: &mut Section<'_>) -> Vec<Format> {
    let all = Format::NAMED.map(|format| (format.name(), format));
    transport.or("serializers", Format::NAMED.to_vec(), |field| {
        let mut serializers = Vec::new();
        for item in field.some_items("serializers, such as \"json\"") {
            match item.choice(&all, &[]) {
                Some(format) if serializers.contains(&format) => item.wrong("each serializer once"),
                Some(format) => serializers.push(format),
                None => {}
            }
        }
        Some(serializers)
    })
}

/// The option `ubjson_dialect`: which of the two serializers `ubjson` means among `serializers`.
pub(super) fn ubjson_dialect(options: &mut Section<'_>, serializers: &mut [Format]) {
    let dialects = [("bjdata", Format::BjData), ("ubjson12", Format::UbJson)];
    let chosen = options.or("ubjson_dialect", Format::BjData, |field| {
        field.choice(&dialects, &[])
    });
    for serializer in serializers.iter_mut().filter(|format| **format == Format::BjData) {
        *serializer = chosen;
    }
}
