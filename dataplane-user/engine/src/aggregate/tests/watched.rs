//! Watches beyond the link.

use super::*;
use crate::{
    prober::{PortFindings, WatchFinding},
    watches::WatchPolicy,
};

const ARP: &str = "arp,target=192.0.2.1";
const TRAFFIC: &str = "traffic";

fn watched(watches: &str) -> AggregateConfig {
    AggregateConfig { watches: watches.parse().unwrap(), ..config(2) }
}

impl Bench {
    /// The watches of a port speak, about its present link.
    fn say(&mut self, port: PortId, findings: &[(&str, bool)]) -> Vec<Action> {
        let epoch = self.aggregate.port(port).unwrap().epoch;
        self.say_of(port, epoch, findings)
    }

    fn say_of(&mut self, port: PortId, epoch: u64, findings: &[(&str, bool)]) -> Vec<Action> {
        let finding = |(watch, up): &(&str, bool)| WatchFinding {
            watch: watch.parse().unwrap(),
            up: *up,
            why: String::from("192.0.2.1 does not answer"),
        };
        self.event(Event::Watched(PortFindings { port, epoch, findings: findings.iter().map(finding).collect() }))
    }
}

#[test]
fn a_port_whose_neighbour_does_not_answer_is_left() {
    let mut bench = Bench::up(watched(ARP));
    assert_eq!(bench.active(), Some(ETH0), "what is found is trusted");
    let actions = bench.say(ETH0, &[(ARP, false)]);
    assert_eq!(bench.active(), Some(ETH1));
    assert_eq!(published(&actions).len(), 1);
    assert_eq!(bench.state(ETH0), PortState::Down);
    assert_eq!(bench.why(ETH0), "watch arp: 192.0.2.1 does not answer");
    assert!(bench.aggregate.status().ports[0].link, "its link is up");
    assert!(bench.activate(ETH0).unwrap_err().to_string().contains("does not answer"));
    bench.say(ETH0, &[(ARP, true)]);
    assert_eq!(bench.state(ETH0), PortState::Standby);
}

#[test]
fn all_watches_must_find_a_port_well_or_any() {
    let both = format!("{ARP}+{TRAFFIC}");
    for (policy, expected) in [(WatchPolicy::All, [false, false]), (WatchPolicy::Any, [true, false])] {
        let mut bench = Bench::up(AggregateConfig { watch_policy: policy, ..watched(&both) });
        for (up, expected) in [(true, expected[0]), (false, expected[1])] {
            bench.say(ETH0, &[(ARP, up), (TRAFFIC, false)]);
            assert_eq!(bench.state(ETH0) != PortState::Down, expected, "{policy:?} {up}");
        }
    }
    let mut bench = Bench::up(AggregateConfig { watch_policy: WatchPolicy::Any, ..watched(&format!("link+{ARP}")) });
    bench.say(ETH0, &[(ARP, false)]);
    assert_eq!(bench.active(), Some(ETH0), "its link is enough");
    bench.link(ETH0, DOWN);
    bench.say(ETH0, &[(ARP, true)]);
    assert_eq!(bench.active(), Some(ETH1), "without a link nothing is");
}

#[test]
fn after_its_link_was_lost_a_port_must_be_found_well_anew() {
    let mut bench = Bench::up(AggregateConfig { primary: Some("eth0".into()), ..watched(ARP) });
    bench.say(ETH0, &[(ARP, true)]);
    bench.say(ETH1, &[(ARP, true)]);
    let epoch = bench.aggregate.port(ETH0).unwrap().epoch;
    bench.link(ETH0, DOWN);
    bench.link(ETH0, UP);
    assert_eq!((bench.active(), bench.state(ETH0)), (Some(ETH1), PortState::Down));
    assert!(bench.why(ETH0).contains("since its link came up"), "{}", bench.why(ETH0));
    bench.say_of(ETH0, epoch, &[(ARP, true)]);
    assert_eq!(bench.active(), Some(ETH1), "that was about the former link");
    bench.say(ETH0, &[(ARP, true)]);
    assert_eq!(bench.active(), Some(ETH0));
}

