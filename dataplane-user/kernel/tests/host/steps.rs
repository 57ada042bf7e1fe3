//! Announcing: real frames on a real wire.

use aggctl_engine::plan::Step;
use aggctl_kernel::packet::{PacketSender, SendError};

use crate::{
    support::{executor, in_namespace, index, ip, port},
    tap::Tap,
};

#[test]
fn an_announcement_tells_every_address() {
    in_namespace(|| {
        let mut tap = Tap::new("t0");
        ip("link set t0 addrgenmode none
            link set t0 up
            addr add 192.0.2.7/24 dev t0
            -6 addr add 2001:db8::7/64 nodad dev t0");
        executor().apply(&Step::Announce { link: port("t0") }).unwrap();
        let arp = tap.receive(|frame| frame[12..14] == [0x08, 0x06]);
        assert_eq!(arp[28..32], [192, 0, 2, 7]);
        assert_eq!(arp[..6], [0xff; 6]);
        let advertisement = tap.receive(|frame| frame[12..14] == [0x86, 0xdd] && frame[20] == 58 && frame[54] == 136);
        assert_eq!(advertisement[62..78], "2001:db8::7".parse::<std::net::Ipv6Addr>().unwrap().octets());
    });
}

#[test]
fn announcing_on_a_link_that_is_down_is_no_failure() {
    in_namespace(|| {
        ip("link add p0 type veth peer name q0
            addr add 192.0.2.7/24 dev p0");
        executor().apply(&Step::Announce { link: port("p0") }).unwrap();
        let sender = PacketSender::open().unwrap();
        assert!(matches!(sender.send(index("p0"), &[0xff; 60]), Err(SendError::Down(_))));
        let nobody = aggctl_common::IfIndex(9999);
        assert!(matches!(sender.send(nobody, &[0xff; 60]), Err(SendError::Gone(_))));
    });
}
