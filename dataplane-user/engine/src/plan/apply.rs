//! From the configuration that runs to the one that is asked for, while the aggregate runs.

use std::fmt;

use super::LiveChange;
use crate::{
    config::{AggregateConfig, PortConfig},
    options::{Assignment, Difference, OptionValue, assignments, differences},
};

/// Something that a controller is asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApplyStep {
    /// Change options and settings of ports, all or nothing.
    Set(LiveChange),
    /// Add a port.
    Add(PortConfig),
    /// Remove a port.
    Remove(String),
}

/// A step, and what takes it back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApplyPair {
    /// The step.
    pub step: ApplyStep,
    /// What takes it back.
    pub inverse: ApplyStep,
}

/// The steps, in order: what there is first has its options changed, ports that are missing come before others go. None
/// if nothing differs.
///
/// # Errors
///
/// Differences that cannot be changed while the aggregate runs.
pub fn apply(runs: &AggregateConfig, asked: &AggregateConfig) -> Result<Vec<ApplyPair>, Vec<Difference>> {
    let (mut forth, mut back) = (LiveChange::default(), LiveChange::default());
    let (mut ports, mut fixed) = (Vec::new(), Vec::new());
    let named = |ports: &[PortConfig], name: &str| ports.iter().find(|port| port.name == *name).cloned();
    for difference in differences(runs, asked) {
        match difference {
            Difference::Option { value: OptionValue { live: false, .. }, .. } => fixed.push(difference),
            Difference::Option { value, .. } => {
                let [is, asked] = both(value);
                back.options.push(is);
                forth.options.push(asked);
            }
            Difference::Setting { port, value, .. } => {
                let [is, asked] = both(value);
                back.ports.entry(port.clone()).or_default().push(is);
                forth.ports.entry(port).or_default().push(asked);
            }
            Difference::Missing { port, .. } => {
                ports.extend(named(&asked.ports, &port).map(|port| ApplyPair {
                    inverse: ApplyStep::Remove(port.name.clone()),
                    step: ApplyStep::Add(port),
                }));
            }
            Difference::Extra { port, .. } => {
                ports.extend(named(&runs.ports, &port).map(|port| ApplyPair {
                    step: ApplyStep::Remove(port.name.clone()),
                    inverse: ApplyStep::Add(port),
                }));
            }
        }
    }
    if !fixed.is_empty() {
        return Err(fixed);
    }
    let changes = forth != LiveChange::default();
    let set = changes.then_some(ApplyPair { step: ApplyStep::Set(forth), inverse: ApplyStep::Set(back) });
    Ok(set.into_iter().chain(ports).collect())
}

/// The value that an option has, and the one that was asked for.
fn both(value: OptionValue) -> [Assignment; 2] {
    let OptionValue { name, is, asked, .. } = value;
    [is, asked].map(|value| Assignment { key: name.to_owned(), value })
}

/// As commands without the name of the aggregate, one after the other: `set mode=hash; port set eth0,priority=5`.
impl fmt::Display for ApplyStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = |all: &[Assignment]| all.iter().map(|one| format!("{}={}", one.key, one.value)).collect::<Vec<_>>();
        let port = |name: &str, words: Vec<String>| [vec![name.to_owned()], words].concat().join(",");
        match self {
            Self::Set(LiveChange { options, ports }) => {
                let set = (!options.is_empty()).then(|| format!("set {}", words(options).join(" ")));
                let ports = ports.iter().map(|(name, all)| format!("port set {}", port(name, words(all))));
                f.write_str(&set.into_iter().chain(ports).collect::<Vec<_>>().join("; "))
            }
            Self::Add(config) => {
                let said = assignments(config, &PortConfig::new(&config.name));
                write!(f, "port add {}", port(&config.name, words(&said)))
            }
            Self::Remove(name) => write!(f, "port remove {name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{self, GivenOptions, GivenPort};

    fn config(said: &[&str], ports: &[&str]) -> AggregateConfig {
        let ports = ports.iter().map(|port| GivenPort::read(port).unwrap().config().unwrap()).collect();
        let mut given = GivenOptions::default();
        said.iter().filter_map(|said| said.split_once('=')).for_each(|(key, value)| given.option(key, value).unwrap());
        let mut config = AggregateConfig::new("agg0", ports);
        options::apply(&mut config, &given.options).unwrap();
        config
    }

    #[test]
    fn each_step_has_what_takes_it_back() {
        let runs = config(&["mode=hash"], &["eth0", "eth1,priority=5", "eth2,weight=3"]);
        let asked = config(&["min-ports=2"], &["eth3,sticky", "eth1", "eth0"]);
        let pairs = apply(&runs, &asked).unwrap();
        let lines: Vec<_> = pairs.iter().map(|pair| [pair.step.to_string(), pair.inverse.to_string()]).collect();
        let expected = [
            [
                "set mode=active-backup min-ports=2; port set eth1,priority=0",
                "set mode=hash min-ports=1; port set eth1,priority=5",
            ],
            ["port add eth3,sticky=on", "port remove eth3"],
            ["port remove eth2", "port add eth2,weight=3"],
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn what_is_so_takes_nothing() {
        let runs = config(&["mode=hash"], &["eth0", "eth1"]);
        assert_eq!(apply(&runs, &runs.clone()), Ok(vec![]));
    }

    #[test]
    fn what_is_chosen_at_attach_keeps_all_from_being_changed() {
        let runs = config(&["wiring=direct"], &["eth0"]);
        let asked = config(&["wiring=shared", "mode=hash"], &["eth0"]);
        let fixed: Vec<_> = apply(&runs, &asked).unwrap_err().iter().map(ToString::to_string).collect();
        assert_eq!(fixed.len(), 1, "{fixed:?}");
        assert!(fixed[0].contains("wiring=direct"), "{fixed:?}");
    }
}
