//! Which version of the reference made the tables, told by their columns.

use super::Source;
use crate::import::error::Error;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What must be there, and which version brought it. The base is what every version has that can be upgraded.
const NEEDED: &[(&str, &str, &str)] = &[
    ("hosts", "host", "1.1"),
    ("apps", "app", "1.1"),
    ("algorithms", "algorithm", "1.1"),
    ("sources", "source", "1.1"),
    ("metrics", "metric", "1.1"),
    ("anomalies", "anomalous_datapoint", "1.1"),
    ("ionosphere", "features_sum", "1.1"),
    ("ionosphere_matched", "metric_timestamp", "1.1"),
    ("metrics", "learn_full_duration_days", "1.1"),
    ("ionosphere", "parent_id", "1.1"),
    ("ionosphere_layers", "fp_id", "1.1.2"),
    ("layers_algorithms", "layer_boundary", "1.1.2"),
    ("ionosphere_layers_matched", "layer_id", "1.1.2"),
    ("ionosphere", "layers_id", "1.1.2"),
    ("ionosphere", "validated", "1.1.3"),
    ("luminosity", "coefficient", "1.2.0"),
    ("ionosphere_matched", "minmax", "1.2.1"),
    ("ionosphere_matched", "fp_count", "1.2.2"),
    ("ionosphere_layers_matched", "approx_close", "1.2.8"),
    ("ionosphere", "echo_fp", "1.2.12"),
];

/// Versions that can be told apart. An upgraded database of 1.3.0 lacks columns of a fresh one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Version {
    /// 1.2.12 to 1.2.15.
    #[default]
    V1_2_12,
    /// 1.2.16 and 1.2.17.
    V1_2_16,
    /// 1.3.0, upgraded from an earlier one.
    V1_3_0Upgraded,
    /// 1.3.0, made so.
    V1_3_0Fresh,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V1_2_12 => "1.2.12 or later, before 1.2.16",
            Self::V1_2_16 => "1.2.16 or later, before 1.3.0",
            Self::V1_3_0Upgraded => "1.3.0, upgraded",
            Self::V1_3_0Fresh => "1.3.0",
        })
    }
}

/// Tables and their columns.
#[derive(Debug, Clone, Default)]
pub(crate) struct Layout {
    tables: BTreeMap<String, BTreeSet<String>>,
    /// Ids of metrics that have a table of series, and one of features.
    series: BTreeSet<i64>,
    features: BTreeSet<i64>,
    version: Version,
}

/// The metric of a table's name, `z_ts_12`.
fn metric_of(table: &str, prefix: &str) -> Option<i64> {
    // No sign and no leading zero: what is parsed must be the name again.
    table.strip_prefix(prefix)?.parse().ok().filter(|id: &i64| format!("{prefix}{id}") == table && *id > 0)
}

impl Layout {
    pub(super) async fn read(source: &mut Source) -> Result<Self, Error> {
        let sql = "SELECT CAST(table_name AS CHAR) AS t, CAST(column_name AS CHAR) AS c \
                   FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name NOT LIKE 'z\\_%'";
        let columns: Vec<(String, String)> = source.all("information_schema", sql.to_owned(), &[]).await?;
        let sql = "SELECT CAST(table_name AS CHAR) AS t FROM information_schema.tables \
                   WHERE table_schema = DATABASE() AND table_name LIKE 'z\\_%'";
        let own: Vec<(String,)> = source.all("information_schema", sql.to_owned(), &[]).await?;
        let mut layout = Self::default();
        for (table, column) in columns {
            layout.tables.entry(table).or_default().insert(column.to_lowercase());
        }
        layout.series = own.iter().filter_map(|(table,)| metric_of(table, "z_ts_")).collect();
        layout.features = own.iter().filter_map(|(table,)| metric_of(table, "z_fp_")).collect();
        for table in ["metrics", "anomalies"] {
            if !layout.has_table(table) {
                return Err(Error::Foreign { address: source.boxed_address(), table });
            }
        }
        let missing = layout.missing();
        if !missing.is_empty() {
            return Err(Error::TooOld { address: source.boxed_address(), missing });
        }
        layout.version = layout.newest();
        Ok(layout)
    }

    fn missing(&self) -> Vec<String> {
        let lacks = NEEDED.iter().filter(|(table, column, _)| !self.has(table, column));
        lacks.map(|(table, column, version)| format!("{table}.{column} (version {version})")).collect()
    }

    fn newest(&self) -> Version {
        match () {
            () if self.has("ionosphere", "validated_user_id") => Version::V1_3_0Fresh,
            () if self.has_table("users") && self.has("ionosphere_matched", "validated") => {
                Version::V1_3_0Upgraded
            }
            () if self.has("anomalies", "slack_thread_ts") => Version::V1_2_16,
            () => Version::V1_2_12,
        }
    }

    pub(crate) const fn version(&self) -> Version {
        self.version
    }

    pub(super) fn has(&self, table: &str, column: &str) -> bool {
        self.tables.get(table).is_some_and(|columns| columns.contains(column))
    }

    pub(crate) fn has_table(&self, table: &str) -> bool {
        self.tables.contains_key(table)
            || metric_of(table, "z_ts_").is_some_and(|id| self.series.contains(&id))
            || metric_of(table, "z_fp_").is_some_and(|id| self.features.contains(&id))
    }

    /// `column` where the table has it, else `otherwise`.
    pub(super) fn or<'a>(&self, table: &str, column: &'a str, otherwise: &'a str) -> &'a str {
        if self.has(table, column) { column } else { otherwise }
    }

    /// Metrics that have a table of series or of features, ascending.
    pub(crate) fn metrics_with_tables(&self) -> Vec<i64> {
        self.series.union(&self.features).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_of_metrics() {
        let check = |table: &str, expected: Option<i64>| assert_eq!(metric_of(table, "z_ts_"), expected);
        check("z_ts_12", Some(12));
        check("z_ts_metricid", None);
        check("z_ts_012", None);
        check("z_ts_+1", None);
        check("z_ts_0", None);
        check("z_fp_12", None);
        check("z_ts_99999999999999999999", None);
    }
}