#[test]
fn a_link_that_returns_within_the_down_delay_was_not_lost() {
    let mut config = watched(ARP);
    config.link_watch.down_delay_ms = 100;
    let mut bench = Bench::up(config);
    bench.say(ETH0, &[(ARP, true)]);
    bench.link(ETH0, DOWN);
    bench.run_for(50);
    bench.link(ETH0, UP);
    assert_eq!(bench.active(), Some(ETH0));
    bench.run_for(1_000);
    assert_eq!(bench.active(), Some(ETH0));
}

#[test]
fn an_up_delay_is_skipped_while_watches_leave_no_other_port() {
    let mut config = watched(ARP);
    config.link_watch.up_delay_ms = 10_000;
    let mut bench = Bench::up(config);
    bench.link(ETH1, DOWN);
    bench.link(ETH1, UP);
    bench.say(ETH0, &[(ARP, false)]);
    assert_eq!(bench.active(), None, "eth1 has not been found well yet");
    bench.say(ETH1, &[(ARP, true)]);
    assert_eq!(bench.active(), Some(ETH1));
}

#[test]
fn a_watch_that_is_added_trusts_ports_at_work() {
    let mut bench = Bench::up(config(2));
    bench.link(ETH1, DOWN);
    bench.configure(|config| config.watches = ARP.parse().unwrap());
    assert_eq!((bench.active(), bench.state(ETH1)), (Some(ETH0), PortState::Down));
    bench.link(ETH1, UP);
    assert_eq!(bench.state(ETH1), PortState::Down, "it was not at work");
    bench.say(ETH1, &[(ARP, true)]);
    bench.say(ETH0, &[(ARP, false)]);
    assert_eq!(bench.active(), Some(ETH1));
    bench.configure(|config| config.watches = "link".parse().unwrap());
    assert_eq!(bench.state(ETH0), PortState::Standby, "nobody asks any more");
}

#[test]
fn a_port_may_have_watches_that_others_have_not() {
    let mut config = config(2);
    config.ports[0].watches = Some(ARP.parse().unwrap());
    let mut bench = Bench::up(config);
    let wish = bench.aggregate.probe_wish(|_| MAC);
    assert_eq!(wish.ports.iter().map(|port| port.watches.len()).collect::<Vec<_>>(), [1, 0]);
    assert_eq!(wish.ports.iter().map(|port| port.carries).collect::<Vec<_>>(), [true, false]);
    bench.say(ETH0, &[(ARP, false)]);
    assert_eq!(bench.active(), Some(ETH1));
    bench.configure(|config| config.ports[0].watches = None);
    assert_eq!(bench.aggregate.probe_wish(|_| MAC), Default::default());
}

#[test]
fn the_next_controller_does_not_trust_what_was_not_well() {
    let mut bench = Bench::up(AggregateConfig { primary: Some("eth0".into()), ..watched(ARP) });
    bench.say(ETH0, &[(ARP, false)]);
    let memory = bench.aggregate.memory();
    let mut next = Bench::unsettled(bench.aggregate.config.clone(), &memory);
    next.link(ETH0, UP);
    next.link(ETH1, UP);
    assert_eq!((next.active(), next.state(ETH0)), (Some(ETH1), PortState::Down));
    next.say(ETH0, &[(ARP, true)]);
    assert_eq!(next.active(), Some(ETH0));
}

#[test]
fn what_a_watch_finds_is_told_once() {
    let mut bench = Bench::up(watched(ARP));
    let told = |actions: &[Action]| {
        actions.iter().filter(|action| matches!(action, Action::Notice(Notice::Watch { .. }))).count()
    };
    assert_eq!(told(&bench.say(ETH0, &[(ARP, true)])), 0, "as it was taken to be");
    assert_eq!(told(&bench.say(ETH0, &[(ARP, false)])), 1);
    assert_eq!(told(&bench.say(ETH0, &[(ARP, false)])), 0);
    let status = &bench.aggregate.status().ports[0].watches[0];
    assert_eq!((status.watch.as_str(), status.up), (ARP, false));
}
