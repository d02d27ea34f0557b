//! Writes a chart that is laid out, from the back to the front.

use super::frame::Frame;
use super::legend::{self, Item, SIGN, Sign};
use super::marks;
use super::svg::{Anchor, Short, Style, Svg};
use super::text::{Face, shortened, width};

/// A name of a gap needs so much room, in units.
const GAP: f64 = 54.0;

/// The chart as SVG.
pub(super) fn svg(frame: &Frame<'_>) -> String {
    let chart = frame.chart;
    let title = if chart.title.is_empty() { chart.metric } else { chart.title };
    let mut svg = Svg::new(chart.size, title, &chart.description());
    let (w, h) = (f64::from(chart.size.0), f64::from(chart.size.1));
    svg.rectangle((0.0, 0.0), (w, h), frame.colours.ground, "1");
    header(&mut svg, frame);
    marks::region(&mut svg, frame);
    svg.write(format_args!("<g fill=\"none\" shape-rendering=\"crispEdges\">\n"));
    grid(&mut svg, frame);
    svg.write(format_args!("</g>\n<g fill=\"none\">\n"));
    expected(&mut svg, frame);
    marks::lines(&mut svg, frame);
    series(&mut svg, frame);
    marks::stretches(&mut svg, frame);
    bound(&mut svg, frame);
    svg.write(format_args!("</g>\n"));
    labels(&mut svg, frame);
    gaps(&mut svg, frame);
    extremes(&mut svg, frame);
    marks::names(&mut svg, frame);
    marks::anomalous(&mut svg, frame);
    marks::peak(&mut svg, frame);
    legend(&mut svg, frame);
    svg.finish()
}

fn plain<'c>(size: f64, colour: &'c str, anchor: Anchor) -> Style<'c> {
    Style { size, colour, face: Face::Regular, anchor, rim: None }
}

/// Title, name and remark.
fn header(svg: &mut Svg, frame: &Frame<'_>) {
    let (chart, colours, unit) = (frame.chart, frame.colours, frame.unit);
    let (left, right) = (12.0 * unit, frame.plot.right);
    let mut y = 10.0 * unit;
    if !chart.title.is_empty() {
        y += 12.0 * unit;
        let title = shortened(chart.title, right - left, 13.0 * unit, Face::Bold);
        let style = Style { face: Face::Bold, ..plain(13.0 * unit, colours.text, Anchor::Start) };
        svg.text((left, y), &title, style);
        y += 4.0 * unit;
    }
    if chart.metric.is_empty() && chart.remark.is_empty() {
        return;
    }
    y += 12.0 * unit;
    let size = 11.0 * unit;
    let between = if chart.metric.is_empty() || chart.remark.is_empty() { "" } else { " - " };
    let remark = shortened(chart.remark, (right - left) * 0.6, size, Face::Regular);
    let rest = width(&remark, size, Face::Regular) + width(between, size, Face::Regular);
    let metric = shortened(chart.metric, right - left - rest, size, Face::Regular);
    svg.text((left, y), &format!("{metric}{between}{remark}"), plain(size, colours.text, Anchor::Start));
}

/// Lines of round values and times, and the axes.
fn grid(svg: &mut Svg, frame: &Frame<'_>) {
    let (plot, colours, unit) = (frame.plot, frame.colours, frame.unit);
    if frame.series.figures.is_some() {
        for (value, _) in &frame.values {
            let y = frame.y(*value).round() + 0.5;
            svg.line((plot.left, y), (plot.right, y), colours.grid, 1.0, "none");
        }
    }
    for tick in &frame.times {
        let x = frame.x(tick.at).round() + 0.5;
        let colour = if tick.is_day && frame.span() < 8.0 * 86_400.0 { colours.axis } else { colours.grid };
        svg.line((x, plot.top), (x, plot.bottom + 4.0 * unit), colour, 1.0, "none");
    }
    let y = plot.bottom.round() + 0.5;
    svg.line((plot.left, y), (plot.right, y), colours.axis, 1.0, "none");
}

