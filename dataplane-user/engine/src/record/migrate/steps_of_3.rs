//! The steps of version 3: a flat list in which each step had its opposite, or said what was in a field `was`.

use serde_json::{Map, Value, json};

/// The step in its present layout; `None` if version 3 had no such step, which is found when the record is read.
pub(super) fn by_layer(old: &Map<String, Value>) -> Option<Value> {
    let field = |name: &str| old.get(name).cloned().unwrap_or_default();
    let change = |to: &str| json!({"from": field("was"), "to": field(to)});
    let present = |to: bool| json!({"from": !to, "to": to});
    let set = |setting: Value| json!({"link": {"set": {"link": field("link"), "setting": setting}}});
    let pair = |to| {
        let settings = ["device", "name", "hidden", "mac", "mtu", "gso_max_size", "gso_max_segs"];
        let settings = settings.into_iter().map(|name| (name.to_owned(), field(name))).collect::<Map<_, _>>();
        json!({"link": {"pair": {"pair": settings, "present": present(to)}}})
    };
    let address = |to| {
        let (link, address) = (field("link"), field("address"));
        json!({"layer3": {"address": {"link": link, "address": address, "present": present(to)}}})
    };
    let route = |to| {
        let (link, route, described_on, first) = (field("to"), field("route"), field("from"), field("first"));
        json!({"layer3": {"route": {
            "link": link, "route": route, "described_on": described_on, "first": first, "present": present(to),
        }}})
    };
    let neighbour = |to| {
        let (link, neighbour) = (field("link"), field("neighbour"));
        json!({"layer3": {"neighbour": {"link": link, "neighbour": neighbour, "present": present(to)}}})
    };
    let tx =
        |to| json!({"program": {"tx": {"device": field("device"), "hook": field("hook"), "attached": present(to)}}});
    let relay = |to| json!({"program": {"relay": {"hook": field("hook"), "attached": present(to)}}});
    let rx = |to| json!({"program": {"rx": {"link": field("link"), "hook": field("hook"), "attached": present(to)}}});
    Some(match old.get("step")?.as_str()? {
        "create_namespace" => json!({"link": {"namespace": {"present": present(true)}}}),
        "delete_namespace" => json!({"link": {"namespace": {"present": present(false)}}}),
        "create_pair" => pair(true),
        "delete_pair" => pair(false),
        "set_admin" => set(json!({"admin": change("up")})),
        "set_mac" => set(json!({"mac": change("mac")})),
        "set_mtu" => set(json!({"mtu": change("mtu")})),
        "set_promisc" => set(json!({"promisc": change("on")})),
        "set_allmulti" => set(json!({"allmulti": change("on")})),
        "set_addr_gen_mode" => set(json!({"addr_gen_mode": change("mode")})),
        "set_sysctl" => set(json!({"sysctl": {"key": field("key"), "value": change("value")}})),
        "set_feature" => set(json!({"feature": {"name": field("feature"), "on": change("on")}})),
        "add_address" => address(true),
        "delete_address" => address(false),
        "add_route" => route(true),
        "delete_route" => route(false),
        "move_nexthop" => json!({"layer3": {"nexthop": {"nexthop": field("nexthop"), "link": change("to")}}}),
        "add_neighbour" => neighbour(true),
        "delete_neighbour" => neighbour(false),
        "create_maps" => json!({"program": {"maps": {"present": present(true)}}}),
        "delete_maps" => json!({"program": {"maps": {"present": present(false)}}}),
        "attach_tx" => tx(true),
        "detach_tx" => tx(false),
        "attach_relay" => relay(true),
        "detach_relay" => relay(false),
        "attach_rx" => rx(true),
        "detach_rx" => rx(false),
        "select" => json!({"one_way": {"select": {"link": field("link")}}}),
        "announce" => json!({"one_way": {"announce": {"link": field("link")}}}),
        _ => return None,
    })
}
