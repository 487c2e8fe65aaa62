//! `crosspoint start`: from arguments to a running router, and to its end.

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crosspoint_net::{Address, Running, StartError};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::disable_transparent_huge_pages;
use tokio::runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use tracing::{debug, error, info, warn};

use crate::boot::{Secret, endpoint, server_spec, shard_count};
use crate::cli::{LogFormat, StartArgs};
use crate::config::{self, Config, Endpoint, LoadError, Shards};
use crate::control::{self, Surroundings};
use crate::cpus;
use crate::losses::Losses;
use crate::storage::Stores;
use crate::welcome::welcome;

/// How long sessions have to answer GOODBYE and to take what is queued for them.
const GRACE: Duration = Duration::from_secs(2);

/// When the process ends even if something in it does not: more than [`GRACE`] and what shards take to end after it.
const SHUTDOWN_BOUND: Duration = Duration::from_secs(4);

/// How much longer it waits for a slow disk to take what is still to be stored.
const STORE_BOUND: Duration = Duration::from_secs(10);

/// Why a command failed, as text for a person.
#[derive(Debug)]
pub struct Failure(pub String);

impl Failure {
    pub(crate) fn system(doing: &str, error: &io::Error) -> Self {
        Self(format!("cannot {doing}: {error}"))
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::File(message) => Self(message),
            LoadError::Invalid(report) => {
                let count = report.count(config::Severity::Error);
                let errors = if count == 1 {
                    "1 error"
                } else {
                    &format!("{count} errors")
                };
                Self(format!("the configuration cannot be used\n\n{report}\n{errors}"))
            }
        }
    }
}

/// Runs a router until a signal ends it.
///
/// # Errors
/// If it does not start, or does not end in order.
pub fn start(args: &StartArgs) -> Result<(), Failure> {
    use_small_pages();
    let config = configuration(args)?;
    raise_open_files();
    pin(&config.router.cpus)?;
    let cpus = thread::available_parallelism().map_or(1, Into::into);
    let shards = shard_count(&config.router, cpus);
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(8)
        .thread_name("files")
        .build()
        .map_err(|error| Failure::system("start the control plane", &error))?;
    let entered = runtime.enter();
    // From here on a signal is ours, also while stores are read and the shards start: one that nobody has asked for
    // does nothing to the first process of a container.
    let mut signals = Signals::new().map_err(|error| Failure::system("listen to signals", &error))?;
    drop(entered);
    let Some((config, stores)) = runtime.block_on(open_stores(&mut signals, config))? else {
        return Ok(());
    };
    let secret = Secret::draw().map_err(|error| Failure::system("get random numbers", &error))?;
    let (sender, connections) = mpsc::channel(control::QUEUE);
    let storage = stores.clone().map(|stores| stores as _);
    let running = crosspoint_net::start(server_spec(&config, shards, secret, (sender, storage)))
        .map_err(|error| not_started(&error, &config, args))?;
    announce(&config, running.addresses(), shards.into(), args);

    let losses = Losses::of(&running);
    let connector = running.connector().clone();
    let surroundings = Surroundings {
        connect: Arc::new(move |format, access| connector.connect(format, access)),
        limits: config.router.limits.clone(),
    };
    let listeners = config.router.listeners;
    let ended = runtime.block_on(async {
        let web = tokio::spawn(async move { control::serve(&listeners, &surroundings, connections).await });
        let losses = tokio::spawn(losses.watch());
        let ended = until_signal(signals, running, stores).await;
        losses.abort();
        web.abort();
        ended
    });
    // Nothing that a blocking thread may still read from a disk is worth waiting for.
    runtime.shutdown_background();
    ended
}

