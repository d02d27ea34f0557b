//! The hashes of the rings. MD5 comes from its crate; the others are a few lines each.

use md5::{Digest, Md5};

/// The first two bytes of the MD5, big-endian: carbon's `carbon_ch`, 0 to 65535.
pub(super) fn md5_place(text: &[u8]) -> i64 {
    let digest = Md5::digest(text);
    digest.iter().take(2).fold(0, |place, byte| place << 8 | i64::from(*byte))
}

/// How bytes of 0x80 and above enter FNV-1a.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bytes {
    /// As 128 to 255: the definition.
    Unsigned,
    /// As -128 to -1: what `char` of C is on x86, and so what carbon-c-relay computes there.
    Signed,
}

/// FNV-1a with 32 bits.
pub(super) fn fnv1a_32(text: &[u8], bytes: Bytes) -> u32 {
    text.iter().fold(0x811c_9dc5, |hash: u32, byte| {
        let byte = match bytes {
            Bytes::Unsigned => u32::from(*byte),
            Bytes::Signed => i32::from(byte.cast_signed()).cast_unsigned(),
        };
        (hash ^ byte).wrapping_mul(0x0100_0193)
    })
}

/// FNV-1a with 32 bits, folded to 16: carbon's `fnv1a_ch`, 0 to 65535.
pub(super) fn fnv1a_place(text: &[u8], bytes: Bytes) -> i64 {
    let hash = fnv1a_32(text, bytes);
    i64::from(hash >> 16 ^ hash & 0xffff)
}

/// FNV-1a with 64 bits.
pub(super) fn fnv1a_64(text: &[u8], bytes: Bytes) -> u64 {
    text.iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        let byte = match bytes {
            Bytes::Unsigned => u64::from(*byte),
            Bytes::Signed => i64::from(byte.cast_signed()).cast_unsigned(),
        };
        (hash ^ byte).wrapping_mul(0x100_0000_01b3)
    })
}

/// MurmurHash3 x86 32 with seed 0, signed: carbon's `mmh3_ch`.
pub(super) fn murmur3_place(text: &[u8]) -> i64 {
    let mix = |block: u32| block.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593);
    let little_endian =
        |bytes: &[u8]| bytes.iter().rev().fold(0, |block, byte| block << 8 | u32::from(*byte));
    let blocks = text.chunks_exact(4);
    let rest = blocks.remainder();
    let mut hash = blocks.fold(0u32, |hash, block| {
        (hash ^ mix(little_endian(block))).rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64)
    });
    if !rest.is_empty() {
        hash ^= mix(little_endian(rest));
    }
    // The length counts modulo 2^32, as in the reference.
    hash ^= text.len() as u32;
    hash = (hash ^ hash >> 16).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ hash >> 13).wrapping_mul(0xc2b2_ae35);
    i64::from((hash ^ hash >> 16).cast_signed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn md5() {
        // RFC 1321: d41d8cd9…, 0cc175b9…, 90015098….
        let check = |text: &str, expected: i64| assert_eq!(md5_place(text.as_bytes()), expected, "{text}");
        check("", 0xd41d);
        check("a", 0x0cc1);
        check("abc", 0x9001);
    }

    #[test]
    fn fnv1a() {
        let check = |text: &str, short: u32, long: u64| {
            let text = text.as_bytes();
            for bytes in [Bytes::Unsigned, Bytes::Signed] {
                assert_eq!((fnv1a_32(text, bytes), fnv1a_64(text, bytes)), (short, long), "{text:?}");
            }
        };
        check("", 0x811c_9dc5, 0xcbf2_9ce4_8422_2325);
        check("a", 0xe40c_292c, 0xaf63_dc4c_8601_ec8c);
        check("foobar", 0xbf9c_f968, 0x8594_4171_f739_67e8);
        assert_eq!(fnv1a_place(b"foobar", Bytes::Unsigned), 0xbf9c ^ 0xf968);
        let (umlaut, one) = ("ä".as_bytes(), 0x811c_9dc5_u32);
        let signed =
            [0xffff_ffc3_u32, 0xffff_ffa4].iter().fold(one, |h, b| (h ^ b).wrapping_mul(0x0100_0193));
        assert_eq!(fnv1a_32(umlaut, Bytes::Signed), signed);
        assert_ne!(fnv1a_32(umlaut, Bytes::Unsigned), signed);
        assert_ne!(fnv1a_64(umlaut, Bytes::Unsigned), fnv1a_64(umlaut, Bytes::Signed));
    }

    #[test]
    fn murmur3() {
        let check = |text: &str, expected: u32| {
            let expected = i64::from(expected.cast_signed());
            assert_eq!(murmur3_place(text.as_bytes()), expected, "{text:?}");
        };
        check("", 0);
        check("a", 0x3c25_69b2);
        check("test", 0xba6b_d213);
        check("Hello, world!", 0xc036_3e43);
        check("The quick brown fox jumps over the lazy dog", 0x2e4f_f723);
    }
}
