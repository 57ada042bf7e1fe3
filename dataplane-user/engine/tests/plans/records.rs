//! Records of older versions.

use std::{fs, path::Path};

use aggctl_common::{IfIndex, Mac, PortId};
use aggctl_engine::{
    aggregate::Memory,
    config::{Device, Hook},
    host::{NeighbourEntry, Nexthop},
    identity::Identity,
    plan::{Change, Layer3Step, LinkStep, OneWayStep, PairSettings, ProgramStep, Setting, Step, Subject},
    record::{self, Phase, RECORD_VERSION, Record},
};
use serde_json::{Value, json};

use crate::{model::v4, wire};

/// What binaries of earlier commits left in `/run/aggctl`, each in a directory that begins with the commit.
const KEPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/records");

/// The JSON in a directory of [`KEPT`].
fn kept(dir: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(dir.join("record.json")).unwrap()).unwrap()
}

/// The record that is made of an older one.
fn migrated(mut old: Value) -> Result<Record, serde_json::Error> {
    assert!(record::migrate(&mut old), "its version is known");
    serde_json::from_value(old)
}

/// Code calls it the peer; what is on disk has the name that it had before, so that binaries of either age read it.
#[test]
fn the_peer_is_called_hidden_in_a_record() {
    let record = migrated(kept(&Path::new(KEPT).join("631a00c-hash-direct-tcx"))).unwrap();
    let written = serde_json::to_value(&record).unwrap();
    assert_eq!((&written["hidden"], &written["hidden_index"]), (&json!("agg0-peer"), &json!(record.peer_index)));
    let pair = |entry: &&Value| !entry["step"]["link"]["pair"].is_null();
    let made = written["journal"].as_array().unwrap().iter().find(pair).unwrap();
    assert_eq!(made["step"]["link"]["pair"]["pair"]["hidden"], "agg0-peer");
    assert_eq!(json!(Subject::Peer), "hidden");
    assert_eq!(serde_json::from_value::<Record>(written).unwrap(), record);
}

#[test]
fn the_present_index_of_version_3_is_kept() {
    let mut old = kept(&Path::new(KEPT).join("631a00c-hash-direct-tcx"));
    let former = old["ports"][1]["before"]["index"].take();
    assert_ne!(former, 70);
    old["ports"][1]["before"]["index"] = 70.into();
    let ports = migrated(old).unwrap().ports;
    assert_eq!(ports[1].index, Some(IfIndex(70)));
    assert_eq!(ports[1].identity, Identity::of(&ports[1].before));
    assert_eq!(ports[1].identity.mac, Mac([2, 0, 0, 0, 0, 1]));
}

/// What version 3 wrote for a step, and what it is now.
fn steps_of_version_3() -> Vec<(Value, Step)> {
    let identity = Identity { permanent_mac: None, mac: Mac([2, 0, 0, 0, 0, 1]), kind: "veth".into() };
    let port = Subject::Port { id: PortId(1), index: IfIndex(3), name: "eth1".into(), identity };
    let p = json!({"port": {"id": 1, "index": 3, "name": "eth1"}});
    let address = wire::address(v4(10, 0, 0, 1), 24);
    let route = wire::route(IfIndex(3), Some((v4(10, 78, 0, 0), 24)), false, None, None);
    let neighbour = NeighbourEntry {
        link: IfIndex(3),
        address: v4(10, 0, 0, 9),
        mac: Some(Mac([2, 0, 0, 0, 0, 9])),
        state: 0x80,
        flags: 0,
    };
    let nexthop = Nexthop { id: 7, link: Some(IfIndex(3)), wire: vec![1, 2] };
    let set = |link: &Subject, setting: Setting| setting.of(link.clone());
    let mut rows = vec![
        (json!({"step": "set_admin", "link": p, "up": false, "was": true}), set(&port, Setting::Admin(Change::OFF))),
        (
            json!({"step": "set_mac", "link": p, "mac": "02:00:00:00:00:07", "was": "02:00:00:00:00:01"}),
            set(&port, Setting::Mac(Change { from: Mac([2, 0, 0, 0, 0, 1]), to: Mac([2, 0, 0, 0, 0, 7]) })),
        ),
        (
            json!({"step": "set_mtu", "link": p, "mtu": 1400, "was": 1500}),
            set(&port, Setting::Mtu(Change { from: 1500, to: 1400 })),
        ),
        (json!({"step": "set_promisc", "link": p, "on": true, "was": false}), set(&port, Setting::Promisc(Change::ON))),
        (
            json!({"step": "set_allmulti", "link": p, "on": true, "was": false}),
            set(&port, Setting::Allmulti(Change::ON)),
        ),
        (
            json!({"step": "set_addr_gen_mode", "link": "aggregate", "mode": 0, "was": 1}),
            set(&Subject::Aggregate, Setting::AddrGenMode(Change { from: 1, to: 0 })),
        ),
        (
            json!({"step": "set_sysctl", "link": "hidden", "key": "ipv4/rp_filter", "value": "2", "was": "1"}),
            set(
                &Subject::Peer,
                Setting::Sysctl { key: "ipv4/rp_filter".into(), value: Change { from: "1".into(), to: "2".into() } },
            ),
        ),
        (
            json!({"step": "set_feature", "link": p, "feature": "rx-lro", "on": false, "was": true}),
            set(&port, Setting::Feature { name: "rx-lro".into(), on: Change::OFF }),
        ),
        (
            json!({"step": "move_nexthop", "nexthop": nexthop, "to": "aggregate", "was": p}),
            Layer3Step::Nexthop { nexthop, link: Change { from: port.clone(), to: Subject::Aggregate } }.into(),
        ),
        (json!({"step": "select", "link": p}), OneWayStep::Select { link: port.clone() }.into()),
        (json!({"step": "announce", "link": p}), OneWayStep::Announce { link: port.clone() }.into()),
    ];
    // Those that had opposites: by the first word of each.
    let mut pair = |[made, removed]: [&str; 2], what: &str, fields: Value, step: Step| {
        for (word, step) in [(made, step.clone()), (removed, step.inverse().unwrap())] {
            let mut fields = fields.clone();
            fields["step"] = format!("{word}_{what}").into();
            rows.push((fields, step));
        }
    };
    let [create, add, attach] = [["create", "delete"], ["add", "delete"], ["attach", "detach"]];
    let (device, hook) = (Device::Veth, Hook::Clsact);
    let settings = PairSettings {
        device,
        name: "agg0".into(),
        peer: "agg0-peer".into(),
        mac: Mac([2, 0, 0, 0, 0, 1]),
        mtu: 1500,
        gso_max_size: 65_536,
        gso_max_segs: 65_535,
    };
    pair(create, "namespace", json!({}), LinkStep::Namespace { present: Change::ON }.into());
    pair(
        create,
        "pair",
        json!({"device": "veth", "name": "agg0", "hidden": "agg0-peer", "mac": "02:00:00:00:00:01", "mtu": 1500,
            "gso_max_size": 65_536, "gso_max_segs": 65_535}),
        LinkStep::Pair { pair: settings, present: Change::ON }.into(),
    );
    pair(
        add,
        "address",
        json!({"link": "aggregate", "address": address}),
        Layer3Step::add_address(&Subject::Aggregate, &address),
    );
    pair(
        add,
        "route",
        json!({"route": route, "from": 3, "to": "aggregate", "first": true}),
        Layer3Step::Route {
            link: Subject::Aggregate,
            route,
            described_on: IfIndex(3),
            first: true,
            present: Change::ON,
        }
        .into(),
    );
    pair(
        add,
        "neighbour",
        json!({"link": p, "neighbour": neighbour}),
        Layer3Step::Neighbour { link: port.clone(), neighbour, present: Change::ON }.into(),
    );
    pair(create, "maps", json!({}), ProgramStep::Maps { present: Change::ON }.into());
    pair(
        attach,
        "tx",
        json!({"device": "veth", "hook": "clsact"}),
        ProgramStep::Tx { device, hook, attached: Change::ON }.into(),
    );
    pair(attach, "relay", json!({"hook": "clsact"}), ProgramStep::Relay { hook, attached: Change::ON }.into());
    pair(
        attach,
        "rx",
        json!({"link": p, "hook": "clsact"}),
        ProgramStep::Rx { link: port, hook, attached: Change::ON }.into(),
    );
    rows
}

