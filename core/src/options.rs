//! Typed options and details of the messages that are not only seen once (specification, each message's
//! section). A field that is `None` or `false` was absent and is not written.

use bytestring::ByteString;

use crate::ids::SessionId;
use crate::value::Dict;

/// How a subscription's or registration's URI is compared with that of a PUBLISH or CALL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MatchPolicy {
    /// Equal strings.
    #[default]
    Exact,
    /// The pattern begins the URI, character by character.
    Prefix,
    /// Components are equal, but for empty ones of the pattern, which match any one component.
    Wildcard,
}

impl MatchPolicy {
    /// The name in messages and configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Prefix => "prefix",
            Self::Wildcard => "wildcard",
        }
    }

    /// The opposite of [`MatchPolicy::name`].
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Exact, Self::Prefix, Self::Wildcard]
            .into_iter()
            .find(|value| value.name() == name)
    }
}

/// Which callee of a shared registration gets a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum InvokePolicy {
    /// There is one callee only.
    #[default]
    Single,
    /// Each in turn.
    RoundRobin,
    /// Any.
    Random,
    /// The one that registered first.
    First,
    /// The one that registered last.
    Last,
    /// The one with the fewest open calls. Ours, not the specification's.
    Load,
    /// For each caller the one that it called before, as long as that is there and takes more. Ours, not the
    /// specification's.
    Sticky,
}

impl InvokePolicy {
    /// The name in messages and configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::RoundRobin => "roundrobin",
            Self::Random => "random",
            Self::First => "first",
            Self::Last => "last",
            Self::Load => "load",
            Self::Sticky => "sticky",
        }
    }

    /// The opposite of [`InvokePolicy::name`].
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [
            Self::Single,
            Self::RoundRobin,
            Self::Random,
            Self::First,
            Self::Last,
            Self::Load,
            Self::Sticky,
        ]
        .into_iter()
        .find(|value| value.name() == name)
    }
}

/// What CANCEL does to the callee.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CancelMode {
    /// The callee is not told.
    Skip,
    /// The callee is interrupted, and its answer is the call's.
    Kill,
    /// The callee is interrupted, and the caller gets its error at once.
    KillNoWait,
}

impl CancelMode {
    /// The name in messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::Kill => "kill",
            Self::KillNoWait => "killnowait",
        }
    }

    /// The opposite of [`CancelMode::name`].
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Skip, Self::Kill, Self::KillNoWait]
            .into_iter()
            .find(|value| value.name() == name)
    }
}

/// PUBLISH.Options.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PublishOptions {
    /// Whether PUBLISHED or ERROR is wanted.
    pub acknowledge: bool,
    /// Whether the publisher is not to receive its own event; absent means true.
    pub exclude_me: Option<bool>,
    /// Whether the publisher wants to be named in the event.
    pub disclose_me: Option<bool>,
    /// Whether the event is kept for later subscribers.
    pub retain: bool,
    /// Who may receive the event; boxed because most publications have no such lists.
    pub receivers: Option<Box<Receivers>>,
    /// Every other entry.
    pub rest: Dict,
}

/// Black- and whitelisting of receivers (specification, "Subscriber Black- and Whitelisting"). A list that
/// is present and empty is a list: nobody is eligible.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Receivers {
    /// Only these sessions.
    pub eligible: Option<Vec<SessionId>>,
    /// Only sessions with one of these authids.
    pub eligible_authid: Option<Vec<ByteString>>,
    /// Only sessions with one of these authroles.
    pub eligible_authrole: Option<Vec<ByteString>>,
    /// Not these sessions.
    pub exclude: Option<Vec<SessionId>>,
    /// Not sessions with one of these authids.
    pub exclude_authid: Option<Vec<ByteString>>,
    /// Not sessions with one of these authroles.
    pub exclude_authrole: Option<Vec<ByteString>>,
}

