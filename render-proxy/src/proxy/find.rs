//! `/metrics/find` out of the windows' names, for pages that are browsed while Graphite is away.

use crate::local::{Answer, Local, NotHere};
use crate::nodes::{Find, Kinds};
use crate::params::Params;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Names looked at for one answer, at most.
const MOST: usize = 20_000;

/// The answer in `treejson`, `json` or `completer`.
///
/// # Errors
/// No pattern, another format, or windows that do not answer.
pub(super) async fn answer(local: &Local, params: &Params) -> Result<Answer, NotHere> {
    let missing = || NotHere::Argument("find".into());
    let query = params.one("query").filter(|query| !query.is_empty()).ok_or_else(missing)?;
    let format = params.one("format").unwrap_or("treejson");
    let query =
        if format == "completer" { format!("{}*", query.replace("..", "*.")) } else { query.to_owned() };
    let find = Find::new(&query).ok_or(NotHere::TooMany)?;
    let names = local.names(find.names(), MOST).await?;
    let nodes = find.nodes(names.iter().map(String::as_str));
    let body = match format {
        "treejson" => tree(&nodes, &query, params.one("wildcards") == Some("1")),
        "json" => Value::from_iter(nodes.iter().flat_map(|(path, kinds)| {
            kinds.rows().map(|leaf| json!({ "path": path, "is_leaf": leaf })).collect::<Vec<_>>()
        })),
        "completer" => json!({ "metrics": nodes.iter().flat_map(|(path, kinds)| {
            kinds.rows().map(|leaf| json!({
                "path": if leaf { (*path).to_owned() } else { format!("{path}.") },
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

/// Rows by the last part of their paths, branches first; `wildcard`: several have a `*` before them, for all.
fn tree(nodes: &BTreeMap<&str, Kinds>, query: &str, wildcard: bool) -> Value {
    let base = query.rsplit_once('.').map(|(base, _)| format!("{base}.")).unwrap_or_default();
    let mut texts: BTreeMap<&str, Kinds> = BTreeMap::new();
    for (path, kinds) in nodes {
        let all = texts.entry(last(path)).or_default();
        all.leaf |= kinds.leaf;
        all.branch |= kinds.branch;
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
    }
}
