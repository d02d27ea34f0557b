//! The points of some metrics, from where they are.

use super::aside::{aside, reading};
use super::pace::Pace;
use super::{Server, Spec};
use crate::graphite::{checked, parse_render, quote, server};
use crate::whisper;
use crate::{Error, Limits, Skipped};
use skyline_core::point::Datapoint;
use skyline_upstream::{Ask, Client, HeaderValue};
use std::collections::HashMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// Points of one answer at most.
const MOST_POINTS: usize = 4_000_000;
const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");

/// A Graphite server that is asked.
#[derive(Debug)]
pub(super) struct Graphite {
    pub(super) client: Client,
    /// Path of its `render`.
    pub(super) render: String,
    pub(super) pace: Pace,
    pub(super) attempts: u32,
    pub(super) pause: Duration,
}

/// Where points come from.
#[derive(Debug, Clone)]
pub(super) enum From {
    Graphite(Arc<Graphite>),
    Whisper(Arc<PathBuf>),
}

/// Questions, or files that were opened.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) requests: u64,
    /// Of them, those that failed.
    pub(super) failures: u64,
}

/// One metric.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fetched {
    pub(super) metric: String,
    /// In the order of time; or why there are none.
    pub(super) points: Result<Vec<Datapoint>, String>,
}

/// Some metrics, in the order of the list.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) metrics: Vec<Fetched>,
    /// Points of the answers that are none.
    pub(super) skipped: Skipped,
    pub(super) asked: Asked,
    /// Series of names that nobody asked for.
    pub(super) unasked: u64,
    /// Metrics one after the other that were asked for alone in vain.
    alone_in_vain: u64,
    /// Nothing at all can be had: the job ends, and these metrics are not done.
    pub(super) hopeless: Option<String>,
}

impl Graphite {
    pub(super) fn new(server: Server, pace: Pace, attempts: u32, pause: Duration) -> Result<Self, String> {
        let client = Client::new(server.options).map_err(|problem| problem.to_string())?;
        Ok(Self { client, render: server.render, pace, attempts, pause })
    }

    async fn ask(&self, names: &[String], spec: &Spec, now: i64) -> Result<crate::Answer, Error> {
        let mut form = String::new();
        for name in names {
            form.push_str("target=");
            quote(&mut form, name);
            form.push('&');
        }
        form.push_str(&format!(
            "from={}&until={}&now={now}&format=json&noNullPoints=true",
            spec.from.floor(),
            spec.until.floor()
        ));
        let ask = Ask::post(self.render.clone(), FORM, form);
        let whole = self.client.ask(ask).await?;
        checked(&self.client, &whole)?;
        let limits = Limits { series: names.len() * 2, points: MOST_POINTS };
        let body = whole.body;
        let answer = reading(body.len(), move || parse_render(&body, limits)).await;
        answer.map_err(|reason| Error::Answer { server: server(&self.client), reason })
    }

    /// Asks, and again after a pause, as often as the settings say, while it `helps`.
    ///
    /// # Errors
    /// The last failure. None holds what the server was asked with, as some say that back.
    pub(super) async fn insist<T, F>(
        &self,
        asked: &mut Asked,
        ask: impl Fn() -> F + Send,
        helps: impl Fn(&Error) -> bool + Send,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>> + Send,
    {
        let (mut pause, mut attempt) = (self.pause, 1);
        loop {
            self.pace.wait(1.0).await;
            asked.requests += 1;
            let error = match ask().await {
                Ok(answer) => return Ok(answer),
                Err(error) => error.without_secrets(self.client.options()),
            };
            asked.failures += 1;
            if attempt >= self.attempts || !helps(&error) {
                return Err(error);
            }
            tracing::debug!(%error, attempt, "a question of the back-fill failed");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(self.pause * 64);
            attempt += 1;
        }
    }

    /// Asks, again and again where that may help; half of the names at a time where a whole question fails.
    fn fetch<'a>(
        &'a self,
        names: &'a [String],
        spec: &'a Spec,
        now: i64,
        batch: &'a mut Batch,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(async move {
            // Asking for less helps at once. Where the metric before failed alone as well, the server answers nothing of
            // this kind, and as many pauses for each metric would show nobody so before hours are over.
            let may_be_left_out = names.len() > 1 || batch.alone_in_vain > 0;
            let helps = |error: &Error| !(may_be_left_out && is_too_much(error));
            let error = match self.insist(&mut batch.asked, || self.ask(names, spec, now), helps).await {
                Ok(answer) => return batch.take(names, answer),
                Err(error) => error,
            };
            match names.len() {
                // The server is away, or is none: less of the same does not help.
                _ if is_hopeless(&error) => batch.hopeless = Some(error.to_string()),
                0 => {}
                1 => {
                    batch.alone_in_vain += 1;
                    let failed =
                        |name: &String| Fetched { metric: name.clone(), points: Err(error.to_string()) };
                    batch.metrics.extend(names.iter().map(failed));
                }
                n => {
                    let (first, second) = names.split_at(n / 2);
                    self.fetch(first, spec, now, batch).await;
                    if batch.hopeless.is_none() {
                        self.fetch(second, spec, now, batch).await;
                    }
                }
            }
        })
    }
}

/// Whether less may be answered. graphite-web 1.1.8 (render/views.py lets what a metric's reader raises through) answers 500
/// to a whole question if it fails at one of its metrics: halving finds which, and waiting before helps nothing.
fn is_too_much(error: &Error) -> bool {
    match error {
        Error::Upstream(error) => matches!(error, skyline_upstream::Error::TooLarge { .. }),
        Error::Status { status, .. } => matches!(status, 400 | 413 | 414 | 500),
        Error::Answer { reason, .. } => *reason == crate::error::Unusable::TooMany,
        Error::Several { .. } | Error::SameName { .. } | Error::NotLogged { .. } => false,
    }
}

