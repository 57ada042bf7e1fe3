//! A host with two ports, neighbours that answer or not, and a clock.

use aggctl_common::vlan::VlanId;

use super::*;
use crate::{
    probe::{ProbeAnswer, ProbeProtocol},
    watches::Watches,
};

const AGGREGATE: Mac = Mac([2, 0, 0, 0, 0, 0xa]);
const NEIGHBOUR: Mac = Mac([2, 0, 0, 0, 0, 9]);
const ETH0: PortId = PortId(0);
const ETH1: PortId = PortId(1);

fn own(port: PortId) -> Mac {
    Mac([2, 0, 0, 0, 1, port.0])
}

struct Bench {
    prober: Prober,
    wish: ProbeWish,
    now: Duration,
    counters: BTreeMap<PortId, Counted>,
    up: BTreeMap<PortId, bool>,
    asked: Vec<ToSend>,
}

impl Bench {
    /// Both ports have this watch, have just come up, and the first carries traffic.
    fn new(watch: &str) -> Self {
        let watches = watch.parse::<Watches>().unwrap();
        let port = |id: PortId| ProbedPort {
            id,
            ifindex: IfIndex(u32::from(id.0) + 10),
            mac: own(id),
            up: true,
            carries: id == ETH0,
            epoch: 0,
            trusted: false,
            watches: watches.beyond_link().cloned().collect(),
        };
        let wish = ProbeWish { mac: AGGREGATE, ports: [ETH0, ETH1].map(port).to_vec(), ..ProbeWish::default() };
        let mut bench = Self {
            prober: Prober::default(),
            wish,
            now: Duration::from_secs(1000),
            counters: [ETH0, ETH1].map(|id| (id, Counted::default())).into(),
            up: BTreeMap::new(),
            asked: Vec::new(),
        };
        bench.change(|_| {});
        bench
    }

    fn change(&mut self, change: impl FnOnce(&mut ProbeWish)) {
        change(&mut self.wish);
        self.prober.set(self.now, self.wish.clone());
        self.turn();
    }

    fn turn(&mut self) {
        if self.prober.wants_counters(self.now) {
            self.prober.counted(self.now, &self.counters);
        }
        self.asked.extend(self.prober.turn(self.now));
        for news in self.prober.findings() {
            self.up.insert(news.port, news.findings.iter().all(|finding| finding.up));
        }
    }

    /// Lets time pass; `answer` is asked after each turn what comes back to a question.
    fn run_for(&mut self, ms: u64, mut answer: impl FnMut(&mut Self)) {
        let end = self.now + Duration::from_millis(ms);
        while let Some(deadline) = self.prober.deadline().filter(|deadline| *deadline <= end) {
            assert!(deadline > self.now, "a deadline that never passes");
            self.now = deadline;
            self.turn();
            answer(self);
            self.turn();
        }
        self.now = end;
    }

    fn parse(&mut self, port: PortId, target: &str, asker: Mac) {
        self.hear_in(port, target, asker, None);
    }

    fn hear_in(&mut self, port: PortId, target: &str, asker: Mac, vlan: Option<VlanId>) {
        let target: IpAddr = target.parse().unwrap();
        let protocol = if target.is_ipv4() { ProbeProtocol::Arp } else { ProbeProtocol::Nd };
        let answer = Some(ProbeAnswer { target, mac: NEIGHBOUR, asker });
        self.prober.on_received(self.now, port, &ReceivedProbe { protocol, from: NEIGHBOUR, vlan, answer });
        self.turn();
    }

    fn up(&self) -> [bool; 2] {
        [ETH0, ETH1].map(|id| self.up.get(&id).copied().unwrap_or_default())
    }

    /// How many questions left by each port since the last time.
    fn asked(&mut self) -> [usize; 2] {
        let frames = std::mem::take(&mut self.asked);
        [ETH0, ETH1].map(|id| frames.iter().filter(|frame| frame.port == id).count())
    }
}

/// The neighbour answers by these ports.
fn answers(ports: &[PortId]) -> impl FnMut(&mut Bench) {
    move |bench| ports.iter().for_each(|port| bench.parse(*port, "192.0.2.1", own(*port)))
}

