//! Verdicts: every algorithm on its own, the run with gates and consensus (as a plain function and in
//! the incremental form), Mirage, Boundary, counters, second order.

use crate::case::{Outcome, field, list, number, text};
use serde_json::Value;
use skyline_core::algorithm::{Algorithm, AlgorithmSet};
use skyline_core::point::Datapoint;
use skyline_detect::boundary::{self, Rule};
use skyline_detect::consensus::{self, Verdict};
use skyline_detect::counter;
use skyline_detect::gate::{self, Gate};
use skyline_detect::second_order::History;
use skyline_detect::settings::{Manner, Settings};
use skyline_detect::tracked::{Context, Judged, Tracked};
use skyline_detect::vote::{self, Scratch, Vote};
use skyline_store::view::WindowView;

/// The trimmer's grace beyond the full duration, seconds.
const GRACE: f64 = 600.0;

/// The shipped order of `MIRAGE_ALGORITHMS`.
const MIRAGE_ORDER: [Algorithm; 9] = [
    Algorithm::FirstHourAverage,
    Algorithm::MeanSubtractionCumulation,
    Algorithm::StddevFromAverage,
    Algorithm::StddevFromMovingAverage,
    Algorithm::LeastSquares,
    Algorithm::Grubbs,
    Algorithm::HistogramBins,
    Algorithm::MedianAbsoluteDeviation,
    Algorithm::KsTest,
];

/// Runs one case.
pub(crate) fn run(case: &Value) -> Outcome {
    let mut differences = Vec::new();
    match text(case, "kind") {
        "analyzer" | "mirage" => verdict(case, &mut differences),
        "boundary" => boundary_case(case, &mut differences),
        "derivative" => derivative(case, &mut differences),
        "second_order" => second_order(case, &mut differences),
        other => differences.push(format!("unknown kind `{other}`")),
    }
    if differences.is_empty() { Ok(()) } else { Err(differences.join("; ")) }
}

fn columns(series: Option<&Value>) -> (Vec<f64>, Vec<f64>) {
    let points = series.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    points.iter().map(|p| (p.get(0).map_or(f64::NAN, number), p.get(1).map_or(f64::NAN, number))).unzip()
}

fn tolerated(case: &Value, item: &str) -> bool {
    case.get("tolerate").and_then(|t| t.get(item)).is_some()
}

fn settings(case: &Value) -> Settings {
    let mut settings = Settings {
        full_duration: field(case, "full_duration"),
        manner: Manner::Reference,
        ..Settings::default()
    };
    if text(case, "kind") == "mirage" {
        settings.full_duration = field(case, "second_order_resolution_seconds");
    }
    let given = |key: &str| case.get("settings").and_then(|s| s.get(key));
    let whole = |key: &str| given(key).and_then(Value::as_u64).map(|n| n as u32);
    settings.consensus = whole("CONSENSUS").unwrap_or(settings.consensus);
    settings.min_points = whole("MIN_TOLERABLE_LENGTH").unwrap_or(settings.min_points);
    settings.boredom_points = whole("MAX_TOLERABLE_BOREDOM").unwrap_or(settings.boredom_points);
    settings.boredom_set_size = whole("BOREDOM_SET_SIZE").unwrap_or(settings.boredom_set_size);
    settings.stale_seconds = given("STALE_PERIOD").map_or(settings.stale_seconds, number);
    if let Some(names) = given("ALGORITHMS").and_then(Value::as_array) {
        settings.algorithms =
            names.iter().filter_map(|n| Algorithm::from_name(n.as_str()?)).collect::<AlgorithmSet>();
    }
    settings
}

/// What the reference's run came to: an exception's name, or whether it was anomalous.
fn expected_run(case: &Value) -> Option<String> {
    let run = case.get("expect")?.get("run")?;
    match run.get("exception").and_then(Value::as_str) {
        Some(exception) => Some(exception.to_owned()),
        None => run.get("anomalous").map(Value::to_string),
    }
}

const fn gate_name(gate: Gate) -> &'static str {
    match gate {
        Gate::TooShort => "TooShort",
        Gate::Stale => "Stale",
        Gate::Boring => "Boring",
    }
}

