//! Points on their way in: listeners, senders, what is refused, the journal, the ledger.

use super::running::{Look, of, whole};
use crate::cli::report::Report;
use crate::cli::status::{harmless, mebibytes, refusal, text, time};
use serde_json::Value;
use skyline_conf::model::Settings;
use skyline_core::clock::Clock;

/// Senders speak once a minute; silence for longer means something, seconds.
const SILENCE: f64 = 150.0;
/// A reader that is further behind is named, seconds.
const BEHIND: f64 = 60.0;
/// A refused point of so long ago is history, seconds.
const RECENT: f64 = 600.0;

pub(super) fn lines(look: &Look, settings: &Settings, report: &mut Report) {
    listeners(look, settings, report);
    refused(look, report);
    journal(look, report);
    if look.is("/ledger_balanced") {
        report.ok("ledger", "every point is accounted for");
    } else {
        let message = "received, logged and refused points do not add up";
        report.problem("ledger", message, "keep the node's log and the answer of /-/status, and report it");
    }
}

/// An address of a listener for lines, as bash takes it.
fn for_lines(settings: &Settings) -> String {
    let address = settings.listen.plaintext_tcp.first().copied().map(crate::cli::send::reachable);
    address.map_or_else(|| "HOST/PORT".to_owned(), |at| format!("{}/{}", at.ip(), at.port()))
}

fn listeners(look: &Look, settings: &Settings, report: &mut Report) {
    let is_open =
        |row: &&Value| row.get("addresses").and_then(Value::as_array).is_some_and(|all| !all.is_empty());
    let open: Vec<_> = look.rows("/listeners").iter().filter(is_open).collect();
    if open.is_empty() {
        let advice =
            "name an address in [listen], such as plaintext_tcp = [\"0.0.0.0:2003\"], and restart the node";
        return report.problem("listen", "no listener is open", advice);
    }
    let before = |name: &str| {
        let rows = crate::cli::status::rows(&look.before, "/listeners");
        rows.iter().find(|row| text(row, "listener") == name).map_or(0.0, |row| of(row, "received"))
    };
    let senders = look.rows("/senders");
    let newest = senders.iter().max_by(|a, b| of(a, "last_seen").total_cmp(&of(b, "last_seen")));
    let mut received = 0.0;
    for row in &open {
        let name = text(row, "listener");
        let now = of(row, "received");
        received += now;
        let rate = (now - before(&name)).max(0.0) / look.seconds.max(f64::MIN_POSITIVE);
        let at: Vec<_> = crate::cli::status::rows(row, "/addresses")
            .iter()
            .filter_map(Value::as_str)
            .map(harmless)
            .collect();
        let at = at.join(", ");
        report.ok(
            "listen",
            format!("{name} at {at}: {} points so far, {} a second now", whole(now), whole(rate)),
        );
    }
    let Some(newest) = newest.filter(|_| received > 0.0) else {
        let advice = format!(
            "point a sender at it, or try: bash -c 'echo \"test.doctor 1 $(date +%s)\" > /dev/tcp/{}'",
            for_lines(settings)
        );
        return report.warning("senders", "nobody has sent a point since the start", advice);
    };
    let (seen, who) = (of(newest, "last_seen"), text(newest, "sender"));
    let ago = Clock::system().now() - seen;
    if ago > SILENCE {
        let message = format!("nothing has come for {} s, last from {who}", whole(ago));
        report.warning("senders", message, "look at the senders, and at firewalls between them and the node");
    } else {
        report.ok("senders", format!("the last to send was {who}, {} s ago", whole(ago.max(0.0))));
    }
}

fn refused(look: &Look, report: &mut Report) {
    let all: f64 = look.rows("/listeners").iter().map(|row| of(row, "refused")).sum();
    if all == 0.0 {
        return report.ok("bad points", "none was refused since the start");
    }
    let by_reason: Vec<_> = look
        .rows("/listeners")
        .iter()
        .filter_map(|row| row.get("reasons")?.as_object())
        .flatten()
        .map(|(reason, n)| format!("{} {}", harmless(reason), whole(n.as_f64().unwrap_or(0.0))))
        .collect();
    let message = format!("{} were refused since the start ({})", whole(all), by_reason.join(", "));
    let Some(last) = look.rows("/bad_points").last() else {
        return report.ok("bad points", message);
    };
    if Clock::system().now() - of(last, "time") > RECENT {
        return report.ok("bad points", format!("{message}, none of late; the last: {}", refusal(last)));
    }
    let advice = format!("mend that sender; more of them: {} status --bad", crate::cli::output::program());
    report.warning("bad points", format!("{message}; the last: {}", refusal(last)), advice);
}

fn journal(look: &Look, report: &mut Report) {
    let (bytes, budget) = (look.number("/journal/bytes"), look.number("/journal/budget"));
    let at = |path: &str| mebibytes(look.status.pointer(path));
    let mut message = format!("{} on disk of {}", at("/journal/bytes"), at("/journal/budget"));
    let slowest = look
        .rows("/journal/readers")
        .iter()
        .max_by(|a, b| of(a, "lag_seconds").total_cmp(&of(b, "lag_seconds")));
    let behind = slowest.filter(|row| of(row, "lag_seconds") > BEHIND);
    if let Some(row) = behind {
        let (reader, points) = (text(row, "reader"), whole(of(row, "waiting")));
        message +=
            &format!("; {reader} is furthest behind: {points} points, {} s", whole(of(row, "lag_seconds")));
    }
    if budget > 0.0 && bytes > 0.9 * budget {
        let advice = "bring back who is behind, or raise journal.max_bytes; what does not fit is lost for who is behind";
        return report.problem("journal", format!("{message}: nearly full"), advice);
    }
    match behind {
        Some(_) => report.warning("journal", message, "see what that reader waits for, below"),
        None => report.ok("journal", message),
    }
    let shed: Vec<_> = look
        .rows("/journal/readers")
        .iter()
        .filter(|row| of(row, "shed") + of(row, "lost") > 0.0)
        .map(|row| format!("{} {}", text(row, "reader"), whole(of(row, "shed") + of(row, "lost"))))
        .collect();
    if !shed.is_empty() {
        let message =
            format!("points that were dropped before a reader had them, in all time: {}", shed.join(", "));
        report.warning("journal", message, "raise journal.max_bytes if outages are longer than it holds");
    }
}

/// When a row says that something began.
pub(super) fn since(row: &Value) -> String {
    match of(row, "since") {
        0.0 => String::new(),
        _ => format!(" since {}", time(row.get("since"))),
    }
}