/// Labels of both axes. Of times that would touch, days stay.
fn labels(svg: &mut Svg, frame: &Frame<'_>) {
    let (plot, colours, unit) = (frame.plot, frame.colours, frame.unit);
    let size = 10.0 * unit;
    if frame.series.figures.is_some() {
        for (value, label) in &frame.values {
            let at = (plot.left - 6.0 * unit, frame.y(*value) + 3.6 * unit);
            svg.text(at, label, plain(size, colours.muted, Anchor::End));
        }
    }
    let mut taken: Vec<(f64, f64)> = Vec::new();
    let days_first =
        frame.times.iter().filter(|tick| tick.is_day).chain(frame.times.iter().filter(|tick| !tick.is_day));
    for tick in days_first {
        let half = width(&tick.label, size, Face::Regular) / 2.0;
        let far = f64::from(frame.chart.size.0) - 2.0 * unit;
        let x = frame.x(tick.at).min(far - half).max(half + 2.0 * unit);
        if taken.iter().any(|(left, right)| x + half + 5.0 * unit > *left && x - half - 5.0 * unit < *right) {
            continue;
        }
        taken.push((x - half, x + half));
        let colour = if tick.is_day { colours.text } else { colours.muted };
        svg.text((x, plot.bottom + 15.0 * unit), &tick.label, plain(size, colour, Anchor::Middle));
    }
}

/// The expected range and the mean.
fn expected(svg: &mut Svg, frame: &Frame<'_>) {
    let (plot, colours, unit) = (frame.plot, frame.colours, frame.unit);
    if let Some((lower, upper)) = frame.chart.range() {
        let (top, bottom) = (frame.y(upper), frame.y(lower));
        let size = (plot.right - plot.left, bottom - top);
        svg.rectangle((plot.left, top), size, colours.expected, colours.expected_cover);
        for (value, y) in [(upper, top), (lower, bottom)] {
            // A bound outside of the drawing has no line: the edge is not it.
            if (0.0..=1.0).contains(&frame.scale.part(value)) {
                svg.line((plot.left, y), (plot.right, y), colours.expected, 0.8 * unit, "none");
            }
        }
    }
    let mean = frame.chart.average().or(frame.series.figures.map(|figures| figures.mean));
    if let Some(mean) = mean.filter(|mean| (0.0..=1.0).contains(&frame.scale.part(*mean))) {
        let y = frame.y(mean);
        svg.line((plot.left, y), (plot.right, y), colours.mean, 1.1 * unit, "6 4");
    }
}

fn series(svg: &mut Svg, frame: &Frame<'_>) {
    let (colours, unit) = (frame.colours, frame.unit);
    let mut path = String::new();
    let mut alone = Vec::new();
    for stretch in frame.series.stretches() {
        if let [point] = stretch {
            alone.push(frame.place(point));
            continue;
        }
        path.push_str(&frame.path(stretch));
    }
    if !path.is_empty() {
        svg.stroke(&path, colours.series, 1.3 * unit);
    }
    for (x, y) in alone {
        svg.write(format_args!(
            "<circle cx=\"{}\" cy=\"{}\" r=\"{}\" fill=\"{}\"/>\n",
            Short(x),
            Short(y),
            Short(1.7 * unit),
            colours.series
        ));
    }
}

/// The bound of a rule of bounds.
fn bound(svg: &mut Svg, frame: &Frame<'_>) {
    let Some((_, bound)) = frame.chart.limit() else { return };
    let y = frame.y(bound);
    svg.line((frame.plot.left, y), (frame.plot.right, y), frame.colours.text, 1.3 * frame.unit, "none");
}

/// Times without points are named.
fn gaps(svg: &mut Svg, frame: &Frame<'_>) {
    let (chart, plot, unit, colours) = (frame.chart, frame.plot, frame.unit, frame.colours);
    let style = Style { rim: Some(colours.ground), ..plain(10.0 * unit, colours.muted, Anchor::Middle) };
    let middle = (plot.top + plot.bottom) / 2.0;
    let (Some(first), Some(last)) = (frame.series.points.first(), frame.series.points.last()) else {
        let style = Style { size: 13.0 * unit, ..style };
        svg.text(((plot.left + plot.right) / 2.0, middle), "no points in this window", style);
        return;
    };
    let ends = [(chart.from, first.ts), (last.ts, chart.now.unwrap_or(chart.until))];
    for (from, until) in frame.series.gaps().chain(ends) {
        let (left, right) = (frame.x(from), frame.x(until));
        if right - left > GAP * unit {
            svg.text(((left + right) / 2.0, middle), "no data", style);
        }
    }
}

