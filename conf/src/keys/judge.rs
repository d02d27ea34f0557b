//! Whether a value is what its key takes, and in which words to say that it is not.

use super::{Item, Key, Kind, default_of, grouped, literal};
use crate::nearest;
use crate::secret;
use std::net::{IpAddr, SocketAddr};
use toml::{Table, Value};

/// What is wrong with a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where within the value; empty: the value itself.
    pub path: Vec<Step>,
    /// Whether the key at the end of `path` does not exist.
    pub is_unknown: bool,
    /// What was found and what is expected, with an example.
    pub message: String,
}

/// One step into a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// To an item of a list, counted from 0.
    Item(usize),
    /// To a key of a table.
    Key(String),
}

impl Fault {
    fn of(message: impl Into<String>) -> Self {
        Self { path: Vec::new(), is_unknown: false, message: message.into() }
    }

    /// The fault as one of what `step` leads from.
    fn within(mut self, step: Step) -> Self {
        self.path.insert(0, step);
        self
    }
}

impl Kind {
    /// What is expected, for people.
    #[must_use]
    pub fn expected(self) -> String {
        match self {
            Self::Switch => "true or false".into(),
            Self::Whole(least, most) => between("a whole number", least, most),
            Self::Number(least, most) => {
                let number = |n| literal(&Value::Float(n));
                format!("a number from {} to {}", number(least), number(most))
            }
            Self::Text => "a text in quotes".into(),
            Self::Path => "a path in quotes".into(),
            Self::Choice(words) => {
                let words: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
                words.join(" or ")
            }
            Self::Addresses => "a list of IP addresses with ports".into(),
            Self::Paths => "a list of paths in quotes".into(),
            Self::Texts => "a list of texts in quotes".into(),
            Self::Names => "a text in quotes, or a list of texts".into(),
            Self::Address => "an IP address with a port".into(),
            Self::One(item) => item.expected().into(),
            Self::List(item) if item.or_text => "a list of texts in quotes or tables".into(),
            Self::List(_) => "a list of tables".into(),
            Self::OneOrList(item) => format!("{}, or a list of these", item.expected()),
        }
    }

    /// Takes a value, or says all that is wrong with it. A whole number is taken where a number is due.
    ///
    /// # Errors
    /// Each [`Fault`].
    pub fn judge(self, key: &Key, value: &Value) -> Result<Value, Vec<Fault>> {
        let wrong = |found: String| Err(vec![whole(key, &found, None)]);
        let checked = |faults: Vec<Fault>| if faults.is_empty() { Ok(value.clone()) } else { Err(faults) };
        match (self, value) {
            (Self::Switch, Value::Boolean(_)) | (Self::Text | Self::Path | Self::Names, Value::String(_)) => {
                Ok(value.clone())
            }
            (Self::Address, Value::String(text)) => match text.parse::<SocketAddr>() {
                Ok(_) => Ok(value.clone()),
                Err(_) => Err(vec![Fault::of(address_fault(text))]),
            },
            (Self::Whole(least, most), Value::Integer(n)) => match u64::try_from(*n) {
                Ok(n) if (least..=most).contains(&n) => Ok(value.clone()),
                _ => wrong(grouped(*n, '_')),
            },
            (Self::Number(least, most), Value::Integer(n)) if in_range(*n as f64, least, most) => {
                Ok(Value::Float(*n as f64))
            }
            (Self::Number(least, most), Value::Float(n)) if in_range(*n, least, most) => Ok(value.clone()),
            (Self::Choice(words), Value::String(word)) if words.contains(&word.as_str()) => Ok(value.clone()),
            (Self::Choice(words), Value::String(word)) => {
                let near = nearest::word(word, words.iter().copied());
                Err(vec![whole(key, &found(value), near.map(|near| format!("did you mean \"{near}\"?")))])
            }
            (_, Value::Array(items)) if self.is_list() => {
                let faults = items.iter().enumerate().flat_map(|(i, value)| {
                    item(key, i, value).into_iter().map(move |fault| fault.within(Step::Item(i)))
                });
                checked(faults.collect())
            }
            (Self::One(item) | Self::OneOrList(item), Value::Table(given)) => checked(table(item, given)),
            (Self::One(item) | Self::OneOrList(item), Value::String(_)) if item.or_text => Ok(value.clone()),
            _ => wrong(found(value)),
        }
    }
}

