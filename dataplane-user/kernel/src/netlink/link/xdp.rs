//! Which XDP program an interface has.

use aggctl_common::IfIndex;
use aggctl_engine::{config::XdpMode, host::XdpProgram};

use super::{GETLINK, HEADER, attr, skip_stats};
use crate::{
    error::CallFailure,
    netlink::{socket::Socket, tlv::Attributes},
};

/// `IFLA_XDP_ATTACHED`: in which mode.
const ATTACHED: u16 = 2;
/// `IFLA_XDP_PROG_ID`: the program, if it is the only one.
const PROGRAM: u16 = 4;
/// `IFLA_XDP_DRV_PROG_ID`: the one in the driver.
const IN_DRIVER: u16 = 5;

/// `XDP_ATTACHED_DRV`.
const NATIVE: u8 = 1;
/// `XDP_ATTACHED_SKB`.
const GENERIC: u8 = 2;

/// The program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AttachedXdp {
    /// The kernel's number of it.
    pub program: u32,
    /// Where it runs; `None`: elsewhere, as in the card itself.
    pub mode: Option<XdpMode>,
}

/// The program of an interface, if it has one; of several the one in the driver.
pub(crate) fn attached(socket: &mut Socket, index: IfIndex) -> Result<Option<AttachedXdp>, CallFailure> {
    let message = socket.get(GETLINK, &skip_stats(index).finish())?;
    Ok(parse(Attributes::after(&message, HEADER)))
}

/// The same as a message about an interface has it, without its name.
pub(super) fn program(link: Attributes<'_>) -> Option<XdpProgram> {
    parse(link).map(|attached| XdpProgram { id: attached.program, name: String::new() })
}

fn parse(link: Attributes<'_>) -> Option<AttachedXdp> {
    let xdp = Attributes::nested(link.find(attr::XDP)?);
    let program = xdp.u32(PROGRAM).or_else(|| xdp.u32(IN_DRIVER))?;
    let mode = match *xdp.find(ATTACHED)?.first()? {
        NATIVE => Some(XdpMode::Native),
        GENERIC => Some(XdpMode::Generic),
        _ => None,
    };
    Some(AttachedXdp { program, mode })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::tlv::Builder;

    fn link(mode: u8, programs: &[(u16, u32)]) -> Vec<u8> {
        let xdp = Builder::default().push(ATTACHED, &[mode]);
        let xdp = programs.iter().fold(xdp, |xdp, (kind, program)| xdp.push_u32(*kind, *program));
        Builder::new(&[0; HEADER]).push_nested(attr::XDP, &xdp).finish()
    }

    #[test]
    fn a_program_has_its_number_and_its_mode() {
        let of = |mode, program| Some(AttachedXdp { program, mode });
        let parse = |message: &[u8]| parse(Attributes::after(message, HEADER));
        assert_eq!(parse(&link(0, &[])), None, "none is attached");
        assert_eq!(parse(&link(1, &[(PROGRAM, 7), (IN_DRIVER, 7)])), of(Some(XdpMode::Native), 7));
        assert_eq!(parse(&link(2, &[(PROGRAM, 8)])), of(Some(XdpMode::Generic), 8));
        assert_eq!(parse(&link(4, &[(IN_DRIVER, 9), (7, 10)])), of(None, 9), "one in the driver, one in the card");
        assert_eq!(parse(&[0; HEADER]), None, "a kernel without XDP");
    }
}
