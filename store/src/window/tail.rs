//! The open end of a window: values as they are, times spelled out only where they must be.

use crate::block::BLOCK_POINTS;

/// Newest points of a tail that lie in the window itself, a cache line of them.
const NEWEST: usize = 8;

/// The open end of a series. Times are a progression until one is not.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tail {
    /// All values but those of the newest points, see [`Tail::gather`].
    pub(super) values: Vec<f64>,
    /// Empty while the times are `first + i * step`.
    pub(super) times: Vec<f64>,
    first: f64,
    step: f64,
    /// Values of the newest points: so that most points touch no memory outside of this struct.
    newest: [f64; NEWEST],
    staged: u8,
}

impl Tail {
    /// A tail of a snapshot, with room for `points`. `times`: empty, or as many as `values`.
    pub(crate) fn from_parts(
        values: impl Iterator<Item = f64>,
        times: impl Iterator<Item = f64>,
        points: usize,
        first: f64,
        step: f64,
    ) -> Self {
        let mut roomy = Vec::with_capacity(points);
        roomy.extend(values);
        Self { values: roomy, times: times.collect(), first, step, newest: [0.0; NEWEST], staged: 0 }
    }

    /// Values, times (empty while they are a progression), first time and step.
    pub(crate) fn parts(&mut self) -> (&[f64], &[f64], f64, f64) {
        self.gather();
        (&self.values, &self.times, self.first, self.step)
    }

    /// Whether its times are finite, ascend, and begin behind `end`; and whether no value is NaN.
    pub(crate) fn is_ascending_from(&mut self, mut end: f64) -> bool {
        self.gather();
        (0..self.len()).all(|i| {
            let before = std::mem::replace(&mut end, self.ts(i));
            end > before && end.is_finite()
        }) && self.values.iter().all(|value| !value.is_nan())
    }

    /// Appends all its points to the two columns.
    pub(crate) fn read_all(&mut self, ts: &mut Vec<f64>, values: &mut Vec<f64>) {
        self.read(0, self.len(), ts, values);
    }

    /// Whether the next push puts points to the others.
    #[inline]
    pub(super) const fn gathers_next(&self) -> bool {
        self.staged as usize == NEWEST
    }

    /// Heap bytes that it holds.
    pub(super) const fn heap_bytes(&self) -> usize {
        (self.values.capacity() + self.times.capacity()) * size_of::<f64>()
    }

    pub(super) fn len(&self) -> usize {
        self.values.len() + usize::from(self.staged)
    }

    pub(super) fn ts(&self, i: usize) -> f64 {
        self.times.get(i).copied().unwrap_or(self.first + i as f64 * self.step)
    }

    fn staged(&self) -> &[f64] {
        self.newest.get(..usize::from(self.staged)).unwrap_or(&self.newest)
    }

    /// Puts the newest values to the others.
    pub(super) fn gather(&mut self) {
        if self.staged > 0 {
            let n = self.len();
            if n > self.values.capacity() {
                self.make_room(2 * n);
            }
            let (newest, staged) = (self.newest, usize::from(std::mem::take(&mut self.staged)));
            self.values.extend_from_slice(newest.get(..staged).unwrap_or(&newest));
        }
    }

    pub(super) fn clear(&mut self) {
        self.values.clear();
        self.times.clear();
        self.staged = 0;
    }

    #[inline]
    pub(super) fn push(&mut self, ts: f64, value: f64) {
        let n = self.len();
        if n == 0 {
            self.first = ts;
            self.step = 0.0;
            self.times.clear();
        } else if n == 1 && self.times.is_empty() {
            self.step = ts - self.first;
        }
        if self.times.is_empty() && (self.first + n as f64 * self.step).to_bits() != ts.to_bits() {
            self.spell_out();
        }
        if !self.times.is_empty() {
            self.times.push(ts);
        }
        if usize::from(self.staged) == NEWEST {
            self.gather();
        }
        if let Some(place) = self.newest.get_mut(usize::from(self.staged)) {
            *place = value;
            self.staged += 1;
        }
    }

    /// Makes room for `points` in all, but no more than a block needs. A tail keeps its room when it
    /// is sealed, so that a busy window allocates nothing but its blocks.
    fn make_room(&mut self, points: usize) {
        let wanted = points.clamp(NEWEST, BLOCK_POINTS.max(self.len()));
        self.values.reserve_exact(wanted.saturating_sub(self.values.len()));
    }

    /// Gives every point a time of its own.
    pub(super) fn spell_out(&mut self) {
        if self.times.is_empty() {
            self.times = (0..self.len()).map(|i| self.first + i as f64 * self.step).collect();
        }
    }

    pub(super) fn read(&self, from: usize, until: usize, ts: &mut Vec<f64>, values: &mut Vec<f64>) {
        let until = until.min(self.len());
        ts.extend((from..until).map(|i| self.ts(i)));
        let gathered = self.values.len();
        values.extend_from_slice(self.values.get(from..until.min(gathered)).unwrap_or_default());
        let (from, until) = (from.saturating_sub(gathered), until.saturating_sub(gathered));
        values.extend_from_slice(self.staged().get(from..until).unwrap_or_default());
    }
}
