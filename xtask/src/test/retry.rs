//! Failed system tests once more, each by itself. One that then holds failed for what ran beside it, or fails rarely:
//! it is called unsteady, stays in the report by name, and does not fail the run.

use super::{
    agent::ExecutableRun,
    scan::{Tally, TestVerdict},
};

/// More failures than these are no accident: none of them is tried again.
const MOST: u64 = 3;

/// Runs what failed in `tally` again, one test after the other, and puts the new verdicts in. Failures without a name
/// (an executable that died) stay as they are.
pub fn again(tally: &mut Tally, runs: &[ExecutableRun], mut run: impl FnMut(ExecutableRun) -> Tally) {
    if tally.failed > MOST {
        return;
    }
    for at in 0..tally.tests.len() {
        if tally.tests[at].verdict != TestVerdict::Failed {
            continue;
        }
        let held = of(&tally.tests[at].name, runs).is_some_and(|alone| {
            println!("{}: again, by itself …", tally.tests[at].name);
            let again = run(alone);
            again.failed == 0 && again.passed > 0
        });
        if held {
            forgive(tally, at);
        }
    }
}

/// The run of a single test, which is named with its executable.
fn of(name: &str, runs: &[ExecutableRun]) -> Option<ExecutableRun> {
    let (executable, test) = name.split_once("::")?;
    let run = runs.iter().find(|run| run.executable() == executable)?;
    let arguments = ["--show-output", "--exact", test].map(str::to_owned).to_vec();
    Some(ExecutableRun { arguments, tests: 1, ..run.clone() })
}

/// Takes a failure for an unsteady test.
fn forgive(tally: &mut Tally, at: usize) {
    tally.tests[at].verdict = TestVerdict::Unsteady;
    tally.failed -= 1;
    tally.unsteady += 1;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test::scan::Test;

    fn failed(names: &[&str]) -> Tally {
        let test = |name: &&str| Test { name: (*name).to_owned(), verdict: TestVerdict::Failed, case: None };
        let tests: Vec<Test> = names.iter().map(test).collect();
        Tally { failed: tests.len() as u64, tests, ..Tally::default() }
    }

    /// Of tests that are run by themselves those named `bad` fail.
    fn alone(run: ExecutableRun) -> Tally {
        assert_eq!((run.arguments.len(), run.tests), (3, 1));
        let bad = u64::from(run.arguments[2] == "bad");
        Tally { passed: 1 - bad, failed: bad, ..Tally::default() }
    }

    #[test]
    fn only_a_test_that_holds_by_itself_is_unsteady() {
        let (name, path) = ("system/fake".to_owned(), "/t/fake".into());
        let runs = [ExecutableRun { name, path, directory: "/t".into(), arguments: Vec::new(), tests: 9 }];

        let mut rare = failed(&["fake::good", "fake::bad", "unknown::good"]);
        again(&mut rare, &runs, alone);
        let verdicts: Vec<TestVerdict> = rare.tests.iter().map(|test| test.verdict).collect();
        assert_eq!(verdicts, [TestVerdict::Unsteady, TestVerdict::Failed, TestVerdict::Failed]);
        assert_eq!((rare.failed, rare.unsteady), (2, 1));

        let mut many = failed(&["fake::good"; 4]);
        again(&mut many, &runs, alone);
        assert_eq!((many.failed, many.unsteady), (4, 0));
    }
}
