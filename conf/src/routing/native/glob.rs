//! Globs of metrics, as expressions.

/// Writes a glob of a whole name as a regular expression in Go's syntax. `*` is any text without a dot, `**` any text,
/// `?` a character but a dot, `[a-c]` and `[!a-c]` one of some or of all others, `{a,b}` one of some texts, in which
/// `*`, `**` and `?` stand for what they are outside. Each of these is a group.
///
/// # Errors
/// What is wrong, in a few words.
pub fn expression(glob: &str) -> Result<String, &'static str> {
    if glob.starts_with('^') || glob.ends_with('$') || glob.contains(['\\', '|', '(', ')']) {
        return Err(
            "this is a glob and looks like an expression: write { regex = '...' }, or { exact = '...' }",
        );
    }
    if glob.ends_with('.') {
        return Err("no name ends with a dot: write { prefix = '...' }, or add `**`");
    }
    let mut out = String::from("^");
    let mut chars = glob.chars().peekable();
    let mut is_within = false;
    while let Some(c) = chars.next() {
        let (open, close) = if is_within { ("", "") } else { ("(", ")") };
        match c {
            '*' if chars.next_if_eq(&'*').is_some() => out.push_str(&format!("{open}.*{close}")),
            '*' => out.push_str(&format!("{open}[^.]*{close}")),
            '?' => out.push_str(&format!("{open}[^.]{close}")),
            '[' => {
                let not = if chars.next_if(|c| matches!(c, '!' | '^')).is_some() { "^" } else { "" };
                let mut class = String::new();
                loop {
                    match chars.next().ok_or("`[` without `]`")? {
                        ']' if !class.is_empty() => break,
                        c @ ('[' | ']' | '\\' | '^' | '&' | '~') => class.extend(['\\', c]),
                        // Two in a row would take characters out.
                        '-' if class.ends_with('-') => class.push_str(r"\-"),
                        c => class.push(c),
                    }
                }
                out.push_str(&format!("{open}[{not}{class}]{close}"));
            }
            '{' if is_within => return Err("a `{` within another is not known"),
            '{' => {
                is_within = true;
                out.push('(');
            }
            ',' if is_within => out.push('|'),
            '}' if is_within => {
                is_within = false;
                out.push(')');
            }
            ']' => return Err("`]` without `[`"),
            '}' => return Err("`}` without `{`"),
            c => out.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
        }
    }
    if is_within {
        return Err("`{` without `}`");
    }
    out.push('$');
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::pattern::{Dialect, Pattern};

    #[test]
    fn globs() {
        let check = |glob: &str, name: &str, expected: Option<&[&str]>| {
            let pattern = Pattern::new(&expression(glob).unwrap(), Dialect::Go).unwrap();
            let found = pattern.find(name, 0);
            let groups = found.map(|found| {
                (1..=pattern.groups()).map(|i| found.group(i).unwrap_or("-")).collect::<Vec<_>>()
            });
            assert_eq!(groups.as_deref(), expected, "{glob} {name}");
        };
        check("a.b", "a.b", Some(&[]));
        check("a.b", "axb", None);
        check("a.*.c", "a.b.c", Some(&["b"]));
        check("a.*.c", "a.b.b.c", None);
        check("a.**", "a.b.c", Some(&["b.c"]));
        check("**.cpu?", "x.y.cpu1", Some(&["x.y", "1"]));
        check("{web,db*}[0-9].x", "db-a7.x", Some(&["db-a", "7"]));
        check("{a.**,b}.x", "a.b.c.x", Some(&["a.b.c"]));
        check("{a.*,b}.x", "a.b.c.x", None);
        check("a[+--]c", "a,c", Some(&[","]));
        check("a[+--]c", "a+c", Some(&["+"]));
        check("a[!b-]c", "axc", Some(&["x"]));
        check("a[!b-]c", "a-c", None);
        check("a[]x]c", "a]c", Some(&["]"]));
        check("a+b;t=1", "a+b;t=1", Some(&[]));
    }

    #[test]
    fn globs_that_are_refused() {
        let check = |glob: &str, expected: &str| {
            let why = expression(glob).unwrap_err();
            assert!(why.contains(expected), "{glob}: {why}");
        };
        check("^a", "regex");
        check("a\\.b", "regex");
        check("servers.", "prefix");
        check("a[b", "`[` without");
        check("a]", "`]` without");
        check("{a", "`{` without");
        check("a}", "`}` without");
        check("{a,{b}}", "within another");
    }
}
