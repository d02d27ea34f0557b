//! What a render question is made of: times, slots, and the JSON of its answer.

use crate::case::{Outcome, field, flag, list, text};
use serde_json::Value;
use skyline_render_proxy::attime;
use skyline_render_proxy::consolidate::Consolidation;
use skyline_render_proxy::grid::{self, Archive, Layout};
use skyline_render_proxy::json::{Series, Wishes, render};
use std::collections::BTreeMap;

/// A whole number of a case.
fn whole(case: &Value, key: &str) -> i64 {
    case.get(key).and_then(Value::as_i64).unwrap_or(0)
}

fn value(value: &Value) -> Option<f64> {
    match value.as_str() {
        Some("inf" | "Infinity") => Some(f64::INFINITY),
        Some("-inf" | "-Infinity") => Some(f64::NEG_INFINITY),
        Some("nan" | "NaN") => Some(f64::NAN),
        _ => value.as_f64(),
    }
}

/// A time is the expected one, or refused where it should be.
pub(crate) fn time(case: &Value) -> Outcome {
    let zone = attime::zone(text(case, "tz")).ok_or_else(|| format!("no zone `{}`", text(case, "tz")))?;
    let want = case.get("want").and_then(Value::as_i64);
    let got = attime::parse(text(case, "text"), whole(case, "now"), &zone).ok();
    if got == want { Ok(()) } else { Err(format!("{:?}: {got:?}, not {want:?}", text(case, "text"))) }
}

/// Start, end, step and values are the expected ones.
pub(crate) fn fetch(case: &Value) -> Outcome {
    let pair = |v: &Value| Some((v.get(0)?.as_i64()?, v.get(1)?.as_i64()?));
    let archives: Vec<Archive> =
        list(case, "archives").iter().filter_map(pair).map(|(step, slots)| Archive { step, slots }).collect();
    let points = list(case, "points").iter().filter_map(|v| Some((v.get(0)?.as_i64()?, v.get(1)?.as_f64()?)));
    let method = text(case, "aggregationMethod");
    let layout = Layout {
        archives: &archives,
        consolidation: Consolidation::named(method).ok_or_else(|| format!("no method `{method}`"))?,
        least: field(case, "xFilesFactor"),
    };
    let want = case.get("want").filter(|want| !want.is_null());
    // Where whisper raises an error there is nothing to be given either.
    let got = grid::fetch(&layout, points, whole(case, "now"), whole(case, "from"), whole(case, "until"));
    let (got, want) = match (got.ok().flatten(), want) {
        (None, None) => return Ok(()),
        (Some(got), Some(want)) => (got, want),
        (got, _) => {
            let what = if got.is_some() { "slots, and none are due" } else { "no slots" };
            return Err(what.to_owned());
        }
    };
    let bounds = (whole(want, "start"), whole(want, "end"), whole(want, "step"));
    if (got.start, got.end, got.step) != bounds {
        return Err(format!("from {} to {} by {}, not {bounds:?}", got.start, got.end, got.step));
    }
    let values: Vec<Option<f64>> = list(want, "values").iter().map(value).collect();
    same_values(&got.values, &values)
}

fn same_values(got: &[Option<f64>], want: &[Option<f64>]) -> Outcome {
    if got.len() != want.len() {
        return Err(format!("{} values, not {}", got.len(), want.len()));
    }
    let differs = got.iter().zip(want).position(|pair| !is_same(*pair.0, *pair.1));
    differs.map_or(Ok(()), |i| Err(format!("value {i}: {:?}, not {:?}", got.get(i), want.get(i))))
}

fn is_same(got: Option<f64>, want: Option<f64>) -> bool {
    match (got, want) {
        (None, None) => true,
        (Some(a), Some(b)) => {
            a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-12 * a.abs().max(b.abs())
        }
        _ => false,
    }
}

/// The document is the expected one.
pub(crate) fn json(case: &Value) -> Outcome {
    let series = list(case, "series").iter().map(series).collect::<Result<Vec<_>, _>>()?;
    let request = case.get("request").unwrap_or(&Value::Null);
    let wishes = Wishes {
        max_points: u32::try_from(whole(request, "maxDataPoints")).unwrap_or(0),
        no_nulls: flag(request, "noNullPoints"),
    };
    let document = render(&series, wishes);
    // Readers take this for infinity; this one takes it for an error.
    let document = document.replace("1e9999", "\"inf\"").replace("-\"inf\"", "\"-inf\"");
    let got: Value = serde_json::from_str(&document).map_err(|error| format!("{error}: {document}"))?;
    let want = case.get("want").unwrap_or(&Value::Null);
    let (got, want) =
        (got.as_array().map_or(&[][..], Vec::as_slice), want.as_array().map_or(&[][..], Vec::as_slice));
    if got.len() != want.len() {
        return Err(format!("{} series, not {}", got.len(), want.len()));
    }
    for (got, want) in got.iter().zip(want) {
        if text(got, "target") != text(want, "target") || got.get("tags") != want.get("tags") {
            return Err(format!("{} with tags {:?}", text(got, "target"), got.get("tags")));
        }
        let times = |of: &Value| list(of, "datapoints").iter().map(|p| p.get(1).cloned()).collect::<Vec<_>>();
        if times(got) != times(want) {
            return Err(format!("{}: times {:?}, not {:?}", text(got, "target"), times(got), times(want)));
        }
        let values =
            |of: &Value| list(of, "datapoints").iter().map(|p| p.get(0).and_then(value)).collect::<Vec<_>>();
        same_values(&values(got), &values(want))?;
    }
    Ok(())
}

fn series(case: &Value) -> Result<Series, String> {
    let method = text(case, "consolidationFunc");
    let name = text(case, "name").to_owned();
    Ok(Series {
        tags: BTreeMap::from([("name".to_owned(), name.clone())]),
        name,
        start: whole(case, "start"),
        end: whole(case, "end"),
        step: whole(case, "step"),
        values: list(case, "values").iter().map(value).collect(),
        consolidation: Consolidation::named(method).ok_or_else(|| format!("no method `{method}`"))?,
        least: field(case, "xFilesFactor"),
    })
}
