//! What somebody may have meant: the word, key or section that is nearest to one that does not exist.

use crate::keys;
use strsim::damerau_levenshtein as distance;

/// The nearest of some words, if it is near at all.
pub(crate) fn word<'w>(given: &str, words: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    let given = given.trim().to_lowercase();
    words
        .filter_map(|word| Some((likeness(&given, word)?, word)))
        .min_by_key(|(far, _)| *far)
        .map(|(_, word)| word)
}

/// The nearest key over all sections. A key of the right name in the wrong section counts as near.
pub(crate) fn key(given: &str) -> Option<&'static str> {
    let (section, name) = given.rsplit_once('.').unwrap_or(("", given));
    let far = |key: &keys::Key| {
        let (its_section, its_name) = key.parts();
        let names = likeness(name, its_name)?;
        // A wrong section weighs less than a wrong letter in the name, and a misspelt one less than another.
        let sections = match section == its_section {
            true => 0,
            false if likeness(section, its_section).is_some() => 1,
            false => 2,
        };
        Some(names * 3 + sections)
    };
    let all = keys::all().iter();
    all.filter_map(|key| Some((far(key)?, key.path))).min_by_key(|(far, _)| *far).map(|(_, path)| path)
}

/// The nearest section.
pub(crate) fn section(given: &str) -> Option<&'static str> {
    word(given, keys::sections().iter().map(|section| section.name))
}

/// How far two words are apart; `None` when they have little to do with each other.
fn likeness(given: &str, word: &str) -> Option<usize> {
    let long_enough = given.len().min(word.len()) >= 4;
    if long_enough && word.starts_with(given) {
        return Some(usize::from(given != word));
    }
    let longest = given.chars().count().max(word.chars().count());
    let far = distance(given, word);
    if far <= (longest / 3).max(1) && longest > 2 {
        return Some(far);
    }
    let parts = |text: &str| {
        let mut parts: Vec<String> = text.split(['_', '-', '.']).map(str::to_owned).collect();
        parts.sort();
        parts
    };
    let same_parts = parts(given) == parts(word);
    (same_parts || long_enough && given.starts_with(word)).then_some(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_sections() {
        let check = |given: &str, expected: Option<&str>| assert_eq!(key(given), expected, "{given}");
        check("listen.plaintxt_tcp", Some("listen.plaintext_tcp"));
        check("listen.plaintext_tpc", Some("listen.plaintext_tcp"));
        check("listen.plaintext_udo", Some("listen.plaintext_udp"));
        check("listen.tcp_plaintext", Some("listen.plaintext_tcp"));
        check("listen.max_conections", Some("listen.max_connections"));
        check("journal.max_connections", Some("listen.max_connections"));
        check("max_connections", Some("listen.max_connections"));
        check("lisen.when_ful", Some("listen.when_full"));
        check("journal.when_ful", Some("journal.when_full"));
        check("relay.mark_points", Some("relay.sending.mark_points"));
        check("relay.destination", Some("relay.destinations"));
        check("window.full_duration", Some("window.full_duration_seconds"));
        check("window.FULL_DURATION", None);
        check("record.enabled", Some("record.syslog.enabled"));
        check("node.colour", None);
        check("x", None);
        assert_eq!(section("listn"), Some("listen"));
        assert_eq!(section("relay.send"), Some("relay.sending"));
        assert_eq!(section("pictures"), None);
    }

    #[test]
    fn words() {
        let check =
            |given: &str, expected| assert_eq!(word(given, ["block", "shed", "spool"].into_iter()), expected);
        check("blok", Some("block"));
        check("SHED", Some("shed"));
        check("shedd", Some("shed"));
        check("drop", None);
        check("", None);
    }
}
