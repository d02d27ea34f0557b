//! Exact compression of a column of doubles, at most 255 of them.
//!
//! Monitoring values are mostly decimals with few digits, so a value is kept as an integer `m`
//! with one power of ten for the block: `m / 10^p` gives back the very same double. Doubles that
//! arithmetic has left one or a few steps beside their decimal (`51.846000000000004`) keep
//! that difference in a second run of a few bits. What is no decimal keeps its bits, without
//! the leading and trailing ones that all values share.
//!
//! Layout (little-endian): kind u8, then
//!
//! | kind | fields |
//! |---|---|
//! | 0 constant | value f64 |
//! | 1 decimal | p u8, width u8, nudge width u8, base i64, packed `m - base`, packed zigzag nudges |
//! | 2 decimal deltas | p u8, width u8, nudge width u8, first i64, base i64, packed `delta - base` (n-1), packed zigzag nudges |
//! | 3 bits | trail u8, width u8, base u64, packed `(bits ^ base) >> trail` |

use crate::bits::{pack, packed_len, unpack, unzigzag, width_of, zigzag};

const CONSTANT: u8 = 0;
const DECIMAL: u8 = 1;
const DELTA: u8 = 2;
const BITS: u8 = 3;

/// Largest power of ten tried.
const MAX_POWER: u8 = 12;
/// Largest distance in representable doubles between a value and its decimal.
const MAX_NUDGE: u64 = 15;
/// Integers up to 2^53 are exact as doubles.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

const POWERS: [f64; MAX_POWER as usize + 1] =
    [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12];

fn power(p: u8) -> f64 {
    POWERS.get(usize::from(p)).copied().unwrap_or(1.0)
}

/// The integer for `value` at power `p`, and by how many doubles `m / 10^p` misses it.
fn decimal(value: f64, p: u8) -> Option<(i64, i64)> {
    let scaled = (value * power(p)).round();
    if scaled.is_nan() || scaled.abs() >= MAX_EXACT {
        return None;
    }
    let m = scaled as i64;
    let nudge = (value.to_bits() as i64).wrapping_sub((m as f64 / power(p)).to_bits() as i64);
    (nudge.unsigned_abs() <= MAX_NUDGE).then_some((m, nudge))
}

fn undecimal(m: i64, nudge: i64, scale: f64) -> f64 {
    let value = m as f64 / scale;
    if nudge == 0 { value } else { f64::from_bits((value.to_bits() as i64).wrapping_add(nudge) as u64) }
}

/// Reused buffers of the encoder, and the power of ten that fitted last: most series keep theirs.
#[derive(Debug, Default)]
pub struct Encoder {
    whole: Vec<i64>,
    nudges: Vec<i64>,
}

impl Encoder {
    /// Appends the column to `out`. `hint` is a power to try first; returns the one to try next time.
    pub fn encode(&mut self, values: &[f64], hint: u8, out: &mut Vec<u8>) -> u8 {
        let Some(first) = values.first().copied() else {
            out.push(CONSTANT);
            out.extend_from_slice(&0_u64.to_le_bytes());
            return hint;
        };
        if values.iter().all(|v| v.to_bits() == first.to_bits()) {
            out.push(CONSTANT);
            out.extend_from_slice(&first.to_bits().to_le_bytes());
            return hint;
        }
        match self.fit(values, hint) {
            Some(p) => {
                self.write_decimals(p, out);
                p
            }
            None => {
                write_bits(values, first.to_bits(), out);
                hint
            }
        }
    }

    /// The least power at which all values are decimals exactly; failing that, the least at
    /// which all are within [`MAX_NUDGE`]. Leaves the integers and nudges behind.
    fn fit(&mut self, values: &[f64], hint: u8) -> Option<u8> {
        let lowest = if self.all_at(values, hint) == Some(true) && hint > 0 {
            // Fits already; a smaller power would pack tighter, but only if the data changed.
            return Some(hint);
        } else {
            0
        };
        let mut near = None;
        for p in lowest..=MAX_POWER {
            match self.all_at(values, p) {
                Some(true) => return Some(p),
                Some(false) if near.is_none() => near = Some(p),
                _ => {}
            }
        }
        let p = near?;
        self.all_at(values, p).map(|_| p)
    }

