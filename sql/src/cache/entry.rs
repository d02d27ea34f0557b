//! A value in memcached: an answer with all that tells whether it is the answer that is wanted.
//!
//! Anybody who reaches a memcached can write to it, and a hash of questions may clash: a value is taken
//! only if its checksum fits and it names the very question, the generation and a plausible time.

use crate::row::{Row, Verdict};
use serde::{Deserialize, Serialize};
use skyline_core::algorithm::{Algorithm, AlgorithmSet};
use skyline_core::anomaly::Anomaly;
use skyline_core::point::Datapoint;
use xxhash_rust::xxh3::xxh3_64;

/// Largest value that is put or taken, bytes: below memcached's own limit of 1 MiB with its head.
pub(super) const MAX_BYTES: usize = 1_000_000;

/// First bytes of a value; another form has another number.
const MAGIC: &[u8; 4] = b"SKY1";
/// Bytes before the document: the magic, a checksum.
const HEAD: usize = 12;

/// An answer and what it is the answer to.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) question: String,
    /// Generation when the record was asked.
    pub(super) generation: u64,
    /// When the record was asked, seconds since the epoch.
    pub(super) asked: f64,
    pub(super) rows: Vec<Row>,
}

/// The document as it is written.
#[derive(Serialize, Deserialize)]
struct Document<'a> {
    q: std::borrow::Cow<'a, str>,
    g: u64,
    t: Bits,
    rows: Vec<Stored>,
}

/// A float as its bits: JSON has no word for some of them.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Bits(u64);

impl From<f64> for Bits {
    fn from(n: f64) -> Self {
        Self(n.to_bits())
    }
}

impl From<Bits> for f64 {
    fn from(bits: Bits) -> Self {
        Self::from_bits(bits.0)
    }
}

/// A [`Row`] as it is written.
#[derive(Serialize, Deserialize)]
struct Stored {
    id: i64,
    metric: String,
    host: String,
    app: String,
    /// Time, value, judged value, received, mean, standard deviation, beginning of the window.
    floats: [Bits; 7],
    asked: Vec<String>,
    triggered: Vec<String>,
    window_points: u32,
    full_duration: u32,
    counter: bool,
    seq: u64,
    recurrences: u64,
    ended: Option<Bits>,
    last_received: Bits,
    verdict: String,
    explained_by: Option<i64>,
    chat_thread: Option<String>,
    label: Option<String>,
    label_by: Option<String>,
}

fn names(set: AlgorithmSet) -> Vec<String> {
    set.iter().map(|algorithm| algorithm.name().to_owned()).collect()
}

fn set(names: &[String]) -> AlgorithmSet {
    names.iter().filter_map(|name| Algorithm::from_name(name)).collect()
}

impl From<&Row> for Stored {
    fn from(row: &Row) -> Self {
        // Named one by one, so that a new field is not forgotten.
        let Row { id, anomaly, host, app, recurrences, ended, last_received, verdict, .. } = row;
        let Row { explained_by, chat_thread, label, label_by, .. } = row;
        let Anomaly { metric, point, received, judged_value, asked, triggered, .. } = anomaly;
        let Anomaly { mean, stddev, window_from, window_points, full_duration, counter, seq, .. } = anomaly;
        let floats = [point.ts, point.value, *judged_value, *received, *mean, *stddev, *window_from];
        Self {
            id: *id,
            metric: metric.clone(),
            host: host.clone(),
            app: app.clone(),
            floats: floats.map(Bits::from),
            asked: names(*asked),
            triggered: names(*triggered),
            window_points: *window_points,
            full_duration: *full_duration,
            counter: *counter,
            seq: *seq,
            recurrences: *recurrences,
            ended: ended.map(Bits::from),
            last_received: (*last_received).into(),
            verdict: verdict.name().to_owned(),
            explained_by: *explained_by,
            chat_thread: chat_thread.clone(),
            label: label.clone(),
            label_by: label_by.clone(),
        }
    }
}

