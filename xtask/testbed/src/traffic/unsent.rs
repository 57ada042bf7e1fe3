//! Answers to echo requests that the kernel had no room to send.
//!
//! For each processor the kernel has one socket per family that answers the echo requests of all network namespaces
//! (`ipv4_icmp_sk` of net/ipv4/icmp.c, `ipv6_icmp_sk` of net/ipv6/icmp.c; before Linux 5.18 one for each namespace,
//! too). Its send buffer takes less than two hundred small answers, and an answer counts until its device has sent it:
//! also while it waits for a neighbour's address, in whatever namespace. When the buffer is full, the kernel answers no
//! echo request on that processor, and says so only by counting an error of the namespace that should have answered
//! (`OutErrors`, in `icmp_push_reply` and `icmpv6_echo_reply`).
//!
//! Such an answer was never in a network. Nothing else is taken for one:
//!
//! - The request arrived, and no answer to it was made (`InEchos`, `OutEchoReps`). A frame that was dropped on the way
//!   does either not arrive, or its answer was made.
//! - The kernel counts the error where it fails to make a message, and for nothing that becomes of it later. It fails
//!   when the buffer is full, when memory is short, and when the device's MTU is below what the family demands (68 and
//!   1280 octets). A length above the MTU is no failure: messages are cut in pieces.
//! - The answers that fill the buffer are not all of the answering namespace itself, whose neighbour may be out of
//!   reach because of what is being tested: the devices of its routes keep short queues ([`keep_queues_short`]), and
//!   what does not fit into these is dropped and counts as lost. As long as a device does not, no answer is taken for
//!   one that was not sent.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::IpAddr,
    process::Command,
    sync::{Mutex, PoisonError},
};

use anyhow::{Context, Result};

use crate::netns::{Door, NetworkNamespace};
use aggctl_tools::process::read;

/// Octets that may wait for a neighbour's address: half of what the kernel's socket takes, so that one neighbour that
/// is out of reach does not fill it.
const SHORT: u64 = 64 * 1024;
/// The sysctl that says how many octets may.
const QUEUE: &str = "unres_qlen_bytes";

/// How many answers pings took for not sent, for each namespace (by its cookie) and family (whether IPv4): each is
/// taken once, whatever number of pings the namespace answers.
static TAKEN: Mutex<BTreeMap<(u64, bool), u64>> = Mutex::new(BTreeMap::new());

/// What a namespace could not send of the answers of one family.
#[derive(Debug)]
pub(super) struct Unsent {
    door: Door,
    /// See [`TAKEN`].
    key: (u64, bool),
}

/// A moment, by what was counted up to it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct UnsentMark {
    counted: Counted,
    taken: u64,
}

/// What the kernel counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counted {
    /// Echo requests that arrived.
    requests: u64,
    /// Answers that were made.
    answers: u64,
    /// Messages that could not be made.
    errors: u64,
}

impl Unsent {
    /// Those of `namespace` to requests that are sent `to` an address.
    ///
    /// # Errors
    ///
    /// When the namespace is gone.
    pub(super) fn of(namespace: &NetworkNamespace, to: IpAddr) -> Result<Self> {
        Ok(Self { door: namespace.door()?, key: (namespace.cookie(), to.is_ipv4()) })
    }

    /// Now.
    ///
    /// # Errors
    ///
    /// When the kernel does not say what it counts.
    pub(super) fn mark(&self) -> Result<UnsentMark> {
        let taken = *TAKEN.lock().unwrap_or_else(PoisonError::into_inner).entry(self.key).or_default();
        Ok(UnsentMark { counted: self.counted()?, taken })
    }

    /// How many answers, `most` at most, were not sent since a moment and not taken yet; they are taken by this.
    ///
    /// # Errors
    ///
    /// When the kernel does not say what it counts.
    pub(super) fn take(&self, since: UnsentMark, most: u64) -> Result<u64> {
        let unsent = self.counted()?.unsent_since(since.counted);
        if most.min(unsent) == 0 || !self.door.enter(|| queues_are_short(self.key.1))? {
            return Ok(0);
        }
        let mut all = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = all.entry(self.key).or_default();
        let share = unsent.saturating_sub(*taken - since.taken).min(most);
        *taken += share;
        Ok(share)
    }

    fn counted(&self) -> Result<Counted> {
        // What the file says is about the namespace of the thread that opens it.
        self.door.enter(|| {
            let (file, counted): (_, fn(&str) -> _) = match self.key.1 {
                true => ("/proc/thread-self/net/snmp", icmp),
                false => ("/proc/thread-self/net/snmp6", icmpv6),
            };
            counted(&fs::read_to_string(file).context(file)?).with_context(|| format!("{file} without echo requests"))
        })
    }
}

