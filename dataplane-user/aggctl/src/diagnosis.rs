//! The picture of an aggregate that `doctor` looks at: what `show` shows, and what else the kernel says.

use std::collections::BTreeMap;

use aggctl_common::{DropReason, IfIndex};
use aggctl_engine::{
    config::{AggregateConfig, Hook},
    doctor::{
        AggregateFacts, ControllerFacts, FrameCounts, Guardian, PortFacts, Sample, WrongPart, frames_of_interest,
    },
    record::Phase,
};
use aggctl_kernel::{
    conflicts,
    netlink::Netlink,
    probing::FrameSample,
    process,
    state::Store,
    vitals::{self, PortQuestions},
};

use crate::{
    failure::Failure,
    holder::is_guardian,
    view::{self, AggregateView, ControllerView, PortView},
};

/// An aggregate that is looked at for a while.
pub struct Examination {
    store: Store,
    begun: Begun,
}

/// What was seen of it first.
enum Begun {
    /// Why its record cannot be read.
    Unreadable(String),
    /// What it was, and what counts the frames of its ports meanwhile, by their names.
    Counting(Box<AggregateView>, BTreeMap<String, FrameSample>),
}

impl Examination {
    /// Looks at an aggregate for the first time; `None` if there is none.
    ///
    /// # Errors
    /// If the system cannot be asked.
    pub fn begin(store: Store, netlink: &mut Netlink) -> Result<Option<Self>, Failure> {
        let begun = match (view::look(&store, netlink, false), store.find()) {
            (Err(_), Err(problem)) => Begun::Unreadable(problem.to_string()),
            (seen, _) => {
                let Some(view) = seen? else { return Ok(None) };
                let counting = view.ports.iter().filter_map(|port| begin_counting(&view, port));
                let counting = counting.collect::<Result<_, Failure>>()?;
                Begun::Counting(Box::new(view), counting)
            }
        };
        Ok(Some(Self { store, begun }))
    }

    /// Looks again, [`SAMPLE`](aggctl_engine::doctor::SAMPLE) later; `None` if it is gone meanwhile.
    ///
    /// # Errors
    /// If the system cannot be asked.
    pub fn end(self, netlink: &mut Netlink, ask: &PortQuestions) -> Result<Option<AggregateFacts>, Failure> {
        let (before, counting) = match self.begun {
            Begun::Unreadable(problem) => return Ok(Some(unreadable(self.store.name(), problem))),
            Begun::Counting(view, counting) => (view, counting),
        };
        let counted = counting.into_iter().map(|(port, sample)| (port, sample.end())).collect();
        let Some(view) = view::look(&self.store, netlink, false)? else { return Ok(None) };
        let mut facts = of(view, netlink, ask)?;
        compare(&mut facts, &before, &counted);
        Ok(Some(facts))
    }
}

/// Begins to count the frames of a port that say something; `None` if none do.
fn begin_counting(view: &AggregateView, port: &PortView) -> Option<Result<(String, FrameSample), Failure>> {
    let frames = frames_of_interest(&view.config, port.state)?;
    let index = IfIndex(port.ifindex?);
    let sample = FrameSample::begin(index, frames, view.mac).map_err(Failure::from);
    Some(sample.map(|sample| (port.name.clone(), sample)))
}

/// Fills in what has passed since it was looked at `before`.
fn compare(facts: &mut AggregateFacts, before: &AggregateView, counted: &BTreeMap<String, u64>) {
    facts.vlan_drops_now = vlan(&facts.tx_drops).saturating_sub(vlan(&before.tx_drops));
    for port in &mut facts.ports {
        let former = before.ports.iter().find(|former| former.name == port.name);
        let (Some(former), Some(counters)) = (former, port.counters) else { continue };
        let (Some(sent), Some(received)) = (former.tx_packets, former.rx_packets) else { continue };
        port.sample = Some(Sample {
            sent: counters.sent.saturating_sub(sent),
            received: counters.received.saturating_sub(received),
            vlan_drops: vlan(&port.rx_drops).saturating_sub(vlan(&former.rx_drops)),
            frames: counted.get(&port.name).copied().unwrap_or_default(),
        });
    }
}