fn verdict(case: &Value, differences: &mut Vec<String>) {
    let (settings, now) = (settings(case), field(case, "now"));
    let (ts, values) = columns(case.get("series"));
    let derive = case.get("derive").is_some() && counter::is_monotonic(&values);
    let (mut rate_ts, mut rates) = (Vec::new(), Vec::new());
    if derive {
        counter::non_negative_derivative(WindowView::new(&ts, &values), &mut rate_ts, &mut rates);
    }
    let view = if derive { WindowView::new(&rate_ts, &rates) } else { WindowView::new(&ts, &values) };
    let mut scratch = Scratch::default();
    let expected = case.get("expect").and_then(|e| e.get("algorithms")).and_then(Value::as_object);
    for (name, want) in expected.into_iter().flatten() {
        let Some(algorithm) = Algorithm::from_name(name) else { continue };
        let got = vote::judge(algorithm, view, now, &settings, &mut scratch) == Vote::Yes;
        if !tolerated(case, name) && want.as_bool() != Some(got) {
            differences.push(format!("{name}: want {want}, got {got}"));
        }
    }
    let is_mirage = text(case, "kind") == "mirage";
    let gate = if is_mirage { None } else { gate::check(view, now, &settings) };
    let got = match gate {
        Some(gate) => gate_name(gate).to_owned(),
        None => {
            let whole = consensus::decide_all(view, now, &settings, &mut scratch);
            ensemble(case, &whole, &settings, is_mirage, differences);
            if is_mirage {
                whole.anomalous.to_string()
            } else {
                consensus::decide(view, now, &settings, &mut scratch).anomalous.to_string()
            }
        }
    };
    compare_run(case, "run", &got, differences);
    if !is_mirage && let Some(got) = incremental(case, &ts, &values, now, settings) {
        compare_run(case, "incremental run", &got, differences);
    }
}

/// The votes as the reference reports them, and the datapoint. (Where a vote may differ, those
/// that it did not run any more may be others too: such cases are left out.)
fn ensemble(
    case: &Value,
    whole: &Verdict,
    settings: &Settings,
    is_mirage: bool,
    differences: &mut Vec<String>,
) {
    let Some(run) = case.get("expect").and_then(|e| e.get("run")) else { return };
    let want: Vec<bool> = list(run, "ensemble").iter().map(|vote| vote.as_bool().unwrap_or(false)).collect();
    let tolerant = case.get("tolerate").and_then(Value::as_object).is_some_and(|t| !t.is_empty());
    if want.is_empty() || tolerant {
        return;
    }
    let given = |key: &str| case.get("settings").and_then(|s| s.get(key));
    let order: Vec<Algorithm> = match given("ALGORITHMS").and_then(Value::as_array) {
        Some(names) => names.iter().filter_map(|n| Algorithm::from_name(n.as_str()?)).collect(),
        None if is_mirage => MIRAGE_ORDER.to_vec(),
        None => Algorithm::ALL.to_vec(),
    };
    let runs_all = is_mirage || given("RUN_OPTIMIZED_WORKFLOW") == Some(&Value::Bool(false));
    // With no vote needed nothing is ever out of reach.
    let got = whole.ensemble_as_reference(&order, if runs_all { 0 } else { settings.consensus });
    if got != want {
        differences.push(format!("ensemble: want {want:?}, got {got:?}"));
    }
    let datapoint = run.get("datapoint").map_or(f64::NAN, number);
    if !datapoint.is_nan() && datapoint != whole.datapoint {
        differences.push(format!("datapoint: want {datapoint}, got {}", whole.datapoint));
    }
}

fn compare_run(case: &Value, item: &str, got: &str, differences: &mut Vec<String>) {
    if let Some(want) = expected_run(case)
        && want != got
        && !tolerated(case, "run")
    {
        differences.push(format!("{item}: want {want}, got {got}"));
    }
}

