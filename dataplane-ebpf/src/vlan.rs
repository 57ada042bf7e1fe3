//! The VLAN rule, carried out: where the tag of a frame is, and how it is changed.
//!
//! The outermost tag is beside the frame (the kernel's acceleration) or within it. On the ingress hook of an interface
//! it is always beside, since the kernel took it out before; on netkit's transmit it is within if the VLAN device's
//! acceleration is off. What the kernel says is beside the frame counts first.

use aggctl_common::{
    Destination, DropReason,
    control::Control,
    vlan::{self, CUSTOMER, Globals, OuterTag, TagChange, VlanRule, VlanSet},
};
use aya_ebpf::{
    Global,
    helpers::{bpf_skb_vlan_pop, bpf_skb_vlan_push},
    programs::TcContext,
};

use crate::linear;

/// The kind of rule, see [`Globals`]. This and what follows is set when the program is loaded.
#[unsafe(no_mangle)]
static VLAN_MODE: Global<u32> = Global::new(Globals::OFF);

/// The access VLAN or the native one; 0: none.
#[unsafe(no_mangle)]
static VLAN_VID: Global<u32> = Global::new(0);

/// The VLANs of a trunk, see [`VlanSet`].
#[unsafe(no_mangle)]
static VLAN_LIST: Global<[u64; Globals::WORDS]> = Global::new([0; Globals::WORDS]);

/// [`VLAN_LIST`], of which a word at a time is loaded: the whole would fill the stack.
struct GlobalVlanSet;

impl VlanSet for GlobalVlanSet {
    #[inline(always)]
    fn word(&self, index: usize) -> u64 {
        let words = (&raw const VLAN_LIST).cast::<u64>();
        // SAFETY: the global is an array of this many words, and the index is kept within it. Volatile, because the
        // loader changes what the compiler takes for a constant.
        unsafe { words.add(index & (Globals::WORDS - 1)).read_volatile() }
    }
}

/// The rule of this program.
#[inline(always)]
fn rule() -> VlanRule<GlobalVlanSet> {
    VlanRule::from_globals(VLAN_MODE.load(), VLAN_VID.load(), GlobalVlanSet)
}

/// Gives a frame that the host sends the tag that it has on the wire. Pointers to its octets are void afterwards.
///
/// # Errors
///
/// [`DropReason::Vlan`] if it has no place on the wire; [`DropReason::Malformed`] if its header cannot be read or
/// changed.
#[inline(always)]
pub fn outgoing(context: &TcContext) -> Result<(), DropReason> {
    let (tag, change) = match linear(context) {
        Some(header) => {
            sent(context, &Destination([header[0], header[1], header[2]]), |at| header.get(at / 2).copied())
        }
        // One load: kernels before 6.3 refuse what the compiler makes of three that may each fail.
        None => match context.load(0) {
            Ok(words) => sent(context, &Destination(words), |at| context.load(at).ok()),
            Err(_) => Err(DropReason::Malformed),
        },
    }?;
    apply(context, tag, change)
}

/// Gives a frame that a port received, and that is no link-local control frame, the tag that it has on the host.
/// Pointers to its octets are void afterwards.
///
/// # Errors
///
/// [`DropReason::Vlan`] if it is not for this host; [`DropReason::Malformed`] if its header cannot be read or changed.
#[inline(always)]
pub fn incoming(context: &TcContext) -> Result<(), DropReason> {
    let tag = match linear(context) {
        Some(header) => tag(context, |at| header.get(at / 2).copied()),
        None => tag(context, |at| context.load(at).ok()),
    }?;
    apply(context, tag, vlan::on_receive(&rule(), tag)?)
}

/// Whether a frame that a port received with this outermost tag, and that is no link-local control frame, is for this
/// host.
///
/// # Errors
///
/// [`DropReason::Vlan`] if it is not.
#[inline(always)]
pub fn check(tag: OuterTag) -> Result<(), DropReason> {
    vlan::on_receive(&rule(), Some(tag)).map(|_| ())
}

