//! Passes what the command writes on to the host.

use std::{
    fs::File,
    io::{self, PipeReader, PipeWriter, Read, Write},
    os::fd::AsFd,
    thread::{self, JoinHandle},
};

use anyhow::{Context, Result};
use rustix::{
    event::{PollFd, PollFlags},
    io::retry_on_intr,
};

/// Passes on what comes out of a pipe, and counts it.
///
/// The command may leave processes behind that keep the pipe open, so its end says nothing: the pump runs until it is
/// told to stop, and then until the pipe is empty.
#[derive(Debug)]
pub struct Pump {
    stop: PipeWriter,
    thread: JoinHandle<u64>,
}

impl Pump {
    /// Starts one from `from` to a port.
    ///
    /// # Errors
    ///
    /// When the system has no more files.
    pub fn start(from: PipeReader, to: File) -> Result<Self> {
        let (stopped, stop) = io::pipe().context("cannot make a pipe")?;
        Ok(Self { stop, thread: thread::spawn(move || pass(from, to, &stopped)) })
    }

    /// Passes on what is in the pipe now and stops. Returns how many bytes were passed on in all.
    pub fn end(self) -> u64 {
        drop(self.stop);
        self.thread.join().unwrap_or_default()
    }
}

fn pass(mut from: PipeReader, mut to: impl Write, stopped: &PipeReader) -> u64 {
    let mut buffer = vec![0; 65_536];
    let mut passed = 0;
    loop {
        let (readable, ending) = {
            let mut wanted = [
                PollFd::from_borrowed_fd(from.as_fd(), PollFlags::IN),
                PollFd::from_borrowed_fd(stopped.as_fd(), PollFlags::IN),
            ];
            if retry_on_intr(|| rustix::event::poll(&mut wanted, None)).is_err() {
                return passed;
            }
            (!wanted[0].revents().is_empty(), !wanted[1].revents().is_empty())
        };
        if readable {
            match from.read(&mut buffer) {
                Ok(length @ 1..) if to.write_all(&buffer[..length]).is_ok() => passed += length as u64,
                // Everyone closed the pipe, or the host is gone.
                _ => return passed,
            }
        } else if ending {
            return passed;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Read, Seek, SeekFrom, Write};

    use super::Pump;

    #[test]
    fn all_is_passed_on_although_someone_keeps_the_pipe_open() {
        let mut port = tempfile::tempfile().unwrap();
        let (reader, mut writer) = io::pipe().unwrap();
        let pump = Pump::start(reader, port.try_clone().unwrap()).unwrap();
        writer.write_all(b"out").unwrap();
        assert_eq!(pump.end(), 3);
        let mut written = String::new();
        port.seek(SeekFrom::Start(0)).unwrap();
        port.read_to_string(&mut written).unwrap();
        assert_eq!(written, "out");
        drop(writer);
    }
}