fn in_range(n: f64, least: f64, most: f64) -> bool {
    n.is_finite() && (least..=most).contains(&n)
}

fn between(what: &str, least: u64, most: u64) -> String {
    let number = |n: u64| grouped(i64::try_from(n).unwrap_or(i64::MAX), '_');
    if most == i64::MAX as u64 {
        format!("{what} of {} or more", number(least))
    } else {
        format!("{what} from {} to {}", number(least), number(most))
    }
}

/// What was found, for people.
pub(crate) fn found(value: &Value) -> String {
    match value {
        Value::Boolean(_) | Value::Integer(_) | Value::Float(_) => literal(value),
        Value::String(text) => format!("the text \"{}\"", shortened(text)),
        Value::Datetime(_) => "a date".into(),
        Value::Array(_) => "a list".into(),
        Value::Table(_) => "a table".into(),
    }
}

fn shortened(text: &str) -> String {
    // A password may stand where another value belongs.
    let text = secret::guarded(text);
    let mut chars = text.chars();
    let head: String = chars.by_ref().take(60).flat_map(char::escape_debug).collect();
    if chars.next().is_some() { format!("{head}...") } else { head }
}

fn whole(key: &Key, found: &str, hint: Option<String>) -> Fault {
    let (_, name) = key.parts();
    let mut message = format!("found {found}, expected {}", key.kind.expected());
    match hint {
        Some(hint) => message = format!("{message}; {hint}"),
        None => message = format!("{message}, for example `{name} = {}`", example(key)),
    }
    Fault::of(message)
}

/// A value that the key takes.
pub(crate) fn example(key: &Key) -> String {
    let own = match key.kind {
        Kind::Addresses => Some("[\"0.0.0.0:2003\"]"),
        Kind::Paths => Some("[\"/run/skyline/carbon.sock\"]"),
        Kind::Texts if key.path.ends_with("history") => Some("[\"7days\", \"24hours\"]"),
        Kind::Texts => Some("[\"statsd.\"]"),
        Kind::Address => Some("\"0.0.0.0:2013\""),
        Kind::Names => Some("\"carbon\""),
        Kind::List(item) => return format!("[{}]", item.example),
        Kind::One(item) | Kind::OneOrList(item) => Some(item.example),
        Kind::Path => Some("\"/var/lib/skyline\""),
        _ => None,
    };
    let default = default_of(key.path).filter(|value| {
        !value.as_array().is_some_and(Vec::is_empty) && !value.as_str().is_some_and(str::is_empty)
    });
    match (default, own) {
        (Some(default), _) => literal(&default),
        (None, Some(own)) => own.to_owned(),
        (None, None) => match key.kind {
            Kind::Whole(least, _) => least.max(1).to_string(),
            Kind::Choice([word, ..]) => format!("\"{word}\""),
            _ => "\"text\"".into(),
        },
    }
}

/// What is wrong with one item of a list.
fn item(key: &Key, i: usize, value: &Value) -> Vec<Fault> {
    match (key.kind, value) {
        (Kind::Addresses, Value::String(text)) => match text.parse::<SocketAddr>() {
            Ok(_) => Vec::new(),
            Err(_) => vec![Fault::of(address_fault(text))],
        },
        (Kind::Paths | Kind::Texts | Kind::Names, Value::String(_)) => Vec::new(),
        (Kind::List(item) | Kind::OneOrList(item), Value::String(_)) if item.or_text => Vec::new(),
        (Kind::List(item) | Kind::OneOrList(item), Value::Table(given)) => table(item, given),
        _ => vec![Fault::of(format!(
            "item {} of the list is {}, expected as in `{} = {}`",
            i + 1,
            found(value),
            key.parts().1,
            example(key)
        ))],
    }
}

