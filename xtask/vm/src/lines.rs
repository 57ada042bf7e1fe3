//! Lines of what comes in parts.

/// Puts parts of a text together again, line by line.
#[derive(Debug, Default)]
pub struct Lines {
    /// What came behind the last end of a line.
    rest: Vec<u8>,
}

impl Lines {
    /// Takes in a part, and returns the lines that end in it, without their ends. What is no UTF-8 is replaced.
    pub fn take_in(&mut self, part: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        self.rest.extend_from_slice(part);
        while let Some(end) = self.rest.iter().position(|octet| *octet == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            lines.push(String::from_utf8_lossy(&line[..end]).trim_end_matches('\r').to_owned());
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_the_same_however_they_are_cut() {
        let text = "one\r\ntwö\n\nno line yet".as_bytes();
        for length in 1..=text.len() {
            let mut lines = Lines::default();
            let all: Vec<_> = text.chunks(length).flat_map(|part| lines.take_in(part)).collect();
            assert_eq!(all, ["one", "twö", ""], "in parts of {length}");
            assert_eq!(lines.take_in(b"\n"), ["no line yet"]);
        }
    }
}
