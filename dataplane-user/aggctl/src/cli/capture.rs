//! What `capture` is told.

use std::path::PathBuf;

use aggctl_engine::capture::filter::CaptureFilter;
use clap::Args;

use crate::failure::Failure;

/// What a filter consists of.
pub const HELP: &str = "FILTER: terms joined by 'and' and 'or', each with 'not' before it or without.
  in, out                     received, sent
  ip, ip6, arp, slow, lldp    the EtherType (slow: LACP and markers), behind VLAN tags
  icmp, icmp6, tcp, udp       the IP protocol
  host ADDRESS                from or to it; of ARP, in the question or the answer
  mac MAC, port N             from or to it
  vlan N, tagged              with this VLAN tag, or with any
'and' binds closer than 'or'. Example: aggctl capture agg0 -w a.pcapng out and tcp and port 443 or slow";

/// What was typed.
#[derive(Debug, Args)]
pub struct CaptureArguments {
    /// The aggregate
    pub name: String,
    /// The file to write, in the format pcapng; - is standard output
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    pub write: PathBuf,
    /// Only this port; may be given several times
    #[arg(long = "port", value_name = "IF")]
    pub ports: Vec<String>,
    /// End after so many frames
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// Only frames like these
    #[arg(value_name = "FILTER")]
    filter: Vec<String>,
}

impl CaptureArguments {
    /// Which frames to keep; `None`: all.
    ///
    /// # Errors
    /// If what was typed is no filter.
    pub fn filter(&self) -> Result<Option<CaptureFilter>, Failure> {
        if self.filter.is_empty() {
            return Ok(None);
        }
        self.filter.join(" ").parse().map(Some).map_err(Failure::Usage)
    }
}
