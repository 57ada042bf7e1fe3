//! Finds the serial ports to the host.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use crate::port;

/// Where the kernel lists the ports, each with its name.
const CLASS: &str = "/sys/class/virtio-ports";
/// How long they may take to appear.
const LIMIT: Duration = Duration::from_secs(20);

/// The ports, open for reading and writing.
#[derive(Debug)]
pub struct ChannelPorts {
    /// Messages.
    pub control: File,
    /// The command's standard output.
    pub stdout: File,
    /// The command's standard error.
    pub stderr: File,
}

impl ChannelPorts {
    /// Waits for the ports and opens them.
    ///
    /// # Errors
    ///
    /// When they do not appear.
    pub fn open() -> Result<Self> {
        Ok(Self { control: open(port::CONTROL)?, stdout: open(port::STDOUT)?, stderr: open(port::STDERR)? })
    }
}

fn open(name: &str) -> Result<File> {
    let deadline = Instant::now() + LIMIT;
    loop {
        if let Some(device) = find(name) {
            let mut options = File::options();
            return options
                .read(true)
                .write(true)
                .open(&device)
                .with_context(|| format!("cannot open {}", device.display()));
        }
        if Instant::now() > deadline {
            bail!("the machine has no serial port `{name}`");
        }
        thread::sleep(Duration::from_millis(10));
    }
}

fn find(name: &str) -> Option<PathBuf> {
    let ports = fs::read_dir(CLASS).ok()?;
    let port =
        ports.flatten().find(|port| fs::read_to_string(port.path().join("name")).is_ok_and(|is| is.trim() == name))?;
    Some(Path::new("/dev").join(port.file_name())).filter(|device| device.exists())
}
