//! The budget file, and the measured counts beside it.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// By how much a count may differ from its budget.
pub(crate) const PER_CENT: f64 = 3.0;

/// Columns of an operation's name.
pub(crate) const WIDTH: usize = 36;

/// Instructions of one call of each operation.
pub(crate) type Counts = BTreeMap<String, u64>;

/// The budget in `file`.
pub(crate) fn read(file: &Path) -> Result<Counts> {
    let text = fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is not a budget", file.display()))
}

/// Makes `counts` the budget.
pub(crate) fn write(file: &Path, counts: &Counts) -> Result<()> {
    let text = serde_json::to_string_pretty(counts)? + "\n";
    fs::write(file, text).with_context(|| format!("{} cannot be written", file.display()))
}

/// An operation's line in the table.
#[derive(Debug)]
pub(crate) struct Line<'a> {
    pub(crate) name: &'a str,
    pub(crate) budget: Option<u64>,
    pub(crate) measured: u64,
}

impl Line<'_> {
    /// Measured beyond the budget, in per cent of it; without one there is nothing to compare.
    fn change(&self) -> Option<f64> {
        let budget = self.budget.filter(|&budget| budget > 0)? as f64;
        Some((self.measured as f64 - budget) / budget * 100.0)
    }

    /// Whether the count is near its budget: below it as well, or the budget would soon hold nothing.
    pub(crate) fn holds(&self) -> bool {
        self.change().is_some_and(|change| change.abs() <= PER_CENT)
    }

    /// What stands above the lines.
    pub(crate) const HEAD: &'static str =
        "operation                                budget    measured    change";
}

impl Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let budget = self
            .budget
            .map_or_else(|| "none".to_owned(), |budget| budget.to_string());
        let change = self
            .change()
            .map_or_else(String::new, |change| format!("{change:+.1} %"));
        let verdict = if self.holds() { "" } else { "  <--" };
        write!(
            f,
            "{:<WIDTH$}{budget:>11}{:>12}{change:>10}{verdict}",
            self.name, self.measured
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(budget: Option<u64>, measured: u64) -> Line<'static> {
        Line {
            name: "cut",
            budget,
            measured,
        }
    }

    #[test]
    fn a_budget_holds_in_both_directions() {
        assert!(line(Some(1000), 1030).holds());
        assert!(line(Some(1000), 970).holds());
        assert!(!line(Some(1000), 1031).holds());
        assert!(!line(Some(1000), 969).holds());
        assert!(!line(None, 1000).holds());
        assert!(!line(Some(0), 1000).holds());
    }

    #[test]
    fn lines_stand_under_their_head() {
        assert_eq!(line(Some(1000), 1001).to_string().len(), Line::HEAD.len());
        assert!(line(None, 1001).to_string().contains("none"));
        assert!(line(Some(1000), 900).to_string().ends_with("-10.0 %  <--"));
    }
}
