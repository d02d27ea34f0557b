//! `ionosphere_layers` with `layers_algorithms`: one set of rules for a profile.
//!
//! The reference evaluates `<` as `<=` and `>` as `>=`; that is what comes over. What it stored and never
//! evaluated comes over switched off. A set that would let more pass than the reference did is disabled.

use super::{BATCH, flag_or_time, time};
use crate::import::Import;
use crate::import::cursor::Cursor;
use crate::import::error::Error;
use crate::import::map::{self, Ids};
use crate::import::source::{Layer, Rule};
use crate::import::tally::Tally;
use crate::session::Session;
use crate::statement::{Statement, Value};
use std::collections::{BTreeMap, HashMap};

pub(super) const TABLE: &str = "ionosphere_layers";
const RULES: &str = "layers_algorithms";

const INTO: &str = "INSERT INTO layer_set (id, profile_id, metric_id, state, label, created_by, created_at, validated_at, \
     check_count, match_count, last_checked_at, last_matched_at) ";
const RULES_INTO: &str =
    "INSERT INTO layer_rule (layer_set_id, kind, op, bound_number, bound_text, times, state) ";

/// A rule as it is stored.
#[derive(Debug, Clone, PartialEq)]
struct Kept {
    kind: &'static str,
    op: &'static str,
    number: Option<f64>,
    text: Option<String>,
    times: Option<i64>,
    is_active: bool,
}

/// What becomes of a rule.
#[derive(Debug, Clone, PartialEq)]
enum Outcome {
    Kept(Kept),
    /// It says nothing: the form was left empty.
    Empty,
    /// It cannot be kept, and what remains is not what was meant.
    Lost(&'static str),
}

/// The operator of a rule.
fn op(text: &str) -> Option<&'static str> {
    Some(match text {
        "<" | "<=" => "le",
        ">" | ">=" => "ge",
        "==" => "eq",
        "!=" => "ne",
        "in" => "in",
        _ => return None,
    })
}

fn outcome(rule: &Rule) -> Outcome {
    let condition = rule.op.as_deref().map_or("none", str::trim);
    let bound = rule.bound.as_deref().map_or("", str::trim);
    let kind = match rule.kind.as_deref().map_or("", str::trim) {
        "D" => "D",
        "D1" => "D1",
        "E" => "E",
        "Es" => "Es",
        "F1" => "F1",
        "F2" => "F2",
        _ => return Outcome::Lost("no such layer"),
    };
    if condition == "none" && !matches!(kind, "D" | "E") {
        return Outcome::Empty;
    }
    let evaluated = matches!(kind, "D" | "D1" | "E");
    if evaluated && matches!(condition, "in" | "not in") {
        return Outcome::Lost("`in` and `not in` were never evaluated");
    }
    let Some(op) = op(condition) else { return Outcome::Lost("no such condition") };
    if !evaluated {
        if bound.is_empty() || bound.eq_ignore_ascii_case("none") {
            return Outcome::Empty;
        }
        let text = Some(bound.to_owned());
        return Outcome::Kept(Kept { kind, op, number: None, text, times: None, is_active: false });
    }
    match bound.parse::<f64>() {
        Ok(number) if number.is_finite() => {
            let times = rule.times.filter(|times| *times > 0);
            Outcome::Kept(Kept { kind, op, number: Some(number), text: None, times, is_active: true })
        }
        _ => Outcome::Lost("its limit is no number"),
    }
}

