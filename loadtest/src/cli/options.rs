//! What each scenario can be told.

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::{Common, count, count_or_none, duration, payload_size, rate};

#[derive(Args, Debug)]
pub(crate) struct Fanout {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(flatten)]
    pub(crate) others: OtherSubscriptions,
    /// Publishers
    #[arg(short, long, default_value_t = 1, value_parser = count(10_000))]
    pub(crate) publishers: u64,
    /// Subscribers
    #[arg(short = 'n', long, default_value_t = 100, value_parser = count(1_000_000))]
    pub(crate) subscribers: u64,
    /// Payload, in octets; at least 39
    #[arg(short, long, default_value_t = 128, value_parser = payload_size())]
    pub(crate) size: u64,
    /// Publications of each publisher that not all subscribers have received (closed loop)
    #[arg(short = 'w', long, default_value_t = 16, value_parser = count(100_000))]
    pub(crate) in_flight: u64,
    /// Publications per second, of all publishers together (open loop)
    #[arg(short, long, value_parser = rate, conflicts_with = "in_flight")]
    pub(crate) rate: Option<f64>,
}

#[derive(Args, Debug)]
pub(crate) struct Topics {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(flatten)]
    pub(crate) others: OtherSubscriptions,
    /// Topics; rounded up to whole groups
    #[arg(short, long, default_value_t = 1000, value_parser = count(1_000_000))]
    pub(crate) topics: u64,
    /// Topics in a group: a prefix subscription gets a group, a wildcard one a topic of each group
    #[arg(long, default_value_t = 10, value_parser = count(1_000_000))]
    pub(crate) items: u64,
    /// Publishers; each goes through all topics
    #[arg(short, long, default_value_t = 10, value_parser = count(10_000))]
    pub(crate) publishers: u64,
    /// Subscribers, with one subscription each
    #[arg(short = 'n', long, default_value_t = 1000, value_parser = count(1_000_000))]
    pub(crate) subscribers: u64,
    /// Share of subscribers of one topic
    #[arg(long, default_value_t = 8, value_parser = count_or_none(1_000))]
    pub(crate) exact: u64,
    /// Share of subscribers of a prefix
    #[arg(long, default_value_t = 1, value_parser = count_or_none(1_000))]
    pub(crate) prefix: u64,
    /// Share of subscribers of a wildcard pattern
    #[arg(long, default_value_t = 1, value_parser = count_or_none(1_000))]
    pub(crate) wildcard: u64,
    /// Payload, in octets; at least 39
    #[arg(short, long, default_value_t = 128, value_parser = payload_size())]
    pub(crate) size: u64,
    /// Publications of each publisher that not all subscribers have received (closed loop)
    #[arg(short = 'w', long, default_value_t = 4, value_parser = count(100_000))]
    pub(crate) in_flight: u64,
    /// Publications per second, of all publishers together (open loop)
    #[arg(short, long, value_parser = rate, conflicts_with = "in_flight")]
    pub(crate) rate: Option<f64>,
}

/// Subscriptions that are only there.
#[derive(Args, Debug)]
pub(crate) struct OtherSubscriptions {
    /// Subscriptions, of further sessions, to which nothing is ever published
    #[arg(long, default_value_t = 0, value_parser = count_or_none(10_000_000))]
    pub(crate) other_subscriptions: u64,
    /// How these match
    #[arg(long, default_value = "exact")]
    pub(crate) other_match: Matching,
}

#[derive(Args, Debug)]
pub(crate) struct Rpc {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Callers
    #[arg(long, default_value_t = 10, value_parser = count(1_000_000))]
    pub(crate) callers: u64,
    /// Calls that each caller has open at a time (closed loop)
    #[arg(short = 'k', long, default_value_t = 4, value_parser = count(100_000))]
    pub(crate) calls: u64,
    /// Callees
    #[arg(long, default_value_t = 10, value_parser = count(1_000_000))]
    pub(crate) callees: u64,
    /// Whether callees have a procedure each, called by callers in turn, or share one (invoke=roundrobin)
    #[arg(long, default_value = "own")]
    pub(crate) procedures: Procedures,
    /// Payload, in octets, of calls and of results; at least 39
    #[arg(short, long, default_value_t = 128, value_parser = payload_size())]
    pub(crate) size: u64,
    /// Calls per second, of all callers together (open loop)
    #[arg(short, long, value_parser = rate, conflicts_with = "calls")]
    pub(crate) rate: Option<f64>,
}

