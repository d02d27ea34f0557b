//! The node's figures as carbon metrics.

use skyline_core::figure::Figure;

/// Each figure as name and value: `<prefix>.<name without skyline_>[.<label value>…]`. In label values
/// all but letters, digits, `-` and `_` becomes `_`, so that each is one element of the name. Values
/// that are not finite are left out.
///
/// `prefix` is used as it is, such as `skyline.node.web01`; see [`element`] for making parts of it.
#[must_use]
pub fn carbon_lines(figures: &[Figure], prefix: &str) -> Vec<(String, f64)> {
    figures
        .iter()
        .filter(|figure| figure.value.is_finite())
        .map(|figure| {
            let mut name =
                format!("{prefix}.{}", figure.name.strip_prefix("skyline_").unwrap_or(figure.name));
            for (_, value) in &figure.labels {
                name.push('.');
                name.push_str(&element(value));
            }
            (name, figure.value)
        })
        .collect()
}

/// `text` as one element of a metric's name.
#[must_use]
pub fn element(text: &str) -> String {
    if text.is_empty() {
        return "_".to_owned();
    }
    text.chars().map(|c| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let check = |figure, expected: &str| {
            let lines = carbon_lines(&[figure], "skyline.node.web01");
            assert_eq!(lines, [(expected.to_owned(), 3.0)]);
        };
        check(Figure::gauge("skyline_journal_bytes", "", 3.0), "skyline.node.web01.journal_bytes");
        check(Figure::counter("other_total", "", 3), "skyline.node.web01.other_total");
        let labelled =
            Figure::counter("skyline_sent_total", "", 3).label("to", "10.0.0.7:2004").label("kind", "late");
        check(labelled, "skyline.node.web01.sent_total.10_0_0_7_2004.late");
        check(Figure::gauge("skyline_x", "", 3.0).label("quantile", "0.99"), "skyline.node.web01.x.0_99");
        check(Figure::gauge("skyline_x", "", 3.0).label("name", ""), "skyline.node.web01.x._");
        check(
            Figure::gauge("skyline_x", "", 3.0).label("name", "a b\nc 1 2"),
            "skyline.node.web01.x.a_b_c_1_2",
        );
    }

    #[test]
    fn values_that_carbon_has_no_word_for_are_left_out() {
        assert!(carbon_lines(&[Figure::gauge("skyline_x", "", f64::NAN)], "p").is_empty());
    }
}
