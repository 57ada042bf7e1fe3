//! `cargo xtask lab --check`: whether we became worse.

use std::fmt;

use super::{
    figures::Figures,
    question::{Contender, Setup, Traffic},
};

/// How much worse a ratio may be before it counts, as a part of it. The machine repeats to 0.1 %.
const TOLERANCE: f64 = 0.02;

/// A figure of ours then and now, as a multiple of bonding's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FigureChange {
    /// What.
    pub setup: Setup,
    /// Under which traffic.
    pub traffic: Traffic,
    /// What was committed.
    pub then: f64,
    /// What was measured, if it was.
    pub now: Option<f64>,
}

impl FigureChange {
    /// Whether it is worse by more than what is tolerated. What can no longer be measured is worse.
    pub fn is_worse(&self) -> bool {
        self.now.is_none_or(|now| now > self.then * (1.0 + TOLERANCE))
    }
}

impl fmt::Display for FigureChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { setup, traffic, then, now } = self;
        write!(
            f,
            "{}, {}, {} ports, {} {} bytes, {}, {} flows{}: ",
            setup.contender,
            setup.mode,
            setup.ports,
            traffic.direction,
            traffic.size,
            traffic.protocol,
            traffic.flows,
            if traffic.held { ", held" } else { "" }
        )?;
        match now {
            Some(now) => write!(f, "{now:.3} times bonding's, was {then:.3} ({:+.1} %)", (now / then - 1.0) * 100.0),
            None => write!(f, "was {then:.3} times bonding's, and could not be measured"),
        }
    }
}

/// Every ratio of ours among the committed figures that was asked for again: of setups that the new figures name, as
/// measured or as left out, under traffic that they measured on a bare port.
pub fn compare(committed: &Figures, new: &Figures) -> Vec<FigureChange> {
    let asked = |setup: &Setup, traffic: &Traffic| {
        let named = new.costs.iter().map(|cost| cost.setup).chain(new.left_out.iter().map(|left| left.setup));
        new.bare(traffic).is_some() && named.into_iter().any(|other| other == *setup)
    };
    let ours = committed.costs.iter().filter(|cost| matches!(cost.setup.contender, Contender::Aggctl(_)));
    let change = |setup: Setup, traffic: Traffic| {
        let then = committed.ratio(&setup, &traffic)?;
        Some(FigureChange { setup, traffic, then, now: new.ratio(&setup, &traffic) })
    };
    ours.filter(|cost| asked(&cost.setup, &cost.traffic)).filter_map(|cost| change(cost.setup, cost.traffic)).collect()
}

#[cfg(test)]
mod tests {
    use super::compare;
    use crate::figures::{
        LeftOut,
        tests::{TRAFFIC, figures, setup},
    };
    use crate::question::{Contender, Wiring};

    #[test]
    fn two_percent_are_tolerated_and_not_more() {
        let worse = |now| compare(&figures(500.0), &figures(now)).iter().filter(|change| change.is_worse()).count();
        assert_eq!([400.0, 500.0, 509.0, 511.0].map(worse), [0, 0, 0, 1]);
    }

    #[test]
    fn what_is_refused_now_is_worse() {
        let mut new = figures(500.0);
        let ours = setup(Contender::Aggctl(Wiring::Shared));
        new.costs.retain(|cost| cost.setup != ours);
        assert_eq!(compare(&figures(500.0), &new).len(), 0, "it was not asked for");
        new.left_out.push(LeftOut { setup: ours, reason: "not built".to_owned() });
        let changes = compare(&figures(500.0), &new);
        assert!(matches!(changes[..], [change] if change.is_worse() && change.traffic == TRAFFIC));
    }
}
