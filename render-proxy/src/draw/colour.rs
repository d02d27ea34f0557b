//! The colours of both looks. What matters differs in brightness or shape too, not in hue alone.

use super::Look;

/// Colours of one look, as SVG writes them.
#[derive(Debug)]
pub(super) struct Colours {
    /// Behind everything.
    pub(super) ground: &'static str,
    /// Lines of the grid.
    pub(super) grid: &'static str,
    /// The frame's left and lower line.
    pub(super) axis: &'static str,
    /// Title and what must be read first.
    pub(super) text: &'static str,
    /// Labels of axes, names in the legend.
    pub(super) muted: &'static str,
    /// The series.
    pub(super) series: &'static str,
    /// The expected range.
    pub(super) expected: &'static str,
    /// How much of it covers what is behind, 0 to 1.
    pub(super) expected_cover: &'static str,
    /// The mean.
    pub(super) mean: &'static str,
    /// Anomalous points, onset and peak.
    pub(super) anomalous: &'static str,
    /// How much the time of an anomaly covers what is behind, 0 to 1.
    pub(super) anomalous_cover: &'static str,
}

/// Near black, with the orange of the reference's plots.
const DARK: Colours = Colours {
    ground: "#0b0d11",
    grid: "#20252d",
    axis: "#48505c",
    text: "#f1f3f5",
    muted: "#a4adb8",
    series: "#f0a32f",
    expected: "#56b4e9",
    expected_cover: "0.17",
    mean: "#2fc59b",
    anomalous: "#ff5cab",
    anomalous_cover: "0.13",
};

/// White; the same hues, darker.
const LIGHT: Colours = Colours {
    ground: "#ffffff",
    grid: "#e8ebef",
    axis: "#b9c1ca",
    text: "#14181d",
    muted: "#57606b",
    series: "#b85c00",
    expected: "#0072b2",
    expected_cover: "0.13",
    mean: "#00785a",
    anomalous: "#c2006b",
    anomalous_cover: "0.09",
};

/// The colours of a look.
pub(super) fn of(look: Look) -> &'static Colours {
    match look {
        Look::Dark => &DARK,
        Look::Light => &LIGHT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance as WCAG 2 defines it.
    fn luminance(colour: &str) -> f64 {
        let channel = |at: usize| {
            let byte = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0;
            if byte <= 0.040_45 { byte / 12.92 } else { ((byte + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
    }

    fn contrast(a: &str, b: &str) -> f64 {
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn what_is_read_stands_out() {
        for colours in [&DARK, &LIGHT] {
            for text in [colours.text, colours.muted] {
                assert!(contrast(text, colours.ground) >= 4.5, "{text}");
            }
            for line in [colours.series, colours.expected, colours.mean, colours.anomalous] {
                assert!(contrast(line, colours.ground) >= 4.0, "{line}");
            }
        }
    }

    /// What dichromats see of a colour, by the matrices of Viénot, Brettel and Mollon (1999), linear light.
    fn seen(colour: &str, matrix: [[f64; 3]; 3]) -> [f64; 3] {
        let channel =
            |at: usize| (f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0).powf(2.2);
        let rgb = [channel(1), channel(3), channel(5)];
        matrix.map(|row| {
            row.iter().zip(rgb).map(|(a, b)| a * b).sum::<f64>().clamp(0.0, 1.0).powf(1.0 / 2.2) * 255.0
        })
    }

    #[test]
    fn colours_differ_for_those_who_do_not_tell_red_from_green() {
        let protan = [[0.1124, 0.8876, 0.0], [0.1124, 0.8876, 0.0], [0.0040, -0.0040, 1.0]];
        let deutan = [[0.2927, 0.7073, 0.0], [0.2927, 0.7073, 0.0], [-0.0223, 0.0223, 1.0]];
        for colours in [&DARK, &LIGHT] {
            for matrix in [protan, deutan] {
                let all = [colours.series, colours.expected, colours.anomalous];
                for (i, a) in all.iter().enumerate() {
                    for b in all.iter().skip(i + 1) {
                        let distance: f64 = seen(a, matrix)
                            .iter()
                            .zip(seen(b, matrix))
                            .map(|(x, y)| (x - y).powi(2))
                            .sum::<f64>()
                            .sqrt();
                        assert!(distance > 60.0, "{a} and {b}: {distance}");
                    }
                }
            }
        }
    }
}
