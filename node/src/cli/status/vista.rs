//! The line of the jobs that fetch points: how many do well, and why the others do not.

use super::{harmless, many, number, rows, text};
use serde_json::Value;
use std::fmt::Write as _;

/// Failing jobs that are named; the others are counted.
const NAMED: usize = 5;

/// Nothing where no job is configured.
pub(super) fn write(out: &mut String, status: &Value) -> std::fmt::Result {
    let jobs = rows(status, "/vista/jobs");
    if jobs.is_empty() {
        return Ok(());
    }
    let all = many(&number(Some(&jobs.len().into())), "job", "jobs");
    if status.pointer("/vista/enabled").and_then(Value::as_bool) != Some(true) {
        return writeln!(out, "vista          {all}, switched off: vista.enabled");
    }
    let failing = failing(status);
    if failing.is_empty() {
        return writeln!(out, "vista          {all}, none fails");
    }
    writeln!(out, "vista          {all}, {} FAILING: skyline vista status", failing.len())?;
    for (job, why) in failing.iter().take(NAMED) {
        writeln!(out, "  {job:<12} {why}")?;
    }
    Ok(())
}

/// Jobs whose last run failed, with the reason.
pub(in crate::cli) fn failing(status: &Value) -> Vec<(String, String)> {
    let fails = |job: &&Value| job.get("state").and_then(Value::as_str) == Some("failing");
    let words = |job: &Value| (text(job, "name"), harmless(&text(job, "last_error")));
    rows(status, "/vista/jobs").iter().filter(fails).map(words).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(vista: &Value, expected: &str) {
        let mut out = String::new();
        write(&mut out, &json!({ "vista": vista })).unwrap();
        assert_eq!(out, expected);
    }

    #[test]
    fn failing_jobs_are_named() {
        let good = json!({"name": "load", "state": "waiting", "last_error": "an old one"});
        let bad = json!({"name": "shop", "state": "failing", "last_error": "it answered 401"});
        check(&json!({"enabled": true, "jobs": []}), "");
        check(&json!({"enabled": true, "jobs": [good]}), "vista          1 job, none fails\n");
        check(
            &json!({"enabled": true, "jobs": [good, bad]}),
            "vista          2 jobs, 1 FAILING: skyline vista status\n  shop         it answered 401\n",
        );
        check(
            &json!({"enabled": false, "jobs": [good, bad]}),
            "vista          2 jobs, switched off: vista.enabled\n",
        );
    }
}
