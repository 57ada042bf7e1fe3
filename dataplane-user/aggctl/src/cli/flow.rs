//! A flow, as `explain` is told of it.

use std::{
    fmt::Display,
    net::{IpAddr, Ipv4Addr},
    str::FromStr,
};

use aggctl_common::Mac;

use aggctl_engine::options::shorten;

/// A number or an address in the range of its type.
fn number<T: FromStr<Err: Display>>(what: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|error| format!("{what}={} is not in range ({error})", shorten(value)))
}

/// What was typed, between quotation marks.
fn quote(text: &str) -> String {
    format!("'{}'", shorten(text))
}

/// IPv4 and IPv6.
const ETHERTYPES: [[u8; 2]; 2] = [[0x08, 0x00], [0x86, 0xdd]];
/// Protocols that have names here (IANA's protocol numbers).
const PROTOCOLS: [(&str, u8); 9] = [
    ("icmp", 1),
    ("tcp", 6),
    ("udp", 17),
    ("dccp", 33),
    ("esp", 50),
    ("ah", 51),
    ("icmpv6", 58),
    ("sctp", 132),
    ("udplite", 136),
];

/// `src=…,dst=…,proto=…,sport=…,dport=…[,src-mac=…][,dst-mac=…][,vlan=…]…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowFields {
    /// Where it comes from.
    pub source: IpAddr,
    /// Where it goes.
    pub destination: IpAddr,
    /// Its protocol's number.
    pub protocol: u8,
    /// Its source port.
    pub source_port: u16,
    /// Its destination port.
    pub destination_port: u16,
    /// The MAC that it is sent with, if not the aggregate's.
    pub source_mac: Option<Mac>,
    /// The MAC that it is sent to, if known.
    pub destination_mac: Option<Mac>,
    /// The VLAN whose tag it has on the aggregate.
    pub vlan: Option<u16>,
    /// Its class of service, six bits.
    pub dscp: u8,
    /// Its flow label, if it is of IPv6: 20 bits.
    pub flow_label: u32,
    /// The kernel's mark.
    pub mark: u32,
    /// The number of its queue.
    pub queue: u32,
    /// The kernel's own hash of it.
    pub skb_hash: Option<u32>,
}

impl FromStr for FlowFields {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (mut source, mut destination) = (None, None);
        let mut flow = Self {
            source: Ipv4Addr::UNSPECIFIED.into(),
            destination: Ipv4Addr::UNSPECIFIED.into(),
            protocol: 0,
            source_port: 0,
            destination_port: 0,
            source_mac: None,
            destination_mac: None,
            vlan: None,
            dscp: 0,
            flow_label: 0,
            mark: 0,
            queue: 0,
            skb_hash: None,
        };
        for part in text.split(',') {
            let (key, value) =
                part.split_once('=').ok_or_else(|| format!("{} is not of the form KEY=VALUE", quote(part)))?;
            match key {
                "src" => source = Some(number("src", value)?),
                "dst" => destination = Some(number("dst", value)?),
                "proto" => flow.protocol = protocol(value)?,
                "sport" => flow.source_port = number("sport", value)?,
                "dport" => flow.destination_port = number("dport", value)?,
                "src-mac" => flow.source_mac = Some(number("src-mac", value)?),
                "dst-mac" => flow.destination_mac = Some(number("dst-mac", value)?),
                "vlan" => flow.vlan = Some(vlan(value)?),
                "dscp" => flow.dscp = below(64, "dscp", value)?,
                "flow-label" => flow.flow_label = below(1 << 20, "flow-label", value)?,
                "mark" => flow.mark = number("mark", value)?,
                "queue" => flow.queue = number("queue", value)?,
                "skb-hash" => flow.skb_hash = Some(number("skb-hash", value)?),
                _ => {
                    return Err(format!(
                        "{} says nothing of a flow (src, dst, proto, sport, dport, src-mac, dst-mac, vlan, dscp, \
                         flow-label, mark, queue, skb-hash)",
                        quote(key)
                    ));
                }
            }
        }
        flow.source = source.ok_or("a flow needs src=ADDRESS")?;
        flow.destination = destination.ok_or("a flow needs dst=ADDRESS")?;
        if flow.source.is_ipv4() != flow.destination.is_ipv4() {
            return Err(format!("{} and {} are of two kinds", flow.source, flow.destination));
        }
        Ok(flow)
    }
}

