//! Hash rings: which destinations carbon and carbon-c-relay choose for a name.
//!
//! A row of kind `config` describes a relay, rows of kind `case` that name it follow.

use crate::case::{Outcome, field, flag, list, text};
use serde_json::Value;
use skyline_conf::routing::pattern::{Dialect, Pattern};
use skyline_conf::routing::template::{Case, Part, Template};
use skyline_conf::routing::{CarbonHash, Naming, RingKind};
use skyline_relay::ring::{Node, Ring, any_of};
use std::collections::{BTreeSet, HashMap};

/// A relay of the file.
struct Relay {
    /// Destinations as they are written.
    labels: Vec<String>,
    /// `None`: carbon-c-relay's `any_of`.
    ring: Option<Ring>,
    /// Aggregates whose names are hashed instead of the name.
    aggregates: Vec<Naming>,
    /// Whether the order of the destinations matters.
    is_ordered: bool,
}

/// Runs the rows of a file.
pub(crate) fn run(rows: &[Value]) -> Vec<Outcome> {
    let mut relays: HashMap<&str, Relay> = HashMap::new();
    let mut outcomes = Vec::with_capacity(rows.len());
    for row in rows {
        outcomes.push(match text(row, "kind") {
            "config" => Relay::read(row).map(|relay| {
                relays.insert(text(row, "id"), relay);
            }),
            "case" => match relays.get(text(row, "config")) {
                Some(relay) => relay.check(row),
                None => Err(format!("no configuration `{}`", text(row, "config"))),
            },
            other => Err(format!("unknown kind `{other}`")),
        });
    }
    outcomes
}

impl Relay {
    fn read(row: &Value) -> Result<Self, String> {
        let is_carbon = text(row, "impl") == "carbon";
        let labels: Vec<String> = list(row, if is_carbon { "DESTINATIONS" } else { "servers" })
            .iter()
            .filter_map(|label| Some(label.as_str()?.to_owned()))
            .collect();
        let separator = if is_carbon { ':' } else { '=' };
        let nodes = labels.iter().map(|label| node(label, separator)).collect::<Result<Vec<_>, _>>()?;
        let (kind, replicas) = if is_carbon {
            (Some(carbon_kind(row)?), field(row, "REPLICATION_FACTOR"))
        } else {
            (relay_kind(row)?, field(row, "replication"))
        };
        let diverse = flag(row, "DIVERSE_REPLICAS");
        Ok(Self {
            labels,
            ring: kind.map(|kind| Ring::new(kind, nodes, replicas as usize, diverse)),
            aggregates: text(row, "aggregation_rules").lines().map(naming).collect::<Result<_, _>>()?,
            is_ordered: flag(row, "ordered"),
        })
    }

    fn check(&self, row: &Value) -> Outcome {
        let name = text(row, "metric");
        let names: Vec<String> = self.aggregates.iter().filter_map(|naming| naming.apply(name)).collect();
        let chosen: Vec<usize> = match &self.ring {
            None => any_of(name, self.labels.len()).into_iter().collect(),
            Some(ring) if names.is_empty() => ring.choose(name),
            Some(ring) => names.iter().flat_map(|name| ring.choose(name)).collect(),
        };
        let mut got: Vec<&str> =
            chosen.iter().filter_map(|i| self.labels.get(*i).map(String::as_str)).collect();
        if !self.is_ordered {
            got = got.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
        }
        let mut want: Vec<&str> = list(row, "want").iter().filter_map(Value::as_str).collect();
        // carbon's ring names a single node twice, and its sender takes the second away.
        want.dedup();
        if got == want {
            Ok(())
        } else {
            Err(format!("{} {name}: want {want:?}, got {got:?}", text(row, "config")))
        }
    }
}

/// The node that `host:port`, with an instance behind `separator` or without, stands for.
fn node(label: &str, separator: char) -> Result<Node, String> {
    let wrong = || format!("not a destination: `{label}`");
    let (host, rest) = match label.strip_prefix('[') {
        Some(rest) => rest.split_once("]:").ok_or_else(wrong)?,
        None => label.split_once(':').ok_or_else(wrong)?,
    };
    let (port, instance) = match rest.split_once(separator) {
        Some((port, instance)) => (port, Some(instance.to_owned())),
        None => (rest, None),
    };
    Ok(Node { host: host.to_owned(), port: port.parse().map_err(|_| wrong())?, instance })
}