impl From<Stored> for Row {
    fn from(stored: Stored) -> Self {
        let [ts, value, judged_value, received, mean, stddev, window_from] = stored.floats.map(f64::from);
        Self {
            id: stored.id,
            anomaly: Anomaly {
                metric: stored.metric,
                point: Datapoint::new(ts, value),
                received,
                judged_value,
                asked: set(&stored.asked),
                triggered: set(&stored.triggered),
                mean,
                stddev,
                window_from,
                window_points: stored.window_points,
                full_duration: stored.full_duration,
                counter: stored.counter,
                seq: stored.seq,
            },
            host: stored.host,
            app: stored.app,
            recurrences: stored.recurrences,
            ended: stored.ended.map(f64::from),
            last_received: stored.last_received.into(),
            verdict: Verdict::from_name(&stored.verdict).unwrap_or_default(),
            explained_by: stored.explained_by,
            chat_thread: stored.chat_thread,
            label: stored.label,
            label_by: stored.label_by,
        }
    }
}

/// The bytes of a value; none where they would be more than [`MAX_BYTES`].
pub(super) fn encode(question: &str, generation: u64, asked: f64, rows: &[Row]) -> Option<Vec<u8>> {
    let rows = rows.iter().map(Stored::from).collect();
    let document = Document { q: question.into(), g: generation, t: asked.into(), rows };
    let mut bytes = vec![0; HEAD];
    serde_json::to_writer(&mut bytes, &document).ok()?;
    let (head, body) = bytes.split_at_mut(HEAD);
    let sum = xxh3_64(body).to_le_bytes();
    head.copy_from_slice(&[MAGIC.as_slice(), &sum].concat());
    (bytes.len() <= MAX_BYTES).then_some(bytes)
}

/// The value of these bytes; none if they are anything else.
pub(super) fn decode(bytes: &[u8]) -> Option<Entry> {
    let (magic, rest) = bytes.split_first_chunk::<4>()?;
    let (sum, body) = rest.split_first_chunk::<8>()?;
    if bytes.len() > MAX_BYTES || magic != MAGIC || xxh3_64(body).to_le_bytes() != *sum {
        return None;
    }
    let document: Document<'_> = serde_json::from_slice(body).ok()?;
    let rows = document.rows.into_iter().map(Row::from).collect();
    let question = document.q.into_owned();
    Some(Entry { question, generation: document.g, asked: document.t.into(), rows })
}

#[cfg(test)]
mod tests {
    use super::super::tests::row;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_was_put_comes_out() {
        let mut odd = row(i64::MIN, "größe\r\nset evil 0 0 1;\u{0}\"");
        odd.anomaly.judged_value = f64::INFINITY;
        odd.anomaly.mean = -0.0;
        odd.anomaly.triggered = AlgorithmSet::EMPTY;
        odd.anomaly.seq = u64::MAX;
        odd.ended = Some(f64::MIN_POSITIVE);
        let rows = vec![row(1, "a.b"), odd];
        let bytes = encode("who?", u64::MAX, 1.5, &rows).unwrap();
        let entry = Entry { question: "who?".to_owned(), generation: u64::MAX, asked: 1.5, rows };
        assert_eq!(decode(&bytes), Some(entry));
        let mut nan = row(1, "a");
        nan.anomaly.stddev = f64::NAN;
        let back = decode(&encode("", 0, 0.0, &[nan]).unwrap()).unwrap();
        assert!(back.rows[0].anomaly.stddev.is_nan());
    }

    #[test]
    fn what_is_too_large_is_not_put() {
        let rows: Vec<_> = (0..1_000).map(|i| row(i, &"x".repeat(1_000))).collect();
        assert_eq!(encode("q", 0, 0.0, &rows), None);
        assert!(encode("q", 0, 0.0, &rows[..500]).is_some());
    }

    proptest! {
        #[test]
        fn nothing_else_is_taken(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(decode(&bytes), None);
        }

        #[test]
        fn nor_what_was_changed(place in any::<prop::sample::Index>(), by in 1..=255_u8) {
            let mut bytes = encode("question", 7, 1.0, &[row(1, "a.b")]).expect("small");
            let place = place.index(bytes.len());
            bytes[place] ^= by;
            prop_assert_eq!(decode(&bytes), None);
        }
    }
}
