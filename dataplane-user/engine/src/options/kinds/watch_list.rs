//! Lists of watches.

use std::fmt;

use serde_json::Value;

use super::{FieldAccess, Invalid, ValueKind};
use crate::{
    options::{given::json, watch_text::BETWEEN},
    watches::{WatchConfig, Watches},
};

/// The word for the aggregate's.
const INHERITED: &str = "default";

/// The watches of an aggregate. What is said several times is one list.
#[derive(Debug)]
pub struct WatchList<C: 'static> {
    /// Where it is kept.
    pub field: FieldAccess<C, Watches>,
}

/// The watches of a port, or that they are the aggregate's. Within a port's settings `/` stands for the comma.
#[derive(Debug)]
pub struct OwnWatches<C: 'static> {
    /// Where it is kept.
    pub field: FieldAccess<C, Option<Watches>>,
}

impl<C: fmt::Debug> ValueKind<C> for WatchList<C> {
    fn set(&self, config: &mut C, text: &str) -> Result<(), Invalid> {
        (self.field.set)(config, text.parse()?);
        Ok(())
    }

    fn text(&self, config: &C) -> String {
        (self.field.get)(config).to_string()
    }

    fn nested_json(&self, config: &C) -> Option<Value> {
        Some(each(&(self.field.get)(config)))
    }

    fn nested_json_type(&self) -> Option<&'static str> {
        Some("array of objects")
    }

    fn metavar(&self) -> String {
        "WATCH[+WATCH]…".to_owned()
    }

    fn samples(&self) -> Vec<String> {
        let texts = [
            "link",
            "arp,target=192.0.2.1",
            "link+arp,target=192.0.2.1,target=192.0.2.2,need=all,interval=1s,missed-max=5,init-wait=10,source=192.0.2.9\
             ,vlan=7,validate=filter-active",
            "arp=192.0.2.1+ns=fe80::1+traffic,idle=500+errors,limit=5,within=2s,calm=1min",
        ];
        texts.map(str::to_owned).to_vec()
    }

    fn between(&self) -> Option<char> {
        Some(BETWEEN)
    }
}

impl<C: fmt::Debug> ValueKind<C> for OwnWatches<C> {
    fn set(&self, config: &mut C, text: &str) -> Result<(), Invalid> {
        let watches = if text == INHERITED { None } else { Some(text.parse()?) };
        (self.field.set)(config, watches);
        Ok(())
    }

    fn text(&self, config: &C) -> String {
        (self.field.get)(config)
            .map_or_else(|| INHERITED.to_owned(), |watches: Watches| watches.to_string().replace(',', "/"))
    }

    fn nested_json(&self, config: &C) -> Option<Value> {
        Some((self.field.get)(config).as_ref().map_or(Value::Null, each))
    }

    fn nested_json_type(&self) -> Option<&'static str> {
        Some("array of objects or null")
    }

    fn metavar(&self) -> String {
        format!("WATCH[+WATCH]…|{INHERITED}")
    }

    fn samples(&self) -> Vec<String> {
        ["default", "link", "link+arp/target=192.0.2.1/interval=1s"].map(str::to_owned).to_vec()
    }
}

/// The kind and the settings of each watch.
fn each(watches: &Watches) -> Value {
    let object = |watch: &WatchConfig| {
        let mut object = json(watch);
        object.insert("watch".to_owned(), watch.kind.name().into());
        Value::from(object)
    };
    watches.all().iter().map(object).collect()
}
