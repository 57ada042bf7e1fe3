//! What the programs of an aggregate are specialised for, as its configuration wants it.

use aggctl_common::{
    programs::{EARLY_GENERIC, EARLY_NATIVE, RxPolicy, TAGS, TxPolicy},
    spread::{self, MIN_BUCKETS},
};

use crate::{
    config::{AggregateConfig, HashPolicy, MacPolicy, Mode, Partner, TableKind, XdpMode},
    vlan::VlanConfig,
};

/// The settings of the programs. Equal settings, equal programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How the sending program picks a port.
    pub tx_policy: TxPolicy,
    /// What it hashes.
    pub policy: HashPolicy,
    /// What the hash is mixed with.
    pub seed: u32,
    /// How many buckets the table has; [`MIN_BUCKETS`] where it holds a rotation instead.
    pub buckets: u32,
    /// How many packets a port gets in turn.
    pub stride: u32,
    /// Which frames the receiving programs accept.
    pub rx_policy: RxPolicy,
    /// Whether, where one port is active, frames to the MAC are taken as well that the aggregate had before.
    pub former: bool,
    /// Which VLANs pass, and how.
    pub vlan: VlanConfig,
    /// What the sending program does not decide goes to a driver, which chooses the port itself.
    pub over: bool,
}

impl Default for Settings {
    /// Those of an aggregate without special wishes.
    fn default() -> Self {
        Self::of(&AggregateConfig::new(String::new(), Vec::new()))
    }
}

impl Settings {
    /// What this configuration asks for.
    #[must_use]
    pub fn of(config: &AggregateConfig) -> Self {
        let tx_policy = match (config.mode, config.hash.table) {
            (Mode::ActiveBackup, _) => TxPolicy::Active,
            (Mode::Hash, TableKind::Stable) => TxPolicy::Buckets,
            (Mode::Hash, TableKind::KernelCompat) => TxPolicy::Modulo,
            (Mode::RoundRobin, _) if config.stride == 0 => TxPolicy::Random,
            (Mode::RoundRobin, _) => TxPolicy::RoundRobin,
            (Mode::Random, _) => TxPolicy::Random,
        };
        let buckets = if tx_policy == TxPolicy::Buckets { config.hash.buckets } else { MIN_BUCKETS };
        let rx_policy = match (config.mode.shares(), config.partner()) {
            (false, _) => RxPolicy::Active,
            (true, Partner::Plain) => RxPolicy::Designated,
            (true, Partner::Lag) => RxPolicy::Any,
        };
        Self {
            tx_policy,
            policy: config.hash.policy,
            seed: config.hash.seed,
            buckets,
            stride: config.stride.into(),
            rx_policy,
            former: config.mac_policy == MacPolicy::ByActive,
            vlan: config.vlan.clone(),
            over: !config.wiring.has_pair(),
        }
    }

    /// What the receiving programs shall do while the sending one changes from these settings to `new`: accept what
    /// either accepts. VLANs that only one of them lets through pass already, or still; where the tags themselves
    /// change there is no middle, and these settings' rule stays until the end.
    #[must_use]
    pub fn permissive(&self, new: &Self) -> Self {
        let vlan = self.vlan.union(&new.vlan);
        Self { rx_policy: self.rx_policy.max(new.rx_policy), former: self.former || new.former, vlan, ..self.clone() }
    }

    /// What kind of table the sending program reads, and how large it is: whether it holds buckets (rather than a
    /// rotation) and how many; `None`: it reads none.
    #[must_use]
    pub fn table(&self) -> Option<(bool, u32)> {
        match self.tx_policy {
            TxPolicy::Active => None,
            TxPolicy::Buckets => Some((true, self.buckets)),
            TxPolicy::Modulo | TxPolicy::RoundRobin | TxPolicy::Random => Some((false, self.buckets)),
        }
    }

    /// Whether the receiving programs are the same.
    #[must_use]
    pub fn receives_like(&self, other: &Self) -> bool {
        self.rx_policy == other.rx_policy && self.takes_former() == other.takes_former() && self.vlan == other.vlan
    }

    /// Whether the receiving programs also take frames to the MAC that the aggregate had before.
    #[must_use]
    pub fn takes_former(&self) -> bool {
        self.former && self.rx_policy == RxPolicy::Active
    }

