//! What people are told.

use super::*;

#[test]
fn each_state_says_why() {
    let delays = LinkWatch { up_delay_ms: 500, down_delay_ms: 100, ..LinkWatch::default() };
    let mut bench = Bench::unsettled(AggregateConfig { link_watch: delays, ..config(3) }, &Memory::default());
    assert_eq!(bench.why(ETH0), "its state is not known yet");
    bench.link(ETH0, UP);
    bench.link(ETH1, DOWN);
    bench.link(ETH2, UP);
    assert_eq!((bench.state(ETH0), bench.why(ETH0).as_str()), (PortState::Active, "carries the traffic"));
    assert_eq!((bench.state(ETH1), bench.why(ETH1).as_str()), (PortState::Down, "link is down"));
    assert_eq!((bench.state(ETH2), bench.why(ETH2).as_str()), (PortState::Standby, "waits: eth0 is active"));
    bench.link(ETH1, UP);
    bench.now += Duration::from_millis(120);
    bench.link(ETH0, DOWN);
    assert_eq!(bench.why(ETH1), "link is up for 120 of 500 ms (up-delay)");
    assert_eq!(bench.why(ETH0), "carries the traffic; link is down for 0 of 100 ms (down-delay)");
    bench.link(ETH1, DISABLED);
    assert_eq!((bench.state(ETH1), bench.why(ETH1).as_str()), (PortState::Disabled, "administratively down"));
    bench.event(Event::Gone { port: ETH1 });
    assert_eq!((bench.state(ETH1), bench.why(ETH1).as_str()), (PortState::Down, "interface is gone"));
}

#[test]
fn a_waiting_port_says_for_what() {
    let ports = |sticky| vec![PortConfig { sticky, ..PortConfig::new("eth0") }, PortConfig::new("eth1")];
    let case = |sticky, reselect| {
        let mut bench = Bench::up(AggregateConfig { ports: ports(sticky), reselect, ..config(0) });
        bench.configure(|config| config.ports[1].priority = 10);
        bench.why(ETH1)
    };
    assert_eq!(case(true, Reselect::Always), "waits: eth0 is active and sticky");
    assert_eq!(case(false, Reselect::Failure), "waits: eth0 is active until it fails (reselect failure)");
    assert_eq!(case(false, Reselect::Better), "waits: eth0 is active and not slower (reselect better)");
    assert_eq!(case(false, Reselect::Always), "carries the traffic");

    let mut bench = Bench::up(config(2));
    bench.configure(|config| config.ports[0].priority = 10);
    assert_eq!(bench.why(ETH1), "waits: eth0 is active and preferred (priority 10 over 0)");
    bench.activate(ETH1).unwrap();
    assert_eq!(bench.why(ETH1), "carries the traffic, chosen by hand");
    assert_eq!(bench.why(ETH0), "waits: eth1 was chosen by hand");
    bench.configure(|config| config.primary = Some(String::from("eth0")));
    assert_eq!(bench.why(ETH1), "waits: eth0 is active and preferred (primary)");
}

#[test]
fn a_change_of_the_active_port_says_why() {
    let mut bench = Bench::up(config(2));
    let why = |actions: Vec<Action>| {
        let notice = actions.into_iter().find_map(|action| match action {
            Action::Notice(Notice::Active { from, to, why }) => Some((from, to, why)),
            _ => None,
        });
        let (from, to, why) = notice.unwrap();
        format!("{} -> {}: {why}", from.unwrap_or_default(), to.unwrap_or_default())
    };
    assert_eq!(why(bench.link(ETH0, DOWN)), "eth0 -> eth1: eth0: link is down");
    assert_eq!(why(bench.link(ETH1, DOWN)), "eth1 -> : eth1: link is down");
    assert_eq!(why(bench.link(ETH0, UP)), " -> eth0: no port was active");
    bench.link(ETH1, UP);
    assert_eq!(why(bench.activate(ETH1).unwrap()), "eth0 -> eth1: chosen by hand");
    let primary = |config: &mut AggregateConfig| config.primary = Some(String::from("eth0"));
    assert_eq!(why(bench.configure(primary)), "eth1 -> eth0: eth0 is preferred (primary)");
    assert_eq!(why(bench.event(Event::PortRemoved { port: ETH0 })), "eth0 -> eth1: the active port was removed");
}
