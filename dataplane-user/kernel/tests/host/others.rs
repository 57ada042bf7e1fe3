//! What others attached to the ingress of an interface.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use crate::support::{in_namespace, ip, picture, run};

/// Feeds `nft` a ruleset. `false` (with the reason printed) if there is no `nft`, or the kernel cannot do this.
pub fn nft(ruleset: &str) -> bool {
    let spawned = Command::new("nft").args(["-f", "-"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let Ok(mut child) = spawned else {
        println!("skipped: the nft tool is missing (package nftables)");
        return false;
    };
    child.stdin.take().unwrap().write_all(ruleset.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    if !output.status.success() {
        println!("skipped: this kernel does not take the ruleset: {}", String::from_utf8_lossy(&output.stderr));
    }
    output.status.success()
}

/// Attaches a filter that takes nothing to `p0`: a program of one instruction, since every kernel that we run on has
/// those.
fn add_filter(parent: &str) {
    let words = ["filter", "add", "dev", "p0", parent, "bpf", "bytecode", "1,6 0 0 0"];
    let output = Command::new("tc").args(words).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn filters_on_clsact_are_found_and_an_empty_qdisc_is_none() {
    in_namespace(|| {
        ip("link add p0 type veth peer name q0");
        run("tc qdisc add dev p0 clsact");
        assert!(picture().link("p0").unwrap().hooks.clsact_ingress.is_empty());
        add_filter("egress");
        assert!(picture().link("p0").unwrap().hooks.clsact_ingress.is_empty(), "egress is not bypassed");
        add_filter("ingress");
        let host = picture();
        assert_eq!(host.link("p0").unwrap().hooks.clsact_ingress, ["bpf"]);
        assert!(host.link("q0").unwrap().hooks.clsact_ingress.is_empty());
    });
}

#[test]
fn filters_on_the_ingress_qdisc_are_found() {
    in_namespace(|| {
        ip("link add p0 type veth peer name q0");
        run("tc qdisc add dev p0 ingress");
        add_filter("ingress");
        assert_eq!(picture().link("p0").unwrap().hooks.clsact_ingress, ["bpf"]);
    });
}

#[test]
fn nft_chains_on_the_ingress_are_found() {
    in_namespace(|| {
        ip("link add p0 type veth peer name q0");
        let ruleset = "table netdev t {\nchain c { type filter hook ingress device p0 priority 0; }\n}\n";
        if !nft(ruleset) {
            return;
        }
        let host = picture();
        assert_eq!(host.link("p0").unwrap().hooks.nft_ingress, ["netdev t c"]);
        assert!(host.link("q0").unwrap().hooks.nft_ingress.is_empty());
    });
}
