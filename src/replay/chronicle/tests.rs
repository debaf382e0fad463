//! Which timelines are kept.

use super::*;
use crate::{
    model::{Cause, Evidence, Mode, Reason, Sequence, ServiceId},
    replay::fates::Fate,
};

fn service(i: usize) -> ServiceId {
    format!("s-{i}").parse().expect("a name")
}

/// The hour at which the freeze of service `i` begins.
fn hour(i: usize) -> Timestamp {
    Timestamp::from_millis(0) + Duration::from_hours(u64::try_from(i).expect("small"))
}

/// A freeze by evidence, of ten minutes.
fn freeze(i: usize) -> Decision {
    Decision {
        sequence: Sequence(1),
        subject: Subject::Service {
            service: service(i),
            environment: "production".parse().expect("a name"),
        },
        action: Action::Freeze,
        mode: Mode::Shadow,
        decided_at: hour(i),
        valid_until: Some(hour(i) + Duration::from_mins(10)),
        frozen_since: Some(hour(i)),
        risk: None,
        reasons: vec![Reason::new(EVIDENCE, "errors")],
        to_lift: Vec::new(),
        obligations: Vec::new(),
        exempt: Vec::new(),
        incidents: Vec::new(),
        requires_known_changes: false,
        low_loss: false,
        suspects: Vec::new(),
        policy: "".into(),
        model: "".into(),
        cause: Cause::Time(hour(i)),
    }
}

fn fate(i: usize, borne_out: bool) -> Fate {
    Fate {
        at: hour(i),
        service: service(i),
        environment: "production".parse().expect("a name"),
        tier: Criticality::Medium,
        borne_out,
    }
}

/// One an hour, each judged four hours after its beginning; the last ten are false.
#[test]
fn a_freeze_that_may_yet_be_found_false_keeps_its_timeline() {
    let n = KEPT_MAX + 10;
    let mut chronicle = Chronicle::default();
    for i in 0..n + 4 {
        if let Some(judged) = i.checked_sub(4) {
            chronicle.judge(&fate(judged, judged < KEPT_MAX));
        }
        if i < n {
            chronicle.decided(&freeze(i), Criticality::Medium, None);
        }
    }
    chronicle.finish();
    assert_eq!(chronicle.n_freezes(), u64::try_from(n).expect("small"));
    let ranked = chronicle.ranked(|_| true).into_iter();
    let first: Vec<&ServiceId> = ranked.take(10).map(|timeline| &timeline.service).collect();
    let expected: Vec<ServiceId> = (KEPT_MAX..n).map(service).collect();
    assert_eq!(first, expected.iter().collect::<Vec<_>>());
    assert_eq!(chronicle.timelines.len(), KEPT_MAX);
}

/// All begin within four hours of each other, so that nobody knows of any whether it was false.
#[test]
fn timelines_have_a_bound_where_none_is_judged() {
    let mut chronicle = Chronicle::default();
    for i in 0..KEPT_MAX + 10 {
        chronicle.decided(&freeze(i), Criticality::Medium, None);
    }
    chronicle.finish();
    assert_eq!(chronicle.timelines.len(), KEPT_MAX);
}

/// A window closes more services at once than timelines are kept.
#[test]
fn windows_leave_room_for_what_is_found() {
    let mut chronicle = Chronicle::default();
    for i in 0..2 * KEPT_MAX {
        let mut decision = freeze(i);
        decision.decided_at = hour(0);
        decision.valid_until = Some(hour(60));
        decision.reasons = vec![Reason::new("policy:weekend", "closed")];
        chronicle.decided(&decision, Criticality::Critical, None);
    }
    let found = 2 * KEPT_MAX;
    let mut decision = freeze(found);
    decision.decided_at = hour(1);
    chronicle.decided(&decision, Criticality::Low, None);
    chronicle.finish();
    let first = chronicle.ranked(|_| true);
    assert_eq!(chronicle.n_freezes(), u64::try_from(found + 1).expect("small"));
    assert_eq!(
        (&first[0].service, &*first[1].ground),
        (&service(found), "policy:weekend")
    );
}

/// A suspect may be taken back that is not the one convicted; a rollback has an id that was not seen before.
#[test]
fn a_freeze_says_whose_taking_back_lifted_it() {
    let mark = |minute: u64, kind, label: &str| Mark {
        at: hour(9) + Duration::from_mins(minute),
        kind,
        label: label.into(),
    };
    let deployed = [mark(0, MarkKind::Deploy, "bad"), mark(1, MarkKind::Deploy, "suspect")];
    let mut begins = freeze(9);
    begins.valid_until = Some(hour(12));
    let named = Evidence::Text("bad".into());
    begins.reasons[0].evidence.insert("deploy_id", named);
    let ends = Decision {
        action: Action::Proceed,
        decided_at: hour(10),
        ..begins.clone()
    };
    for (label, expected) in [
        ("bad", "the deploy"),
        ("rollback", "the deploy"),
        ("suspect", "another deploy"),
    ] {
        let mut timeline = Timeline::begin(&begins, Criticality::Medium, BEFORE).expect("of a service");
        let taken_back = [mark(20, MarkKind::TakenBack, label)];
        timeline.end(&ends, &deployed.iter().chain(&taken_back).cloned().collect());
        assert_eq!(
            timeline.lifted_by(),
            format!("{expected} was taken back and errors recovered"),
            "{label}"
        );
    }
}
