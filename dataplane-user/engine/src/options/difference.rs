//! In what two configurations of an aggregate differ, for people.

use std::fmt;

use super::{Assignment, HasOptions, Live};
use crate::config::{AggregateConfig, PortConfig};

/// Something that is other than it was asked for. Displayed as one line, which says how to have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// An option of the aggregate.
    Option {
        /// The aggregate.
        aggregate: String,
        /// The option.
        value: OptionValue,
    },
    /// A setting of a port.
    Setting {
        /// The aggregate.
        aggregate: String,
        /// The port.
        port: String,
        /// The setting.
        value: OptionValue,
    },
    /// A port that was asked for and is none.
    Missing {
        /// The aggregate.
        aggregate: String,
        /// The port.
        port: String,
    },
    /// A port that was not asked for.
    Extra {
        /// The aggregate.
        aggregate: String,
        /// The port.
        port: String,
    },
}

/// An option with two values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionValue {
    /// Its name.
    pub name: &'static str,
    /// The value that it has.
    pub is: String,
    /// The one that was asked for.
    pub asked: String,
    /// Whether it can be changed while the aggregate runs.
    pub live: bool,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Option { aggregate, value: OptionValue { name, is, asked, live: true } } => write!(
                f,
                "{aggregate} runs with {name}={is}, not {asked} as asked for: `aggctl set {aggregate} {name}={asked}`"
            ),
            Self::Option { aggregate, value: OptionValue { name, is, asked, live: false } } => write!(
                f,
                "{aggregate} runs with {name}={is}, not {asked} as asked for: that takes `aggctl detach {aggregate}`"
            ),
            Self::Setting { aggregate, port, value: OptionValue { name, is, asked, .. } } => write!(
                f,
                "{port} of {aggregate} has {name}={is}, not {asked} as asked for: `aggctl port set {aggregate} \
                 {port},{name}={asked}`"
            ),
            Self::Missing { aggregate, port } => {
                write!(f, "{port} was asked for and is no port of {aggregate}: `aggctl port add {aggregate} {port}`")
            }
            Self::Extra { aggregate, port } => {
                write!(
                    f,
                    "{port} is a port of {aggregate} and was not asked for: `aggctl port remove {aggregate} {port}`"
                )
            }
        }
    }
}

/// In what the configuration that runs differs from the one that was asked for. Ports of a driver's device come and go
/// without us: there only their settings count.
#[must_use]
pub fn differences(runs: &AggregateConfig, asked: &AggregateConfig) -> Vec<Difference> {
    let aggregate = || runs.name.clone();
    let mut all: Vec<_> =
        values(runs, asked).map(|value| Difference::Option { aggregate: aggregate(), value }).collect();
    let named = |ports: &[PortConfig], name: &str| ports.iter().find(|port| port.name == name).cloned();
    for port in &asked.ports {
        let name = || port.name.clone();
        match named(&runs.ports, &port.name) {
            None if !runs.wiring.has_pair() => {}
            None => all.push(Difference::Missing { aggregate: aggregate(), port: name() }),
            Some(is) => all.extend(values(&is, port).map(|value| Difference::Setting {
                aggregate: aggregate(),
                port: name(),
                value,
            })),
        }
    }
    let ports = if runs.wiring.has_pair() { &runs.ports[..] } else { &[] };
    let extra = ports.iter().filter(|port| named(&asked.ports, &port.name).is_none());
    all.extend(extra.map(|port| Difference::Extra { aggregate: aggregate(), port: port.name.clone() }));
    all
}

/// What would be said of `config` where all else is as in `default`.
#[must_use]
pub fn assignments<C: HasOptions>(config: &C, default: &C) -> Vec<Assignment> {
    values(default, config).map(|value| Assignment { key: value.name.to_owned(), value: value.asked }).collect()
}

/// The options that have not the value that was asked for.
fn values<C: HasOptions>(runs: &C, asked: &C) -> impl Iterator<Item = OptionValue> {
    let texts = C::rows().filter(|row| row.is_built()).map(|row| (row, row.kind.text(runs), row.kind.text(asked)));
    texts.filter(|(_, is, asked)| is != asked).map(|(row, is, asked)| OptionValue {
        name: row.name,
        is,
        asked,
        live: row.live != Live::No,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{GivenOptions, GivenPort, apply};

    fn config(options: &[(&str, &str)], ports: &[&str]) -> AggregateConfig {
        let ports = ports.iter().map(|port| GivenPort::read(port).unwrap().config().unwrap()).collect();
        let mut said = GivenOptions::default();
        options.iter().for_each(|(key, value)| said.option(key, value).unwrap());
        let mut config = AggregateConfig::new("agg0", ports);
        apply(&mut config, &said.options).unwrap();
        config
    }

    fn lines(runs: &AggregateConfig, asked: &AggregateConfig) -> Vec<String> {
        differences(runs, asked).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn each_difference_is_a_line_that_says_what_to_do() {
        let runs = config(&[("mode", "hash"), ("wiring", "direct")], &["eth0", "eth1,priority=5", "eth2"]);
        let asked = config(&[("min-ports", "2")], &["eth3", "eth1", "eth0,sticky"]);
        assert_eq!(
            lines(&runs, &asked),
            [
                "agg0 runs with mode=hash, not active-backup as asked for: `aggctl set agg0 mode=active-backup`",
                "agg0 runs with min-ports=1, not 2 as asked for: `aggctl set agg0 min-ports=2`",
                "agg0 runs with wiring=direct, not auto as asked for: that takes `aggctl detach agg0`",
                "eth3 was asked for and is no port of agg0: `aggctl port add agg0 eth3`",
                "eth1 of agg0 has priority=5, not 0 as asked for: `aggctl port set agg0 eth1,priority=0`",
                "eth0 of agg0 has sticky=off, not on as asked for: `aggctl port set agg0 eth0,sticky=on`",
                "eth2 is a port of agg0 and was not asked for: `aggctl port remove agg0 eth2`",
            ]
        );
    }

    #[test]
    fn what_is_the_same_by_another_name_or_in_another_order_is_no_difference() {
        let runs = config(&[("mode", "balance-rr"), ("watch", "link,poll=100ms")], &["eth0", "eth1"]);
        let asked = config(&[("mode", "round-robin"), ("poll", "100")], &["eth1,priority=0", "eth0"]);
        assert_eq!(lines(&runs, &asked), [""; 0]);
    }

    #[test]
    fn what_a_line_tells_to_do_is_understood() {
        let runs = AggregateConfig::new("agg0", vec![PortConfig::new("eth0")]);
        for row in AggregateConfig::rows().filter(|row| row.is_built()) {
            for sample in row.kind.samples() {
                let mut asked = runs.clone();
                row.kind.set(&mut asked, &sample).unwrap();
                for difference in differences(&runs, &asked) {
                    let Difference::Option { value, .. } = difference else { panic!("{difference:?}") };
                    let told = GivenOptions::default().change(&format!("{}={}", value.name, value.asked));
                    assert_eq!(told.is_ok(), value.live, "{value:?}");
                }
            }
        }
    }
}
