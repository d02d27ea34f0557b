//! Pictures of messages for docs/alerts: `messages FOLDER` writes them, with Chromium, which must be installed.
#![expect(clippy::print_stdout, reason = "it speaks to a person")]

use anyhow::Context as _;
use skyline_alerting::channel::Gallery as _;
use skyline_alerting::gallery::{Captions, WindowGallery, sample};
use skyline_alerting::message::{Kind, Member, Message, Origin};
use skyline_alerting::samples;
use skyline_alerting::text::{Story, Style, html};
use skyline_conf::model::alerting::Alerting;
use skyline_core::point::Datapoint;
use skyline_render_proxy::windows::{Later, Windows};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

/// Monday, 30 November 2026, 14:41 in Zurich.
const NOW: f64 = 1_796_046_060.0;
/// Width of a picture, pixels.
const WIDTH: u32 = 660;
/// More than any message is high, pixels.
const HEIGHT: u32 = 2_000;
/// Names of programs that take the pictures.
const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// Windows of the members of one message.
struct Members(Vec<Member>);

impl Windows for Members {
    fn series<'a>(&'a self, name: &'a str, from: f64, until: f64) -> Later<'a, Option<Vec<Datapoint>>> {
        let member = self.0.iter().find(|member| member.metric == name);
        Box::pin(async move { Ok(member.map(|member| sample::series(member, from, until))) })
    }
}

fn messages() -> Vec<(&'static str, Message)> {
    let metric = "servers.web01.requests.latency.p99";
    let of = |kind, origin| samples::message(kind, origin, metric, NOW, "https://skyline.example.net");
    let others = ["servers.web01.cpu.user", "servers.web01.requests.errors", "servers.db02.queries.slow"];
    vec![
        ("open", samples::with_company(of(Kind::Opened, Origin::Analyzer), &others)),
        ("update", samples::with_company(of(Kind::Updated, Origin::Analyzer), &others)),
        ("ended", over(of(Kind::Ended, Origin::Analyzer))),
        ("stale", of(Kind::Stale, Origin::Analyzer)),
        ("returned", of(Kind::Returned, Origin::Analyzer)),
        ("held", of(Kind::HeldBack, Origin::Analyzer)),
        ("boundary", of(Kind::Opened, Origin::Boundary)),
        ("test", of(Kind::Test, Origin::Analyzer)),
    ]
}

/// One that lasted for two hours, and is over for one.
fn over(mut message: Message) -> Message {
    message.opened = NOW - 3.0 * 3_600.0;
    message.ended = Some(NOW - 3_600.0);
    for member in &mut message.members {
        member.since = message.opened;
        member.last = NOW - 3_600.0;
        member.peak.0 = message.opened + 2_400.0;
        member.points = 121;
        member.ended = Some(member.last);
    }
    message
}

async fn page(folder: &Path, name: &str, message: &Message) -> anyhow::Result<std::path::PathBuf> {
    let settings = Alerting { zone: "Europe/Zurich".into(), ..Alerting::default() };
    let captions = Captions { titles: settings.titles.clone(), zone: settings.zone.clone() };
    let windows = Arc::new(Members(message.members.clone()));
    let pictures = WindowGallery::new(windows, captions, Duration::from_secs(30)).pictures(message).await;
    let picture = format!("{name}-window.png");
    if let Some(window) = &pictures.window {
        std::fs::write(folder.join(&picture), window)?;
    }
    let shown = html::Shown {
        window: pictures.window.as_ref().map(|_| picture.as_str()),
        description: &pictures.description,
        graphite: None,
    };
    let text = html::write(&Story::new(message, &Style::new(&settings)), shown);
    let file = folder.join(format!("{name}.html"));
    std::fs::write(&file, text)?;
    Ok(file)
}

fn photograph(page: &Path, picture: &Path) -> anyhow::Result<()> {
    for browser in BROWSERS {
        let taken = Command::new(browser)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"])
            .arg(format!("--window-size={WIDTH},{HEIGHT}"))
            .arg(format!("--screenshot={}", picture.display()))
            .arg(format!("file://{}", page.display()))
            .output();
        if taken.is_ok_and(|output| output.status.success()) {
            return Ok(());
        }
    }
    anyhow::bail!("no browser took a picture: install chromium")
}

/// Writes a picture anew without the rows at its lower end that are all of one colour.
fn crop(from: &Path, to: &Path) -> anyhow::Result<usize> {
    let mut decoder = png::Decoder::new(std::io::BufReader::new(std::fs::File::open(from)?));
    decoder.set_transformations(png::Transformations::EXPAND);
    let mut reader = decoder.read_info()?;
    let mut raw = vec![0; reader.output_buffer_size().context("too large")?];
    let info = reader.next_frame(&mut raw)?;
    let channels = info.color_type.samples();
    let width = info.width as usize;
    let pixels: Vec<[u8; 3]> =
        raw.chunks_exact(channels).filter_map(|pixel| pixel.first_chunk::<3>().copied()).collect();
    let is_empty = |row: &&[[u8; 3]]| row.iter().all(|pixel| Some(pixel) == row.first());
    let rows: Vec<&[[u8; 3]]> = pixels.chunks_exact(width).collect();
    let height = rows.len() - rows.iter().rev().take_while(|row| is_empty(row)).count() + 12;
    let kept: Vec<[u8; 3]> = rows.into_iter().take(height).flatten().copied().collect();
    let packed = skyline_render_proxy::draw::packed(&kept, (info.width, u32::try_from(height)?))?;
    std::fs::write(to, &packed)?;
    Ok(packed.len())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let folder = std::env::args_os().nth(1).context("name a folder")?;
    let folder = Path::new(&folder);
    std::fs::create_dir_all(folder)?;
    let work = tempfile::tempdir()?;
    for (name, message) in messages() {
        let page = page(work.path(), name, &message).await?;
        let whole = work.path().join("whole.png");
        photograph(&page, &whole)?;
        if name == "ended" {
            // For docs/charts.md.
            std::fs::copy(work.path().join("ended-window.png"), folder.join("chart.png"))?;
        }
        let picture = folder.join(format!("{name}.png"));
        println!("{}: {} bytes", picture.display(), crop(&whole, &picture)?);
    }
    Ok(())
}
