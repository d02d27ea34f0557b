//! What a pattern finds among names: rows of paths, branches and metrics.

use crate::case::{Outcome, flag, list, text};
use serde_json::Value;
use skyline_render_proxy::nodes::Find;

/// Runs cases in turn; a row of names holds for those that follow it.
pub(crate) fn run(cases: &[Value]) -> Vec<Outcome> {
    let mut names: Vec<&str> = Vec::new();
    let mut outcomes = Vec::with_capacity(cases.len());
    for case in cases {
        if text(case, "kind") == "names" {
            names = list(case, "names").iter().filter_map(Value::as_str).collect();
            outcomes.push(if names.is_empty() { Err("no names".to_owned()) } else { Ok(()) });
        } else {
            outcomes.push(one(case, &names));
        }
    }
    outcomes
}

fn one(case: &Value, names: &[&str]) -> Outcome {
    let query = text(case, "query");
    let found = rows(query, names);
    // Any answer will do there.
    if flag(case, "free") {
        return Ok(());
    }
    let want = list(case, "want").iter().map(|row| {
        let path = row.get(0).and_then(Value::as_str).unwrap_or_default();
        (path.to_owned(), row.get(1).and_then(Value::as_bool).unwrap_or(false))
    });
    let want: Vec<_> = want.collect();
    if found == want { Ok(()) } else { Err(format!("{query}: {found:?}, not {want:?}")) }
}

/// Path and whether it is a metric, sorted.
fn rows(query: &str, names: &[&str]) -> Vec<(String, bool)> {
    let Some(find) = Find::new(query) else { return Vec::new() };
    let nodes = find.nodes(names.iter().copied());
    nodes.iter().flat_map(|(path, kinds)| kinds.rows().map(|leaf| (path.clone(), leaf))).collect()
}
