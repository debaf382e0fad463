//! What ought to stand: an action, until when, and why.

use crate::{
    model::{Action, Reason, Suspect, Timestamp, UnitInterval, short_hash},
    score::environment::Outlasting,
};

pub(super) const COOLDOWN_CODE: &str = "cooldown";
pub(super) const OUTLASTING_CODE: &str = "errors_go_on";

/// What ought to stand.
pub(super) struct Ought {
    pub(super) action: Action,
    pub(super) valid_until: Option<Timestamp>,
    pub(super) risk: Option<UnitInterval>,
    /// At least one; the first is the ground.
    pub(super) reasons: Vec<Reason>,
    /// What the reason is about: a deploy, an incident.
    pub(super) about: Box<str>,
    pub(super) to_lift: Vec<Box<str>>,
    pub(super) suspects: Vec<Suspect>,
    pub(super) low_loss_passes: bool,
}

impl Ought {
    pub(super) fn code(&self) -> &str {
        self.reasons.first().map_or("", |reason| &reason.code)
    }

    /// Half of the hash of its ground, of what that is about, and of what is told beside it for as long as it holds.
    pub(super) fn ground(&self, incidents: &[Box<str>]) -> u32 {
        let passes = if self.low_loss_passes { " low loss passes" } else { "" };
        let mut beside = self.reasons.iter().skip(1);
        let goes_on = if beside.any(|reason| &*reason.code == OUTLASTING_CODE) {
            let deploy_id = self.suspects.first().and_then(|suspect| suspect.deploy_id.as_deref());
            format!(" errors go on {}", deploy_id.unwrap_or_default())
        } else {
            String::new()
        };
        let (code, about) = (self.code(), &self.about);
        short_hash(&format!("{code}:{about}:{}{passes}{goes_on}", incidents.join(" ")))
    }

    /// An extra review lasts as long as its ground does, which nobody knows; all else ends when it says.
    pub(super) fn has_own_end(&self) -> bool {
        self.action != Action::ExtraReview || self.code() == COOLDOWN_CODE
    }
}

pub(super) fn plain(action: Action, valid_until: Option<Timestamp>, reason: Reason) -> Ought {
    Ought {
        action,
        valid_until,
        risk: None,
        reasons: vec![reason],
        about: "".into(),
        to_lift: Vec::new(),
        suspects: Vec::new(),
        low_loss_passes: false,
    }
}

pub(super) fn wait_until(until: Timestamp) -> Box<str> {
    format!("or wait: it ends {until}").into()
}

pub(super) fn roll_back(deploy_id: &str) -> Box<str> {
    format!("roll back {deploy_id}").into()
}

/// Where nothing else lifts it.
pub(super) fn only_wait_until(until: Timestamp) -> Box<str> {
    format!("wait: it ends {until}").into()
}

pub(super) fn wait_until_back(outlasting: Outlasting) -> Box<str> {
    let until = outlasting.until();
    format!("wait: it ends when errors are back, and {until} at the latest").into()
}
