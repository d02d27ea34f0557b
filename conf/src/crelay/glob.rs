//! Globs of paths as `glob(3)` has them: `*`, `?`, `[abc]`, `[!a-z]` within one part of a path.

use std::io;
use std::path::{Component, Path, PathBuf};

/// Whether a path is a glob.
pub(super) fn is_glob(path: &str) -> bool {
    path.contains(['*', '?', '['])
}

/// Paths that exist and match, sorted; a folder that is not there has none.
///
/// # Errors
/// A folder that cannot be read, and why.
pub(super) fn find(glob: &Path) -> Result<Vec<PathBuf>, (PathBuf, io::Error)> {
    let mut found = vec![PathBuf::new()];
    for part in glob.components() {
        let Component::Normal(name) = part else {
            found.iter_mut().for_each(|path| path.push(part));
            continue;
        };
        let Some(pattern) = name.to_str().filter(|name| is_glob(name)) else {
            found.iter_mut().for_each(|path| path.push(part));
            continue;
        };
        let pattern: Vec<char> = pattern.chars().collect();
        let mut next = Vec::new();
        for folder in found {
            next.extend(
                names(&folder)?.filter(|name| is_match(&pattern, name)).map(|name| folder.join(name)),
            );
        }
        found = next;
    }
    found.retain(|path| path.exists());
    found.sort();
    Ok(found)
}

/// Names in a folder.
fn names(folder: &Path) -> Result<impl Iterator<Item = String> + use<>, (PathBuf, io::Error)> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => Some(entries),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => None,
        Err(error) => return Err((folder.to_owned(), error)),
    };
    Ok(entries.into_iter().flatten().filter_map(|entry| entry.ok()?.file_name().into_string().ok()))
}

/// Whether a name matches. Names with a dot before them match only what begins with one.
fn is_match(pattern: &[char], name: &str) -> bool {
    if name.starts_with('.') && pattern.first() != Some(&'.') {
        return false;
    }
    let name: Vec<char> = name.chars().collect();
    let (mut at, mut read) = (0, 0);
    // Where to go on if what follows the last star does not fit: the star takes one more.
    let mut star: Option<(usize, usize)> = None;
    while let Some(c) = name.get(at) {
        match one(pattern.get(read..).unwrap_or_default(), *c) {
            One::Star => {
                star = Some((read + 1, at));
                read += 1;
                continue;
            }
            One::Fits(length) => {
                read += length;
                at += 1;
                continue;
            }
            One::Differs => {}
        }
        let Some((behind, taken)) = star else { return false };
        star = Some((behind, taken + 1));
        (read, at) = (behind, taken + 1);
    }
    pattern.get(read..).unwrap_or_default().iter().all(|c| *c == '*')
}

/// What the first sign of a pattern says to a character.
enum One {
    Star,
    /// It fits, and the sign has this length.
    Fits(usize),
    Differs,
}

fn one(pattern: &[char], c: char) -> One {
    let fits = |is: bool, length| if is { One::Fits(length) } else { One::Differs };
    match pattern {
        [] => One::Differs,
        ['*', ..] => One::Star,
        ['?', ..] => One::Fits(1),
        ['[', rest @ ..] => match class(rest, c) {
            Some((is_in, length)) => fits(is_in, length + 1),
            // A bracket that is not closed stands for itself.
            None => fits(c == '[', 1),
        },
        [own, ..] => fits(*own == c, 1),
    }
}

/// Whether a class, behind its `[`, has a character, and the length of the class.
fn class(pattern: &[char], c: char) -> Option<(bool, usize)> {
    let negated = matches!(pattern.first(), Some('!' | '^'));
    let from = usize::from(negated);
    let end = pattern.iter().skip(from + 1).position(|c| *c == ']')? + from + 1;
    let mut inner = pattern.get(from..end)?;
    let mut is_in = false;
    while let [first, rest @ ..] = inner {
        if let ['-', last, rest @ ..] = rest {
            is_in |= (*first..=*last).contains(&c);
            inner = rest;
        } else {
            is_in |= *first == c;
            inner = rest;
        }
    }
    Some((is_in != negated, end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match() {
        let check = |pattern: &str, name: &str, expected: bool| {
            assert_eq!(is_match(&pattern.chars().collect::<Vec<_>>(), name), expected, "{pattern} {name}");
        };
        check("*.conf", "a.conf", true);
        check("*.conf", ".a.conf", false);
        check(".*", ".a", true);
        check("*.conf", "a.conf.bak", false);
        check("a*b*c", "aXbYbZc", true);
        check("a*b*c", "aXbYbZ", false);
        check("?[0-9]", "é7", true);
        check("?[!0-9]", "é7", false);
        check("[]x]", "]", true);
        check("[a", "[a", true);
        check("[a-]", "-", true);
        check("**", "", true);
        check("a*", "", false);
    }
}
