//! An aggregate has a file, becomes what it says, and is written into it.
#![allow(clippy::unwrap_used, reason = "tests end at the first surprise")]

use std::{fs, path::PathBuf, time::Duration};

use aggctl_tests::{Case, HostState, Lab, Outcome, cases};
use tempfile::TempDir;

/// The rhythm of the pings.
const RHYTHM: Duration = Duration::from_millis(5);

/// A directory of files.
struct Files(TempDir);

impl Files {
    fn new(text: &str) -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        files.write(text);
        files
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("agg0.toml")
    }

    fn write(&self, text: &str) {
        fs::write(self.path(), text).unwrap();
    }

    fn read(&self) -> String {
        fs::read_to_string(self.path()).unwrap()
    }

    #[track_caller]
    fn aggctl(&self, lab: &Lab, line: &str) -> Outcome {
        lab.host.aggctl_with(&[("AGGCTL_CONFIG_DIR", self.0.path().to_str().unwrap())], line)
    }
}

cases!(a_file_is_applied_again_and_again: VETH_TCX, TAP_CLSACT, DIRECT_VETH_TCX);
fn a_file_is_applied_again_and_again(case: Case) {
    let lab = Lab::two_ports(case).with_port("eth2");
    let before = HostState::of(&lab.host);
    let base = lab.config_file(&["eth0", "eth1"]);
    let files = Files::new(&base);
    assert!(files.aggctl(&lab, "apply agg0 --dry-run").ok().starts_with("agg0 does not run"));
    before.expect_again(&lab.host, "a dry run");
    files.aggctl(&lab, "apply").ok();
    let ping = lab.ping(RHYTHM);
    ping.run(20);
    assert_eq!(files.aggctl(&lab, "apply agg0 --dry-run").ok().trim(), "agg0 runs as its file says");

    let next = lab.config_file(&["eth1,priority=5", "eth0", "eth2,weight=3"]);
    files.write(&format!("mode = \"hash\"\npartner = \"plain\"\nmin_links = 2 # of three\n{next}"));
    let steps = ["set mode=hash partner=plain min-ports=2; port set eth1,priority=5", "port add eth2,weight=3"];
    let told = files.aggctl(&lab, "apply agg0 --dry-run").ok();
    assert_eq!(told.lines().collect::<Vec<_>>(), steps);
    assert_eq!(lab.host.show("agg0").0["mode"], "active-backup", "a dry run");
    let ((), stats) = ping.during(|| drop(files.aggctl(&lab, "apply agg0").ok()));
    assert_eq!(stats.lost, 0, "{stats:?}");
    let show = lab.host.show("agg0");
    assert_eq!((&show.0["mode"], show.0["ports"].as_array().unwrap().len()), (&"hash".into(), 3));
    assert_eq!(show.port("eth1")["priority"], 5);
    assert_eq!(files.aggctl(&lab, "apply agg0 --dry-run").ok().trim(), "agg0 runs as its file says");

    // Nobody in control: somebody is, then.
    lab.host.kill_all();
    files.write(&base);
    files.aggctl(&lab, "apply agg0").ok();
    let show = lab.host.show("agg0");
    assert_eq!((&show.0["mode"], show.0["ports"].as_array().unwrap().len()), (&"active-backup".into(), 2));
    ping.run(20);
}

cases!(what_cannot_be_had_changes_nothing: VETH_TCX);
fn what_cannot_be_had_changes_nothing(case: Case) {
    let lab = Lab::two_ports(case);
    let base = lab.config_file(&["eth0", "eth1"]);
    let files = Files::new(&base);
    files.aggctl(&lab, "apply agg0").ok();
    let before = lab.host.aggctl("config show agg0").ok();
    // The last step fails: what was done before it is taken back.
    files.write(&format!("mode = \"hash\"\n{}", lab.config_file(&["eth0", "eth1,priority=4", "eth9"])));
    let refused = files.aggctl(&lab, "apply agg0");
    assert_eq!((refused.code, refused.complaints().len()), (Some(1), 1), "{refused}");
    assert!(refused.stderr.contains("eth9") && refused.stderr.contains("nothing was changed"), "{refused}");
    assert_eq!(lab.host.aggctl("config show agg0").ok(), before);
    // It is chosen at attach.
    files.write(&base.replace("shared", "direct"));
    let refused = files.aggctl(&lab, "apply agg0");
    assert_eq!(refused.code, Some(1), "{refused}");
    assert!(refused.stderr.contains("wiring=shared, not direct"), "{refused}");
    files.write(&base);
    let refused = files.aggctl(&lab, "apply agg0 --confirm 5");
    assert_eq!(refused.code, Some(2), "{refused}");
    assert_eq!(lab.host.aggctl("config show agg0").ok(), before);
}

