//! Python with the libraries that Skyline uses, as somebody else who reads and writes a Redis.

use crate::redis::Redis;
use anyhow::Context as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

/// What a script prints that has a connection in `r`, and `packb` and `Unpacker` of msgpack. `input`: what it reads.
///
/// # Errors
///
/// When it fails; what it said is in the message.
pub fn run(redis: &Redis, script: &str, input: &str) -> anyhow::Result<String> {
    let prelude = format!(
        "import sys, json, math, struct\nimport redis\nfrom msgpack import packb, Unpacker\n\
         r = redis.StrictRedis(unix_socket_path={:?})\n",
        redis.file("socket")
    );
    let mut child = Command::new("/usr/bin/python3")
        .args(["-c", &[&prelude, script].concat()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("python3; `cargo xtask test` installs what is missing")?;
    let mut stdin = child.stdin.take().context("its input")?;
    let input = input.to_owned();
    // It may end before it has read everything; then its own words say why.
    let writing = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output()?;
    drop(writing.join());
    anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}
