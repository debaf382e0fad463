//! Lines of a file, each within a bound, whatever the file holds.

use std::io::{self, BufRead, Read as _};

use crate::ingest::MAX_RECORD_BYTES;

/// A line longer than the longest record and its line break is read no further.
const MAX_LINE_BYTES: usize = MAX_RECORD_BYTES + 2;
/// What a buffer keeps when its next line is shorter: nearly every line fits, and a few giants do not stay in memory.
const KEPT_BYTES: usize = 64 * 1024;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads lines, and counts them.
pub(super) struct Lines<R> {
    reader: R,
    number: u64,
}

/// A line that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    /// Its place in the file, from 1; empty lines count.
    pub(super) number: u64,
    /// Its length; more than the bytes read if it was cut.
    pub(super) size_bytes: usize,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader, number: 0 }
    }

    /// Reads the next line that is not empty into `line`, without its line break; `None` at the end.
    ///
    /// Of a line that is too long only the beginning is read, and the rest is skipped.
    pub(super) fn next(&mut self, line: &mut Vec<u8>) -> io::Result<Option<Found>> {
        loop {
            line.clear();
            line.shrink_to(KEPT_BYTES);
            let bound = u64::try_from(MAX_LINE_BYTES).unwrap_or(u64::MAX);
            let n_read = (&mut self.reader).take(bound).read_until(b'\n', line)?;
            if n_read == 0 {
                return Ok(None);
            }
            self.number += 1;
            if line.last() != Some(&b'\n') && n_read >= MAX_LINE_BYTES {
                let n_skipped = self.reader.skip_until(b'\n')?;
                return Ok(Some(Found {
                    number: self.number,
                    size_bytes: n_read + n_skipped,
                }));
            }
            self.trim(line);
            if !line.trim_ascii_start().is_empty() {
                return Ok(Some(Found {
                    number: self.number,
                    size_bytes: line.len(),
                }));
            }
        }
    }

    fn trim(&self, line: &mut Vec<u8>) {
        if line.last() == Some(&b'\n') {
            line.pop();
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        if self.number == 1 && line.starts_with(BYTE_ORDER_MARK) {
            line.drain(..BYTE_ORDER_MARK.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Vec<(u64, usize, Vec<u8>)> {
        let mut lines = Lines::new(bytes);
        let (mut all, mut line) = (Vec::new(), Vec::new());
        while let Some(found) = lines.next(&mut line).expect("memory reads") {
            all.push((found.number, found.size_bytes, line.clone()));
        }
        all
    }

    #[test]
    fn line_breaks_of_all_kinds_end_lines_and_empty_ones_are_passed_over() {
        let found = read(b"\xef\xbb\xbfa\r\n\n \r\nb\nc");
        let expected = [(1, 1, b"a".to_vec()), (4, 1, b"b".to_vec()), (5, 1, b"c".to_vec())];
        assert_eq!(found, expected);
        assert!(read(b"").is_empty() && read(b"\n\r\n").is_empty());
    }

    #[test]
    fn a_line_that_is_too_long_is_cut_and_the_next_one_is_whole() {
        let mut bytes = vec![b'x'; 3 * MAX_LINE_BYTES];
        bytes.extend_from_slice(b"\nnext\n");
        let found = read(&bytes);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].1, 3 * MAX_LINE_BYTES + 1);
        assert_eq!(found[0].2.len(), MAX_LINE_BYTES);
        assert_eq!(found[1], (2, 4, b"next".to_vec()));
        let longest = [vec![b'y'; MAX_RECORD_BYTES], b"\r\nz".to_vec()].concat();
        assert_eq!(read(&longest)[0].1, MAX_RECORD_BYTES, "the longest record is a line");
    }
}