    /// `Some(true)`: all exact at `p`; `Some(false)`: all near; `None`: some value is neither.
    fn all_at(&mut self, values: &[f64], p: u8) -> Option<bool> {
        self.whole.clear();
        self.nudges.clear();
        let mut exact = true;
        for value in values {
            let (m, nudge) = decimal(*value, p)?;
            exact &= nudge == 0;
            self.whole.push(m);
            self.nudges.push(nudge);
        }
        Some(exact)
    }

    fn write_decimals(&self, p: u8, out: &mut Vec<u8>) {
        let (low, high) = span(self.whole.iter().copied());
        let flat = width_of(high.wrapping_sub(low) as u64);
        let steps = || self.whole.iter().zip(self.whole.iter().skip(1)).map(|(a, b)| b - a);
        let (step_low, step_high) = span(steps());
        let delta = width_of(step_high.wrapping_sub(step_low) as u64);
        let nudge = self.nudges.iter().map(|n| width_of(zigzag(*n))).max().unwrap_or(0);
        // Deltas cost eight bytes more and no random access: only for a clear gain.
        if delta + 2 <= flat && self.whole.len() > 32 {
            out.extend_from_slice(&[DELTA, p, delta as u8, nudge as u8]);
            out.extend_from_slice(&self.whole.first().copied().unwrap_or(0).to_le_bytes());
            out.extend_from_slice(&step_low.to_le_bytes());
            pack(steps().map(|s| s.wrapping_sub(step_low) as u64), delta, out);
        } else {
            out.extend_from_slice(&[DECIMAL, p, flat as u8, nudge as u8]);
            out.extend_from_slice(&low.to_le_bytes());
            pack(self.whole.iter().map(|m| m.wrapping_sub(low) as u64), flat, out);
        }
        pack(self.nudges.iter().map(|n| zigzag(*n)), nudge, out);
    }
}

fn span(values: impl Iterator<Item = i64>) -> (i64, i64) {
    values.fold((i64::MAX, i64::MIN), |(low, high), v| (low.min(v), high.max(v)))
}

fn write_bits(values: &[f64], base: u64, out: &mut Vec<u8>) {
    let differing = values.iter().fold(0, |all, v| all | (v.to_bits() ^ base));
    let trail = differing.trailing_zeros().min(63);
    let width = width_of(differing >> trail);
    out.extend_from_slice(&[BITS, trail as u8, width as u8]);
    out.extend_from_slice(&base.to_le_bytes());
    pack(values.iter().map(|v| (v.to_bits() ^ base) >> trail), width, out);
}

/// A column as it lies in a block: header read, values not yet.
#[derive(Debug, Clone, Copy)]
pub struct Column<'a> {
    kind: u8,
    scale: f64,
    trail: u32,
    width: u32,
    nudge_width: u32,
    base: i64,
    first: i64,
    packed: &'a [u8],
    nudges: &'a [u8],
    n: usize,
}

impl<'a> Column<'a> {
    /// Reads the header of a column of `n` values; also returns its length in bytes.
    ///
    /// `None`: the bytes are not a column (a damaged file).
    #[must_use]
    pub fn open(bytes: &'a [u8], n: usize) -> Option<(Self, usize)> {
        let kind = *bytes.first()?;
        let (header, runs) = match kind {
            CONSTANT => (9, [0, 0]),
            DECIMAL => (12, [n, n]),
            DELTA => (20, [n.saturating_sub(1), n]),
            BITS => (11, [n, 0]),
            _ => return None,
        };
        let head = bytes.get(..header)?;
        let byte = |at: usize| head.get(at).copied().unwrap_or(0);
        let eight = |at: usize| {
            head.get(at..at + 8).and_then(|b| b.first_chunk::<8>()).map_or(0, |b| i64::from_le_bytes(*b))
        };
        let (scale, trail, width, nudge_width, first, base) = match kind {
            CONSTANT => (1.0, 0, 0, 0, 0, eight(1)),
            DECIMAL => (power(byte(1)), 0, byte(2), byte(3), 0, eight(4)),
            DELTA => (power(byte(1)), 0, byte(2), byte(3), eight(4), eight(12)),
            _ => (1.0, byte(1), byte(2), 0, 0, eight(3)),
        };
        if width > 64 || nudge_width > 64 || trail > 63 {
            return None;
        }
        let (width, nudge_width) = (u32::from(width), u32::from(nudge_width));
        let packed_bytes = packed_len(runs[0], width);
        let nudge_bytes = packed_len(runs[1], nudge_width);
        let len = header + packed_bytes + nudge_bytes;
        if bytes.len() < len {
            return None;
        }
        let column = Self {
            kind,
            scale,
            trail: u32::from(trail),
            width,
            nudge_width,
            base,
            first,
            packed: bytes.get(header..)?,
            nudges: bytes.get(header + packed_bytes..)?,
            n,
        };
        Some((column, len))
    }