cases!(a_file_with_a_mistake_is_refused_with_its_place: VETH_TCX);
fn a_file_with_a_mistake_is_refused_with_its_place(case: Case) {
    let lab = Lab::two_ports(case);
    let before = HostState::of(&lab.host);
    let files = Files::new(&format!("{}\n  mood = 1\n", lab.config_file(&["eth0"])));
    for line in ["apply agg0", "apply", "apply agg0 --dry-run", "config check", "config check agg0"] {
        let refused = files.aggctl(&lab, line);
        assert_eq!((refused.code, refused.complaints().len()), (Some(2), 1), "{refused}");
        assert!(refused.stderr.contains("agg0.toml: line 6, column 3: 'mood' is no option"), "{refused}");
    }
    // One that is wrong keeps nothing from the others.
    fs::write(files.0.path().join("agg1.toml"), lab.config_file(&["eth1"])).unwrap();
    let outcome = files.aggctl(&lab, "config check");
    assert_eq!(outcome.code, Some(2), "{outcome}");
    assert!(outcome.stdout.contains("agg1.toml: nothing is wrong"), "{outcome}");
    fs::remove_file(files.path()).unwrap();
    let refused = files.aggctl(&lab, "apply agg0");
    assert_eq!(refused.code, Some(2), "{refused}");
    assert!(refused.stderr.contains("cannot read"), "{refused}");
    before.expect_again(&lab.host, "refusals");
}

cases!(what_runs_is_saved_between_the_comments: VETH_TCX);
fn what_runs_is_saved_between_the_comments(case: Case) {
    let lab = Lab::two_ports(case);
    let files =
        Files::new(&format!("# by hand\nmode = \"hash\" # as the switch\n{}", lab.config_file(&["eth0", "eth1"])));
    files.aggctl(&lab, "apply agg0").ok();
    lab.host.aggctl("set agg0 mode=random min-ports=2").ok();
    let differs = files.aggctl(&lab, "apply agg0 --dry-run").ok();
    assert_eq!(differs.trim(), "set mode=hash min-ports=1");
    files.aggctl(&lab, "config save agg0").ok();
    let text = files.read();
    assert!(text.starts_with("# by hand\nmode = \"random\" # as the switch\n"), "{text}");
    assert!(text.contains("min-ports = 2"), "{text}");
    assert_eq!(files.aggctl(&lab, "apply agg0 --dry-run").ok().trim(), "agg0 runs as its file says");
    // A new one says the same, and attaches the same.
    fs::remove_file(files.path()).unwrap();
    let shown = lab.host.aggctl("config show agg0").ok();
    files.aggctl(&lab, "config save agg0").ok();
    assert_eq!(files.read(), shown);
    lab.host.aggctl("detach agg0").ok();
    files.aggctl(&lab, "apply agg0").ok();
    assert_eq!(lab.host.aggctl("config show agg0").ok(), shown);
}

cases!(commands_may_be_short: VETH_TCX);
fn commands_may_be_short(case: Case) {
    let lab = Lab::two_ports(case);
    lab.attach("");
    for line in ["sh agg0", "list", "status agg0"] {
        assert!(lab.host.aggctl(line).ok().contains("agg0"), "{line}");
    }
    lab.host.aggctl("port del agg0 eth1").ok();
    assert_eq!(lab.host.show("agg0").0["ports"].as_array().unwrap().len(), 1);
    let unknown = lab.host.aggctl("port frob agg0 eth1");
    assert_eq!(unknown.code, Some(2), "{unknown}");
}
