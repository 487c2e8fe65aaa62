//! The report as one HTML page that needs nothing else: tables, and plots as SVG.

use std::fmt::Write;

use super::metric::Value;
use super::plot::{Chart, Line, Scale};
use super::{Comparison, Phase, Report, Stream};

/// One or two reports that are drawn into the same plots, each with what its lines' names begin with.
type Drawn<'a> = [(&'static str, &'a Report)];

/// The page of one run.
pub(crate) fn of_report(report: &Report) -> String {
    let mut body = format!(
        "<h1>Load test: {}</h1><p>{}</p>{}",
        escaped(&report.scenario),
        escaped(&report.title),
        about(report)
    );
    let mut alarms = report.warnings.clone();
    if !report.ok {
        alarms.insert(0, "FAILED: not all went as it should".to_owned());
    }
    body.push_str(&alarm(&alarms));
    let _ = write!(body, "<p>Verified: {}.</p>", report.verified);
    if let Some(slow) = report.slow_readers {
        let (tally, disconnected) = (slow.tally, slow.disconnected);
        let _ = write!(body, "<p>Slow readers: {tally}, {disconnected} disconnected.</p>");
    }
    body.push_str("<h2>Streams</h2>");
    body.push_str(&streams_table(report));
    let effects = effects_table(report);
    if !effects.is_empty() {
        body.push_str("<h2>What the quiet streams notice</h2>");
        body.push_str(&effects);
    }
    body.push_str("<h2>CPU and memory</h2>");
    body.push_str(&phases_table(report));
    body.push_str("<h2>Plots</h2>");
    body.push_str(&plots(&[("", report)]));
    page(&format!("loadtest: {}", report.scenario), &body)
}

/// The page of two runs.
pub(crate) fn of_comparison(comparison: &Comparison, a: &Report, b: &Report) -> String {
    let mut body = String::from("<h1>Load test, A and B</h1>");
    for (name, report) in [("A", a), ("B", b)] {
        let (scenario, title) = (escaped(&report.scenario), escaped(&report.title));
        let _ = write!(body, "<p><b>{name}</b> {scenario}: {title}</p>{}", about(report));
    }
    body.push_str(&alarm(&comparison.warnings));
    let rows = comparison.rows.iter().map(|row| {
        let ratio = row
            .ratio()
            .map_or_else(String::new, |ratio| format!("{ratio:.2}"));
        let of = [escaped(&row.of), row.name.to_owned()];
        [of.as_slice(), &[row.a.to_string(), row.b.to_string(), ratio]].concat()
    });
    body.push_str("<h2>Ratios</h2>");
    body.push_str(&table(&["phase", "figure", "A", "B", "B / A"], 2, rows));
    body.push_str("<h2>Plots</h2>");
    body.push_str(&plots(&[("A ", a), ("B ", b)]));
    page("loadtest: A and B", &body)
}

fn page(title: &str, body: &str) -> String {
    let style = include_str!("page.css");
    let title = escaped(title);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
         <style>\n{style}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )
}

fn about(report: &Report) -> String {
    let (url, serializers) = (escaped(&report.url), escaped(&report.serializers.join(", ")));
    let command = escaped(&report.command.join(" "));
    format!("<p class=\"faint\">{url} {serializers}<br><code>{command}</code></p>")
}

fn alarm(lines: &[String]) -> String {
    let paragraphs: String = lines
        .iter()
        .map(|line| format!("<p>{}</p>", escaped(line)))
        .collect();
    match lines.is_empty() {
        true => String::new(),
        false => format!("<div class=\"alarm\" role=\"alert\">{paragraphs}</div>"),
    }
}

/// Metrics of a stream that are columns of its table.
const TIMES: [&str; 6] = ["p50", "p90", "p99", "p99.9", "max", "sent late, p99"];

