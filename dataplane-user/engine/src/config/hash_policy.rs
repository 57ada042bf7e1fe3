//! Hash policies as they are written: a name, or a list of fields.

use std::{fmt, str::FromStr};

use aggctl_common::{
    frame::Frame,
    hash::{
        self, Policy,
        list::{self, Field, FieldList, Known, PrefixLengths},
    },
};
use serde::{Deserialize, Serialize};

/// What of a frame is hashed. Written as on the command line: the name of a policy, or fields with commas between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum HashPolicy {
    /// One of bonding's, bit for bit.
    Named(Policy),
    /// The fields of a list.
    Fields(FieldList),
}

/// What is wrong with a text that should be a hash policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPolicy {
    /// Not a name of anything.
    #[error("'{0}' is no hash policy ({names}) and no field ({fields}, symmetric)", names = names(), fields = fields())]
    Unknown(String),
    /// Behind the `/` is not what counts of an address.
    #[error("'{0}' does not say how much of an address counts: IP/24 (of IPv4), IP/48 (of IPv6) or IP/24/48 (of both)")]
    Prefix(String),
    /// A field whose opposite is not there, or not with the same prefix.
    #[error("a symmetric hash needs {0} and {1} alike, or neither")]
    OneWay(&'static str, &'static str),
    /// A field that differs between the two directions of a connection.
    #[error("{0} may differ between the two ways of a connection, so a symmetric hash cannot have it")]
    Direction(&'static str),
    /// Nothing to hash.
    #[error("a list needs a field")]
    Empty,
}

/// The policies that have names: their own, then bonding's number.
pub const NAMED: [(Policy, &[&str]); 3] =
    [(Policy::Layer2, &["layer2", "0"]), (Policy::Layer23, &["layer2+3", "2"]), (Policy::Layer34, &["layer3+4", "1"])];

/// What teamd calls fields in `tx_hash`.
const TEAMD: [(&str, &[Field]); 9] = [
    ("eth", &[Field::SrcMac, Field::DstMac]),
    ("ipv4", &[Field::SrcIp, Field::DstIp]),
    ("ipv6", &[Field::SrcIp, Field::DstIp]),
    ("ip", &[Field::SrcIp, Field::DstIp]),
    ("l3", &[Field::SrcIp, Field::DstIp]),
    ("tcp", &[Field::SrcPort, Field::DstPort]),
    ("udp", &[Field::SrcPort, Field::DstPort]),
    ("sctp", &[Field::SrcPort, Field::DstPort]),
    ("l4", &[Field::SrcPort, Field::DstPort]),
];

/// The item that makes a list symmetric.
const SYMMETRIC: &str = "symmetric";

fn names() -> String {
    NAMED.map(|(policy, _)| policy.name()).join(", ")
}

fn fields() -> String {
    Field::ALL.map(Field::name).join(", ")
}

impl HashPolicy {
    /// The policy that has a name.
    #[must_use]
    pub const fn named(&self) -> Option<Policy> {
        match self {
            Self::Named(policy) => Some(*policy),
            Self::Fields(_) => None,
        }
    }

    /// The list, if it is none that has a name.
    #[must_use]
    pub const fn list(&self) -> Option<&FieldList> {
        match self {
            Self::Named(_) => None,
            Self::Fields(list) => Some(list),
        }
    }

    /// Bonding's policy that looks at the same headers: what a driver hashes that shall do as we do.
    #[must_use]
    pub fn nearest(&self) -> Policy {
        match self {
            Self::Named(policy) => *policy,
            Self::Fields(list) if self.tells_connections_apart() || list.has(Field::SkbHash) => Policy::Layer34,
            Self::Fields(list) if list.has(Field::SrcIp) || list.has(Field::DstIp) => Policy::Layer23,
            Self::Fields(_) => Policy::Layer2,
        }
    }

    /// Whether two connections between the same hosts have different hashes.
    #[must_use]
    pub fn tells_connections_apart(&self) -> bool {
        match self {
            Self::Named(policy) => *policy == Policy::Layer34,
            Self::Fields(list) => list.has(Field::SrcPort) || list.has(Field::DstPort),
        }
    }

    /// The hash of a frame, unseeded, or nothing if it is shorter than an Ethernet header. The same that the programs
    /// work out.
    #[must_use]
    pub fn hash<F: Frame + ?Sized>(&self, frame: &F, beside: &Known) -> Option<u32> {
        match self {
            Self::Named(policy) => hash::hash(*policy, frame),
            Self::Fields(list) => list::fields(list, frame, beside).map(|(_, hash)| hash),
        }
    }
}

