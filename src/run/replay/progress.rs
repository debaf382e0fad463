//! A line on standard error that says how far it is, if somebody is there to see it.

use std::{
    cell::Cell,
    io::{self, IsTerminal as _, Read, Write as _},
    rc::Rc,
    time::Duration,
};

use crate::clock::Stopwatch;

/// Lines between two looks at the clock.
const LINES: u64 = 10_000;
const EVERY: Duration = Duration::from_millis(200);

pub(super) struct Progress {
    n_read: Rc<Cell<u64>>,
    /// Bytes to read in all; `None` if that is not known.
    total: Option<u64>,
    n_lines: u64,
    began: Stopwatch,
    drawn_at: Duration,
    is_drawn: bool,
    seen: bool,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self {
            n_read: Rc::default(),
            total: Some(0),
            n_lines: 0,
            began: Stopwatch::start(),
            drawn_at: Duration::ZERO,
            is_drawn: false,
            seen: io::stderr().is_terminal(),
        }
    }

    /// Another input, of so many bytes as far as that is known. What is read from it is counted.
    pub(super) fn count<R: Read>(&mut self, reader: R, size_bytes: Option<u64>) -> Counting<R> {
        self.total = self.total.zip(size_bytes).map(|(total, size)| total + size);
        Counting {
            reader,
            n_read: Rc::clone(&self.n_read),
        }
    }

    pub(super) fn line(&mut self) {
        self.n_lines += 1;
        if !self.seen || !self.n_lines.is_multiple_of(LINES) {
            return;
        }
        let elapsed = self.began.elapsed();
        if elapsed < self.drawn_at + EVERY {
            return;
        }
        self.drawn_at = elapsed;
        self.is_drawn = true;
        self.draw(&bar(self.n_read.get(), self.total, self.n_lines, elapsed));
    }

    /// Makes place for another line on standard error.
    pub(super) fn clear(&mut self) {
        if self.seen && self.is_drawn {
            self.is_drawn = false;
            self.draw("");
        }
    }

    fn draw(&mut self, text: &str) {
        // A terminal that went away is no reason to stop.
        self.seen = write!(io::stderr(), "\r{text}\x1b[K").is_ok();
    }
}

/// Counts what is read.
pub(super) struct Counting<R> {
    reader: R,
    n_read: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.reader.read(buffer)?;
        self.n_read.set(self.n_read.get() + u64::try_from(n).unwrap_or(0));
        Ok(n)
    }
}

/// Bytes read and in all, events a second, and when it will be done.
fn bar(n_read: u64, total: Option<u64>, n_lines: u64, elapsed: Duration) -> String {
    const WIDTH: u64 = 30;
    let per_second = u128::from(n_lines) * 1_000 / elapsed.as_millis().max(1);
    let megabytes = n_read >> 20;
    let Some(total) = total.filter(|total| *total > 0) else {
        return format!("{megabytes} MiB  {per_second} events/s");
    };
    let n_read = n_read.min(total);
    let filled = usize::try_from(n_read.saturating_mul(WIDTH) / total).unwrap_or(0);
    let left = elapsed.as_millis() * u128::from(total - n_read) / u128::from(n_read.max(1)) / 1_000;
    format!(
        "[{:<30}] {megabytes} of {} MiB  {per_second} events/s  {}:{:02} left",
        "=".repeat(filled),
        total >> 20,
        left / 60,
        left % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_says_how_much_is_read_and_when_it_will_be_done() {
        let (mib, minute) = (1 << 20, Duration::from_mins(1));
        assert_eq!(
            bar(100 * mib, Some(300 * mib), 6_000_000, minute),
            "[==========                    ] 100 of 300 MiB  100000 events/s  2:00 left"
        );
        assert_eq!(bar(100 * mib, None, 6_000_000, minute), "100 MiB  100000 events/s");
        assert!(bar(0, Some(mib), 0, Duration::ZERO).ends_with("0:00 left"));
    }

    #[test]
    fn what_is_read_is_counted_over_all_inputs() {
        let mut progress = Progress::new();
        for (text, size) in [("one", Some(3)), ("three", Some(5))] {
            let mut counting = progress.count(text.as_bytes(), size);
            io::copy(&mut counting, &mut io::sink()).expect("memory reads");
        }
        assert_eq!((progress.n_read.get(), progress.total), (8, Some(8)));
        drop(progress.count(io::empty(), None));
        assert_eq!(progress.total, None, "a pipe has no length");
    }
}
