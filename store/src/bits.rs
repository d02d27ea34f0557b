//! Fixed-width bit packing: `n` unsigned integers of `width` bits, least significant bit first.

/// Bytes behind the packed bits that a reader may touch; the writer appends them as zeros.
pub const PAD: usize = 8;

/// Bits needed for `max`.
#[must_use]
pub const fn width_of(max: u64) -> u32 {
    64 - max.leading_zeros()
}

/// Bytes that `n` integers of `width` bits take, without [`PAD`].
#[must_use]
pub const fn packed_len(n: usize, width: u32) -> usize {
    (n * width as usize).div_ceil(8)
}

/// Appends `values`, each in `width` bits (0 to 64). The caller pads the whole buffer.
pub fn pack(values: impl Iterator<Item = u64>, width: u32, out: &mut Vec<u8>) {
    if width == 0 {
        return;
    }
    let (mut pending, mut filled) = (0_u128, 0_u32);
    for value in values {
        pending |= u128::from(value) << filled;
        filled += width;
        while filled >= 8 {
            out.push(pending as u8);
            pending >>= 8;
            filled -= 8;
        }
    }
    if filled > 0 {
        out.push(pending as u8);
    }
}

/// Reads integer number `index` of a packed run that starts `bytes`. Reads past the end give zeros.
#[must_use]
#[inline]
pub fn unpack(bytes: &[u8], width: u32, index: usize) -> u64 {
    if width == 0 {
        return 0;
    }
    let bit = index * width as usize;
    let (byte, shift) = (bit / 8, (bit % 8) as u32);
    let low = word(bytes, byte) >> shift;
    let mask = u64::MAX >> (64 - width);
    if width + shift <= 64 { low & mask } else { (low | (word(bytes, byte + 8) << (64 - shift))) & mask }
}

#[inline]
fn word(bytes: &[u8], at: usize) -> u64 {
    match bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        Some(eight) => u64::from_le_bytes(*eight),
        None => bytes
            .get(at..)
            .unwrap_or_default()
            .iter()
            .rev()
            .fold(0, |word, byte| word << 8 | u64::from(*byte)),
    }
}

/// Folds a signed number into an unsigned one, small magnitudes first.
#[must_use]
pub const fn zigzag(n: i64) -> u64 {
    ((n << 1) ^ (n >> 63)) as u64
}

/// The reverse of [`zigzag`].
#[must_use]
pub const fn unzigzag(n: u64) -> i64 {
    (n >> 1) as i64 ^ -((n & 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_packed_is_unpacked(width in 0_u32..=64, values in prop::collection::vec(any::<u64>(), 0..50)) {
            let mask = if width == 0 { 0 } else { u64::MAX >> (64 - width) };
            let mut bytes = Vec::new();
            pack(values.iter().map(|v| v & mask), width, &mut bytes);
            prop_assert_eq!(bytes.len(), packed_len(values.len(), width));
            for pad in [0, PAD] {
                bytes.resize(packed_len(values.len(), width) + pad, 0);
                for (i, v) in values.iter().enumerate() {
                    prop_assert_eq!(unpack(&bytes, width, i), v & mask);
                }
            }
        }

        #[test]
        fn zigzag_is_reversible(n: i64) {
            prop_assert_eq!(unzigzag(zigzag(n)), n);
        }
    }
}
