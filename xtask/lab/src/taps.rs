//! Cables that end in this program, which notes what comes out of them: tap devices.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

use super::frame::{self, NumberedFrame};
use aggctl_testbed::{netns::NetworkNamespace, tap::Tap};

/// The length of an Ethernet header.
const ETHERNET: usize = 14;
/// For how long the reader waits at most before it asks whether it is over.
const WAIT: Timespec = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };

/// The ends that are ours.
#[derive(Debug)]
pub struct Taps(Vec<Cable>);

#[derive(Debug)]
struct Cable {
    tap: Tap,
    plugged: AtomicBool,
}

impl Taps {
    /// Makes a device for each name.
    ///
    /// # Errors
    ///
    /// When the kernel does not let us.
    pub fn new(host: &NetworkNamespace, names: &[String]) -> Result<Self> {
        let one = |name: &String| {
            let tap = host.enter(|| Tap::new(name).with_context(|| format!("cannot make the tap device {name}")))?;
            Ok(Cable { tap, plugged: AtomicBool::new(true) })
        };
        names.iter().map(one).collect::<Result<_>>().map(Self)
    }

    /// Plugs a cable in or pulls it. A cable that is pulled carries nothing.
    ///
    /// # Errors
    ///
    /// When the kernel has no such call (before Linux 5.0).
    pub fn plug(&self, place: usize, on: bool) -> Result<()> {
        let cable = self.0.get(place).context("there is no such cable")?;
        cable.plugged.store(on, Ordering::SeqCst);
        cable.tap.set_carrier(on).context("cannot change the carrier of a tap device")
    }

    /// Reads what comes out of all cables while something happens, and what is still to come afterwards.
    ///
    /// # Errors
    ///
    /// When it fails, or a device does.
    pub fn record<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<(T, Vec<NumberedFrame>)> {
        // What is left of earlier times would fill the queues of the devices.
        self.read(&mut |_, _| ())?;
        let over = AtomicBool::new(false);
        let (done, frames) = thread::scope(|scope| {
            let reading = scope.spawn(|| self.read_until(&over));
            let done = work();
            over.store(true, Ordering::SeqCst);
            (done, reading.join())
        });
        let Ok(frames) = frames else { bail!("the thread that reads died") };
        Ok((done?, frames?))
    }

    fn read_until(&self, over: &AtomicBool) -> Result<Vec<NumberedFrame>> {
        let begin = Instant::now();
        let mut frames = Vec::new();
        loop {
            let last = over.load(Ordering::SeqCst);
            let read = self.read(&mut |port, frame: &[u8]| frames.extend(frame_of(begin.elapsed(), port, frame)))?;
            if read == 0 {
                if last {
                    return Ok(frames);
                }
                self.wait()?;
            }
        }
    }

    /// Hands over all frames that are there from cables that are plugged in, and returns how many were read.
    fn read(&self, take: &mut impl FnMut(usize, &[u8])) -> Result<usize> {
        let mut buffer = [0; 2048];
        let mut read = 0;
        for (place, cable) in self.0.iter().enumerate() {
            while let Some(length) = cable.tap.read(&mut buffer).context("cannot read from a tap device")? {
                read += 1;
                if cable.plugged.load(Ordering::SeqCst) {
                    take(place, &buffer[..length]);
                }
            }
        }
        Ok(read)
    }

    fn wait(&self) -> Result<()> {
        let mut all: Vec<PollFd<'_>> = self.0.iter().map(|cable| PollFd::new(&cable.tap, PollFlags::IN)).collect();
        match poll(&mut all, Some(&WAIT)) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error).context("cannot wait for frames"),
        }
    }
}

fn frame_of(at: Duration, port: usize, frame: &[u8]) -> Option<NumberedFrame> {
    let kind = frame.get(ETHERNET - 2..ETHERNET)?;
    let (flow, number) = frame::datagram(kind, frame.get(ETHERNET..)?)?;
    Some(NumberedFrame { at, port, flow, number })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::frame_of;

    #[test]
    fn a_frame_of_the_wire_is_read() {
        let mut frame = vec![0; ETHERNET_AND_DATAGRAM];
        frame[12] = 8;
        frame[14] = 0x45;
        frame[23] = 17;
        frame[37] = 9;
        frame[45] = 7;
        let read = frame_of(Duration::ZERO, 1, &frame).unwrap();
        assert_eq!((read.port, read.flow, read.number), (1, (0, 9), 7));
        assert_eq!(frame_of(Duration::ZERO, 1, &frame[..ETHERNET_AND_DATAGRAM - 1]), None);
    }

    const ETHERNET_AND_DATAGRAM: usize = 14 + 20 + 8 + 4;
}
