//! Fields of a protobuf message: a number, a wire type, a value. Facts: protobuf.dev, "Encoding".

/// Groups within one another at most, as in Google's own parsers. Nobody sends groups; they are passed
/// over, not refused.
const MAX_GROUPS: usize = 100;

/// Bytes of a varint at most.
const MAX_VARINT: usize = 10;

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// Wire type 0.
    Varint(u64),
    /// Wire type 1.
    Fixed64(u64),
    /// Wire type 2: a text, bytes or a message.
    Bytes(&'a [u8]),
    /// Four bytes or a group: nothing that carbon's messages have.
    Other,
}

/// Reads a message's fields one after the other, up to its end or to the first that is malformed.
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    rest: &'a [u8],
    is_broken: bool,
}

impl<'a> Fields<'a> {
    /// The fields of `message`.
    #[must_use]
    pub const fn of(message: &'a [u8]) -> Self {
        Self { rest: message, is_broken: false }
    }

    /// Whether every field could be read, once there are no more.
    #[must_use]
    pub const fn are_whole(&self) -> bool {
        !self.is_broken && self.rest.is_empty()
    }

    /// A field; `None`: it is malformed.
    #[inline]
    fn field(&mut self) -> Option<(u32, Value<'a>)> {
        let (number, wire) = self.tag()?;
        if wire == 3 {
            self.group(number)?;
            return Some((number, Value::Other));
        }
        Some((number, self.value(wire)?))
    }

    #[inline]
    fn tag(&mut self) -> Option<(u32, u32)> {
        let tag = u32::try_from(self.varint()?).ok()?;
        let number = tag >> 3;
        (number != 0).then_some((number, tag & 7))
    }

    #[inline]
    fn value(&mut self, wire: u32) -> Option<Value<'a>> {
        Some(match wire {
            0 => Value::Varint(self.varint()?),
            1 => {
                let (bytes, rest) = self.rest.split_first_chunk::<8>()?;
                self.rest = rest;
                Value::Fixed64(u64::from_le_bytes(*bytes))
            }
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                let (bytes, rest) = self.rest.split_at_checked(length)?;
                self.rest = rest;
                Value::Bytes(bytes)
            }
            5 => {
                self.rest = self.rest.get(4..)?;
                Value::Other
            }
            _ => return None,
        })
    }

    #[inline]
    fn varint(&mut self) -> Option<u64> {
        if let [byte @ 0..0x80, rest @ ..] = self.rest {
            self.rest = rest;
            return Some(u64::from(*byte));
        }
        self.long_varint()
    }

    fn long_varint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for (i, byte) in self.rest.iter().take(MAX_VARINT).enumerate() {
            // Of the tenth byte only the lowest bit fits; the others are cut, as everywhere.
            value |= u64::from(byte & 0x7f) << (7 * i);
            if *byte < 0x80 {
                self.rest = self.rest.get(i + 1..)?;
                return Some(value);
            }
        }
        None
    }

    /// Passes over a group up to the end that belongs to its beginning.
    #[cold]
    fn group(&mut self, number: u32) -> Option<()> {
        let mut open = [0_u32; MAX_GROUPS];
        let mut depth = 0_usize;
        *open.get_mut(depth)? = number;
        loop {
            let (number, wire) = self.tag()?;
            match wire {
                3 => {
                    depth += 1;
                    *open.get_mut(depth)? = number;
                }
                4 => {
                    if *open.get(depth)? != number {
                        return None;
                    }
                    match depth.checked_sub(1) {
                        Some(outer) => depth = outer,
                        None => return Some(()),
                    }
                }
                _ => {
                    self.value(wire)?;
                }
            }
        }
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (u32, Value<'a>);

    #[inline]
    fn next(&mut self) -> Option<(u32, Value<'a>)> {
        if self.rest.is_empty() || self.is_broken {
            return None;
        }
        let field = self.field();
        self.is_broken = field.is_none();
        field
    }
}

/// Appends a varint.
pub fn write_varint(mut n: u64, out: &mut Vec<u8>) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(message: &[u8], want: &[(u32, Value<'_>)], whole: bool) {
        let mut fields = Fields::of(message);
        let got: Vec<_> = fields.by_ref().collect();
        assert_eq!((&got[..], fields.are_whole()), (want, whole), "{}", message.escape_ascii());
    }

    #[test]
    fn fields_of_a_message() {
        use Value::{Bytes, Fixed64, Other, Varint};
        check(b"", &[], true);
        check(b"\x08\x05\x12\x02ab", &[(1, Varint(5)), (2, Bytes(b"ab"))], true);
        check(b"\x11\x01\0\0\0\0\0\0\0\x5dabcd", &[(2, Fixed64(1)), (11, Other)], true);
        check(b"\x08\xac\x02", &[(1, Varint(300))], true);
        check(b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", &[(1, Varint(u64::MAX))], true);
        check(b"\x08\x85\x80\x80\x80\x80\x80\x80\x80\x80\0", &[(1, Varint(5))], true);
        // Groups, one within the other, are passed over.
        check(b"\x1b\x23\x08\x01\x24\x12\x01x\x1c\x08\x01", &[(3, Other), (1, Varint(1))], true);
        for bad in [
            &b"\x08"[..],
            b"\x08\xff",
            b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            b"\0\x01",
            b"\x12\x03ab",
            b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01ab",
            b"\x11\0\0\0",
            b"\x15\0\0",
            b"\x0c",
            b"\x0e",
            b"\x0f",
            b"\x1b\x08\x01",
            b"\x1b\x24",
            b"\x88\x80\x80\x80\x80\x01\x05",
        ] {
            check(bad, &[], false);
        }
        check(&b"\x1b".repeat(1_000), &[], false);
    }

    #[test]
    fn varints_read_back() {
        for n in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
            let mut message = vec![0x08];
            write_varint(n, &mut message);
            check(&message, &[(1, Value::Varint(n))], true);
        }
    }
}
