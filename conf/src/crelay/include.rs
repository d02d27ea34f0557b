//! A configuration with all that it includes, in the order in which it is read.

use super::error::{Error, Fault};
use super::glob;
use super::parse::parse;
use super::syntax::{At, Position, Statement};
use crate::bounded;
use std::io;
use std::path::{Path, PathBuf};

/// How deep files may include files.
const DEEPEST: usize = 32;

/// Files that may be read in all. Files that each include the next one twice would be a great many.
const MOST_FILES: usize = 1000;

/// Bytes of all files.
const MOST_BYTES: usize = 64 << 20;

/// A file of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Where it lies.
    pub path: PathBuf,
    /// What is in it.
    pub text: String,
}

/// A configuration with all that it includes.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Whole {
    /// Every file, once for each time that it is read.
    pub sources: Vec<Source>,
    /// All statements but includes, with an index into `sources`.
    pub statements: Vec<(usize, At<Statement>)>,
    /// Globs that match no file, with an index into `sources`.
    pub unmatched: Vec<(usize, At<String>)>,
}

/// Reads a file and all that it includes. Relative paths of includes begin at the folder of the file that
/// they stand in.
///
/// # Errors
/// [`Error::Unreadable`]: the file itself cannot be read; [`Error::Faulty`]: it or an included one is not of the
/// language, an included one cannot be read, or files include each other.
pub fn load(path: &Path) -> Result<Whole, Error> {
    let text = bounded::read(path).map_err(|source| Error::Unreadable { path: path.to_owned(), source })?;
    load_text(path, text)
}

/// The same for a text that stands for the file `path`.
///
/// # Errors
/// As [`load`].
pub fn load_text(path: &Path, text: String) -> Result<Whole, Error> {
    let mut whole = Whole::default();
    let mut loader = Loader { whole: &mut whole, bytes: text.len(), open: Vec::new() };
    loader.take(Source { path: path.to_owned(), text })?;
    Ok(whole)
}

struct Loader<'w> {
    whole: &'w mut Whole,
    bytes: usize,
    /// Files that are being read: as they are named, and what they really are.
    open: Vec<(PathBuf, PathBuf)>,
}

