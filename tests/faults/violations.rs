//! What must not be, counted, with examples.

use std::fmt;

/// Examples kept of each.
const EXAMPLES_MAX: usize = 5;
const EXAMPLE_BYTES_MAX: usize = 4_000;

/// One kind of violation.
#[derive(Debug, Default, Clone)]
pub(crate) struct Count {
    pub(crate) n: u64,
    examples: Vec<String>,
}

impl Count {
    pub(crate) fn note(&mut self, example: impl FnOnce() -> String) {
        self.add(1, example);
    }

    pub(crate) fn add(&mut self, n: u64, example: impl FnOnce() -> String) {
        if n == 0 {
            return;
        }
        self.n += n;
        if self.examples.len() < EXAMPLES_MAX {
            let mut example = example();
            let end = example.floor_char_boundary(EXAMPLE_BYTES_MAX);
            example.truncate(end);
            self.examples.push(example);
        }
    }

    fn merge(&mut self, other: &Self) {
        self.n += other.n;
        let room = EXAMPLES_MAX.saturating_sub(self.examples.len());
        self.examples.extend(other.examples.iter().take(room).cloned());
    }
}

macro_rules! violations {
    ($($field:ident $name:literal),* $(,)?) => {
        /// All kinds of violations.
        #[derive(Debug, Default, Clone)]
        pub(crate) struct Violations { $(pub(crate) $field: Count,)* }

        impl Violations {
            /// By the names of the table.
            pub(crate) fn all(&self) -> Vec<(&'static str, &Count)> {
                vec![$(($name, &self.$field)),*]
            }

            pub(crate) fn merge(&mut self, other: &Self) {
                $(self.$field.merge(&other.$field);)*
            }
        }
    };
}

violations! {
    lost "lost",
    twice "twice",
    gaps "gaps",
    repeats "repeats",
    rejects_missing "rejects missing",
    rejects_twice "rejects twice",
    owners "owners",
    zombies "zombie records",
    time_falls "time falls",
    books "books",
    not_whole "not whole",
    reproduction "reproduction",
    stops "unclean stops",
    crashes "crashes",
}

impl Violations {
    pub(crate) fn n(&self) -> u64 {
        self.all().iter().map(|(_, count)| count.n).sum()
    }
}

/// Examples, a line each.
impl fmt::Display for Violations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, count) in self.all() {
            for example in &count.examples {
                writeln!(f, "{name}: {example}")?;
            }
        }
        Ok(())
    }
}
