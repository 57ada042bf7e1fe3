//! An aggregate with both ports attached, and what can be seen of it.

use aggctl_common::{PortId, Ports};
use aggctl_engine::config::Hook;
use aggctl_kernel::dataplane::{Dataplane, Expected, tcx_supported};
use aya::programs::{ProgramInfo, SchedClassifier, TcAttachType};

use super::{
    bench, dataplane, index, run, table,
    wire::{self, UNICAST, Wire},
};

/// Runs a test for each hook that the kernel has.
pub fn each_hook(test: fn(Hook)) {
    for hook in [Hook::Tcx, Hook::Clsact] {
        bench(move || {
            if hook == Hook::Tcx && !tcx_supported() {
                println!("skipped for tcx: the kernel has none (Linux 6.6)");
                return;
            }
            test(hook);
        });
    }
}

/// The first port's slot.
pub const P0: PortId = PortId(0);
/// The second one's.
pub const P1: PortId = PortId(3);

/// Attaches both ports; p0 is active.
pub fn attach(hook: Hook) -> Dataplane {
    let dataplane = dataplane();
    attach_to(&dataplane, hook);
    dataplane
}

/// The same for maps that are there.
pub fn attach_to(dataplane: &Dataplane, hook: Hook) {
    dataplane.attach_rx(P0, index("p0"), index("hid0"), hook).unwrap();
    dataplane.attach_rx(P1, index("p1"), index("hid0"), hook).unwrap();
    dataplane.table().unwrap().publish(&ports());
    dataplane.attach_tx(index("hid0"), hook).unwrap();
}

/// The table with p0 active and p1 standing by.
pub fn ports() -> Ports {
    table(&[(P0.0, index("p0")), (P1.0, index("p1"))], P0.0)
}

/// Takes everything off and away.
pub fn detach(dataplane: &Dataplane, hook: Hook) {
    dataplane.detach_tx(index("hid0"), hook).unwrap();
    dataplane.detach_rx(P0, index("p0"), hook).unwrap();
    dataplane.detach_rx(P1, index("p1"), hook).unwrap();
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
    assert_eq!(wire.hear().octets, first, "{from} to {to}: {text}");
    assert_eq!(wire.hear().octets, second, "{from} to {to}: {text} came twice");
}

/// Checks that frames go through the port with this far end.
pub fn both_ways(port: &str, text: &str) {
    passes("agg0", port, text);
    passes(port, "agg0", text);
}

/// What hangs on interfaces, as far as `tc` and the kernel show it.
pub fn hanging() -> String {
    let mut all = run(&["tc", "qdisc", "show"]);
    for name in ["hid0", "p0", "p1"] {
        all += &run(&["tc", "filter", "show", "dev", name, "ingress"]);
        if tcx_supported() {
            let (_, programs) = SchedClassifier::query_tcx(name, TcAttachType::Ingress).unwrap();
            all += &format!("{name}: {:?}\n", programs.iter().map(ProgramInfo::id).collect::<Vec<_>>());
        }
    }
    all
}

/// What the data path should be.
pub fn expected(hook: Hook) -> Expected {
    Expected { hidden: index("hid0"), ports: vec![(P0, index("p0")), (P1, index("p1"))], hook }
}
