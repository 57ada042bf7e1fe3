//! The place of a measurement: a host and, at the other ends of its cables, a switch that is silent.

use std::{
    io::Write,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{
    borrowed_nics::{Borrowed, Pair},
    capture::{Capture, Frame},
    question::Cable,
    taps::Taps,
};
use aggctl_testbed::netns::Namespace;
use aggctl_tools::process;

/// The aggregate's name.
pub const AGGREGATE: &str = "agg0";
/// How long what must happen may take. Generous: it is the clock of the machine, and only what fails waits so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// Two namespaces with as many cables between them as there are ports. Both ends of the cable `port0` are called so.
/// Where cables are taps they end in this program, and nothing is in the far namespace.
pub struct Site {
    ends: Ends,
    /// Where the aggregate is.
    pub host: Namespace,
    /// Where its cables end.
    pub far: Namespace,
    /// The names of the ports.
    pub ports: Vec<String>,
}

/// What is behind the cables.
enum Ends {
    /// The far namespace, with which they go.
    Namespace,
    /// We.
    Taps(Taps),
    /// The far namespace, and they go back to where they came from.
    Borrowed(#[expect(dead_code, reason = "dropping it brings them back")] Borrowed),
}

impl Site {
    /// Makes it with virtual cables. IPv6 is off, so that nobody sends anything unasked.
    ///
    /// # Errors
    ///
    /// When the kernel does not let us.
    pub fn new(ports: u8) -> Result<Self> {
        Self::of(Cable::Veth, ports, &[])
    }

    /// Makes it with these cables, the first of those that are borrowed.
    ///
    /// # Errors
    ///
    /// When the kernel does not let us.
    pub fn of(cable: Cable, ports: u8, borrowed: &[Pair]) -> Result<Self> {
        let mut site = Self {
            ends: Ends::Namespace,
            host: Namespace::new("host")?,
            far: Namespace::new("far")?,
            ports: (0..ports).map(|number| format!("port{number}")).collect(),
        };
        for namespace in [&site.host, &site.far] {
            namespace.set_sysctl("net/ipv6/conf/default/disable_ipv6", "1").context("cannot switch IPv6 off")?;
        }
        match cable {
            Cable::Veth => site.lay()?,
            Cable::Tap => {
                site.ends = Ends::Taps(Taps::new(&site.host, &site.ports)?);
                let up: String = site.ports.iter().map(|name| format!("link set {name} up\n")).collect();
                batch(&site.host, &up)?;
            }
            Cable::Borrowed => {
                let mut away = Borrowed::default();
                for (name, pair) in site.ports.iter().zip(borrowed) {
                    away.borrow(pair, &site.host, &site.far, name)?;
                }
                site.ends = Ends::Borrowed(away);
            }
        }
        site.wait_for_carriers()?;
        Ok(site)
    }

    fn lay(&self) -> Result<()> {
        let mut near = String::new();
        let mut far = String::new();
        for (number, name) in self.ports.iter().enumerate() {
            near += &format!(
                "link add {name} address 02:00:00:00:00:{number:02x} type veth \
                 peer name {name} address 02:00:00:00:01:{number:02x} netns {}\nlink set {name} up\n",
                self.far.name()
            );
            far += &format!("link set {name} up\n");
        }
        batch(&self.host, &near)?;
        batch(&self.far, &far)
    }

    /// Waits until all ports have their carriers.
    ///
    /// # Errors
    ///
    /// When it takes too long.
    pub fn wait_for_carriers(&self) -> Result<()> {
        wait_for("the cables", || Ok(self.ports.iter().all(|port| carrier(&self.host, port).unwrap_or(false))))
    }

    /// Mends or cuts the cable of a port at its far end.
    ///
    /// # Errors
    ///
    /// When the kernel does not let us.
    pub fn plug(&self, place: usize, on: bool) -> Result<()> {
        match &self.ends {
            Ends::Taps(taps) => taps.plug(place, on),
            Ends::Namespace | Ends::Borrowed(_) => {
                let state = if on { "up" } else { "down" };
                self.far.ip(&format!("link set {} {state}", self.ports[place])).map(drop)
            }
        }
    }

    /// The frames that come out of the cables while something happens.
    ///
    /// # Errors
    ///
    /// When it fails, or frames were missed.
    pub fn record<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<(T, Vec<Frame>)> {
        if let Ends::Taps(taps) = &self.ends {
            return taps.record(work);
        }
        let capture = Capture::start(self)?;
        let done = work()?;
        Ok((done, capture.stop()?))
    }

    /// How many frames came out of each cable so far.
    ///
    /// # Errors
    ///
    /// When `ip` fails.
    pub fn received(&self) -> Result<Vec<u64>> {
        let count = |port: &String| {
            let link = link(&self.far, port)?;
            link["stats64"]["rx"]["packets"].as_u64().with_context(|| format!("{port} has no counters"))
        };
        self.ports.iter().map(count).collect()
    }
}

/// Runs lines of `ip` in one go.
///
/// # Errors
///
/// When one of them fails.
pub fn batch(namespace: &Namespace, lines: &str) -> Result<()> {
    let mut file = tempfile::NamedTempFile::new().context("cannot make a file")?;
    file.write_all(lines.as_bytes()).context("cannot write a file")?;
    process::read(Command::new("ip").args(["-n", namespace.name(), "-batch"]).arg(file.path())).map(drop)
}

/// What `ip` says of a link, with its counters.
///
/// # Errors
///
/// When it is not there.
pub fn link(namespace: &Namespace, name: &str) -> Result<Value> {
    let text = namespace.ip(&format!("-json -statistics link show dev {name}"))?;
    let mut links: Vec<Value> = serde_json::from_str(&text).context("ip printed no JSON")?;
    links.pop().with_context(|| format!("ip did not show {name}"))
}

/// Whether a link has a carrier, and is up.
///
/// # Errors
///
/// As [`link`].
pub fn carrier(namespace: &Namespace, name: &str) -> Result<bool> {
    let link = link(namespace, name)?;
    Ok(link["flags"].as_array().is_some_and(|flags| flags.iter().any(|flag| flag == "LOWER_UP")))
}

/// The MAC of a link.
///
/// # Errors
///
/// As [`link`].
pub fn mac(namespace: &Namespace, name: &str) -> Result<String> {
    let link = link(namespace, name)?;
    link["address"].as_str().map(str::to_owned).with_context(|| format!("{name} has no MAC"))
}

/// Waits until `happened`.
///
/// # Errors
///
/// When it takes too long, with `what` in the message, or when `happened` fails.
pub fn wait_for(what: &str, mut happened: impl FnMut() -> Result<bool>) -> Result<()> {
    let begin = Instant::now();
    while !happened()? {
        if begin.elapsed() > PATIENCE {
            bail!("waited {} s in vain for {what}", PATIENCE.as_secs());
        }
        thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

/// `tc` on a namespace; words are separated by blanks.
///
/// # Errors
///
/// When it fails.
pub fn tc(namespace: &Namespace, line: &str) -> Result<String> {
    let program = process::find("tc").unwrap_or_else(|| Path::new("tc").to_path_buf());
    process::read(Command::new(program).args(["-n", namespace.name()]).args(line.split_whitespace()))
}
