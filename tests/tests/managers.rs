//! Network managers at their defaults, beside an aggregate: they leave its peer and returning ports alone.
#![allow(clippy::unwrap_used, reason = "tests end at the first surprise")]

use std::{fs, path::Path, time::Duration};

use aggctl_tests::{Case, Lab, Outcome, PrivateRun, cases, command, lab::HOST_V4, matrix::SOON, skip, wait, wait_for};

/// Pages of a private `/run`: plenty.
const PAGES: u64 = 4096;
/// A network manager gives addresses within this time, if it does.
const PATIENCE: Duration = Duration::from_secs(30);

/// A network manager.
struct Manager {
    /// What the tests need.
    needed: [&'static str; 3],
    /// The packages that have it, which are not installed for the tests.
    packages: &'static str,
    /// Makes a machine with it, which gives eth0 the host's address.
    start: &'static str,
    /// Prints all interfaces and what they are to it.
    list: &'static [&'static str],
    /// In which columns.
    columns: (usize, usize),
    /// What it calls an interface that it configured.
    configured: &'static str,
}

/// It has `/etc/NetworkManager` and `/var/lib/NetworkManager` of its own, knows one connection, and an
/// `/etc/resolv.conf` that is not the one outside. Without udev it takes every interface, as long as `/sys` cannot be
/// written.
const NETWORK_MANAGER: Manager = Manager {
    needed: ["/usr/sbin/NetworkManager", "/usr/bin/nmcli", "/usr/bin/dbus-daemon"],
    packages: "network-manager and dbus",
    start: "
for place in /etc/NetworkManager /var/lib/NetworkManager; do mkdir -p $place; mount -t tmpfs tmpfs $place; done
mount -t sysfs -o ro sysfs /sys
if [ -e /etc/resolv.conf ]; then touch /run/resolv.conf; mount --bind /run/resolv.conf /etc/resolv.conf; fi
mkdir -p /run/dbus /etc/NetworkManager/system-connections
printf '[main]\\nplugins=keyfile\\ndns=none\\nrc-manager=unmanaged\\n' > /etc/NetworkManager/NetworkManager.conf
wired=/etc/NetworkManager/system-connections/wired.nmconnection
printf '[connection]\\nid=wired\\ntype=ethernet\\ninterface-name=eth0\\n' > $wired
printf '[ipv4]\\nmethod=manual\\naddress1=10.0.0.2/24\\n' >> $wired
printf '[ipv6]\\nmethod=ignore\\n' >> $wired
chmod 600 $wired
dbus-daemon --system --fork --nopidfile
NetworkManager
",
    list: &["nmcli", "--terse", "--fields", "DEVICE,STATE", "device"],
    columns: (0, 1),
    configured: "connected",
};

/// It knows eth0, and would configure peers.
const NETWORKD: Manager = Manager {
    needed: ["/lib/systemd/systemd-networkd", "/usr/bin/networkctl", "/usr/bin/dbus-daemon"],
    packages: "systemd and dbus",
    start: "
mount -t sysfs -o ro sysfs /sys
mkdir -p /run/dbus /run/systemd/network /run/systemd/netif/links /run/systemd/netif/leases /run/systemd/netif/lldp
chown -R systemd-network: /run/systemd/netif
cd /run/systemd/network
printf '[Match]\\nName=eth0\\n[Network]\\nLinkLocalAddressing=no\\nAddress=10.0.0.2/24\\n' > 50-eth0.network
printf '[Match]\\nName=*-peer\\n[Network]\\nAddress=10.9.0.1/24\\n' > 50-peer.network
dbus-daemon --system --fork --nopidfile
/lib/systemd/systemd-networkd < /dev/null > /dev/null 2>&1 &
echo $! > /run/networkd.pid
",
    list: &["networkctl", "list", "--no-legend", "--no-pager"],
    columns: (1, 4),
    configured: "configured",
};

impl Manager {
    /// What is not there of what the tests need.
    fn missing(&self) -> Option<String> {
        let path = self.needed.into_iter().find(|path| !Path::new(path).exists())?;
        Some(format!("{path} is not installed (packages {})", self.packages))
    }
}

/// A host with a network manager, in a `/run` and a PID namespace of its own.
struct Machine {
    manager: &'static Manager,
    run: PrivateRun,
    lab: Lab,
}

