//! Failed system tests once more, each by itself. One that then holds failed for what ran beside it, or fails rarely:
//! it is called unsteady, stays in the report by name, and does not fail the run.

use std::path::Path;

use super::{
    agent::Run,
    scan::{Tally, Verdict},
    suite::{self, Outcome},
};

/// More failures than these are no accident: none of them is tried again.
const MOST: u64 = 3;

/// Runs what failed in `outcome` again, one test after the other, and puts the new verdicts in. Failures without a name
/// (an executable that died) stay as they are.
pub fn again(outcome: &mut Outcome, runs: &[Run], environment: &[(&str, &Path)]) {
    let tally = &mut outcome.tally;
    if tally.failed > MOST {
        return;
    }
    for at in 0..tally.tests.len() {
        if tally.tests[at].verdict != Verdict::Failed {
            continue;
        }
        let held = of(&tally.tests[at].name, runs).is_some_and(|alone| {
            println!("{}: again, by itself …", tally.tests[at].name);
            let again = suite::executables(&[alone], environment, 1).tally;
            again.failed == 0 && again.passed > 0
        });
        if held {
            forgive(tally, at);
        }
    }
}

/// The run of a single test, which is named with its executable.
fn of(name: &str, runs: &[Run]) -> Option<Run> {
    let (executable, test) = name.split_once("::")?;
    let run = runs.iter().find(|run| run.executable() == executable)?;
    let arguments = ["--show-output", "--exact", test].map(str::to_owned).to_vec();
    Some(Run { arguments, tests: 1, ..run.clone() })
}

/// Takes a failure for an unsteady test.
fn forgive(tally: &mut Tally, at: usize) {
    tally.tests[at].verdict = Verdict::Unsteady;
    tally.failed -= 1;
    tally.unsteady += 1;
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _, time::Duration};

    use super::*;
    use crate::test::scan::Test;

    /// An executable that says of each test named `bad` that it fails, and of others that they pass.
    const SCRIPT: &str = "#!/bin/sh
for test; do :; done
if [ \"$test\" = bad ]; then verdict=FAILED counts='0 passed; 1 failed'; else verdict=ok counts='1 passed; 0 failed'; fi
echo \"test $test ... $verdict\"
echo \"test result: $verdict. $counts; 0 ignored; 0 measured; 0 filtered out\"
[ $verdict = ok ]
";

    fn outcome(names: &[&str]) -> Outcome {
        let test = |name: &&str| Test { name: (*name).to_owned(), verdict: Verdict::Failed, case: None };
        let tests: Vec<Test> = names.iter().map(test).collect();
        let tally = Tally { failed: tests.len() as u64, tests, ..Tally::default() };
        Outcome { tally, took: Duration::ZERO }
    }

    #[test]
    fn only_a_test_that_holds_by_itself_is_unsteady() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("fake");
        fs::write(&path, SCRIPT).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let (name, directory) = ("system/fake".to_owned(), directory.path().to_owned());
        let run = Run { name, path, directory, arguments: Vec::new(), tests: 2 };

        let mut rare = outcome(&["fake::good", "fake::bad", "unknown::good"]);
        again(&mut rare, std::slice::from_ref(&run), &[]);
        let verdicts: Vec<Verdict> = rare.tally.tests.iter().map(|test| test.verdict).collect();
        assert_eq!(verdicts, [Verdict::Unsteady, Verdict::Failed, Verdict::Failed]);
        assert_eq!((rare.tally.failed, rare.tally.unsteady), (2, 1));

        let mut many = outcome(&["fake::good"; 4]);
        again(&mut many, &[run], &[]);
        assert_eq!((many.tally.failed, many.tally.unsteady), (4, 0));
    }
}