impl Counted {
    /// How many answers were not sent since then.
    fn unsent_since(self, before: Self) -> u64 {
        let owed = (self.requests - before.requests).saturating_sub(self.answers - before.answers);
        owed.min(self.errors - before.errors)
    }
}

/// Reads `/proc/net/snmp`: a line of names and a line of numbers, both of which begin with the family.
fn icmp(text: &str) -> Option<Counted> {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("Icmp:"));
    let [names, numbers] = [lines.next()?, lines.next()?].map(str::split_ascii_whitespace);
    let columns: BTreeMap<_, _> = names.zip(numbers).collect();
    let number = |name| columns.get(name)?.parse().ok();
    Some(Counted { requests: number("InEchos")?, answers: number("OutEchoReps")?, errors: number("OutErrors")? })
}

/// Reads `/proc/net/snmp6`: lines of a name and a number.
fn icmpv6(text: &str) -> Option<Counted> {
    let lines: BTreeMap<_, _> = text.lines().filter_map(|line| line.split_once(char::is_whitespace)).collect();
    let number = |name| lines.get(name)?.trim().parse().ok();
    Some(Counted {
        requests: number("Icmp6InEchos")?,
        answers: number("Icmp6OutEchoReplies")?,
        errors: number("Icmp6OutErrors")?,
    })
}

/// Keeps the queues of a device short in which packets wait for a neighbour's address. New devices of a namespace have
/// long ones (more than the kernel's socket takes), and none but the initial one has a default for them. An aggregate
/// takes them over from the port whose addresses it takes over.
///
/// # Errors
///
/// When there is no such device.
pub fn keep_queues_short(namespace: &NetworkNamespace, device: &str) -> Result<()> {
    ["ipv4", "ipv6"].iter().try_for_each(|family| {
        namespace.set_sysctl(&format!("net/{family}/neigh/{device}/{QUEUE}"), &SHORT.to_string())
    })
}

/// Whether the devices that the present namespace sends packets of a family to keep short queues.
fn queues_are_short(is_v4: bool) -> Result<bool> {
    let (option, family) = if is_v4 { ("-4", "ipv4") } else { ("-6", "ipv6") };
    let routes = read(Command::new("ip").args([option, "route", "show", "table", "all"]))?;
    // A device that went meanwhile has no queue.
    let length = |device: &str| fs::read_to_string(format!("/proc/sys/net/{family}/neigh/{device}/{QUEUE}")).ok();
    let mut lengths = devices(&routes).into_iter().filter_map(length);
    Ok(lengths.all(|length| length.trim().parse::<u64>().is_ok_and(|length| length <= SHORT)))
}

/// The devices of routes, but for loopback, which resolves nothing.
fn devices(routes: &str) -> BTreeSet<&str> {
    let words = routes.split_ascii_whitespace();
    let after = words.clone().skip(1);
    words.zip(after).filter(|(word, device)| *word == "dev" && *device != "lo").map(|(_, device)| device).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_families_are_read() {
        let counted = Counted { requests: 7, answers: 5, errors: 2 };
        let text = "Ip: InErrors\nIp: 9\nIcmp: InMsgs InEchos OutErrors OutEchoReps\nIcmp: 8 7 2 5\nIcmpMsg: InType8\n";
        assert_eq!(icmp(text), Some(counted));
        let text = "Ip6InReceives \t1\nIcmp6OutErrors   \t2\nIcmp6InEchos  \t7\nIcmp6OutEchoReplies  \t5\n";
        assert_eq!(icmpv6(text), Some(counted));
        assert_eq!((icmp("Ip: A\nIp: 1\n"), icmpv6("")), (None, None));
    }

    #[test]
    fn devices_are_found_in_routes() {
        let text = "default via 10.0.0.1 dev eth0 \nlocal 127.0.0.1 dev lo table local\n\
                    192.0.7.0/24 nhid 20 \n\tnexthop via 10.0.0.1 dev eth0 weight 1 \n\tnexthop via 10.8.0.1 dev eth2";
        assert_eq!(devices(text), BTreeSet::from(["eth0", "eth2"]));
    }

    #[test]
    fn an_answer_was_not_sent_if_it_was_neither_made_nor_possible() {
        let before = Counted { requests: 100, answers: 90, errors: 3 };
        let after = |requests, answers, errors| Counted { requests, answers, errors }.unsent_since(before);
        assert_eq!(after(150, 130, 13), 10);
        // Answers that were made and lost on the way.
        assert_eq!(after(150, 140, 13), 0);
        // Requests that were not answered for another reason.
        assert_eq!(after(150, 130, 3), 0);
    }
}
