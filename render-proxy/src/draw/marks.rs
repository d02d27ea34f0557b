//! What is marked in a chart: the time of an anomaly, its points, its peak, and names of times above the plot.

use super::frame::Frame;
use super::svg::{Anchor, Short, Style, Svg};
use super::text::{Face, width};
use super::{number, time};

/// Anomalous points that are nearer to each other than this are one mark, in units.
const NEAR: f64 = 3.0;
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

/// Lines at times, with their names above the plot.
pub(super) fn times(svg: &mut Svg, frame: &Frame<'_>) {
    let (chart, colours, plot) = (frame.chart, frame.colours, frame.plot);
    let marks = [
        (chart.onset, "began", colours.anomalous),
        (chart.silent, "silent since", colours.anomalous),
        (chart.ended, "over", colours.text),
        (chart.now, "now", colours.muted),
    ];
    let mut flags = Vec::new();
    for (at, name, colour) in marks {
        let Some(at) = at.filter(|at| *at <= chart.until && (*at >= chart.from || name != "now")) else {
            continue;
        };
        let before = at < chart.from;
        if !before {
            svg.line(
                (frame.x(at), plot.top - 3.0 * frame.unit),
                (frame.x(at), plot.bottom),
                colour,
                frame.unit,
                "3 2",
            );
        }
        let label =
            format!("{name} {}", time::clock(at, if before { f64::MAX } else { frame.span() }, &frame.zone));
        let wide = width(&label, FLAG * frame.unit, Face::Bold);
        flags.push(Flag { label, wide, left: frame.x(at) - wide / 2.0, colour });
    }
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
    // On the side that is already past, where there is room for it: what comes after is what a reader looks for.
    let is_left = x - 10.0 * unit - wide > plot.left;
    let (anchor, x) = if is_left { (Anchor::End, x - 9.0 * unit) } else { (Anchor::Start, x + 9.0 * unit) };
    let y = (y + 4.0 * unit).clamp(plot.top + 11.0 * unit, plot.bottom - 4.0 * unit);
    let style = Style {
        size: 12.0 * unit,
        colour: colours.text,
        face: Face::Bold,
        anchor,
        rim: Some(colours.ground),
    };
    svg.text((x, y), &label, style);
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
