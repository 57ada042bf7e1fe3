//! What scripts read: `show` and `monitor`.
#![allow(clippy::unwrap_used, reason = "tests end at the first surprise")]

use std::{fs, path::Path};

use aggctl_tests::{Case, Lab, Show, cases, matrix::SOON, processes::kill, wait_for};
use serde_json::Value;

/// Whether a value is of a kind.
type Kind = fn(&Value) -> bool;

/// The fields of an aggregate.
const AGGREGATE: &[(&str, Kind)] = &[
    ("schema", |value| value == 1),
    ("name", |value| value == "agg0"),
    ("mode", |value| value == "active-backup"),
    ("wiring", |value| value == "shared"),
    ("hash", |value| value.is_string() || value.is_null()),
    ("mac", Value::is_string),
    ("mtu", |value| value == 1500),
    ("carrier", |value| value == true),
    ("present", |value| value == true),
    ("admin_up", |value| value == true),
    ("last_change", Value::is_string),
    ("last_change_ms", Value::is_u64),
    ("defects", |value| value.as_array().is_some_and(Vec::is_empty)),
    ("repairs", Value::is_array),
    ("active_port", |value| value == "eth0"),
    ("failover_path", |value| ["kernel", "poll"].contains(&value.as_str().unwrap_or_default())),
    ("controller", |value| value["running"] == true && value["pid"].is_u64()),
    ("ports", Value::is_array),
];

/// The fields of a port.
const PORT: &[(&str, Kind)] = &[
    ("name", |value| value == "eth0" || value == "eth1"),
    ("ifindex", Value::is_u64),
    ("present", |value| value == true),
    ("admin_up", |value| value == true),
    ("last_change", Value::is_string),
    ("last_change_ms", Value::is_u64),
    ("link", |value| value == "up"),
    ("usable", |value| value == true),
    ("state", |value| value == "active" || value == "standby"),
    ("priority", |value| value == 0),
    ("weight", |value| value.is_u64() || value.is_null()),
    ("speed_mbps", |value| value.is_u64() || value.is_null()),
    ("duplex", |value| value == "full" || value == "half" || value.is_null()),
    ("mac", Value::is_string),
    ("permanent_mac", |value| value.is_string() || value.is_null()),
    ("link_failures", |value| value == 0),
    ("why", |value| value.as_str().is_some_and(|why| !why.is_empty())),
    ("tx_packets", Value::is_u64),
    ("tx_bytes", Value::is_u64),
    ("rx_packets", Value::is_u64),
    ("rx_bytes", Value::is_u64),
    ("rx_dropped", Value::is_u64),
    ("foreign", Value::is_array),
];

cases!(show_has_the_fields_that_are_promised: VETH_TCX, TAP_CLSACT);
fn show_has_the_fields_that_are_promised(case: Case) {
    let lab = Lab::two_ports(case);
    assert_eq!(lab.host.aggctl("show --json").ok().trim(), "[]");
    lab.attach("");
    lab.host.wait_for_show("agg0", "eth1 waits", |show| show.state("eth1") == "standby");
    let show = lab.host.show("agg0").0;
    expect_fields(&show, AGGREGATE);
    for port in show["ports"].as_array().unwrap() {
        expect_fields(port, PORT);
        let link = lab.host.link(port["name"].as_str().unwrap());
        assert_eq!((&port["ifindex"], &port["mac"]), (&link["ifindex"], &link["address"]));
    }
    let all: Value = serde_json::from_str(&lab.host.aggctl("show --json").ok()).unwrap();
    assert_eq!(all[0]["name"], "agg0");
    assert_eq!(all.as_array().unwrap().len(), 1);

    let text = lab.host.aggctl("show agg0").ok();
    for part in ["agg0", "eth0", "eth1", "active", "standby"] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    assert!(!text.contains('\u{1b}'), "no colour but on a terminal:\n{text}");
}

