//! Sections as they are written, before anything is made of them. Commands of `init.cmds` become the same.

use super::document::{At, Log, Table, Word};
use super::filter::Filter;
use toml::de::DeTable;

/// What a file asks for.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) own: Own,
    pub(super) blocks: Vec<Block>,
    pub(super) rewriters: Vec<Rewriter>,
    pub(super) aggregations: Vec<Aggregation>,
    pub(super) routes: Vec<Route>,
}

/// What is about the relay itself.
#[derive(Debug, Default)]
pub(super) struct Own {
    pub(super) plaintext: Option<std::net::SocketAddr>,
    pub(super) pickle: Option<std::net::SocketAddr>,
    pub(super) instance: Option<String>,
    /// `legacy_metric_validation = "strict"`.
    pub(super) is_strict: bool,
}

/// Names that are thrown away.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) at: At,
    pub(super) key: &'static str,
    pub(super) filter: Filter,
}

/// `[[rewriter]]`.
#[derive(Debug)]
pub(super) struct Rewriter {
    pub(super) at: At,
    pub(super) key: &'static str,
    pub(super) old: String,
    pub(super) new: String,
    pub(super) not: String,
    pub(super) max: i64,
}

/// `[[aggregation]]`.
#[derive(Debug)]
pub(super) struct Aggregation {
    pub(super) at: At,
    pub(super) key: &'static str,
    pub(super) function: String,
    pub(super) filter: Filter,
    pub(super) format: String,
    pub(super) interval: i64,
    pub(super) wait: i64,
    pub(super) drops_raw: bool,
}

/// `[[route]]`.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) at: At,
    pub(super) key: &'static str,
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) filter: Filter,
    pub(super) destinations: Vec<Word>,
}

/// The types of routes that carbon peers can be sent to by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    AllMatch,
    FirstMatch,
    Hashing,
    HashingV2,
}

/// The type of that name. What is wrong is in the log.
pub(super) fn kind(word: &Word, key: &str, log: &mut Log<'_>) -> Option<Kind> {
    const KINDS: [&str; 4] = ["sendAllMatch", "sendFirstMatch", "consistentHashing", "consistentHashing-v2"];
    let written = word.text.as_str();
    match written {
        "sendAllMatch" => return Some(Kind::AllMatch),
        "sendFirstMatch" => return Some(Kind::FirstMatch),
        "consistentHashing" => return Some(Kind::Hashing),
        "consistentHashing-v2" => return Some(Kind::HashingV2),
        _ => {}
    }
    let peer = match written {
        "grafanaNet" => "Grafana Cloud over HTTP",
        "kafkaMdm" | "kafka" => "Kafka",
        "pubsub" => "Google Pub/Sub",
        "cloudWatch" => "Amazon CloudWatch",
        "bg_metadata" => "BigGraphite's metadata",
        _ => {
            let near = crate::nearest::word(written, KINDS.into_iter());
            let near = near.map_or_else(
                || format!("use one of {}", KINDS.join(", ")),
                |near| format!("did you mean `{near}`?"),
            );
            log.fault(word.at, key, format!("no such type: `{written}`; {near}"));
            return None;
        }
    };
    log.fault(
        word.at,
        key,
        format!(
            "`{written}`: this node does not send to {peer}; take the route out, or let carbon-relay-ng keep it and \
             send its points there with a route of the type sendAllMatch"
        ),
    );
    None
}

/// An entry of the block list.
pub(super) fn block(word: &Word, key: &'static str, log: &mut Log<'_>) -> Option<Block> {
    let mut filter = Filter::default();
    let good = word.text.split_once(' ').is_some_and(|(how, what)| !what.is_empty() && filter.set(how, what));
    if good {
        return Some(Block { at: word.at, key, filter });
    }
    let why = format!(
        "`{}`: write `prefix`, `notPrefix`, `sub`, `notSub`, `regex` or `notRegex`, one blank, and what it is",
        word.text
    );
    log.fault(word.at, key, why);
    None
}

pub(super) fn rewriter(at: At, table: &DeTable<'_>, log: &mut Log<'_>) -> Rewriter {
    let mut table = Table::new(table, "rewriter", at, log);
    let text = |table: &mut Table<'_>, key, log: &mut Log<'_>| {
        table.text(key, log).map(|word| word.text).unwrap_or_default()
    };
    let (old, new) = (text(&mut table, "old", log), text(&mut table, "new", log));
    let not = text(&mut table, "not", log);
    let max = table.whole("max", log).map_or(0, |(max, _)| max);
    table.finish(log);
    Rewriter { at, key: "rewriter", old, new, not, max }
}

pub(super) fn aggregation(at: At, table: &DeTable<'_>, log: &mut Log<'_>) -> Aggregation {
    let mut table = Table::new(table, "aggregation", at, log);
    let function = table.text("function", log).map(|word| word.text).unwrap_or_default();
    let filter = Filter::of(&mut table, log);
    let format = table.text("format", log).map(|word| word.text).unwrap_or_default();
    let interval = table.whole("interval", log).map_or(0, |(seconds, _)| seconds);
    let wait = table.whole("wait", log).map_or(0, |(seconds, _)| seconds);
    let drops_raw = table.flag("dropRaw", log).is_some_and(|(flag, _)| flag);
    // Names that were seen are remembered in any case, within a bound.
    table.flag("cache", log);
    table.finish(log);
    Aggregation { at, key: "aggregation", function, filter, format, interval, wait, drops_raw }
}

pub(super) fn route(at: At, table: &DeTable<'_>, log: &mut Log<'_>) -> Option<Route> {
    let mut table = Table::new(table, "route", at, log);
    let Some(word) = table.text("type", log) else {
        log.fault(
            table.at(),
            "route.type",
            "missing: use sendAllMatch, sendFirstMatch or consistentHashing-v2",
        );
        return None;
    };
    // The other types have keys of their own, about which nothing needs to be said any more.
    let kind = kind(&word, "route.type", log)?;
    let name = table.text("key", log).map(|word| word.text).unwrap_or_default();
    let filter = Filter::of(&mut table, log);
    let destinations = table.texts("destinations", log);
    table.finish(log);
    Some(Route { at, key: "route", name, kind, filter, destinations })
}
