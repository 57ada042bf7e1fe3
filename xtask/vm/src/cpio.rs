//! Writes archives in the `newc` format of cpio, the one that the kernel unpacks as its first root.
//!
//! The format: `Documentation/driver-api/early-userspace/buffer-format.rst` of the kernel.

use anyhow::{Context, Result};

const MAGIC: &str = "070701";
const TRAILER: &str = "TRAILER!!!";
const DIRECTORY: u32 = 0o040_000;
const FILE: u32 = 0o100_000;
const LINK: u32 = 0o120_000;

/// An archive that grows in memory. Everything in it belongs to root and is as old as the epoch, so that the same
/// content always gives the same bytes.
#[derive(Debug, Default)]
pub struct CpioArchive {
    bytes: Vec<u8>,
    entries: u32,
}

impl CpioArchive {
    /// Adds a directory. Parents must come before what is in them.
    ///
    /// # Errors
    ///
    /// When the archive has too many entries or the name is too long for the format.
    pub fn directory(&mut self, path: &str) -> Result<()> {
        self.entry(path, DIRECTORY | 0o755, &[])
    }

    /// Adds a file with its permissions, for example `0o755`.
    ///
    /// # Errors
    ///
    /// As [`CpioArchive::directory`], and for content of 4 GiB or more.
    pub fn file(&mut self, path: &str, permissions: u32, content: &[u8]) -> Result<()> {
        self.entry(path, FILE | permissions, content)
    }

    /// Adds a symbolic link.
    ///
    /// # Errors
    ///
    /// As [`CpioArchive::directory`].
    pub fn link(&mut self, path: &str, target: &str) -> Result<()> {
        self.entry(path, LINK | 0o777, target.as_bytes())
    }

    /// Ends the archive and returns it.
    ///
    /// # Errors
    ///
    /// As [`CpioArchive::directory`].
    pub fn finish(mut self) -> Result<Vec<u8>> {
        self.header(TRAILER, 0, 0, 0)?;
        Ok(self.bytes)
    }

    fn entry(&mut self, path: &str, mode: u32, content: &[u8]) -> Result<()> {
        self.entries += 1;
        self.header(path, self.entries, mode, content.len())?;
        self.bytes.extend_from_slice(content);
        self.align();
        Ok(())
    }

    fn header(&mut self, path: &str, inode: u32, mode: u32, size: usize) -> Result<()> {
        let size = u32::try_from(size).with_context(|| format!("{path} is too large for a cpio archive"))?;
        let name = u32::try_from(path.len() + 1).with_context(|| format!("the name {path} is too long"))?;
        let links = if mode & DIRECTORY == DIRECTORY { 2 } else { 1 };
        // inode, mode, uid, gid, links, mtime, size, device (2), special device (2), length of the name, checksum
        let fields = [inode, mode, 0, 0, links, 0, size, 0, 0, 0, 0, name, 0];
        self.bytes.extend_from_slice(MAGIC.as_bytes());
        for field in fields {
            self.bytes.extend_from_slice(format!("{field:08X}").as_bytes());
        }
        self.bytes.extend_from_slice(path.as_bytes());
        self.bytes.push(0);
        self.align();
        Ok(())
    }

    /// Headers and content start at multiples of four.
    fn align(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::CpioArchive;

    /// The fields of an archive's entries, read back as the kernel does: name, mode, content.
    fn read(mut bytes: &[u8]) -> Vec<(String, u32, Vec<u8>)> {
        let total = bytes.len();
        let mut entries = Vec::new();
        loop {
            assert_eq!(&bytes[..6], b"070701");
            let field = |index: usize| {
                let text = std::str::from_utf8(&bytes[6 + 8 * index..14 + 8 * index]).unwrap();
                u32::from_str_radix(text, 16).unwrap()
            };
            let (mode, size, length) = (field(1), field(6) as usize, field(11) as usize);
            let name = String::from_utf8(bytes[110..110 + length - 1].to_vec()).unwrap();
            assert_eq!(bytes[110 + length - 1], 0);
            let start = (110 + length).next_multiple_of(4);
            if name == "TRAILER!!!" {
                assert_eq!(bytes.len(), start);
                return entries;
            }
            entries.push((name, mode, bytes[start..start + size].to_vec()));
            let at = total - bytes.len() + start + size;
            bytes = &bytes[(at.next_multiple_of(4)) - (total - bytes.len())..];
        }
    }

    #[test]
    fn what_is_written_can_be_read() {
        let mut archive = CpioArchive::default();
        archive.directory("bin").unwrap();
        archive.file("bin/a", 0o755, b"12345").unwrap();
        archive.file("empty", 0o600, b"").unwrap();
        archive.link("bin/sh", "a").unwrap();
        let bytes = archive.finish().unwrap();
        assert_eq!(bytes.len() % 4, 0);
        let expected = [
            ("bin".to_owned(), 0o040_755, Vec::new()),
            ("bin/a".to_owned(), 0o100_755, b"12345".to_vec()),
            ("empty".to_owned(), 0o100_600, Vec::new()),
            ("bin/sh".to_owned(), 0o120_777, b"a".to_vec()),
        ];
        assert_eq!(read(&bytes), expected);
    }

    #[test]
    fn the_header_is_the_documented_one() {
        let mut archive = CpioArchive::default();
        archive.file("init", 0o755, b"x").unwrap();
        let bytes = archive.finish().unwrap();
        let header = "070701000000010000\
                      81ED00000000000000000000000100000000000000010000000000000000000000000000000000000005\
                      00000000init\0";
        assert_eq!(&bytes[..header.len()], header.as_bytes());
    }
}
