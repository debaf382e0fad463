//! A decision's JSON as it is kept by the million: packed against what such texts usually say.
//!
//! Every instance holds the whole control topic, and four fifths of a decision's text are the same in all of them:
//! names of members, words, the model's digest. LZ4 with a dictionary leaves names, instants and figures, at a
//! microsecond to pack and less to unpack; only what somebody asks for is unpacked.
//!
//! **Invariant:** what was packed comes out byte for byte.

use std::fmt;

use lz4_flex::block::{compress_with_dict, decompress_with_dict};

/// What decisions usually say, the commonest last: nearer is cheaper. Nothing is stored under it, so it may change with
/// every version.
const USUAL: &[u8] = br#"{"schema":"holdpoint.decision/1","id":"service:#1","sequence":1,"subject":{"type":"service","service":"","environment":"staging"},"action":"freeze","mode":"enforce","decided_at":"2026-11-27T00:00:00.000Z","valid_until":"2026-11-27T01:00:00.000Z","risk":0.99,"reasons":[{"code":"deploy_regression","text":"errors at  times the baseline since deploy ","value":,"threshold":1.25,"evidence":{"deploy_id":"","e_value":,"errors":,"expected":}}],"to_lift":["roll back ","or wait: the lease ends "],"obligations":[{"kind":"approval","count":1,"level":"senior","group":null,"when":{"ai":["assisted","authored"],"author_level":["junior","mid"]}}],"exempt":["rollback","hotfix","security"],"incidents":[""],"suspects":[{"deploy_id":"","service":"","probability":0.9},{"deploy_id":null,"service":"","probability":0.1}],"policy":"sha256:","model":"sha256:","cause":{"topic":"errors","partition":1,"offset":1}}{"schema":"holdpoint.decision/1","id":"change:#1","sequence":1,"subject":{"type":"change","service":"","sha":""},"action":"extra_review","mode":"shadow","decided_at":"2026-11-27T00:00:00.000Z","valid_until":null,"risk":0.01,"reasons":[{"code":"change_risk","text":"","value":0.01,"threshold":0.1}],"to_lift":[],"obligations":[],"exempt":[],"suspects":[],"policy":"sha256:","model":"sha256:","cause":{"topic":"commits","partition":1,"offset":1}}{"schema":"holdpoint.decision/1","id":"service:@production#1","sequence":1,"subject":{"type":"service","service":"","environment":"production"},"action":"proceed","mode":"shadow","decided_at":"2026-11-27T00:00:00.000Z","valid_until":null,"risk":0.0,"reasons":[{"code":"unknown_telemetry","text":"nothing speaks against it; its errors have not been told for longer than usual"},{"code":"new_service","text":"seen for the first time"},{"code":"no_baseline","text":"nothing speaks against it; too little history to freeze by errors"},{"code":"healthy","text":"nothing speaks against it"}],"to_lift":[],"obligations":[],"exempt":[],"suspects":[],"policy":"sha256:","model":"sha256:","cause":{"time":"2026-11-27T00:00:00.000Z"}}"#;

/// A text, packed.
#[derive(Clone, PartialEq, Eq)]
pub struct KeptText {
    packed: Box<[u8]>,
    size_bytes: u32,
}

impl KeptText {
    /// Packs a text.
    ///
    /// # Panics
    /// At a text of 4 GiB, which no record holds.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self {
            packed: compress_with_dict(text.as_bytes(), USUAL).into(),
            size_bytes: u32::try_from(text.len()).expect("a record of a topic is below 4 GiB"),
        }
    }

    /// The text.
    ///
    /// # Panics
    /// Never: what is unpacked was packed here.
    #[must_use]
    pub fn text(&self) -> String {
        let size_bytes = usize::try_from(self.size_bytes).expect("at least 32 bits");
        let text = decompress_with_dict(&self.packed, size_bytes, USUAL).expect("what was packed here");
        String::from_utf8(text).expect("a text was packed")
    }
}

impl From<&str> for KeptText {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl fmt::Debug for KeptText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_packed_comes_out(text in ".{0,300}", head in 0..USUAL.len(), tail in 0..USUAL.len()) {
            let usual = std::str::from_utf8(USUAL).expect("ASCII");
            for text in [text.clone(), format!("{}{text}{}", &usual[head..], &usual[..tail])] {
                prop_assert_eq!(KeptText::new(&text).text(), text);
            }
        }
    }
}
