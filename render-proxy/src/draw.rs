//! One drawing of a series for messages, pages and files: SVG text, and PNG of the same SVG.
//!
//! [`Chart::svg`] lays the picture out and writes it; [`Chart::png`] paints that SVG with the two fonts of this crate, so that
//! no font of the system changes it; [`Chart::description`] says the same in words. How a chart is read: docs/charts.md.
//!
//! Points are never joined over a gap, and no spike is lost: of the points that share a column of pixels the first, the
//! last, the lowest and the highest are drawn.

mod board;
mod colour;
mod describe;
mod frame;
mod legend;
mod marks;
mod number;
mod paint;
mod png;
mod scale;
mod series;
mod svg;
mod text;
mod time;

pub use board::{Board, SMALL};
pub use number::short as number;
pub use series::increases;
use skyline_core::point::Datapoint;
pub use svg::escaped;
pub use text::printable;

/// Colours of a chart. Both are legible to people who do not tell red from green.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Look {
    /// Black, as the reference's.
    #[default]
    Dark,
    /// White.
    Light,
}

/// What is drawn. Begin with [`Chart::new`] and set what there is.
#[derive(Debug, Clone, Copy)]
pub struct Chart<'a> {
    /// First line above the drawing, such as `Skyline Analyzer - ALERT - last 24 hours`; empty: none.
    pub title: &'a str,
    /// Name of the metric; long ones are shortened in the middle.
    pub metric: &'a str,
    /// What stands behind the name, such as `anomalous value: 812`; empty: nothing.
    pub remark: &'a str,
    /// Points, oldest first, seconds. Those that are not finite are gaps.
    pub points: &'a [Datapoint],
    /// Left and right end of the time axis, seconds.
    pub from: f64,
    /// Right end, seconds.
    pub until: f64,
    /// Where values are expected: the lower and upper bound; none: not drawn.
    pub expected: Option<(f64, f64)>,
    /// Mean of the window.
    pub mean: Option<f64>,
    /// The bound of a rule of bounds: what it forbids, such as `less than`, and the value.
    pub bound: Option<(&'a str, f64)>,
    /// Times of the points that were called anomalous, seconds, oldest first.
    pub anomalous: &'a [f64],
    /// When it began, seconds.
    pub onset: Option<f64>,
    /// When it was over, seconds.
    pub ended: Option<f64>,
    /// Since when nothing has come, seconds.
    pub silent: Option<f64>,
    /// What "now" is, seconds; drawn where it is not the right end.
    pub now: Option<f64>,
    /// The point that was furthest from what was expected: time and value.
    pub peak: Option<(f64, f64)>,
    /// Zone of the time axis, such as `Europe/Zurich`; it is named in the picture.
    pub zone: &'a str,
    /// Colours.
    pub look: Look,
    /// Width and height, pixels, each within [`SIDES`].
    pub size: (u32, u32),
}

/// Width and height of a chart unless told otherwise, pixels.
pub const SIZE: (u32, u32) = (588, 308);

/// The shortest and the longest side of a chart, pixels.
pub const SIDES: (u32, u32) = (200, 4000);

/// The largest picture that is painted for somebody who asks, pixels in all: each costs eight bytes of memory meanwhile.
pub const MAX_PIXELS: u32 = 2_000_000;

/// The longest time that a chart spans, seconds: a hundred years.
const LONGEST: f64 = 100.0 * 366.0 * 86_400.0;

/// Why nothing is drawn.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum DrawError {
    /// Too small to read, or too big to make.
    #[error("{0}x{1} is no size of a chart: each side has {least} to {most} pixels", least = SIDES.0, most = SIDES.1)]
    Size(u32, u32),
    /// The time axis has no length, or too much.
    #[error(
        "a chart needs a time from which and a later one until which it is drawn, at most 100 years apart"
    )]
    Times,
    /// No such time zone.
    #[error("there is no time zone `{0}`: name one such as UTC or Europe/Zurich")]
    Zone(String),
    /// The painter gave up.
    #[error("the chart was not painted: {0}")]
    Paint(String),
}

impl<'a> Chart<'a> {
    /// A chart of `points` of `metric` from `from` to `until`, with nothing marked, dark, of the usual size, in UTC.
    #[must_use]
    pub const fn new(metric: &'a str, points: &'a [Datapoint], from: f64, until: f64) -> Self {
        Self {
            title: "",
            metric,
            remark: "",
            points,
            from,
            until,
            expected: None,
            mean: None,
            bound: None,
            anomalous: &[],
            onset: None,
            ended: None,
            silent: None,
            now: None,
            peak: None,
            zone: "UTC",
            look: Look::Dark,
            size: SIZE,
        }
    }

    /// The chart as SVG: text, in UTF-8, that stands alone.
    ///
    /// # Errors
    /// [`DrawError`] if size, times or zone are not drawable; the points never are a reason.
    pub fn svg(&self) -> Result<String, DrawError> {
        Ok(paint::svg(&frame::Frame::of(self, SIDES.0)?))
    }

    /// The chart as PNG.
    ///
    /// Takes processor time, some ten milliseconds: not for a thread that others wait for.
    ///
    /// # Errors
    /// As [`Chart::svg`].
    pub fn png(&self) -> Result<Vec<u8>, DrawError> {
        png::paint(&self.svg()?, self.size)
    }

    /// The expected range, if its bounds are numbers.
    fn range(&self) -> Option<(f64, f64)> {
        self.expected.filter(|(lower, upper)| lower.is_finite() && upper.is_finite())
    }

    /// The mean that was given, if it is a number.
    fn average(&self) -> Option<f64> {
        self.mean.filter(|mean| mean.is_finite())
    }

    /// The bound, if it is a number.
    fn limit(&self) -> Option<(&'a str, f64)> {
        self.bound.filter(|(_, bound)| bound.is_finite())
    }

    /// What the chart shows, in words, for those who do not see it.
    #[must_use]
    pub fn description(&self) -> String {
        describe::describe(self)
    }
}

/// Pixels, row by row, as a small PNG: where there are more than 256 colours, rare ones become their nearest.
///
/// # Errors
/// [`DrawError::Paint`] if `pixels` are not as many as `size` says.
pub fn packed(pixels: &[[u8; 3]], (width, height): (u32, u32)) -> Result<Vec<u8>, DrawError> {
    png::pack(pixels, width, height).map_err(|error| DrawError::Paint(error.to_string()))
}

/// PNG of an SVG that [`Chart::svg`] or several of them side by side made, `size` pixels.
///
/// # Errors
/// [`DrawError::Paint`] if it is no SVG.
pub fn png_of(svg: &str, size: (u32, u32)) -> Result<Vec<u8>, DrawError> {
    png::paint(svg, size)
}
