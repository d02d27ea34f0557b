//! The functions that windows answer: those of our own links, and what panels put around a name.

use super::NotHere;
use crate::consolidate::Consolidation;
use crate::json::Series;
use crate::target::Argument;
use regex::Regex;

/// Longest regular expression, bytes.
const MAX_PATTERN: usize = 512;
/// Longest name that `aliasSub` makes, bytes: a group that is repeated makes it longer with each call.
const MAX_NAME: usize = 64 << 10;

/// Whether a function is one of these.
pub(super) fn is_known(function: &str) -> bool {
    ORDER.contains(&function)
}

const ORDER: [&str; 13] = [
    "absolute",
    "alias",
    "aliasByMetric",
    "aliasByNode",
    "aliasSub",
    "cactiStyle",
    "consolidateBy",
    "derivative",
    "group",
    "keepLastValue",
    "nonNegativeDerivative",
    "offset",
    "scale",
];

/// What a function makes of series. `rest`: its arguments behind them.
pub(super) fn apply(function: &str, series: Vec<Series>, rest: &[Argument]) -> Result<Vec<Series>, NotHere> {
    let bad = || NotHere::Argument(function.to_owned());
    let text = |i: usize| match rest.get(i) {
        Some(Argument::Text(text)) => Ok(text.as_str()),
        _ => Err(bad()),
    };
    let number = |i: usize| match rest.get(i) {
        Some(Argument::Number(n)) => Ok(*n),
        _ => Err(bad()),
    };
    match function {
        "alias" => {
            let name = text(0)?;
            Ok(renamed(series, |_| name.to_owned()))
        }
        "aliasByMetric" => {
            Ok(renamed(series, |s| inner(&s.name).rsplit('.').next().unwrap_or_default().to_owned()))
        }
        "aliasByNode" => {
            let nodes: Result<Vec<i64>, _> = (0..rest.len()).map(|i| number(i).map(|n| n as i64)).collect();
            let nodes = nodes?;
            Ok(renamed(series, |s| by_node(inner(&s.name), &nodes)))
        }
        "aliasSub" => alias_sub(series, text(0)?, text(1)?).ok_or_else(bad),
        "group" => Ok(series),
        "consolidateBy" => {
            let how = text(0)?;
            let consolidation = Consolidation::named(how).ok_or_else(bad)?;
            Ok(series
                .into_iter()
                .map(|mut s| {
                    s.name = format!("consolidateBy({},\"{how}\")", s.name);
                    s.consolidation = consolidation;
                    s
                })
                .collect())
        }
        "cactiStyle" => Ok(cacti_style(series)),
        "absolute" => Ok(mapped(series, |name| format!("absolute({name})"), f64::abs)),
        "scale" | "offset" => {
            let by = number(0)?;
            let is_scale = function == "scale";
            let name = |name: &str| format!("{function}({name},{by})");
            Ok(mapped(series, name, |v| if is_scale { v * by } else { v + by }))
        }
        "derivative" | "nonNegativeDerivative" => {
            let limit = match rest.first() {
                None | Some(Argument::None) => None,
                _ => Some(number(0)?),
            };
            Ok(series.into_iter().map(|s| derivative(s, function, limit)).collect())
        }
        "keepLastValue" => Ok(series.into_iter().map(keep_last).collect()),
        other => Err(NotHere::Function(other.to_owned())),
    }
}

fn renamed(series: Vec<Series>, name: impl Fn(&Series) -> String) -> Vec<Series> {
    series
        .into_iter()
        .map(|mut s| {
            s.name = name(&s);
            s
        })
        .collect()
}

fn mapped(series: Vec<Series>, name: impl Fn(&str) -> String, f: impl Fn(f64) -> f64) -> Vec<Series> {
    series
        .into_iter()
        .map(|mut s| {
            s.name = name(&s.name);
            s.values.iter_mut().for_each(|value| *value = value.map(&f));
            s
        })
        .collect()
}

/// The path within the calls around it.
fn inner(name: &str) -> &str {
    let behind = name.rsplit('(').next().unwrap_or(name);
    behind.split([',', ')']).next().unwrap_or(behind)
}

fn by_node(path: &str, nodes: &[i64]) -> String {
    let parts: Vec<&str> = path.split('.').collect();
    let pick = |node: &i64| {
        let place = if *node < 0 { parts.len() as i64 + node } else { *node };
        usize::try_from(place).ok().and_then(|i| parts.get(i)).copied()
    };
    nodes.iter().filter_map(pick).collect::<Vec<_>>().join(".")
}

fn alias_sub(series: Vec<Series>, pattern: &str, replacement: &str) -> Option<Vec<Series>> {
    if pattern.len() > MAX_PATTERN || replacement.len() > MAX_PATTERN {
        return None;
    }
    let pattern = regex::RegexBuilder::new(pattern).size_limit(1 << 20).build().ok()?;
    let replacement = python_replacement(replacement);
    series
        .into_iter()
        .map(|mut s| {
            s.name = replaced(&pattern, &s.name, &replacement);
            (s.name.len() <= MAX_NAME).then_some(s)
        })
        .collect()
}

