//! What others put on a port is named while it is there: a network manager's address, an admin's bridge.
#![allow(clippy::unwrap_used, reason = "tests end at the first surprise")]

use std::{fs, path::Path};

use aggctl_tests::{Case, Lab, Namespace, cases, matrix::SOON, processes::kill, wait_for};
use serde_json::{Value, json};

/// What `show` says that others put on a port.
fn foreign(host: &Namespace, port: &str) -> Value {
    host.show("agg0").port(port)["foreign"].clone()
}

/// The events of others' doings that a monitor has told, each as port, event and what.
fn events(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let whole = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let about = whole.filter(|event| event["event"].as_str().unwrap().starts_with("foreign"));
    about
        .map(|event| {
            let word = |key: &str| event[key].as_str().unwrap().to_owned();
            format!("{} {}: {} {}", word("port"), word("event"), word("kind"), word("what"))
        })
        .collect()
}

cases!(what_others_put_on_a_port_is_named_until_it_is_gone: VETH_TCX, DIRECT_VETH_CLSACT);
fn what_others_put_on_a_port_is_named_until_it_is_gone(case: Case) {
    let lab = Lab::two_ports(case);
    let host = &lab.host;
    lab.attach("");
    // For a second after an attach what comes to a port moves on; one that adopts does not move it.
    let first = host.wait_for_controller("agg0").pid;
    kill(first);
    wait_for("another controller", SOON, || host.wait_for_controller("agg0").pid != first);
    for port in ["eth0", "eth1"] {
        assert_eq!(foreign(host, port), json!([]));
    }
    let files = tempfile::tempdir().unwrap();
    let told = files.path().join("events");
    let _monitor = host.aggctl_in_background("monitor agg0 --json", &told);
    wait_for("a monitor that listens", SOON, || {
        for port in ["eth1", "eth0"] {
            host.aggctl(&format!("set agg0 active-port={port}")).ok();
        }
        fs::metadata(&told).is_ok_and(|file| file.len() > 0)
    });

    host.ip("addr add 10.7.0.2/24 dev eth0");
    host.ip("route add default via 10.7.0.254 dev eth0 metric 77");
    host.ip("route add 10.8.0.0/16 dev eth0 table 8");
    host.ip("link add br7 type bridge");
    host.ip("link set eth1 master br7");
    // What the kernel makes by itself is nobody's.
    host.set_sysctl("net/ipv6/conf/eth0/disable_ipv6", "0");
    host.ip("link set eth0 addrgenmode eui64");
    let on_eth0 = json!([
        {"kind": "address", "what": "10.7.0.2/24"},
        {"kind": "route", "what": "10.8.0.0/16 table 8"},
        {"kind": "route", "what": "default via 10.7.0.254"},
    ]);
    assert_eq!(foreign(host, "eth0"), on_eth0);
    assert_eq!(foreign(host, "eth1"), json!([{"kind": "master", "what": "br7"}]));
    let text = host.aggctl("show agg0").ok();
    assert!(text.contains("on eth0: address 10.7.0.2/24, route 10.8.0.0/16 table 8"), "{text}");
    assert!(text.contains("on eth1: master br7"), "{text}");
    let mut wanted = vec![
        "eth0 foreign: address 10.7.0.2/24",
        "eth0 foreign: route 10.8.0.0/16 table 8",
        "eth0 foreign: route default via 10.7.0.254",
        "eth1 foreign: master br7",
    ];
    let sorted = || {
        let mut events = events(&told);
        events.sort();
        events
    };
    wait_for("events of all", SOON, || sorted() == wanted);

    host.ip("link set eth1 nomaster");
    // The kernel takes its routes along.
    host.ip("addr del 10.7.0.2/24 dev eth0");
    for port in ["eth0", "eth1"] {
        assert_eq!(foreign(host, port), json!([]));
    }
    let gone = wanted.iter().map(|event| event.replace(" foreign:", " foreign_gone:")).collect::<Vec<_>>();
    wanted.extend(gone.iter().map(String::as_str));
    wanted.sort_unstable();
    wait_for("events of their end", SOON, || sorted() == wanted);
    let log = fs::read_to_string(Path::new("/run/aggctl").join(host.cookie().to_string()).join("agg0/log")).unwrap();
    assert_eq!(log.matches("somebody else put this on a port").count(), 4, "{log}");

    // Also without a controller.
    let controller = host.wait_for_controller("agg0");
    kill(controller.guardian);
    kill(controller.pid);
    controller.expect_gone();
    host.ip("addr add 10.7.0.3/24 dev eth1");
    assert_eq!(foreign(host, "eth1"), json!([{"kind": "address", "what": "10.7.0.3/24"}]));
}
