//! `skyline backfill`: has a running node fill its windows from Graphite or from whisper files, and shows how far it is.

use super::http::{self, Answer};
use super::output::{counted, program, say};
use super::status::backfill::{rates, what};
use super::status::harmless;
use anyhow::Context as _;
use clap::builder::NonEmptyStringValueParser;
use hyper::Method;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Map, Value, json};
use skyline_core::clock::Clock;
use skyline_render_proxy::attime;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

const PATH: &str = "/api/v1/backfill";
/// Between two looks at how far it is; the first come sooner, for a small one.
const LOOK: Duration = Duration::from_millis(500);
const FIRST_LOOK: Duration = Duration::from_millis(40);
/// Looks in a row that may fail: a node that starts again answers after a while.
const PATIENCE: u32 = 120;

/// What is filled, and from where.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// From when: -24h, 10:00_yesterday, or seconds since the epoch, in UTC; not before the window
    #[arg(long, value_name = "TIME", default_value = "-24h", allow_hyphen_values = true, value_parser = NonEmptyStringValueParser::new())]
    from: String,
    /// Until when
    #[arg(long, value_name = "TIME", default_value = "now", allow_hyphen_values = true, value_parser = NonEmptyStringValueParser::new())]
    until: String,
    /// Only metrics of this pattern, such as `servers.web*.cpu.**` (default: all)
    #[arg(long, value_name = "GLOB", value_parser = NonEmptyStringValueParser::new())]
    select: Option<String>,
    /// Address of a Graphite server (default: the first [[graphite.server]] of the node's settings, with its credentials)
    #[arg(long, value_name = "URL", conflicts_with = "whisper")]
    graphite: Option<String>,
    /// Folder of whisper files on the node's machine; they are only read
    #[arg(long, value_name = "FOLDER")]
    whisper: Option<PathBuf>,
    /// Questions to the server a second (default: backfill.requests_per_second of the node's settings)
    #[arg(long, value_name = "N", value_parser = a_rate)]
    rate: Option<f64>,
    /// Show the back-fill that runs, or ran last
    #[arg(long, conflicts_with_all = ["cancel", "select", "graphite", "whisper", "rate"])]
    status: bool,
    /// End the back-fill that runs; what is filled stays
    #[arg(long, conflicts_with_all = ["select", "graphite", "whisper", "rate"])]
    cancel: bool,
    /// Begin it and do not wait
    #[arg(long, conflicts_with_all = ["status", "cancel"])]
    detach: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: super::Config,
}

/// A number of questions a second.
fn a_rate(text: &str) -> Result<f64, String> {
    let rate = text.parse::<f64>().ok().filter(|rate| rate.is_finite() && *rate > 0.0);
    rate.ok_or_else(|| "a number above 0 is wanted, such as 5".to_owned())
}

/// Does it; `true` if all metrics are done.
#[expect(clippy::print_stderr, reason = "standard output may be JSON")]
pub(super) async fn act(options: &Options) -> anyhow::Result<bool> {
    let settings = options.config.load()?.settings;
    let api = *settings.http.api.first().context("http.api is empty: the node cannot be asked")?;
    http::is_node(api).await.with_context(|| {
        format!(
            "no node answers at {api} (http.api): start one with `{} run`, and give the same --config here",
            program()
        )
    })?;
    if options.cancel {
        return cancel(api, options.json).await;
    }
    if options.status {
        let report = report(http::get(api, PATH).await?)?;
        if options.json {
            say!("{}", serde_json::to_string_pretty(&report)?)?;
        } else if report.is_null() {
            let (program, config) = (program(), options.config.argument());
            say!("there was no back-fill; next: {program} backfill --from -24h{config}")?;
        } else {
            Told(&report).print()?;
        }
        return Ok(report.is_null() || Told(&report).is_good() || Told(&report).is_open());
    }
    let begun = report(http::change(Method::POST, api, PATH, &wish(options)?).await?)?;
    if options.detach {
        if options.json {
            say!("{}", serde_json::to_string_pretty(&begun)?)?;
        } else {
            say!("begun; next: {} backfill --status{}", program(), options.config.argument())?;
        }
        return Ok(true);
    }
    let Some(last) = watch(api, &begun).await? else {
        // Not all metrics are read yet, so this is no success; and what reads JSON gets none.
        let (program, config) = (program(), options.config.argument());
        eprintln!(
            "the node goes on with it; {program} backfill --status{config} shows how far it is, --cancel ends it"
        );
        return Ok(false);
    };
    if options.json {
        say!("{}", serde_json::to_string_pretty(&last)?)?;
    } else {
        Told(&last).print()?;
    }
    Ok(Told(&last).is_good())
}

