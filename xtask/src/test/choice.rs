//! Which tests run on which kernel. Emulation is slow: what a kernel is in the matrix for runs in full there, and of the
//! rest one case that stands for the others.

use aggctl_vm::Series;

use super::{agent::Run, executables::Executable};

/// The package of the system tests.
pub const SYSTEM_PACKAGE: &str = "aggctl-tests";
/// The package whose integration tests try programs, hooks and netlink on a kernel.
pub const KERNEL_PACKAGE: &str = "aggctl-kernel";

/// How long a machine may take, seconds, unless another limit is asked for: several times what it takes on an idle host.
pub const LIMIT: u64 = 2400;

/// How many tests run at a time in a machine.
const THREADS: &str = "--test-threads=2";

/// What runs on a kernel.
pub struct Portion {
    /// The kernel.
    pub series: Series,
    /// Executables that are left out: what they try does not depend on the kernel, or another kernel tries it.
    pub absent: &'static [&'static str],
    /// Tests with one of these in their names are left out, for others that stand for them…
    pub without: &'static [&'static str],
    /// …but not in these executables.
    pub full: &'static [&'static str],
}

/// What runs on each kernel. The machine of the test itself runs every case. The first one is the longest: while it runs
/// on one processor, the others do on a second one.
pub const PORTIONS: &[Portion] = &[
    // The oldest: clsact; failover with both kinds of ports; what may have been made for newer kernels only; everything
    // that needs a kernel with all drivers and does not care how old it is.
    Portion {
        series: Series::V6_1,
        absent: &[HARNESS, REFUSALS, SPANNING_TREE, TRANSACTION, VLAN_GUESTS, MILLION, "views", "warnings"],
        without: &[TAP, DIRECT, CONFIRM, OF_GUESTS, VIRTIO, PULLED, TEAM, BALANCES, LOADS_DIRECT],
        full: &[FAILOVER, WIRING_DIRECT],
    },
    // The common one: tcx and netkit; all cards, and peers with team.
    Portion {
        series: Series::V6_12,
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
            "announcements",
            "frames",
            "guests",
            "namespaces",
            "s2",
            "views",
            "vlan_rules",
            "vm_vlan",
            "warnings",
        ],
        without: &[CLSACT, TAP, DIRECT, BOND],
        full: &[],
    },
    // The newest: what a kernel is most likely to break.
    Portion {
        series: Series::Newest,
        absent: &[
            HARNESS,
            REFUSALS,
            TRANSACTION,
            FLAPS,
            CRASH,
            FAILOVER,
            VLAN_GUESTS,
            "announcements",
            "device",
            "guests",
            "namespaces",
            "s2",
            "views",
            "vm_vlan",
            "warnings",
        ],
        without: &[CLSACT, TAP, DIRECT, PULLED, VIRTIO, ROOT_BEHIND, TEAM, ACTIVE_BOND, HUNDRED, LOADS_SHARED],
        full: &[WIRING_DIRECT],
    },
];

/// The harness without the product.
const HARNESS: &str = "harness";
/// What is refused is decided before the kernel is asked.
const REFUSALS: &str = "refusals";
/// Field scenario S1.
const FAILOVER: &str = "s1";
/// What the dead leave in place, and those who come after them.
const CRASH: &str = "crash";
/// The same of programs and maps, without a controller.
const ADOPTION: &str = "adoption";
/// Attaching programs and taking them away.
const HOOKS: &str = "hooks";
/// Field scenario S3, which is about what the controller makes of the same few events.
const FLAPS: &str = "s3";
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
/// A peer that spreads its traffic.
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

impl Portion {
    /// The runs of this portion; only tests whose names contain a word of `filter`, if there are any.
    pub fn runs(&self, executables: &[Executable], filter: &[String]) -> Vec<Run> {
        let suite = |executable: &Executable| match executable.package.as_str() {
            KERNEL_PACKAGE => Some("kernel"),
            SYSTEM_PACKAGE => Some("system"),
            _ => None,
        };
        // What a person asks for by name is not left out.
        let all = !filter.is_empty();
        let chosen = executables
            .iter()
            .filter(|executable| executable.integration && (all || !self.absent.contains(&executable.target.as_str())));
        let without = |executable: &Executable| {
            if all || self.full.contains(&executable.target.as_str()) { &[][..] } else { self.without }
        };
        let mut runs: Vec<Run> = chosen
            .filter_map(|executable| Some(run(suite(executable)?, executable, filter, without(executable))))
            .collect();
        for run in &mut runs {
            run.arguments.push(THREADS.to_owned());
        }
        // `kernel` before `system`: what the kernel refuses is seen early.
        runs.sort_by(|a, b| a.name.cmp(&b.name));
        runs
    }
}

/// A run of an executable, which leaves out tests with a word of `without` in their names.
pub fn run(suite: &str, executable: &Executable, filter: &[String], without: &[&str]) -> Run {
    let without = without.iter().flat_map(|word| ["--skip", *word]);
    let arguments = ["--show-output"].into_iter().chain(without).map(str::to_owned);
    Run {
        name: format!("{suite}/{}", executable.target),
        path: executable.path.clone(),
        directory: executable.directory.clone(),
        arguments: arguments.chain(filter.iter().cloned()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn executable(package: &str, target: &str, integration: bool) -> Executable {
        let (package, target) = (package.to_owned(), target.to_owned());
        Executable { package, target, path: "/t/x".into(), directory: "/w".into(), integration }
    }

    #[test]
    fn a_portion_is_of_integration_tests_and_leaves_out_what_it_shall() {
        let portion = Portion { series: Series::V6_12, absent: &[HARNESS], without: &[CLSACT], full: &["s1"] };
        let all = [
            executable(SYSTEM_PACKAGE, "s1", true),
            executable(SYSTEM_PACKAGE, HARNESS, true),
            executable(SYSTEM_PACKAGE, "aggctl_tests", false),
            executable(KERNEL_PACKAGE, "hooks", true),
            executable("aggctl-engine", "plans", true),
        ];
        let runs = portion.runs(&all, &[]);
        let names: Vec<&str> = runs.iter().map(|run| run.name.as_str()).collect();
        assert_eq!(names, ["kernel/hooks", "system/s1"]);
        assert_eq!(runs[0].arguments, ["--show-output", "--skip", CLSACT, THREADS]);
        assert_eq!(runs[1].arguments, ["--show-output", THREADS]);
        let asked = portion.runs(&all, &["failover".to_owned()]);
        assert_eq!(asked.len(), 3);
        assert_eq!(asked[0].arguments, ["--show-output", "failover", THREADS]);
    }
}
