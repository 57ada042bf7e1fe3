//! Packed files: modules, and the kernel within its image.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail, ensure};

/// Where an image says how many sectors come before its second part, where in that the packed kernel begins, and how
/// long it is: `Documentation/arch/x86/boot.rst` of the kernel.
const SETUP_SECTORS: usize = 0x1f1;
const PAYLOAD_OFFSET: usize = 0x248;
const PAYLOAD_LENGTH: usize = 0x24c;
const SECTOR: usize = 512;
/// The size of the unpacked kernel, which follows what was packed; in gzip it is part of it.
const SIZE_BYTES: usize = 4;

/// How the kernel in an image can be packed: the first bytes, the ending of such files, and what follows.
const KINDS: [(&[u8], &str, usize); 3] =
    [(b"\xfd7zXZ\0", "xz", SIZE_BYTES), (b"\x28\xb5\x2f\xfd", "zst", SIZE_BYTES), (b"\x1f\x8b", "gz", 0)];

/// A module's content, unpacked if its name says that it is packed.
///
/// # Errors
///
/// When it cannot be read or unpacked.
pub fn read(file: &Path) -> Result<Vec<u8>> {
    let program = match file.extension().and_then(|ending| ending.to_str()).unwrap_or_default() {
        "ko" => return fs::read(file).with_context(|| format!("cannot read {}", file.display())),
        "xz" => "xz",
        "gz" => "gzip",
        "zst" => "zstd",
        _ => bail!("{} is packed in an unknown way", file.display()),
    };
    let mut unpack = Command::new(program);
    unpack.args(["-d", "-q", "-c"]).arg(file).stdin(Stdio::null());
    let output = unpack.output().with_context(|| format!("cannot start {program} for {}", file.display()))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "cannot unpack {}: {}", file.display(), said.trim());
    Ok(output.stdout)
}

/// The kernel in an image, as an ELF file, which the emulator boots too. To unpack it in the machine would take a third
/// of the time that booting takes. `place` is a directory for a temporary file.
///
/// # Errors
///
/// When the image is of an unknown kind or cannot be unpacked.
pub fn kernel(image: &Path, place: &Path) -> Result<Vec<u8>> {
    let bytes = fs::read(image).with_context(|| format!("cannot read {}", image.display()))?;
    let (payload, ending) =
        payload(&bytes).with_context(|| format!("{} is packed in an unknown way", image.display()))?;
    let file = place.join(format!("kernel.{ending}"));
    fs::write(&file, payload).with_context(|| format!("cannot write {}", file.display()))?;
    let kernel = read(&file)?;
    fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))?;
    Ok(kernel)
}

/// The packed kernel in an image, and the ending of files that are packed in its way.
fn payload(image: &[u8]) -> Option<(&[u8], &'static str)> {
    let number = |at: usize| {
        let bytes: [u8; 4] = image.get(at..at + 4)?.try_into().ok()?;
        usize::try_from(u32::from_le_bytes(bytes)).ok()
    };
    let sectors = match *image.get(SETUP_SECTORS)? {
        // The value of old images.
        0 => 4,
        sectors => usize::from(sectors),
    };
    let start = (sectors + 1) * SECTOR + number(PAYLOAD_OFFSET)?;
    let payload = image.get(start..start.checked_add(number(PAYLOAD_LENGTH)?)?)?;
    let (_, ending, after) = KINDS.into_iter().find(|(first, ..)| payload.starts_with(first))?;
    Some((payload.get(..payload.len().checked_sub(after)?)?, ending))
}

#[cfg(test)]
mod tests {
    use super::payload;

    fn image(payload: &[u8]) -> Vec<u8> {
        let mut image = vec![0; 3 * 512 + 16];
        image[0x1f1] = 2;
        image[0x248] = 16;
        image[0x24c] = u8::try_from(payload.len()).unwrap();
        image.extend_from_slice(payload);
        image.extend_from_slice(b"more");
        image
    }

    #[test]
    fn the_packed_kernel_is_found_in_its_image() {
        let packed = image(b"\xfd7zXZ\0data1234");
        assert_eq!(payload(&packed), Some((b"\xfd7zXZ\0data".as_slice(), "xz")));
        let packed = image(b"\x1f\x8bdata");
        assert_eq!(payload(&packed), Some((b"\x1f\x8bdata".as_slice(), "gz")));
    }

    #[test]
    fn what_is_no_image_is_not_taken_for_one() {
        assert_eq!(payload(b"short"), None);
        assert_eq!(payload(&image(b"unknown")), None);
        let mut cut = image(b"\x28\xb5\x2f\xfddata1234");
        cut.truncate(3 * 512 + 20);
        assert_eq!(payload(&cut), None);
    }
}
