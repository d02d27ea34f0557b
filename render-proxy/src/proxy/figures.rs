//! What the proxy counts.

use skyline_core::figure::Figure;
use skyline_upstream::{Health, State};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Who answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    Graphite,
    Window,
    Cache,
    Nobody,
}

const ALL: [(By, &str); 4] =
    [(By::Graphite, "graphite"), (By::Window, "window"), (By::Cache, "cache"), (By::Nobody, "nobody")];

#[derive(Debug, Default)]
pub(super) struct Counters {
    answers: [AtomicU64; ALL.len()],
    micros: [AtomicU64; ALL.len()],
}

impl Counters {
    pub(super) fn count(&self, by: By, took: Duration) {
        if let (Some(answers), Some(micros)) = (self.answers.get(by as usize), self.micros.get(by as usize)) {
            answers.fetch_add(1, Relaxed);
            micros.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Relaxed);
        }
    }

    pub(super) fn figures(&self, out: &mut Vec<Figure>) {
        for ((_, name), (answers, micros)) in ALL.iter().zip(self.answers.iter().zip(&self.micros)) {
            let count = Figure::counter(
                "skyline_render_proxy_answers_total",
                "Render questions by who answered them",
                answers.load(Relaxed),
            );
            out.push(count.label("by", *name));
            let mut seconds = Figure::counter(
                "skyline_render_proxy_answer_seconds_total",
                "Time that these answers took, until their body began",
                0,
            );
            seconds.value = micros.load(Relaxed) as f64 / 1e6;
            out.push(seconds.label("by", *name));
        }
    }
}

/// Figures of the servers.
pub(super) fn of_servers(all: &[Health], out: &mut Vec<Figure>) {
    for health in all {
        let mut push = |figure: Figure| out.push(figure.label("server", health.name.clone()));
        push(Figure::gauge(
            "skyline_render_proxy_server_up",
            "1 if the Graphite server is asked, 0 while it is left alone after failures",
            f64::from(u8::from(health.state == State::Closed)),
        ));
        push(Figure::counter(
            "skyline_render_proxy_server_rests_total",
            "Times that the Graphite server was left alone after failures",
            health.rests,
        ));
        push(Figure::gauge(
            "skyline_render_proxy_server_in_hand",
            "Questions that the Graphite server has not answered yet",
            health.in_hand as f64,
        ));
        for (class, count) in ["1xx", "2xx", "3xx", "4xx", "5xx"].into_iter().zip(health.statuses) {
            let name = "skyline_render_proxy_server_answers_total";
            push(
                Figure::counter(name, "Answers of the Graphite server, by status", count)
                    .label("status", class),
            );
        }
        for (failure, count) in &health.failures {
            let name = "skyline_render_proxy_server_failures_total";
            let help = "Questions without an answer of the Graphite server, by reason";
            push(Figure::counter(name, help, *count).label("reason", failure.name()));
        }
    }
}
