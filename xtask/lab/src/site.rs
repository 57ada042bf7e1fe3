//! The place of a measurement: a host and, at the other ends of its cables, a switch that is silent.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use super::{
    borrowed_nics::{Borrowed, NicPair},
    capture::CableCapture,
    frame::NumberedFrame,
    iproute,
    question::Cable,
    taps::Taps,
};
use aggctl_testbed::netns::NetworkNamespace;

/// The aggregate's name.
pub const AGGREGATE: &str = "agg0";
/// How long what must happen may take. Generous: it is the clock of the machine, and only what fails waits so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// Two namespaces with as many cables between them as there are ports. Both ends of the cable `port0` are called so.
/// Where cables are taps they end in this program, and nothing is in the far namespace.
pub struct Site {
    ends: Ends,
    /// Where the aggregate is.
    pub host: NetworkNamespace,
    /// Where its cables end.
    pub far: NetworkNamespace,
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
    pub fn of(cable: Cable, ports: u8, borrowed: &[NicPair]) -> Result<Self> {
        let mut site = Self {
            ends: Ends::Namespace,
            host: NetworkNamespace::new("host")?,
            far: NetworkNamespace::new("far")?,
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
                iproute::batch(&site.host, &up)?;
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
        iproute::batch(&self.host, &near)?;
        iproute::batch(&self.far, &far)
    }

    /// Waits until all ports have their carriers.
    ///
    /// # Errors
    ///
    /// When it takes too long.
    pub fn wait_for_carriers(&self) -> Result<()> {
        wait_for("the cables", || Ok(self.ports.iter().all(|port| iproute::carrier(&self.host, port).unwrap_or(false))))
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
    pub fn record<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<(T, Vec<NumberedFrame>)> {
        if let Ends::Taps(taps) = &self.ends {
            return taps.record(work);
        }
        let capture = CableCapture::start(&self.far, &self.ports)?;
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
            let link = iproute::link(&self.far, port)?;
            link["stats64"]["rx"]["packets"].as_u64().with_context(|| format!("{port} has no counters"))
        };
        self.ports.iter().map(count).collect()
    }
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
