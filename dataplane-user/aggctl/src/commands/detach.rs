//! `detach`.

use aggctl_engine::{plan, record::Phase};
use aggctl_kernel::{netlink::Netlink, snapshot::snapshot, state::Store};

use crate::{failure::Failure, holder, operation, output, remains};

/// Undoes an attach.
///
/// # Errors
/// A refusal, which changed nothing; or what could not be restored.
pub fn run(store: &Store, force: bool) -> Result<(), Failure> {
    if force && remains::is_lost(store)? {
        return take_off(store);
    }
    let record = store.record()?.ok_or_else(|| operation::not_there(store.name()))?;
    if record.phase == Phase::Attached {
        // Refused before the controller is sent away.
        plan::detach(&snapshot(&mut Netlink::open()?)?, &record, force)?;
    }
    operation::make_place(store)?;
    if let Some(damage) = operation::damage(store)? {
        output::warn(&damage);
    }
    // Somebody else was faster.
    let Some(_lock) = holder::replace(store, force)? else { return Ok(()) };
    // The controller may have changed it, or undone everything itself, meanwhile.
    match store.record()? {
        None => Ok(store.remove()?),
        Some(record) if matches!(record.phase, Phase::Attaching | Phase::Undoing) => {
            operation::roll_back(store, record).map(|_| ())
        }
        // One that has begun already is finished in any case.
        Some(record) => {
            let force = force || record.phase == Phase::Detaching;
            operation::tear_down(store, record, force)
        }
    }
}

/// Takes off what is left of an aggregate whose record is lost.
fn take_off(store: &Store) -> Result<(), Failure> {
    let Some(_lock) = holder::replace(store, true)? else { return Ok(()) };
    let unknown = operation::take_off(store, &snapshot(&mut Netlink::open()?)?)?;
    output::warn(&format_args!("its record was lost; not known: {}", unknown.join("; ")));
    Ok(())
}
