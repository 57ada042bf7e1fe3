//! Sockets that are bound to a port: TCP, UDP and raw ones are cut off, packet sockets go on receiving what
//! is on the port's wire.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::ControlFlow,
};

use aggctl_common::IfIndex;
use rtnetlink::sys::protocols::NETLINK_SOCK_DIAG;
use rustix::io::Errno;

use super::{
    ConflictKind, Search,
    process::{self, Holder},
};
use crate::{
    error::KernelError,
    netlink::{
        INET, INET6,
        socket::Socket,
        tlv::{Builder, u32_of},
    },
    packet_sockets::packet_sockets,
};

/// `SOCK_DIAG_BY_FAMILY`.
const BY_FAMILY: u16 = 20;
/// Octets of `struct inet_diag_req_v2`.
const REQUEST: usize = 56;
/// `INET_DIAG_REQ_BYTECODE`.
const BYTECODE: u16 = 1;
/// `INET_DIAG_BC_JMP`.
const JUMP: u8 = 1;
/// `INET_DIAG_BC_DEV_COND`.
const DEVICE: u8 = 9;
/// Who holds a socket that no process has open.
const SOMEBODY: &str = "somebody";
/// All states of TCP but those without a socket of their own (`TCP_TIME_WAIT` 6, `TCP_NEW_SYN_RECV` 12).
const STATES: u32 = 0xfff & !(1 << 6);
/// `TCP_ESTABLISHED`.
const ESTABLISHED: u8 = 1;
/// Protocols, and what their sockets are called. A kernel may not have the means to list some.
const PROTOCOLS: [(u8, &str); 4] = [(6, "TCP"), (17, "UDP"), (136, "UDP-Lite"), (255, "raw")];

/// A socket that is bound to an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct BoundSocket {
    interface: IfIndex,
    inode: u64,
    established: bool,
}

