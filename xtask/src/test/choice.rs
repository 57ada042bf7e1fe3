//! Which tests run on which kernel. Emulation is slow: what a kernel is in the matrix for runs in full there, and of
//! the rest one case that stands for the others.

mod runs;

use aggctl_vm::Series;

pub use runs::{check, host_runs, kernels};

/// The package of the system tests.
pub const SYSTEM_PACKAGE: &str = "aggctl-tests";
/// The package whose integration tests try programs, hooks and netlink on a kernel.
pub const KERNEL_PACKAGE: &str = "aggctl-kernel";

/// How long a machine may take, seconds, unless another limit is asked for: several times what it takes on an idle
/// host.
pub const LIMIT: u64 = 2400;

/// How much of the tests is run on kernels other than the machine's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TestExtent {
    /// What only those kernels can show: a few minutes.
    Brief,
    /// All of their portions.
    Full,
}

/// What runs on a kernel.
pub struct Portion {
    /// The kernel.
    pub series: Series,
    /// What runs there when not everything does: executables, each with parts of the names of its tests (all its tests
    /// of this portion if there are none). No machine is made where this is empty.
    pub brief: &'static [(&'static str, &'static [&'static str])],
    /// Executables that are left out: what they try does not depend on the kernel, or another kernel tries it.
    pub absent: &'static [&'static str],
    /// Tests with one of these in their names are left out, for others that stand for them…
    pub without: &'static [&'static str],
    /// …but not in these executables.
    pub full: &'static [&'static str],
}

/// What runs on each kernel. The machine of the test itself runs every case. The first one is the longest: while it
/// runs on one processor, the others do on a second one.
pub const PORTIONS: &[Portion] = &[
    // The oldest: clsact; failover with both kinds of ports; what may have been made for newer kernels only; everything
    // that needs a kernel with all drivers and does not care how old it is.
    Portion {
        series: Series::V6_1,
        brief: &[
            (HOOKS, &[]),
            ("programs", &[]),
            ("early", &[]),
            ("devices", &[]),
            (LOADS, &[]),
            (
                FAILOVER,
                &["failover_loses_a_few_pings_at_most::VETH_CLSACT", "pings_go_on_as_long_as_one_port_has_a_link::TAP"],
            ),
            (WIRING_DIRECT, &[CLSACT]),
            (CRASH, &["VETH_CLSACT"]),
            (OVER, &[]),
            (OVER_MADE, &["taken_apart_again"]),
            ("vm_vlan", &[]),
        ],
        absent: &[
            HARNESS,
            REFUSALS,
            SPANNING_TREE,
            TRANSACTION,
            VLAN_GUESTS,
            MILLION,
            CONFIGURATION,
            DOCTOR,
            DOCTOR_OTHERS,
            DOCTOR_TRAFFIC,
            "views",
            "warnings",
        ],
        without: &[TAP, DIRECT, CONFIRM, OF_GUESTS, VIRTIO, PULLED, TEAM, BALANCES, LOADS_DIRECT],
        full: &[FAILOVER, WIRING_DIRECT, OVER, OVER_MADE],
    },
    // The common one: tcx and netkit; all cards, and partners with team.
    Portion {
        series: Series::V6_12,
        brief: &[
            ("programs", &[]),
            ("devices", &["the_next_frame_takes_another_port", "what_the_kernel_refuses"]),
            (FAILOVER, &["failover_loses_a_few_pings_at_most::VETH_TCX"]),
            ("kernel_failover", &["active_backup_goes_on_without_anybody::VETH_TCX"]),
            ("macs", &["the_aggregate_has_the_mac_of_the_active_port::VETH_TCX"]),
            ("device", &[]),
            (OVER, &[]),
            (OVER_TEAM, &[]),
            (OVER_MADE, &["taken_apart_again", "lacp_is_agreed_on"]),
            (CAPTURE, &["over_a_bond"]),
            ("vm_cards", &["E1000E", "groups_arrive"]),
            ("vm_partners", &[]),
        ],
        absent: &[
            HARNESS,
            REFUSALS,
            SPANNING_TREE,
            TRANSACTION,
            FLAPS,
            MILLION,
            SHARING,
            WIRING_DIRECT,
            LOADS,
            ADOPTION,
            HOOKS,
            CONFIGURATION,
            DOCTOR,
            DOCTOR_OTHERS,
            DOCTOR_TRAFFIC,
            "announcements",
            "frames",
            "guests",
            "namespaces",
            "online_migration",
            "views",
            "vlan_rules",
            "vm_vlan",
            "warnings",
        ],
        without: &[CLSACT, TAP, DIRECT, BOND],
        full: &[OVER, OVER_MADE, CAPTURE],
    },
    // The newest: what a kernel is most likely to break.
    Portion {
        series: Series::Newest,
        brief: &[],
        absent: &[
            HARNESS,
            REFUSALS,
            TRANSACTION,
            FLAPS,
            CRASH,
            FAILOVER,
            VLAN_GUESTS,
            CONFIGURATION,
            DOCTOR,
            DOCTOR_OTHERS,
            DOCTOR_TRAFFIC,
            "announcements",
            "device",
            "guests",
            "namespaces",
            "online_migration",
            "views",
            "vm_vlan",
            "warnings",
        ],
        without: &[CLSACT, TAP, DIRECT, PULLED, VIRTIO, ROOT_BEHIND, TEAM, ACTIVE_BOND, HUNDRED, LOADS_SHARED],
        full: &[WIRING_DIRECT, OVER, OVER_MADE],
    },
];

