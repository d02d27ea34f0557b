//! Which metrics there are.

use super::Wanted;
use super::aside::reading;
use super::fetch::{Asked, Graphite, is_hopeless};
use crate::Error;
use crate::graphite::{self, checked};
use crate::whisper;
use skyline_upstream::{Ask, Error as Upstream};
use std::path::Path;

/// Metrics of a job, at most.
pub(super) const MOST: usize = 2_000_000;
/// Questions for the names below a part, at most.
const MOST_FINDS: usize = 200_000;

/// What was listed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Listed {
    /// Names of metrics, or paths below the whisper folder, each once, sorted.
    pub(super) items: Vec<String>,
    /// What has no name, and links that lead nowhere or back.
    pub(super) nameless: u64,
    /// Folders that could not be read.
    pub(super) unread: u64,
    /// Files of other stores, which are not read.
    pub(super) others: u64,
}

/// The whisper files below a folder.
pub(super) fn files(folder: &Path, wanted: &Wanted) -> Result<Listed, String> {
    let tree = whisper::tree(folder, |name| wanted(name))
        .map_err(|error| format!("{}: {error}; see that the node's user may read it", folder.display()))?;
    if tree.is_cut || tree.files.len() > MOST {
        return Err(format!("{}: more than {MOST} metrics; select fewer", folder.display()));
    }
    let (mut items, mut nameless) = (Vec::with_capacity(tree.files.len()), tree.nameless + tree.links);
    for file in tree.files {
        match file.into_os_string().into_string() {
            // An item is a line.
            Ok(path) if !path.contains('\n') => items.push(path),
            _ => nameless += 1,
        }
    }
    Ok(Listed { items, nameless, unread: tree.unread, others: tree.others })
}

/// The names that a server has: by its index, or level by level where it has none. Each question is asked again as those for points are.
pub(super) async fn names(
    server: &Graphite,
    select: Option<&str>,
    wanted: &Wanted,
    asked: &mut Asked,
) -> Result<Listed, String> {
    let mut listed = Listed::default();
    match server.insist(asked, || index(server), may_have_index).await {
        Ok(names) => take(&mut listed, names, wanted)?,
        Err(error) if is_away(&error) => return Err(error.to_string()),
        Err(index) => {
            tracing::debug!(%index, "no index of names; they are looked for level by level");
            levels(server, start(select), wanted, asked, &mut listed).await.map_err(|error| match error {
                // Says whether it is a Graphite at all.
                NoLevel::Error(error) => format!("{error} (its index: {index})"),
                NoLevel::TooMany => {
                    format!("{index}; and there are more than {MOST_FINDS} levels of names: select fewer")
                }
                NoLevel::TooManyMetrics(why) => why,
            })?;
        }
    }
    listed.items.sort_unstable();
    listed.items.dedup();
    Ok(listed)
}

/// Why the search ends early.
enum NoLevel {
    Error(Error),
    TooMany,
    TooManyMetrics(String),
}

/// Looks for names level by level, from `start` on.
async fn levels(
    server: &Graphite,
    start: String,
    wanted: &Wanted,
    asked: &mut Asked,
    listed: &mut Listed,
) -> Result<(), NoLevel> {
    let mut open = vec![start];
    let mut done = 0;
    while let Some(pattern) = open.pop() {
        done += 1;
        let find = || graphite::find(&server.client, &server.render, &pattern);
        let helps = |error: &Error| matches!(error, Error::Upstream(_)) || !is_hopeless(error);
        let found = server.insist(asked, find, helps).await.map_err(NoLevel::Error)?;
        for entry in found {
            if entry.is_leaf {
                take(listed, vec![entry.path], wanted).map_err(NoLevel::TooManyMetrics)?;
            } else {
                open.push(format!("{}.*", entry.path));
            }
        }
        // Those that are known of too: they are not all gathered first.
        if done + open.len() > MOST_FINDS {
            return Err(NoLevel::TooMany);
        }
    }
    Ok(())
}

/// Whether a server that failed may give its index a moment later. One that takes too long over it is asked for less.
fn may_have_index(error: &Error) -> bool {
    match error {
        Error::Upstream(error) => !matches!(error, Upstream::TooLarge { .. } | Upstream::Timeout { .. }),
        Error::Status { status, .. } => matches!(status, 429 | 500..=503),
        _ => false,
    }
}

/// Whether nothing answers there at all.
fn is_away(error: &Error) -> bool {
    match error {
        Error::Upstream(Upstream::Connect { .. } | Upstream::Tls { .. }) => true,
        Error::Upstream(Upstream::Resting { last, .. }) => matches!(*last, "connect" | "tls"),
        _ => false,
    }
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
async fn index(server: &Graphite) -> Result<Vec<String>, Error> {
    let prefix = server.render.trim_end_matches('/').strip_suffix("/render").unwrap_or_default();
    let whole = server.client.ask(Ask::get(format!("{prefix}/metrics/index.json"))).await?;
    checked(&server.client, &whole)?;
    let body = whole.body;
    reading(body.len(), move || parse_index(&body))
        .await
        .map_err(|reason| Error::Answer { server: graphite::server(&server.client), reason: reason.into() })
}

/// The list of an index. What is wrong is told without its words, which may be long.
fn parse_index(text: &[u8]) -> Result<Vec<String>, String> {
    serde_json::from_slice(text).map_err(|error| {
        format!("index.json is no list of names (line {}, column {})", error.line(), error.column())
    })
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

    #[test]
    fn an_index_is_a_list_of_names() {
        assert_eq!(parse_index(br#"["a", "b.c"]"#).unwrap(), ["a", "b.c"]);
        for (text, expected) in
            [("\"Basic dTpodW50ZXIy\"", "(line 1, column 20)"), ("[1]", "(line 1, column 2)")]
        {
            let error = parse_index(text.as_bytes()).unwrap_err();
            assert_eq!(error, format!("index.json is no list of names {expected}"), "{text}");
        }
    }

    #[test]
    fn where_no_index_is_looked_for_again() {
        let status = |status| Error::Status { server: "g".into(), status, words: String::new() };
        for (error, again) in [
            (status(503), true),
            (status(429), true),
            (status(404), false),
            (status(504), false),
            (status(302), false),
            (Error::Answer { server: "g".into(), reason: String::new() }, false),
            (Upstream::TooLarge { server: "g".into(), limit: 1 }.into(), false),
        ] {
            assert_eq!(may_have_index(&error), again, "{error}");
            assert!(!is_away(&error), "{error}");
        }
    }
}