#[derive(Args, Debug)]
pub(crate) struct Connect {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Sessions to open, --connecting at a time
    #[arg(short = 'n', long, default_value_t = 1000, value_parser = count(1_000_000))]
    pub(crate) sessions: u64,
    /// Sessions to open per second (open loop), instead of --connecting at a time
    #[arg(short, long, value_parser = rate)]
    pub(crate) rate: Option<f64>,
    /// What each session subscribes to once all are open
    #[arg(long, default_value = "none")]
    pub(crate) subscribe: Subscribing,
    /// How long to stay idle once all are open, before memory is read
    #[arg(long, value_parser = duration, default_value = "2s")]
    pub(crate) idle: Duration,
}

#[derive(Args, Debug)]
pub(crate) struct Idle {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Sessions
    #[arg(short = 'n', long, default_value_t = 10_000, value_parser = count(1_000_000))]
    pub(crate) sessions: u64,
    /// What each session subscribes to
    #[arg(long, default_value = "own")]
    pub(crate) subscribe: Subscribing,
}

#[derive(Args, Debug)]
pub(crate) struct Slow {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Subscribers that keep reading
    #[arg(short = 'n', long, default_value_t = 95, value_parser = count(1_000_000))]
    pub(crate) subscribers: u64,
    /// Subscribers that stop reading
    #[arg(short = 'k', long, default_value_t = 5, value_parser = count(1_000_000))]
    pub(crate) slow: u64,
    /// How long they stop
    #[arg(long = "for", value_parser = duration, default_value = "10s")]
    pub(crate) pause: Duration,
    /// Payload, in octets; at least 39
    #[arg(short, long, default_value_t = 1024, value_parser = payload_size())]
    pub(crate) size: u64,
    /// Publications per second
    #[arg(short, long, value_parser = rate, default_value = "200")]
    pub(crate) rate: f64,
}

#[derive(Args, Debug)]
pub(crate) struct Noisy {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(flatten)]
    pub(crate) quiet: Quiet,
    /// Subscribers of the noise
    #[arg(short = 'n', long, default_value_t = 10_000, value_parser = count(1_000_000))]
    pub(crate) noise_subscribers: u64,
    /// Time from one publication of the noise to the next
    #[arg(long, value_parser = interval, default_value = "100ms")]
    pub(crate) noise_every: Duration,
    /// Payload of the noise, in octets; at least 39
    #[arg(long, default_value_t = 128, value_parser = payload_size())]
    pub(crate) noise_size: u64,
}

#[derive(Args, Debug)]
pub(crate) struct Churn {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(flatten)]
    pub(crate) quiet: Quiet,
    /// Sessions that come per second
    #[arg(long, value_parser = rate, default_value = "100")]
    pub(crate) churn: f64,
    /// How long each stays
    #[arg(long, value_parser = duration, default_value = "1s")]
    pub(crate) stay: Duration,
    /// What each asks for, before it stays; a topic and a procedure of its own
    #[arg(long, default_value = "both")]
    pub(crate) joining: Joining,
}

/// The steady traffic whose latency is measured.
#[derive(Args, Debug)]
pub(crate) struct Quiet {
    /// Callers, and callees with a procedure each
    #[arg(long, default_value_t = 10, value_parser = count(10_000))]
    pub(crate) pairs: u64,
    /// Calls per second, of all callers together
    #[arg(long, value_parser = rate, default_value = "500")]
    pub(crate) call_rate: f64,
    /// Subscribers of the quiet fan-out
    #[arg(long, default_value_t = 20, value_parser = count(100_000))]
    pub(crate) subscribers: u64,
    /// Publications per second of the quiet fan-out
    #[arg(short, long, value_parser = rate, default_value = "50")]
    pub(crate) rate: f64,
    /// Payload, in octets; at least 39
    #[arg(short, long, default_value_t = 128, value_parser = payload_size())]
    pub(crate) size: u64,
    /// Turns, without and with what is beside it, that --duration is split into
    #[arg(long, default_value_t = 5, value_parser = count(1_000))]
    pub(crate) rounds: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Procedures {
    Own,
    Shared,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Subscribing {
    None,
    /// All to the same topic
    Shared,
    /// Each to a topic of its own
    Own,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Matching {
    Exact,
    Prefix,
    Wildcard,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Joining {
    Subscribe,
    Register,
    Both,
}

/// A time that something can be repeated after.
fn interval(text: &str) -> anyhow::Result<Duration> {
    let interval = duration(text)?;
    anyhow::ensure!(interval >= Duration::from_millis(1), "at least 1ms");
    Ok(interval)
}
