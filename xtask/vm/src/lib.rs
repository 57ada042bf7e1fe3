//! `cargo xtask vm`: runs a command on another kernel.
//!
//! A machine boots a kernel of Debian's with the host's root as its own, read-only under an overlay in memory: the
//! checkout and all tools are at the paths where they are on the host, and what is written vanishes. See `docs/vm.md`.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test may panic"))]

mod apt;
mod cache;
mod cpio;
mod guest;
mod initramfs;
mod kernel;
mod lines;
mod machine;
mod message;
mod modules;
mod needs;
mod nic;
mod outcome;
mod packed;
mod plan;
mod port;
mod qmp;
mod request;
mod session;

use std::{
    env,
    ffi::OsString,
    fs::{self, File},
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
    thread,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use clap::Args;

use self::{
    cache::Cache,
    kernel::Kernel,
    machine::{Accelerator, Machine},
    plan::Plan,
    session::Limits,
};
pub use self::{
    kernel::{KernelChoice, Series},
    lines::Lines,
    nic::NicCounts,
    outcome::MachineOutcome,
};
use aggctl_tools::{build, interrupt::Interrupt, workspace::Workspace};

/// The least memory, in MiB, with which a machine boots.
const LEAST_MEMORY: i64 = 512;
/// The usual memory, in MiB.
const MEMORY: u32 = 4096;
/// The exit status when the machine could not be made; see [`MachineOutcome::status`] for the others.
const NO_MACHINE: u8 = 125;

/// What a person wants of a machine.
#[derive(Clone, Debug, Args)]
pub struct MachineWish {
    /// The kernel: 6.1, 6.12, newest, or the path of a vmlinuz or of an unpacked kernel package
    #[arg(long, value_name = "KERNEL", default_value = "6.12")]
    pub kernel: KernelChoice,
    /// Count instructions instead of time: 1 ns each, on one processor
    #[arg(long)]
    pub deterministic: bool,
    /// Processors
    #[arg(long, value_name = "N", default_value_t = 2, default_value_if("deterministic", "true", "1"),
          value_parser = clap::value_parser!(u8).range(1..=64))]
    pub cpus: u8,
    /// Memory in MiB; what is written in the machine takes up to four fifths of it
    #[arg(long, value_name = "MIB", default_value_t = MEMORY,
          value_parser = clap::value_parser!(u32).range(LEAST_MEMORY..))]
    pub memory: u32,
    /// Network cards nic0, nic1, …, each wired to a card partner0, partner1, …
    #[arg(long, value_name = "e1000e:N")]
    pub nic: Option<NicCounts>,
    /// End the machine when the command has run for so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..))]
    pub timeout: u64,
    /// In a machine: ask its monitor, for example '{"execute":"query-status"}', and print the answer
    #[arg(long, value_name = "JSON", exclusive = true)]
    monitor: Option<String>,
    /// Be the agent in a machine
    #[arg(long, hide = true, exclusive = true)]
    guest: bool,
    /// The command, run as root in the current directory
    #[arg(last = true, value_name = "COMMAND", required_unless_present_any = ["monitor", "guest"])]
    pub command: Vec<OsString>,
}

impl MachineWish {
    /// A machine for a command of ours, with two processors and a limit in seconds.
    pub fn of(kernel: KernelChoice, timeout: u64, command: Vec<OsString>) -> Self {
        let (deterministic, cpus, memory) = (false, 2, MEMORY);
        Self { kernel, deterministic, cpus, memory, nic: None, timeout, monitor: None, guest: false, command }
    }
}

/// Where what the command writes goes to.
pub struct Streams {
    /// Its standard output.
    pub stdout: Box<dyn Write + Send>,
    /// Its standard error.
    pub stderr: Box<dyn Write + Send>,
}

impl Streams {
    /// To our own.
    pub fn ours() -> Self {
        Self { stdout: Box::new(io::stdout()), stderr: Box::new(io::stderr()) }
    }
}

/// Finds all that a machine with this kernel is made of: installs and fetches what is not there.
///
/// # Errors
///
/// When something cannot be had.
pub fn prepare(kernel: &KernelChoice) -> Result<()> {
    needs::ensure_tools()?;
    let cache = Cache::open()?;
    needs::busybox(&cache)?;
    Kernel::find(kernel, &cache).map(drop)
}

/// How many machines can run at the same time without slowing each other down: one per processor under emulation, which
/// takes one; only one where they are as fast as we, so that nothing disturbs its time.
///
/// # Errors
///
/// When there is no place for the cache, where it is noted what works here.
pub fn at_a_time() -> Result<usize> {
    Ok(match accelerator(&Cache::open()?) {
        Accelerator::Kvm => 1,
        Accelerator::Tcg | Accelerator::Deterministic => thread::available_parallelism().map_or(1, usize::from),
    })
}

