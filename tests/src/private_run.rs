//! A `/run` of a test's own, which can be filled: in a mount namespace and, since the product looks for its state in
//! that of the first process, a PID namespace of its own.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use crate::{Namespace, Outcome, aggctl::binary, command, matrix::SOON, wait};

/// What is in the private `/run` of a test that fills it.
const FILLER: &str = "filler";
/// How many inodes a private `/run` has.
const INODES: u64 = 256;

/// A private `/run`, a tmpfs. Its processes end with it.
#[derive(Debug)]
pub struct PrivateRun {
    unshare: Child,
    first: u32,
}

impl PrivateRun {
    /// Makes one of this many pages.
    ///
    /// # Panics
    ///
    /// If the kernel refuses.
    pub fn new(pages: u64) -> Self {
        let script = format!(
            "mount -t tmpfs -o nr_blocks={pages},nr_inodes={INODES},mode=755 tmpfs /run && exec sleep infinity"
        );
        let unshare = Command::new("unshare")
            .args(["--pid", "--fork", "--kill-child", "--mount", "--mount-proc", "sh", "-c", &script])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let children = format!("/proc/{0}/task/{0}/children", unshare.id());
        let first =
            wait::find(SOON, || fs::read_to_string(&children).ok()?.trim().parse().ok()).expect("a first process");
        let run = Self { unshare, first };
        wait::wait_for("a private /run", SOON, || {
            fs::read_to_string(format!("/proc/{first}/comm")).is_ok_and(|name| name.trim() == "sleep")
        });
        run
    }

    /// The directory as this process sees it.
    pub fn path(&self) -> PathBuf {
        Path::new("/proc").join(self.first.to_string()).join("root/run")
    }

    /// The state of an aggregate of a namespace.
    pub fn state(&self, namespace: &Namespace, name: &str) -> PathBuf {
        self.path().join("aggctl").join(namespace.cookie().to_string()).join(name)
    }

    /// All that aggctl left in it, by path.
    pub fn contents(&self) -> Vec<PathBuf> {
        let root = self.path().join("aggctl");
        let mut found: Vec<_> = root.exists().then(|| root.clone()).into_iter().collect();
        let mut pending = vec![root];
        while let Some(directory) = pending.pop() {
            for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    pending.push(entry.path());
                }
                found.push(entry.path());
            }
        }
        found.sort();
        found
    }

    /// Leaves no more than this many pages free.
    ///
    /// # Panics
    ///
    /// If the file that takes the rest cannot be made.
    pub fn leave(&self, pages: u64) {
        self.make_room();
        let there = rustix::fs::statvfs(self.path()).unwrap();
        let file = fs::File::create(self.path().join(FILLER)).unwrap();
        let taken = there.f_bfree.saturating_sub(pages) * there.f_frsize;
        rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, taken.max(1)).unwrap();
    }

    /// Leaves no more than this many inodes free.
    ///
    /// # Panics
    ///
    /// If the kernel refuses.
    pub fn leave_inodes(&self, inodes: u64) {
        self.make_room();
        for number in 0..INODES {
            if rustix::fs::statvfs(self.path()).unwrap().f_ffree <= inodes {
                return;
            }
            fs::write(self.path().join(format!("{FILLER}{number}")), "").unwrap();
        }
    }

    /// Frees what was taken.
    pub fn make_room(&self) {
        for entry in fs::read_dir(self.path()).unwrap().flatten() {
            if entry.file_name().to_string_lossy().starts_with(FILLER) {
                fs::remove_file(entry.path()).unwrap();
            }
        }
    }

    /// Runs a command there.
    #[track_caller]
    pub fn enter(&self, program: &str, arguments: &[&str]) -> Outcome {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.first.to_string(), "--mount", "--pid", program]).args(arguments);
        command::run(&mut command)
    }

    /// Runs `aggctl` there, in a network namespace; words are separated by blanks.
    #[track_caller]
    pub fn aggctl(&self, namespace: &Namespace, line: &str) -> Outcome {
        self.aggctl_by(&binary(), namespace, line)
    }

    /// The same by another binary.
    #[track_caller]
    pub fn aggctl_by(&self, binary: &Path, namespace: &Namespace, line: &str) -> Outcome {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net=/run/netns/{}", namespace.name()))
            .args(["--target", &self.first.to_string(), "--mount", "--pid"])
            .arg(binary)
            .args(line.split_whitespace());
        command::run(&mut command)
    }

    /// What `aggctl show NAME --json` says there.
    #[track_caller]
    pub fn show(&self, namespace: &Namespace, name: &str) -> serde_json::Value {
        let text = self.aggctl(namespace, &format!("show {name} --json")).ok();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }
}

impl Drop for PrivateRun {
    fn drop(&mut self) {
        // The first process of the namespace goes with it, and all others with that.
        let _ = self.unshare.kill();
        let _ = self.unshare.wait();
    }
}
