//! Running other programs.

use std::{
    env,
    ffi::OsStr,
    fs::{self, File},
    io::{Read, Seek, SeekFrom},
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use crate::environment;

/// Directories that hold administrators' tools and are not in every user's `PATH`.
const SYSTEM_DIRECTORIES: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// The longest that a command that is run quietly may take.
const LIMIT: Duration = Duration::from_secs(60);

/// Finds an executable as a shell would, and also where administrators' tools and cargo's installed binaries are.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let home = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| env::var_os("HOME").map(|home| Path::new(&home).join(".cargo")))
        .map(|home| home.join("bin"));
    env::split_paths(&path)
        .chain(SYSTEM_DIRECTORIES.iter().map(PathBuf::from))
        .chain(home)
        .map(|directory| directory.join(program))
        .find(|file| executable(file))
}

/// Whether `file` is a regular file that someone may execute.
pub fn executable(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

/// A command as a person would type it, for messages.
pub fn describe(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let words = std::iter::once(program.file_name().unwrap_or(program.as_os_str())).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

/// Runs a command with our own standard streams.
///
/// # Errors
///
/// When it cannot be started or fails.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start `{}`", describe(command)))?;
    if !status.success() {
        bail!("`{}` failed: {status}", describe(command));
    }
    Ok(())
}

/// Runs a command quietly, in a process group of its own (a Ctrl-C at the terminal does not reach it), and returns
/// what it wrote to its standard output.
///
/// # Errors
///
/// When it cannot be started, fails, or takes longer than a minute; the error carries what it wrote to its standard
/// error.
pub fn read(command: &mut Command) -> Result<String> {
    // Files and not pipes: a process that the command leaves behind may keep them open without holding us up.
    let mut stdout = tempfile::tempfile()?;
    let mut stderr = tempfile::tempfile()?;
    command.process_group(0).stdin(Stdio::null()).stdout(stdout.try_clone()?).stderr(stderr.try_clone()?);
    let mut child = command.spawn().with_context(|| format!("cannot start `{}`", describe(command)))?;
    let status =
        wait(&mut child, LIMIT * environment::patience()).with_context(|| format!("`{}`", describe(command)))?;
    if !status.success() {
        bail!("`{}` failed ({status}): {}", describe(command), content(&mut stderr)?.trim());
    }
    content(&mut stdout)
}

/// Runs a command with its output thrown away and ends it when `limit` has passed. Returns whether it succeeded.
pub fn succeeds_within(command: &mut Command, limit: Duration) -> bool {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let ended = command.spawn().map_err(Into::into).and_then(|mut child| wait(&mut child, limit));
    ended.is_ok_and(|status| status.success())
}

/// Waits for the end of a child, and ends it when `limit` has passed.
fn wait(child: &mut Child, limit: Duration) -> Result<ExitStatus> {
    let deadline = Instant::now() + limit;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        thread::sleep(Duration::from_millis(2));
    }
    // By its id; it is our own child and not yet waited for, so the id is not another's.
    child.kill()?;
    child.wait()?;
    bail!("took longer than {} s and was ended", limit.as_secs())
}

/// What was written to a file that is shared with a child.
fn content(file: &mut File) -> Result<String> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Whether we run as root.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
