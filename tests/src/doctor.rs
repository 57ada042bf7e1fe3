//! What `aggctl doctor` says, as tests expect it.

use std::time::Duration;

use serde_json::Value;

use crate::{Case, Lab, Namespace, Outcome, matrix::SOON, wait_for};

/// How long what is found may take to be as it should: each look takes a second and more.
const WHILE: Duration = SOON.saturating_mul(4);

/// What `doctor --json` printed, and its outcome.
#[derive(Debug)]
pub struct DoctorReport(pub Value, pub Outcome);

impl DoctorReport {
    /// Looks at all aggregates, or at what the arguments name.
    ///
    /// # Panics
    ///
    /// If what was printed is no JSON.
    #[track_caller]
    pub fn of(host: &Namespace, arguments: &str) -> Self {
        let outcome = host.aggctl(&format!("doctor {arguments} --json"));
        Self(serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error}: {outcome}")), outcome)
    }

    /// What was found of aggregates: what this kernel lacks is found on old ones everywhere.
    ///
    /// # Panics
    ///
    /// If it has no list of findings.
    pub fn findings(&self) -> impl Iterator<Item = &Value> {
        self.0["findings"].as_array().unwrap().iter().filter(|finding| !finding["aggregate"].is_null())
    }

    /// Their ids, in order.
    pub fn ids(&self) -> Vec<&str> {
        self.findings().map(|finding| finding["id"].as_str().unwrap()).collect()
    }
}

/// Waits until exactly these are found, in this order, and the exit status is as it must be then.
///
/// # Panics
///
/// If others are found, or it says so otherwise than it must.
#[track_caller]
pub fn expect(lab: &Lab, ids: &[&str]) -> DoctorReport {
    expect_on(&lab.host, ids)
}

/// As [`expect`], of any host.
///
/// # Panics
///
/// If others are found, or it says so otherwise than it must.
#[track_caller]
pub fn expect_on(host: &Namespace, ids: &[&str]) -> DoctorReport {
    let mut last = DoctorReport::of(host, "");
    wait_for(&format!("doctor finds {ids:?}"), WHILE, || {
        let found = last.ids() == ids;
        if !found {
            last = DoctorReport::of(host, "");
            println!("found: {:?}", last.ids());
        }
        found
    });
    let serious = last.findings().any(|finding| finding["severity"] != "hint");
    assert_eq!(last.1.code, Some(i32::from(serious)), "{}", last.1);
    assert_eq!(last.1.stderr, "", "{}", last.1);
    for finding in last.findings() {
        assert_eq!(finding["aggregate"], "agg0", "{finding:#}");
        for text in ["seen", "remedy"] {
            let line = finding[text].as_str().unwrap();
            assert!(!line.is_empty() && !line.contains('\n'), "{finding:#}");
        }
    }
    last
}

/// A host with an aggregate of which nothing is found.
#[must_use]
pub fn attached(case: Case, options: &str) -> Lab {
    let lab = Lab::two_ports(case);
    lab.attach(options);
    expect(&lab, &[]);
    lab
}

/// Waits until this alone is found, with these words in what was seen.
///
/// # Panics
///
/// If others are found, or it says so otherwise than it must.
#[track_caller]
pub fn expect_one(lab: &Lab, id: &str, words: &[&str]) {
    let report = expect(lab, &[id]);
    let seen = report.findings().next().unwrap()["seen"].as_str().unwrap().to_owned();
    assert!(words.iter().all(|word| seen.contains(word)), "{seen}");
}
