//! Tests of loading: files and variables to settings, and every fault in words.

use super::*;
use crate::keys;
use crate::model::listen::Packing;
use crate::model::relay::{DestinationEntry, WhenBehind};
use proptest::prelude::*;

fn variables(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn read(text: &str, env: &[(&str, &str)]) -> Result<Loaded, Error> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("skyline.toml");
    std::fs::write(&path, text).unwrap();
    load(Some(&path), &variables(env))
}

/// All problems, one a line, without the folder of the file.
#[track_caller]
fn faults(text: &str, env: &[(&str, &str)]) -> Vec<String> {
    let error = read(text, env).unwrap_err();
    let said = |problem: &Problem| match &problem.place {
        Place::File { path, .. } => problem.to_string().replace(&path.display().to_string(), "skyline.toml"),
        _ => problem.to_string(),
    };
    error.problems().iter().map(said).collect()
}

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let found = faults(text, &[]);
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.contains(expected), "{found}\nhas not\n{expected}");
    }
}

#[track_caller]
fn check_env(name: &str, value: &str, expected: &str) {
    let found = faults("", &[(name, value)]);
    assert!(found.len() == 1 && found[0].contains(expected), "{found:?}\nhas not\n{expected}");
}

#[test]
fn nothing_gives_the_defaults() {
    let loaded = load(None, &[]).unwrap();
    assert_eq!(loaded, Loaded { settings: Settings::default(), warnings: vec![], given: vec![] });
    assert_eq!(read("", &[]).unwrap().settings, Settings::default());
    assert_eq!(read("[node]\n[relay.sending]\n", &[]).unwrap().settings, Settings::default());
    assert_eq!(read("\u{feff}[node]\r\nname = 'a'\r\n", &[]).unwrap().settings.node.name, "a");
}

#[test]
fn streams_are_tables() {
    let text = "[listen]\nidle_seconds = 5\n[[listen.stream]]\naddress = '0.0.0.0:1'\npacking = 'lz4'\n[[listen.stream]]\nunix = '/s'\ntls.certificate = '/c'\n";
    let streams = read(text, &[]).unwrap().settings.listen.stream;
    let [first, second] = &streams[..] else { panic!("{streams:?}") };
    assert_eq!((first.packing, first.tls.is_none()), (Packing::Lz4, true));
    assert_eq!(second.tls.as_ref().map(|tls| tls.certificate.clone()), Some("/c".into()));
    check(
        "[[listen.stream]]\naddress = '0.0.0.0:1'\n[listen.stream.tls]\nkey = '/k'\n",
        &["`listen.stream.tls` at line 3, column 16 of skyline.toml: the `certificate` is missing"],
    );
    check(
        "[[listen.stream]]\naddress = '0.0.0.0:1'\n[listen.stream.tls]\nkey = '/k'\ncertificat = '/c'\n",
        &["`listen.stream.tls.certificat` at line 5, column 1 of skyline.toml: did you mean `certificate`?"],
    );
}

#[test]
fn keys_of_rules_that_stand_alone() {
    check(
        "[[relay.aggregate]]\nname = 'x'\n[relay]\nsend_to = 'x'\n",
        &[
            "unknown key `relay.aggregate` at line 1, column 9 of skyline.toml: it belongs into a table of `[[relay.rule]]`",
            "unknown key `relay.send_to` at line 4, column 1 of skyline.toml: it belongs into a table of `[[relay.rule]]`",
        ],
    );
}

#[test]
fn a_file_and_the_environment_over_it() {
    let text = "listen.max_connections = 5\n[relay]\ndestinations = [\"a:1\", { address = \"b:2\", when_behind = \"shed\" }]\n[node]\nshutdown_seconds = 3\n";
    let loaded = read(text, &[("SKYLINE__LISTEN__MAX_CONNECTIONS", "7"), ("PATH", "/bin")]).unwrap();
    assert_eq!(loaded.settings.listen.max_connections, 7);
    assert!((loaded.settings.node.shutdown_seconds - 3.0).abs() < 1e-9);
    assert!(
        matches!(&loaded.settings.relay.destinations[1], DestinationEntry::Table(t) if t.when_behind == Some(WhenBehind::Shed))
    );
    let place = |key| loaded.place_of(key).map(ToString::to_string).unwrap_or_default();
    assert_eq!(place("listen.max_connections"), "in the variable SKYLINE__LISTEN__MAX_CONNECTIONS");
    assert!(
        place("node.shutdown_seconds").starts_with("at line 5, column 1 of "),
        "{}",
        place("node.shutdown_seconds")
    );
    assert_eq!(place("node.name"), "");
    let tables = "[[relay.destinations]]\naddress = \"a:1\"\n[[relay.destinations]]\naddress = \"b:1\"\nmark_points = 9\n";
    assert_eq!(read(tables, &[]).unwrap().settings.relay.destinations.len(), 2);
}