/// Does something while the frame has the tag that it has on the host, and gives it back the one that it had on the
/// wire. Nothing is done with a frame that is not for this host.
///
/// # Errors
///
/// [`DropReason::Malformed`] if its tag cannot be changed.
#[inline(always)]
pub fn as_incoming(context: &TcContext, act: impl FnOnce()) -> Result<(), DropReason> {
    let tag = match linear(context) {
        Some(header) => tag(context, |at| header.get(at / 2).copied()),
        None => tag(context, |at| context.load(at).ok()),
    };
    let Ok(tag) = tag else { return Ok(()) };
    let Ok(change) = vlan::on_receive(&rule(), tag) else { return Ok(()) };
    apply(context, tag, change)?;
    act();
    match (change, tag) {
        (TagChange::Keep, _) | (TagChange::Pop | TagChange::Retag(_), None) => Ok(()),
        (TagChange::Push(_), _) => pop_beside(context),
        (TagChange::Pop, Some(tag)) => push_tag(context, tag),
        (TagChange::Retag(_), Some(tag)) => {
            pop_beside(context)?;
            push_tag(context, tag)
        }
    }
}

/// The addresses, the EtherType and what comes after it, where they lie, if all of it is in the linear part of the
/// frame. Void as soon as something is changed about the frame.
#[inline(always)]
fn linear(context: &TcContext) -> Option<&[u16; 8]> {
    linear::header(context)
}

/// The outermost tag of a frame that the host sends to `destination`, and what happens to it; `read` as in [`tag`].
#[inline(always)]
fn sent(
    context: &TcContext,
    destination: &Destination,
    read: impl Fn(usize) -> Option<u16>,
) -> Result<(Option<OuterTag>, TagChange), DropReason> {
    if Control::of(destination) != Control::No {
        return Ok((None, TagChange::Keep));
    }
    let tag = tag(context, read)?;
    vlan::on_send(&rule(), tag).map(|change| (tag, change))
}

/// The outermost tag. `read` gives two octets at an even offset as they lie, unless the frame ends before.
#[inline(always)]
fn tag(context: &TcContext, read: impl Fn(usize) -> Option<u16>) -> Result<Option<OuterTag>, DropReason> {
    // SAFETY: the kernel gave us this context, and the verifier checks every access to it.
    let (present, tpid, tci) = unsafe {
        let skb = context.skb.skb;
        ((*skb).vlan_present, (*skb).vlan_proto, (*skb).vlan_tci)
    };
    if present != 0 {
        return Ok(Some(OuterTag::new(u16::from_be(tpid as u16), tci as u16)));
    }
    OuterTag::in_band(|at| read(at).map(u16::from_be))
}

/// Changes the tag.
#[inline(always)]
fn apply(context: &TcContext, tag: Option<OuterTag>, change: TagChange) -> Result<(), DropReason> {
    match change {
        TagChange::Keep => Ok(()),
        TagChange::Push(tci) => push(context, tci),
        TagChange::Pop => pop(context, tag),
        TagChange::Retag(tci) => {
            pop(context, tag)?;
            push(context, tci)
        }
    }
}

/// Adds a tag, beside the frame. A tag that was there already (one further in, after [`pop`]) goes into the frame.
#[inline(always)]
fn push(context: &TcContext, tci: u16) -> Result<(), DropReason> {
    push_tag(context, OuterTag::new(CUSTOMER, tci))
}

/// The same for a tag of any kind.
#[inline(always)]
fn push_tag(context: &TcContext, tag: OuterTag) -> Result<(), DropReason> {
    // SAFETY: the helper changes the frame, no pointer to which is kept.
    match unsafe { bpf_skb_vlan_push(context.skb.skb, tag.tpid().to_be(), tag.tci()) } {
        0 => Ok(()),
        _ => Err(DropReason::Malformed),
    }
}

/// Takes the outermost tag away; if there is another below it, that one is beside the frame afterwards.
#[inline(always)]
fn pop(context: &TcContext, tag: Option<OuterTag>) -> Result<(), DropReason> {
    let skb = context.skb.skb;
    // The helper takes a tag out of the frame only if the kernel's idea of the frame's protocol is a tag's, and else
    // says that all is well. A sender on a packet socket can say what it likes there. SAFETY: as in `tag`.
    let (present, protocol) = unsafe { ((*skb).vlan_present, (*skb).protocol) };
    if present == 0 && tag.is_some_and(|tag| u16::from_be(protocol as u16) != tag.tpid()) {
        return Err(DropReason::Malformed);
    }
    pop_beside(context)
}

/// The same for a tag that is known to be beside the frame.
#[inline(always)]
fn pop_beside(context: &TcContext) -> Result<(), DropReason> {
    // SAFETY: the helper changes the frame, no pointer to which is kept.
    match unsafe { bpf_skb_vlan_pop(context.skb.skb) } {
        0 => Ok(()),
        _ => Err(DropReason::Malformed),
    }
}