#[test]
fn every_step_of_version_3_has_its_layer_and_both_its_sides() {
    let (old_steps, steps): (Vec<_>, Vec<_>) = steps_of_version_3().into_iter().unzip();
    let mut old = kept(&Path::new(KEPT).join("631a00c-hash-direct-tcx"));
    old["journal"] = old_steps.into_iter().map(|step| json!({"step": step, "begun": true})).collect();
    let journal = migrated(old).unwrap().journal;
    assert_eq!(journal.into_iter().map(|entry| entry.step).collect::<Vec<_>>(), steps);
}

#[test]
fn a_step_that_version_3_did_not_have_is_no_step() {
    let mut old = kept(&Path::new(KEPT).join("631a00c-hash-direct-tcx"));
    old["journal"] = json!([{"step": {"step": "set_bogus", "link": "aggregate"}, "begun": true}]);
    assert!(migrated(old).is_err());
}

#[test]
fn other_versions_are_refused() {
    for version in [Value::Null, 2.into(), (RECORD_VERSION + 1).into(), "4".into()] {
        let mut value = Value::Object([("version".to_owned(), version)].into_iter().collect());
        assert!(!record::migrate(&mut value), "{value}");
    }
}

#[test]
fn records_of_all_earlier_versions_are_read() {
    let mut count = 0;
    for entry in fs::read_dir(KEPT).unwrap() {
        let dir = entry.unwrap().path();
        let former = kept(&dir);
        let record = migrated(former.clone()).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
        assert_eq!(record.version, RECORD_VERSION);
        assert_eq!(record.journal.len(), former["journal"].as_array().unwrap().len());
        for (port, former) in record.ports.iter().zip(former["ports"].as_array().unwrap()) {
            assert_eq!(port.config.name, former["config"]["name"].as_str().unwrap());
            assert_eq!(port.index.map(|index| index.0.into()), former["before"]["index"].as_u64());
            assert_eq!(port.identity.kind, "veth");
        }
        let interrupted = dir.file_name().unwrap().to_string_lossy().contains("interrupted");
        assert_eq!(record.phase, if interrupted { Phase::Attaching } else { Phase::Attached });
        if let Ok(memory) = fs::read_to_string(dir.join("memory.json")) {
            serde_json::from_str::<Memory>(&memory).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
        }
        count += 1;
    }
    assert!(count >= 8, "found {count}");
}

#[test]
fn what_is_no_record_is_refused_without_ado() {
    for text in [
        r#"{"version":3}"#,
        r#"{"version":3,"ports":["x",1,null],"journal":[7,"x",{"step":[]},{"step":{"link":{"port":[]}}}]}"#,
        r#"{"version":3,"ports":{},"journal":"x"}"#,
    ] {
        assert!(migrated(serde_json::from_str(text).unwrap()).is_err(), "{text}");
    }
}
