//! The ethtool ioctls that are needed: features by name, speed and duplex, carrier.
//!
//! The ioctl interface, not the newer netlink one, because every driver and every kernel has it.
#![allow(unsafe_code, reason = "ioctl(SIOCETHTOOL) takes a structure with a pointer in it")]

use std::{collections::BTreeMap, os::fd::AsRawFd, os::fd::OwnedFd};

use aggctl_engine::host::EthtoolFeature;
use rustix::{
    io::Errno,
    net::{AddressFamily, SocketFlags, SocketType, socket_with},
};

use crate::error::{CallFailure, KernelError};

/// Commands (`ETHTOOL_*`).
mod command {
    pub(super) const GLINK: u32 = 0x0a;
    pub(super) const GSTRINGS: u32 = 0x1b;
    pub(super) const GSSET_INFO: u32 = 0x37;
    pub(super) const GFEATURES: u32 = 0x3a;
    pub(super) const SFEATURES: u32 = 0x3b;
    pub(super) const GLINKSETTINGS: u32 = 0x4c;
}

/// `ETH_SS_FEATURES`: the names of the features.
const SET_FEATURES: u32 = 4;
/// Octets of a name.
const NAME: usize = 32;
/// Words of `struct ethtool_link_settings` before its masks.
const LINK_SETTINGS_WORDS: usize = 12;
/// The word whose last octet is the length of a mask of link modes (`link_mode_masks_nwords`).
const MASK_WORD: usize = 3;
/// The most words that three such masks take.
const LINK_MODE_WORDS: usize = 3 * 127;

/// The features that aggctl may switch. A snapshot takes these.
pub const FEATURES: [&str; 2] = ["rx-vlan-filter", "rx-lro"];

/// What a driver says about its link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkSettings {
    /// Megabits per second, if it knows.
    pub speed_mbps: Option<u32>,
    /// Full duplex, if it knows.
    pub full_duplex: Option<bool>,
}

/// Speed and duplex of a link; `None` where the driver cannot say.
///
/// # Errors
///
/// What the kernel refuses, but for "not supported".
pub fn settings(link: &str) -> Result<Option<LinkSettings>, KernelError> {
    match Ethtool::open().and_then(|ethtool| ethtool.link_settings(link)) {
        Ok(settings) => Ok(Some(settings)),
        Err(failure) if failure.is(&[Errno::OPNOTSUPP]) => Ok(None),
        Err(failure) => Err(KernelError::refused(link, "get speed and duplex", failure)),
    }
}

/// Those of the features in `wanted` that the interface has.
///
/// # Errors
///
/// What the kernel refuses, but for "not supported".
pub fn features(link: &str, wanted: &[&str]) -> Result<BTreeMap<String, EthtoolFeature>, KernelError> {
    match Ethtool::open().and_then(|ethtool| ethtool.features(link, wanted)) {
        Ok(features) => Ok(features),
        Err(failure) if failure.is(&[Errno::OPNOTSUPP]) => Ok(BTreeMap::new()),
        Err(failure) => Err(KernelError::refused(link, "get features", failure)),
    }
}

/// Switches a feature of an interface.
///
/// # Errors
///
/// What the kernel refuses, and [`KernelError::NoEffect`] where the driver does not do it.
pub fn set_feature(link: &str, name: &str, on: bool) -> Result<(), KernelError> {
    match Ethtool::open().and_then(|ethtool| ethtool.set_feature(link, name, on)) {
        Ok(true) => Ok(()),
        Ok(false) => {
            let setting = format!("{name} {}", if on { "on" } else { "off" });
            Err(KernelError::NoEffect { subject: link.to_owned(), setting })
        }
        Err(failure) => Err(KernelError::refused(format!("{link}: {name}"), "set feature", failure)),
    }
}

/// Asks for the carrier of interfaces, over and over.
///
/// That is a small part of the work of a question by netlink, which is answered with all that there is to be known of
/// an interface. The kernel notes a loss of carrier that it held back when it is asked (`ethtool_op_get_link`).
#[derive(Debug)]
pub struct Carriers(Ethtool);

impl Carriers {
    /// For the interfaces of the network namespace in which it is opened.
    ///
    /// # Errors
    ///
    /// If the kernel gives no socket.
    pub fn open() -> Result<Self, KernelError> {
        Ethtool::open().map(Self).map_err(|failure| KernelError::refused("ethtool", "open", failure))
    }

    /// Whether an interface is up and has carrier; `None` where its driver does not say so in this way, or there is no
    /// such interface.
    #[must_use]
    pub fn ask(&self, link: &str) -> Option<bool> {
        let mut request = [command::GLINK, 0];
        self.0.call(link, &mut request).ok().map(|()| request[1] != 0)
    }
}

/// A socket for ethtool requests, bound to the network namespace in which it was opened.
#[derive(Debug)]
struct Ethtool {
    socket: OwnedFd,
}

