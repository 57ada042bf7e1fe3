//! A socket that asks the kernel one question at a time.

use std::{io, ops::ControlFlow, time::Duration};

use rtnetlink::sys::{Socket as NetlinkSocket, SocketAddr};
use rustix::{
    io::Errno,
    net::{
        RecvFlags,
        sockopt::{Timeout, set_socket_timeout},
    },
};

use super::tlv::{Attributes, align, number_u16};
use crate::error::CallFailure;

/// Octets of a message's header.
pub(crate) const HEADER: usize = 16;
/// How long the kernel may take to answer. It answers at once, but may have to wait for its own lock.
const PATIENCE: Duration = Duration::from_secs(30);
/// The kernel makes no answer of several messages longer than this; single ones are far shorter.
const BUFFER: usize = 256 * 1024;
/// How often a dump that another change interrupted is tried again.
const DUMP_ATTEMPTS: u32 = 20;

/// `NLM_F_REQUEST`: every question and every order is one.
const REQUEST: u16 = number_u16(libc::NLM_F_REQUEST);
/// `NLM_F_ACK`: an acknowledgement is wanted.
const ACK: u16 = number_u16(libc::NLM_F_ACK);
/// `NLM_F_DUMP`: all objects are wanted.
const DUMP: u16 = number_u16(libc::NLM_F_DUMP);
/// `NLM_F_DUMP_INTR`: the dump may be inconsistent.
const DUMP_INTR: u16 = number_u16(libc::NLM_F_DUMP_INTR);
/// `NLM_F_ACK_TLVS`: the error carries attributes.
const ACK_TLVS: u16 = number_u16(libc::NLM_F_ACK_TLVS);
/// `NLM_F_CAPPED`: the error does not repeat the whole request.
const CAPPED: u16 = number_u16(libc::NLM_F_CAPPED);
/// `NLMSGERR_ATTR_MSG`: the kernel's reason in words.
const ATTR_MSG: u16 = 1;
/// `NLMSG_NOOP`.
const MSG_NOOP: u16 = number_u16(libc::NLMSG_NOOP);
/// `NLMSG_ERROR`: an error, or an acknowledgement.
const MSG_ERROR: u16 = number_u16(libc::NLMSG_ERROR);
/// `NLMSG_DONE`: the end of a dump.
const MSG_DONE: u16 = number_u16(libc::NLMSG_DONE);

/// A message from the kernel: its type and what follows its header.
pub(crate) type RawMessage = (u16, Vec<u8>);

/// What a round of answers came to.
enum Round {
    /// All of it.
    Complete(Vec<RawMessage>),
    /// A dump that may be inconsistent, because something changed meanwhile.
    Interrupted,
}

