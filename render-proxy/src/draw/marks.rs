//! What is marked in a chart: the time of an anomaly, its points, its peak, and names of times above the plot.

use super::frame::Frame;
use super::svg::{Anchor, Short, Style, Svg};
use super::text::{Face, width};
use super::{number, time};
use skyline_core::point::Datapoint;
use std::collections::HashSet;

/// Anomalous points that are nearer to each other than this are one mark, in units.
const NEAR: f64 = 6.0;
/// A time before the chart is written as in a chart of so many seconds: with day and clock.
const BEFORE: f64 = 30.0 * 86_400.0;
/// Height of the names of times, in units.
const FLAG: f64 = 10.0;

/// The time of the anomaly, behind everything.
pub(super) fn region(svg: &mut Svg, frame: &Frame<'_>) {
    let chart = frame.chart;
    let Some(onset) = chart.onset.or(chart.silent).filter(|onset| *onset <= chart.until) else { return };
    let end = chart.ended.or(chart.now).unwrap_or(chart.until);
    let (left, right) = (frame.x(onset), frame.x(end));
    let (plot, colours) = (frame.plot, frame.colours);
    if right > left {
        let size = (right - left, plot.bottom - plot.top);
        svg.rectangle((left, plot.top), size, colours.anomalous, colours.anomalous_cover);
    }
}

/// Times that are marked, with what they are.
fn marked<'c>(frame: &Frame<'c>) -> impl Iterator<Item = (f64, &'static str, &'static str)> {
    let (chart, colours) = (frame.chart, frame.colours);
    let marks = [
        (chart.onset, "began", colours.anomalous),
        (chart.silent, "silent since", colours.anomalous),
        (chart.ended, "over", colours.text),
        (chart.now, "now", colours.muted),
    ];
    let until = chart.until;
    marks
        .into_iter()
        .filter_map(move |(at, name, colour)| Some((at.filter(|at| *at <= until)?, name, colour)))
}

/// Lines at times that are marked.
pub(super) fn lines(svg: &mut Svg, frame: &Frame<'_>) {
    for (at, _, colour) in marked(frame).filter(|(at, ..)| frame.shows(*at)) {
        let x = frame.x(at);
        svg.line((x, frame.plot.top - 3.0 * frame.unit), (x, frame.plot.bottom), colour, frame.unit, "3 2");
    }
}

/// Names of these times above the plot; one that is before it has its date.
pub(super) fn names(svg: &mut Svg, frame: &Frame<'_>) {
    let plot = frame.plot;
    let flag = |(at, name, colour)| {
        let span = if frame.shows(at) { frame.span() } else { BEFORE };
        let label = format!("{name} {}", time::clock(at, span, &frame.zone));
        let wide = width(&label, FLAG * frame.unit, Face::Bold);
        Flag { label, wide, left: frame.x(at) - wide / 2.0, colour }
    };
    let mut flags: Vec<Flag<'_>> = marked(frame).map(flag).collect();
    place(&mut flags, plot.left, plot.right, 10.0 * frame.unit);
    for flag in flags {
        let style = Style {
            size: FLAG * frame.unit,
            colour: flag.colour,
            face: Face::Bold,
            anchor: Anchor::Start,
            rim: None,
        };
        svg.text((flag.left, plot.top - 6.0 * frame.unit), &flag.label, style);
    }
}

/// The name of a time.
#[derive(Debug)]
struct Flag<'c> {
    label: String,
    wide: f64,
    left: f64,
    colour: &'c str,
}

