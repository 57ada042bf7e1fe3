use super::*;

const IDLE: ProcessSample = ProcessSample { stopped: false, processor: Duration::ZERO };
const HALTED: ProcessSample = ProcessSample { stopped: true, processor: Duration::ZERO };

/// Looks until it is given up; after how many looks, and why.
fn given_up(liveness: &mut Liveness, mut sight: impl FnMut(u32) -> ProcessSample) -> Option<(u32, GivenUp)> {
    (1..10_000).find_map(|look| liveness.look(sight(look)).map(|why| (look, why)))
}

/// A controller whose loop turns.
fn turning() -> Liveness {
    let mut liveness = Liveness::default();
    beat(&mut liveness, Beat::Turn, IDLE);
    liveness
}

/// A beat, and a look.
fn beat(liveness: &mut Liveness, beat: Beat, sight: ProcessSample) {
    liveness.receive(beat);
    assert_eq!(liveness.look(sight), None);
}

#[test]
fn one_that_beats_is_left_alone() {
    let mut liveness = turning();
    for look in 0..1000 {
        // Even one that is stopped again and again, and works hard.
        let sight = ProcessSample { stopped: look % 3 != 0, processor: Duration::from_secs(look) };
        if look % 3 == 0 {
            liveness.receive(Beat::Turn);
        }
        assert_eq!(liveness.look(sight), None, "look {look}");
    }
}

#[test]
fn one_that_is_stopped_is_given_up_after_a_second_whatever_it_was_doing() {
    for last in [Beat::Turn, Beat::Long] {
        let mut liveness = turning();
        beat(&mut liveness, last, IDLE);
        assert_eq!(given_up(&mut liveness, |_| HALTED), Some((STOPPED, GivenUp::Stopped)));
    }
    assert_eq!(LOOK * STOPPED, Duration::from_secs(1));
}

#[test]
fn one_that_spins_is_given_up_by_its_processor_time() {
    let busy = |look: u32| ProcessSample { stopped: false, processor: LOOK * look };
    assert_eq!(given_up(&mut turning(), busy), Some((8, GivenUp::Spinning)));
    // On a machine that gives it a twentieth of a processor the clock comes first.
    let starved = |look: u32| ProcessSample { stopped: false, processor: LOOK * look / 20 };
    assert_eq!(given_up(&mut turning(), starved), Some((SILENT, GivenUp::Waiting)));
}

#[test]
fn what_takes_long_may_take_long() {
    let mut liveness = turning();
    beat(&mut liveness, Beat::Long, IDLE);
    assert_eq!(given_up(&mut liveness, |_| IDLE), Some((SILENT_LONG, GivenUp::Waiting)));
    assert_eq!(given_up(&mut Liveness::default(), |_| IDLE), Some((SILENT_LONG, GivenUp::Waiting)), "to begin, too");
    let mut liveness = turning();
    beat(&mut liveness, Beat::Long, IDLE);
    beat(&mut liveness, Beat::Turn, IDLE);
    assert_eq!(given_up(&mut liveness, |_| IDLE), Some((SILENT, GivenUp::Waiting)), "it is over");
}

#[test]
fn processor_time_of_the_past_does_not_count() {
    let mut liveness = turning();
    let old = ProcessSample { stopped: false, processor: Duration::from_secs(1000) };
    beat(&mut liveness, Beat::Turn, old);
    assert_eq!(given_up(&mut liveness, |_| old), Some((SILENT, GivenUp::Waiting)));
}

#[test]
fn one_failed_start_does_not_slow_down_later_ones() {
    let mut restarts = Restarts::default();
    assert_eq!(restarts.pause(None, false), SHORTEST, "it never came into control");
    assert_eq!(restarts.pause(None, false), SHORTEST * 2);
    assert_eq!(restarts.pause(None, false), SHORTEST * 4);
    assert_eq!(restarts.pause(Some(SETTLED), false), SHORTEST);
    let last = (0..100).map(|_| restarts.pause(Some(Duration::ZERO), false)).last();
    assert_eq!(last, Some(LONGEST), "those that die by themselves as soon as they are in control");
    assert_eq!(restarts.pause(Some(Duration::ZERO), true), SHORTEST, "somebody killed it");
    assert_eq!(restarts.pause(None, true), SHORTEST * 2, "too early to know");
}

#[test]
fn being_in_control_begins_with_the_first_turn() {
    let mut liveness = Liveness::default();
    beat(&mut liveness, Beat::Long, IDLE);
    liveness.look(IDLE);
    assert_eq!(liveness.in_control(), None);
    beat(&mut liveness, Beat::Turn, IDLE);
    for _ in 0..3 {
        beat(&mut liveness, Beat::Turn, IDLE);
    }
    assert_eq!(liveness.in_control(), Some(Duration::from_secs(1)));
}

#[test]
fn beats_are_bytes() {
    for beat in [Beat::Turn, Beat::Long] {
        assert_eq!(Beat::from_byte(beat.to_byte()), Some(beat));
    }
    assert_eq!(Beat::from_byte(b'x'), None);
}
