//! Strings of protocol 0: Python's quoted form and its raw-unicode-escape form.

/// What a line of opcode `V` holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unescaped {
    /// It stands for itself.
    AsIs,
    /// Its UTF-8 text was appended to the buffer.
    Written,
    /// It has a lone surrogate, which UTF-8 cannot hold.
    Surrogate,
}

/// What is between the quotes of a line of opcode `S`; `None` if they are missing.
pub(super) fn unquoted(line: &[u8]) -> Option<&[u8]> {
    let end = line.iter().rposition(|b| *b > b' ')?;
    match line.get(..=end)? {
        [open @ (b'\'' | b'"'), inner @ .., close] if open == close => Some(inner),
        _ => None,
    }
}

/// Resolves Python's string escapes and appends the bytes; `None` if one is cut. Unknown escapes
/// stand for themselves, as in Python.
pub(super) fn unescape(quoted: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let mut rest = quoted;
    while let [b, tail @ ..] = rest {
        rest = tail;
        if *b != b'\\' {
            out.push(*b);
            continue;
        }
        let (escape, tail) = rest.split_first()?;
        rest = tail;
        match escape {
            b'\n' => {}
            b'\\' | b'\'' | b'"' => out.push(*escape),
            b'a' => out.push(0x07),
            b'b' => out.push(0x08),
            b't' => out.push(b'\t'),
            b'n' => out.push(b'\n'),
            b'v' => out.push(0x0b),
            b'f' => out.push(0x0c),
            b'r' => out.push(b'\r'),
            b'x' => {
                let (digits, tail) = rest.split_at_checked(2)?;
                out.push(hex(digits)? as u8);
                rest = tail;
            }
            b'0'..=b'7' => {
                let mut byte = u32::from(escape - b'0');
                for _ in 0..2 {
                    let [digit @ b'0'..=b'7', tail @ ..] = rest else { break };
                    byte = byte * 8 + u32::from(digit - b'0');
                    rest = tail;
                }
                out.push(byte as u8);
            }
            other => out.extend_from_slice(&[b'\\', *other]),
        }
    }
    Some(())
}

/// Reads a line of opcode `V`: Latin-1 with `\uXXXX` and `\UXXXXXXXX`. `None` if it is malformed.
pub(super) fn raw_unicode(line: &[u8], out: &mut Vec<u8>) -> Option<Unescaped> {
    if line.is_ascii() && memchr::memchr(b'\\', line).is_none() {
        return Some(Unescaped::AsIs);
    }
    let mut buffer = [0; 4];
    let mut put = |c: char, out: &mut Vec<u8>| out.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes());
    let start = out.len();
    let mut rest = line;
    // The first half of a surrogate pair (Python 2 on some systems writes pairs).
    let mut high: Option<u32> = None;
    while let [b, tail @ ..] = rest {
        rest = tail;
        let code = match (*b, rest) {
            (b'\\', [kind @ (b'u' | b'U'), tail @ ..]) => {
                let (digits, tail) = tail.split_at_checked(if *kind == b'u' { 4 } else { 8 })?;
                rest = tail;
                hex(digits)?
            }
            (b'\\', [other, tail @ ..]) if high.is_none() => {
                rest = tail;
                put('\\', out);
                u32::from(*other)
            }
            (b, _) => u32::from(b),
        };
        let code = match (high.take(), code) {
            (Some(first), 0xdc00..=0xdfff) => 0x1_0000 + ((first - 0xd800) << 10) + (code - 0xdc00),
            (None, 0xd800..=0xdbff) => {
                high = Some(code);
                continue;
            }
            (None, 0x11_0000..) => return None,
            (None, code) => code,
            (Some(_), _) => 0xd800,
        };
        let Some(c) = char::from_u32(code) else {
            out.truncate(start);
            return Some(Unescaped::Surrogate);
        };
        put(c, out);
    }
    if high.is_some() {
        out.truncate(start);
        return Some(Unescaped::Surrogate);
    }
    Some(Unescaped::Written)
}

/// Whether `bytes` are UTF-8 but for surrogates written as three bytes (Python passes these).
pub(super) fn is_utf8_with_surrogates(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    loop {
        let Err(error) = std::str::from_utf8(rest) else { return true };
        match rest.get(error.valid_up_to()..) {
            Some([0xed, 0xa0..=0xbf, 0x80..=0xbf, tail @ ..]) => rest = tail,
            _ => return false,
        }
    }
}

fn hex(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |code: u32, b| Some((code << 4) | (*b as char).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_strings() {
        let check = |line: &[u8], want: Option<&[u8]>| {
            let mut out = Vec::new();
            let got = unquoted(line).and_then(|inner| unescape(inner, &mut out));
            assert_eq!(got.map(|()| &out[..]), want, "{}", String::from_utf8_lossy(line));
        };
        check(b"'a.b'", Some(b"a.b"));
        check(b"\"it's\"", Some(b"it's"));
        check(b"'a.b' \r", Some(b"a.b"));
        check(br"'a\x2eb\x5fc'", Some(b"a.b_c"));
        check(br"'\\\'\n\t\101\7z\q'", Some(b"\\'\n\tA\x07z\\q"));
        check(b"''", Some(b""));
        for bad in [&b""[..], b"'", b"abc", b"'abc", b"'abc\"", br"'a\x2'", br"'a\xg0'", b"'a\\'"] {
            check(bad, None);
        }
    }

    #[test]
    fn unicode_lines() {
        let check = |line: &[u8], want: Option<Unescaped>, text: &str| {
            let mut out = Vec::new();
            assert_eq!(raw_unicode(line, &mut out), want, "{}", String::from_utf8_lossy(line));
            assert_eq!(String::from_utf8(out).unwrap(), text);
        };
        check(b"a.b", Some(Unescaped::AsIs), "");
        check(b"caf\xe9", Some(Unescaped::Written), "café");
        check(br"caf\u00e9.\u65e5", Some(Unescaped::Written), "café.日");
        check(br"\U0001f600.x", Some(Unescaped::Written), "😀.x");
        check(br"\ud83d\ude00.x", Some(Unescaped::Written), "😀.x");
        check(br"a\u005cb", Some(Unescaped::Written), "a\\b");
        check(br"a\b\\u00e9", Some(Unescaped::Written), "a\\b\\\\u00e9");
        check(br"\ud800", Some(Unescaped::Surrogate), "");
        check(br"x\udc00x", Some(Unescaped::Surrogate), "");
        check(br"\ud800x", Some(Unescaped::Surrogate), "");
        for bad in [&br"\u12"[..], br"\u12g4", br"\U00110000", br"x\U0001"] {
            let mut out = Vec::new();
            assert_eq!(raw_unicode(bad, &mut out), None);
        }
    }

    #[test]
    fn surrogates_in_utf8() {
        assert!(is_utf8_with_surrogates("größe".as_bytes()));
        assert!(is_utf8_with_surrogates(b"a\xed\xa0\x80b"));
        assert!(!is_utf8_with_surrogates(b"a\xff\xed\xa0\x80"));
        assert!(!is_utf8_with_surrogates(b"\xed\xa0"));
    }
}
