//! Generic netlink: families of messages that are known by their names.

pub(crate) mod netdev;
pub(crate) mod team;

use std::io;

use rustix::io::Errno;

use super::{
    socket::Socket,
    tlv::{Attributes, Builder, number_u8, number_u16},
};
use crate::error::CallFailure;

/// Octets of `struct genlmsghdr`.
pub(crate) const HEADER: usize = 4;
/// `GENL_ID_CTRL`: who knows the numbers of the families.
const CONTROL: u16 = number_u16(libc::GENL_ID_CTRL);
/// `CTRL_CMD_GETFAMILY`.
const GET_FAMILY: u8 = number_u8(libc::CTRL_CMD_GETFAMILY);
/// `CTRL_ATTR_FAMILY_ID`.
const FAMILY_ID: u16 = number_u16(libc::CTRL_ATTR_FAMILY_ID);
/// `CTRL_ATTR_FAMILY_NAME`.
const FAMILY_NAME: u16 = number_u16(libc::CTRL_ATTR_FAMILY_NAME);
/// `CTRL_ATTR_MCAST_GROUPS`: a list of groups, each a nest of the two below.
const GROUPS: u16 = number_u16(libc::CTRL_ATTR_MCAST_GROUPS);
/// `CTRL_ATTR_MCAST_GRP_NAME`.
const GROUP_NAME: u16 = number_u16(libc::CTRL_ATTR_MCAST_GRP_NAME);
/// `CTRL_ATTR_MCAST_GRP_ID`.
const GROUP_ID: u16 = number_u16(libc::CTRL_ATTR_MCAST_GRP_ID);

/// A family, as it is numbered until the next boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Family {
    /// The kind of its messages.
    pub(crate) id: u16,
    /// Those who listen, by name.
    groups: Vec<(String, u32)>,
}

impl Family {
    /// Asks for a family; `None` if the kernel has none of that name (its module is not loaded).
    pub(crate) fn ask(socket: &mut Socket, name: &str) -> Result<Option<Self>, CallFailure> {
        let query = Builder::new(&header(GET_FAMILY)).push_str(FAMILY_NAME, name).finish();
        match socket.get(CONTROL, &query) {
            Ok(answer) => {
                let family = Self::read(Attributes::after(&answer, HEADER));
                family.map(Some).ok_or_else(|| io::Error::from(Errno::BADMSG).into())
            }
            Err(failure) if failure.is(&[Errno::NOENT]) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// The number of a group of those who listen.
    pub(crate) fn group(&self, name: &str) -> Option<u32> {
        self.groups.iter().find(|(known, _)| known == name).map(|(_, id)| *id)
    }

    fn read(attributes: Attributes<'_>) -> Option<Self> {
        let id = attributes.find(FAMILY_ID)?.first_chunk().copied().map(u16::from_ne_bytes)?;
        let groups = attributes.find(GROUPS).map(Attributes::nested).into_iter().flatten();
        let group = |(_, group)| {
            let group = Attributes::nested(group);
            Some((group.string(GROUP_NAME)?, group.u32(GROUP_ID)?))
        };
        Some(Self { id, groups: groups.filter_map(group).collect() })
    }
}

/// `struct genlmsghdr`: the command, version 1.
pub(crate) const fn header(command: u8) -> [u8; HEADER] {
    [command, 1, 0, 0]
}

#[cfg(test)]
mod tests {
    use rtnetlink::sys::protocols::NETLINK_GENERIC;

    use super::*;

    #[test]
    fn a_family_says_its_number_and_its_groups() {
        let group = |name, id| Builder::default().push_str(GROUP_NAME, name).push_u32(GROUP_ID, id);
        let groups = Builder::default().push_nested(1, &group("other", 4)).push_nested(2, &group("change_event", 5));
        let answer = Builder::default().push(FAMILY_ID, &33_u16.to_ne_bytes()).push_nested(GROUPS, &groups).finish();
        let family = Family::read(Attributes::nested(&answer)).unwrap();
        assert_eq!((family.id, family.group("change_event"), family.group("none")), (33, Some(5), None));
        assert_eq!(Family::read(Attributes::nested(&[])), None);
    }

    #[test]
    fn the_kernel_knows_its_own_family_and_none_of_another_name() {
        let mut socket = Socket::open(NETLINK_GENERIC).unwrap();
        let family = Family::ask(&mut socket, "nlctrl").unwrap().unwrap();
        assert_eq!((family.id, family.group("notify").is_some()), (CONTROL, true));
        assert_eq!(Family::ask(&mut socket, "aggctl-none").unwrap(), None);
    }
}
