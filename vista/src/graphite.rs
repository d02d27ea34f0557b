//! Graphite: `render` and `find` (graphite-web:webapp/graphite/render/views.py, metrics/views.py), asked by a client of
//! the settings, and its answers, taken as far as they make sense.

use crate::error::{Error, Unusable, words};
use crate::json::{Reader, Scalar, Wrong};
use crate::series::{Answer, Came, Gather, Limits, Series, Skipped};
use skyline_upstream::{Ask, Client, Whole};

/// Where `render` is, if the settings do not say it.
pub const RENDER: &str = "/render";

/// Most entries of an answer to `find`.
pub const MAX_FOUND: usize = 1_000_000;

/// Longest body that is read without leaving the runtime, bytes.
const AT_ONCE: usize = 64 << 10;

/// One entry of an answer to `find`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The whole name, or the whole beginning of names.
    pub path: String,
    /// Whether it is a metric.
    pub is_leaf: bool,
}

/// From where on a Graphite is asked for what reaches `age` seconds back at `now`, seconds. Graphites choose the archive when
/// they answer, most by their own clock: what is a minute younger is still within by then. The points that are left out are
/// in the next coarser archive, or about to leave the window.
pub(crate) fn beginning(now: i64, age: i64) -> i64 {
    const SLACK: i64 = 60;
    now.saturating_sub(age).saturating_add(SLACK.min(age / 2))
}

/// Path and query of a render question for the times behind `from` up to `until`, seconds (Graphite leaves out `from`
/// itself). `path` begins with a slash and may have a query of its own, in which times, target and format do not count.
///
/// `now` is from where graphite-web (1.1.8: webapp/graphite/render/views.py, `parseOptions`) counts how old `from` is,
/// which decides from which archive the points come. Its own clock would find the beginning of a whole archive too old by
/// the time that the question took. Others pass over it.
#[must_use]
pub fn render_question(path: &str, target: &str, (from, until): (i64, i64), now: i64) -> String {
    let mut out = question(path, &["target", "from", "until", "now", "format", "maxDataPoints", "jsonp"]);
    out.push_str("target=");
    quote(&mut out, target);
    out.push_str(&format!("&from={from}&until={until}&now={now}&format=json"));
    out
}

/// The beginning of a question: the path, and of the query that it may have what is not among `ours`; the next
/// parameter may follow.
pub(crate) fn question(path: &str, ours: &[&str]) -> String {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let mut out = format!("{path}?");
    for part in query.split('&').filter(|part| !part.is_empty()) {
        let key = part.split('=').next().unwrap_or_default();
        if !ours.contains(&key) {
            out.push_str(part);
            out.push('&');
        }
    }
    out
}

/// Asks a [`render_question`].
///
/// # Errors
/// There is no answer, or one that is of no use.
pub async fn render(client: &Client, question: String, limits: Limits) -> Result<Answer, Error> {
    let whole = client.ask(Ask::get(question)).await?;
    checked(client, &whole)?;
    parsed(whole, move |body| parse_render(body, limits))
        .await
        .map_err(|reason| Error::Answer { server: server(client), reason })
}

/// Asks which names match a pattern. `render_path` is where its `render` is; `find` lies beside it.
///
/// # Errors
/// There is no answer, or one that is of no use.
pub async fn find(client: &Client, render_path: &str, pattern: &str) -> Result<Vec<Found>, Error> {
    let path = render_path.split('?').next().unwrap_or_default().trim_end_matches('/');
    let prefix = path.strip_suffix("/render").unwrap_or_default();
    let mut question = format!("{prefix}/metrics/find?query=");
    quote(&mut question, pattern);
    question.push_str("&format=treejson");
    let whole = client.ask(Ask::get(question)).await?;
    checked(client, &whole)?;
    parsed(whole, |body| parse_find(body, MAX_FOUND))
        .await
        .map_err(|reason| Error::Answer { server: server(client), reason })
}

