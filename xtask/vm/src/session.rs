//! The host's side of a run: passes on what the command writes, answers the agent, and always comes to an end.

use std::{
    io::{BufRead, BufReader, Read, Write},
    os::unix::net::UnixStream,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use serde_json::Value;

use super::{
    Streams,
    machine::{Accelerator, Machine, Running},
    message::{self, FromGuest, ToGuest},
    outcome::{self, MachineOutcome},
    qmp::{self, Qmp},
};
use aggctl_tools::interrupt::Interrupt;

/// How often the emulator is looked after when nothing happens.
const STEP: Duration = Duration::from_millis(50);
/// How long what the command wrote may be on its way after its end.
const DRAIN: Duration = Duration::from_secs(30);

/// How patient we are with a machine.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// From the start of the command to its end.
    pub command: Duration,
    /// From the start of the machine to that of the command.
    pub boot: Duration,
    /// Between two signs of life.
    pub silence: Duration,
    /// Between two questions whether the machine lives.
    pub ping: Duration,
}

impl Limits {
    /// What fits an accelerator.
    pub const fn of(accelerator: Accelerator, command: Duration) -> Self {
        let [boot, silence, ping] = match accelerator {
            // Long enough for a busy host; a kvm that does not work shows it by then.
            Accelerator::Kvm => [30, 30, 2],
            Accelerator::Tcg => [120, 60, 2],
            // Each question is an interrupt that the machine would not have without us.
            Accelerator::Deterministic => [240, 180, 30],
        };
        Self {
            command,
            boot: Duration::from_secs(boot),
            silence: Duration::from_secs(silence),
            ping: Duration::from_secs(ping),
        }
    }
}

/// Runs a machine to its end.
///
/// # Errors
///
/// When the emulator cannot be started or ended.
pub fn run(machine: &Machine, limits: Limits, interrupt: &Interrupt, streams: Streams) -> Result<MachineOutcome> {
    let started = Instant::now();
    let Running { mut child, control, stdout, stderr, monitor } = machine.start()?;
    let stdout = Pump::start(stdout, streams.stdout);
    let stderr = Pump::start(stderr, streams.stderr);
    let messages = listen(control.try_clone().context("cannot copy a socket")?);
    let mut session = Session {
        machine,
        limits,
        started,
        control,
        monitor: Monitor::New(monitor),
        booted: None,
        alive: started,
        asked: started,
    };
    let outcome = loop {
        if interrupt.check().is_err() {
            break MachineOutcome::Interrupted;
        }
        if let Some(outcome) = session.step(&messages, &stdout, &stderr)? {
            break outcome;
        }
        if let Some(status) = child.try_wait().context("cannot wait for the emulator")? {
            break match outcome::of_ended_emulator(status, &outcome::text(&machine.console)) {
                end if session.booted.is_some() => end,
                end => MachineOutcome::NotBooted(end.message().unwrap_or_default()),
            };
        }
    };
    // It is our own child and not yet waited for, or already gone; both are fine.
    let _ = child.kill();
    child.wait().context("cannot wait for the emulator")?;
    // The emulator's ends of the wires are closed now.
    stdout.end();
    stderr.end();
    Ok(outcome)
}

struct Session<'a> {
    machine: &'a Machine,
    limits: Limits,
    started: Instant,
    control: UnixStream,
    monitor: Monitor,
    /// When the command started.
    booted: Option<Instant>,
    /// When the agent last said something.
    alive: Instant,
    /// When we last asked whether it lives.
    asked: Instant,
}

