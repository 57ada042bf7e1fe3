//! Filters of traffic control, on any interface, that ask whether a packet came in by a port (`indev`), or that send to
//! one (`mirred`).

use aggctl_common::IfIndex;
use rustix::io::Errno;

use super::{ConflictKind, Search, interface::Interface};
use crate::{
    error::KernelError,
    netlink::{
        Netlink,
        tc::kind_and_options,
        tlv::{Attributes, u32_of},
    },
};

/// `TCA_ACT_KIND`.
const ATTR_ACT_KIND: u16 = 1;
/// `TCA_ACT_OPTIONS`.
const ATTR_ACT_OPTIONS: u16 = 2;
/// `TCA_MIRRED_PARMS`.
const ATTR_MIRRED: u16 = 2;
/// Where `struct tc_mirred` has the interface.
const MIRRED_INDEX: usize = 24;
/// Kinds of filters, their attribute with the name of the interface, and the one with the actions: `TCA_FLOWER_INDEV`,
/// `TCA_FLOWER_ACT`, `TCA_U32_INDEV`, `TCA_U32_ACT`, `TCA_FW_INDEV`, `TCA_FW_ACT`, `TCA_MATCHALL_ACT`.
const KINDS: [(&str, Option<u16>, u16); 4] =
    [("flower", Some(2), 3), ("u32", Some(8), 7), ("fw", Some(3), 4), ("matchall", None, 2)];

pub(super) fn look(search: &mut Search) -> Result<bool, KernelError> {
    let mut netlink = Netlink::open()?;
    let links = netlink.links()?;
    for (index, parent) in netlink.filter_places()? {
        if search.is_over() {
            return Ok(false);
        }
        let messages = match netlink.filters(index, parent) {
            Err(error) if error.errno() == Some(Errno::NODEV) => continue,
            other => other?,
        };
        let at =
            links.iter().find(|link| link.index == index).map_or_else(|| index.to_string(), |link| link.name.clone());
        for port in search.interfaces.ports.clone() {
            // What is attached to a port itself is another matter.
            if port.index != index && messages.iter().any(|message| names(message, &port)) {
                search.note(ConflictKind::TrafficFilter, &port.name, at.clone());
            }
        }
    }
    Ok(true)
}

/// Whether a filter names this interface.
fn names(message: &[u8], port: &Interface) -> bool {
    let Some((kind, Some(options))) = kind_and_options(message) else { return false };
    let Some((_, indev, actions)) = KINDS.iter().find(|(known, ..)| *known == kind) else { return false };
    let is_indev = indev.and_then(|kind| options.string(kind)).is_some_and(|name| name == port.name);
    let mut actions = options.find(*actions).map(Attributes::nested).into_iter().flatten();
    is_indev || actions.any(|(_, action)| sends_to(Attributes::nested(action), port.index))
}

/// Whether an action sends to this interface.
fn sends_to(action: Attributes<'_>, index: IfIndex) -> bool {
    let mirred = || {
        let options = Attributes::nested(action.find(ATTR_ACT_OPTIONS)?);
        u32_of(options.find(ATTR_MIRRED)?.get(MIRRED_INDEX..)?)
    };
    action.string(ATTR_ACT_KIND).is_some_and(|kind| kind == "mirred") && mirred() == Some(index.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::{tc::TCMSG, tlv::Builder};

    fn filter(kind: &str, options: &Builder) -> Vec<u8> {
        Builder::new(&[0; TCMSG]).push_str(libc::TCA_KIND, kind).push_nested(libc::TCA_OPTIONS, options).finish()
    }

    fn eth1() -> Interface {
        Interface { index: IfIndex(3), name: "eth1".to_owned(), group: 0, kind: String::new() }
    }

    #[test]
    fn indev_is_found_where_each_kind_has_it() {
        for (kind, attribute) in [("flower", 2), ("u32", 8), ("fw", 3)] {
            let options = |name| Builder::default().push_str(attribute, name);
            assert!(names(&filter(kind, &options("eth1")), &eth1()), "{kind}");
            assert!(!names(&filter(kind, &options("eth10")), &eth1()), "{kind}");
        }
        assert!(!names(&filter("basic", &Builder::default().push_str(2, "eth1")), &eth1()));
    }

    #[test]
    fn an_action_that_sends_to_a_port_is_found() {
        let mirred = |index: u32| {
            let mut parameters = [0; 28];
            parameters[MIRRED_INDEX..].copy_from_slice(&index.to_ne_bytes());
            let options = Builder::default().push(ATTR_MIRRED, &parameters);
            let action = Builder::default().push_str(ATTR_ACT_KIND, "mirred").push_nested(ATTR_ACT_OPTIONS, &options);
            filter("matchall", &Builder::default().push_nested(2, &Builder::default().push_nested(1, &action)))
        };
        assert!(names(&mirred(3), &eth1()));
        assert!(!names(&mirred(4), &eth1()));
    }
}
