//! Over which wirings, kinds of ports and hooks a test runs.

use std::{fmt, thread, time::Duration};

use crate::{
    card,
    feature::{self, Feature},
    lab::PortKind,
    wait,
};

/// How many emulated cards a test takes.
const CARDS: usize = 2;

/// The hook that the programs are attached to, as `attach --hook` calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// tcx links.
    Tcx,
    /// Filters of the clsact qdisc.
    Clsact,
}

impl Hook {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcx => "tcx",
            Self::Clsact => "clsact",
        }
    }
}

/// How the aggregate is wired, as `attach --wiring` calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wiring {
    /// Everything passes the aggregate's device.
    Shared,
    /// What is sent leaves before the device.
    Direct,
}

impl Wiring {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Shared => "shared",
            Self::Direct => "direct",
        }
    }

    /// Whether the aggregate's counters and captures show what is sent.
    pub fn shows_sent(self) -> bool {
        self == Self::Shared
    }
}

/// What the aggregate's own device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// The one that goes with the hook: the kernel's best with tcx, the one that every kernel has with clsact. So both
    /// are tried where there are both.
    Usual,
    /// The other way round: veth with tcx, netkit with clsact.
    Other,
}

/// One case of a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Case {
    /// How the aggregate is wired.
    pub wiring: Wiring,
    /// What the ports are.
    pub link: PortKind,
    /// Where the programs are attached.
    pub hook: Hook,
    /// The aggregate's own device.
    pub device: Device,
}

impl Case {
    /// Ports are veth, programs are attached to tcx.
    pub const VETH_TCX: Self = Self::shared(PortKind::Veth, Hook::Tcx);
    /// Ports are veth, programs are attached to clsact.
    pub const VETH_CLSACT: Self = Self::shared(PortKind::Veth, Hook::Clsact);
    /// Ports are veth, programs are attached to tcx, the device is veth.
    pub const VETH_TCX_VETH: Self = Self { device: Device::Other, ..Self::VETH_TCX };
    /// Ports are veth, programs are attached to clsact, the device is netkit.
    pub const VETH_CLSACT_NETKIT: Self = Self { device: Device::Other, ..Self::VETH_CLSACT };
    /// Ports are tap, programs are attached to tcx.
    pub const TAP_TCX: Self = Self::shared(PortKind::Tap, Hook::Tcx);
    /// Ports are tap, programs are attached to clsact.
    pub const TAP_CLSACT: Self = Self::shared(PortKind::Tap, Hook::Clsact);
    /// Ports are emulated cards, programs are attached to tcx.
    pub const E1000E_TCX: Self = Self::shared(PortKind::E1000e, Hook::Tcx);
    /// Ports are emulated cards, programs are attached to clsact.
    pub const E1000E_CLSACT: Self = Self::shared(PortKind::E1000e, Hook::Clsact);
    /// Ports are emulated virtio cards, programs are attached to tcx.
    pub const VIRTIO_TCX: Self = Self::shared(PortKind::Virtio, Hook::Tcx);

    /// Wiring direct, ports are veth, programs are attached to tcx.
    pub const DIRECT_VETH_TCX: Self = Self::VETH_TCX.direct();
    /// Wiring direct, ports are veth, programs are attached to clsact.
    pub const DIRECT_VETH_CLSACT: Self = Self::VETH_CLSACT.direct();
    /// Wiring direct, ports are tap, programs are attached to tcx.
    pub const DIRECT_TAP_TCX: Self = Self::TAP_TCX.direct();
    /// Wiring direct, ports are tap, programs are attached to clsact.
    pub const DIRECT_TAP_CLSACT: Self = Self::TAP_CLSACT.direct();

    const fn shared(link: PortKind, hook: Hook) -> Self {
        Self { wiring: Wiring::Shared, link, hook, device: Device::Usual }
    }

    const fn direct(self) -> Self {
        Self { wiring: Wiring::Direct, ..self }
    }

    /// Ping round trips that a failover may lose, at one ping in 10 ms.
    pub fn failover_limit(self) -> u64 {
        wait::lossy(match self.link {
            PortKind::Veth => 2,
            PortKind::Tap | PortKind::E1000e | PortKind::Virtio => 4,
        })
    }

    /// What the aggregate's own device is, as `attach --device` calls it.
    pub fn device(self) -> &'static str {
        match (self.hook, self.device) {
            (Hook::Tcx, Device::Usual) => "auto",
            (Hook::Clsact, Device::Other) => "netkit",
            (Hook::Tcx, Device::Other) | (Hook::Clsact, Device::Usual) => "veth",
        }
    }

    /// What a kernel must have for this case, and the case that takes its place on one that has it not.
    fn needs(self) -> Vec<(&'static Feature, Self)> {
        match (self.hook, self.device) {
            // Without netkit the other device is the usual one.
            (_, Device::Other) => vec![(&feature::NETKIT, Self { device: Device::Usual, ..self })],
            (Hook::Tcx, Device::Usual) => vec![(&feature::TCX, Self { hook: Hook::Clsact, ..self })],
            (Hook::Clsact, Device::Usual) => Vec::new(),
        }
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let link = match self.link {
            PortKind::Veth => "VETH",
            PortKind::Tap => "TAP",
            PortKind::E1000e => "E1000E",
            PortKind::Virtio => "VIRTIO",
        };
        let wiring = match self.wiring {
            Wiring::Shared => "",
            Wiring::Direct => "DIRECT_",
        };
        write!(f, "{wiring}{link}_{}", self.hook.name().to_uppercase())?;
        match self.device {
            Device::Usual => Ok(()),
            Device::Other => write!(f, "_{}", self.device().to_uppercase()),
        }
    }
}

