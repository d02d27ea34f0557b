//! One anomaly as bytes: three names, each with its length before it (u16), then the numbers in the order
//! of [`encode`], little-endian.

use crate::record::Context;
use skyline_core::algorithm::AlgorithmSet;
use skyline_core::anomaly::Anomaly;
use skyline_core::point::Datapoint;

/// To bytes. A name longer than a `u16` counts is cut; no metric has such a name.
pub(super) fn encode(anomaly: &Anomaly, context: &Context) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(128 + anomaly.metric.len());
    for name in [&context.host, &context.app, &anomaly.metric] {
        let mut length = name.len().min(usize::from(u16::MAX));
        while !name.is_char_boundary(length) {
            length -= 1;
        }
        bytes.extend(u16::try_from(length).unwrap_or(u16::MAX).to_le_bytes());
        bytes.extend(name.bytes().take(length));
    }
    let floats = [
        anomaly.point.ts,
        anomaly.point.value,
        anomaly.judged_value,
        anomaly.received,
        anomaly.mean,
        anomaly.stddev,
        anomaly.window_from,
    ];
    for float in floats {
        bytes.extend(float.to_le_bytes());
    }
    bytes.extend(anomaly.seq.to_le_bytes());
    bytes.extend(anomaly.window_points.to_le_bytes());
    bytes.extend(anomaly.full_duration.to_le_bytes());
    bytes.extend(anomaly.asked.bits().to_le_bytes());
    bytes.extend(anomaly.triggered.bits().to_le_bytes());
    bytes.push(u8::from(anomaly.counter));
    bytes
}

/// What is left to be read.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    fn name(&mut self) -> Option<String> {
        let length = usize::from(u16::from_le_bytes(self.take()?));
        let (name, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        String::from_utf8(name.to_vec()).ok()
    }

    fn float(&mut self) -> Option<f64> {
        Some(f64::from_le_bytes(self.take()?))
    }

    fn number(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take()?))
    }

    fn set(&mut self) -> Option<AlgorithmSet> {
        Some(AlgorithmSet::from_bits(u16::from_le_bytes(self.take()?)))
    }
}

/// From bytes; none when they are not those of [`encode`].
pub(super) fn decode(bytes: &[u8]) -> Option<(Context, Anomaly)> {
    let mut rest = Rest(bytes);
    let (host, app, metric) = (rest.name()?, rest.name()?, rest.name()?);
    let point = Datapoint::new(rest.float()?, rest.float()?);
    let anomaly = Anomaly {
        metric,
        point,
        judged_value: rest.float()?,
        received: rest.float()?,
        mean: rest.float()?,
        stddev: rest.float()?,
        window_from: rest.float()?,
        seq: u64::from_le_bytes(rest.take()?),
        window_points: rest.number()?,
        full_duration: rest.number()?,
        asked: rest.set()?,
        triggered: rest.set()?,
        counter: u8::from_le_bytes(rest.take()?) != 0,
    };
    rest.0.is_empty().then_some((Context { host, app }, anomaly))
}
