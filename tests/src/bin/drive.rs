//! `drive`: runs a fuzz target on mutated seeds for some seconds. Needs nothing but an ordinary compiler;
//! `cargo xtask fuzz` searches deeper.
//!
//! Prints its random seed, which repeats the run, and the input on which a target panics or takes too long.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for a person at a terminal")]

use clap::Parser;
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Stands any bytes.
type Target = fn(&[u8]);

/// What is driven: a name, which is also the name of its folder of seeds.
const TARGETS: [(&str, Target); 26] = [
    ("vista_answers", skyline_vista::fuzz::answers),
    ("attime", skyline_render_proxy::fuzz::attime),
    ("render_target", skyline_render_proxy::fuzz::target),
    ("chunk", skyline_store::fuzz::chunk),
    ("line", skyline_relay::codec::fuzz::line),
    ("pickle", skyline_relay::codec::fuzz::pickle),
    ("protobuf", skyline_relay::codec::fuzz::protobuf),
    ("gzip", skyline_relay::listen::fuzz::gzip),
    ("lz4", skyline_relay::listen::fuzz::lz4),
    ("recover", skyline_journal::fuzz::fuzz_recover),
    ("pairs", skyline_mirror::fuzz::pairs),
    ("carbon_conf", skyline_conf::fuzz::carbon_conf),
    ("carbon_rules", skyline_conf::fuzz::carbon_rules),
    ("c_relay", skyline_conf::fuzz::c_relay),
    ("relay_ng", skyline_conf::fuzz::relay_ng),
    ("pattern", skyline_conf::fuzz::pattern),
    ("replacement", skyline_conf::fuzz::replacement),
    ("alert_rule", skyline_conf::fuzz::alert_rule),
    ("alert_link", skyline_alerting::link::fuzz),
    ("flux_json", skyline_flux::fuzz::json),
    ("flux_plain", skyline_flux::fuzz::plain),
    ("flux_influx", skyline_flux::fuzz::influx),
    ("flux_remote_write", skyline_flux::fuzz::remote_write),
    ("alerts_log", skyline_alerting::fuzz::alerts_log),
    ("webhook_template", skyline_alerting::fuzz::template),
    ("whisper", skyline_vista::whisper::fuzz),
];

/// No input grows beyond this.
const LONGEST: usize = 4096;

/// Mutated inputs that are kept to be mutated again.
const KEPT: usize = 256;

/// A target that needs longer for one input has lost its way.
const PATIENCE: Duration = Duration::from_secs(5);

/// Bytes that decoders and the readers of files look for.
const TOKENS: [&[u8]; 52] = [
    b"\n",
    b"\r\n",
    b" ",
    b"\t",
    b"nan",
    b"-inf",
    b"1e999",
    b"-1",
    b"\xff\xff\xff\xff",
    b"\x00\x00\x00\x00",
    b"(l",
    b"]q\x00",
    b"\x80\x02",
    b"\x80\x05\x95",
    b"\x86",
    b"e.",
    b"\x94",
    b"h\x01",
    b"X\x05\x00\x00\x00",
    b"\x8c\x05",
    b"[relay]\n",
    b"[[route]]\n",
    b" = ",
    b"%(a)s",
    b";\n",
    b"\"",
    b"'",
    b"cluster a forward h:1",
    b"match ",
    b" send to ",
    b" stop",
    b"rewrite ",
    b" into ",
    b"aggregate ",
    b"(?=",
    b"(?<!a)",
    b"(?P<a>",
    b"[^",
    b"[[:alpha:]]",
    b"{2,3}",
    b"*?",
    b"\\1",
    b"\\g<a>",
    b"${1}",
    b"<<a>>",
    b"\xc3\xa9",
    b"\x1f\x8b\x08\x00",
    b"\x04\x22\x4d\x18",
    b"{{ metric? }}",
    b"{{ members! }}",
    b"{\"a\":",
    b"null",
];

