//! `capture`: the frames of all ports in one file.

use std::{
    fs::File,
    io::{self, BufWriter, IsTerminal, Write},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use aggctl_common::IfIndex;
use aggctl_engine::{
    capture::{
        filter::CaptureFilter,
        pcapng::{self, CapturedFrame},
    },
    host::Link,
    record::Record,
};
use aggctl_kernel::{
    capture::{self, MOST_OCTETS, PassedFrame, PortCapture},
    netlink::Netlink,
    state::Store,
};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::{cli::CaptureArguments, failure::Failure, operation, output::tell};

/// How often is looked for signals and for ports that came since. A signal during the wait ends it at once.
const LOOK: Duration = Duration::from_millis(500);

/// Captures until it is interrupted, or has as many frames as were asked for.
///
/// # Errors
/// If there is no such aggregate or port, or the file cannot be written; [`Failure::OutputClosed`] if its reader went
/// away.
pub fn run(arguments: &CaptureArguments, filter: Option<CaptureFilter>) -> Result<(), Failure> {
    let store = operation::store(&arguments.name)?;
    let record = store.record()?.ok_or_else(|| operation::not_there(&arguments.name))?;
    if let Some(port) = arguments.ports.iter().find(|name| record.ports.iter().all(|port| port.config.name != **name)) {
        return Err(Failure::Refused(format!("{port} is no port of {}; see `aggctl show`", arguments.name)));
    }
    let ended = Arc::<AtomicBool>::default();
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&ended))?;
    }
    let mut running = RunningCapture {
        store,
        netlink: Netlink::open()?,
        wanted: &arguments.ports,
        filter,
        ports: Vec::new(),
        buffer: vec![0; usize::try_from(MOST_OCTETS).unwrap_or(usize::MAX)],
        read_until: Duration::ZERO,
        left: arguments.count.unwrap_or(u64::MAX),
        file: CaptureFile::open(&arguments.write)?,
    };
    running.file.write(&pcapng::section_header(concat!("aggctl ", env!("CARGO_PKG_VERSION"))))?;
    running.add_ports(&record)?;
    if running.ports.is_empty() {
        return Err(Failure::Refused(format!("none of these ports of {} is there", arguments.name)));
    }
    running.file.flush()?;
    tell(&format!("capturing on {}; Ctrl-C ends it", running.names()));
    running.capture(&ended)?;
    running.end()
}

/// A port that is captured.
struct CapturedPort {
    name: String,
    index: IfIndex,
    /// Its number in the file.
    interface: u32,
    socket: PortCapture,
    /// The frame that was read of it and is not written yet.
    next: Option<PassedFrame>,
    /// How many of its frames were written.
    kept: u64,
}

/// A capture at work.
struct RunningCapture<'a> {
    store: Store,
    netlink: Netlink,
    /// The names of the ports that are captured; all if there are none.
    wanted: &'a [String],
    filter: Option<CaptureFilter>,
    ports: Vec<CapturedPort>,
    buffer: Vec<u8>,
    /// Of what passed before this time since 1970, the sockets have no more.
    read_until: Duration,
    /// How many frames are still to be written.
    left: u64,
    file: CaptureFile,
}

