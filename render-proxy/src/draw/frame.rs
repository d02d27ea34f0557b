//! Where everything of a chart stands: sizes, scales, ticks. Nothing is written here.

use super::colour::{self, Colours};
use super::legend::{self, Legend};
use super::scale::{Scale, drawable};
use super::series::{Series, thinned};
use super::svg::Short;
use super::text::{Face, width};
use super::time::{self, Tick};
use super::{Chart, DrawError, LONGEST, SIDES, number};
use jiff::tz::TimeZone;
use skyline_core::point::Datapoint;

/// A spike so many times as high as all others together reach is cut off, if it is not what the chart is about.
const SPIKE: f64 = 20.0;
/// Points that may be spikes: one of so many.
const RARE: usize = 100;
/// Fewer points have no spikes: all are shown as they are.
const FEW: usize = 50;

/// The inner part, in which the series is drawn, pixels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plot {
    /// Left edge.
    pub(super) left: f64,
    /// Upper edge.
    pub(super) top: f64,
    /// Right edge.
    pub(super) right: f64,
    /// Lower edge.
    pub(super) bottom: f64,
}

/// A chart and where its parts stand.
#[derive(Debug)]
pub(super) struct Frame<'c> {
    /// What is drawn.
    pub(super) chart: &'c Chart<'c>,
    /// In which colours.
    pub(super) colours: &'static Colours,
    /// The zone of its times.
    pub(super) zone: TimeZone,
    /// How much larger or smaller than usual text and lines are.
    pub(super) unit: f64,
    /// The points.
    pub(super) series: Series,
    /// The inner part.
    pub(super) plot: Plot,
    /// Between the newest time and the right edge, pixels.
    pub(super) air: f64,
    /// Values to heights.
    pub(super) scale: Scale,
    /// Whether points outside of the scale are marked as cut off.
    pub(super) clipped: bool,
    /// Labelled values.
    pub(super) values: Vec<(f64, String)>,
    /// Labelled times.
    pub(super) times: Vec<Tick>,
    /// Below the drawing.
    pub(super) legend: Legend,
}

impl<'c> Frame<'c> {
    /// Lays a chart out; each of its sides has `least` pixels at least.
    pub(super) fn of(chart: &'c Chart<'c>, least: u32) -> Result<Self, DrawError> {
        let (width_px, height_px) = chart.size;
        if [width_px, height_px].iter().any(|side| !(least..=SIDES.1).contains(side)) {
            return Err(DrawError::Size(width_px, height_px));
        }
        let span = chart.until - chart.from;
        let has_dates = time::has_date(chart.from) && time::has_date(chart.until);
        if !(has_dates && (1.0..=LONGEST).contains(&span)) {
            return Err(DrawError::Times);
        }
        let zone = time::zone(chart.zone)?;
        let (w, h) = (f64::from(width_px), f64::from(height_px));
        let unit = (w / 588.0).min(h / 308.0).sqrt().clamp(0.85, 2.2);
        let series = Series::of(chart.points, chart.from, chart.until);
        let (scale, clipped) = scale_of(chart, &series);

        let edge = 12.0 * unit;
        let top = edge + header(chart) * unit;
        let legend = legend::of(chart, &series, &zone, unit, w - 2.0 * edge);
        // A legend never takes the drawing's room: its last rows go first.
        let room = h - top - 20.0 * unit - edge * 0.6 - 70.0;
        let legend = legend.at_most(room);
        let bottom = h - edge * 0.6 - legend.height - 20.0 * unit;
        let (values, step) = scale.ticks(((bottom - top) / (30.0 * unit)).max(1.0) as usize);
        let labels = number::ticks(&values, step);
        let widest = labels.iter().map(|label| width(label, 10.0 * unit, Face::Regular)).fold(0.0, f64::max);
        let left = edge + if series.figures.is_some() { widest.max(14.0 * unit) } else { 0.0 } + 6.0 * unit;
        let plot = Plot { left: left.min(w / 2.0), top, right: w - edge - 2.0 * unit, bottom };
        let air = if chart.onset.is_some() || chart.peak.is_some() { 10.0 * unit } else { 0.0 };
        let count = ((plot.right - plot.left) / (60.0 * unit)) as usize;
        let times = time::ticks(chart.from, chart.until, count, &zone);
        Ok(Self {
            chart,
            colours: colour::of(chart.look),
            zone,
            unit,
            series,
            plot,
            air,
            scale,
            clipped,
            values: values.into_iter().zip(labels).collect(),
            times,
            legend,
        })
    }