/// Rules of a set, and whether all that was meant is there.
fn rules(rules: &[Rule], tally: &mut Tally) -> (BTreeMap<&'static str, Kept>, bool) {
    let (mut kept, mut is_whole) = (BTreeMap::<&'static str, Kept>::new(), true);
    for rule in rules {
        tally.read += 1;
        match outcome(rule) {
            Outcome::Empty => tally.drop_row("empty"),
            Outcome::Lost(why) => {
                tally.drop_row(why);
                is_whole &= why == "no such layer";
            }
            Outcome::Kept(rule) if kept.contains_key(rule.kind) => {
                tally.drop_row("a second rule of one kind: the first stays");
                is_whole = false;
            }
            Outcome::Kept(new) => {
                tally.written += 1;
                match rule.op.as_deref().map(str::trim) {
                    _ if !new.is_active => tally.change("never evaluated: disabled"),
                    Some("<") => tally.change("`<` is `<=`, as it was evaluated"),
                    Some(">") => tally.change("`>` is `>=`, as it was evaluated"),
                    _ => {}
                }
                kept.insert(new.kind, new);
            }
        }
    }
    // Without D everything would pass that E says, without E nothing ever would.
    let is_whole = is_whole && kept.contains_key("D") && kept.contains_key("E");
    (kept, is_whole)
}

pub(super) async fn run(import: &mut Import<'_>) -> Result<(), Error> {
    let highest = import.source.highest(TABLE).await?;
    let profiles = super::matches::profiles(import).await?;
    let mut session = import.session().await?;
    let mut cursor = Cursor::load(&mut session, import.source_id, TABLE, Some("layer_set")).await?;
    let mut rules = Cursor::load(&mut session, import.source_id, RULES, None).await?;
    let mut ids = Ids::new(&mut session, "layer_set", cursor.floor, highest).await?;
    drop(session);
    loop {
        let rows = import.source.layers(cursor.last, BATCH).await?;
        let (Some(first), Some(last)) = (rows.first().map(|r| r.old_id), rows.last().map(|r| r.old_id))
        else {
            break;
        };
        let mut of: HashMap<i64, Vec<Rule>> = HashMap::new();
        for rule in import.source.rules(first, last).await? {
            of.entry(rule.layer_id).or_default().push(rule);
        }
        let wanted: Vec<_> = rows.iter().map(|row| row.old_id).collect();
        let mut transaction = import.begin().await?;
        let session = transaction.session();
        let given = ids.give(session, &wanted).await?;
        let mut pairs = Vec::new();
        for (row, id) in rows.iter().zip(given) {
            cursor.tally.read += 1;
            let own = of.remove(&row.old_id).unwrap_or_default();
            let Some(profile) = profiles.get(&row.profile_id) else {
                cursor.tally.drop_row("its profile is not there");
                rules.tally.read += own.len() as u64;
                rules.tally.drop_rows("its set is not there", own.len() as u64);
                continue;
            };
            let there = Statement::new("SELECT id FROM layer_set WHERE profile_id = ?").bind(profile.id);
            if let Some(first) = session.number(there).await? {
                cursor.tally.joined += 1;
                cursor.tally.change("a second set of one profile: the rules of the first stay");
                rules.tally.read += own.len() as u64;
                rules.tally.drop_rows("of a second set of one profile", own.len() as u64);
                pairs.push((row.old_id, first));
                continue;
            }
            let owner = (id, profile.id, profile.metric);
            write(import, session, owner, row, &own, (&mut cursor.tally, &mut rules.tally)).await?;
            pairs.push((row.old_id, id));
        }
        map::store(session, import.source_id, TABLE, &pairs).await?;
        cursor.advance(&mut transaction, last).await?;
        rules.advance(&mut transaction, last).await?;
        transaction.commit().await?;
        import.progressed(TABLE, rows.len());
    }
    strays(import, &mut rules).await?;
    import.finished(cursor);
    import.finished(rules);
    Ok(())
}

async fn write(
    import: &Import<'_>,
    session: &mut Session,
    (id, profile, metric): (i64, i64, i64),
    row: &Layer,
    own: &[Rule],
    (sets, tally): (&mut Tally, &mut Tally),
) -> Result<(), Error> {
    let (kept, is_whole) = rules(own, tally);
    let created = row.created.unwrap_or(import.now);
    let is_on = row.enabled != Some(0) && row.deleted.and_then(time).is_none();
    if is_on && !is_whole {
        sets.change("disabled: a rule that it needs could not be kept");
    }
    sets.written += 1;
    let values = [
        Value::Int(id),
        profile.into(),
        metric.into(),
        if is_on && is_whole { "active" } else { "disabled" }.into(),
        row.label.clone().into(),
        super::dictionaries::ADMIN.into(),
        created.into(),
        flag_or_time(row.validated, created).into(),
        row.check_count.into(),
        row.matched_count.into(),
        time(row.last_checked).into(),
        time(row.last_matched).into(),
    ];
    super::insert(session, INTO, vec![values], "").await?;
    let rows = kept.into_values().map(|rule| {
        [
            Value::Int(id),
            rule.kind.into(),
            rule.op.into(),
            rule.number.into(),
            rule.text.into(),
            rule.times.into(),
            if rule.is_active { "active" } else { "disabled" }.into(),
        ]
    });
    super::insert(session, RULES_INTO, rows.collect(), "").await
}

/// Rules of sets that are not there were not looked at: they are counted.
async fn strays(import: &mut Import<'_>, rules: &mut Cursor) -> Result<(), Error> {
    let more = import.source.count(RULES).await?.saturating_sub(rules.tally.read);
    if more == 0 {
        return Ok(());
    }
    rules.tally.read += more;
    rules.tally.drop_rows("its set is not there", more);
    let mut transaction = import.begin().await?;
    let last = rules.last;
    rules.advance(&mut transaction, last).await?;
    Ok(transaction.commit().await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(kind: &str, op: &str, bound: &str, times: Option<i64>) -> Rule {
        let text = |text: &str| Some(text.to_owned());
        Rule { layer_id: 1, kind: text(kind), op: text(op), bound: text(bound), times }
    }

    #[track_caller]
    fn kept(rule: &Rule, op: &str, number: Option<f64>, text: Option<&str>, is_active: bool) {
        let Outcome::Kept(kept) = outcome(rule) else { panic!("{:?}", outcome(rule)) };
        assert_eq!(
            (kept.op, kept.number, kept.text.as_deref(), kept.is_active),
            (op, number, text, is_active)
        );
    }

    #[test]
    fn rules_that_are_kept() {
        kept(&rule("D", ">", "120", None), "ge", Some(120.0), None, true);
        kept(&rule("D", "<=", " -1e3 ", None), "le", Some(-1000.0), None, true);
        kept(&rule("D1", "!=", "0", Some(3)), "ne", Some(0.0), None, true);
        kept(&rule("E", "==", "1.5", Some(3)), "eq", Some(1.5), None, true);
        kept(&rule("Es", "in", "Mon,Tue", None), "in", None, Some("Mon,Tue"), false);
        kept(&rule("F1", ">", "0100", None), "ge", None, Some("0100"), false);
        kept(&rule("F2", "<", "0430", None), "le", None, Some("0430"), false);
    }

    #[test]
    fn rules_that_are_not() {
        assert_eq!(outcome(&rule("D1", "none", "0", None)), Outcome::Empty);
        assert_eq!(outcome(&rule("Es", "in", "None", None)), Outcome::Empty);
        let lost = |rule: &Rule| assert!(matches!(outcome(rule), Outcome::Lost(_)), "{rule:?}");
        lost(&rule("D", "in", "1,2", None));
        lost(&rule("D1", "not in", "1", None));
        lost(&rule("D", "none", "0", None));
        lost(&rule("E", ">=", "abc", None));
        lost(&rule("E", ">=", "NaN", None));
        lost(&rule("X", ">=", "1", None));
        lost(&rule("D", "~", "1", None));
    }

    #[test]
    fn a_set_needs_what_it_was_made_of() {
        let (d, e) = (rule("D", ">", "9", None), rule("E", "<", "5", Some(3)));
        let check = |all: &[&Rule], expected: bool| {
            let all: Vec<_> = all.iter().map(|rule| (*rule).clone()).collect();
            assert_eq!(rules(&all, &mut Tally::default()).1, expected, "{all:?}");
        };
        check(&[&d, &e], true);
        check(&[&d, &e, &rule("D1", "none", "0", None), &rule("Z", "<", "1", None)], true);
        check(&[&d], false);
        check(&[&e], false);
        check(&[&d, &e, &rule("D1", "in", "1", Some(2))], false);
        check(&[&d, &e, &rule("E", "<", "4", Some(3))], false);
    }
}
