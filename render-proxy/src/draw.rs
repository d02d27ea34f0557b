//! One drawing of a series for messages, pages and files: SVG text, and PNG of the same SVG.

use skyline_core::point::Datapoint;

/// Colours of a chart. Both are legible to people who do not tell red from green.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Look {
    /// Black, as the reference's.
    #[default]
    Dark,
    /// White.
    Light,
}

/// What is drawn.
#[derive(Debug, Clone, Copy)]
pub struct Chart<'a> {
    /// First line above the drawing, such as `Skyline Analyzer - ALERT - at 24 hours`.
    pub title: &'a str,
    /// Name of the metric; long ones are shortened in the middle.
    pub metric: &'a str,
    /// Points, oldest first, seconds.
    pub points: &'a [Datapoint],
    /// Left and right end of the time axis, seconds.
    pub from: f64,
    /// Right end, seconds.
    pub until: f64,
    /// Where values are expected: the lower and upper bound; none: not drawn.
    pub expected: Option<(f64, f64)>,
    /// Mean of the window.
    pub mean: Option<f64>,
    /// Times of the points that were called anomalous, seconds, oldest first.
    pub anomalous: &'a [f64],
    /// When it began, seconds.
    pub onset: Option<f64>,
    /// Zone of the time axis, such as `Europe/Zurich`; it is named in the picture.
    pub zone: &'a str,
    /// Colours.
    pub look: Look,
    /// Width and height, pixels.
    pub size: (u32, u32),
}

/// Width and height of a chart unless told otherwise, pixels.
pub const SIZE: (u32, u32) = (588, 308);
