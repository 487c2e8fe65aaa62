//! Static authorisation: what a role may do, in Crossbar.io's format of permissions.
//!
//! # Which permission decides
//!
//! For a concrete URI the first of these that matches it:
//!
//! 1. the exact permission,
//! 2. the most specific wildcard permission (a literal before an empty component, from the left),
//! 3. the longest prefix permission.
//!
//! Without any the action is denied. A wildcard overrides prefixes, however long, as it does in Crossbar.io:
//! were it otherwise, a configuration that opens everything with the prefix `""` and closes some URIs with a
//! wildcard would leave them open here. (The dealer's order differs: for it every prefix comes before every
//! wildcard.) Unlike Crossbar.io, an exact permission that shares its beginning with a URI but is not equal to
//! it does not hide shorter prefixes; there it denies what they allow.
//!
//! # Patterns
//!
//! SUBSCRIBE and REGISTER may carry a pattern. It is allowed only if every concrete URI that it can match is
//! allowed, so that a pattern never reaches what its parts may not. Precisely:
//!
//! - Some permission must *cover* the pattern, that is match all that it matches. Of several the one that comes
//!   first in the order above counts, and must allow the action.
//! - Every permission before that one which *meets* the pattern, that is matches some of what it matches, must
//!   allow the action as well.
//!
//! The answer errs only towards refusal: where a permission that denies is itself overridden by others on all
//! of the pattern's URIs. Checking a pattern is linear in the number of permissions; concrete URIs take the
//! index.
//!
//! | permission ↓ covers → | exact U | prefix P | wildcard W |
//! |---|---|---|---|
//! | exact R | R = U | never | W has no empty component and R = W |
//! | prefix R | U begins with R | P begins with R | W up to its first empty component begins with R |
//! | wildcard R | R matches U | never: numbers of components differ | as many components; each of R is empty or equals W's |

use core::cmp::Ordering;

use ahash::RandomState;
use bytestring::ByteString;

use crate::options::MatchPolicy;
use crate::pattern::relation::Pattern;
use crate::pattern::{Match, PatternMap};

#[cfg(test)]
mod tests;

/// What a session asks leave for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// CALL.
    Call,
    /// REGISTER.
    Register,
    /// PUBLISH.
    Publish,
    /// SUBSCRIBE.
    Subscribe,
}

/// The actions that a permission allows; what it does not allow it denies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allow {
    /// CALL.
    pub call: bool,
    /// REGISTER.
    pub register: bool,
    /// PUBLISH.
    pub publish: bool,
    /// SUBSCRIBE.
    pub subscribe: bool,
}

impl Allow {
    /// Every action.
    pub const ALL: Self = Self {
        call: true,
        register: true,
        publish: true,
        subscribe: true,
    };

    const fn of(self, action: Action) -> bool {
        match action {
            Action::Call => self.call,
            Action::Register => self.register,
            Action::Publish => self.publish,
            Action::Subscribe => self.subscribe,
        }
    }
}

/// Whether receivers are told who sent, whatever the sender asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Disclose {
    /// Callers to callees.
    pub caller: bool,
    /// Publishers to subscribers.
    pub publisher: bool,
}

impl Disclose {
    /// Both.
    pub const ALL: Self = Self {
        caller: true,
        publisher: true,
    };

    const fn of(self, action: Action) -> bool {
        match action {
            Action::Call => self.caller,
            Action::Publish => self.publisher,
            Action::Register | Action::Subscribe => false,
        }
    }
}

/// What a role may do with the URIs that a pattern matches. Crossbar.io's `cache` needs no counterpart: a
/// static decision is cheaper than a look into a cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permission {
    /// The URI or pattern.
    pub uri: String,
    /// How it is compared.
    pub match_policy: MatchPolicy,
    /// What is allowed.
    pub allow: Allow,
    /// What is disclosed.
    pub disclose: Disclose,
    /// How far calls and publications that it allows are trusted, as their receivers are told.
    pub trustlevel: Option<u32>,
}

impl Permission {
    /// A permission whose URI names its match policy, as Crossbar.io reads it where `match` is absent: a `*` at
    /// the end makes a prefix of what stands before it, `..` makes a wildcard, and all else is exact.
    #[must_use]
    pub fn from_starred(uri: &str, allow: Allow, disclose: Disclose) -> Self {
        let (uri, match_policy) = match uri.strip_suffix('*') {
            Some(prefix) => (prefix, MatchPolicy::Prefix),
            None if uri.contains("..") => (uri, MatchPolicy::Wildcard),
            None => (uri, MatchPolicy::Exact),
        };
        Self {
            uri: uri.to_owned(),
            match_policy,
            allow,
            disclose,
            trustlevel: None,
        }
    }
}

/// The answer to a request for leave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// Whether the action may go on.
    pub allowed: bool,
    /// Whether the receiver is told who acted; false for REGISTER and SUBSCRIBE and where denied.
    pub disclose: bool,
    /// What the receiver is told of how far the sender is trusted; `None` for REGISTER and SUBSCRIBE.
    pub trustlevel: Option<u32>,
}

