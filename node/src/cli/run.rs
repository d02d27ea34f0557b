//! `skyline run`: settings, parts, signals, an orderly stop.

use super::EXIT_SETTINGS;
use super::output::sentence;
use crate::huge_pages;
use crate::node::Node;
use crate::reload;
use skyline_conf::model::Settings;
use skyline_conf::model::node::LogFormat;
use skyline_core::clock::Clock;
use skyline_relay::gather::Gather;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// A disk or a lock is in the way (sysexits EX_IOERR).
const EXIT_DISK: u8 = 74;
/// A part of the program has panicked (sysexits EX_SOFTWARE).
const EXIT_FAULT: u8 = 70;
/// How long what is not part of the stop may keep the process.
const LAST_WORK: Duration = Duration::from_secs(1);
/// Threads whose panics end a request, not the node.
const HTTP_THREAD: &str = "http";

/// Runs the node until SIGTERM or SIGINT.
pub(super) fn run(config: &super::Config) -> anyhow::Result<ExitCode> {
    let loaded = config.load()?;
    let findings = skyline_conf::check::check(&loaded.settings);
    let problems: Vec<_> = findings.iter().filter(|f| f.is_problem()).collect();
    if !problems.is_empty() {
        for problem in problems {
            eprintln!("skyline: {}", loaded.told(problem));
        }
        eprintln!("skyline: nothing was started; `skyline check` shows all findings");
        return Ok(ExitCode::from(EXIT_SETTINGS));
    }
    start_logging(&loaded.settings);
    let relaying = reload::relaying(&loaded.settings)?;
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    for finding in findings {
        let place = loaded.place_of_finding(&finding).map(ToString::to_string);
        tracing::warn!(key = finding.key, place, "{}; {}", finding.message, finding.advice);
    }
    for note in &relaying.notes {
        tracing::warn!("{note}");
    }
    let settings = loaded.settings;
    if settings.window.enabled {
        huge_pages::ask();
    }
    let runtime = runtime()?;
    let ended = runtime.block_on(async move {
        let stop = stop_signal()?;
        let has_panicked = stop_on_panic(&stop);
        let hang_ups = signal(SignalKind::hangup())?;
        let node = match Node::start(settings, relaying, Some(config.clone()), Clock::system()).await {
            Ok(node) => node,
            Err(error) => {
                eprintln!("skyline: {}", sentence(&error));
                return Ok(ExitCode::from(EXIT_DISK));
            }
        };
        tokio::spawn(reload_on_hang_up(hang_ups, node.reload()));
        stop.cancelled().await;
        node.stop().await;
        let fault = has_panicked.load(Ordering::Acquire);
        Ok(if fault { ExitCode::from(EXIT_FAULT) } else { ExitCode::SUCCESS })
    });
    // Everything is saved: a file or a name that a thread still waits for keeps the process no longer.
    runtime.shutdown_timeout(LAST_WORK);
    ended
}

/// A part that has panicked does its work no more: the node stops in order, so that the journal is kept
/// whole and a service manager starts it again. Whether that has happened.
fn stop_on_panic(stop: &CancellationToken) -> Arc<AtomicBool> {
    let has_panicked = Arc::new(AtomicBool::new(false));
    let (stop, seen) = (stop.clone(), Arc::clone(&has_panicked));
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        usual(panic);
        if std::thread::current().name() != Some(HTTP_THREAD) {
            seen.store(true, Ordering::Release);
            tracing::error!(%panic, "a fault of this program: please report it; stopping in order");
            stop.cancel();
        }
    }));
    has_panicked
}

/// The runtime of listeners and destinations. One thread for two processors: windows take the other
/// half, and each hand-over between threads costs more than the reading of a hundred lines.
pub(super) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    let mut builder = match cores.div_ceil(2) {
        // A scheduler for one thread has nothing to hand over, which saves a tenth of what a burst costs.
        1 => {
            let mut builder = tokio::runtime::Builder::new_current_thread();
            let gather = Gather::default();
            builder.on_thread_park(move || gather.pause());
            builder
        }
        threads => {
            let mut builder = tokio::runtime::Builder::new_multi_thread();
            builder.worker_threads(threads).thread_name("relay");
            builder
        }
    };
    Ok(builder.enable_all().build()?)
}

/// Sends log lines to standard error as the settings say.
pub(super) fn start_logging(settings: &Settings) {
    let filter = EnvFilter::try_new(&settings.node.log).unwrap_or_else(|error| {
        eprintln!("skyline: node.log `{}`: {error}; using `info`", settings.node.log);
        EnvFilter::new("info")
    });
    // Where nobody reads standard error any more, saying so there would be a panic.
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .log_internal_errors(false);
    // A second subscriber in one process (tests) is refused; the first goes on.
    match settings.node.log_format {
        LogFormat::Text => drop(lines.with_ansi(false).try_init()),
        LogFormat::Json => drop(lines.json().try_init()),
    }
}

/// Reads the settings again at each SIGHUP, as people make other relays do it.
async fn reload_on_hang_up(mut hang_ups: Signal, reload: reload::Door) {
    while hang_ups.recv().await.is_some() {
        // The outcome is in the log.
        drop(reload::ask(&reload).await);
    }
}

/// Cancelled by the first SIGTERM or SIGINT; a second one ends the process at once.
pub(super) fn stop_signal() -> anyhow::Result<CancellationToken> {
    let token = CancellationToken::new();
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let first = token.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping; a second signal ends at once");
        first.cancel();
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        std::process::abort();
    });
    Ok(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_stops_the_node_and_one_of_a_request_does_not() {
        let stop = CancellationToken::new();
        let has_panicked = stop_on_panic(&stop);
        let panic = |name: &str| {
            let thread = std::thread::Builder::new().name(name.to_owned());
            thread.spawn(|| std::panic::panic_any("on purpose")).unwrap().join().unwrap_err();
            (stop.is_cancelled(), has_panicked.load(Ordering::Acquire))
        };
        assert_eq!(panic(HTTP_THREAD), (false, false));
        assert_eq!(panic("journal-keeper"), (true, true));
    }
}
