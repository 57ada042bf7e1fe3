use super::{
    super::{scan::Tally, suite::SuiteOutcome},
    *,
};

fn test(name: &str, verdict: TestVerdict, case: Option<&str>) -> Test {
    Test { name: name.to_owned(), verdict, case: case.map(str::to_owned) }
}

fn report() -> TestReport {
    let mut report = TestReport::default();
    report.kernel("6.1", "6.1.0-50", Where::Machine);
    let fact = |key: &str, text: &str| (key.to_owned(), text.to_owned());
    let tally = Tally {
        tests: vec![
            test("s1::a::VETH_TCX", TestVerdict::Passed, Some("VETH_CLSACT")),
            test("s1::a::TAP_CLSACT", TestVerdict::Passed, Some("TAP_CLSACT")),
            test("s1::b::VETH_CLSACT", TestVerdict::Passed, Some("VETH_CLSACT")),
            test("s1::b::VETH_TCX", TestVerdict::Skipped, None),
            test("s1::b::VETH_CLSACT_NETKIT", TestVerdict::Passed, Some("VETH_CLSACT_NETKIT")),
            test("vm_cards::d::E1000E_CLSACT", TestVerdict::Passed, Some("E1000E_CLSACT")),
            test("crash::c::VETH_TCX", TestVerdict::Failed, Some("VETH_CLSACT")),
            test("kernel::the_kernel_has", TestVerdict::Passed, None),
        ],
        facts: vec![
            fact("uses", "hook clsact"),
            fact("has", "8021q"),
            fact("has not", "tcx needs Linux 6.6, this is 6.1"),
        ],
        ..Tally::default()
    };
    report.add("system", "6.1", SuiteOutcome { tally, took: std::time::Duration::ZERO });
    report
}

#[test]
fn the_page_says_what_is_used_and_what_passed() {
    let page = render(&report(), &|file| (file == "s1").then(|| "Two ports.".to_owned()));
    for line in [
        "|  | 6.1: 6.1.0-50 (virtual machine) |",
        "| hook that `attach` takes | clsact |",
        "| 8021q | yes |",
        "| tcx | no: it needs Linux 6.6, this is 6.1 |",
        "| Two ports | tap on clsact 1, veth on clsact 2, veth on clsact with netkit 1 |",
        "| vm_cards | e1000e on clsact 1 |",
        "| crash | **1 failed** |",
    ] {
        assert!(page.lines().any(|other| other == line), "{line}\nis not in\n{page}");
    }
    assert!(!page.contains("| kernel |"), "what has no cases is not listed: {page}");
    assert!(!page.contains("device that"), "what nobody said is not listed: {page}");
}

#[test]
fn the_report_can_be_read_back() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("report.json");
    report().write(&file).unwrap();
    assert_eq!(TestReport::read(&file).unwrap(), report());
}
