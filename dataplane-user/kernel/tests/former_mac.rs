//! The receiving program that also takes frames to the MAC that the aggregate had before, through `BPF_PROG_TEST_RUN`:
//! it gives them the present one, and touches no other.
#![allow(clippy::unwrap_used)]

mod support;

use aggctl_common::{Destination, IfIndex, PortId, Ports};
use aggctl_engine::{
    config::{Device, Hook, Wiring},
    settings::Settings,
};
use aggctl_kernel::dataplane::ProgramRole;
use aggctl_tests::feature::PAGED_TEST_RUNS;
use aya::programs::{SchedClassifier, TestRun as _, TestRunOptions};
use support::{
    BPFFS,
    attached::{Case, pair},
    bench_on, dataplane, index, table, wire,
};

const PRESENT: [u8; 6] = [2, 0, 0, 0, 0, 1];
const FORMER: [u8; 6] = [2, 0, 0, 0, 0, 2];
const OTHER: [u8; 6] = [2, 0, 0, 0, 1, 2];
/// What the kernel calls the programs' action for a frame that goes to the aggregate.
const REDIRECT: u32 = 7;
/// Where `data_end` is in `struct __sk_buff`.
const DATA_END: usize = 80;

/// Tries frames to each of the three; with all of the frame in the linear part, or the header alone.
fn readdresses(wiring: Wiring, vlan: &str, linear: bool) {
    let pair = pair(Case { wiring, device: Device::Veth, hook: Hook::Auto });
    let mut dataplane = dataplane();
    dataplane.set_settings(Settings { former: true, vlan: vlan.parse().unwrap(), ..Settings::default() });
    dataplane.attach_rx(PortId(0), index("p0"), &pair, Hook::Auto).unwrap();
    let program = SchedClassifier::from_pin(format!("{BPFFS}/agg0/{}", ProgramRole::Rx(PortId(0)))).unwrap();
    let word = |octets| Destination::from_octets(octets).word();
    let ports = table(&[(0, IfIndex(4000))], 0);
    let mut context = vec![0_u8; 192];
    context[DATA_END..][..4].copy_from_slice(&14_u32.to_ne_bytes());
    for (former, sent, received) in [
        (word(FORMER), FORMER, PRESENT),
        (word(FORMER), PRESENT, PRESENT),
        (word(FORMER), OTHER, OTHER),
        (0, FORMER, FORMER),
        (0, [0; 6], [0; 6]),
    ] {
        let table = Ports { mac: word(PRESENT), former_mac: former, ..ports };
        dataplane.table().unwrap().publish(&table);
        assert_eq!(dataplane.table().unwrap().load(), table);
        let frame = wire::frame(sent, "former");
        let mut out = vec![0; frame.len()];
        let whole = TestRunOptions { data_in: Some(&frame), data_out: Some(&mut out), ..TestRunOptions::new() };
        let options = if linear { whole } else { TestRunOptions { ctx_in: Some(&context), ..whole } };
        let result = match program.test_run(options) {
            Ok(result) => result,
            Err(error) if !linear => return println!("skipped: {} ({error:?})", PAGED_TEST_RUNS.lacking()),
            Err(error) => panic!("{error}"),
        };
        assert_eq!(result.return_value, REDIRECT);
        assert_eq!((&out[..6], &out[6..]), (&received[..], &frame[6..]), "sent to {sent:x?}");
    }
}

#[test]
fn frames_to_the_former_mac_are_given_the_present_one() {
    for wiring in [Wiring::Shared, Wiring::Direct] {
        for linear in [true, false] {
            bench_on(wiring, Device::Veth, move || readdresses(wiring, "off", linear));
        }
    }
    bench_on(Wiring::Shared, Device::Veth, || readdresses(Wiring::Shared, "trunk=10,native=20", true));
}
