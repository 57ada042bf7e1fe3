//! The first act: an aggregate of two ports, from attach to detach.

use anyhow::Result;

use super::{Act, INTERVAL, compare, kill_both, kill_controller, topology::HOST};

/// The aggregate.
pub const NAME: &str = "agg0";

/// Shows it.
///
/// # Errors
///
/// When a step fails, or the host is not as it was before.
pub fn show(act: &Act<'_>) -> Result<()> {
    println!(
        "host (eth0, eth1) ── switch ── client, in network namespaces.\n\
         The client pings {HOST} every {} ms and talks TCP with it all the time; both connections are the same from\n\
         the first line to the last. \"gap\" is the longest time without an answer, \"lost\" what the network lost.\n",
        INTERVAL.as_millis()
    );
    let Act { topology, product, interrupt } = act;
    let traffic = act.traffic()?;
    let mut timeline = traffic.timeline(interrupt)?;
    let none = || Ok(None);
    let active = || product.active_port();
    let cut = || topology.cable("eth0", false).and_then(|()| act.becomes_active("eth1"));
    let plug = || topology.cable("eth0", true);
    let run = |line: &str| product.run(line).map(drop);

    timeline.step("before: the address is on eth0", || Ok(()), none)?;
    timeline.step("attach agg0 --port eth0 --port eth1", || run("attach agg0 --port eth0 --port eth1"), active)?;
    println!("\n{}", product.run("show agg0")?);
    timeline.step("cut the cable of eth0", cut, active)?;
    timeline.step("plug it in again", plug, active)?;
    timeline.step("set agg0 active-port=eth0", || run("set agg0 active-port=eth0"), active)?;
    timeline.step("kill -9 the controller", || kill_controller(product, interrupt), active)?;
    timeline.step("kill -9 guardian and controller", || kill_both(product, interrupt), active)?;
    timeline.step("adopt agg0", || run("adopt agg0"), active)?;
    timeline.step("cut the cable of eth0 again", cut, active)?;
    timeline.step("plug it in again, once more", plug, active)?;
    println!("\n{}", product.run("show agg0")?);
    timeline.step("detach agg0", || run("detach agg0"), none)?;
    timeline.finish();
    compare(topology, &traffic.before, interrupt)?;
    println!("links, addresses and routes of the host are as they were before attach");
    Ok(())
}
