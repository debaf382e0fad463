//! What a view keeps and what it passes over.

use super::{PARTITION, heartbeat, now, numbered, on_change, on_service, place, release, risking, secs, shadow, word};
use crate::{
    gate::{
        Applied, ControlKey, IngestMark, PAGE_ITEMS_MAX, Place, RECENT_MAX, Record, ServiceCursor, StandingDecision,
        Unreadable, View,
    },
    model::{
        Action::{ExtraReview, Freeze, Proceed},
        Effect, Offset, PartitionIndex, Sequence, Subject, Timestamp,
    },
};

/// The sequence that stands for checkout in production.
fn sequence(view: &View) -> Option<u64> {
    let request = release(&[]);
    view.decision(&request.service, &request.environment)
        .map(|decision| decision.sequence.0)
}

fn tombstone() -> Record {
    Record::Forget(ControlKey::Subject(on_service(Proceed).subject))
}

fn on(partition: i32, offset: i64) -> Place {
    Place {
        partition: PartitionIndex(partition),
        offset: Offset(offset),
        timestamp: now(),
    }
}

#[test]
fn a_living_subject_never_goes_back() {
    let decided = |n| Record::Decision(numbered(on_service(Proceed), n));
    let other = |n, later| {
        let decision = numbered(on_service(Proceed), n);
        Record::Decision(StandingDecision {
            decided_at: decision.decided_at + secs(later),
            ..decision
        })
    };
    let first = |n| (on(3, 0), decided(n));
    let cases = [
        ("forward", vec![first(1), (on(3, 1), decided(2))], Some(2)),
        ("a gap", vec![first(1), (on(3, 9), decided(7))], Some(7)),
        ("backward", vec![first(5), (on(3, 1), decided(4))], Some(5)),
        ("a tombstone", vec![first(5), (on(3, 1), tombstone())], None),
        (
            "another life",
            vec![first(5), (on(3, 1), tombstone()), (on(3, 2), decided(1))],
            Some(1),
        ),
        ("read again", vec![first(1), (on(3, 1), tombstone()), first(1)], None),
        (
            "a tombstone again",
            vec![(on(3, 0), tombstone()), (on(3, 1), decided(1)), (on(3, 0), tombstone())],
            Some(1),
        ),
        (
            "a tombstone elsewhere",
            vec![first(5), (on(4, 0), tombstone())],
            Some(5),
        ),
        ("elsewhere, no later", vec![first(5), (on(4, 0), other(9, 0))], Some(5)),
        ("elsewhere, later", vec![first(5), (on(4, 0), other(1, 1))], Some(1)),
    ];
    for (case, records, expected) in cases {
        let view = View::new();
        for (place, record) in records {
            view.apply(place, Ok(record));
        }
        assert_eq!(sequence(&view), expected, "{case}");
    }
}

/// Its offsets and sequences begin again, and time goes on: what stood belongs to a topic that is no more.
#[test]
fn a_topic_made_again_replaces_what_the_old_one_said() {
    let view = View::new();
    view.apply(on(3, 8), Ok(Record::Decision(numbered(on_service(Freeze), 42))));
    view.apply(on(3, 9), Ok(Record::Heartbeat(heartbeat(Some(0)))));
    let again = place(0, now() + secs(1));
    assert!(matches!(
        view.apply(again, Ok(Record::Decision(on_change("a", Proceed)))),
        Applied::Decision(_)
    ));
    assert_eq!(sequence(&view), None);
    assert!(view.heartbeat(PARTITION).is_none());
    assert_eq!(view.position(PARTITION), Some(Offset(1)));
    view.apply(
        place(1, now() + secs(1)),
        Ok(Record::Decision(numbered(on_service(Proceed), 1))),
    );
    assert_eq!(sequence(&view), Some(1));
}

#[test]
fn what_is_passed_over_is_counted() {
    let view = View::new();
    let unreadable = || Err(Unreadable::KeyAndValueDiffer);
    assert!(matches!(view.apply(on(3, 0), unreadable()), Applied::Unreadable(_)));
    assert!(matches!(view.apply(on(3, 0), unreadable()), Applied::SeenBefore));
    assert!(matches!(
        view.apply(on(4, 0), Ok(Record::Heartbeat(heartbeat(None)))),
        Applied::Misplaced
    ));
    let forget = Record::Forget(ControlKey::Heartbeat(PARTITION));
    assert!(matches!(view.apply(on(4, 1), Ok(forget)), Applied::Misplaced));
    for offset in 1..4 {
        view.apply(on(3, offset), Ok(Record::Decision(on_service(Proceed))));
    }
    let counts = view.counts();
    assert_eq!(
        (counts.unreadable, counts.seen_before, counts.misplaced, counts.outdated),
        (1, 1, 2, 2)
    );
}

