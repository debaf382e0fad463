//! What stands, for how long, and the worst of it.

use super::{
    ALIVE, Beat, CLOSED, DEAD, FROZEN, GO, OPEN, REVIEW, WOULD_FREEZE, WOULD_GO, WOULD_REVIEW, check, closed, ended,
    not_all_known, now, on_change, on_service, release, shadow, view,
};
use crate::{
    gate::{Finding, StandingDecision, unreachable},
    model::Action::{ExtraReview, Freeze, Proceed},
};

#[test]
fn what_stands_decides_until_its_end() {
    let endless = StandingDecision {
        valid_until: None,
        ..on_service(ExtraReview)
    };
    let cases = [
        ("a healthy service", on_service(Proceed), ALIVE, GO),
        ("a frozen service", on_service(Freeze), ALIVE, FROZEN),
        ("a service under review", on_service(ExtraReview), ALIVE, REVIEW),
        ("a freeze outlives its scorer", on_service(Freeze), DEAD, FROZEN),
        (
            "so does a review",
            on_service(ExtraReview),
            Some((600_000, None)),
            REVIEW,
        ),
        (
            "a freeze's last millisecond",
            ended(on_service(Freeze), -1),
            DEAD,
            FROZEN,
        ),
        ("the end of a freeze", ended(on_service(Freeze), 0), ALIVE, OPEN),
        ("the end of a review", ended(on_service(ExtraReview), 0), ALIVE, OPEN),
        ("a review without an end", endless, DEAD, REVIEW),
        ("the end of a proceed", ended(on_service(Proceed), 0), ALIVE, OPEN),
        ("a proceed before its end", ended(on_service(Proceed), -1), ALIVE, GO),
        ("a shadow freeze", shadow(on_service(Freeze)), DEAD, WOULD_FREEZE),
        ("a shadow review", shadow(on_service(ExtraReview)), ALIVE, WOULD_REVIEW),
        ("a shadow proceed", shadow(on_service(Proceed)), ALIVE, WOULD_GO),
    ];
    for (case, decision, beat, expected) in cases {
        check(case, &view(vec![decision], beat, &[]), &release(&[]), expected);
    }
}

#[test]
fn a_proceed_is_as_good_as_its_heartbeat() {
    let cases: [(&str, Beat, _); 10] = [
        ("14.999 s old", Some((14_999, Some(0))), GO),
        ("15 s old", Some((15_000, Some(0))), GO),
        ("15.001 s old", Some((15_001, Some(0))), OPEN),
        ("never heard of", DEAD, OPEN),
        ("59.999 s behind", Some((0, Some(59_999))), GO),
        ("60 s behind", Some((0, Some(60_000))), GO),
        ("60.001 s behind", Some((0, Some(60_001))), OPEN),
        ("without a time of its own", Some((0, None)), OPEN),
        ("a broker's clock ahead of the gate's", Some((-30_000, Some(0))), GO),
        ("a scorer's clock ahead of the gate's", Some((0, Some(-30_000))), GO),
    ];
    for (case, beat, expected) in cases {
        let view = view(vec![on_service(Proceed)], beat, &[]);
        check(case, &view, &release(&[]), expected);
        check(
            case,
            &view,
            &closed(release(&[])),
            if expected == OPEN { CLOSED } else { expected },
        );
    }
}

#[test]
fn nothing_known_follows_the_fail_mode_and_shadow_mode_never_blocks() {
    let nothing = view(vec![], ALIVE, &[]);
    check("open", &nothing, &release(&[]), OPEN);
    check("closed", &nothing, &closed(release(&[])), CLOSED);
    let in_shadow = view(vec![shadow(on_service(Freeze))], DEAD, &[]);
    check(
        "a shadow freeze stands too",
        &in_shadow,
        &closed(release(&[])),
        WOULD_FREEZE,
    );
    let lapsed = view(vec![ended(shadow(on_service(Freeze)), 0)], DEAD, &[]);
    check("until its end", &lapsed, &closed(release(&[])), CLOSED);
}

