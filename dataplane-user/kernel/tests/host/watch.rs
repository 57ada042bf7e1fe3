//! Events and questions about links, on veth and on tap.

use std::time::Duration;

use aggctl_kernel::{
    ethtool::LinkSettings,
    netlink::{Netlink, link::LinkReport},
    watch::{EventBatch, Watcher},
};

use crate::{
    support::{feed, in_namespace, index, ip},
    tap::Tap,
};

/// Runs a test in a fresh namespace and a runtime on the same thread.
fn watching<F: Future<Output = ()>>(test: impl FnOnce() -> F + Send + 'static) {
    in_namespace(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(test());
    });
}

/// Waits for a batch for which this holds.
async fn wait(watcher: &mut Watcher, wanted: impl Fn(&EventBatch) -> bool) -> EventBatch {
    let search = async {
        loop {
            let batch = watcher.next().await.unwrap();
            if wanted(&batch) {
                return batch;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), search).await.expect("no such event within 30 s")
}

fn report(name: &str) -> LinkReport {
    Netlink::open().unwrap().report(index(name)).unwrap().unwrap()
}

/// An event about this interface, which has or has not a carrier by then.
fn carrier_of(name: &'static str, carrier: bool) -> impl Fn(&EventBatch) -> bool {
    move |batch| {
        batch.changed.contains(&index(name)) && {
            let link = report(name).link;
            link.admin_up && link.carrier == carrier
        }
    }
}

#[test]
fn a_veth_that_loses_and_regains_its_carrier_is_seen() {
    watching(|| async {
        ip("link add p0 type veth peer name q0
            link set p0 up
            link set q0 up");
        let mut watcher = Watcher::open().unwrap();
        ip("link set q0 down");
        wait(&mut watcher, carrier_of("p0", false)).await;
        ip("link set q0 up");
        wait(&mut watcher, carrier_of("p0", true)).await;
        let p0 = index("p0");
        ip("link del p0");
        wait(&mut watcher, |batch| batch.deleted.get(&p0) == Some(&None)).await;
    });
}

#[test]
fn a_port_that_leaves_its_bridge_is_not_deleted() {
    watching(|| async {
        ip("link add p0 type veth peer name q0
            link add br0 type bridge
            link add br1 type bridge
            link set p0 master br0 up");
        let (p0, br1) = (index("p0"), index("br1"));
        let mut watcher = Watcher::open().unwrap();
        ip("link set p0 nomaster
            link del br1");
        let last = wait(&mut watcher, |batch| !batch.deleted.is_empty()).await;
        assert_eq!(last.deleted.into_iter().collect::<Vec<_>>(), [(br1, None)], "and not {p0}");
    });
}

#[test]
fn a_question_tells_the_truth_about_a_tap() {
    watching(|| async {
        let tap = Tap::new("t0");
        ip("link set t0 up");
        let mut watcher = Watcher::open().unwrap();
        let carrier = || report("t0").link.carrier;
        for round in 0..5 {
            tap.set_carrier(false);
            assert!(!carrier(), "round {round}");
            tap.set_carrier(true);
            assert!(carrier(), "round {round}");
        }
        tap.set_carrier(false);
        wait(&mut watcher, carrier_of("t0", false)).await;
    });
}

#[test]
fn addresses_and_routes_are_told() {
    watching(|| async {
        ip("link add p0 type veth peer name q0
            link set p0 up");
        let p0 = index("p0");
        let mut watcher = Watcher::open().unwrap();
        ip("addr add 192.0.2.1/24 dev p0");
        wait(&mut watcher, |batch| batch.addresses.contains(&p0)).await;
        ip("-6 addr add 2001:db8::1/64 nodad dev p0");
        wait(&mut watcher, |batch| batch.addresses.contains(&p0)).await;
        ip("-6 route add 2001:db8:9::/48 dev p0");
        wait(&mut watcher, |batch| batch.routes).await;
    });
}

#[test]
fn a_report_says_what_the_engine_wants_to_know() {
    in_namespace(|| {
        ip("link add p0 address 02:00:00:00:00:01 mtu 1400 type veth peer name q0
            link set p0 up promisc on allmulticast on
            link set q0 up
            link add br0 type bridge
            link set q0 master br0");
        let p0 = report("p0");
        let settings = LinkSettings { speed_mbps: Some(10_000), full_duplex: Some(true) };
        let state = p0.link_state(settings, true);
        assert!(state.admin_up && state.carrier && state.promisc && state.allmulti && state.vlan_filter_fixed);
        assert_eq!((state.mtu, state.mac.to_string()), (1400, "02:00:00:00:00:01".to_owned()));
        assert_eq!(p0.link.kind, "veth");
        let q0 = report("q0");
        assert_eq!(q0.link.master, Some(index("br0")));
        assert_eq!(q0.aggregate_state().promiscuity, 1, "of a bridge port, though the flag is not set");
        assert!(!q0.link.promisc);
        for nobody in [0, 9999] {
            assert!(Netlink::open().unwrap().report(aggctl_common::IfIndex(nobody)).unwrap().is_none());
        }
    });
}

#[test]
fn lost_events_are_told() {
    watching(|| async {
        ip("link add p0 type veth peer name q0");
        let mut watcher = Watcher::open().unwrap();
        // Nobody reads meanwhile: this thread is the runtime's only one.
        feed("ip -batch -", &"link set p0 promisc on\nlink set p0 promisc off\n".repeat(6000));
        wait(&mut watcher, |batch| batch.overrun).await;
    });
}
