//! What aggctl makes of the kernel that it is on, when it is left to choose.
#![allow(clippy::unwrap_used, reason = "tests end at the first surprise")]

use std::time::Duration;

use aggctl_tests::{Case, Lab, cases, feature, matrix::SOON};

cases!(attach_takes_the_best_that_the_kernel_has: VETH_TCX);
fn attach_takes_the_best_that_the_kernel_has(case: Case) {
    let lab = Lab::two_ports(case);
    lab.host.aggctl("attach agg0 --port eth0 --port eth1").ok();
    let ping = lab.ping(Duration::from_millis(10));
    lab.cut("eth0");
    ping.wait_for_answer(SOON);
    let show = lab.host.show("agg0").0;
    let best = if feature::TCX.missing().is_none() { "tcx" } else { "clsact" };
    assert_eq!(show["hook"], best);
    let best = if feature::NETKIT.missing().is_none() { "netkit" } else { "veth" };
    assert_eq!(show["device"], best);
    // The report and the kernel table in the documents take it from here.
    for what in ["hook", "device"] {
        if let Some(used) = show[what].as_str() {
            println!("uses: {what} {used}");
        }
    }
}

#[test]
fn the_kernel_has_what_its_version_promises() {
    if !rustix::process::geteuid().is_root() {
        return aggctl_tests::skip("needs root to ask the kernel");
    }
    for feature in feature::ALL {
        match feature.missing() {
            None => println!("has: {}", feature.name),
            Some(reason) => println!("has not: {reason}"),
        }
    }
}
