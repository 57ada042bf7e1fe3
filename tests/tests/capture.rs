//! `capture`: what passed the ports, by which of them and which way, read back.
#![allow(clippy::unwrap_used, reason = "tests end at the first surprise")]

use std::{fs, path::PathBuf, process::Command, time::SystemTime};

use aggctl_tests::{
    Case, Lab, Namespace,
    aggctl::Background,
    capture::{is_ping, vlans},
    cases, command,
    frames::{LOCAL, tagged},
    lab::CLIENT_V4,
    matrix::SOON,
    needs,
    pcapng::PcapNg,
    sys::{Captured, PacketSocket},
    wait_for,
};
use rustix::process::{Signal, kill_process};
use tempfile::TempDir;

/// Makes a bond of two ports.
const OVER: &str = "attach agg0 --port eth0 --port eth1 --wiring over";

/// A capture that runs.
struct Running {
    directory: TempDir,
    command: Background,
}

impl Running {
    /// Begins a capture with these arguments, into a file.
    #[track_caller]
    fn begin(host: &Namespace, arguments: &str) -> Self {
        let directory = TempDir::new().unwrap();
        let (file, output) = (directory.path().join("frames"), directory.path().join("output"));
        let line = format!("capture agg0 -w {} {arguments}", file.display());
        let command = host.aggctl_in_background(&line, &output);
        // What begins the file is written when all sockets are open.
        wait_for("the capture begins", SOON, || fs::metadata(&file).is_ok_and(|file| file.len() > 0));
        Self { directory, command }
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("frames")
    }

    /// Ends it by Ctrl-C, and reads it.
    #[track_caller]
    fn end(&mut self) -> PcapNg {
        kill_process(self.command.pid(), Signal::INT).unwrap();
        assert_eq!(self.command.wait(), Some(0));
        PcapNg::read(&fs::read(self.file()).unwrap())
    }
}

/// Pings the client once.
#[track_caller]
fn ping(host: &Namespace, to: &str) {
    wait_for("an answer", SOON, || host.exec(&format!("ping -c 1 -W 1 {to}")).succeeded());
}

/// Nanoseconds.
fn since_1970() -> u128 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos()
}

cases!(the_port_of_each_frame_is_seen: VETH_TCX, VETH_CLSACT, TAP_TCX, DIRECT_VETH_TCX);
fn the_port_of_each_frame_is_seen(case: Case) {
    let lab = Lab::two_ports(case);
    lab.attach("");
    sees_the_port_of_each_frame(&lab);
}

#[test]
fn the_port_of_each_frame_is_seen_over_a_bond() {
    needs!(BOND);
    let lab = Lab::two_ports(Case::VETH_TCX);
    lab.host.aggctl(OVER).ok();
    sees_the_port_of_each_frame(&lab);
}

fn sees_the_port_of_each_frame(lab: &Lab) {
    lab.host.aggctl("set agg0 active-port=eth0").ok();
    lab.host.wait_for_show("agg0", "eth0 is active", |show| show.active() == Some("eth0"));
    ping(&lab.host, CLIENT_V4);
    let begun = since_1970();
    let mut running = Running::begin(&lab.host, "");
    ping(&lab.host, CLIENT_V4);
    let file = running.end();
    assert_eq!(file.interfaces, ["eth0", "eth1"]);
    assert_eq!(file.ways(is_ping), [("eth0", false), ("eth0", true)]);
    let passed = |port: &str| file.frames.iter().filter(|frame| frame.interface == port).count() as u64;
    for (port, counted, no_room) in &file.statistics {
        assert_eq!((*counted >= passed(port), *no_room), (true, 0), "{port}: {:?}", file.statistics);
    }
    let ended = since_1970();
    assert!(file.frames.iter().all(|frame| (begun..=ended).contains(&frame.at_ns.into())), "{:?}", file.frames);

    lab.host.aggctl("set agg0 active-port=eth1").ok();
    lab.host.wait_for_show("agg0", "eth1 is active", |show| show.active() == Some("eth1"));
    ping(&lab.host, CLIENT_V4);
    let mut running = Running::begin(&lab.host, "icmp");
    ping(&lab.host, CLIENT_V4);
    let file = running.end();
    assert_eq!(file.ways(|_| true), [("eth1", false), ("eth1", true)], "nothing but the ping");
}