#[test]
fn a_port_is_up_from_its_first_answer_until_it_missed_too_many() {
    let mut bench = Bench::new("arp=192.0.2.1,interval=100,missed-max=3");
    assert_eq!((bench.up(), bench.asked()), ([false; 2], [1; 2]), "it is asked at once, and by both ports");
    bench.run_for(1_000, |_| {});
    assert_eq!((bench.up(), bench.asked()), ([false; 2], [10; 2]));
    bench.run_for(100, answers(&[ETH0, ETH1]));
    assert_eq!(bench.up(), [true; 2]);
    bench.run_for(300, answers(&[ETH1]));
    assert_eq!(bench.up(), [true; 2], "it missed two, and has time left for the third");
    bench.run_for(100, answers(&[ETH1]));
    assert_eq!(bench.up(), [false, true]);
    let seen = &bench.prober.reports(bench.now, 1_000_000)[&ETH0][0];
    assert_eq!((seen.targets[0].missed, seen.targets[0].mac), (3, Some(NEIGHBOUR)));
    assert_eq!(seen.targets[0].last_answer_ms, Some(1_000_000 - 400));
    bench.run_for(100, answers(&[ETH0, ETH1]));
    assert_eq!(bench.up(), [true; 2]);
}

#[test]
fn an_answer_that_comes_late_is_one() {
    let mut bench = Bench::new("arp=192.0.2.1,interval=100,missed-max=2");
    let mut turn = 0;
    // Each comes one and a half intervals after its question.
    bench.run_for(2_000, |bench| {
        turn += 1;
        if turn > 1 {
            bench.now += Duration::from_millis(50);
            answers(&[ETH0, ETH1])(bench);
        }
        assert!(turn < 3 || bench.up() == [true; 2], "turn {turn}");
    });
    assert!(turn > 15);
}

#[test]
fn what_is_no_answer_to_this_port_keeps_nothing_up() {
    let mut bench = Bench::new("arp=192.0.2.1,interval=100,missed-max=3");
    bench.run_for(1_000, |bench| {
        bench.parse(ETH0, "192.0.2.1", own(ETH1)); // to the other port
        bench.parse(ETH0, "192.0.2.1", AGGREGATE); // to the host
        bench.parse(ETH0, "192.0.2.2", own(ETH0)); // of somebody else
        bench.parse(ETH0, "fe80::1", own(ETH0)); // by another protocol
        bench.hear_in(ETH0, "192.0.2.1", own(ETH0), Some(VlanId(5))); // in another VLAN
        let question = ReceivedProbe { protocol: ProbeProtocol::Arp, from: own(ETH0), vlan: None, answer: None };
        bench.prober.on_received(bench.now, ETH0, &question); // our own question
        let answer = Some(ProbeAnswer { target: "192.0.2.1".parse().unwrap(), mac: own(ETH0), asker: own(ETH0) });
        bench.prober.on_received(bench.now, ETH0, &ReceivedProbe { answer, ..question }); // an answer from ourselves
        bench.turn();
        assert_eq!(bench.up(), [false; 2]);
    });
}

#[test]
fn one_target_or_all_must_answer() {
    for (need, expected) in [("any", [true, true]), ("all", [true, false])] {
        let mut bench = Bench::new(&format!("arp=192.0.2.1,192.0.2.2,need={need},interval=100"));
        bench.run_for(1_000, |bench| {
            answers(&[ETH0, ETH1])(bench);
            bench.parse(ETH0, "192.0.2.2", own(ETH0));
        });
        assert_eq!((bench.up(), bench.asked()), (expected, [22; 2]), "{need}");
    }
}

#[test]
fn a_turn_that_comes_late_misses_no_more_than_one_and_keeps_the_grid() {
    let mut bench = Bench::new("arp=192.0.2.1,interval=100,missed-max=3");
    bench.run_for(100, answers(&[ETH0, ETH1]));
    let grid = bench.prober.deadline().unwrap();
    bench.now = grid + Duration::from_millis(1_050);
    bench.turn();
    assert_eq!((bench.up(), bench.asked()), ([true; 2], [3; 2]));
    assert_eq!(bench.prober.deadline(), Some(grid + Duration::from_millis(1_100)));
}

#[test]
fn after_the_link_was_lost_a_port_must_answer_anew() {
    let mut bench = Bench::new("arp=192.0.2.1,interval=100,missed-max=3,init-wait=250");
    assert_eq!(bench.asked(), [0; 2]);
    bench.run_for(500, answers(&[ETH0, ETH1]));
    assert_eq!((bench.up(), bench.asked()), ([true; 2], [3; 2]));
    // A moment without link, within the down-delay: nothing is asked, and nothing missed.
    bench.change(|wish| wish.ports[0].up = false);
    bench.run_for(1_000, answers(&[ETH1]));
    bench.change(|wish| wish.ports[0].up = true);
    assert_eq!((bench.up(), bench.asked()), ([true; 2], [0, 10]));
    bench.change(|wish| (wish.ports[0].epoch, wish.ports[0].up) = (1, false));
    assert_eq!(bench.up(), [false, true]);
    bench.change(|wish| wish.ports[0].up = true);
    bench.run_for(200, answers(&[ETH1]));
    assert_eq!((bench.up(), bench.asked()[0]), ([false, true], 0));
    bench.run_for(100, answers(&[ETH0, ETH1]));
    assert_eq!((bench.up(), bench.asked()[0]), ([true; 2], 1));
}