/// Drive the decoders with mutated seeds.
#[derive(Debug, Parser)]
struct Options {
    /// Default: each in turn
    #[arg(value_parser = clap::builder::PossibleValuesParser::new(TARGETS.map(|(name, _)| name)))]
    target: Option<String>,
    /// Seconds for each target
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Repeats a run; printed by every run
    #[arg(long)]
    seed: Option<u64>,
    /// Folders of seeds, one a target
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/seeds"))]
    seeds: PathBuf,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let (mut passed, mut failed) = (0, 0);
    for (name, target) in TARGETS {
        if options.target.as_deref().is_some_and(|wanted| wanted != name) {
            continue;
        }
        match drive(name, target, &options) {
            Ok(true) => passed += 1,
            Ok(false) => failed += 1,
            Err(error) => {
                eprintln!("drive: {name}: {error:#}");
                failed += 1;
            }
        }
    }
    println!("{passed} passed, {failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Whether `target` stood it.
fn drive(name: &str, target: Target, options: &Options) -> anyhow::Result<bool> {
    let mut corpus = seeds(&options.seeds.join(name))?;
    let seed = options.seed.unwrap_or_else(rand::random);
    println!("{name}: {} seeds, {} s, --seed {seed}", corpus.len(), options.seconds);
    let mut random = SmallRng::seed_from_u64(seed);
    let start = Instant::now();
    let own = corpus.len();
    let (mut runs, mut input) = (0_u64, Vec::new());
    // The seeds as they are come first.
    for whole in &corpus {
        if !stands(name, target, whole)? {
            return Ok(false);
        }
    }
    while start.elapsed() < Duration::from_secs(options.seconds) {
        // The clock is read once in a while: reading it costs as much as a short input.
        for _ in 0..64 {
            mutate(&corpus, &mut input, &mut random);
            if !stands(name, target, &input)? {
                return Ok(false);
            }
            runs += 1;
        }
        // Mutations of mutations reach further; without coverage, which to keep is left to chance.
        if corpus.len() < own + KEPT {
            corpus.push(input.clone());
        } else if let Some(slot) = corpus.get_mut(own + random.random_range(0..KEPT)) {
            slot.clone_from(&input);
        }
    }
    println!("{name}: {runs} inputs, no panic, none took longer than {} s", PATIENCE.as_secs());
    Ok(true)
}

/// Runs the target; a panic, or an input that takes too long, is reported with its input.
fn stands(name: &str, target: Target, input: &[u8]) -> anyhow::Result<bool> {
    let start = Instant::now();
    let is_good = catch_unwind(AssertUnwindSafe(|| target(input))).is_ok();
    let took = start.elapsed();
    if is_good && took < PATIENCE {
        return Ok(true);
    }
    let what = if is_good { format!("took {:.1} s", took.as_secs_f64()) } else { "panicked".to_owned() };
    let path = std::env::temp_dir().join(format!("skyline-{name}-panic-{}", std::process::id()));
    std::fs::write(&path, input)?;
    println!("{name}: {what} on {} bytes: {}", input.len(), input.escape_ascii());
    println!("{name}: the input is in {}", path.display());
    Ok(false)
}

fn seeds(folder: &PathBuf) -> anyhow::Result<Vec<Vec<u8>>> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .map_err(|error| anyhow::anyhow!("seeds {}: {error}", folder.display()))?
        .map(|entry| entry.map(|e| e.path()))
        .collect::<Result<_, _>>()?;
    files.sort();
    anyhow::ensure!(!files.is_empty(), "no seeds in {}", folder.display());
    Ok(files.iter().map(std::fs::read).collect::<Result<_, _>>()?)
}

/// Makes `input` a changed copy of one of the corpus.
fn mutate(corpus: &[Vec<u8>], input: &mut Vec<u8>, random: &mut SmallRng) {
    let pick = |random: &mut SmallRng| {
        corpus.get(random.random_range(0..corpus.len().max(1))).map_or(&[][..], Vec::as_slice)
    };
    input.clear();
    input.extend_from_slice(pick(random));
    for _ in 0..random.random_range(1..=6) {
        let at = random.random_range(0..=input.len());
        let until = at + random.random_range(0..=(input.len() - at).min(16));
        match random.random_range(0..8) {
            0 => input.truncate(at),
            1 => drop(input.drain(at..until)),
            2 => input.insert(at, random.random()),
            3 => {
                let token = TOKENS.get(random.random_range(0..TOKENS.len())).copied().unwrap_or_default();
                drop(input.splice(at..at, token.iter().copied()));
            }
            4 => {
                let copy = input.get(at..until).map(<[u8]>::to_vec).unwrap_or_default();
                let to = random.random_range(0..=input.len());
                drop(input.splice(to..to, copy));
            }
            5 => {
                let other = pick(random);
                let from = random.random_range(0..=other.len());
                input.truncate(at);
                input.extend_from_slice(other.get(from..).unwrap_or_default());
            }
            6 => {
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= 1 << random.random_range(0..8);
                }
            }
            _ => {
                if let Some(byte) = input.get_mut(at) {
                    *byte = random.random();
                }
            }
        }
    }
    input.truncate(LONGEST);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(folder: &std::path::Path) -> Options {
        Options { target: None, seconds: 5, seed: Some(1), seeds: folder.to_owned() }
    }

    #[test]
    fn a_panic_is_found_and_its_input_kept() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("t")).unwrap();
        std::fs::write(folder.path().join("t/seed"), b"some ordinary bytes").unwrap();
        let trap = |bytes: &[u8]| assert!(!bytes.windows(3).any(|w| w == b"nan"), "the trap");
        assert!(!drive("t", trap, &options(folder.path())).unwrap());
        std::fs::remove_file(std::env::temp_dir().join(format!("skyline-t-panic-{}", std::process::id())))
            .unwrap();
        assert!(drive("empty", trap, &options(folder.path())).is_err());
    }

    #[test]
    fn the_same_seed_makes_the_same_inputs() {
        let corpus = [b"a 1 2\n".to_vec(), b"b 3 4\n".to_vec()];
        let inputs = |seed| {
            let (mut random, mut input) = (SmallRng::seed_from_u64(seed), Vec::new());
            let mut one = || {
                mutate(&corpus, &mut input, &mut random);
                input.clone()
            };
            (0..50).map(|_| one()).collect::<Vec<_>>()
        };
        assert_eq!(inputs(7), inputs(7));
        assert_ne!(inputs(7), inputs(8));
        assert!(inputs(7).iter().all(|input| input.len() <= LONGEST));
    }
}
