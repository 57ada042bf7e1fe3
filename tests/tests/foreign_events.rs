//! Events that have nothing to do with an aggregate, as many as its host can cause: they hold nothing up.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests end at the first surprise")]

use std::{
    fmt::Write as _,
    fs::{self, File},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use aggctl_tests::{
    Case, Lab, Namespace, Ping, Show, cases, command, matrix::SOON, processes::alive, wait::lossy, wait_for,
};
use rustix::{
    fs::{FlockOperation, flock},
    process::Pid,
};

/// The rhythm of the pings.
const RHYTHM: Duration = Duration::from_millis(2);
/// Interfaces that change all the time.
const OTHERS: usize = 40;
/// Interfaces that do nothing but be there.
const IDLE: usize = 120;
/// Changes that are made before something is expected of the aggregate, and after.
const MANY: usize = 3000;

/// Changes of interfaces, addresses and routes of a host without a pause, until dropped.
struct Storm {
    changes: Arc<AtomicUsize>,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Storm {
    fn start(host: &Namespace) -> Self {
        let pairs = (0..OTHERS / 2).map(|pair| format!("link add s{pair} type veth peer name t{pair}\n"));
        host.ip_batch(&pairs.collect::<String>());
        let mut lines = String::new();
        for pair in 0..OTHERS / 2 {
            for change in ["up", "promisc on", "promisc off"] {
                writeln!(lines, "link set s{pair} {change}\nlink set t{pair} {change}").unwrap();
            }
            let address = format!("192.0.2.{}/32 dev s{pair}", pair + 1);
            let route = format!("198.51.100.{}/32 dev s{pair}", pair + 100);
            for subject in [format!("addr add {address}"), format!("route add {route}")] {
                writeln!(lines, "{subject}\n{}", subject.replace(" add ", " del ")).unwrap();
            }
        }
        let (changes, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let thread = host.spawn({
            let (changes, ended) = (Arc::clone(&changes), Arc::clone(&ended));
            move || {
                while !ended.load(Ordering::Acquire) {
                    command::ip_batch(&lines);
                    changes.fetch_add(lines.lines().count(), Ordering::AcqRel);
                }
            }
        });
        let storm = Self { changes, ended, thread: Some(thread) };
        storm.blow();
        storm
    }

    /// How many changes were made by now.
    fn changes(&self) -> usize {
        self.changes.load(Ordering::Acquire)
    }

    /// Waits until many more changes are made.
    #[track_caller]
    fn blow(&self) {
        let before = self.changes();
        wait_for("many changes", SOON, || self.changes() >= before + MANY);
    }
}

impl Drop for Storm {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A lab with eth0 active, eth1 in reserve, and eth2 gone.
fn one_gone(case: Case) -> Lab {
    let lab = Lab::two_ports(case).with_port("eth2");
    lab.attach("--port eth2 --primary eth0");
    lab.host.ip("link del eth2");
    lab.host.wait_for_show("agg0", "a missing port", |show| show.port("eth2")["present"] == false);
    lab.host.wait_for_show("agg0", "a port in reserve", |show| reserve(show, "eth1"));
    lab
}

fn reserve(show: &Show, port: &str) -> bool {
    show.state(port) == "standby"
}

/// What a failover costs, and how many changes `count` says were made meanwhile.
#[track_caller]
fn failover(lab: &Lab, ping: &Ping, count: impl Fn() -> usize) -> (u64, usize) {
    let (changes, stats) = ping.during(|| {
        let before = count();
        lab.cut("eth0");
        ping.wait_for_answer(SOON);
        lab.host.wait_for_show("agg0", "a failover", |show| show.active() == Some("eth1"));
        count() - before
    });
    (stats.lost, changes)
}

cases!(a_storm_of_foreign_events_delays_no_failover: VETH_TCX, VETH_CLSACT, DIRECT_VETH_TCX);
fn a_storm_of_foreign_events_delays_no_failover(case: Case) {
    let lab = one_gone(case);
    let ping = lab.ping(RHYTHM);
    let (calm, _) = failover(&lab, &ping, || 0);
    lab.restore("eth0");
    lab.host.wait_for_show("agg0", "a failback", |show| show.active() == Some("eth0") && reserve(show, "eth1"));
    let storm = Storm::start(&lab.host);
    let (lost, changes) = failover(&lab, &ping, || storm.changes());
    println!("lost {calm} in calm, {lost} in the storm, {changes} changes from the cut to the answer of show");
    assert!(lost <= 4 * calm + lossy(100), "{lost} lost in the storm, {calm} without");
    // It goes on, and nothing is held up: requests are answered, a port that returns is taken.
    storm.blow();
    lab.host.aggctl("set agg0 miimon=20").ok();
    lab.switch.ip(&format!("link add sw2 type veth peer name eth2 netns {}", lab.host.name()));
    lab.switch.ip("link set sw2 master br0 up");
    lab.host.ip("link set eth2 up");
    lab.host.wait_for_show("agg0", "the port's return", |show| reserve(show, "eth2"));
    storm.blow();
    drop(storm);
    lab.restore("eth0");
    lab.host.wait_for_show("agg0", "a failback", |show| show.active() == Some("eth0"));
    lab.host.aggctl("detach agg0").ok();
}

/// Whether the controller takes a picture of the host.
fn takes_picture(controller: Pid) -> bool {
    let threads = fs::read_dir(format!("/proc/{}/task", controller.as_raw_pid())).unwrap();
    let names = threads.flatten().filter_map(|thread| fs::read_to_string(thread.path().join("comm")).ok());
    names.into_iter().any(|name| name.trim() == "picture")
}

cases!(a_failover_waits_for_no_change_of_ports: VETH_TCX, DIRECT_VETH_CLSACT);
fn a_failover_waits_for_no_change_of_ports(case: Case) {
    let lab = one_gone(case).with_port("eth3");
    let idle = (0..IDLE / 2).map(|pair| format!("link add d{pair} type veth peer name e{pair}\n"));
    lab.host.ip_batch(&idle.collect::<String>());
    let storm = Storm::start(&lab.host);
    let controller = lab.host.wait_for_controller("agg0").pid;
    let ping = lab.ping(RHYTHM);
    let output = tempfile::tempdir().unwrap();
    for line in ["port add agg0 eth3", "port remove agg0 eth3"] {
        // As if somebody else looked for ports all the time: what is asked for comes to no end until we say so.
        let ports = File::open(lab.host.state("agg0").parent().unwrap()).unwrap();
        flock(&ports, FlockOperation::LockExclusive).unwrap();
        let mut command = lab.host.aggctl_in_background(line, &output.path().join("output"));
        wait_for("the controller looks at the host", SOON, || takes_picture(controller));
        lab.cut("eth0");
        ping.wait_for_answer(SOON);
        lab.host.wait_for_show("agg0", "a failover", |show| show.active() == Some("eth1"));
        lab.host.aggctl("set agg0 miimon=20").ok();
        assert!(alive(command.pid()), "{line}: it still waits, and nothing waited for it");
        drop(ports);
        assert_eq!(command.wait(), Some(0), "{line}");
        lab.restore("eth0");
        lab.host.wait_for_show("agg0", "a failback", |show| show.active() == Some("eth0") && reserve(show, "eth1"));
    }
    assert_eq!(lab.host.wait_for_controller("agg0").pid, controller);
    drop(storm);
    lab.host.aggctl("detach agg0").ok();
}