#[test]
fn words_and_silent_workers_are_forgotten_in_time() {
    let view = View::new();
    let mark = |instance: &str| IngestMark {
        instance: instance.into(),
        at: now(),
        watermark: None,
        behind: false,
        partitions: Some(3),
    };
    for (offset, instance) in ["b", "a"].into_iter().enumerate() {
        let offset = i64::try_from(offset).expect("two");
        view.apply(on(3, offset), Ok(Record::Ingest(mark(instance))));
    }
    // A revocation is kept by its time: a word that it took back may still come.
    view.apply_override(&word(Effect::Freeze, None, 0, -1_000_000, "o-1"));
    view.apply_override(&word(Effect::Freeze, Some("production"), 0, 60, "o-2"));
    let request = release(&[]);
    let newest = |view: &View| {
        view.word(&request.service, &request.environment)
            .map(|word| word.id.to_string())
    };
    let names = |view: &View| {
        view.ingest_marks()
            .iter()
            .map(|seen| seen.record.instance.to_string())
            .collect::<Vec<_>>()
    };
    let day = secs(86_400);
    view.sweep(now() + secs(3_600));
    assert_eq!(
        (newest(&view), names(&view)),
        (Some("o-2".to_owned()), vec!["a".to_owned(), "b".to_owned()])
    );
    view.sweep(now() + day * 8);
    assert_eq!((newest(&view), names(&view)), (Some("o-2".to_owned()), vec![]));
    view.sweep(now() + day * 8 + secs(60));
    assert_eq!(newest(&view), Some("o-2".to_owned()));
    view.sweep(now() + day * 8 + secs(61));
    assert_eq!(newest(&view), None);
    assert!(view.services.is_empty(), "a service without anything is forgotten");
}

fn named(service: &str, decision: StandingDecision) -> StandingDecision {
    let Subject::Service { environment, .. } = decision.subject.clone() else {
        unreachable!("of a service")
    };
    StandingDecision {
        subject: Subject::Service {
            service: service.parse().expect("a name"),
            environment,
        },
        ..decision
    }
}

#[test]
fn services_are_listed_riskiest_first_page_by_page() {
    let view = View::new();
    let lapsed = StandingDecision {
        valid_until: Some(now()),
        ..risking(on_service(Freeze), 0.1)
    };
    let decisions = [
        named("calm", on_service(Proceed)),
        named("busy", risking(on_service(Proceed), 0.3)),
        named("watched", risking(on_service(ExtraReview), 0.2)),
        named("lapsed", lapsed),
        named("b.frozen", risking(shadow(on_service(Freeze)), 0.9)),
        named("a.frozen", risking(on_service(Freeze), 0.9)),
        named("worst", risking(on_service(Freeze), 0.95)),
        named("bland", on_service(Proceed)),
    ];
    for (offset, decision) in decisions.into_iter().enumerate() {
        let offset = i64::try_from(offset).expect("few");
        view.apply(on(3, offset), Ok(Record::Decision(decision)));
    }
    view.apply(on(3, 99), Ok(Record::Decision(on_change("a", ExtraReview))));
    let mut names = Vec::new();
    let mut after: Option<ServiceCursor> = None;
    loop {
        let page = view.services(now(), after.as_ref(), 3);
        names.extend(page.items.iter().map(|decision| decision.subject.service().to_string()));
        let Some(next) = page.next else { break };
        after = Some(next.to_string().parse().expect("what was shown is read"));
        assert_eq!(after, Some(next));
    }
    assert_eq!(
        names,
        [
            "worst", "a.frozen", "b.frozen", "watched", "busy", "lapsed", "bland", "calm"
        ]
    );
    for text in [
        "",
        "freeze",
        "freeze.x.1.ab",
        "freeze.0.9.ab",
        "freeze.0.2.ab",
        "stop.0.1.ab",
    ] {
        assert!(text.parse::<ServiceCursor>().is_err(), "{text}");
    }
}

#[test]
fn pages_of_many_services_hold_each_once_and_in_order() {
    let view = View::new();
    let n = 5 * i32::try_from(PAGE_ITEMS_MAX).expect("small") + 7;
    for i in 0..n {
        // In an order that is not the one of risks.
        let risk = f64::from(i * 7_919 % n) / f64::from(n);
        let decision = named(&format!("s{i}"), risking(on_service(Proceed), risk));
        view.apply(on(3, i64::from(i)), Ok(Record::Decision(decision)));
    }
    let mut risks = Vec::new();
    let mut after: Option<ServiceCursor> = None;
    loop {
        let page = view.services(now(), after.as_ref(), PAGE_ITEMS_MAX);
        risks.extend(page.items.iter().filter_map(|decision| decision.risk));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(risks.len(), usize::try_from(n).expect("small"));
    assert!(risks.windows(2).all(|pair| pair[0] > pair[1]));
}

#[test]
fn the_newest_decisions_are_kept_whatever_the_order_of_arrival() {
    let view = View::new();
    let n = u64::try_from(RECENT_MAX).expect("small") + 10;
    for step in 0..n {
        // Backwards in time, as when partitions are read one behind the other.
        let decided_at = Timestamp::from_millis(now().millis() - i64::try_from(step).expect("small"));
        let decision = StandingDecision {
            decided_at,
            sequence: Sequence(step + 1),
            ..on_service(Proceed)
        };
        view.apply(
            on(3, i64::try_from(step).expect("small")),
            Ok(Record::Decision(decision)),
        );
    }
    let first = view.recent(None, 600);
    assert_eq!((first.items.len(), first.items[0].decided_at), (600, now()));
    let cursor = first
        .next
        .expect("more")
        .to_string()
        .parse()
        .expect("what was shown is read");
    let second = view.recent(Some(cursor), 600);
    assert_eq!((second.items.len(), second.next), (400, None));
    assert_eq!(second.items[0].decided_at.millis(), now().millis() - 600);
}
