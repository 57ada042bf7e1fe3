//! The place of a measurement: a host and, at the other ends of its cables, a switch that is silent.

use std::{
    fs,
    io::Write,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::{netns::Namespace, process};

/// The aggregate's name.
pub const AGGREGATE: &str = "agg0";
/// How long what must happen may take. Generous: it is the clock of the machine, and only what fails waits so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// Two namespaces with as many cables between them as there are ports. Both ends of the cable `port0` are called so.
pub struct Site {
    /// Where the aggregate is.
    pub host: Namespace,
    /// Where its cables end.
    pub far: Namespace,
    /// The names of the ports.
    pub ports: Vec<String>,
}

impl Site {
    /// Makes it. IPv6 is off, so that nobody sends anything unasked.
    ///
    /// # Errors
    ///
    /// When the kernel does not let us.
    pub fn new(ports: u8) -> Result<Self> {
        let site = Self {
            host: Namespace::new("host")?,
            far: Namespace::new("far")?,
            ports: (0..ports).map(|number| format!("port{number}")).collect(),
        };
        for namespace in [&site.host, &site.far] {
            namespace.enter(|| {
                fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1").context("cannot switch IPv6 off")
            })?;
        }
        let mut links = String::new();
        let mut far = String::new();
        for (number, name) in site.ports.iter().enumerate() {
            links += &format!(
                "link add {name} address 02:00:00:00:00:{number:02x} type veth \
                 peer name {name} address 02:00:00:00:01:{number:02x} netns {}\nlink set {name} up\n",
                site.far.name()
            );
            far += &format!("link set {name} up\n");
        }
        batch(&site.host, &links)?;
        batch(&site.far, &far)?;
        wait_for("the cables", || Ok(site.ports.iter().all(|port| carrier(&site.host, port).unwrap_or(false))))?;
        Ok(site)
    }

    /// How many frames came out of each cable so far.
    ///
    /// # Errors
    ///
    /// When `ip` fails.
    pub fn received(&self) -> Result<Vec<u64>> {
        let count = |port: &String| {
            let link = link(&self.far, port)?;
            link["stats64"]["rx"]["packets"].as_u64().with_context(|| format!("{port} has no counters"))
        };
        self.ports.iter().map(count).collect()
    }
}

/// Runs lines of `ip` in one go.
///
/// # Errors
///
/// When one of them fails.
pub fn batch(namespace: &Namespace, lines: &str) -> Result<()> {
    let mut file = tempfile::NamedTempFile::new().context("cannot make a file")?;
    file.write_all(lines.as_bytes()).context("cannot write a file")?;
    process::read(Command::new("ip").args(["-n", namespace.name(), "-batch"]).arg(file.path())).map(drop)
}

/// What `ip` says of a link, with its counters.
///
/// # Errors
///
/// When it is not there.
pub fn link(namespace: &Namespace, name: &str) -> Result<Value> {
    let text = namespace.ip(&format!("-json -statistics link show dev {name}"))?;
    let mut links: Vec<Value> = serde_json::from_str(&text).context("ip printed no JSON")?;
    links.pop().with_context(|| format!("ip did not show {name}"))
}

/// Whether a link has a carrier, and is up.
///
/// # Errors
///
/// As [`link`].
pub fn carrier(namespace: &Namespace, name: &str) -> Result<bool> {
    let link = link(namespace, name)?;
    Ok(link["flags"].as_array().is_some_and(|flags| flags.iter().any(|flag| flag == "LOWER_UP")))
}

/// The MAC of a link.
///
/// # Errors
///
/// As [`link`].
pub fn mac(namespace: &Namespace, name: &str) -> Result<String> {
    let link = link(namespace, name)?;
    link["address"].as_str().map(str::to_owned).with_context(|| format!("{name} has no MAC"))
}

/// Waits until `happened`.
///
/// # Errors
///
/// When it takes too long, with `what` in the message, or when `happened` fails.
pub fn wait_for(what: &str, happened: impl Fn() -> Result<bool>) -> Result<()> {
    let begin = Instant::now();
    while !happened()? {
        if begin.elapsed() > PATIENCE {
            bail!("waited {} s in vain for {what}", PATIENCE.as_secs());
        }
        thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

/// `tc` on a namespace; words are separated by blanks.
///
/// # Errors
///
/// When it fails.
pub fn tc(namespace: &Namespace, line: &str) -> Result<String> {
    let program = process::find("tc").unwrap_or_else(|| Path::new("tc").to_path_buf());
    process::read(Command::new(program).args(["-n", namespace.name()]).args(line.split_whitespace()))
}
