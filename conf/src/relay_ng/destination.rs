//! Destinations as they are written: `host:port[:instance] option=value …`.

use super::document::{At, Log, Word};
use super::filter::{Filter, OPTIONS};
use crate::nearest;
use crate::routing::{Protocol, Server, address};

/// Options with a number that the node has no use for: what becomes of them, and what to do.
const UNUSED: [(&str, &str, &str); 10] = [
    ("flush", "what is due is sent at once", ""),
    ("reconn", "the node has settings of its own", "set `relay.sending.retry_max_seconds`"),
    ("connbuf", "points wait in the log of the node", ""),
    ("iobuf", "what is due is sent at once", ""),
    ("spoolbuf", "points wait in the log of the node", ""),
    ("spoolmaxbytesperfile", "the log of the node has settings of its own", "set `journal.segment_bytes`"),
    ("spoolsyncevery", "the log of the node has settings of its own", "set `journal.durability`"),
    ("spoolsyncperiod", "the log of the node has settings of its own", "set `journal.durability`"),
    ("spoolsleep", "points wait in the log of the node", ""),
    ("unspoolsleep", "the node has a setting of its own", "set `relay.sending.catch_up_points_per_second`"),
];

/// A destination of a route.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Destination {
    pub(super) at: At,
    /// The address as it is written.
    pub(super) label: String,
    pub(super) server: Server,
    pub(super) filter: Filter,
}

/// Reads a destination. What is wrong is in the log.
pub(super) fn read(word: &Word, key: &str, log: &mut Log<'_>) -> Option<Destination> {
    let mut words = word.text.split_ascii_whitespace();
    let label = words.next().unwrap_or_default();
    let mut server = match address(label) {
        Ok(server) => server,
        Err(why) => {
            log.fault(word.at, key, format!("destination `{label}`: {why}; write host:port[:instance]"));
            return None;
        }
    };
    let (mut filter, mut is_good) = (Filter::default(), true);
    for option in words {
        if let Err(why) = set(option, word.at, &mut server, &mut filter, log) {
            log.fault(word.at, key, format!("destination `{label}`: `{option}`: {why}"));
            is_good = false;
        }
    }
    is_good.then(|| Destination { at: word.at, label: label.to_owned(), server, filter })
}

/// Takes one option; else what is right.
fn set(
    option: &str,
    at: At,
    server: &mut Server,
    filter: &mut Filter,
    log: &mut Log<'_>,
) -> Result<(), String> {
    let (name, value) = option.split_once('=').ok_or("an option is written name=value, without blanks")?;
    if value.is_empty() {
        return Err("there is no value behind `=`: leave the option out".to_owned());
    }
    let flag = || match value {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("expected true or false"),
    };
    match name {
        "pickle" => server.protocol = if flag()? { Protocol::Pickle } else { Protocol::Plaintext },
        "spool" => {
            if !flag()? {
                let message =
                    "points for a destination that is down wait in the log of the node all the same";
                log.note(at, "spool=false", message, "set `relay.sending.when_behind` to shed them");
            }
        }
        _ if filter.set(name, value) => {}
        _ => match UNUSED.iter().find(|(other, ..)| *other == name) {
            Some((_, message, advice)) => {
                value.parse::<u64>().map_err(|_| "expected a whole number")?;
                log.note(at, name, *message, advice);
            }
            None => {
                let known = UNUSED.iter().map(|(name, ..)| *name).chain(OPTIONS).chain(["pickle", "spool"]);
                return Err(match nearest::word(name, known) {
                    Some(near) => format!("no such option: did you mean `{near}`?"),
                    None => "no such option".to_owned(),
                });
            }
        },
    }
    Ok(())
}

/// Reads `host:port[:instance]`; an empty instance is none.
fn address(text: &str) -> Result<Server, &'static str> {
    let server = address::without_protocol(text)?;
    let instance = server.instance.clone().filter(|instance| !instance.is_empty());
    Ok(Server { instance, ..server })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let check = |text: &str, host: &str, port, instance: Option<&str>| {
            assert_eq!(address(text), Ok(Server::plain(host, port, instance.map(str::to_owned))), "{text}");
        };
        check("10.0.0.1:2003", "10.0.0.1", 2003, None);
        check("h:2003:a", "h", 2003, Some("a"));
        check("h:2003:", "h", 2003, None);
        check("[2001:db8::1]:2003:b", "2001:db8::1", 2003, Some("b"));
        for wrong in ["", "h", "h:", "h:0", "h:65536", "[::1", "[::1]", ":2003", "h:x:a"] {
            assert!(address(wrong).is_err(), "{wrong}");
        }
    }
}
