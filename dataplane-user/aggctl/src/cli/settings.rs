//! `KEY=VALUE` of `set`.

use aggctl_engine::plan::{Change, Primary};

use super::values;
use crate::failure::{Failure, shorten};

/// What `set` is asked to change.
#[derive(Debug, Default)]
pub struct Settings {
    /// Live options.
    pub change: Change,
    /// The port to make active.
    pub active_port: Option<String>,
}

/// Reads `KEY=VALUE …`.
///
/// # Errors
/// A key that is unknown or given twice, a value that is wrong.
pub fn parse(texts: &[String]) -> Result<Settings, Failure> {
    let mut settings = Settings::default();
    let mut seen = Vec::new();
    for text in texts {
        let (key, value) = text
            .split_once('=')
            .ok_or_else(|| Failure::Usage(format!("{} is not of the form KEY=VALUE", values::quote(text))))?;
        if seen.contains(&key) {
            return Err(Failure::Usage(format!("{key} is given twice")));
        }
        seen.push(key);
        apply(&mut settings, key, value).map_err(|reason| Failure::Usage(format!("{}: {reason}", shorten(text))))?;
    }
    Ok(settings)
}

fn apply(settings: &mut Settings, key: &str, value: &str) -> Result<(), String> {
    let change = &mut settings.change;
    match key {
        "active-port" | "active_port" | "active_slave" => settings.active_port = Some(values::port_name(value)?),
        "primary" => {
            change.primary = Some(match value {
                "none" => Primary::Nobody,
                name => Primary::Port(values::port_name(name)?),
            });
        }
        "reselect" | "primary_reselect" => change.reselect = Some(values::reselect(value)?),
        "min-ports" | "min_ports" | "min_links" => change.min_ports = Some(values::min_ports(value)?),
        "promisc" => change.promisc = Some(values::toggle(value)?),
        "allmulti" => change.allmulti = Some(values::toggle(value)?),
        "up-delay" | "updelay" | "delay_up" => change.up_delay_ms = Some(values::delay(key, value)?),
        "down-delay" | "downdelay" | "delay_down" => change.down_delay_ms = Some(values::delay(key, value)?),
        "poll" | "miimon" => change.poll_ms = Some(values::poll(value)?),
        "announce" | "num_grat_arp" | "num_unsol_na" if !value.contains('=') => {
            change.announce_count = Some(values::number(key, value)?);
        }
        "announce" => {
            let announce = values::announce(value)?;
            change.announce_count = Some(announce.count);
            change.announce_interval_ms = Some(announce.interval_ms);
        }
        "announce-interval" => change.announce_interval_ms = Some(values::delay(key, value)?),
        "mode" => change.mode = Some(values::mode(value)?),
        "hash" | "xmit_hash_policy" => change.policy = Some(values::policy(value)?),
        "buckets" => change.buckets = Some(values::buckets(value)?),
        "seed" => change.seed = Some(values::number(key, value)?),
        "table" => change.table = Some(values::table(value)?),
        "stride" | "packets_per_slave" => change.stride = Some(values::number(key, value)?),
        "partner" => change.partner = Some(values::partner(value)?),
        "vlan" => change.vlan = Some(values::vlan(value)?),
        "watch-policy" | "mac-policy" | "wiring" | "xdp" => {
            return Err(values::NOT_BUILT.to_owned());
        }
        _ => return Err("no such setting; see `aggctl set --help`".to_owned()),
    }
    Ok(())
}
