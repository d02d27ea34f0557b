//! Figures in Prometheus' text format, version 0.0.4.

use skyline_core::figure::{Figure, Kind};
use std::collections::HashSet;
use std::fmt::Write as _;

/// The figures, those of one name together under one HELP and TYPE; names sorted, the figures of a name
/// in the order given. Of two with the same name and labels the first counts: a scraper would refuse
/// the whole answer otherwise.
#[must_use]
pub fn text(figures: &[Figure]) -> String {
    let mut sorted: Vec<_> = figures.iter().collect();
    sorted.sort_by_key(|figure| figure.name);
    let mut out = String::with_capacity(figures.len() * 96);
    let mut name = "";
    let mut seen = HashSet::new();
    for figure in sorted {
        if figure.name != name {
            name = figure.name;
            seen.clear();
            head(&mut out, figure);
        }
        let labels = labels(figure);
        let line = format!("{}{labels} {}\n", figure.name, value(figure.value));
        if seen.insert(labels) {
            out.push_str(&line);
        }
    }
    out
}

fn head(out: &mut String, figure: &Figure) {
    let kind = match figure.kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
    };
    let help = figure.help.replace('\\', "\\\\").replace('\n', "\\n");
    // Writing to a string cannot fail.
    let _written = write!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n", name = figure.name);
}

fn labels(figure: &Figure) -> String {
    if figure.labels.is_empty() {
        return String::new();
    }
    let pairs: Vec<_> =
        figure.labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escape(value))).collect();
    format!("{{{}}}", pairs.join(","))
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn value(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf".to_owned() } else { "-Inf".to_owned() }
    } else {
        value.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(figures: &[Figure], expected: &str) {
        assert_eq!(text(figures), expected);
    }

    #[test]
    fn one_head_for_a_name() {
        let a = Figure::counter("a_total", "All a.", 1);
        let b = Figure::gauge("b", "Some b.", 0.25);
        check(
            &[b, a.clone().label("kind", "x"), a.label("kind", "y")],
            "# HELP a_total All a.\n# TYPE a_total counter\na_total{kind=\"x\"} 1\na_total{kind=\"y\"} 1\n\
             # HELP b Some b.\n# TYPE b gauge\nb 0.25\n",
        );
        check(&[], "");
    }

    #[test]
    fn text_cannot_leave_its_place() {
        let hostile = Figure::gauge("a", "A \\ and\na line.", 1.0).label("to", "x\"} 9\nb{c=\"\\");
        check(
            &[hostile],
            "# HELP a A \\\\ and\\na line.\n# TYPE a gauge\na{to=\"x\\\"} 9\\nb{c=\\\"\\\\\"} 1\n",
        );
    }

    #[test]
    fn values() {
        let check = |n, expected| assert_eq!(value(n), expected);
        check(0.0, "0");
        check(1e21, "1000000000000000000000");
        check(f64::NAN, "NaN");
        check(f64::INFINITY, "+Inf");
        check(f64::NEG_INFINITY, "-Inf");
    }

    #[test]
    fn a_repeated_sample_counts_once() {
        let of = |n| Figure::gauge("a", "A.", n).label("k", "v");
        check(&[of(1.0), of(2.0)], "# HELP a A.\n# TYPE a gauge\na{k=\"v\"} 1\n");
    }
}
