//! Decisions by example, and patterns against the concrete URIs that they match.

use proptest::prelude::*;

use super::*;
use crate::pattern::samples::{pattern, universe};

const SEEDS: [u64; 4] = [1, 2, 3, 4];

fn hasher() -> RandomState {
    RandomState::with_seeds(SEEDS[0], SEEDS[1], SEEDS[2], SEEDS[3])
}

/// A permission that allows everything or nothing.
fn permission(match_policy: MatchPolicy, uri: &str, allowed: bool) -> Permission {
    Permission {
        uri: uri.to_owned(),
        match_policy,
        allow: if allowed { Allow::ALL } else { Allow::default() },
        disclose: Disclose::default(),
        trustlevel: None,
    }
}

fn exact(uri: &str, allowed: bool) -> Permission {
    permission(MatchPolicy::Exact, uri, allowed)
}

fn prefix(uri: &str, allowed: bool) -> Permission {
    permission(MatchPolicy::Prefix, uri, allowed)
}

fn wildcard(uri: &str, allowed: bool) -> Permission {
    permission(MatchPolicy::Wildcard, uri, allowed)
}

fn role(permissions: impl IntoIterator<Item = Permission>) -> Role {
    Role::new("user", permissions, hasher())
}

impl Role {
    fn may_call(&self, uri: &str) -> bool {
        self.decide(Action::Call, uri, MatchPolicy::Exact).allowed
    }

    fn may_subscribe(&self, policy: MatchPolicy, uri: &str) -> bool {
        self.decide(Action::Subscribe, uri, policy).allowed
    }
}

#[test]
fn nothing_is_allowed_by_default() {
    let role = role([]);
    for action in [Action::Call, Action::Register, Action::Publish, Action::Subscribe] {
        for policy in [MatchPolicy::Exact, MatchPolicy::Prefix, MatchPolicy::Wildcard] {
            assert_eq!(role.decide(action, "com.app", policy), Decision::DENIED);
        }
    }
}

#[test]
fn each_action_has_its_own_flag() {
    let flags = [
        (
            Action::Call,
            Allow {
                call: true,
                ..Allow::default()
            },
        ),
        (
            Action::Register,
            Allow {
                register: true,
                ..Allow::default()
            },
        ),
        (
            Action::Publish,
            Allow {
                publish: true,
                ..Allow::default()
            },
        ),
        (
            Action::Subscribe,
            Allow {
                subscribe: true,
                ..Allow::default()
            },
        ),
    ];
    for (allowed, allow) in flags {
        let role = role([Permission::from_starred("com.x", allow, Disclose::default())]);
        for (action, _) in flags {
            let decision = role.decide(action, "com.x", MatchPolicy::Exact);
            assert_eq!(
                decision.allowed,
                action == allowed,
                "{action:?} where {allowed:?} is allowed"
            );
        }
    }
}

#[test]
fn disclosure_is_that_of_the_action_and_of_the_rule_that_decides() {
    let disclosing = |disclose, allow| Permission {
        disclose,
        allow,
        ..exact("com.x", true)
    };
    let decide = |disclose, allow, action| {
        role([disclosing(disclose, allow)])
            .decide(action, "com.x", MatchPolicy::Exact)
            .disclose
    };
    let caller = Disclose {
        caller: true,
        publisher: false,
    };
    let publisher = Disclose {
        caller: false,
        publisher: true,
    };
    assert!(decide(caller, Allow::ALL, Action::Call));
    assert!(!decide(caller, Allow::ALL, Action::Publish));
    assert!(decide(publisher, Allow::ALL, Action::Publish));
    assert!(!decide(publisher, Allow::ALL, Action::Call));
    assert!(!decide(Disclose::ALL, Allow::ALL, Action::Subscribe));
    assert!(
        !decide(Disclose::ALL, Allow::default(), Action::Call),
        "what is denied discloses nothing"
    );
}

