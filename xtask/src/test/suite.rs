//! Runs one suite.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use aggctl_tools::process;

use super::{
    agent::Run,
    scan::{Scanner, Tally},
};

/// What became of a suite.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What its tests came to.
    pub tally: Tally,
    /// How long it took, with compiling.
    pub took: Duration,
}

/// Runs commands that either succeed or do not, each of which counts as a test.
pub fn check(commands: &mut [Command]) -> Outcome {
    let begin = Instant::now();
    let mut tally = Tally::default();
    for command in commands {
        println!("$ {}", process::describe(command));
        match process::run(command) {
            Ok(()) => tally.passed += 1,
            Err(error) => {
                eprintln!("{error:#}");
                tally.failed += 1;
            }
        }
    }
    Outcome { tally, took: begin.elapsed() }
}

/// Runs tests with cargo, shows what it prints, and counts.
pub fn tests(command: &mut Command) -> Outcome {
    let begin = Instant::now();
    let tally = scanned(command);
    Outcome { tally, took: begin.elapsed() }
}

/// Runs test executables one after the other, with further variables, shows what they print, and counts. The names of
/// tests begin with that of their executable.
pub fn executables(runs: &[Run], environment: &[(&str, &Path)]) -> Outcome {
    let begin = Instant::now();
    let mut all = Tally::default();
    for run in runs {
        let mut command = Command::new(&run.path);
        command.args(&run.arguments).current_dir(&run.directory).envs(environment.iter().copied());
        let mut tally = scanned(&mut command);
        let executable = run.name.rsplit('/').next().unwrap_or_default();
        for test in &mut tally.tests {
            test.name = format!("{executable}::{}", test.name);
        }
        all.add(tally);
    }
    Outcome { tally: all, took: begin.elapsed() }
}

/// Runs a command, shows what it prints, and counts.
fn scanned(command: &mut Command) -> Tally {
    println!("$ {}", process::describe(command));
    let mut scanner = Scanner::default();
    let succeeded = command.stdout(Stdio::piped()).spawn().and_then(|mut child| {
        if let Some(output) = child.stdout.take() {
            for line in BufReader::new(output).split(b'\n') {
                let line = line?;
                let line = String::from_utf8_lossy(&line);
                if scanner.line(&line) {
                    println!("{line}");
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
