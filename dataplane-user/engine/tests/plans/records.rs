//! Records of older versions.

use aggctl_common::IfIndex;
use aggctl_engine::record::{self, RECORD_VERSION, Record};
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
