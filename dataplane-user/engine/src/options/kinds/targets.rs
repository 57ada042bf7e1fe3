//! Whom a watch asks.

use std::net::IpAddr;

use serde_json::Value;

use super::{Invalid, ValueKind};
use crate::{
    options::text::quote,
    watches::{MAX_TARGETS, WatchConfig},
};

/// Addresses. Each that is set is one more; none is there twice.
#[derive(Debug)]
pub struct Targets;

impl ValueKind<WatchConfig> for Targets {
    fn set(&self, config: &mut WatchConfig, text: &str) -> Result<(), Invalid> {
        if text.is_empty() {
            return Err(Invalid::Missing { expected: "an address".to_owned() });
        }
        let no_target = |why: &str| Invalid::Syntax(format!("{} is no target: {why}", quote(text)));
        let target: IpAddr = text.parse().map_err(|_| no_target("not an IP address"))?;
        if !config.kind.can_ask(target) {
            return Err(no_target(&format!("watch {} asks unicast addresses of its own family", config.kind.name())));
        }
        if config.targets.contains(&target) {
            return Err(no_target("it is given twice"));
        }
        if config.targets.len() == MAX_TARGETS {
            return Err(no_target(&format!("there are {MAX_TARGETS} already")));
        }
        config.targets.push(target);
        Ok(())
    }

    fn text(&self, config: &WatchConfig) -> String {
        self.texts(config).join(" ")
    }

    fn texts(&self, config: &WatchConfig) -> Vec<String> {
        config.targets.iter().map(ToString::to_string).collect()
    }

    fn json(&self, config: &WatchConfig) -> Value {
        self.texts(config).into()
    }

    fn json_type(&self) -> &'static str {
        "array of strings"
    }

    fn metavar(&self) -> String {
        "IP".to_owned()
    }

    fn is_repeatable(&self) -> bool {
        true
    }

    fn samples(&self) -> Vec<String> {
        Vec::new()
    }
}
