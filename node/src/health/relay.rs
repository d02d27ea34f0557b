//! What the relay does, for whoever asks: destinations, senders, what was refused. All are copies.

use super::Health;
use serde_json::{Value, json};
use skyline_core::batch::Listener;
use skyline_core::figure::Figure;

impl Health {
    /// Once a second: what destinations have done, and who is left out of rings.
    pub(crate) fn look_at_destinations(&self) {
        let (all, now) = (self.destinations.status(), self.clock.now());
        self.watch.look(&all, now);
        self.detour.look(&all, now);
    }

    /// Every destination in every detail.
    pub(crate) fn relay_destinations(&self) -> Vec<Value> {
        let all = self.destinations.status();
        let row = |d: &skyline_relay::dest::DestinationStatus| {
            json!({
                "destination": d.address, "endpoint": d.endpoint, "leaving": d.leaving, "held": d.held,
                "protocol": d.protocol, "connected": d.connected, "pausing": d.pausing, "since": d.since, "last_error": d.last_error,
                "detoured": self.detour.is_out(&d.reader),
                "routed": d.routed, "delivered": d.delivered, "waiting": d.waiting, "shed": d.shed, "lost": d.lost,
                "points_per_second": self.watch.rate(&d.reader), "lag_seconds": d.lag_seconds,
                "spool_bytes": d.spool_bytes, "sent": d.sent, "sent_bytes": d.sent_bytes, "writes": d.writes,
                "writing_seconds": d.writing_seconds, "repeats": d.repeats, "reconnects": d.reconnects,
                "errors": d.errors, "pauses": d.pauses,
                // Of `shed`: what is not named was dropped by the journal's budget, or in earlier runs.
                "drops": { "behind_mark": d.skipped, "journal_budget": d.shed.saturating_sub(d.skipped), "damage": d.lost },
            })
        };
        all.iter().map(row).collect()
    }

    /// The senders with most points, `limit` at most, and how many there are.
    pub(crate) fn relay_senders(&self, limit: usize) -> (Vec<Value>, usize) {
        let all = self.intake.senders();
        let row = |s: &skyline_relay::intake::SenderStatus| {
            // Of HTTP only requests are known, which come and go.
            let connected = (s.listener != Some(Listener::Flux)).then_some(s.connected);
            json!({
                "sender": s.sender, "listener": s.listener.map(|listener| listener.label()), "points": s.points,
                "bad_points": s.refused, "bytes": s.bytes, "last_seen": s.last_seen, "connected": connected,
            })
        };
        (all.iter().take(limit).map(row).collect(), all.len())
    }

    /// The newest refused points, oldest first, `limit` at most.
    pub(crate) fn bad_points(&self, limit: usize) -> Vec<Value> {
        let all = self.intake.recent_refusals();
        let from = all.len().saturating_sub(limit);
        let row = |r: &skyline_relay::intake::Refusal| {
            json!({
                "time": r.time, "listener": r.listener.label(), "peer": r.peer.to_string(),
                "reason": r.why.label(), "text": r.text,
            })
        };
        all.iter().skip(from).map(row).collect()
    }

    pub(super) fn relay_figures(&self, out: &mut Vec<Figure>) {
        for d in self.destinations.status() {
            let mut add = |name, help, value| {
                out.push(Figure::gauge(name, help, value).label("destination", d.address.clone()));
            };
            add(
                "skyline_destination_detoured",
                "1 while new points of its names go to others because it is down (DYNAMIC_ROUTER)",
                f64::from(self.detour.is_out(&d.reader)),
            );
            if let Some(rate) = self.watch.rate(&d.reader) {
                add("skyline_destination_points_per_second", "Points that it took, of the last 10 s", rate);
            }
        }
    }
}
