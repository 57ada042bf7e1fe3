//! The share of our own programs in what a frame costs, by the kernel's account of programs.

use std::{fs, os::fd::AsFd, os::fd::AsRawFd, path::Path};

use anyhow::{Context, Result};
use aya::programs::loaded_programs;

use super::{
    contender::{self, Extra, Raising},
    cost,
    message::Message,
    outcome::Profile,
    question::{Direction, Setup, Traffic},
    schedule::SMALL_V4,
    site::Site,
};

/// How the names of our programs begin, and the way that they are for.
const PROGRAMS: [(&str, Direction); 2] = [("tx_", Direction::Tx), ("rx_", Direction::Rx)];
/// Switches the kernel's account of programs on and off.
const SWITCH: &str = "/proc/sys/kernel/bpf_stats_enabled";
/// Frames for each figure.
const PACKETS: u32 = 20_000;

/// Runs, and nanoseconds in them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Totals {
    runs: f64,
    time: f64,
}

/// Measures a setup of ours, and tells.
///
/// # Errors
///
/// When the setup fails, or the kernel keeps no account.
pub fn measure(setup: &Setup, binary: &Path) -> Result<()> {
    let site = Site::new(setup.ports)?;
    let raised = match contender::raise(setup, &Extra::default(), &site, binary)? {
        Raising::Done(raised) => raised,
        Raising::Refused(reason) => return Message::LeftOut { setup: *setup, reason }.say(),
    };
    let port = cost::busiest(&site, &raised)?;
    for (programs, direction) in PROGRAMS {
        let traffic = Traffic { direction, ..SMALL_V4 };
        let run = || cost::run(&site, &raised, &port, &traffic, PACKETS);
        if direction == Direction::Rx {
            cost::drop_received(&site, &raised)?;
        }
        let without = run()?.each_busy();
        let account = Account::open()?;
        let before = totals(programs)?;
        let with = run()?.each_busy();
        let after = totals(programs)?;
        drop(account);
        let frames = f64::from(PACKETS);
        let (runs, inside) = ((after.runs - before.runs) / frames, (after.time - before.time) / frames);
        Message::Profile(Profile { setup: *setup, direction, runs, inside, account: with - without }).say()?;
    }
    Ok(())
}

/// The kernel keeps its account while this lives.
struct Account;

impl Account {
    fn open() -> Result<Self> {
        fs::write(SWITCH, "1").context("the kernel keeps no account of programs")?;
        Ok(Self)
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        if let Err(error) = fs::write(SWITCH, "0") {
            eprintln!("lab: {SWITCH}: {error}");
        }
    }
}

/// The account of all loaded programs whose names begin so.
fn totals(prefix: &str) -> Result<Totals> {
    let mut totals = Totals::default();
    for program in loaded_programs() {
        let program = program.context("cannot list programs")?;
        if !program.name_as_str().unwrap_or_default().starts_with(prefix) {
            continue;
        }
        let fd = program.fd().context("cannot open a program")?;
        let text = fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_fd().as_raw_fd()))?;
        let value = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|value| value.trim().parse::<f64>().ok()).with_context(|| format!("a program has no {name}"))
        };
        totals.runs += value("run_cnt:")?;
        totals.time += value("run_time_ns:")?;
    }
    Ok(totals)
}