/// What the node is asked for.
fn wish(options: &Options) -> anyhow::Result<Value> {
    let (now, zone) = (Clock::system().now() as i64, jiff::tz::TimeZone::UTC);
    let time = |argument: &str, text: &str| {
        attime::parse(text, now, &zone).with_context(|| format!("{argument} {text}"))
    };
    let mut wish = Map::new();
    wish.insert("from".into(), json!(time("--from", &options.from)?));
    wish.insert("until".into(), json!(time("--until", &options.until)?));
    for (key, text) in [("select", &options.select), ("graphite", &options.graphite)] {
        wish.extend(text.as_ref().map(|text| (key.to_owned(), json!(text))));
    }
    if let Some(folder) = &options.whisper {
        // The node may have been started elsewhere.
        let folder =
            std::path::absolute(folder).with_context(|| format!("--whisper {}", folder.display()))?;
        wish.insert("whisper".into(), json!(folder));
    }
    wish.extend(options.rate.map(|rate| ("rate".to_owned(), json!(rate))));
    Ok(wish.into())
}

/// The report of an answer.
fn report(answer: Answer) -> anyhow::Result<Value> {
    Ok(good(answer)?.get("backfill").cloned().unwrap_or_default())
}

/// The body of an answer, if the node did as it was asked.
fn good(answer: Answer) -> anyhow::Result<Value> {
    let body = answer.json()?;
    let why = body.get("error").and_then(Value::as_str).unwrap_or("the node gave no reason");
    anyhow::ensure!(answer.status == 200, "{why}");
    Ok(body)
}

async fn cancel(api: SocketAddr, json: bool) -> anyhow::Result<bool> {
    let body = good(http::change(Method::DELETE, api, PATH, &json!({})).await?)?;
    let was_there = body.get("cancelled").and_then(Value::as_bool) == Some(true);
    if json {
        say!("{body}")?;
    } else if was_there {
        say!("cancelled: it ends now; what is filled stays")?;
    } else {
        say!("no back-fill runs")?;
    }
    Ok(was_there)
}

/// Shows how far it is until it has ended; none: somebody pressed ctrl-c.
async fn watch(api: SocketAddr, begun: &Value) -> anyhow::Result<Option<Value>> {
    // Draws nothing where standard error is no terminal.
    let bar = ProgressBar::new(0);
    bar.set_style(ProgressStyle::with_template("{bar:30} {human_pos} of {human_len} metrics, {msg}")?);
    let began = begun.get("began").cloned();
    let (mut failed, mut pause) = (0, FIRST_LOOK);
    loop {
        tokio::select! {
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(LOOK),
            _ = tokio::signal::ctrl_c() => {
                bar.finish_and_clear();
                return Ok(None);
            }
        }
        let now = match http::get(api, PATH).await.and_then(report) {
            Ok(now) => now,
            Err(error) if failed >= PATIENCE => {
                bar.finish_and_clear();
                return Err(error.context("the node does not answer; it goes on when it runs again"));
            }
            Err(_) => {
                failed += 1;
                bar.set_message("the node does not answer");
                continue;
            }
        };
        failed = 0;
        let told = Told(&now);
        if now.get("began") != began.as_ref() || !told.is_open() {
            bar.finish_and_clear();
            return Ok(Some(now));
        }
        bar.set_length(told.number("metrics"));
        bar.set_position(told.number("position"));
        bar.set_message(match told.phase() {
            "listing" => "looking which metrics there are".to_owned(),
            _ if told.count("failures") > 0 => {
                format!("{}; {} questions failed", rates(&now), told.count("failures"))
            }
            _ => rates(&now),
        });
    }
}

/// A report as it is told.
struct Told<'a>(&'a Value);

