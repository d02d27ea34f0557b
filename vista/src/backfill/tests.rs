//! What a job may ask for, and what is written down of it.

use super::state::TOLD;
use super::*;

const NOW: f64 = 1_700_000_000.0;
const DAY: f64 = 86_400.0;

fn spec(from: f64, until: f64) -> Spec {
    let source = Source::Graphite { url: None };
    Spec { source, from: NOW + from, until: NOW + until, select: None, requests_per_second: None }
}

#[test]
fn what_is_asked_for_lies_in_the_window() {
    #[track_caller]
    fn check(from: f64, until: f64, expected: Option<(f64, f64)>) {
        let checked = spec(from, until).checked(NOW, DAY).ok().map(|s| (s.from - NOW, s.until - NOW));
        assert_eq!(checked, expected);
    }
    check(-3_600.0, -60.0, Some((-3_600.0, -60.0)));
    check(-9.0 * DAY, 60.0, Some((-DAY, 0.0)));
    check(-9.0 * DAY, -DAY, None);
    check(-60.0, -60.0, None);
    check(60.0, 120.0, None);
    check(f64::NAN, 0.0, None);
    check(-60.0, f64::INFINITY, None);
    for (rate, is_good) in [(0.0, false), (0.01, true), (f64::NAN, false), (1e4, true), (1e5, false)] {
        let spec = Spec { requests_per_second: Some(rate), ..spec(-60.0, 0.0) };
        assert_eq!(spec.checked(NOW, DAY).is_ok(), is_good, "{rate}");
    }
}

#[test]
fn a_job_is_read_back_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let file = File::new(folder.path(), false);
    assert!(file.load().is_none() && file.names().is_err());
    let mut report = Report::new(spec(-DAY, 0.0), NOW);
    report.phase = Phase::Filling;
    (report.metrics, report.position) = (7, 3);
    report.counts.refused.insert("old".into(), 2);
    for i in 0..TOLD + 5 {
        report.trouble(&format!("m{i}"), "broken");
    }
    assert_eq!((report.counts.failed, report.troubles.len()), (TOLD as u64 + 5, TOLD));
    file.save(&report).unwrap();
    assert_eq!(file.load().unwrap(), report);
    let names = ["a.b", "c d", "é"].map(str::to_owned);
    file.save_names(&names).unwrap();
    assert_eq!(file.names().unwrap(), names);
    file.forget_names();
    assert!(file.names().is_err());
    for text in ["", "{}", "[1]", "{\"phase\": \"other\"}"] {
        std::fs::write(folder.path().join("backfill.json"), text).unwrap();
        assert!(file.load().is_none(), "{text}");
    }
}

#[test]
fn the_time_of_a_job_is_that_in_which_it_ran() {
    let mut report = Report::new(spec(-DAY, 0.0), NOW);
    (report.seconds, report.since) = (10.0, Some(NOW + 100.0));
    assert_eq!(report.clone().at(NOW + 105.0).seconds, 15.0);
    report.phase = Phase::Done;
    assert_eq!(report.at(NOW + 105.0).seconds, 10.0);
}

#[test]
fn an_archive_stays_the_right_one_while_a_job_runs() {
    // From where a job that began then counts how old its beginning is.
    let now =
        |until: f64, began: f64, later: f64| spec(-DAY, until).now(NOW + began, NOW + later) - NOW as i64;
    assert_eq!((now(0.0, 0.9, 600.0), now(0.0, -0.1, 0.0), now(0.5, 3.0, 3.0)), (0, 0, 0));
    assert_eq!((now(-3_600.0, 0.9, 600.0), now(0.0, 0.0, 7_200.0)), (0, 7_200));
    // Where a question begins that is asked so much later.
    let from = |from: f64, later: f64| spec(from, 0.0).at(NOW + later, DAY).from - NOW;
    assert_eq!((from(-DAY, 0.0), from(-DAY, 600.0)), (60.0 - DAY, 660.0 - DAY));
    assert_eq!((from(-3_600.0, 600.0), from(-DAY, 3.0 * DAY)), (-3_600.0, -1.0));
}
