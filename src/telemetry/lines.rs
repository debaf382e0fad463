//! Lines of the log on their way out.
//!
//! A reader that has stopped reading, as a collector whose disk is full, makes whoever writes to it wait for as long as it
//! likes. So lines are written by a thread of their own that nobody waits for. Those that find no room in its queue are
//! lost, and the log says how many.

use std::{
    collections::VecDeque,
    io::{self, Write},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Lines that wait to be written, and their bytes.
const LINES_MAX: usize = 1_024;
const BYTES_MAX: usize = 1 << 20;
/// How long the end of a process waits for its last lines.
const FLUSH_MAX: Duration = Duration::from_secs(1);

/// Takes lines without waiting.
#[derive(Debug, Clone, Default)]
pub struct Lines(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    lines: VecDeque<Vec<u8>>,
    n_bytes: usize,
    n_lost: u64,
    is_writing: bool,
}

impl Lines {
    /// Writes them to `into` as they come; what that refuses is lost.
    pub(super) fn start(into: impl Write + Send + 'static) -> io::Result<Self> {
        let lines = Self::default();
        let shared = Arc::clone(&lines.0);
        let thread = std::thread::Builder::new().name("log".to_owned());
        thread.spawn(move || shared.write(into))?;
        Ok(lines)
    }

    /// Waits until what was taken is written, a second at most.
    pub fn flush(&self) {
        let queue = self.0.queue();
        let is_busy = |queue: &mut Queue| queue.is_writing || !queue.lines.is_empty();
        drop(self.0.changed.wait_timeout_while(queue, FLUSH_MAX, is_busy));
    }
}

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut queue = self.0.queue();
        if queue.lines.len() < LINES_MAX && queue.n_bytes + line.len() <= BYTES_MAX {
            queue.n_bytes += line.len();
            queue.lines.push_back(line.to_vec());
            self.0.changed.notify_all();
        } else {
            queue.n_lost += 1;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, mut into: impl Write) {
        let mut say = |line: &[u8]| drop(into.write_all(line));
        loop {
            let is_idle = |queue: &mut Queue| queue.lines.is_empty();
            let queue = self.changed.wait_while(self.queue(), is_idle);
            let mut queue = queue.unwrap_or_else(PoisonError::into_inner);
            let Queue { lines, n_lost, .. } = std::mem::take(&mut *queue);
            queue.is_writing = true;
            drop(queue);
            for line in lines {
                say(&line);
            }
            if n_lost > 0 {
                let lost = format!("holdpoint: {n_lost} lines of the log were lost here: its reader was too slow\n");
                say(lost.as_bytes());
            }
            self.queue().is_writing = false;
            self.changed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    /// A pipe takes 64 KiB, and then whoever writes to it waits.
    #[test]
    fn nobody_waits_for_a_reader_that_has_stopped_and_what_is_lost_is_told() {
        let (mut reader, writer) = io::pipe().expect("a pipe");
        let mut lines = Lines::start(writer).expect("a thread");
        let n_lines: usize = 5_000;
        for n in 0..n_lines {
            lines
                .write_all(format!("{n:099}\n").as_bytes())
                .expect("taken, or lost");
        }
        let mut text = String::new();
        let numbers = loop {
            let mut part = [0; 4_096];
            let n_read = reader.read(&mut part).expect("the writer lives");
            text.push_str(&String::from_utf8_lossy(&part[..n_read]));
            let whole = text.lines().take(text.matches('\n').count());
            let lost = whole
                .clone()
                .filter_map(|line| line.strip_prefix("holdpoint: ")?.split(' ').next());
            let n_lost: usize = lost.map(|n| n.parse::<usize>().expect("a number")).sum();
            let numbers: Vec<usize> = whole.filter_map(|line| line.parse().ok()).collect();
            if numbers.len() + n_lost == n_lines {
                break numbers;
            }
        };
        assert!(numbers.is_sorted() && (LINES_MAX / 2..n_lines).contains(&numbers.len()));
        lines.write_all(b"the last\n").expect("taken");
        lines.flush();
        let mut last = [0; 9];
        reader.read_exact(&mut last).expect("it was written");
        assert_eq!(&last, b"the last\n");
    }
}
