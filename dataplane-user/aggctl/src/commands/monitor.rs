//! `monitor`.

use std::{
    sync::mpsc::{Sender, channel},
    thread,
};

use aggctl_engine::action::Notice;
use aggctl_kernel::{netns, state::Store};
use serde::Serialize;

use crate::{
    api::{Answer, Client, Request, Unanswered},
    background,
    failure::Failure,
    operation,
    output::print,
    view,
};

/// A line of `monitor --json`.
#[derive(Serialize)]
struct MonitorLine {
    /// Version of this layout.
    schema: u32,
    /// Milliseconds since the Unix epoch.
    at_ms: u64,
    /// The aggregate.
    aggregate: String,
    #[serde(flatten)]
    notice: Notice,
}

/// Prints events until the controllers have left, or the output is closed.
///
/// # Errors
/// If there is no such aggregate, or none at all, or no controller to listen to.
pub fn run(name: Option<&str>, json: bool) -> Result<(), Failure> {
    let names = match name {
        Some(name) => vec![name.to_owned()],
        None => Store::names(netns::cookie()?)?,
    };
    if names.is_empty() {
        return Err(Failure::Refused("there is no aggregate in this network namespace".to_owned()));
    }
    let (sender, lines) = channel();
    for name in names {
        let (mut client, _) = background::ask(&operation::store(&name)?, &Request::Monitor)?;
        client.wait_for_ever()?;
        let sender = sender.clone();
        thread::spawn(move || follow(&mut client, &name, &sender));
    }
    drop(sender);
    for line in lines {
        let line = line?;
        let text = if json {
            serde_json::to_string(&line).map_err(std::io::Error::from)?
        } else {
            view::notice::describe(line.at_ms, &line.aggregate, &line.notice)
        };
        print(&text)?;
    }
    Ok(())
}

fn follow(client: &mut Client, aggregate: &str, sender: &Sender<Result<MonitorLine, Failure>>) {
    loop {
        let line = match client.receive() {
            Ok(Some(Answer::Notice { at_ms, notice })) => {
                Ok(MonitorLine { schema: 1, at_ms, aggregate: aggregate.to_owned(), notice })
            }
            Ok(Some(_)) => continue,
            Ok(None) => return,
            Err(Unanswered::Failed(failure)) => Err(failure),
            Err(Unanswered::Nobody | Unanswered::Silent | Unanswered::Gone) => return,
        };
        let last = line.is_err();
        if sender.send(line).is_err() || last {
            return;
        }
    }
}
