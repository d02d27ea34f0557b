//! INI as Python's ConfigParser reads it (CPython's `configparser.py`, basic interpolation).
//!
//! `key = value` or `key: value`; keys in any case; a line that is indented deeper than its key carries the value
//! on; lines that begin with `#` or `;` are comments; there are no comments behind a value; `[DEFAULT]` is
//! inherited by every section; a section or a key that comes twice is an error.

use super::{Fault, lines};
use std::collections::HashMap;

/// The section that all others inherit.
const INHERITED: &str = "DEFAULT";
/// How deep `%(name)s` may lead to further ones: ConfigParser's limit.
const DEEPEST: usize = 10;
/// How many `%(name)s` one value may come to, with those within them: values of values grow without end else.
const MOST_NAMES: usize = 1_000;
/// How long a value may become, bytes.
const LONGEST: usize = 1 << 20;

/// A file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ini {
    sections: Vec<Section>,
    inherited: Section,
}

/// A section, with keys of its own only.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Section {
    /// What stands in brackets, blanks included.
    pub name: String,
    /// Where it begins, counted from 1.
    pub line: usize,
    entries: Vec<Entry>,
    by_key: HashMap<String, usize>,
}

/// A key with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// In small letters.
    pub key: String,
    /// As it is written, lines that carry it on joined by LF.
    pub value: String,
    /// Where the key is, counted from 1.
    pub line: usize,
}

impl Section {
    fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.get(*self.by_key.get(key)?)
    }
}

impl Ini {
    /// Reads a text.
    ///
    /// # Errors
    /// The first line that is wrong.
    pub fn read(text: &str) -> Result<Self, Fault> {
        Reader::default().read(text.strip_prefix('\u{feff}').unwrap_or(text))
    }

    /// All sections but `[DEFAULT]`, in the order of the file.
    #[must_use]
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// A section by its name.
    #[must_use]
    pub fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.name == name)
    }

    /// The entries of a section: its own in the order of the file, then what it inherits.
    pub fn entries<'i>(&'i self, section: &'i Section) -> impl Iterator<Item = &'i Entry> {
        let inherited = self.inherited.entries.iter().filter(|entry| section.get(&entry.key).is_none());
        section.entries.iter().chain(inherited)
    }

    /// An entry of a section, its own or inherited; `key` is in small letters.
    #[must_use]
    pub fn get<'i>(&'i self, section: &'i Section, key: &str) -> Option<&'i Entry> {
        section.get(key).or_else(|| self.inherited.get(key))
    }

    /// The value of an entry with `%(name)s` replaced by that key's value and `%%` by `%`.
    ///
    /// # Errors
    /// A name that does not exist, a `%` of another form, or one that leads to itself.
    pub fn interpolated(&self, section: &Section, entry: &Entry) -> Result<String, Fault> {
        let mut out = String::new();
        let mut left = MOST_NAMES;
        self.interpolate(section, &entry.value, DEEPEST, &mut left, &mut out)
            .map_err(|why| Fault::new(entry.line, &entry.value, why))?;
        Ok(out)
    }

    fn interpolate(
        &self,
        section: &Section,
        value: &str,
        depth: usize,
        left: &mut usize,
        out: &mut String,
    ) -> Result<(), String> {
        let circular = || "names in it lead to themselves, or too far: write the value out".to_owned();
        let depth = depth.checked_sub(1).ok_or_else(circular)?;
        let mut rest = value;
        while let Some((before, behind)) = rest.split_once('%') {
            out.push_str(before);
            if let Some(behind) = behind.strip_prefix('%') {
                out.push('%');
                rest = behind;
            } else {
                let named = behind.strip_prefix('(').and_then(|behind| behind.split_once(")s"));
                let Some((name, behind)) = named.filter(|(name, _)| !name.is_empty() && !name.contains(')'))
                else {
                    return Err("a `%` stands for itself only when it is doubled: write `%%`".to_owned());
                };
                *left = left.checked_sub(1).ok_or_else(circular)?;
                let found = self.get(section, &name.to_lowercase()).ok_or_else(|| {
                    format!("`%({name})s` names no key of this section: write `%%` for a percent sign")
                })?;
                self.interpolate(section, &found.value, depth, left, out)?;
                rest = behind;
            }
            if out.len() > LONGEST {
                return Err(circular());
            }
        }
        out.push_str(rest);
        Ok(())
    }
}

