//! The agent's end of the control port.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead, BufReader},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{self, Sender},
    },
    thread,
};

use anyhow::{Context, Result};
use rustix::system::RebootCommand;
use serde_json::Value;

use crate::message::{self, FromGuest, ToGuest};

/// Sends messages, and gives the host's answers to those who asked.
#[derive(Clone, Debug)]
pub struct ControlChannel(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    port: Mutex<File>,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    next: u64,
    by_id: BTreeMap<u64, Sender<Value>>,
}

impl ControlChannel {
    /// Begins to listen to the host.
    ///
    /// # Errors
    ///
    /// When the port cannot be shared.
    pub fn start(port: File) -> Result<Self> {
        let reader = port.try_clone().context("cannot share the control port")?;
        let control = Self(Arc::new(Shared { port: Mutex::new(port), waiting: Mutex::default() }));
        let listener = control.clone();
        thread::spawn(move || {
            listener.listen(reader);
            // The host's process is gone: nobody would end this machine. There is nobody to tell of an error.
            let _ = rustix::system::reboot(RebootCommand::PowerOff);
        });
        Ok(control)
    }

    /// Sends a message.
    ///
    /// # Errors
    ///
    /// When the host is gone.
    pub fn send(&self, message: &FromGuest) -> Result<()> {
        message::send(&mut *lock(&self.0.port), message).context("cannot write to the host")
    }

    /// Asks the machine monitor and waits for the answer.
    ///
    /// # Errors
    ///
    /// When the host is gone.
    pub fn ask(&self, request: Value) -> Result<Value> {
        let (sender, answer) = mpsc::channel();
        let id = {
            let mut waiting = lock(&self.0.waiting);
            waiting.next += 1;
            let id = waiting.next;
            waiting.by_id.insert(id, sender);
            id
        };
        self.send(&FromGuest::Ask { id, request })?;
        answer.recv().context("the host does not answer")
    }

    /// Serves the host until it closes the port.
    fn listen(&self, port: File) {
        for line in BufReader::new(port).split(b'\n').map_while(Result::ok) {
            match serde_json::from_slice(&line) {
                Ok(ToGuest::Ping) => {
                    // If the host is gone the next read says so.
                    let _ = self.send(&FromGuest::Alive);
                }
                Ok(ToGuest::Answer { id, answer }) => {
                    if let Some(sender) = lock(&self.0.waiting).by_id.remove(&id) {
                        // Who asked may have left.
                        let _ = sender.send(answer);
                    }
                }
                Err(error) => eprintln!("vm: agent: the host said what cannot be understood: {error}"),
            }
        }
    }
}

/// A thread that panicked while it held the lock has not left anything half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
