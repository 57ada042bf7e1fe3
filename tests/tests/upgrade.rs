//! What the binary of an earlier commit attached is shown, taken over, changed and detached by this one.
//!
//! That binary is named by `AGGCTL_TEST_OLD`; `build` builds it once, which takes minutes. The records that it left are
//! kept in `tests/fixtures/records`, and are read by a unit test in any case.
#![allow(clippy::unwrap_used, reason = "tests end at the first surprise")]

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
    time::Duration,
};

use aggctl_tests::{Case, HostState, Lab, Outcome, cases, command, matrix::SOON, skip};

/// The oldest commit whose records are migrated.
const OLD: &str = "631a00c";
/// What is attached: each kind of table.
const MODES: [&str; 2] = ["", "--mode hash --partner plain"];

/// The old binary, or why there is none.
fn old() -> &'static Result<PathBuf, String> {
    static BINARY: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    BINARY.get_or_init(|| match std::env::var("AGGCTL_TEST_OLD") {
        Ok(wish) if wish == "build" => build(),
        Ok(path) => Ok(path.into()),
        Err(_) => Err(format!("AGGCTL_TEST_OLD names no binary of commit {OLD} (`build` builds it)")),
    })
}

/// Builds the old commit below the target directory, unless that was done before.
fn build() -> Result<PathBuf, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let place = root.join("target/old").join(OLD);
    let binary = place.join("target/debug/aggctl");
    let git = |arguments: &[&str]| Command::new("git").current_dir(root).args(arguments).status().unwrap().success();
    if binary.exists() {
        return Ok(binary);
    }
    if !git(&["cat-file", "-e", &format!("{OLD}^{{commit}}")]) {
        return Err(format!("the history does not go back to commit {OLD}"));
    }
    assert!(place.exists() || git(&["worktree", "add", "--detach", place.to_str().unwrap(), OLD]));
    let mut cargo = Command::new("cargo");
    cargo.current_dir(&place).args(["xtask", "build"]).env("CARGO_TARGET_DIR", place.join("target"));
    assert!(cargo.env_remove("AGGCTL_EBPF_OBJECT").status().unwrap().success(), "commit {OLD} is built");
    Ok(binary)
}

fn by_old(lab: &Lab, binary: &Path, line: &str) -> Outcome {
    command::run(lab.host.command(binary.to_str().unwrap()).args(line.split_whitespace()))
}

cases!(what_an_old_binary_attached_is_taken_over: VETH_TCX, DIRECT_VETH_CLSACT);
fn what_an_old_binary_attached_is_taken_over(case: Case) {
    let binary = match old() {
        Ok(binary) => binary,
        Err(reason) => return skip(reason),
    };
    let lab = Lab::two_ports(case);
    let before = HostState::of(&lab.host);
    for mode in MODES {
        by_old(&lab, binary, &lab.attach_line(mode)).ok();
        let ping = lab.ping(Duration::from_millis(10));
        let ((), stats) = ping.during(|| {
            assert!(lab.host.show("agg0").carrier(), "its own controller tells");
            lab.host.aggctl("set agg0 reselect=failure").ok();
            lab.host.kill_all();
            assert_eq!(lab.host.show("agg0").controller(), None);
            lab.host.aggctl("adopt agg0").ok();
            lab.host.wait_for_controller("agg0");
            lab.host.aggctl("set agg0 min-ports=2").ok();
            ping.run(100);
        });
        assert_eq!(stats.lost, 0, "{mode}: {stats:?}");
        let show = lab.host.show("agg0").0;
        assert_eq!((&show["reselect"], &show["min_ports"]), (&"failure".into(), &2.into()));
        lab.host.aggctl("set agg0 min-ports=1").ok();
        lab.cut("eth0");
        ping.wait_for_answer(SOON);
        lab.restore("eth0");
        lab.host.wait_for_show("agg0", "eth0 is back", |show| show.port("eth0")["usable"] == true);
        lab.host.aggctl("detach agg0").ok();
        before.expect_again(&lab.host, "adopt and detach of what an old binary attached");

        by_old(&lab, binary, &lab.attach_line(mode)).ok();
        lab.host.aggctl("detach agg0").ok();
        before.expect_again(&lab.host, "detach of what an old binary attached");
    }
}
