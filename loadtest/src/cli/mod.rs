//! The command line.

mod examples;
mod options;

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::{Args, Parser, Subcommand, ValueEnum};
use crosspoint_codec::core::payload::Format;

pub(crate) use self::options::{
    Churn, Connect, Fanout, Idle, Joining, Matching, Noisy, OtherSubscriptions, Procedures, Quiet, Rpc, Slow,
    Subscribing, Topics,
};

use crate::net::Trust;
use crate::target::Target;

/// Puts load on a WAMP router and measures what it does: any router, by its URL.
#[derive(Debug, Parser)]
#[command(name = "crosspoint-loadtest", version, after_help = examples::ALL)]
#[command(arg_required_else_help = true, args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// The same as `compare A.json B.json`
    #[arg(long, num_args = 2, value_names = ["A.json", "B.json"])]
    pub(crate) compare: Option<Vec<PathBuf>>,
    /// With --compare: write tables and plots to this file, as one HTML page
    #[arg(long, value_name = "FILE", requires = "compare")]
    pub(crate) html: Option<PathBuf>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    #[command(flatten)]
    Run(Box<Scenario>),
    /// Print the ratios of two reports that --json wrote
    #[command(after_help = examples::COMPARE)]
    Compare(Compare),
}

#[derive(Args, Clone, Debug)]
pub(crate) struct Compare {
    #[arg(value_name = "A.json")]
    pub(crate) a: PathBuf,
    #[arg(value_name = "B.json")]
    pub(crate) b: PathBuf,
    /// Write tables and plots to this file, as one HTML page
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
}

