//! What an interface sent and received.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use etherparse::{ArpPacketSlice, NetSlice, SlicedPacket};

use crate::{
    Namespace,
    sys::{Captured, PacketSocket},
};

/// `ETH_P_ALL`: frames of every protocol, those that are sent included.
const ALL: u16 = 0x0003;
/// ICMPv6.
const ICMP6: u8 = 58;
/// Neighbour advertisement (RFC 4861, 4.4).
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;

/// A capture on one interface, from when it is started until it is dropped.
#[derive(Debug)]
pub struct Capture {
    reader: Arc<Mutex<Reader>>,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// What reads the socket, by whoever holds it: a thread, so that the socket's buffer does not overflow, and everybody
/// who asks, so that the answer has all that arrived before the question.
struct Reader {
    socket: Arc<PacketSocket>,
    filter: Box<dyn Fn(&Captured) -> bool + Send>,
    frames: Vec<Captured>,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Reader").field("frames", &self.frames).finish_non_exhaustive()
    }
}

impl Reader {
    /// Takes all that the socket has by now.
    fn drain(&mut self) {
        while let Ok(Some(captured)) = self.socket.receive(Duration::ZERO) {
            if (self.filter)(&captured) {
                self.frames.push(captured);
            }
        }
    }
}

impl Capture {
    /// Keeps the frames of an interface that `filter` wants.
    pub fn start(namespace: &Namespace, interface: &str, filter: impl Fn(&Captured) -> bool + Send + 'static) -> Self {
        Self::of(namespace, interface, ALL, filter)
    }

    /// As [`Capture::start`], by a socket that receives frames of one EtherType only.
    pub fn of(
        namespace: &Namespace,
        interface: &str,
        protocol: u16,
        filter: impl Fn(&Captured) -> bool + Send + 'static,
    ) -> Self {
        let socket = Arc::new(namespace.enter(|| PacketSocket::open(interface, protocol)).unwrap());
        let reader = Reader { socket: Arc::clone(&socket), filter: Box::new(filter), frames: Vec::new() };
        let reader = Arc::new(Mutex::new(reader));
        let ended = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let (reader, ended) = (Arc::clone(&reader), Arc::clone(&ended));
            move || {
                while !ended.load(Ordering::Acquire) {
                    if socket.waits(Duration::from_millis(50)).unwrap_or(false) {
                        reader.lock().unwrap().drain();
                    }
                }
            }
        });
        Self { reader, ended, thread: Some(thread) }
    }

    /// What the thread reads, with all that has arrived by now.
    fn reader(&self) -> MutexGuard<'_, Reader> {
        let mut reader = self.reader.lock().unwrap();
        reader.drain();
        reader
    }

    /// The frames so far.
    pub fn frames(&self) -> Vec<Captured> {
        self.reader().frames.clone()
    }

    /// How many of the frames so far are such.
    pub fn count(&self, such: impl Fn(&Captured) -> bool) -> usize {
        self.reader().frames.iter().filter(|captured| such(captured)).count()
    }

    /// Forgets the frames so far.
    pub fn clear(&self) {
        self.reader().frames.clear();
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The address that a frame announces: a gratuitous ARP (sender and target the same) to everybody, or a neighbour
/// advertisement to all nodes that nobody asked for and that overrides.
pub fn announced(frame: &[u8]) -> Option<IpAddr> {
    let sliced = SlicedPacket::from_ethernet(frame).ok()?;
    match sliced.net? {
        NetSlice::Arp(arp) => {
            let sender: [u8; 4] = arp.sender_protocol_addr().try_into().ok()?;
            (frame.starts_with(&[0xff; 6]) && arp.target_protocol_addr() == sender)
                .then(|| Ipv4Addr::from(sender).into())
        }
        NetSlice::Ipv6(ip) => {
            let all_nodes = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
            let message = ip.payload().payload;
            let (solicited, overrides) = (message.get(4)? & 0x40 != 0, message[4] & 0x20 != 0);
            let advertisement = ip.payload().ip_number.0 == ICMP6
                && message[0] == NEIGHBOUR_ADVERTISEMENT
                && ip.header().destination_addr() == all_nodes
                && ip.header().hop_limit() == 255;
            let target: [u8; 16] = message.get(8..24)?.try_into().ok()?;
            (advertisement && !solicited && overrides).then(|| Ipv6Addr::from(target).into())
        }
        NetSlice::Ipv4(_) => None,
    }
}

/// The MAC that a learning frame teaches the switches: a reverse ARP request to everybody (operation 3), from that MAC
/// and about it.
pub fn taught(frame: &[u8]) -> Option<[u8; 6]> {
    /// EtherType of reverse ARP.
    const RARP: u16 = 0x8035;

    let sliced = SlicedPacket::from_ethernet(frame).ok()?;
    let payload = sliced.ether_payload().filter(|payload| payload.ether_type.0 == RARP)?;
    let arp = ArpPacketSlice::from_slice(payload.payload).ok()?;
    let mac: [u8; 6] = frame.get(6..12)?.try_into().ok()?;
    let about_itself = arp.sender_hw_addr() == mac && arp.target_hw_addr() == mac;
    (frame.starts_with(&[0xff; 6]) && arp.operation().0 == 3 && about_itself).then_some(mac)
}

/// The VLANs that a frame is tagged with, from the outside in.
pub fn vlans(frame: &[u8]) -> Vec<u16> {
    let sliced = SlicedPacket::from_ethernet(frame);
    sliced.map(|sliced| sliced.vlan_ids().iter().map(|vlan| vlan.value()).collect()).unwrap_or_default()
}

/// Whether a frame is an IPv4 or IPv6 echo request or answer.
pub fn is_ping(captured: &Captured) -> bool {
    match SlicedPacket::from_ethernet(&captured.bytes).ok().and_then(|packet| packet.net) {
        Some(NetSlice::Ipv4(ip)) => {
            ip.payload().ip_number.0 == 1 && matches!(ip.payload().payload.first(), Some(0 | 8))
        }
        Some(NetSlice::Ipv6(ip)) => {
            ip.payload().ip_number.0 == ICMP6 && matches!(ip.payload().payload.first(), Some(128 | 129))
        }
        _ => false,
    }
}
