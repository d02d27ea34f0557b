//! Tests of the report: what is said of a file, and whether it is usable.

use super::*;

/// Lines of the settings alone, and what comes after them.
fn lines(text: &str) -> (Vec<String>, bool) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("skyline.toml");
    std::fs::write(&path, text).unwrap();
    let mut report = Report::new(true);
    match skyline_conf::load::load(Some(&path), &[]) {
        Ok(loaded) => {
            read(Some(&path), &loaded, &mut report);
            relay_files(&loaded.settings, &mut report);
        }
        Err(error) => unreadable(&error, &mut report),
    }
    let folder = format!("{}/", folder.path().display());
    (report.lines.iter().map(|line| line.to_string().replace(&folder, "")).collect(), report.is_usable())
}

#[test]
fn each_finding_is_a_line() {
    let check = |text: &str, usable: bool, expected: &[&str]| {
        let (lines, found) = lines(text);
        assert_eq!(found, usable, "{lines:#?}");
        for expected in expected {
            assert!(lines.iter().any(|line| line.contains(expected)), "{expected} in {lines:#?}");
        }
    };
    let good = "[relay]\ndestinations = ['10.0.0.1:2004:pickle']\n";
    check(good, true, &["ok       settings: skyline.toml: 1 key set", "nothing contradicts"]);
    check("", true, &["warning  relay.destinations: there is none"]);
    let rules = "[[relay.rule]]\nsend_to = 'destinations'\n";
    check(&format!("{good}{rules}"), true, &["ok       relay.rule: 1 rule, 1 destination"]);
    let rules = "[[relay.rule]]\nsend_to = 'destination'\nhash_key = '\\1'\n";
    check(
        &format!("{good}{rules}"),
        false,
        &[
            "problem  relay.rule 1 (line 3): send_to: there is no cluster `destination`; did you mean `destinations`?",
            "problem  relay.rule 1 (line 3): hash_key: `\\1` names group 1, and the pattern has no groups",
        ],
    );
    check(
        &format!("{good}[[relay.cluster]]\nname = 'c'\ndestinations = ['localhost:2003']\n"),
        false,
        &[
            "problem  relay.cluster: `localhost:2003` is this node's own",
            "warning  relay.cluster `c` (line 3): no rule",
        ],
    );
    let twice = lines("relay.destinations = ['h:1', 'h:1']").0;
    assert_eq!(twice.iter().filter(|line| line.starts_with("problem")).count(), 1, "{twice:#?}");
    check(
        &format!("{good}[detect]\nalgorithms = ['grubs']\nconsensus = 1\n"),
        false,
        &[
            "problem  detect.algorithms: there is no algorithm `grubs` (at line 4, column 1 of skyline.toml); did you mean `grubbs`?",
        ],
    );
    check(
        "[listen]\nplaintxt_tcp = []\nmax_connections = 0\n",
        false,
        &[
            "problem  listen.plaintxt_tcp: unknown key: did you mean `listen.plaintext_tcp`? (at line 2, column 1 of skyline.toml)",
            "problem  listen.max_connections: wrong value",
            "mend the settings first",
        ],
    );
}

#[test]
fn a_file_that_is_not_there() {
    let config = super::super::Config::of_file("/nonexistent/skyline.toml");
    let mut report = Report::new(true);
    assert!(!all(&config, &mut report).unwrap());
    assert!(!report.is_usable());
    assert!(report.lines[0].to_string().contains("/nonexistent/skyline.toml"), "{:?}", report.lines);
}

#[test]
fn the_summary_says_what_comes_next() {
    let check = |fill: &dyn Fn(&mut Report), running, expected: &str| {
        let mut report = Report::new(true);
        fill(&mut report);
        assert_eq!(summary(&report, " --config /s.toml", running, "skyline"), expected);
    };
    check(
        &|r| r.ok("a", "b"),
        false,
        "\n1 ok, 0 warnings, 0 problems: usable\nnext: skyline run --config /s.toml",
    );
    check(
        &|r| r.warning("a", "b", "c"),
        true,
        "\n0 ok, 1 warning, 0 problems: usable\nnext: a node runs; skyline reload --config /s.toml",
    );
    check(
        &|r| r.problem("a", "b", "c"),
        false,
        "\n0 ok, 0 warnings, 1 problem: NOT usable\nnext: mend what is marked `problem`, then skyline check --config /s.toml",
    );
}

#[test]
fn lines_as_json() {
    let line =
        Line { level: Level::Ok, key: "a".into(), message: "b".into(), advice: String::new(), place: None };
    assert_eq!(
        serde_json::to_string(&line).unwrap(),
        r#"{"level":"ok","key":"a","message":"b","advice":""}"#
    );
}
