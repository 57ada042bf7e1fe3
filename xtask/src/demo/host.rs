//! What the host looks like, so that before and after can be compared.

use anyhow::{Context, Result};
use serde_json::Value;

use aggctl_testbed::netns::NetworkNamespace;

/// What is asked for: links with addresses, and the routes of all tables.
const QUESTIONS: [&str; 3] =
    ["-json -details address show", "-json route show table all", "-json -6 route show table all"];

/// Takes down addresses, flags, MACs, MTUs and routes, a line for each, sorted.
///
/// # Errors
///
/// When `ip` fails.
pub fn picture(host: &NetworkNamespace) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for question in QUESTIONS {
        let text = host.ip(question)?;
        let items: Vec<Value> = serde_json::from_str(&text).with_context(|| format!("ip {question}"))?;
        lines.extend(items.iter().map(Value::to_string));
    }
    lines.sort_unstable();
    Ok(lines)
}

/// What is only in the first picture, marked `-`, and only in the second, marked `+`.
pub fn differences(before: &[String], after: &[String]) -> Vec<String> {
    let lost = before.iter().filter(|line| !after.contains(line)).map(|line| format!("- {line}"));
    let new = after.iter().filter(|line| !before.contains(line)).map(|line| format!("+ {line}"));
    lost.chain(new).collect()
}