fn streams_table(report: &Report) -> String {
    let rows = report.phases.iter().flat_map(|phase| {
        let counted = phase.streams().filter(|stream| !stream.unit.is_empty());
        counted.map(|stream| {
            let count = format!("{} {}", stream.count, escaped(&stream.unit));
            let asked = stream.asked_per_second.map(Value::PerSecond);
            let mut row = vec![escaped(&phase.name), escaped(&stream.stream), count];
            row.push(Value::PerSecond(stream.per_second).to_string());
            row.push(asked.map_or_else(String::new, |asked| asked.to_string()));
            let metrics = stream.metrics();
            row.extend(TIMES.map(|name| {
                let found = metrics.iter().find(|metric| metric.name == name);
                found.map_or_else(String::new, |metric| metric.value.to_string())
            }));
            row
        })
    });
    let head = ["phase", "stream", "count", "rate", "asked for"];
    table(&[&head[..], &TIMES].concat(), 2, rows)
}

/// Empty where nothing is measured without and with something else.
fn effects_table(report: &Report) -> String {
    let effects = report.effects();
    if effects.is_empty() {
        return String::new();
    }
    let rows = effects.into_iter().map(|effect| {
        let more = effect.more.map(|(_, more)| more.with_sign());
        [[escaped(effect.stream)].as_slice(), &more].concat()
    });
    table(&["stream", "p50", "p99", "p99.9"], 1, rows)
}

fn phases_table(report: &Report) -> String {
    let rows = report.phases.iter().flat_map(|phase| {
        let metrics = phase.metrics().into_iter();
        metrics.map(|metric| {
            vec![
                escaped(&phase.name),
                metric.name.to_owned(),
                metric.value.to_string(),
            ]
        })
    });
    table(&["phase", "figure", "value"], 2, rows)
}

/// The first `words` columns are text.
fn table(head: &[&str], words: usize, rows: impl Iterator<Item = Vec<String>>) -> String {
    let line = |tag: &str, cells: &mut dyn Iterator<Item = &str>| {
        let cells = cells.enumerate().map(|(column, cell)| {
            let class = if column < words { " class=\"words\"" } else { "" };
            format!("<{tag}{class}>{cell}</{tag}>")
        });
        format!("<tr>{}</tr>", cells.collect::<String>())
    };
    let head = line("th", &mut head.iter().copied());
    let rows = rows.map(|row| line("td", &mut row.iter().map(String::as_str)));
    let body: String = rows.collect();
    format!("<div class=\"wide\"><table><thead>{head}</thead><tbody>{body}</tbody></table></div>")
}

fn plots(drawn: &Drawn<'_>) -> String {
    let mut streams: Vec<&str> = Vec::new();
    for (_, report) in drawn {
        for stream in report.phases.iter().flat_map(Phase::streams) {
            if !streams.contains(&&*stream.stream) {
                streams.push(&stream.stream);
            }
        }
    }
    let mut charts = Vec::new();
    for stream in streams {
        charts.push(latency_chart(drawn, stream));
        charts.push(rate_chart(drawn, stream));
    }
    charts.extend([message_cpu_chart(drawn), cpu_chart(drawn), memory_chart(drawn)]);
    let figures = charts
        .iter()
        .filter(|chart| !chart.lines.is_empty())
        .map(|chart| {
            let (title, svg, legend) = (escaped(&chart.title), chart.svg(), chart.legend());
            format!("<figure><h3>{title}</h3>{svg}{legend}</figure>")
        });
    format!("<div class=\"charts\">{}</div>", figures.collect::<String>())
}

/// Lines for all phases of all reports that `points` finds any points for. `kind` is what is behind the phase's
/// name, and which of so many kinds of lines in the chart this is: a phase has the same colour everywhere.
fn lines(
    drawn: &Drawn<'_>,
    (what, kind, kinds): (&str, usize, usize),
    points: impl Fn(&Phase) -> Option<Vec<(f64, f64)>>,
) -> Vec<Line> {
    let mut lines = Vec::new();
    for (number, (prefix, report)) in drawn.iter().enumerate() {
        for (place, phase) in report.phases.iter().enumerate() {
            if let Some(points) = points(phase).filter(|points| !points.is_empty()) {
                lines.push(Line {
                    name: format!("{prefix}{}{what}", phase.name),
                    colour: (place * kinds + kind) * drawn.len() + number,
                    dashed: number > 0,
                    points,
                });
            }
        }
    }
    lines
}

fn find<'a>(phase: &'a Phase, stream: &str) -> Option<&'a Stream> {
    phase.streams().find(|one| one.stream == stream)
}

