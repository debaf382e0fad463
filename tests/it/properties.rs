//! What must hold whatever happens to services.

use holdpoint::{
    ingest::Batch,
    model::{Decision, Kind, Offset},
    score::{Partition, Said, Saying},
    wire::{events, state},
};
use proptest::prelude::*;

use crate::support::{Driver, add, at, deploy, minute, seconds};

const SERVICES: [&str; 4] = ["checkout", "search", "påyments", "a:b@c%"];

/// Something that happens in one minute.
#[derive(Debug, Clone)]
enum Happening {
    Minute {
        service: usize,
        errors: u64,
        requests: Option<u64>,
    },
    Burst {
        service: usize,
        n: u8,
    },
    /// Records of one or two clients in a loop, seconds apart.
    Storm {
        service: usize,
        n: u8,
        told: u8,
    },
    Deploy {
        service: usize,
        id: u8,
        status: u8,
    },
    Commit {
        service: usize,
        id: u8,
        ai: bool,
    },
    Review {
        service: usize,
        id: u8,
        dismissed: bool,
    },
    Incident {
        service: usize,
        severity: u8,
        resolved: bool,
    },
    Word {
        service: usize,
        freeze: bool,
        minutes: i64,
    },
    Catalog {
        service: usize,
        calls: u8,
        slo: bool,
    },
}

