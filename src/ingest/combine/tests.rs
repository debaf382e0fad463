use super::*;
use crate::model::PartitionIndex;

fn error(n: u64, fingerprint: &str) -> Event<'_> {
    Event {
        id: n.to_string().into(),
        time: Timestamp::from_millis(1_772_409_600_000),
        service: "checkout".into(),
        environment: None,
        source: "errors".into(),
        body: Body::Error(ErrorCount {
            errors: n,
            is_storm: false,
            requests: None,
            interval_ms: 0,
            version: Some("1.2".into()),
            fingerprint: Some(fingerprint.into()),
            upstream: None,
        }),
    }
}

/// Adds errors of those fingerprints in that order and says what became of them: per entry its variants' fingerprints,
/// and each original's fingerprint and count.
fn combined(fingerprints: &[String]) -> Vec<(usize, Vec<(String, u64)>)> {
    let mut batch = Batch::new(1);
    let arrival = Arrival {
        origin: Origin {
            topic: "errors",
            partition: PartitionIndex(0).0,
            offset: 0,
        },
        default_environment: "production",
    };
    for (n, fingerprint) in (1..).zip(fingerprints) {
        batch.add(&error(n, fingerprint), 0, &arrival, |_, _| {
            unreachable!("errors are packed later")
        });
    }
    let entries = std::cell::RefCell::new(Vec::new());
    let read = |entry: &Entry<'_>, _: &mut Vec<u8>| {
        let Entry::Errors(errors) = entry else {
            unreachable!("only errors")
        };
        let fingerprints = errors.variants().filter_map(|variant| variant.fingerprint);
        let variants: Vec<&str> = fingerprints.filter_map(|text| std::str::from_utf8(text).ok()).collect();
        let originals = errors
            .originals()
            .map(|original| (variants[usize::from(original.variant)].to_owned(), original.errors));
        entries.borrow_mut().push((variants.len(), originals.collect()));
    };
    batch.pack(0, (&mut Vec::new(), usize::MAX), read, |_, _| {});
    entries.into_inner()
}

#[test]
fn errors_of_several_kinds_become_one_entry_in_the_order_they_came() {
    let kinds = ["a", "b", "a", "c", "b", "a"].map(str::to_owned);
    let originals: Vec<(String, u64)> = kinds.iter().cloned().zip(1..).collect();
    assert_eq!(combined(&kinds), [(3, originals)]);
}

#[test]
fn an_entry_has_so_many_variants_and_no_more() {
    let kinds: Vec<String> = (0..=VARIANTS_MAX)
        .map(|n| format!("kind {n}"))
        .chain(["kind 0".to_owned()])
        .collect();
    let lengths: Vec<(usize, usize)> = combined(&kinds)
        .into_iter()
        .map(|(n, originals)| (n, originals.len()))
        .collect();
    assert_eq!(lengths, [(VARIANTS_MAX, VARIANTS_MAX), (2, 2)]);
}

/// A batch of one hot service leaves no share with its memory for ever.
#[test]
fn a_share_gives_back_what_a_large_batch_took() {
    let mut batch = Batch::new(1);
    let arrival = Arrival {
        origin: Origin {
            topic: "errors",
            partition: 0,
            offset: 0,
        },
        default_environment: "production",
    };
    let reach = |batch: &Batch| {
        let share = &batch.shares[0];
        [
            share.bytes.capacity(),
            share.originals.capacity(),
            share.texts.capacity(),
        ]
    };
    let long = "x".repeat(200);
    for n in 0..20_000 {
        batch.add(&error(n, &format!("{n}-{long}")), 0, &arrival, |_, _| ());
        let other = Event {
            body: Body::Incident(crate::model::Incident {
                incident_id: "i".into(),
                status: crate::model::IncidentStatus::Detected,
                severity: 3,
                caused_by: None,
            }),
            ..error(n, "")
        };
        batch.add(&other, 0, &arrival, |_, bytes| bytes.extend_from_slice(long.as_bytes()));
    }
    assert!(
        reach(&batch).iter().all(|bytes| *bytes > KEPT_BYTES_MAX),
        "{:?}",
        reach(&batch)
    );
    batch.clear();
    assert!(
        reach(&batch).iter().all(|bytes| *bytes <= KEPT_BYTES_MAX),
        "{:?}",
        reach(&batch)
    );
}
