//! The table at the end.

use std::fmt;

use comfy_table::{CellAlignment, Table, presets};

use super::suite::Outcome;

/// What became of the suites, in the order in which they ran.
#[derive(Default)]
pub struct Report {
    rows: Vec<(String, Outcome)>,
    left_out: Vec<(String, String)>,
}

impl Report {
    /// Adds a suite that ran.
    pub fn add(&mut self, suite: &str, outcome: Outcome) {
        self.rows.push((suite.to_owned(), outcome));
    }

    /// Notes a suite that did not run.
    pub fn leave_out(&mut self, suite: &str, reason: &str) {
        self.left_out.push((suite.to_owned(), reason.to_owned()));
    }

    /// Whether anything failed.
    pub fn failed(&self) -> bool {
        self.rows.iter().any(|(_, outcome)| outcome.tally.failed > 0)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_header(["suite", "passed", "failed", "skipped", "seconds"]);
        for (suite, Outcome { tally, took }) in &self.rows {
            table.add_row([
                suite.clone(),
                tally.passed.to_string(),
                tally.failed.to_string(),
                tally.skipped.to_string(),
                format!("{:.1}", took.as_secs_f64()),
            ]);
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        writeln!(f, "{table}")?;
        for (suite, outcome) in &self.rows {
            for reason in &outcome.tally.reasons {
                writeln!(f, "skipped in {suite}: {reason}")?;
            }
        }
        for (suite, reason) in &self.left_out {
            writeln!(f, "left out: {suite}: {reason}")?;
        }
        Ok(())
    }
}
