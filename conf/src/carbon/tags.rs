//! Names with tags in their normal form (carbon's `TaggedSeries`).

use std::collections::BTreeMap;

/// The normal form of a name: `name;tag=value` with the tags in order, each once. A name in the form
/// `name{tag="value",…}` is written in that form too. `None`: its tags are not well formed, and it is used as it is.
///
/// `~` at the beginning of the name goes, also where there are no tags: that is what carbon 1.2 does.
#[must_use]
pub fn normalize(name: &str) -> Option<String> {
    let mut tags = BTreeMap::new();
    let metric = if name.ends_with("\"}") && name.contains('{') {
        braced(name, &mut tags)?
    } else {
        let mut parts = name.split(';');
        let metric = parts.next()?;
        for part in parts {
            let (tag, value) = part.split_once('=')?;
            take(tag, value.to_owned(), &mut tags)?;
        }
        metric
    };
    let metric = metric.trim_start_matches('~');
    if metric.is_empty() {
        return None;
    }
    // In the order of the whole text, where `=` takes part: `a=1` stands behind `a1=1`.
    let mut written: Vec<String> =
        tags.iter().filter(|(tag, _)| *tag != "name").map(|(tag, value)| format!(";{tag}={value}")).collect();
    written.sort_unstable();
    Some(format!("{metric}{}", written.concat()))
}

/// Of equal tags the last counts.
fn take(tag: &str, value: String, tags: &mut BTreeMap<String, String>) -> Option<()> {
    if tag.is_empty() || tag.contains([';', '!', '^', '=']) {
        return None;
    }
    if value.is_empty() || value.contains(';') || value.starts_with('~') {
        return None;
    }
    tags.insert(tag.to_owned(), value);
    Some(())
}

/// Reads `name{tag="value",…}`: the name.
fn braced<'n>(name: &'n str, tags: &mut BTreeMap<String, String>) -> Option<&'n str> {
    let (metric, mut rest) = name.strip_suffix('}')?.split_once('{')?;
    // carbon refuses a second brace wherever it stands.
    if rest.contains('{') {
        return None;
    }
    while !rest.is_empty() {
        let (tag, behind) = rest.split_once('=')?;
        let (value, behind) = quoted(behind)?;
        take(tag, value, tags)?;
        rest = if behind.is_empty() { behind } else { behind.strip_prefix(',')? };
    }
    Some(metric)
}

/// Reads a quoted value, in which a backslash stands before `"` and `\` only: the value, and what is behind it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut chars = text.strip_prefix('"')?.chars();
    let mut value = String::new();
    loop {
        match chars.next()? {
            '"' => return Some((value, chars.as_str())),
            '\\' => value.push(chars.next().filter(|c| matches!(c, '"' | '\\'))?),
            c => value.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let check = |name: &str, expected: Option<&str>| {
            assert_eq!(normalize(name).as_deref(), expected, "{name}");
        };
        check("a.b", Some("a.b"));
        check("m;z=1;b=2;z=3", Some("m;b=2;z=3"));
        check("m;a=1;a1=1;A=0", Some("m;A=0;a1=1;a=1"));
        check("m;name=other;x=y=z", Some("m;x=y=z"));
        check("~~m;x=1", Some("m;x=1"));
        check("~m", Some("m"));
        check("m{b=\"x\\\\y\\\"\",a=\"é\"}", Some("m;a=é;b=x\\y\""));
        check("m{a=\"1\"", Some("m{a=\"1\""));
        for bad in ["", ";a=1", "m;", "m;a", "m;=1", "m;a=", "m;a=~1", "m;a!=1", "~;a=1"] {
            check(bad, None);
        }
        for bad in ["{a=\"1\"}", "m{a=\"\"}", "m{a=\"1\"b=\"2\"}", "m{a=\"\\x\"}", "m{a{b=\"1\"}", "m{\"}"] {
            check(bad, None);
        }
    }
}
