use super::*;

const OUTPUT: &str = "\
running 5 tests
test a ... ok
test b::VETH_TCX ... ok
test c ... FAILED
test d ... ignored, takes long
test e - should panic ... ok
test f ... ok

successes:

---- a stdout ----
skipped: a: no vlan devices (needs CONFIG_VLAN_8021Q)
skipped for tcx: no tap
noise

---- f stdout ----
skipped for netkit: it needs Linux 6.11, this is 6.1

---- b::VETH_TCX stdout ----
runs as: VETH_CLSACT
uses: hook clsact
chatter

successes:
    a
    b

failures:

---- c stdout ----
left != right

failures:
    c

test result: FAILED. 4 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s
test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s
";

fn scanned(output: &str) -> Tally {
    let mut scanner = Scanner::default();
    for line in output.lines() {
        scanner.line(line);
    }
    scanner.tally()
}

#[test]
fn counts_what_passed_failed_and_was_skipped() {
    let tally = scanned(OUTPUT);
    assert_eq!((tally.passed, tally.failed, tally.skipped), (6, 1, 2));
    let netkit = "for netkit: it needs Linux 6.11, this is 6.1";
    assert_eq!(tally.reasons, ["no vlan devices (needs CONFIG_VLAN_8021Q)", "for tcx: no tap", netkit]);
    assert_eq!(tally.facts, [("uses".to_owned(), "hook clsact".to_owned())]);
}

#[test]
fn knows_each_test_and_the_case_that_it_ran_as() {
    let tests = scanned(OUTPUT).tests;
    let test =
        |name: &str| tests.iter().find(|test| test.name == name).map(|test| (test.verdict, test.case.as_deref()));
    assert_eq!(test("a"), Some((TestVerdict::Skipped, None)));
    assert_eq!(test("b::VETH_TCX"), Some((TestVerdict::Passed, Some("VETH_CLSACT"))));
    assert_eq!(test("c"), Some((TestVerdict::Failed, None)));
    assert_eq!(test("d"), Some((TestVerdict::Skipped, None)));
    assert_eq!(test("f"), Some((TestVerdict::Passed, None)), "it skipped a part only");
    assert_eq!(test("e"), Some((TestVerdict::Passed, None)));
}

#[test]
fn counts_what_ended_before_the_executable_died() {
    let tally = scanned("running 9 tests\ntest a ... ok\ntest b ... FAILED\n");
    assert_eq!((tally.passed, tally.failed, tally.skipped), (1, 1, 0));
}

#[test]
fn shows_failures_and_hides_the_chatter_of_what_passed() {
    let mut scanner = Scanner::default();
    let shown: Vec<&str> = OUTPUT.lines().filter(|line| scanner.line(line)).collect();
    assert!(shown.contains(&"left != right"));
    assert!(shown.contains(&"skipped for tcx: no tap"));
    assert!(shown.iter().any(|line| line.starts_with("test result: FAILED. 4 passed")));
    assert!(shown.contains(&"test c ... FAILED"));
    assert!(!shown.contains(&"test a ... ok"));
    assert!(!shown.contains(&"chatter"));
}
