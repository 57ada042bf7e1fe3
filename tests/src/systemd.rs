//! A systemd of a test's own, for the unit that ships with the product: an instance for a user, in a PID namespace, a
//! mount namespace and a control group of its own.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{Namespace, Outcome, PrivateRun, aggctl::binary, command, matrix::SOON, service, wait};

/// What it is made of.
const NEEDED: [&str; 2] = ["/lib/systemd/systemd", "/usr/bin/systemctl"];
/// Pages of its `/run`: plenty.
const PAGES: u64 = 8192;
/// Starts it in a control group of its own, below which it makes others. It wants to see that the system runs systemd.
const START: &str = "
mkdir -p /run/systemd/system /run/groups
mount -t cgroup2 none /run/groups
mkdir -p /run/groups/$GROUP
echo $$ > /run/groups/$GROUP/cgroup.procs
unshare --cgroup --mount sh -ec 'mount -t tmpfs tmpfs /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup
exec /lib/systemd/systemd --user --log-target=console' < /dev/null > /run/log 2>&1 &
";
/// Ends all that is in the control group, and removes it.
const END: &str = "
echo 1 > /run/groups/$GROUP/cgroup.kill
until grep -q 'populated 0' /run/groups/$GROUP/cgroup.events; do sleep 0.01; done
find /run/groups/$GROUP -depth -type d -exec rmdir {} +
";

/// A systemd that runs for a network namespace.
#[derive(Debug)]
pub struct Systemd<'a> {
    host: &'a Namespace,
    /// Its `/run`.
    pub run: PrivateRun,
}

impl<'a> Systemd<'a> {
    /// Why there can be none.
    pub fn missing() -> Option<String> {
        if let Some(path) = NEEDED.into_iter().find(|path| !Path::new(path).exists()) {
            return Some(format!("{path} is not installed (package systemd)"));
        }
        let filesystems = fs::read_to_string("/proc/filesystems").unwrap_or_default();
        (!filesystems.contains("cgroup2")).then(|| "the kernel has no cgroup2".to_owned())
    }

    /// Starts one that has the product's unit; `file` is that of instance NAME, where [`Systemd::file`] says.
    #[track_caller]
    pub fn start(host: &'a Namespace, name: &str, file: &str) -> Self {
        let systemd = Self { host, run: PrivateRun::new(PAGES) };
        let [units, conf] = ["user/systemd/user", "conf"].map(|place| systemd.run.path().join(place));
        [&units, &conf].iter().for_each(|place| fs::create_dir_all(place).unwrap());
        let unit = fs::read_to_string(service::unit()).unwrap();
        let unit = unit.replace("/usr/bin/aggctl", binary().to_str().unwrap()).replace("/etc/aggctl/", "/run/conf/");
        fs::write(units.join("aggctl@.service"), unit).unwrap();
        fs::write(conf.join(format!("{name}.conf")), "AGGCTL_CONFIG_DIR=/run/conf").unwrap();
        fs::write(systemd.file(name), file).unwrap();
        systemd.shell(START).ok();
        let answers = wait::find(SOON, || systemd.ctl("list-units").succeeded().then_some(()));
        let log = || fs::read_to_string(systemd.run.path().join("log")).unwrap_or_default();
        assert!(answers.is_some(), "systemd does not answer: {}", log());
        systemd
    }

    /// The file of an instance, as it is seen from here.
    pub fn file(&self, name: &str) -> PathBuf {
        self.run.path().join(format!("conf/{name}.toml"))
    }

    /// `systemctl --user`; words are separated by blanks.
    #[track_caller]
    pub fn ctl(&self, line: &str) -> Outcome {
        self.shell(&format!("systemctl --user {line}"))
    }

    /// Waits until properties of a unit have these values.
    #[track_caller]
    pub fn wait_for(&self, unit: &str, wanted: &[(&str, &str)]) {
        let names: Vec<_> = wanted.iter().map(|(name, _)| *name).collect();
        let line = format!("show {unit} -p {}", names.join(","));
        let mut last = String::new();
        let found = wait::find(SOON, || {
            last = self.ctl(&line).ok();
            let values: BTreeMap<_, _> = last.lines().filter_map(|line| line.split_once('=')).collect();
            wanted.iter().all(|(name, value)| values.get(name) == Some(value)).then_some(())
        });
        assert!(found.is_some(), "waited in vain for {wanted:?}: {last}");
    }

    /// Runs a script there.
    #[track_caller]
    fn shell(&self, script: &str) -> Outcome {
        let first = fs::canonicalize(self.run.path().parent().unwrap().parent().unwrap()).unwrap();
        let mut nsenter = Command::new("nsenter");
        nsenter.arg(format!("--net=/run/netns/{}", self.host.name()));
        nsenter.args(["--target", first.file_name().unwrap().to_str().unwrap(), "--mount", "--pid"]);
        nsenter.env("GROUP", self.host.name()).env("XDG_RUNTIME_DIR", "/run/user").env("HOME", "/run/user");
        command::run(nsenter.args(["sh", "-ec", script]))
    }
}

impl Drop for Systemd<'_> {
    fn drop(&mut self) {
        let _ = self.shell(END);
    }
}
