//! A client of QMP, the emulator's monitor: cut a link, unplug a card.
//!
//! The protocol: <https://www.qemu.org/docs/master/interop/qmp-spec.html>.

use std::{
    io::{BufRead, BufReader, Write},
    os::unix::net::UnixStream,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

/// How long the emulator may take to answer.
const LIMIT: Duration = Duration::from_secs(10);

/// Commands that may be asked for from within a machine, besides those that begin with `query-`. QMP has others that
/// run programs and write files on the host.
const ALLOWED: &[&str] = &["set_link", "device_add", "device_del"];

/// A connection that is ready for commands.
#[derive(Debug)]
pub struct Qmp {
    reader: BufReader<UnixStream>,
    writer: UnixStream,
}

impl Qmp {
    /// Reads the greeting and asks for nothing special.
    ///
    /// # Errors
    ///
    /// When the emulator does not answer as QMP demands.
    pub fn open(stream: UnixStream) -> Result<Self> {
        stream.set_read_timeout(Some(LIMIT))?;
        let mut qmp = Self { reader: BufReader::new(stream.try_clone()?), writer: stream };
        let greeting = qmp.line()?;
        ensure!(greeting.get("QMP").is_some(), "the emulator's monitor does not speak QMP: {greeting}");
        let answer = qmp.execute(&json!({ "execute": "qmp_capabilities" }))?;
        ensure!(answer.get("return").is_some(), "the emulator's monitor refuses: {answer}");
        Ok(qmp)
    }

    /// Sends a command and returns the answer, an object with `return` or `error`.
    ///
    /// # Errors
    ///
    /// When the emulator is gone or does not answer in time.
    pub fn execute(&mut self, request: &Value) -> Result<Value> {
        let mut line = request.to_string();
        line.push('\n');
        self.writer.write_all(line.as_bytes()).context("cannot write to the emulator's monitor")?;
        loop {
            let answer = self.line()?;
            // In between come events.
            if answer.get("return").is_some() || answer.get("error").is_some() {
                return Ok(answer);
            }
        }
    }

    fn line(&mut self) -> Result<Value> {
        let mut line = String::new();
        let length = self.reader.read_line(&mut line).context("the emulator's monitor does not answer")?;
        ensure!(length > 0, "the emulator's monitor is gone");
        serde_json::from_str(&line).with_context(|| format!("the emulator's monitor wrote no JSON: {line}"))
    }
}

/// Whether a machine may ask for this.
pub fn allowed(request: &Value) -> bool {
    let command = request["execute"].as_str();
    command.is_some_and(|command| ALLOWED.contains(&command) || command.starts_with("query-"))
}

/// The answer to a request that failed here.
pub fn refusal(reason: &str) -> Value {
    json!({ "error": { "class": "GenericError", "desc": reason } })
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead, BufReader, Write},
        os::unix::net::UnixStream,
        thread,
    };

    use serde_json::{Value, json};

    use super::{Qmp, allowed};

    /// Plays the emulator: greets, and answers each command with the next text.
    fn emulator(answers: &'static [&'static str]) -> (UnixStream, thread::JoinHandle<Vec<Value>>) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let asked = thread::spawn(move || {
            let mut writer = theirs.try_clone().unwrap();
            writer.write_all(b"{\"QMP\": {\"version\": {}}}\r\n").unwrap();
            let mut lines = BufReader::new(theirs).lines();
            let mut asked = Vec::new();
            for answer in answers {
                asked.push(serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap());
                writer.write_all(answer.as_bytes()).unwrap();
            }
            asked
        });
        (ours, asked)
    }

    #[test]
    fn events_are_no_answers() {
        let (stream, asked) =
            emulator(&["{\"return\": {}}\r\n", "{\"event\": \"STOP\"}\r\n{\"return\": {\"running\": true}}\r\n"]);
        let mut qmp = Qmp::open(stream).unwrap();
        let answer = qmp.execute(&json!({ "execute": "query-status" })).unwrap();
        assert_eq!(answer["return"]["running"], true);
        assert_eq!(asked.join().unwrap()[1]["execute"], "query-status");
    }

    #[test]
    fn an_emulator_that_ends_is_an_error() {
        let (stream, asked) = emulator(&["{\"return\": {}}\r\n"]);
        let mut qmp = Qmp::open(stream).unwrap();
        asked.join().unwrap();
        assert!(qmp.execute(&json!({ "execute": "query-status" })).is_err());
    }

    #[test]
    fn what_reaches_beyond_the_machine_is_not_allowed() {
        assert!(allowed(&json!({ "execute": "set_link", "arguments": {} })));
        assert!(allowed(&json!({ "execute": "query-rx-filter" })));
        for command in ["migrate", "human-monitor-command", "quit", "chardev-add"] {
            assert!(!allowed(&json!({ "execute": command })), "{command}");
        }
        assert!(!allowed(&json!({})));
    }
}
