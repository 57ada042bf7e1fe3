//! The state directory of an aggregate spoilt or removed: the copy of its record in the kernel is as good, and a
//! controller that lives makes all of it again.
#![allow(clippy::unwrap_used, reason = "tests end at the first surprise")]

use std::{
    fs,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _},
    path::Path,
    time::Duration,
};

use aggctl_tests::{Case, HostState, Lab, cases, matrix::SOON, processes::kill, wait_for};
use serde_json::Value;

/// The rhythm of the pings.
const RHYTHM: Duration = Duration::from_millis(10);

/// Removes what there is in a directory, and it. A network namespace that is held there stays, as for anyone who tries.
fn remove_all(dir: &Path) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if !path.ends_with("netns") {
            fs::remove_file(path).unwrap();
        }
    }
    if !dir.join("netns").exists() {
        fs::remove_dir(dir).unwrap();
    }
}

/// Both copies of the record, if they are whole and equal.
fn record(dir: &Path) -> Option<Value> {
    let [record, spare] = ["record.json", "record.spare.json"].map(|name| fs::read(dir.join(name)).unwrap_or_default());
    serde_json::from_slice(&record).ok().filter(|_| record == spare)
}

cases!(the_copy_in_the_kernel_is_as_good: VETH_TCX, VETH_CLSACT, DIRECT_VETH_TCX, DIRECT_VETH_CLSACT);
fn the_copy_in_the_kernel_is_as_good(case: Case) {
    let lab = Lab::two_ports(case);
    let before = HostState::of(&lab.host);
    lab.attach("--reselect failure --seed 7");
    let dir = lab.host.state("agg0");
    let ping = lab.ping(RHYTHM);
    let ((), stats) = ping.during(|| {
        lab.host.aggctl("port set agg0 eth1,priority=5").ok();
        lab.host.kill_all();
        for (spoilt, how) in [("", "cannot be read"), ("{\"version\": 4", "cannot be read"), ("gone", "is gone")] {
            for name in ["record.json", "record.spare.json", "begun", "memory.json"] {
                match spoilt {
                    "gone" => fs::remove_file(dir.join(name)).unwrap(),
                    text => fs::write(dir.join(name), text).unwrap(),
                }
            }
            let show = lab.host.show("agg0");
            let damage = show.0["record_damage"].as_str().unwrap_or_default();
            assert!(damage.contains(how) && damage.contains("its copy in the kernel was read"), "{:#}", show.0);
            assert_eq!((show.controller(), show.active()), (None, Some("eth0")));
            let refused = lab.host.aggctl("set agg0 min-ports=2");
            assert!(refused.code == Some(1) && refused.stderr.contains("aggctl adopt agg0"), "{refused}");

            let adopted = lab.host.aggctl("adopt agg0");
            assert!(adopted.succeeded() && adopted.stderr.contains("its copy in the kernel was read"), "{adopted}");
            assert!(record(&dir).is_some(), "it is written again");
            let show = lab.host.show("agg0");
            assert!(show.controller().is_some() && show.0["record_damage"].is_null(), "{:#}", show.0);
            assert_eq!((&show.0["reselect"], show.active()), (&Value::from("failure"), Some("eth0")));
            assert_eq!((&show.0["seed"], &show.port("eth1")["priority"]), (&7.into(), &5.into()));
            lab.host.aggctl("set agg0 min-ports=1").ok();
            lab.host.kill_all();
        }
    });
    assert_eq!(stats.lost, 0, "{stats:?}");
    lab.host.aggctl("detach agg0").ok();
    before.expect_again(&lab.host, "detach");
}

cases!(an_aggregate_without_a_state_directory_is_detached: VETH_TCX, VETH_CLSACT, DIRECT_VETH_TCX, DIRECT_VETH_CLSACT);
fn an_aggregate_without_a_state_directory_is_detached(case: Case) {
    let lab = Lab::two_ports(case);
    let before = HostState::of(&lab.host);
    for (line, adopts) in [("detach agg0", false), ("detach agg0 --force", false), ("detach agg0", true)] {
        lab.attach("");
        lab.host.kill_all();
        remove_all(&lab.host.state("agg0"));
        let all: Value = serde_json::from_str(&lab.host.aggctl("show --json").ok()).unwrap();
        assert_eq!(all[0]["name"], "agg0", "it is known by its copy: {all:#}");
        if adopts {
            lab.host.aggctl("adopt agg0").ok();
            assert!(record(&lab.host.state("agg0")).is_some());
        }
        let detached = lab.host.aggctl(line);
        assert!(detached.succeeded(), "{detached}");
        assert_eq!(detached.stderr.contains("its copy in the kernel was read"), !adopts, "{detached}");
        // The link-local addresses of the ports, too.
        before.expect_again(&lab.host, line);
        wait_for("nobody left", SOON, || lab.host.processes().is_empty());
    }
}

