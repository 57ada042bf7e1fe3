//! The steps that plans are made of, by layer.

mod change;
mod layer3;
mod link;
mod one_way;
mod program;

use aggctl_common::{IfIndex, PortId};
use serde::{Deserialize, Serialize};

pub use self::{
    change::Change,
    layer3::Layer3Step,
    link::{LinkStep, PairSettings, Setting},
    one_way::{Awaited, OneWayStep},
    program::ProgramStep,
};
use crate::identity::Identity;

/// The interface that a step is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// The aggregate's interface, by its name; its number is known once it is made.
    Aggregate,
    /// The peer of the aggregate's pair.
    #[serde(rename = "hidden")]
    Peer,
    /// A port.
    Port {
        /// Its slot.
        id: PortId,
        /// Its index when the step was planned; whoever carries the step out makes sure that the interface is still
        /// this one.
        index: IfIndex,
        /// Its name when the step was planned.
        name: String,
        /// What the interface is known by.
        identity: Identity,
    },
}

/// A change of the host. What can be undone says both what was and what shall be, so that its inverse needs nothing
/// else: it is the swap of the two. Carrying out a step that is already in effect succeeds; so does undoing one that
/// never took effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// About an interface.
    Link(LinkStep),
    /// About what lives on an interface above the link.
    Layer3(Layer3Step),
    /// About programs and maps.
    Program(ProgramStep),
    /// What nothing takes back.
    OneWay(OneWayStep),
}

impl From<LinkStep> for Step {
    fn from(step: LinkStep) -> Self {
        Self::Link(step)
    }
}

impl From<Layer3Step> for Step {
    fn from(step: Layer3Step) -> Self {
        Self::Layer3(step)
    }
}

impl From<ProgramStep> for Step {
    fn from(step: ProgramStep) -> Self {
        Self::Program(step)
    }
}

impl From<OneWayStep> for Step {
    fn from(step: OneWayStep) -> Self {
        Self::OneWay(step)
    }
}

impl Step {
    /// The interface that the step changes; `None` if it is about the pair, its namespace or the maps as a whole.
    #[must_use]
    pub const fn subject(&self) -> Option<&Subject> {
        match self {
            Self::Link(step) => step.subject(),
            Self::Layer3(step) => Some(step.subject()),
            Self::Program(step) => step.subject(),
            Self::OneWay(step) => Some(step.subject()),
        }
    }

    /// Whether both change the same setting of the same interface, so that the later one decides.
    #[must_use]
    pub fn is_about_the_same_as(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Link(LinkStep::Set { link, setting }),
                Self::Link(LinkStep::Set { link: other_link, setting: other }),
            ) => link == other_link && setting.is_same_as(other),
            _ => false,
        }
    }

    /// Whether the kernel may remove more addresses and routes than the step names, without saying who asked for it.
    #[must_use]
    pub fn takes_more_along(&self) -> bool {
        match self {
            Self::Link(step) => step.takes_more_along(),
            Self::Layer3(step) => step.takes_more_along(),
            Self::Program(_) | Self::OneWay(_) => false,
        }
    }

    /// The step that undoes this one, if anything does.
    #[must_use]
    pub fn inverse(&self) -> Option<Self> {
        let mut step = self.clone();
        match &mut step {
            Self::Link(step) => step.invert(),
            Self::Layer3(step) => step.invert(),
            Self::Program(step) => step.invert(),
            Self::OneWay(_) => return None,
        }
        Some(step)
    }
}
