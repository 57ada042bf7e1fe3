//! The emulator and how it is started.

use std::{
    fs::File,
    os::{
        fd::{AsFd, AsRawFd},
        unix::{net::UnixStream, process::CommandExt},
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result};
use rustix::io::FdFlags;

use super::{kernel::Kernel, nic::NicSpec, port};
use aggctl_tools::process;

const PROGRAM: &str = "qemu-system-x86_64";
/// An oops stops the machine: what comes after it proves nothing. Self-tests of ciphers would take a third of the boot.
const KERNEL_ARGUMENTS: &str =
    "console=ttyS0 loglevel=5 panic=-1 oops=panic mitigations=off nokaslr random.trust_cpu=on cryptomgr.notests";

/// What executes the machine's instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accelerator {
    /// The processor, through /dev/kvm.
    Kvm,
    /// Software.
    Tcg,
    /// Software that counts instructions: the machine's clock advances by 1 ns with each.
    Deterministic,
}

impl Accelerator {
    /// For people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Tcg => "software emulation",
            Self::Deterministic => "software emulation, deterministic",
        }
    }

    /// How many times slower than a real machine this is, at worst.
    pub const fn patience(self) -> u32 {
        match self {
            Self::Kvm => 1,
            Self::Tcg | Self::Deterministic => 10,
        }
    }

    fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Kvm => &["-accel", "kvm", "-cpu", "host"],
            // A thread for each processor would be of use to a machine with more than one, but then the emulator (7.2,
            // and also 8.0) may execute an instruction after the kernel has replaced it, which the kernel answers with
            // an oops (a breakpoint that nobody set, in `netif_rx_internal` for example, whenever packet sockets come
            // and go).
            Self::Tcg => &["-accel", "tcg,thread=single", "-cpu", "max"],
            Self::Deterministic => &["-accel", "tcg,thread=single", "-cpu", "max", "-icount", "shift=0,sleep=off"],
        }
    }
}

/// A machine that can be started.
#[derive(Debug)]
pub struct Machine {
    /// What it boots.
    pub kernel: Kernel,
    /// Its first root.
    pub initramfs: PathBuf,
    /// What executes it.
    pub accelerator: Accelerator,
    /// The number of its processors.
    pub cpus: u8,
    /// Its memory in MiB.
    pub memory: u32,
    /// Its network cards.
    pub cards: Vec<NicSpec>,
    /// The directory that it shares with the host for writing.
    pub results: PathBuf,
    /// Where its serial console is written to.
    pub console: PathBuf,
    /// Where the emulator's own messages are written to.
    pub log: PathBuf,
}

/// A machine that runs, and our ends of its wires.
#[derive(Debug)]
pub struct Running {
    /// The emulator.
    pub child: Child,
    /// The agent's control port.
    pub control: UnixStream,
    /// What the command writes to its standard output.
    pub stdout: UnixStream,
    /// What the command writes to its standard error.
    pub stderr: UnixStream,
    /// The emulator's monitor.
    pub monitor: UnixStream,
}

impl Machine {
    /// Starts it.
    ///
    /// # Errors
    ///
    /// When the emulator is not there or the console cannot be written.
    pub fn start(&self) -> Result<Running> {
        let create = |file: &Path| File::create(file).with_context(|| format!("cannot write {}", file.display()));
        create(&self.console)?;
        let program = process::find(PROGRAM).with_context(|| format!("{PROGRAM} is not there"))?;
        let mut command = Command::new(program);
        // Out of the terminal's process group: on Ctrl-C we end it, after we know why.
        command.process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(create(&self.log)?);
        command.args(self.arguments());
        let (control, control_end) = wire("control", &mut command)?;
        let (stdout, stdout_end) = wire("stdout", &mut command)?;
        let (stderr, stderr_end) = wire("stderr", &mut command)?;
        let (monitor, monitor_end) = wire("monitor", &mut command)?;
        for name in [port::CONTROL, port::STDOUT, port::STDERR] {
            command.args(["-device", &format!("virtserialport,chardev={name},name={name}")]);
        }
        command.args(["-mon", "chardev=monitor,mode=control"]);
        let child = command.spawn().with_context(|| format!("cannot start {PROGRAM}"))?;
        drop([control_end, stdout_end, stderr_end, monitor_end]);
        Ok(Running { child, control, stdout, stderr, monitor })
    }

    fn arguments(&self) -> Vec<String> {
        let fixed = ["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-machine", "pc"];
        let mut arguments: Vec<String> =
            fixed.iter().chain(self.accelerator.arguments()).map(ToString::to_string).collect();
        let mut add = |name: &str, value: String| arguments.extend([name.to_owned(), value]);
        let escape = |path: &PathBuf| path.display().to_string().replace(',', ",,");
        add("-smp", self.cpus.to_string());
        add("-m", format!("{}M", self.memory));
        add("-kernel", self.kernel.image.display().to_string());
        add("-initrd", self.initramfs.display().to_string());
        add("-append", KERNEL_ARGUMENTS.to_owned());
        add("-chardev", format!("file,id=console,path={}", escape(&self.console)));
        add("-serial", "chardev:console".to_owned());
        add("-fsdev", "local,id=root,path=/,security_model=none,readonly=on,multidevs=remap".to_owned());
        add("-device", "virtio-9p-pci,fsdev=root,mount_tag=root".to_owned());
        add("-fsdev", format!("local,id=results,path={},security_model=none", escape(&self.results)));
        add("-device", "virtio-9p-pci,fsdev=results,mount_tag=results".to_owned());
        add("-device", "virtio-serial-pci".to_owned());
        arguments.extend(self.cards.iter().flat_map(NicSpec::arguments));
        arguments
    }
}

/// A socket to the emulator, as its character device `name`: our end, and the one that the emulator inherits, which
/// must stay open until it is started.
fn wire(name: &str, command: &mut Command) -> Result<(UnixStream, UnixStream)> {
    let (ours, theirs) = UnixStream::pair().context("cannot make a socket")?;
    rustix::io::fcntl_setfd(theirs.as_fd(), FdFlags::empty()).context("cannot pass a socket on")?;
    command.args(["-chardev", &format!("socket,id={name},fd={}", theirs.as_raw_fd())]);
    Ok((ours, theirs))
}
