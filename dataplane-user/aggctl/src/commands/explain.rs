//! `explain`: which port a flow takes, and why.

use aggctl_common::{
    IfIndex, PortId, Ports,
    hash::{
        self, Fields, NoAddresses, NoTransport, Policy, Transport,
        list::{self, Field, FieldList, Known},
    },
    programs::TxPolicy,
    spread,
    vlan::{self, CUSTOMER, OuterTag, TagChange},
};
use aggctl_engine::{config::HashPolicy, record::Record, settings::Settings, vlan::VlanConfig};
use aggctl_kernel::{dataplane::Dataplane, netlink::Netlink, state::Store};
use serde::Serialize;

use crate::{
    cli::FlowFields,
    failure::Failure,
    operation,
    output::print,
    view::{Bucket, PublishedSpread, SCHEMA},
};

/// The JSON of `explain`.
#[derive(Debug, Serialize)]
struct Explanation {
    schema: u32,
    name: String,
    /// The selection in use, in words.
    selection: &'static str,
    /// What was hashed, in words.
    fields: Vec<String>,
    hash: Option<u32>,
    bucket: Option<u32>,
    /// Null if the flow is dropped, or takes several ports.
    port: Option<String>,
    why: String,
    /// Where it would go if one port failed.
    failures: Vec<Failing>,
    /// Ports that are held down: if no other has a link, one of them is used.
    held_down: Vec<String>,
}

/// What one failure would mean.
#[derive(Debug, Serialize)]
struct Failing {
    port: String,
    then: Option<String>,
}

/// Explains.
///
/// # Errors
/// If there is no such aggregate, or its maps cannot be read.
pub fn run(store: &Store, flow: &FlowFields, json: bool) -> Result<(), Failure> {
    let record = store.record()?.ok_or_else(|| operation::not_there(store.name()))?;
    let explanation = explain(store, &record, flow)?;
    let text = if json {
        serde_json::to_string_pretty(&explanation).map_err(std::io::Error::from)?
    } else {
        in_words(&explanation)
    };
    print(&text)
}

fn explain(store: &Store, record: &Record, flow: &FlowFields) -> Result<Explanation, Failure> {
    let settings = Settings::of(&record.config);
    let dataplane = Dataplane::at(store.pins(), settings.clone());
    let table = dataplane.table()?.load();
    let mac = Netlink::open()?.link(record.index)?.map_or(record.mac, |link| link.mac);
    let frame = flow.frame(mac);
    let place = place(&settings.vlan, flow.vlan);
    let hashed = match &settings.policy {
        HashPolicy::Named(policy) => named(*policy, &frame),
        HashPolicy::Fields(list) => listed(list, &frame, flow, place.clone().unwrap_or_default()),
    };
    let hash = hashed.as_ref().map(|(_, hash)| hash::seeded(*hash, settings.seed));
    let choice = FlowChoice::new(&dataplane, &settings, hash.unwrap_or_default())?;
    let name = |id: PortId| {
        let port = record.ports.iter().find(|port| port.id == id);
        port.map_or_else(|| format!("slot {id}"), |port| port.config.name.clone())
    };
    let hashes = matches!(settings.tx_policy, TxPolicy::Buckets | TxPolicy::Modulo);
    let bucket = match &choice {
        FlowChoice::Bucket { number, .. } => Some(*number),
        _ => None,
    };
    let port = choice.port(&table).filter(|_| place.is_ok());
    let usable = record.ports.iter().filter(|port| table.usable & port.id.bit() != 0);
    let failures = usable
        .filter(|_| !matches!(choice, FlowChoice::Turns))
        .map(|port| Failing { port: name(port.id), then: choice.port(&table.without(port.id)).map(name) })
        .collect();
    let held = operation::memory(store).held;
    let held_down = held.into_keys().filter(|id| table.usable & id.bit() == 0).map(name).collect();
    let why = match (place, &choice, port) {
        (Err(why), ..) => why,
        (Ok(_), FlowChoice::Turns, _) => "each packet takes the next port".to_owned(),
        (Ok(_), _, None) => "no port is usable: it is dropped".to_owned(),
        (Ok(_), FlowChoice::Active, Some(_)) => "one port carries all".to_owned(),
        (Ok(_), FlowChoice::Modulo { .. }, Some(_)) => "the hash modulo the number of usable ports".to_owned(),
        (Ok(_), FlowChoice::Bucket { bucket, .. }, Some(port)) if bucket.primary == port.0 => {
            "the bucket's port".to_owned()
        }
        (Ok(_), FlowChoice::Bucket { .. }, Some(_)) => "the next usable port of the bucket's order".to_owned(),
    };
    Ok(Explanation {
        schema: SCHEMA,
        name: store.name().to_owned(),
        selection: selection(settings.tx_policy),
        fields: hashed.filter(|_| hashes).map(|(words, _)| words).unwrap_or_default(),
        hash: hash.filter(|_| hashes),
        bucket,
        port: port.map(name),
        why,
        failures,
        held_down,
    })
}

/// The tag with which a frame is sent that has this one, or none; or why it is not sent at all.
fn place(rule: &VlanConfig, vid: Option<u16>) -> Result<Option<u16>, String> {
    let tag = vid.map(|tci| OuterTag::new(CUSTOMER, tci));
    match vlan::on_send(&rule.globals().rule(), tag) {
        Ok(TagChange::Keep) => Ok(vid),
        Ok(TagChange::Push(tci) | TagChange::Retag(tci)) => Ok(Some(tci)),
        Ok(TagChange::Pop) => Ok(None),
        Err(_) => Err(format!("the VLAN rule {rule} has no place for it: it is dropped")),
    }
}