#[test]
fn variables_are_read_by_the_kind_of_their_key() {
    let check = |name: &str, value: &str, expected: &str| {
        let path = name.to_lowercase().replace("__", ".");
        let loaded = load(None, &variables(&[(&format!("{PREFIX}{name}"), value)])).unwrap();
        let table = keys::table_of(&loaded.settings);
        assert_eq!(keys::literal(keys::value_of(&table, &path).unwrap()), expected, "{name}={value}");
    };
    check("NODE__NAME", "5", "\"5\"");
    check("NODE__NAME", "\"a b\"", "\"a b\"");
    check("NODE__NAME", "", "\"\"");
    check("NODE__LOG", "info,skyline_relay=debug", "\"info,skyline_relay=debug\"");
    check("NODE__SHUTDOWN_SECONDS", " 3 ", "3");
    check("JOURNAL__MAX_BYTES", "0x40000000", "1_073_741_824");
    check("JOURNAL__WHEN_FULL", "block", "\"block\"");
    check("JOURNAL__WHEN_FULL", "\"block\"", "\"block\"");
    check("WINDOW__ENABLED", "false", "false");
    check("WINDOW__SKIP", "a, b,", "[\"a\", \"b\"]");
    check("WINDOW__SKIP", "[\"a,b\"]", "[\"a,b\"]");
    check("LISTEN__PLAINTEXT_TCP", "", "[]");
    check("LISTEN__PLAINTEXT_TCP", "127.0.0.1:1,[::1]:2", "[\"127.0.0.1:1\", \"[::1]:2\"]");
    check("RELAY__DESTINATIONS", "a:1:pickle", "[\"a:1:pickle\"]");
    check("RELAY__SENDING__MARK_POINTS", "5", "5");
    check("listen__max_connections", "5", "5");
}

#[test]
fn unknown_keys() {
    check(
        "[listen]\n\nplaintxt_tcp = []\n",
        &[
            "unknown key `listen.plaintxt_tcp` at line 3, column 1 of skyline.toml: did you mean `listen.plaintext_tcp`?",
        ],
    );
    check(
        "max_connections = 1",
        &[
            "unknown key `max_connections` at line 1, column 1 of skyline.toml: did you mean `listen.max_connections`?",
        ],
    );
    check(
        "[listn]\nmax_connections = 1\nx = 1",
        &["unknown section `listn` at line 1, column 2 of skyline.toml: did you mean `[listen]`?"],
    );
    check(
        "[weather]\nx = 1",
        &["unknown section `weather` at line 1, column 2 of skyline.toml: the sections are node, listen,"],
    );
    check(
        "[http]\ncolour = 1",
        &["unknown key `http.colour` at line 2, column 1 of skyline.toml: [http] has api, status"],
    );
    check("colour = 1", &["unknown key `colour` at line 1, column 1 of skyline.toml: the sections are"]);
    check(
        "[relay.snding]\nx = 1",
        &[
            "unknown section `relay.snding` at line 1, column 8 of skyline.toml: did you mean `[relay.sending]`?",
        ],
    );
    check(
        "[[relay.destinations]]\naddress = 'a:1'\nwhen_behnd = 'shed'",
        &[
            "unknown key `relay.destinations.when_behnd` at line 3, column 1 of skyline.toml: did you mean `when_behind`?",
        ],
    );
}