/// Ticks at the right edge for the lowest and the highest value, and marks where a spike is cut off.
fn extremes(svg: &mut Svg, frame: &Frame<'_>) {
    let Some(figures) = frame.series.figures else { return };
    let (plot, unit, colours) = (frame.plot, frame.unit, frame.colours);
    if figures.min.value < figures.max.value {
        for value in [figures.min.value, figures.max.value] {
            if (0.0..=1.0).contains(&frame.scale.part(value)) {
                extreme_sign(svg, (plot.right + 1.0, frame.y(value)), unit, colours.muted);
            }
        }
    }
    if !frame.clipped {
        return;
    }
    for (point, edge, down) in [(figures.max, plot.top, 1.0), (figures.min, plot.bottom, -1.0)] {
        if (0.0..=1.0).contains(&frame.scale.part(point.value)) {
            continue;
        }
        let x = frame.x(point.ts);
        svg.write(format_args!(
            "<path d=\"M{} {}L{} {}L{} {}Z\" fill=\"{}\"/>\n",
            Short(x),
            Short(edge),
            Short(x - 4.5 * unit),
            Short(edge + 7.0 * unit * down),
            Short(x + 4.5 * unit),
            Short(edge + 7.0 * unit * down),
            colours.series
        ));
        let label = format!("off the chart: {}", super::number(point.value));
        let wide = width(&label, 10.0 * unit, Face::Regular);
        let fits = x + 8.0 * unit + wide < plot.right;
        let (anchor, x) = if fits { (Anchor::Start, x + 8.0 * unit) } else { (Anchor::End, x - 8.0 * unit) };
        let y = edge + if down > 0.0 { 9.0 * unit } else { -4.0 * unit };
        let style = Style { rim: Some(colours.ground), ..plain(10.0 * unit, colours.text, anchor) };
        svg.text((x, y), &label, style);
    }
}

/// A small triangle that points to the left.
fn extreme_sign(svg: &mut Svg, (x, y): (f64, f64), unit: f64, colour: &str) {
    svg.write(format_args!(
        "<path d=\"M{} {}L{} {}L{} {}Z\" fill=\"{colour}\"/>\n",
        Short(x),
        Short(y),
        Short(x + 5.0 * unit),
        Short(y - 3.2 * unit),
        Short(x + 5.0 * unit),
        Short(y + 3.2 * unit)
    ));
}

fn legend(svg: &mut Svg, frame: &Frame<'_>) {
    let (colours, unit, legend) = (frame.colours, frame.unit, &frame.legend);
    let left = 12.0 * unit;
    let top = frame.plot.bottom + 20.0 * unit;
    for (number, row) in legend.rows.iter().enumerate() {
        let y = top + (number as f64 + 0.75) * legend.row;
        for item in row {
            sign(svg, frame, item, (left + item.x, y - 3.6 * unit));
            let x = left + item.x + SIGN * unit;
            let size = legend::TEXT * unit;
            svg.text((x, y), &item.name, plain(size, colours.muted, Anchor::Start));
            let x = x + width(&item.name, size, Face::Regular) + 4.0 * unit;
            let style = Style { face: Face::Bold, ..plain(size, colours.text, Anchor::Start) };
            svg.text((x, y), &item.value, style);
        }
    }
    if !legend.rows.is_empty() {
        let y = top + (legend.rows.len() as f64 - 0.25) * legend.row;
        let style = plain(legend::TEXT * unit, colours.muted, Anchor::End);
        svg.text((frame.plot.right, y), &legend.zone, style);
    }
}

fn sign(svg: &mut Svg, frame: &Frame<'_>, item: &Item, (x, y): (f64, f64)) {
    let (colours, unit) = (frame.colours, frame.unit);
    let end = (x + 14.0 * unit, y);
    match item.sign {
        Sign::Series => svg.line((x, y), end, colours.series, 2.0 * unit, "none"),
        Sign::Mean => svg.line((x, y), end, colours.mean, 1.4 * unit, "4 2.5"),
        Sign::Bound => svg.line((x, y), end, colours.text, 1.3 * unit, "none"),
        Sign::Extreme => extreme_sign(svg, (x + 8.0 * unit, y), unit, colours.muted),
        Sign::Anomalous => svg.write(format_args!(
            "<circle cx=\"{}\" cy=\"{}\" r=\"{}\" fill=\"{}\"/>\n",
            Short(x + 9.0 * unit),
            Short(y),
            Short(3.0 * unit),
            colours.anomalous
        )),
        Sign::Expected => {
            let (half, size) = (4.0 * unit, (14.0 * unit, 8.0 * unit));
            svg.rectangle((x, y - half), size, colours.expected, "0.35");
            for y in [y - half, y + half] {
                svg.line((x, y), (x + 14.0 * unit, y), colours.expected, unit, "none");
            }
        }
    }
}