/// What goes into the hash under a policy of bonding's, in words, and the hash.
fn named(policy: Policy, frame: &[u8]) -> Option<(Vec<String>, u32)> {
    let fields = hash::fields(policy, frame)?;
    Some((words(&fields), fields.hash))
}

/// The same of a list of fields.
fn listed(list: &FieldList, frame: &[u8], flow: &FlowFields, tag: Option<u16>) -> Option<(Vec<String>, u32)> {
    let known = Known { tag: tag.into(), mark: flow.mark, queue: flow.queue, hash: flow.skb_hash.unwrap_or_default() };
    let (found, hash) = list::fields(list, frame, &known)?;
    let words = list.iter().map(|field| match found.value(field) {
        Some(_) if field == Field::SkbHash && flow.skb_hash.is_none() => {
            format!("{} is not known and counts as 0 here: add skb-hash=N to the flow", field.name())
        }
        Some(value) => format!("{} {value}", field.name()),
        None => format!("no {}", field.name()),
    });
    Some((words.collect(), hash))
}

/// What decides about this flow.
enum FlowChoice {
    Active,
    Bucket { number: u32, bucket: Bucket },
    Modulo { rotation: Box<spread::Rotation>, hash: u32 },
    Turns,
}

impl FlowChoice {
    fn new(dataplane: &Dataplane, settings: &Settings, hash: u32) -> Result<Self, Failure> {
        Ok(match (settings.tx_policy, PublishedSpread::of(dataplane)?) {
            (TxPolicy::RoundRobin | TxPolicy::Random, Some(_)) => Self::Turns,
            (_, Some(PublishedSpread::Buckets(slots))) => {
                let number = spread::bucket(hash, settings.shift());
                Self::Bucket { number, bucket: Bucket::read(dataplane, &slots, number)? }
            }
            (_, Some(PublishedSpread::Rotation(rotation))) => Self::Modulo { rotation, hash },
            (_, None) => Self::Active,
        })
    }

    fn port(&self, ports: &Ports) -> Option<PortId> {
        let chosen = match self {
            Self::Active => ports.choose(),
            Self::Bucket { bucket, .. } => bucket.port(ports),
            Self::Modulo { rotation, hash } => spread::pick(ports, &**rotation, *hash),
            Self::Turns => None,
        };
        chosen.filter(|port| ports.ifindex[port.index()] != IfIndex::NONE)
    }
}

fn selection(policy: TxPolicy) -> &'static str {
    match policy {
        TxPolicy::Active => "active port",
        TxPolicy::Buckets => "hash, through buckets",
        TxPolicy::Modulo => "hash, as the bonding driver uses it",
        TxPolicy::RoundRobin => "in turn",
        TxPolicy::Random => "at random",
    }
}

/// What went into the hash, and what not.
fn words(fields: &Fields) -> Vec<String> {
    let mut words = Vec::new();
    if let Some(link) = fields.link {
        words.push(format!(
            "last octets of the MACs {:02x} and {:02x}, ethertype 0x{:04x}",
            link.source, link.destination, link.ethertype
        ));
    }
    match fields.addresses {
        Ok(addresses) => {
            words.push(format!("addresses {} and {}", addresses.source(), addresses.destination()));
        }
        Err(NoAddresses::Policy) => {}
        Err(NoAddresses::Tagged) => words.push("no addresses: a tag within the frame hides them".to_owned()),
        Err(NoAddresses::NotIp) => words.push("no addresses: not IP".to_owned()),
        Err(NoAddresses::Truncated) => words.push("no addresses: the frame is too short".to_owned()),
    }
    match fields.transport {
        Ok(Transport::Ports(ports)) => words.push(format!("ports {} and {}", ports.source(), ports.destination())),
        Ok(Transport::Spi(spi)) => words.push(format!("SPI 0x{spi:08x}")),
        Ok(Transport::Icmp { identifier, .. }) => words.push(format!("ICMP identifier {identifier}")),
        Err(NoTransport::Policy | NoTransport::NoAddresses) => {}
        Err(NoTransport::Fragment) => words.push("no ports: a fragment".to_owned()),
        Err(NoTransport::Protocol(protocol)) => words.push(format!("no ports: protocol {protocol} has none")),
        Err(NoTransport::Message(kind)) => words.push(format!("no identifier: ICMP type {kind} has none")),
        Err(NoTransport::Truncated) => words.push("no ports: the frame is too short".to_owned()),
    }
    words
}

fn in_words(explanation: &Explanation) -> String {
    let mut lines = vec![format!("selection  {}", explanation.selection)];
    lines.extend(explanation.fields.iter().map(|field| format!("hashed     {field}")));
    lines.extend(explanation.hash.map(|hash| format!("hash       0x{hash:08x}")));
    lines.extend(explanation.bucket.map(|bucket| format!("bucket     {bucket}")));
    let port = explanation.port.as_deref().unwrap_or("none");
    lines.push(format!("port       {port}: {}", explanation.why));
    for failing in &explanation.failures {
        let then = match &failing.then {
            Some(then) if Some(then) == explanation.port.as_ref() => format!("still {then}"),
            Some(then) => then.clone(),
            None => "dropped".to_owned(),
        };
        lines.push(format!("if {} fails: {then}", failing.port));
    }
    if !explanation.held_down.is_empty() {
        let ports = explanation.held_down.join(", ");
        lines.push(format!("held down  {ports}: used only while no other port has a link"));
    }
    lines.join("\n")
}