impl Cli {
    /// What to do, in whichever of its forms it was written; `None` if nothing was.
    pub(crate) fn into_command(self) -> Option<Command> {
        let flag = self
            .compare
            .and_then(|files| <[PathBuf; 2]>::try_from(files).ok());
        let html = self.html;
        let compare = flag.map(|[a, b]| Command::Compare(Compare { a, b, html }));
        self.command.or(compare)
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Scenario {
    /// Publishers to many subscribers of one topic: deliveries per second, latency
    #[command(after_help = examples::FANOUT)]
    Fanout(Fanout),
    /// Publishers to many topics, subscribers of topics, prefixes and wildcard patterns
    #[command(after_help = examples::TOPICS)]
    Topics(Topics),
    /// Calls from many callers to many callees: calls per second, round-trip times
    #[command(after_help = examples::RPC)]
    Rpc(Rpc),
    /// Open many sessions: sessions per second; then memory per idle session
    ///
    /// For the memory, restart the router first: one that has had as many sessions before uses the memory of these
    /// again, and hardly grows.
    #[command(after_help = examples::CONNECT)]
    Connect(Connect),
    /// Many subscribed sessions in silence: memory and CPU time per session, over --duration
    ///
    /// For the memory, restart the router first.
    #[command(after_help = examples::IDLE)]
    Idle(Idle),
    /// A fan-out in which some subscribers stop reading: what the others notice
    #[command(after_help = examples::SLOW)]
    Slow(Slow),
    /// Quiet calls and a quiet fan-out, without and with a loud fan-out: what the quiet ones notice
    #[command(after_help = examples::NOISY)]
    Noisy(Noisy),
    /// Quiet calls and a quiet fan-out, without and with sessions that come and go
    #[command(after_help = examples::CHURN)]
    Churn(Churn),
}

impl Scenario {
    pub(crate) const fn common(&self) -> &Common {
        match self {
            Self::Fanout(options) => &options.common,
            Self::Topics(options) => &options.common,
            Self::Rpc(options) => &options.common,
            Self::Connect(options) => &options.common,
            Self::Idle(options) => &options.common,
            Self::Slow(options) => &options.common,
            Self::Noisy(options) => &options.common,
            Self::Churn(options) => &options.common,
        }
    }
}

/// What all scenarios need to know.
#[derive(Args, Debug)]
pub(crate) struct Common {
    /// The router: ws://HOST:PORT/PATH or rs://HOST:PORT (RawSocket), wss:// or rss:// (over TLS); or, to compare it
    /// with, nats://HOST:PORT, redis://HOST:PORT (publish/subscribe) or mqtt://HOST:PORT (3.1.1, quality of service 0)
    #[arg(long, default_value = "ws://127.0.0.1:8080/ws")]
    pub(crate) url: String,
    /// Addresses of this machine to connect from, one after the other: each has some 28,000 ports
    /// (net.ipv4.ip_local_port_range), and so many connections to one router; not needed towards 127.0.0.1
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',')]
    pub(crate) source: Vec<IpAddr>,
    /// Certificates to trust, in PEM, for wss:// and rss:// (Debian keeps the usual ones in
    /// /etc/ssl/certs/ca-certificates.crt)
    #[arg(long, value_name = "FILE", conflicts_with = "insecure")]
    pub(crate) ca: Option<PathBuf>,
    /// Trust any certificate
    #[arg(long)]
    pub(crate) insecure: bool,
    /// What messages are written in (WAMP only); of several, with commas, sessions take one after the other: json,
    /// msgpack, cbor, ubjson (as BJData) or flatbuffers
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "msgpack",
        hide_possible_values = true
    )]
    pub(crate) serializer: Vec<Serializer>,
    /// The realm to join, anonymously (WAMP only)
    #[arg(long, default_value = "realm1")]
    pub(crate) realm: String,
    /// Processes of the router, as pidof says them or with commas, for CPU time and memory; their descendants are
    /// included
    #[arg(long, num_args = 1.., value_parser = pids, value_name = "PID")]
    pid: Vec<Pids>,
    /// How long to measure
    #[arg(long, value_parser = duration, default_value = "10s")]
    pub(crate) duration: Duration,
    /// How long to run before measuring
    #[arg(long, value_parser = duration, default_value = "1s")]
    pub(crate) warmup: Duration,
    /// Measure for 1 s after 200 ms, whatever --duration and --warmup say: for tests
    #[arg(long)]
    pub(crate) quick: bool,
    /// How long without any progress until what is missing counts as lost
    #[arg(long, value_parser = duration, default_value = "5s")]
    pub(crate) patience: Duration,
    /// How long all sessions together may take to open, and then subscriptions and registrations to be granted. It ends
    /// the run; but `connect` and `idle` stop opening then, or with --rate so long after the last session was due, and
    /// go on with those that are open
    #[arg(long, value_parser = duration, default_value = "60s")]
    pub(crate) setup_timeout: Duration,
    /// Sessions that are opened at the same time
    #[arg(long, default_value_t = 128, value_parser = count(100_000))]
    pub(crate) connecting: u64,
    /// Write the report to this file, as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Write the report to this file, as one HTML page with plots
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Serializer {
    Json,
    Msgpack,
    Cbor,
    /// BJData, the dialect that routers speak by default.
    Ubjson,
    Flatbuffers,
}

impl Serializer {
    const fn format(self) -> Format {
        match self {
            Self::Json => Format::Json,
            Self::Msgpack => Format::MsgPack,
            Self::Cbor => Format::Cbor,
            Self::Ubjson => Format::BjData,
            Self::Flatbuffers => Format::FlatBuffers,
        }
    }
}

impl Common {
    pub(crate) fn target(&self) -> anyhow::Result<Target> {
        let target: Target = self.url.parse().with_context(|| format!("--url {}", self.url))?;
        ensure!(
            target.is_wamp() || self.serializer == [Serializer::Msgpack],
            "--serializer is for WAMP only: {} has none, and carries payloads as MessagePack makes them",
            self.url
        );
        Ok(target)
    }

    pub(crate) fn trust(&self, target: &Target) -> anyhow::Result<Option<Trust>> {
        let trust = || Trust::new(&target.host, self.ca.as_deref(), self.insecure);
        target.tls.then(trust).transpose()
    }

    pub(crate) fn pids(&self) -> Vec<u32> {
        self.pid.iter().flat_map(|pids| &pids.0).copied().collect()
    }