/// Those that were dropped for their VLAN.
fn vlan(drops: &BTreeMap<&'static str, u64>) -> u64 {
    drops.get(DropReason::Vlan.name()).copied().unwrap_or_default()
}

fn of(view: AggregateView, netlink: &mut Netlink, ask: &PortQuestions) -> Result<AggregateFacts, Failure> {
    let link = view.ifindex.map(|index| netlink.link(IfIndex(index))).transpose()?.flatten();
    let rp_filter = link.as_ref().map(|link| vitals::rp_filter(&link.name)).transpose()?.flatten();
    let ports = view.ports.into_iter().map(|port| port_of(port, netlink, ask)).collect::<Result<Vec<_>, Failure>>()?;
    let name = link.as_ref().map_or(view.name, |link| link.name.clone());
    let present: Vec<_> =
        ports.iter().filter_map(|port| Some((port.link.as_ref()?.index, port.name.clone()))).collect();
    let conflicts = conflicts::find(&present, &name)?;
    Ok(AggregateFacts {
        name,
        unreadable: None,
        phase: view.phase,
        link,
        confirm_within: view.confirm_within,
        record_behind: view.record_behind.map(|behind| behind.why),
        record_damage: view.record_damage,
        controller: controller(&view.controller),
        guardian: guardian(&view.controller),
        driver_decides: view.driver.and_then(|driver| driver.why),
        asks_kernel: view.failover_path == Some("kernel"),
        wrong: view
            .defects
            .into_iter()
            .map(|defect| WrongPart { kind: defect.defect, what: defect.what, done: defect.done })
            .collect(),
        rp_filter,
        hook: view.config.hook,
        conflicts,
        tx_drops: view.tx_drops,
        vlan_drops_now: 0,
        ports,
        config: view.config,
    })
}

fn port_of(port: PortView, netlink: &mut Netlink, ask: &PortQuestions) -> Result<PortFacts, Failure> {
    let link = port.ifindex.map(|index| ask.link(netlink, IfIndex(index))).transpose()?.flatten();
    let ours = port.early.is_some_and(|early| early.mode != "off");
    Ok(PortFacts {
        foreign_xdp: link.as_ref().and_then(|link| link.xdp.program.clone()).filter(|_| !ours),
        link,
        name: port.name,
        config: port.config,
        usable: port.usable,
        state: port.state,
        why: port.why,
        speed_mbps: port.speed_mbps,
        full_duplex: port.duplex.map(|duplex| duplex == "full"),
        link_failures: port.link_failures,
        foreign: port.foreign,
        share: port.share,
        counters: port.tx_packets.zip(port.rx_packets).map(|(sent, received)| FrameCounts { sent, received }),
        rx_drops: port.rx_drops,
        sample: None,
    })
}

fn controller(view: &ControllerView) -> ControllerFacts {
    match (view.pid, view.answers) {
        (None, _) => ControllerFacts::None,
        (Some(pid), Some(true)) => ControllerFacts::Answers(pid),
        (Some(pid), _) => ControllerFacts::Silent(pid),
    }
}

/// Who is the parent of a controller that runs in the background.
fn guardian(view: &ControllerView) -> Guardian {
    let Some(pid) = view.pid else { return Guardian::None };
    let is_background =
        process::own_arguments(pid).is_some_and(|words| words.first().is_some_and(|word| word == "controller"));
    match process::parent(pid) {
        _ if !is_background => Guardian::NotNeeded,
        Some(parent) if is_guardian(parent) => Guardian::Lives,
        _ => Guardian::None,
    }
}

/// What is known of an aggregate without its record.
fn unreadable(name: &str, problem: String) -> AggregateFacts {
    AggregateFacts {
        name: name.to_owned(),
        unreadable: Some(problem),
        config: AggregateConfig::new(name, Vec::new()),
        phase: Phase::Attached,
        link: None,
        confirm_within: None,
        record_behind: None,
        record_damage: None,
        controller: ControllerFacts::None,
        guardian: Guardian::None,
        driver_decides: None,
        asks_kernel: false,
        wrong: Vec::new(),
        rp_filter: None,
        hook: Hook::Auto,
        conflicts: Vec::new(),
        tx_drops: BTreeMap::new(),
        vlan_drops_now: 0,
        ports: Vec::new(),
    }
}
