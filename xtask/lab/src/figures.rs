//! What was measured: the raw report that is kept.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::{
    job::FailoverJob,
    outcome::{Cost, Failover, FlowSpread, Load, Profile, Throughput},
    question::{Contender, Setup, Traffic},
};

/// Of the layout of the file.
const SCHEMA: u32 = 1;

/// On what it was measured. Figures are compared only between the same kernel and compiler.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeasuredOn {
    /// The release of the kernel.
    pub kernel: String,
    /// The compiler of the eBPF programs.
    pub compiler: String,
    /// The commit of this tree, with `-dirty` if it was changed since.
    pub commit: String,
}

impl MeasuredOn {
    /// The file in which figures of this kernel and compiler are kept. Of the compiler its name and version count.
    pub fn file(&self, directory: &Path) -> PathBuf {
        let compiler: Vec<&str> = self.compiler.split_whitespace().take(2).collect();
        let name = format!("{}--{}", self.kernel, compiler.join("-")).replace('/', "-");
        directory.join(name + ".json")
    }
}

/// A contender that does not have what was asked of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LeftOut {
    /// What was asked.
    pub setup: Setup,
    /// Why, in its own words.
    pub reason: String,
}

/// All of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// 1.
    pub schema: u32,
    /// On what.
    pub identity: MeasuredOn,
    /// Instructions for each frame.
    pub costs: Vec<Cost>,
    /// Which flows took which port.
    pub spreads: Vec<FlowSpread>,
    /// What cut cables cost.
    pub failovers: Vec<Failover>,
    /// What went through connections.
    pub throughputs: Vec<Throughput>,
    /// What our programs took.
    pub profiles: Vec<Profile>,
    /// What the controller took.
    pub loads: Vec<Load>,
    /// Who was left out.
    pub left_out: Vec<LeftOut>,
    /// What failed, in words.
    pub failed: Vec<String>,
}

impl Figures {
    /// None yet.
    pub const fn new(identity: MeasuredOn) -> Self {
        Self {
            schema: SCHEMA,
            identity,
            costs: Vec::new(),
            spreads: Vec::new(),
            failovers: Vec::new(),
            throughputs: Vec::new(),
            profiles: Vec::new(),
            loads: Vec::new(),
            left_out: Vec::new(),
            failed: Vec::new(),
        }
    }

    /// Reads a file.
    ///
    /// # Errors
    ///
    /// When it is not there or not ours.
    pub fn read(file: &Path) -> Result<Self> {
        let text = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("{} holds no figures", file.display()))
    }

    /// Writes a file.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn write(&self, file: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        fs::write(file, text + "\n").with_context(|| format!("cannot write {}", file.display()))
    }

    /// Takes over from older figures what was not measured, or asked for, again.
    pub fn fill_in(&mut self, older: Self) {
        let (costs, left_out) = (self.costs.clone(), self.left_out.clone());
        // A setup is measured under several traffics by different groups, the bare port by all of them.
        let again = |cost: &Cost| costs.iter().any(|new| new.setup == cost.setup && new.traffic == cost.traffic);
        let measured: Vec<Setup> = self.measured().collect();
        let refused = |setup: &Setup| left_out.iter().any(|left| left.setup == *setup);
        self.costs.extend(older.costs.into_iter().filter(|cost| !again(cost) && !refused(&cost.setup)));
        merge(&mut self.spreads, older.spreads, |one, other| one.job == other.job);
        merge(&mut self.failovers, older.failovers, |one, other| {
            FailoverJob { trials: 0, ..one.job } == FailoverJob { trials: 0, ..other.job }
        });
        merge(&mut self.throughputs, older.throughputs, |one, other| {
            one.job == other.job && one.direction == other.direction
        });
        merge(&mut self.profiles, older.profiles, |one, other| {
            (one.setup, one.direction) == (other.setup, other.direction)
        });
        merge(&mut self.loads, older.loads, |one, other| one.setup == other.setup);
        self.left_out
            .extend(older.left_out.into_iter().filter(|left| !refused(&left.setup) && !measured.contains(&left.setup)));
    }

    /// The setups that there is any figure of.
    fn measured(&self) -> impl Iterator<Item = Setup> {
        let costs = self.costs.iter().map(|one| one.setup).chain(self.spreads.iter().map(|one| one.job.setup));
        let failovers = self.failovers.iter().map(|one| one.job.setup);
        let throughputs = self.throughputs.iter().map(|one| one.job.setup);
        let own = self.profiles.iter().map(|one| one.setup).chain(self.loads.iter().map(|one| one.setup));
        costs.chain(failovers).chain(throughputs).chain(own)
    }

    /// What a bare port costs under this traffic: the mean, if it was measured more than once.
    pub fn bare(&self, traffic: &Traffic) -> Option<f64> {
        let all: Vec<f64> = self.bares(traffic).collect();
        let count = u32::try_from(all.len()).ok().filter(|count| *count > 0)?;
        Some(all.iter().sum::<f64>() / f64::from(count))
    }

    /// Each time that a bare port was measured under this traffic.
    pub fn bares(&self, traffic: &Traffic) -> impl Iterator<Item = f64> {
        let bare = self.costs.iter().filter(|cost| cost.setup.contender == Contender::Bare);
        bare.filter(move |cost| cost.traffic == *traffic).map(|cost| cost.busy)
    }

    /// What a setup costs on top of a bare port.
    pub fn over_bare(&self, setup: &Setup, traffic: &Traffic) -> Option<f64> {
        let cost = self.costs.iter().find(|cost| cost.setup == *setup && cost.traffic == *traffic)?;
        Some(cost.busy - self.bare(traffic)?)
    }

    /// What part of the time others had the processor: controllers, daemons, and what woke them.
    pub fn background(&self, setup: &Setup, traffic: &Traffic) -> Option<f64> {
        let cost = self.costs.iter().find(|cost| cost.setup == *setup && cost.traffic == *traffic)?;
        Some(1.0 - cost.busy / cost.instructions)
    }

    /// What a setup costs on top of a bare port, as a multiple of what bonding does.
    pub fn ratio(&self, setup: &Setup, traffic: &Traffic) -> Option<f64> {
        let bonding = Setup { contender: Contender::Bonding, ..*setup };
        Some(self.over_bare(setup, traffic)? / self.over_bare(&bonding, traffic)?)
    }
}

