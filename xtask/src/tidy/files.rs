//! What every file must have or must not have.

use std::path::{Path, PathBuf};

/// Names that say nothing of what is in a module.
const EMPTY_NAMES: [&str; 8] = ["util", "utils", "helper", "helpers", "common", "misc", "manager", "mod"];

/// Longer files are listed.
const LONG: usize = 600;

/// Kinds of file that are looked at.
const KINDS: [&str; 5] = ["rs", "toml", "md", "sql", "sh"];

/// Findings and notes for all files below `root`.
pub(super) fn check(root: &Path) -> anyhow::Result<(Vec<String>, Vec<String>)> {
    let mut files = Vec::new();
    collect(root, &mut files)?;
    files.sort();
    let (mut findings, mut notes) = (Vec::new(), Vec::new());
    for file in files {
        let text = std::fs::read_to_string(&file)?;
        let path = file.strip_prefix(root).unwrap_or(&file);
        findings
            .extend(look(path, &text).into_iter().map(|finding| format!("{}: {finding}", path.display())));
        let lines = text.lines().count();
        if lines > LONG && path.extension().is_some_and(|kind| kind == "rs") {
            notes.push(format!("{}: {lines} lines; is it still one subject?", path.display()));
        }
    }
    Ok((findings, notes))
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let (entry, path) = entry.map(|e| (e.file_type(), e.path()))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if entry?.is_dir() {
            if !name.starts_with('.') && name != "target" && name != "corpus" && name != "node_modules" {
                collect(&path, files)?;
            }
        } else if path.extension().is_some_and(|kind| KINDS.iter().any(|k| kind == *k)) {
            files.push(path);
        }
    }
    Ok(())
}

/// What is wrong with one file.
fn look(path: &Path, text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        if line.ends_with([' ', '\t']) {
            findings.push(format!("line {number} ends in white space"));
        }
    }
    if path.extension().is_none_or(|kind| kind != "rs") {
        return findings;
    }
    if !text.starts_with("//!") {
        findings.push("does not open with `//!` lines that say what it is for".to_owned());
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    if EMPTY_NAMES.contains(&&*stem) {
        findings.push(format!("`{stem}` says nothing: name it by what is in it"));
    }
    // Put together here, so that this file does not find itself.
    for (mark, what) in [
        (concat!("#[ig", "nore]"), "a test is ignored without a reason"),
        (concat!("to", "do!("), "unfinished"),
        (concat!("unimple", "mented!("), "unfinished"),
    ] {
        for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| line.contains(mark)) {
            let comment = line.trim_start().starts_with("//");
            if !comment {
                findings.push(format!("line {number}: {what}"));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, text: &str, expected: usize) {
        let found = look(Path::new(path), text);
        assert_eq!(found.len(), expected, "{found:?}");
    }

    #[test]
    fn files() {
        check("a/src/lib.rs", "//! What.\nfn f() {}\n", 0);
        check("a/src/lib.rs", "fn f() {}\n", 1);
        check("a/src/lib.rs", "", 1);
        check("a/src/lib.rs", "//! What.\nfn f() {} \n", 1);
        check("a/src/utils.rs", "//! What.\n", 1);
        check("a/src/sink/mod.rs", "//! What.\n", 1);
        check("a/src/lib.rs", concat!("//! What.\n#[ig", "nore]\nfn f() {}\n"), 1);
        check("a/src/lib.rs", concat!("//! What.\n#[ig", "nore = \"needs a printer\"]\nfn f() {}\n"), 0);
        check("a/src/lib.rs", concat!("//! What.\nfn f() { to", "do!() }\n"), 1);
        check("a/src/lib.rs", concat!("//! What.\n// to", "do!() is forbidden\n"), 0);
        check("README.md", "text\t\n\nmore \n", 2);
        check("README.md", "text\n", 0);
    }
}