#[test]
fn a_watch_that_begins_while_its_port_is_at_work_trusts_it_at_first() {
    let mut bench = Bench::new("arp=192.0.2.1,interval=100,missed-max=3");
    bench.run_for(100, answers(&[ETH0, ETH1]));
    bench.change(|wish| {
        for port in &mut wish.ports {
            port.trusted = true;
            port.watches = "arp=192.0.2.2,interval=100".parse::<Watches>().unwrap().all().to_vec();
        }
    });
    assert_eq!(bench.up(), [true; 2]);
    bench.run_for(299, |bench| bench.parse(ETH0, "192.0.2.2", own(ETH0)));
    assert_eq!(bench.up(), [true; 2]);
    bench.run_for(101, |bench| bench.parse(ETH0, "192.0.2.2", own(ETH0)));
    assert_eq!(bench.up(), [true, false]);
}

#[test]
fn questions_are_tagged_as_the_rule_demands() {
    let vlans = |bench: &mut Bench| {
        let frames = std::mem::take(&mut bench.asked);
        frames.iter().map(|asked| crate::probe::vlan_of(&asked.frame)).collect::<Vec<_>>()
    };
    let mut bench = Bench::new("arp=192.0.2.1,interval=100");
    bench.change(|wish| wish.vlan = "access=7".parse().unwrap());
    vlans(&mut bench);
    bench.run_for(100, |bench| {
        bench.hear_in(ETH0, "192.0.2.1", own(ETH0), Some(VlanId(7)));
        bench.parse(ETH1, "192.0.2.1", own(ETH1));
    });
    assert_eq!((vlans(&mut bench), bench.up()), (vec![Some(VlanId(7)); 2], [true, false]));

    let mut bench = Bench::new("arp=192.0.2.1,interval=100,vlan=5");
    bench.change(|wish| wish.vlan = "trunk=1-9,native=5".parse().unwrap());
    vlans(&mut bench);
    bench.run_for(100, answers(&[ETH0, ETH1]));
    assert_eq!((vlans(&mut bench), bench.up()), (vec![None; 2], [true; 2]), "the native VLAN has no tag");
    bench.change(|wish| wish.vlan = "trunk=1-4".parse().unwrap());
    bench.run_for(100, |_| {});
    assert_eq!(vlans(&mut bench), [], "a VLAN that does not pass");
}

#[test]
fn only_a_port_that_carries_traffic_asks_for_the_host() {
    let mut bench = Bench::new("arp=192.0.2.1,interval=100,source=192.0.2.7");
    let from = |frame: &[u8]| (frame[6..12].to_vec(), frame[28..32].to_vec());
    let asked: Vec<_> = bench.asked.iter().map(|asked| from(&asked.frame)).collect();
    let expected = [(AGGREGATE.0.to_vec(), vec![192, 0, 2, 7]), (own(ETH1).0.to_vec(), vec![0; 4])];
    assert_eq!(asked, expected);
    bench.run_for(100, |bench| {
        bench.parse(ETH0, "192.0.2.1", AGGREGATE);
        bench.parse(ETH1, "192.0.2.1", AGGREGATE);
    });
    assert_eq!(bench.up(), [true, false]);
}

#[test]
fn what_counts_where_is_the_owners_choice() {
    for (validate, strangers, anything) in [
        ("all", [false, false], [false, false]),
        ("active", [false, false], [false, true]),
        ("standby", [false, false], [true, false]),
        ("none", [false, false], [true, true]),
        ("filter", [true, true], [false, false]),
        ("filter-active", [false, true], [false, false]),
        ("filter-standby", [true, false], [false, false]),
    ] {
        let text = format!("arp=192.0.2.1,interval=100,validate={validate}");
        let mut bench = Bench::new(&text);
        bench.run_for(300, |bench| {
            for port in [ETH0, ETH1] {
                let frame = ReceivedProbe { protocol: ProbeProtocol::Arp, from: NEIGHBOUR, vlan: None, answer: None };
                bench.prober.on_received(bench.now, port, &frame);
            }
        });
        bench.turn();
        assert_eq!(bench.up(), strangers, "{validate}: frames of the protocol");
        let mut bench = Bench::new(&text);
        bench.run_for(300, |bench| bench.counters.values_mut().for_each(|counted| counted.received += 1));
        assert_eq!(bench.up(), anything, "{validate}: any frame");
    }
}

