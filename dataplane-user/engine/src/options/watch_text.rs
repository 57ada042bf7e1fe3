//! How watches are written: `link+arp,target=192.0.2.1,interval=1s`.

use std::{fmt, net::IpAddr, str::FromStr};

use super::{Invalid, nested, same, text::quote};
use crate::watches::{MAX_WATCHES, WatchConfig, WatchKind, Watches};

/// What is between two watches.
pub(super) const BETWEEN: char = '+';
/// What is between two settings of a watch; either.
const SEPARATORS: [char; 2] = [',', '/'];

impl WatchKind {
    /// The kind that has this name.
    pub(super) fn called(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, names)| names.iter().any(|own| same(own, name))).map(|(kind, _)| *kind)
    }
}

impl FromStr for Watches {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if text.is_empty() {
            return Err(Invalid::Missing { expected: format!("{}, …", heads()) });
        }
        let mut all: Vec<WatchConfig> = Vec::new();
        for watch in text.split(BETWEEN) {
            let watch: WatchConfig = watch.parse()?;
            if all.contains(&watch) {
                return Err(Invalid::Syntax(format!("watch {} is given twice", quote(&watch.to_string()))));
            }
            if all.len() == MAX_WATCHES {
                return Err(Invalid::Syntax(format!("there are more than {MAX_WATCHES} watches")));
            }
            all.push(watch);
        }
        Ok(Self(all))
    }
}

crate::text::as_text!(Watches);

impl fmt::Display for Watches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&all.join(&BETWEEN.to_string()))
    }
}

impl FromStr for WatchConfig {
    type Err = Invalid;

    /// `KIND[=TARGET][,KEY=VALUE]…`; an address alone is one more target.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let mut parts = text.split(SEPARATORS);
        let head = parts.next().unwrap_or_default();
        let (name, value) = head.split_once('=').map_or((head, None), |(name, value)| (name, Some(value)));
        let kind = WatchKind::called(name).ok_or_else(|| unknown_head(head))?;
        let mut watch = Self::new(kind);
        let targets = value.into_iter().map(|target| ("target", target));
        if value.is_some() && !kind.asks() {
            return Err(Invalid::NoValue { typed: quote(name) });
        }
        let settings = parts.map(|part| match part.split_once('=') {
            Some(setting) => setting,
            None if part.parse::<IpAddr>().is_ok() => ("target", part),
            None => (part, ""),
        });
        nested::read(&mut watch, targets.chain(settings), |key| unknown_key(kind, key))?;
        if kind.asks() && watch.targets.is_empty() {
            return Err(Invalid::Missing { expected: format!("{name} needs whom to ask: {name},target=IP") });
        }
        if let Some(source) = watch.source.filter(|source| !kind.can_ask(*source)) {
            return Err(Invalid::Syntax(format!("'{source}' is no source of a watch {name}")));
        }
        if let Some(vid) = watch.vlan.filter(|vid| !vid.is_valid()) {
            return Err(Invalid::Syntax(format!("'{vid}' is no VLAN (1 to 4094)")));
        }
        Ok(watch)
    }
}

impl fmt::Display for WatchConfig {
    /// The kind, its targets, and what is not as it is by default.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.name())?;
        nested::texts(self, &Self::new(self.kind)).iter().try_for_each(|setting| write!(f, ",{setting}"))
    }
}

/// The names of all kinds.
fn heads() -> String {
    WatchKind::ALL.iter().map(|(kind, _)| kind.name()).collect::<Vec<_>>().join(", ")
}

fn unknown_head(typed: &str) -> Invalid {
    Invalid::UnknownWord { typed: quote(typed), known: heads(), planned: String::new() }
}

fn unknown_key(kind: WatchKind, typed: &str) -> Invalid {
    let known = match kind {
        WatchKind::Link => "none in a list: up-delay, down-delay and poll are options of the aggregate".to_owned(),
        _ => kind.settings().join("=…, ") + "=…",
    };
    Invalid::UnknownKey { typed: quote(typed), what: "setting of it", known, planned: String::new() }
}