impl Loader<'_> {
    /// Takes the statements of a file. Its depth is bounded by [`DEEPEST`].
    fn take(&mut self, source: Source) -> Result<(), Fault> {
        let tree = parse(&source)?;
        let real = source.path.canonicalize().unwrap_or_else(|_| source.path.clone());
        self.open.push((source.path.clone(), real));
        let this = self.whole.sources.len();
        self.whole.sources.push(source);
        for statement in tree.statements {
            match statement.value {
                Statement::Include(path) => self.include(this, &path)?,
                value => self.whole.statements.push((this, At::new(statement.at, value))),
            }
        }
        self.open.pop();
        Ok(())
    }

    fn include(&mut self, this: usize, named: &At<String>) -> Result<(), Fault> {
        let folder = self.whole.sources.get(this).and_then(|s| s.path.parent()).unwrap_or(Path::new(""));
        let path = folder.join(&named.value);
        if !glob::is_glob(&named.value) {
            return self.enter(this, named.at, path);
        }
        let found = glob::find(&path).map_err(|(at, error)| self.unreadable(this, named.at, &at, &error))?;
        if found.is_empty() {
            self.whole.unmatched.push((this, named.clone()));
        }
        found.into_iter().try_for_each(|path| self.enter(this, named.at, path))
    }

    /// Reads the file `path`, included at `at` of the file number `this`.
    fn enter(&mut self, this: usize, at: Position, path: PathBuf) -> Result<(), Fault> {
        let real = path.canonicalize().map_err(|error| self.unreadable(this, at, &path, &error))?;
        if let Some(first) = self.open.iter().position(|(_, open)| *open == real) {
            let chain = self.open.iter().skip(first).map(|(named, _)| named).chain([&path]);
            let chain: Vec<String> = chain.map(|path| path.display().to_string()).collect();
            return Err(self.fault(this, at, format!("files include each other: {}", chain.join(" -> "))));
        }
        if self.open.len() >= DEEPEST {
            return Err(self.fault(this, at, format!("includes are more than {DEEPEST} deep")));
        }
        if self.whole.sources.len() >= MOST_FILES {
            return Err(self.fault(this, at, format!("more than {MOST_FILES} files are included")));
        }
        let text = bounded::read(&path).map_err(|error| self.unreadable(this, at, &path, &error))?;
        self.bytes += text.len();
        if self.bytes > MOST_BYTES {
            return Err(self.fault(this, at, format!("the files have more than {MOST_BYTES} bytes")));
        }
        self.take(Source { path, text })
    }

    fn fault(&self, this: usize, at: Position, message: String) -> Fault {
        let none = Source { path: PathBuf::new(), text: String::new() };
        Fault::new(self.whole.sources.get(this).unwrap_or(&none), at, message)
    }

    fn unreadable(&self, this: usize, at: Position, path: &Path, error: &io::Error) -> Fault {
        let message = format!(
            "cannot include {}: {error}; check the path, and that the user that runs the node may read it",
            path.display()
        );
        self.fault(this, at, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes files and loads the first: paths of the files read, or the message.
    fn loaded(files: &[(&str, &str)]) -> Result<Vec<String>, String> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let prefix = format!("{}/", folder.path().display());
        let name = |source: &Source| source.path.display().to_string().replace(&prefix, "");
        match load(&folder.path().join(files[0].0)) {
            Ok(whole) => {
                let order = whole.statements.iter().map(|(file, _)| name(&whole.sources[*file]));
                let unmatched = whole.unmatched.iter().map(|(_, glob)| format!("no {}", glob.value));
                Ok(order.chain(unmatched).collect())
            }
            Err(error) => Err(error.to_string().replace(&prefix, "")),
        }
    }

    #[test]
    fn files_are_read_in_order() {
        let rule = "rewrite a into b;";
        let check = |files: &[(&str, &str)], expected: &[&str]| {
            assert_eq!(loaded(files).unwrap(), expected);
        };
        check(
            &[
                ("r.conf", "rewrite a into b; include d/*.conf; include x.conf; rewrite a into b;"),
                ("d/2.conf", rule),
                ("d/1.conf", "include ../x.conf;"),
                ("d/.3.conf", "no"),
                ("d/4.txt", "no"),
                ("x.conf", rule),
            ],
            &["r.conf", "d/../x.conf", "d/2.conf", "x.conf", "r.conf"],
        );
        check(&[("r.conf", "include e/*;")], &["no e/*"]);
    }

    #[test]
    fn what_cannot_be_included() {
        let check = |files: &[(&str, &str)], expected: &str| {
            let error = loaded(files).unwrap_err();
            assert!(error.contains(expected), "{error}");
        };
        check(&[("a", " include b;")], "a:1:10: cannot include b: No such file");
        check(
            &[("a", "include b;"), ("b", "include c;"), ("c", "include b;")],
            "c:1:9: files include each other: b -> c -> b",
        );
        check(&[("a", "include a;")], "files include each other: a -> a");
        check(&[("a", "include b;"), ("b", "\n x")], "b:2:2: expected \"cluster\"");
        let deep: Vec<(String, String)> =
            (0..40).map(|i| (format!("f{i}"), format!("include f{};", i + 1))).collect();
        let deep: Vec<(&str, &str)> = deep.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        check(&deep, "more than 32 deep");
        let wide: Vec<(String, String)> = (0..20)
            .map(|i| {
                (
                    format!("f{i}"),
                    if i < 19 { format!("include f{0}; include f{0};", i + 1) } else { String::new() },
                )
            })
            .collect();
        let wide: Vec<(&str, &str)> = wide.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        check(&wide, "more than 1000 files");
        assert!(
            load(Path::new("/nonexistent/relay.conf")).unwrap_err().to_string().contains("check the path")
        );
    }
}
