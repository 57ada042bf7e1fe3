//! Runs one suite.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use aggctl_tools::process;

use super::{
    agent::ExecutableRun,
    scan::{Scanner, Tally},
};

/// What became of a suite.
#[derive(Clone, Debug)]
pub struct SuiteOutcome {
    /// What its tests came to.
    pub tally: Tally,
    /// How long it took, with compiling.
    pub took: Duration,
}

/// Runs commands that either succeed or do not, each of which counts as a test.
pub fn check(commands: &mut [Command]) -> SuiteOutcome {
    let begin = Instant::now();
    let mut tally = Tally::default();
    for command in commands {
        println!("$ {}", process::describe(command));
        match process::run(command) {
            Ok(()) => tally.passed += 1,
            Err(error) => {
                tally.failed += 1;
                tally.failures.push(format!("{error:#}"));
            }
        }
    }
    SuiteOutcome { tally, took: begin.elapsed() }
}

/// Runs tests with cargo, shows what it prints, and counts.
pub fn tests(command: &mut Command) -> SuiteOutcome {
    let begin = Instant::now();
    println!("$ {}", process::describe(command));
    let tally = scanned(command, &mut |line| println!("{line}"));
    SuiteOutcome { tally, took: begin.elapsed() }
}

/// Runs test executables, some side by side, with further variables; shows what failed, and how many tests are left.
/// The names of tests begin with that of their executable.
pub fn executables(runs: &[ExecutableRun], environment: &[(&str, &Path)], lanes: usize) -> SuiteOutcome {
    let begin = Instant::now();
    let next = AtomicUsize::new(0);
    let left = AtomicUsize::new(runs.iter().map(|run| run.tests).sum());
    let lane = || {
        let mut sum = Tally::default();
        while let Some(run) = runs.get(next.fetch_add(1, Ordering::Relaxed)) {
            sum.add(executable(run, environment, &left));
        }
        sum
    };
    let mut all = Tally::default();
    thread::scope(|scope| {
        let lanes: Vec<_> = (0..lanes).map(|_| scope.spawn(lane)).collect();
        for lane in lanes {
            // A lane that panicked ran tests that nobody counted.
            all.add(lane.join().unwrap_or(Tally { failed: 1, ..Tally::default() }));
        }
    });
    SuiteOutcome { tally: all, took: begin.elapsed() }
}

/// Runs one executable. What it prints is shown when it has ended, so that it does not mix with that of others.
fn executable(run: &ExecutableRun, environment: &[(&str, &Path)], left: &AtomicUsize) -> Tally {
    let begin = Instant::now();
    println!("{}: {} tests …", run.name, run.tests);
    let mut command = Command::new(&run.path);
    command.args(&run.arguments).current_dir(&run.directory).envs(environment.iter().copied());
    let mut shown = Vec::new();
    let mut tally = scanned(&mut command, &mut |line| shown.push(line.to_owned()));
    for test in &mut tally.tests {
        test.name = format!("{}::{}", run.executable(), test.name);
    }
    let left = left.fetch_sub(run.tests, Ordering::Relaxed) - run.tests;
    if tally.failed > 0 {
        println!("{}", shown.join("\n"));
    }
    println!("{}: {tally} in {:.0} s; {left} tests left", run.name, begin.elapsed().as_secs_f64());
    tally
}

/// Runs a command, shows what it prints, and counts.
fn scanned(command: &mut Command, show: &mut dyn FnMut(&str)) -> Tally {
    let mut scanner = Scanner::default();
    let succeeded = command.stdout(Stdio::piped()).spawn().and_then(|mut child| {
        if let Some(output) = child.stdout.take() {
            for line in BufReader::new(output).split(b'\n') {
                let line = line?;
                let line = String::from_utf8_lossy(&line);
                if scanner.line(&line) {
                    show(&line);
                }
            }
        }
        child.wait()
    });
    let mut tally = scanner.tally();
    // What does not compile, or dies, has no closing line that counts a failure.
    if !succeeded.is_ok_and(|status| status.success()) && tally.failed == 0 {
        tally.failed = 1;
    }
    tally
}
