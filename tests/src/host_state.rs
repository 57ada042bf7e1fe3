//! Whether a host is as before.

use std::{collections::BTreeMap, fmt::Write, fs, path::Path, process::Command};

use serde_json::Value;

use crate::{Namespace, command, matrix::SOON, wait};

/// What changes by itself and says nothing about configuration.
const VOLATILE: [&str; 13] = [
    "stats",
    "stats64",
    "expires",
    "used",
    "cache",
    "refcnt",
    "bytes",
    "packets",
    "dynamic_expires",
    "hello_timer",
    "tcn_timer",
    "topology_change_timer",
    "gc_timer",
];
/// A lifetime that does not end, seconds.
const FOR_EVER: u64 = u32::MAX as u64;

/// The network configuration of a namespace, in a form that can be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostState(BTreeMap<String, String>);

impl HostState {
    /// The present state.
    pub fn of(namespace: &Namespace) -> Self {
        let mut state = BTreeMap::new();
        let mut ask = |tool: &str, line: &str| {
            let output = command::run(Command::new(tool).args(["-n", namespace.name()]).args(line.split(' '))).ok();
            // The kernel's order of IPv6 routes and of groups means nothing.
            let sorted = line.starts_with("-j -6 route") || line.starts_with("-j maddr");
            state.insert(format!("{tool} {line}"), normal(&output, sorted));
        };
        for line in [
            "-j -d addr show",
            "-j -d link show",
            "-j -4 route show table all",
            "-j -6 route show table all",
            "-j -4 rule show",
            "-j -6 rule show",
            "-j -4 neigh show nud permanent",
            "-j -6 neigh show nud permanent",
            "-j neigh show proxy",
            "-j nexthop show",
            "-j maddr show",
        ] {
            ask("ip", line);
        }
        let links = namespace.enter(|| interfaces("/proc/sys/net/ipv4/conf".as_ref()));
        ask("tc", "-j -d qdisc show");
        for link in &links {
            ask("tc", &format!("-j -d filter show dev {link} ingress"));
            ask("tc", &format!("-j -d filter show dev {link} egress"));
        }
        namespace.enter(|| {
            for family in ["ipv4", "ipv6"] {
                sysctls(Path::new("/proc/sys/net").join(family).join("conf").as_ref(), &mut state);
                sysctls(Path::new("/proc/sys/net").join(family).join("neigh").as_ref(), &mut state);
            }
        });
        let paths: Vec<String> = namespace.state_paths().iter().map(|path| path.display().to_string()).collect();
        state.insert("/run/aggctl".to_owned(), paths.join("\n"));
        Self(state)
    }

    /// The lines in which `self` and `other` differ; empty if they are equal.
    pub fn difference(&self, other: &Self) -> String {
        let mut text = String::new();
        let keys = self.0.keys().chain(other.0.keys().filter(|key| !self.0.contains_key(*key)));
        for key in keys {
            let [before, after] = [self, other].map(|state| state.0.get(key).map_or("", String::as_str));
            if before == after {
                continue;
            }
            writeln!(text, "{key}:").unwrap();
            let missing = |of: &str, from: &str, sign: &str, text: &mut String| {
                for line in of.lines().filter(|line| !from.lines().any(|other| other == *line)) {
                    writeln!(text, "  {sign} {line}").unwrap();
                }
            };
            let length = text.len();
            missing(before, after, "-", &mut text);
            missing(after, before, "+", &mut text);
            if text.len() == length {
                writeln!(text, "  the same in another order:\n  before {before}\n  after {after}").unwrap();
            }
        }
        text
    }

    /// Checks that `namespace` is in this state.
    ///
    /// # Panics
    ///
    /// If it is not; says where it differs.
    #[track_caller]
    pub fn expect_unchanged(&self, namespace: &Namespace, after: &str) {
        let difference = self.difference(&Self::of(namespace));
        assert!(difference.is_empty(), "after {after} the host is not as before (- before, + after):\n{difference}");
    }

    /// Waits until `namespace` is in this state: for what a process does after its caller has returned.
    ///
    /// # Panics
    ///
    /// If it does not come to be so; says where it differs.
    #[track_caller]
    pub fn expect_again(&self, namespace: &Namespace, after: &str) {
        if wait::find(SOON, || (*self == Self::of(namespace)).then_some(())).is_none() {
            self.expect_unchanged(namespace, after);
        }
    }
}

/// The interfaces of the calling thread's namespace (`/sys` may show another one, sysctls do not).
fn interfaces(conf: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(conf)
        .unwrap()
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| name != "all" && name != "default")
        .collect();
    names.sort();
    names
}

/// Puts all sysctls below a directory, one per interface.
fn sysctls(directory: &Path, state: &mut BTreeMap<String, String>) {
    for link in fs::read_dir(directory).into_iter().flatten().flatten() {
        let mut lines: Vec<String> = fs::read_dir(link.path())
            .into_iter()
            .flatten()
            .flatten()
            .filter(|entry| entry.file_name() != "stable_secret")
            .map(|entry| {
                let value = fs::read_to_string(entry.path()).unwrap_or_default();
                format!("{} = {}", entry.file_name().to_string_lossy(), value.trim())
            })
            .collect();
        lines.sort();
        state.insert(link.path().display().to_string(), lines.join("\n"));
    }
}

/// A tool's JSON without what is volatile, a line per element.
fn normal(json: &str, sorted: bool) -> String {
    if json.trim().is_empty() {
        return String::new();
    }
    let mut value: Value = serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}: {json}"));
    strip(&mut value);
    match value {
        Value::Array(elements) => {
            let mut all: Vec<String> = elements.iter().map(lines).collect();
            if sorted {
                all.sort();
            }
            all.join("\n")
        }
        other => other.to_string(),
    }
}

/// An element as lines: what it is, and a line for each of its addresses.
fn lines(element: &Value) -> String {
    let mut element = element.clone();
    // Nor does its order of the legs of an IPv6 route: it changes when one of them goes and comes.
    if element["metric"].is_u64()
        && element["pref"].is_string()
        && let Some(legs) = element["nexthops"].as_array_mut()
    {
        legs.sort_by_key(ToString::to_string);
    }
    let mut take = |key| element.as_object_mut().and_then(|element| element.remove(key));
    let addresses = take("addr_info");
    let mut groups = take("maddr");
    if let Some(groups) = groups.as_mut().and_then(Value::as_array_mut) {
        groups.sort_by_key(ToString::to_string);
    }
    let addresses = [&addresses, &groups].into_iter().flatten().filter_map(Value::as_array).flatten();
    let name = element["ifname"].as_str().unwrap_or_default().to_owned();
    std::iter::once(element.to_string())
        .chain(addresses.map(|address| format!("{name}: {address}")))
        .collect::<Vec<_>>()
        .join("\n")
}

/// Removes what is volatile; of a lifetime only stays whether it ends.
fn strip(value: &mut Value) {
    match value {
        Value::Array(elements) => elements.iter_mut().for_each(strip),
        Value::Object(fields) => {
            fields.retain(|key, _| !VOLATILE.contains(&key.as_str()));
            for (key, field) in fields.iter_mut() {
                if key.ends_with("_life_time") && field.as_u64() != Some(FOR_EVER) {
                    *field = Value::from("ends");
                }
                strip(field);
            }
        }
        _ => {}
    }
}
