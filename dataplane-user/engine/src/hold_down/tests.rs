//! When a port is held down, and until when.

use super::*;

const RULE: HoldDown = HoldDown::By(FlapRule { changes: 3, window_s: 10, for_s: 60 });

const fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A damper that saw the port change at these times, in seconds; the port was sound at first.
fn changed(times: &[u64]) -> Damper {
    let mut damper = Damper::default();
    damper.look(at(0), Some(true), RULE);
    let mut sound = true;
    for time in times {
        sound = !sound;
        damper.look(at(*time), Some(sound), RULE);
    }
    damper
}

#[test]
fn only_so_many_changes_in_the_window_are_too_many() {
    for (times, held) in [
        ([1, 2].as_slice(), None),
        (&[1, 2, 3], Some(3)),
        (&[1, 2, 11], Some(11)),
        (&[1, 2, 12], None),
        (&[1, 2, 12, 13], None),
        (&[1, 2, 12, 13, 14], Some(14)),
        (&[1, 2, 3, 30], Some(3)),
    ] {
        assert_eq!(changed(times).hold().map(|hold| hold.since), held.map(at), "{times:?}");
    }
}

#[test]
fn what_is_found_and_what_stays_is_no_change() {
    let mut damper = Damper::default();
    for time in 0..100 {
        assert!(!damper.look(at(time), Some(true), RULE));
    }
    assert_eq!((damper.hold(), damper.until(RULE)), (None, None));
}

#[test]
fn the_hold_ends_in_time_and_says_when() {
    let mut damper = changed(&[1, 2, 3]);
    assert_eq!(damper.until(RULE), Some(at(63)));
    damper.look(at(63) - Duration::from_nanos(1), Some(false), RULE);
    assert_eq!(damper.hold(), Some(Hold { since: at(3), changes: 3, window_s: 10 }));
    damper.look(at(63), Some(false), RULE);
    assert_eq!((damper.hold(), damper.until(RULE)), (None, None));
}

#[test]
fn one_that_goes_on_changing_is_held_down_longer_and_said_once() {
    let mut damper = changed(&[1, 2]);
    assert!(damper.look(at(3), Some(false), RULE));
    assert!(!damper.look(at(4), Some(true), RULE));
    assert_eq!(damper.until(RULE), Some(at(64)));
}

#[test]
fn another_rule_holds_at_once_and_none_lets_go() {
    let longer = HoldDown::By(FlapRule { changes: 3, window_s: 10, for_s: 90 });
    let mut damper = changed(&[1, 2, 3]);
    assert_eq!(damper.until(longer), Some(at(93)));
    damper.look(at(80), Some(false), longer);
    assert!(damper.hold().is_some());
    damper.look(at(80), Some(false), HoldDown::Off);
    assert_eq!((damper.hold(), damper.until(longer)), (None, None));
    damper.look(at(81), Some(true), RULE);
    assert_eq!(damper.hold(), None, "what was before is not counted");
}

#[test]
fn a_count_that_begins_anew_keeps_who_is_held_down() {
    let mut damper = changed(&[1, 2]);
    damper.forget();
    assert!(!damper.look(at(3), Some(false), RULE));
    let mut held = changed(&[1, 2, 3]);
    held.forget();
    assert!(held.hold().is_some());
}

#[test]
fn what_is_remembered_from_a_clock_that_was_ahead_ends_all_the_same() {
    let mut damper = Damper::remembered(Some(Hold { since: at(1_000), changes: 3, window_s: 10 }));
    damper.look(at(1), Some(true), RULE);
    assert_eq!(damper.until(RULE), Some(at(61)));
}
