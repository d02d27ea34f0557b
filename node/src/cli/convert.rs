//! `skyline convert`: another relay's files as settings of this node.

use super::config::RelayFiles;
use super::output::{counted, program, say};
use anyhow::Context as _;
use skyline_conf::convert::{self, Converted};
use skyline_conf::model::Settings;
use skyline_conf::relaying::{self, Relaying};
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

/// Which files, and where to.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Write the settings to this new file; without it they are printed
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    files: RelayFiles,
}

/// Converts, writes, and says what was done.
#[expect(clippy::print_stderr, reason = "standard output may be the settings themselves")]
pub(super) fn convert(options: &Options) -> anyhow::Result<()> {
    let mut settings = Settings::default();
    options.files.apply(&mut settings.relay.files);
    anyhow::ensure!(
        settings.relay.files.is_any(),
        "name the files to convert: --carbon-conf FILE, --c-relay-conf FILE or --relay-ng-conf FILE"
    );
    let relaying = relaying::read(&settings)?;
    let converted = convert::convert(&relaying)?;
    let said = told(&relaying, &converted, options.output.as_deref());
    match &options.output {
        None => {
            say!("{}", converted.text.trim_end())?;
            eprintln!("{said}");
        }
        Some(path) => {
            write(path, &converted.text)?;
            say!("{said}")?;
        }
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let made = OpenOptions::new().write(true).create_new(true).open(path);
    let mut file = match made {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            anyhow::bail!("{} exists already and is left alone: name another file", path.display())
        }
        made => made.with_context(|| path.display().to_string())?,
    };
    file.write_all(text.as_bytes()).with_context(|| path.display().to_string())
}

/// What was done, and what to type next.
fn told(relaying: &Relaying, converted: &Converted, output: Option<&Path>) -> String {
    let routing = &relaying.routing;
    let mut lines: Vec<String> =
        relaying.files.iter().map(|path| format!("read {}", path.display())).collect();
    lines.push(format!(
        "{}, {}, {}; read again, the settings relay in the same way",
        counted(routing.destinations.len(), "destination"),
        counted(routing.clusters.len(), "cluster"),
        counted(routing.statements.len(), "rule"),
    ));
    lines.extend(converted.notes.iter().map(|note| format!("note: {note}")));
    let file = output.map_or_else(|| "FILE".to_owned(), |path| path.display().to_string());
    if output.is_some() {
        lines.push(format!("wrote {file}"));
    }
    lines.push(format!("next: {} check --config {file}", program()));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    #[track_caller]
    fn run(arguments: &[&str]) -> anyhow::Result<()> {
        convert(&Line::try_parse_from(["skyline"].iter().chain(arguments)).unwrap().options)
    }

    #[test]
    fn a_file_is_converted_once() {
        let dir = tempfile::tempdir().unwrap();
        let (conf, out) = (dir.path().join("relay.conf"), dir.path().join("skyline.toml"));
        std::fs::write(&conf, "cluster a any_of h:1 g:1;\nmatch * send to a stop;\n").unwrap();
        let (conf, out) = (conf.to_str().unwrap(), out.to_str().unwrap());
        run(&["--c-relay-conf", conf, "-o", out]).unwrap();
        let read = |config: &Path, files: &str| {
            let mut settings = skyline_conf::load::load(Some(config), &[]).unwrap().settings;
            settings.relay.files.c_relay_conf = files.into();
            relaying::read(&settings).unwrap()
        };
        let (native, foreign) = (read(Path::new(out), ""), read(Path::new("/dev/null"), conf));
        assert_eq!((native.routing, native.listen), (foreign.routing, foreign.listen));
        let error = run(&["--c-relay-conf", conf, "-o", out]).unwrap_err().to_string();
        assert!(error.contains("exists already"), "{error}");
        let error = run(&[]).unwrap_err().to_string();
        assert!(error.contains("--carbon-conf FILE"), "{error}");
    }
}