/// The socket.
#[derive(Debug)]
pub(crate) struct Socket {
    inner: NetlinkSocket,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Socket {
    /// Opens a socket of this netlink protocol in the present network namespace.
    pub(crate) fn open(protocol: isize) -> io::Result<Self> {
        let mut inner = NetlinkSocket::new(protocol)?;
        inner.bind_auto()?;
        inner.connect(&SocketAddr::new(0, 0))?;
        inner.set_ext_ack(true)?;
        inner.set_cap_ack(true)?;
        // Lets the kernel filter dumps. Linux 4.20; without it the filters are ignored, and we filter again.
        let _ = inner.set_netlink_get_strict_chk(true);
        set_socket_timeout(&inner, Timeout::Recv, Some(PATIENCE))?;
        Ok(Self { inner, sequence: 0, buffer: vec![0; BUFFER] })
    }

    /// Its own number, as the kernel names it in reports of what it asked for; 0 if it cannot be told.
    pub(crate) fn port(&self) -> u32 {
        let mut address = SocketAddr::new(0, 0);
        self.inner.get_address(&mut address).map_or(0, |()| address.port_number())
    }

    /// Asks for a change and waits until it is made.
    pub(crate) fn request(&mut self, kind: u16, flags: u16, payload: &[u8]) -> Result<(), CallFailure> {
        self.send(kind, REQUEST | ACK | flags, payload)?;
        self.receive().map(|_| ())
    }

    /// Asks for one object.
    pub(crate) fn get(&mut self, kind: u16, payload: &[u8]) -> Result<Vec<u8>, CallFailure> {
        self.send(kind, REQUEST | ACK, payload)?;
        match self.receive()? {
            Round::Complete(mut messages) if !messages.is_empty() => Ok(messages.swap_remove(0).1),
            Round::Complete(_) | Round::Interrupted => Err(Errno::NOENT.into()),
        }
    }

    /// Asks for all objects.
    pub(crate) fn dump(&mut self, kind: u16, payload: &[u8]) -> Result<Vec<Vec<u8>>, CallFailure> {
        for _ in 0..DUMP_ATTEMPTS {
            self.send(kind, REQUEST | DUMP, payload)?;
            if let Round::Complete(messages) = self.receive()? {
                return Ok(messages.into_iter().map(|(_, message)| message).collect());
            }
        }
        Err(CallFailure { error: Errno::INTR.into(), message: Some("the network changed all the time".into()) })
    }

    /// Asks for what is answered with several messages though it is no dump, as some families do.
    pub(crate) fn list(&mut self, kind: u16, payload: &[u8]) -> Result<Vec<Vec<u8>>, CallFailure> {
        self.send(kind, REQUEST, payload)?;
        match self.receive()? {
            Round::Complete(messages) => Ok(messages.into_iter().map(|(_, message)| message).collect()),
            Round::Interrupted => Err(Errno::INTR.into()),
        }
    }

    /// Asks for all objects, and takes them one by one until `take` has enough. The socket is of no use after that, or
    /// after an error: the kernel goes on with its answer. What changes meanwhile may be missing.
    pub(crate) fn dump_each(
        &mut self,
        kind: u16,
        payload: &[u8],
        take: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, CallFailure> {
        self.send(kind, REQUEST | DUMP, payload)?;
        loop {
            let length = self.receive_datagram()?;
            let mut rest = &self.buffer[..length];
            while let Some((header, body)) = split(rest) {
                rest = rest.get(align(HEADER + body.len())..).unwrap_or_default();
                match header.kind {
                    _ if header.sequence != self.sequence => {}
                    MSG_NOOP => {}
                    MSG_ERROR | MSG_DONE => return outcome(&header, body).map(|()| ControlFlow::Continue(())),
                    _ if take(body).is_break() => return Ok(ControlFlow::Break(())),
                    _ => {}
                }
            }
        }
    }

    /// Sends one request.
    fn send(&mut self, kind: u16, flags: u16, payload: &[u8]) -> Result<(), CallFailure> {
        self.sequence = self.sequence.wrapping_add(1);
        let length = u32::try_from(HEADER + payload.len()).map_err(|_| Errno::MSGSIZE)?;
        let mut message = Vec::with_capacity(HEADER + payload.len());
        message.extend_from_slice(&length.to_ne_bytes());
        message.extend_from_slice(&kind.to_ne_bytes());
        message.extend_from_slice(&flags.to_ne_bytes());
        message.extend_from_slice(&self.sequence.to_ne_bytes());
        message.extend_from_slice(&[0; 4]);
        message.extend_from_slice(payload);
        self.inner.send(&message, 0)?;
        Ok(())
    }

    /// Receives until the answer to the last request is complete. Answers to earlier ones, which were given up, are
    /// passed over.
    fn receive(&mut self) -> Result<Round, CallFailure> {
        let mut messages = Vec::new();
        let mut interrupted = false;
        loop {
            let length = self.receive_datagram()?;
            let mut rest = &self.buffer[..length];
            while let Some((header, body)) = split(rest) {
                rest = rest.get(align(HEADER + body.len())..).unwrap_or_default();
                if header.sequence != self.sequence {
                    continue;
                }
                interrupted |= header.flags & DUMP_INTR != 0;
                match header.kind {
                    MSG_NOOP => {}
                    MSG_ERROR | MSG_DONE => {
                        outcome(&header, body)?;
                        return Ok(if interrupted { Round::Interrupted } else { Round::Complete(messages) });
                    }
                    kind => messages.push((kind, body.to_vec())),
                }
            }
        }
    }

    /// Receives one datagram into the buffer.
    fn receive_datagram(&mut self) -> Result<usize, CallFailure> {
        loop {
            match rustix::net::recv(&self.inner, &mut self.buffer[..], RecvFlags::TRUNC) {
                Ok((_, length)) if length > self.buffer.len() => return Err(Errno::MSGSIZE.into()),
                Ok((_, length)) => return Ok(length),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    return Err(CallFailure {
                        error: Errno::TIMEDOUT.into(),
                        message: Some(format!("the kernel did not answer within {} s", PATIENCE.as_secs())),
                    });
                }
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}

/// The header of a message.
pub(crate) struct MessageHeader {
    /// What the message is.
    pub(crate) kind: u16,
    /// `NLM_F_*`.
    pub(crate) flags: u16,
    sequence: u32,
    /// The socket that asked for what is told; 0: none, or the kernel does not say.
    pub(crate) port: u32,
}

/// The first message in a buffer.
pub(crate) fn split(buffer: &[u8]) -> Option<(MessageHeader, &[u8])> {
    let length = usize::try_from(u32::from_ne_bytes(*buffer.first_chunk()?)).ok()?;
    let header = buffer.first_chunk::<HEADER>()?;
    let body = buffer.get(HEADER..length)?;
    let kind = u16::from_ne_bytes([header[4], header[5]]);
    let flags = u16::from_ne_bytes([header[6], header[7]]);
    let sequence = u32::from_ne_bytes([header[8], header[9], header[10], header[11]]);
    let port = u32::from_ne_bytes([header[12], header[13], header[14], header[15]]);
    Some((MessageHeader { kind, flags, sequence, port }, body))
}

/// What an error message or the end of a dump says: zero is success.
fn outcome(header: &MessageHeader, body: &[u8]) -> Result<(), CallFailure> {
    let code = body.first_chunk().copied().map_or(0, i32::from_ne_bytes);
    if code == 0 {
        return Ok(());
    }
    let message = (header.flags & ACK_TLVS != 0).then(|| reason(header, body)).flatten();
    Err(CallFailure { error: io::Error::from_raw_os_error(code.saturating_neg()), message })
}

/// The kernel's reason: it follows the error number and as much of the request as is repeated.
fn reason(header: &MessageHeader, body: &[u8]) -> Option<String> {
    let attributes = if header.kind == MSG_DONE {
        Attributes::after(body, 4)
    } else if header.flags & CAPPED != 0 {
        Attributes::after(body, 4 + HEADER)
    } else {
        let repeated = usize::try_from(u32::from_ne_bytes(*body.get(4..)?.first_chunk()?)).ok()?;
        Attributes::after(body, 4 + repeated)
    };
    attributes.string(ATTR_MSG)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::tlv::Builder;

    #[test]
    fn the_kernels_reason_is_found_behind_a_capped_and_a_whole_request() {
        let mut capped = (-22_i32).to_ne_bytes().to_vec();
        capped.extend_from_slice(&[0; HEADER]);
        let capped = Builder::new(&capped).push_str(ATTR_MSG, "why").finish();
        let header = MessageHeader { kind: MSG_ERROR, flags: ACK_TLVS | CAPPED, sequence: 1, port: 0 };
        let failure = outcome(&header, &capped).unwrap_err();
        assert_eq!(failure.message.as_deref(), Some("why"));
        assert!(failure.is(&[Errno::INVAL]));

        let mut whole = (-1_i32).to_ne_bytes().to_vec();
        whole.extend_from_slice(&24_u32.to_ne_bytes());
        whole.extend_from_slice(&[0; 20]);
        let whole = Builder::new(&whole).push_str(ATTR_MSG, "that").finish();
        let failure = outcome(&MessageHeader { flags: ACK_TLVS, ..header }, &whole).unwrap_err();
        assert_eq!(failure.message.as_deref(), Some("that"));
    }

    #[test]
    fn zero_is_an_acknowledgement() {
        assert!(outcome(&MessageHeader { kind: MSG_ERROR, flags: 0, sequence: 1, port: 0 }, &[0; 4]).is_ok());
    }

    #[test]
    fn a_truncated_message_is_none() {
        assert!(split(&[20, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).is_none());
    }
}
