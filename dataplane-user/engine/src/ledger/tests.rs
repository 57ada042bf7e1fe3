//! Defects that come, stay, come back and go.

use super::*;

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn defect(what: &str) -> Notice {
    Notice::Defect { what: what.into(), why: None }
}

#[test]
fn what_may_not_be_repaired_is_told_once_and_when_it_is_gone() {
    let mut ledger = Ledger::default();
    let found = [("a stranger", false)];
    assert_eq!(ledger.look(s(1), found), LedgerActions { repair: vec![], notices: vec![defect("a stranger")] });
    assert_eq!(ledger.look(s(2), found), LedgerActions { repair: vec![], notices: vec![] });
    let standing: Vec<_> = ledger.standing().collect();
    assert_eq!(standing, [StandingDefect { defect: &"a stranger", since: s(1), why: None, next: None }]);
    let gone = Notice::DefectGone { what: "a stranger".into() };
    assert_eq!(ledger.look(s(3), []), LedgerActions { repair: vec![], notices: vec![gone] });
    assert_eq!(ledger.standing().count(), 0);
}

#[test]
fn what_may_be_repaired_is_repaired_at_once_and_remembered() {
    let mut ledger = Ledger::default();
    assert_eq!(ledger.look(s(1), [("pin lost", true)]), LedgerActions { repair: vec!["pin lost"], notices: vec![] });
    let notice = ledger.outcome(s(1), &"pin lost", Ok(()));
    assert_eq!(notice, Some(Notice::Repaired { what: "pin lost".into() }));
    assert_eq!(ledger.standing().count(), 0);
    assert_eq!(ledger.look(s(2), []), LedgerActions { repair: vec![], notices: vec![] });
    let repairs: Vec<_> = ledger.repairs().cloned().collect();
    assert_eq!(repairs, [Repair { what: "pin lost".into(), at: s(1), times: 1 }]);
}

#[test]
fn a_failing_repair_is_told_once_and_tried_ever_more_rarely() {
    let mut ledger = Ledger::default();
    let (mut tried, mut told) = (Vec::new(), 0);
    for now in 0..400 {
        for defect in ledger.look(s(now), [("peer down", true)]).repair {
            tried.push(now);
            told += ledger.outcome(s(now), &defect, Err("refused".into())).iter().count();
        }
    }
    assert_eq!(tried, [0, 1, 2, 3, 4, 5, 7, 11, 19, 35, 67, 131, 195, 259, 323, 387]);
    assert_eq!(told, 1);
    let standing = ledger.standing().next().unwrap();
    assert_eq!((standing.why, standing.next), (Some("refused"), Some(s(451))));
}

#[test]
fn who_undoes_a_repair_again_and_again_is_not_fought_for_ever() {
    let mut ledger = Ledger::default();
    let (mut repaired, mut waits) = (0, 0);
    for now in 0..120 {
        let due = ledger.look(s(now), [("peer down", true)]);
        waits += due.notices.iter().filter(|notice| matches!(notice, Notice::Defect { why: Some(_), .. })).count();
        for defect in due.repair {
            repaired += 1;
            ledger.outcome(s(now), &defect, Ok(()));
        }
    }
    assert_eq!(repaired, 11, "at 0 to 5, 7, 11, 19, 35 and 67");
    assert_eq!(waits, 6, "each pause is told once");
    assert_eq!(ledger.repairs().map(|repair| repair.times).collect::<Vec<_>>(), [11]);
}

#[test]
fn after_a_minute_of_quiet_a_defect_is_a_new_one() {
    let mut ledger = Ledger::default();
    for now in 0..10 {
        for defect in ledger.look(s(now), [("peer down", true)]).repair {
            ledger.outcome(s(now), &defect, Ok(()));
        }
    }
    ledger.look(s(30), []);
    ledger.look(s(80), []);
    let repairs = (100..105).map(|now| {
        let due = ledger.look(s(now), [("peer down", true)]).repair;
        due.iter().for_each(|defect| drop(ledger.outcome(s(now), defect, Ok(()))));
        due.len()
    });
    assert_eq!(repairs.sum::<usize>(), 5, "at once again");
}

#[test]
fn few_repairs_are_remembered() {
    let mut ledger = Ledger::default();
    for number in 0..100 {
        ledger.look(s(number), [(number, true)]);
        ledger.outcome(s(number), &number, Ok(()));
    }
    assert_eq!(ledger.repairs().map(|repair| &*repair.what).next(), Some("84"));
    assert_eq!(ledger.repairs().count(), REMEMBERED);
}
