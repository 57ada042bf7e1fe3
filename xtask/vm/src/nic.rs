//! Network cards of a machine, each wired to a card at the other end of a cable.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The most cards: each takes two slots of the machine's one bus.
const MOST: u8 = 8;

/// The most cards that the driver of e1000e takes options for, one after the other, also when they are plugged in anew.
const E1000E_OPTIONS: usize = 32;

/// How many cards of which kind a person wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NicCounts {
    /// The number of emulated Intel 82574L cards.
    pub e1000e: u8,
}

impl FromStr for NicCounts {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.strip_prefix("e1000e:").and_then(|number| number.parse().ok());
        match number {
            Some(e1000e) if (1..=MOST).contains(&e1000e) => Ok(Self { e1000e }),
            _ => Err(format!("cards are given as e1000e:N, with N from 1 to {MOST}")),
        }
    }
}

/// One card.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NicSpec {
    /// Its name in the emulator and, at the start, of its interface: `nic0` and so on; `partner0` at the other end.
    pub name: String,
    /// The kernel module that drives it, and the module's options.
    pub module: Vec<String>,
    /// Its permanent address.
    pub mac: String,
    /// The emulator's name of the device.
    device: String,
    /// The cable.
    cable: u8,
}

impl NicCounts {
    /// The cards: for each wanted one, a second of a kind without filters in hardware at the other end of its cable.
    pub fn list(self) -> Vec<NicSpec> {
        let card = |cable: u8, end: u8| {
            let (name, device, module) = if end == 0 {
                ("nic", "e1000e", vec!["e1000e".to_owned(), legacy_interrupts()])
            } else {
                ("partner", "virtio-net-pci", vec!["virtio_net".to_owned()])
            };
            NicSpec {
                name: format!("{name}{cable}"),
                module,
                mac: format!("52:54:00:a9:{end:02x}:{cable:02x}"),
                device: device.to_owned(),
                cable,
            }
        };
        (0..self.e1000e).flat_map(|cable| [card(cable, 0), card(cable, 1)]).collect()
    }
}

/// The option of e1000e for interrupts by wire. Emulated MSI-X of QEMU before 8.1 tells only the first change of a
/// link: the driver would not see a cut.
fn legacy_interrupts() -> String {
    format!("IntMode={}", ["0"; E1000E_OPTIONS].join(","))
}

impl NicSpec {
    /// The emulator's arguments. The port of the cable stays when the card is unplugged: a new one can be put on it.
    pub fn arguments(&self) -> [String; 4] {
        let Self { name, mac, device, cable, .. } = self;
        [
            "-netdev".to_owned(),
            format!("hubport,id={name}-cable,hubid={cable}"),
            "-device".to_owned(),
            // Without a ROM: nothing boots from it.
            format!("{device},id={name},netdev={name}-cable,mac={mac},romfile="),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::NicCounts;

    #[test]
    fn cards_are_read() {
        assert_eq!("e1000e:2".parse(), Ok(NicCounts { e1000e: 2 }));
        for wrong in ["e1000e", "e1000e:0", "e1000e:9", "e1000:1", "e1000e:x"] {
            assert!(wrong.parse::<NicCounts>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn each_card_has_its_own_address_and_shares_its_cable_with_its_partner_only() {
        let cards = NicCounts { e1000e: 2 }.list();
        let names: Vec<&str> = cards.iter().map(|card| card.name.as_str()).collect();
        assert_eq!(names, ["nic0", "partner0", "nic1", "partner1"]);
        let mut macs: Vec<&str> = cards.iter().map(|card| card.mac.as_str()).collect();
        macs.sort_unstable();
        macs.dedup();
        assert_eq!(macs.len(), 4);
        assert_eq!(cards[0].arguments()[1], "hubport,id=nic0-cable,hubid=0");
        assert_eq!(cards[3].arguments()[1], "hubport,id=partner1-cable,hubid=1");
        assert_eq!(cards[2].arguments()[3], "e1000e,id=nic1,netdev=nic1-cable,mac=52:54:00:a9:00:01,romfile=");
    }
}
