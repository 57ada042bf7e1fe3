//! Takes the picture of the host that plans are made from.

use std::collections::BTreeMap;

use aggctl_engine::{
    driver::CRYPTO_FEATURES,
    host::{Capabilities, Hooks, Host, Link, XdpState},
};
use rustix::io::Errno;

use crate::{
    dataplane::tcx_supported,
    early::XdpDrivers,
    error::KernelError,
    ethtool,
    netlink::{Netlink, nexthop, tc::Filter},
    nft::{self, IngressChain},
    sysctl,
};

/// What the names of our own filters begin with.
const OURS: &str = "aggctl_";

/// The network configuration of the present namespace. Interfaces that come or go meanwhile may be missing.
///
/// # Errors
///
/// If the kernel cannot be asked.
pub fn snapshot(netlink: &mut Netlink) -> Result<Host, KernelError> {
    let (chains, drivers) = (nft::ingress_chains()?, XdpDrivers::ask()?);
    let mut links = BTreeMap::new();
    for link in netlink.links()? {
        if let Some(link) = complete(netlink, link, &chains, &drivers)? {
            links.insert(link.index, link);
        }
    }
    let capabilities = Capabilities { tcx: tcx_supported(), netkit: netlink.has_netkit(), bonding: false };
    Ok(Host { links, capabilities, ..layer3(netlink)? })
}

/// Adds to a picture all sysctls of these interfaces: those that become ports, whose settings the aggregate gets. It
/// takes some hundred reads for each. Also whether their cards encrypt flows.
///
/// # Errors
///
/// If one that exists cannot be read.
pub fn complete_settings<'n>(host: &mut Host, names: impl IntoIterator<Item = &'n str>) -> Result<(), KernelError> {
    for name in names {
        if let Some(link) = host.links.values_mut().find(|link| link.name == name) {
            link.sysctls = sysctl::read_all(name)?;
            link.features.extend(ethtool::features(name, &CRYPTO_FEATURES)?);
        }
    }
    Ok(())
}

/// The interfaces, without what must be asked for one by one (features, sysctls, hooks), and all that is above them.
///
/// # Errors
///
/// If the kernel cannot be asked.
pub fn glance(netlink: &mut Netlink) -> Result<Host, KernelError> {
    let links = netlink.links()?.into_iter().map(|link| (link.index, link)).collect();
    Ok(Host { links, ..layer3(netlink)? })
}

/// What is above the interfaces.
fn layer3(netlink: &mut Netlink) -> Result<Host, KernelError> {
    let nexthops = netlink.nexthops()?;
    let mut routes = netlink.routes()?;
    for route in &mut routes {
        if let (Some(id), true) = (route.nexthop, route.links.is_empty()) {
            route.links = nexthop::links(id, &nexthops);
        }
    }
    let (addresses, neighbours) = (netlink.addresses()?, netlink.neighbours()?);
    Ok(Host { addresses, routes, nexthops, neighbours, ..Host::default() })
}

/// Fills in what a dump of the interfaces does not say. `None` if the interface went away.
fn complete(
    netlink: &mut Netlink,
    link: Link,
    chains: &[IngressChain],
    drivers: &XdpDrivers,
) -> Result<Option<Link>, KernelError> {
    let mut look = || -> Result<(_, _, _, _), KernelError> {
        // Only Ethernet interfaces can become ports.
        let (features, xdp) = if link.ethernet && !link.loopback {
            let is_drivers = link.driver.is_some() || link.membership.is_some();
            let crypto = if is_drivers { &CRYPTO_FEATURES[..] } else { &[] };
            (ethtool::features(&link.name, &[&ethtool::FEATURES, crypto].concat())?, drivers.look(&link)?)
        } else {
            (BTreeMap::new(), XdpState::default())
        };
        Ok((features, xdp, sysctl::read_essential(&link.name)?, hooks(netlink, &link, chains)?))
    };
    match look() {
        Ok((features, xdp, sysctls, hooks)) => Ok(Some(Link { features, xdp, sysctls, hooks, ..link })),
        Err(error) if error.errno() == Some(Errno::NODEV) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What others have attached to an interface's ingress hooks; `chains` are all of nftables on ingress hooks.
pub(crate) fn hooks(netlink: &mut Netlink, link: &Link, chains: &[IngressChain]) -> Result<Hooks, KernelError> {
    let filters = netlink.ingress_filters(link.index)?;
    let chains = chains.iter().filter(|chain| chain.hooks(&link.name));
    Ok(Hooks {
        clsact_ingress: filters.iter().filter(|filter| !is_ours(filter)).map(describe).collect(),
        nft_ingress: chains.map(|chain| chain.name.clone()).collect(),
    })
}

/// Whether a filter is one of our programs.
fn is_ours(filter: &Filter) -> bool {
    filter.program.as_ref().is_some_and(|program| program.starts_with(OURS))
}

/// A filter in words.
fn describe(filter: &Filter) -> String {
    match &filter.program {
        Some(program) => format!("{} {program}", filter.kind),
        None => filter.kind.clone(),
    }
}
