//! The settings of a port: what it is made, and how it is made what it was.

use aggctl_common::Mac;

use crate::{
    config::{AggregateConfig, Toggle},
    host::{Link, RP_FILTER},
    plan::{Change, Setting},
};

/// Receive-side merging in hardware, which breaks forwarding.
const LRO: &str = "rx-lro";
/// The filter that lets only the port's own VLANs in.
const VLAN_FILTER: &str = "rx-vlan-filter";
/// The value of `rp_filter` that lets packets in which would leave by another interface.
const LOOSE: &str = "2";

/// What does no harm while the port carries addresses.
pub(super) fn open(link: &Link, config: &AggregateConfig, mtu: u32) -> Vec<Setting> {
    let is_switched_on = |name: &&str| link.features.get(*name).is_some_and(|feature| feature.on && !feature.fixed);
    let features = [LRO, VLAN_FILTER].into_iter().filter(is_switched_on);
    let mut settings = features.map(|name| feature(name, Change::OFF)).collect::<Vec<_>>();
    settings.extend(Change::between(link.mtu, mtu).map(Setting::Mtu));
    if config.allmulti != Toggle::Off {
        settings.extend(Change::between(link.allmulti, true).map(Setting::Allmulti));
    }
    settings.extend(promisc(link, config));
    settings
}

/// Promiscuous mode, if the port needs it whatever the aggregate's own interface does, and has it not.
pub(super) fn promisc(link: &Link, config: &AggregateConfig) -> Option<Setting> {
    let needed = match config.promisc {
        Toggle::On => true,
        Toggle::Off => false,
        Toggle::Auto => filters_vlans(link) || config.mac_policy.needs_all_frames(),
    };
    Change::between(link.promisc, true).filter(|_| needed).map(Setting::Promisc)
}

/// That for which the port must carry nothing by itself any more.
pub(super) fn join(link: &Link, mac: Mac) -> impl Iterator<Item = Setting> {
    let mac = Change::between(link.mac, mac).map(Setting::Mac);
    let up = Change::between(link.admin_up, true).map(Setting::Admin);
    mac.into_iter().chain(up)
}

/// Has an interface let packets in that would leave by another one, unless it does already.
pub(super) fn loosen(link: &Link) -> Option<Setting> {
    sysctl(link, RP_FILTER, LOOSE)
}

/// Takes [`loosen`] back, for an interface that was like `before`.
pub(super) fn tighten(before: &Link) -> Option<Setting> {
    let value = before.sysctls.get(RP_FILTER).filter(|value| *value != LOOSE)?;
    Some(sysctl_change(RP_FILTER, LOOSE, value))
}

/// Takes a port down that was down before.
pub(super) fn take_down(now: &Link, before: &Link) -> Option<Setting> {
    (now.admin_up && !before.admin_up).then_some(Setting::Admin(Change::OFF))
}

/// What must be as before, ahead of any address: MAC and MTU, and that the port is up if it was. A driver may take the
/// interface down to change its MAC, which would cost it all its routes.
pub(super) fn restore_link(now: &Link, before: &Link) -> impl Iterator<Item = Setting> {
    let mac = Change::between(now.mac, before.mac).map(Setting::Mac);
    let mtu = Change::between(now.mtu, before.mtu).map(Setting::Mtu);
    let up = (before.admin_up && !now.admin_up).then_some(Setting::Admin(Change::ON));
    [mac, mtu, up].into_iter().flatten()
}

/// Everything else, once the addresses are there.
pub(super) fn restore_rest(now: &Link, before: &Link) -> impl Iterator<Item = Setting> {
    let modes = now.addr_gen_mode.zip(before.addr_gen_mode);
    let mode = modes.and_then(|(now, before)| Change::between(now, before)).map(Setting::AddrGenMode);
    let promisc = Change::between(now.promisc, before.promisc).map(Setting::Promisc);
    let allmulti = Change::between(now.allmulti, before.allmulti).map(Setting::Allmulti);
    let [filter, lro] = [VLAN_FILTER, LRO].map(|name| {
        let (now, before) = now.features.get(name).zip(before.features.get(name))?;
        Some(feature(name, Change::between(now.on, before.on)?))
    });
    [mode, promisc, allmulti, filter, lro].into_iter().flatten()
}

/// This value of a sysctl, if the interface has it with another one.
pub(super) fn sysctl(link: &Link, key: &str, value: &str) -> Option<Setting> {
    let now = link.sysctls.get(key).filter(|now| *now != value)?;
    Some(sysctl_change(key, now, value))
}

/// A sysctl that goes from one value to another.
pub(super) fn sysctl_change(key: &str, from: &str, to: &str) -> Setting {
    Setting::Sysctl { key: key.to_owned(), value: Change { from: from.to_owned(), to: to.to_owned() } }
}

fn feature(name: &str, on: Change<bool>) -> Setting {
    Setting::Feature { name: name.to_owned(), on }
}

/// Whether the interface filters VLANs and cannot be told not to.
pub(super) fn filters_vlans(link: &Link) -> bool {
    link.features.get(VLAN_FILTER).is_some_and(|feature| feature.on && feature.fixed)
}
