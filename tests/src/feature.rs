//! What kernels have, since when, and whether this one has it. The only place that knows kernel versions; a test asks
//! the kernel, and the table decides whether a "no" is a reason to skip or a failure.

use std::{env, fmt, sync::OnceLock};

use crate::{Namespace, sys};

/// The variable that says that this is a virtual machine of `cargo xtask`, whose kernels are built with everything.
const MACHINE: &str = "AGGCTL_VM_KERNEL";

/// A version of Linux: the first two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u32, pub u32);

impl Version {
    /// The version of the running kernel.
    pub fn running() -> Self {
        let release = rustix::system::uname().release().to_string_lossy().into_owned();
        let mut numbers = release.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok());
        Self(numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

/// Something that a kernel has or has not.
#[derive(Debug)]
pub struct Feature {
    /// What people call it.
    pub name: &'static str,
    /// The first version that has all that is needed of it.
    pub since: Version,
    /// The build option without which a kernel has it not, however new; none for what cannot be left out.
    pub option: Option<&'static str>,
    probe: Probe,
}

/// How the kernel is asked.
#[derive(Debug)]
enum Probe {
    /// The attach type that the bpf system call must know.
    Attach(u32),
    /// The kind of interface that can be made.
    Kind(&'static str),
    /// By the test that needs it, see [`Feature::lacking`].
    Trial,
}

/// tcx links.
pub static TCX: Feature =
    Feature { name: "tcx", since: Version(6, 6), option: None, probe: Probe::Attach(BPF_TCX_INGRESS) };
/// netkit devices, with a MAC that can be set.
pub static NETKIT: Feature =
    Feature { name: "netkit", since: Version(6, 11), option: Some("CONFIG_NETKIT"), probe: Probe::Kind("netkit") };
/// VLAN devices.
pub static VLAN: Feature =
    Feature { name: "8021q", since: Version(2, 6), option: Some("CONFIG_VLAN_8021Q"), probe: Probe::Kind("vlan") };
/// The bonding driver, as a partner.
pub static BOND: Feature =
    Feature { name: "bonding", since: Version(2, 6), option: Some("CONFIG_BONDING"), probe: Probe::Kind("bond") };
/// The team driver, as a partner.
pub static TEAM: Feature =
    Feature { name: "team", since: Version(3, 3), option: Some("CONFIG_NET_TEAM"), probe: Probe::Kind("team") };

/// Frames for test runs of programs whose linear part is only the header.
pub static PAGED_TEST_RUNS: Feature =
    Feature { name: "paged test runs", since: Version(6, 19), option: None, probe: Probe::Trial };
/// The same socket for the answers of all namespaces to echo requests, one for each processor.
pub static SHARED_ANSWERS: Feature =
    Feature { name: "one ICMP socket for all namespaces", since: Version(5, 18), option: None, probe: Probe::Trial };
/// Programs that read the device of a port.
pub static READABLE_DEVICES: Feature = Feature {
    name: "bpf_rdonly_cast",
    since: Version(6, 2),
    option: Some("CONFIG_DEBUG_INFO_BTF"),
    probe: Probe::Trial,
};

/// All that can be asked for in advance.
pub static ALL: [&Feature; 5] = [&TCX, &NETKIT, &VLAN, &BOND, &TEAM];

/// `enum bpf_attach_type`.
const BPF_TCX_INGRESS: u32 = 46;

impl Feature {
    /// Why this kernel has it not; `None` if it has it.
    ///
    /// # Panics
    ///
    /// If this kernel should have it: then what is missing is no reason to skip a test.
    pub fn missing(&'static self) -> Option<String> {
        (!self.present()).then(|| self.lacking())
    }

    /// The reason to skip after it has shown that this kernel has it not.
    ///
    /// # Panics
    ///
    /// If this kernel should have it.
    pub fn lacking(&self) -> String {
        judge(self, Version::running(), env::var_os(MACHINE).is_some())
    }

    /// Asks the kernel, once.
    ///
    /// # Panics
    ///
    /// If it is not one of [`ALL`].
    pub fn present(&'static self) -> bool {
        static ANSWERS: [OnceLock<bool>; ALL.len()] = [const { OnceLock::new() }; ALL.len()];
        let place =
            ALL.iter().position(|feature| std::ptr::eq(*feature, self)).expect("a feature that can be asked for");
        *ANSWERS[place].get_or_init(|| match self.probe {
            Probe::Trial => unreachable!("it is not in the table"),
            Probe::Attach(kind) => sys::knows_attach_type(kind),
            // That a kind is known does not say that it can all that we need of it.
            Probe::Kind(_) if Version::running() < self.since => false,
            Probe::Kind(kind) => {
                let place = Namespace::new("f");
                let outcome = place.try_ip(&format!("link add probe type {kind}"));
                // A kind that is known may want more words than these.
                !outcome.stderr.contains("Unknown device type") && !outcome.stderr.contains("not supported")
            }
        })
    }
}

/// The reason to skip what needs a feature that is not there.
fn judge(feature: &Feature, running: Version, machine: bool) -> String {
    let Feature { name, since, option, .. } = feature;
    match option {
        _ if running < *since => format!("{name} needs Linux {since}, this is {running}"),
        Some(option) if !machine => format!("{name} needs a kernel that is built with {option}"),
        _ => panic!("{name} is in Linux since {since}, but this kernel, {running}, has it not"),
    }
}

/// Ends the calling test, with the reason printed, on a kernel that lacks one of the named features:
/// `needs!(VLAN, BOND)`.
#[macro_export]
macro_rules! needs {
    ($($feature:ident),+ $(,)?) => {
        for feature in [$(&$crate::feature::$feature),+] {
            if let Some(reason) = feature.missing() {
                return $crate::skip(&reason);
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_kernel_is_a_reason_to_skip() {
        assert_eq!(judge(&TCX, Version(6, 1), true), "tcx needs Linux 6.6, this is 6.1");
        assert_eq!(judge(&NETKIT, Version(6, 10), false), "netkit needs Linux 6.11, this is 6.10");
    }

    #[test]
    fn a_kernel_of_someone_else_may_be_built_without_it() {
        assert_eq!(judge(&NETKIT, Version(6, 18), false), "netkit needs a kernel that is built with CONFIG_NETKIT");
    }

    #[test]
    #[should_panic(expected = "tcx is in Linux since 6.6, but this kernel, 6.12, has it not")]
    fn a_new_kernel_without_what_cannot_be_left_out_is_a_failure() {
        judge(&TCX, Version(6, 12), false);
    }

    #[test]
    #[should_panic(expected = "netkit is in Linux since 6.11")]
    fn a_new_kernel_of_ours_without_it_is_a_failure() {
        judge(&NETKIT, Version(6, 12), true);
    }
}
