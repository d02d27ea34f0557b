//! `skyline ring diff`: what a change of relay files moves, before it is made.

mod comparison;
mod names;
mod places;
mod side;

use super::output::{counted, program, say};
use anyhow::Context as _;
use clap::{Args, Subcommand};
use comparison::{Comparison, Kind};
use names::{Names, Source};
use places::Places;
use serde::Serialize;
use side::Side;
use skyline_conf::relaying::Language;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

/// What is asked.
#[derive(Debug, Subcommand)]
pub(super) enum Action {
    /// Compare where metrics go by two relay files: how many and which of them move, from where to where
    ///
    /// Each file may be skyline.toml, carbon.conf, a file of carbon-c-relay or one of carbon-relay-ng; a word before
    /// it says which if its text does not: skyline:FILE, carbon:FILE, c-relay:FILE, relay-ng:FILE.
    Diff(Diff),
}

/// The two files, and for which metrics.
#[derive(Debug, Args)]
pub(super) struct Diff {
    /// The relay's file as it is
    old: String,
    /// The relay's file as it will be
    new: String,
    /// File with names of metrics, one a line; - is standard input. Without it names are made up
    #[arg(long, value_name = "FILE", conflicts_with = "sample")]
    names: Option<PathBuf>,
    /// So many names are made up
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    sample: u64,
    /// Write each metric that moves to this file: its name, from where, to where, parted by tabs
    #[arg(long, value_name = "FILE")]
    list: Option<PathBuf>,
    /// Instance: the section `[relay:NAME]` of a carbon.conf goes over `[relay]`
    #[arg(long, value_name = "NAME", default_value = "a")]
    instance: String,
    /// Read a carbon.conf as carbon-aggregator does
    #[arg(long)]
    aggregator: bool,
    /// Take two destinations of one host for the same whatever their ports: one file sends pickles, the other lines
    #[arg(long)]
    by_host: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What is said of one of the files.
#[derive(Debug, Serialize)]
struct About<'a> {
    file: &'a str,
    language: &'static str,
    destinations: usize,
}

/// What is said as JSON.
#[derive(Debug, Serialize)]
struct Told<'a> {
    old: About<'a>,
    new: About<'a>,
    names: &'a Source,
    #[serde(flatten)]
    comparison: &'a Comparison,
}

/// Both files and what comes of comparing them.
struct Compared {
    old: Side,
    new: Side,
    places: Places,
    source: Source,
    comparison: Comparison,
}

/// Does what is asked.
pub(super) fn act(action: &Action) -> anyhow::Result<()> {
    let Action::Diff(diff) = action;
    let compared = compare(diff)?;
    if diff.json {
        return say!("{}", serde_json::to_string_pretty(&compared.told())?);
    }
    for (which, side) in [("old", &compared.old), ("new", &compared.new)] {
        let told = side.told();
        say!("{which}: {}: {}, {}", told.file, side.language, counted(told.destinations, "destination"))?;
    }
    say!("names: {}", compared.source)?;
    for (old, new) in compared.places.taken_for_the_same() {
        say!("taken for the same server: {old} (old) and {new} (new)")?;
    }
    compared.comparison.print()?;
    say!("next: {}", next(diff, &compared))
}

fn compare(diff: &Diff) -> anyhow::Result<Compared> {
    let read = |file: &str| Side::read(file, &diff.instance, diff.aggregator);
    let (old, new) = (read(&diff.old)?, read(&diff.new)?);
    let places = Places::of(&old.routing, &new.routing, diff.by_host);
    if let Some(list) = &diff.list {
        let given = diff.names.as_deref().into_iter();
        let read = given.chain([&old, &new].map(|side| Path::new(side.told().file)));
        let real = |path: &Path| path.canonicalize().ok();
        let is_list = |path: &Path| real(path).is_some() && real(path) == real(list);
        anyhow::ensure!(
            !read.into_iter().any(is_list),
            "--list {}: this file is read, and would be lost; name another one",
            list.display()
        );
    }
    let mut names = Names::open(diff.names.as_deref(), diff.sample)?;
    let create = |path: &PathBuf| {
        File::create(path).map(BufWriter::new).with_context(|| format!("--list {}", path.display()))
    };
    let mut list = diff.list.as_ref().map(create).transpose()?;
    let mut comparison = Comparison::new(&places);
    while let Some(name) = names.next()? {
        let change = comparison.take(name, old.journey(name), new.journey(name), &places);
        if let (Kind::Moves { from, to }, Some(list)) = (&change, &mut list) {
            writeln!(list, "{name}\t{}\t{}", from.join(" "), to.join(" ")).context("--list")?;
        }
    }
    if let Some(mut list) = list {
        list.flush().context("--list")?;
    }
    comparison.finish();
    let source = names.source();
    if let Source::File { file, names: 0, .. } = &source {
        anyhow::bail!("{file} has no name of a metric: nothing was compared");
    }
    Ok(Compared { old, new, places, source, comparison })
}

impl Compared {
    fn told(&self) -> Told<'_> {
        let Self { old, new, source, comparison, .. } = self;
        Told { old: old.told(), new: new.told(), names: source, comparison }
    }
}

/// What to type next.
fn next(diff: &Diff, compared: &Compared) -> String {
    let Compared { new, source, comparison, .. } = compared;
    let Diff { old, new: to, .. } = diff;
    let mut of_carbon = String::new();
    if diff.instance != "a" {
        of_carbon += &format!(" --instance {}", diff.instance);
    }
    if diff.aggregator {
        of_carbon += " --aggregator";
    }
    let flags = format!("{of_carbon}{}", if diff.by_host { " --by-host" } else { "" });
    let program = program();
    if let Source::Sample { .. } = source {
        return format!("{program} ring diff {old} {to}{flags} --names FILE, with the names of your metrics");
    }
    match &diff.list {
        Some(list) if comparison.moved > 0 => {
            format!("copy the history of the metrics in {}, then change the file", list.display())
        }
        None if comparison.moved > 0 => {
            let names = diff.names.as_ref().map_or_else(String::new, |names| names.display().to_string());
            format!(
                "{program} ring diff {old} {to}{flags} --names {names} --list moves.tsv names each of them"
            )
        }
        _ => {
            // Other files have no instances, and a command refuses to be told of one.
            let of_carbon = if new.language == Language::Carbon { of_carbon.as_str() } else { "" };
            format!("{program} check{}{of_carbon}", new.argument())
        }
    }
}

#[cfg(test)]
mod tests;
