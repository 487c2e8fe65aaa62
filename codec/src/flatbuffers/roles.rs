//! The roles that a peer has, with a flag for each feature that the schema knows.

use crosspoint_core::value::{Dict, Value};

use super::build::Fields;
use super::schema::Slot;
use super::table::{Fault, Table};

/// A role's name and its features, in the order of their fields.
type Role = (&'static str, &'static [&'static str]);

/// Clients, in the order of the fields.
pub(super) const CLIENT: [Role; 4] = [
    (
        "publisher",
        &[
            "publisher_identification",
            "publisher_exclusion",
            "subscriber_blackwhite_listing",
            "acknowledge_event_received",
            "payload_transparency",
            "payload_encryption_cryptobox",
        ],
    ),
    (
        "subscriber",
        &[
            "publisher_identification",
            "pattern_based_subscription",
            "publication_trustlevels",
            "subscription_revocation",
            "event_history",
            "acknowledge_subscriber_received",
            "payload_transparency",
            "payload_encryption_cryptobox",
        ],
    ),
    (
        "caller",
        &[
            "caller_identification",
            "call_timeout",
            "call_canceling",
            "progressive_call_results",
            "payload_transparency",
            "payload_encryption_cryptobox",
        ],
    ),
    (
        "callee",
        &[
            "caller_identification",
            "call_trustlevels",
            "call_timeout",
            "call_canceling",
            "progressive_call_results",
            "registration_revocation",
            "pattern_based_registration",
            "shared_registration",
            "payload_transparency",
            "payload_encryption_cryptobox",
        ],
    ),
];

/// Routers, in the order of the fields.
pub(super) const ROUTER: [Role; 2] = [
    (
        "broker",
        &[
            "publisher_identification",
            "publisher_exclusion",
            "subscriber_blackwhite_listing",
            "pattern_based_subscription",
            "publication_trustlevels",
            "subscription_revocation",
            "session_meta_api",
            "subscription_meta_api",
            "event_retention",
            "event_history",
            "acknowledge_event_received",
            "acknowledge_subscriber_received",
            "payload_transparency",
            "payload_encryption_cryptobox",
        ],
    ),
    (
        "dealer",
        &[
            "caller_identification",
            "call_trustlevels",
            "call_timeout",
            "call_canceling",
            "progressive_call_results",
            "registration_revocation",
            "pattern_based_registration",
            "shared_registration",
            "session_meta_api",
            "registration_meta_api",
            "testament_meta_api",
            "payload_transparency",
            "payload_encryption_cryptobox",
        ],
    ),
];

/// The field of each item of `all`.
fn slots<T>(all: &[T]) -> impl Iterator<Item = (Slot, &T)> {
    (0..).zip(all)
}

/// Details' `roles`.
pub(super) fn write<'m>(known: &[Role], details: &Dict) -> Option<Fields<'m>> {
    let roles = details.get("roles")?.as_dict()?;
    let mut fields = Fields::new();
    for (slot, (name, features)) in slots(known) {
        if let Some(role) = roles.get(name) {
            fields = fields.table(slot, Some(write_features(features, role)));
        }
    }
    Some(fields)
}

fn write_features<'m>(known: &[&str], role: &Value) -> Fields<'m> {
    let features = role
        .as_dict()
        .and_then(|role| role.get("features"))
        .and_then(Value::as_dict);
    let announced = |name: &str| features.and_then(|all| all.get(name)) == Some(&Value::Bool(true));
    slots(known).fold(Fields::new(), |fields, (slot, name)| {
        fields.flag(slot, announced(name))
    })
}

/// The opposite of [`write`].
pub(super) fn read(known: &[Role], table: &Table<'_>) -> Result<Dict, Fault> {
    let mut roles = Dict::new();
    for (slot, (name, features)) in slots(known) {
        let Some(table) = table.table(slot)? else { continue };
        let mut announced = Vec::new();
        for (slot, feature) in slots(features) {
            if table.flag(slot)? {
                announced.push(*feature);
            }
        }
        roles.push(*name, role(&announced));
    }
    Ok(roles)
}

/// The roles of a client that does not tell them, although the schema requires it: autobahn is one that always
/// does so. It has all roles, and the features that it would have announced in another serializer.
pub(super) fn untold() -> Dict {
    let mut roles = Dict::new();
    for (name, features) in CLIENT {
        roles.push(name, role(features));
    }
    roles
}

fn role(announced: &[&'static str]) -> Dict {
    if announced.is_empty() {
        return Dict::new();
    }
    let mut features = Dict::new();
    for feature in announced {
        features.push(*feature, true);
    }
    Dict::new().with("features", features)
}
