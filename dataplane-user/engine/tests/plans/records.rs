//! Records of older versions.

use std::fs;

use aggctl_common::IfIndex;
use aggctl_engine::{
    aggregate::Memory,
    record::{self, Phase, RECORD_VERSION, Record},
};
use serde_json::Value;

use crate::change::attached;

/// The record as version 3 wrote it.
fn as_version_3(record: &Record) -> Value {
    let mut value = serde_json::to_value(record).unwrap();
    value["version"] = 3.into();
    for port in value["ports"].as_array_mut().unwrap() {
        let index = port.as_object_mut().unwrap().remove("index").unwrap();
        port.as_object_mut().unwrap().remove("identity").unwrap();
        port["before"]["index"] = index;
    }
    for entry in value["journal"].as_array_mut().unwrap() {
        for (_, field) in entry["step"].as_object_mut().unwrap() {
            if let Some(subject) = field.get_mut("port").and_then(Value::as_object_mut) {
                subject.remove("identity").unwrap();
            }
        }
    }
    value
}

#[test]
fn version_3_is_migrated() {
    let (_, record) = attached();
    let mut old = as_version_3(&record);
    assert!(serde_json::from_value::<Record>(old.clone()).is_err(), "it has no identities");
    assert!(record::migrate(&mut old));
    assert_eq!(serde_json::from_value::<Record>(old).unwrap(), record);
}

#[test]
fn the_present_index_of_version_3_is_kept() {
    let (_, mut record) = attached();
    record.ports[1].index = Some(IfIndex(70));
    let mut old = as_version_3(&record);
    assert!(record::migrate(&mut old));
    let migrated = serde_json::from_value::<Record>(old).unwrap();
    assert_eq!(migrated.ports[1].index, Some(IfIndex(70)));
    assert_eq!(migrated.ports[1].identity, record.ports[1].identity);
}

#[test]
fn other_versions_are_refused() {
    for version in [Value::Null, 2.into(), (RECORD_VERSION + 1).into(), "4".into()] {
        let mut value = Value::Object([("version".to_owned(), version)].into_iter().collect());
        assert!(!record::migrate(&mut value), "{value}");
    }
}

/// What binaries of earlier commits left in `/run/aggctl`, each in a directory that begins with the commit.
const KEPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/records");

#[test]
fn records_of_all_earlier_versions_are_read() {
    let mut count = 0;
    for kept in fs::read_dir(KEPT).unwrap() {
        let dir = kept.unwrap().path();
        let text = fs::read_to_string(dir.join("record.json")).unwrap();
        let former: Value = serde_json::from_str(&text).unwrap();
        let mut value = former.clone();
        assert!(record::migrate(&mut value), "{}", dir.display());
        let record: Record = serde_json::from_value(value).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
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
        let mut value: Value = serde_json::from_str(text).unwrap();
        assert!(record::migrate(&mut value), "its version is known");
        assert!(serde_json::from_value::<Record>(value).is_err(), "{text}");
    }
}
