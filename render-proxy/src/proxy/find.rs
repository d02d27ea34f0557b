//! `/metrics/find` out of the windows' names, for pages that are browsed while Graphite is away.

use crate::glob::Glob;
use crate::local::{Answer, Local, NotHere};
use crate::params::Params;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

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
    let below = Arc::new(Glob::new(&format!("{query}.**")).ok_or(NotHere::TooMany)?);
    let names = local.names(&below, MOST).await?;
    let nodes = nodes(&names, query.split('.').count());
    let body = match format {
        "treejson" => tree(&nodes, &query),
        "json" => Value::from_iter(nodes.iter().flat_map(|(path, kinds)| {
            kinds.rows().map(|leaf| json!({ "path": path, "is_leaf": leaf })).collect::<Vec<_>>()
        })),
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

/// Whether a path is a metric, and whether there are others below it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Kinds {
    leaf: bool,
    branch: bool,
}

impl Kinds {
    fn rows(self) -> impl Iterator<Item = bool> {
        [(self.branch, false), (self.leaf, true)].into_iter().filter(|(is, _)| *is).map(|(_, leaf)| leaf)
    }
}

/// The paths of so many parts that names lead to.
fn nodes(names: &[String], parts: usize) -> BTreeMap<String, Kinds> {
    let mut nodes: BTreeMap<String, Kinds> = BTreeMap::new();
    for name in names {
        let words: Vec<&str> = name.split('.').collect();
        let path = words.get(..parts.min(words.len())).unwrap_or_default().join(".");
        let kinds = nodes.entry(path).or_default();
        if words.len() > parts { kinds.branch = true } else { kinds.leaf = true }
    }
    nodes
}

fn last(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

fn tree(nodes: &BTreeMap<String, Kinds>, query: &str) -> Value {
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
    branches.chain(leaves).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_names() {
        let names = ["a.b", "a.b.c", "a.d"].map(str::to_owned);
        let nodes = nodes(&names, 2);
        assert_eq!(nodes["a.b"], Kinds { leaf: true, branch: true });
        let tree = tree(&nodes, "a.*");
        let texts: Vec<_> = tree
            .as_array()
            .unwrap()
            .iter()
            .map(|row| (row["id"].as_str().unwrap(), row["leaf"].as_u64()))
            .collect();
        assert_eq!(texts, [("a.b", Some(0)), ("a.d", Some(1))]);
    }
}