impl Session<'_> {
    /// Waits for one message, or a moment. Returns how it ended, if it did.
    fn step(&mut self, messages: &Receiver<FromGuest>, stdout: &Pump, stderr: &Pump) -> Result<Option<MachineOutcome>> {
        match messages.recv_timeout(STEP) {
            Ok(FromGuest::Exit { status, stdout: out, stderr: err }) => {
                let deadline = Instant::now() + DRAIN;
                while (stdout.passed() < out || stderr.passed() < err) && Instant::now() < deadline {
                    thread::sleep(Duration::from_millis(1));
                }
                return Ok(Some(MachineOutcome::Exited(status)));
            }
            Ok(FromGuest::Failed(why)) => return Ok(Some(MachineOutcome::NotBooted(why))),
            Ok(FromGuest::Ready) => {
                self.booted = Some(Instant::now());
                let (kernel, how) = (&self.machine.kernel.version, self.machine.accelerator.name());
                eprintln!("vm: Linux {kernel} booted in {:.1} s ({how})", self.started.elapsed().as_secs_f64());
            }
            Ok(FromGuest::Alive) => {}
            Ok(FromGuest::Ask { id, request }) => {
                let answer = self.monitor.answer(&request);
                // The agent's death is noticed by its silence.
                let _ = message::send(&mut self.control, &ToGuest::Answer { id, answer });
            }
            Err(RecvTimeoutError::Timeout) => return Ok(self.overdue()),
            // The emulator ended, or is about to.
            Err(RecvTimeoutError::Disconnected) => {
                thread::sleep(STEP);
                return Ok(self.overdue());
            }
        }
        self.alive = Instant::now();
        Ok(self.overdue())
    }

    /// Whether a limit has passed. Asks for a sign of life when it is time.
    fn overdue(&mut self) -> Option<MachineOutcome> {
        let Some(booted) = self.booted else {
            let limit = self.limits.boot;
            return (self.started.elapsed() > limit)
                .then(|| MachineOutcome::NotBooted(format!("it did not boot within {} s", limit.as_secs())));
        };
        if booted.elapsed() > self.limits.command {
            return Some(MachineOutcome::TimedOut(self.limits.command.as_secs()));
        }
        if self.alive.elapsed() > self.limits.silence {
            return Some(MachineOutcome::LockedUp(self.limits.silence.as_secs()));
        }
        if self.asked.elapsed() > self.limits.ping {
            self.asked = Instant::now();
            let _ = message::send(&mut self.control, &ToGuest::Ping);
        }
        None
    }
}

/// The emulator's monitor, opened when it is first needed.
enum Monitor {
    New(UnixStream),
    Open(Qmp),
    Broken,
}

impl Monitor {
    /// Carries out a request from the machine.
    fn answer(&mut self, request: &Value) -> Value {
        if !qmp::allowed(request) {
            return qmp::refusal("a machine may only ask for set_link, device_add, device_del and query-*");
        }
        let answer = match std::mem::replace(self, Self::Broken) {
            Self::New(stream) => Qmp::open(stream),
            Self::Open(qmp) => Ok(qmp),
            Self::Broken => return qmp::refusal("the emulator's monitor failed before"),
        }
        .and_then(|mut qmp| Ok((qmp.execute(request)?, qmp)));
        match answer {
            Ok((answer, qmp)) => {
                *self = Self::Open(qmp);
                answer
            }
            Err(error) => qmp::refusal(&format!("{error:#}")),
        }
    }
}

/// Reads the agent's messages until the emulator closes the wire. What is no message is passed over.
fn listen(control: UnixStream) -> Receiver<FromGuest> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(control).split(b'\n').map_while(Result::ok) {
            if serde_json::from_slice(&line).is_ok_and(|message| sender.send(message).is_err()) {
                return;
            }
        }
    });
    receiver
}

/// Passes on what comes over a wire, and counts it.
struct Pump {
    passed: Arc<AtomicU64>,
    thread: thread::JoinHandle<()>,
}

impl Pump {
    fn start(mut from: UnixStream, mut to: impl Write + Send + 'static) -> Self {
        let passed = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&passed);
        let thread = thread::spawn(move || {
            let mut buffer = vec![0; 65_536];
            while let Ok(length @ 1..) = from.read(&mut buffer) {
                // If nobody reads us any more the command must not be held up.
                let _ = to.write_all(&buffer[..length]).and_then(|()| to.flush());
                count.fetch_add(length as u64, Ordering::Release);
            }
        });
        Self { passed, thread }
    }

    fn passed(&self) -> u64 {
        self.passed.load(Ordering::Acquire)
    }

    /// Waits until all is passed on.
    fn end(self) {
        // It cannot panic; and if it did, the outcome is known all the same.
        let _ = self.thread.join();
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use serde_json::json;

    use super::Monitor;

    #[test]
    fn the_monitor_refuses_what_it_cannot_do_and_says_why() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        drop(theirs);
        let mut monitor = Monitor::New(ours);
        let refused = monitor.answer(&json!({ "execute": "quit" }));
        assert!(refused["error"]["desc"].as_str().unwrap().contains("may only ask"));
        let failed = monitor.answer(&json!({ "execute": "query-status" }));
        assert!(failed["error"]["desc"].is_string());
        let again = monitor.answer(&json!({ "execute": "query-status" }));
        assert_eq!(again["error"]["desc"], "the emulator's monitor failed before");
    }
}
