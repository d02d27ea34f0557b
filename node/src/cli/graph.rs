//! `skyline graph`: a picture of a metric's window, written to a file.

use super::http;
use super::output::{program, say};
use super::send::reachable;
use anyhow::Context as _;
use clap::Args;
use jiff::tz::TimeZone;
use serde_json::Value;
use skyline_core::clock::Clock;
use skyline_render_proxy::attime;
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// What is drawn, and where to.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Name of the metric
    #[arg(value_name = "METRIC")]
    metric: String,
    /// Left end: -24h, 09:00_yesterday, 20261130 or seconds since 1970
    #[arg(long, default_value = "-24h", allow_hyphen_values = true, value_name = "TIME")]
    from: String,
    /// Right end
    #[arg(long, default_value = "now", allow_hyphen_values = true, value_name = "TIME")]
    until: String,
    /// File to write, .png or .svg; `-`: standard output, PNG
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// White instead of black
    #[arg(long)]
    light: bool,
    /// Width and height in pixels
    #[arg(long, default_value = "588x308", value_name = "WxH")]
    size: String,
    /// Time zone of the axis and of --from and --until (default: alerting.zone of the settings)
    #[arg(long, value_name = "ZONE")]
    zone: Option<String>,
    /// Draw increases from point to point, as a counter is judged
    #[arg(long)]
    increases: bool,
    /// Where the node's API is (default: http.api of the settings)
    #[arg(long, value_name = "HOST:PORT", value_parser = http::address)]
    address: Option<SocketAddr>,
}

/// Asks the node for the picture and writes it.
pub(super) async fn graph(config: &super::Config, options: &Options) -> anyhow::Result<()> {
    let settings = config.load()?.settings;
    let address = match options.address {
        Some(address) => address,
        None => reachable(*settings.http.api.first().context("http.api is empty: give --address")?),
    };
    let zone_name = options.zone.as_deref().unwrap_or(&settings.alerting.zone);
    let zone = attime::zone(zone_name).with_context(|| {
        format!("--zone: there is no time zone `{zone_name}`: name one such as UTC or Europe/Zurich")
    })?;
    let format = format_of(&options.output)?;
    let now = Clock::system().now() as i64;
    let from = time("--from", &options.from, now, &zone)?;
    let until = time("--until", &options.until, now, &zone)?;
    let path = question(options, (from, until), format, zone_name);
    let answer = http::get(address, &path).await;
    let answer = answer.map_err(|error| if http::is_refused(&error) { nobody(address) } else { error })?;
    if answer.status != 200 {
        let body = answer.json().with_context(|| format!("{address} is not a node's API"))?;
        let error = body.get("error").and_then(Value::as_str).unwrap_or("the node gave no reason");
        anyhow::bail!("nothing was drawn: {error}");
    }
    let is_picture = answer.body.starts_with(b"\x89PNG") || answer.body.starts_with(b"<svg ");
    anyhow::ensure!(
        is_picture,
        "{address} answers, but is not a node's API: --address takes that of http.api"
    );
    if options.output == Path::new("-") {
        let mut out = std::io::stdout().lock();
        return out.write_all(&answer.body).and_then(|()| out.flush()).context("standard output");
    }
    std::fs::write(&options.output, &answer.body).with_context(|| options.output.display().to_string())?;
    let when = |at: i64| {
        let at = jiff::Timestamp::from_second(at).unwrap_or_default().to_zoned(zone.clone());
        at.strftime("%Y-%m-%d %H:%M").to_string()
    };
    say!(
        "{}: {}, {} to {} {zone_name}, {} pixels, {} bytes",
        options.output.display(),
        skyline_render_proxy::draw::printable(&options.metric),
        when(from),
        when(until),
        options.size,
        answer.body.len()
    )
}

fn nobody(address: SocketAddr) -> anyhow::Error {
    anyhow::anyhow!(
        "nobody listens at {address}: is the node running? Start it with `{} run`, give the same arguments here as there, \
         or name its API (http.api) with --address",
        program()
    )
}

/// The form of a file by its name.
fn format_of(output: &Path) -> anyhow::Result<&'static str> {
    if output == Path::new("-") {
        return Ok("png");
    }
    match output.extension().and_then(|extension| extension.to_str()) {
        Some(extension) if extension.eq_ignore_ascii_case("png") => Ok("png"),
        Some(extension) if extension.eq_ignore_ascii_case("svg") => Ok("svg"),
        _ => anyhow::bail!("--output: {} ends neither in .png nor in .svg", output.display()),
    }
}

fn time(argument: &str, text: &str, now: i64, zone: &TimeZone) -> anyhow::Result<i64> {
    attime::parse(text, now, zone).with_context(|| argument.to_owned())
}

/// The path with its query.
fn question(options: &Options, (from, until): (i64, i64), format: &str, zone: &str) -> String {
    let look = if options.light { "light" } else { "dark" };
    let mut path = "/api/v1/graph/".to_owned();
    encode(&options.metric, &mut path);
    for (name, value) in [
        ("?from", from.to_string().as_str()),
        ("&until", until.to_string().as_str()),
        ("&format", format),
        ("&look", look),
        ("&size", options.size.as_str()),
        ("&zone", zone),
    ] {
        path.push_str(name);
        path.push('=');
        encode(value, &mut path);
    }
    if options.increases {
        path.push_str("&increases=true");
    }
    path
}

fn encode(text: &str, out: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _written = write!(out, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_by_name() {
        let check = |name: &str, expected: Option<&str>| {
            assert_eq!(format_of(Path::new(name)).ok(), expected, "{name}")
        };
        check("-", Some("png"));
        check("a/x.png", Some("png"));
        check("x.SVG", Some("svg"));
        check("x.gif", None);
        check("x", None);
    }

    #[test]
    fn nothing_of_a_name_is_read_as_path_or_query() {
        let options = Options {
            metric: "a/b?c=d&ü%".into(),
            from: String::new(),
            until: String::new(),
            output: "x.png".into(),
            light: true,
            size: "588x308".into(),
            zone: None,
            increases: true,
            address: None,
        };
        assert_eq!(
            question(&options, (1, 2), "png", "Europe/Zurich"),
            "/api/v1/graph/a%2Fb%3Fc%3Dd%26%C3%BC%25?from=1&until=2&format=png&look=light&size=588x308\
             &zone=Europe%2FZurich&increases=true"
        );
    }
}
