//! Two reports side by side.

use std::fmt;

use super::metric::{Metric, Value};
use super::{Phase, Report};

/// What two reports both have.
pub(crate) struct Comparison {
    pub(super) rows: Vec<Row>,
    /// What makes the comparison doubtful.
    pub(super) warnings: Vec<String>,
}

/// One figure of both.
pub(super) struct Row {
    /// The phase, and the stream where there are several.
    pub(super) of: String,
    pub(super) name: &'static str,
    pub(super) a: Value,
    pub(super) b: Value,
}

impl Row {
    /// The second by the first; `None` where the first is nothing.
    pub(super) fn ratio(&self) -> Option<f64> {
        let (a, b) = (self.a.number(), self.b.number());
        (a.abs() > f64::EPSILON).then(|| b / a)
    }
}

impl Comparison {
    /// Compares phases and streams of the same name.
    pub(crate) fn new(a: &Report, b: &Report) -> Self {
        let mut rows = Vec::new();
        for phase in &a.phases {
            let same = b.phases.iter().find(|other| other.name == phase.name);
            rows.extend(same.into_iter().flat_map(|other| rows_of(phase, other)));
        }
        Self {
            rows,
            warnings: warnings(a, b),
        }
    }
}

fn rows_of(a: &Phase, b: &Phase) -> Vec<Row> {
    let mut rows = Vec::new();
    for stream in a.streams() {
        if let Some(same) = b.streams().find(|other| other.stream == stream.stream) {
            let of = match a.beside.is_empty() {
                true => a.name.clone(),
                false => format!("{} {}", a.name, stream.stream),
            };
            rows.extend(pairs(&of, stream.metrics(), &same.metrics()));
        }
    }
    rows.extend(pairs(&a.name, a.metrics(), &b.metrics()));
    rows
}

fn pairs(of: &str, a: Vec<Metric>, b: &[Metric]) -> impl Iterator<Item = Row> {
    a.into_iter().filter_map(move |metric| {
        let same = b.iter().find(|other| other.name == metric.name)?;
        Some(Row {
            of: of.to_owned(),
            name: metric.name,
            a: metric.value,
            b: same.value,
        })
    })
}

fn warnings(a: &Report, b: &Report) -> Vec<String> {
    let mut warnings = Vec::new();
    if a.scenario != b.scenario {
        warnings.push(format!("A is of {}, B of {}", a.scenario, b.scenario));
    }
    if a.title != b.title {
        warnings.push(format!(
            "A and B were asked for different things: {}; {}",
            a.title, b.title
        ));
    }
    for (name, report) in [("A", a), ("B", b)] {
        if !report.ok {
            warnings.push(format!("{name} has failed: {}", report.verified));
        }
        let own = report.warnings.iter();
        warnings.extend(own.map(|warning| format!("{name}: {warning}")));
    }
    warnings
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.rows.iter().map(|row| row.of.chars().count()).max();
        let width = width.unwrap_or_default().max(5);
        writeln!(
            f,
            "{:width$}  {:34}{:>12}{:>12}{:>9}",
            "phase", "", "A", "B", "B / A"
        )?;
        for row in &self.rows {
            let ratio = row
                .ratio()
                .map_or_else(String::new, |ratio| format!("{ratio:.2}"));
            let (a, b) = (row.a.to_string(), row.b.to_string());
            writeln!(f, "{:width$}  {:34}{a:>12}{b:>12}{ratio:>9}", row.of, row.name)?;
        }
        for warning in &self.warnings {
            writeln!(f, "warning  {warning}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Outcome, Stream};
    use crate::verify::Tally;

    fn report(per_second: f64, streams: &[&str]) -> Report {
        let mut report = Report::new("noisy", "1 -> 2".to_owned());
        let mut streams = streams.iter().map(|name| Stream {
            stream: (*name).to_owned(),
            unit: "calls".to_owned(),
            per_second,
            ..Stream::default()
        });
        report.push(Phase {
            name: "quiet".to_owned(),
            seconds: 1.0,
            main: streams.next().unwrap(),
            beside: streams.collect(),
            ..Phase::default()
        });
        report
    }

    #[test]
    fn ratios_are_of_the_same_figure() {
        let comparison = Comparison::new(&report(100.0, &["rpc", "x"]), &report(250.0, &["y", "rpc"]));
        let rates: Vec<_> = comparison.rows.iter().filter(|row| row.name == "rate").collect();
        assert_eq!(rates.len(), 1, "only rpc is in both");
        assert_eq!((rates[0].ratio(), &*rates[0].of), (Some(2.5), "quiet rpc"));
        assert!(comparison.to_string().contains("2.50"), "{comparison}");
    }

    #[test]
    fn nothing_is_no_divisor() {
        let comparison = Comparison::new(&report(0.0, &["rpc"]), &report(1.0, &["rpc"]));
        assert_eq!(comparison.rows[0].ratio(), None);
    }

    #[test]
    fn what_differs_or_failed_is_said() {
        let (a, mut b) = (report(1.0, &["rpc"]), report(1.0, &["rpc"]));
        assert!(Comparison::new(&a, &b).warnings.is_empty());
        b.title = "1 -> 3".to_owned();
        b.take_in(Outcome {
            tally: Tally {
                lost: 1,
                ..Tally::default()
            },
            failed: false,
            warnings: Vec::new(),
        });
        let warnings = Comparison::new(&a, &b).warnings.join("\n");
        assert!(
            warnings.contains("different things") && warnings.contains("1 lost"),
            "{warnings}"
        );
    }
}
