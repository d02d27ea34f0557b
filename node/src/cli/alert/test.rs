//! `skyline alert test`: a message that says that it is a test, with a picture of made-up data, to everyone whom a channel
//! would tell of a metric. Each step is printed, and each recipient's answer; the exit code tells whether all accepted.

use crate::cli::Config;
use crate::cli::output::say;
use crate::syslog::Syslog;
use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use skyline_alerting::gallery::{Captions, WindowGallery};
use skyline_alerting::message::{Kind, Links, Message, Origin};
use skyline_alerting::rule::Rules;
use skyline_alerting::text::name;
use skyline_alerting::{Channel, Delivery, channel, samples};
use skyline_conf::check::{Finding, check};
use skyline_conf::model::Settings;
use skyline_conf::model::alerting::Alerting;
use skyline_core::clock::Clock;
use skyline_core::point::Datapoint;
use skyline_render_proxy::windows::{Later, Unanswered, Windows};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The picture of a test is waited for so long at least: nobody is in a hurry.
const PICTURE: Duration = Duration::from_secs(5);
/// What follows an accepted message is waited for so long.
const SETTLE: Duration = Duration::from_secs(60);

/// What is sent.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// email, slack, pagerduty, syslog, or the name of a webhook
    #[arg(long, value_name = "CHANNEL")]
    channel: String,
    /// Metric that the message is about; those are told whom the rules would tell of it
    #[arg(long, value_name = "NAME", default_value = "skyline_test.alerters.test")]
    metric: String,
    /// Part of the detection that the message is from
    #[arg(long, value_enum, default_value = "analyzer")]
    context: Context,
    /// Tell these instead: an address, a channel of Slack
    #[arg(long, value_name = "RECIPIENT")]
    recipient: Vec<String>,
}

/// Parts of the detection.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Context {
    Analyzer,
    Mirage,
    Ionosphere,
    Boundary,
}

impl Context {
    const fn origin(self) -> Origin {
        match self {
            Self::Analyzer => Origin::Analyzer,
            Self::Mirage => Origin::Mirage,
            Self::Ionosphere => Origin::Ionosphere,
            Self::Boundary => Origin::Boundary,
        }
    }
}

/// No windows: the picture of a test is of made-up data.
struct NoWindows;

impl Windows for NoWindows {
    fn series<'a>(&'a self, _: &'a str, _: f64, _: f64) -> Later<'a, Option<Vec<Datapoint>>> {
        Box::pin(std::future::ready(Err(Unanswered::Off)))
    }
}

/// Sends the test; whether everyone accepted it.
pub(super) async fn test(config: &Config, options: &Options) -> anyhow::Result<bool> {
    let settings = config.load()?.settings;
    refuse_what_is_wrong(&settings)?;
    if settings.alerting.dry_run {
        bail!("alerting.dry_run is true: nothing is sent; set it to false for a test");
    }
    if options.channel == "syslog" {
        return to_syslog(&settings, options).await;
    }
    let alerting = &settings.alerting;
    let all = channel::all(alerting).map_err(|problem| anyhow::anyhow!("{problem}"))?;
    let Some(way) = all.iter().find(|way| way.name() == options.channel) else {
        let names: Vec<&str> = all.iter().map(|way| way.name()).collect();
        let known = if names.is_empty() { "none is".to_owned() } else { format!("{} are", names.join(", ")) };
        bail!("the channel `{}` is not configured: {known}", name::literal(&options.channel));
    };
    let now = Clock::system().now();
    let recipients = recipients(alerting, options, now)?;
    say!("channel {}: {}", options.channel, recipients.join(", "))?;
    let gallery = gallery(alerting);
    let mut is_good = true;
    for recipient in recipients {
        let message = message(alerting, options, &recipient, now);
        is_good &= send(way.as_ref(), &message, &gallery).await?;
    }
    match tokio::time::timeout(SETTLE, way.settle()).await {
        Ok(problems) => {
            for problem in &problems {
                say!("  failed: {problem}")?;
            }
            is_good &= problems.is_empty();
        }
        Err(_) => {
            say!("  failed: what belongs to the message was not done within {} s", SETTLE.as_secs())?;
            is_good = false;
        }
    }
    say!("{}", if is_good { "all accepted it" } else { "it did not work for all" })?;
    Ok(is_good)
}

