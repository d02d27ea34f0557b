//! carbon-c-relay: how it cleans lines, and which of its rules act on a name.

mod members;

use crate::carbon::same_in_settings;
use crate::case::{Outcome, list, text};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value, json};
use skyline_conf::crelay::{self, clean};
use skyline_conf::routing::walk::Act;
use skyline_conf::routing::{Endpoint, Function, Routing, Share, Target, Then};
use std::path::Path;

/// A line in, and what is left of it.
pub(crate) fn clean(case: &Value) -> Outcome {
    let bytes = |key| BASE64_STANDARD.decode(text(case, key)).map_err(|error| format!("{key}: {error}"));
    let (line, want) = (bytes("in")?, bytes("out")?);
    let mut got = Vec::new();
    let is_kept = clean::clean_line(&line, clean::ALLOWED, &mut got);
    if got != want || is_kept == want.is_empty() {
        return Err(format!("want {:?}, got {:?}", want.escape_ascii(), got.escape_ascii()));
    }
    // The name by itself, as it is cleaned in points that did not come as lines.
    let name = |line: &[u8]| {
        let end = line.iter().position(|b| b.is_ascii_whitespace()).unwrap_or(line.len());
        String::from_utf8(line.get(..end).unwrap_or_default().to_vec()).map_err(|error| error.to_string())
    };
    let (given, wanted) = (name(line.trim_ascii_start())?, name(&want)?);
    let mut got = String::new();
    clean::clean_name(&given, clean::ALLOWED, &mut got);
    if got == wanted || want.is_empty() { Ok(()) } else { Err(format!("name: want {wanted:?}, got {got:?}")) }
}

/// A configuration, and what happens to some lines.
pub(crate) fn route(case: &Value) -> Outcome {
    let relay = crelay::read_text(Path::new("conf"), text(case, "conf"));
    let relay = match (relay, text(case, "load")) {
        (Ok(relay), "ok") => relay,
        (Ok(_), _) => return Err(format!("read, but refused by the reference: {}", text(case, "error"))),
        (Err(error), "ok") => return Err(error.to_string()),
        // Every fault has its place and the line.
        (Err(error), _) if error.faults().is_empty() => return Err(format!("no place: {error}")),
        (Err(_), _) => return Ok(()),
    };
    same_in_settings(&relay.routing)?;
    let mut differences = Vec::new();
    for case in list(case, "cases") {
        let got = acts(&relay.routing, text(case, "in"));
        let want = case.get("want").cloned().unwrap_or_default();
        if Value::Array(got.clone()) != want {
            differences.push(format!("{}: want {want}, got {}", text(case, "in"), Value::Array(got)));
        }
    }
    if differences.is_empty() { Ok(()) } else { Err(differences.join("; ")) }
}

/// What happens to a line, in the words of the reference's test mode.
fn acts(routing: &Routing, line: &str) -> Vec<Value> {
    let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
    let mut cleaned = String::new();
    clean::clean_name(name, clean::ALLOWED, &mut cleaned);
    let mut told = Vec::new();
    for act in routing.walk(0, &cleaned) {
        match act {
            Act::Renamed { name, .. } => told.push(json!({ "do": "rewrite", "name": name })),
            Act::Input { aggregation, outputs, .. } => {
                let names = aggregation.outputs.iter().map(|output| function(output.function));
                let compute: Vec<Value> =
                    names.zip(outputs).map(|(name, output)| json!([name, output])).collect();
                let mut act = json!({ "do": "aggregation", "compute": compute });
                if let (Then::Clusters(clusters), Some(act)) = (&aggregation.then, act.as_object_mut()) {
                    // Where a result goes depends on its name; the reference does not say.
                    let name = |index: &usize| routing.clusters.get(*index).map(|c| c.name.as_str());
                    let to = clusters.iter().map(|i| json!({ "cluster": name(i), "servers": [] }));
                    act.insert("to".to_owned(), to.collect());
                }
                stop(&mut act, aggregation.stop);
                told.push(act);
            }
            Act::Route { route, name, key, .. } => {
                let mut act = json!({ "do": "match" });
                let validated = route.validate.as_ref().map(|v| (v.log, v.pattern.is_match(rest)));
                let passed = validated.is_none_or(|(_, passed)| passed);
                let clusters: &[usize] =
                    if let Target::Clusters(clusters) = &route.to { clusters } else { &[] };
                let ends = route.stop || !passed && clusters.is_empty();
                stop(&mut act, ends);
                if let Some(act) = act.as_object_mut() {
                    match validated {
                        Some((_, true)) => drop(act.insert("validate".to_owned(), "match".into())),
                        Some((true, false)) => drop(act.insert("validate".to_owned(), "log".into())),
                        Some((false, false)) => drop(act.insert("validate".to_owned(), "drop".into())),
                        None => {}
                    }
                    match route.to {
                        Target::Discard(_) => drop(act.insert("blackhole".to_owned(), true.into())),
                        Target::Clusters(_) if passed && !clusters.is_empty() => {
                            let to =
                                clusters.iter().map(|i| sent(routing, *i, &name, key.as_deref())).collect();
                            act.insert("to".to_owned(), to);
                        }
                        Target::Clusters(_) => {}
                    }
                }
                told.push(act);
                if ends {
                    break;
                }
            }
        }
    }
    if told.is_empty() { vec![json!({ "do": "nothing" })] } else { told }
}

fn stop(act: &mut Value, stop: bool) {
    if let (true, Some(act)) = (stop, act.as_object_mut()) {
        act.insert("stop".to_owned(), true.into());
    }
}

/// A cluster, and its servers that a name goes to.
fn sent(routing: &Routing, index: usize, name: &str, key: Option<&str>) -> Value {
    let Some(cluster) = routing.clusters.get(index) else { return Value::Null };
    let hashed = key.unwrap_or_else(|| skyline_conf::routing::without_tags(name));
    let mut chosen = members::members(routing, cluster, hashed).into_iter();
    let mut server = |member: usize| {
        let destination = routing.destinations.get(*cluster.members.get(member)?)?;
        match destination.endpoints.first()? {
            Endpoint::Server(server) if server.host.contains(':') => {
                Some(format!("[{}]:{}", server.host, server.port))
            }
            Endpoint::Server(server) => Some(format!("{}:{}", server.host, server.port)),
            Endpoint::File(path) => Some(path.display().to_string()),
        }
    };
    let servers: Vec<String> = chosen.by_ref().filter_map(&mut server).collect();
    let mut to = Map::new();
    to.insert("cluster".to_owned(), cluster.name.as_str().into());
    to.insert("servers".to_owned(), servers.into());
    if let (Some(key), Share::Ring(_)) = (key, &cluster.share) {
        to.insert("key".to_owned(), key.into());
    }
    Value::Object(to)
}

/// A function as the language calls it.
fn function(function: Function) -> String {
    match function {
        Function::Sum => "sum".to_owned(),
        Function::Count => "count".to_owned(),
        Function::Max => "max".to_owned(),
        Function::Min => "min".to_owned(),
        Function::Average => "average".to_owned(),
        Function::NearestRank(50) => "median".to_owned(),
        Function::NearestRank(percent) => format!("percentile{percent}"),
        Function::Variance => "variance".to_owned(),
        Function::Deviation => "stddev".to_owned(),
        other => format!("{other:?}"),
    }
}