#[test]
fn changes_of_low_loss_pass_a_freeze_that_says_so_and_no_other() {
    let low = |decision: StandingDecision| StandingDecision {
        low_loss: true,
        ..decision
    };
    let frozen = || low(on_service(Freeze));
    let (a, b) = (|| low(on_change("a", Proceed)), || on_change("b", Proceed));
    let cases: [(&str, Vec<_>, &[&str], _); 7] = [
        ("one", vec![frozen(), a()], &["a"], GO),
        ("one of two", vec![frozen(), a(), b()], &["a", "b"], FROZEN),
        ("none named", vec![frozen(), a()], &[], FROZEN),
        (
            "one never seen",
            vec![frozen(), a()],
            &["a", "z"],
            not_all_known(FROZEN),
        ),
        (
            "where the policy does not say so",
            vec![on_service(Freeze), a()],
            &["a"],
            FROZEN,
        ),
        (
            "under review itself",
            vec![frozen(), low(on_change("a", ExtraReview))],
            &["a"],
            REVIEW,
        ),
        (
            "an extra review",
            vec![low(on_service(ExtraReview)), a()],
            &["a"],
            REVIEW,
        ),
    ];
    for (case, decisions, changes, expected) in cases {
        check(case, &view(decisions, ALIVE, &[]), &release(changes), expected);
    }
}

#[test]
fn the_worst_of_service_and_changes_decides() {
    let (ok, bad) = (|| on_service(Proceed), || on_service(Freeze));
    let (a, b) = (|| on_change("a", Proceed), || on_change("b", ExtraReview));
    let cases: [(&str, Vec<_>, &[&str], _); 10] = [
        ("all well", vec![ok(), a()], &["a"], GO),
        ("one change of two", vec![ok(), a(), b()], &["a", "b"], REVIEW),
        ("a change not asked about", vec![ok(), b()], &[], GO),
        ("the service is worse", vec![bad(), b()], &["b"], FROZEN),
        ("never seen", vec![ok()], &["z"], not_all_known(GO)),
        ("never seen, and frozen", vec![bad()], &["z"], not_all_known(FROZEN)),
        ("one never seen", vec![ok(), b()], &["b", "z"], not_all_known(REVIEW)),
        ("lapsed", vec![ok(), ended(b(), 0)], &["b"], not_all_known(GO)),
        ("a shadow change", vec![ok(), shadow(b())], &["b"], WOULD_REVIEW),
        ("a shadow service", vec![shadow(bad()), b()], &["b"], REVIEW),
    ];
    for (case, decisions, changes, expected) in cases {
        check(case, &view(decisions, ALIVE, &[]), &release(changes), expected);
    }
    // A review stops the pipeline where not knowing the service would not; failing closed, an approval would not do.
    let unknown = view(vec![b()], DEAD, &[]);
    check("unknown, open", &unknown, &release(&["b"]), not_all_known(REVIEW));
    check("unknown, closed", &unknown, &closed(release(&["b"])), CLOSED);
}

#[test]
fn where_known_changes_are_required_one_never_seen_is_not_known() {
    let strict = |decision| StandingDecision {
        requires_known_changes: true,
        ..decision
    };
    let service = || strict(on_service(Proceed));
    let cases: [(&str, Vec<_>, &[&str], _); 5] = [
        ("known", vec![service(), on_change("a", Proceed)], &["a"], GO),
        ("none asked about", vec![service()], &[], GO),
        (
            "one known, one not",
            vec![service(), on_change("a", Proceed)],
            &["a", "z"],
            CLOSED,
        ),
        (
            "frozen besides",
            vec![strict(on_service(Freeze))],
            &["z"],
            not_all_known(FROZEN),
        ),
        ("in shadow", vec![shadow(service())], &["z"], not_all_known(WOULD_GO)),
    ];
    for (case, decisions, changes, expected) in cases {
        check(case, &view(decisions, ALIVE, &[]), &closed(release(changes)), expected);
    }
    check(
        "failing open",
        &view(vec![service()], ALIVE, &[]),
        &release(&["z"]),
        OPEN,
    );
}

#[test]
fn a_gate_that_reaches_nobody_follows_the_fail_mode() {
    let verdict = unreachable(&closed(release(&["a"])), "no broker answers", now());
    assert_eq!(
        (verdict.verdict, verdict.known, verdict.exit_status.code()),
        (Finding::Unknown, false, 30)
    );
    assert_eq!(
        unreachable(&release(&[]), "no broker answers", now())
            .exit_status
            .code(),
        0
    );
}
