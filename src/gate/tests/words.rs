//! People's words: overrides.

use super::{
    ALIVE, CLOSED, DEAD, FROZEN, GO, OPEN, REVIEW, because, check, closed, of_kind, on_change, on_service, release,
    shadow, view, word,
};
use crate::model::{
    Action::{ExtraReview, Freeze, Proceed},
    ChangeKind,
    Effect::{Freeze as Stop, Proceed as Go},
};

const HERE: Option<&str> = Some("production");

#[test]
fn a_persons_word_counts_at_once() {
    let frozen = || vec![on_service(Freeze)];
    let in_shadow = vec![shadow(on_service(Proceed))];
    let cases = [
        ("over a freeze", frozen(), word(Go, HERE, -60, 600, "o"), GO),
        (
            "over a proceed",
            vec![on_service(Proceed)],
            word(Stop, HERE, -60, 600, "o"),
            FROZEN,
        ),
        ("over shadow mode", in_shadow, word(Stop, HERE, -60, 600, "o"), FROZEN),
        ("over nothing", vec![], word(Stop, HERE, -60, 600, "o"), FROZEN),
        ("over nothing, to proceed", vec![], word(Go, HERE, -60, 600, "o"), GO),
        ("in every environment", vec![], word(Stop, None, -60, 600, "o"), FROZEN),
        ("elsewhere", vec![], word(Stop, Some("staging"), -60, 600, "o"), CLOSED),
        ("its last second", vec![], word(Stop, None, -60, 1, "o"), FROZEN),
        ("its end", vec![], word(Stop, None, -60, 0, "o"), CLOSED),
        (
            "revoked, by a clock ahead",
            frozen(),
            word(Go, None, 60, 60, "o"),
            FROZEN,
        ),
    ];
    for (case, decisions, word, expected) in cases {
        check(case, &view(decisions, DEAD, &[word]), &closed(release(&[])), expected);
    }
}

#[test]
fn a_word_to_proceed_covers_the_changes_and_exempt_kinds_pass_a_word_to_freeze() {
    let review = || on_change("b", ExtraReview);
    let cases = [
        (Go, review(), ChangeKind::Release, GO),
        (Stop, review(), ChangeKind::Release, FROZEN),
        (Stop, on_change("b", Proceed), ChangeKind::Security, GO),
        (Stop, review(), ChangeKind::Security, REVIEW),
        (Stop, review(), ChangeKind::Rollback, GO),
        (Stop, review(), ChangeKind::Hotfix, FROZEN),
    ];
    for (effect, change, kind, expected) in cases {
        let view = view(vec![change], ALIVE, &[word(effect, HERE, -60, 600, "o")]);
        check("with a change", &view, &of_kind(kind, None, release(&["b"])), expected);
    }
}

/// By time, then by id; the word on one environment and that on all stand in one line.
#[test]
fn the_newest_word_decides_also_when_it_has_ended() {
    let (stop, go) = (word(Stop, HERE, -60, 600, "a"), word(Go, HERE, -50, 600, "a"));
    let on_all = word(Stop, None, -60, 600, "a");
    let cases = [
        ("the later", [stop.clone(), go.clone()], GO),
        ("in any order", [go, stop.clone()], GO),
        ("the greater id", [word(Go, HERE, -60, 600, "b"), stop.clone()], GO),
        ("all after one", [stop.clone(), word(Go, None, -50, 600, "a")], GO),
        (
            "one after all",
            [word(Stop, HERE, -50, 600, "a"), word(Go, None, -60, 600, "a")],
            FROZEN,
        ),
        ("a revocation", [on_all.clone(), word(Stop, HERE, -50, -50, "a")], OPEN),
        (
            "a revocation that comes first",
            [word(Stop, HERE, -50, -50, "b"), stop],
            OPEN,
        ),
        ("an end uncovers nothing", [on_all, word(Go, HERE, -50, 0, "a")], OPEN),
    ];
    for (case, words, expected) in cases {
        check(case, &view(vec![], DEAD, &words), &release(&[]), expected);
    }
}

/// The decision that repeats a person's word does not outlive the word, scorer or not.
#[test]
fn a_decision_by_override_falls_with_the_override() {
    let decided = || because(on_service(Freeze), "override", None);
    let given = || word(Stop, None, -600, 3600, "a");
    let revoked = || word(Stop, None, -5, -5, "b");
    let cases = [
        ("given", decided(), vec![given()], FROZEN),
        ("revoked", decided(), vec![given(), revoked()], CLOSED),
        (
            "not seen here yet, an older one was",
            decided(),
            vec![word(Stop, None, -900, -700, "0")],
            FROZEN,
        ),
        ("no word at all", decided(), vec![], FROZEN),
        ("another ground", on_service(Freeze), vec![given(), revoked()], FROZEN),
    ];
    for (case, decision, words, expected) in cases {
        check(
            case,
            &view(vec![decision], DEAD, &words),
            &closed(release(&[])),
            expected,
        );
    }
}
