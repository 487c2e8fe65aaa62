//! Tells whoever waits at a terminal how far a run is; silent elsewhere.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A line on standard error, which goes away with it.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// For what takes an unknown time.
    pub(crate) fn of_setup(what: &str) -> Self {
        Self::new(0, what, "  ... {prefix}   {elapsed} {msg}")
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
        bar.tick();
        Self(bar)
    }

    /// `elapsed` is the part of the phase that is over; `message` is only made if somebody sees it.
    pub(crate) fn update(&self, elapsed: Duration, message: impl FnOnce() -> String) {
        if !self.0.is_hidden() {
            self.0.set_position(elapsed.as_millis() as u64);
            self.0.set_message(message());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
