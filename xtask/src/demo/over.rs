//! The second act: a bond that is there, whose ports are chosen by `aggctl`, and again by the driver.

use anyhow::Result;

use super::{Act, kill_both, topology::HOST};

/// The bonding device.
pub const NAME: &str = "bond0";

/// Shows it.
///
/// # Errors
///
/// When a step fails.
pub fn show(act: &Act<'_>) -> Result<()> {
    println!(
        "\nThe same, but {HOST} is on a bond that is there: bond0 of the kernel's bonding driver, active-backup, \
         miimon 100.\nNothing of it is changed; only the choice of the port is ours, as long as a controller is at \
         work.\n"
    );
    let Act { topology, product, interrupt } = act;
    let traffic = act.traffic()?;
    let mut timeline = traffic.timeline(interrupt)?;
    let driver = || topology.active_of_bond(NAME).map(Some);
    let run = |line: &str| product.run(line).map(drop);
    let driver_takes = |port: &str| {
        let what = format!("the driver takes {port}");
        interrupt.wait_until(&what, || Ok(topology.active_of_bond(NAME)? == port))
    };
    let cut = |port: &str| topology.cable(port, false);

    timeline.step("before: the bond is the driver's", || Ok(()), driver)?;
    timeline.step("attach bond0", || run("attach bond0"), driver)?;
    println!("\n{}", product.run("show bond0")?);
    timeline.step("cut the cable of eth0", || cut("eth0").and_then(|()| driver_takes("eth1")), driver)?;
    timeline.step("plug it in again", || topology.cable("eth0", true), driver)?;
    timeline.step("kill -9 guardian and controller", || kill_both(product, interrupt), driver)?;
    timeline.step("adopt bond0", || run("adopt bond0"), driver)?;
    timeline.step("set bond0 active-port=eth0", || run("set bond0 active-port=eth0"), driver)?;
    println!("\n{}", product.run("show bond0")?);
    timeline.step("detach bond0", || run("detach bond0"), driver)?;
    timeline.step(
        "cut the cable of eth0, without aggctl",
        || cut("eth0").and_then(|()| driver_takes("eth1")),
        driver,
    )?;
    timeline.finish();
    Ok(())
}
