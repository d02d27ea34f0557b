//! `/metrics/find` out of the windows' names, for pages that are browsed while Graphite is away.

use crate::local::{Answer, Local, NotHere};
use crate::nodes::{Find, Kinds, Nodes};
use crate::params::Params;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Nodes of one answer at most, however many names lead to them.
const MOST: usize = 100_000;

/// The answer in `treejson`, `json` or `completer`, when it is `now`, seconds.
///
/// # Errors
/// No pattern, another format, more nodes than are listed, or windows that do not answer.
pub(super) async fn answer(local: &Local, params: &Params, now: i64) -> Result<Answer, NotHere> {
    let missing = || NotHere::Argument("find".into());
    let query = params.one("query").filter(|query| !query.is_empty()).ok_or_else(missing)?;
    let format = params.one("format").unwrap_or("treejson");
    let query =
        if format == "completer" { format!("{}*", query.replace("..", "*.")) } else { query.to_owned() };
    let find = Arc::new(Find::new(&query).ok_or(NotHere::TooMany)?);
    let nodes = local.nodes(&find, MOST).await?;
    let body = match format {
        "treejson" => tree(&nodes, &query, params.one("wildcards") == Some("1")),
        "json" => rows(&nodes, local.interval(now)),
        "completer" => json!({ "metrics": nodes.iter().flat_map(|(path, kinds)| {
            kinds.rows().map(|leaf| json!({
                "path": if leaf { path.clone() } else { format!("{path}.") },
                "name": last(path),
                "is_leaf": if leaf { "1" } else { "0" },
            })).collect::<Vec<_>>()
        }).collect::<Vec<_>>() }),
        other => return Err(NotHere::Function(other.chars().take(20).collect())),
    };
    Ok(Answer { content_type: "application/json", body: body.to_string().into() })
}

fn last(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

/// Rows by path; those of metrics say from when to when there may be points, `interval`.
fn rows(nodes: &Nodes, (start, end): (i64, i64)) -> Value {
    let row = |path: &str, leaf: bool| {
        if leaf {
            json!({ "path": path, "is_leaf": true, "intervals": [{ "start": start, "end": end }] })
        } else {
            json!({ "path": path, "is_leaf": false })
        }
    };
    nodes.iter().flat_map(|(path, kinds)| kinds.rows().map(move |leaf| row(path, leaf))).collect()
}

/// Rows by the last part of their paths, branches first; `wildcard`: several have a `*` before them, for all.
fn tree(nodes: &Nodes, query: &str, wildcard: bool) -> Value {
    let base = query.rsplit_once('.').map(|(base, _)| format!("{base}.")).unwrap_or_default();
    let mut texts: BTreeMap<&str, Kinds> = BTreeMap::new();
    for (path, kinds) in nodes {
        let all = texts.entry(last(path)).or_default();
        *all = all.and(*kinds);
    }
    let row = |text: &str, branch: bool| {
        let (yes, no) = (u8::from(branch), u8::from(!branch));
        json!({ "text": text, "id": format!("{base}{text}"), "leaf": no, "expandable": yes, "allowChildren": yes })
    };
    let branches = texts.iter().filter(|(_, kinds)| kinds.branch).map(|(text, _)| row(text, true));
    let leaves =
        texts.iter().filter(|(_, kinds)| kinds.leaf && !kinds.branch).map(|(text, _)| row(text, false));
    let any_branch = texts.values().any(|kinds| kinds.branch);
    let all = (wildcard && texts.len() > 1).then(|| row("*", any_branch));
    all.into_iter().chain(branches).chain(leaves).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_names() {
        let nodes = Find::new("a.*").unwrap().nodes(["a.b", "a.b.c", "a.d"]);
        let check = |wildcard: bool, expected: &[(&str, u64)]| {
            let tree = tree(&nodes, "a.*", wildcard);
            let of = |row: &Value| (row["id"].as_str().unwrap().to_owned(), row["leaf"].as_u64().unwrap());
            let rows: Vec<_> = tree.as_array().unwrap().iter().map(of).collect();
            let expected: Vec<_> = expected.iter().map(|(id, leaf)| ((*id).to_owned(), *leaf)).collect();
            assert_eq!(rows, expected);
        };
        check(false, &[("a.b", 0), ("a.d", 1)]);
        check(true, &[("a.*", 0), ("a.b", 0), ("a.d", 1)]);
        let expected = json!([
            { "path": "a.b", "is_leaf": false },
            { "path": "a.b", "is_leaf": true, "intervals": [{ "start": 40, "end": 100 }] },
            { "path": "a.d", "is_leaf": true, "intervals": [{ "start": 40, "end": 100 }] },
        ]);
        assert_eq!(rows(&nodes, (40, 100)), expected);
    }
}
