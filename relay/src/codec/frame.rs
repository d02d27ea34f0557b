//! Frames of a stream, pickle's and protobuf's: a length of four bytes, big-endian, then that many bytes.

/// A buffer that is larger than this is given back once its frame is done, bytes.
const KEPT_BYTES: usize = 4_096;

/// Longest text of the two numbers of a line, with blanks and LF, bytes.
pub(super) const NUMBERS: usize = 52;

/// What one frame may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest frame without its length prefix, bytes (carbon's `PICKLE_RECEIVER_MAX_LENGTH`).
    pub frame_bytes: usize,
    /// Most bytes of lines that one frame may become. A name that is sent once and belongs to
    /// many points makes these larger than the frame; what goes beyond is refused.
    pub text_bytes: usize,
}

impl Limits {
    /// The limits for frames of at most `frame_bytes`.
    #[must_use]
    pub const fn of(frame_bytes: usize) -> Self {
        Self { frame_bytes, text_bytes: frame_bytes.saturating_mul(16) }
    }
}

/// The state between two reads of a stream: what has come of a frame that is not complete.
#[derive(Debug)]
pub struct Framer {
    /// Length prefix and body as far as they have come. Grows with the bytes that arrive, never
    /// by what the prefix announces.
    held: Vec<u8>,
    max_frame_bytes: usize,
    /// What `held` holds was returned as a frame.
    done: bool,
}

/// What [`Framer::next`] found.
#[derive(Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// A complete frame, without its length prefix.
    Frame(&'a [u8]),
    /// All bytes are used up and the next frame is not complete.
    More,
    /// The announced length, in bytes, is above the limit; the stream cannot be followed further.
    TooLong(usize),
}

impl Framer {
    /// A framer at the beginning of a stream of frames of at most `max_frame_bytes`.
    #[must_use]
    pub const fn new(max_frame_bytes: usize) -> Self {
        Self { held: Vec::new(), max_frame_bytes, done: false }
    }

    /// Takes the next frame off the front of `input`.
    pub fn next<'a, 'i: 'a>(&'a mut self, input: &mut &'i [u8]) -> Step<'a> {
        if self.done {
            self.done = false;
            if self.held.capacity() > KEPT_BYTES {
                self.held = Vec::new();
            } else {
                self.held.clear();
            }
        }
        if self.held.is_empty() {
            match split(input) {
                Some((length, _)) if length > self.max_frame_bytes => return Step::TooLong(length),
                Some((length, body)) if body.len() >= length => {
                    let (frame, rest) = body.split_at(length);
                    *input = rest;
                    return Step::Frame(frame);
                }
                _ => {}
            }
        }
        self.fill(4, input);
        let length = match split(&self.held) {
            None => return Step::More,
            Some((length, _)) if length > self.max_frame_bytes => return Step::TooLong(length),
            Some((length, _)) => length,
        };
        self.fill(4 + length, input);
        if self.held.len() < 4 + length {
            return Step::More;
        }
        self.done = true;
        Step::Frame(self.held.get(4..).unwrap_or_default())
    }

    /// Bytes held back of a frame that is not complete.
    #[must_use]
    pub const fn held(&self) -> usize {
        if self.done { 0 } else { self.held.len() }
    }

    /// Moves bytes from `input` until `want` are held.
    fn fill(&mut self, want: usize, input: &mut &[u8]) {
        let missing = want.saturating_sub(self.held.len()).min(input.len());
        let (now, rest) = input.split_at(missing);
        self.held.extend_from_slice(now);
        *input = rest;
    }
}

/// The length that the first four bytes announce, and what follows them.
fn split(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (length, body) = bytes.split_first_chunk::<4>()?;
    Some((u32::from_be_bytes(*length) as usize, body))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The frames of a stream that comes in these pieces, and whether it had to be given up.
    fn frames(max: usize, pieces: &[&[u8]]) -> (Vec<Vec<u8>>, bool) {
        let mut framer = Framer::new(max);
        let mut got = Vec::new();
        for piece in pieces {
            let mut input = *piece;
            loop {
                match framer.next(&mut input) {
                    Step::Frame(frame) => got.push(frame.to_vec()),
                    Step::More => break,
                    Step::TooLong(_) => return (got, true),
                }
            }
            assert!(input.is_empty() && framer.held() < 4 + max);
        }
        (got, false)
    }

    #[track_caller]
    fn check(pieces: &[&[u8]], want: &[&[u8]], given_up: bool) {
        let (got, closed) = frames(5, pieces);
        assert_eq!((got, closed), (want.iter().map(|f| f.to_vec()).collect(), given_up));
    }

    #[test]
    fn frames_of_a_stream() {
        check(&[b"\0\0\0\x02ab\0\0\0\x01c"], &[b"ab", b"c"], false);
        check(&[b"\0", b"\0\0", b"\x02a", b"b\0\0\0\x01", b"c"], &[b"ab", b"c"], false);
        check(&[b"\0\0\0\0\0\0\0\x01x"], &[b"", b"x"], false);
        check(&[b"\0\0\0\0", b"\0\0\0\x01x"], &[b"", b"x"], false);
        check(&[b"\0\0\0\x05abcde\0\0\0\x06"], &[b"abcde"], true);
        check(&[b"\0\0\0", b"\x06abcdef"], &[], true);
        check(&[b"\xff\xff\xff\xffx"], &[], true);
        check(&[b"GET / HTTP/1.1\r\n\r\n"], &[], true);
        check(&[b"\0\0\0\x05abc"], &[], false);
    }

    #[test]
    fn an_announced_length_reserves_nothing() {
        let mut framer = Framer::new(usize::MAX);
        assert_eq!(framer.next(&mut &b"\xff\xff\xff\xffabc"[..]), Step::More);
        assert!(framer.held.capacity() < 64);
    }

    proptest! {
        #[test]
        fn cuts_change_nothing(
            bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..8), 0..6),
            cuts in prop::collection::vec(0_usize..7, 0..40),
        ) {
            let mut stream = Vec::new();
            for body in &bodies {
                stream.extend_from_slice(&(body.len() as u32).to_be_bytes());
                stream.extend_from_slice(body);
            }
            let mut pieces = Vec::new();
            let mut rest = &stream[..];
            for cut in cuts {
                let (piece, after) = rest.split_at(cut.min(rest.len()));
                pieces.push(piece);
                rest = after;
            }
            pieces.push(rest);
            prop_assert_eq!(frames(8, &pieces), (bodies, false));
        }
    }
}
