//! What early drop must know of a port.

use std::collections::BTreeMap;

use aggctl_common::IfIndex;
use aggctl_engine::{
    config::XdpMode,
    host::{Link, XdpProgram, XdpState},
};

use crate::{
    dataplane::{EarlyPort, program_name},
    error::KernelError,
    ethtool,
    netlink::genl,
};

/// The features by which a card takes the tags out of frames before anybody sees these.
const TAKES_TAGS_OUT: [&str; 2] = ["rx-vlan-hw-parse", "rx-vlan-stag-hw-parse"];
/// The feature by which a card joins frames.
const JOINS: &str = "rx-gro-hw";

/// Which drivers run programs, as far as the kernel says so.
#[derive(Debug)]
pub struct XdpDrivers(Option<BTreeMap<IfIndex, bool>>);

impl XdpDrivers {
    /// Asks for those of all interfaces of this network namespace.
    ///
    /// # Errors
    ///
    /// If the kernel cannot be asked.
    pub fn ask() -> Result<Self, KernelError> {
        genl::netdev::native_xdp()
            .map(Self)
            .map_err(|failure| KernelError::refused("netdev", "get XDP features", failure))
    }

    /// What an interface says about XDP, of which netlink just told `link`.
    ///
    /// # Errors
    ///
    /// If the kernel cannot be asked.
    pub fn look(&self, link: &Link) -> Result<XdpState, KernelError> {
        let named =
            |program: &XdpProgram| XdpProgram { name: program_name(program.id).unwrap_or_default(), ..*program };
        let native = self.0.as_ref().map(|drivers| drivers.get(&link.index).copied().unwrap_or(false));
        // What is no card joins nothing.
        let joins = native == Some(true)
            && link.kind.is_empty()
            && ethtool::features(&link.name, &[JOINS])?.values().any(|feature| feature.on);
        Ok(XdpState { program: link.xdp.program.as_ref().map(named), native, joins })
    }
}

/// A port that drops early, as the data path wants it.
///
/// # Errors
///
/// If the kernel cannot be asked.
pub fn port(link: &Link, mode: XdpMode) -> Result<EarlyPort, KernelError> {
    Ok(EarlyPort { index: link.index, name: link.name.clone(), mode, sees_tags: sees_tags(link)? })
}

/// Whether the tags of frames that an interface receives are in the frames, where an XDP program sees them, and not
/// taken out by the card or by the other end of a pair: then nothing can be said of a frame's VLAN. What is no card is
/// believed to hand them over beside the frame; but not a tap, whose frames come from a program as they are.
///
/// # Errors
///
/// If the kernel cannot be asked.
pub fn sees_tags(link: &Link) -> Result<bool, KernelError> {
    let as_they_are = matches!(link.kind.as_str(), "" | "tun");
    Ok(as_they_are && ethtool::features(&link.name, &TAKES_TAGS_OUT)?.values().all(|feature| !feature.on))
}
