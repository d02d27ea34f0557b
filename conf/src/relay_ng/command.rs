//! Commands of `init.cmds`, which do what sections do. Words have one blank between them; two blanks lie between a
//! route and its destinations, and between these.

use super::document::{At, Log, Word};
use super::filter::Filter;
use super::section::{self, Aggregation, Found, Rewriter, Route};
use std::iter::Peekable;
use std::str::SplitAsciiWhitespace;

const KEY: &str = "init.cmds";

type Words<'c> = Peekable<SplitAsciiWhitespace<'c>>;

/// Reads a command. What is wrong is in the log.
pub(super) fn read(command: &Word, found: &mut Found, log: &mut Log<'_>) {
    let (name, rest) = command.text.split_once(' ').unwrap_or((&command.text, ""));
    let at = command.at;
    let done = match name {
        "addBlack" | "addBlock" => {
            let entry = Word { text: rest.split_ascii_whitespace().collect::<Vec<_>>().join(" "), at };
            found.blocks.extend(section::block(&entry, KEY, log));
            Ok(())
        }
        "addRewriter" => rewriter(rest, at).map(|rewriter| found.rewriters.push(rewriter)),
        "addAgg" => aggregation(rest, at).map(|aggregation| found.aggregations.push(aggregation)),
        "addRoute" => match route(rest, at, log) {
            Ok(route) => {
                found.routes.extend(route);
                Ok(())
            }
            Err(why) => Err(why),
        },
        "delRoute" | "modRoute" | "modDest" | "addDest" => {
            Err("write the route as it shall be in a section `[[route]]`, and take this command out"
                .to_owned())
        }
        _ => {
            Err("no such command; there are addRoute, addBlock, addBlack, addAgg and addRewriter".to_owned())
        }
    };
    if let Err(why) = done {
        log.fault(at, KEY, format!("`{}`: {why}", command.text));
    }
}

fn number(word: Option<&str>, what: &str) -> Result<i64, String> {
    word.and_then(|word| word.parse().ok()).ok_or_else(|| format!("{what} is missing, or not a whole number"))
}

/// `old new max`.
fn rewriter(rest: &str, at: At) -> Result<Rewriter, String> {
    let mut words = rest.split_ascii_whitespace();
    let (Some(old), Some(new)) = (words.next(), words.next()) else {
        return Err("write addRewriter, what is replaced, by what, and how often".to_owned());
    };
    let max = number(words.next(), "how often it is replaced")?;
    nothing_more(words.next())?;
    Ok(Rewriter { at, key: KEY, old: old.to_owned(), new: new.to_owned(), not: String::new(), max })
}

/// `function filter… format interval wait [cache=…] [dropRaw=…]`; an older form has the expression alone in
/// place of the filter.
fn aggregation(rest: &str, at: At) -> Result<Aggregation, String> {
    let mut words: Words<'_> = rest.split_ascii_whitespace().peekable();
    let function = words.next().ok_or("the function is missing")?.to_owned();
    let mut filter = filter(&mut words);
    if !filter.has_regex() {
        let regex = words.next().ok_or("an expression is missing: regex=…")?;
        filter.set("regex", regex);
        while let Some((name, value)) = words.peek().and_then(|word| word.split_once('=')) {
            if !filter.set(name, value) {
                break;
            }
            words.next();
        }
    }
    let format = words.next().ok_or("the name of the aggregate is missing")?.to_owned();
    let interval = number(words.next(), "the interval")?;
    let wait = number(words.next(), "the wait")?;
    let mut drops_raw = false;
    for word in words {
        match word {
            "cache=true" | "cache=false" => {}
            "dropRaw=true" => drops_raw = true,
            "dropRaw=false" => drops_raw = false,
            other => return Err(format!("`{other}`: expected cache= or dropRaw= with true or false")),
        }
    }
    Ok(Aggregation { at, key: KEY, function, filter, format, interval, wait, drops_raw })
}

/// `type key filter…  destination  destination…`; `None` where the type is what is wrong.
fn route(rest: &str, at: At, log: &mut Log<'_>) -> Result<Option<Route>, String> {
    let mut pieces = rest.split("  ").map(str::trim).filter(|piece| !piece.is_empty());
    let mut words: Words<'_> = pieces.next().unwrap_or_default().split_ascii_whitespace().peekable();
    let kind = Word { text: words.next().ok_or("the type of the route is missing")?.to_owned(), at };
    let Some(kind) = section::kind(&kind, KEY, log) else { return Ok(None) };
    let name = words.next().ok_or("the key of the route is missing")?.to_owned();
    let filter = filter(&mut words);
    if let Some(word) = words.next() {
        return Err(format!("`{word}` is no filter; before each destination there are two blanks"));
    }
    let destinations = pieces.map(|piece| Word { text: piece.to_owned(), at }).collect();
    Ok(Some(Route { at, key: KEY, name, kind, filter, destinations }))
}

/// The options of a filter up to the first word that is none.
fn filter(words: &mut Words<'_>) -> Filter {
    let mut filter = Filter::default();
    while let Some((name, value)) = words.peek().and_then(|word| word.split_once('=')) {
        if !filter.set(name, value) {
            break;
        }
        words.next();
    }
    filter
}

fn nothing_more(word: Option<&str>) -> Result<(), String> {
    word.map_or(Ok(()), |word| Err(format!("`{word}` is one word too many")))
}
