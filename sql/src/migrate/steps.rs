//! The steps themselves. One that was released never changes.

use crate::session::Dialect;

/// One step, in both dialects.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    pub(crate) version: i64,
    pub(crate) name: &'static str,
    pub(crate) sqlite: &'static str,
    pub(crate) mysql: &'static str,
}

macro_rules! step {
    ($version:literal, $name:literal, $file:literal) => {
        Step {
            version: $version,
            name: $name,
            sqlite: include_str!(concat!("../../migrations/sqlite/", $file)),
            mysql: include_str!(concat!("../../migrations/mysql/", $file)),
        }
    };
}

/// All steps, ascending.
pub(crate) const STEPS: &[Step] = &[
    step!(1, "anomalies", "0001_anomalies.sql"),
    step!(2, "accounts", "0002_accounts.sql"),
    step!(3, "learning", "0003_learning.sql"),
    step!(4, "verdicts", "0004_verdicts.sql"),
    step!(5, "incidents", "0005_incidents.sql"),
    step!(10, "imports", "0010_imports.sql"),
    step!(11, "alerting", "0011_alerting.sql"),
];

impl Step {
    /// MD5 of the step's text in hexadecimal digits.
    pub(crate) fn checksum(&self, dialect: Dialect) -> String {
        use md5::Digest as _;
        let text = dialect.pick(self.sqlite, self.mysql);
        md5::Md5::digest(text).iter().map(|b| format!("{b:02x}")).collect()
    }
}

/// The statements of a step: each ends with a `;` at the end of a line; comments have lines of their own.
pub(crate) fn statements(text: &str) -> impl Iterator<Item = String> {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("--") && !line.trim().is_empty());
    let mut statements = vec![String::new()];
    for line in lines {
        if let Some(last) = statements.last_mut() {
            last.push_str(line);
            last.push('\n');
        }
        if line.trim_end().ends_with(';') {
            statements.push(String::new());
        }
    }
    statements.into_iter().filter(|statement| !statement.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_cut_into_statements() {
        let text = "-- one; two;\n\nCREATE TABLE a (\n    x INT\n);\n-- more\nUPDATE a SET x = 1;\n";
        let statements: Vec<_> = statements(text).collect();
        assert_eq!(statements, ["CREATE TABLE a (\n    x INT\n);\n", "UPDATE a SET x = 1;\n"]);
        for step in STEPS {
            assert!(super::statements(step.mysql).all(|s| s.ends_with(";\n") && s.matches(';').count() == 1));
        }
    }
}