    pub(crate) fn formats(&self) -> Vec<Format> {
        self.serializer.iter().map(|name| name.format()).collect()
    }

    pub(crate) fn measured(&self) -> Duration {
        self.or_quick(self.duration, Duration::from_secs(1))
    }

    pub(crate) fn warmed(&self) -> Duration {
        self.or_quick(self.warmup, Duration::from_millis(200))
    }

    pub(crate) fn or_quick(&self, usual: Duration, quick: Duration) -> Duration {
        if self.quick { usual.min(quick) } else { usual }
    }
}

fn count(most: u64) -> clap::builder::RangedU64ValueParser {
    clap::value_parser!(u64).range(1..=most)
}

fn count_or_none(most: u64) -> clap::builder::RangedU64ValueParser {
    clap::value_parser!(u64).range(..=most)
}

fn payload_size() -> clap::builder::RangedU64ValueParser {
    clap::value_parser!(u64).range(crate::payload::MIN_SIZE as u64..=crate::payload::MAX_SIZE as u64)
}

/// `500ms`, `10s`, `2m`; a number alone is in seconds.
fn duration(text: &str) -> anyhow::Result<Duration> {
    const MAX: f64 = 24.0 * 3600.0;
    let unit = text.find(|c: char| !c.is_ascii_digit() && c != '.');
    let (number, unit) = text.split_at(unit.unwrap_or(text.len()));
    let factor = match unit {
        "ms" => 1e-3,
        "" | "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => anyhow::bail!("expected a number with ms, s, m or h"),
    };
    let seconds = number
        .parse::<f64>()
        .context("expected a number with ms, s, m or h")?
        * factor;
    ensure!(seconds <= MAX, "at most 24 h");
    Ok(Duration::from_secs_f64(seconds))
}

/// Process numbers of one argument.
#[derive(Clone, Debug)]
struct Pids(Vec<u32>);

/// `1`, `1,2` or `1 2`.
fn pids(text: &str) -> anyhow::Result<Pids> {
    let numbers = text.split([',', ' ']).filter(|number| !number.is_empty());
    let pids: Vec<u32> = numbers
        .map(str::parse)
        .collect::<Result<_, _>>()
        .context("expected numbers of processes")?;
    ensure!(
        !pids.is_empty(),
        "expected the number of a process: is it running?"
    );
    Ok(Pids(pids))
}

