//! Makes suites of what the agent in a machine writes.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use aggctl_vm::Lines;

use super::{
    agent::{AgentMessage, ExecutableRun},
    scan::{Scanner, Tally},
    suite::SuiteOutcome,
};

/// What was received from a machine.
#[derive(Clone, Debug, Default)]
pub struct Transcript {
    /// Its kernel's release, once it said so.
    pub kernel: Option<String>,
    /// Suites, in the order of their first run, with what came to an end.
    pub suites: Vec<(String, SuiteOutcome)>,
    /// The run that is under way.
    pub current: Option<String>,
    /// Whether it said that nothing more comes.
    pub done: bool,
}

impl Transcript {
    /// Adds what tests of a run came to. The name of a run is `SUITE/EXECUTABLE`, and so are then the names of its
    /// tests.
    fn add(&mut self, run: &str, mut tally: Tally, took: Duration) {
        let (suite, executable) = run.split_once('/').unwrap_or((run, run));
        for test in &mut tally.tests {
            test.name = format!("{executable}::{}", test.name);
        }
        match self.suites.iter_mut().find(|(name, _)| name == suite) {
            Some((_, outcome)) => {
                outcome.tally.add(tally);
                outcome.took += took;
            }
            None => self.suites.push((suite.to_owned(), SuiteOutcome { tally, took })),
        }
    }
}

/// Takes in the output of the agent, byte by byte, and shows the lines that people want to see.
#[derive(Clone, Debug)]
pub struct Listener(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    label: String,
    /// How many tests each run has, by its name.
    counts: BTreeMap<String, usize>,
    /// How many tests are left.
    left: usize,
    lines: Lines,
    scanner: Scanner,
    received: Transcript,
}

impl Listener {
    /// One for a machine with these runs; `label` stands before the lines that are shown.
    pub fn new(label: &str, runs: &[ExecutableRun]) -> Self {
        let state = State {
            label: label.to_owned(),
            counts: runs.iter().map(|run| (run.name.clone(), run.tests)).collect(),
            left: runs.iter().map(|run| run.tests).sum(),
            lines: Lines::default(),
            scanner: Scanner::default(),
            received: Transcript::default(),
        };
        Self(Arc::new(Mutex::new(state)))
    }

    /// What was received until now; a run that did not end counts as far as it got.
    pub fn received(&self) -> Transcript {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let tally = std::mem::take(&mut state.scanner).tally();
        let mut received = std::mem::take(&mut state.received);
        if let Some(run) = received.current.clone() {
            received.add(&run, tally, Duration::ZERO);
        }
        received
    }
}

impl Write for Listener {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for line in state.lines.take_in(bytes) {
            state.line(&line);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl State {
    fn line(&mut self, line: &str) {
        match AgentMessage::read(line) {
            Some(AgentMessage::Kernel(release)) => self.received.kernel = Some(release),
            Some(AgentMessage::Begin(run)) => {
                self.show(&format!("{run} …"));
                self.received.current = Some(run);
                self.scanner = Scanner::default();
            }
            Some(AgentMessage::End { succeeded, seconds }) => {
                let Some(run) = self.received.current.take() else { return };
                let mut tally = std::mem::take(&mut self.scanner).tally();
                // What dies has no closing line that counts a failure.
                if !succeeded && tally.failed == 0 {
                    tally.failed = 1;
                }
                self.left = self.left.saturating_sub(self.counts.get(&run).copied().unwrap_or_default());
                self.show(&format!("{run}: {tally} in {seconds:.0} s; {} tests left", self.left));
                self.received.add(&run, tally, Duration::try_from_secs_f64(seconds).unwrap_or_default());
            }
            Some(AgentMessage::Done) => self.received.done = true,
            None => {
                if self.scanner.line(line) && !is_noise(line) {
                    self.show(line);
                }
            }
        }
    }

    fn show(&self, line: &str) {
        println!("{} | {line}", self.label);
    }
}

/// What is summed up at the end of a run, or of the report.
fn is_noise(line: &str) -> bool {
    let beginnings = ["running ", "skipped", "test result: ok"];
    line.trim().is_empty()
        || line.ends_with("has been running for over 60 seconds")
        || beginnings.iter().any(|beginning| line.starts_with(beginning))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::Listener;

    const OUTPUT: &str = "\
aggctl-tests-in-machine: {\"kernel\":\"6.1.0\"}
aggctl-tests-in-machine: {\"begin\":\"system/s1\"}
test a::VETH_TCX ... ok
test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s
aggctl-tests-in-machine: {\"end\":{\"succeeded\":true,\"seconds\":2.0}}
aggctl-tests-in-machine: {\"begin\":\"system/s2\"}
test b ... ok
";

    #[test]
    fn a_machine_that_dies_leaves_what_ended_before() {
        let listener = Listener::new("6.1", &[]);
        for part in OUTPUT.as_bytes().chunks(7) {
            assert!(listener.clone().write_all(part).is_ok());
        }
        let received = listener.received();
        assert_eq!(received.kernel.as_deref(), Some("6.1.0"));
        assert_eq!(received.current.as_deref(), Some("system/s2"));
        assert!(!received.done);
        let [(suite, outcome)] = &received.suites[..] else { panic!("{received:?}") };
        assert_eq!((suite.as_str(), outcome.tally.passed, outcome.took.as_secs()), ("system", 2, 2));
        assert_eq!(outcome.tally.tests[0].name, "s1::a::VETH_TCX");
    }
}
