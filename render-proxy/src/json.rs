//! The JSON of `/render`.

use crate::consolidate::Consolidation;
use crate::float;
use std::collections::BTreeMap;

/// A series as it is given.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Series {
    /// What it is called.
    pub name: String,
    /// Its tags, `name` among them.
    pub tags: BTreeMap<String, String>,
    /// Time of the first value, seconds.
    pub start: i64,
    /// Behind the last one.
    pub end: i64,
    /// Between two values; at least 1.
    pub step: i64,
    /// The values.
    pub values: Vec<Option<f64>>,
    /// How several values become one where there are too many.
    pub consolidation: Consolidation,
    /// Share of values that must be there for that.
    pub least: f64,
}

/// What a question wants of the JSON.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wishes {
    /// `maxDataPoints`: each series has so many points at most; 0: no bound.
    pub max_points: u32,
    /// `noNullPoints`: missing values are left out, and series left empty by that.
    pub no_nulls: bool,
}

/// The list of series.
#[must_use]
pub fn render(series: &[Series], wishes: Wishes) -> String {
    let span = series.iter().map(|s| s.start).min().zip(series.iter().map(|s| s.end).max());
    let mut out = String::from("[");
    for one in series {
        let points = points(one, wishes.max_points, span.map_or(0, |(start, end)| end - start));
        let points: Vec<_> = if wishes.no_nulls {
            points.into_iter().filter(|(_, value)| value.is_some_and(|v| !v.is_nan())).collect()
        } else {
            points
        };
        if wishes.no_nulls && points.is_empty() {
            continue;
        }
        if out.len() > 1 {
            out.push_str(", ");
        }
        append(&mut out, one, &points);
    }
    out.push(']');
    out
}

/// JSON in a call of `function`, for scripts of other pages; none if it cannot be a function's name.
#[must_use]
pub fn wrapped(json: &str, function: &str) -> Option<String> {
    let is_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'$' | b'.');
    let is_good = !function.is_empty() && function.len() <= 128 && function.bytes().all(is_name);
    is_good.then(|| format!("{function}({json})"))
}

fn append(out: &mut String, series: &Series, points: &[(i64, Option<f64>)]) {
    out.push_str("{\"target\": ");
    text(out, &series.name);
    out.push_str(", \"tags\": {");
    for (i, (tag, value)) in series.tags.iter().enumerate() {
        out.push_str(if i > 0 { ", " } else { "" });
        text(out, tag);
        out.push_str(": ");
        text(out, value);
    }
    out.push_str("}, \"datapoints\": [");
    for (i, (time, value)) in points.iter().enumerate() {
        out.push_str(if i > 0 { ", [" } else { "[" });
        float::append(out, value.unwrap_or(f64::NAN));
        out.push_str(&format!(", {time}]"));
    }
    out.push_str("]}");
}

/// A text in ASCII: other characters are written by their numbers.
fn text(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            ' '..='~' => out.push(c),
            _ => {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    out.push('"');
}

/// Times and values, no more than `most` of them. `span`: seconds that all series of the answer cover.
fn points(series: &Series, most: u32, span: i64) -> Vec<(i64, Option<f64>)> {
    let step = series.step.max(1);
    let at = |start: i64, step: i64| move |(i, value): (usize, Option<f64>)| (start + i as i64 * step, value);
    let all =
        |values: Vec<Option<f64>>, start, step| values.into_iter().enumerate().map(at(start, step)).collect();
    let most = i64::from(most);
    if most == 1 {
        let one = series.consolidation.of(&series.values, series.least);
        return if series.values.is_empty() { Vec::new() } else { vec![(series.start, one)] };
    }
    let wanted = span / step;
    if most == 0 || most >= wanted {
        return all(series.values.clone(), series.start, step);
    }
    // Groups begin at multiples of their length, so that they stay the same while time goes on.
    let group = (wanted as f64 / most as f64).ceil() as i64;
    let long = group.saturating_mul(step);
    let nudge = long + series.start.rem_euclid(step) - series.start.rem_euclid(long);
    let dropped = usize::try_from(nudge / step - 1).unwrap_or(0);
    let kept = series.values.get(dropped..).unwrap_or_default();
    let group = usize::try_from(group).unwrap_or(1).max(1);
    let grouped =
        kept.chunks(group).map(|values| series.consolidation.of_group(values, group, series.least)).collect();
    all(grouped, series.start + nudge, long)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn series(values: &[Option<f64>]) -> Series {
        Series {
            name: "a.\"é😀".into(),
            tags: BTreeMap::from([("name".into(), "a\n".into())]),
            start: 60,
            end: 60 + 60 * values.len() as i64,
            step: 60,
            values: values.to_vec(),
            ..Series::default()
        }
    }

    #[test]
    fn documents() {
        let one = series(&[Some(1.0), None, Some(f64::INFINITY)]);
        let expected = "[{\"target\": \"a.\\\"\\u00e9\\ud83d\\ude00\", \"tags\": {\"name\": \"a\\n\"}, \
                        \"datapoints\": [[1.0, 60], [null, 120], [1e9999, 180]]}]";
        assert_eq!(render(std::slice::from_ref(&one), Wishes::default()), expected);
        let no_nulls = Wishes { no_nulls: true, ..Wishes::default() };
        assert!(!render(std::slice::from_ref(&one), no_nulls).contains("null"));
        assert_eq!(render(&[series(&[None])], no_nulls), "[]");
        assert_eq!(render(&[], Wishes::default()), "[]");
    }

    #[test]
    fn names_of_functions() {
        assert_eq!(wrapped("[]", "a.b$1").as_deref(), Some("a.b$1([])"));
        for name in ["", "alert(1);x", "a b", "<script>"] {
            assert_eq!(wrapped("[]", name), None, "{name}");
        }
    }

    proptest! {
        #[test]
        fn it_is_json_with_few_enough_points(
            values in proptest::collection::vec(proptest::option::of(-1e9..1e9), 0..200),
            most in 0_u32..50,
            name in "\\PC{0,20}",
        ) {
            let mut one = series(&values);
            one.name = name.clone();
            let text = render(&[one], Wishes { max_points: most, no_nulls: false });
            let json: serde_json::Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(json[0]["target"].as_str().unwrap(), name);
            let n = json[0]["datapoints"].as_array().unwrap().len();
            prop_assert!(most == 0 || n <= most as usize + 1, "{n}");
        }
    }
}
