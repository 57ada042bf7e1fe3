//! The picture of an aggregate that `doctor` looks at: what `show` shows, and what else the kernel says.

use aggctl_common::IfIndex;
use aggctl_engine::{
    config::{AggregateConfig, Hook},
    doctor::{AggregateFacts, Controller, Guardian, PortFacts, WrongPart},
    record::Phase,
};
use aggctl_kernel::{
    conflicts,
    netlink::Netlink,
    process,
    state::Store,
    vitals::{self, PortQuestions},
};

use crate::{
    failure::Failure,
    holder::is_guardian,
    view::{self, AggregateView, ControllerView, PortView},
};

/// Looks at an aggregate; `None` if there is none. One whose record cannot be read is known by its name alone.
///
/// # Errors
/// If the system cannot be asked.
pub fn look(store: &Store, netlink: &mut Netlink, ask: &PortQuestions) -> Result<Option<AggregateFacts>, Failure> {
    match (view::look(store, netlink, false), store.find()) {
        (Err(_), Err(problem)) => Ok(Some(unreadable(store.name(), problem.to_string()))),
        (seen, _) => seen?.map(|view| of(view, netlink, ask)).transpose(),
    }
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
        usable: port.usable,
        state: port.state,
        why: port.why,
        speed_mbps: port.speed_mbps,
        full_duplex: port.duplex.map(|duplex| duplex == "full"),
        link_failures: port.link_failures,
        foreign: port.foreign,
    })
}

fn controller(view: &ControllerView) -> Controller {
    match (view.pid, view.answers) {
        (None, _) => Controller::None,
        (Some(pid), Some(true)) => Controller::Answers(pid),
        (Some(pid), _) => Controller::Silent(pid),
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
        controller: Controller::None,
        guardian: Guardian::None,
        driver_decides: None,
        asks_kernel: false,
        wrong: Vec::new(),
        rp_filter: None,
        hook: Hook::Auto,
        conflicts: Vec::new(),
        ports: Vec::new(),
    }
}