/// The same run point by point through the state that a shard keeps, if the series is one that a
/// window can hold: ascending, finite, not older than the window.
fn incremental(case: &Value, ts: &[f64], values: &[f64], now: f64, settings: Settings) -> Option<String> {
    let oldest = now - settings.full_duration - GRACE;
    let ascending = ts.iter().zip(ts.iter().skip(1)).all(|(a, b)| a < b);
    let (last, earlier) = ts.split_last()?;
    if !ascending || !values.iter().all(|v| v.is_finite()) || ts.first().is_some_and(|t| *t <= oldest) {
        return None;
    }
    let mut context = Context::new(settings, GRACE);
    let mut tracked = Tracked::new("case", 0, 0, case.get("derive").is_none());
    for (ts, value) in earlier.iter().zip(values) {
        // Each at its own time, so that the first hour and the edges move as they do in service.
        tracked.observe(Datapoint::new(*ts, *value), ts.min(now), true, &mut context);
    }
    let value = values.last().copied()?;
    let (_, judged) = tracked.observe(Datapoint::new(*last, value), now, true, &mut context);
    Some(match judged {
        Judged::Gated(gate) => gate_name(gate).to_owned(),
        Judged::Verdict(findings) => findings.anomalous.to_string(),
        // A reset of a counter is not judged on purpose.
        Judged::Reset | Judged::No => return None,
    })
}

fn boundary_case(case: &Value, differences: &mut Vec<String>) {
    let Some(rule) = case.get("boundary") else { return };
    let trigger = field(rule, "trigger");
    let parsed = match text(rule, "algorithm") {
        "less_than" => Rule::LessThan(trigger),
        "greater_than" => Rule::GreaterThan(trigger),
        _ => Rule::DropOffCliff {
            min_average: field(rule, "min_average"),
            min_average_seconds: field(rule, "min_average_seconds"),
        },
    };
    let (mut ts, mut values) = columns(case.get("series"));
    let seconds = field(rule, "autoaggregate_seconds");
    if seconds > 0.0 {
        match boundary::aggregate(WindowView::new(&ts, &values), seconds) {
            Some(aggregated) => (ts, values) = aggregated,
            None => return compare_run(case, "run", "TooShort", differences),
        }
        let (want_ts, want_values) = columns(case.get("expect").and_then(|e| e.get("aggregated")));
        if !want_ts.is_empty() && (want_ts != ts || want_values != values) {
            differences.push("aggregated series differs".to_owned());
        }
    }
    let view = WindowView::new(&ts, &values);
    let got = match boundary::judge(view, parsed, field(case, "now"), &settings(case)) {
        boundary::Outcome::Anomalous => "true".to_owned(),
        boundary::Outcome::Normal => "false".to_owned(),
        boundary::Outcome::Gated(gate) => gate_name(gate).to_owned(),
    };
    compare_run(case, "run", &got, differences);
}

fn derivative(case: &Value, differences: &mut Vec<String>) {
    let (ts, values) = columns(case.get("series"));
    let want = case.get("expect").and_then(|e| e.get("monotonic")).and_then(Value::as_bool);
    let got = counter::is_monotonic(&values);
    if want != Some(got) && !tolerated(case, "run") {
        differences.push(format!("monotonic: want {want:?}, got {got}"));
    }
    let (mut got_ts, mut got_values) = (Vec::new(), Vec::new());
    counter::non_negative_derivative(WindowView::new(&ts, &values), &mut got_ts, &mut got_values);
    let (want_ts, want_values) = columns(case.get("expect").and_then(|e| e.get("derivative")));
    if (got_ts, got_values) != (want_ts, want_values) && !tolerated(case, "run") {
        differences.push("derivative differs".to_owned());
    }
}

fn second_order(case: &Value, differences: &mut Vec<String>) {
    let (at, values) = columns(case.get("triggers"));
    let mut history = History::default();
    let got: Vec<bool> =
        at.iter().zip(&values).map(|(at, value)| history.surfaces(*at, *value, Manner::Reference)).collect();
    let want: Vec<bool> = case
        .get("expect")
        .and_then(|e| e.get("surfaced"))
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_bool)
        .collect();
    if got != want && !tolerated(case, "run") {
        differences.push(format!("surfaced: want {want:?}, got {got:?}"));
    }
}

#[cfg(test)]
mod tests;
