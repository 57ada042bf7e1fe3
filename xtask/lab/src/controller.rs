//! What the controller of `aggctl` takes: memory, time to attach, and work.

use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use rustix::process::Pid;

use super::{
    contender::{self, Extra, Raising},
    iproute,
    message::Message,
    outcome::Load,
    question::Setup,
    site::Site,
};

/// For how long the controller is watched while nothing happens, and while all ports flap.
const WATCH: Duration = Duration::from_secs(10);
/// How long all ports are down, and then up, while they flap.
const FLAP: Duration = Duration::from_millis(500);

/// Measures a setup, and tells.
///
/// # Errors
///
/// When the setup fails.
pub fn measure(setup: &Setup, binary: &Path) -> Result<()> {
    let site = Site::new(setup.ports)?;
    let raise = || contender::raise(setup, &Extra::default(), &site, binary);
    // The first time, the program comes from the disk.
    drop(raise()?);
    let begin = Instant::now();
    let raised = match raise()? {
        Raising::Done(raised) => raised,
        Raising::Refused(reason) => return Message::LeftOut { setup: *setup, reason }.say(),
    };
    let attach_ms = begin.elapsed().as_secs_f64() * 1e3;
    let (controller, guardian) = raised.processes()?.context("this contender has no controller")?;
    thread::sleep(WATCH);
    let idle = work(controller, || {
        thread::sleep(WATCH);
        Ok(())
    })?;
    let flapping = work(controller, || flap(&site))?;
    let resident_kib = [resident(controller)?, resident(guardian)?];
    Message::Load(Load { setup: *setup, attach_ms, resident_kib, idle, flapping }).say()
}

/// All ports lose their carriers and get them back, again and again.
fn flap(site: &Site) -> Result<()> {
    let begin = Instant::now();
    while begin.elapsed() < WATCH {
        for state in ["down", "up"] {
            let lines: String = site.ports.iter().map(|port| format!("link set {port} {state}\n")).collect();
            iproute::batch(&site.far, &lines)?;
            thread::sleep(FLAP);
        }
    }
    Ok(())
}

/// Millions of instructions a second that all threads of a process ran while something happened.
fn work(process: Pid, during: impl FnOnce() -> Result<()>) -> Result<f64> {
    let (begin, before) = (Instant::now(), on_processor(process)?);
    during()?;
    let took = begin.elapsed();
    Ok((on_processor(process)? - before).as_secs_f64() / took.as_secs_f64() * 1e3)
}

/// For how long the threads of a process have been on a processor.
fn on_processor(process: Pid) -> Result<Duration> {
    let mut all = Duration::ZERO;
    for thread in fs::read_dir(format!("/proc/{process}/task")).context("the controller is gone")?.flatten() {
        // A thread that ended meanwhile has nothing to tell.
        let text = fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default();
        let nanoseconds = text.split_whitespace().next().and_then(|word| word.parse().ok());
        all += Duration::from_nanos(nanoseconds.unwrap_or(0));
    }
    Ok(all)
}

fn resident(process: Pid) -> Result<u64> {
    let text = fs::read_to_string(format!("/proc/{process}/status")).context("the process is gone")?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("a process without memory")?;
    Ok(line.split_whitespace().next().unwrap_or_default().parse()?)
}
