//! Carbon lines: the framing of a stream, and of one datagram. What a line says is read by
//! [`BatchBuilder::lines`], which gets whole lines, as many as there are, in one call.
#![expect(clippy::indexing_slicing, reason = "offsets are those of newlines found in the same slice")]

use memchr::{memchr, memrchr};
use skyline_core::batch::BatchBuilder;
use skyline_core::reject::Reject;

/// A cut line's buffer that is larger than this is given back once the line is complete, bytes:
/// thousands of idle connections keep next to nothing.
const KEPT_BYTES: usize = 1_024;

/// The state between two reads of a stream: the beginning of a line whose end has not come yet.
#[derive(Debug)]
pub struct Framer {
    cut: Vec<u8>,
    max_line_bytes: usize,
    /// The line at hand is too long: all up to the next LF is dropped.
    skipping: bool,
}

impl Framer {
    /// A framer at the beginning of a stream; lines have at most `max_line_bytes` without their LF.
    #[must_use]
    pub const fn new(max_line_bytes: usize) -> Self {
        Self { cut: Vec::new(), max_line_bytes, skipping: false }
    }

    /// Takes the bytes of one read. Lines that end in them go to `out`; a line that has not ended
    /// is kept for the next call, at most `max_line_bytes` of it.
    pub fn feed(&mut self, chunk: &[u8], out: &mut BatchBuilder, refused: &mut impl FnMut(&[u8], Reject)) {
        let mut chunk = chunk;
        if self.skipping || !self.cut.is_empty() {
            let Some(lf) = memchr(b'\n', chunk) else {
                self.keep(chunk, refused);
                return;
            };
            self.join(&chunk[..=lf], out, refused);
            chunk = &chunk[lf + 1..];
        }
        let whole = memrchr(b'\n', chunk).map_or(0, |lf| lf + 1);
        lines(&chunk[..whole], self.max_line_bytes, out, refused);
        self.keep(&chunk[whole..], refused);
    }

    /// The stream has ended. A last line without its LF may have been cut: it is refused.
    pub fn finish(&mut self, refused: &mut impl FnMut(&[u8], Reject)) {
        if !self.cut.is_empty() {
            refused(&self.cut, Reject::CutLine);
        }
        self.cut = Vec::new();
        self.skipping = false;
    }

    /// Bytes held back for the next call.
    #[must_use]
    pub const fn held(&self) -> usize {
        self.cut.len()
    }

    /// Ends the line at hand with `tail`, which ends with its LF.
    fn join(&mut self, tail: &[u8], out: &mut BatchBuilder, refused: &mut impl FnMut(&[u8], Reject)) {
        if self.skipping {
            self.skipping = false;
            return;
        }
        if self.cut.len() + tail.len() - 1 > self.max_line_bytes {
            refused(&self.cut, Reject::LineTooLong);
        } else {
            self.cut.extend_from_slice(tail);
            out.lines(&self.cut, &mut *refused);
        }
        self.release();
    }

    /// Keeps `piece`, which has no LF.
    fn keep(&mut self, piece: &[u8], refused: &mut impl FnMut(&[u8], Reject)) {
        if self.skipping || piece.is_empty() {
            return;
        }
        if self.cut.len() + piece.len() > self.max_line_bytes {
            refused(if self.cut.is_empty() { piece } else { &self.cut }, Reject::LineTooLong);
            self.release();
            self.skipping = true;
        } else {
            self.cut.extend_from_slice(piece);
        }
    }

    fn release(&mut self) {
        if self.cut.capacity() > KEPT_BYTES {
            self.cut = Vec::new();
        } else {
            self.cut.clear();
        }
    }
}

/// Takes the lines of one datagram: they end at LF, CR or both; the last needs none of them.
/// Each bad line costs only itself.
pub fn datagram(
    bytes: &[u8],
    max_line_bytes: usize,
    out: &mut BatchBuilder,
    refused: &mut impl FnMut(&[u8], Reject),
) {
    if memchr(b'\r', bytes).is_none() {
        let whole = memrchr(b'\n', bytes).map_or(0, |lf| lf + 1);
        lines(&bytes[..whole], max_line_bytes, out, refused);
        last(&bytes[whole..], max_line_bytes, out, refused);
        return;
    }
    for line in bytes.split(|b| matches!(b, b'\r' | b'\n')) {
        last(line, max_line_bytes, out, refused);
    }
}

