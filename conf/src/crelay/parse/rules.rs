//! `match`, `rewrite`, `aggregate`.

use super::reader::{Parsed, Reader};
use crate::crelay::syntax::{
    Aggregate, At, Compute, Function, Match, Otherwise, Patterns, Rewrite, SendTo, Stamp, Statement, Validate,
};
use nom::Parser;
use nom::branch::alt;
use nom::combinator::opt;
use nom::multi::many0;

pub(super) fn matching<'t>(r: &Reader, input: &'t str) -> Parsed<'t, Statement> {
    let (input, _) = r.keyword("match", input)?;
    let everything = |i| r.keyword("*", i).map(|(i, _)| (i, Patterns::Everything));
    let some = |i| {
        let (i, patterns) = patterns(r, &["validate", "route", "send", "stop"], i)?;
        Ok((i, Patterns::Any(patterns)))
    };
    let (input, patterns) = alt((everything, some)).parse(input)?;
    let (input, validate) = opt(|i| validate(r, i)).parse(input)?;
    let (input, route_using) = opt(|i| {
        let (i, _) = r.phrase(&["route", "using"], i)?;
        r.word("the text that is hashed", i)
    })
    .parse(input)?;
    let (input, send_to) = opt(|i| send_to(r, i)).parse(input)?;
    let (input, stop) = stop(r, input)?;
    Ok((input, Statement::Match(Match { patterns, validate, route_using, send_to, stop })))
}

pub(super) fn rewrite<'t>(r: &Reader, input: &'t str) -> Parsed<'t, Statement> {
    let (input, _) = r.keyword("rewrite", input)?;
    let (input, pattern) = r.word("an expression", input)?;
    let (input, _) = r.keyword("into", input)?;
    let (input, into) = r.word("a replacement", input)?;
    Ok((input, Statement::Rewrite(Rewrite { pattern, into })))
}

pub(super) fn aggregate<'t>(r: &Reader, input: &'t str) -> Parsed<'t, Statement> {
    let (input, _) = r.keyword("aggregate", input)?;
    let (input, patterns) = patterns(r, &["every"], input)?;
    let (input, _) = r.keyword("every", input)?;
    let (input, every) = r.number(input)?;
    let (input, _) = r.phrase(&["seconds", "expire", "after"], input)?;
    let (input, expire) = r.number(input)?;
    let (input, _) = r.keyword("seconds", input)?;
    let (input, stamp) = opt(|i| {
        let (i, _) = r.phrase(&["timestamp", "at"], i)?;
        let (i, stamp) =
            r.one_of(&[("start", Stamp::Start), ("middle", Stamp::Middle), ("end", Stamp::End)], i)?;
        let (i, _) = r.phrase(&["of", "bucket"], i)?;
        Ok((i, stamp.value))
    })
    .parse(input)?;
    let (input, first) = compute(r, input)?;
    let (input, others) = many0(|i| compute(r, i)).parse(input)?;
    let mut computes = vec![first];
    computes.extend(others);
    let (input, send_to) = opt(|i| send_to(r, i)).parse(input)?;
    let (input, stop) = stop(r, input)?;
    let aggregate = Aggregate { patterns, every, expire, stamp, computes, send_to, stop };
    Ok((input, Statement::Aggregate(aggregate)))
}

/// Expressions up to one of `but`.
fn patterns<'t>(r: &Reader, but: &[&str], input: &'t str) -> Parsed<'t, Vec<At<String>>> {
    let (input, first) = r.word("an expression", input)?;
    let (input, others) = many0(|i| r.word_but("an expression", but, i)).parse(input)?;
    let mut patterns = vec![first];
    patterns.extend(others);
    Ok((input, patterns))
}

fn validate<'t>(r: &Reader, input: &'t str) -> Parsed<'t, Validate> {
    let (input, _) = r.keyword("validate", input)?;
    let (input, pattern) = r.word("an expression", input)?;
    let (input, _) = r.keyword("else", input)?;
    let (input, otherwise) = r.one_of(&[("log", Otherwise::Log), ("drop", Otherwise::Drop)], input)?;
    Ok((input, Validate { pattern, otherwise: otherwise.value }))
}

/// `send to …`
pub(super) fn send_to<'t>(r: &Reader, input: &'t str) -> Parsed<'t, SendTo> {
    let (input, _) = r.phrase(&["send", "to"], input)?;
    clusters(r, input)
}

/// What stands behind `send to`.
pub(super) fn clusters<'t>(r: &Reader, input: &'t str) -> Parsed<'t, SendTo> {
    if let Ok((input, _)) = r.keyword("blackhole", input) {
        return Ok((input, SendTo::Blackhole));
    }
    let (input, first) = r.word("the name of a cluster", input)?;
    let (input, others) = many0(|i| r.word_but("the name of a cluster", &["stop"], i)).parse(input)?;
    let mut names = vec![first];
    names.extend(others);
    Ok((input, SendTo::Clusters(names)))
}

/// `stop`, or not.
pub(super) fn stop<'t>(r: &Reader, input: &'t str) -> Parsed<'t, bool> {
    let (input, stop) = opt(|i| r.keyword("stop", i)).parse(input)?;
    Ok((input, stop.is_some()))
}

fn compute<'t>(r: &Reader, input: &'t str) -> Parsed<'t, Compute> {
    let (input, _) = r.keyword("compute", input)?;
    let (input, function) = alt((
        |i| r.one_of(&FUNCTIONS, i),
        |i| r.reading("\"percentile1\" to \"percentile99\"", i, percentile),
    ))
    .parse(input)?;
    let (input, _) = r.phrase(&["write", "to"], input)?;
    let (input, to) = r.word("the name of the result", input)?;
    Ok((input, Compute { function: function.value, to }))
}

const FUNCTIONS: [(&str, Function); 13] = [
    ("sum", Function::Sum),
    ("summary", Function::Sum),
    ("count", Function::Count),
    ("cnt", Function::Count),
    ("max", Function::Max),
    ("maximum", Function::Max),
    ("min", Function::Min),
    ("minimum", Function::Min),
    ("average", Function::Average),
    ("avg", Function::Average),
    ("median", Function::Median),
    ("variance", Function::Variance),
    ("stddev", Function::Deviation),
];

fn percentile(word: &str) -> Option<Result<Function, String>> {
    let digits = word.strip_prefix("percentile")?;
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some(match digits.parse() {
        Ok(percent @ 1..=99) => Ok(Function::Percentile(percent)),
        _ => Err(format!("`{word}` is not a percentile: write percentile1 to percentile99")),
    })
}
