//! Modes in which all ports carry traffic.

use aggctl_common::spread::{self, END, Rotation, TableView};

use super::*;
use crate::config::{Mode, Partner, TableKind};

/// What the programs have.
#[derive(Default)]
struct Programs {
    ports: Ports,
    fallback_orders: Vec<[u8; spread::MAX_FALLBACKS]>,
    primaries: Vec<u8>,
    rotation: Option<Rotation>,
}

impl TableView for Programs {
    fn primary(&self, bucket: u32) -> u8 {
        self.primaries[bucket as usize]
    }

    fn fallback(&self, bucket: u32, position: usize) -> u8 {
        self.fallback_orders[bucket as usize][position]
    }
}

impl Programs {
    fn follow(&mut self, actions: &[Action]) {
        for action in actions {
            match action {
                Action::Publish(table) => self.ports = **table,
                Action::PublishFallbackOrders(fallback_orders) => self.fallback_orders.clone_from(fallback_orders),
                Action::PublishBuckets(primaries) => self.primaries.clone_from(primaries),
                Action::PublishRotation(rotation) => self.rotation = Some(**rotation),
                _ => {}
            }
        }
    }

    /// The port of each bucket.
    fn buckets(&self) -> Vec<Option<PortId>> {
        let count = u32::try_from(self.primaries.len()).unwrap();
        (0..count).map(|bucket| spread::choose(&self.ports, self, bucket)).collect()
    }
}

fn sharing(ports: usize, mode: Mode) -> AggregateConfig {
    let mut config = config(ports);
    config.mode = mode;
    config.hash.buckets = 256;
    config
}

/// An aggregate whose ports are all up, and what its programs got.
fn up(config: AggregateConfig) -> (Bench, Programs) {
    let count = config.ports.len();
    let mut bench = Bench::unsettled(config, &Memory::default());
    let mut programs = Programs::default();
    for id in 0..count {
        programs.follow(&bench.link(PortId(u8::try_from(id).unwrap()), UP));
    }
    (bench, programs)
}

#[test]
fn a_lost_port_moves_its_own_buckets_at_once_and_gets_them_back() {
    let (mut bench, mut programs) = up(sharing(3, Mode::Hash));
    let before = programs.buckets();
    let actions = bench.link(ETH1, DOWN);
    // Already the table of ports moves them to where the next table has them.
    programs.follow(&actions[..1]);
    let at_once = programs.buckets();
    programs.follow(&actions[1..]);
    assert_eq!(programs.buckets(), at_once);
    for (before, after) in before.iter().zip(&at_once) {
        if *before == Some(ETH1) { assert_ne!(*after, Some(ETH1)) } else { assert_eq!(before, after) }
    }
    assert!(!actions.iter().any(|action| matches!(action, Action::PublishFallbackOrders(_))), "the orders stay");
    programs.follow(&bench.link(ETH1, UP));
    assert_eq!(programs.buckets(), before);
}

#[test]
fn without_usable_ports_no_bucket_has_one() {
    let (mut bench, mut programs) = up(sharing(2, Mode::Hash));
    for port in [ETH0, ETH1] {
        programs.follow(&bench.link(port, DOWN));
    }
    assert!(programs.primaries.iter().all(|slot| *slot == END) && programs.buckets().iter().all(Option::is_none));
}

#[test]
fn a_port_that_joins_takes_its_share_and_one_that_is_removed_gives_it_back() {
    let (mut bench, mut programs) = up(sharing(2, Mode::Hash));
    let before = programs.buckets();
    let config = PortConfig::new("eth2");
    programs.follow(&bench.event(Event::PortAdded(member(ETH2, &config))));
    assert_eq!(programs.buckets(), before, "it is not usable yet");
    programs.follow(&bench.link(ETH2, UP));
    let moved = before.iter().zip(programs.buckets()).filter(|(before, after)| **before != *after);
    assert!(moved.clone().all(|(_, after)| after == Some(ETH2)));
    assert!((256 / 4..256 / 2).contains(&moved.count()));
    programs.follow(&bench.event(Event::PortRemoved { port: ETH2 }));
    assert_eq!(programs.buckets(), before);
}