#[test]
fn silence_counts_only_while_others_receive() {
    let mut bench = Bench::new("traffic,idle=400");
    bench.run_for(2_000, |_| {});
    assert_eq!(bench.up(), [true; 2], "nobody receives");
    let receives = |id: PortId| move |bench: &mut Bench| bench.counters.get_mut(&id).unwrap().received += 1;
    bench.run_for(1_000, receives(ETH1));
    assert_eq!(bench.up(), [false, true]);
    bench.run_for(2_000, |_| {});
    assert_eq!(bench.up(), [false, true], "it must receive to be well again");
    bench.run_for(200, receives(ETH0));
    assert_eq!(bench.up(), [true, true]);
    bench.run_for(1_000, receives(ETH0));
    assert_eq!(bench.up(), [true, false]);
}

#[test]
fn a_port_with_too_many_errors_is_down_until_it_was_calm() {
    let mut bench = Bench::new("errors,limit=10,within=400,calm=2s");
    let err = |id: PortId, count: u64| move |bench: &mut Bench| bench.counters.get_mut(&id).unwrap().errors += count;
    bench.run_for(5_000, err(ETH0, 2));
    assert_eq!(bench.up(), [true; 2], "ten in four tenths of a second are allowed");
    bench.run_for(500, err(ETH0, 5));
    assert_eq!(bench.up(), [false, true]);
    bench.run_for(1_900, |_| {});
    assert_eq!(bench.up(), [false, true]);
    bench.run_for(600, |_| {});
    assert_eq!(bench.up(), [true; 2]);
    bench.counters.get_mut(&ETH0).unwrap().errors = 0;
    bench.run_for(500, |_| {});
    assert_eq!(bench.up(), [true; 2], "a counter that begins anew is no error");
}

#[test]
fn nothing_is_due_where_nothing_is_watched() {
    let mut bench = Bench::new("link");
    bench.run_for(1_000, |_| {});
    assert_eq!((bench.prober.deadline(), bench.asked()), (None, [0; 2]));
}

/// Random numbers that repeat (splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word ^ (word >> 31)) % end
    }
}

#[test]
fn whatever_happens_a_port_is_up_by_a_recent_answer_alone() {
    /// Between two questions, and how many may be missed.
    const RULE: (Duration, u32) = (Duration::from_millis(100), 3);

    for seed in 0..200 {
        let mut random = Random(seed);
        let mut bench = Bench::new("arp=192.0.2.1,interval=100,missed-max=3");
        let mut answered = [None; 2];
        for _ in 0..500 {
            // The machine may stand still, and the link may go for a moment or for good.
            let pause = [1, 10, 50, 100, 100, 250][usize::try_from(random.below(6)).unwrap()];
            bench.run_for(pause, |_| {});
            let port = usize::try_from(random.below(2)).unwrap();
            let id = [ETH0, ETH1][port];
            match random.below(20) {
                0..8 if bench.wish.ports[port].up => {
                    bench.parse(id, "192.0.2.1", own(id));
                    answered[port] = Some(bench.now);
                }
                8..12 => bench.parse(id, "192.0.2.1", own([ETH1, ETH0][port])),
                12 => bench.change(|wish| wish.ports[port].up = false),
                13..16 => bench.change(|wish| wish.ports[port].up = true),
                16 => {
                    bench.change(|wish| wish.ports[port].epoch += 1);
                    answered[port] = None;
                }
                17 => {
                    bench.now += Duration::from_millis(random.below(1_000));
                    bench.turn();
                }
                _ => bench.turn(),
            }
            assert!(bench.prober.deadline().is_none_or(|at| at > bench.now), "seed {seed}: a deadline that has passed");
            for (port, answered) in answered.iter().enumerate() {
                let up = bench.up()[port];
                let age = answered.map(|at| bench.now - at);
                assert!(!up || age.is_some(), "seed {seed}: up without an answer since the link came up");
                // The first question after the answer may be due at once, and each that is missed takes an interval.
                let surely = age.is_some_and(|age| age < RULE.0 * RULE.1);
                assert!(up || !surely, "seed {seed}: down {age:?} after an answer");
            }
        }
    }
}