cases!(show_says_what_is_and_not_what_was: VETH_TCX, TAP_CLSACT, DIRECT_VETH_TCX);
fn show_says_what_is_and_not_what_was(case: Case) {
    let lab = Lab::two_ports(case);
    lab.attach("");
    let show = lab.host.wait_for_show("agg0", "eth1 waits", |show| show.state("eth1") == "standby");
    let changed = |show: &Show, port: &str| show.counter(port, "last_change_ms");
    let first = show.clone();
    let text = || lab.host.aggctl("show agg0").ok();
    for part in ["tx packets", "tx bytes", "rx packets", "rx bytes", "last change"] {
        assert!(text().contains(part), "{part} in\n{}", text());
    }
    let own = show.port("eth1")["permanent_mac"].as_str().unwrap();
    assert_ne!(show.port("eth1")["mac"], own);
    assert!(text().contains(own), "{own} in\n{}", text());

    lab.host.ip("link set agg0 down");
    let show = lab.host.show("agg0");
    assert_eq!((show.carrier(), &show.0["admin_up"], &show.0["present"]), (false, &false.into(), &true.into()));
    assert!(text().contains("administratively DOWN") && !text().contains("carries the traffic"), "{}", text());
    lab.host.ip("link set agg0 up");
    lab.host.wait_for_show("agg0", "carrier", Show::carrier);

    lab.host.ip("link set eth1 down");
    let show = lab.host.wait_for_show("agg0", "eth1 is disabled", |show| show.state("eth1") == "disabled");
    let port = show.port("eth1");
    assert_eq!((&port["admin_up"], &port["link"], &port["usable"]), (&false.into(), &"down".into(), &false.into()));
    let show = lab.host.wait_for_show("agg0", "a new time", |show| changed(show, "eth1") > changed(&first, "eth1"));
    assert_eq!(changed(&show, "eth0"), changed(&first, "eth0"), "nothing happened to eth0");
    lab.host.ip("link set eth1 up");
    let show = lab.host.wait_for_show("agg0", "eth1 waits", |show| show.state("eth1") == "standby");

    // Times outlive a controller; without one it is said what the kernel says.
    let controller = lab.host.wait_for_controller("agg0");
    kill(controller.guardian);
    kill(controller.pid);
    controller.expect_gone();
    assert_eq!(changed(&lab.host.show("agg0"), "eth1"), changed(&show, "eth1"));
    lab.cut("eth0");
    let show = lab.host.wait_for_show("agg0", "eth0 is down", |show| show.port("eth0")["link"] == "down");
    assert_eq!((show.state("eth0"), &show.port("eth0")["usable"]), ("down", &false.into()));
    assert!(!text().contains("carries the traffic"), "{}", text());
    lab.host.ip("link del eth1");
    let show = lab.host.show("agg0");
    let port = show.port("eth1");
    assert_eq!((show.carrier(), &port["present"], &port["admin_up"]), (false, &false.into(), &Value::Null));
    assert_eq!(show.state("eth1"), "down");
    lab.host.ip("link del agg0");
    let show = lab.host.show("agg0");
    assert_eq!((show.carrier(), &show.0["present"], &show.0["admin_up"]), (false, &false.into(), &Value::Null));
    assert!(text().contains("GONE") && !text().contains("carries the traffic"), "{}", text());
}

cases!(monitor_tells_what_happens: VETH_TCX, TAP_CLSACT);
fn monitor_tells_what_happens(case: Case) {
    let lab = Lab::two_ports(case);
    lab.attach("");
    let files = tempfile::tempdir().unwrap();
    let (json, text) = (files.path().join("json"), files.path().join("text"));
    let _monitors =
        [lab.host.aggctl_in_background("monitor agg0 --json", &json), lab.host.aggctl_in_background("monitor", &text)];
    // Nobody is told what happened before: until both listen, ports change.
    wait_for("both listening", SOON, || {
        for port in ["eth1", "eth0"] {
            lab.host.aggctl(&format!("set agg0 active-port={port}")).ok();
        }
        !read(&json).is_empty() && !read(&text).is_empty()
    });
    let (old_json, old_text) = (read(&json).len(), read(&text).len());
    lab.cut("eth0");
    let new = |path: &Path, old: usize| read(path)[old..].to_owned();
    wait_for("the failover in both", SOON, || {
        [new(&json, old_json), new(&text, old_text)].iter().all(|events| {
            events.lines().any(|line| line.contains("eth0") && line.contains("down"))
                && events.lines().any(|line| line.contains("eth1") && line.contains("active"))
        })
    });
    for line in read(&json).lines() {
        let event: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(event.is_object(), "{line}");
    }
}

/// What a monitor has printed, up to its last whole line.
fn read(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.rfind('\n').map_or_else(String::new, |end| text[..=end].to_owned())
}

#[track_caller]
fn expect_fields(value: &Value, fields: &[(&str, Kind)]) {
    for (field, kind) in fields {
        assert!(value.get(field).is_some_and(kind), "field {field} of {value:#}");
    }
}
