//! The runs that the choice comes to, with the tests that there are.

use aggctl_vm::Series;
use anyhow::{Result, ensure};

use super::{KERNEL_PACKAGE, PORTIONS, Portion, SYSTEM_PACKAGE, TestExtent};
use crate::test::{
    agent::ExecutableRun,
    executables::{Executable, Listed},
};

/// How many tests of an executable run at a time.
const THREADS: &str = "--test-threads=2";

impl Portion {
    /// The runs of this portion; only tests whose names contain a word of `filter`, if there are any.
    pub fn runs(&self, listed: &[Listed], extent: TestExtent, filter: &[String]) -> Vec<ExecutableRun> {
        let mut runs: Vec<ExecutableRun> = listed
            .iter()
            .filter(|listed| listed.executable.integration)
            .filter_map(|listed| {
                let tests =
                    listed.tests.iter().filter(|test| self.has(&listed.executable.target, test, extent, filter));
                run(suite(&listed.executable)?, &listed.executable, tests)
            })
            .collect();
        // `kernel` before `system`: what the kernel refuses is seen early.
        runs.sort_by(|a, b| a.name.cmp(&b.name));
        runs
    }

    fn has(&self, executable: &str, test: &str, extent: TestExtent, filter: &[String]) -> bool {
        // What a person asks for by name is not left out.
        if !filter.is_empty() {
            return filter.iter().any(|word| test.contains(word.as_str()));
        }
        let without = self.without.iter().any(|word| test.contains(word));
        let portion = !self.absent.contains(&executable) && (self.full.contains(&executable) || !without);
        let brief = || {
            let chosen = self.brief.iter().find(|(name, _)| *name == executable);
            chosen.is_some_and(|(_, words)| words.is_empty() || words.iter().any(|word| test.contains(word)))
        };
        portion && (extent == TestExtent::Full || brief())
    }

    /// The names, and parts of names, that choose nothing: a test was renamed, and this table was forgotten.
    pub fn unknown(&self, listed: &[Listed]) -> Vec<String> {
        let target = |name: &&str| listed.iter().any(|listed| listed.executable.target == **name);
        let part = |word: &&str| listed.iter().any(|listed| listed.tests.iter().any(|test| test.contains(*word)));
        let of = |name: &str, word: &str| {
            let mut same = listed.iter().filter(|listed| listed.executable.target == name);
            same.any(|listed| listed.tests.iter().any(|test| test.contains(word)))
        };
        let named = self.absent.iter().chain(self.full).chain(self.brief.iter().map(|(name, _)| name));
        let mut unknown: Vec<String> = named.filter(|name| !target(name)).map(|name| (*name).to_owned()).collect();
        unknown.extend(self.without.iter().filter(|word| !part(word)).map(|word| (*word).to_owned()));
        for (name, words) in self.brief {
            let missing = words.iter().filter(|word| !of(name, word));
            unknown.extend(missing.map(|word| format!("{name}::{word}")));
        }
        unknown
    }
}

/// Fails if a name in the portions chooses nothing.
///
/// # Errors
///
/// As said, with all of them.
pub fn check(listed: &[Listed]) -> Result<()> {
    for portion in PORTIONS {
        let unknown = portion.unknown(listed);
        let name = portion.series.name();
        ensure!(unknown.is_empty(), "what runs on {name} is chosen by names that no test has: {}", unknown.join(", "));
    }
    Ok(())
}

/// The kernels that there are machines for.
pub fn kernels(extent: TestExtent) -> Vec<Series> {
    let wanted = PORTIONS.iter().filter(|portion| extent == TestExtent::Full || !portion.brief.is_empty());
    wanted.map(|portion| portion.series).collect()
}

/// The suite that a test executable belongs to.
fn suite(executable: &Executable) -> Option<&'static str> {
    match executable.package.as_str() {
        KERNEL_PACKAGE => Some("kernel"),
        SYSTEM_PACKAGE => Some("system"),
        _ => None,
    }
}