impl Default for HashPolicy {
    fn default() -> Self {
        Self::Named(Policy::default())
    }
}

impl From<Policy> for HashPolicy {
    fn from(policy: Policy) -> Self {
        Self::Named(policy)
    }
}

impl fmt::Display for HashPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = match self {
            Self::Named(policy) => return policy.fmt(f),
            Self::Fields(list) => list,
        };
        for (position, field) in list.iter().enumerate() {
            let comma = if position == 0 { "" } else { "," };
            write!(f, "{comma}{}", field.name())?;
            let lengths = match field {
                Field::SrcIp => list.source,
                Field::DstIp => list.destination,
                _ => PrefixLengths::WHOLE,
            };
            match (lengths.four, lengths.six) {
                (32, 128) => {}
                (four, 128) => write!(f, "/{four}")?,
                (32, six) if six > 32 => write!(f, "/{six}")?,
                (four, six) => write!(f, "/{four}/{six}")?,
            }
        }
        if list.symmetric { write!(f, ",{SYMMETRIC}") } else { Ok(()) }
    }
}

impl FromStr for HashPolicy {
    type Err = InvalidPolicy;

    fn from_str(text: &str) -> Result<Self, InvalidPolicy> {
        if let Some((policy, _)) = NAMED.iter().find(|(_, names)| names.contains(&text)) {
            return Ok(Self::Named(*policy));
        }
        let mut list = FieldList::default();
        for item in text.split(',') {
            add(&mut list, item)?;
        }
        check(&list)?;
        Ok(Self::Fields(list))
    }
}

crate::text::as_text!(HashPolicy);

/// Adds an item to a list.
fn add(list: &mut FieldList, item: &str) -> Result<(), InvalidPolicy> {
    let dashed = item.replace('_', "-");
    if dashed == SYMMETRIC {
        list.symmetric = true;
        return Ok(());
    }
    let (name, prefix) = dashed.split_once('/').map_or((dashed.as_str(), None), |(name, prefix)| (name, Some(prefix)));
    let field = Field::ALL.into_iter().find(|field| field.name() == name);
    let aliases = TEAMD.iter().find(|(alias, _)| *alias == name).map(|(_, fields)| *fields);
    let added = match (field.as_ref().map(std::slice::from_ref), aliases) {
        (Some(fields), _) | (None, Some(fields)) => fields,
        (None, None) => return Err(InvalidPolicy::Unknown(item.to_owned())),
    };
    for field in added {
        *list = list.with(*field);
        match (field, prefix) {
            (Field::SrcIp, Some(prefix)) => list.source = lengths(item, prefix)?,
            (Field::DstIp, Some(prefix)) => list.destination = lengths(item, prefix)?,
            (_, Some(_)) => return Err(InvalidPolicy::Prefix(item.to_owned())),
            (_, None) => {}
        }
    }
    Ok(())
}

/// What counts of addresses: `24` of those of IPv4, `48` of those of IPv6, `24/48`.
fn lengths(item: &str, text: &str) -> Result<PrefixLengths, InvalidPolicy> {
    let number = |text: &str, most: u8| {
        let number = text.parse().ok().filter(|number| (1..=most).contains(number));
        number.ok_or_else(|| InvalidPolicy::Prefix(item.to_owned()))
    };
    match text.split_once('/') {
        Some((four, six)) => Ok(PrefixLengths { four: number(four, 32)?, six: number(six, 128)? }),
        None => Ok(match number(text, 128)? {
            four @ ..=32 => PrefixLengths { four, ..PrefixLengths::WHOLE },
            six => PrefixLengths { six, ..PrefixLengths::WHOLE },
        }),
    }
}

/// Whether a list can be hashed as it says.
fn check(list: &FieldList) -> Result<(), InvalidPolicy> {
    if list.iter().next().is_none() {
        return Err(InvalidPolicy::Empty);
    }
    if !list.symmetric {
        return Ok(());
    }
    for field in list.iter() {
        if field.has_direction() {
            return Err(InvalidPolicy::Direction(field.name()));
        }
        let Some(opposite) = field.opposite() else { continue };
        let alike = !matches!(field, Field::SrcIp | Field::DstIp) || list.source == list.destination;
        if !list.has(opposite) || !alike {
            return Err(InvalidPolicy::OneWay(field.name(), opposite.name()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
