//! A sealed run of points, written once: times implied by a step where they can be, values packed.
//!
//! Layout: n u8, regular u8, first time f64, then (regular) step f64 or (not) a column of the
//! times' distances from the first, then the column of values, then padding for the bit reader.

use crate::bits::PAD;
use crate::column::{Column, Encoder};

/// Points of a full block.
pub const BLOCK_POINTS: usize = 120;
/// Most points that a block can hold (a late point grows it).
pub const MAX_BLOCK_POINTS: usize = 240;
/// Most bytes that a packed block can have: two columns whose numbers keep all their bits.
pub const MAX_BLOCK_BYTES: usize = 4_096;

/// A sealed block in memory. Cheap header, packed bytes.
#[derive(Debug, Clone)]
pub struct Block {
    bytes: Box<[u8]>,
    /// Time of the last point, seconds.
    last_ts: f64,
    /// Offset in the shard's file of blocks; 0 while it is not there.
    pub stored_at: u32,
    /// Number of the copy outside of this node that has it, see [`crate::chunk`]; 0: none has.
    pub copy: u8,
    n: u8,
}

/// Reused buffers of sealing.
#[derive(Debug, Default)]
pub struct Sealer {
    encoder: Encoder,
    offsets: Vec<f64>,
    bytes: Vec<u8>,
}

impl Sealer {
    /// Seals 1 to [`MAX_BLOCK_POINTS`] points; `hint` as in [`Encoder::encode`], updated.
    pub fn seal(&mut self, ts: &[f64], values: &[f64], hint: &mut u8) -> Block {
        let n = ts.len().min(values.len()).min(MAX_BLOCK_POINTS);
        let first = ts.first().copied().unwrap_or(0.0);
        let step = ts.get(1).map_or(0.0, |second| second - first);
        self.bytes.clear();
        self.bytes.push(n as u8);
        let regular = is_progression(ts, first, step);
        self.bytes.push(u8::from(regular));
        self.bytes.extend_from_slice(&first.to_bits().to_le_bytes());
        if regular {
            self.bytes.extend_from_slice(&step.to_bits().to_le_bytes());
        } else {
            // Distances must give back the very times: they do unless times are odd fractions.
            self.offsets.clear();
            self.offsets.extend(ts.iter().map(|t| t - first));
            let exact = self.offsets.iter().zip(ts).all(|(o, t)| (first + o).to_bits() == t.to_bits());
            if !exact {
                self.bytes.truncate(2);
                self.bytes.extend_from_slice(&0.0_f64.to_bits().to_le_bytes());
                self.offsets.clear();
                self.offsets.extend_from_slice(ts);
            }
            self.encoder.encode(&self.offsets, 0, &mut self.bytes);
        }
        *hint = self.encoder.encode(values.get(..n).unwrap_or(values), *hint, &mut self.bytes);
        self.bytes.resize(self.bytes.len() + PAD, 0);
        Block {
            bytes: self.bytes.as_slice().into(),
            last_ts: ts.get(n.wrapping_sub(1)).copied().unwrap_or(first),
            stored_at: 0,
            copy: 0,
            n: n as u8,
        }
    }
}

/// Whether `ts[i]` is exactly `first + i * step`.
fn is_progression(ts: &[f64], first: f64, step: f64) -> bool {
    ts.iter().enumerate().all(|(i, t)| (first + i as f64 * step).to_bits() == t.to_bits())
}

impl Block {
    /// A block from the bytes of [`Block::bytes`] (a file).
    ///
    /// `None`: the bytes are not a block.
    #[must_use]
    pub fn from_bytes(bytes: &[u8], stored_at: u32) -> Option<Self> {
        let n = *bytes.first()?;
        if n == 0 || usize::from(n) > MAX_BLOCK_POINTS {
            return None;
        }
        let mut block = Self { bytes: bytes.into(), last_ts: 0.0, stored_at, copy: 0, n };
        let (mut ts, mut values) = (Vec::new(), Vec::new());
        block.open()?;
        block.read(block.len() - 1, block.len(), &mut ts, &mut values);
        block.last_ts = *ts.first()?;
        (values.len() == 1 && block.last_ts.is_finite()).then_some(block)
    }

