//! Places on a circle, each with its node, and the walk along them.

use std::collections::HashMap;

/// Places a node has on a circle, in all programs.
pub(super) const PLACES: u32 = 100;

/// Place and index of a node, by place.
#[derive(Debug, Clone)]
pub(super) struct Circle {
    places: Vec<(i64, u32)>,
    /// How many places a walk may look at.
    walk: usize,
}

/// Places that are given away one by one; whoever finds his own taken moves up to the next that is free.
#[derive(Debug, Default)]
pub(super) struct Stepping {
    taken: Vec<(i64, u32)>,
    /// Of a taken place, one above it that may be free. Shortened with every look, so that a run of many taken
    /// places is not walked again for each newcomer.
    above: HashMap<i64, i64>,
}

impl Stepping {
    /// Gives `node` the place, or the first free one above it.
    pub(super) fn take(&mut self, place: i64, node: u32) {
        let mut free = place;
        while let Some(above) = self.above.get(&free) {
            free = *above;
        }
        let mut passed = place;
        while let Some(above) = self.above.get_mut(&passed) {
            passed = std::mem::replace(above, free + 1);
        }
        self.above.insert(free, free + 1);
        self.taken.push((free, node));
    }

    /// The circle of the places that were taken.
    pub(super) fn circle(mut self) -> Circle {
        self.taken.sort_unstable();
        Circle::new(self.taken)
    }
}

impl Circle {
    /// A circle of places that are in order, no two alike.
    pub(super) const fn new(places: Vec<(i64, u32)>) -> Self {
        let walk = places.len();
        Self { places, walk }
    }

    /// The same with a walk that ends one place before the circle closes.
    pub(super) const fn one_short(mut self) -> Self {
        self.walk = self.walk.saturating_sub(1);
        self
    }

    /// Number of places.
    pub(super) const fn len(&self) -> usize {
        self.places.len()
    }

    /// Number of the first place at or above `place`; behind the last one the first of all.
    pub(super) fn start(&self, place: i64) -> usize {
        let at = self.places.partition_point(|(taken, _)| *taken < place);
        if at == self.places.len() { 0 } else { at }
    }

    /// The nodes met on the way from place number `start`.
    pub(super) fn nodes_from(&self, start: usize) -> impl Iterator<Item = usize> {
        self.places.iter().cycle().skip(start).take(self.walk).map(|(_, node)| *node as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_place_moves_the_next_one_up() {
        let mut stepping = Stepping::default();
        for (node, place) in [5, 5, 6, 5, 4, 9, 5].into_iter().enumerate() {
            stepping.take(place, node as u32);
        }
        let circle = stepping.circle();
        assert_eq!(circle.places, [(4, 4), (5, 0), (6, 1), (7, 2), (8, 3), (9, 5), (10, 6)]);
        assert_eq!((circle.start(0), circle.start(6), circle.start(10), circle.start(11)), (0, 2, 6, 0));
        assert_eq!(circle.nodes_from(5).take(3).collect::<Vec<_>>(), [5, 6, 4]);
        assert_eq!(circle.nodes_from(0).count(), 7);
        assert_eq!(circle.one_short().nodes_from(0).count(), 6);
    }

    #[test]
    fn many_with_one_place_are_set_down_quickly() {
        let mut stepping = Stepping::default();
        for node in 0..200_000 {
            stepping.take(7, node);
        }
        let circle = stepping.circle();
        assert_eq!(circle.places.last(), Some(&(200_006, 199_999)));
    }

    #[test]
    fn an_empty_circle() {
        let circle = Circle::new(Vec::new());
        assert_eq!((circle.len(), circle.start(3), circle.nodes_from(0).count()), (0, 0, 0));
    }
}
