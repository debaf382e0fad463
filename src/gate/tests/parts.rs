//! A question in parts is the question at once.

use proptest::prelude::*;

use super::{ALIVE, DEAD, closed, ended, now, of_kind, on_change, on_service, release, shadow, view, word};
use crate::{
    gate::{Answer, Request, StandingDecision, View, assess, merge},
    model::{Action, ChangeKind, Effect, Exemption},
};

const SHAS: [&str; 6] = ["a", "b", "c", "d", "e", "e9d71f5ee7c92d6d"];

/// What varies in a decision: the action, shadow mode, low loss, whether changes must be known, whether it has ended.
type Drawn = (Action, bool, bool, bool, bool);

fn drawn(action: impl Strategy<Value = Action>) -> impl Strategy<Value = Option<Drawn>> {
    // Most are in force and bind, or shadow would hide all else.
    let seldom = || prop::bool::weighted(0.2);
    prop::option::weighted(0.8, (action, seldom(), any::<bool>(), any::<bool>(), seldom()))
}

fn made(
    decision: StandingDecision,
    (_, in_shadow, low_loss, requires_known_changes, is_over): Drawn,
) -> StandingDecision {
    let decision = StandingDecision {
        low_loss,
        requires_known_changes,
        exempt: [Exemption::Security].into(),
        incidents: ["INC-1".into()].into(),
        ..decision
    };
    let decision = if in_shadow { shadow(decision) } else { decision };
    if is_over { ended(decision, 0) } else { decision }
}

fn a_view() -> impl Strategy<Value = View> {
    let of_service = drawn(prop::sample::select(
        &[Action::Proceed, Action::ExtraReview, Action::Freeze][..],
    ));
    // No change is frozen by itself.
    let of_change = drawn(prop::sample::select(&[Action::Proceed, Action::ExtraReview][..]));
    let effect = prop_oneof![Just(Effect::Proceed), Just(Effect::Freeze)];
    let said = prop::option::weighted(0.2, effect);
    (of_service, prop::array::uniform6(of_change), any::<bool>(), said).prop_map(|(service, changes, alive, said)| {
        let of_service = service.map(|drawn| made(on_service(drawn.0), drawn));
        let of_changes = SHAS.iter().zip(changes).filter_map(|(sha, drawn)| {
            let drawn = drawn?;
            Some(made(on_change(sha, drawn.0), drawn))
        });
        let words: Vec<_> = said
            .into_iter()
            .map(|effect| word(effect, None, -60, 600, "o-1"))
            .collect();
        let beat = if alive { ALIVE } else { DEAD };
        view(of_service.into_iter().chain(of_changes).collect(), beat, &words)
    })
}

/// A question with at least one change, and before which of them it is cut.
fn a_question() -> impl Strategy<Value = (Request, Vec<bool>)> {
    let kind = prop_oneof![
        4 => Just(ChangeKind::Release),
        1 => Just(ChangeKind::Rollback),
        1 => Just(ChangeKind::Hotfix),
        1 => Just(ChangeKind::Security),
    ];
    let changes = prop::collection::vec((prop::sample::select(&SHAS[..]), any::<bool>()), 1..9);
    (changes, kind, any::<bool>()).prop_map(|(changes, kind, fails_closed)| {
        let (shas, cuts): (Vec<&str>, Vec<bool>) = changes.into_iter().unzip();
        let request = of_kind(kind, Some("INC-1"), release(&shas));
        let request = if fails_closed { closed(request) } else { request };
        (request, cuts)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_096))]

    #[test]
    fn the_answers_to_parts_come_to_the_answer_to_the_whole(view in a_view(), (request, cuts) in a_question()) {
        let mut parts = vec![Request { changes: Vec::new(), ..request.clone() }];
        for (sha, cut) in request.changes.iter().zip(&cuts) {
            if *cut && !parts[parts.len() - 1].changes.is_empty() {
                parts.push(Request { changes: Vec::new(), ..request.clone() });
            }
            parts.last_mut().expect("the first").changes.push(sha.clone());
        }
        let verdicts: Vec<_> = parts.iter().map(|part| assess(&view, part, now())).collect();
        let answers: Vec<Answer> = verdicts.iter().map(Answer::from).collect();
        let whole = assess(&view, &request, now());
        let (index, merged) = merge(&answers);
        prop_assert_eq!(merged, Answer::from(&whole));
        prop_assert_eq!(&verdicts[index].decision, &whole.decision);
        prop_assert_eq!(&verdicts[index].word, &whole.word);
    }
}

/// An instance of another version may say it in other words: they stay.
#[test]
fn a_freeze_of_the_service_is_told_once_and_what_was_never_seen_is_counted_over_all_parts() {
    let view = view(vec![on_service(Action::Freeze)], DEAD, &[]);
    let frozen = "checkout is frozen in production until 15:15:00Z: errors since d-81; to lift: roll back d-81";
    let parts = [&["a"][..], &["b", "c"]].map(|part| Answer::from(&assess(&view, &release(part), now())));
    let (_, merged) = merge(&parts);
    assert_eq!(*merged.text, format!("{frozen}; 3 of the 3 changes were never seen"));
    let parts = parts.map(|part| Answer {
        text: "frozen".into(),
        ..part
    });
    let (_, merged) = merge(&parts);
    assert_eq!(*merged.text, *"frozen; 3 of the 3 changes were never seen");
    assert_eq!(merge(&parts[..1]), (0, parts[0].clone()));
}
