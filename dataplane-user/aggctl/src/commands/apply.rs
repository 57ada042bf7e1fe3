//! `apply`: an aggregate becomes what its file says.

use aggctl_engine::{
    config::AggregateConfig,
    config_file,
    plan::{self, ApplyPair, ApplyStep},
    record::Phase,
};
use aggctl_kernel::state::Store;

use super::{attach, config, live, prepare};
use crate::{
    api::{Client, Request},
    cli::Manner,
    failure::Failure,
    operation,
    output::print,
};

/// Applies the file of one aggregate, or of each that has one.
///
/// # Errors
/// Why not: nothing was changed then, or it was taken back. Of several, the last failure; the others were printed.
pub fn run(name: Option<&str>, dry_run: bool, manner: Manner) -> Result<(), Failure> {
    let names = config::names(name)?;
    if manner.foreground() && names.len() > 1 {
        return Err(Failure::Usage("--foreground takes one aggregate: name it".to_owned()));
    }
    config::each(&names, |name| one(name, dry_run, manner))
}

fn one(name: &str, dry_run: bool, manner: Manner) -> Result<(), Failure> {
    let file = config::read(name)?;
    prepare()?;
    let request = manner.request(file.config, file.mode_is_chosen);
    let store = operation::store(name)?;
    let runs = store.record()?.filter(|record| record.phase == Phase::Attached);
    match runs {
        Some(record) if !request.or_adopt => {
            if request.confirm.is_some() {
                return Err(Failure::Usage(format!(
                    "{name} runs: --confirm undoes an attach, and no change of what runs; leave it out"
                )));
            }
            let pairs = changes(&record.config, &attach::completed(&request)?)?;
            if dry_run { tell(&pairs, name) } else { carry_out(&store, &pairs) }
        }
        None if dry_run => {
            let text = config_file::text(&attach::completed(&request)?);
            print(&format!("{name} does not run: it would be attached as\n\n{}", text.trim_end()))
        }
        Some(_) if dry_run => print(&format!("{name} runs: it would be taken over as it is")),
        _ => attach::run(&request),
    }
}

/// What is to be done to an aggregate that runs.
fn changes(runs: &AggregateConfig, asked: &AggregateConfig) -> Result<Vec<ApplyPair>, Failure> {
    plan::apply(runs, asked).map_err(|fixed| {
        let lines: Vec<_> = fixed.iter().map(ToString::to_string).collect();
        Failure::Refused(format!("{}; nothing was changed", lines.join("; ")))
    })
}

fn tell(pairs: &[ApplyPair], name: &str) -> Result<(), Failure> {
    if pairs.is_empty() {
        return print(&format!("{name} runs as its file says"));
    }
    let lines: Vec<_> = pairs.iter().map(|pair| pair.step.to_string()).collect();
    print(&lines.join("\n"))
}

/// Carries the steps out; at a failure those that were done are taken back.
fn carry_out(store: &Store, pairs: &[ApplyPair]) -> Result<(), Failure> {
    let answers = || Client::ask(&store.socket(), &Request::Status).is_ok();
    if !pairs.is_empty()
        && !answers()
        && let Err(failure) = attach::adopt(store, false)
        // Somebody else may have been faster.
        && !answers()
    {
        return Err(failure);
    }
    for (done, pair) in pairs.iter().enumerate() {
        let Err(failure) = ask(store, &pair.step) else { continue };
        let mut line = format!("{failure}; nothing was changed");
        for earlier in pairs[..done].iter().rev() {
            if let Err(error) = ask(store, &earlier.inverse) {
                line = format!("{failure}; and `{}` could not be taken back: {error}", earlier.step);
            }
        }
        return Err(Failure::Refused(line));
    }
    Ok(())
}

fn ask(store: &Store, step: &ApplyStep) -> Result<(), Failure> {
    match step {
        ApplyStep::Set(change) => live::ask(store, &Request::Set { change: change.clone(), active_port: None }),
        ApplyStep::Add(port) => live::ask(store, &Request::AddPort { port: port.clone() }),
        ApplyStep::Remove(port) => live::ask(store, &Request::RemovePort { port: port.clone() }),
    }
}