/// Whether no question will be answered.
pub(super) fn is_hopeless(error: &Error) -> bool {
    match error {
        Error::Upstream(error) => {
            use skyline_upstream::Error as E;
            matches!(
                error,
                E::Connect { .. }
                    | E::Resting { .. }
                    | E::Tls { .. }
                    | E::Redirect { .. }
                    | E::Question { .. }
            )
        }
        Error::Status { status, .. } => matches!(status, 301..=308 | 401..=405 | 407),
        // A page where JSON should be.
        Error::Answer { reason, .. } => *reason == crate::error::Unusable::Page,
        Error::Several { .. } | Error::SameName { .. } | Error::NotLogged { .. } => false,
    }
}

impl Batch {
    /// Takes an answer; names that it does not have are metrics without points, unless it has others in their place.
    fn take(&mut self, names: &[String], answer: crate::Answer) {
        self.alone_in_vain = 0;
        self.skipped.add(&answer.skipped);
        let mut by_name: HashMap<String, Vec<crate::Point>> =
            answer.series.into_iter().map(|series| (series.name, series.points)).collect();
        let mut points: Vec<_> = names.iter().map(|name| by_name.remove(name)).collect();
        let other = by_name.keys().min().map(|other| {
            format!("the server answers with a name that was not asked for, `{other}`: it is no plain Graphite, or renames")
        });
        self.unasked += by_name.len() as u64;
        for (name, points) in names.iter().zip(points.drain(..)) {
            let points = match (points, &other) {
                (Some(points), _) => {
                    Ok(points.iter().map(|p| Datapoint::new(p.ts as f64, p.value)).collect())
                }
                (None, None) => Ok(Vec::new()),
                (None, Some(other)) => Err(other.clone()),
            };
            self.metrics.push(Fetched { metric: name.clone(), points });
        }
    }
}

impl From {
    /// The points of `items`, which are of the list. `now`: from where it counts how old they are; `real`: the time it is.
    pub(super) async fn fetch(self, items: Vec<String>, spec: Spec, now: i64, real: f64) -> Batch {
        let mut batch = Batch::default();
        match self {
            Self::Graphite(server) => server.fetch(&items, &spec, now, &mut batch).await,
            Self::Whisper(folder) => {
                batch = aside(move || files(&folder, items, &spec, (now, real as i64))).await;
            }
        }
        batch
    }
}

fn files(folder: &Path, items: Vec<String>, spec: &Spec, (now, real): (i64, i64)) -> Batch {
    let mut batch = Batch::default();
    let range = whisper::Range { from: spec.from as i64, until: spec.until as i64, now, real };
    for item in items {
        batch.asked.requests += 1;
        let points = whisper::read(&folder.join(&item), range).map_err(|error| error.to_string());
        batch.asked.failures += u64::from(points.is_err());
        let metric = match (&points, whisper::name_of(Path::new(&item))) {
            (Ok(_), Some(name)) => name,
            _ => item,
        };
        batch.metrics.push(Fetched { metric, points });
    }
    // Beyond the end, as the last place of a question may lie there.
    for fetched in &mut batch.metrics {
        if let Ok(points) = &mut fetched.points {
            points.retain(|point| point.ts <= spec.until);
        }
    }
    batch
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Answer, Point, Series};

    #[test]
    fn an_answer_is_that_of_the_names_that_were_asked() {
        let series = |name: &str| Series {
            name: name.into(),
            points: vec![Point { ts: 60, value: 1.5 }],
            ..Series::default()
        };
        #[track_caller]
        fn check(series: Vec<Series>, unasked: u64, expected: [(&str, usize); 3]) {
            let mut batch = Batch::default();
            batch.take(&["a", "b", "c"].map(str::to_owned), Answer { series, ..Answer::default() });
            let length = |f: &Fetched| f.points.as_ref().map_or(9, Vec::len);
            let found: Vec<_> = batch.metrics.iter().map(|f| (f.metric.as_str(), length(f))).collect();
            assert_eq!((batch.unasked, &found[..]), (unasked, &expected[..]));
        }
        check(vec![series("c"), series("a")], 0, [("a", 1), ("b", 0), ("c", 1)]);
        // What has another name may be what was asked for; its neighbours are not.
        check(vec![series("c"), series("other"), series("a")], 1, [("a", 1), ("b", 9), ("c", 1)]);
        check(
            vec![series("c"), series("b"), series("other"), series("a")],
            1,
            [("a", 1), ("b", 1), ("c", 1)],
        );
    }

    #[test]
    fn what_is_asked_again_in_halves_and_what_is_not() {
        let status = |status| Error::Status { server: "g".into(), status, words: String::new() };
        let answer = |reason| Error::Answer { server: "g".into(), reason };
        let html = parse_render(b"<html>", Limits::default()).unwrap_err();
        let lengthy = parse_render(
            br#"[{"target": "a", "datapoints": [[1,1],[1,2]]}]"#,
            Limits { series: 1, points: 1 },
        )
        .unwrap_err();
        for (error, too_much, hopeless) in [
            (status(413), true, false),
            (status(500), true, false),
            (status(503), false, false),
            (status(401), false, true),
            (status(302), false, true),
            (answer(html), false, true),
            (answer(lengthy), true, false),
            (answer("it ends at byte 7".into()), false, false),
        ] {
            assert_eq!((is_too_much(&error), is_hopeless(&error)), (too_much, hopeless), "{error}");
        }
    }
}
