//! Tells whoever waits at a terminal how far a run is; silent elsewhere.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How often the line is drawn although nothing happens: the seconds go on.
const TICK: Duration = Duration::from_millis(200);

/// A line on standard error, which goes away with it.
pub(crate) struct Progress {
    bar: ProgressBar,
    /// Whether there is somebody to see it.
    shown: bool,
}

impl Progress {
    /// For what takes an unknown time.
    pub(crate) fn of_waiting(what: &str) -> Self {
        Self::new(0, what, "  ... {prefix}   {elapsed} {msg}")
    }

    /// For what is over when so many of something are reached.
    pub(crate) fn of_count(what: &str, total: u64) -> Self {
        Self::new(
            total,
            what,
            "  {prefix:<10} {bar:24} {pos} of {len}   {elapsed} {msg}",
        )
    }

    /// For a phase of known length.
    pub(crate) fn of_phase(name: &str, time: Duration) -> Self {
        let template = "  {prefix:<10} {bar:24} {elapsed} {msg}";
        Self::new(time.as_millis() as u64, name, template)
    }

    fn new(length: u64, name: &str, template: &str) -> Self {
        // Nothing is drawn unless standard error is a terminal.
        let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_prefix(name.to_owned());
        let shown = !bar.is_hidden();
        if shown {
            bar.tick();
            bar.enable_steady_tick(TICK);
        }
        Self { bar, shown }
    }

    /// So many are reached; cheap enough to be said after every turn.
    pub(crate) fn reach(&self, count: u64) {
        if self.shown {
            self.bar.set_position(count);
        }
    }

    /// What stands behind the line; `message` is only made if somebody sees it.
    pub(crate) fn say(&self, message: impl FnOnce() -> String) {
        if self.shown {
            self.bar.set_message(message());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