#[test]
fn wrong_values() {
    check(
        "[listen]\nmax_connections = \"many\"",
        &[
            "wrong value for `listen.max_connections` at line 2, column 19 of skyline.toml: found the text \"many\", expected a whole number from 1 to 4_294_967_295, for example `max_connections = 10_000`",
        ],
    );
    check(
        "[listen]\nplaintext_tcp = [\n  \"0.0.0.0:2003\",\n  \"x\", \"localhost:1\",\n]",
        &["at line 4, column 3 of", "at line 4, column 8 of"],
    );
    check(
        "listen = 5",
        &["wrong value for `listen` at line 1, column 1 of skyline.toml: found 5, expected a section"],
    );
    check("[listen.max_connections]\nx = 1", &["`listen.max_connections` at line 1,"]);
    check("[journal]\nmax_bytes = 9223372036854775808", &["`journal.max_bytes` at line 2, column 13 of"]);
    check(
        "[relay]\ndestinations = [{ mark_points = 0 }]",
        &[
            "`relay.destinations` at line 2, column 17",
            "`relay.destinations.mark_points` at line 2, column 19",
        ],
    );
}

#[test]
fn all_at_once_and_in_order() {
    let text = "[listen]\nplaintxt_tcp = []\nmax_connections = 0\n[journal]\n  durability = \"perhaps\"\n";
    let found = faults(text, &[("SKYLINE__WINDOW__THREDS", "1"), ("SKYLINE__DETECT__CONSENSUS", "six")]);
    let begins: Vec<String> = found.iter().map(|line| line.split(": ").next().unwrap().to_owned()).collect();
    assert_eq!(
        begins,
        [
            "unknown key `listen.plaintxt_tcp` at line 2, column 1 of skyline.toml",
            "wrong value for `listen.max_connections` at line 3, column 19 of skyline.toml",
            "wrong value for `journal.durability` at line 5, column 16 of skyline.toml",
            "wrong value for `detect.consensus` in the variable SKYLINE__DETECT__CONSENSUS",
            "unknown key `window.threds` in the variable SKYLINE__WINDOW__THREDS",
        ]
    );
    let whole = read(text, &[]).unwrap_err().to_string();
    assert!(whole.starts_with("3 problems in the settings\n  unknown key"), "{whole}");
}

#[test]
fn what_is_not_toml_does_not_hide_the_rest() {
    check("[listen\n", &["not TOML at line 1, column 8 of skyline.toml: "]);
    check(
        "[node]\nname = \n[listen]\nmax_conections = 1\n",
        &["not TOML at line 2", "unknown key `listen.max_conections` at line 4"],
    );
    check("[node]\nname = a\nlog = 'info'\nlog = 'info'\n", &["not TOML at line 2", "not TOML at line 4"]);
}

#[test]
fn variables_that_are_wrong() {
    check_env(
        "SKYLINE__WINDOW__THREDS",
        "1",
        "unknown key `window.threds` in the variable SKYLINE__WINDOW__THREDS: did you mean SKYLINE__WINDOW__THREADS, which sets `window.threads`?",
    );
    check_env("SKYLINE__LISTEN", "1", "the sections are");
    check_env("SKYLINE__WINDOW__SKIP", "[a", "wrong value for `window.skip`");
    check_env("SKYLINE__WINDOW__ENABLED", "yes", "found the text \"yes\", expected true or false");
    check_env("SKYLINE__LISTEN__PICKLE_TCP", "0.0.0.0:1,x", "\"x\" is no address");
    check_env("SKYLINE__WINDOW__THREADS", "1\nw = 2", "found the text \"1\\nw = 2\"");
    check_env("SKYLINE__WINDOW__THREADS", "", "found the text \"\"");
}

#[test]
fn variables_that_almost_are_ours_are_mentioned() {
    let warnings = |name: &str| load(None, &variables(&[(name, "1")])).unwrap().warnings.len();
    assert_eq!(warnings("SKYLINE_LISTEN_MAX_CONNECTIONS"), 1);
    assert_eq!(warnings("SKYLINE_LISTEN__MAX_CONNECTIONS"), 1);
    assert_eq!(warnings("SKYLINE_CONFIG"), 0);
    assert_eq!(warnings("HOME"), 0);
}

#[test]
fn files_that_cannot_be_read() {
    let check = |path: &Path, expected: &str| {
        let said = load(Some(path), &[]).unwrap_err().to_string();
        assert!(said.contains(&path.display().to_string()) && said.contains(expected), "{said}");
    };
    let folder = tempfile::tempdir().unwrap();
    check(&folder.path().join("none.toml"), "check the path; without a settings file");
    check(folder.path(), "name the file in that folder");
    let latin = folder.path().join("latin.toml");
    std::fs::write(&latin, b"# ok\nx = \"\xe9\"").unwrap();
    check(&latin, "not text at line 2, column 6 of");
}

