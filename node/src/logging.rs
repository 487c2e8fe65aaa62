//! Logs, to standard error.

use tracing::level_filters::LevelFilter;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt, registry};

use crate::cli::{LogFormat, LogLevel};

/// Starts logging for the whole process. What has been logged is written at the latest when the guard is dropped.
///
/// A thread of its own writes, so that a slow terminal or a full pipe holds up no shard; what does not fit into its
/// queue then is lost.
pub fn start(level: LogLevel, format: LogFormat) -> WorkerGuard {
    let (writer, guard) = NonBlockingBuilder::default()
        .thread_name("log")
        .finish(std::io::stderr());
    let ours = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    // Libraries below a debugging level say nothing about WAMP.
    let libraries = if level == LogLevel::Trace {
        LevelFilter::DEBUG
    } else {
        ours.min(LevelFilter::WARN)
    };
    let filter = Targets::new()
        .with_default(libraries)
        .with_target("crosspoint", ours);
    let layer = fmt::layer().with_writer(writer);
    let layer = match format {
        LogFormat::Text => layer
            .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
            .boxed(),
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
    };
    // Fails only if something else logs already: then that goes on.
    let _ = registry().with(layer.with_filter(filter)).try_init();
    guard
}
