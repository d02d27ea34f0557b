//! Programs that the node talks to: Debian's own, and a sink that misbehaves on request.

pub mod as_packaged;
pub mod c_relay;
pub mod carbon_cache;
pub mod carbon_relay;
pub mod relay_file;
pub mod sink;
pub mod whisper;

use crate::process::Process;
use skyline_peers::is_so;
pub use skyline_peers::listens;

/// Waits until carbon-c-relay has started. It listens before it has: one that is connected to in its first moments
/// may crash (seen with 3.7.3).
fn has_started(process: &mut Process) -> anyhow::Result<()> {
    is_so(process, "carbon-c-relay has started", |process| {
        process.log().contains("startup sequence complete")
    })
}