cases!(a_controller_makes_its_directory_again: VETH_TCX, DIRECT_VETH_CLSACT);
fn a_controller_makes_its_directory_again(case: Case) {
    let lab = Lab::two_ports(case);
    let before = HostState::of(&lab.host);
    lab.attach("");
    let controller = lab.host.wait_for_controller("agg0");
    let dir = lab.host.state("agg0");
    let ping = lab.ping(RHYTHM);
    let is_whole = || {
        let socket = fs::metadata(dir.join("control")).is_ok_and(|socket| socket.file_type().is_socket());
        let lock = fs::read_to_string(dir.join("lock")).is_ok_and(|pid| !pid.is_empty());
        socket && lock && record(&dir).is_some()
    };
    remove_all(&dir);
    // Nothing depends on it.
    lab.cut("eth0");
    ping.wait_for_answer(SOON);
    wait_for("the directory is there again", SOON, is_whole);
    let show = lab.host.show("agg0");
    assert_eq!((show.controller(), show.active()), (Some(controller.pid), Some("eth1")));
    lab.restore("eth0");

    // Commands wait for that, and nobody takes the aggregate meanwhile.
    remove_all(&dir);
    lab.host.aggctl("set agg0 reselect=failure").ok();
    remove_all(&dir);
    let refused = lab.host.aggctl("adopt agg0");
    // By the lock, or, as soon as that is there again, by the controller's own answer.
    let says = ["has a controller already", "controlled by process"];
    assert!(refused.code == Some(1) && says.iter().any(|says| refused.stderr.contains(says)), "{refused}");
    for file in ["lock", "control"] {
        wait_for("all is there", SOON, is_whole);
        fs::remove_file(dir.join(file)).unwrap();
    }
    wait_for("all is there", SOON, is_whole);
    assert_eq!(lab.host.wait_for_controller("agg0"), controller, "nobody was replaced");

    // Its guardian finds the new directory, or makes it.
    kill(controller.pid);
    let second = lab.host.wait_for_controller("agg0");
    assert!(second.guardian == controller.guardian && second.pid != controller.pid);
    remove_all(&dir);
    kill(second.pid);
    let third = lab.host.wait_for_controller("agg0");
    assert!(third.guardian == controller.guardian && third.pid != second.pid);
    assert_eq!(lab.host.show("agg0").0["reselect"], "failure");
    wait_for("all is there", SOON, is_whole);

    remove_all(&dir);
    lab.host.aggctl("detach agg0").ok();
    before.expect_again(&lab.host, "detach");
    wait_for("nobody left", SOON, || lab.host.processes().is_empty());
}

cases!(a_record_of_any_size_has_its_copy: VETH_TCX);
fn a_record_of_any_size_has_its_copy(case: Case) {
    /// Some 300 octets of the record each: more than a copy has room for.
    const ROUTES: usize = 6000;
    let lab = Lab::two_ports(case);
    lab.attach("");
    let routes = (0..ROUTES).map(|route| format!("route add 172.16.{}.{}/32 dev agg0\n", route / 250, route % 250 + 1));
    lab.host.ip_batch(&routes.collect::<String>());
    let record = lab.host.state("agg0").join("record.json");
    wait_for("all routes are remembered", SOON, || fs::metadata(&record).is_ok_and(|file| file.len() > 1024 * 1024));
    lab.host.kill_all();
    remove_all(&lab.host.state("agg0"));
    let adopted = lab.host.aggctl("adopt agg0");
    assert!(adopted.succeeded() && adopted.stderr.contains("its copy in the kernel was read"), "{adopted}");
    assert_eq!(lab.host.ip("route show dev agg0").lines().filter(|line| line.starts_with("172.16.")).count(), ROUTES);
    lab.host.aggctl("detach agg0").ok();
    assert!(lab.host.ip("route show dev eth0").contains("172.16."));
}

cases!(the_copy_in_the_kernel_is_made_again: VETH_TCX, DIRECT_VETH_CLSACT);
fn the_copy_in_the_kernel_is_made_again(case: Case) {
    let lab = Lab::two_ports(case);
    lab.attach("");
    let copy = lab.host.pins("agg0").join("record");
    let number = || fs::metadata(&copy).ok().map(|pin| pin.ino());
    let first = number();
    assert!(first.is_some());
    lab.host.aggctl("set agg0 reselect=failure").ok();
    let second = number();
    assert!(second.is_some() && second != first, "it is replaced as a whole");
    fs::remove_file(&copy).unwrap();
    wait_for("it is pinned again", SOON, || number().is_some());
    // As earlier versions left it.
    lab.host.kill_all();
    fs::remove_file(&copy).unwrap();
    lab.host.aggctl("adopt agg0").ok();
    assert!(number().is_some());
    lab.host.aggctl("detach agg0").ok();
    assert!(!lab.host.pins("agg0").exists());
}
