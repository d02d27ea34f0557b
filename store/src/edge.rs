//! A cursor into a window that moves forward one point at a time and seldom decodes.
//!
//! Accumulators must see each point again when it leaves the window (or the first hour). Decoding a
//! block for that on every datapoint would cost more than everything else, so the cursor
//! keeps the next few points decoded.

use crate::window::Window;

/// Points decoded at a time: three cache lines of values, a fifth of a block.
pub const EDGE_POINTS: usize = 24;

/// The values that a cursor has decoded. They lie apart from it: a point needs one line of them and all of
/// the cursor.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct Decoded([f64; EDGE_POINTS]);

/// Where an accumulator stands in a window. Positions count points since the window was made.
#[derive(Debug)]
pub struct Edge {
    first_ts: f64,
    step: f64,
    /// Position of the point that [`Edge::peek`] shows.
    at: u32,
    /// Its place among the decoded ones, or behind them.
    place: u8,
    /// Number of decoded ones.
    len: u8,
}

impl Edge {
    /// A cursor at the oldest point of `window`.
    #[must_use]
    pub const fn at_start(window: &Window) -> Self {
        Self::at(window.start())
    }

    /// A cursor at a position.
    #[must_use]
    pub const fn at(at: u32) -> Self {
        Self { first_ts: 0.0, step: 0.0, at, place: 0, len: 0 }
    }

    /// Its position.
    #[must_use]
    pub const fn position(&self) -> u32 {
        self.at
    }

    /// Where it will decode from when it is moved, if the point after the one it stands at is not decoded yet.
    #[must_use]
    #[inline]
    pub fn decodes_next(&self) -> Option<u32> {
        match self.len.saturating_sub(self.place) {
            0 => Some(self.at),
            1 => Some(self.at.wrapping_add(1)),
            _ => None,
        }
    }

    /// Of its `decoded` values those from the one it stands at on, for prefetching.
    #[must_use]
    #[inline]
    pub fn ahead<'d>(&self, decoded: &'d Decoded) -> &'d [f64] {
        decoded.0.get(usize::from(self.place)..).unwrap_or_default()
    }

    /// The point it stands at, as (time in seconds, value); `None` behind the newest. `decoded`: always the same
    /// for a cursor.
    #[inline]
    pub fn peek(&mut self, decoded: &mut Decoded, window: &Window) -> Option<(f64, f64)> {
        if self.place >= self.len {
            self.fill(decoded, window)?;
        }
        let value = *decoded.0.get(usize::from(self.place))?;
        Some((f64::from(self.place).mul_add_exact(self.step, self.first_ts), value))
    }

    /// Moves to the next point.
    pub const fn advance(&mut self) {
        self.at = self.at.wrapping_add(1);
        self.place = self.place.saturating_add(1);
    }

    fn fill(&mut self, decoded: &mut Decoded, window: &Window) -> Option<()> {
        let mut ts = [0.0; EDGE_POINTS];
        // Up to a multiple of the chunk: positions start anywhere (see [`Window::stagger`]), so that the
        // cursors of many metrics do not all decode in the same minute.
        let room = EDGE_POINTS - self.at as usize % EDGE_POINTS;
        let n = match (ts.get_mut(..room), decoded.0.get_mut(..room)) {
            (Some(ts), Some(values)) => window.copy_at(self.at, ts, values),
            _ => 0,
        };
        let first = ts.first().copied().filter(|_| n > 0)?;
        let step = if n > 1 { ts.get(1).copied()? - first } else { 0.0 };
        // Times are kept as a step; a chunk ends where they do not follow it exactly.
        let regular = ts
            .iter()
            .take(n)
            .enumerate()
            .take_while(|(i, t)| (*i as f64).mul_add_exact(step, first).to_bits() == t.to_bits())
            .count();
        self.place = 0;
        self.first_ts = first;
        self.step = step;
        self.len = regular.max(1) as u8;
        Some(())
    }
}

/// `self * step + first` in two roundings, the same here and in the check above. (A fused
/// multiply-add would be a library call on processors without it.)
trait MulAddExact {
    fn mul_add_exact(self, step: f64, first: f64) -> f64;
}

impl MulAddExact for f64 {
    #[inline]
    fn mul_add_exact(self, step: f64, first: f64) -> f64 {
        self * step + first
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::{Block, Sealer};

    #[test]
    fn an_edge_sees_every_point_once() {
        for odd in [0.0, 0.5, 7.0] {
            let (mut window, mut sealer) = (Window::default(), Sealer::default());
            let mut expected = Vec::new();
            for i in 0..700 {
                let ts = f64::from(i) * 60.0 + if i % 13 == 0 { odd } else { 0.0 };
                window.push(ts, f64::from(i % 31), &mut sealer);
                expected.push((ts, f64::from(i % 31)));
            }
            let (mut edge, mut decoded) = (Edge::at_start(&window), Decoded::default());
            let mut seen = Vec::new();
            let mut told = edge.decodes_next();
            while let Some(point) = edge.peek(&mut decoded, &window) {
                if edge.place == 0 {
                    assert_eq!(told, Some(edge.at), "what it decodes next was told before");
                    let block = window.early_block(edge.at);
                    let has_it = |block: &Block| block.first_ts() <= point.0 && point.0 <= block.last_ts();
                    assert!(seen.len() >= 240 || block.is_some_and(has_it), "{}", seen.len());
                }
                told = edge.decodes_next();
                seen.push(point);
                edge.advance();
                if seen.len() % 3 == 0 && edge.position() > 40 && window.start() + 40 < edge.position() {
                    window.pop_front();
                }
            }
            assert_eq!(seen, expected);
        }
    }
}
