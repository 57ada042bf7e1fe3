//! An aggregate with both ports attached, and what can be seen of it.

use aggctl_common::{IfIndex, PortId, Ports};
use aggctl_engine::config::{Device, Hook, Wiring, XdpMode};
use aggctl_kernel::dataplane::{Dataplane, EarlyPort, Expected, WiredPair, tcx_supported};
use aggctl_tests::feature::{NETKIT, TCX};
use aya::programs::{ProgramInfo, SchedClassifier, TcAttachType};

use super::{
    bench_on, dataplane, index, namespace, run, table,
    wire::{self, UNICAST, Wire},
};

/// Over what a test runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Case {
    /// How the pair is wired.
    pub wiring: Wiring,
    /// What the aggregate's device is.
    pub device: Device,
    /// Where the programs of the ports are attached, and of a veth's peer.
    pub hook: Hook,
}

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}, {:?} and {:?}", self.wiring, self.device, self.hook)
    }
}

impl Case {
    /// Every wiring with every device and every hook.
    pub fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for wiring in [Wiring::Shared, Wiring::Direct] {
            for device in [Device::Netkit, Device::Veth] {
                all.extend([Hook::Tcx, Hook::Clsact].map(|hook| Self { wiring, device, hook }));
            }
        }
        all
    }

    /// Whether what is sent passes the device's own transmit, and the sending program is attached there.
    pub fn sends_by_netkit(self) -> bool {
        self.wiring == Wiring::Shared && self.device == Device::Netkit
    }

    /// Why it cannot be tried here.
    fn obstacle(self) -> Option<String> {
        let of_hook = if self.hook == Hook::Tcx { TCX.missing() } else { None };
        of_hook.or_else(|| if self.device == Device::Netkit { NETKIT.missing() } else { None })
    }
}

/// Runs a test for each wiring, device and hook that the kernel has.
pub fn each(test: fn(Case)) {
    for case in Case::all() {
        match case.obstacle() {
            Some(obstacle) => println!("skipped for {case}: {obstacle}"),
            None => bench_on(case.wiring, case.device, move || {
                println!("{case}");
                test(case);
            }),
        }
    }
}

/// The pair.
pub fn pair(case: Case) -> WiredPair {
    let namespace = case.wiring.has_namespace().then(namespace);
    let peer = || index("agg0-peer");
    let peer = namespace.as_ref().map_or_else(peer, |namespace| namespace.run(peer).unwrap());
    WiredPair { wiring: case.wiring, device: case.device, aggregate: index("agg0"), peer, namespace }
}

/// Where the sending program is attached.
pub fn sender(case: Case) -> IfIndex {
    if case.sends_by_netkit() || case.wiring == Wiring::Direct { index("agg0") } else { index("agg0-peer") }
}

/// The first port's slot.
pub const P0: PortId = PortId(0);
/// The second one's.
pub const P1: PortId = PortId(3);

/// Attaches both ports; p0 is active.
pub fn attach(case: Case) -> Dataplane {
    let dataplane = dataplane();
    attach_to(&dataplane, case);
    dataplane
}

/// The same for maps that are there.
pub fn attach_to(dataplane: &Dataplane, case: Case) {
    let pair = pair(case);
    dataplane.attach_relay(&pair, case.hook).unwrap();
    dataplane.attach_rx(P0, index("p0"), &pair, case.hook).unwrap();
    dataplane.attach_rx(P1, index("p1"), &pair, case.hook).unwrap();
    dataplane.table().unwrap().publish(&ports());
    dataplane.attach_tx(&pair, case.hook).unwrap();
}

/// The table with p0 active and p1 standing by.
pub fn ports() -> Ports {
    table(&[(P0.0, index("p0")), (P1.0, index("p1"))], P0.0)
}

/// Takes everything off and away.
pub fn detach(dataplane: &Dataplane, case: Case) {
    let pair = pair(case);
    dataplane.detach_tx(&pair, case.hook).unwrap();
    dataplane.detach_relay(&pair, case.hook).unwrap();
    dataplane.detach_rx(P0, index("p0"), case.hook).unwrap();
    dataplane.detach_rx(P1, index("p1"), case.hook).unwrap();
    dataplane.remove().unwrap();
}

/// Checks that a frame sent into `from` comes out of `to`, exactly once.
pub fn passes(from: &str, to: &str, text: &str) {
    let wire = Wire::open(index(to));
    let sender = Wire::open(index(from));
    let first = wire::frame(UNICAST, text);
    let second = wire::frame(UNICAST, "the one after it");
    sender.send(&first);
    sender.send(&second);
    assert_eq!(wire.receive().octets, first, "{from} to {to}: {text}");
    assert_eq!(wire.receive().octets, second, "{from} to {to}: {text} came twice");
}

/// Checks that frames go through the port with this far end.
pub fn both_ways(port: &str, text: &str) {
    passes("agg0", port, text);
    passes(port, "agg0", text);
}

/// What is attached to interfaces, as far as `tc` and the kernel show it.
pub fn attached_programs() -> String {
    let mut all = run(&["tc", "qdisc", "show"]);
    for name in ["agg0", "p0", "p1"] {
        all += &on_hooks(name);
    }
    all + &namespace()
        .run(|| run(&["tc", "qdisc", "show"]) + &on_hooks("agg0-peer"))
        .unwrap_or_else(|_| on_hooks("agg0-peer"))
}

/// What is attached to both sides of an interface.
fn on_hooks(name: &str) -> String {
    let mut all = String::new();
    for (side, kind) in [("ingress", TcAttachType::Ingress), ("egress", TcAttachType::Egress)] {
        all += &run(&["tc", "filter", "show", "dev", name, side]);
        if tcx_supported() {
            let (_, programs) = SchedClassifier::query_tcx(name, kind).unwrap();
            all += &format!("{name} {side}: {:?}\n", programs.iter().map(ProgramInfo::id).collect::<Vec<_>>());
        }
    }
    all
}

/// A port that drops early.
pub fn early(port: &str, mode: XdpMode, sees_tags: bool) -> EarlyPort {
    EarlyPort { index: index(port), name: port.to_owned(), mode, sees_tags }
}

/// What the data path should be.
pub fn expected(case: Case) -> Expected {
    let ports = vec![(P0, index("p0")), (P1, index("p1"))];
    Expected { pair: pair(case), ports, hook: case.hook }
}
