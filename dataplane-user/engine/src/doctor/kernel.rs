//! What the kernel lacks that makes a failover instant.

use super::{AggregateFacts, Facts, Finding, FindingKind, KernelFacts, Severity};

/// Programs cannot read links on this kernel.
pub(super) const LINKS_UNREAD: FindingKind = FindingKind {
    id: "kernel-failover",
    severities: &[Severity::Hint],
    looks_at: "whether this kernel lets programs read the link of a port (Linux 6.2 with BTF, `bpf_rdonly_cast`)",
    remedy: "run such a kernel; until then failing links are found by the poll, and by nobody without a controller",
};
/// Programs could, and do not.
pub(super) const POLLED: FindingKind = FindingKind {
    id: "failover-poll",
    severities: &[Severity::Warning],
    looks_at: "whether the programs of the aggregate read the links of ports, where the kernel lets them",
    remedy: "attach it anew: that loads its programs again",
};

/// What is to be said of the kernel alone.
pub(super) fn look(kernel: &KernelFacts) -> Vec<Finding> {
    let finding = |why: &String| Finding {
        id: LINKS_UNREAD.id,
        severity: LINKS_UNREAD.usual(),
        aggregate: None,
        ports: Vec::new(),
        seen: format!(
            "Linux {} does not let programs read the link of a port ({why}): a failing link is found by the poll, and \
             by nobody while no controller lives",
            kernel.release
        ),
        remedy: "run Linux 6.2 or later with BTF (CONFIG_DEBUG_INFO_BTF)".to_owned(),
    };
    kernel.links_unread.iter().map(finding).collect()
}

/// Whether the programs do what the kernel lets them do.
pub(super) fn failover(facts: &Facts, aggregate: &AggregateFacts) -> Vec<Finding> {
    if aggregate.asks_kernel || facts.kernel.links_unread.is_some() {
        return Vec::new();
    }
    let name = &aggregate.name;
    let seen = format!("the programs of {name} do not read the links of ports, though this kernel lets them");
    let remedy = format!("`aggctl detach {name}` and attach it again: that loads its programs anew");
    vec![Finding::new(&POLLED, aggregate, seen, remedy)]
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            examine,
            samples::{facts, healthy},
        },
        *,
    };

    #[test]
    fn a_kernel_that_cannot_is_told_once_with_its_reason() {
        let mut picture = facts(AggregateFacts { asks_kernel: false, ..healthy() });
        picture.kernel.links_unread = Some("it has no bpf_rdonly_cast".into());
        let found = examine(&picture);
        let [finding] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!((finding.id, finding.severity, &finding.aggregate), ("kernel-failover", Severity::Hint, &None));
        assert!(finding.seen.contains("6.18.0") && finding.seen.contains("bpf_rdonly_cast"), "{}", finding.seen);
    }

    #[test]
    fn programs_that_could_and_do_not_are_the_aggregates_matter() {
        let found = examine(&facts(AggregateFacts { asks_kernel: false, ..healthy() }));
        assert_eq!(found.iter().map(|finding| finding.id).collect::<Vec<_>>(), ["failover-poll"]);
    }
}