impl Receivers {
    /// How many sessions and names all lists have.
    #[must_use]
    pub fn entries(&self) -> usize {
        let ids = [&self.eligible, &self.exclude];
        let names = [
            &self.eligible_authid,
            &self.eligible_authrole,
            &self.exclude_authid,
            &self.exclude_authrole,
        ];
        let ids = ids.into_iter().flatten().map(Vec::len);
        ids.chain(names.into_iter().flatten().map(Vec::len)).sum()
    }
}

/// SUBSCRIBE.Options.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SubscribeOptions {
    /// How the topic is compared; `None` means exact.
    pub match_policy: Option<MatchPolicy>,
    /// Whether the retained event is wanted.
    pub get_retained: bool,
    /// Every other entry.
    pub rest: Dict,
}

/// EVENT.Details.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EventDetails {
    /// The publisher's session, where disclosed.
    pub publisher: Option<SessionId>,
    /// The publisher's authid, where disclosed.
    pub publisher_authid: Option<ByteString>,
    /// The publisher's authrole, where disclosed.
    pub publisher_authrole: Option<ByteString>,
    /// The topic, for subscriptions to patterns.
    pub topic: Option<ByteString>,
    /// How far the publisher is trusted.
    pub trustlevel: Option<u64>,
    /// Whether this is a retained event.
    pub retained: bool,
    /// Every other entry.
    pub rest: Dict,
}

/// CALL.Options.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CallOptions {
    /// Milliseconds until the call fails; 0 and absent mean never.
    pub timeout: Option<u64>,
    /// Whether progressive results are wanted.
    pub receive_progress: bool,
    /// Whether further CALLs of this request follow.
    pub progress: bool,
    /// Whether the caller wants to be named in the invocation.
    pub disclose_me: Option<bool>,
    /// Every other entry.
    pub rest: Dict,
}

/// CANCEL.Options.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CancelOptions {
    /// What becomes of the invocation; `None` means killnowait.
    pub mode: Option<CancelMode>,
    /// Every other entry.
    pub rest: Dict,
}

/// RESULT.Details.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ResultDetails {
    /// Whether more follows.
    pub progress: bool,
    /// Every other entry.
    pub rest: Dict,
}

/// REGISTER.Options.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RegisterOptions {
    /// How the procedure is compared; `None` means exact.
    pub match_policy: Option<MatchPolicy>,
    /// Which callee gets a call; `None` means single.
    pub invoke: Option<InvokePolicy>,
    /// Whether callers are to be named in invocations.
    pub disclose_caller: Option<bool>,
    /// Whether timeouts are left to the callee.
    pub forward_timeout: Option<bool>,
    /// Whether callees that stand in the way are removed.
    pub force_reregister: bool,
    /// Most invocations that this callee works on at a time.
    pub concurrency: Option<u64>,
    /// Milliseconds that this callee wants a call to take at most; 0 and absent mean for ever. Ours, not the
    /// specification's.
    pub timeout: Option<u64>,
    /// Every other entry.
    pub rest: Dict,
}

/// INVOCATION.Details.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InvocationDetails {
    /// The caller's session, where disclosed.
    pub caller: Option<SessionId>,
    /// The caller's authid, where disclosed.
    pub caller_authid: Option<ByteString>,
    /// The caller's authrole, where disclosed.
    pub caller_authrole: Option<ByteString>,
    /// The procedure, for registrations of patterns.
    pub procedure: Option<ByteString>,
    /// How far the caller is trusted.
    pub trustlevel: Option<u64>,
    /// Milliseconds that the callee has, where timeouts are left to it.
    pub timeout: Option<u64>,
    /// Whether progressive results are wanted.
    pub receive_progress: bool,
    /// Whether further INVOCATIONs of this request follow.
    pub progress: bool,
    /// Every other entry.
    pub rest: Dict,
}

/// YIELD.Options.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct YieldOptions {
    /// Whether more follows.
    pub progress: bool,
    /// Every other entry.
    pub rest: Dict,
}