/// Values that people may write behind a key, right and wrong.
fn any_value() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<i64>().prop_map(|n| n.to_string()),
        any::<f64>().prop_map(|n| Value::Float(n).to_string()),
        any::<bool>().prop_map(|yes| yes.to_string()),
        "\\PC{0,12}",
        "\\PC{0,12}".prop_map(|text| Value::String(text).to_string()),
        prop::collection::vec("[a-z0-9.:]{0,12}", 0..3).prop_map(|texts| format!("{texts:?}")),
        Just("{ a = 1 }".to_owned()),
    ]
}

proptest! {
    #[test]
    fn any_text_is_settings_or_problems(text in "(\\PC|\n){0,200}") {
        if let Err(error) = read(&text, &[]) {
            prop_assert!(!error.problems().is_empty());
        }
    }

    /// What loading takes, the types take: a fault is never without its place.
    #[test]
    fn any_value_of_any_key_is_taken_or_named(key in prop::sample::select(keys::all()), value in any_value()) {
        let (section, name) = key.parts();
        for outcome in [read(&format!("[{section}]\n{name} = {value}\n"), &[]), read("", &[(&key.variable(), &value)])] {
            match outcome {
                Ok(loaded) => prop_assert_eq!(loaded.given.len(), usize::from(!loaded.given.is_empty())),
                Err(error) => {
                    prop_assert!(!error.problems().is_empty());
                    for problem in error.problems() {
                        prop_assert!(problem.place != Place::Unknown, "{}", problem);
                    }
                }
            }
        }
    }

    /// Settings that are written out are read back.
    #[test]
    fn written_settings_are_read_back(connections in 1_u32.., seconds in 0.1_f64..600.0, skip in prop::collection::vec("[a-z.]{1,9}", 0..4), log in "\\PC{0,20}") {
        let mut settings = Settings::default();
        settings.listen.max_connections = connections;
        settings.node.shutdown_seconds = seconds;
        settings.window.skip = skip;
        settings.node.log = log;
        prop_assert_eq!(read(&toml::to_string(&settings).unwrap(), &[]).unwrap().settings, settings);
    }
}

#[test]
fn a_finding_stands_at_its_item() {
    #[track_caller]
    fn check(text: &str, env: &[(&str, &str)], key: &'static str, item: Option<usize>, expected: &str) {
        let loaded = read(text, env).unwrap();
        let (message, advice) = (String::new(), String::new());
        let finding = Finding { severity: crate::check::Severity::Problem, key, item, message, advice };
        let place = loaded.place_of_finding(&finding).map_or_else(|| "none".to_owned(), ToString::to_string);
        assert!(place.starts_with(expected), "{place}, not {expected}");
        assert_eq!(loaded.told(&finding).contains(&place), expected != "none", "{}", loaded.told(&finding));
    }
    let job = |name: &str| {
        format!("[[vista.fetch]]\nname = '{name}'\nurl = 'http://a'\ntarget = 'x'\nstore_as = 'x'\n")
    };
    let jobs = job("a") + &job("b");
    check(&jobs, &[], "vista.fetch", Some(0), "at line 1, column");
    check(&jobs, &[], "vista.fetch", Some(1), "at line 6, column");
    check(&jobs.replace('\n', "\r\n"), &[], "vista.fetch", Some(1), "at line 6, column");
    check(&jobs, &[], "vista.fetch", Some(2), "at line 1, column");
    check(&jobs, &[], "vista.fetch", None, "at line 1, column");
    check(&jobs, &[], "vista.enabled", None, "none");
    let inline = "# é\nrelay.destinations = ['é:1', 'b:2',\n 'c:3']";
    check(inline, &[], "relay.destinations", Some(0), "at line 2, column 23 of");
    check(inline, &[], "relay.destinations", Some(1), "at line 2, column 30 of");
    check(inline, &[], "relay.destinations", Some(2), "at line 3, column 2 of");
    let env = [("SKYLINE__RELAY__DESTINATIONS", "a:1,b:2")];
    check(inline, &env, "relay.destinations", Some(1), "in the variable SKYLINE__RELAY__DESTINATIONS");
}