fn protocol(value: &str) -> Result<u8, String> {
    match PROTOCOLS.iter().find(|(name, _)| *name == value) {
        Some((_, number)) => Ok(*number),
        None => number("proto", value),
    }
}

/// A number that is less than this.
fn below<T: FromStr<Err: Display> + PartialOrd + Display>(limit: T, what: &str, value: &str) -> Result<T, String> {
    let number = number(what, value)?;
    if number < limit { Ok(number) } else { Err(format!("{what}={value} is out of range (below {limit})")) }
}

fn vlan(value: &str) -> Result<u16, String> {
    let vid = number("vlan", value)?;
    if (1..=4094).contains(&vid) { Ok(vid) } else { Err(format!("vlan={value} is out of range (1 to 4094)")) }
}

impl FlowFields {
    /// The beginning of its first frame as an aggregate with this MAC sends it, up to the ports. A VLAN's tag lies
    /// beside the frame, as the kernel keeps it.
    #[must_use]
    pub fn frame(&self, mac: Mac) -> Vec<u8> {
        let mut frame = Vec::new();
        frame.extend(self.destination_mac.unwrap_or_default().0);
        frame.extend(self.source_mac.unwrap_or(mac).0);
        frame.extend(ETHERTYPES[usize::from(self.source.is_ipv6())]);
        match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                frame.extend([0x45, self.dscp << 2, 0, 0, 0, 0, 0, 0, 64, self.protocol, 0, 0]);
                frame.extend(source.octets());
                frame.extend(destination.octets());
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                frame.extend((0x6000_0000 | u32::from(self.dscp) << 22 | self.flow_label).to_be_bytes());
                frame.extend([0, 0, self.protocol, 64]);
                frame.extend(source.octets());
                frame.extend(destination.octets());
            }
            // The parser lets no such flow through.
            _ => {}
        }
        if self.protocol == 51 {
            // An authentication header begins with four octets of other things.
            frame.extend([0; 4]);
        }
        frame.extend(self.source_port.to_be_bytes());
        frame.extend(self.destination_port.to_be_bytes());
        frame.extend([0; 4]);
        frame
    }
}

#[cfg(test)]
mod tests {
    use aggctl_common::hash::{Policy, hash};

    use super::*;

    const MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);

    #[test]
    fn a_flow_becomes_a_frame_that_is_hashed_like_it() {
        let flow: FlowFields = "src=10.0.0.1,dst=10.0.0.2,proto=udp,sport=1000,dport=2000".parse().unwrap();
        let other: FlowFields = "src=10.0.0.1,dst=10.0.0.2,proto=udp,sport=1000,dport=2002".parse().unwrap();
        let hashes = |policy| [&flow, &other].map(|flow| hash(policy, flow.frame(MAC).as_slice()).unwrap());
        let [one, two] = hashes(Policy::Layer34);
        assert_ne!(one, two);
        let [one, two] = hashes(Policy::Layer23);
        assert_eq!(one, two);
    }

    #[test]
    fn what_is_no_flow_is_refused() {
        for (text, part) in [
            ("dst=10.0.0.1", "needs src"),
            ("src=10.0.0.1,dst=fe80::1", "two kinds"),
            ("src=10.0.0.1,dst=10.0.0.2,proto=quux", "proto=quux"),
            ("src=10.0.0.1,dst=10.0.0.2,sport=70000", "sport=70000"),
            ("src=10.0.0.1,dst=10.0.0.2,vlan=4095", "out of range"),
            ("src=10.0.0.1,dst=10.0.0.2,dscp=64", "below 64"),
            ("src=10.0.0.1,dst=10.0.0.2,flow-label=1048576", "below 1048576"),
            ("src=10.0.0.1,dst=10.0.0.2,mark=-1", "mark=-1"),
            ("src=10.0.0.1,dst=10.0.0.2,colour=1", "colour"),
            ("src", "KEY=VALUE"),
        ] {
            assert!(text.parse::<FlowFields>().unwrap_err().contains(part), "{text}");
        }
    }
}