/// Opens the stores, which takes seconds where there is much in them; `None` if a signal comes before that is done.
async fn open_stores(
    signals: &mut Signals,
    config: Config,
) -> Result<Option<(Config, Option<Arc<Stores>>)>, Failure> {
    let open = move || Stores::open(&config.router).map(|stores| (config, stores));
    tokio::select! {
        opened = aside("open-stores", open)? => match opened {
            Some(opened) => opened.map(Some),
            None => Err(Failure("cannot read the stores".to_owned())),
        },
        name = signals.first() => {
            // What a store does to its file may be interrupted at any time.
            info!(signal = name, "stopped before the router has started");
            Ok(None)
        }
    }
}

fn configuration(args: &StartArgs) -> Result<Config, Failure> {
    let mut config = match &args.config {
        Some(path) => {
            let (config, report) = config::load(path)?;
            match args.log_format {
                LogFormat::Text => eprint!("{report}"),
                LogFormat::Json => report.log(),
            }
            config
        }
        None => {
            match (hint_at_file(), args.log_format) {
                (Some(hint), LogFormat::Text) => eprintln!("note: {hint}"),
                (Some(hint), LogFormat::Json) => info!("{hint}"),
                (None, _) => {}
            }
            config::load_default()?
        }
    };
    if let Some(count) = args.shards {
        config.router.shards = Shards::Exactly(count);
    }
    if let Some(listen) = args.listen {
        for listener in &mut config.router.listeners {
            if let Endpoint::Tcp { address, .. } = &mut listener.endpoint {
                *address = listen;
            }
        }
    }
    Ok(config)
}

/// Crossbar.io would use such a file by itself; here what runs is what was asked for.
pub(crate) fn hint_at_file() -> Option<String> {
    let names = [".crossbar/config.yaml", ".crossbar/config.json"];
    let name = names.into_iter().find(|name| Path::new(name).is_file())?;
    Some(format!(
        "the built-in configuration is used; to use {name}: --config {name}"
    ))
}

/// Raises the limit of open files as far as permitted: each connection is one.
fn raise_open_files() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum
        && let Err(error) = setrlimit(
            Resource::Nofile,
            Rlimit {
                current: maximum,
                maximum,
            },
        )
    {
        warn!(%error, "cannot raise the limit of open files");
    }
    let Rlimit { current, .. } = getrlimit(Resource::Nofile);
    debug!(open_files = current, "limits");
}

/// Memory of many small sessions in pages of 2 MiB is memory that is zeroed and counted long before it is used: an idle
/// router would take three times as much, and be no faster.
fn use_small_pages() {
    // Where it cannot be done, nothing is worse than before.
    let _ = disable_transparent_huge_pages(true);
}

/// Keeps this thread, and so all that it starts, to the CPUs of `cpu_affinity`.
fn pin(cpus: &[usize]) -> Result<(), Failure> {
    if cpus.is_empty() {
        return Ok(());
    }
    match cpus::keep_to(cpus) {
        Ok(_) => Ok(()),
        Err(error) => Err(Failure(format!(
            "cannot run on the CPUs of \"cpu_affinity\", {cpus:?}: {error}"
        ))),
    }
}

/// Says why there is no router, and which part of the configuration, or of the command line, could be another.
fn not_started(error: &StartError, config: &Config, args: &StartArgs) -> Failure {
    let StartError::Bind(bind) = error else {
        return Failure(error.to_string());
    };
    if args.config.is_none() && bind.error.kind() == io::ErrorKind::AddrInUse {
        return Failure(format!(
            "{error}, such as --listen 127.0.0.1:8081 (make run ARGS=\"--listen 127.0.0.1:8081\")"
        ));
    }
    let mut listeners = config.router.listeners.iter();
    match listeners.find(|listener| endpoint(&listener.endpoint) == bind.endpoint) {
        Some(listener) => Failure(format!("{}.endpoint: {error}", listener.key_path)),
        None => Failure(error.to_string()),
    }
}

