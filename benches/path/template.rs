//! JSON rendered once, with slots of a fixed width that are written over for each event.

use holdpoint::model::Timestamp;

/// The texts that mark a slot, each as wide as what it is to hold.
pub(crate) mod slots {
    pub(crate) const ID: &str = "<<-id-of-event>>";
    pub(crate) const TIME: &str = "2026-01-01T00:00:00.000Z";
    pub(crate) const SERVICE: &str = "<sv>";
    pub(crate) const SHA: &str = "<<-----forty-digits-of-a-commit------->>";
    pub(crate) const DEPLOY: &str = "<deploy>";
}

const SLOTS: [&str; 5] = [slots::ID, slots::TIME, slots::SERVICE, slots::SHA, slots::DEPLOY];

#[derive(Debug)]
pub(crate) struct Template {
    bytes: Vec<u8>,
    /// Where each slot there is begins.
    begins: [Option<usize>; SLOTS.len()],
}

impl Template {
    pub(crate) fn new(text: &str) -> Self {
        Self {
            begins: SLOTS.map(|slot| text.find(slot)),
            bytes: text.as_bytes().to_vec(),
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn set(&mut self, slot: &str, text: &[u8]) {
        self.room(slot).copy_from_slice(text);
    }

    pub(crate) fn set_hex(&mut self, slot: &str, n: u64) {
        digits(self.room(slot), n, 16);
    }

    pub(crate) fn set_decimal(&mut self, slot: &str, n: u64) {
        digits(self.room(slot), n, 10);
    }

    fn room(&mut self, slot: &str) -> &mut [u8] {
        let begin = SLOTS
            .iter()
            .zip(self.begins)
            .find_map(|(known, begin)| begin.filter(|_| *known == slot))
            .expect("a slot that this template has");
        &mut self.bytes[begin..begin + slot.len()]
    }
}

/// Writes `n` with leading zeros, its last digits where there is no room for all.
fn digits(room: &mut [u8], mut n: u64, base: u64) {
    for place in room.iter_mut().rev() {
        *place = b"0123456789abcdef"[usize::try_from(n % base).unwrap_or(0)];
        n /= base;
    }
}

/// Times as text: all but seconds and milliseconds stays for a minute.
#[derive(Debug, Default)]
pub(crate) struct ClockText {
    minute: Option<i64>,
    text: Vec<u8>,
}

impl ClockText {
    pub(crate) fn text(&mut self, at: Timestamp) -> &[u8] {
        let minute = at.millis().div_euclid(60_000);
        if self.minute != Some(minute) {
            let begin = Timestamp::from_millis(minute * 60_000).to_string();
            self.text = format!("{}:00.000Z", &begin[..16]).into_bytes();
            self.minute = Some(minute);
        }
        let ms = u64::try_from(at.millis().rem_euclid(60_000)).unwrap_or(0);
        digits(&mut self.text[17..19], ms / 1_000, 10);
        digits(&mut self.text[20..23], ms % 1_000, 10);
        &self.text
    }
}
