//! How a check says no.

/// An invariant that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Which one, as a sentence that should be true.
    pub invariant: &'static str,
    /// What was found instead.
    pub detail: String,
}

/// What a check returns.
pub(crate) type Check = Result<(), Broken>;

/// Returns [`Broken`] from the function around it unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $invariant:expr, $($detail:tt)+) => {
        if !$condition {
            return Err($crate::broken::Broken { invariant: $invariant, detail: format!($($detail)+) });
        }
    };
}

/// [`ensure!`] for a value that must be there.
macro_rules! found {
    ($option:expr, $invariant:expr, $($detail:tt)+) => {
        match $option {
            Some(value) => value,
            None => {
                return Err($crate::broken::Broken { invariant: $invariant, detail: format!($($detail)+) });
            }
        }
    };
}

pub(crate) use {ensure, found};
