//! Reads what cargo's tests print.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

/// What became of a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TestVerdict {
    /// It ran and held.
    Passed,
    /// It did not hold.
    Failed,
    /// It is ignored, or said that it skips something.
    Skipped,
    /// It did not hold beside others, and held when it was run again by itself.
    Unsteady,
}

/// A test that came to an end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Test {
    /// Its name in its executable.
    pub name: String,
    /// What became of it.
    pub verdict: TestVerdict,
    /// The case that it ran as, if it said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case: Option<String>,
}

/// What the tests of a suite came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Tests that passed and skipped nothing.
    pub passed: u64,
    /// Tests that failed.
    pub failed: u64,
    /// Tests that are ignored, or said that they skip something.
    pub skipped: u64,
    /// Tests that held only when they were run again by themselves.
    #[serde(default)]
    pub unsteady: u64,
    /// What was skipped and why, each once.
    pub reasons: Vec<String>,
    /// What failed that is no test of an executable.
    #[serde(default)]
    pub failures: Vec<String>,
    /// The tests that came to an end.
    pub tests: Vec<Test>,
    /// What tests say about the kernel: `uses: hook tcx`, `has: tcx`, `has not: …`, as (key, rest), each once.
    pub facts: Vec<(String, String)>,
}

impl Tally {
    /// Adds what other tests came to.
    pub fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.unsteady += other.unsteady;
        self.failures.extend(other.failures);
        self.tests.extend(other.tests);
        extend_once(&mut self.reasons, other.reasons);
        extend_once(&mut self.facts, other.facts);
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

fn extend_once<T: PartialEq>(list: &mut Vec<T>, more: impl IntoIterator<Item = T>) {
    for item in more {
        if !list.contains(&item) {
            list.push(item);
        }
    }
}

/// What tests may say about the kernel.
const FACTS: [&str; 3] = ["uses", "has", "has not"];

/// Reads the output line by line and says which lines people want to see.
#[derive(Debug, Default)]
pub struct Scanner {
    tally: Tally,
    /// Between `successes:` and what follows it is the output of tests that passed.
    in_successes: bool,
    /// The test whose output this is.
    speaker: Option<String>,
    /// Tests of this executable that ended, by name.
    ended: BTreeMap<String, (TestVerdict, Option<String>)>,
}

impl Scanner {
    /// Takes in a line; returns whether it is worth showing.
    pub fn line(&mut self, line: &str) -> bool {
        if let Some(name) = line.strip_prefix("---- ").and_then(|rest| rest.strip_suffix(" stdout ----")) {
            self.speaker = Some(name.to_owned());
            return !self.in_successes;
        }
        if let Some(skipped) = Skipped::read(line) {
            self.skip(&skipped);
            return true;
        }
        if let Some((name, verdict)) = ended(line) {
            self.ended.insert(name.to_owned(), (verdict, None));
            // Those that passed are many, and counted below.
            return verdict == TestVerdict::Failed;
        }
        self.note(line);
        match line {
            "successes:" => self.in_successes = true,
            "failures:" => self.in_successes = false,
            _ => {
                if let Some(counts) = line.strip_prefix("test result:") {
                    self.in_successes = false;
                    self.finish(counts);
                }
            }
        }
        !self.in_successes
    }

    /// What it came to, with the tests of an executable that did not get to its end.
    pub fn tally(mut self) -> Tally {
        self.close();
        self.tally
    }

    /// What a test says about itself or the kernel.
    fn note(&mut self, line: &str) {
        let Some((key, rest)) = line.split_once(": ") else { return };
        if key == "runs as" {
            let speaker = self.speaker.as_ref().and_then(|name| self.ended.get_mut(name));
            if let Some((_, case)) = speaker {
                *case = Some(rest.to_owned());
            }
        } else if FACTS.contains(&key) {
            extend_once(&mut self.tally.facts, [(key.to_owned(), rest.to_owned())]);
        }
    }

    fn skip(&mut self, Skipped { reason, whole }: &Skipped<'_>) {
        let speaker = self.speaker.as_ref().and_then(|name| self.ended.get_mut(name));
        if let Some((verdict @ TestVerdict::Passed, _)) = speaker
            && *whole
        {
            *verdict = TestVerdict::Skipped;
        }
        // A reason that several tests have is told once, without their names.
        let own = self.speaker.as_ref().and_then(|name| reason.strip_prefix(name.as_str())?.strip_prefix(": "));
        extend_once(&mut self.tally.reasons, [own.unwrap_or(reason).to_owned()]);
    }

    /// The closing line of an executable: ` ok. 2 passed; 0 failed; 1 ignored; …`.
    fn finish(&mut self, counts: &str) {
        let told = ["passed", "failed", "ignored"].map(|word| count(counts, word)).iter().sum::<u64>();
        let seen = self.ended.len() as u64;
        // Names may be printed in a form that we do not know; none may go uncounted.
        self.tally.passed += told.saturating_sub(seen);
        self.close();
    }

    /// Counts the tests of an executable.
    fn close(&mut self) {
        self.speaker = None;
        for (name, (verdict, case)) in std::mem::take(&mut self.ended) {
            let counter = match verdict {
                TestVerdict::Passed => &mut self.tally.passed,
                TestVerdict::Failed => &mut self.tally.failed,
                TestVerdict::Skipped => &mut self.tally.skipped,
                TestVerdict::Unsteady => &mut self.tally.unsteady,
            };
            *counter += 1;
            self.tally.tests.push(Test { name, verdict, case });
        }
    }
}

/// A test that ended: `test NAME ... ok`.
fn ended(line: &str) -> Option<(&str, TestVerdict)> {
    let (name, how) = line.strip_prefix("test ")?.rsplit_once(" ... ")?;
    let verdict = match how.split([',', ' ']).next()? {
        "ok" => TestVerdict::Passed,
        "FAILED" => TestVerdict::Failed,
        "ignored" => TestVerdict::Skipped,
        _ => return None,
    };
    Some((name.split(" - ").next().unwrap_or(name), verdict))
}

/// What a test says that it skips: all (`skipped: …`), or a part (`skipped for tcx: …`).
struct Skipped<'a> {
    reason: &'a str,
    whole: bool,
}

impl<'a> Skipped<'a> {
    fn read(line: &'a str) -> Option<Self> {
        let rest = line.strip_prefix("skipped")?;
        let part = rest.strip_prefix(' ').filter(|rest| rest.starts_with("for "));
        let (reason, whole) = part.map(|part| (part, false)).or_else(|| Some((rest.strip_prefix(':')?, true)))?;
        Some(Self { reason: reason.trim(), whole })
    }
}

/// The number before `word`.
fn count(line: &str, word: &str) -> u64 {
    let words: Vec<&str> = line.split([' ', ';', '.']).filter(|word| !word.is_empty()).collect();
    let place = words.iter().position(|candidate| *candidate == word);
    place.and_then(|place| words.get(place.checked_sub(1)?)?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
#[path = "scan/tests.rs"]
mod tests;