/// Where the reader is.
#[derive(Debug, Default)]
struct Reader {
    ini: Ini,
    /// The section that lines belong to; `None`: no header yet.
    current: Option<Current>,
    by_name: HashMap<String, usize>,
    /// Whether a value can be carried on, and how far its key is indented.
    indent: usize,
    carries: bool,
    /// Empty lines since; they belong to the value if it is carried on.
    empty: usize,
}

#[derive(Debug, Clone, Copy)]
enum Current {
    Inherited,
    Section(usize),
}

impl Reader {
    fn read(mut self, text: &str) -> Result<Ini, Fault> {
        for (number, line) in lines(text) {
            self.line(number, line)?;
        }
        Ok(self.ini)
    }

    fn line(&mut self, number: usize, line: &str) -> Result<(), Fault> {
        let trimmed = line.trim();
        if trimmed.starts_with(['#', ';']) {
            return Ok(());
        }
        if trimmed.is_empty() {
            self.empty += 1;
            return Ok(());
        }
        let empty = std::mem::take(&mut self.empty);
        let indent = line.len() - line.trim_start().len();
        if self.carries && indent > self.indent {
            if let Some(entry) = self.section_mut().and_then(|section| section.entries.last_mut()) {
                entry.value.extend(std::iter::repeat_n('\n', empty + 1));
                entry.value.push_str(trimmed);
            }
            return Ok(());
        }
        self.indent = indent;
        if let Some(name) = header(trimmed) {
            self.carries = false;
            return self.begin(number, name);
        }
        let fault = |why: &str| Fault::new(number, trimmed, why);
        let Some(section) = self.section_mut() else {
            return Err(fault("it stands before the first `[section]`: write a header above it"));
        };
        let split = trimmed.split_once(['=', ':']).map(|(key, value)| (key.trim_end(), value.trim()));
        let Some((key, value)) = split.filter(|(key, _)| !key.is_empty()) else {
            return Err(fault("neither `[section]` nor `key = value`: put `#` before a comment"));
        };
        let key = key.to_lowercase();
        if let Some(first) = section.get(&key) {
            return Err(fault(&format!("the key is also on line {}: remove one", first.line)));
        }
        section.by_key.insert(key.clone(), section.entries.len());
        section.entries.push(Entry { key, value: value.to_owned(), line: number });
        self.carries = true;
        Ok(())
    }

    fn section_mut(&mut self) -> Option<&mut Section> {
        match self.current? {
            Current::Inherited => Some(&mut self.ini.inherited),
            Current::Section(at) => self.ini.sections.get_mut(at),
        }
    }

    fn begin(&mut self, line: usize, name: &str) -> Result<(), Fault> {
        if name == INHERITED {
            // It may come again, as far as ConfigParser is concerned.
            self.current = Some(Current::Inherited);
            return Ok(());
        }
        let at = self.ini.sections.len();
        if let Some(first) = self.by_name.insert(name.to_owned(), at) {
            let first = self.ini.sections.get(first).map_or(0, |section| section.line);
            let why = format!("the section is also on line {first}: put both together");
            return Err(Fault::new(line, &format!("[{name}]"), why));
        }
        self.ini.sections.push(Section { name: name.to_owned(), line, ..Section::default() });
        self.current = Some(Current::Section(at));
        Ok(())
    }
}

