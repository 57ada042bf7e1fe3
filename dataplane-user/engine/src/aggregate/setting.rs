//! A setting of a port that the aggregate keeps at its own value.

use std::time::Duration;

/// How often the same value is asked for while the port keeps reporting the same other one. A driver that refuses, or
/// rounds, must not make a busy loop. It is asked anew when the wish or the report changes, and once after each
/// [`LONGEST_PAUSE`]: it may have been somebody else who changed it back each time.
pub(super) const TRIES: u8 = 3;
/// How often a setting that others change is put back at once, before the pauses grow.
const PUT_BACK_AT_ONCE: u32 = 5;
/// The longest pause before it is put back, or asked for, again.
const LONGEST_PAUSE: Duration = Duration::from_secs(64);
/// After this time without a change by others, all is forgotten.
const CALM: Duration = Duration::from_secs(60);

/// One setting of one port.
#[derive(Clone, Copy, Debug)]
pub(super) struct PortSetting<T> {
    /// The wish that the port was last seen to fulfil.
    fulfilled: Option<T>,
    /// What was last asked for, and what the port reported then.
    asked: Option<(T, T)>,
    tries: u8,
    /// When it was asked for last.
    asked_at: Duration,
    /// How often it was put back, and when it was last.
    put_back: u32,
    put_back_at: Duration,
}

/// A setting that is not as it shall be, and that is not asked for at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UnmetSetting<T> {
    /// The driver does not do it.
    Unsupported(T),
    /// Somebody changes it again and again; it is put back at this time.
    LeftToOthers(T, Duration),
}

/// What to do about a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SettingVerdict {
    /// Nothing.
    Leave,
    /// Set it.
    Set,
    /// Set it again: somebody else changed it.
    PutBack,
}

impl<T> Default for PortSetting<T> {
    fn default() -> Self {
        Self {
            fulfilled: None,
            asked: None,
            tries: 0,
            asked_at: Duration::ZERO,
            put_back: 0,
            put_back_at: Duration::ZERO,
        }
    }
}

impl<T: Copy + PartialEq> PortSetting<T> {
    /// One that a former controller left so.
    pub fn left_at(value: Option<T>) -> Self {
        Self { fulfilled: value, ..Self::default() }
    }

    /// The wish that the port was last seen to fulfil, unless another one is under way.
    pub fn fulfilled(&self) -> Option<T> {
        self.fulfilled
    }

    /// The wish that the port was last seen to fulfil, or was asked for since.
    pub fn left(&self) -> Option<T> {
        self.fulfilled.or(self.asked.map(|(wanted, _)| wanted))
    }

    /// Compares what shall be with what the port reported last; `fresh` says that it was reported just now, so that
    /// an earlier request should have shown.
    pub fn check(&mut self, now: Duration, wanted: T, reported: T, fresh: bool) -> SettingVerdict {
        let other_under_way = self.asked.is_some_and(|(other, _)| other != wanted);
        if wanted == reported && other_under_way && !fresh {
            // What was asked for has been done since it was reported so.
            (self.fulfilled, self.asked, self.tries) = (None, Some((wanted, reported)), 1);
            return SettingVerdict::Set;
        }
        if wanted == reported {
            (self.fulfilled, self.asked, self.tries) = (Some(wanted), None, 0);
            return SettingVerdict::Leave;
        }
        if self.fulfilled == Some(wanted) {
            return self.put_back(now, wanted, reported);
        }
        if self.asked == Some((wanted, reported)) {
            let is_paused = self.tries >= TRIES && now.saturating_sub(self.asked_at) < LONGEST_PAUSE;
            if !fresh || is_paused {
                return SettingVerdict::Leave;
            }
            self.tries = self.tries.saturating_add(1);
            self.asked_at = now;
            return SettingVerdict::Set;
        }
        (self.fulfilled, self.asked, self.tries, self.asked_at) = (None, Some((wanted, reported)), 1, now);
        SettingVerdict::Set
    }

    /// Puts back what somebody else changed: at once the first times, then after pauses that grow, so that two programs
    /// that want different values do not change it without end.
    fn put_back(&mut self, now: Duration, wanted: T, reported: T) -> SettingVerdict {
        if now.saturating_sub(self.put_back_at) >= CALM {
            self.put_back = 0;
        }
        if now < self.next() {
            self.asked = Some((wanted, reported));
            return SettingVerdict::Leave;
        }
        self.put_back = self.put_back.saturating_add(1);
        self.put_back_at = now;
        (self.fulfilled, self.asked, self.tries) = (None, Some((wanted, reported)), 1);
        SettingVerdict::PutBack
    }

    /// No putting back before.
    fn next(&self) -> Duration {
        let doublings = self.put_back.saturating_sub(PUT_BACK_AT_ONCE);
        if doublings == 0 {
            return Duration::ZERO;
        }
        let pause = Duration::from_secs(1_u64.checked_shl(doublings).unwrap_or(u64::MAX)).min(LONGEST_PAUSE);
        self.put_back_at.saturating_add(pause)
    }

    /// What it shall be, if it is not, and is not asked for at present.
    pub fn unmet(&self, now: Duration) -> Option<UnmetSetting<T>> {
        let (wanted, _) = self.asked?;
        if self.fulfilled.is_some() {
            return (now < self.next()).then(|| UnmetSetting::LeftToOthers(wanted, self.next()));
        }
        (self.tries >= TRIES).then_some(UnmetSetting::Unsupported(wanted))
    }
}