fn carbon_kind(row: &Value) -> Result<RingKind, String> {
    let method = text(row, "RELAY_METHOD");
    let is_fast = method.starts_with("fast-");
    let hash = match text(row, "ROUTER_HASH_TYPE") {
        "carbon_ch" => CarbonHash::Md5,
        "fnv1a_ch" => CarbonHash::Fnv1a,
        "mmh3_ch" => CarbonHash::Mmh3,
        "" if is_fast => CarbonHash::Mmh3,
        "" => CarbonHash::Md5,
        other => return Err(format!("unknown hash `{other}`")),
    };
    match method {
        "consistent-hashing" | "aggregated-consistent-hashing" => Ok(RingKind::Carbon(hash)),
        "fast-hashing" | "fast-aggregated-hashing" => Ok(RingKind::CarbonFast(hash)),
        other => Err(format!("unknown method `{other}`")),
    }
}

/// `None`: `any_of`.
fn relay_kind(row: &Value) -> Result<Option<RingKind>, String> {
    match text(row, "cluster_type") {
        "carbon_ch" => Ok(Some(RingKind::RelayCarbon)),
        "fnv1a_ch" => Ok(Some(RingKind::RelayFnv1a)),
        "jump_fnv1a_ch" => Ok(Some(RingKind::RelayJump)),
        "any_of" => Ok(None),
        other => Err(format!("unknown cluster type `{other}`")),
    }
}

/// What a rule of aggregation-rules.conf calls its inputs. Rules of these files only: fields, and no other
/// special characters; the reader of that file is `skyline_conf::carbon`.
fn naming(rule: &str) -> Result<Naming, String> {
    let wrong = |what: &str| format!("aggregation rule `{rule}`: {what}");
    let (output, rest) = rule.split_once(" (").ok_or_else(|| wrong("no seconds"))?;
    let input = rest.rsplit_once(' ').ok_or_else(|| wrong("no input"))?.1;
    let mut expression = String::from("^");
    for (i, part) in input.split('.').enumerate() {
        expression.push_str(if i == 0 { "" } else { r"\." });
        match part.trim_matches(['<', '>']) {
            name if part.starts_with("<<") => expression.push_str(&format!("(?P<{name}>.+?)")),
            name if part.starts_with('<') => expression.push_str(&format!("(?P<{name}>[^.]+?)")),
            literal => expression.push_str(literal),
        }
    }
    expression.push('$');
    let from = Pattern::new(&expression, Dialect::Python).map_err(|error| error.to_string())?;
    let mut parts = Vec::new();
    for (i, part) in output.split('.').enumerate() {
        parts.push(Part::Text(if i == 0 { "" } else { "." }.to_owned()));
        parts.push(match part.strip_prefix('<').and_then(|part| part.strip_suffix('>')) {
            Some(name) => {
                let index = from.group_named(name).ok_or_else(|| wrong("unknown field"))?;
                Part::Group { index, case: Case::Keep, dots_to_underscores: false }
            }
            None => Part::Text(part.to_owned()),
        });
    }
    Ok(Naming { from, to: Template::of(parts) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn destinations() {
        let check = |label: &str, separator, host: &str, port, instance: Option<&str>| {
            let expected = Node { host: host.to_owned(), port, instance: instance.map(str::to_owned) };
            assert_eq!(node(label, separator), Ok(expected), "{label}");
        };
        check("h:1", ':', "h", 1, None);
        check("[fd00::1]:2004:b", ':', "fd00::1", 2004, Some("b"));
        check("h:1:h:1", ':', "h", 1, Some("h:1"));
        check("h:1=10.0.0.1:2", '=', "h", 1, Some("10.0.0.1:2"));
        assert!(node("h", ':').is_err() && node("h:x", ':').is_err());
    }

    #[test]
    fn rules() {
        let naming = naming("<env>.all.<m> (60) = sum <env>.<host>.<<m>>").unwrap();
        assert_eq!(naming.apply("a.b.c.d").as_deref(), Some("a.all.c.d"));
        assert_eq!(naming.apply("a.b"), None);
    }

    #[test]
    fn what_differs_is_told() {
        let config = json!({"kind": "config", "id": "c", "impl": "carbon-c-relay", "cluster_type": "any_of",
            "replication": 1, "servers": ["a:1", "b:1"], "ordered": true});
        let case = |config: &str, want: &str| json!({"kind": "case", "config": config, "metric": "foobar", "want": [want]});
        let outcomes = run(&[config, case("c", "a:1"), case("c", "b:1"), case("d", "a:1"), json!({})]);
        assert_eq!(outcomes.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, true, false, false, false]);
        assert!(outcomes[2].as_ref().is_err_and(|text| text.contains("want [\"b:1\"], got [\"a:1\"]")));
    }
}
