//! The table of all that can be found.

use super::{Severity, alike, control, kernel, life, others, partner, ports, reverse_path, traffic};

/// Something that can be found: a row of the table in the documents.
#[derive(Debug)]
pub struct FindingKind {
    /// A word for programs, which stays the same.
    pub id: &'static str,
    /// How bad it is; where there are several, the first is the usual one.
    pub severities: &'static [Severity],
    /// What is looked at, and what makes it a finding.
    pub looks_at: &'static str,
    /// What to do about it.
    pub remedy: &'static str,
}

impl FindingKind {
    /// How bad it usually is.
    pub(super) fn usual(&self) -> Severity {
        self.severities.first().copied().unwrap_or(Severity::Warning)
    }
}

/// The table.
pub const KINDS: &[&FindingKind] = &[
    &kernel::LINKS_UNREAD,
    &life::UNREADABLE,
    &life::UNFINISHED,
    &life::GONE,
    &life::ADMIN_DOWN,
    &life::UNCONFIRMED,
    &life::BEHIND,
    &life::DAMAGED,
    &control::ABSENT,
    &control::SILENT,
    &control::UNGUARDED,
    &control::DRIVER,
    &control::BEFORE,
    &control::WRONG,
    &ports::TOO_FEW,
    &ports::ALONE,
    &ports::GONE,
    &ports::ADMIN_DOWN,
    &ports::NO_CARRIER,
    &ports::DISABLED,
    &ports::NO_PRIMARY,
    &ports::UNUSABLE,
    &ports::FLAPS,
    &reverse_path::STRICT,
    &reverse_path::OTHER_WAY,
    &partner::IS_PLAIN,
    &partner::IS_LAG,
    &partner::VLAN,
    &partner::VLAN_SENT,
    &traffic::ONE_WAY,
    &traffic::COLLAPSE,
    &others::XDP,
    &others::BYPASSED,
    &others::PUT,
    &others::RULE,
    &others::NFTABLES,
    &others::FLOWTABLE,
    &others::IPTABLES,
    &others::TC_FILTER,
    &others::TUNNEL,
    &others::SOCKET,
    &others::DHCP,
    &others::GROUP,
    &others::NETWORK_MANAGER,
    &others::NETWORKD,
    &others::PACKET_SOCKET,
    &others::MANAGER,
    &others::UNSEEN,
    &alike::MTU,
    &alike::OFFLOADS,
    &alike::SPEED,
    &alike::HALF_DUPLEX,
    &kernel::POLLED,
];

/// The one with this word.
pub(super) fn find(id: &str) -> Option<&'static FindingKind> {
    KINDS.iter().copied().find(|kind| kind.id == id)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_kind_has_a_word_of_its_own_and_says_all() {
        let words: BTreeSet<_> = KINDS.iter().map(|kind| kind.id).collect();
        assert_eq!(words.len(), KINDS.len());
        for kind in KINDS {
            assert!(kind.id.chars().all(|c| c.is_ascii_lowercase() || c == '-'), "{}", kind.id);
            assert!(!kind.severities.is_empty(), "{}", kind.id);
            assert!(kind.looks_at.len() > 20 && kind.remedy.len() > 10, "{}", kind.id);
        }
    }
}