impl Told<'_> {
    fn number(&self, key: &str) -> u64 {
        self.0.get(key).and_then(Value::as_u64).unwrap_or(0)
    }

    fn count(&self, key: &str) -> u64 {
        self.0.pointer(&format!("/counts/{key}")).and_then(Value::as_u64).unwrap_or(0)
    }

    fn phase(&self) -> &str {
        self.0.get("phase").and_then(Value::as_str).unwrap_or_default()
    }

    fn seconds(&self) -> f64 {
        self.0.get("seconds").and_then(Value::as_f64).unwrap_or(0.0).max(1e-3)
    }

    fn is_open(&self) -> bool {
        matches!(self.phase(), "listing" | "filling")
    }

    fn is_good(&self) -> bool {
        // Below a folder that could not be read there are metrics that nobody knows of.
        self.phase() == "done" && self.count("failed") == 0 && self.count("unread") == 0
    }

    fn print(&self) -> anyhow::Result<()> {
        let metrics = counted(self.number("metrics") as usize, "metric");
        match self.phase() {
            "listing" => say!("looking which metrics there are")?,
            phase => say!("{phase}: {} of {metrics}", self.number("position"))?,
        }
        say!("{}", what(self.0))?;
        if let Some(why) = self.0.get("error").and_then(Value::as_str).filter(|why| !why.is_empty()) {
            say!("failed: {}", harmless(why))?;
        }
        say!("{:>12} points fetched", self.count("points"))?;
        say!("{:>12} stored", self.count("stored"))?;
        say!("{:>12} there already", self.count("there"))?;
        let refused = self.0.pointer("/counts/refused").and_then(Value::as_object);
        for (reason, points) in refused.into_iter().flatten() {
            let reason = if reason == "old" { "older than the window" } else { reason };
            say!("{:>12} not taken: {reason}", points.as_u64().unwrap_or(0))?;
        }
        for (key, text) in [
            ("empty", "metrics without a point in that time"),
            ("failed", "metrics that could not be read"),
            ("unread", "folders that could not be read"),
            ("nameless", "files without a name, and links that lead nowhere or back"),
            ("others", "files that are packed or of Ceres, which are not read"),
            ("unasked", "series of answers with names that were not asked for, left out"),
        ] {
            if self.count(key) > 0 {
                say!("{:>12} {text}", self.count(key))?;
            }
        }
        for trouble in self.0.get("troubles").and_then(Value::as_array).into_iter().flatten() {
            let text = |key: &str| harmless(trouble.get(key).and_then(Value::as_str).unwrap_or_default());
            say!("not read: {}: {}", text("metric"), text("error"))?;
        }
        let requests = self.count("requests");
        say!(
            "{:.1} s, {} ({} failed), {:.1} of them a second",
            self.seconds(),
            counted(requests as usize, "request"),
            self.count("failures"),
            requests as f64 / self.seconds()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    fn parsed(arguments: &str) -> Result<Options, clap::Error> {
        Line::try_parse_from(["backfill"].into_iter().chain(arguments.split_whitespace()))
            .map(|line| line.options)
    }

    #[test]
    fn what_the_node_is_asked_for() {
        let options = parsed("--from -6h --until -1h --select a.* --whisper files --rate 3").unwrap();
        let wish = wish(&options).unwrap();
        let number = |key: &str| wish.get(key).and_then(Value::as_f64).unwrap();
        assert_eq!(number("until") - number("from"), 5.0 * 3_600.0);
        assert_eq!((wish["select"].as_str(), number("rate")), (Some("a.*"), 3.0));
        assert!(wish["whisper"].as_str().unwrap().starts_with('/') && wish.get("graphite").is_none());
        let error = super::wish(&parsed("--from soonish").unwrap()).unwrap_err().to_string();
        assert!(error.contains("--from soonish"), "{error}");
    }

    #[test]
    fn what_does_not_go_together() {
        for arguments in [
            "--graphite http://a --whisper b",
            "--status --cancel",
            "--status --rate 1",
            "--rate nan",
            "--rate 0",
            "--select=",
            "--from=",
        ] {
            assert!(parsed(arguments).is_err(), "{arguments}");
        }
    }
}
