//! Carbon's protobuf: frames of a 4-byte big-endian length and a `Payload`.
//!
//! ```proto
//! message Payload { repeated Metric metrics = 1; }
//! message Metric { string metric = 1; repeated Point points = 2; }
//! message Point { uint32 timestamp = 1; double value = 2; }
//! ```
//!
//! (proto3; carbon:lib/carbon/carbon.proto.) A frame is read where it lies: first it is walked once to see
//! that it can be decoded at all, as a frame is taken or refused as a whole; then points are taken out of
//! it, as many at a time as wanted. Nothing is allocated, whatever the frame claims.

pub mod field;

#[cfg(test)]
mod tests;

use super::frame::{Limits, NUMBERS};
use field::{Fields, Value};
use skyline_core::batch::BatchBuilder;
use skyline_core::name;
use skyline_core::reject::Reject;

/// Takes all points of one frame (without its length prefix). A frame that cannot be decoded gives no
/// point and is passed to `refused` once, as [`Reject::Frame`].
pub fn decode(frame: &[u8], limits: Limits, out: &mut BatchBuilder, refused: &mut impl FnMut(&[u8], Reject)) {
    match Points::of(frame) {
        Ok(mut points) => {
            points.emit(limits, usize::MAX, out, refused);
        }
        Err(why) => refused(frame, why),
    }
}

/// The points of a frame that can be decoded.
#[derive(Debug)]
pub struct Points<'a> {
    metrics: Fields<'a>,
    /// The metric whose points are being taken.
    metric: Option<Metric<'a>>,
    /// Bytes of lines that were tried.
    text: usize,
}

#[derive(Debug)]
struct Metric<'a> {
    name: &'a [u8],
    /// Looked at once: a name may belong to half a million points.
    is_good: Result<(), Reject>,
    fields: Fields<'a>,
}

impl<'a> Points<'a> {
    /// The points of `frame` (without its length prefix).
    ///
    /// # Errors
    /// [`Reject::Frame`]: it is not a `Payload`, or a name in it is not UTF-8, which proto3 does not allow.
    pub fn of(frame: &'a [u8]) -> Result<Self, Reject> {
        check(frame).ok_or(Reject::Frame)?;
        Ok(Self { metrics: Fields::of(frame), metric: None, text: 0 })
    }

    /// Bytes of lines that the frame has become so far, rounded up; those of refused points included, as
    /// they cost the same.
    #[must_use]
    pub const fn emitted(&self) -> usize {
        self.text
    }

    /// Takes points, in order, until they have become about `room` bytes of lines. True when all are
    /// taken; else it wants to be called again.
    ///
    /// What is not taken is passed to `refused` with its name. Beyond [`Limits::text_bytes`] the rest of
    /// the frame is refused as [`Reject::FrameTooLong`], one by one.
    pub fn emit(
        &mut self,
        limits: Limits,
        room: usize,
        out: &mut BatchBuilder,
        refused: &mut impl FnMut(&[u8], Reject),
    ) -> bool {
        let stop_at = self.text.saturating_add(room);
        loop {
            if self.metric.is_none() {
                self.metric = self.next_metric();
            }
            let Some(metric) = &mut self.metric else { return true };
            for (number, value) in metric.fields.by_ref() {
                let (2, Value::Bytes(point)) = (number, value) else { continue };
                let taken = match metric.is_good {
                    Ok(()) if self.text > limits.text_bytes => Err(Reject::FrameTooLong),
                    Ok(()) => {
                        self.text += metric.name.len() + NUMBERS;
                        take(metric.name, point, out)
                    }
                    Err(why) => Err(why),
                };
                if let Err(why) = taken {
                    refused(metric.name, why);
                }
                if self.text >= stop_at {
                    return false;
                }
            }
            self.metric = None;
        }
    }

