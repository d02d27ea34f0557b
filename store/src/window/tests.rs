//! The window against a sorted map, and what is particular.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

#[derive(Debug, Clone)]
enum Act {
    Push(i32, i32),
    Next(i32),
    Pop,
    Evict(i32),
    Save,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    prop::collection::vec(
        prop_oneof![
            8 => (1_i32..200).prop_map(Act::Next),
            2 => (0_i32..20_000, -50_i32..50).prop_map(|(t, v)| Act::Push(t, v)),
            1 => Just(Act::Pop),
            1 => (0_i32..20_000).prop_map(Act::Evict),
            1 => Just(Act::Save),
        ],
        0..900,
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_window_is_a_sorted_map(acts in acts()) {
        let (mut window, mut sealer) = (Window::default(), Sealer::default());
        let mut model: BTreeMap<i32, f64> = BTreeMap::new();
        let mut columns = Columns::default();
        let mut limit = -1;
        for act in acts {
            match act {
                Act::Next(step) => {
                    let t = model.keys().next_back().copied().unwrap_or(limit).max(limit) + step;
                    window.push(f64::from(t), f64::from(step), &mut sealer);
                    model.insert(t, f64::from(step));
                }
                Act::Push(t, v) if t > limit => {
                    window.push(f64::from(t), f64::from(v), &mut sealer);
                    model.insert(t, f64::from(v));
                }
                Act::Push(..) => {}
                Act::Pop => {
                    if let Some((t, _)) = model.pop_first() {
                        limit = limit.max(t);
                    }
                    window.pop_front();
                }
                Act::Save => {
                    let held = window.tail.len();
                    prop_assert_eq!(window.tail.parts().0.len(), held);
                }
                Act::Evict(t) => {
                    limit = limit.max(t);
                    let before = model.len();
                    model.retain(|k, _| *k > t);
                    prop_assert_eq!(window.evict(f64::from(t)) as usize, before - model.len());
                }
            }
            prop_assert_eq!(window.len(), model.len());
            // Across the seams between blocks, tail and newest points.
            let (mut ts, mut values) = ([0.0; 5], [0.0; 5]);
            let from = model.len().saturating_sub(12);
            let n = window.copy_at(window.start().wrapping_add(from as u32), &mut ts, &mut values);
            prop_assert!(n > 0 || model.is_empty());
            for (i, (t, v)) in model.iter().skip(from).take(n).enumerate() {
                prop_assert_eq!((ts[i], values[i]), (f64::from(*t), *v));
            }
        }
        let view = window.view(&mut columns);
        prop_assert_eq!(view.ts.to_vec(), model.keys().map(|t| f64::from(*t)).collect::<Vec<_>>());
        prop_assert_eq!(view.values.to_vec(), model.values().copied().collect::<Vec<_>>());
    }
}

#[test]
fn metrics_that_begin_together_seal_apart() {
    let mut sealer = Sealer::default();
    let mut windows = vec![Window::default(); 1200];
    for (seed, window) in (0_u32..).zip(&mut windows) {
        window.stagger(seed.wrapping_mul(0x9e37_79b9));
    }
    for minute in 0..400 {
        let mut sealed = 0;
        for window in &mut windows {
            let before = window.sealed.len();
            window.push(f64::from(minute), 1.0, &mut sealer);
            sealed += window.sealed.len() - before;
            if minute == 250 {
                // Restored windows go on where their blocks would have ended.
                let old = std::mem::take(window);
                *window = Window::from_parts(old.tail, old.sealed, old.skip, old.hint);
                window.stagger(7);
            }
        }
        assert!(sealed <= 30, "{sealed} of 1200 in minute {minute}");
    }
    for window in &windows {
        let (first, rest) = (window.sealed.front().unwrap(), window.sealed.iter().skip(1));
        assert!(first.len() <= BLOCK_POINTS && rest.clone().all(|block| block.len() == BLOCK_POINTS));
        assert!((3..=4).contains(&window.sealed.len()));
    }
}

#[test]
fn the_same_point_twice_changes_nothing() {
    let (mut window, mut sealer) = (Window::default(), Sealer::default());
    assert_eq!(window.push(60.0, 1.0, &mut sealer), Pushed::Appended);
    assert_eq!(window.push(60.0, 1.0, &mut sealer), Pushed::Same);
    assert_eq!(window.push(60.0, 2.0, &mut sealer), Pushed::ReplacedNewest);
    assert_eq!(window.push(30.0, 2.0, &mut sealer), Pushed::Inserted);
    assert_eq!(window.push(30.0, 3.0, &mut sealer), Pushed::Replaced);
    assert_eq!(window.len(), 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn what_is_filled_in_never_replaces(
        live in prop::collection::btree_map(0_i32..900, -50_i32..50, 0..500),
        rounds in prop::collection::vec(prop::collection::btree_map(0_i32..1_000, 100_i32..200, 0..500), 1..3),
        popped in 0_u32..200,
    ) {
        let (mut window, mut sealer, mut columns) = (Window::default(), Sealer::default(), Columns::default());
        window.stagger(37);
        let mut model: BTreeMap<i32, i32> = live;
        for (t, v) in &model {
            window.push(f64::from(*t), f64::from(*v), &mut sealer);
        }
        for _ in 0..popped {
            window.pop_front();
            model.pop_first();
        }
        for round in rounds {
            let points: Vec<_> = round.iter().map(|(t, v)| Datapoint::new(f64::from(*t), f64::from(*v))).collect();
            let absent = round.keys().filter(|t| !model.contains_key(t)).count();
            prop_assert_eq!(window.missing(&points, &mut columns).len(), absent);
            prop_assert_eq!(window.fill(&points, &mut sealer, &mut columns) as usize, absent);
            prop_assert_eq!(window.fill(&points, &mut sealer, &mut columns), 0);
            for (t, v) in round {
                model.entry(t).or_insert(v);
            }
        }
        window.push(2_000.0, 7.0, &mut sealer);
        model.insert(2_000, 7);
        let view = window.view(&mut columns);
        prop_assert_eq!(view.ts.to_vec(), model.keys().map(|t| f64::from(*t)).collect::<Vec<_>>());
        prop_assert_eq!(view.values.to_vec(), model.values().map(|v| f64::from(*v)).collect::<Vec<_>>());
        prop_assert!(window.sealed.iter().all(|block| block.len() <= BLOCK_POINTS));
    }
}