/// Carries out the subcommand and returns the exit status: the command's, or one that says why there is none.
///
/// # Errors
///
/// When the agent or the request to a monitor fails. When there is no machine, that is told here, with a status of its
/// own.
pub fn main(wish: &MachineWish) -> Result<ExitCode> {
    if wish.guest {
        guest::run()?;
    }
    if let Some(text) = &wish.monitor {
        return request::print(text);
    }
    let outcome = Workspace::locate().and_then(|workspace| {
        if is_ours(&wish.command) {
            // In the machine that would take hours, and the build would vanish with it.
            build::all(&workspace, wish.command.get(2).is_some_and(|name| name == "bench"))?;
        }
        run(&workspace, wish, &mut Streams::ours)
    });
    let status = outcome.map(|outcome| outcome.status()).unwrap_or_else(|error| {
        eprintln!("xtask: {error:#}");
        NO_MACHINE
    });
    Ok(ExitCode::from(status))
}

/// Runs the command in a machine. What it writes goes to `streams`, which are asked for when a machine starts; when it
/// is not the command that ended the machine, the end of the console is written to our standard error.
///
/// # Errors
///
/// When the machine cannot be made.
pub fn run(workspace: &Workspace, wish: &MachineWish, streams: &mut dyn FnMut() -> Streams) -> Result<MachineOutcome> {
    ensure!(!wish.deterministic || wish.cpus == 1, "--deterministic has one processor");
    needs::ensure_tools()?;
    let cache = Cache::open()?;
    let busybox = needs::busybox(&cache)?;
    let kernel = Kernel::find(&wish.kernel, &cache)?;
    let results = results(workspace)?;
    let cards = wish.nic.unwrap_or_default().list();
    let own = tempfile::Builder::new().prefix("aggctl-vm-").tempdir().context("cannot make a directory")?;
    // A copy: our program may be built anew while the machine runs.
    let agent = own.path().join("agent");
    fs::copy("/proc/self/exe", &agent).context("cannot copy our own program")?;
    let agent = agent.to_str().context("the path of temporary files must be UTF-8")?;
    let initramfs = own.path().join("initramfs");
    let prepare = |machine: &Machine| {
        let patience = machine.accelerator.patience();
        let plan = Plan::new(&wish.command, &machine.kernel, machine.cards.clone(), &machine.results, patience)?;
        let archive = initramfs::build(&machine.kernel, &busybox, agent, &plan)?;
        fs::write(&machine.initramfs, archive).context("cannot write the initramfs")
    };

    let interrupt = Interrupt::catch()?;
    let limit = Duration::from_secs(wish.timeout);
    let mut machine = Machine {
        kernel,
        initramfs,
        accelerator: if wish.deterministic { Accelerator::Deterministic } else { accelerator(&cache) },
        cpus: wish.cpus,
        memory: wish.memory,
        cards,
        results,
        console: own.path().join("console"),
        log: own.path().join("log"),
    };
    prepare(&machine)?;
    let mut outcome = session::run(&machine, Limits::of(machine.accelerator, limit), &interrupt, streams())?;
    if machine.accelerator == Accelerator::Kvm && matches!(outcome, MachineOutcome::NotBooted(_)) {
        eprintln!("vm: kvm is there but does not work; from now on this host uses software emulation");
        forget_kvm(&cache)?;
        machine.accelerator = Accelerator::Tcg;
        prepare(&machine)?;
        outcome = session::run(&machine, Limits::of(machine.accelerator, limit), &interrupt, streams())?;
    }
    report(&outcome, &machine);
    Ok(outcome)
}

/// Whether a command is one of `cargo xtask`, which wants the product built.
fn is_ours(command: &[OsString]) -> bool {
    matches!(command, [cargo, xtask, ..] if cargo == "cargo" && xtask == "xtask")
}

fn report(outcome: &MachineOutcome, machine: &Machine) {
    let Some(message) = outcome.message() else { return };
    if outcome.needs_console() {
        for (name, file) in [("the machine's console", &machine.console), ("what the emulator said", &machine.log)] {
            let tail = outcome::tail(&outcome::text(file));
            if !tail.is_empty() {
                eprintln!("vm: the end of {name}:\n{tail}");
            }
        }
    }
    eprintln!("vm: {message}");
}

/// The directory that outlives machines: `$AGGCTL_RESULTS`, or one in the target directory.
fn results(workspace: &Workspace) -> Result<PathBuf> {
    let chosen = env::var_os(plan::RESULTS_VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from);
    let directory = chosen.unwrap_or_else(|| workspace.target.join("vm-results"));
    fs::create_dir_all(&directory).with_context(|| format!("cannot create {}", directory.display()))?;
    fs::canonicalize(&directory).with_context(|| format!("cannot find {}", directory.display()))
}

/// What is best on this host: kvm if it can be opened and has not failed before.
fn accelerator(cache: &Cache) -> Accelerator {
    let opens = File::options().read(true).write(true).open("/dev/kvm").is_ok();
    if opens && !broken_kvm(cache).exists() { Accelerator::Kvm } else { Accelerator::Tcg }
}

/// Notes that kvm does not work on this host's kernel.
fn forget_kvm(cache: &Cache) -> Result<()> {
    let note = broken_kvm(cache);
    fs::write(&note, "kvm did not boot a machine with this kernel of the host; remove this file to try again\n")
        .with_context(|| format!("cannot write {}", note.display()))
}

fn broken_kvm(cache: &Cache) -> PathBuf {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    cache.path(&format!("no-kvm-{}", release.replace('/', "_")))
}
