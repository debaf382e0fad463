//! Evidence against a deploy: a freeze for it, or one that was asked for.

use std::collections::BTreeMap;

use super::{
    figures::{round, significant},
    grounds::withhold,
    kinds::name_dominant,
    ought::{Ought, plain, roll_back},
};
use crate::{
    model::{Action, Evidence, Reason, ServiceId, Timestamp, UnitInterval},
    score::{
        environment::Proposal,
        hold::{Beside, Found},
    },
};

pub(super) fn by_proposal(proposal: &Proposal, service: &ServiceId, until: Timestamp) -> Ought {
    let Proposal {
        deploy_id,
        found,
        withheld,
        ..
    } = proposal;
    let mut ought = by_found(found, deploy_id, Action::ExtraReview, until);
    ought.suspects = found.suspects(service);
    if proposal.is_noisy() {
        for reason in &mut ought.reasons {
            reason.code = "noisy_service".into();
            reason.text = format!(
                "{}; they rise as far where nothing was deployed, so it is not frozen",
                reason.text
            )
            .into();
        }
    } else if *withheld {
        withhold(&mut ought);
    }
    ought.to_lift = vec![roll_back(deploy_id)];
    ought
}

pub(super) fn by_found(found: &Found, deploy_id: &str, action: Action, until: Timestamp) -> Ought {
    let since = found.since_onset;
    let ratio = round(since.ratio(), 100.0);
    let usual = match found.beside {
        Beside::Requests => "the baseline (per request)",
        Beside::Minutes => "the baseline (per minute, requests not known)",
        Beside::Version => "those of the version beside it",
        Beside::Raised => "what they had risen to before it",
    };
    let text = format!("errors at {ratio} times {usual} since deploy {deploy_id}");
    let mut reason = Reason::new("deploy_regression", text);
    reason.value = Some(ratio);
    reason.threshold = Some(round(1.0 + found.margin(), 1_000.0));
    let e_value = f64::from(found.ln_e).min(690.0).exp();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::as_conversions,
        reason = "a count of errors, ≥ 0"
    )]
    let errors = f64::from(since.errors).round() as u64;
    reason.evidence = BTreeMap::from([
        ("deploy_id", Evidence::Text(deploy_id.into())),
        ("e_value", Evidence::Number(significant(e_value))),
        ("errors", Evidence::Count(errors)),
        ("expected", Evidence::Number(round(f64::from(since.expected), 100.0))),
        (
            "e_threshold",
            Evidence::Number(significant(f64::from(found.threshold.ln_e).min(690.0).exp())),
        ),
        (
            "placebo_windows",
            Evidence::Number(f64::from(found.threshold.n).round()),
        ),
        (
            "placebo_quantile",
            Evidence::Number(significant(f64::from(found.threshold.ln_quantile).min(690.0).exp())),
        ),
    ]);
    name_dominant(&mut reason, found.dominant.as_ref());
    Ought {
        // The chance of a regression at even odds before the evidence.
        risk: Some(UnitInterval::clamped(e_value / (1.0 + e_value)).rounded()),
        about: deploy_id.into(),
        ..plain(action, Some(until), reason)
    }
}

/// The rise of errors is put down to another service: it is frozen there.
pub(super) fn put_elsewhere(ought: &mut Ought, proposal: &Proposal) {
    let Some(blamed) = proposal.found.suspects.first() else {
        return;
    };
    let Some(service) = blamed.of.as_deref() else {
        return;
    };
    let what = blamed.deploy_id.as_ref().map_or_else(
        || format!("trouble of {service}, with no deploy to blame"),
        |deploy_id| format!("deploy {deploy_id} of {service}"),
    );
    if let Some(deploy_id) = &blamed.deploy_id {
        ought.to_lift = vec![format!("roll back {deploy_id} of {service}").into()];
    }
    for reason in &mut ought.reasons {
        reason.code = "dependency_regression".into();
        reason.text = format!("{}; put down to {what}, which it depends on", reason.text).into();
    }
    ought.about = what.into();
}
