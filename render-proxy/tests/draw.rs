//! Charts as readers get them: SVG against kept files (`UPDATE=1` writes them anew), and pixels of the PNG.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that panics has failed")]

use proptest::prelude::*;
use skyline_core::point::Datapoint;
use skyline_render_proxy::draw::{Chart, DrawError, Look, SIZE};
use std::path::Path;

const END: f64 = 1_796_052_600.0;
const DAY: f64 = 86_400.0;

type Colour = [u8; 3];
const GROUND: Colour = [0x0b, 0x0d, 0x11];
const SERIES: Colour = [0xf0, 0xa3, 0x2f];
const ANOMALOUS: Colour = [0xff, 0x5c, 0xab];

fn day(count: u32, value: impl Fn(u32) -> Option<f64>) -> Vec<Datapoint> {
    let step = DAY / f64::from(count);
    let point = |i| value(i).map(|value| Datapoint::new(END - DAY + step * f64::from(i), value));
    (0..=count).filter_map(point).collect()
}

/// A wave with a step at the end.
fn fault(i: u32) -> Option<f64> {
    let step = if i >= 1_400 { 90.0 } else { 0.0 };
    Some(50.0 + 20.0 * (f64::from(i) / 229.0).sin() + step)
}

fn alert<'a>(points: &'a [Datapoint], anomalous: &'a [f64]) -> Chart<'a> {
    Chart {
        title: "Skyline Analyzer - ALERT - last 24 hours",
        remark: "anomalous value: 140",
        expected: Some((5.0, 100.0)),
        mean: Some(52.0),
        onset: anomalous.first().copied(),
        peak: points.last().map(|point| (point.ts, point.value)),
        anomalous,
        zone: "Europe/Zurich",
        ..Chart::new("servers.web01.cpu", points, END - DAY, END)
    }
}

/// A decoded picture.
struct Picture {
    width: usize,
    pixels: Vec<Colour>,
}

impl Picture {
    fn of(chart: &Chart<'_>) -> Self {
        let bytes = chart.png().unwrap();
        let mut decoder = png::Decoder::new(std::io::Cursor::new(bytes));
        decoder.set_transformations(png::Transformations::EXPAND);
        let mut reader = decoder.read_info().unwrap();
        let mut raw = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut raw).unwrap();
        assert_eq!((info.width, info.height), chart.size);
        assert_eq!(info.color_type, png::ColorType::Rgb);
        let pixels = raw.chunks_exact(3).map(|rgb| [rgb[0], rgb[1], rgb[2]]).collect();
        Self { width: info.width as usize, pixels }
    }

    fn at(&self, x: f64, y: f64) -> Colour {
        self.pixels[y.round() as usize * self.width + x.round() as usize]
    }

    /// Columns that hold a colour.
    fn columns(&self, colour: Colour) -> Vec<usize> {
        (0..self.width).filter(|x| self.column(*x).any(|pixel| near(pixel, colour))).collect()
    }

    fn column(&self, x: usize) -> impl Iterator<Item = Colour> {
        self.pixels.iter().skip(x).step_by(self.width).copied()
    }

    /// Rows that hold a colour.
    fn rows(&self, colour: Colour) -> Vec<usize> {
        let rows = self.pixels.chunks_exact(self.width).enumerate();
        rows.filter(|(_, row)| row.iter().any(|pixel| near(*pixel, colour))).map(|(y, _)| y).collect()
    }
}

/// Whether a pixel has something of the series' line, which is orange and nowhere wider than two pixels.
fn is_orange([red, green, blue]: Colour) -> bool {
    red > 70 && red > green && green > blue && red > 2 * blue
}

fn near(a: Colour, b: Colour) -> bool {
    a.iter().zip(b).all(|(a, b)| a.abs_diff(b) < 24)
}

/// The number behind `name="` in an element.
fn attribute(element: &str, name: &str) -> f64 {
    let (_, rest) = element.split_once(&format!(" {name}=\"")).unwrap();
    rest.split_once('"').unwrap().0.parse().unwrap()
}

fn circles(svg: &str) -> Vec<(f64, f64)> {
    svg.lines()
        .filter(|line| line.starts_with("<circle") && line.contains("#ff5cab"))
        .map(|line| (attribute(line, "cx"), attribute(line, "cy")))
        .collect()
}

