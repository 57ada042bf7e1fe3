//! What the kernel knows of a frame that is not in its octets.

/// A VLAN tag, or none. A number and no `Option`: of that the compiler leaves a part undefined where there is none, and
/// verifiers refuse that a program so much as moves such a part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tag(u32);

impl Tag {
    /// No tag.
    pub const NONE: Self = Self(0);
    /// Says that there is a tag.
    const PRESENT: u32 = 1 << 16;

    /// The tag with this priority and VLAN.
    #[inline(always)]
    #[must_use]
    pub const fn new(tci: u16) -> Self {
        Self(Self::PRESENT | tci as u32)
    }

    /// Whether there is one.
    #[inline(always)]
    pub(super) const fn is_there(self) -> bool {
        self.0 != 0
    }

    /// Its VLAN; 0 if there is none.
    #[inline(always)]
    pub(super) const fn vid(self) -> u32 {
        self.0 & 0x0fff
    }
}

impl From<Option<u16>> for Tag {
    fn from(tci: Option<u16>) -> Self {
        tci.map_or(Self::NONE, Self::new)
    }
}

/// What is beside a frame. Each is asked for only where it is wanted.
pub trait Beside {
    /// The outermost tag, if it is kept beside the frame.
    fn tag(&self) -> Tag;
    /// The mark, as firewall rules and sockets set it.
    fn mark(&self) -> u32;
    /// The number of the queue that the frame came from or is meant for, as the kernel keeps it: 0 if none is known.
    fn queue(&self) -> u32;
    /// The kernel's own hash of the flow.
    fn hash(&self) -> u32;
}

/// What is known of a frame that is not in the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// See [`Beside::tag`].
    pub tag: Tag,
    /// See [`Beside::mark`].
    pub mark: u32,
    /// See [`Beside::queue`].
    pub queue: u32,
    /// See [`Beside::hash`].
    pub hash: u32,
}

impl Beside for Known {
    fn tag(&self) -> Tag {
        self.tag
    }

    fn mark(&self) -> u32 {
        self.mark
    }

    fn queue(&self) -> u32 {
        self.queue
    }

    fn hash(&self) -> u32 {
        self.hash
    }
}
