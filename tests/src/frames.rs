//! Frames made by hand.

/// An EtherType for local experiments (IEEE 802, 9.2.3): nobody answers, nobody is confused.
pub const LOCAL: u16 = 0x88b5;
/// The source of frames made by hand.
pub const STRANGER: [u8; 6] = [0x02, 0xde, 0xad, 0xbe, 0xef, 0x01];

/// A frame whose payload is `text`, padded to Ethernet's least.
pub fn frame(destination: [u8; 6], protocol: u16, text: &str) -> Vec<u8> {
    let mut frame = [&destination[..], &STRANGER, &protocol.to_be_bytes(), text.as_bytes()].concat();
    frame.resize(frame.len().max(60), 0);
    frame
}

/// [`frame`] in a VLAN, tagged in the frame.
pub fn tagged(destination: [u8; 6], vlan: u16, text: &str) -> Vec<u8> {
    let mut frame = frame(destination, LOCAL, text);
    let [high, low] = vlan.to_be_bytes();
    frame.splice(12..12, [0x81, 0x00, high, low]);
    frame
}

/// A link-local control address, 01:80:c2:00:00:0x (IEEE 802.1Q, table 8-1).
pub fn control(last: u8) -> [u8; 6] {
    [0x01, 0x80, 0xc2, 0x00, 0x00, last]
}

/// Reads six hexadecimal octets separated by colons.
pub fn mac(text: &str) -> [u8; 6] {
    let octets: Vec<u8> = text.split(':').map(|octet| u8::from_str_radix(octet, 16).unwrap()).collect();
    octets.try_into().unwrap()
}
