//! What the core costs: combining errors into the log, stepping them, and snapshots.
//!
//! `step/error` folds a record of 1,000 error entries of 2,000 services, one event each, all of them new; divide by
//! 1,000 for the cost of an event. Bytes per service are printed once.

use std::{hint::black_box, time::Duration};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use holdpoint::{
    ingest::{Arrival, Batch},
    model::{Body, Entry, ErrorCount, Event, Offset, Origin, Tick, Timestamp, Watermark},
    score::Partition,
    wire::{events, state},
};

const SERVICES: usize = 2_000;
const EVENTS: usize = 1_000;

fn start() -> Timestamp {
    Timestamp::from_millis(1_772_409_600_000)
}

/// The `n`th event of a stream over all services, ten milliseconds apart.
fn event(n: usize) -> Event<'static> {
    let ms = u64::try_from(n).expect("small") * 10;
    Event {
        id: format!("event-{n}").into(),
        time: start() + Duration::from_millis(ms),
        service: format!("service-{}", n * 7_919 % SERVICES).into(),
        environment: Some("production".into()),
        source: "errors".into(),
        body: Body::Error(ErrorCount {
            errors: 1,
            ..ErrorCount::default()
        }),
    }
}

fn batch_of(events: &[Event<'_>]) -> Batch {
    let mut batch = Batch::new(1);
    for event in events {
        let arrival = Arrival {
            origin: Origin {
                topic: "errors",
                partition: 0,
                offset: 0,
            },
            default_environment: "production",
        };
        batch.add(event, 0, &arrival, events::append);
    }
    batch
}

fn record_of(events: &[Event<'_>]) -> Vec<u8> {
    let mut record = Vec::new();
    events::begin(&mut record);
    batch_of(events).pack(0, (&mut record, usize::MAX), events::append, |_, _| {});
    record
}

fn fold(partition: &mut Partition, record: &[u8], offset: i64) {
    let mut sayings = Vec::new();
    for entry in events::entries(record).expect("our own record") {
        partition.step(&entry.expect("our own entry"), Offset(offset), start(), &mut sayings);
    }
    black_box(sayings);
}

fn tick(partition: &mut Partition, seconds: u64, offset: i64) {
    let at = start() + Duration::from_secs(seconds);
    let watermarks = vec![Watermark {
        topic: "errors",
        partition: 0,
        at,
    }];
    partition.step(
        &Entry::Time(Tick { wall: at, watermarks }),
        Offset(offset),
        at,
        &mut Vec::new(),
    );
}

/// All services known, with an hour of minutes behind them.
fn warm() -> Partition {
    let mut partition = Partition::default();
    for minute in 0..60_u64 {
        let events: Vec<Event<'_>> = (0..SERVICES)
            .map(|n| {
                let time = start() - Duration::from_secs((60 - minute) * 60);
                Event {
                    id: format!("warm-{minute}-{n}").into(),
                    time,
                    ..event(n)
                }
            })
            .collect();
        fold(&mut partition, &record_of(&events), 0);
    }
    tick(&mut partition, 0, 0);
    partition
}

fn combine(c: &mut Criterion) {
    let events: Vec<Event<'_>> = (0..EVENTS).map(event).collect();
    let hot: Vec<Event<'_>> = (0..EVENTS)
        .map(|n| Event {
            service: "checkout".into(),
            time: start(),
            ..event(n)
        })
        .collect();
    let mut group = c.benchmark_group("combine");
    group.throughput(Throughput::Elements(u64::try_from(EVENTS).expect("small")));
    group.bench_function("spread_over_2000_services", |b| {
        b.iter(|| record_of(black_box(&events)));
    });
    group.bench_function("one_hot_service", |b| b.iter(|| record_of(black_box(&hot))));
    group.finish();
}

fn step(c: &mut Criterion) {
    // Shared by what prepares a batch and what is measured, which never run at once.
    let partition = std::cell::RefCell::new(warm());
    let mut n = 0;
    let mut group = c.benchmark_group("step");
    group.throughput(Throughput::Elements(u64::try_from(EVENTS).expect("small")));
    group.bench_function("error", |b| {
        b.iter_batched(
            || {
                let events: Vec<Event<'_>> = (n..n + EVENTS).map(event).collect();
                n += EVENTS;
                tick(&mut partition.borrow_mut(), u64::try_from(n / 100).expect("small"), 0);
                record_of(&events)
            },
            |record| fold(&mut partition.borrow_mut(), &record, 1),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

fn snapshot(c: &mut Criterion) {
    let partition = warm();
    let service = partition.service("service-0").expect("it was seen");
    let bytes = state::encode_service(service, Offset(1));
    eprintln!(
        "snapshot of a service in one environment after an hour: {} bytes",
        bytes.len()
    );
    c.bench_function("snapshot/encode", |b| {
        b.iter(|| state::encode_service(black_box(service), Offset(1)));
    });
    let key = state::service_key("service-0");
    c.bench_function("snapshot/decode", |b| {
        b.iter(|| state::decode(black_box(&key), black_box(&bytes)).expect("our own"));
    });
}

criterion_group!(benches, combine, step, snapshot);
criterion_main!(benches);
