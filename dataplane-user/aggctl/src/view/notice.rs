//! Events, for people.

use aggctl_engine::{action::Notice, foreign::Foreign};

/// One line: when, which aggregate, what.
pub fn describe(at_ms: u64, aggregate: &str, notice: &Notice) -> String {
    format!("{} {aggregate}: {}", clock_time(at_ms), words(notice))
}

/// The time of day in UTC, of milliseconds since the Unix epoch.
pub fn clock_time(at_ms: u64) -> String {
    let (seconds, ms) = (at_ms / 1000, at_ms % 1000);
    let (hours, minutes, seconds) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{hours:02}:{minutes:02}:{seconds:02}.{ms:03}Z")
}

fn words(notice: &Notice) -> String {
    match notice {
        Notice::Usable { port, usable: true, why } => format!("{port} is usable: {why}"),
        Notice::Usable { port, usable: false, why } => format!("{port} is not usable: {why}"),
        Notice::Watch { port, watch, up: true, why } => format!("{watch} finds {port} well: {why}"),
        Notice::Watch { port, watch, up: false, why } => format!("{watch} does not find {port} well: {why}"),
        Notice::HeldDown { port, changes, window_s, for_s } => {
            format!("{port} is held down for {for_s} s: {changes} changes in {window_s} s")
        }
        Notice::Active { from, to: Some(to), why } => match from {
            Some(from) => format!("active port {from} -> {to}: {why}"),
            None => format!("active port {to}: {why}"),
        },
        Notice::Active { to: None, why, .. } => format!("no active port: {why}"),
        Notice::Designated { from, to: Some(to), why } => match from {
            Some(from) => format!("broadcast and multicast by {to} instead of {from}: {why}"),
            None => format!("broadcast and multicast by {to}: {why}"),
        },
        Notice::Designated { to: None, why, .. } => format!("broadcast and multicast by no port: {why}"),
        Notice::Mac { from, to } => format!("the aggregate's MAC {from} -> {to}"),
        Notice::Carrier { carrier, usable, min_ports } => {
            let state = if *carrier { "carrier" } else { "NO CARRIER" };
            format!("{state}: {usable} of at least {min_ports} ports usable")
        }
        Notice::Present { port, present: true } => format!("{port} is there"),
        Notice::Present { port, present: false } => format!("{port} is gone"),
        Notice::Announcing { port, round, rounds } => format!("announcing through {port} ({round} of {rounds})"),
        Notice::Foreign { port, kind, what } => {
            format!("somebody else put this on {port}: {}", Foreign { kind: *kind, what: what.clone() })
        }
        Notice::ForeignGone { port, kind, what } => {
            format!("gone from {port}: {}", Foreign { kind: *kind, what: what.clone() })
        }
        Notice::Defect { what, why: None } => format!("wrong: {what}"),
        Notice::Defect { what, why: Some(why) } => format!("wrong: {what}; not repaired: {why}"),
        Notice::Repaired { what } => format!("repaired: {what}"),
        Notice::DefectGone { what } => format!("right again: {what}"),
        Notice::MtuRefused { port, mtu, back, why } => {
            format!("{port} does not take MTU {mtu} ({why}): the aggregate and all its ports have {back} again")
        }
        Notice::PutBack { port, setting } => format!("somebody changed {setting} of {port}: put back"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failover_reads_like_a_sentence() {
        let notice =
            Notice::Active { from: Some("eth0".into()), to: Some("eth1".into()), why: "eth0: link is down".into() };
        assert_eq!(
            describe(3_661_007, "agg0", &notice),
            "01:01:01.007Z agg0: active port eth0 -> eth1: eth0: link is down"
        );
    }
}