/// Adds the older ones that are not there again.
fn merge<T>(new: &mut Vec<T>, older: Vec<T>, same: impl Fn(&T, &T) -> bool) {
    let kept: Vec<T> = older.into_iter().filter(|old| !new.iter().any(|one| same(one, old))).collect();
    new.extend(kept);
}

#[cfg(test)]
pub mod tests {
    use super::{Figures, MeasuredOn};
    use crate::{
        outcome::Cost,
        question::{Contender, Direction, Encapsulation, Mode, Setup, Size, Traffic, Wiring},
    };

    /// Short frames that are sent.
    pub const TRAFFIC: Traffic =
        Traffic { direction: Direction::Tx, protocol: Encapsulation::V4, size: Size::Small, flows: 1, held: true };

    /// A setup over two ports.
    pub fn setup(contender: Contender) -> Setup {
        Setup { contender, mode: Mode::Hash, ports: 2 }
    }

    /// Figures where a bare port costs 3000, bonding 500 more, and ours so much more.
    pub fn figures(ours: f64) -> Figures {
        let identity = MeasuredOn {
            kernel: "6.12.9+deb12".to_owned(),
            compiler: "rustc 1.96.0 (x)".to_owned(),
            commit: String::new(),
        };
        let mut figures = Figures::new(identity);
        let all = [
            (Contender::Bare, 3000.0),
            (Contender::Bonding, 3500.0),
            (Contender::Aggctl(Wiring::Shared), 3000.0 + ours),
        ];
        figures.costs.extend(all.map(|(contender, instructions)| Cost {
            setup: setup(contender),
            traffic: TRAFFIC,
            instructions,
            busy: instructions,
        }));
        figures
    }

    #[test]
    fn what_counts_is_the_ratio_of_what_comes_on_top_of_a_bare_port() {
        let ratio = figures(750.0).ratio(&setup(Contender::Aggctl(Wiring::Shared)), &TRAFFIC);
        assert!((ratio.unwrap() - 1.5).abs() < 1e-9);
    }

    #[test]
    fn figures_are_the_same_after_writing_and_reading() {
        let file = tempfile::NamedTempFile::new().unwrap();
        figures(1.0).write(file.path()).unwrap();
        assert_eq!(Figures::read(file.path()).unwrap(), figures(1.0));
    }

    #[test]
    fn the_file_is_named_after_kernel_and_compiler() {
        let file = figures(1.0).identity.file(std::path::Path::new("/d"));
        assert_eq!(file.to_str(), Some("/d/6.12.9+deb12--rustc-1.96.0.json"));
    }
}