    /// Where a time is drawn, pixels from the left, within the plot. What is marked at the right end keeps off the edge.
    pub(super) fn x(&self, ts: f64) -> f64 {
        let part = ((ts - self.chart.from) / (self.chart.until - self.chart.from)).clamp(0.0, 1.0);
        self.plot.left + part * (self.plot.right - self.air - self.plot.left)
    }

    /// Where a value is drawn, pixels from the top, within the plot.
    pub(super) fn y(&self, value: f64) -> f64 {
        self.plot.bottom - self.scale.part(value).clamp(0.0, 1.0) * (self.plot.bottom - self.plot.top)
    }

    /// Where a point is drawn.
    pub(super) fn place(&self, point: &Datapoint) -> (f64, f64) {
        (self.x(point.ts), self.y(point.value))
    }

    /// The line through points that have no gap between them.
    pub(super) fn path(&self, points: &[Datapoint]) -> String {
        let mut path = String::new();
        let mut command = 'M';
        for point in thinned(points, |point| self.x(point.ts).floor() as i64) {
            let (x, y) = self.place(&point);
            path.push_str(&format!("{command}{} {}", Short(x), Short(y)));
            command = 'L';
        }
        path
    }

    /// Whether a time is on the axis.
    pub(super) fn shows(&self, ts: f64) -> bool {
        (self.chart.from..=self.chart.until).contains(&ts)
    }

    /// Seconds from the left to the right end.
    pub(super) fn span(&self) -> f64 {
        self.chart.until - self.chart.from
    }
}

/// Height of what stands above the plot, in units: two lines of text, and the names of marks.
fn header(chart: &Chart<'_>) -> f64 {
    let title = if chart.title.is_empty() { 0.0 } else { 18.0 };
    let metric = if chart.metric.is_empty() && chart.remark.is_empty() { 0.0 } else { 16.0 };
    let marks = [chart.onset, chart.ended, chart.silent, chart.now];
    let flags = if marks.iter().any(Option::is_some) { 18.0 } else { 8.0 };
    title + metric + flags
}

/// The scale, and whether points are outside of it.
fn scale_of(chart: &Chart<'_>, series: &Series) -> (Scale, bool) {
    let Some(figures) = series.figures else { return (Scale::around(0.0, 1.0), false) };
    let whole = (drawable(figures.min.value), drawable(figures.max.value));
    let usual = without_spikes(chart, series).filter(|range| *range != whole);
    let (mut low, mut high) = usual.unwrap_or(whole);
    let reach = high - low;
    // What is expected is shown as far as it does not flatten the series.
    for bound in chart.range().into_iter().flat_map(|(lower, upper)| [lower, upper]).chain(chart.average()) {
        let bound = drawable(bound);
        let below_nought = low >= 0.0 && bound < 0.0;
        if !below_nought && (reach == 0.0 || (bound - low).abs().max((bound - high).abs()) <= reach * 3.0) {
            (low, high) = (low.min(bound), high.max(bound));
        }
    }
    if let Some((_, bound)) = chart.limit() {
        (low, high) = (low.min(drawable(bound)), high.max(drawable(bound)));
    }
    (Scale::around(low, high), usual.is_some())
}

/// The range of all points but a few huge ones that the chart is not about; none if there are no such.
fn without_spikes(chart: &Chart<'_>, series: &Series) -> Option<(f64, f64)> {
    let subject: Vec<Datapoint> = chart
        .anomalous
        .iter()
        .chain(chart.peak.as_ref().map(|(ts, _)| ts))
        .filter_map(|ts| series.at(*ts))
        .collect();
    // Where nothing is marked, nobody knows what matters: all is shown as it is.
    if subject.is_empty() || series.points.len() < FEW {
        return None;
    }
    let mut values: Vec<f64> = series.points.iter().map(|point| drawable(point.value)).collect();
    values.sort_by(f64::total_cmp);
    let rare = values.len() / RARE;
    let (low, high) = (*values.get(rare)?, *values.get(values.len() - 1 - rare)?);
    let values = subject.iter().map(|point| drawable(point.value));
    let (low, high) = values.fold((low, high), |(low, high), value| (low.min(value), high.max(value)));
    let room = (high - low) * SPIKE;
    let inner = series.points.iter().map(|point| drawable(point.value));
    let inner = inner.filter(|value| (low - room..=high + room).contains(value));
    let range = inner.fold((low, high), |(low, high), value| (low.min(value), high.max(value)));
    (room > 0.0).then_some(range)
}