fn rate(text: &str) -> anyhow::Result<f64> {
    let rate: f64 = text.parse()?;
    ensure!(
        (1e-3..=1e7).contains(&rate),
        "expected 0.001 to 10000000 per second"
    );
    Ok(rate)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::CommandFactory;
    use clap::error::ErrorKind;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    /// What follows the name of the program, wherever `--help` or the documentation runs it.
    fn examples(text: &str) -> Vec<Vec<String>> {
        let lines = text
            .lines()
            .map(|line| line.trim_start_matches(['$', ' ', '|', '`']));
        let commands = lines.filter_map(|line| {
            line.strip_prefix("crosspoint-loadtest ")
                .or_else(|| line.strip_prefix("make loadtest ARGS=\"")?.split('"').next())
        });
        let words = commands.map(|command| command.replace("$(pidof crosspoint)", "1 2"));
        words
            .map(|words| words.split_whitespace().map(str::to_owned).collect())
            .collect()
    }

    /// Whether a command does something with the router that `make run` starts, or with reports.
    fn check_example(example: &[String]) {
        let args = std::iter::once("loadtest").chain(example.iter().map(String::as_str));
        match Cli::try_parse_from(args) {
            Ok(cli) => {
                if let Some(Command::Run(scenario)) = cli.into_command() {
                    let common = scenario.common();
                    let target = common.target().unwrap();
                    assert_eq!((&*target.host, target.port), ("127.0.0.1", 8080), "{example:?}");
                    let path = if common.url.starts_with("ws") { "/ws" } else { "/" };
                    assert_eq!((&*target.path, &*common.realm), (path, "realm1"), "{example:?}");
                }
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::DisplayHelp, "{example:?}: {error}"),
        }
    }

    #[test]
    fn the_examples_of_every_help_can_be_run() {
        let at_end = |command: &mut clap::Command| {
            let help = command.render_long_help().to_string();
            examples(help.split_once("\nExample").unwrap().1)
        };
        let mut cli = Cli::command();
        for command in cli.get_subcommands_mut() {
            let examples = at_end(command);
            let own = |example: &Vec<String>| example[0] == command.get_name();
            assert!(examples.iter().any(own), "{}", command.get_name());
            examples.iter().for_each(|example| check_example(example));
        }
        let examples = at_end(&mut cli);
        assert_eq!(examples.len(), 1);
        check_example(&examples[0]);
    }

    #[test]
    fn the_examples_of_the_documentation_can_be_run() {
        for file in ["README.md", "loadtest/README.md", "docs/performance.md"] {
            let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
            let examples = examples(&std::fs::read_to_string(root.join(file)).unwrap());
            assert!(!examples.is_empty(), "{file}");
            examples.iter().for_each(|example| check_example(example));
        }
    }

    #[test]
    fn all_serializers_are_named() {
        let mut cli = Cli::command();
        let fanout = cli.find_subcommand_mut("fanout").unwrap();
        let help = fanout.render_long_help().to_string();
        let help = help.split("--serializer").nth(1).unwrap().split("--realm").next();
        for serializer in Serializer::value_variants() {
            let name = serializer.to_possible_value().unwrap();
            assert!(help.unwrap().contains(name.get_name()), "{help:?}");
        }
    }

    #[test]
    fn durations_have_units() {
        assert_eq!(duration("250ms").ok(), Some(Duration::from_millis(250)));
        assert_eq!(duration("1.5").ok(), Some(Duration::from_millis(1500)));
        assert_eq!(duration("2m").ok(), Some(Duration::from_secs(120)));
        for wrong in ["", "s", "1 day", "-1s", "25h", "NaN", "1.2.3s"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn processes_are_named_as_pidof_names_them() {
        let pids = |args: &[&str]| {
            let all = [&["loadtest", "idle", "--pid"], args, &["--quick"]].concat();
            let Some(Command::Run(scenario)) = Cli::try_parse_from(all)?.into_command() else {
                panic!("{args:?}");
            };
            Ok::<_, clap::Error>(scenario.common().pids())
        };
        for args in [
            &["1 23"][..],
            &["1,23"],
            &["1", "23"],
            &["1,", "23"],
            &["1", "--pid", "23"],
        ] {
            assert_eq!(pids(args).ok(), Some(vec![1, 23]), "{args:?}");
        }
        for wrong in [&["1 x"][..], &[""], &[], &["-1"]] {
            assert!(pids(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn rates_are_bounded() {
        assert_eq!(rate("50").ok(), Some(50.0));
        for wrong in ["0", "-1", "NaN", "inf", "1e9", "fast"] {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_comparison_has_two_forms() {
        let parse = |args: &[&str]| Cli::try_parse_from([&["loadtest"], args].concat());
        for args in [
            &["compare", "a", "b", "--html", "c"][..],
            &["--compare", "a", "b", "--html", "c"],
        ] {
            let Some(Command::Compare(compare)) = parse(args).unwrap().into_command() else {
                panic!("{args:?}");
            };
            let html = compare.html.unwrap();
            assert_eq!([compare.a, compare.b, html], ["a", "b", "c"].map(PathBuf::from));
        }
        assert!(parse(&["--compare", "a"]).is_err());
        assert!(parse(&["--html", "a"]).is_err());
        assert!(parse(&[]).is_err());
    }

    #[test]
    fn an_open_loop_has_no_window() {
        let parse = |extra: &[&str]| Cli::try_parse_from([&["loadtest", "fanout"], extra].concat());
        assert!(parse(&["--rate", "5"]).is_ok());
        assert!(parse(&["--rate", "5", "--in-flight", "3"]).is_err());
        assert!(parse(&["--size", "10"]).is_err());
        assert!(parse(&["--serializer", "json,cbor"]).is_ok());
    }
}
