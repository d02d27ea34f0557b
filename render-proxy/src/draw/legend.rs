//! Below a chart: what each line is, with its number, and the zone of the times.

use super::series::Series;
use super::text::{Face, printable, width};
use super::{Chart, number, time};
use jiff::tz::TimeZone;

/// The sign before a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    /// The line of the series.
    Series,
    /// A tick at the right edge.
    Extreme,
    /// The line of the mean.
    Mean,
    /// The range that is expected.
    Expected,
    /// A point that was called anomalous.
    Anomalous,
    /// The line of a bound.
    Bound,
}

/// A sign, a name and a number.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Item {
    /// Its sign.
    pub(super) sign: Sign,
    /// What it is.
    pub(super) name: String,
    /// How much.
    pub(super) value: String,
    /// Left end, pixels.
    pub(super) x: f64,
}

/// Rows of items.
#[derive(Debug)]
pub(super) struct Legend {
    /// From the top.
    pub(super) rows: Vec<Vec<Item>>,
    /// The day at the right end of the axis and the zone; it stands at the right end of the last row.
    pub(super) zone: String,
    /// Height of all rows, pixels.
    pub(super) height: f64,
    /// Height of one row.
    pub(super) row: f64,
}

/// Width of a sign with the air behind it, in units.
pub(super) const SIGN: f64 = 19.0;
/// Between two items.
const BETWEEN: f64 = 16.0;
/// Height of a row.
const ROW: f64 = 15.0;
/// Height of its text.
pub(super) const TEXT: f64 = 10.0;

impl Legend {
    /// Without the rows that do not fit into a height; the zone stays as long as there is a row.
    pub(super) fn at_most(mut self, height: f64) -> Self {
        let fitting = (height / self.row).clamp(0.0, 100.0) as usize;
        if self.rows.len() > fitting {
            let zone_row = self.rows.pop();
            self.rows.truncate(fitting.saturating_sub(1));
            self.rows.extend(zone_row.filter(|_| fitting > 0));
        }
        self.height = self.rows.len() as f64 * self.row;
        self
    }
}

/// The legend of a chart, `room` pixels wide.
pub(super) fn of(chart: &Chart<'_>, series: &Series, zone: &TimeZone, unit: f64, room: f64) -> Legend {
    let day = time::day(chart.until, zone);
    let zone = format!("{day}, {}", printable(chart.zone));
    let mut rows: Vec<Vec<Item>> = vec![Vec::new()];
    let mut x = 0.0;
    for (sign, name, value) in items(chart, series) {
        let wide = (SIGN + BETWEEN) * unit + text_width(&name, &value, unit);
        if x > 0.0 && x + wide - BETWEEN * unit > room {
            rows.push(Vec::new());
            x = 0.0;
        }
        if let Some(row) = rows.last_mut() {
            row.push(Item { sign, name, value, x });
        }
        x += wide;
    }
    if x > 0.0 && x + width(&zone, TEXT * unit, Face::Regular) > room {
        rows.push(Vec::new());
    }
    let row = ROW * unit;
    Legend { height: rows.len() as f64 * row, rows, zone, row }
}

/// Width of name and number, pixels.
fn text_width(name: &str, value: &str, unit: f64) -> f64 {
    width(name, TEXT * unit, Face::Regular) + width(value, TEXT * unit, Face::Bold) + 4.0 * unit
}

fn items(chart: &Chart<'_>, series: &Series) -> Vec<(Sign, String, String)> {
    let mut items = Vec::new();
    let mut add = |sign, name: &str, value: String| items.push((sign, name.to_owned(), value));
    if let Some(figures) = series.figures {
        add(Sign::Series, "last", number(figures.last.value));
        add(Sign::Extreme, "min", number(figures.min.value));
        add(Sign::Extreme, "max", number(figures.max.value));
        if chart.average().is_none() {
            add(Sign::Mean, "mean", number(figures.mean));
        }
    }
    if let Some(mean) = chart.average() {
        add(Sign::Mean, "mean", number(mean));
    }
    if let Some((lower, upper)) = chart.range() {
        add(Sign::Expected, "expected", range(lower, upper));
    }
    if let Some((what, bound)) = chart.limit() {
        add(Sign::Bound, &format!("bound: {}", printable(what)), number(bound));
    }
    let count = chart.anomalous.iter().filter(|ts| (chart.from..=chart.until).contains(*ts)).count();
    if count > 0 {
        add(Sign::Anomalous, "anomalous", count.to_string());
    }
    items
}

/// Two bounds in words.
pub(super) fn range(lower: f64, upper: f64) -> String {
    format!("{} to {}", number(lower), number(upper))
}
