use super::*;

const MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);
const PARTNER: PartyIdentity = [0xff, 0xff, 2, 0, 0, 0, 0, 9, 0, 15, 0, 255, 0, 1];

/// What bonding says in a state, which knows this of its partner.
fn says(state: u8, partner: PartyIdentity) -> Heard {
    Heard { actor: PARTNER, state, partner }
}

/// The bond has its port in use, and nobody answered yet.
fn silent() -> Heard {
    says(79, [0; IDENTITY])
}

#[test]
fn what_is_said_can_be_read() {
    let mut speaker = Speaker::answer(silent(), MAC, 7);
    speaker.set_key(15);
    let frame = speaker.frame();
    assert_eq!(frame.len(), 124);
    assert_eq!(frame[..18], [0x01, 0x80, 0xc2, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0x09, 1, 1, 1, 20]);
    // The partner's and the collector's TLVs lie where they must.
    assert_eq!((&frame[36..38], &frame[56..58], frame[74]), (&[2, 20][..], &[3, 16][..], 0));
    assert_eq!(frame[52], 79, "the partner's state as it was heard");
    let ours = [0, 7, 2, 0, 0, 0, 0, 1, 0, 15, 0, 255, 255, 255];
    let heard = Heard::read(&frame).unwrap();
    assert_eq!((&heard.actor[..], heard.state, heard.partner), (&ours[..], 63, PARTNER));
    speaker.leave();
    assert_eq!(Heard::read(&speaker.frame()).unwrap().state, 7);
}

#[test]
fn what_is_no_lacpdu_is_not_read() {
    let frame = Speaker::answer(silent(), MAC, 7).frame();
    assert_eq!(Heard::read(&frame[..51]), None);
    let question = marker_question(MAC);
    assert_eq!((question.len(), Heard::read(&question), is_marker_answer(&question)), (124, None, false));
    let mut answer = question;
    answer[16] = 2;
    assert!(is_marker_answer(&answer) && !is_marker_answer(&frame) && !is_marker_answer(&[]));
}

#[test]
fn only_a_port_that_carries_for_a_silent_partner_is_answered() {
    // 79 and 71: bonding's active port and its other ones; 199: expired; 125: by the standard; 63: agreed; 69: alone.
    for (state, answered) in [(79, true), (71, false), (199, false), (125, false), (63, false), (69, false)] {
        assert_eq!(says(state, [0; IDENTITY]).carries_without_partner(), answered, "{state}");
    }
}

#[test]
fn what_the_partner_does_not_know_is_said_at_once() {
    let mut speaker = Speaker::answer(silent(), MAC, 7);
    let known = speaker.identity();
    assert!(speaker.is_due() && !speaker.is_due());
    speaker.hear(silent());
    assert!(speaker.is_due() && !speaker.is_settled());
    speaker.hear(says(63, known));
    assert!(!speaker.is_due() && speaker.is_settled());
    // Another key: until the partner knows it, the port is not counted among the bond's.
    speaker.set_key(15);
    assert!(speaker.is_due() && !speaker.is_settled());
    speaker.set_key(15);
    assert!(!speaker.is_due());
    let known = speaker.identity();
    speaker.hear(says(63, known));
    assert!(!speaker.is_due() && speaker.is_settled());
    speaker.leave();
    assert!(speaker.is_due() && !speaker.is_settled());
    speaker.hear(says(15, known));
    assert!(speaker.is_settled());
}
