//! Roles and features: what a client announces in HELLO, what the router announces in WELCOME
//! (specification, "Feature Announcement").

use crate::value::{Dict, Value};

/// The features of a client that change what the router does. Others are read, checked and forgotten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClientFeatures {
    /// The callee understands INTERRUPT.
    pub call_canceling: bool,
    /// The callee keeps time itself where its registration asked for it.
    pub call_timeout: bool,
    /// The callee can send several results.
    pub progressive_call_results: bool,
    /// The callee takes calls whose arguments come in parts.
    pub progressive_call_invocations: bool,
    /// The caller may send its arguments in parts.
    pub calls_progressively: bool,
    /// The callee's errors of this one kind send a call on to another callee.
    pub call_reroute: bool,
    /// The publisher may use payload passthru mode.
    pub publisher_passthru: bool,
    /// The caller understands payload passthru mode.
    pub caller_passthru: bool,
    /// The callee understands payload passthru mode.
    pub callee_passthru: bool,
    /// The callee wants to be told when the router takes a registration back.
    pub registration_revocation: bool,
    /// The subscriber wants to be told when the router takes a subscription back.
    pub subscription_revocation: bool,
}

const CLIENT_ROLES: [&str; 4] = ["publisher", "subscriber", "caller", "callee"];

impl ClientFeatures {
    /// Reads HELLO.Details.roles. Roles and features with unknown names are ignored, but one role must be
    /// known. The error is a text for ABORT.Details.message.
    pub fn from_hello(details: &Dict) -> Result<Self, String> {
        let roles = match details.get("roles") {
            Some(Value::Dict(roles)) => roles,
            Some(_) => return Err("HELLO.Details.roles: expected a dictionary".into()),
            None => return Err("HELLO.Details.roles is missing".into()),
        };
        let mut features = Self::default();
        let mut known_roles = 0;
        for (role, announced) in &roles.0 {
            if !CLIENT_ROLES.contains(&&**role) {
                continue;
            }
            known_roles += 1;
            let Value::Dict(announced) = announced else {
                return Err(format!("HELLO.Details.roles.{role}: expected a dictionary"));
            };
            features.read_role(role, announced)?;
        }
        if known_roles == 0 {
            return Err("HELLO.Details.roles names none of publisher, subscriber, caller, callee".into());
        }
        Ok(features)
    }

    fn read_role(&mut self, role: &str, announced: &Dict) -> Result<(), String> {
        let list = match announced.get("features") {
            None => return Ok(()),
            Some(Value::Dict(list)) => list,
            Some(_) => {
                return Err(format!(
                    "HELLO.Details.roles.{role}.features: expected a dictionary"
                ));
            }
        };
        for (name, value) in &list.0 {
            let Value::Bool(on) = value else {
                return Err(format!(
                    "HELLO.Details.roles.{role}.features.{name}: expected a bool"
                ));
            };
            match (role, &**name) {
                // The specification spells it with two l in one place: both are read.
                ("callee", "call_canceling" | "call_cancelling") => self.call_canceling |= on,
                ("callee", "call_reroute") => self.call_reroute = *on,
                ("callee", "call_timeout") => self.call_timeout = *on,
                ("callee", "payload_passthru_mode") => self.callee_passthru = *on,
                ("callee", "progressive_call_invocations") => self.progressive_call_invocations = *on,
                ("callee", "progressive_call_results") => self.progressive_call_results = *on,
                ("callee", "registration_revocation") => self.registration_revocation = *on,
                ("caller", "payload_passthru_mode") => self.caller_passthru = *on,
                ("caller", "progressive_call_invocations") => self.calls_progressively = *on,
                ("publisher", "payload_passthru_mode") => self.publisher_passthru = *on,
                ("subscriber", "subscription_revocation") => self.subscription_revocation = *on,
                _ => {}
            }
        }
        Ok(())
    }
}

/// What the broker of this router can do.
pub const BROKER_FEATURES: &[&str] = &[
    "event_history",
    "event_retention",
    "pattern_based_subscription",
    "payload_encryption_cryptobox",
    "payload_passthru_mode",
    "payload_transparency",
    "publication_trustlevels",
    "publisher_exclusion",
    "publisher_identification",
    "session_meta_api",
    "subscriber_blackwhite_listing",
    "subscription_meta_api",
    "subscription_revocation",
];

/// What the dealer of this router can do.
pub const DEALER_FEATURES: &[&str] = &[
    "call_canceling",
    "call_reroute",
    "call_timeout",
    "call_trustlevels",
    "caller_identification",
    "pattern_based_registration",
    "payload_encryption_cryptobox",
    "payload_passthru_mode",
    "payload_transparency",
    "progressive_call_invocations",
    "progressive_call_results",
    "registration_meta_api",
    "registration_revocation",
    "session_meta_api",
    "shared_registration",
    "testament_meta_api",
];

/// WELCOME.Details.roles, where the realm has a meta API or not.
#[must_use]
pub fn router_roles(meta_api: bool) -> Dict {
    let role = |names: &[&'static str]| {
        let features = names
            .iter()
            .filter(|name| meta_api || !(name.ends_with("_meta_api") || **name == "event_history"))
            .map(|name| ((*name).into(), Value::Bool(true)))
            .collect();
        Dict::new().with("features", Dict(features))
    };
    Dict::new()
        .with("broker", role(BROKER_FEATURES))
        .with("dealer", role(DEALER_FEATURES))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(roles: impl Into<Value>) -> Dict {
        Dict::new().with("roles", roles)
    }

    #[test]
    fn se_009_roles_are_required() {
        assert!(ClientFeatures::from_hello(&Dict::new()).is_err());
        assert!(ClientFeatures::from_hello(&hello(Dict::new())).is_err());
        assert!(ClientFeatures::from_hello(&hello("caller")).is_err());
    }

    #[test]
    fn se_011_an_unknown_role_beside_a_known_one_is_ignored() {
        let roles = Dict::new().with("caller", Dict::new()).with("astronaut", 7);
        assert_eq!(
            ClientFeatures::from_hello(&hello(roles)),
            Ok(ClientFeatures::default())
        );
        let roles = Dict::new().with("astronaut", Dict::new());
        assert!(ClientFeatures::from_hello(&hello(roles)).is_err());
    }

    #[test]
    fn se_014_a_feature_is_a_bool() {
        let roles = |value: Value| {
            hello(Dict::new().with(
                "callee",
                Dict::new().with("features", Dict::new().with("call_canceling", value)),
            ))
        };
        assert!(ClientFeatures::from_hello(&roles(Value::Int(1))).is_err());
        let read = ClientFeatures::from_hello(&roles(Value::Bool(true)));
        assert!(read.is_ok_and(|features| features.call_canceling));
    }
}
