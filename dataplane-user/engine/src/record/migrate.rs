//! Records of older versions.

mod steps_of_3;

use serde_json::{Map, Value};

use super::RECORD_VERSION;

/// The oldest version that [`migrate`] understands.
pub const OLDEST_VERSION: u32 = 3;

/// Makes a record of the present version of one that an older aggctl wrote, as far as the layout goes; one of the
/// present version stays as it is. Says whether its version is one that can be read.
pub fn migrate(record: &mut Value) -> bool {
    let version = record.get("version").and_then(Value::as_u64).and_then(|version| u32::try_from(version).ok());
    match version {
        Some(RECORD_VERSION) => true,
        Some(OLDEST_VERSION) => {
            from_3(record);
            true
        }
        _ => false,
    }
}

/// Version 3 kept the present index of a port in `before`, and had no identity: neither in `ports` nor in the subjects
/// of steps. For its steps see [`steps_of_3`].
fn from_3(record: &mut Value) {
    record["version"] = RECORD_VERSION.into();
    let mut identities = Map::new();
    for port in record.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
        let before = &port["before"];
        let identity = ["permanent_mac", "mac", "kind"].map(|key| (key.to_owned(), before[key].clone()));
        let identity = Value::Object(identity.into_iter().collect());
        let index = before["index"].clone();
        identities.insert(port["id"].to_string(), identity.clone());
        // What is no object is no record either: that is found when it is read.
        port.as_object_mut().into_iter().for_each(|port| {
            port.insert("index".to_owned(), index.clone());
            port.insert("identity".to_owned(), identity.clone());
        });
    }
    for entry in record.get_mut("journal").and_then(Value::as_array_mut).into_iter().flatten() {
        let Some(step) = entry.get_mut("step").and_then(Value::as_object_mut) else { continue };
        for (_, field) in step.iter_mut() {
            if let Some(subject) = field.get_mut("port").and_then(Value::as_object_mut)
                && let Some(identity) = subject.get("id").and_then(|id| identities.get(&id.to_string()))
            {
                subject.insert("identity".to_owned(), identity.clone());
            }
        }
        if let Some(step) = steps_of_3::by_layer(step) {
            entry["step"] = step;
        }
    }
}
