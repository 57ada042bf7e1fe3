//! The hooks that programs hang on.

mod clsact;
mod link;
mod netkit;
mod tc;
mod tcx;

use aggctl_common::IfIndex;
use aggctl_engine::config;
use aya::programs::{SchedClassifier, TcAttachType};

use super::{
    error::DataplaneError,
    pins::{Pins, Role},
};

/// Where a program of ours hangs, and where its traces are kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Site<'a> {
    /// The aggregate's pins.
    pub(super) pins: &'a Pins,
    /// What the program is for.
    pub(super) role: Role,
    /// The interface, at whose ingress it hangs; on netkit: at whose transmit.
    pub(super) index: IfIndex,
}

/// A hook that a program hangs on. Programs of others on the same hook are left alone, and see frames before ours do.
pub(super) trait Hook {
    /// Hangs the program there, in the place of an earlier one of ours without a gap. It stays when the process ends.
    fn attach(&self, site: Site<'_>, program: &mut SchedClassifier) -> Result<(), DataplaneError>;

    /// Takes our program off; fine if there is none. The interface is left as it was before.
    fn detach(&self, site: Site<'_>) -> Result<(), DataplaneError>;

    /// The kernel's number of our program that hangs there, if one does.
    fn attached(&self, site: Site<'_>) -> Result<Option<u32>, DataplaneError>;
}

/// The hook that a configuration means.
pub(super) fn of(hook: config::Hook) -> &'static dyn Hook {
    match hook {
        config::Hook::Auto if tcx_supported() => &tcx::Tcx,
        config::Hook::Auto | config::Hook::Clsact => &clsact::Clsact,
        config::Hook::Tcx => &tcx::Tcx,
    }
}

/// The transmit of a netkit interface.
pub(super) fn netkit() -> &'static dyn Hook {
    &netkit::Netkit
}

/// Whether the kernel has tcx links.
///
/// Minimum kernel version for them: 6.6.
#[must_use]
pub fn tcx_supported() -> bool {
    // Every network namespace has `lo`, up or down. Older kernels do not know the attach type.
    SchedClassifier::query_tcx("lo", TcAttachType::Ingress).is_ok()
}