fn address_fault(text: &str) -> String {
    let port = |text: &str| text.parse::<u16>().is_ok();
    let hint = match text.rsplit_once(':') {
        None if port(text) => format!("write \"0.0.0.0:{text}\" for all interfaces"),
        None if text.parse::<IpAddr>().is_ok() => "the port is missing".into(),
        Some(("", p)) if port(p) => format!("write \"0.0.0.0:{p}\" for all interfaces"),
        Some(("localhost", p)) if port(p) => format!("write \"127.0.0.1:{p}\""),
        Some(("*", p)) if port(p) => format!("write \"0.0.0.0:{p}\""),
        Some((host, p)) if port(p) && host.parse::<IpAddr>().is_ok() => format!("write \"[{host}]:{p}\""),
        Some((_, p)) if port(p) => "an IP address is needed here, not a host's name".into(),
        _ => "write an IP address and a port, as in \"0.0.0.0:2003\" or \"[::]:2003\"".into(),
    };
    format!("\"{}\" is no address to listen on; {hint}", shortened(text))
}

/// What is wrong with a table.
fn table(item: &Item, table: &Table) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (name, value) in table {
        let here = || Step::Key(name.clone());
        match item.keys.iter().find(|key| key.parts().1 == name) {
            Some(key) => {
                let wrong = key.kind.judge(key, value).err().into_iter().flatten();
                faults.extend(wrong.map(|fault| fault.within(here())));
            }
            None => {
                let names: Vec<&str> = item.keys.iter().map(|key| key.parts().1).collect();
                let message = match nearest::word(name, names.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("{} has {}", item.what, names.join(", ")),
                };
                faults.push(Fault { is_unknown: true, ..Fault::of(message).within(here()) });
            }
        }
    }
    // What is misspelt would be missed as well.
    if !faults.iter().any(|fault| fault.is_unknown) {
        faults.extend((item.missing)(table).map(Fault::of));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::super::find;
    use super::*;

    #[track_caller]
    fn good(path: &str, value: &str) {
        let (key, value) = (find(path).unwrap(), parse(value));
        assert!(key.kind.judge(key, &value).is_ok(), "{path} = {value}");
    }

    /// The value is refused in words that contain `expected`.
    #[track_caller]
    fn bad(path: &str, value: &str, expected: &str) {
        let (key, value) = (find(path).unwrap(), parse(value));
        let faults = key.kind.judge(key, &value).unwrap_err();
        let said: Vec<_> = faults.iter().map(|fault| fault.message.as_str()).collect();
        assert!(said.join("\n").contains(expected), "{path} = {value}: {said:?}");
    }

    fn parse(text: &str) -> Value {
        toml::from_str::<Table>(&format!("v = {text}")).unwrap().remove("v").unwrap()
    }

    #[test]
    fn values_that_are_taken() {
        good("listen.max_connections", "1");
        good("listen.max_connections", "4294967295");
        good("node.shutdown_seconds", "5");
        good("node.shutdown_seconds", "0.5");
        good("relay.diverse_replicas", "false");
        good("journal.when_full", "\"block\"");
        good("listen.plaintext_tcp", "[]");
        good("listen.plaintext_tcp", "[\"[::]:2003\", '127.0.0.1:1']");
        good("listen.plaintext_unix", "[\"/run/s\"]");
        good("relay.destinations", "[\"a:1\", {address = \"b:1\", mark_points = 5, when_behind = \"shed\"}]");
        good("relay.destinations", "[\"a\"]");
    }

    #[test]
    fn passwords_in_wrong_places_are_not_repeated() {
        let check = |path: &str, value: &str| {
            bad(path, value, "http://(hidden)@x/");
            let (key, value) = (find(path).unwrap(), parse(value));
            let faults = key.kind.judge(key, &value).unwrap_err();
            assert!(faults.iter().all(|fault| !fault.message.contains("hunter2")), "{faults:?}");
        };
        for key in ["listen.max_connections", "alerting.enabled", "journal.when_full", "alerting.email.port"]
        {
            check(key, "\"http://u:hunter2@x/\"");
        }
        check("listen.plaintext_tcp", "[\"http://u:hunter2@x/\"]");
    }

    #[test]
    fn values_that_are_refused() {
        bad("listen.max_connections", "0", "found 0, expected a whole number from 1 to 4_294_967_295");
        bad("listen.max_connections", "-1", "found -1,");
        bad("listen.max_connections", "4294967296", "found 4_294_967_296,");
        bad("listen.max_connections", "5.0", "found 5,");
        bad("listen.max_connections", "\"5\"", "found the text \"5\"");
        bad("listen.max_connections", "\"5\"", "for example `max_connections = 10_000`");
        bad("listen.max_line_bytes", "32769", "from 64 to 32_768");
        bad("journal.max_bytes", "0", "a whole number of 1_048_576 or more");
        bad("node.shutdown_seconds", "nan", "expected a number from 0.1 to 600");
        bad("node.shutdown_seconds", "inf", "expected a number from 0.1 to 600");
        bad("node.shutdown_seconds", "0", "expected a number");
        bad(
            "relay.diverse_replicas",
            "1",
            "found 1, expected true or false, for example `diverse_replicas = true`",
        );
        bad("journal.when_full", "\"blok\"", "did you mean \"block\"?");
        bad("journal.when_full", "\"x\"", "\"shed_oldest\" or \"block\", for example");
        bad("journal.when_full", "[]", "found a list");
        bad("node.name", "5", "found 5, expected a text in quotes");
        bad("node.name", "2020-01-01", "found a date");
        bad("window.skip", "\"a\"", "expected a list of texts in quotes, for example `skip = [\"statsd.\"]`");
        bad("window.skip", "[1]", "item 1 of the list is 1");
        bad("window.skip", "{a = 1}", "found a table");
    }

    #[test]
    fn addresses_that_are_refused() {
        let bad =
            |text: &str, expected: &str| bad("listen.plaintext_tcp", &format!("[\"{text}\"]"), expected);
        bad("2003", "write \"0.0.0.0:2003\"");
        bad(":2003", "write \"0.0.0.0:2003\"");
        bad("*:2003", "write \"0.0.0.0:2003\"");
        bad("localhost:2003", "write \"127.0.0.1:2003\"");
        bad("::1:2003", "[::1]:2003");
        bad("10.0.0.1", "the port is missing");
        bad("graphite:2003", "not a host's name");
        bad("10.0.0.1:99999", "write an IP address and a port");
        bad("", "write an IP address and a port");
    }

    #[test]
    fn streams() {
        let good = |item: &str| good("listen.stream", &format!("[{item}]"));
        good("{address = '[::1]:1', packing = 'gzip', protocol = 'pickle'}");
        good(
            "{unix = '/run/s', tls = {certificate = '/c', key = '/k', client_ca = '/a', min_version = '1.3'}}",
        );
        let bad = |item: &str, expected: &str| bad("listen.stream", &format!("[{item}]"), expected);
        bad(
            "'0.0.0.0:1'",
            "item 1 of the list is the text \"0.0.0.0:1\", expected as in `stream = [{ address",
        );
        bad("{packing = 'gzip'}", "either `address` or `unix` is needed");
        bad("{address = '1.1.1.1:1', unix = '/s'}", "either `address` or `unix` is needed");
        bad("{address = '2003'}", "write \"0.0.0.0:2003\"");
        bad("{address = '1.1.1.1:1', packing = 'gzipp'}", "did you mean \"gzip\"?");
        bad("{address = '1.1.1.1:1', protocoll = 'pickle'}", "did you mean `protocol`?");
        bad("{address = '1.1.1.1:1', tls = '/c'}", "found the text \"/c\", expected a table");
        bad("{address = '1.1.1.1:1', tls = {}}", "the `certificate` is missing");
        bad("{address = '1.1.1.1:1', tls = {certificate = 5}}", "found 5, expected a path");
        bad("{address = '1.1.1.1:1', tls = {certificate = '/c', min_version = 1.3}}", "\"1.2\" or \"1.3\"");
        bad("{address = '1.1.1.1:1', tls = {certificat = '/c'}}", "did you mean `certificate`?");
    }

    #[test]
    fn destinations_that_are_refused() {
        let bad = |item: &str, expected: &str| bad("relay.destinations", &format!("[{item}]"), expected);
        bad("5", "item 1 of the list is 5");
        bad("{when_behind = \"shed\"}", "the `address` is missing");
        bad("{address = 5}", "found 5, expected a text in quotes");
        bad("{address = \"a:1\", when_behnd = \"shed\"}", "did you mean `when_behind`?");
        bad("{address = \"a:1\", colour = \"red\"}", "a destination has name, address, file");
        bad("{address = \"a:1\", mark_points = 0}", "expected a whole number of 1 or more");
    }
}
