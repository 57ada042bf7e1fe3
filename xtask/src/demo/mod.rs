//! `cargo xtask demo`: an aggregate from attach to detach, over a live connection, in namespaces of its own; and where
//! the kernel has bonding, the same over a bond that is there.

mod host;
mod over;
mod own;
mod timeline;
mod topology;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use aggctl_testbed::{
    product::Product,
    traffic::{ping::PingStream, tcp::TcpTransfer},
};
use aggctl_tools::{build, interrupt::Interrupt, process, workspace::Workspace};

use timeline::Timeline;
use topology::{DemoHosts, HOST};

/// Time between echo requests.
const INTERVAL: Duration = Duration::from_millis(5);
/// What the TCP connection carries: this many bytes, in this rhythm, which leaves the machine time for what is measured
/// beside it.
const CHUNK: usize = 16 * 1024;
const PAUSE: Duration = Duration::from_millis(2);
/// Until the link-local IPv6 addresses are no longer tentative and the traffic is steady.
const SETTLE: Duration = Duration::from_millis(2_500);

/// Builds, shows, and leaves nothing behind.
///
/// # Errors
///
/// When it cannot be built or shown here, when a step fails, or when the host is not as it was before.
pub fn run(workspace: &Workspace) -> Result<()> {
    if !process::is_root() {
        bail!("the demo makes network namespaces and loads programs: run it as root");
    }
    let binary = build::ready(workspace, false)?;
    let begin = Instant::now();

    let interrupt = Interrupt::catch()?;
    let play = |topology: DemoHosts, aggregate: &str, show: fn(&Act<'_>) -> Result<()>| {
        // The topology is dropped last: the processes that the product left in it end with it.
        let product = Product { binary: &binary, namespace: &topology.host, aggregate };
        let shown = show(&Act { topology: &topology, product: &product, interrupt: &interrupt });
        // Whatever happened: the aggregate goes before its namespace does.
        let cleaned = product.clean_up().context("cleaning up");
        if let Err(error) = &shown
            && let Err(cleaning) = &cleaned
        {
            return Err(anyhow::anyhow!("{error:#}; and then: {cleaning:#}"));
        }
        shown.and(cleaned)
    };
    play(DemoHosts::new()?, own::NAME, own::show)?;
    match DemoHosts::with_bond(over::NAME)? {
        Some(topology) => play(topology, over::NAME, over::show)?,
        None => println!("\nthis kernel has no bonding driver: the second act, over a bond that is there, is left out"),
    }
    println!("the demo took {:.0} s and left nothing behind", begin.elapsed().as_secs_f64());
    Ok(())
}

/// Who plays in an act.
struct Act<'a> {
    topology: &'a DemoHosts,
    product: &'a Product<'a>,
    interrupt: &'a Interrupt,
}

impl Act<'_> {
    /// Begins to ping and to talk, and remembers what the host looks like.
    fn traffic(&self) -> Result<Traffic> {
        let DemoHosts { host, client, .. } = self.topology;
        self.interrupt.pause(SETTLE)?;
        Ok(Traffic {
            pings: PingStream::start(client, host, HOST.into(), None, INTERVAL)?,
            stream: TcpTransfer::start(host, client, HOST.into(), CHUNK, PAUSE)?,
            before: host::picture(host)?,
        })
    }

    /// Waits until a port is active.
    fn becomes_active(&self, port: &str) -> Result<()> {
        let what = format!("{port} becomes the active port");
        self.interrupt.wait_until(&what, || Ok(self.product.active_port()?.as_deref() == Some(port)))
    }
}

/// What runs all the time.
struct Traffic {
    pings: PingStream,
    stream: TcpTransfer,
    /// The host at the beginning.
    before: Vec<String>,
}

impl Traffic {
    fn timeline<'a>(&'a self, interrupt: &'a Interrupt) -> Result<Timeline<'a>> {
        Timeline::begin(&self.pings, &self.stream, interrupt)
    }
}

/// Compares the host with what it was before. IPv6 addresses that came back are tentative for a moment.
fn compare(topology: &DemoHosts, before: &[String], interrupt: &Interrupt) -> Result<()> {
    let mut differences = Vec::new();
    let same = interrupt.wait_until("the host is as it was before", || {
        differences = host::differences(before, &host::picture(&topology.host)?);
        Ok(differences.is_empty())
    });
    same.with_context(|| format!("before and after differ:\n{}\n", differences.join("\n")))
}

/// Kills the controller and waits until the guardian has started another.
fn kill_controller(product: &Product<'_>, interrupt: &Interrupt) -> Result<()> {
    let controller = product.controller()?.context("no controller runs")?;
    product.kill(controller)?;
    interrupt.wait_until("the guardian starts another controller", || {
        Ok(product.controller()?.is_some_and(|other| other != controller))
    })
}

/// Kills the guardian first, which would start another controller.
fn kill_both(product: &Product<'_>, interrupt: &Interrupt) -> Result<()> {
    let controller = product.controller()?.context("no controller runs")?;
    let guardian = product.guardian(controller).context("no guardian watches the controller")?;
    product.kill(guardian)?;
    product.kill(controller)?;
    interrupt.wait_until("`aggctl show` says that no controller runs", || Ok(product.controller()?.is_none()))
}
