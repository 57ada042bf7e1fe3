//! The product, as its users meet it: a command line and JSON.

use std::{
    env,
    path::{Path, PathBuf},
    process::Child,
};

use rustix::process::Pid;
use serde_json::Value;

use crate::{
    Namespace, Outcome, command,
    matrix::SOON,
    processes::{alive, kill, parent},
    wait, wait_for,
};

/// The binary under test: `AGGCTL_BIN`, else the one of the build that this test belongs to.
///
/// # Panics
///
/// If there is none.
pub fn binary() -> PathBuf {
    let path = env::var_os("AGGCTL_BIN").map_or_else(
        || {
            let test = env::current_exe().unwrap();
            test.ancestors().map(|directory| directory.join("aggctl")).find(|path| path.is_file()).unwrap_or_default()
        },
        PathBuf::from,
    );
    assert!(path.is_file(), "no aggctl to test: run `cargo xtask build`, or name one by AGGCTL_BIN");
    path
}

impl Namespace {
    /// Runs `aggctl` by `ip netns exec`; words are separated by blanks.
    #[track_caller]
    pub fn aggctl(&self, line: &str) -> Outcome {
        self.aggctl_with(&[], line)
    }

    /// Runs `aggctl` with further environment variables.
    #[track_caller]
    pub fn aggctl_with(&self, variables: &[(&str, &str)], line: &str) -> Outcome {
        let mut command = self.command(binary().to_str().unwrap());
        command::run(command.args(line.split_whitespace()).envs(variables.iter().copied()))
    }

    /// Starts `aggctl` and lets it run; its output goes to a file.
    pub fn aggctl_in_background(&self, line: &str, output: &Path) -> Background {
        let mut command = self.command(binary().to_str().unwrap());
        command.args(line.split_whitespace()).stdout(std::fs::File::create(output).unwrap());
        Background(command.spawn().unwrap())
    }

    /// `aggctl show NAME --json`.
    #[track_caller]
    pub fn show(&self, name: &str) -> Show {
        Show::read(&self.aggctl(&format!("show {name} --json")).ok())
    }

    /// Waits until the state view is as wished, and returns it.
    #[track_caller]
    pub fn wait_for_show(&self, name: &str, what: &str, mut wished: impl FnMut(&Show) -> bool) -> Show {
        let mut last = None;
        let found = wait::find(SOON, || {
            // There may be none of this name yet: a rename is followed a moment later.
            let outcome = self.aggctl(&format!("show {name} --json"));
            let found = outcome.succeeded().then(|| Show::read(&outcome.stdout)).filter(&mut wished);
            last = Some(outcome);
            found
        });
        found.unwrap_or_else(|| panic!("waited in vain for the state view to say: {what}\n{}", last.unwrap()))
    }

    /// Waits until a controller runs, and returns it.
    #[track_caller]
    pub fn wait_for_controller(&self, name: &str) -> Controller {
        let show = self.wait_for_show(name, "a controller runs", |show| show.controller().is_some());
        let pid = show.controller().unwrap();
        Controller { pid, guardian: parent(pid).unwrap() }
    }

    /// Ends controllers and guardians; nobody starts another.
    #[track_caller]
    pub fn kill_all(&self) {
        let all = self.processes();
        // Guardians first: their parent is in no namespace of the test.
        let (controllers, guardians): (Vec<Pid>, Vec<Pid>) =
            all.iter().copied().partition(|pid| parent(*pid).is_some_and(|parent| all.contains(&parent)));
        guardians.into_iter().chain(controllers).for_each(kill);
        // A process lets go of its locks a moment after it left its namespaces.
        wait_for("nobody left", SOON, || !all.iter().any(|pid| alive(*pid)));
    }

    /// The directory of an aggregate's state in the `/run` that all tests share.
    pub fn state(&self, name: &str) -> PathBuf {
        Path::new("/run/aggctl").join(self.cookie().to_string()).join(name)
    }

    /// The directory of its pins.
    pub fn pins(&self, name: &str) -> PathBuf {
        Path::new("/run/aggctl/bpf").join(self.cookie().to_string()).join(name)
    }
}

/// A controller that runs, and its guardian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Controller {
    /// The controller.
    pub pid: Pid,
    /// Its parent.
    pub guardian: Pid,
}

impl Controller {
    /// Waits until both have left.
    #[track_caller]
    pub fn expect_gone(&self) {
        wait_for("controller and guardian gone", SOON, || !alive(self.pid) && !alive(self.guardian));
    }
}

/// An `aggctl` that runs until this is dropped.
#[derive(Debug)]
pub struct Background(Child);

impl Background {
    /// Its number. (`ip netns exec` becomes the program that it runs.)
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.0)
    }

    /// Its exit code, once it has ended by itself.
    #[track_caller]
    pub fn wait(&mut self) -> Option<i32> {
        wait::find(SOON, || self.0.try_wait().unwrap()).expect("the command ends").code()
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The answer of `aggctl show NAME --json`.
#[derive(Clone, Debug)]
pub struct Show(pub Value);

impl Show {
    /// Reads what `aggctl show NAME --json` printed.
    #[track_caller]
    fn read(text: &str) -> Self {
        Self(serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}")))
    }

    /// The active port.
    pub fn active(&self) -> Option<&str> {
        self.0["active_port"].as_str()
    }

    /// Whether the aggregate has carrier.
    #[track_caller]
    pub fn carrier(&self) -> bool {
        self.0["carrier"].as_bool().expect("carrier is true or false")
    }

    /// The controller, if one runs.
    #[track_caller]
    pub fn controller(&self) -> Option<Pid> {
        let controller = &self.0["controller"];
        let running = controller["running"].as_bool().expect("controller.running is true or false");
        let pid = controller["pid"].as_i64().and_then(|pid| Pid::from_raw(i32::try_from(pid).unwrap()));
        running.then(|| pid.expect("a controller that runs has a pid"))
    }

    /// A port.
    #[track_caller]
    pub fn port(&self, name: &str) -> &Value {
        let ports = self.0["ports"].as_array().expect("ports is an array");
        ports.iter().find(|port| port["name"] == name).unwrap_or_else(|| panic!("no port {name} in {:#}", self.0))
    }

    /// `state` of a port.
    #[track_caller]
    pub fn state(&self, port: &str) -> &str {
        self.port(port)["state"].as_str().expect("state is a text")
    }

    /// A counter of a port.
    #[track_caller]
    pub fn counter(&self, port: &str, key: &str) -> u64 {
        self.port(port)[key].as_u64().unwrap_or_else(|| panic!("{key} of {port} is a number"))
    }
}