    /// Name of the program that drops early on a port: one whose tags it sees, or not. `None`: there is nothing that it
    /// could drop.
    #[must_use]
    pub fn early_program(&self, mode: XdpMode, sees_tags: bool) -> Option<String> {
        let early = match mode {
            XdpMode::Native => EARLY_NATIVE,
            XdpMode::Generic => EARLY_GENERIC,
        };
        let tags = if sees_tags && self.vlan != VlanConfig::Off { TAGS } else { "" };
        let drops = self.rx_policy != RxPolicy::Any || !tags.is_empty();
        drops.then(|| format!("{early}{tags}{}", self.rx_policy.name()))
    }

    /// The shift that turns a hash of 32 bits into a bucket.
    #[must_use]
    pub fn shift(&self) -> u32 {
        spread::shift(self.buckets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::PortConfig;

    fn settings(change: impl FnOnce(&mut AggregateConfig)) -> Settings {
        let mut config = AggregateConfig::new("agg0", vec![PortConfig::new("eth0")]);
        change(&mut config);
        Settings::of(&config)
    }

    #[test]
    fn each_mode_has_programs_of_its_own() {
        let hash = settings(|config| config.mode = Mode::Hash);
        assert_eq!((hash.tx_policy, hash.rx_policy), (TxPolicy::Buckets, RxPolicy::Any));
        assert_eq!(1_u64 << (u32::BITS - hash.shift()), u64::from(hash.buckets));
        let compat = settings(|config| {
            config.mode = Mode::Hash;
            config.hash.table = TableKind::KernelCompat;
        });
        assert_eq!((compat.tx_policy, compat.buckets), (TxPolicy::Modulo, MIN_BUCKETS));
        let random = settings(|config| {
            config.mode = Mode::RoundRobin;
            config.stride = 0;
        });
        assert_eq!(random.tx_policy, TxPolicy::Random);
        let plain = settings(|config| {
            config.mode = Mode::RoundRobin;
            config.partner = Some(Partner::Plain);
        });
        assert_eq!((plain.tx_policy, plain.rx_policy), (TxPolicy::RoundRobin, RxPolicy::Designated));
        let backup = settings(|config| config.partner = Some(Partner::Lag));
        assert_eq!((backup.tx_policy, backup.rx_policy), (TxPolicy::Active, RxPolicy::Active));
    }

    #[test]
    fn where_nothing_can_be_dropped_early_there_is_no_program_for_it() {
        let trunk = |config: &mut AggregateConfig| config.vlan = "trunk=20".parse().unwrap();
        let hash = |config: &mut AggregateConfig| config.mode = Mode::Hash;
        let plain = settings(|config| {
            hash(config);
            config.partner = Some(Partner::Plain);
        });
        let ruled = settings(|config| {
            hash(config);
            trunk(config);
        });
        let names =
            |settings: &Settings| [false, true].map(|sees_tags| settings.early_program(XdpMode::Native, sees_tags));
        let named = |first: &str, second: &str| [first, second].map(|name| Some(name.to_owned()));
        assert_eq!(names(&settings(|_| ())), named("xdp_active", "xdp_active"));
        assert_eq!(names(&settings(trunk)), named("xdp_active", "xdp_tag_active"));
        assert_eq!(names(&plain), named("xdp_designated", "xdp_designated"));
        assert_eq!(names(&settings(hash)), [None, None]);
        assert_eq!(ruled.early_program(XdpMode::Generic, true).as_deref(), Some("xdpgen_tag_any"));
        assert_eq!(names(&ruled), [None, Some("xdp_tag_any".to_owned())]);
    }

    #[test]
    fn between_two_settings_all_is_accepted_that_either_accepts() {
        let backup = settings(|_| ());
        let hash = settings(|config| config.mode = Mode::Hash);
        for (old, new) in [(&backup, &hash), (&hash, &backup)] {
            let between = old.permissive(new);
            assert_eq!((between.rx_policy, between.tx_policy), (RxPolicy::Any, old.tx_policy));
        }
        assert!(hash.permissive(&hash).receives_like(&hash) && !hash.receives_like(&backup));
    }
}
