use proptest::prelude::*;

use super::*;

const SETTINGS: LinkWatch = LinkWatch { up_delay_ms: 500, down_delay_ms: 100, poll_ms: 10 };

fn at(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// What may happen to a watch at 1000 ms.
#[derive(Clone, Copy, Debug)]
enum What {
    Report(bool),
    GiveUp,
    Trust,
    Nothing,
}

#[test]
fn every_state_and_event() {
    use WatchedLink::{Down, Failing, Rising, Up};
    use What::{GiveUp, Nothing, Report, Trust};
    let (new, running, over) = (at(1000), at(950), at(100));
    let table = [
        // before, what happens, after
        (Down, Report(true), Rising { since: new }),
        (Down, Report(false), Down),
        (Down, GiveUp, Down),
        (Down, Trust, Down),
        (Down, Nothing, Down),
        (Rising { since: running }, Report(true), Rising { since: running }),
        (Rising { since: running }, Report(false), Down),
        (Rising { since: running }, GiveUp, Down),
        (Rising { since: running }, Trust, Up),
        (Rising { since: running }, Nothing, Rising { since: running }),
        (Rising { since: over }, Report(true), Up),
        (Rising { since: over }, Report(false), Down),
        (Rising { since: over }, Nothing, Up),
        (Up, Report(true), Up),
        (Up, Report(false), Failing { since: new }),
        (Up, GiveUp, Down),
        (Up, Trust, Up),
        (Up, Nothing, Up),
        (Failing { since: running }, Report(true), Up),
        (Failing { since: running }, Report(false), Failing { since: running }),
        (Failing { since: running }, GiveUp, Down),
        (Failing { since: running }, Trust, Failing { since: running }),
        (Failing { since: running }, Nothing, Failing { since: running }),
        (Failing { since: over }, Report(true), Up),
        (Failing { since: over }, Report(false), Down),
        (Failing { since: over }, Nothing, Down),
    ];
    for (before, what, after) in table {
        let mut watch = Watch { link: before };
        match what {
            Report(up) => watch.report(at(1000), up),
            GiveUp => watch.give_up(),
            Trust => watch.trust_now(),
            Nothing => {}
        }
        watch.advance(at(1000), &SETTINGS);
        assert_eq!(watch.link(), after, "{before:?} on {what:?}");
    }
}

#[test]
fn without_delays_the_verdict_follows_the_link() {
    let settings = LinkWatch { up_delay_ms: 0, down_delay_ms: 0, ..SETTINGS };
    let mut watch = Watch::default();
    for up in [true, false, true, true, false] {
        watch.report(at(7), up);
        watch.advance(at(7), &settings);
        assert_eq!(watch.is_up(), up);
        assert_eq!(watch.deadline(&settings), None);
    }
}

#[test]
fn a_link_that_flaps_starts_its_up_delay_anew() {
    let mut watch = Watch::default();
    watch.report(at(0), true);
    watch.report(at(400), false);
    watch.report(at(450), true);
    watch.advance(at(500), &SETTINGS);
    assert!(!watch.is_up());
    assert_eq!(watch.deadline(&SETTINGS), Some(at(950)));
    watch.advance(at(949), &SETTINGS);
    assert!(!watch.is_up());
    watch.advance(at(950), &SETTINGS);
    assert!(watch.is_up());
}

#[test]
fn a_shorter_delay_holds_for_one_that_is_running() {
    let mut watch = Watch::default();
    watch.report(at(0), true);
    let shorter = LinkWatch { up_delay_ms: 50, ..SETTINGS };
    assert_eq!(watch.deadline(&shorter), Some(at(50)));
    watch.advance(at(60), &shorter);
    assert!(watch.is_up());
}

#[test]
fn what_is_found_counts_at_once() {
    assert_eq!(Watch::found(true).link(), WatchedLink::Up);
    assert_eq!(Watch::found(false).link(), WatchedLink::Down);
}

proptest! {
    #[test]
    fn the_verdict_changes_only_when_the_link_was_steady_for_the_delay(
        changes in prop::collection::vec((0..300_u64, any::<bool>()), 1..40),
        up_delay_ms in 0..400_u32,
        down_delay_ms in 0..400_u32,
    ) {
        let settings = LinkWatch { up_delay_ms, down_delay_ms, ..SETTINGS };
        let mut watch = Watch::default();
        let (mut now, mut since, mut link) = (0, 0, false);
        for (pause, up) in changes {
            for _ in 0..pause {
                now += 1;
                watch.advance(at(now), &settings);
                let delay = if link { up_delay_ms } else { down_delay_ms };
                prop_assert!(now - since < u64::from(delay) || watch.is_up() == link, "late at {now}");
            }
            if up != link {
                (since, link) = (now, up);
            }
            let before = watch.is_up();
            watch.report(at(now), up);
            watch.advance(at(now), &settings);
            let delay = if link { up_delay_ms } else { down_delay_ms };
            prop_assert!(before == watch.is_up() || now - since >= u64::from(delay), "early at {now}");
        }
    }
}