/// The system tests on the machine's own kernel, those beside the code of their harness included.
pub fn host_runs(listed: &[Listed], filter: &[String]) -> Vec<ExecutableRun> {
    let wanted = |test: &&String| filter.is_empty() || filter.iter().any(|word| test.contains(word.as_str()));
    let system = listed.iter().filter(|listed| listed.executable.package == SYSTEM_PACKAGE);
    let mut runs: Vec<ExecutableRun> =
        system.filter_map(|listed| run("system", &listed.executable, listed.tests.iter().filter(wanted))).collect();
    // Those with the most tests first, so that no long one is left at the end.
    runs.sort_by_key(|run| std::cmp::Reverse(run.tests));
    runs
}

/// A run of some tests of an executable, if there are any.
fn run<'a>(suite: &str, executable: &Executable, tests: impl Iterator<Item = &'a String>) -> Option<ExecutableRun> {
    let tests: Vec<String> = tests.cloned().collect();
    let count = tests.len();
    let options = ["--show-output", THREADS, "--exact"].map(str::to_owned);
    (count > 0).then(|| ExecutableRun {
        name: format!("{suite}/{}", executable.target),
        path: executable.path.clone(),
        directory: executable.directory.clone(),
        arguments: options.into_iter().chain(tests).collect(),
        tests: count,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test::choice::{CLSACT, HARNESS};

    fn listed(package: &str, target: &str, integration: bool, tests: &[&str]) -> Listed {
        let (package, target) = (package.to_owned(), target.to_owned());
        let executable = Executable { package, target, path: "/t/x".into(), directory: "/w".into(), integration };
        Listed { executable, tests: tests.iter().map(|test| (*test).to_owned()).collect() }
    }

    const PORTION: Portion = Portion {
        series: Series::V6_12,
        brief: &[("failover", &["cut::VETH"])],
        absent: &[HARNESS],
        without: &[CLSACT],
        full: &["failover"],
    };

    fn all() -> [Listed; 5] {
        [
            listed(SYSTEM_PACKAGE, "failover", true, &["cut::VETH_TCX", "cut::VETH_CLSACT", "back::VETH_TCX"]),
            listed(SYSTEM_PACKAGE, HARNESS, true, &["pings"]),
            listed(SYSTEM_PACKAGE, "aggctl_tests", false, &["cut"]),
            listed(KERNEL_PACKAGE, "hooks", true, &["cut::X_CLSACT", "tcx"]),
            listed("aggctl-engine", "plans", true, &["cut"]),
        ]
    }

    fn chosen(extent: TestExtent, filter: &[&str]) -> Vec<(String, Vec<String>)> {
        let filter: Vec<String> = filter.iter().map(|word| (*word).to_owned()).collect();
        let runs = PORTION.runs(&all(), extent, &filter).into_iter();
        runs.map(|run| (run.name, run.arguments[3..].to_vec())).collect()
    }

    #[test]
    fn a_portion_is_of_integration_tests_and_leaves_out_what_it_shall() {
        let failover = ["cut::VETH_TCX", "cut::VETH_CLSACT", "back::VETH_TCX"].map(str::to_owned).to_vec();
        let full = [("kernel/hooks".to_owned(), vec!["tcx".to_owned()]), ("system/failover".to_owned(), failover)];
        assert_eq!(chosen(TestExtent::Full, &[]), full);
        let brief = ["cut::VETH_TCX", "cut::VETH_CLSACT"].map(str::to_owned).to_vec();
        assert_eq!(chosen(TestExtent::Brief, &[]), [("system/failover".to_owned(), brief)]);
        assert_eq!(chosen(TestExtent::Brief, &["pings"]), [("system/harness".to_owned(), vec!["pings".to_owned()])]);
    }

    #[test]
    fn what_chooses_nothing_is_named() {
        assert_eq!(PORTION.unknown(&all()), Vec::<String>::new());
        let portion = Portion { brief: &[("failover", &["renamed"]), ("gone", &[])], without: &["no such"], ..PORTION };
        assert_eq!(portion.unknown(&all()), ["gone", "no such", "failover::renamed"]);
    }
}
