//! Entry points for fuzzers: any bytes, no panic.

use crate::compat::pair::{self, Pairs};

/// The bytes as a window of the reference.
pub fn pairs(bytes: &[u8]) {
    let mut pairs = Pairs::new(bytes);
    let taken: usize = pairs.by_ref().map(|pair| pair.bytes.len()).sum();
    assert!(taken + pairs.damaged() == bytes.len(), "bytes are missing in the account");
    let window = pair::decode(bytes);
    let sorted = window.points.windows(2).all(|two| matches!(two, [a, b] if a.ts < b.ts));
    assert!(sorted, "a window is not sorted");
    let mut again = Vec::new();
    window.points.iter().for_each(|point| pair::encode(*point, &mut again));
    assert!(pair::decode(&again).points == window.points, "a window does not read back");
}