/// The body of an answer whose status is a good one.
pub(crate) fn checked<'a>(client: &Client, whole: &'a Whole) -> Result<&'a [u8], Error> {
    if whole.status.is_success() {
        return Ok(&whole.body);
    }
    let start = whole.body.get(..whole.body.len().min(400)).unwrap_or_default();
    let said = String::from_utf8_lossy(start);
    // A page is no sentence.
    let said = if said.trim_start().starts_with('<') { "" } else { said.as_ref() };
    Err(Error::Status { server: server(client), status: whole.status.as_u16(), words: words(said) })
}

/// What `parse` makes of the body of an answer. Reading a long one takes a while, and listeners and destinations share the
/// runtime: that is done beside it.
pub(crate) async fn parsed<T: Send + 'static>(
    whole: Whole,
    parse: impl FnOnce(&[u8]) -> Result<T, Wrong> + Send + 'static,
) -> Result<T, Wrong> {
    if whole.body.len() <= AT_ONCE {
        return parse(&whole.body);
    }
    let parsed = tokio::task::spawn_blocking(move || parse(&whole.body)).await;
    parsed.unwrap_or_else(|_| Err("reading it ended early".into()))
}

/// Name and address of a client's server, for an error.
pub(crate) fn server(client: &Client) -> String {
    client.shown().to_owned()
}

/// Adds `text` as a value of a query.
pub(crate) fn quote(out: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
}

/// An answer of `render`: `[{"target": name, "tags": {…}, "datapoints": [[value, time], …]}, …]`. Points that are none
/// are left out and counted; each time is taken once.
///
/// # Errors
/// It is not that, or more than `limits` allow.
pub fn parse_render(text: &[u8], limits: Limits) -> Result<Answer, Unusable> {
    let mut reader = Reader::new(text);
    let mut answer = Answer::default();
    let mut left = limits.points;
    reader.take(b'[')?;
    let mut first = true;
    while reader.more(&mut first, b']')? {
        if answer.series.len() == limits.series {
            return Err(format!("it has more than {} series", limits.series).into());
        }
        let series = series(&mut reader, &mut left, &mut answer.skipped)?;
        answer.series.push(series);
    }
    reader.end()?;
    Ok(answer)
}

fn series(reader: &mut Reader<'_>, left: &mut usize, skipped: &mut Skipped) -> Result<Series, Wrong> {
    let mut series = Series::default();
    let (mut first, mut has_points) = (true, false);
    reader.take(b'{')?;
    while reader.more(&mut first, b'}')? {
        match reader.key()?.as_str() {
            "target" => match reader.scalar()? {
                Some(Scalar::Text(name)) => series.name = name,
                _ => return Err("the name of a series is no text".into()),
            },
            "tags" if reader.peek() == Some(b'{') => labels(reader, &mut series)?,
            "datapoints" if reader.peek() == Some(b'[') => {
                series.points = points(reader, Order::ValueFirst, left, skipped)?;
                has_points = true;
            }
            _ => reader.skip()?,
        }
    }
    if !has_points || series.name.is_empty() {
        return Err("a series has no target or no datapoints".into());
    }
    Ok(series)
}

/// Labels or tags: an object of texts. Others are left out.
pub(crate) fn labels(reader: &mut Reader<'_>, series: &mut Series) -> Result<(), Wrong> {
    let mut first = true;
    reader.take(b'{')?;
    while reader.more(&mut first, b'}')? {
        let key = reader.key()?;
        if let Some(Scalar::Text(value)) = reader.scalar()? {
            series.labels.insert(key, value);
        }
        if series.labels.len() > 1_000 {
            return Err("a series has more than 1000 labels".into());
        }
    }
    Ok(())
}

/// Which of a pair comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// Graphite: `[value, time]`.
    ValueFirst,
    /// Prometheus: `[time, "value"]`.
    TimeFirst,
}

