//! The table at the end, and the same for machines.

use std::{fmt, fs, path::Path, time::Instant};

use anyhow::{Context, Result};
use comfy_table::{CellAlignment, Table, presets};
use serde::{Deserialize, Serialize};

use super::{
    scan::{Tally, TestVerdict},
    suite::SuiteOutcome,
};

/// The file for programs, in the target directory.
pub const FILE: &str = "test-report.json";
/// What the kernel of this machine is called.
pub const HOST: &str = "host";

/// What became of the suites, in the order in which they ran.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TestReport {
    /// The kernels.
    pub kernels: Vec<KernelReport>,
    /// The suites.
    pub suites: Vec<Suite>,
    /// Suites that did not run, and why.
    pub left_out: Vec<(String, String)>,
    /// When it was begun, unless it was read.
    #[serde(skip)]
    begun: Option<Instant>,
}

/// A kernel.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct KernelReport {
    /// What we call it.
    pub name: String,
    /// What it calls itself.
    pub release: String,
    /// Where it ran.
    pub place: Where,
    /// What kept its tests from coming to their end.
    pub trouble: Option<String>,
}

/// Where a kernel ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Where {
    /// It is the one of this machine.
    Host,
    /// In a virtual machine.
    Machine,
}

/// A suite on a kernel.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Suite {
    /// The suite.
    pub suite: String,
    /// The kernel, as in [`KernelReport::name`].
    pub kernel: String,
    /// How long it took.
    pub seconds: f64,
    /// What its tests came to.
    #[serde(flatten)]
    pub tally: Tally,
}

impl TestReport {
    /// A report that begins with the host's kernel.
    pub fn new() -> Self {
        let mut report = Self { begun: Some(Instant::now()), ..Self::default() };
        report.kernel(HOST, &rustix::system::uname().release().to_string_lossy(), Where::Host);
        report
    }

    /// Adds a kernel.
    pub fn kernel(&mut self, name: &str, release: &str, place: Where) {
        self.kernels.push(KernelReport { name: name.to_owned(), release: release.to_owned(), place, trouble: None });
    }

    /// Notes what kept the tests of a kernel from coming to their end.
    pub fn trouble(&mut self, name: &str, what: &str) {
        if let Some(kernel) = self.kernels.iter_mut().find(|kernel| kernel.name == name) {
            kernel.trouble = Some(what.to_owned());
        }
    }

    /// Adds a suite that ran.
    pub fn add(&mut self, suite: &str, kernel: &str, SuiteOutcome { tally, took }: SuiteOutcome) {
        let seconds = (took.as_secs_f64() * 10.0).round() / 10.0;
        self.suites.push(Suite { suite: suite.to_owned(), kernel: kernel.to_owned(), seconds, tally });
    }

    /// Notes a suite that did not run.
    pub fn leave_out(&mut self, suite: &str, reason: &str) {
        self.left_out.push((suite.to_owned(), reason.to_owned()));
    }

    /// Whether anything failed.
    pub fn failed(&self) -> bool {
        self.suites.iter().any(|suite| suite.tally.failed > 0)
            || self.kernels.iter().any(|kernel| kernel.trouble.is_some())
    }

    /// Writes it for programs.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn write(&self, file: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self).context("the report")?;
        fs::write(file, text + "\n").with_context(|| format!("cannot write {}", file.display()))
    }

    /// Reads what [`TestReport::write`] wrote.
    ///
    /// # Errors
    ///
    /// When there is no such file, or it is no report.
    pub fn read(file: &Path) -> Result<Self> {
        let text = fs::read(file).with_context(|| format!("cannot read {}: run `cargo xtask test`", file.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("{} is no report", file.display()))
    }
}

impl fmt::Display for TestReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        let header = ["suite", "kernel", "passed", "failed", "skipped", "seconds"];
        table.load_style(presets::NOTHING).set_header(header);
        for Suite { suite, kernel, seconds, tally } in &self.suites {
            table.add_row([
                suite.clone(),
                kernel.clone(),
                tally.passed.to_string(),
                tally.failed.to_string(),
                tally.skipped.to_string(),
                format!("{seconds:.1}"),
            ]);
        }
        for column in table.column_iter_mut().skip(2) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        writeln!(f, "{table}")?;
        for KernelReport { name, release, .. } in &self.kernels {
            writeln!(f, "kernel {name}: Linux {release}")?;
        }
        for Suite { suite, kernel, tally, .. } in &self.suites {
            for reason in &tally.reasons {
                writeln!(f, "skipped in {suite} on {kernel}: {reason}")?;
            }
        }
        for Suite { suite, kernel, tally, .. } in &self.suites {
            for test in tally.tests.iter().filter(|test| test.verdict == TestVerdict::Unsteady) {
                writeln!(f, "UNSTEADY in {suite} on {kernel}: {}: it failed, and held by itself", test.name)?;
            }
        }
        for Suite { suite, kernel, tally, .. } in &self.suites {
            let tests = tally.tests.iter().filter(|test| test.verdict == TestVerdict::Failed).map(|test| &test.name);
            for failure in tally.failures.iter().chain(tests) {
                writeln!(f, "FAILED in {suite} on {kernel}: {failure}")?;
            }
        }
        for (suite, reason) in &self.left_out {
            writeln!(f, "left out: {suite}: {reason}")?;
        }
        for KernelReport { name, trouble, .. } in &self.kernels {
            if let Some(trouble) = trouble {
                writeln!(f, "FAILED on kernel {name}: {trouble}")?;
            }
        }
        if let Some(begun) = self.begun {
            writeln!(f, "all together: {:.1} minutes", begun.elapsed().as_secs_f64() / 60.0)?;
        }
        Ok(())
    }
}
