//! Pictures of series: one chart, or several below each other.

use super::{Answer, NotHere};
use crate::draw::{Chart, Look as Colours, MAX_PIXELS, SIDES, png_of};
use crate::json::Series;
use crate::question::{Format, Question};
use skyline_conf::model::render_proxy::Look;
use skyline_core::point::Datapoint;

/// Charts of one picture at most.
const MAX_CHARTS: usize = 8;
/// What a picture says that stands in for Graphite's.
const MARK: &str = "answered from the window";

/// The picture of series.
pub(super) fn draw(
    question: &Question,
    series: &[Series],
    zone: &str,
    look: Look,
    mark: bool,
) -> Result<Answer, NotHere> {
    let fail = |error: crate::draw::DrawError| NotHere::Picture(error.to_string());
    let (width, each, count) = sizes(question.size, series.len());
    let shown = series.get(..count).unwrap_or_default();
    let charts: Result<Vec<String>, _> = shown
        .iter()
        .enumerate()
        .map(|(i, one)| {
            let points = points(one);
            let (from, until) = (question.from as f64, question.until as f64);
            let mut chart = Chart::new(label(one), &points, from, until);
            chart.title = if i == 0 { &question.title } else { "" };
            chart.remark = if mark { MARK } else { "" };
            chart.zone = zone;
            chart.look = colours(&question.background, look);
            chart.size = (width, each);
            chart.svg()
        })
        .collect();
    let charts = charts.map_err(fail)?;
    let size = (width, each * charts.len().max(1) as u32);
    let svg = match <[String; 1]>::try_from(charts) {
        Ok([one]) => one,
        Err(several) => below_each_other(&several, size, each),
    };
    if question.format == Format::Svg {
        return Ok(Answer { content_type: "image/svg+xml", body: svg.into() });
    }
    let png = png_of(&svg, size).map_err(fail)?;
    Ok(Answer { content_type: "image/png", body: png.into() })
}

/// Width and height of each of `count` charts in a picture of a size, and how many of them there are, so that all are no
/// more than [`MAX_PIXELS`].
fn sizes((width, height): (u32, u32), count: usize) -> (u32, u32, usize) {
    let width = width.clamp(SIDES.0, SIDES.1);
    let most = MAX_PIXELS / width;
    let count = count.min(MAX_CHARTS).min((most / SIDES.0) as usize);
    let all = count.max(1) as u32;
    (width, (height / all).clamp(SIDES.0, (most / all).min(SIDES.1)), count)
}

fn below_each_other(charts: &[String], size: (u32, u32), each: u32) -> String {
    let (width, height) = size;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\">"
    );
    for (i, chart) in charts.iter().enumerate() {
        // What stands before the root is for a document of its own.
        let root = chart.find("<svg").and_then(|at| chart.get(at..)).unwrap_or_default();
        let y = each as usize * i;
        // Names within a document must be one chart's own.
        let own = root.replace("id=\"", &format!("id=\"c{i}-")).replace("url(#", &format!("url(#c{i}-"));
        svg.push_str(&format!("<g transform=\"translate(0 {y})\">{own}</g>"));
    }
    svg.push_str("</svg>");
    svg
}

fn points(series: &Series) -> Vec<Datapoint> {
    let times = (0..).map(|i| series.start + i * series.step);
    times.zip(&series.values).filter_map(|(ts, value)| Some(Datapoint::new(ts as f64, (*value)?))).collect()
}

/// The name without what `cactiStyle` put behind it: the chart has a legend of its own.
fn label(series: &Series) -> &str {
    series.name.split(" Current:").next().unwrap_or_default().trim_end()
}

/// The look that fits a background.
fn colours(background: &str, look: Look) -> Colours {
    let hex = background.trim_start_matches('#');
    let light = match hex.to_ascii_lowercase().as_str() {
        "white" => Some(true),
        "black" => Some(false),
        text if text.len() == 6 || text.len() == 8 => {
            text.get(..6).and_then(|t| u32::from_str_radix(t, 16).ok()).map(|rgb| {
                let part = |shift: u32| (rgb >> shift) & 0xff;
                part(16) * 3 + part(8) * 6 + part(0) > 1_275
            })
        }
        _ => None,
    };
    match (light, look) {
        (Some(true), _) | (None, Look::Light) => Colours::Light,
        (Some(false), _) | (None, Look::Dark) => Colours::Dark,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_picture_is_larger_than_may_be() {
        assert_eq!(sizes((588, 308), 1), (588, 308, 1));
        assert_eq!(sizes((800, 1_600), 4), (800, 400, 4));
        assert_eq!(sizes((588, 308), 8), (588, 200, 8));
        for size in [(1, 1), (4_000, 4_000), (u32::MAX, u32::MAX), (200, u32::MAX), (u32::MAX, 200)] {
            for count in [0, 1, 3, 8, 200] {
                let (width, each, shown) = sizes(size, count);
                assert!(shown <= count && (count == 0 || shown > 0), "{size:?}, {count}: {shown}");
                assert!(width * each * shown.max(1) as u32 <= MAX_PIXELS, "{size:?}, {count}");
                assert!((SIDES.0..=SIDES.1).contains(&each));
            }
        }
    }
}
