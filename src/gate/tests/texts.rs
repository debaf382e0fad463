//! The sentences.

use super::{
    ALIVE, Beat, DEAD, because, closed, now, of_kind, on_change, on_service, release, secs, shadow, view, word,
};
use crate::{
    gate::{Request, StandingDecision, View, assess, unreachable},
    model::{
        Action::{ExtraReview, Freeze, Proceed},
        ApprovalKind, ChangeKind, Effect, Level, Obligation, When,
    },
};

fn says(view: &View, request: &Request, text: &str) {
    assert_eq!(assess(view, request, now()).text, text);
}

fn of(decision: StandingDecision, beat: Beat) -> View {
    view(vec![decision], beat, &[])
}

#[test]
fn a_stop_says_what_why_until_when_and_what_lifts_it() {
    says(
        &of(on_service(Freeze), DEAD),
        &release(&[]),
        "checkout is frozen in production until 15:15:00Z: errors since d-81; to lift: roll back d-81",
    );
    let far = StandingDecision {
        valid_until: Some(now() + secs(86_400)),
        ..on_service(Freeze)
    };
    says(
        &of(far, DEAD),
        &of_kind(ChangeKind::Hotfix, None, release(&[])),
        "checkout is frozen in production until 2026-03-11T14:15:00Z: errors since d-81; to lift: roll back d-81; \
         a hotfix with the id of an open incident would pass",
    );
    let kind = ApprovalKind::Approval;
    let asked = Obligation {
        kind,
        count: 1,
        level: Some(Level::Senior),
        group: None,
        when: When::default(),
    };
    let change = StandingDecision {
        obligations: [asked].into(),
        ..on_change("e9d71f5ee7c92d6d", ExtraReview)
    };
    says(
        &view(vec![on_service(Proceed), change], ALIVE, &[]),
        &release(&["e9d71f5ee7c92d6d"]),
        "change e9d71f5ee7c9 of checkout needs an extra review: errors since d-81; \
         needed: 1 approval by a senior or above",
    );
    says(
        &of(on_change("b", ExtraReview), DEAD),
        &release(&["b"]),
        "change b of checkout needs an extra review: errors since d-81; to lift: roll back d-81; \
         besides, nothing is known of checkout in production",
    );
}

#[test]
fn what_does_not_stop_says_why_it_does_not() {
    says(
        &of(shadow(on_service(Freeze)), DEAD),
        &release(&[]),
        "would have frozen checkout in production until 15:15:00Z: errors since d-81; shadow mode blocks nothing",
    );
    says(
        &of(on_service(Proceed), ALIVE),
        &release(&["z"]),
        "the change was never seen; checkout may be deployed to production",
    );
    says(
        &view(
            vec![on_service(Freeze)],
            DEAD,
            &[word(Effect::Proceed, None, -60, 600, "o-1")],
        ),
        &release(&[]),
        "override o-1 lets checkout proceed in production until 14:25:00Z: release day",
    );
    says(
        &of(on_service(Freeze), DEAD),
        &of_kind(ChangeKind::Rollback, None, release(&[])),
        "a rollback passes the freeze of checkout in production (errors since d-81)",
    );
    says(
        &of(on_service(Freeze), DEAD),
        &of_kind(ChangeKind::Hotfix, Some("INC-1"), release(&[])),
        "checkout is frozen in production until 15:15:00Z: errors since d-81; to lift: roll back d-81; \
         INC-1 is no open incident of checkout",
    );
    let named = "checkout is frozen in production until 15:15:00Z: so; to lift: roll back d-81; \
                 INC-1 is no open incident of checkout; a hotfix for incident INC-2 would pass";
    says(
        &of(because(on_service(Freeze), "incident", Some("INC-2")), DEAD),
        &of_kind(ChangeKind::Hotfix, Some("INC-1"), release(&[])),
        named,
    );
}

/// That nothing speaks against it is worth something only where something would.
#[test]
fn a_consent_says_where_nothing_is_watched_or_known() {
    for (code, rest) in [
        ("healthy", ""),
        ("new_service", "; it is new, so its errors are not watched yet"),
        (
            "no_baseline",
            "; it has too little history, so its errors freeze nothing yet",
        ),
        (
            "unknown_telemetry",
            "; how it is is not known, for its errors have not been told for longer than usual",
        ),
        ("of_tomorrow", ""),
    ] {
        let text = format!("checkout may be deployed to production{rest}");
        says(
            &of(because(on_service(Proceed), code, None), ALIVE),
            &release(&[]),
            &text,
        );
    }
}

#[test]
fn what_is_not_known_is_said_with_the_fail_mode() {
    let nothing = view(vec![], DEAD, &[]);
    says(
        &nothing,
        &release(&[]),
        "nothing is known of checkout in production; failing open",
    );
    says(
        &of(on_service(Proceed), Some((40_000, None))),
        &closed(release(&[])),
        "the scorer of checkout has been silent for 40 s; failing closed",
    );
    says(
        &nothing,
        &closed(of_kind(ChangeKind::Rollback, None, release(&[]))),
        "nothing is known of checkout in production; failing closed, also for a rollback: --fail-mode open lets it by",
    );
    let verdict = unreachable(&closed(release(&["a"])), "no broker answers", now());
    assert_eq!(
        verdict.text,
        "no broker answers; failing closed; the change was never seen"
    );
}

/// Reasons quote events, and events are anybody's.
#[test]
fn nothing_that_acts_on_a_terminal_reaches_it() {
    let mut hostile = on_service(Freeze);
    hostile.reasons[0].text = format!("\u{1b}[2J\n\u{202e}\u{2066}\u{2028}{}", "x".repeat(2_000)).into();
    let text = assess(&of(hostile, DEAD), &release(&[]), now()).text;
    assert!(
        text.chars().count() == 601
            && !text.contains(|letter: char| letter.is_control() || "\u{2028}\u{202e}\u{2066}".contains(letter)),
        "{text}"
    );
}
