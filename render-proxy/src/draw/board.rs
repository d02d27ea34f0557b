//! A chart with small ones below it, in one picture: metrics that broke together.

use super::frame::Frame;
use super::svg::shown;
use super::{Chart, DrawError, paint, png};

/// Small charts of a picture at most; of more the first are drawn.
pub const SMALL: usize = 3;
/// Height of a small chart, pixels.
const HEIGHT: u32 = 128;
/// The shortest side of a small chart, pixels.
const LEAST: u32 = 60;

/// A chart with small ones below it.
#[derive(Debug, Clone, Copy)]
pub struct Board<'a> {
    /// The large one, which says how wide and in which colours all is.
    pub main: Chart<'a>,
    /// Those below it, side by side; their size does not count.
    pub others: &'a [Chart<'a>],
}

impl Board<'_> {
    fn small(&self) -> &[Chart<'_>] {
        self.others.get(..SMALL.min(self.others.len())).unwrap_or_default()
    }

    /// Width and height of the picture, pixels.
    #[must_use]
    pub fn size(&self) -> (u32, u32) {
        let (width, height) = self.main.size;
        (width, if self.small().is_empty() { height } else { height.saturating_add(HEIGHT) })
    }

    /// The picture as SVG.
    ///
    /// # Errors
    /// As [`Chart::svg`].
    pub fn svg(&self) -> Result<String, DrawError> {
        let small = self.small();
        let main = self.main.svg()?;
        if small.is_empty() {
            return Ok(main);
        }
        let (width, height) = self.size();
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" role=\"img\">\n<title>{}</title>\n<desc>{}</desc>\n",
            shown(self.main.metric),
            shown(&self.description())
        );
        svg.push_str(&main);
        let count = small.len() as u32;
        for (number, chart) in (0..).zip(small) {
            // So that nothing is left over at the right edge.
            let (left, right) = (width * number / count, width * (number + 1) / count);
            let size = (right - left, HEIGHT);
            let chart =
                Chart { title: "", remark: "", size, look: self.main.look, zone: self.main.zone, ..*chart };
            let drawn = paint::svg(&Frame::of(&chart, LEAST)?);
            let place = format!("<svg x=\"{left}\" y=\"{}\" ", self.main.size.1);
            svg.push_str(&drawn.replacen("<svg ", &place, 1));
        }
        svg.push_str("</svg>\n");
        Ok(svg)
    }

    /// The picture as PNG.
    ///
    /// # Errors
    /// As [`Chart::svg`].
    pub fn png(&self) -> Result<Vec<u8>, DrawError> {
        png::paint(&self.svg()?, self.size())
    }

    /// What the picture shows, in words.
    #[must_use]
    pub fn description(&self) -> String {
        let mut text = self.main.description();
        for (number, chart) in self.small().iter().enumerate() {
            text.push_str(if number == 0 { " Below it: " } else { ", " });
            text.push_str(&super::describe::name(chart));
        }
        if !self.small().is_empty() {
            text.push('.');
        }
        text
    }
}
