//! A chart in words.

use super::legend::range;
use super::series::Series;
use super::text::{Face, shortened};
use super::{Chart, number, time};
use std::borrow::Cow;
use std::fmt::Write as _;

/// Room for the name of a metric: some hundred characters.
const NAME: f64 = 100.0 * 0.6;

/// The name of a chart's metric, shortened where it is very long.
pub(super) fn name<'a>(chart: &Chart<'a>) -> Cow<'a, str> {
    shortened(chart.metric, NAME, 1.0, Face::Regular)
}

/// What a chart shows, in sentences.
pub(super) fn describe(chart: &Chart<'_>) -> String {
    let zone = time::zone(chart.zone).unwrap_or(jiff::tz::TimeZone::UTC);
    let series = Series::of(chart.points, chart.from, chart.until);
    let name = name(chart);
    let when = |at: f64| time::full(at, &zone);
    let mut text = format!(
        "{name} from {} to {}, {}: ",
        when(chart.from),
        when(chart.until),
        shortened(chart.zone, NAME, 1.0, Face::Regular)
    );
    match series.figures {
        None => text.push_str("no points."),
        Some(figures) => {
            let mean = chart.average().unwrap_or(figures.mean);
            add(
                &mut text,
                format_args!("last {}, lowest {}", number(figures.last.value), number(figures.min.value)),
            );
            add(&mut text, format_args!(", highest {}, mean {}.", number(figures.max.value), number(mean)));
        }
    }
    if let Some((lower, upper)) = chart.range() {
        add(&mut text, format_args!(" Expected: {}.", range(lower, upper)));
    }
    if let Some((what, bound)) = chart.limit() {
        add(&mut text, format_args!(" Bound: {} {}.", super::printable(what), number(bound)));
    }
    if let Some((ts, value)) = chart.peak.filter(|(ts, value)| ts.is_finite() && value.is_finite()) {
        add(&mut text, format_args!(" Furthest from that: {} at {}.", number(value), when(ts)));
    }
    let count = chart.anomalous.iter().filter(|ts| (chart.from..=chart.until).contains(*ts)).count();
    match count {
        0 => {}
        1 => text.push_str(" 1 anomalous point."),
        count => add(&mut text, format_args!(" {count} anomalous points.")),
    }
    for (at, what) in [(chart.onset, "Began"), (chart.ended, "Over"), (chart.silent, "Silent since")] {
        if let Some(at) = at {
            add(&mut text, format_args!(" {what}: {}.", when(at)));
        }
    }
    match series.gaps().count() {
        0 => {}
        1 => text.push_str(" 1 time without data."),
        count => add(&mut text, format_args!(" {count} times without data.")),
    }
    text
}

fn add(text: &mut String, what: std::fmt::Arguments<'_>) {
    #[expect(clippy::let_underscore_must_use, reason = "writing to memory does not fail")]
    let _ = text.write_fmt(what);
}
