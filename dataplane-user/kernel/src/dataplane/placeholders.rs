//! Writing what this kernel has into the placeholders of the programs: see [`aggctl_common::device`]. The loader (aya
//! 0.14) knows no calls of the kernel's functions, and lets nobody change a program that it has read, so the object is
//! changed before.

use aggctl_common::device::placeholder::{ASKS, CAST, NET_DEVICE, STATE};

use super::kernel_types::KernelTypes;

/// Octets of an instruction.
const INSTRUCTION: usize = 8;
/// A register is set to a number (`BPF_ALU64 | BPF_MOV | BPF_K`).
const SET: u8 = 0xb7;
/// Something is called (`BPF_JMP | BPF_CALL`).
const CALL: u8 = 0x85;
/// What is called is a function of the kernel (`BPF_PSEUDO_KFUNC_CALL`), as the source register says.
const KERNEL_FUNCTION: u8 = 2 << 4;
/// A word of eight octets is loaded (`BPF_LDX | BPF_MEM | BPF_DW`).
const LOAD: u8 = 0x79;

/// Writes into the object of the programs that they ask a kernel of these types; or `None`, that they do not ask. What
/// they then never reach keeps its placeholders, and the verifier removes it.
pub(super) fn fill(object: &mut [u8], types: Option<&KernelTypes>) {
    // Programs are aligned to instructions, and nothing else of eight octets is like one of those with a placeholder.
    let mut after_cast = false;
    for instruction in object.as_chunks_mut::<INSTRUCTION>().0 {
        let [code, registers, off_low, off_high, number @ ..] = instruction;
        let was_cast = std::mem::take(&mut after_cast);
        match (*code, i32::from_le_bytes(*number), types) {
            (SET, ASKS, _) => *number = i32::from(types.is_some()).to_le_bytes(),
            (SET, NET_DEVICE, Some(types)) => *number = types.net_device.to_le_bytes(),
            (CALL, CAST, Some(types)) => {
                *registers = KERNEL_FUNCTION;
                *number = types.rdonly_cast.to_le_bytes();
                after_cast = true;
            }
            (LOAD, _, Some(types)) if was_cast && [*off_low, *off_high] == STATE.to_le_bytes() => {
                [*off_low, *off_high] = types.state.to_le_bytes();
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPES: KernelTypes =
        KernelTypes { net_device: 0x1234, state: 168, ifindex: 224, dev: 16, rdonly_cast: 0x5678, cast_to_kern_ctx: 1 };

    fn instruction(code: u8, registers: u8, offset: i16, number: i32) -> [u8; INSTRUCTION] {
        let mut octets = [code, registers, 0, 0, 0, 0, 0, 0];
        octets[2..4].copy_from_slice(&offset.to_le_bytes());
        octets[4..].copy_from_slice(&number.to_le_bytes());
        octets
    }

    #[test]
    fn the_question_is_filled_in_and_nothing_else() {
        let others = [instruction(SET, 1, 0, 7), instruction(CALL, 0, 0, 23), instruction(LOAD, 0x10, STATE, 0)];
        let question = [
            instruction(SET, 3, 0, ASKS),
            instruction(SET, 2, 0, NET_DEVICE),
            instruction(CALL, 0, 0, CAST),
            instruction(LOAD, 0, STATE, 0),
        ];
        let program = [&others[..], &question, &others].concat().concat();
        let asked = [
            instruction(SET, 3, 0, 1),
            instruction(SET, 2, 0, 0x1234),
            instruction(CALL, KERNEL_FUNCTION, 0, 0x5678),
            instruction(LOAD, 0, 168, 0),
        ];
        let mut filled = program.clone();
        fill(&mut filled, Some(&TYPES));
        assert_eq!(filled, [&others[..], &asked, &others].concat().concat());

        let mut silent = program;
        fill(&mut silent, None);
        let unasked = [&[instruction(SET, 3, 0, 0)][..], &question[1..]].concat();
        assert_eq!(silent, [&others[..], &unasked, &others].concat().concat());
    }
}
