//! Cables between network cards of this machine, which their owner names for a measurement.

use std::{process::Command, str::FromStr};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use aggctl_testbed::netns::NetworkNamespace;
use aggctl_tools::process;

/// Two interfaces of our namespace with a cable between them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NicPair {
    /// Becomes a port.
    near: String,
    /// What the port is connected to.
    far: String,
}

impl FromStr for NicPair {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((near, far)) if !near.is_empty() && !far.is_empty() && near != far => {
                Ok(Self { near: near.to_owned(), far: far.to_owned() })
            }
            _ => Err("two interfaces with a cable between them, for example eth1=eth3".to_owned()),
        }
    }
}

impl NicPair {
    /// Both ends must be free: nobody may lose a connection by a measurement.
    ///
    /// # Errors
    ///
    /// When an interface is not there, has addresses, or belongs to another.
    pub fn check(&self) -> Result<()> {
        for name in [&self.near, &self.far] {
            let link = show(name)?;
            if let Some(master) = link["master"].as_str() {
                bail!("{name} is a port of {master}: name interfaces that nobody uses");
            }
            let addresses = link["addr_info"].as_array().into_iter().flatten();
            if addresses.into_iter().any(|address| address["scope"] != "link") {
                bail!("{name} has addresses: name interfaces that nobody uses");
            }
        }
        Ok(())
    }
}

/// What `ip` says of an interface of our namespace.
fn show(name: &str) -> Result<Value> {
    let text = process::read(Command::new("ip").args(["-json", "address", "show", "dev", name]))?;
    let links: Vec<Value> = serde_json::from_str(&text).context("ip printed no JSON")?;
    links.into_iter().next().with_context(|| format!("there is no interface {name}"))
}

/// Interfaces that are away. Dropping this brings them back under their own names.
#[derive(Debug, Default)]
pub struct Borrowed(Vec<Away>);

#[derive(Debug)]
struct Away {
    namespace: String,
    here: String,
    there: String,
    up: bool,
}

impl Borrowed {
    /// Moves the ends of a cable into two namespaces, where both get the same name, and sets them up.
    ///
    /// # Errors
    ///
    /// When an interface is not free or the kernel does not let us.
    pub fn borrow(
        &mut self,
        pair: &NicPair,
        host: &NetworkNamespace,
        far: &NetworkNamespace,
        name: &str,
    ) -> Result<()> {
        pair.check()?;
        for (own, namespace) in [(&pair.near, host), (&pair.far, far)] {
            let up = show(own)?["flags"].as_array().is_some_and(|flags| flags.iter().any(|flag| flag == "UP"));
            process::read(Command::new("ip").args(["link", "set", own, "down"]))?;
            let target = namespace.name();
            process::read(Command::new("ip").args(["link", "set", own, "netns", target, "name", name]))?;
            self.0.push(Away { namespace: target.to_owned(), here: name.to_owned(), there: own.clone(), up });
            namespace.ip(&format!("link set {name} up"))?;
        }
        Ok(())
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        let us = std::process::id().to_string();
        for Away { namespace, here, there, up } in &self.0 {
            let back = || -> Result<()> {
                process::read(Command::new("ip").args(["-n", namespace, "link", "set", here, "down"]))?;
                let mut command = Command::new("ip");
                process::read(command.args(["-n", namespace, "link", "set", here, "netns", &us, "name", there]))?;
                if *up {
                    process::read(Command::new("ip").args(["link", "set", there, "up"]))?;
                }
                Ok(())
            };
            if let Err(error) = back() {
                eprintln!("lab: {there} does not come back from namespace {namespace}: {error:#}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::NicPair;

    #[test]
    fn a_cable_has_two_ends() {
        let pair: NicPair = "eth1=eth3".parse().unwrap();
        assert_eq!((pair.near.as_str(), pair.far.as_str()), ("eth1", "eth3"));
        for wrong in ["eth1", "=eth1", "eth1=", "eth1=eth1"] {
            assert!(wrong.parse::<NicPair>().is_err(), "{wrong}");
        }
    }
}