#[test]
fn kept_charts() {
    let points = day(1_440, fault);
    let anomalous: Vec<f64> = points.iter().skip(1_400).map(|point| point.ts).collect();
    let gaps = day(1_440, |i| (!(600..800).contains(&i)).then(|| fault(i).unwrap() / 1e5));
    let odd = "a\u{202e}b\n<script>&\"'\u{6e29}.\u{1f525}";
    let (onset, ended) = (Some(END - 7_200.0), Some(END - 3_600.0));
    let charts = [
        ("alert", alert(&points, &anomalous)),
        ("over", Chart { look: Look::Light, onset, ended, ..alert(&points, &anomalous[..3]) }),
        ("gaps", Chart::new("small.values", &gaps, END - DAY, END)),
        ("nothing", Chart::new(odd, &[], END - DAY, END)),
        (
            "bound",
            Chart {
                expected: None,
                mean: None,
                bound: Some(("alert above", 120.0)),
                size: (400, 220),
                ..alert(&points, &anomalous)
            },
        ),
        (
            "silent",
            Chart { silent: Some(END - DAY / 4.0), ..Chart::new("quiet", &points[..1_080], END - DAY, END) },
        ),
    ];
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/charts");
    for (name, chart) in charts {
        let (file, svg) = (folder.join(format!("{name}.svg")), chart.svg().unwrap());
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&file, &svg).unwrap();
        }
        let kept = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(svg == kept, "{name}.svg has changed: look at it, then UPDATE=1");
        assert!(chart.png().unwrap().len() < 40_000, "{name}");
    }
}

#[test]
fn marks_are_where_the_points_are() {
    let points = day(1_440, fault);
    let anomalous: Vec<f64> = points.iter().skip(1_400).map(|point| point.ts).collect();
    let chart = alert(&points, &anomalous);
    let (picture, marks) = (Picture::of(&chart), circles(&chart.svg().unwrap()));
    assert!(marks.len() > 3, "{marks:?}");
    for (x, y) in marks {
        assert!(near(picture.at(x, y), ANOMALOUS), "{x} {y}: {:?}", picture.at(x, y));
    }
    // The onset is 40 minutes before the right end of a day, the peak at it.
    let columns = picture.columns(ANOMALOUS);
    assert!(columns.iter().any(|x| *x > 545), "{columns:?}");
}

#[test]
fn a_gap_is_empty() {
    let points = day(1_440, |i| (!(600..800).contains(&i)).then(|| fault(i).unwrap()));
    let chart = Chart::new("gap", &points, END - DAY, END);
    let picture = Picture::of(&chart);
    let columns: Vec<usize> = (0..picture.width).filter(|x| picture.column(*x).any(is_orange)).collect();
    // The sign of the legend is left of the axis' first hours: of the columns between, those of the gap are free.
    let free: Vec<usize> = (200..400).filter(|x| !columns.contains(x)).collect();
    let expected = 201.0 / 1_440.0 * 540.0;
    assert!((free.len() as f64 - expected).abs() < 6.0, "{} columns of {expected}", free.len());
    assert!(free.last().unwrap() - free.first().unwrap() == free.len() - 1, "one gap: {free:?}");
}

#[test]
fn no_spike_is_lost() {
    for count in [1_440, 100_000] {
        let points = day(count, |i| Some(if i == count / 3 { 1_000.0 } else { 10.0 + f64::from(i % 5) }));
        let rows = Picture::of(&Chart::new("spike", &points, END - DAY, END)).rows(SERIES);
        assert!(*rows.first().unwrap() < 70, "{count} points: {rows:?}");
    }
}

