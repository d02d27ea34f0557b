//! carbon's files: each case is read and compiled by the node's own readers, and names walk the statements.

use crate::case::{Outcome, field, flag, list, text};
use serde_json::Value;
use skyline_conf::carbon::assemble::{self, CarbonRelay, Overrides, Program};
use skyline_conf::carbon::conf::{self, Conf};
use skyline_conf::carbon::storage_schemas::Retention;
use skyline_conf::carbon::{aggregation_rules, rewrite_rules, tags};
use skyline_conf::convert;
use skyline_conf::routing::walk::Act;
use skyline_conf::routing::{Discard, Routing, Statement, Target, Then, address, function};

/// Files beside `carbon.conf` with their texts.
type Files<'a> = [(&'a str, &'a str)];

/// Reads a folder with a `carbon.conf` and these files.
fn assembled(conf: &str, files: &Files<'_>) -> Result<CarbonRelay, String> {
    let dir = tempfile::tempdir().map_err(|error| format!("a folder: {error}"))?;
    for (name, text) in [("carbon.conf", conf)].iter().chain(files) {
        std::fs::write(dir.path().join(name), text).map_err(|error| format!("{name}: {error}"))?;
    }
    let read = assemble::read(&dir.path().join("carbon.conf"), Program::Relay, "a", &Overrides::default());
    let read = read.map_err(|error| error.to_string())?;
    same_in_settings(&read.routing)?;
    Ok(read)
}

/// The node's own settings can say it too.
pub(crate) fn same_in_settings(routing: &Routing) -> Outcome {
    convert::of_routing(routing).map(drop).map_err(|error| error.to_string())
}

/// Whether a file was taken as expected; the value if it was and there is something to compare.
fn loaded<T>(case: &Value, read: Result<T, String>) -> Result<Option<T>, String> {
    match (text(case, "load"), read) {
        (_, read) if flag(case, "free") => Ok(read.ok()),
        ("error", Ok(_)) => Err("want a refusal".to_owned()),
        ("error", Err(_)) => Ok(None),
        (_, Ok(value)) => Ok(Some(value)),
        (_, Err(error)) => Err(format!("refused: {error}")),
    }
}

/// Compares the answers for each metric of a case. Where another answer is fine too there is nothing to compare.
fn compare(case: &Value, got: impl Fn(&Value) -> Value) -> Outcome {
    if flag(case, "free") {
        return Ok(());
    }
    let differs = |(c, got): (&Value, Value)| {
        (c.get("want") != Some(&got)).then(|| {
            format!("{}: want {}, got {got}", text(c, "metric"), c.get("want").unwrap_or(&Value::Null))
        })
    };
    let cases = list(case, "cases");
    let differences: Vec<_> = cases.iter().map(|c| (c, got(c))).filter_map(differs).collect();
    if differences.is_empty() { Ok(()) } else { Err(differences.join("; ")) }
}

/// A case of relay-rules.conf.
pub(crate) fn rules(case: &Value) -> Outcome {
    let destinations: Vec<_> = list(case, "DESTINATIONS").iter().filter_map(Value::as_str).collect();
    let conf = format!("[relay]\nDESTINATIONS = {}\n", destinations.join(", "));
    let read = assembled(&conf, &[("relay-rules.conf", text(case, "conf"))]);
    let Some(relay) = loaded(case, read)? else { return Ok(()) };
    compare(case, |c| destinations_of(&relay.routing, text(c, "metric")))
}

/// Where a name goes, each destination once, in the order of the statements.
fn destinations_of(routing: &Routing, name: &str) -> Value {
    let mut labels: Vec<&str> = Vec::new();
    for act in routing.walk(0, name) {
        let Act::Route { route, .. } = act else { continue };
        let Target::Clusters(clusters) = &route.to else { continue };
        let members = clusters.iter().filter_map(|at| routing.clusters.get(*at)).flat_map(|c| &c.members);
        for label in members.filter_map(|at| routing.destinations.get(*at)).map(|d| d.label.as_str()) {
            if !labels.contains(&label) {
                labels.push(label);
            }
        }
    }
    labels.into()
}

/// A case of rewrite-rules.conf.
pub(crate) fn rewrite(case: &Value) -> Outcome {
    let read = rewrite_rules::read(text(case, "conf")).map_err(|fault| fault.to_string());
    let Some(rules) = loaded(case, read)? else { return Ok(()) };
    let routing = |rules: &[_]| {
        let statements = rules.iter().cloned().map(Statement::Rewrite).collect();
        Routing { statements, ..Routing::default() }
    };
    let (pre, post) = (routing(&rules.pre), routing(&rules.post));
    same_in_settings(&pre)?;
    same_in_settings(&post)?;
    compare(case, |c| {
        let routing = if text(c, "ruleset") == "pre" { &pre } else { &post };
        let mut now = text(c, "metric").to_owned();
        for act in routing.walk(0, text(c, "metric")) {
            if let Act::Renamed { name, .. } = act {
                now = name;
            }
        }
        now.into()
    })
}

/// A case of aggregation-rules.conf: names of aggregates, or what is computed.
pub(crate) fn aggregation(case: &Value) -> Outcome {
    match text(case, "kind") {
        "names" => names(case),
        "compute" => compute(case),
        other => Err(format!("unknown kind `{other}`")),
    }
}

