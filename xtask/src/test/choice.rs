//! Which tests run on which kernel. Emulation is slow, so each part of the matrix runs in full where it is special, and
//! a part that stands for the whole where it is not.

use crate::vm::Series;

use super::{agent::Run, executables::Executable};

/// The package of the system tests.
pub const SYSTEM_PACKAGE: &str = "aggctl-tests";
/// The package whose integration tests try programs, hooks and netlink on a kernel.
pub const KERNEL_PACKAGE: &str = "aggctl-kernel";

/// How long a machine may take, seconds.
pub const LIMIT: u64 = 900;

/// How many tests run at a time in a machine.
const THREADS: &str = "--test-threads=2";

/// What runs on a kernel.
pub struct Portion {
    /// The kernel.
    pub series: Series,
    /// Tests with one of these in their names are left out, for others that stand for them.
    pub without: &'static [&'static str],
}

/// What runs on each kernel.
pub const PORTIONS: &[Portion] = &[
    Portion { series: Series::V6_1, without: &[] },
    Portion { series: Series::V6_12, without: &[] },
    Portion { series: Series::Newest, without: &[] },
];

impl Portion {
    /// The runs of this portion; only tests whose names contain a word of `filter`, if there are any.
    pub fn runs(&self, executables: &[Executable], filter: &[String]) -> Vec<Run> {
        let suite = |executable: &Executable| match executable.package.as_str() {
            KERNEL_PACKAGE => Some("kernel"),
            SYSTEM_PACKAGE => Some("system"),
            _ => None,
        };
        let chosen = executables.iter().filter(|executable| executable.integration);
        let mut runs: Vec<Run> =
            chosen.filter_map(|executable| Some(run(suite(executable)?, executable, filter, self.without))).collect();
        // The small before the large: what the kernel refuses is seen early.
        runs.sort_by(|a, b| a.name.cmp(&b.name));
        runs
    }
}

/// A run of an executable.
pub fn run(suite: &str, executable: &Executable, filter: &[String], without: &[&str]) -> Run {
    // What a person asks for by name is not left out.
    let without = without.iter().filter(|_| filter.is_empty()).flat_map(|word| ["--skip", *word]);
    let arguments = ["--show-output", THREADS].into_iter().chain(without).map(str::to_owned);
    Run {
        name: format!("{suite}/{}", executable.target),
        path: executable.path.clone(),
        directory: executable.directory.clone(),
        arguments: arguments.chain(filter.iter().cloned()).collect(),
    }
}