#[test]
fn text_is_legible_and_in_its_order() {
    let points = day(1_440, fault);
    let luminance = |colour: Colour| {
        let part = |byte: u8| {
            let part = f64::from(byte) / 255.0;
            if part <= 0.040_45 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * part(colour[0]) + 0.7152 * part(colour[1]) + 0.0722 * part(colour[2])
    };
    let picture = Picture::of(&alert(&points, &[]));
    let title = &picture.pixels[10 * picture.width..24 * picture.width];
    let brightest = title.iter().map(|pixel| luminance(*pixel)).fold(0.0, f64::max);
    let contrast = (brightest + 0.05) / (luminance(GROUND) + 0.05);
    assert!(contrast > 10.0, "{contrast}");
    // A control character that turns text around is written out; the letters behind it stay in their order.
    let svg = Chart::new("abc\u{202e}def", &points, END - DAY, END).svg().unwrap();
    assert!(svg.contains("abc\u{2039}U+202E\u{203a}def") && !svg.contains('\u{202e}'));
    // Letters that are written from right to left are not in the fonts: boxes keep their place.
    let svg = Chart::new("abc.\u{5d0}\u{5d1}.def", &points, END - DAY, END).svg().unwrap();
    assert!(svg.contains("abc.\u{25af}\u{25af}.def"));
}

#[test]
fn an_old_spike_does_not_hide_what_an_alert_is_about() {
    let points = day(1_440, |i| if i == 300 { Some(5e6) } else { fault(i) });
    let anomalous: Vec<f64> = points.iter().skip(1_400).map(|point| point.ts).collect();
    let chart = alert(&points, &anomalous);
    assert!(chart.svg().unwrap().contains("off the chart: 5 M"));
    // Where nothing is marked, all is shown as it is.
    assert!(!Chart::new("spike", &points, END - DAY, END).svg().unwrap().contains("off the chart"));
}

#[test]
fn what_cannot_be_drawn_is_refused() {
    let chart = Chart::new("a", &[], END - DAY, END);
    for size in [(199, 308), (588, 4_001), (0, 0)] {
        assert_eq!(Chart { size, ..chart }.png(), Err(DrawError::Size(size.0, size.1)));
    }
    for (from, until) in
        [(END, END), (END, END - 1.0), (f64::NAN, END), (0.0, f64::INFINITY), (-1e300, 1e300)]
    {
        assert_eq!(Chart { from, until, ..chart }.png(), Err(DrawError::Times));
    }
    let zone = Chart { zone: "Europe/Atlantis", ..chart };
    assert_eq!(zone.svg(), Err(DrawError::Zone("Europe/Atlantis".to_owned())));
}

#[test]
fn the_description_says_what_the_picture_shows() {
    let points = day(1_440, fault);
    let anomalous: Vec<f64> = points.iter().skip(1_400).map(|point| point.ts).collect();
    assert_eq!(
        alert(&points, &anomalous).description(),
        "servers.web01.cpu from 29 Nov 2026 16:30 to 30 Nov 2026 16:30, Europe/Zurich: last 140.1, lowest 30, \
         highest 140.1, mean 52. Expected: 5 to 100. Furthest from that: 140.1 at 30 Nov 2026 16:30. 41 anomalous \
         points. Began: 30 Nov 2026 15:50."
    );
}

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![any::<f64>(), -1e3..1e3_f64, Just(0.0), Just(1e300), Just(-1e-300)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever comes, there is a picture, it is XML, and nothing of the text is mark-up.
    #[test]
    fn anything_is_drawn(
        name in any::<String>(),
        values in prop::collection::vec((0.0..86_400.0_f64, value()), 0..60),
        marks in prop::collection::vec(value(), 8),
        size in (200_u32..700, 200_u32..500),
    ) {
        let mut points: Vec<Datapoint> = values.iter().map(|(at, value)| Datapoint::new(END - at, *value)).collect();
        points.sort_by(|a, b| a.ts.total_cmp(&b.ts));
        let anomalous: Vec<f64> = points.iter().step_by(3).map(|point| point.ts).collect();
        let chart = Chart {
            title: &name,
            remark: &name,
            expected: Some((marks[0], marks[1])),
            mean: Some(marks[2]),
            bound: Some((&name, marks[3])),
            anomalous: &anomalous,
            onset: Some(END - marks[4].abs()),
            ended: Some(END - marks[5]),
            now: Some(END - 60.0),
            peak: Some((END - 600.0, marks[6])),
            silent: Some(marks[7]),
            size,
            ..Chart::new(&name, &points, END - DAY, END)
        };
        prop_assert!(chart.png().is_ok());
        let svg = chart.svg().unwrap();
        for (number, _) in svg.match_indices('<') {
            let rest = &svg[number + 1..];
            let known = ["svg ", "/svg>", "title>", "/title>", "desc>", "/desc>", "rect ", "path ", "text ", "/text>", "circle ", "g ", "/g>"];
            prop_assert!(known.iter().any(|tag| rest.starts_with(tag)), "{}", rest.chars().take(40).collect::<String>());
        }
        prop_assert!(!svg.contains("NaN"), "{svg}");
    }
}

#[test]
fn a_usual_chart_has_the_usual_size() {
    assert_eq!(SIZE, (588, 308));
    assert_eq!(Chart::new("a", &[], END - DAY, END).size, SIZE);
}
