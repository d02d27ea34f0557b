//! Names for series.

use super::*;
use crate::series::{Point, Series};

pub(crate) fn job(store_as: &str) -> Job {
    let fetch = Fetch { url: "http://127.0.0.1:1".into(), store_as: store_as.into(), ..Fetch::default() };
    job_of(Fetch { name: "a".into(), target: "x".into(), ..fetch }, Path::new("/nowhere"))
}

/// A job at a time of its own, with its cursor in a folder.
pub(crate) fn job_of(fetch: Fetch, folder: &Path) -> Job {
    let common = Common {
        folder: folder.to_owned(),
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

#[tokio::test]
async fn what_is_shown_is_less_where_the_answer_is_too_long() {
    use skyline_peers::http::{Reply, Server};
    let server = Server::start(|request| {
        let number = |name: &str| request.field(name).unwrap().parse::<i64>().unwrap();
        let span = number("until") - number("from");
        Reply::text(
            200,
            &format!(
                "[{{\"target\":\"t\",\"datapoints\":[[1,1699999900]]}}]{}",
                " ".repeat(10 * span as usize)
            ),
        )
    })
    .unwrap();
    let fetch = Fetch { name: "a".into(), url: server.url(), target: "t".into(), ..Fetch::default() };
    let fetch = Fetch { store_as: "a".into(), ..fetch };
    let job = |bytes| job_of(Fetch { max_body_bytes: bytes, ..fetch.clone() }, Path::new("/nowhere"));
    for (bytes, expected) in [(100_000, Some(600)), (2_000, Some(150)), (50, None)] {
        let asked = job(bytes).newest().await;
        let shown = asked.map(|(range, answer)| {
            assert_eq!((range.until, answer.series.len()), (1_699_999_979, 1));
            range.seconds()
        });
        assert_eq!(shown.ok(), expected, "{bytes}");
    }
}
