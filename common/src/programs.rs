//! What the programs are specialised for. Each word is a read-only global of a program, so the verifier removes what the
//! program will not do.

/// How the sending program picks the port of a frame.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Selection {
    /// The active port ([`crate::rule::choose`]).
    Active = 0,
    /// By a hash of the frame, through the table of buckets ([`crate::spread::choose`]).
    Buckets = 1,
    /// By a hash of the frame modulo the number of usable ports, as bonding does ([`crate::spread::turn`]).
    Modulo = 2,
    /// In turn, a number of packets each ([`crate::spread::turn`]).
    RoundRobin = 3,
    /// At random ([`crate::spread::turn`]).
    Random = 4,
}

/// Which frames the receiving programs accept, link-local control frames aside.
///
/// Ordered by how much is accepted: each accepts all that those before it do, but for our own frames coming back.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reception {
    /// Those of the active port.
    Active = 0,
    /// Unicast of any port, groups of the designated port; several ports hear the same (partner `plain`).
    Designated = 1,
    /// All of any port: the partner sends each frame to one of them (partner `lag`).
    Any = 2,
}

impl Selection {
    /// Its number in the programs.
    #[must_use]
    pub const fn number(self) -> u32 {
        self as u32
    }

    /// The selection with this number; what is no selection is [`Selection::Active`].
    #[inline(always)]
    #[must_use]
    pub const fn of(number: u32) -> Self {
        match number {
            1 => Self::Buckets,
            2 => Self::Modulo,
            3 => Self::RoundRobin,
            4 => Self::Random,
            _ => Self::Active,
        }
    }
}

impl Reception {
    /// Its number in the programs.
    #[must_use]
    pub const fn number(self) -> u32 {
        self as u32
    }

    /// The reception with this number; what is none is [`Reception::Active`].
    #[inline(always)]
    #[must_use]
    pub const fn of(number: u32) -> Self {
        match number {
            1 => Self::Designated,
            2 => Self::Any,
            _ => Self::Active,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_back() {
        for selection in
            [Selection::Active, Selection::Buckets, Selection::Modulo, Selection::RoundRobin, Selection::Random]
        {
            assert_eq!(Selection::of(selection.number()), selection);
        }
        for reception in [Reception::Active, Reception::Designated, Reception::Any] {
            assert_eq!(Reception::of(reception.number()), reception);
        }
        assert_eq!((Selection::of(9), Reception::of(9)), (Selection::Active, Reception::Active));
    }
}