    fn next_metric(&mut self) -> Option<Metric<'a>> {
        loop {
            let (1, Value::Bytes(message)) = self.metrics.next()? else { continue };
            let mut name: &[u8] = &[];
            for (number, value) in Fields::of(message) {
                if let (1, Value::Bytes(text)) = (number, value) {
                    name = text;
                }
            }
            return Some(Metric { name, is_good: name::for_line(name), fields: Fields::of(message) });
        }
    }
}

/// Whether the frame can be decoded: every message in it down to its last byte.
fn check(frame: &[u8]) -> Option<()> {
    let mut metrics = Fields::of(frame);
    for (number, value) in metrics.by_ref() {
        let (1, Value::Bytes(metric)) = (number, value) else { continue };
        let mut fields = Fields::of(metric);
        for (number, value) in fields.by_ref() {
            match (number, value) {
                (1, Value::Bytes(name)) if !name.is_ascii() => {
                    std::str::from_utf8(name).ok()?;
                }
                (2, Value::Bytes(point)) => {
                    let mut fields = Fields::of(point);
                    fields.by_ref().for_each(drop);
                    fields.are_whole().then_some(())?;
                }
                _ => {}
            }
        }
        fields.are_whole().then_some(())?;
    }
    metrics.are_whole().then_some(())
}

#[inline]
fn take(name: &[u8], point: &[u8], out: &mut BatchBuilder) -> Result<(), Reject> {
    let (mut ts, mut value) = (0_u32, 0.0);
    for (number, field) in Fields::of(point) {
        match (number, field) {
            // Of a varint that is too long for it a `uint32` has the low 32 bits.
            (1, Value::Varint(n)) => ts = n as u32,
            (2, Value::Fixed64(bits)) => value = f64::from_bits(bits),
            _ => {}
        }
    }
    // Told apart here, because the name is not to be looked at for each of its points.
    if value.is_nan() {
        return Err(Reject::NanValue);
    }
    out.point(name, f64::from(ts), value)
}

/// Appends one frame with its length: all `(name, timestamp, value)`, those with the same name that follow
/// one another as one `Metric`. Timestamps become whole seconds of 32 bits, the nearest that there is:
/// nothing else fits. Without points it is a frame of length 0, which every reader passes over.
pub fn write<'a>(points: impl Iterator<Item = (&'a [u8], f64, f64)>, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    let mut metric: Option<(&[u8], usize)> = None;
    for (name, ts, value) in points {
        if metric.is_none_or(|(current, _)| current != name) {
            if let Some((_, begin)) = metric {
                insert_length(begin, out);
            }
            out.push(0x0a);
            metric = Some((name, out.len()));
            out.push(0x0a);
            field::write_varint(name.len() as u64, out);
            out.extend_from_slice(name);
        }
        write_point(ts, value, out);
    }
    if let Some((_, begin)) = metric {
        insert_length(begin, out);
    }
    let length = u32::try_from(out.len() - start - 4).unwrap_or(u32::MAX);
    if let Some(prefix) = out.get_mut(start..start + 4) {
        prefix.copy_from_slice(&length.to_be_bytes());
    }
}

fn write_point(ts: f64, value: f64, out: &mut Vec<u8>) {
    out.push(0x12);
    let begin = out.len();
    // At most 15 bytes: its length is one byte.
    out.push(0);
    let ts = ts as u32;
    if ts != 0 {
        out.push(0x08);
        field::write_varint(u64::from(ts), out);
    }
    if value.to_bits() != 0 {
        out.push(0x11);
        out.extend_from_slice(&value.to_le_bytes());
    }
    let length = (out.len() - begin - 1) as u8;
    if let Some(at) = out.get_mut(begin) {
        *at = length;
    }
}

/// Puts the length of what was written since `begin` before it.
fn insert_length(begin: usize, out: &mut Vec<u8>) {
    let end = out.len();
    field::write_varint((end - begin) as u64, out);
    let length = out.len() - end;
    if let Some(message) = out.get_mut(begin..) {
        message.rotate_right(length);
    }
}