impl Happening {
    fn events(&self, at_minute: i64, nth: usize) -> Vec<String> {
        let time = at(at_minute) + seconds(u64::try_from(nth).expect("small") % 50);
        let json = |kind: &str, service: usize, id: &str, rest: &str| {
            format!(
                r#"{{"kind":"{kind}","id":"{id}","time":"{time}","service":"{}",{rest}}}"#,
                SERVICES[service % SERVICES.len()]
            )
        };
        let series = |service: usize, n: u8, rest: &dyn Fn(u8) -> String| {
            let id = |i: u8| format!("{at_minute}-{nth}-{i}");
            (0..n).map(|i| json("error", service, &id(i), &rest(i))).collect()
        };
        match self {
            Self::Minute {
                service,
                errors,
                requests,
            } => vec![minute(SERVICES[service % SERVICES.len()], time, *errors, *requests)],
            Self::Burst { service, n } => series(*service, *n, &|_| r#""environment":"production""#.to_owned()),
            Self::Storm { service, n, told } => series(*service, *n, &|i| storm(*told, i)),
            Self::Deploy { service, id, status } => {
                let status = ["started", "progressing", "succeeded", "failed", "rolled_back"][usize::from(status % 5)];
                vec![deploy(
                    SERVICES[service % SERVICES.len()],
                    &format!("d-{id}"),
                    time,
                    status,
                    "",
                )]
            }
            Self::Commit { service, id, ai } => {
                vec![json("commit", *service, &format!("c-{id}"), &commit(*id, *ai))]
            }
            Self::Review { service, id, dismissed } => {
                let verdict = if *dismissed { "dismissed" } else { "approved" };
                let rest = format!(r#""sha":"sha-{id}","verdict":"{verdict}","by":"b","level":"senior""#);
                vec![json("review", *service, &format!("r-{at_minute}-{nth}"), &rest)]
            }
            Self::Incident {
                service,
                severity,
                resolved,
            } => {
                let id = format!("i-{at_minute}-{nth}");
                vec![json("incident", *service, &id, &incident(*severity, *resolved))]
            }
            Self::Word {
                service,
                freeze,
                minutes,
            } => {
                let effect = if *freeze { "freeze" } else { "proceed" };
                let until = time + seconds(u64::try_from(minutes * 60).expect("positive"));
                let rest = format!(r#""effect":"{effect}","until":"{until}","reason":"r","by":"p""#);
                vec![json("override", *service, &format!("o-{at_minute}-{nth}"), &rest)]
            }
            Self::Catalog { service, calls, slo } => {
                let id = format!("s-{at_minute}-{nth}");
                vec![json("service", *service, &id, &catalog(*calls, *slo))]
            }
        }
    }
}

/// The `nth` record of a loop; three clients are no storm.
fn storm(told: u8, nth: u8) -> String {
    let version = ["1.2", "1.3"][usize::from(nth % 2)];
    format!(
        r#""environment":"production","count":90,"affected":{},"fingerprint":"loop-{}","upstream":"callee-{}","version":"{version}""#,
        1 + told % 3,
        told / 3 % 6,
        told % 4
    )
}

fn commit(id: u8, ai: bool) -> String {
    let ai = if ai { "authored" } else { "none" };
    format!(
        r#""sha":"sha-{id}","author":{{"id":"a","level":"mid"}},"ai":{{"assistance":"{ai}"}},"change":{{"lines_added":{},"lines_deleted":1,"files":2}}"#,
        u32::from(id) * 10
    )
}

fn incident(severity: u8, resolved: bool) -> String {
    let status = if resolved { "resolved" } else { "detected" };
    format!(
        r#""incident_id":"i","status":"{status}","severity":{}"#,
        severity % 5 + 1
    )
}

fn catalog(calls: u8, slo: bool) -> String {
    let callees = SERVICES.iter().enumerate().filter(|(i, _)| calls >> i & 1 == 1);
    let callees: Vec<String> = callees.map(|(_, name)| format!("\"{name}\"")).collect();
    let slo = if slo { r#","slo":{"objective":0.999}"# } else { "" };
    format!(r#""depends_on":[{}]{slo}"#, callees.join(","))
}

fn happening() -> impl Strategy<Value = Happening> {
    let service = 0..SERVICES.len();
    prop_oneof![
        6 => (service.clone(), 0..40_u64, prop::option::of(100..5_000_u64))
            .prop_map(|(service, errors, requests)| Happening::Minute { service, errors, requests }),
        3 => (service.clone(), 1..30_u8).prop_map(|(service, n)| Happening::Burst { service, n }),
        2 => (service.clone(), 1..40_u8, any::<u8>()).prop_map(|(service, n, told)| Happening::Storm { service, n, told }),
        2 => (service.clone(), 0..6_u8, any::<u8>()).prop_map(|(service, id, status)| Happening::Deploy { service, id, status }),
        2 => (service.clone(), any::<u8>(), any::<bool>()).prop_map(|(service, id, ai)| Happening::Commit { service, id, ai }),
        1 => (service.clone(), any::<u8>(), any::<bool>()).prop_map(|(service, id, dismissed)| Happening::Review { service, id, dismissed }),
        1 => (service.clone(), any::<u8>(), any::<bool>()).prop_map(|(service, severity, resolved)| Happening::Incident { service, severity, resolved }),
        1 => (service.clone(), 0..16_u8, any::<bool>()).prop_map(|(service, calls, slo)| Happening::Catalog { service, calls, slo }),
        1 => (service, any::<bool>(), 0..90_i64).prop_map(|(service, freeze, minutes)| Happening::Word { service, freeze, minutes }),
    ]
}

/// Six hours of two regular services, so that there are baselines, and then what happens, minute by minute.
fn story() -> impl Strategy<Value = Vec<Vec<Happening>>> {
    prop::collection::vec(prop::collection::vec(happening(), 0..5), 10..60)
}

/// Both have an objective, and they call each other.
fn history() -> Vec<Vec<String>> {
    let entry = |service: &str, callee: &str| {
        format!(
            r#"{{"kind":"service","id":"catalog","time":"{}","service":"{service}","depends_on":["{callee}"],"slo":{{"objective":0.99}}}}"#,
            at(0)
        )
    };
    let mut history: Vec<Vec<String>> = (0..300_i64)
        .map(|i| {
            let errors = 5 + u64::try_from(i * 7 % 5).expect("small");
            vec![
                minute("checkout", at(i), errors, Some(3_000)),
                minute("search", at(i), errors / 2, None),
            ]
        })
        .collect();
    history[0].extend([entry("checkout", "search"), entry("search", "checkout")]);
    history
}

fn batches(story: &[Vec<Happening>]) -> Vec<Vec<String>> {
    let mut batches = history();
    for (i, happenings) in story.iter().enumerate() {
        let minute = 300 + i64::try_from(i).expect("small");
        batches.push(
            happenings
                .iter()
                .enumerate()
                .flat_map(|(nth, happening)| happening.events(minute, nth))
                .collect(),
        );
    }
    batches
}

fn policy() -> Driver {
    Driver::with_policy("mode = \"enforce\"\n")
}

/// What is compared of a decision: all but its place in a batch.
fn run(batches: &[Vec<String>], feed: impl Fn(&mut Driver, &[String], i64)) -> Driver {
    let mut driver = policy();
    for (i, batch) in batches.iter().enumerate() {
        let i = i64::try_from(i).expect("small");
        feed(&mut driver, batch, i);
        driver.time(at(i) + seconds(59));
    }
    // Let everything end.
    for hour in 1..8 {
        driver.time(at(i64::try_from(batches.len()).expect("small") + hour * 60));
    }
    driver
}

fn states(partition: &Partition) -> Vec<Vec<u8>> {
    partition
        .services()
        .into_iter()
        .flat_map(|service| {
            let pages = service.pages().map(state::encode_changes);
            [state::encode_service(service, Offset(0))].into_iter().chain(pages)
        })
        .collect()
}

fn decided(driver: &Driver) -> Vec<Decision> {
    driver.decisions.clone()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn combining_and_packing_change_no_decision(story in story()) {
        let batches = batches(&story);
        let packed = run(&batches, |driver, batch, i| driver.events(batch, at(i) + seconds(55)));
        let single = run(&batches, |driver, batch, i| {
            for (line, value) in batch.iter().enumerate() {
                let mut one = Batch::new(1);
                add(&mut one, value, line, at(i) + seconds(55));
                let mut record = Vec::new();
                events::begin(&mut record);
                one.pack(0, (&mut record, usize::MAX), events::append, |_, _| {});
                driver.append_record(record, at(i) + seconds(55));
            }
            driver.settle(at(i) + seconds(55));
        });
        prop_assert_eq!(decided(&packed), decided(&single));
        prop_assert_eq!(states(&packed.partition), states(&single.partition));
    }

    #[test]
    fn duplicates_in_any_order_change_nothing(story in story(), seed in any::<u64>()) {
        let batches = batches(&story);
        let once = run(&batches, |driver, batch, i| driver.events(batch, at(i) + seconds(55)));
        let twice = run(&batches, |driver, batch, i| {
            driver.events(batch, at(i) + seconds(55));
            let mut copies = batch.to_vec();
            let turn = usize::try_from(seed % 7).expect("small").min(copies.len());
            copies.rotate_left(turn);
            driver.events(&copies, at(i) + seconds(56));
        });
        let said = |driver: &Driver| decided(driver).into_iter().map(|decision| (decision.subject, decision.action, decision.decided_at)).collect::<Vec<_>>();
        prop_assert_eq!(said(&once), said(&twice));
        for service in once.partition.services() {
            let again = twice.partition.service(service.name().as_str()).expect("the same services");
            for kind in Kind::ALL {
                prop_assert_eq!(service.applied(kind), again.applied(kind));
            }
        }
    }

    #[test]
    fn a_snapshot_and_its_tail_are_the_whole_and_the_tail_says_nothing(story in story(), cut in 0.0..1.0_f64, lag in 0..40_usize) {
        let whole = run(&batches(&story), |driver, batch, i| driver.events(batch, at(i) + seconds(55)));
        let log = &whole.log;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, clippy::as_conversions, reason = "an index")]
        let tail = (cut * log.len() as f64) as usize;
        let covered = (tail + lag).min(log.len());
        // The partition's own state as of `tail`, the snapshots as of `covered`, as a checkpoint leaves them.
        let mut live = Partition::default();
        let mut sayings = Vec::new();
        let mut image = live.image(Offset(0), 1);
        for (i, (offset, written_at, record)) in log.iter().enumerate().take(covered) {
            if i == tail {
                image = live.image(*offset, 1);
            }
            step(&mut live, *offset, *written_at, record, &mut sayings);
        }
        if tail == covered {
            image = live.image(Offset(i64::try_from(tail).expect("small")), 1);
        }
        let last = Offset(i64::try_from(covered).expect("small") - 1);
        let (prime, from) = (image.prime, image.tail);
        let mut restored = Partition::from_image(image);
        for service in live.services() {
            let bytes = state::encode_service(service, last);
            let key = state::service_key(service.name().as_str());
            let state::Snapshot::Service { service: mut back, covered } = state::decode(&key, &bytes).expect("ours") else {
                panic!("a service's snapshot");
            };
            for page in service.pages() {
                let key = state::changes_key(service.name().as_str(), page.number());
                let state::Snapshot::Changes { page, .. } = state::decode(&key, &state::encode_changes(page)).expect("ours") else {
                    panic!("a page");
                };
                back.lay_in(page);
            }
            let service = back;
            restored.put_back(*service, covered);
        }
        restored.put_back_fleet(live.fleet().clone(), Some(last));
        let mut told = Vec::new();
        for (offset, written_at, record) in log {
            if *offset < prime {
                continue;
            }
            if *offset < from {
                for entry in events::entries(record).expect("ours") {
                    restored.prime(&entry.expect("ours"), *offset, *written_at);
                }
                continue;
            }
            if *offset == last.next() {
                prop_assert_eq!(&told, &Vec::<Saying>::new(), "the tail says nothing");
            }
            step(&mut restored, *offset, *written_at, record, &mut told);
        }
        let rest: Vec<Said> = {
            for (offset, written_at, record) in &log[covered..] {
                sayings.clear();
                step(&mut live, *offset, *written_at, record, &mut sayings);
            }
            whole.said[whole.said.len() - told.len()..].to_vec()
        };
        prop_assert_eq!(told.into_iter().map(|saying| saying.said).collect::<Vec<_>>(), rest);
        prop_assert_eq!(states(&restored), states(&whole.partition));
        prop_assert_eq!(restored.applied(), whole.partition.applied());
        prop_assert_eq!(restored.fleet(), whole.partition.fleet());
    }
}

fn step(
    partition: &mut Partition,
    offset: Offset,
    written_at: holdpoint::model::Timestamp,
    record: &[u8],
    sayings: &mut Vec<Saying>,
) {
    for entry in events::entries(record).expect("our own record") {
        partition.step(&entry.expect("our own entry"), offset, written_at, sayings);
    }
}