/// Finds TCP, UDP and raw sockets.
pub(super) fn look(search: &mut Search) -> Result<bool, KernelError> {
    let ports: Vec<_> = search.interfaces.ports.iter().map(|port| port.index).collect();
    let mut found = Vec::new();
    let mut complete = true;
    for (protocol, name) in PROTOCOLS {
        for family in [INET, INET6] {
            let mut message = header(family, protocol);
            message.append(BYTECODE, &bound_to(&ports));
            let outcome = open()?.dump_each(BY_FAMILY, &message.finish(), &mut |message| {
                // The kernel has chosen them by their interface.
                found
                    .extend(parse(message).filter(|bound| ports.contains(&bound.interface)).map(|bound| (name, bound)));
                if search.is_over() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            match outcome {
                Ok(flow) => complete &= flow.is_continue(),
                // This kernel does not list these sockets.
                Err(failure) if failure.is(&[Errno::NOENT, Errno::INVAL, Errno::OPNOTSUPP]) => {}
                Err(failure) => return Err(KernelError::refused("sockets", "list", failure)),
            }
        }
    }
    let holders = process::holders(&found.iter().map(|(_, bound)| bound.inode).collect(), search.end);
    for (name, bound) in found {
        let port = search.interfaces.port(bound.interface).map(|port| port.name.clone()).unwrap_or_default();
        let holder = holders.get(&bound.inode);
        if holder.is_some_and(Holder::is_ours) {
            continue;
        }
        let holder = holder.map_or_else(|| SOMEBODY.to_owned(), ToString::to_string);
        let state = if bound.established { ", connected" } else { "" };
        search.note(ConflictKind::Socket, &port, format!("a {name} socket of {holder}{state}"));
    }
    Ok(complete && !search.is_over())
}

/// Finds packet sockets, as DHCP clients have.
pub(super) fn look_for_packet_sockets(search: &mut Search) -> Result<bool, KernelError> {
    let sockets: BTreeMap<u64, String> = packet_sockets()
        .unwrap_or_default()
        .into_iter()
        .filter_map(|socket| Some((socket.inode, search.interfaces.port(socket.index)?.name.clone())))
        .collect();
    let holders = process::holders(&sockets.keys().copied().collect::<BTreeSet<_>>(), search.end);
    for (inode, port) in sockets {
        match holders.get(&inode) {
            Some(holder) if holder.is_ours() => {}
            Some(holder) if holder.is_manager() => search.note(ConflictKind::DhcpClient, &port, holder.to_string()),
            Some(holder) => search.note(ConflictKind::PacketSocket, &port, holder.to_string()),
            None => search.note(ConflictKind::PacketSocket, &port, SOMEBODY.to_owned()),
        }
    }
    Ok(!search.is_over())
}

fn open() -> Result<Socket, KernelError> {
    Socket::open(NETLINK_SOCK_DIAG).map_err(|error| KernelError::refused("socket diagnosis", "open", error))
}

/// `struct inet_diag_req_v2`.
fn header(family: u8, protocol: u8) -> Builder {
    let mut request = [0; REQUEST];
    (request[0], request[1]) = (family, protocol);
    request[4..8].copy_from_slice(&STATES.to_ne_bytes());
    Builder::new(&request)
}

/// The kernel's filter program for "bound to one of these": for each a condition, which leads to the jump behind it if
/// it holds and else past that to the next condition. The jumps lead to the end; the last condition leads there, or
/// beyond it, which means no.
fn bound_to(ports: &[IfIndex]) -> Vec<u8> {
    const CONDITION: u16 = 8;
    const STEP: u16 = CONDITION + 4;
    let mut program = Vec::new();
    let mut operation = |code: u8, yes: u8, no: u16| {
        program.extend_from_slice(&[code, yes]);
        program.extend_from_slice(&no.to_ne_bytes());
    };
    let mut operands = Vec::new();
    for (port, left) in ports.iter().zip((0..u16::try_from(ports.len()).unwrap_or(u16::MAX)).rev()) {
        operation(DEVICE, 8, STEP);
        operands.push(port.0);
        if left > 0 {
            // From the jump to the end: itself, the conditions with their jumps, and the last one without.
            operation(JUMP, 4, 4 + left * STEP - 4);
        }
    }
    with_operands(&program, &operands)
}

/// Puts the number behind each condition.
fn with_operands(program: &[u8], operands: &[u32]) -> Vec<u8> {
    let mut operands = operands.iter();
    let mut whole = Vec::new();
    for operation in program.chunks(4) {
        whole.extend_from_slice(operation);
        if operation.first() == Some(&DEVICE) {
            whole.extend(operands.next().into_iter().flat_map(|operand| operand.to_ne_bytes()));
        }
    }
    whole
}

/// `struct inet_diag_msg`: family, state, …; at 4 the ends, with the interface at 40; the inode at 68.
fn parse(message: &[u8]) -> impl Iterator<Item = BoundSocket> {
    let parts = || {
        Some(BoundSocket {
            interface: IfIndex(u32_of(message.get(40..)?)?),
            inode: u32_of(message.get(68..)?)?.into(),
            established: *message.get(1)? == ESTABLISHED,
        })
    };
    parts().into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel does with a filter program (`inet_diag_bc_run`).
    fn accepts(program: &[u8], interface: u32) -> bool {
        let mut at = 0;
        while at < program.len() {
            let (code, yes) = (program[at], usize::from(program[at + 1]));
            let no = usize::from(u16::from_ne_bytes([program[at + 2], program[at + 3]]));
            let holds = code == DEVICE && u32_of(&program[at + 4..]) == Some(interface);
            at += if holds { yes } else { no };
        }
        at == program.len()
    }

    #[test]
    fn the_filter_lets_the_ports_pass_and_no_others() {
        for count in 1..=64_u32 {
            let ports: Vec<_> = (1..=count).map(|port| IfIndex(port * 3)).collect();
            let program = bound_to(&ports);
            for interface in 0..=count * 3 + 3 {
                let expected = ports.contains(&IfIndex(interface));
                assert_eq!(accepts(&program, interface), expected, "{interface} of {count}");
            }
        }
    }
}