fn names(case: &Value) -> Outcome {
    let read = aggregation_rules::read(text(case, "conf")).map_err(|fault| fault.to_string());
    let Some(rules) = loaded(case, read)? else { return Ok(()) };
    for (rule, want) in rules.iter().zip(list(case, "rules")) {
        let function = aggregation_rules::function(text(want, "method"));
        let same = rule.output == text(want, "output")
            && rule.input == text(want, "input")
            && f64::from(rule.seconds) == field(want, "frequency")
            && function == Some(rule.function);
        if !same {
            return Err(format!("rule: want {want}, got {rule:?}"));
        }
    }
    if rules.len() != list(case, "rules").len() {
        return Err(format!("{} rules", rules.len()));
    }
    let statement = |rule: &aggregation_rules::Rule| {
        Statement::Aggregate(rule.aggregation(rule.seconds, 5, Then::FromTop))
    };
    let routing = Routing { statements: rules.iter().map(statement).collect(), ..Routing::default() };
    same_in_settings(&routing)?;
    compare(case, |c| {
        let mut all = Vec::new();
        for act in routing.walk(0, text(c, "metric")) {
            if let Act::Input { outputs, .. } = act {
                all.extend(outputs);
            }
        }
        all.into()
    })
}

fn compute(case: &Value) -> Outcome {
    let values: Vec<f64> = list(case, "values").iter().map(crate::case::number).collect();
    let function = aggregation_rules::function(text(case, "method")).ok_or("unknown method")?;
    let got = function::compute(function, &values).ok_or("nothing is computed")?;
    let want = field(case, "want");
    let is_near = (got - want).abs() <= 1e-12 * want.abs();
    if is_near { Ok(()) } else { Err(format!("want {want}, got {got}")) }
}

/// A case of the other files, and of what is sent.
pub(crate) fn conf(case: &Value) -> Outcome {
    let input = text(case, "text");
    let got: Value = match text(case, "kind") {
        "filter" => return filter(case),
        "line-out" => return line_out(case),
        "carbon.conf" => carbon_conf(case),
        "destination" => match address::without_protocol(input) {
            Ok(server) => serde_json::json!([server.host, server.port, server.instance]),
            // The reference takes ports that no socket has, and no host; the node refuses them on purpose.
            Err(_) if !place_exists(case) => return Ok(()),
            Err(_) => Value::Null,
        },
        "retention" => Retention::read(input)
            .map_or(Value::Null, |read| serde_json::json!([read.seconds_per_point, read.points])),
        "tags" => tags::normalize(input).into(),
        other => return Err(format!("unknown kind `{other}`")),
    };
    let want = case.get("want").unwrap_or(&Value::Null);
    if got == *want || flag(case, "free") { Ok(()) } else { Err(format!("want {want}, got {got}")) }
}

fn place_exists(case: &Value) -> bool {
    let of_want = |i: usize| case.get("want").and_then(|want| want.get(i));
    let is_port = of_want(1).and_then(Value::as_i64).is_none_or(|port| (1..=65_535).contains(&port));
    is_port && of_want(0).and_then(Value::as_str) != Some("")
}

fn filter(case: &Value) -> Outcome {
    let files = [("whitelist.conf", text(case, "whitelist")), ("blacklist.conf", text(case, "blacklist"))];
    let relay = assembled("[relay]\nRELAY_METHOD = constant\nUSE_WHITELIST = True\n", &files)?;
    compare(case, |c| {
        let discarded = relay.routing.walk(0, text(c, "metric")).into_iter().find_map(|act| match act {
            Act::Route { route, .. } => route.discards(),
            _ => None,
        });
        match discarded {
            None => "pass".into(),
            Some(Discard::Blacklisted) => "blacklist".into(),
            Some(Discard::NotWhitelisted) => "whitelist".into(),
            Some(Discard::Blackhole) => Value::Null,
        }
    })
}

/// The values that are not the defaults; null if the file is refused.
fn carbon_conf(case: &Value) -> Value {
    let Ok(conf) = Conf::read(text(case, "conf"), Program::Relay, text(case, "instance")) else {
        return Value::Null;
    };
    let json = |value: &conf::Value| match value {
        conf::Value::Flag(value) => Value::from(*value),
        conf::Value::Whole(value) => Value::from(*value),
        conf::Value::Number(value) => Value::from(*value),
        conf::Value::Text(value) => Value::from(value.as_str()),
        conf::Value::List(value) => Value::from(value.as_slice()),
    };
    conf.differing().map(|(key, value)| (key.to_owned(), json(value))).collect()
}

/// The text of the value is right too if it reads back as the same double.
fn line_out(case: &Value) -> Outcome {
    let (ts, value) = (field(case, "timestamp"), field(case, "value"));
    let mut line = b"m.x ".to_vec();
    skyline_core::line::write_number(value, &mut line);
    line.push(b' ');
    skyline_core::line::write_number(ts.trunc(), &mut line);
    let got = String::from_utf8_lossy(&line).into_owned();
    let same_double = skyline_core::line::parse(&line)
        .is_ok_and(|read| read.value.to_bits() == value.to_bits() && read.ts == ts.trunc());
    let want = text(case, "want");
    if got == want || same_double { Ok(()) } else { Err(format!("want {want}, got {got}")) }
}