impl Ethtool {
    fn open() -> Result<Self, CallFailure> {
        Ok(Self { socket: socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)? })
    }

    /// First the kernel tells how many words its masks take, then it answers (`ETHTOOL_GLINKSETTINGS`, Linux 4.6).
    fn link_settings(&self, link: &str) -> Result<LinkSettings, CallFailure> {
        let mut request = vec![0; LINK_SETTINGS_WORDS + LINK_MODE_WORDS];
        request[0] = command::GLINKSETTINGS;
        self.call(link, &mut request)?;
        let [_, _, _, words] = request[MASK_WORD].to_ne_bytes();
        request.fill(0);
        request[0] = command::GLINKSETTINGS;
        // It answered with the negative of the size that it wants to be given.
        request[MASK_WORD] = u32::from_ne_bytes([0, 0, 0, words.wrapping_neg()]);
        self.call(link, &mut request)?;
        let [duplex, ..] = request[2].to_ne_bytes();
        Ok(LinkSettings {
            speed_mbps: Some(request[1]).filter(|speed| *speed != 0 && *speed <= i32::MAX.unsigned_abs()),
            full_duplex: match duplex {
                0 => Some(false),
                1 => Some(true),
                _ => None,
            },
        })
    }

    fn features(&self, link: &str, wanted: &[&str]) -> Result<BTreeMap<String, EthtoolFeature>, CallFailure> {
        let names = self.feature_names(link)?;
        let blocks = self.feature_blocks(link, names.len())?;
        let known = names.iter().enumerate().filter(|(_, name)| wanted.contains(&name.as_str()));
        Ok(known.map(|(bit, name)| (name.clone(), feature(&blocks, bit))).collect())
    }

    /// Whether the feature is so now.
    fn set_feature(&self, link: &str, name: &str, on: bool) -> Result<bool, CallFailure> {
        let names = self.feature_names(link)?;
        let bit = names.iter().position(|known| known == name).ok_or(Errno::OPNOTSUPP)?;
        if feature(&self.feature_blocks(link, names.len())?, bit).on == on {
            return Ok(true);
        }
        // struct ethtool_sfeatures: command, blocks, then (valid, requested) for each block
        let blocks = names.len().div_ceil(32);
        let mut request = vec![0; 2 + 2 * blocks];
        request[0] = command::SFEATURES;
        request[1] = word(blocks);
        request[2 + 2 * (bit / 32)] = 1 << (bit % 32);
        request[2 + 2 * (bit / 32) + 1] = u32::from(on) << (bit % 32);
        self.call(link, &mut request)?;
        Ok(feature(&self.feature_blocks(link, names.len())?, bit).on == on)
    }

    /// The names of all features, by bit.
    fn feature_names(&self, link: &str) -> Result<Vec<String>, CallFailure> {
        // struct ethtool_sset_info: command, reserved, mask (64 bits), then a count for each set
        let mut info = [command::GSSET_INFO, 0, 0, 0, 0];
        info[if cfg!(target_endian = "little") { 2 } else { 3 }] = 1 << SET_FEATURES;
        self.call(link, &mut info)?;
        let count = info[4] as usize;
        // struct ethtool_gstrings: command, set, count, then the names
        let mut strings = vec![0; 3 + count * NAME / 4];
        strings[..3].copy_from_slice(&[command::GSTRINGS, SET_FEATURES, info[4]]);
        self.call(link, &mut strings)?;
        let text: Vec<u8> = strings[3..].iter().flat_map(|word| word.to_ne_bytes()).collect();
        Ok(text.chunks_exact(NAME).map(crate::netlink::tlv::string_of).collect())
    }

    /// For each block of 32 features: available, requested, active, never changed.
    fn feature_blocks(&self, link: &str, features: usize) -> Result<Vec<u32>, CallFailure> {
        let blocks = features.div_ceil(32);
        let mut request = vec![0; 2 + 4 * blocks];
        request[0] = command::GFEATURES;
        request[1] = word(blocks);
        self.call(link, &mut request)?;
        Ok(request.split_off(2))
    }

    /// Carries out a command on a buffer that begins with it.
    fn call(&self, link: &str, buffer: &mut [u32]) -> Result<(), CallFailure> {
        let name = link.as_bytes();
        if name.is_empty() || name.len() >= libc::IFNAMSIZ || name.contains(&0) {
            return Err(Errno::NODEV.into());
        }
        // SAFETY: all zeros is a valid ifreq.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        for (to, from) in request.ifr_name.iter_mut().zip(name) {
            *to = libc::c_char::from_ne_bytes([*from]);
        }
        request.ifr_ifru.ifru_data = buffer.as_mut_ptr().cast();
        // SAFETY: the request holds a terminated name and points to a buffer, which every caller makes at least as
        // long as the command that it begins with reads and writes.
        let result = unsafe { libc::ioctl(self.socket.as_raw_fd(), libc::SIOCETHTOOL, &raw mut request) };
        if result < 0 { Err(std::io::Error::last_os_error().into()) } else { Ok(()) }
    }
}

/// A small count as a word.
fn word(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Bit `bit` of the blocks that the kernel described.
fn feature(blocks: &[u32], bit: usize) -> EthtoolFeature {
    let is = |field: usize| blocks.get(4 * (bit / 32) + field).is_some_and(|block| block >> (bit % 32) & 1 == 1);
    EthtoolFeature { on: is(2), fixed: !is(0) || is(3) }
}
