//! What kind of errors most of them are, told with a reason.

use crate::{
    model::{Evidence, Reason},
    score::{environment::Environment, kinds::Dominant},
};

impl Environment {
    pub(super) fn elevated_reason(&self) -> Reason {
        let mut reason = Reason::new(
            "evidence_elevated",
            "errors since the last deploy are above what is usual",
        );
        let dominant = self.kinds.as_ref().and_then(|kinds| kinds.dominant());
        name_dominant(&mut reason, dominant.as_ref());
        reason
    }
}

/// Adds to a reason which fingerprint most errors since the onset are of.
pub(super) fn name_dominant(reason: &mut Reason, dominant: Option<&Dominant>) {
    let Some(Dominant { text, percent }) = dominant else {
        return;
    };
    let text = text.text();
    reason.text = format!("{}; about {percent} % of them are of fingerprint {text}", reason.text).into();
    reason.evidence.insert("fingerprint", Evidence::Text(text.into()));
    reason
        .evidence
        .insert("fingerprint_share", Evidence::Number(f64::from(*percent) / 100.0));
}
