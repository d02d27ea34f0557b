//! Cases of our own: right expectations pass, wrong ones are told unless tolerated.

use super::*;
use serde_json::json;

#[track_caller]
fn check(case: Value, expected: Result<(), &str>) {
    let got = run(&case);
    match expected {
        Ok(()) => assert_eq!(got, Ok(()), "{case}"),
        Err(part) => assert!(got.clone().is_err_and(|error| error.contains(part)), "{case} {got:?}"),
    }
}

/// Five hours of minutes; the last three values are `last`.
fn series(last: f64) -> Value {
    let value = |i: u32| if i >= 297 { last } else { f64::from(i % 10) };
    (0..300).map(|i| json!([1_700_000_000 + 60 * i, value(i)])).collect()
}

fn analyzer(last: f64, expect: Value, tolerate: Value) -> Value {
    json!({
        "id": "x", "kind": "analyzer", "series": series(last), "now": 1_700_017_945,
        "full_duration": 18_000, "expect": expect, "tolerate": tolerate,
    })
}

#[test]
fn verdicts() {
    let quiet = json!({"exception": null, "anomalous": false, "ensemble": vec![false; 9], "datapoint": 9.0});
    check(analyzer(9.0, json!({"algorithms": {"grubbs": false}, "run": quiet}), json!({})), Ok(()));
    check(
        analyzer(9.0, json!({"algorithms": {"grubbs": true}}), json!({})),
        Err("grubbs: want true, got false"),
    );
    check(analyzer(9.0, json!({"algorithms": {"grubbs": null}}), json!({"grubbs": "error"})), Ok(()));
    let loud = json!({"exception": null, "anomalous": true});
    check(analyzer(90.0, json!({"run": loud}), json!({})), Ok(()));
    check(analyzer(9.0, json!({"run": loud}), json!({})), Err("run: want true, got false"));
    check(analyzer(9.0, json!({"run": loud}), json!({"run": "tie"})), Ok(()));
    let other = json!({"exception": null, "anomalous": false, "ensemble": vec![true; 9], "datapoint": 8.0});
    check(analyzer(9.0, json!({"run": other}), json!({})), Err("ensemble: want"));
    check(analyzer(9.0, json!({"run": other}), json!({})), Err("datapoint: want 8, got 9"));
    check(analyzer(9.0, json!({"run": {"exception": "Stale"}}), json!({})), Err("want Stale, got false"));
    // The node's own form says the same.
    check(
        analyzer(9.0, json!({"run": {"exception": "Stale"}}), json!({})),
        Err("incremental run: want Stale"),
    );
}

#[test]
fn rules_and_counters() {
    let rule = |trigger: f64, anomalous: bool| {
        json!({
            "kind": "boundary", "series": series(9.0), "now": 1_700_017_945, "tolerate": {},
            "boundary": {"algorithm": "less_than", "trigger": trigger},
            "expect": {"run": {"exception": null, "anomalous": anomalous}},
        })
    };
    check(rule(10.0, true), Ok(()));
    check(rule(9.0, true), Err("run: want true, got false"));
    let derivative = |monotonic: bool, last: f64| {
        json!({
            "kind": "derivative", "series": [[1, 5], [2, 7], [3, null], [4, 8], [5, 9]], "tolerate": {},
            "expect": {"monotonic": monotonic, "derivative": [[2, 2], [5, last]]},
        })
    };
    check(derivative(false, 1.0), Ok(()));
    check(derivative(true, 1.0), Err("monotonic"));
    check(derivative(false, 2.0), Err("derivative differs"));
    let triggers = |surfaced: Value| json!({"kind": "second_order", "triggers": [[0, 1], [60, 1]], "expect": {"surfaced": surfaced}});
    check(triggers(json!([true, false])), Ok(()));
    check(triggers(json!([true, true])), Err("surfaced"));
    check(json!({"kind": "odd"}), Err("unknown kind `odd`"));
}
