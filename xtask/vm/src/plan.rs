//! What the host tells the agent in the machine: the command and all that it needs.

use std::{
    collections::BTreeMap,
    env,
    ffi::OsString,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use aggctl_tools::environment::{KERNEL_VARIABLE, PATIENCE_VARIABLE};

use super::{kernel::Kernel, nic::NicSpec};

/// Where the agent finds it.
pub const FILE: &str = "/run/aggctl-vm/plan.json";
/// Where the agent listens for requests to the machine monitor.
pub const MONITOR: &str = "/run/aggctl-vm/monitor";
/// The variable that names [`MONITOR`] to the command.
pub const MONITOR_VARIABLE: &str = "AGGCTL_VM_MONITOR";
/// The variable that names the directory that outlives the machine.
pub const RESULTS_VARIABLE: &str = "AGGCTL_RESULTS";

/// Variables that are passed in; and those that begin with one of [`PREFIXES`].
const NAMES: &[&str] = &["CARGO_HOME", "CARGO_TARGET_DIR", "HOME", "LANG", "TERM"];
const PREFIXES: &[&str] = &["AGGCTL_", "RUST_", "RUSTUP_"];
/// Where administrators' tools are, which are not in every user's `PATH`.
const SYSTEM_DIRECTORIES: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// All that the agent must know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Program and arguments.
    pub command: Vec<String>,
    /// Where it runs.
    pub directory: PathBuf,
    /// Its environment, and nothing else.
    pub environment: BTreeMap<String, String>,
    /// The kernel's modules in the host's root.
    pub modules: PathBuf,
    /// What `uname -r` says.
    pub kernel: String,
    /// Network cards to be named.
    pub cards: Vec<NicSpec>,
    /// The directory that outlives the machine, at the same path as on the host.
    pub results: PathBuf,
}

impl Plan {
    /// Makes the plan for a command of ours, with what is to be taken from our environment. The command is told to be
    /// so patient, unless our own environment says otherwise.
    ///
    /// # Errors
    ///
    /// When a word of the command or the current directory is no UTF-8.
    pub fn new(
        command: &[OsString],
        kernel: &Kernel,
        cards: Vec<NicSpec>,
        results: &Path,
        patience: u32,
    ) -> Result<Self> {
        let word = |word: &OsString| word.to_str().map(str::to_owned).context("the command must be UTF-8");
        let variables =
            env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        let mut environment = passed(variables);
        environment.entry(PATIENCE_VARIABLE.to_owned()).or_insert_with(|| patience.to_string());
        environment.insert(KERNEL_VARIABLE.to_owned(), kernel.version.clone());
        environment.insert(MONITOR_VARIABLE.to_owned(), MONITOR.to_owned());
        environment.insert(
            RESULTS_VARIABLE.to_owned(),
            results.to_str().context("the results' path must be UTF-8")?.to_owned(),
        );
        // There is no network to fetch anything from.
        environment.insert("CARGO_NET_OFFLINE".to_owned(), "true".to_owned());
        Ok(Self {
            command: command.iter().map(word).collect::<Result<_>>()?,
            directory: env::current_dir().context("there is no current directory")?,
            environment,
            modules: kernel.modules.clone(),
            kernel: kernel.version.clone(),
            cards,
            results: results.into(),
        })
    }
}

/// Those of our variables that a command in the machine gets.
fn passed(variables: impl Iterator<Item = (String, String)>) -> BTreeMap<String, String> {
    let all: BTreeMap<String, String> = variables.collect();
    let wanted = |name: &str| NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    let mut passed: BTreeMap<String, String> =
        all.iter().filter(|(name, _)| wanted(name)).map(|(name, value)| (name.clone(), value.clone())).collect();
    let cargo = all.get("CARGO_HOME").cloned().or_else(|| all.get("HOME").map(|home| format!("{home}/.cargo")));
    let path = all.get("PATH").map(String::as_str).unwrap_or("/usr/local/bin:/usr/bin:/bin");
    passed.insert("PATH".to_owned(), complete(path, cargo.map(|home| format!("{home}/bin"))));
    passed
}

/// A `PATH` with the directories that it lacks at its end.
fn complete(path: &str, cargo: Option<String>) -> String {
    let mut directories: Vec<String> = path.split(':').map(str::to_owned).collect();
    for extra in SYSTEM_DIRECTORIES.map(str::to_owned).into_iter().chain(cargo) {
        if !directories.contains(&extra) {
            directories.push(extra);
        }
    }
    directories.join(":")
}

#[cfg(test)]
mod tests {
    use super::{complete, passed};

    #[test]
    fn only_named_variables_are_passed() {
        let all = [("AGGCTL_X", "1"), ("RUST_LOG", "debug"), ("SECRET", "s"), ("HOME", "/h"), ("PATH", "/bin")];
        let passed = passed(all.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())));
        let names: Vec<&str> = passed.keys().map(String::as_str).collect();
        assert_eq!(names, ["AGGCTL_X", "HOME", "PATH", "RUST_LOG"]);
        assert_eq!(passed["PATH"], "/bin:/usr/local/sbin:/usr/sbin:/sbin:/h/.cargo/bin");
    }

    #[test]
    fn a_complete_path_stays() {
        let path = "/usr/local/sbin:/usr/sbin:/sbin:/c/bin";
        assert_eq!(complete(path, Some("/c/bin".to_owned())), path);
    }
}
