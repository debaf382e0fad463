//! Texts of a batch, by their places in its arena.

/// A place in the arena.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Text {
    pub(super) start: u32,
    pub(super) end: u32,
}

pub(super) const NO_TEXT: Text = Text {
    start: u32::MAX,
    end: u32::MAX,
};

impl Text {
    /// The text; `None` where there was none.
    pub(super) fn of(self, texts: &str) -> Option<&str> {
        (self != NO_TEXT).then(|| &texts[usize_of(self.start)..usize_of(self.end)])
    }

    pub(super) fn is(self, texts: &str, other: Option<&str>) -> bool {
        self.of(texts) == other
    }
}

/// Batches are closed at 16 MiB, so places fit in 32 bits.
pub(super) fn place(index: usize) -> u32 {
    u32::try_from(index).expect("a batch is closed long before 4 GiB")
}

pub(super) fn usize_of(place: u32) -> usize {
    usize::try_from(place).expect("at least 32 bits")
}
