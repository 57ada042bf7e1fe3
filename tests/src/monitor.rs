//! The monitor of the machine that the tests run in (`cargo xtask vm`), which cuts links and unplugs cards.

use std::{
    env,
    io::{BufRead, BufReader, Write},
    os::unix::net::UnixStream,
    time::Duration,
};

use serde_json::{Value, json};

/// The variable that names its socket.
const VARIABLE: &str = "AGGCTL_VM_MONITOR";
/// The longest that an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Whether there is one.
pub fn present() -> bool {
    env::var_os(VARIABLE).is_some()
}

/// Asks for something.
///
/// # Panics
///
/// If there is no monitor, or it refuses.
#[track_caller]
fn ask(command: &str, arguments: &Value) {
    let path = env::var_os(VARIABLE).expect("a machine's monitor");
    let mut stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    writeln!(stream, "{}", json!({ "execute": command, "arguments": arguments })).unwrap();
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).unwrap();
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert!(answer.get("return").is_some(), "{command} {arguments}: {answer}");
}

/// Cuts the link of a card, or mends it.
#[track_caller]
pub fn set_link(card: &str, up: bool) {
    ask("set_link", &json!({ "name": card, "up": up }));
}

/// Asks a card to leave; it is gone a moment later.
#[track_caller]
pub fn unplug(card: &str) {
    ask("device_del", &json!({ "id": card }));
}

/// Plugs a card with this permanent address into the end of a cable where the one of the same name was.
#[track_caller]
pub fn plug(card: &str, mac: &str) {
    let cable = format!("{card}-cable");
    ask("device_add", &json!({ "driver": "e1000e", "id": card, "netdev": cable, "mac": mac }));
}
