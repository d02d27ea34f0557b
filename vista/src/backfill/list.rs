//! Which metrics there are.

use super::Wanted;
use super::fetch::Graphite;
use crate::graphite::{self, checked};
use crate::whisper;
use skyline_upstream::Ask;
use std::path::Path;
use tokio_util::sync::CancellationToken;

/// Metrics of a job, at most.
pub(super) const MOST: usize = 2_000_000;
/// Questions for the names below a part, at most.
const MOST_FINDS: usize = 200_000;

/// What was listed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Listed {
    /// Names of metrics, or paths below the whisper folder, each once, sorted.
    pub(super) items: Vec<String>,
    /// What has no name, or could not be read.
    pub(super) nameless: u64,
    /// Files of other stores, which are not read.
    pub(super) others: u64,
    /// Questions that were asked.
    pub(super) requests: u64,
}

/// The whisper files below a folder.
pub(super) fn files(folder: &Path, wanted: &Wanted) -> Result<Listed, String> {
    let tree = whisper::tree(folder, |name| wanted(name))
        .map_err(|error| format!("{}: {error}; see that the node's user may read it", folder.display()))?;
    if tree.is_cut || tree.files.len() > MOST {
        return Err(format!("{}: more than {MOST} metrics; select fewer", folder.display()));
    }
    let (mut items, mut nameless) = (Vec::with_capacity(tree.files.len()), tree.nameless + tree.unread);
    for file in tree.files {
        match file.into_os_string().into_string() {
            // An item is a line.
            Ok(path) if !path.contains('\n') => items.push(path),
            _ => nameless += 1,
        }
    }
    Ok(Listed { items, nameless, others: tree.others, requests: 0 })
}

/// The names that a server has: by its index, or level by level where it has none.
pub(super) async fn names(
    server: &Graphite,
    select: Option<&str>,
    wanted: &Wanted,
    cancel: &CancellationToken,
) -> Result<Listed, String> {
    let mut listed = Listed { requests: 1, ..Listed::default() };
    server.pace.wait(1.0).await;
    match index(server).await {
        Ok(names) => take(&mut listed, names, wanted)?,
        Err(index) => {
            tracing::debug!(%index, "no index of names; they are looked for level by level");
            let mut open = vec![start(select)];
            while let Some(pattern) = open.pop() {
                if cancel.is_cancelled() {
                    return Ok(listed);
                }
                if listed.requests > MOST_FINDS as u64 {
                    return Err(format!("{index}; and there are too many levels of names: select fewer"));
                }
                listed.requests += 1;
                server.pace.wait(1.0).await;
                let found = graphite::find(&server.client, &server.render, &pattern).await;
                // The first says whether it is a Graphite at all.
                let found = found.map_err(|error| format!("{error} (its index: {index})"))?;
                for entry in found {
                    if entry.is_leaf {
                        take(&mut listed, vec![entry.path], wanted)?;
                    } else {
                        open.push(format!("{}.*", entry.path));
                    }
                }
            }
        }
    }
    listed.items.sort_unstable();
    listed.items.dedup();
    Ok(listed)
}

/// Where the search begins: below the parts of a pattern that stand for themselves.
fn start(select: Option<&str>) -> String {
    let is_plain = |part: &&str| !part.contains(['*', '?', '[', ']', '{', '}', ',', '\\']);
    let mut parts: Vec<&str> =
        select.map(|s| s.split('.').take_while(is_plain).collect()).unwrap_or_default();
    if select.is_some_and(|select| parts.len() == select.split('.').count()) {
        return parts.join(".");
    }
    parts.push("*");
    parts.join(".")
}

fn take(listed: &mut Listed, names: Vec<String>, wanted: &Wanted) -> Result<(), String> {
    for name in names {
        let name = name.trim_start_matches('.');
        if name.is_empty() || name.contains(['\n', '\r']) {
            listed.nameless += 1;
        } else if wanted(name) {
            listed.items.push(name.to_owned());
        }
    }
    if listed.items.len() > MOST { Err(format!("more than {MOST} metrics; select fewer")) } else { Ok(()) }
}

/// `/metrics/index.json`: all names.
async fn index(server: &Graphite) -> Result<Vec<String>, String> {
    let prefix = server.render.trim_end_matches('/').strip_suffix("/render").unwrap_or_default();
    let ask = Ask::get(format!("{prefix}/metrics/index.json"));
    let whole = server.client.ask(ask).await.map_err(|error| error.to_string())?;
    let body = checked(&server.client, &whole).map_err(|error| error.to_string())?;
    serde_json::from_slice(body).map_err(|error| format!("index.json: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_search_begins() {
        for (select, expected) in [
            (None, "*"),
            (Some("*"), "*"),
            (Some("a.b.*.c"), "a.b.*"),
            (Some("a.{b,c}.d"), "a.*"),
            (Some("a.b"), "a.b"),
            (Some("**"), "*"),
        ] {
            assert_eq!(start(select), expected, "{select:?}");
        }
    }
}
