//! What comes out at the far ends of the cables, frame by frame: `tcpdump` there, and a reader of what it writes.
//!
//! The captures of the tests are read while traffic runs, by threads of their own, and say nothing of when a frame
//! came. Here there is one processor, which does the work that is measured: nothing is read until it is over, and the
//! kernel notes when each frame came.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, ChildStderr, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use super::{
    frame::{self, NumberedFrame},
    iproute,
};
use aggctl_testbed::netns::NetworkNamespace;
use aggctl_tools::process;

/// Octets of each frame that are kept: all headers, and the start of what the datagram carries.
const KEPT: &str = "96";
/// Buffer for frames that tcpdump has not read yet, KiB: all of them, as there is only one processor.
const BUFFER: &str = "131072";
/// The link layer of captures on all interfaces (LINKTYPE_LINUX_SLL2), which names the interface of each frame.
const LINK_TYPE: u32 = 276;
/// The length of its header.
const LINK_HEADER: usize = 20;

/// A capture that runs.
pub struct CableCapture {
    child: Child,
    stderr: BufReader<ChildStderr>,
    file: tempfile::NamedTempFile,
    places: BTreeMap<u32, usize>,
}

impl CableCapture {
    /// Begins to capture what comes out of the cables of these ports, whose far ends have the same names.
    ///
    /// # Errors
    ///
    /// When tcpdump does not start.
    pub fn start(far: &NetworkNamespace, ports: &[String]) -> Result<Self> {
        let mut places = BTreeMap::new();
        for (place, port) in ports.iter().enumerate() {
            let index = iproute::link(far, port)?["ifindex"].as_u64().context("a link has no index")?;
            places.insert(u32::try_from(index)?, place);
        }
        let file = tempfile::NamedTempFile::new().context("cannot make a file")?;
        let program = process::find("tcpdump").unwrap_or_else(|| Path::new("tcpdump").to_path_buf());
        let mut command = far.command(&program);
        command.args(["-i", "any", "-Q", "in", "-n", "-U", "-Z", "root", "-s", KEPT, "-B", BUFFER]);
        command.args(["--time-stamp-precision", "nano", "-w"]).arg(file.path()).arg("udp");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().context("cannot start tcpdump")?;
        let mut stderr = BufReader::new(child.stderr.take().context("tcpdump has no standard error")?);
        let mut line = String::new();
        while !line.contains("listening on") {
            line.clear();
            ensure!(stderr.read_line(&mut line)? > 0, "tcpdump ended before it listened");
        }
        Ok(Self { child, stderr, file, places })
    }

    /// Ends it and returns the frames, in the order in which they came.
    ///
    /// # Errors
    ///
    /// When frames were missed.
    pub fn stop(mut self) -> Result<Vec<NumberedFrame>> {
        // What it has not read yet when it is asked to end is lost: wait until it has nothing more to write.
        let mut length = None;
        loop {
            let now = self.file.as_file().metadata()?.len();
            if length == Some(now) {
                break;
            }
            length = Some(now);
            thread::sleep(Duration::from_millis(1500));
        }
        kill_process(Pid::from_child(&self.child), Signal::INT).context("cannot end tcpdump")?;
        let mut said = String::new();
        self.stderr.read_to_string(&mut said)?;
        self.child.wait()?;
        let missed = said.lines().find(|line| line.ends_with("dropped by kernel")).unwrap_or("no count of lost frames");
        ensure!(missed.starts_with("0 "), "tcpdump: {missed}");
        let mut bytes = Vec::new();
        self.file.reopen()?.read_to_end(&mut bytes)?;
        let frames = read(&bytes)?;
        let place = |(index, at, flow, number)| {
            self.places.get(&index).map(|port| NumberedFrame { at, port: *port, flow, number })
        };
        Ok(frames.into_iter().filter_map(place).collect())
    }
}

type Raw = (u32, Duration, (u16, u16), u32);

/// Reads a file of tcpdump's (pcap with nanoseconds, in the byte order of x86).
fn read(bytes: &[u8]) -> Result<Vec<Raw>> {
    let word = |at: usize| bytes.get(at..at + 4).and_then(|word| word.try_into().ok()).map(u32::from_le_bytes);
    ensure!(word(0) == Some(0xa1b2_3c4d), "this is no capture with nanoseconds");
    ensure!(word(20) == Some(LINK_TYPE), "this is no capture of all interfaces");
    let mut frames = Vec::new();
    let mut at = 24;
    while let (Some(seconds), Some(fraction), Some(length)) = (word(at), word(at + 4), word(at + 8)) {
        let start = at + 16;
        let end = start + length as usize;
        let Some(frame) = bytes.get(start..end) else { bail!("the capture ends within a frame") };
        let time = Duration::new(u64::from(seconds), fraction);
        frames.extend(linked(frame).map(|(index, flow, number)| (index, time, flow, number)));
        at = end;
    }
    Ok(frames)
}

/// Interface, UDP ports and the first four octets of a frame as tcpdump hands it over.
fn linked(frame: &[u8]) -> Option<(u32, (u16, u16), u32)> {
    let interface = frame.get(4..8)?.try_into().ok().map(u32::from_be_bytes)?;
    let (flow, number) = frame::datagram(frame.get(..2)?, frame.get(LINK_HEADER..)?)?;
    Some((interface, flow, number))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::read;

    #[test]
    fn a_capture_is_read() {
        let mut bytes = vec![0; 24];
        bytes[..4].copy_from_slice(&0xa1b2_3c4d_u32.to_le_bytes());
        bytes[20..24].copy_from_slice(&276_u32.to_le_bytes());
        let mut frame = vec![0; 20 + 20 + 8 + 4];
        frame[..2].copy_from_slice(&[8, 0]);
        frame[7] = 3;
        frame[20] = 0x45;
        frame[29] = 17;
        frame[40..44].copy_from_slice(&[0, 9, 0, 10]);
        frame[51] = 77;
        for word in [5_u32, 6, 52, 52] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(frame);
        assert_eq!(read(&bytes).unwrap(), [(3, Duration::new(5, 6), (9, 10), 77)]);
        assert!(read(&bytes[..60]).is_err());
    }
}
