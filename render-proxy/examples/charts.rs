//! Draws charts of many kinds of series into a folder, to be looked at: `charts FOLDER [CSV...]`.
//!
//! A CSV file has lines `YYYY-MM-DD HH:MM:SS,VALUE`; its last three days are drawn as an alert would show them.
#![expect(clippy::print_stdout, reason = "it speaks to a person")]

use skyline_core::point::Datapoint;
use skyline_render_proxy::draw::{Chart, Look};
use std::path::Path;

const END: f64 = 1_796_052_600.0;
const DAY: f64 = 86_400.0;

fn noise(i: u32) -> f64 {
    f64::from(i.wrapping_mul(2_654_435_761) >> 12) / f64::from(1 << 20) - 0.5
}

/// A day of minutes.
fn day(value: impl Fn(u32) -> Option<f64>) -> Vec<Datapoint> {
    let point = |i: u32| value(i).map(|value| Datapoint::new(END - DAY + 60.0 * f64::from(i + 1), value));
    (0..1440).filter_map(point).collect()
}

fn figures(points: &[Datapoint]) -> (f64, f64) {
    let n = points.len() as f64;
    let mean = points.iter().map(|point| point.value).sum::<f64>() / n;
    let square = points.iter().map(|point| (point.value - mean).powi(2)).sum::<f64>();
    (mean, (square / (n - 1.0)).sqrt())
}

