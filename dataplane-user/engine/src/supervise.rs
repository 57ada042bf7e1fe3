//! When a guardian gives up a controller that lives but does nothing, and how long it waits before it starts another.
//!
//! A controller says at each turn of its loop that it turned ([`Beat::Turn`]), and before what may take longer that it
//! will ([`Beat::Long`]). The guardian looks at a fixed rhythm. Silence is counted in these looks and not by a clock:
//! where the whole system stood still (suspend, a paused virtual machine, a frozen container) the guardian did not
//! look either, and nothing counts.

use std::time::Duration;

/// Time between two looks.
pub const LOOK: Duration = Duration::from_millis(250);
/// Time between two beats of a controller that has nothing long to do.
pub const BEAT: Duration = Duration::from_millis(200);

/// Looks without a beat after which a process that somebody stopped is given up: 1 s.
const STOPPED: u32 = 4;
/// Looks without a beat after which any other is given up: 5 s. A busy machine lets nobody wait that long.
const SILENT: u32 = 20;
/// The same within a long operation: 5 minutes. Drivers may take seconds for each setting of each port.
const SILENT_LONG: u32 = 1200;
/// Processor time without a beat after which it is given up.
const SPINNING: Duration = Duration::from_secs(2);
/// The same within a long operation.
const SPINNING_LONG: Duration = Duration::from_secs(60);

/// What a controller says to its guardian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beat {
    /// The loop turned.
    Turn,
    /// The next turn may take long.
    Long,
}

impl Beat {
    /// As it is sent.
    #[must_use]
    pub const fn to_byte(self) -> u8 {
        match self {
            Self::Turn => b't',
            Self::Long => b'l',
        }
    }

    /// As it was received; nothing else is known.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            b't' => Some(Self::Turn),
            b'l' => Some(Self::Long),
            _ => None,
        }
    }
}

/// What the system tells about a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcessSample {
    /// It is stopped, by a signal or a debugger.
    pub stopped: bool,
    /// The processor time that it has used in all.
    pub processor: Duration,
}

/// Why a controller is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GivenUp {
    /// Somebody stopped it.
    Stopped,
    /// It works and gets nowhere.
    Spinning,
    /// It waits for something that does not come.
    Waiting,
}

/// The life of one controller, as its guardian sees it.
#[derive(Debug)]
pub struct Liveness {
    long: bool,
    silent: u32,
    /// A beat came since the last look.
    received: bool,
    /// Processor time at the last beat.
    processor: Duration,
    /// Looks since its loop turned for the first time.
    in_control: Option<u32>,
}

impl Default for Liveness {
    /// A controller that was just started. To begin is a long operation.
    fn default() -> Self {
        Self { long: true, silent: 0, received: false, processor: Duration::ZERO, in_control: None }
    }
}

impl Liveness {
    /// A beat came.
    pub fn receive(&mut self, beat: Beat) {
        self.received = true;
        self.long = beat == Beat::Long;
        if beat == Beat::Turn {
            self.in_control.get_or_insert(0);
        }
    }

    /// One look, and what the system tells. Returns why the controller is to be ended, if it is.
    pub fn look(&mut self, sight: ProcessSample) -> Option<GivenUp> {
        self.in_control = self.in_control.map(|looks| looks.saturating_add(1));
        if std::mem::take(&mut self.received) {
            self.silent = 0;
            self.processor = sight.processor;
            return None;
        }
        self.silent += 1;
        let (silent, spinning) = if self.long { (SILENT_LONG, SPINNING_LONG) } else { (SILENT, SPINNING) };
        let worked = sight.processor.saturating_sub(self.processor);
        if sight.stopped {
            (self.silent >= STOPPED).then_some(GivenUp::Stopped)
        } else if worked >= spinning {
            Some(GivenUp::Spinning)
        } else {
            (self.silent >= silent).then_some(GivenUp::Waiting)
        }
    }

    /// How long it has been in control; `None` if it never was.
    #[must_use]
    pub fn in_control(&self) -> Option<Duration> {
        self.in_control.map(|looks| LOOK * looks)
    }
}

/// The pause before the next start.
#[derive(Debug)]
pub struct Restarts(Duration);

/// The shortest pause.
const SHORTEST: Duration = Duration::from_millis(10);
/// The longest pause: nobody watches the ports meanwhile.
const LONGEST: Duration = Duration::from_secs(2);
/// Whoever was in control for so long did not fail because of how it was started.
const SETTLED: Duration = Duration::from_secs(1);

impl Default for Restarts {
    fn default() -> Self {
        Self(SHORTEST)
    }
}

impl Restarts {
    /// How long to wait after a controller that ended: hardly at all if it was in control for a while, or was until
    /// somebody killed it; else longer each time.
    pub fn pause(&mut self, in_control: Option<Duration>, killed: bool) -> Duration {
        if in_control.is_some_and(|time| killed || time >= SETTLED) {
            self.0 = SHORTEST;
        }
        let pause = self.0;
        self.0 = (pause * 2).min(LONGEST);
        pause
    }
}

#[cfg(test)]
mod tests;
