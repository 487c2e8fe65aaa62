//! Complaints about a configuration file, and how they are shown.

use std::fmt::{self, Display, Formatter};

use tracing::{error, warn};

use super::tree::Position;

/// How much a complaint matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// The configuration works, but something in it will not do what its author may expect.
    Warning,
}

/// One complaint: where, about which key, and what would be right.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Diagnostic {
    pub(crate) severity: Severity,
    pub(crate) at: Position,
    /// The key path, such as `workers[0].realms[1].name`; empty for the file as a whole.
    pub(crate) path: String,
    pub(crate) message: String,
}

/// All complaints about one file, in the order of the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    file: String,
    lines: Vec<String>,
    diagnostics: Vec<Diagnostic>,
}

impl Report {
    pub(crate) fn new(file: &str, text: &str, mut diagnostics: Vec<Diagnostic>) -> Self {
        diagnostics.sort_by_key(|diagnostic| diagnostic.at);
        Self {
            file: file.to_owned(),
            lines: text.lines().map(str::to_owned).collect(),
            diagnostics,
        }
    }

    /// The number of complaints of this severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.diagnostics
            .iter()
            .filter(|diagnostic| diagnostic.severity == severity)
            .count()
    }

    /// Logs each complaint.
    pub(crate) fn log(&self) {
        for diagnostic in &self.diagnostics {
            let headline = self.headline(diagnostic);
            match diagnostic.severity {
                Severity::Error => error!("{headline}"),
                Severity::Warning => warn!("{headline}"),
            }
        }
    }

    /// Each complaint on one line, `file:line:column: path: message`, without the quoted source.
    pub fn lines(&self) -> impl Iterator<Item = String> + '_ {
        self.diagnostics
            .iter()
            .map(|diagnostic| self.headline(diagnostic))
    }

    fn headline(&self, diagnostic: &Diagnostic) -> String {
        let Diagnostic {
            at, path, message, ..
        } = diagnostic;
        let separator = if path.is_empty() { "" } else { ": " };
        format!(
            "{}:{}:{}: {path}{separator}{message}",
            self.file, at.line, at.column
        )
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for diagnostic in &self.diagnostics {
            let severity = match diagnostic.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            };
            writeln!(f, "{severity}: {}", self.headline(diagnostic))?;
            if let Some(line) = self.lines.get(diagnostic.at.line - 1) {
                write_excerpt(f, line, diagnostic.at)?;
            }
        }
        Ok(())
    }
}

/// The line with a mark under the column; of a long line only the part around it.
fn write_excerpt(f: &mut Formatter<'_>, line: &str, at: Position) -> fmt::Result {
    const BEFORE: usize = 60;
    const WIDTH: usize = 100;
    let skipped = (at.column - 1).saturating_sub(BEFORE);
    // A tab is shown as one blank, so that the mark stands under its column.
    let shown: String = line
        .chars()
        .skip(skipped)
        .take(WIDTH)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let indent = shown
        .chars()
        .take_while(|c| *c == ' ')
        .count()
        .min(at.column - 1 - skipped);
    let shown: String = shown.chars().skip(indent).collect();
    let margin = at.line.to_string();
    writeln!(f, "  {margin} | {shown}")?;
    writeln!(
        f,
        "  {:margin$} | {:>mark$}",
        "",
        "^",
        margin = margin.len(),
        mark = at.column - skipped - indent
    )
}

/// The known word that `word` was most likely meant to be.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let simple = |text: &str| text.to_lowercase().replace('-', "_");
    let word = simple(word);
    let most_edits = (word.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|candidate| (edits(&word, &simple(candidate)), candidate))
        .filter(|(distance, _)| *distance <= most_edits)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// How many insertions, deletions, replacements and swaps of neighbours turn `from` into `to`.
fn edits(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=to.len()).collect()];
    for i in 1..=from.len() {
        let mut row = vec![i];
        for j in 1..=to.len() {
            let replace = rows[i - 1][j - 1] + usize::from(from[i - 1] != to[j - 1]);
            let mut best = replace.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[from.len()][to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_misses_are_recognised_and_others_are_not() {
        let known = ["port", "interface", "max_message_size", "uri"];
        for (word, expected) in [
            ("prot", Some("port")),
            ("Port", Some("port")),
            ("interfaces", Some("interface")),
            ("max-message-size", Some("max_message_size")),
            ("url", Some("uri")),
            ("colour", None),
            ("x", None),
        ] {
            assert_eq!(nearest(word, known), expected, "{word}");
        }
    }

    #[test]
    fn a_report_quotes_the_line_and_marks_the_column() {
        let complaint = |line, column, severity| Diagnostic {
            severity,
            at: Position { line, column },
            path: "a[0].port".to_owned(),
            message: "found null; expected a port".to_owned(),
        };
        let complaints = vec![
            complaint(2, 10, Severity::Warning),
            complaint(1, 1, Severity::Error),
        ];
        let report = Report::new("c.json", "{\n\t\"port\": null}", complaints);
        assert_eq!(
            report.to_string(),
            "error: c.json:1:1: a[0].port: found null; expected a port\n  1 | {\n    | ^\n\
             warning: c.json:2:10: a[0].port: found null; expected a port\n  2 | \"port\": null}\n    |         ^\n"
        );
        assert_eq!(
            (report.count(Severity::Error), report.count(Severity::Warning)),
            (1, 1)
        );
    }
}