    /// The packed form.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Number of points.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::from(self.n)
    }

    /// Never true: a block holds a point at least.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.n == 0
    }

    /// Time of the last point, seconds.
    #[must_use]
    pub const fn last_ts(&self) -> f64 {
        self.last_ts
    }

    /// Time of the first point, seconds.
    #[must_use]
    pub fn first_ts(&self) -> f64 {
        let (mut ts, mut values) = (Vec::with_capacity(1), Vec::with_capacity(1));
        self.read(0, 1, &mut ts, &mut values);
        ts.first().copied().unwrap_or(self.last_ts)
    }

    fn open(&self) -> Option<(Times<'_>, Column<'_>)> {
        let regular = *self.bytes.get(1)?;
        let first = double(&self.bytes, 2)?;
        let (times, at) = if regular == 1 {
            (Times::Step { first, step: double(&self.bytes, 10)? }, 18)
        } else {
            let (column, len) = Column::open(self.bytes.get(10..)?, self.len())?;
            (Times::Column { first, column }, 10 + len)
        };
        let (values, _) = Column::open(self.bytes.get(at..)?, self.len())?;
        Some((times, values))
    }

    /// Appends points `from..until` (cut to the block) to the two columns.
    pub fn read(&self, from: usize, until: usize, ts: &mut Vec<f64>, values: &mut Vec<f64>) {
        let until = until.min(self.len());
        if let Some((times, column)) = self.open() {
            match times {
                Times::Step { first, step } => ts.extend((from..until).map(|i| first + i as f64 * step)),
                Times::Column { first, column } => {
                    let at = ts.len();
                    column.read(from, until, ts);
                    for t in ts.iter_mut().skip(at) {
                        *t += first;
                    }
                }
            }
            column.read(from, until, values);
        }
    }
}

#[derive(Debug)]
enum Times<'a> {
    Step { first: f64, step: f64 },
    Column { first: f64, column: Column<'a> },
}

fn double(bytes: &[u8], at: usize) -> Option<f64> {
    let eight = bytes.get(at..)?.first_chunk::<8>()?;
    Some(f64::from_bits(u64::from_le_bytes(*eight)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round_trip(ts: &[f64], values: &[f64]) -> usize {
        let block = Sealer::default().seal(ts, values, &mut 0);
        let again = Block::from_bytes(block.bytes(), 7).unwrap();
        for b in [&block, &again] {
            let (mut t, mut v) = (Vec::new(), Vec::new());
            b.read(0, b.len(), &mut t, &mut v);
            assert_eq!((t.as_slice(), v.as_slice()), (ts, values));
            assert_eq!(b.last_ts(), *ts.last().unwrap());
            assert_eq!(b.first_ts(), ts[0]);
        }
        block.bytes().len()
    }

    #[test]
    fn regular_times_cost_nothing() {
        let ts: Vec<f64> = (0..120).map(|i| 1_700_000_000.0 + 60.0 * f64::from(i)).collect();
        let values: Vec<f64> = (0..120).map(|i| f64::from(i % 7)).collect();
        assert!(round_trip(&ts, &values) < 90);
    }

    #[test]
    fn odd_times_come_back() {
        round_trip(&[1.0], &[2.0]);
        round_trip(&[1.5, 2.25, 1e9], &[2.0, 3.0, 4.0]);
        round_trip(&[0.1, 0.2, 0.30000000000000004, 5e11], &[0.0; 4]);
    }

    #[test]
    fn the_largest_block_is_no_larger_than_it_may_be() {
        // Bits that share nothing, in both columns.
        let number = |i: u64| f64::from_bits(i.wrapping_mul(0x9e37_79b9_7f4a_7c15) & 0x7fdf_ffff_ffff_ffff);
        let mut ts: Vec<f64> = (1..=MAX_BLOCK_POINTS as u64).map(number).collect();
        let values: Vec<f64> = ts.iter().rev().map(|v| -v).collect();
        ts.sort_by(f64::total_cmp);
        let block = Sealer::default().seal(&ts, &values, &mut 0);
        assert!((3_800..=MAX_BLOCK_BYTES).contains(&block.bytes().len()), "{}", block.bytes().len());
    }

    proptest! {
        #[test]
        fn blocks_round_trip(mut ts in prop::collection::vec((0_u32..2_000_000_000).prop_map(|t| f64::from(t) / 2.0), 1..240)) {
            ts.sort_by(f64::total_cmp);
            ts.dedup();
            let values: Vec<f64> = ts.iter().map(|t| (t * 1.7) % 13.0).collect();
            round_trip(&ts, &values);
        }

        #[test]
        fn damaged_blocks_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Some(block) = Block::from_bytes(&bytes, 0) {
                let (mut t, mut v) = (Vec::new(), Vec::new());
                block.read(0, 255, &mut t, &mut v);
                prop_assert!(t.len() <= 255);
            }
        }
    }
}
