use super::*;

fn read(text: &str) -> Result<String, String> {
    text.parse::<HashPolicy>().map(|policy| policy.to_string()).map_err(|error| error.to_string())
}

#[test]
fn a_list_is_written_in_one_order() {
    for (text, written) in [
        ("dport,sport,dst-ip,src-ip", "src-ip,dst-ip,sport,dport"),
        ("vlan", "vlan"),
        ("proto,src_mac", "src-mac,proto"),
        ("src-ip/24,dst-ip/48", "src-ip/24,dst-ip/48"),
        ("src-ip/24/56", "src-ip/24/56"),
        ("src-ip/32/128", "src-ip"),
        ("src-ip/32/29", "src-ip/32/29"),
        ("symmetric,l3,l4", "src-ip,dst-ip,sport,dport,symmetric"),
        ("l3/24,symmetric", "src-ip/24,dst-ip/24,symmetric"),
        ("eth,ipv4,ipv6", "src-mac,dst-mac,src-ip,dst-ip"),
        ("eth,vlan,ip,tcp,udp,sctp", "src-mac,dst-mac,vlan,src-ip,dst-ip,sport,dport"),
        ("layer3+4", "layer3+4"),
        ("1", "layer3+4"),
    ] {
        assert_eq!(read(text).as_deref(), Ok(written), "{text}");
        assert_eq!(read(written).as_deref(), Ok(written));
    }
}

#[test]
fn all_fields_together_and_each_alone_are_a_policy() {
    for field in Field::ALL {
        assert_eq!(read(field.name()).as_deref(), Ok(field.name()));
    }
    let all = Field::ALL.map(Field::name).join(",");
    assert_eq!(read(&all).unwrap(), all);
}

#[test]
fn what_is_no_policy_is_refused() {
    for (text, part) in [
        ("colour", "'colour' is no hash policy (layer2, layer2+3, layer3+4) and no field (src-mac, "),
        ("src-ip,layer3+4", "'layer3+4'"),
        ("src-ip,,dst-ip", "''"),
        ("symmetric", "needs a field"),
        ("src-ip/0", "'src-ip/0' does not say"),
        ("src-ip/33/40", "'src-ip/33/40'"),
        ("src-ip/24/129", "'src-ip/24/129'"),
        ("src-ip/x", "'src-ip/x'"),
        ("sport/8", "'sport/8'"),
        ("src-ip,symmetric", "needs src-ip and dst-ip alike"),
        ("dport,symmetric", "needs dport and sport alike"),
        ("src-ip/24,dst-ip,symmetric", "needs src-ip and dst-ip alike"),
        ("spi,symmetric", "spi may differ"),
    ] {
        let error = read(text).unwrap_err();
        assert!(error.contains(part), "{text}: {error}");
    }
}

#[test]
fn a_driver_is_told_the_policy_that_comes_nearest() {
    for (text, nearest) in [
        ("layer2+3", Policy::Layer23),
        ("src-ip,dport", Policy::Layer34),
        ("skb-hash", Policy::Layer34),
        ("dst-ip,src-mac", Policy::Layer23),
        ("vlan", Policy::Layer2),
    ] {
        assert_eq!(text.parse::<HashPolicy>().unwrap().nearest(), nearest, "{text}");
    }
}
