//! What can be told of an aggregate whose record is lost: enough to take off what is left of it, and what is not known.

use aggctl_common::{IfIndex, PortId};

use super::{Phase, PortRecord, Record};
use crate::{
    config::{AggregateConfig, Device, Hook, PortConfig, Wiring, XdpMode},
    host::{DISABLE_IPV6, GEN_EUI64, GEN_NONE, Host, Link},
    identity::Identity,
    names,
};

/// What pins and maps tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remains {
    /// The aggregate's name.
    pub name: String,
    /// How it is wired: a namespace of its own is left, or not.
    pub wiring: Wiring,
    /// What its programs are attached to: tcx has links among the pins.
    pub hook: Hook,
    /// The interfaces in the table of ports.
    pub ports: Vec<(PortId, IfIndex)>,
}

impl Remains {
    /// A record of what is left, in [`Phase::Detaching`]: what a port was before is what it is now, but for what an
    /// aggregate always changes. Also returns what is not known, in words.
    #[must_use]
    pub fn record(&self, host: &Host) -> (Record, Vec<String>) {
        let peer = names::peer_name(&self.name);
        let aggregate = host.link(&self.name).filter(|link| is_pair(link));
        let mut unknown = vec![
            "which addresses and routes came from which port: all go to the first".to_owned(),
            "flags, features and sysctls that the ports had before".to_owned(),
        ];
        let found = self.ports.iter().filter_map(|(id, index)| Some((*id, host.links.get(index)?)));
        let found: Vec<_> = found.filter(|(_, link)| aggregate.is_none_or(|agg| agg.index != link.index)).collect();
        let ports: Vec<_> = found.iter().map(|(id, link)| port(*id, link)).collect();
        let strangers = found.iter().filter(|(_, link)| link.permanent_mac.is_none());
        unknown.extend(strangers.map(|(_, link)| format!("the MAC that {} had before", link.name)));
        let mut config =
            AggregateConfig::new(self.name.clone(), ports.iter().map(|port| port.config.clone()).collect());
        config.wiring = self.wiring;
        let device = match aggregate {
            Some(link) if link.kind == "netkit" => Device::Netkit,
            _ => Device::Veth,
        };
        let record = Record {
            phase: Phase::Detaching,
            device,
            index: aggregate.map_or(IfIndex::NONE, |link| link.index),
            peer_index: host.link(&peer).map_or(IfIndex::NONE, |link| link.index),
            peer,
            ports,
            ..Record::begin(config, self.hook, aggregate.map(|link| link.mac).unwrap_or_default())
        };
        (record, unknown)
    }
}

/// Whether this may be an aggregate's interface.
fn is_pair(link: &Link) -> bool {
    matches!(link.kind.as_str(), "veth" | "netkit")
}

/// A port as it may have been before.
fn port(id: PortId, link: &Link) -> PortRecord {
    let mut before = link.clone();
    before.mac = link.permanent_mac.unwrap_or(link.mac);
    before.allmulti = false;
    before.promisc = false;
    before.addr_gen_mode = link.addr_gen_mode.map(|mode| if mode == GEN_NONE { GEN_EUI64 } else { mode });
    before.sysctls.entry(DISABLE_IPV6.to_owned()).and_modify(|value| "0".clone_into(value));
    PortRecord {
        id,
        config: PortConfig::new(link.name.clone()),
        index: Some(link.index),
        // If it drops early. In which mode does not matter for taking that off.
        xdp: Some(XdpMode::Generic),
        identity: Identity::of(&before),
        before,
        addresses: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use aggctl_common::Mac;

    use super::*;

    fn link(index: u32, name: &str, permanent: Option<Mac>) -> Link {
        let sysctls = [(DISABLE_IPV6.to_owned(), "1".to_owned())].into();
        let (index, name, mac) = (IfIndex(index), name.to_owned(), Mac([2, 0, 0, 0, 0, 1]));
        let up = Link { admin_up: true, carrier: true, allmulti: true, ethernet: true, ..Link::default() };
        Link { index, name, mac, permanent_mac: permanent, kind: "veth".into(), sysctls, ..up }
    }

    #[test]
    fn what_an_aggregate_always_changes_is_taken_back_and_the_rest_is_named() {
        let own = Mac([2, 0, 0, 0, 0, 9]);
        let links =
            [link(5, "agg0", None), link(6, "agg0-peer", None), link(2, "eth0", Some(own)), link(3, "eth1", None)];
        let host = Host { links: links.into_iter().map(|link| (link.index, link)).collect(), ..Host::default() };
        let ports = vec![(PortId(0), IfIndex(2)), (PortId(1), IfIndex(3)), (PortId(2), IfIndex(77))];
        let remains = Remains { name: "agg0".into(), wiring: Wiring::Shared, hook: Hook::Tcx, ports };
        let (record, unknown) = remains.record(&host);
        assert_eq!((record.index, record.peer_index), (IfIndex(5), IfIndex(6)));
        assert_eq!(record.ports.len(), 2, "the third is gone");
        assert_eq!((record.ports[0].before.mac, record.ports[0].before.allmulti), (own, false));
        assert_eq!(record.ports[1].before.sysctls[DISABLE_IPV6], "0");
        assert!(unknown.iter().any(|what| what.contains("eth1")) && !unknown.iter().any(|what| what.contains("eth0")));
        assert!(crate::plan::detach(&host, &record, true).is_ok_and(|steps| !steps.is_empty()));
    }
}