/// Says that the router runs, and where.
fn announce(config: &Config, addresses: &[Address], shards: u16, args: &StartArgs) {
    let is_built_in = args.config.is_none();
    for (listener, address) in config.router.listeners.iter().zip(addresses) {
        info!(transport = listener.id, %address, "listening");
    }
    let is_open = |address: &Address| matches!(address, Address::Tcp(address) if !address.ip().is_loopback());
    if is_built_in && addresses.iter().any(is_open) {
        warn!(
            "whoever can reach this machine may join and do everything: the built-in configuration is for trying out; \
             write one of your own for --config, or listen on 127.0.0.1"
        );
    }
    info!(shards, "router started");
    if args.log_format == LogFormat::Text {
        // A terminal that is gone, or a full disk behind it, is no reason to end.
        let _ = write!(io::stdout(), "{}", welcome(config, addresses, shards));
    }
}

/// SIGTERM, SIGINT and SIGHUP, one after the other.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    /// A terminal that is closed says so by SIGHUP. Without one it is somebody who takes it for a request to read the
    /// configuration anew.
    has_terminal: bool,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            has_terminal: io::stdin().is_terminal() || io::stdout().is_terminal(),
        })
    }

    /// The name of the signal that ends the router.
    async fn first(&mut self) -> &'static str {
        loop {
            tokio::select! {
                (name, _) = next(&mut self.interrupt, &mut self.terminate) => return name,
                _ = self.hangup.recv() => if self.has_terminal {
                    return "SIGHUP";
                },
            }
            warn!(
                "SIGHUP: a configuration is not read again while the router runs; restart it to take a new one"
            );
        }
    }

    /// The name of a signal that asks once more, and the exit status of a process that it kills. A terminal that closes may
    /// say so twice.
    async fn second(&mut self) -> (&'static str, i32) {
        next(&mut self.interrupt, &mut self.terminate).await
    }
}

async fn next(interrupt: &mut Signal, terminate: &mut Signal) -> (&'static str, i32) {
    tokio::select! {
        _ = interrupt.recv() => ("SIGINT", 130),
        _ = terminate.recv() => ("SIGTERM", 143),
    }
}

/// Waits for a signal, then ends the router in order; a second signal ends the process at once.
async fn until_signal(
    mut signals: Signals,
    running: Running,
    stores: Option<Arc<Stores>>,
) -> Result<(), Failure> {
    let name = signals.first().await;
    info!(
        signal = name,
        "stopping: sessions get GOODBYE; a second signal stops at once"
    );
    if let Some(stores) = &stores {
        // Most of the work is done while sessions say goodbye.
        stores.hurry();
    }
    let ended = tokio::select! {
        ended = aside("shutdown", move || running.shutdown(GRACE))? => match ended {
            Some(Ok(())) => Ok(()),
            Some(Err(stuck)) => Err(Failure(format!("stopped, but not in order: {stuck:?}"))),
            None => Err(Failure("stopped, but not in order".to_owned())),
        },
        () = tokio::time::sleep(SHUTDOWN_BOUND) => {
            Err(Failure(format!("not stopped in order within {} s", SHUTDOWN_BOUND.as_secs())))
        }
        (name, status) = signals.second() => stop_at_once(name, status),
    };
    // Shards have nothing more to store, or are stuck: what was taken is written in either case.
    let close = move || stores.as_deref().map(Stores::close);
    tokio::select! {
        _ = aside("stores", close)? => {}
        () = tokio::time::sleep(STORE_BOUND) => {
            return Err(Failure(format!(
                "stopped, but the disk did not take all events of durable histories within {} s",
                STORE_BOUND.as_secs()
            )));
        }
        (name, status) = signals.second() => stop_at_once(name, status),
    }
    if ended.is_ok() {
        info!("stopped");
    }
    ended
}

/// Does something in a thread of its own, which is left alone if nobody waits for it any more. `None` if it panicked.
fn aside<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<impl Future<Output = Option<T>>, Failure> {
    let (done, result) = oneshot::channel();
    let work = move || {
        let _ = done.send(work());
    };
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .map_err(|error| Failure::system("start a thread", &error))?;
    Ok(async { result.await.ok() })
}

fn stop_at_once(signal: &str, status: i32) -> ! {
    error!(signal, "stopping at once");
    process::exit(status)
}