impl Decision {
    const DENIED: Self = Self {
        allowed: false,
        disclose: false,
        trustlevel: None,
    };
}

/// What stands under a permission's pattern.
#[derive(Clone, Copy, Debug)]
struct Rule {
    allow: Allow,
    disclose: Disclose,
    trustlevel: Option<u32>,
}

impl Rule {
    const ALL: Self = Self {
        allow: Allow::ALL,
        disclose: Disclose::ALL,
        trustlevel: None,
    };

    const fn decide(self, action: Action) -> Decision {
        let allowed = self.allow.of(action);
        let sends = matches!(action, Action::Call | Action::Publish);
        Decision {
            allowed,
            disclose: allowed && self.disclose.of(action),
            trustlevel: if allowed && sends { self.trustlevel } else { None },
        }
    }
}

/// A role with what it may do.
#[derive(Debug)]
pub struct Role {
    name: ByteString,
    /// The one rule for all URIs, for roles that have but that: most do, and need no look-up.
    uniform: Option<Rule>,
    rules: PatternMap<Rule>,
}

impl Role {
    /// Name of the role that may do everything.
    pub const TRUSTED: &'static str = "trusted";

    /// A role with `permissions`. Of two with the same URI and match policy the later counts, as in
    /// Crossbar.io. URIs are taken as they are: the configuration checks that they are well-formed.
    #[must_use]
    pub fn new(
        name: impl Into<ByteString>,
        permissions: impl IntoIterator<Item = Permission>,
        hasher: RandomState,
    ) -> Self {
        let mut rules = PatternMap::new(hasher);
        for Permission {
            uri,
            match_policy,
            allow,
            disclose,
            trustlevel,
        } in permissions
        {
            rules.insert(
                match_policy,
                uri,
                Rule {
                    allow,
                    disclose,
                    trustlevel,
                },
            );
        }
        let for_all = rules.get(MatchPolicy::Prefix, "").copied();
        Self {
            name: name.into(),
            uniform: for_all.filter(|_| rules.len() == 1),
            rules,
        }
    }

    /// The built-in role `trusted`: everything is allowed, and callers and publishers are disclosed.
    #[must_use]
    pub fn trusted() -> Self {
        Self {
            name: ByteString::from_static(Self::TRUSTED),
            uniform: Some(Rule::ALL),
            // Never filled, so nobody can attack its hashing.
            rules: PatternMap::new(RandomState::with_seeds(0, 0, 0, 0)),
        }
    }

    /// The name, a session's authrole.
    #[must_use]
    pub fn name(&self) -> &ByteString {
        &self.name
    }

    /// Whether a session of this role may do `action` with `uri`, which is a pattern unless `policy` is exact.
    /// The URI has been checked to be well-formed.
    #[must_use]
    pub fn decide(&self, action: Action, uri: &str, policy: MatchPolicy) -> Decision {
        if let Some(rule) = self.uniform {
            return rule.decide(action);
        }
        match policy {
            MatchPolicy::Exact => self.decide_concrete(action, uri),
            MatchPolicy::Prefix | MatchPolicy::Wildcard => {
                self.decide_pattern(action, Pattern { policy, uri })
            }
        }
    }

    fn decide_concrete(&self, action: Action, uri: &str) -> Decision {
        [MatchPolicy::Exact, MatchPolicy::Wildcard, MatchPolicy::Prefix]
            .into_iter()
            .find_map(|policy| self.rules.best_of(policy, uri))
            .map_or(Decision::DENIED, |found| found.value.decide(action))
    }

    fn decide_pattern(&self, action: Action, asked: Pattern<'_>) -> Decision {
        let covering = self.rules.iter().filter(|rule| pattern_of(rule).covers(asked));
        let Some(first) = covering.min_by(|a, b| precedence(pattern_of(a), pattern_of(b))) else {
            return Decision::DENIED;
        };
        let is_overridden = self.rules.iter().any(|rule| {
            !rule.value.allow.of(action)
                && pattern_of(&rule).meets(asked)
                && precedence(pattern_of(&rule), pattern_of(&first)) == Ordering::Less
        });
        if is_overridden {
            return Decision::DENIED;
        }
        first.value.decide(action)
    }
}

const fn pattern_of<'a>(rule: &Match<'a, Rule>) -> Pattern<'a> {
    Pattern {
        policy: rule.policy,
        uri: rule.uri,
    }
}

/// Which of two patterns decides a URI that both match: the lesser.
fn precedence(a: Pattern<'_>, b: Pattern<'_>) -> Ordering {
    let rank = |pattern: Pattern<'_>| match pattern.policy {
        MatchPolicy::Exact => 0,
        MatchPolicy::Wildcard => 1,
        MatchPolicy::Prefix => 2,
    };
    rank(a).cmp(&rank(b)).then_with(|| match a.policy {
        MatchPolicy::Exact => Ordering::Equal,
        MatchPolicy::Prefix => b.uri.len().cmp(&a.uri.len()),
        // Where both match one URI their components differ only in being empty.
        MatchPolicy::Wildcard => a
            .uri
            .split('.')
            .map(str::is_empty)
            .cmp(b.uri.split('.').map(str::is_empty)),
    })
}