/// The harness without the product.
const HARNESS: &str = "harness";
/// What is refused is decided before the kernel is asked.
const REFUSALS: &str = "refusals";
/// What needs the bonding driver, which the machine of the test itself may not have.
const OVER: &str = "over";
/// The same, where the device is made.
const OVER_MADE: &str = "over_made";
/// What passed the ports: of a bond, too.
const CAPTURE: &str = "capture";
/// What needs the team driver likewise.
const OVER_TEAM: &str = "over_team";
/// Field scenario S1.
const FAILOVER: &str = "failover";
/// What the dead leave in place, and those who come after them.
const CRASH: &str = "crash";
/// The same of programs and maps, without a controller.
const ADOPTION: &str = "adoption";
/// Attaching programs and taking them away.
const HOOKS: &str = "hooks";
/// Field scenario S3, which is about what the controller makes of the same few events.
const FLAPS: &str = "live_changes";
/// A million frames through the programs' choice, which an emulated processor takes minutes for.
const MILLION: &str = "selection";
/// Modes that use several ports.
const SHARING: &str = "sharing";
/// What only the wiring direct has.
const WIRING_DIRECT: &str = "direct";
/// Spanning tree through the aggregate, which waits for timers most of its time.
const SPANNING_TREE: &str = "stp";
/// attach that fails at each of its steps.
const TRANSACTION: &str = "transaction";
/// Files and what becomes of them: the kernel has no part in it.
const CONFIGURATION: &str = "configuration";
/// What `doctor` finds: each look takes a second, and asks nothing that other kernels tell otherwise. Of bonds, which
/// only they may have, it is tried in [`OVER`].
const DOCTOR: &str = "doctor";
/// The same of what others do with ports.
const DOCTOR_OTHERS: &str = "doctor_others";
/// The same of what passes the ports.
const DOCTOR_TRAFFIC: &str = "doctor_traffic";
/// Guests on VLAN devices.
const VLAN_GUESTS: &str = "vm_guests";

/// Cases on clsact; all cases of 6.1 run on it.
const CLSACT: &str = "_CLSACT";
/// Attaches that wait for a confirmation: what they do is a matter of time, of which an emulated machine takes much.
const CONFIRM: &str = "confirm";
/// What is announced for guests, up to thousands of them: the kernel has no part in it but to list them.
const OF_GUESTS: &str = "are_announced";
/// Cards that are pulled out and plugged in.
const PULLED: &str = "a_card_";
/// The other tree of spanning tree.
const ROOT_BEHIND: &str = "the_root_of_the_tree";
/// A team at the far end of the cables.
const TEAM: &str = "_team";
/// A bond there.
const BOND: &str = "_bond";
/// A bond there with one link at a time.
const ACTIVE_BOND: &str = "with_an_active_backup_bond";
/// A partner that spreads its traffic.
const BALANCES: &str = "with_a_balancing_";
/// Cases with tap ports.
const TAP: &str = "TAP_";
/// Every specialisation of the programs.
const LOADS: &str = "loads";
/// The same in one wiring, and in the other.
const LOADS_SHARED: &str = "in_wiring_shared";
/// See [`LOADS_SHARED`].
const LOADS_DIRECT: &str = "in_wiring_direct";
/// A hundred live changes.
const HUNDRED: &str = "a_hundred_changes";
/// Cases over the wiring direct.
const DIRECT: &str = "DIRECT_";
/// Cases with virtio cards.
const VIRTIO: &str = "VIRTIO_";
