//! What carbon-c-relay does to a line before its rules see it.
//!
//! In names runs of dots become one, dots at the beginning go, and every byte that is not allowed becomes
//! `_`. Tags, from the first `;` on, stay as they are; a name without any loses a dot at its end.

/// Characters that are allowed in names by default, besides ASCII letters, digits and dots.
pub const ALLOWED: &str = "-_:#";

/// Writes the cleaned `name` (with tags or without) to `out`. A character that is not allowed becomes one `_` for
/// each of its bytes. Nothing is left of a name of dots alone.
pub fn clean_name(name: &str, allowed: &str, out: &mut String) {
    let start = out.len();
    let (name, tags) = name.find(';').map_or((name, ""), |at| name.split_at(at));
    for c in name.chars() {
        let last = out.get(start..).and_then(|out| out.chars().next_back());
        match c {
            '.' if matches!(last, None | Some('.')) => {}
            '.' => out.push('.'),
            c if c.is_ascii_alphanumeric() || allowed.contains(c) => out.push(c),
            c => out.extend(std::iter::repeat_n('_', c.len_utf8())),
        }
    }
    if tags.is_empty() && out.get(start..).is_some_and(|out| out.ends_with('.')) {
        out.pop();
    }
    out.push_str(tags);
}

/// Writes a cleaned line with its line feed to `out`; false, and nothing written, if it is dropped for want of a
/// name or of a blank behind it. `line` ends at its first CR or LF, or where it ends. Between fields one space stays,
/// but behind tags all is kept as it is. Value and timestamp are not looked at.
#[must_use]
pub fn clean_line(line: &[u8], allowed: &str, out: &mut Vec<u8>) -> bool {
    let start = out.len();
    let mut in_name = true;
    let end = line.iter().position(|b| matches!(b, b'\r' | b'\n')).unwrap_or(line.len());
    let line = line.get(..end).unwrap_or_default();
    for (i, byte) in line.iter().enumerate() {
        let last = out.get(start..).and_then(|out| out.last()).copied();
        match (*byte, last) {
            (b' ' | b'\t', None) => {}
            (b' ' | b'\t', last) => {
                if in_name && last == Some(b'.') {
                    out.pop();
                }
                if last != Some(b' ') {
                    out.push(b' ');
                }
                in_name = false;
            }
            (byte, _) if !in_name => out.push(byte),
            (b'.', None | Some(b'.')) => {}
            (b';', _) => {
                let tags = line.get(i..).unwrap_or_default();
                out.extend_from_slice(tags);
                in_name = !tags.iter().any(|b| matches!(b, b' ' | b'\t'));
                break;
            }
            (b'.', _) => out.push(b'.'),
            (byte, _) if byte.is_ascii_alphanumeric() || allowed.as_bytes().contains(&byte) => out.push(byte),
            _ => out.push(b'_'),
        }
    }
    if in_name {
        out.truncate(start);
        return false;
    }
    out.push(b'\n');
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let check = |name: &str, expected: &str| {
            let mut out = String::from(".");
            clean_name(name, ALLOWED, &mut out);
            assert_eq!(out, format!(".{expected}"), "{name}");
        };
        check("a.B-c_d:e#f", "a.B-c_d:e#f");
        check("..a...b..", "a.b");
        check("a b/é\0", "a_b____");
        check("a..b.;t=.. é", "a.b.;t=.. é");
        check(";a=b", ";a=b");
        check("...", "");
        check("", "");
    }

    #[test]
    fn other_characters_are_allowed() {
        let mut out = String::new();
        clean_name("a/é-:", "/é", &mut out);
        assert_eq!(out, "a/é__");
    }

    #[test]
    fn lines() {
        let check = |line: &str, expected: Option<&str>| {
            let mut out = b"x\n".to_vec();
            let kept = clean_line(line.as_bytes(), ALLOWED, &mut out);
            assert_eq!(kept, expected.is_some(), "{line:?}");
            assert_eq!(String::from_utf8(out).unwrap(), format!("x\n{}", expected.unwrap_or_default()));
        };
        check(" \t.a..b$. \t 1.5..2  3 \r\n", Some("a.b_ 1.5..2 3 \n"));
        check("a.. 1 2\n", Some("a 1 2\n"));
        check("a 1", Some("a 1\n"));
        check("a", None);
        check("..\t \n", None);
        check("", None);
        check("a;b=c\n", None);
        check("a.;b=c  1\t2\n", Some("a.;b=c  1\t2\n"));
    }
}