#[test]
fn exact_before_wildcard_before_longest_prefix() {
    let role = role([
        prefix("", true),
        prefix("com.app.", false),
        prefix("com.app.open.", true),
        wildcard("com..secret", false),
        wildcard("com.app.shared", true),
        exact("com.x.secret", true),
    ]);
    assert!(role.may_call("org.y"));
    assert!(!role.may_call("com.app.z"));
    assert!(role.may_call("com.app.open.z"));
    assert!(
        !role.may_call("com.y.secret"),
        "a wildcard overrides the prefix that allows all"
    );
    assert!(
        role.may_call("com.app.shared"),
        "a wildcard overrides a prefix that denies"
    );
    assert!(role.may_call("com.x.secret"));
}

#[test]
fn an_exact_permission_does_not_hide_shorter_prefixes() {
    let role = role([prefix("com.", true), exact("com.app", false)]);
    assert!(role.may_call("com.app.x"));
    assert!(!role.may_call("com.app"));
}

#[test]
fn the_later_of_two_equal_permissions_counts() {
    assert!(!role([prefix("", true), prefix("", false)]).may_call("a"));
    assert!(role([exact("a", false), exact("a", true)]).may_call("a"));
}

#[test]
fn starred_uris_name_their_policy() {
    let policy = |uri| {
        let permission = Permission::from_starred(uri, Allow::ALL, Disclose::ALL);
        (permission.match_policy, permission.uri)
    };
    assert_eq!(policy("com.app.*"), (MatchPolicy::Prefix, "com.app.".to_owned()));
    assert_eq!(policy("*"), (MatchPolicy::Prefix, String::new()));
    assert_eq!(policy("com..x"), (MatchPolicy::Wildcard, "com..x".to_owned()));
    assert_eq!(policy("com.app"), (MatchPolicy::Exact, "com.app".to_owned()));
    assert_eq!(policy("com..x.*"), (MatchPolicy::Prefix, "com..x.".to_owned()));
}

#[test]
fn trusted_may_do_everything_and_is_disclosed() {
    let role = Role::trusted();
    assert_eq!(role.name(), "trusted");
    assert_eq!(
        role.decide(Action::Publish, "wamp.x", MatchPolicy::Exact),
        Decision {
            allowed: true,
            disclose: true,
            trustlevel: None
        }
    );
    assert!(role.may_subscribe(MatchPolicy::Prefix, ""));
}

#[test]
fn pi_006_pi_007_the_rule_that_decides_says_how_far_its_sender_is_trusted() {
    let trusted = |permission, level| Permission {
        trustlevel: Some(level),
        ..permission
    };
    let role = role([
        trusted(prefix("com.", true), 1),
        trusted(exact("com.x", true), 7),
        prefix("net.", true),
    ]);
    let level = |action, uri| role.decide(action, uri, MatchPolicy::Exact).trustlevel;
    assert_eq!(level(Action::Publish, "com.x"), Some(7));
    assert_eq!(level(Action::Call, "com.y"), Some(1));
    assert_eq!(level(Action::Call, "net.y"), None);
    assert_eq!(level(Action::Subscribe, "com.x"), None);
}

#[test]
fn one_rule_for_all_uris_decides_alone() {
    let only_subscribe = Allow {
        subscribe: true,
        ..Allow::default()
    };
    let role = role([Permission {
        allow: only_subscribe,
        ..prefix("", true)
    }]);
    assert!(role.uniform.is_some());
    assert!(role.may_subscribe(MatchPolicy::Prefix, ""));
    assert!(role.may_subscribe(MatchPolicy::Wildcard, "..x"));
    assert!(!role.may_call("com.x"));
    let two = self::role([prefix("", true), exact("com.x", false)]);
    assert!(two.uniform.is_none());
    assert!(!two.may_call("com.x"));
}

