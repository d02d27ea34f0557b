//! Requests over HTTP that were refused for want of a right key: their senders may drop the points for good.

use super::running::Look;
use crate::cli::output::counted;
use crate::cli::report::Report;

pub(super) fn lines(look: &Look, report: &mut Report) {
    let strangers = look.number("/flux/by_status/401");
    if strangers > 0.0 {
        let requests = counted(strangers as usize, "request");
        report.warning(
            "flux",
            format!("{requests} without a right key since the start; Prometheus drops what is answered so"),
            "compare the key of who sends with that of flux.api_keys; the log names the addresses",
        );
    }
}