/// Placeholders and the like: the node would not start with them.
fn refuse_what_is_wrong(settings: &Settings) -> anyhow::Result<()> {
    let is_wrong = |finding: &Finding| finding.is_problem() && finding.key.starts_with("alerting");
    match check(settings).into_iter().find(is_wrong) {
        Some(finding) => bail!("{finding}"),
        None => Ok(()),
    }
}

fn gallery(alerting: &Alerting) -> WindowGallery {
    let captions = Captions { titles: alerting.titles.clone(), zone: alerting.zone.clone() };
    let patience = Duration::from_millis(u64::from(alerting.picture_milliseconds)).max(PICTURE);
    WindowGallery::new(Arc::new(NoWindows), captions, patience)
}

/// Whom the rules would tell of the metric by the channel; if none would, the channel's default recipients.
fn recipients(alerting: &Alerting, options: &Options, now: f64) -> anyhow::Result<Vec<String>> {
    if !options.recipient.is_empty() {
        return Ok(options.recipient.clone());
    }
    let rules = Rules::compile(alerting).context("alerting.rule")?;
    let mut told = BTreeSet::new();
    for found in rules.apply(&options.metric, now) {
        let targets = found.rule.targets.iter().filter(|target| target.channel == options.channel);
        told.extend(targets.flat_map(|target| target.recipients.iter().cloned()));
    }
    if told.is_empty() {
        let configured = alerting.configured().into_iter().find(|way| way.name == options.channel);
        told.extend(configured.into_iter().flat_map(|way| way.default_recipients));
    }
    if told.is_empty() {
        bail!(
            "no rule tells anybody of {} by {}, and the channel has no default: name somebody with --recipient",
            name::literal(&options.metric),
            options.channel
        );
    }
    Ok(told.into_iter().collect())
}

fn message(alerting: &Alerting, options: &Options, recipient: &str, now: f64) -> Message {
    let origin = options.context.origin();
    let mut message = samples::message(Kind::Test, origin, &options.metric, now, "");
    message.key = format!("test-{now}-{recipient}");
    message.incident = String::new();
    message.channel.clone_from(&options.channel);
    recipient.clone_into(&mut message.recipient);
    message.rule = "skyline alert test".to_owned();
    message.repeat_seconds = None;
    message.links = Links::default();
    if !alerting.public_url.is_empty() {
        message.links.incident.clone_from(&alerting.public_url);
    }
    message
}

/// Sends one message and prints what came of it; whether it was accepted.
async fn send(way: &dyn Channel, message: &Message, gallery: &WindowGallery) -> anyhow::Result<bool> {
    let shown = name::literal(&message.recipient);
    say!("{shown}: sending")?;
    let start = Instant::now();
    let delivery = way.deliver(message, None, gallery).await;
    let took = start.elapsed().as_millis();
    match delivery {
        Delivery::Accepted { answer, .. } => {
            say!("{shown}: accepted after {took} ms: {answer}")?;
            Ok(true)
        }
        Delivery::Retry { reason, .. } => {
            say!("{shown}: not accepted now, after {took} ms: {reason}")?;
            Ok(false)
        }
        Delivery::Broken { reason } => {
            say!("{shown}: the channel takes nothing, after {took} ms: {reason}")?;
            Ok(false)
        }
        Delivery::Refused { reason } => {
            say!("{shown}: refused after {took} ms: {reason}")?;
            Ok(false)
        }
    }
}

/// Syslog gives no answers: whether the line could be sent.
async fn to_syslog(settings: &Settings, options: &Options) -> anyhow::Result<bool> {
    let syslog = &settings.record.syslog;
    if !syslog.enabled {
        bail!("record.syslog.enabled is false: no lines are sent; set it to true");
    }
    let host = hostname::get().map(|name| name.to_string_lossy().into_owned()).unwrap_or_else(|_| "-".into());
    say!("channel syslog: {}", syslog.address)?;
    let text = format!(
        "{:?} {}: this is a test, nothing is wrong",
        options.context.origin(),
        name::literal(&options.metric)
    );
    match Syslog::new(&syslog.address, &host)?.say(Clock::system().now(), "test", &text).await {
        Ok(()) => {
            say!("{}: sent; syslog does not answer, look for the line where it is kept", syslog.address)?;
            Ok(true)
        }
        Err(error) => {
            say!("{}: not sent: {error}", syslog.address)?;
            Ok(false)
        }
    }
}