/// One line of a datagram, without its end; nothing is no line.
fn last(line: &[u8], max_line_bytes: usize, out: &mut BatchBuilder, refused: &mut impl FnMut(&[u8], Reject)) {
    if line.is_empty() {
        return;
    }
    let taken = if line.len() > max_line_bytes { Err(Reject::LineTooLong) } else { out.line(line) };
    if let Err(why) = taken {
        refused(line, why);
    }
}

/// Passes whole lines on, without those that are too long. `text` ends with an LF or is empty.
///
/// To find a long line there is no need to look at the others: the last LF within the longest
/// permitted line ends a run of good ones.
fn lines(text: &[u8], max: usize, out: &mut BatchBuilder, refused: &mut impl FnMut(&[u8], Reject)) {
    let (mut good, mut at) = (0, 0);
    while text.len() - at > max + 1 {
        let window = &text[at..=at + max];
        if let Some(lf) = memrchr(b'\n', window) {
            at += lf + 1;
            continue;
        }
        if good < at {
            out.lines(&text[good..at], &mut *refused);
        }
        refused(window, Reject::LineTooLong);
        at += max + 1;
        at += memchr(b'\n', &text[at..]).map_or(text.len() - at, |lf| lf + 1);
        good = at;
    }
    if good < text.len() {
        out.lines(&text[good..], refused);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use skyline_core::batch::{Listener, Origin, Source};

    const SOURCE: Source = Source { listener: Listener::PlaintextTcp, origin: Origin::Live };
    type Refused = Vec<(Vec<u8>, Reject)>;

    fn text(builder: BatchBuilder) -> Vec<u8> {
        builder.finish().map(|batch| batch.text).unwrap_or_default()
    }

    /// What a stream that comes in these pieces and then ends gives, with lines of at most `max`.
    fn stream(max: usize, pieces: &[&[u8]]) -> (Vec<u8>, Refused) {
        let mut framer = Framer::new(max);
        let mut out = BatchBuilder::new(SOURCE, 100.0);
        let mut refused = Refused::new();
        let mut note = |bytes: &[u8], why| refused.push((bytes.to_vec(), why));
        for piece in pieces {
            framer.feed(piece, &mut out, &mut note);
            assert!(framer.held() <= max);
        }
        framer.finish(&mut note);
        (text(out), refused)
    }

    #[track_caller]
    fn check(max: usize, pieces: &[&[u8]], taken: &[u8], reasons: &[Reject]) {
        let (got, refused) = stream(max, pieces);
        assert_eq!(String::from_utf8_lossy(&got), String::from_utf8_lossy(taken));
        assert_eq!(refused.iter().map(|(_, why)| *why).collect::<Vec<_>>(), reasons);
    }

    #[test]
    fn lines_of_a_stream() {
        check(99, &[b"a 1 1\nb 2 2\n"], b"a 1 1\nb 2 2\n", &[]);
        check(99, &[b"a 1", b" 1\nb 2 2", b"\n"], b"a 1 1\nb 2 2\n", &[]);
        check(99, &[b"a", b" 1 ", b"", b"1", b"\n"], b"a 1 1\n", &[]);
        check(99, &[b"a 1 1\r\nb 2 2\r\n"], b"a 1 1\nb 2 2\n", &[]);
        check(99, &[b"a 1 1\nb 2 2"], b"a 1 1\n", &[Reject::CutLine]);
        check(99, &[b"a 1", b" 1"], b"", &[Reject::CutLine]);
        check(99, &[b"bad\na 1 1\n", b"worse", b"\nb 2 2\n"], b"a 1 1\nb 2 2\n", &[Reject::Fields; 2]);
        check(99, &[b"GET / HTTP/1.1\r\n\r\na 1 1\n"], b"a 1 1\n", &[Reject::Value, Reject::Fields]);
        check(99, &[b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc"], b"", &[Reject::CutLine]);
        check(99, &[], b"", &[]);
    }

    #[test]
    fn long_lines_of_a_stream() {
        let long = Reject::LineTooLong;
        check(5, &[b"a 1 1\n"], b"a 1 1\n", &[]);
        check(5, &[b"aa 1 1\nb 2 2\n"], b"b 2 2\n", &[long]);
        check(5, &[b"b 2 2\naa 1 1\nc 3 3\naaaaaaaaaaaaaaaaa 1 1\n"], b"b 2 2\nc 3 3\n", &[long; 2]);
        check(5, &[b"aa 1 1", b"\nb 2 2\n"], b"b 2 2\n", &[long]);
        check(5, &[b"aa 1", b" 1\nb 2 2\n"], b"b 2 2\n", &[long]);
        check(5, &[b"aa 1", b" 1", b"xxxxxxxxxxx", b"x\nb 2 2\n"], b"b 2 2\n", &[long]);
        check(5, &[b"xxxxxxxx", b"xxxxxx"], b"", &[long]);
        check(5, &[b"xxxxxxxx", b"\n", b"a 1 1\n"], b"a 1 1\n", &[long]);
        check(5, &[b"a 1 1", b"\n"], b"a 1 1\n", &[]);
    }

    #[track_caller]
    fn check_datagram(bytes: &[u8], taken: &[u8], reasons: &[Reject]) {
        let mut out = BatchBuilder::new(SOURCE, 100.75);
        let mut got = Vec::new();
        datagram(bytes, 20, &mut out, &mut |_: &[u8], why| got.push(why));
        assert_eq!(String::from_utf8_lossy(&text(out)), String::from_utf8_lossy(taken));
        assert_eq!(got, reasons);
    }

    #[test]
    fn lines_of_a_datagram() {
        check_datagram(b"a 1 1", b"a 1 1\n", &[]);
        check_datagram(b"a 1 1\nb 2 2", b"a 1 1\nb 2 2\n", &[]);
        check_datagram(b"a 1 1\r\nb 2 2\r\n", b"a 1 1\nb 2 2\n", &[]);
        check_datagram(b"a 1 1\rb 2 2", b"a 1 1\nb 2 2\n", &[]);
        check_datagram(b"a 1 -1", b"a 1 100\n", &[]);
        check_datagram(b"", b"", &[]);
        check_datagram(
            b"x\na 1 inf\n\xff 1 2\na 1 1",
            b"a 1 1\n",
            &[Reject::Fields, Reject::Time, Reject::Name],
        );
        check_datagram(b"aaaaaaaaaaaaaaaaaaaa 1 1\na 1 1", b"a 1 1\n", &[Reject::LineTooLong]);
        check_datagram(b"a 1 1\naaaaaaaaaaaaaaaaaaaa 1 1", b"a 1 1\n", &[Reject::LineTooLong]);
    }

    proptest! {
        /// However a stream is cut, the same lines are taken and the same number is refused.
        #[test]
        fn cuts_change_nothing(
            bytes in prop::collection::vec(prop_oneof![
                3 => Just(b'\n'), 4 => Just(b' '), 4 => Just(b'1'), 4 => Just(b'a'), 1 => any::<u8>()], 0..200),
            cuts in prop::collection::vec(0_usize..12, 0..60),
        ) {
            let mut pieces = Vec::new();
            let mut rest = &bytes[..];
            for cut in cuts {
                let (piece, after) = rest.split_at(cut.min(rest.len()));
                pieces.push(piece);
                rest = after;
            }
            pieces.push(rest);
            let (whole, one) = stream(9, &[&bytes]);
            let (again, many) = stream(9, &pieces);
            prop_assert_eq!(whole, again);
            let reasons = |refused: &Refused| refused.iter().map(|(_, why)| *why).collect::<Vec<_>>();
            prop_assert_eq!(reasons(&one), reasons(&many));
        }

        /// Every line is either taken or refused, once.
        #[test]
        fn every_line_has_an_account(bytes in "([ab] [0-9] [0-9]|[a-c ]{0,14}|\n){0,30}") {
            let (taken, refused) = stream(9, &[bytes.as_bytes()]);
            let lines = bytes.split('\n').count() - usize::from(bytes.is_empty() || bytes.ends_with('\n'));
            prop_assert_eq!(taken.iter().filter(|b| **b == b'\n').count() + refused.len(), lines);
        }
    }
}