/// What is marked.
#[derive(Debug, Clone, Copy)]
enum Story {
    /// The last so many points are anomalous.
    Now(usize),
    /// So many points were, and it is over since so many.
    Over(usize, usize),
    /// Nothing has come since the last point.
    Silent,
    /// A rule of bounds.
    Bound(&'static str, f64),
    /// Nothing.
    Plain,
}

fn draw(folder: &Path, name: &str, metric: &str, points: &[Datapoint], story: Story) -> anyhow::Result<()> {
    let until =
        if matches!(story, Story::Silent) { END } else { points.last().map_or(END, |point| point.ts) };
    let from = points.first().map_or(END - DAY, |point| point.ts).min(until - DAY);
    let (mean, deviation) = figures(points);
    let mut chart = Chart { zone: "Europe/Zurich", ..Chart::new(metric, points, from, until) };
    let (first, count) = match story {
        Story::Now(count) => (points.len() - count, count),
        Story::Over(count, since) => (points.len() - count - since, count),
        Story::Bound(..) => (points.len() - 5, 5),
        Story::Silent | Story::Plain => (0, 0),
    };
    let odd: Vec<Datapoint> = points.iter().skip(first).take(count).copied().collect();
    let anomalous: Vec<f64> = odd.iter().map(|point| point.ts).collect();
    let peak = odd.iter().max_by(|a, b| (a.value - mean).abs().total_cmp(&(b.value - mean).abs()));
    chart.anomalous = &anomalous;
    chart.onset = anomalous.first().copied();
    chart.peak = peak.map(|point| (point.ts, point.value));
    chart.title = "Skyline Analyzer - ALERT - last 24 hours";
    let mut remark = format!(
        "anomalous value: {}",
        skyline_render_proxy::draw::number(points.last().map_or(0.0, |p| p.value))
    );
    match story {
        Story::Plain => (chart.title, remark) = ("", String::new()),
        Story::Silent => {
            chart.title = "Skyline Analyzer - STALE - no data for 5 minutes";
            chart.silent = points.last().map(|point| point.ts);
            remark.clear();
        }
        Story::Bound(what, bound) => {
            chart.title = "Skyline Boundary - ALERT - last 24 hours";
            chart.bound = Some((what, bound));
        }
        Story::Over(_, since) => {
            chart.ended = points.get(points.len() - since).map(|point| point.ts);
            chart.title = "Skyline Analyzer - ENDED - last 24 hours";
        }
        Story::Now(_) => {}
    }
    if matches!(story, Story::Now(_) | Story::Over(..)) {
        chart.expected = Some((mean - 3.0 * deviation, mean + 3.0 * deviation));
        chart.mean = Some(mean);
    }
    chart.remark = &remark;
    for (look, suffix) in [(Look::Dark, "dark"), (Look::Light, "light")] {
        chart.look = look;
        let png = chart.png()?;
        println!("{name}-{suffix}: {} bytes", png.len());
        std::fs::write(folder.join(format!("{name}-{suffix}.png")), png)?;
    }
    std::fs::write(folder.join(format!("{name}.svg")), chart.svg()?)?;
    println!("  {}", chart.description());
    Ok(())
}

fn made(folder: &Path) -> anyhow::Result<()> {
    let wave = |i: u32| 200.0 + 60.0 * (f64::from(i) / 229.0).sin() + 25.0 * noise(i);
    let late = |i: u32, from: u32| if i >= from { 1.0 } else { 0.0 };
    let name = "servers.web01.requests.latency.p99";
    draw(folder, "latency", name, &day(|i| Some(wave(i) + 320.0 * late(i, 1425))), Story::Now(14))?;
    draw(folder, "one-point", name, &day(|i| Some(wave(i) + 420.0 * late(i, 1439))), Story::Now(1))?;
    let hump = |i: u32| if (1200..1290).contains(&i) { 300.0 + 40.0 * noise(i * 7) } else { 0.0 };
    draw(folder, "over", name, &day(|i| Some(wave(i) + hump(i))), Story::Over(90, 150))?;
    draw(
        folder,
        "drop",
        "shop.orders.per_minute",
        &day(|i| Some(((wave(i) / 4.0) * (1.0 - late(i, 1430))).round())),
        Story::Now(10),
    )?;
    draw(
        folder,
        "silent",
        "backup.nas3.bytes_written",
        &day(|i| (i < 1250).then(|| 1e9 + 5e7 * noise(i))),
        Story::Silent,
    )?;
    let gappy =
        day(|i| (!(400..520).contains(&i) && !(800..806).contains(&i)).then(|| wave(i) / 1e5 - 0.002));
    draw(folder, "gaps", "a.b.negative.small", &gappy, Story::Now(3))?;
    let spike = day(|i| Some(if i == 300 { 5e6 } else { wave(i) + 320.0 * late(i, 1425) }));
    draw(folder, "old-spike", name, &spike, Story::Now(14))?;
    draw(folder, "huge", name, &day(|i| Some(if i == 1439 { 5e6 } else { wave(i) })), Story::Now(1))?;
    draw(folder, "constant", "disk.sda.errors", &day(|_| Some(0.0)), Story::Plain)?;
    draw(folder, "nothing", "not.there", &[], Story::Plain)?;
    draw(folder, "point", "just.one", &day(|i| (i == 700).then_some(42.0)), Story::Plain)?;
    draw(
        folder,
        "bound",
        "queue.mail.length",
        &day(|i| Some((3.0 + 2.0 * noise(i) + 30.0 * late(i, 1433)).round())),
        Story::Bound("greater than", 20.0),
    )?;
    let long = format!("servers.\u{202e}<script>.温度.{}.requests.p99", "very-long-part-".repeat(20));
    draw(folder, "hostile", &long, &day(|i| Some(1e300 * wave(i) / 500.0)), Story::Now(5))?;
    draw(
        folder,
        "plateau",
        "disk.sda.used_percent",
        &day(|i| Some(71.0 + f64::from(i) / 1440.0 + 24.0 * late(i, 1380))),
        Story::Now(60),
    )?;
    let sparse = |i: u32| (i.is_multiple_of(60)).then(|| 20.0 + 5.0 * noise(i * 31) + 25.0 * late(i, 1370));
    draw(folder, "sparse", "hourly.job.seconds", &day(sparse), Story::Now(1))
}

fn csv(folder: &Path, path: &Path) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(path)?;
    let parse = |line: &str| {
        let (time, value) = line.split_once(',')?;
        let time: jiff::civil::DateTime = time.replace(' ', "T").parse().ok()?;
        let time = time.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
        Some(Datapoint::new(time.timestamp().as_second() as f64, value.trim().parse().ok()?))
    };
    let points: Vec<Datapoint> = text.lines().filter_map(parse).collect();
    let end = points.last().map_or(0.0, |point| point.ts);
    let points: Vec<Datapoint> = points.into_iter().filter(|point| point.ts > end - 3.0 * DAY).collect();
    let name = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    draw(folder, &name, &format!("nab.{name}"), &points, Story::Now(6))
}

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args_os().skip(1);
    let folder = arguments.next().ok_or_else(|| anyhow::anyhow!("name a folder"))?;
    let folder = Path::new(&folder);
    std::fs::create_dir_all(folder)?;
    made(folder)?;
    for path in arguments {
        csv(folder, Path::new(&path))?;
    }
    Ok(())
}
