//! The commands: what is meant by what was typed.

mod apply;
mod attach;
mod await_ports;
mod capture;
mod config;
mod detach;
mod doctor;
mod explain;
mod internal;
mod live;
mod monitor;
mod show;

use aggctl_engine::{names, options::GivenOptions, plan};
use aggctl_kernel::{netns, privilege, probe};

use crate::{
    cli::{Arguments, CaptureArguments, Command, ConfigAction, PortAction},
    failure::Failure,
    guardian,
    operation::PortChecks,
    operation::store,
    timekeeper,
};

/// Carries out a command. What can be said about the command line alone comes before what the system says.
///
/// # Errors
/// Why it failed.
pub fn run(arguments: Arguments) -> Result<(), Failure> {
    check_names(&arguments.command)?;
    match arguments.command {
        Command::Attach(arguments) => {
            let request = arguments.request()?;
            plan::validate(&request.config)?;
            prepare()?;
            attach::run(&request)
        }
        Command::Apply { name, dry_run, manner } => apply::run(name.as_deref(), dry_run, manner),
        Command::Config { action } => match action {
            ConfigAction::Check { name } => config::check(name.as_deref()),
            ConfigAction::Show { name } => prepare().and_then(|()| config::show(&store(&name)?)),
            ConfigAction::Save { name } => prepare().and_then(|()| config::save(&store(&name)?)),
        },
        Command::Set { name, settings } => {
            let mut said = GivenOptions::default();
            settings.iter().try_for_each(|setting| said.change(setting))?;
            prepare()?;
            live::set(&store(&name)?, said)
        }
        Command::Detach { name, force } => prepare().and_then(|()| detach::run(&store(&name)?, force)),
        Command::Adopt { name, foreground } => prepare().and_then(|()| attach::adopt(&store(&name)?, foreground)),
        Command::Confirm { name } => prepare().and_then(|()| live::confirm(&store(&name)?)),
        Command::Show { name, json, buckets } => prepare().and_then(|()| show::run(name.as_deref(), json, buckets)),
        Command::Doctor { name, json } => doctor::run(name.as_deref(), json),
        Command::Explain { name, flow, json } => prepare().and_then(|()| explain::run(&store(&name)?, &flow, json)),
        Command::Port { action } => prepare().and_then(|()| port(action)),
        Command::Monitor { name, json } => prepare().and_then(|()| monitor::run(name.as_deref(), json)),
        Command::Capture(arguments) => {
            let filter = arguments.filter()?;
            prepare().and_then(|()| capture::run(&arguments, filter))
        }
        Command::Guardian { name, adopt } => prepare_background().and_then(|()| guardian::run(&store(&name)?, adopt)),
        Command::Controller { name, adopt } => {
            prepare_background().and_then(|()| internal::controller(store(&name)?, adopt))
        }
        Command::Timekeeper { name } => prepare_background().and_then(|()| timekeeper::run(&store(&name)?)),
    }
}

/// Whether the names that were typed can be those of interfaces at all; and of those that are made, or become ports,
/// whether they mean nothing else.
fn check_names(command: &Command) -> Result<(), Failure> {
    let (aggregate, port) = match command {
        Command::Attach(_) => return Ok(()), // its request is checked as a whole
        Command::Config { action: ConfigAction::Check { name } }
        | Command::Apply { name, .. }
        | Command::Show { name, .. }
        | Command::Doctor { name, .. }
        | Command::Monitor { name, .. } => (name.as_deref(), None),
        Command::Capture(CaptureArguments { name, .. })
        | Command::Config { action: ConfigAction::Show { name } | ConfigAction::Save { name } }
        | Command::Detach { name, .. }
        | Command::Adopt { name, .. }
        | Command::Confirm { name }
        | Command::Explain { name, .. }
        | Command::Set { name, .. }
        | Command::Guardian { name, .. }
        | Command::Timekeeper { name }
        | Command::Controller { name, .. } => (Some(name.as_str()), None),
        Command::Port { action } => match action {
            PortAction::Add { name, port, .. } => {
                names::check(&port.name)?;
                (Some(name.as_str()), None)
            }
            PortAction::Remove { name, port } => (Some(name.as_str()), Some(port.as_str())),
            PortAction::Set { name, port } => (Some(name.as_str()), Some(port.name.as_str())),
        },
    };
    Ok([aggregate, port].into_iter().flatten().try_for_each(names::check_possible)?)
}

fn port(action: PortAction) -> Result<(), Failure> {
    match action {
        PortAction::Add { name, port, force, strict } => {
            live::add_port(&store(&name)?, &port, PortChecks { force, strict })
        }
        PortAction::Remove { name, port } => live::remove_port(&store(&name)?, port),
        PortAction::Set { name, port } => live::set_port(&store(&name)?, &port),
    }
}

/// What a process behind the commands needs, and not more.
fn prepare_background() -> Result<(), Failure> {
    prepare()?;
    privilege::give_up()?;
    internal::log_to_stderr();
    Ok(())
}

/// What every command needs: privilege, and the mount namespace in which state is kept.
fn prepare() -> Result<(), Failure> {
    probe::privilege()?;
    probe::kernel()?;
    // In a container that cannot, its own one is as good: it is where all commands of that container look.
    let _ = netns::enter_first_mount_namespace();
    Ok(())
}
