//! Two files compared as the command does.

use super::*;
use std::path::Path;

const OLD: &str =
    "[relay]\nRELAY_METHOD = consistent-hashing\nDESTINATIONS = h1:2004:a, h2:2004:b, h3:2004:c\n";
const NEW: &str =
    "[relay]\nRELAY_METHOD = consistent-hashing\nDESTINATIONS = h1:2004:a, h2:2004:b, h3:2004:c, h4:2004:d\n";

/// Compares two texts for made-up names: what is said as JSON, and the listed metrics.
#[track_caller]
fn compared(old: &str, new: &str, flags: &[&str]) -> (serde_json::Value, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    for (name, text) in [("old", old), ("new", new)] {
        std::fs::write(path(name), text).unwrap();
    }
    let names: String = (0..2_000).map(|i| format!("apps.web{i}.requests\n")).collect();
    std::fs::write(path("names"), names).unwrap();
    let diff = Diff {
        old: path("old"),
        new: path("new"),
        names: Some(path("names").into()),
        sample: 1,
        list: Some(path("list").into()),
        instance: "a".to_owned(),
        aggregator: flags.contains(&"aggregator"),
        by_host: flags.contains(&"by_host"),
        json: true,
    };
    let told = compare(&diff).unwrap();
    let json = serde_json::to_value(told.told()).unwrap();
    let list = std::fs::read_to_string(path("list")).unwrap();
    (json, list.lines().map(str::to_owned).collect())
}

#[test]
fn one_more_destination_takes_its_part_from_all_others() {
    let (told, list) = compared(OLD, NEW, &[]);
    let moved = told["moved"].as_u64().unwrap();
    assert!((300..700).contains(&moved), "{moved}: about a quarter of 2000");
    assert_eq!(told["moves"].as_array().unwrap().len(), 3);
    assert!(told["moves"].as_array().unwrap().iter().all(|flow| flow["to"] == "h4:2004:d"));
    assert_eq!(told["destinations"][3]["metrics"]["old"], 0);
    assert_eq!(told["destinations"][3]["metrics"]["new"], moved);
    assert_eq!(told["old"]["language"], "carbon");
    assert_eq!(list.len() as u64, moved);
    let first: Vec<&str> = list[0].split('\t').collect();
    assert!(first[0].starts_with("apps.web") && first[1].starts_with('h') && first[2] == "h4:2004:d");
}

#[test]
fn the_same_in_two_languages() {
    let ours = "[relay]\nmethod = \"consistent-hashing\"\n\
                destinations = [\"h1:2004:a:pickle\", \"h2:2004:b\", \"h3:2004:c\"]\n";
    let (told, list) = compared(OLD, ours, &[]);
    assert_eq!((told["moved"].as_u64(), told["renamed"].as_u64(), list.len()), (Some(0), Some(0), 0));
    assert_eq!(told["new"]["language"], "skyline");
    // Its ring differs where two entries fall on one place, and nowhere else.
    let theirs = "cluster a carbon_ch h1:2003=a h2:2003=b h3:2003=c; match * send to a;";
    let (told, _) = compared(OLD, theirs, &[]);
    assert!(told["moved"].as_u64().unwrap() < 20, "{told}");
    assert_eq!(told["destinations"].as_array().unwrap().len(), 3);
}

#[test]
fn rules_names_and_what_goes_nowhere() {
    let old = "cluster a forward h:1; match web1 send to blackhole stop; match * send to a;";
    let new = "cluster a forward h:1; rewrite ^apps into new; match web11 send to blackhole stop; match * send to a;";
    let (told, list) = compared(old, new, &[]);
    // web1, web10 to web19, web100 to web199 and web1000 to web1999; of these web11, web110 to 119, web1100 to 1199.
    assert_eq!((told["nowhere"]["old"].as_u64(), told["nowhere"]["new"].as_u64()), (Some(1111), Some(111)));
    assert_eq!((told["moved"].as_u64(), told["renamed"].as_u64()), (Some(1000), Some(889)));
    assert_eq!(told["renamed_example"], serde_json::json!(["apps.web0.requests", "new.web0.requests"]));
    assert_eq!(list[0], "apps.web1.requests\t\th:1");
}

#[test]
fn ports_may_be_others() {
    let old = "[relay]\ndestinations = [\"h1:2004:pickle\", \"h2:2004:pickle\"]\n";
    let new = "[[route]]\nkey = 'r'\ntype = 'sendAllMatch'\ndestinations = ['h1:2003 spool=false', 'h2:2003 spool=false']\n";
    let (told, _) = compared(old, new, &[]);
    assert_eq!(told["moved"].as_u64(), Some(2000));
    let (told, _) = compared(old, new, &["by_host"]);
    assert_eq!(told["moved"].as_u64(), Some(0));
    assert_eq!(told["destinations"].as_array().unwrap().len(), 2);
}

#[test]
fn files_that_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f");
    let check = |text: &str, prefix: &str, expected: &str| {
        std::fs::write(&path, text).unwrap();
        let error = Side::read(&format!("{prefix}{}", path.display()), "a", false).unwrap_err();
        let error = format!("{error:#}");
        assert!(error.contains(expected) && error.contains('f'), "{error}");
    };
    check("hello", "", "write skyline:");
    check("hello", "c-relay:", "hello");
    check("[relay]\nRELAY_METHOD = odd\n", "", "odd");
    assert!(Side::read("/nonexistent/f", "a", false).unwrap_err().to_string().contains("/nonexistent/f"));
    std::fs::write(&path, OLD).unwrap();
    let side = Side::read(&path.display().to_string(), "a", false).unwrap();
    assert_eq!(side.argument(), format!(" --carbon-conf {}", Path::new(&path).display()));
}

#[test]
fn what_is_read_is_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("old"), OLD).unwrap();
    std::fs::write(path("names"), "a\n").unwrap();
    for list in ["old", "names"] {
        let diff = Diff {
            old: path("old"),
            new: path("old"),
            names: Some(path("names").into()),
            sample: 1,
            list: Some(path(list).into()),
            instance: "a".to_owned(),
            aggregator: false,
            by_host: false,
            json: false,
        };
        let error = compare(&diff).err().unwrap().to_string();
        assert!(error.contains("name another one"), "{error}");
    }
    assert_eq!(std::fs::read_to_string(path("old")).unwrap(), OLD);
}

#[test]
fn what_to_type_next_can_be_typed() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("carbon"), format!("{OLD}[relay:b]\nDESTINATIONS = h:1\n")).unwrap();
    std::fs::write(path("c-relay"), "cluster a forward h:2; match * send to a;").unwrap();
    std::fs::write(path("names"), "a\n").unwrap();
    let check = |new: &str, by_host, names: Option<&str>, expected: &str| {
        let diff = Diff {
            old: path("carbon"),
            new: path(new),
            names: names.map(|name| path(name).into()),
            sample: 5,
            list: None,
            instance: "b".to_owned(),
            aggregator: false,
            by_host,
            json: false,
        };
        let said = next(&diff, &compare(&diff).unwrap());
        assert!(said.ends_with(expected), "{said}");
    };
    check("c-relay", true, Some("names"), &format!(" check --c-relay-conf {}", path("c-relay")));
    check("carbon", false, Some("names"), &format!(" check --carbon-conf {} --instance b", path("carbon")));
    check("c-relay", true, None, " --instance b --by-host --names FILE, with the names of your metrics");
}
