//! Programs that the node talks to: Debian's own, and a sink that misbehaves on request.

pub mod as_packaged;
pub mod c_relay;
pub mod carbon_cache;
pub mod carbon_relay;
pub mod relay_file;
pub mod sink;
pub mod whisper;

use crate::eventually;
use crate::process::Process;
use anyhow::Context as _;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long a peer may take to listen.
const START: Duration = Duration::from_secs(15);

/// Waits until `process` listens on `address`.
///
/// # Errors
///
/// When it ends or does not listen in time, with its last words.
pub fn listens(process: &mut Process, address: SocketAddr) -> anyhow::Result<()> {
    is_so(process, &format!("a peer listens on {address}"), |_| TcpStream::connect(address).is_ok())
}

/// Waits until carbon-c-relay has started. It listens before it has: one that is connected to in its first moments
/// may crash (seen with 3.7.3).
fn has_started(process: &mut Process) -> anyhow::Result<()> {
    is_so(process, "carbon-c-relay has started", |process| {
        process.log().contains("startup sequence complete")
    })
}

fn is_so(process: &mut Process, what: &str, look: impl Fn(&Process) -> bool) -> anyhow::Result<()> {
    let outcome = eventually(START, what, || {
        if let Err(error) = process.must_run() {
            return Some(Err(error));
        }
        look(process).then_some(Ok(()))
    });
    outcome.and_then(|inner| inner).with_context(|| format!("its last words:\n{}", process.last_words()))
}
