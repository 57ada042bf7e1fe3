//! Lets the command reach the machine monitor: one request per connection, a line of JSON each way.

use std::{
    io::{BufRead, BufReader},
    os::unix::net::{UnixListener, UnixStream},
    thread,
};

use anyhow::{Context, Result};

use super::control::ControlChannel;
use crate::{message, plan, qmp};

/// Begins to listen.
///
/// # Errors
///
/// When the socket cannot be made.
pub fn start(control: &ControlChannel) -> Result<()> {
    let listener = UnixListener::bind(plan::MONITOR).with_context(|| format!("cannot listen on {}", plan::MONITOR))?;
    let control = control.clone();
    thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let control = control.clone();
            thread::spawn(move || {
                if let Err(error) = serve(connection, &control) {
                    eprintln!("vm: agent: {error:#}");
                }
            });
        }
    });
    Ok(())
}

fn serve(connection: UnixStream, control: &ControlChannel) -> Result<()> {
    let mut line = String::new();
    BufReader::new(&connection).read_line(&mut line).context("cannot read a request to the monitor")?;
    let answer = match serde_json::from_str(&line) {
        Ok(request) => control.ask(request)?,
        Err(error) => qmp::refusal(&format!("a request is one line of JSON: {error}")),
    };
    message::send(&mut &connection, &answer).context("cannot answer a request to the monitor")
}
