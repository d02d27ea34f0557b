//! carbon-c-relay's `jump_fnv1a_ch`: the jump hash of Lamping and Veach (arXiv:1406.2294) over sorted servers.

use super::Node;
use super::hash::{Bytes, fnv1a_64};
use std::cmp::Ordering;

/// The nodes in the order in which buckets are numbered.
pub(super) fn order(nodes: &[Node]) -> Vec<u32> {
    let mut order: Vec<(&Node, u32)> = nodes.iter().zip(0..).collect();
    sort(&mut order);
    order.into_iter().map(|(_, index)| index).collect()
}

/// Sorts by halves. The order of a mixture of numbers and texts runs in circles (`2` < `10` < `1a` < `2`); what
/// comes out then depends on the method, and the library's may panic.
fn sort(nodes: &mut [(&Node, u32)]) {
    if nodes.len() < 2 {
        return;
    }
    let (left, right) = nodes.split_at_mut(nodes.len() / 2);
    sort(left);
    sort(right);
    let (mut left, mut right) = (left.iter().peekable(), right.iter().peekable());
    let mut merged = Vec::with_capacity(left.len() + right.len());
    while let (Some(l), Some(r)) = (left.peek(), right.peek()) {
        let next = if by_instance(l.0, r.0) == Ordering::Greater { right.next() } else { left.next() };
        merged.extend(next);
    }
    merged.extend(left);
    merged.extend(right);
    nodes.copy_from_slice(&merged);
}

/// By instance: as numbers if both are, else as text; one before none; without them the order stays.
fn by_instance(a: &Node, b: &Node) -> Ordering {
    match (&a.instance, &b.instance) {
        (Some(a), Some(b)) => match (number(a), number(b)) {
            (Some(a), Some(b)) => a.cmp(&b),
            _ => a.cmp(b),
        },
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => Ordering::Equal,
    }
}

/// The number that an instance is; beyond 64 bits the largest.
fn number(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let beyond = if text.starts_with('-') { i64::MIN } else { i64::MAX };
    Some(text.parse().unwrap_or(beyond))
}

/// The hash of a name.
pub(super) fn hash(name: &[u8]) -> u64 {
    fnv1a_64(name, Bytes::Signed)
}

/// The bucket of `key` among `buckets`, of which there is at least one.
pub(super) fn bucket(mut key: u64, buckets: usize) -> usize {
    let (mut chosen, mut next) = (0, 0.0_f64);
    while next < buckets as f64 {
        chosen = next as usize;
        key = key.wrapping_mul(2_862_933_555_777_941_757).wrapping_add(1);
        next = (chosen as f64 + 1.0) * ((1_u64 << 31) as f64 / ((key >> 33) + 1) as f64);
        next = next.floor();
    }
    chosen
}

/// Chooses `count` of the sorted servers for a name.
pub(super) fn choose(order: &[u32], name: &[u8], count: usize) -> Vec<usize> {
    // One list for all: those left are in front, those chosen behind them, the first of all last.
    let mut list: Vec<usize> = order.iter().map(|index| *index as usize).collect();
    let mut left = list.len();
    let mut key = hash(name);
    for _ in 0..count.min(list.len()) {
        let chosen = bucket(key, left);
        left -= 1;
        list.swap(chosen, left);
        key ^= key >> 12;
        key ^= key << 25;
        key ^= key >> 27;
        key = key.wrapping_mul(2_685_821_657_736_338_717);
    }
    list.reverse();
    list.truncate(count);
    list
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn buckets() {
        // Values of the paper's function.
        let check = |key, buckets, expected| assert_eq!(bucket(key, buckets), expected, "{key} {buckets}");
        check(0, 1, 0);
        check(256, 1024, 520);
        check(0xdead_10cc, 666, 361);
        check(u64::MAX, 1, 0);
    }

    #[test]
    fn the_order_of_servers() {
        let check = |instances: &[&str], expected: &[u32]| {
            let node = |text: &&str| Node {
                host: "h".to_owned(),
                port: 1,
                instance: (!text.is_empty()).then(|| (*text).to_owned()),
            };
            assert_eq!(order(&instances.iter().map(node).collect::<Vec<_>>()), expected, "{instances:?}");
        };
        check(&["10", "9", "-1", "+8"], &[2, 3, 1, 0]);
        check(&["b", "10", "a"], &[1, 2, 0]);
        check(&["", "b", "", "a"], &[3, 1, 0, 2]);
        check(&["99999999999999999999", "1"], &[1, 0]);
        assert_eq!(number("-99999999999999999999"), Some(i64::MIN));
        assert_eq!((number("1a"), number("-"), number("")), (None, None, None));
        // No order at all, and no panic.
        let mixed: Vec<String> = (0..400).map(|i| format!("{}{}", i * 7 % 31, ["", "a"][i % 2])).collect();
        let nodes: Vec<Node> =
            mixed.iter().map(|i| Node { host: "h".into(), port: 1, instance: Some(i.clone()) }).collect();
        let mut all = order(&nodes);
        all.sort_unstable();
        assert_eq!(all, (0..400).collect::<Vec<u32>>());
    }

    proptest! {
        /// A further bucket takes names, and none moves between the others.
        #[test]
        fn a_name_stays_or_goes_to_the_new_bucket(key: u64, buckets in 1_usize..2000) {
            let (before, after) = (bucket(key, buckets), bucket(key, buckets + 1));
            prop_assert!(before < buckets);
            prop_assert!(after == before || after == buckets);
        }
    }
}
