//! A seeded simulator: random hosts, random owners and random time drive the engine, and after each event everything
//! that must always hold is checked against an independent model.
//!
//! `AGGCTL_SIM_EVENTS` sets how many events there are in total; `AGGCTL_SIM_SEED` runs the one given seed.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]
#![allow(clippy::cast_possible_truncation, reason = "random numbers below a small bound")]

mod model;
mod rng;
mod run;
mod world;

use std::{env, thread};

/// Events from one seed, before the world is made anew.
const EVENTS_PER_SEED: u64 = 500;

/// How many events there are if nothing else is asked for; with ticks and polls two million, in some ten seconds of a
/// debug build on two cores.
const EVENTS: u64 = 1_400_000;

/// Names the seed if the run of it panics.
struct Announced(u64);

impl Drop for Announced {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("failed with AGGCTL_SIM_SEED={}", self.0);
        }
    }
}

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok().map(|text| text.parse().expect("a number"))
}

fn run(seed: u64) -> run::Trace {
    let _announced = Announced(seed);
    run::run(seed, EVENTS_PER_SEED)
}

#[test]
fn invariants_hold_whatever_happens() {
    if let Some(seed) = number("AGGCTL_SIM_SEED") {
        run(seed);
        return;
    }
    let seeds = number("AGGCTL_SIM_EVENTS").unwrap_or(EVENTS) / EVENTS_PER_SEED;
    let threads = thread::available_parallelism().map_or(1, |threads| threads.get() as u64);
    let mut seen = run::Trace::default();
    thread::scope(|scope| {
        let of_thread = |first| move || (first..seeds).step_by(threads as usize).map(run).sum::<run::Trace>();
        let handles: Vec<_> = (0..threads).map(|first| scope.spawn(of_thread(first))).collect();
        for handle in handles {
            seen = [seen, handle.join().expect("no run panicked")].into_iter().sum();
        }
    });
    // A simulator that never gets anywhere proves nothing.
    assert!(seen.failovers > seeds && seen.by_hand > seeds / 2, "{seen:?}");
    assert!(seen.skipped_delays > seeds / 4 && seen.preferred > seeds / 4, "{seen:?}");
    assert!(seen.unwell > seeds && seen.again > seeds / 20 && seen.joined > seeds / 200, "{seen:?}");
    assert!(seen.held > seeds && seen.spared > seeds, "{seen:?}");
    eprintln!("{seeds} seeds: {seen:?}");
}

#[test]
fn the_same_seed_gives_the_same_actions() {
    for seed in 0..20 {
        assert_eq!(run(seed), run(seed), "seed {seed}");
    }
}