/// Prints why the calling test does not run.
pub fn skip(reason: &str) {
    println!("skipped: {}: {reason}", thread::current().name().unwrap_or("?"));
}

/// Finds the case that a test runs as on this kernel: the one that it is made for; where the kernel is too old for
/// that, the one that takes its place. If the test has that one, too (`all` are those that it has), it need not run
/// twice.
///
/// # Errors
///
/// Says why the test need not or cannot run here.
pub fn resolve(case: Case, all: &[Case]) -> Result<Case, String> {
    if !rustix::process::geteuid().is_root() {
        return Err("needs root to make network namespaces".to_owned());
    }
    if case.link.is_card() && !card::present(CARDS) {
        return Err(format!("needs emulated network cards (cargo xtask vm --nic e1000e:{CARDS})"));
    }
    fall_back(case, all, &Feature::missing)
}

fn fall_back(case: Case, all: &[Case], missing: &dyn Fn(&'static Feature) -> Option<String>) -> Result<Case, String> {
    let lacking = case.needs().into_iter().find_map(|(feature, instead)| Some((missing(feature)?, instead)));
    match lacking {
        None => Ok(case),
        Some((reason, instead)) if all.contains(&instead) => Err(format!("{reason}; {instead} is run")),
        Some((_, instead)) => fall_back(instead, all, missing),
    }
}

/// Runs a test as a case, and says so if it is not the case that the test is named for.
pub fn run(case: Case, all: &[Case], test: fn(Case)) {
    match resolve(case, all) {
        Err(reason) => skip(&reason),
        Ok(as_case) => {
            println!("runs as: {as_case}");
            test(as_case);
        }
    }
}

/// The longest that something may take which a controller does at once; generous, for busy machines.
pub const SOON: Duration = Duration::from_secs(10);

/// Makes a test of a function for each of the cases that are named: `cases!(survives: VETH_TCX, TAP_CLSACT)`. They are
/// those of the newest kernel; see [`resolve`] for what becomes of them on others.
#[macro_export]
macro_rules! cases {
    ($test:ident: $($case:ident),+ $(,)?) => {
        #[allow(non_snake_case, reason = "named as the cases are")]
        mod $test {
            const ALL: &[$crate::Case] = &[$($crate::Case::$case),+];
            $(
                #[test]
                fn $case() {
                    $crate::matrix::run($crate::Case::$case, ALL, super::$test);
                }
            )+
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on_old(case: Case, all: &[Case]) -> Result<Case, String> {
        fall_back(case, all, &|feature| Some(format!("no {}", feature.name)))
    }

    #[test]
    fn a_new_kernel_runs_every_case() {
        assert_eq!(fall_back(Case::VETH_TCX, &[Case::VETH_TCX, Case::VETH_CLSACT], &|_| None), Ok(Case::VETH_TCX));
    }

    #[test]
    fn the_wiring_stays_on_an_old_kernel() {
        assert_eq!(on_old(Case::DIRECT_VETH_TCX, &[Case::VETH_CLSACT]), Ok(Case::DIRECT_VETH_CLSACT));
        assert_eq!(Case::DIRECT_VETH_CLSACT.to_string(), "DIRECT_VETH_CLSACT");
    }

    #[test]
    fn an_old_kernel_runs_every_test_once_for_each_kind_of_port() {
        assert_eq!(on_old(Case::VETH_TCX, &[Case::VETH_TCX, Case::TAP_CLSACT]), Ok(Case::VETH_CLSACT));
        let both = [Case::TAP_TCX, Case::TAP_CLSACT];
        assert_eq!(on_old(Case::TAP_TCX, &both), Err("no tcx; TAP_CLSACT is run".to_owned()));
        assert_eq!(on_old(Case::TAP_CLSACT, &both), Ok(Case::TAP_CLSACT));
    }

    #[test]
    fn an_old_kernel_needs_no_second_run_for_another_device() {
        let all = [Case::VETH_TCX_VETH, Case::VETH_CLSACT, Case::VETH_CLSACT_NETKIT];
        assert_eq!(on_old(Case::VETH_CLSACT_NETKIT, &all), Err("no netkit; VETH_CLSACT is run".to_owned()));
        assert_eq!(on_old(Case::VETH_TCX_VETH, &all), Err("no tcx; VETH_CLSACT is run".to_owned()));
        assert_eq!(Case::VETH_CLSACT_NETKIT.to_string(), "VETH_CLSACT_NETKIT");
        assert_eq!(Case::VETH_TCX_VETH.to_string(), "VETH_TCX_VETH");
    }
}