impl Machine {
    fn start(manager: &'static Manager, case: Case) -> Self {
        let machine = Self { manager, run: PrivateRun::new(PAGES), lab: Lab::bare(case) };
        machine.execute(&["sh", "-ec", manager.start]).ok();
        machine.wait_until_configured();
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

    /// What the manager says of an interface: `unmanaged`, `connected`, …; nothing if it does not know it.
    fn state(&self, interface: &str) -> String {
        let all = self.execute(self.manager.list).stdout;
        let mut lines =
            all.lines().map(|line| line.split([' ', ':']).filter(|word| !word.is_empty()).collect::<Vec<_>>());
        let (name, state) = self.manager.columns;
        let found = lines.find(|words| words.get(name) == Some(&interface));
        found.and_then(|words| words.get(state).map(ToString::to_string)).unwrap_or_default()
    }

    #[track_caller]
    fn wait_until_configured(&self) {
        wait_for("eth0 is configured", PATIENCE, || {
            self.state("eth0") == self.manager.configured && self.has_address("eth0")
        });
    }

    /// What the peer is to a manager that leaves it alone: in wiring `direct` it does not see it.
    fn peer_alone(&self) -> &'static str {
        if self.lab.case.wiring == Case::VETH_TCX.wiring { "unmanaged" } else { "" }
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

    /// Plugs eth0 out and in: it is a port again, and nothing else.
    #[track_caller]
    fn expect_eth0_alone(&self) {
        self.replug("eth0", "sw0");
        wait_for("eth0 is left alone", PATIENCE, || self.state("eth0") == "unmanaged");
        wait_for("eth0 is a port again", SOON, || {
            let show = self.run.show(&self.lab.host, "agg0");
            show["ports"].as_array().unwrap().iter().all(|port| port["usable"] == true)
        });
        assert!(!self.has_address("eth0") && self.has_address("agg0"));
        assert_eq!(self.state("eth0"), "unmanaged");
    }
}

cases!(networkmanager_leaves_the_peer_and_a_returning_port_alone: VETH_TCX, DIRECT_VETH_CLSACT);
fn networkmanager_leaves_the_peer_and_a_returning_port_alone(case: Case) {
    if let Some(missing) = NETWORK_MANAGER.missing() {
        return skip(&missing);
    }
    let machine = Machine::start(&NETWORK_MANAGER, case);
    machine.aggctl(&machine.lab.attach_line("")).ok();
    assert_eq!(machine.files().iter().filter(|name| name.ends_with(".conf")).count(), 3, "{:?}", machine.files());
    // NetworkManager does its work in order: once it knows the aggregate, it has seen the peer.
    wait_for("NetworkManager knows agg0", PATIENCE, || !machine.state("agg0").is_empty());
    wait_for("the peer is left alone", SOON, || machine.state("agg0-peer") == machine.peer_alone());
    machine.expect_eth0_alone();

    machine.aggctl("port remove agg0 eth1").ok();
    assert!(!machine.files().iter().any(|name| name.contains("port1")), "{:?}", machine.files());
    machine.aggctl("detach agg0").ok();
    assert!(machine.files().is_empty(), "{:?}", machine.files());
    machine.replug("eth0", "sw0");
    machine.wait_until_configured();
}

cases!(an_attach_that_fails_leaves_no_file_for_network_managers: VETH_TCX);
fn an_attach_that_fails_leaves_no_file_for_network_managers(case: Case) {
    if let Some(missing) = NETWORK_MANAGER.missing() {
        return skip(&missing);
    }
    let machine = Machine::start(&NETWORK_MANAGER, case);
    let line = format!("{} --confirm 1", machine.lab.attach_line(""));
    machine.aggctl(&line).ok();
    assert_eq!(machine.files().iter().filter(|name| name.ends_with(".conf")).count(), 3, "{:?}", machine.files());
    wait_for("what nobody confirmed is undone", SOON, || machine.files().is_empty() && machine.has_address("eth0"));
}

cases!(networkmanager_lets_go_by_what_attach_says: VETH_TCX);
fn networkmanager_lets_go_by_what_attach_says(case: Case) {
    if let Some(missing) = NETWORK_MANAGER.missing() {
        return skip(&missing);
    }
    let machine = Machine::start(&NETWORK_MANAGER, case);
    machine.execute(&["nmcli", "device", "set", "eth1", "managed", "no"]).ok();
    wait_for("eth1 is not NetworkManager's", PATIENCE, || machine.state("eth1") == "unmanaged");
    let attach = machine.aggctl(&machine.lab.attach_line(""));
    let warnings: Vec<_> = attach.stderr.lines().filter(|line| line.contains("NetworkManager holds")).collect();
    let [warning] = warnings[..] else { panic!("{attach}") };
    assert!(!warning.contains("eth1") && warning.contains("connection.autoconnect no"), "{attach}");
    let commands: Vec<_> = warning.split('`').skip(1).step_by(2).collect();
    assert!(commands.len() == 2 && commands.contains(&"nmcli device set eth0 managed no"), "{attach}");
    let ping = machine.lab.ping(Duration::from_millis(2));
    let ((), stats) = ping.during(|| {
        for line in commands {
            machine.execute(&line.split(' ').collect::<Vec<_>>()).ok();
        }
        wait_for("NetworkManager leaves eth0 alone", PATIENCE, || machine.state("eth0") == "unmanaged");
    });
    assert_eq!(stats.lost, 0, "{stats:?}");
    assert!(!machine.has_address("eth0") && machine.has_address("agg0"));
    machine.aggctl("detach agg0").ok();
    // Who was told by hand does not hold it: there is nothing to say.
    let attach = machine.aggctl(&machine.lab.attach_line(""));
    assert!(attach.succeeded() && !attach.stderr.contains("holds"), "{attach}");
}

cases!(systemd_networkd_leaves_the_peer_and_a_returning_port_alone: VETH_TCX, DIRECT_VETH_CLSACT);
fn systemd_networkd_leaves_the_peer_and_a_returning_port_alone(case: Case) {
    if let Some(missing) = NETWORKD.missing() {
        return skip(&missing);
    }
    let machine = Machine::start(&NETWORKD, case);
    let attach = machine.aggctl(&machine.lab.attach_line(""));
    assert_eq!(attach.code, Some(0), "{attach}");
    assert_eq!(attach.stderr.matches("systemd-networkd holds eth0 and").count(), 1, "{attach}");
    assert!(attach.stderr.contains("`networkctl reload`"), "{attach}");
    assert_eq!(machine.files().iter().filter(|name| name.ends_with(".network")).count(), 3, "{:?}", machine.files());
    // What the warning says.
    let ping = machine.lab.ping(Duration::from_millis(2));
    let ((), stats) = ping.during(|| {
        machine.execute(&["networkctl", "reload"]).ok();
        wait_for("eth0 is let go", PATIENCE, || machine.state("eth0") == "unmanaged");
    });
    assert_eq!(stats.lost, 0, "{stats:?}");
    wait_for("the peer is left alone", PATIENCE, || machine.state("agg0-peer") == machine.peer_alone());
    machine.expect_eth0_alone();
    assert_eq!(machine.lab.host.ip("-4 addr show").matches("10.9.0.1").count(), 0);
    machine.aggctl("detach agg0").ok();
    assert!(machine.files().is_empty(), "{:?}", machine.files());
    machine.execute(&["networkctl", "reload"]).ok();
    machine.wait_until_configured();
}

cases!(systemd_networkd_that_starts_later_leaves_them_alone: VETH_TCX);
fn systemd_networkd_that_starts_later_leaves_them_alone(case: Case) {
    if let Some(missing) = NETWORKD.missing() {
        return skip(&missing);
    }
    let machine = Machine::start(&NETWORKD, case);
    machine.aggctl(&machine.lab.attach_line("")).ok();
    let again = "kill -9 $(cat /run/networkd.pid); /lib/systemd/systemd-networkd < /dev/null > /dev/null 2>&1 &";
    machine.execute(&["sh", "-c", again]).ok();
    for interface in ["agg0-peer", "eth0", "eth1"] {
        wait_for("an interface is left alone", PATIENCE, || machine.state(interface) == "unmanaged");
    }
    machine.expect_eth0_alone();
}

cases!(an_address_that_a_manager_gives_to_a_port_is_named: VETH_TCX);
fn an_address_that_a_manager_gives_to_a_port_is_named(case: Case) {
    if let Some(missing) = NETWORKD.missing() {
        return skip(&missing);
    }
    let machine = Machine::start(&NETWORKD, case);
    machine.aggctl(&machine.lab.attach_line("")).ok();
    let named = || {
        let show = machine.run.show(&machine.lab.host, "agg0");
        let eth0 = show["ports"].as_array().unwrap().iter().find(|port| port["name"] == "eth0").unwrap().clone();
        eth0["foreign"].as_array().unwrap().iter().any(|foreign| foreign["what"] == format!("{HOST_V4}/24"))
    };
    // It has not read our files. What it gives in the second after an attach moves to the aggregate.
    wait_for("the address is named", PATIENCE, || {
        machine.replug("eth0", "sw0");
        wait::find(Duration::from_secs(3), || named().then_some(())).is_some()
    });
    machine.execute(&["networkctl", "reload"]).ok();
    wait_for("it is gone", PATIENCE, || !named());
}