/// Moves names apart; where there is no room for all, the last go.
fn place(flags: &mut Vec<Flag<'_>>, left: f64, right: f64, between: f64) {
    let room = |flags: &[Flag<'_>]| flags.iter().map(|flag| flag.wide + between).sum::<f64>() - between;
    while flags.len() > 1 && room(flags) > right - left {
        flags.pop();
    }
    flags.sort_by(|a, b| (a.left + a.wide / 2.0).total_cmp(&(b.left + b.wide / 2.0)));
    let mut free = left;
    for flag in flags.iter_mut() {
        flag.left = flag.left.max(free);
        free = flag.left + flag.wide + between;
    }
    let mut free = right;
    for flag in flags.iter_mut().rev() {
        flag.left = flag.left.min(free - flag.wide).max(left);
        free = flag.left - between;
    }
}

/// The line from one anomalous point to the next where no other is between them.
pub(super) fn stretches(svg: &mut Svg, frame: &Frame<'_>) {
    let odd: HashSet<u64> = frame
        .chart
        .anomalous
        .iter()
        .filter_map(|ts| frame.series.at(*ts))
        .map(|point| point.ts.to_bits())
        .collect();
    let is_odd = |point: &Datapoint| odd.contains(&point.ts.to_bits());
    let mut path = String::new();
    for stretch in frame.series.stretches() {
        for run in stretch.chunk_by(|a, b| is_odd(a) && is_odd(b)).filter(|run| run.len() > 1) {
            path.push_str(&frame.path(run));
        }
    }
    if !path.is_empty() {
        svg.stroke(&path, frame.colours.anomalous, 1.5 * frame.unit);
    }
}

/// The points that were called anomalous.
pub(super) fn anomalous(svg: &mut Svg, frame: &Frame<'_>) {
    let (colours, unit) = (frame.colours, frame.unit);
    let mut last: Option<(f64, f64)> = None;
    let points =
        frame.chart.anomalous.iter().filter(|ts| frame.shows(**ts)).filter_map(|ts| frame.series.at(*ts));
    for point in points {
        let (x, y) = frame.place(&point);
        if last.is_some_and(|(lx, ly)| (x - lx).hypot(y - ly) < NEAR * unit) {
            continue;
        }
        last = Some((x, y));
        svg.write(format_args!(
            "<circle cx=\"{}\" cy=\"{}\" r=\"{}\" fill=\"{}\" stroke=\"{}\" stroke-width=\"{}\"/>\n",
            Short(x),
            Short(y),
            Short(2.7 * unit),
            colours.anomalous,
            colours.ground,
            Short(0.8 * unit)
        ));
    }
}

/// The point that was furthest from what was expected, with its value.
pub(super) fn peak(svg: &mut Svg, frame: &Frame<'_>) {
    let (colours, unit, plot) = (frame.colours, frame.unit, frame.plot);
    let Some((ts, value)) = frame.chart.peak.filter(|(ts, value)| frame.shows(*ts) && value.is_finite())
    else {
        return;
    };
    let (x, y) = (frame.x(ts), frame.y(value));
    svg.write(format_args!(
        "<circle cx=\"{}\" cy=\"{}\" r=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"{}\"/>\n",
        Short(x),
        Short(y),
        Short(5.0 * unit),
        colours.text,
        Short(1.4 * unit)
    ));
    let label = number(value);
    let wide = width(&label, 12.0 * unit, Face::Bold);
    let (anchor, at, up) = label_place(frame, (x, y), wide);
    let y = (y + up + 4.0 * unit).clamp(plot.top + 11.0 * unit, plot.bottom - 4.0 * unit);
    let style = Style {
        size: 12.0 * unit,
        colour: colours.text,
        face: Face::Bold,
        anchor,
        rim: Some(colours.ground),
    };
    svg.text((at, y), &label, style);
}

/// Where the value of a peak at `(x, y)` stands: the end that is at a place, and how far below it.
///
/// Left of it, where the series was usual and so somewhere else; where the anomaly lasts, left of its beginning, or if that is
/// far away on the inner side of the peak.
fn label_place(frame: &Frame<'_>, (x, y): (f64, f64), wide: f64) -> (Anchor, f64, f64) {
    let (unit, plot) = (frame.unit, frame.plot);
    let onset = frame.chart.onset.map_or(x, |onset| frame.x(onset)).min(x);
    let lasts = x - onset > 8.0 * unit;
    if lasts && x - onset > 90.0 * unit {
        let down = if y < (plot.top + plot.bottom) / 2.0 { 18.0 } else { -18.0 };
        let middle = x.clamp(plot.left + wide / 2.0, plot.right - wide / 2.0);
        return (Anchor::Middle, middle, down * unit);
    }
    let edge = if lasts { onset - 5.0 * unit } else { x - 9.0 * unit };
    if edge - wide > plot.left { (Anchor::End, edge, 0.0) } else { (Anchor::Start, x + 9.0 * unit, 0.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_times_do_not_touch() {
        let flag =
            |at: f64, wide: f64| Flag { label: String::new(), wide, left: at - wide / 2.0, colour: "" };
        let mut flags = vec![flag(590.0, 80.0), flag(595.0, 60.0), flag(598.0, 30.0)];
        place(&mut flags, 40.0, 600.0, 10.0);
        let lefts: Vec<f64> = flags.iter().map(|flag| flag.left).collect();
        assert_eq!(lefts, [410.0, 500.0, 570.0]);
        let mut flags = vec![flag(45.0, 80.0), flag(50.0, 60.0)];
        place(&mut flags, 40.0, 600.0, 10.0);
        assert_eq!(flags.iter().map(|flag| flag.left).collect::<Vec<_>>(), [40.0, 130.0]);
        let mut flags = vec![flag(45.0, 80.0), flag(50.0, 60.0)];
        place(&mut flags, 40.0, 150.0, 10.0);
        assert_eq!(flags.len(), 1);
    }
}
