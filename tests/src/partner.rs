//! What a switch may have at its end of the cables: a bond or a team of the kernel's.

use std::{
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::json;

use crate::{Lab, Namespace, command, lab::switch_end, wait_for};

/// How long teamd may take to begin.
const PATIENCE: Duration = Duration::from_secs(30);
/// The ports of the lab whose other ends are joined.
const PORTS: [&str; 2] = ["eth0", "eth1"];

/// How the other end chooses among its links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartnerChoice {
    /// One link at a time, the one of `eth0` if there is one.
    ActiveBackup,
    /// By the addresses of a packet.
    Hash,
}

/// A bond or a team in the switch, in place of two separate ports.
#[derive(Debug)]
pub struct PartnerLag {
    /// The daemon of a team.
    _teamd: Option<Teamd>,
}

impl PartnerLag {
    /// A bond.
    #[track_caller]
    pub fn bond(lab: &Lab, choice: PartnerChoice) -> Self {
        release(lab);
        let switch = &lab.switch;
        switch.ip(match choice {
            PartnerChoice::ActiveBackup => "link add bond0 type bond mode active-backup miimon 10",
            PartnerChoice::Hash => "link add bond0 type bond mode balance-xor xmit_hash_policy layer2+3 miimon 10",
        });
        for port in PORTS {
            switch.ip(&format!("link set {} master bond0", switch_end(port)));
        }
        if choice == PartnerChoice::ActiveBackup {
            switch.ip(&format!("link set bond0 type bond primary {}", switch_end(PORTS[0])));
        }
        join(switch, "bond0");
        Self { _teamd: None }
    }

    /// A team.
    #[track_caller]
    pub fn team(lab: &Lab, choice: PartnerChoice) -> Self {
        release(lab);
        let runner = match choice {
            PartnerChoice::ActiveBackup => json!({ "name": "activebackup" }),
            PartnerChoice::Hash => json!({ "name": "loadbalance", "tx_hash": ["eth", "ipv4", "ipv6"] }),
        };
        let [first, second] = PORTS.map(switch_end);
        let config = json!({
            "runner": runner,
            "link_watch": { "name": "ethtool" },
            "ports": { first: { "prio": 100 }, second: { "prio": 10 } },
        });
        // A name that no other test has.
        let device = lab.switch.name().to_owned();
        let teamd = Teamd::start(&lab.switch, &device, &config.to_string());
        wait_for("a team with its ports", PATIENCE, || {
            let is_port = |port| lab.switch.link(&switch_end(port))["master"].as_str() == Some(device.as_str());
            lab.switch.try_ip(&format!("link show dev {device}")).succeeded() && PORTS.into_iter().all(is_port)
        });
        join(&lab.switch, &device);
        Self { _teamd: Some(teamd) }
    }
}

/// Takes the ends of the ports out of the switch's bridge.
fn release(lab: &Lab) {
    for port in PORTS {
        lab.switch.ip(&format!("link set {} nomaster down", switch_end(port)));
    }
}

/// Puts the device that joins them into the bridge.
fn join(switch: &Namespace, device: &str) {
    switch.ip(&format!("link set {device} up"));
    switch.ip(&format!("link set {device} master br0"));
    wait_for("carrier", PATIENCE, || switch.has_carrier(device));
}

/// A running teamd, whose device goes with it.
#[derive(Debug)]
pub struct Teamd(Child);

impl Teamd {
    /// Has it make the device. Its files are named after that, and there is one place for all namespaces.
    pub fn start(namespace: &Namespace, device: &str, config: &str) -> Self {
        let mut command: Command = namespace.command("teamd");
        // -U: the tools talk to it through a socket, for there is no D-Bus.
        command.args(["-U", "-t", device, "-c", config]).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().unwrap())
    }
}

impl Drop for Teamd {
    fn drop(&mut self) {
        // It removes its files when it is asked to end; the namespace takes the rest.
        let _ = command::run(Command::new("kill").arg(self.0.id().to_string()));
        if crate::wait::find(PATIENCE, || self.0.try_wait().ok().flatten()).is_none() {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}