fn latency_chart(drawn: &Drawn<'_>, stream: &str) -> Chart {
    Chart {
        title: format!("Latency of {stream}"),
        x: ("share of messages that were at least as fast", Scale::Nines),
        y: ("", Scale::LogMicros),
        lines: lines(drawn, ALONE, |phase| {
            Some(find(phase, stream)?.latency_curve.clone())
        }),
    }
}

fn rate_chart(drawn: &Drawn<'_>, stream: &str) -> Chart {
    let unit = |phase: &Phase| find(phase, stream).map(|found| found.unit.clone());
    let mut units = drawn
        .iter()
        .flat_map(|(_, report)| report.phases.iter().filter_map(unit));
    let unit = units.find(|unit| !unit.is_empty()).unwrap_or_default();
    Chart {
        title: format!("Throughput of {stream}: {unit} per second"),
        x: (SECONDS, Scale::Time),
        y: ("", Scale::Linear),
        lines: lines(drawn, ALONE, |phase| {
            let found = find(phase, stream).filter(|found| !found.unit.is_empty())?;
            Some(over_time(phase, &found.counts, |count, seconds| {
                *count as f64 / seconds
            }))
        }),
    }
}

/// The kind of the only lines in a chart.
const ALONE: (&str, usize, usize) = ("", 0, 1);

const SECONDS: &str = "seconds since the phase began";

/// `value` makes one of an interval's entry in `column` and its length in seconds.
fn over_time<T>(phase: &Phase, column: &[T], value: impl Fn(&T, f64) -> f64) -> Vec<(f64, f64)> {
    let ends = &phase.timeline.end_seconds;
    let begins = std::iter::once(&0.0).chain(ends);
    let intervals = ends.iter().zip(begins).zip(column);
    intervals
        .map(|((end, begin), entry)| (*end, value(entry, (end - begin).max(1e-9))))
        .collect()
}

fn message_cpu_chart(drawn: &Drawn<'_>) -> Chart {
    let each = |phase: &Phase, cpu_seconds: &[f64]| {
        phase.own_cpu_us_per_unit?;
        let intervals = phase
            .timeline
            .end_seconds
            .iter()
            .zip(cpu_seconds)
            .zip(&phase.main.counts);
        // Where nothing was counted, there is nothing to share the time.
        let counted = intervals.filter(|(_, count)| **count > 0);
        Some(
            counted
                .map(|((end, cpu), count)| (*end, cpu * 1e6 / *count as f64))
                .collect(),
        )
    };
    let router = |phase: &Phase| each(phase, &phase.timeline.router_cpu_seconds);
    let harness = |phase: &Phase| each(phase, &phase.timeline.own_cpu_seconds);
    cpu_lines(drawn, "CPU per message, in µs".to_owned(), router, harness)
}

fn cpu_chart(drawn: &Drawn<'_>) -> Chart {
    let share = |phase: &Phase, cpu_seconds: &[f64]| {
        over_time(phase, cpu_seconds, |cpu, seconds| cpu / seconds * 100.0)
    };
    let router = |phase: &Phase| Some(share(phase, &phase.timeline.router_cpu_seconds));
    let harness = |phase: &Phase| Some(share(phase, &phase.timeline.own_cpu_seconds));
    cpu_lines(drawn, "CPU, in % of a core".to_owned(), router, harness)
}

fn cpu_lines(
    drawn: &Drawn<'_>,
    title: String,
    router: impl Fn(&Phase) -> Option<Vec<(f64, f64)>>,
    harness: impl Fn(&Phase) -> Option<Vec<(f64, f64)>>,
) -> Chart {
    let mut both = lines(drawn, (", router", 0, 2), router);
    both.extend(lines(drawn, (", harness", 1, 2), harness));
    Chart {
        title,
        x: (SECONDS, Scale::Time),
        y: ("", Scale::Linear),
        lines: both,
    }
}

fn memory_chart(drawn: &Drawn<'_>) -> Chart {
    Chart {
        title: "Memory of the router, in MiB".to_owned(),
        x: (SECONDS, Scale::Time),
        y: ("", Scale::Linear),
        lines: lines(drawn, ALONE, |phase| {
            Some(over_time(phase, &phase.timeline.router_rss, |rss, _| {
                *rss as f64 / f64::from(1 << 20)
            }))
        }),
    }
}

