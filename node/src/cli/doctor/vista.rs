//! Jobs that fetch points from other servers: whether each does.

use super::running::Look;
use crate::cli::output::{counted, program};
use crate::cli::report::Report;
use crate::cli::status::{rows, vista};
use serde_json::Value;

pub(super) fn lines(look: &Look, report: &mut Report) {
    let jobs = rows(&look.status, "/vista/jobs").len();
    if jobs == 0 {
        return;
    }
    if look.status.pointer("/vista/enabled").and_then(Value::as_bool) != Some(true) {
        return report.ok("vista", format!("{}, switched off by vista.enabled", counted(jobs, "job")));
    }
    let failing = vista::failing(&look.status);
    if failing.is_empty() {
        return report.ok("vista", format!("{}, none fails", counted(jobs, "job")));
    }
    for (job, why) in failing {
        let advice = format!("{} vista test {job} shows it; the node asks again by itself", program());
        report.warning("vista", format!("{job}: {why}"), advice);
    }
}