/// The name in a header. Text behind the bracket is ignored, as ConfigParser does; a comment there may hold
/// brackets itself.
fn header(line: &str) -> Option<&str> {
    let inner = line.strip_prefix('[')?;
    let first = inner.find(']')?;
    let behind = inner.get(first + 1..)?.trim_start();
    let end = if behind.starts_with(['#', ';']) { first } else { inner.rfind(']')? };
    inner.get(..end).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn told(ini: &Ini) -> String {
        let entry = |e: &Entry| format!(" {}={:?}", e.key, e.value);
        let section = |s: &Section| format!("[{}]{}", s.name, ini.entries(s).map(entry).collect::<String>());
        ini.sections().iter().map(section).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn files_are_read_as_by_config_parser() {
        // What Python 3.11 makes of each.
        let check = |text: &str, expected: &str| assert_eq!(told(&Ini::read(text).unwrap()), expected);
        check("", "");
        check("[a]\nk = 1\n  2\n\n  3\n# c\n  4\nj=5\n", "[a] k=\"1\\n2\\n\\n3\\n4\" j=\"5\"");
        check("[a]\n  k = 1\n  j = 2\n    x = 3\n l=4\n", "[a] k=\"1\" j=\"2\\nx = 3\" l=\"4\"");
        check("[a] x\nk=1\n", "[a] k=\"1\"");
        check("[a]]\nk=1\n", "[a]] k=\"1\"");
        check("[a] # [b]\nk=1\n", "[a] k=\"1\"");
        check("[ a ]\nK : a = b\nj = c : d\n", "[ a ] k=\"a = b\" j=\"c : d\"");
        check("[a]\nk=1\n[A]\nK=2\n", "[a] k=\"1\" [A] k=\"2\"");
        check("  [a]\nk=1\n  [b]\nj=1\n", "[a] k=\"1\\n[b]\" j=\"1\"");
        check("[a]\nk=1\n ; x\n  y\n", "[a] k=\"1\\ny\"");
        check("[a]\nk=1 ; c\n", "[a] k=\"1 ; c\"");
        check("[a]\nk=\n  x\n", "[a] k=\"\\nx\"");
        check("[a]\nk=\r\nj\t=\t2\u{a0}\r\n", "[a] k=\"\" j=\"2\"");
        check(
            "[DEFAULT]\nk=1\n[a]\nj=0\n[DEFAULT]\nj=2\n[default]\nz=1\n",
            "[a] j=\"0\" k=\"1\" [default] z=\"1\" k=\"1\" j=\"2\"",
        );
    }

    #[test]
    fn files_that_are_refused() {
        let check = |text: &str, line: usize, expected: &str| {
            let fault = Ini::read(text).unwrap_err();
            assert!(fault.line == line && fault.why.contains(expected), "{fault}");
        };
        check("k = 1\n[a]\n", 1, "before the first");
        check("[a\nk=1\n", 1, "before the first");
        check("[]\n", 1, "before the first");
        check("[a]\nk\n", 2, "neither");
        check("[a]\n = 1\n", 2, "neither");
        check("[a]\nk=1\n\nK=2\n", 4, "also on line 2");
        check("[a]\n[b]\n[a] x\n", 3, "also on line 1");
    }

    #[test]
    fn interpolation() {
        let value = |text: &str| {
            let ini = Ini::read(text).unwrap();
            let section = ini.section("a").unwrap();
            ini.interpolated(section, ini.get(section, "k").unwrap())
        };
        let check = |text: &str, expected: &str| assert_eq!(value(text).as_deref(), Ok(expected), "{text}");
        check("[a]\nk = 100%%\n", "100%");
        check("[a]\nk = <%(J)s>\nj=a%(l)sb\n[DEFAULT]\nl=q\n", "<aqb>");
        let refused = |text: &str, expected: &str| {
            let fault = value(text).unwrap_err();
            assert!(fault.why.contains(expected), "{fault}");
        };
        refused("[a]\nk = 5%\n", "write `%%`");
        refused("[a]\nk = %(j)\nj=1\n", "write `%%`");
        refused("[a]\nk = %()s\n", "write `%%`");
        refused("[a]\nk = %(no)s\n", "names no key");
        refused("[a]\nk = %(k)s\n", "themselves");
        let wide = |name: char| format!("%({name})s").repeat(40);
        let text = format!("[a]\nk={}\nl={}\nm={}\nn=\n", wide('l'), wide('m'), wide('n'));
        refused(&text, "too far");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(\\PC|[\\[\\]=:%()#; \t\r\na-c]){0,200}") {
            if let Ok(ini) = Ini::read(&text) {
                for section in ini.sections() {
                    for entry in ini.entries(section) {
                        drop(ini.interpolated(section, entry));
                    }
                }
            }
        }
    }
}
