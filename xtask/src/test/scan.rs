//! Reads what cargo's tests print.

/// What the tests of a suite came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Tests that passed and skipped nothing.
    pub passed: u64,
    /// Tests that failed.
    pub failed: u64,
    /// Tests that are ignored, or said that they skip something.
    pub skipped: u64,
    /// What was skipped and why, each once.
    pub reasons: Vec<String>,
}

/// Reads the output line by line and says which lines people want to see.
#[derive(Debug, Default)]
pub struct Scanner {
    tally: Tally,
    /// Between `successes:` and what follows it is the output of tests that passed.
    in_successes: bool,
    /// Whether the test whose output this is has said that it skips something.
    counted: bool,
    /// Tests of this executable that passed but skipped something.
    skipped_here: u64,
}

impl Scanner {
    /// Takes in a line; returns whether it is worth showing.
    pub fn line(&mut self, line: &str) -> bool {
        if line.starts_with("---- ") {
            self.counted = false;
        }
        if let Some(reason) = skip_reason(line) {
            self.skip(reason);
            return true;
        }
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

    /// What it came to.
    pub fn tally(self) -> Tally {
        self.tally
    }

    fn skip(&mut self, reason: &str) {
        if self.in_successes && !self.counted {
            self.counted = true;
            self.skipped_here += 1;
        }
        if !self.tally.reasons.iter().any(|known| known == reason) {
            self.tally.reasons.push(reason.to_owned());
        }
    }

    /// The closing line of an executable: ` ok. 2 passed; 0 failed; 1 ignored; …`.
    fn finish(&mut self, counts: &str) {
        let passed = count(counts, "passed");
        self.tally.passed += passed.saturating_sub(self.skipped_here);
        self.tally.failed += count(counts, "failed");
        self.tally.skipped += count(counts, "ignored") + self.skipped_here;
        self.skipped_here = 0;
    }
}

/// What a test says that it skips: `skipped: …`, or `skipped for tcx: …`.
fn skip_reason(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("skipped")?;
    rest.strip_prefix(':').or_else(|| rest.strip_prefix(' ')).map(str::trim)
}

/// The number before `word`.
fn count(line: &str, word: &str) -> u64 {
    let words: Vec<&str> = line.split([' ', ';', '.']).filter(|word| !word.is_empty()).collect();
    let place = words.iter().position(|candidate| *candidate == word);
    place.and_then(|place| words.get(place.checked_sub(1)?)?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "\
running 4 tests
test a ... ok
test b ... ok
test c ... FAILED
test d ... ignored

successes:

---- a stdout ----
skipped: no vlan devices (needs CONFIG_VLAN_8021Q)
skipped for tcx: no tap
noise

---- b stdout ----
chatter

successes:
    a
    b

failures:

---- c stdout ----
left != right

failures:
    c

test result: FAILED. 2 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s
test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s
";

    #[test]
    fn counts_what_passed_failed_and_was_skipped() {
        let mut scanner = Scanner::default();
        for line in OUTPUT.lines() {
            scanner.line(line);
        }
        let reasons = vec!["no vlan devices (needs CONFIG_VLAN_8021Q)".to_owned(), "for tcx: no tap".to_owned()];
        assert_eq!(scanner.tally(), Tally { passed: 4, failed: 1, skipped: 2, reasons });
    }

    #[test]
    fn shows_failures_and_hides_the_chatter_of_what_passed() {
        let mut scanner = Scanner::default();
        let shown: Vec<&str> = OUTPUT.lines().filter(|line| scanner.line(line)).collect();
        assert!(shown.contains(&"left != right"));
        assert!(shown.contains(&"skipped for tcx: no tap"));
        assert!(shown.iter().any(|line| line.starts_with("test result: FAILED. 2 passed")));
        assert!(!shown.contains(&"chatter"));
    }
}