fn replaced(pattern: &Regex, name: &str, replacement: &str) -> String {
    pattern.replace_all(name, replacement).into_owned()
}

/// `\1` of Python as `${1}`; a dollar is a dollar.
fn python_replacement(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '$' => out.push_str("$$"),
            '\\' => match rest.peek().copied() {
                Some(d) if d.is_ascii_digit() => {
                    rest.next();
                    out.push_str(&format!("${{{d}}}"));
                }
                Some('\\') => {
                    rest.next();
                    out.push('\\');
                }
                _ => out.push('\\'),
            },
            c => out.push(c),
        }
    }
    out
}

fn derivative(mut series: Series, function: &str, limit: Option<f64>) -> Series {
    let mut before: Option<f64> = None;
    let keeps_drops = function == "derivative";
    for value in &mut series.values {
        let now = *value;
        *value = match (before, now) {
            (Some(before), Some(now)) if keeps_drops || now >= before => Some(now - before),
            // The counter began anew behind its largest value.
            (Some(before), Some(now)) => limit.filter(|l| *l >= now).map(|l| l - before + now + 1.0),
            _ => None,
        };
        before = now;
    }
    series.name = format!("{function}({})", series.name);
    series
}

fn keep_last(mut series: Series) -> Series {
    let mut last = None;
    for value in &mut series.values {
        last = value.or(last);
        *value = last;
    }
    series.name = format!("keepLastValue({})", series.name);
    series
}

/// Names with the last, largest and smallest value, in columns.
fn cacti_style(series: Vec<Series>) -> Vec<Series> {
    let shown = |value: Option<f64>| value.map_or_else(|| "nan".to_owned(), |v| format!("{v:.2}"));
    let of = |s: &Series, how: Consolidation| shown(how.of(&s.values, 0.0));
    let kinds = [Consolidation::Last, Consolidation::Max, Consolidation::Min];
    let widths = kinds.map(|how| series.iter().map(|s| of(s, how).len()).max().unwrap_or(0) + 3);
    let longest = series.iter().map(|s| s.name.chars().count()).max().unwrap_or(0);
    let [last, max, min] = kinds;
    let [w_last, w_max, w_min] = widths;
    renamed(series, |s| {
        format!(
            "{:<longest$} Current:{:<w_last$} Max:{:<w_max$} Min:{:<w_min$} ",
            s.name,
            of(s, last),
            of(s, max),
            of(s, min)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(name: &str, values: &[Option<f64>]) -> Vec<Series> {
        vec![Series { name: name.into(), step: 60, values: values.to_vec(), ..Series::default() }]
    }

    #[test]
    fn names() {
        let check = |function: &str, rest: &[Argument], expected: &str| {
            let got = apply(function, one("scale(a.b.c,2)", &[Some(1.0)]), rest).unwrap();
            assert_eq!(got[0].name, expected, "{function}");
        };
        let text = |t: &str| Argument::Text(t.into());
        check("alias", &[text("x y")], "x y");
        check("aliasByMetric", &[], "c");
        check("aliasByNode", &[Argument::Number(0.0), Argument::Number(-1.0)], "a.c");
        check("aliasSub", &[text("(^.*$)"), text("\\1 A$")], "scale(a.b.c,2) A$");
        check("offset", &[Argument::Number(1.5)], "offset(scale(a.b.c,2),1.5)");
        check("cactiStyle", &[], "scale(a.b.c,2) Current:1.00    Max:1.00    Min:1.00    ");
        assert!(apply("aliasSub", one("a", &[]), &[text("("), text("")]).is_err());
        let repeated = "\\1".repeat(250);
        let long = |s| apply("aliasSub", s, &[text("(.*)"), text(&repeated)]);
        let once = long(one("abc", &[])).unwrap();
        assert_eq!(once[0].name.len(), 750);
        assert!(long(once).is_err(), "a name that grows with each call ends");
        assert!(apply("alias", one("a", &[]), &[]).is_err());
        assert!(apply("sumSeries", one("a", &[]), &[]).is_err());
    }

    #[test]
    fn values() {
        let check = |function: &str, rest: &[Argument], expected: &[Option<f64>]| {
            let got =
                apply(function, one("a", &[Some(1.0), Some(4.0), None, Some(2.0), Some(1.0)]), rest).unwrap();
            assert_eq!(got[0].values, expected, "{function}");
        };
        check("nonNegativeDerivative", &[], &[None, Some(3.0), None, None, None]);
        check("nonNegativeDerivative", &[Argument::Number(9.0)], &[None, Some(3.0), None, None, Some(9.0)]);
        check("derivative", &[], &[None, Some(3.0), None, None, Some(-1.0)]);
        check("scale", &[Argument::Number(2.0)], &[Some(2.0), Some(8.0), None, Some(4.0), Some(2.0)]);
        check("keepLastValue", &[], &[Some(1.0), Some(4.0), Some(4.0), Some(2.0), Some(1.0)]);
    }

    #[test]
    fn the_list_says_what_there_is() {
        for function in ORDER {
            let rest = [Argument::Text("sum".into()), Argument::Text("x".into())];
            let got = apply(function, Vec::new(), &rest);
            assert!(!matches!(got, Err(NotHere::Function(_))), "{function}");
        }
    }
}