/// Text that means nothing to HTML.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            char => out.push(char),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::latency::Latencies;
    use crate::report::Timeline;

    fn report() -> Report {
        let mut latencies = Latencies::new();
        latencies.record(5_000_000);
        let mut report = Report::new("rpc", "<1> & 2".to_owned());
        report.push(Phase {
            name: "measured".to_owned(),
            seconds: 1.0,
            own_busiest_share: 0.95,
            own_cpu_us_per_unit: Some(1.0),
            main: Stream {
                stream: "rpc".to_owned(),
                unit: "calls".to_owned(),
                latency: latencies.summary(),
                latency_curve: latencies.curve(),
                lag: latencies.summary(),
                counts: vec![1, 2],
                ..Stream::default()
            },
            timeline: Timeline {
                end_seconds: vec![0.5, 1.0],
                own_cpu_seconds: vec![0.1, 0.2],
                ..Timeline::default()
            },
            ..Phase::default()
        });
        report
    }

    #[test]
    fn a_page_needs_nothing_else_and_is_escaped() {
        let page = of_report(&report());
        assert!(page.contains("&lt;1&gt; &amp; 2") && !page.contains("<1>"));
        for outside in ["http:", "https:", "<script", "<link", "<img", "@import", "url("] {
            assert!(!page.contains(outside), "{outside}");
        }
    }

    #[test]
    fn a_busy_harness_is_shown_before_the_figures() {
        let page = of_report(&report());
        let (alarm, table) = (
            page.find("role=\"alert\"").unwrap(),
            page.find("<table>").unwrap(),
        );
        assert!(alarm < table && page.contains("95 % of a core"));
    }

    #[test]
    fn what_was_not_measured_leaves_its_cell_empty() {
        let mut late = report();
        let cells = |report: &Report| {
            let table = streams_table(report);
            let row = table.split("<tr>").nth(2).unwrap().to_owned();
            row.split("</td>").map(str::to_owned).collect::<Vec<_>>()
        };
        assert!(streams_table(&late).contains("<th>sent late, p99</th>"));
        assert_eq!(cells(&late)[7..=10], ["<td>5.00 ms"; 4]);
        late.phases[0].main.latency = None;
        assert_eq!(cells(&late)[7..=10], ["<td>", "<td>", "<td>", "<td>5.00 ms"]);
    }

    #[test]
    fn only_what_was_measured_is_drawn() {
        let page = of_report(&report());
        for drawn in ["Latency of rpc", "Throughput of rpc", "CPU per message"] {
            assert!(page.contains(&format!("<h3>{drawn}")), "{drawn}");
        }
        assert!(!page.contains("Memory of the router"), "there was no --pid");
    }

    #[test]
    fn no_two_lines_of_a_chart_look_alike() {
        let phases = |mut report: Report| {
            for name in ["stopped", "resumed"] {
                let timeline = report.phases[0].timeline.clone();
                report.phases.push(Phase {
                    name: name.to_owned(),
                    timeline: Timeline {
                        router_cpu_seconds: vec![0.1, 0.1],
                        ..timeline
                    },
                    ..Phase::default()
                });
            }
            report.phases[0].timeline.router_cpu_seconds = vec![0.1, 0.1];
            report
        };
        let (a, b) = (phases(report()), phases(report()));
        let legend = cpu_chart(&[("A ", &a), ("B ", &b)]).legend();
        let looks = legend.split("class=\"line ").skip(1);
        let looks: BTreeSet<_> = looks.filter_map(|entry| entry.split('"').next()).collect();
        assert_eq!(looks.len(), 12, "{legend}");
        for look in looks.iter().flat_map(|look| look.split(' ')) {
            assert!(
                include_str!("page.css").contains(&format!(".{look} {{")),
                "{look}"
            );
        }
    }

    #[test]
    fn both_runs_are_in_the_same_plots() {
        let (a, b) = (report(), report());
        let page = of_comparison(&Comparison::new(&a, &b), &a, &b);
        assert_eq!(page.matches("<h3>Latency of rpc").count(), 1);
        assert!(page.contains("A measured") && page.contains("B measured") && page.contains("dashed"));
        assert!(page.contains("<td>1.00</td>"));
        assert!(page.contains(">sent late, p99</td>"), "a row of the comparison");
    }
}
