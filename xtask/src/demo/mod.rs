//! `cargo xtask demo`: an aggregate from attach to detach, over a live connection, in namespaces of its own.

mod host;
mod timeline;
mod topology;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use aggctl_testbed::{
    product::Product,
    traffic::{ping::Ping, tcp::TcpSession},
};
use aggctl_tools::{build, interrupt::Interrupt, process, workspace::Workspace};

use timeline::Timeline;
use topology::{HOST, Topology};

/// The aggregate.
const NAME: &str = "agg0";
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
    // Dropped last: the processes that the product left in it end with it.
    let topology = Topology::new()?;
    let product = Product { binary: &binary, namespace: &topology.host, aggregate: NAME };
    let shown = show(&topology, &product, &interrupt);
    // Whatever happened: the aggregate goes before its namespace does.
    let cleaned = product.clean_up().context("cleaning up");
    if let Err(error) = &shown
        && let Err(cleaning) = &cleaned
    {
        return Err(anyhow::anyhow!("{error:#}; and then: {cleaning:#}"));
    }
    shown.and(cleaned)?;
    drop(topology);
    println!("the demo took {:.0} s and left nothing behind", begin.elapsed().as_secs_f64());
    Ok(())
}

fn show(topology: &Topology, product: &Product<'_>, interrupt: &Interrupt) -> Result<()> {
    println!(
        "host (eth0, eth1) ── switch ── client, in network namespaces.\n\
         The client pings {HOST} every {} ms and talks TCP with it all the time; both connections are the same from\n\
         the first line to the last. \"gap\" is the longest time without an answer, \"lost\" what the network lost.\n",
        INTERVAL.as_millis()
    );
    interrupt.pause(SETTLE)?;
    let pings = Ping::start(&topology.client, &topology.host, HOST.into(), None, INTERVAL)?;
    let stream = TcpSession::start(&topology.host, &topology.client, HOST.into(), CHUNK, PAUSE)?;
    let before = host::picture(&topology.host)?;

    let mut timeline = Timeline::begin(&pings, &stream, interrupt)?;
    let none = || Ok(None);
    let active = || product.active_port();
    let becomes = |port: &str| {
        let what = format!("{port} becomes the active port");
        interrupt.wait_until(&what, || Ok(product.active_port()?.as_deref() == Some(port)))
    };

    timeline.step("before: the address is on eth0", || Ok(()), none)?;
    timeline.step("attach agg0 --port eth0 --port eth1", || attach(product), active)?;
    println!("\n{}", product.run(&format!("show {NAME}"))?);
    timeline.step("cut the cable of eth0", || topology.cable("eth0", false).and_then(|()| becomes("eth1")), active)?;
    timeline.step("plug it in again", || topology.cable("eth0", true), active)?;
    timeline.step("set agg0 active-port=eth0", || switch(product, "eth0"), active)?;
    timeline.step("kill -9 the controller", || kill_controller(product, interrupt), active)?;
    timeline.step("kill -9 guardian and controller", || kill_both(product, interrupt), active)?;
    timeline.step("adopt agg0", || product.run(&format!("adopt {NAME}")).map(drop), active)?;
    timeline.step(
        "cut the cable of eth0 again",
        || topology.cable("eth0", false).and_then(|()| becomes("eth1")),
        active,
    )?;
    timeline.step("plug it in again, once more", || topology.cable("eth0", true), active)?;
    println!("\n{}", product.run(&format!("show {NAME}"))?);
    timeline.step("detach agg0", || product.run(&format!("detach {NAME}")).map(drop), none)?;
    timeline.finish();

    compare(topology, &before, interrupt)?;
    println!("links, addresses and routes of the host are as they were before attach");
    Ok(())
}

/// Compares the host with what it was before. IPv6 addresses that came back are tentative for a moment.
fn compare(topology: &Topology, before: &[String], interrupt: &Interrupt) -> Result<()> {
    let mut differences = Vec::new();
    let same = interrupt.wait_until("the host is as it was before", || {
        differences = host::differences(before, &host::picture(&topology.host)?);
        Ok(differences.is_empty())
    });
    same.with_context(|| format!("before and after differ:\n{}\n", differences.join("\n")))
}

fn attach(product: &Product<'_>) -> Result<()> {
    product.run(&format!("attach {NAME} --port eth0 --port eth1")).map(drop)
}

fn switch(product: &Product<'_>, port: &str) -> Result<()> {
    product.run(&format!("set {NAME} active-port={port}")).map(drop)
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
