//! The kernel table of the documents, made from the report of the last test.

use std::{collections::BTreeSet, fmt::Write, fs};

use anyhow::{Context, Result, bail};

use aggctl_tools::workspace::Workspace;

use super::{
    report::{self, HOST, KernelReport, TestReport, Where},
    scan::{Test, TestVerdict},
};

/// The page, in the checkout.
const PAGE: &str = "docs/kernels.md";
/// The suite whose tests are listed one by one.
const SYSTEM: &str = "system";
/// What stands where there is nothing.
const NOTHING: &str = "–";

/// What stands above the tables.
const HEAD: &str = "\
# Kernels

This page is made by `cargo xtask kernels` from the report of the last `cargo xtask test`; do not edit it. It says what
was tried, on which kernel, and what aggctl used there when it was left to choose.

A test is written once. Its cases are kinds of ports (veth, tap, emulated cards) and hooks (tcx, clsact); on a kernel
that lacks the hook of a case, the case runs on the hook that is there, unless the test has that case anyway. With tcx,
the aggregate's device is the one that `attach` takes; with clsact it is veth; unless the case says otherwise. Emulated
machines run a part of the cases, see `xtask/src/test/choice.rs`.
";

/// Writes the page.
///
/// # Errors
///
/// When there is no report, or one without virtual machines, or a page cannot be written.
pub fn write(workspace: &Workspace) -> Result<()> {
    let report = TestReport::read(&workspace.target.join(report::FILE))?;
    if !report.kernels.iter().any(|kernel| kernel.place == Where::Machine) {
        bail!("the last `cargo xtask test` ran no virtual machine: there is nothing to say about kernels");
    }
    let title = |file: &str| {
        let source = workspace.root.join("tests/tests").join(file).with_extension("rs");
        fs::read_to_string(source).ok().and_then(|text| Some(text.lines().next()?.strip_prefix("//! ")?.to_owned()))
    };
    let page = workspace.root.join(PAGE);
    fs::write(&page, render(&report, &title)).with_context(|| format!("cannot write {}", page.display()))?;
    println!("{}", page.display());
    Ok(())
}

/// The page. `title` says what a file of tests is about.
fn render(report: &TestReport, title: &dyn Fn(&str) -> Option<String>) -> String {
    let kernels: Vec<&KernelReport> =
        report.kernels.iter().filter(|kernel| system_tests(report, &kernel.name).next().is_some()).collect();
    let mut page = format!("{HEAD}\n## What is used there\n\n");
    row(&mut page, "", kernels.iter().map(|kernel| heading(kernel)));
    row(&mut page, "---", kernels.iter().map(|_| "---".to_owned()));
    for (what, key) in [("hook", "uses"), ("device", "uses")] {
        let used = |kernel: &&KernelReport| fact(report, &kernel.name, key, what).unwrap_or_else(|| NOTHING.to_owned());
        if kernels.iter().any(|kernel| used(kernel) != NOTHING) {
            row(&mut page, &format!("{what} that `attach` takes"), kernels.iter().map(used));
        }
    }
    for feature in features(report) {
        row(&mut page, &feature, kernels.iter().map(|kernel| has(report, &kernel.name, &feature)));
    }

    page += "\n## Tests that passed\n\n";
    for KernelReport { name, trouble, .. } in &kernels {
        if let Some(trouble) = trouble {
            let _ = writeln!(page, "**The tests on {name} did not come to their end**: {trouble}\n");
        }
    }
    row(&mut page, "what", kernels.iter().map(|kernel| kernel.name.clone()));
    row(&mut page, "---", kernels.iter().map(|_| "---".to_owned()));
    let files: BTreeSet<&str> = report
        .suites
        .iter()
        .filter(|suite| suite.suite == SYSTEM)
        .flat_map(|suite| &suite.tally.tests)
        .filter_map(cased)
        .collect();
    for file in files {
        let name = title(file).unwrap_or_else(|| file.to_owned());
        let cell = |kernel: &&KernelReport| {
            summary(system_tests(report, &kernel.name).filter(|test| cased(test) == Some(file)))
        };
        row(&mut page, name.trim_end_matches('.'), kernels.iter().map(cell));
    }
    let programs = |kernel: &&KernelReport| kernel_suite(report, &kernel.name);
    row(&mut page, "Programs, hooks and netlink, each by itself", kernels.iter().map(programs));
    page
}