#[test]
fn az_004_a_prefix_rule_does_not_allow_a_broader_pattern() {
    let role = role([prefix("com.app.", true)]);
    assert!(role.may_subscribe(MatchPolicy::Exact, "com.app.x"));
    assert!(role.may_subscribe(MatchPolicy::Prefix, "com.app."));
    assert!(role.may_subscribe(MatchPolicy::Prefix, "com.app.x"));
    assert!(role.may_subscribe(MatchPolicy::Wildcard, "com.app..x"));
    for broader in ["com.", "com.app", "com", ""] {
        assert!(!role.may_subscribe(MatchPolicy::Prefix, broader), "{broader}");
    }
    for broader in ["com..x", "..x", "com."] {
        assert!(!role.may_subscribe(MatchPolicy::Wildcard, broader), "{broader}");
    }
}

#[test]
fn a_pattern_is_refused_for_a_denial_inside_it() {
    let role = role([
        prefix("com.", true),
        prefix("com.app.secret", false),
        wildcard("com..admin", false),
    ]);
    assert!(!role.may_subscribe(MatchPolicy::Prefix, "com."));
    assert!(!role.may_subscribe(MatchPolicy::Prefix, "com.app."));
    assert!(!role.may_subscribe(MatchPolicy::Prefix, "com.x."));
    assert!(role.may_subscribe(MatchPolicy::Prefix, "com.x.y."));
    assert!(!role.may_subscribe(MatchPolicy::Wildcard, "com.x."));
    assert!(role.may_subscribe(MatchPolicy::Wildcard, "com..user"));
}

#[test]
fn a_denial_around_the_covering_rule_does_no_harm() {
    let role = role([prefix("", false), prefix("com.app.", true)]);
    assert!(role.may_subscribe(MatchPolicy::Prefix, "com.app."));
    assert!(role.may_subscribe(MatchPolicy::Wildcard, "com.app..x"));
    assert!(!role.may_subscribe(MatchPolicy::Prefix, "com."));
}

#[test]
fn a_denial_of_another_action_inside_a_pattern_does_no_harm() {
    let only_subscribe = Allow {
        subscribe: true,
        ..Allow::default()
    };
    let role = role([
        prefix("com.", true),
        Permission {
            allow: only_subscribe,
            ..exact("com.x", true)
        },
    ]);
    assert!(role.may_subscribe(MatchPolicy::Prefix, "com."));
    assert!(!role.decide(Action::Register, "com.", MatchPolicy::Prefix).allowed);
}

fn permissions(count: core::ops::Range<usize>) -> impl Strategy<Value = Vec<Permission>> {
    let one = (pattern(), prop::bool::weighted(0.7));
    prop::collection::vec(
        one.prop_map(|((policy, uri), allowed)| permission(policy, &uri, allowed)),
        count,
    )
}

/// Whether the role may call every URI of the universe that the pattern matches.
fn may_call_all(role: &Role, policy: MatchPolicy, uri: &str) -> bool {
    let mut asked = PatternMap::new(hasher());
    asked.insert(policy, uri, ());
    universe()
        .filter(|concrete| asked.best(concrete).is_some())
        .all(|concrete| role.may_call(&concrete))
}

proptest! {
    #[test]
    fn what_a_pattern_allows_each_of_its_uris_allows(permissions in permissions(0..7), asked in pattern()) {
        let role = role(permissions);
        if role.decide(Action::Call, &asked.1, asked.0).allowed {
            prop_assert!(may_call_all(&role, asked.0, &asked.1));
        }
    }

    /// With two permissions none that denies can be overridden by a third, so nothing is refused in vain.
    #[test]
    fn two_permissions_are_decided_exactly(permissions in permissions(1..3), asked in pattern()) {
        let role = role(permissions);
        let decision = role.decide(Action::Call, &asked.1, asked.0);
        prop_assert_eq!(decision.allowed, may_call_all(&role, asked.0, &asked.1));
    }
}
