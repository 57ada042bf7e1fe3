//! Network managers at their defaults, beside an aggregate: they leave its peer and returning ports alone.
#![allow(clippy::unwrap_used, reason = "tests end at the first surprise")]

use std::{fs, path::Path, time::Duration};

use aggctl_tests::{Case, Lab, Outcome, PrivateRun, cases, command, lab::HOST_V4, matrix::SOON, skip, wait_for};

/// Pages of a private `/run`: plenty.
const PAGES: u64 = 4096;
/// NetworkManager gives addresses within this time, if it does.
const PATIENCE: Duration = Duration::from_secs(30);
/// What the tests need, in Debian's packages network-manager and dbus, which are not installed for the tests.
const NEEDED: [&str; 3] = ["/usr/sbin/NetworkManager", "/usr/bin/nmcli", "/usr/bin/dbus-daemon"];

/// A machine with NetworkManager, which knows one connection: eth0 with the host's address. It has `/run`, `/etc/NetworkManager`
/// and `/var/lib/NetworkManager` of its own, and must not write the `/etc/resolv.conf` that it shares. Without udev it takes
/// every interface, as long as `/sys` cannot be written.
const START: &str = "
for place in /etc/NetworkManager /var/lib/NetworkManager; do mkdir -p $place; mount -t tmpfs tmpfs $place; done
mount -t sysfs -o ro sysfs /sys
mkdir -p /run/dbus /etc/NetworkManager/system-connections
printf '[main]\\nplugins=keyfile\\ndns=none\\nrc-manager=unmanaged\\n' > /etc/NetworkManager/NetworkManager.conf
wired=/etc/NetworkManager/system-connections/wired.nmconnection
printf '[connection]\\nid=wired\\ntype=ethernet\\ninterface-name=eth0\\n[ipv4]\\nmethod=manual\\naddress1=10.0.0.2/24\\n' > $wired
printf '[ipv6]\\nmethod=ignore\\n' >> $wired
chmod 600 $wired
dbus-daemon --system --fork --nopidfile
NetworkManager
";

/// A host with NetworkManager, in a `/run` and a PID namespace of its own.
struct Machine {
    run: PrivateRun,
    lab: Lab,
}

impl Machine {
    fn start(case: Case) -> Self {
        let machine = Self { run: PrivateRun::new(PAGES), lab: Lab::bare(case) };
        machine.execute(&["sh", "-ec", START]).ok();
        wait_for("eth0 is configured", PATIENCE, || machine.has_address("eth0"));
        machine
    }

    /// Runs a command on it.
    fn execute(&self, words: &[&str]) -> Outcome {
        let first = fs::canonicalize(self.run.path().parent().unwrap().parent().unwrap()).unwrap();
        let mut nsenter = std::process::Command::new("nsenter");
        nsenter.arg(format!("--net=/run/netns/{}", self.lab.host.name()));
        nsenter.args(["--target", first.file_name().unwrap().to_str().unwrap(), "--mount", "--pid"]).args(words);
        command::run(&mut nsenter)
    }

    fn aggctl(&self, line: &str) -> Outcome {
        self.run.aggctl(&self.lab.host, line)
    }

    fn has_address(&self, interface: &str) -> bool {
        self.lab.host.ip(&format!("-4 addr show dev {interface}")).contains(HOST_V4)
    }

    /// What NetworkManager says of an interface: `unmanaged`, `connected`, …; nothing if it does not know it.
    fn state(&self, interface: &str) -> String {
        let all = self.execute(&["nmcli", "--terse", "--fields", "DEVICE,STATE", "device"]).ok();
        let mut lines = all.lines().filter_map(|line| line.split_once(':'));
        lines.find(|(name, _)| *name == interface).map(|(_, state)| state.to_owned()).unwrap_or_default()
    }

    /// Names of our files for both managers.
    fn files(&self) -> Vec<String> {
        let places = ["NetworkManager/conf.d", "systemd/network"];
        let entries = places.iter().flat_map(|place| fs::read_dir(self.run.path().join(place))).flatten().flatten();
        entries.map(|entry| entry.file_name().into_string().unwrap()).filter(|name| name.contains("aggctl")).collect()
    }

    /// Plugs a port out and in.
    fn replug(&self, port: &str, end: &str) {
        let (host, switch) = (&self.lab.host, &self.lab.switch);
        host.ip(&format!("link del {port}"));
        host.ip(&format!("link add {port} type veth peer name {end} netns {}", switch.name()));
        switch.ip(&format!("link set {end} master br0 up"));
        host.ip(&format!("link set {port} up"));
    }
}

fn missing() -> Option<&'static str> {
    NEEDED.into_iter().find(|path| !Path::new(path).exists())
}

cases!(networkmanager_leaves_the_peer_and_a_returning_port_alone: VETH_TCX, DIRECT_VETH_CLSACT);
fn networkmanager_leaves_the_peer_and_a_returning_port_alone(case: Case) {
    if let Some(path) = missing() {
        return skip(&format!("{path} is not installed (packages network-manager and dbus)"));
    }
    let machine = Machine::start(case);
    machine.aggctl(&machine.lab.attach_line("")).ok();
    assert_eq!(machine.files().iter().filter(|name| name.ends_with(".conf")).count(), 3, "{:?}", machine.files());
    // NetworkManager does its work in order: once it knows the aggregate, it has seen the peer.
    wait_for("NetworkManager knows agg0", PATIENCE, || !machine.state("agg0").is_empty());
    let peer = if case.wiring == Case::VETH_TCX.wiring { "unmanaged" } else { "" };
    wait_for("the peer is left alone", SOON, || machine.state("agg0-peer") == peer);

    machine.replug("eth0", "sw0");
    wait_for("NetworkManager leaves eth0 alone", PATIENCE, || machine.state("eth0") == "unmanaged");
    wait_for("eth0 is a port again", SOON, || {
        let show = machine.run.show(&machine.lab.host, "agg0");
        show["ports"].as_array().unwrap().iter().all(|port| port["usable"] == true)
    });
    assert!(!machine.has_address("eth0") && machine.has_address("agg0"));
    assert_eq!(machine.state("eth0"), "unmanaged");

    machine.aggctl("port remove agg0 eth1").ok();
    assert!(!machine.files().iter().any(|name| name.contains("port1")), "{:?}", machine.files());
    machine.aggctl("detach agg0").ok();
    assert!(machine.files().is_empty(), "{:?}", machine.files());
    machine.replug("eth0", "sw0");
    wait_for("eth0 is NetworkManager's again", PATIENCE, || {
        machine.state("eth0") == "connected" && machine.has_address("eth0")
    });
}

cases!(an_attach_that_fails_leaves_no_file_for_network_managers: VETH_TCX);
fn an_attach_that_fails_leaves_no_file_for_network_managers(case: Case) {
    if let Some(path) = missing() {
        return skip(&format!("{path} is not installed (packages network-manager and dbus)"));
    }
    let machine = Machine::start(case);
    let line = format!("{} --confirm 1", machine.lab.attach_line(""));
    machine.aggctl(&line).ok();
    assert_eq!(machine.files().iter().filter(|name| name.ends_with(".conf")).count(), 3, "{:?}", machine.files());
    wait_for("what nobody confirmed is undone", SOON, || machine.files().is_empty() && machine.has_address("eth0"));
}
