//! Names for series.

use super::*;
use crate::series::{Point, Series};

fn job(store_as: &str) -> Job {
    let fetch = Fetch {
        name: "a".into(),
        url: "http://127.0.0.1:1".into(),
        target: "x".into(),
        store_as: store_as.into(),
        ..Fetch::default()
    };
    let common = Common {
        folder: "/nowhere".into(),
        sync: false,
        gates: Arc::new(Gates::new(1, 1)),
        clock: Clock::at(1_700_000_000.0),
    };
    Job::new(&Vista::default(), &fetch, &common).unwrap()
}

fn answer(names: &[&str]) -> Answer {
    let series = |name: &&str| {
        let labels = [("host".to_owned(), name.to_uppercase())].into();
        Series { name: (*name).to_owned(), labels, points: vec![Point { ts: 60, value: 1.0 }] }
    };
    Answer { series: names.iter().map(series).collect(), ..Answer::default() }
}

#[test]
fn names_of_series() {
    let check = |store_as: &str, series: &[&str], expected: &[Option<&str>]| {
        let named = job(store_as).names(&answer(series)).unwrap();
        let got: Vec<_> = named.names.iter().map(Option::as_deref).collect();
        assert_eq!((got.as_slice(), named.why.is_some()), (expected, expected.contains(&None)));
    };
    check("one", &[], &[]);
    check("one", &["a"], &[Some("one")]);
    check("x.{host}", &["a", "b"], &[Some("x.A"), Some("x.B")]);
    check("x.{1}", &["a.b", "c"], &[Some("x.b"), None]);
}

#[test]
fn series_that_cannot_be_told_apart_are_refused() {
    let refused = |store_as: &str, words: &str| {
        let error = job(store_as).names(&answer(&["a.x", "b.x"])).unwrap_err().to_string();
        assert!(error.contains(words) && error.contains("vista job a (http://127.0.0.1:1)"), "{error}");
    };
    refused("one", "gives 2 series, and store_as names one");
    refused("x.{1}", "two series would be stored as x.x");
}
