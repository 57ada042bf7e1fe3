//! The emulated network cards of a machine, which filter as real ones do (`cargo xtask vm --nic e1000e:2`).
//!
//! There is one set of them in a machine, so one test has them at a time, and leaves them as they were.

use std::{
    fs,
    panic::{self, AssertUnwindSafe},
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{Namespace, command, monitor, wait};

/// How long a card may take to come or go.
const PATIENCE: Duration = Duration::from_secs(30);
/// Where the interfaces of the calling namespace are listed.
const INTERFACES: &str = "/sys/class/net";

/// The right to use the cards.
pub type CardsLock = MutexGuard<'static, ()>;

/// Waits until no other test uses the cards.
pub fn turn() -> CardsLock {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether this is a machine with `count` cards.
pub fn present(count: usize) -> bool {
    monitor::present() && (0..count).all(|number| Path::new(INTERFACES).join(format!("nic{number}")).exists())
}

/// Which end of a cable is the host's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// `nicN`, an e1000e: it filters addresses and groups. It says that it filters VLANs, but Linux' driver does not
    /// let it.
    Nic,
    /// `partnerN`, a virtio card: it filters addresses, groups and VLANs.
    Partner,
}

/// A card in a host, and what is at the other end of its cable.
#[derive(Debug)]
pub struct Card {
    number: usize,
    end: End,
    host: String,
    switch: String,
}

impl Card {
    /// Gives one end of a cable to `host` and the other one to `switch`, under other names.
    pub fn new(number: usize, end: End, host: (&Namespace, &str), switch: (&Namespace, &str)) -> Self {
        let card = Self { number, end, host: host.0.name().to_owned(), switch: switch.0.name().to_owned() };
        for (device, (namespace, name)) in card.names().iter().zip([host, switch]) {
            ip(&["link", "set", device, "netns", namespace.name(), "name", name]);
        }
        card
    }

    /// What it is called at first and by the monitor, and what the other end of its cable is called.
    fn names(&self) -> [String; 2] {
        let names = ["nic", "partner"].map(|device| format!("{device}{}", self.number));
        self.in_order(names)
    }

    /// Its permanent address, and that of the other end.
    fn addresses(&self) -> [String; 2] {
        self.in_order([0, 1].map(|end| format!("52:54:00:a9:{end:02x}:{:02x}", self.number)))
    }

    /// The host's end first.
    fn in_order(&self, [nic, partner]: [String; 2]) -> [String; 2] {
        match self.end {
            End::Nic => [nic, partner],
            End::Partner => [partner, nic],
        }
    }

    /// Cuts its cable, or mends it: both ends lose their carrier. Were it one end only, the emulator would keep for
    /// later what the other one sends, and whoever sends it would be held up.
    #[track_caller]
    pub fn plug_cable(&self, plugged: bool) {
        let [own, other] = self.names();
        if plugged {
            monitor::set_link(&own, true);
            wait::find(PATIENCE, || self.has_carrier().then_some(()));
            monitor::set_link(&other, true);
        } else {
            monitor::set_link(&other, false);
            monitor::set_link(&own, false);
        }
    }

    /// Whether its interface says so; one that is down, or not there, is not waited for.
    fn has_carrier(&self) -> bool {
        let [mac, _] = self.addresses();
        find(Some(&self.host), &mac).is_none_or(|name| {
            let text = ip(&["-n", &self.host, "link", "show", "dev", &name]);
            !text.contains("UP") || text.contains("LOWER_UP")
        })
    }

    /// Pulls it, an e1000e, out of its host, and waits until its interface is gone.
    #[track_caller]
    pub fn unplug(&self) {
        monitor::unplug(&self.names()[0]);
        let [mac, _] = self.addresses();
        wait::wait_for("a card unplugged", PATIENCE, || find(Some(&self.host), &mac).is_none());
    }

    /// Plugs a card of the same address into its place, and gives it to its host under this name.
    #[track_caller]
    pub fn plug(&self, name: &str) {
        let [mac, _] = self.addresses();
        monitor::plug(&self.names()[0], &mac);
        let new = wait::find(PATIENCE, || find(None, &mac)).expect("the interface of a card that was plugged in");
        ip(&["link", "set", &new, "netns", &self.host, "name", name]);
    }

    /// Puts both ends back where they were, as they were.
    fn put_back(&self) {
        let [mac, other_mac] = self.addresses();
        if find(Some(&self.host), &mac).is_none() && find(None, &mac).is_none() {
            monitor::plug(&self.names()[0], &mac);
            wait::find(PATIENCE, || find(None, &mac));
        }
        self.plug_cable(true);
        let [own, other] = self.names();
        for (wanted, mac, namespace) in [(own, mac, &self.host), (other, other_mac, &self.switch)] {
            if let Some(name) = find(Some(namespace), &mac) {
                ip(&["-n", namespace, "link", "set", &name, "netns", "1", "name", &wanted]);
            } else if let Some(name) = find(None, &mac).filter(|name| *name != wanted) {
                ip(&["link", "set", &name, "down", "name", &wanted]);
            }
            // Here, because a controller that still runs there would set it again.
            ip(&["link", "set", &wanted, "nomaster", "down", "address", &mac, "mtu", "1500"]);
            ip(&["link", "set", &wanted, "promisc", "off", "allmulticast", "off"]);
        }
    }
}

impl Drop for Card {
    fn drop(&mut self) {
        // A test that fails may have left it anyhow; the next one will say what is missing.
        let _ = panic::catch_unwind(AssertUnwindSafe(|| self.put_back()));
    }
}

/// `ip` of iproute2, which must succeed.
#[track_caller]
fn ip(arguments: &[&str]) -> String {
    command::run(std::process::Command::new("ip").args(arguments)).ok()
}

/// The interface with a permanent address, in a namespace or in this one.
fn find(namespace: Option<&str>, mac: &str) -> Option<String> {
    if namespace.is_none() {
        // New interfaces come and go: what iproute2 lists here belongs to others as well.
        let entries = fs::read_dir(INTERFACES).ok()?;
        let has = |path: &Path| fs::read_to_string(path.join("address")).is_ok_and(|address| address.trim() == mac);
        return entries.flatten().find(|e| has(&e.path())).map(|e| e.file_name().to_string_lossy().into_owned());
    }
    let text = ip(&["-n", namespace?, "-d", "-j", "link", "show"]);
    let links: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    let permanent = |link: &&serde_json::Value| link["permaddr"].as_str().or(link["address"].as_str()) == Some(mac);
    // The aggregate, or a bridge on it, may have the same address.
    let hardware = |link: &&serde_json::Value| link["linkinfo"]["info_kind"].is_null();
    links.iter().filter(hardware).find(permanent).and_then(|link| link["ifname"].as_str()).map(str::to_owned)
}