#[test]
fn a_weight_changes_the_shares() {
    let (mut bench, mut programs) = up(sharing(2, Mode::Hash));
    programs.follow(&bench.configure(|config| config.ports[0].weight = 3));
    let own = programs.buckets().iter().filter(|port| **port == Some(ETH0)).count();
    assert!((180..=204).contains(&own), "{own} of 256");
}

#[test]
fn ports_take_turns_and_a_lost_one_is_left_out() {
    let (mut bench, mut programs) = up(sharing(3, Mode::RoundRobin));
    assert_eq!(programs.rotation.unwrap().entries(), [0, 1, 2]);
    programs.follow(&bench.link(ETH1, DOWN));
    assert_eq!(programs.rotation.unwrap().entries(), [0, 2]);
    programs.follow(&bench.configure(|config| config.ports[2].weight = 2));
    assert_eq!(programs.rotation.unwrap().entries().len(), 3);
}

#[test]
fn the_kernels_way_knows_no_weights() {
    let mut config = sharing(2, Mode::Hash);
    config.hash.table = TableKind::KernelCompat;
    config.ports[1].weight = 9;
    let (_, programs) = up(config);
    assert_eq!(programs.rotation.unwrap().entries(), [0, 1]);
}

#[test]
fn a_change_of_mode_publishes_all_that_the_new_programs_read() {
    let (mut bench, _) = up(sharing(2, Mode::Hash));
    let mut fresh = Programs::default();
    fresh.follow(&bench.configure(|config| config.mode = Mode::RoundRobin));
    assert_eq!(fresh.rotation.unwrap().entries(), [0, 1]);
    let mut fresh = Programs { ports: bench.aggregate.table(), ..Programs::default() };
    fresh.follow(&bench.configure(|config| config.mode = Mode::Hash));
    assert!(fresh.fallback_orders.len() == 256 && fresh.primaries.len() == 256);
    let mut fresh = Programs { ports: bench.aggregate.table(), ..Programs::default() };
    fresh.follow(&bench.configure(|config| config.hash.buckets = 512));
    assert!(fresh.fallback_orders.len() == 512 && fresh.primaries.len() == 512);
}

#[test]
fn after_a_change_to_one_active_port_the_others_still_accept_what_is_on_its_way() {
    let (mut bench, _) = up(sharing(3, Mode::Hash));
    let table = *published(&bench.configure(|config| config.mode = Mode::ActiveBackup)).last().unwrap();
    assert_eq!((table.choose(), table.accept), (Some(ETH0), 0b110));
    bench.run_for(250);
    assert_eq!(bench.aggregate.table().accept, 0);
}

#[test]
fn there_is_no_active_port_but_with_a_plain_partner_a_designated_one() {
    let (mut bench, _) = up(sharing(2, Mode::Hash));
    assert_eq!((bench.active(), bench.aggregate.status().designated), (None, None));
    assert_eq!([ETH0, ETH1].map(|port| bench.state(port)), [PortState::Sharing; 2]);
    assert_eq!(bench.activate(ETH1), Err(EventRefusal::NoActivePort));
    bench.configure(|config| config.partner = Some(Partner::Plain));
    assert_eq!(bench.aggregate.status().designated, Some(ETH0));
    let actions = bench.link(ETH0, DOWN);
    assert_eq!(bench.aggregate.status().designated, Some(ETH1));
    assert_eq!(announced(&actions), [ETH1], "what the switch knows of eth0 is wrong now");
}

#[test]
fn a_group_of_ports_needs_no_announcement_unless_all_were_lost() {
    let (mut bench, _) = up(sharing(2, Mode::Hash));
    assert_eq!(announced(&bench.link(ETH0, DOWN)), []);
    assert_eq!(announced(&bench.link(ETH1, DOWN)), []);
    assert_eq!(announced(&bench.link(ETH1, UP)), [ETH1]);
}
