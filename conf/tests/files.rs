//! The files that go with the settings: every key is in them, with its default, and the examples work.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use skyline_conf::check::{Finding, check};
use skyline_conf::load::{self, load};
use skyline_conf::model::Settings;
use skyline_conf::{keys, reference, relaying};
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The file is what the program writes. With `UPDATE=1` it is written.
#[track_caller]
fn fresh(path: &str, expected: &str) {
    let file = root().join(path);
    if std::env::var_os("UPDATE").is_some()
        && std::fs::read_to_string(&file).ok().as_deref() != Some(expected)
    {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, expected).unwrap();
    }
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    let differs = found.lines().zip(expected.lines()).position(|(a, b)| a != b).map(|line| line + 1);
    assert!(
        found == expected,
        "{path} is stale (line {differs:?}); type: UPDATE=1 cargo test -p skyline-conf --test files"
    );
}

#[test]
fn generated_files_are_fresh() {
    fresh("conf/skyline.toml", &reference::skyline_toml());
    fresh("docs/settings.md", &reference::settings_md());
}

/// The keys of `skyline.toml` without the `#` in front of them.
fn uncommented() -> String {
    let text = std::fs::read_to_string(root().join("conf/skyline.toml")).unwrap();
    let lines = text.lines().map(|line| match line.strip_prefix('#') {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_lowercase()) => rest,
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_file_with_every_key_means_the_same_as_an_empty_one() {
    let as_it_is = load(Some(&root().join("conf/skyline.toml")), &[]).unwrap();
    assert_eq!(as_it_is.settings, Settings::default());
    assert_eq!(as_it_is.given, []);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("all.toml");
    std::fs::write(&file, uncommented()).unwrap();
    let all = load(Some(&file), &[]).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(all.settings, Settings::default());
    let mut given: Vec<&str> = all.given.iter().map(|given| given.key).collect();
    let mut expected: Vec<&str> = keys::all().iter().map(|key| key.path).collect();
    given.sort_unstable();
    expected.sort_unstable();
    assert_eq!(given, expected);
}

#[test]
fn the_page_has_every_key_with_its_default() {
    let page = std::fs::read_to_string(root().join("docs/settings.md")).unwrap();
    for key in keys::all() {
        let (section, name) = key.parts();
        let part =
            page.split(&format!("## `[{section}]`")).nth(1).unwrap_or_else(|| panic!("no part {section}"));
        let part = part.split("\n## ").next().unwrap();
        let row = part.lines().find(|line| line.starts_with(&format!("| `{name}` |")));
        let row = row.unwrap_or_else(|| panic!("{} is not in the page", key.path));
        let default = keys::literal(&keys::default_of(key.path).unwrap());
        assert!(row.contains(&format!("| `{default}`")), "{}: {row}", key.path);
    }
    let of_a_destination =
        keys::of_a_destination().keys.iter().all(|key| page.contains(&format!("| `{}` |", key.parts().1)));
    assert!(of_a_destination);
}

/// The example loads, and what the checks find is `expected`.
#[track_caller]
fn example(name: &str, expected: &[&str]) -> Settings {
    let path = root().join("conf/examples").join(name);
    let loaded = load(Some(&path), &[]).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(loaded.warnings, Vec::<String>::new());
    assert!(!loaded.given.is_empty(), "{name} sets nothing");
    let found: Vec<String> = check(&loaded.settings).iter().map(Finding::to_string).collect();
    assert_eq!(found, expected, "{name}");
    loaded.settings
}

#[test]
fn examples_are_right() {
    let settings = example("between-carbon-relay-and-carbon-cache.toml", &[]);
    assert!(settings.window.enabled && settings.relay.destinations.len() == 1);
    let settings = example(
        "one-more-destination.toml",
        &[
            "warning: relay.destinations: there is none: points are judged here and forwarded to nobody; name your carbon, for example destinations = [\"127.0.0.1:2004:pickle\"]",
        ],
    );
    assert!(settings.window.enabled && settings.node.self_metrics_seconds == 0);
    let settings = example("relay-only.toml", &[]);
    assert!(!settings.window.enabled && settings.relay.destinations.len() == 3);
    let settings = example("rules.toml", &[]);
    let relaying = relaying::read(&settings).unwrap();
    assert_eq!((relaying.routing.destinations.len(), relaying.routing.statements.len()), (3, 4));
    assert_eq!(relaying.notes, []);
}

#[test]
fn every_example_is_tested() {
    let mut names: Vec<String> = std::fs::read_dir(root().join("conf/examples"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "between-carbon-relay-and-carbon-cache.toml",
            "one-more-destination.toml",
            "relay-only.toml",
            "rules.toml"
        ]
    );
}

/// What stands in fences of a page.
fn fenced<'p>(page: &'p str, language: &str) -> Vec<&'p str> {
    let open = format!("```{language}\n");
    page.split(&open).skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

#[test]
fn what_the_page_of_rules_shows_works() {
    let page = std::fs::read_to_string(root().join("docs/rules.md")).unwrap();
    let shown = fenced(&page, "toml");
    assert!(shown.len() >= 5, "{}", shown.len());
    for text in shown {
        let settings =
            load::text(text, Path::new("rules.md")).unwrap_or_else(|error| panic!("{error}")).settings;
        relaying::read(&settings).unwrap_or_else(|error| panic!("{error}\n{text}"));
    }
}