impl RunningCapture<'_> {
    /// Writes frames until `ended`, and then those that had passed by then.
    fn capture(&mut self, ended: &AtomicBool) -> Result<(), Failure> {
        let (mut looked, mut deadline) = (Instant::now(), None);
        while self.left > 0 {
            if deadline.is_none() && ended.load(Ordering::Relaxed) {
                deadline = Some(capture::now());
            }
            if looked.elapsed() >= LOOK {
                looked = Instant::now();
                // One that cannot be read at the moment is read again.
                if let Ok(Some(record)) = self.store.record() {
                    self.add_ports(&record)?;
                }
            }
            match (self.next(), deadline) {
                (Some((_, frame)), Some(deadline)) if frame.at > deadline => break,
                (Some((port, frame)), _) => self.keep(port, &frame)?,
                (None, Some(_)) => break,
                (None, None) => {
                    self.file.flush()?;
                    capture::wait(self.ports.iter().map(|port| &port.socket), LOOK);
                }
            }
        }
        Ok(())
    }

    /// Begins with the ports that are there and are not captured yet.
    fn add_ports(&mut self, record: &Record) -> Result<(), Failure> {
        for link in links(record, &mut self.netlink)? {
            let wanted = self.wanted.is_empty() || self.wanted.contains(&link.name);
            if !wanted || self.ports.iter().any(|port| port.index == link.index) {
                continue;
            }
            let interface = u32::try_from(self.ports.len()).unwrap_or(u32::MAX);
            self.file.write(&pcapng::interface(&link.name, MOST_OCTETS))?;
            let socket = PortCapture::begin(link.index)?;
            self.ports.push(CapturedPort {
                name: link.name,
                index: link.index,
                interface,
                socket,
                next: None,
                kept: 0,
            });
        }
        Ok(())
    }

    /// The frame of any port that passed first; `None` if there is none at present.
    fn next(&mut self) -> Option<(usize, PassedFrame)> {
        // What passes a port after its socket was found empty, and before a frame that is found behind it, is found the
        // second time; a third time would be for a clock that was set back.
        for _ in 0..2 {
            if self.first().is_some_and(|(at, _)| at <= self.read_until) {
                break;
            }
            self.read_until = capture::now();
            for port in self.ports.iter_mut().filter(|port| port.next.is_none()) {
                port.next = port.socket.receive(&mut self.buffer);
            }
        }
        let (_, place) = self.first()?;
        let port = self.ports.get_mut(place)?;
        let frame = port.next.take()?;
        port.next = port.socket.receive(&mut self.buffer);
        Some((place, frame))
    }

    /// When the frame passed that did first of those that were read, and the place of its port.
    fn first(&self) -> Option<(Duration, usize)> {
        let places = self.ports.iter().enumerate();
        places.filter_map(|(place, port)| Some((port.next.as_ref()?.at, place))).min()
    }

    /// Writes a frame of this port, if it is one of those that are wished for.
    fn keep(&mut self, place: usize, frame: &PassedFrame) -> Result<(), Failure> {
        let Some(port) = self.ports.get_mut(place) else { return Ok(()) };
        if self.filter.as_ref().is_some_and(|filter| !filter.keeps(frame.direction, &frame.octets)) {
            return Ok(());
        }
        self.file.write(&pcapng::frame(&CapturedFrame {
            interface: port.interface,
            at_ns: nanoseconds(frame.at),
            direction: frame.direction,
            octets: &frame.octets,
            length: u32::try_from(frame.length).unwrap_or(u32::MAX),
        }))?;
        port.kept += 1;
        self.left -= 1;
        Ok(())
    }

    /// Writes what became of all frames, and says so.
    fn end(mut self) -> Result<(), Failure> {
        let (now, mut no_room) = (nanoseconds(capture::now()), 0);
        for port in &self.ports {
            let counts = port.socket.counts();
            no_room += counts.no_room;
            self.file.write(&pcapng::statistics(port.interface, now, counts.passed, counts.no_room))?;
        }
        self.file.flush()?;
        let kept = self.ports.iter().map(|port| format!("{} {}", port.name, port.kept)).collect::<Vec<_>>().join(", ");
        let total: u64 = self.ports.iter().map(|port| port.kept).sum();
        tell(&format!("{total} frames ({kept}); {no_room} more passed that there was no room for"));
        Ok(())
    }

    fn names(&self) -> String {
        self.ports.iter().map(|port| port.name.as_str()).collect::<Vec<_>>().join(", ")
    }
}

/// The interfaces of the ports that are there.
fn links(record: &Record, netlink: &mut Netlink) -> Result<Vec<Link>, Failure> {
    let mut links = Vec::new();
    for port in &record.ports {
        // An index alone proves nothing.
        let link = port.index.map(|index| netlink.link(index)).transpose()?.flatten();
        links.extend(link.filter(|link| record.is_still(link, port)));
    }
    Ok(links)
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Where a capture is written to.
struct CaptureFile {
    out: Box<dyn Write>,
    name: String,
}

impl CaptureFile {
    fn open(path: &Path) -> Result<Self, Failure> {
        if path != Path::new("-") {
            let name = path.display().to_string();
            let file = File::create(path).map_err(|error| Failure::Refused(format!("cannot write {name}: {error}")))?;
            return Ok(Self { out: Box::new(BufWriter::new(file)), name });
        }
        if io::stdout().is_terminal() {
            let wish = "a capture is nothing for a terminal: give it a file with -w FILE, or pipe it to `tcpdump -r -`";
            return Err(Failure::Usage(wish.to_owned()));
        }
        Ok(Self { out: Box::new(BufWriter::new(io::stdout())), name: "standard output".to_owned() })
    }

    fn write(&mut self, block: &[u8]) -> Result<(), Failure> {
        self.out.write_all(block).map_err(|error| self.failed(&error))
    }

    fn flush(&mut self) -> Result<(), Failure> {
        self.out.flush().map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &io::Error) -> Failure {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::OutputClosed,
            _ => Failure::Refused(format!("cannot write {}: {error}", self.name)),
        }
    }
}
