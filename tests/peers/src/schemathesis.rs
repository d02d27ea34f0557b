//! schemathesis, which makes requests from an OpenAPI description, good ones and bad ones, and checks what is answered.
//!
//! Debian has no package of it: pip installs it, with the versions of `schemathesis/requirements.txt`, into a virtual
//! environment in cargo's target folder, once.

use crate::kept;
use anyhow::{Context as _, bail, ensure};
use std::hash::{DefaultHasher, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

/// What pip installs.
const REQUIREMENTS: &str = include_str!("schemathesis/requirements.txt");
/// How often pip is started; each time it asks several times by itself.
const ATTEMPTS: u32 = 3;
/// Between two attempts.
const PAUSE: Duration = Duration::from_secs(3);

/// A run against one server.
#[derive(Debug, Clone)]
pub struct Run<'a> {
    /// Where the description is.
    pub url: &'a str,
    /// Who sends: the secret of each security scheme, as `[auth.openapi]` of its settings has it. Empty: nobody.
    pub auth: &'a str,
    /// A Python file with what it cannot read in the description.
    pub hooks: &'a Path,
    /// Requests for each operation at most, in each phase.
    pub examples: u32,
    /// The same seed makes the same requests.
    pub seed: u32,
}

/// Name of the environment with what a file of requirements says: another if any version in it changes, or the compiler's
/// way of hashing, after which it is made again.
fn environment(requirements: &str) -> String {
    let mut hasher = DefaultHasher::new();
    hasher.write(requirements.as_bytes());
    format!("schemathesis-{:016x}", hasher.finish())
}

/// Its environment, made if it is not there; `say` is told of what takes long.
///
/// # Errors
///
/// When there is no Python or pip, or pip cannot reach its registry.
pub fn install(say: &dyn Fn(&str)) -> anyhow::Result<PathBuf> {
    kept::once(&environment(REQUIREMENTS), |folder| {
        say("installing schemathesis by pip into a folder of its own: some 20 seconds");
        let file = tempfile::Builder::new().prefix("requirements-").suffix(".txt").tempfile()?;
        std::fs::write(file.path(), REQUIREMENTS)?;
        run(Command::new("python3").args(["-m", "venv", "--without-pip"]).arg(folder))?;
        let mut pip = Command::new("pip3");
        pip.arg("--python").arg(folder.join("bin/python"));
        pip.args(["--disable-pip-version-check", "--no-input", "--retries", "2", "--timeout", "10"]);
        pip.args(["install", "--quiet", "-r"]).arg(file.path());
        for attempt in 1.. {
            let Err(error) = run(&mut pip) else { break };
            if attempt == ATTEMPTS {
                return Err(error.context(
                    "schemathesis cannot be installed: does pip reach its registry? \
                     (PIP_INDEX_URL, PIP_PROXY and pip.conf say which one and how)",
                ));
            }
            say(&format!("pip failed, attempt {attempt} of {ATTEMPTS}: {error:#}"));
            std::thread::sleep(PAUSE);
        }
        Ok(())
    })
}

/// Makes requests and checks the answers; what it printed.
///
/// # Errors
///
/// When it found something, with what it says of it, or could not be started or installed.
pub fn check(check: &Run<'_>) -> anyhow::Result<String> {
    let program = install(&|_| {})?.join("bin");
    let folder = tempfile::Builder::new().prefix("schemathesis-").tempdir()?;
    let settings = folder.path().join("settings.toml");
    let auth =
        if check.auth.is_empty() { String::new() } else { format!("[auth.openapi]\n{}\n", check.auth) };
    std::fs::write(&settings, format!("hooks = {:?}\n{auth}", check.hooks))?;
    let mut command = Command::new(program.join("python"));
    // Not as a program: the first line of one names the folder in which it was installed.
    command.arg(program.join("st")).arg("--config-file").arg(&settings).arg("run").arg(check.url);
    command.args([
        "--no-color",
        "--continue-on-failure",
        "--generation-database",
        "none",
        "--request-timeout",
        "10",
    ]);
    command.args(["--max-examples", &check.examples.to_string(), "--seed", &check.seed.to_string()]);
    // It keeps what it found where it is started.
    command.current_dir(folder.path()).env("PYTHONDONTWRITEBYTECODE", "1");
    let output = command.output().context("python of the environment of schemathesis")?;
    let said = said(&output);
    ensure!(output.status.success(), "schemathesis found something at {}:\n{said}", check.url);
    Ok(said)
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| {
        format!("`{name}` cannot be started; `cargo xtask test` installs what is missing")
    })?;
    if !output.status.success() {
        bail!("{name}: {}", said(&output).trim());
    }
    Ok(())
}

fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text)).concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_list_of_versions_has_an_environment_of_its_own() {
        let own = environment(REQUIREMENTS);
        assert_eq!(environment(REQUIREMENTS), own);
        for (at, line) in REQUIREMENTS.lines().enumerate() {
            let (name, _) = line.split_once("==").unwrap();
            let others = REQUIREMENTS
                .lines()
                .enumerate()
                .map(|(i, other)| if i == at { format!("{name}==0.0.1\n") } else { format!("{other}\n") });
            assert_ne!(environment(&others.collect::<String>()), own, "{name}");
        }
    }
}