cases!(tags_are_put_back: VETH_TCX, DIRECT_VETH_TCX);
fn tags_are_put_back(case: Case) {
    let lab = Lab::two_ports(case);
    // The kernel keeps the tags that the programs push beside the frame, and takes those out that come within it.
    lab.attach("--vlan access=10 --primary eth0");
    let mut running = Running::begin(&lab.host, "--port eth0 vlan 10");
    let socket = lab.client.enter(|| PacketSocket::open("eth0", LOCAL)).unwrap();
    let comes = tagged([0xff; 6], 10, "comes");
    wait_for("tagged frames in both directions", SOON, || {
        socket.send(&comes).unwrap();
        lab.host.exec(&format!("ping -c 1 -W 1 {CLIENT_V4}"));
        PcapNg::beginning_of(&fs::read(running.file()).unwrap()).ways(|_| true).len() == 2
    });
    let file = running.end();
    assert!(file.frames.iter().all(|frame| vlans(&frame.captured.bytes) == [10]), "{:?}", file.frames);
    let whole = |frame: &Captured| frame.bytes == comes;
    assert_eq!(file.ways(whole), [("eth0", false)], "{:?}", file.frames);
}

cases!(a_capture_ends_with_as_many_frames_as_were_asked_for: VETH_TCX);
fn a_capture_ends_with_as_many_frames_as_were_asked_for(case: Case) {
    let lab = Lab::two_ports(case);
    lab.attach("");
    let mut running = Running::begin(&lab.host, "--count 3 icmp");
    ping(&lab.host, CLIENT_V4);
    ping(&lab.host, CLIENT_V4);
    assert_eq!(running.command.wait(), Some(0));
    let octets = fs::read(running.file()).unwrap();
    assert_eq!(PcapNg::read(&octets).frames.len(), 3);
    // Others read it, too.
    let tcpdump = command::run(Command::new("tcpdump").args(["-n", "-r"]).arg(running.file()));
    assert!(tcpdump.succeeded(), "{tcpdump}");
    assert_eq!(tcpdump.stdout.matches("ICMP echo re").count(), 3, "{tcpdump}");
}

cases!(ports_that_come_are_captured_too: VETH_TCX);
fn ports_that_come_are_captured_too(case: Case) {
    let lab = Lab::two_ports(case);
    lab.host.aggctl("attach agg0 --port eth0").ok();
    let mut running = Running::begin(&lab.host, "icmp");
    lab.host.aggctl("port add agg0 eth1").ok();
    lab.host.aggctl("set agg0 active-port=eth1").ok();
    lab.host.wait_for_show("agg0", "eth1 is active", |show| show.active() == Some("eth1"));
    wait_for("frames of the new port", SOON, || {
        ping(&lab.host, CLIENT_V4);
        PcapNg::beginning_of(&fs::read(running.file()).unwrap()).ways(is_ping).contains(&("eth1", true))
    });
    assert_eq!(running.end().interfaces, ["eth0", "eth1"]);
}

cases!(what_cannot_be_captured_is_refused: VETH_TCX);
fn what_cannot_be_captured_is_refused(case: Case) {
    let lab = Lab::two_ports(case);
    lab.attach("");
    for (line, code, complaint) in [
        ("capture agg1", 1, "no aggregate agg1"),
        ("capture agg0 --port eth9", 1, "eth9 is no port of agg0"),
        ("capture agg0 tcp port", 2, "'port' is neither 'and' nor 'or'"),
        ("capture agg0 quic", 2, "no term of a filter"),
        ("capture agg0 --count 0", 2, "--count"),
        ("capture agg0 -w /nonexistent/frames", 1, "cannot write /nonexistent/frames"),
    ] {
        let outcome = lab.host.aggctl(line);
        assert_eq!(outcome.code, Some(code), "{line}: {outcome}");
        assert!(outcome.stderr.contains(complaint), "{line}: {outcome}");
    }
    let binary = aggctl_tests::aggctl::binary();
    let outcome = lab.host.exec(&format!("setpriv --bounding-set -net_raw {} capture agg0", binary.display()));
    assert_eq!(outcome.code, Some(1), "{outcome}");
    assert!(outcome.stderr.starts_with("aggctl: not permitted: CAP_NET_RAW missing"), "{outcome}");
}
