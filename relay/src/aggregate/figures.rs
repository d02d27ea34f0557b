//! What the aggregator reports about itself.

use skyline_core::figure::Figure;

/// Counts since the start, and how much there is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Points that were inputs.
    pub inputs: u64,
    /// Points that were read and that no aggregation takes: the routing has changed meanwhile.
    pub unmatched: u64,
    /// Aggregates computed for the first time.
    pub outputs: u64,
    /// Aggregates computed again, because points came late.
    pub corrected: u64,
    /// Points that came when their bucket was gone, one for each aggregation.
    pub too_late: u64,
    /// Points whose time is too far ahead, one for each aggregation.
    pub future: u64,
    /// Points for outputs whose name cannot be a metric's.
    pub bad_names: u64,
    /// Aggregates that would have been inputs of themselves.
    pub loops: u64,
    /// Points for series that could begin no bucket, because the memory for them is spent.
    pub full: u64,
    /// Points of medians and percentiles that were not taken, because the values for them are spent.
    pub full_values: u64,
    /// Aggregates without a value.
    pub no_value: u64,
    /// Aggregates that could not be sent and were given up.
    pub unsent: u64,
    /// Saves that failed.
    pub save_errors: u64,
    /// Series in buckets that take points now.
    pub open: u64,
    /// Values that medians and percentiles hold now.
    pub values: u64,
    /// Bytes of all buckets now, about.
    pub bytes: u64,
}

impl Counts {
    /// As figures.
    pub fn figures(&self, out: &mut Vec<Figure>) {
        let refused = |reason: &str, n: u64| {
            Figure::counter("skyline_aggregate_refused_points_total", REFUSED, n).label("reason", reason)
        };
        out.extend([
            Figure::counter(
                "skyline_aggregate_input_points_total",
                "Points since start that were inputs of aggregations.",
                self.inputs,
            ),
            Figure::counter(
                "skyline_aggregate_output_points_total",
                "Aggregates computed for the first time since start.",
                self.outputs,
            ),
            Figure::counter(
                "skyline_aggregate_corrected_points_total",
                "Aggregates computed and sent again since start, because points came late.",
                self.corrected,
            ),
            Figure::counter(
                "skyline_aggregate_unsent_points_total",
                "Aggregates since start that could not be logged and were given up.",
                self.unsent,
            ),
            Figure::counter(
                "skyline_aggregate_valueless_points_total",
                "Aggregates since start without a value, as the rate of one point.",
                self.no_value,
            ),
            Figure::counter(
                "skyline_aggregate_save_errors_total",
                "Times since start that the state could not be saved.",
                self.save_errors,
            ),
            refused("too_late", self.too_late),
            refused("future", self.future),
            refused("unmatched", self.unmatched),
            refused("output_name", self.bad_names),
            refused("loop", self.loops),
            refused("memory", self.full),
            refused("values", self.full_values),
            Figure::gauge(
                "skyline_aggregate_open_series",
                "Series in buckets that take points, a series once for each bucket.",
                self.open as f64,
            ),
            Figure::gauge(
                "skyline_aggregate_held_values",
                "Values that medians and percentiles hold.",
                self.values as f64,
            ),
            Figure::gauge(
                "skyline_aggregate_state_bytes",
                "Memory of all buckets, about.",
                self.bytes as f64,
            ),
        ]);
    }
}

const REFUSED: &str =
    "Inputs since start that did not get into a bucket, by reason, one for each aggregation or output.";