/// A line of a table.
fn row(page: &mut String, first: &str, cells: impl Iterator<Item = String>) {
    let cells: Vec<String> = cells.collect();
    // Writing to a text cannot fail.
    let _ = writeln!(page, "| {first} | {} |", cells.join(" | "));
}

fn heading(kernel: &KernelReport) -> String {
    let place = if kernel.place == Where::Machine { "virtual machine" } else { "no machine" };
    let name = if kernel.name == HOST { "the machine of the test" } else { &kernel.name };
    format!("{name}: {} ({place})", kernel.release)
}

/// The tests of the system suite on a kernel.
fn system_tests<'a>(report: &'a TestReport, kernel: &'a str) -> impl Iterator<Item = &'a Test> {
    let suites = report.suites.iter().filter(move |suite| suite.suite == SYSTEM && suite.kernel == kernel);
    suites.flat_map(|suite| &suite.tally.tests)
}

/// The file of a test that has cases: `FILE::NAME::CASE`.
fn cased(test: &Test) -> Option<&str> {
    let parts: Vec<&str> = test.name.split("::").collect();
    let [file, .., case] = parts[..] else { return None };
    let is_of_case = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    (parts.len() > 2 && case.chars().all(is_of_case)).then_some(file)
}

/// What tests said of a kernel under a key, if it begins with this word: the rest.
fn fact(report: &TestReport, kernel: &str, key: &str, word: &str) -> Option<String> {
    let facts = report.suites.iter().filter(|suite| suite.kernel == kernel).flat_map(|suite| &suite.tally.facts);
    let mut texts = facts.filter(|(other, _)| other == key).map(|(_, text)| text);
    texts.find_map(|text| text.strip_prefix(word).map(|rest| rest.trim().to_owned()))
}

/// All features that a kernel was asked for.
fn features(report: &TestReport) -> BTreeSet<String> {
    let facts = report.suites.iter().flat_map(|suite| &suite.tally.facts);
    let names = facts.filter(|(key, _)| key == "has" || key == "has not");
    names.filter_map(|(_, text)| text.split(' ').next()).map(str::to_owned).collect()
}

fn has(report: &TestReport, kernel: &str, feature: &str) -> String {
    if fact(report, kernel, "has", feature).is_some() {
        return "yes".to_owned();
    }
    fact(report, kernel, "has not", feature).map_or_else(|| NOTHING.to_owned(), |why| format!("no: it {why}"))
}

/// A case for people: `veth on tcx`, `veth on clsact with netkit`.
fn readable(case: &str) -> String {
    let mut parts = case.splitn(3, '_').map(str::to_lowercase);
    let [port, hook, device] = [(); 3].map(|()| parts.next());
    let joined = [port, hook].into_iter().flatten().collect::<Vec<_>>().join(" on ");
    device.map_or_else(|| joined.clone(), |device| format!("{joined} with {device}"))
}

/// How many tests passed, by the case that they ran as: `veth on tcx 3, tap on clsact 2`.
fn summary<'a>(tests: impl Iterator<Item = &'a Test>) -> String {
    let (mut failed, mut passed): (usize, Vec<(String, usize)>) = (0, Vec::new());
    for test in tests {
        match (test.verdict, &test.case) {
            // The page is to be made from a run in which everything held at once.
            (TestVerdict::Failed | TestVerdict::Unsteady, _) => failed += 1,
            (TestVerdict::Passed, Some(case)) => match passed.iter_mut().find(|(name, _)| name == case) {
                Some((_, count)) => *count += 1,
                None => passed.push((case.clone(), 1)),
            },
            (TestVerdict::Passed, None) | (TestVerdict::Skipped, _) => {}
        }
    }
    passed.sort();
    let mut parts: Vec<String> = passed.iter().map(|(case, count)| format!("{} {count}", readable(case))).collect();
    if failed > 0 {
        parts.push(format!("**{failed} failed**"));
    }
    if parts.is_empty() { NOTHING.to_owned() } else { parts.join(", ") }
}

/// The tests of the kernel crate.
fn kernel_suite(report: &TestReport, kernel: &str) -> String {
    let suite = report.suites.iter().find(|suite| suite.suite == "kernel" && suite.kernel == kernel);
    suite.map_or_else(
        || if kernel == HOST { "with the unit tests".to_owned() } else { NOTHING.to_owned() },
        |suite| match suite.tally.failed {
            0 => suite.tally.passed.to_string(),
            failed => format!("{}, **{failed} failed**", suite.tally.passed),
        },
    )
}

#[cfg(test)]
#[path = "kernels/tests.rs"]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests;