/// A list of pairs. `left` is how many more may come.
pub(crate) fn points(
    reader: &mut Reader<'_>,
    order: Order,
    left: &mut usize,
    skipped: &mut Skipped,
) -> Result<Vec<crate::Point>, Wrong> {
    let mut gather = Gather::new();
    let mut first = true;
    reader.take(b'[')?;
    while reader.more(&mut first, b']')? {
        *left = left.checked_sub(1).ok_or(Unusable::TooMany)?;
        if reader.peek() != Some(b'[') {
            reader.skip()?;
            skipped.not_a_number += 1;
            continue;
        }
        reader.take(b'[')?;
        let (mut of_pair, mut pair, mut items) = (true, [Came::Other; 2], 0);
        while reader.more(&mut of_pair, b']')? {
            let came = reader.scalar()?.map_or(Came::Other, |scalar| came(&scalar, order, items));
            if let Some(place) = pair.get_mut(items) {
                *place = came;
            }
            items += 1;
        }
        if items != 2 {
            skipped.not_a_number += 1;
            continue;
        }
        match (order, pair) {
            (Order::ValueFirst, [value, ts]) | (Order::TimeFirst, [ts, value]) => {
                gather.push(ts, value, skipped);
            }
        }
    }
    Ok(gather.finish(skipped))
}

fn came(scalar: &Scalar, order: Order, place: usize) -> Came {
    match scalar {
        Scalar::Null => Came::Null,
        Scalar::Number(number) => Came::Number(*number),
        // Prometheus writes values as texts, because JSON has no NaN.
        Scalar::Text(text) if order == Order::TimeFirst && place == 1 => {
            crate::json::number(text.as_bytes()).map_or(Came::Other, Came::Number)
        }
        Scalar::Text(_) | Scalar::Bool(_) => Came::Other,
    }
}

/// An answer of `find`, in either of its forms: `[{"id": name, "leaf": 1}, …]` (`treejson`), or
/// `{"metrics": [{"path": name, "is_leaf": "1"}, …]}` (`completer`). The name ends without a dot. Entries without a name are left out.
///
/// # Errors
/// It is neither, or has more than `most` entries.
pub fn parse_find(text: &[u8], most: usize) -> Result<Vec<Found>, Unusable> {
    let mut reader = Reader::new(text);
    let mut found = Vec::new();
    if reader.peek() == Some(b'{') {
        let mut first = true;
        reader.take(b'{')?;
        while reader.more(&mut first, b'}')? {
            let is_list = reader.key()? == "metrics" && reader.peek() == Some(b'[');
            if is_list { entries(&mut reader, most, &mut found)? } else { reader.skip()? }
        }
    } else {
        entries(&mut reader, most, &mut found)?;
    }
    reader.end()?;
    Ok(found)
}

fn entries(reader: &mut Reader<'_>, most: usize, found: &mut Vec<Found>) -> Result<(), Wrong> {
    let mut first = true;
    reader.take(b'[')?;
    while reader.more(&mut first, b']')? {
        let mut entry = Found { path: String::new(), is_leaf: false };
        let mut first = true;
        reader.take(b'{')?;
        while reader.more(&mut first, b'}')? {
            match reader.key()?.as_str() {
                "id" | "path" => {
                    if let Some(Scalar::Text(text)) = reader.scalar()? {
                        entry.path = text.trim_end_matches('.').to_owned();
                    }
                }
                "leaf" | "is_leaf" => {
                    entry.is_leaf = match reader.scalar()? {
                        Some(Scalar::Number(n)) => n != 0.0,
                        Some(Scalar::Bool(is)) => is,
                        Some(Scalar::Text(text)) => text == "1" || text == "true",
                        _ => false,
                    }
                }
                _ => reader.skip()?,
            }
        }
        if !entry.path.is_empty() {
            if found.len() == most {
                return Err(format!("it has more than {most} entries").into());
            }
            found.push(entry);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
