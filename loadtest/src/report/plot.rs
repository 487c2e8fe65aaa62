//! Line charts as SVG. Colours and fonts are the page's: everything has a class.

use std::fmt::Write;

use super::metric::short;

const WIDTH: f64 = 480.0;
const HEIGHT: f64 = 270.0;
const LEFT: f64 = 58.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 44.0;

/// How near the right edge of a chart a number has no room for its right half.
const EDGE: f64 = 12.0;

/// Colours that the page has for lines.
const COLOURS: usize = 8;

/// How values become places.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Scale {
    /// From 0 to a round number.
    Linear,
    /// From 0 to the last moment.
    Time,
    /// Microseconds, by decades.
    LogMicros,
    /// Quantiles from 0 to 1, by how little is left: 90 %, 99 % and 99.9 % are equally far apart.
    Nines,
}

/// One line, drawn through its points.
pub(super) struct Line {
    pub(super) name: String,
    /// Which of the page's colours, counted around; those of the second time around are dotted, too.
    pub(super) colour: usize,
    pub(super) dashed: bool,
    pub(super) points: Vec<(f64, f64)>,
}

/// A chart.
pub(super) struct Chart {
    pub(super) title: String,
    pub(super) x: (&'static str, Scale),
    pub(super) y: (&'static str, Scale),
    pub(super) lines: Vec<Line>,
}

/// A scale with its ends.
struct Axis {
    scale: Scale,
    from: f64,
    to: f64,
}

impl Axis {
    fn new(scale: Scale, values: impl Iterator<Item = f64>) -> Self {
        let places = values.map(|value| place(scale, value));
        let (mut from, mut to) = places
            .filter(|place| place.is_finite())
            .fold((f64::INFINITY, 0.0_f64), |(from, to), place| {
                (from.min(place), to.max(place))
            });
        match scale {
            Scale::Time => (from, to) = (0.0, to.max(1e-3)),
            // One line above the highest value.
            Scale::Linear => {
                from = 0.0;
                let step = step(to.max(1e-9));
                to = (to.max(1e-9) / step * 1.02).ceil() * step;
            }
            Scale::LogMicros => {
                from = if from.is_finite() { from.floor() } else { 0.0 };
                to = to.ceil().max(from + 1.0);
            }
            Scale::Nines => (from, to) = (0.0, to.max(1.0)),
        }
        Self { scale, from, to }
    }

    /// From 0 to 1.
    fn share(&self, value: f64) -> f64 {
        ((place(self.scale, value) - self.from) / (self.to - self.from)).clamp(0.0, 1.0)
    }

    /// Values to write at the axis, and what to write.
    fn ticks(&self) -> Vec<(f64, String)> {
        match self.scale {
            Scale::Linear | Scale::Time => {
                let step = step(self.to);
                let count = (self.to / step + 1e-6).floor() as u32;
                let values = (0..=count).map(|nth| f64::from(nth) * step);
                values.map(|value| (value, short(value))).collect()
            }
            Scale::LogMicros => {
                let decades = self.from as i32..=self.to as i32;
                decades
                    .map(|decade| (10_f64.powi(decade), decade_name(decade)))
                    .collect()
            }
            Scale::Nines => {
                // Where many have to share the width, not all are written.
                let (middle, every) = (self.to < 3.4, if self.to > 6.0 { 2 } else { 1 });
                let first = [(0.0, "0 %".to_owned()), (0.5, "50 %".to_owned())];
                let nines = (1..=self.to.floor() as i32).step_by(every).map(|nines| {
                    let decimals = (nines - 2).max(0) as usize;
                    let quantile = 1.0 - 10_f64.powi(-nines);
                    (quantile, format!("{:.decimals$} %", quantile * 100.0))
                });
                let first = first.into_iter().take(if middle { 2 } else { 1 });
                first.chain(nines).collect()
            }
        }
    }
}

fn place(scale: Scale, value: f64) -> f64 {
    match scale {
        Scale::Linear | Scale::Time => value,
        Scale::LogMicros => value.max(1e-3).log10(),
        // What is recorded as the last quantile ends the axis, wherever it is.
        Scale::Nines => -(1.0 - value).max(1e-12).log10(),
    }
}

/// 1, 2 or 5 times a power of ten, of which `to` has three to seven.
fn step(to: f64) -> f64 {
    let power = 10_f64.powf((to / 3.0).log10().floor());
    let factor = [5.0, 2.0].into_iter().find(|factor| factor * power * 3.0 <= to);
    factor.unwrap_or(1.0) * power
}

fn decade_name(decade: i32) -> String {
    match decade {
        ..0 => format!("{} ns", 10_f64.powi(decade + 3)),
        0..3 => format!("{} µs", 10_f64.powi(decade)),
        3..6 => format!("{} ms", 10_f64.powi(decade - 3)),
        _ => format!("{} s", 10_f64.powi(decade - 6)),
    }
}

impl Chart {
    /// The chart as an SVG element, without its title and legend.
    pub(super) fn svg(&self) -> String {
        let points = || self.lines.iter().flat_map(|line| &line.points);
        // The last quantile is 1, which has no place: the axis ends at the one before it.
        let shown = points()
            .map(|point| point.0)
            .filter(|x| self.x.1 != Scale::Nines || *x < 1.0);
        let x = Axis::new(self.x.1, shown);
        let y = Axis::new(self.y.1, points().map(|point| point.1));
        let mut out = format!(
            r#"<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{}">"#,
            super::html::escaped(&self.title)
        );
        // Writing to a String cannot fail.
        let _ = self.write_axes(&mut out, &x, &y);
        for line in &self.lines {
            let _ = line.write(&mut out, &x, &y);
        }
        out.push_str("</svg>");
        out
    }

    fn write_axes(&self, out: &mut String, x: &Axis, y: &Axis) -> std::fmt::Result {
        let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        for (value, name) in y.ticks() {
            let at = down(y.share(value));
            write!(out, r#"<path class="grid" d="M{LEFT} {at:.1}H{right}"/>"#)?;
            let (beside, below) = (LEFT - 6.0, at + 4.0);
            write!(
                out,
                r#"<text class="y" x="{beside}" y="{below:.1}">{name}</text>"#
            )?;
        }
        for (value, name) in x.ticks() {
            let at = across(x.share(value));
            write!(out, r#"<path class="grid" d="M{at:.1} {TOP}V{bottom}"/>"#)?;
            let below = bottom + 19.0;
            // In the middle below the edge, it would be cut off.
            let class = if at > right - EDGE { "x last" } else { "x" };
            let at = if at > right - EDGE { WIDTH } else { at };
            write!(
                out,
                r#"<text class="{class}" x="{at:.1}" y="{below}">{name}</text>"#
            )?;
        }
        write!(out, r#"<path class="axis" d="M{LEFT} {TOP}V{bottom}H{right}"/>"#)?;
        let (middle, lowest) = ((LEFT + right) / 2.0, HEIGHT - 5.0);
        write!(
            out,
            r#"<text class="x name" x="{middle}" y="{lowest}">{}</text>"#,
            self.x.0
        )
    }

    /// Which line is which, as an HTML list.
    pub(super) fn legend(&self) -> String {
        let entries = self.lines.iter().map(|line| {
            let class = line.class();
            format!(
                r#"<li><svg viewBox="0 0 24 8" aria-hidden="true"><path class="{class}" d="M0 4H24"/></svg>{}</li>"#,
                super::html::escaped(&line.name)
            )
        });
        format!("<ul class=\"legend\">{}</ul>", entries.collect::<String>())
    }
}

impl Line {
    fn class(&self) -> String {
        let again = self.colour / COLOURS % 2 == 1;
        let dash = match (self.dashed, again) {
            (false, false) => "",
            (true, false) => " dashed",
            (false, true) => " dotted",
            (true, true) => " dash-dotted",
        };
        format!("line c{}{dash}", self.colour % COLOURS)
    }

    fn write(&self, out: &mut String, x: &Axis, y: &Axis) -> std::fmt::Result {
        let class = self.class();
        write!(out, r#"<path class="{class}" d=""#)?;
        for (nth, point) in self.points.iter().enumerate() {
            let (across, down) = (across(x.share(point.0)), down(y.share(point.1)));
            write!(out, "{}{across:.1} {down:.1}", if nth == 0 { 'M' } else { 'L' })?;
        }
        out.push_str("\"/>");
        if let [only] = self.points[..] {
            let (across, down) = (across(x.share(only.0)), down(y.share(only.1)));
            write!(
                out,
                r#"<circle class="{class}" cx="{across:.1}" cy="{down:.1}" r="4"/>"#
            )?;
        }
        Ok(())
    }
}

fn across(share: f64) -> f64 {
    LEFT + share * (WIDTH - LEFT - RIGHT)
}

fn down(share: f64) -> f64 {
    TOP + (1.0 - share) * (HEIGHT - TOP - BOTTOM)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(axis: &Axis) -> Vec<String> {
        axis.ticks().into_iter().map(|(_, name)| name).collect()
    }

    #[test]
    fn linear_axes_end_above_the_highest_value() {
        let axis = Axis::new(Scale::Linear, [3.0, 47.0].into_iter());
        assert_eq!(names(&axis), ["0", "10", "20", "30", "40", "50"]);
        let axis = Axis::new(Scale::Linear, [100_000.0].into_iter());
        assert_eq!(names(&axis).last().map(String::as_str), Some("120.0k"));
        assert!(axis.share(100_000.0) < 1.0);
    }

    #[test]
    fn a_time_axis_ends_with_the_last_moment() {
        let axis = Axis::new(Scale::Time, [0.25, 5.01].into_iter());
        assert_eq!(names(&axis), ["0", "1", "2", "3", "4", "5"]);
        assert!(axis.share(5.01) > 0.999);
    }

    #[test]
    fn latencies_are_by_decades_and_quantiles_by_nines() {
        let axis = Axis::new(Scale::LogMicros, [12.0, 4500.0].into_iter());
        assert_eq!(names(&axis), ["10 µs", "100 µs", "1 ms", "10 ms"]);
        let axis = Axis::new(Scale::Nines, [0.5, 0.9995].into_iter());
        assert_eq!(names(&axis), ["0 %", "50 %", "90 %", "99 %", "99.9 %"]);
        assert!(axis.share(1.0) <= 1.0);
    }

    #[test]
    fn the_last_number_is_not_cut_off() {
        let svg = |last: f64| {
            let line = Line {
                name: "a".to_owned(),
                colour: 0,
                dashed: false,
                points: vec![(0.5, 12.0), (last, 15.0)],
            };
            let chart = Chart {
                title: "x".to_owned(),
                x: ("", Scale::Nines),
                y: ("", Scale::LogMicros),
                lines: vec![line],
            };
            chart.svg()
        };
        assert!(svg(0.9999).contains(r#"class="x last" x="480.0""#));
        assert!(!svg(0.9997).contains("last"));
    }

    #[test]
    fn nothing_and_one_point_can_be_drawn() {
        for values in [vec![], vec![0.0], vec![f64::NAN], vec![0.7]] {
            for scale in [Scale::Linear, Scale::Time, Scale::LogMicros, Scale::Nines] {
                let axis = Axis::new(scale, values.iter().copied());
                assert!(axis.to > axis.from, "{scale:?} {values:?}");
                assert!(axis.ticks().len() < 12);
            }
        }
        let chart = Chart {
            title: "x".to_owned(),
            x: ("s", Scale::Linear),
            y: ("n", Scale::Linear),
            lines: vec![Line {
                name: "<a>".to_owned(),
                colour: 11,
                dashed: true,
                points: vec![(1.0, 2.0)],
            }],
        };
        assert!(
            chart.svg().contains("<circle class=\"line c3 dash-dotted\""),
            "{}",
            chart.svg()
        );
        assert!(chart.legend().contains("&lt;a&gt;"));
    }
}
