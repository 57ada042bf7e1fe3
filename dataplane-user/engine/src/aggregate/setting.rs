//! A setting of a port that the aggregate keeps at its own value.

/// How often the same value is asked for while the port keeps reporting the same other one. A driver that refuses, or
/// rounds, must not make a busy loop; asking again starts when the wish or the report changes.
pub(super) const TRIES: u8 = 3;

/// One setting of one port.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setting<T> {
    /// The wish that the port was last seen to fulfil.
    fulfilled: Option<T>,
    /// What was last asked for, and what the port reported then.
    asked: Option<(T, T)>,
    tries: u8,
}

/// What to do about a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing.
    Leave,
    /// Set it.
    Set,
    /// Set it again: somebody else changed it.
    PutBack,
}

impl<T> Default for Setting<T> {
    fn default() -> Self {
        Self { fulfilled: None, asked: None, tries: 0 }
    }
}

impl<T: Copy + PartialEq> Setting<T> {
    /// Compares what shall be with what the port reported last; `fresh` says that it was reported just now, so that
    /// an earlier request should have shown.
    pub fn check(&mut self, wanted: T, reported: T, fresh: bool) -> Verdict {
        if wanted == reported {
            *self = Self { fulfilled: Some(wanted), ..Self::default() };
            return Verdict::Leave;
        }
        if self.asked == Some((wanted, reported)) {
            if !fresh || self.tries >= TRIES {
                return Verdict::Leave;
            }
            self.tries += 1;
            return Verdict::Set;
        }
        self.asked = Some((wanted, reported));
        self.tries = 1;
        if self.fulfilled.take() == Some(wanted) { Verdict::PutBack } else { Verdict::Set }
    }
}