    /// Appends values `from..until` (cut to the column) to `out`.
    pub fn read(&self, from: usize, until: usize, out: &mut Vec<f64>) {
        let until = until.min(self.n);
        if from >= until {
            return;
        }
        match self.kind {
            CONSTANT => out.resize(out.len() + until - from, f64::from_bits(self.base as u64)),
            DECIMAL if self.nudge_width == 0 => out.extend((from..until).map(|i| {
                let m = self.base.wrapping_add(unpack(self.packed, self.width, i) as i64);
                m as f64 / self.scale
            })),
            DECIMAL => out.extend((from..until).map(|i| {
                let m = self.base.wrapping_add(unpack(self.packed, self.width, i) as i64);
                undecimal(m, self.nudge(i), self.scale)
            })),
            DELTA => {
                let mut m = self.first;
                for i in 0..until {
                    if i > 0 {
                        let step = self.base.wrapping_add(unpack(self.packed, self.width, i - 1) as i64);
                        m = m.wrapping_add(step);
                    }
                    if i >= from {
                        out.push(undecimal(m, self.nudge(i), self.scale));
                    }
                }
            }
            _ => out.extend((from..until).map(|i| {
                let differing = unpack(self.packed, self.width, i) << self.trail;
                f64::from_bits(self.base as u64 ^ differing)
            })),
        }
    }

    fn nudge(&self, i: usize) -> i64 {
        unzigzag(unpack(self.nudges, self.nudge_width, i))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn size(values: &[f64]) -> usize {
        let mut bytes = Vec::new();
        Encoder::default().encode(values, 0, &mut bytes);
        let (column, len) = Column::open(&bytes, values.len()).unwrap();
        assert_eq!(len, bytes.len());
        let mut back = Vec::new();
        column.read(0, values.len(), &mut back);
        let bits = |v: &[f64]| v.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&back), bits(values));
        let mut part = Vec::new();
        column.read(values.len() / 3, values.len(), &mut part);
        assert_eq!(bits(&part), bits(&values[values.len() / 3..]));
        bytes.len()
    }

    #[test]
    fn few_digits_take_few_bytes() {
        assert_eq!(size(&[7.25; 100]), 9);
        assert!(size(&(0..120).map(|i| f64::from(i % 50)).collect::<Vec<_>>()) < 120);
        assert!(size(&(0..120).map(|i| f64::from(i * 37 % 1000) / 1000.0).collect::<Vec<_>>()) < 170);
        // A counter: large numbers, small steps.
        assert!(size(&(0..120).map(|i| 1e12 + f64::from(i) * 1000.0).collect::<Vec<_>>()) < 40);
    }

    #[test]
    fn sums_of_decimals_stay_near_them() {
        let values: Vec<f64> = (0..120).map(|i| 0.1 * f64::from(i) + 0.2).collect();
        assert!(values.iter().any(|v| decimal(*v, 1).unwrap().1 != 0));
        assert!(size(&values) < 220);
    }

    #[test]
    fn odd_values_keep_their_bits() {
        size(&[0.0, -0.0, 1.0]);
        size(&[f64::MAX, f64::MIN_POSITIVE, 1e-300, -1e300]);
        size(&[0.1 + 0.2, 1.0 / 3.0, std::f64::consts::PI]);
        size(&[f64::INFINITY, 1.0, f64::NEG_INFINITY]);
        size(&[]);
    }

    proptest! {
        #[test]
        fn every_column_comes_back(values in prop::collection::vec(prop_oneof![
            any::<f64>(), (-1_000_000_i64..1_000_000).prop_map(|m| m as f64 / 1000.0), Just(0.0), any::<i32>().prop_map(f64::from)
        ], 0..200)) {
            size(&values);
        }

        #[test]
        fn damaged_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), n in 0_usize..255) {
            if let Some((column, _)) = Column::open(&bytes, n) {
                let mut out = Vec::new();
                column.read(0, n, &mut out);
                prop_assert_eq!(out.len(), n);
            }
        }
    }
}
