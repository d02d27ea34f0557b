//! Pictures of a metric's window.

use super::query::{Bad, Parameters};
use super::{Sources, unanswered};
use crate::answer;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use skyline_core::anomaly::Anomaly;
use skyline_core::point::Datapoint;
use skyline_render_proxy::draw::{Chart, DrawError, Look, MAX_PIXELS, SIDES, SIZE, increases};
use skyline_sql::{MAX_LIMIT, Names, Order, Search};
use tokio::sync::Semaphore;

const ALLOWED: &[&str] = &["from", "until", "format", "look", "size", "zone", "increases"];

/// Pictures that are painted at the same time; others wait their turn as long as any request may.
static PLACES: Semaphore = Semaphore::const_new(2);
/// From `until` back to `from` if that is not given, seconds.
const DAY: f64 = 86_400.0;
/// A browser and a proxy of one reader may show a picture again for so long.
const CACHE: HeaderValue = HeaderValue::from_static("private, max-age=10");

/// The form of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Png,
    Svg,
}

/// What is asked for.
#[derive(Debug)]
struct Question {
    from: f64,
    until: f64,
    format: Format,
    look: Look,
    size: (u32, u32),
    zone: String,
    /// Whether increases are drawn; not given: if the metric was judged by them.
    increases: Option<bool>,
}

impl Question {
    fn read(uri: &Uri, now: f64) -> Result<Self, Bad> {
        let p = Parameters::read(uri, ALLOWED)?;
        let until = p.time("until")?.unwrap_or(now);
        Ok(Self {
            from: p.time("from")?.unwrap_or(until - DAY),
            until,
            format: p.parse("format", "png or svg", format)?.unwrap_or(Format::Png),
            look: p.parse("look", "dark or light", look)?.unwrap_or_default(),
            size: p.parse("size", &allowed_size(), size)?.unwrap_or(SIZE),
            zone: p.get("zone").unwrap_or("UTC").to_owned(),
            increases: p.parse("increases", "true or false", |text| text.parse().ok())?,
        })
    }
}

fn format(text: &str) -> Option<Format> {
    match text {
        "png" => Some(Format::Png),
        "svg" => Some(Format::Svg),
        _ => None,
    }
}

fn look(text: &str) -> Option<Look> {
    match text {
        "dark" => Some(Look::Dark),
        "light" => Some(Look::Light),
        _ => None,
    }
}

fn allowed_size() -> String {
    format!("WIDTHxHEIGHT: each {} to {} pixels, {MAX_PIXELS} in all", SIDES.0, SIDES.1)
}

fn size(text: &str) -> Option<(u32, u32)> {
    let (width, height) = text.split_once('x')?;
    let (width, height): (u32, u32) = (width.parse().ok()?, height.parse().ok()?);
    let fits = [width, height].iter().all(|side| (SIDES.0..=SIDES.1).contains(side));
    (fits && width * height <= MAX_PIXELS).then_some((width, height))
}

/// `GET /api/v1/graph/{name}?from=…&until=…&format=png|svg&look=dark|light&size=WxH&zone=…&increases=true|false`.
pub(crate) async fn graph(
    State(sources): State<Sources>,
    name: Result<Path<String>, PathRejection>,
    uri: Uri,
) -> Response {
    let Ok(Path(name)) = name else {
        return answer::error(StatusCode::BAD_REQUEST, "the metric's name is not UTF-8");
    };
    let question = match Question::read(&uri, sources.clock.now()) {
        Ok(question) => question,
        Err(bad) => return bad.into_response(),
    };
    let points = match sources.series.series(&name, question.from, question.until).await {
        Ok(Some(points)) => points,
        Ok(None) => {
            return answer::error(
                StatusCode::NOT_FOUND,
                &format!("there is no metric `{name}` in the window"),
            );
        }
        Err(why) => return unanswered(why),
    };
    let anomalies = anomalies(&sources, &name, &question).await;
    let Ok(place) = PLACES.acquire().await else { return answer::busy("nothing is drawn any more") };
    let format = question.format;
    let painting = tokio::task::spawn_blocking(move || {
        // Held by the painting itself: one that nobody waits for any more still takes its processor.
        let _place = place;
        paint(&name, points, &anomalies, &question)
    });
    match painting.await {
        Ok(Ok(picture)) => {
            let kind = match format {
                Format::Png => HeaderValue::from_static("image/png"),
                Format::Svg => HeaderValue::from_static("image/svg+xml"),
            };
            ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, CACHE)], picture).into_response()
        }
        Ok(Err(error @ DrawError::Paint(_))) => {
            answer::error(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string())
        }
        Ok(Err(error)) => answer::error(StatusCode::BAD_REQUEST, &error.to_string()),
        Err(_) => answer::error(StatusCode::INTERNAL_SERVER_ERROR, "the picture was not painted"),
    }
}

/// Recorded anomalies of the metric in that time, oldest first; without a record that answers there are none to mark.
async fn anomalies(sources: &Sources, name: &str, question: &Question) -> Vec<Anomaly> {
    let search = Search {
        names: Some(Names::Exact(name.to_owned())),
        from: Some(question.from),
        until: Some(question.until),
        limit: MAX_LIMIT,
        order: Order::Descending,
        ..Search::default()
    };
    match sources.store.anomalies(&search).await {
        Ok(page) => page.rows.into_iter().rev().map(|row| row.anomaly).collect(),
        Err(error) => {
            super::tell(&error);
            Vec::new()
        }
    }
}

fn paint(
    name: &str,
    points: Vec<Datapoint>,
    anomalies: &[Anomaly],
    question: &Question,
) -> Result<Vec<u8>, DrawError> {
    let newest = anomalies.last();
    let is_counter = question.increases.unwrap_or_else(|| newest.is_some_and(|anomaly| anomaly.counter));
    let points = if is_counter { increases(&points) } else { points };
    // What was judged in another way cannot be compared with what is drawn.
    let comparable = || anomalies.iter().filter(|anomaly| anomaly.counter == is_counter);
    let times: Vec<f64> = comparable().map(|anomaly| anomaly.point.ts).collect();
    let newest = comparable().next_back();
    let distance = |anomaly: &&Anomaly| (anomaly.judged_value - anomaly.mean).abs();
    let furthest = comparable().max_by(|a, b| distance(a).total_cmp(&distance(b)));
    let expected =
        newest.map(|newest| (newest.mean - 3.0 * newest.stddev, newest.mean + 3.0 * newest.stddev));
    let chart = Chart {
        remark: if is_counter { "increases" } else { "" },
        expected,
        mean: newest.map(|newest| newest.mean),
        anomalous: &times,
        peak: furthest.map(|anomaly| (anomaly.point.ts, anomaly.judged_value)),
        zone: &question.zone,
        look: question.look,
        size: question.size,
        ..Chart::new(name, &points, question.from, question.until)
    };
    match question.format {
        Format::Png => chart.png(),
        Format::Svg => chart.svg().map(String::into_bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        let check = |text, expected| assert_eq!(size(text), expected, "{text}");
        check("588x308", Some((588, 308)));
        check("200x4000", Some((200, 4000)));
        for bad in
            ["", "588", "588x", "199x308", "4001x300", "4000x4000", "-1x300", "588x308x1", "99999999999x300"]
        {
            check(bad, None);
        }
    }
}
