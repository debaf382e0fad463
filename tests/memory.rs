//! What a service takes in memory, and an event, counted.
//!
//! A program of its own: its allocator counts.

#[path = "it/support.rs"]
#[expect(dead_code, reason = "each program uses its part")]
mod support;

use allocation_counter::measure;
use holdpoint::{
    ingest::Batch,
    model::{Action, Decision, Offset, Timestamp},
    wire::events,
};
use support::{Driver, add, at, deploy, minute, seconds};

/// The guarantee: for a service in an environment, and for each remembered commit.
const ENVIRONMENT_BYTES_MAX: i64 = 4_096;
const COMMITS_BYTES_MAX: i64 = 512 * 96;

/// A service, and what its events' ids begin with.
type Name = (String, String);

/// What each of `n` services takes to which `fill` happened: what all of them take, over what one takes to which all
/// of it happened, so that what is remembered of events beside the services is not counted.
fn bytes_each(n: usize, fill: impl Fn(&mut Driver, &[Name])) -> i64 {
    let build = |n_services: usize| {
        let names: Vec<Name> = (0..n)
            .map(|i| {
                (
                    format!("a-service-of-usual-length-{:03}", i % n_services),
                    format!("{i:03}"),
                )
            })
            .collect();
        let mut kept = None;
        let counted = measure(|| {
            let mut driver = Driver::with_policy(
                "mode = \"enforce\"\nlimiter.new_per_hour_min = 1000\nlimiter.new_per_four_hours_min = 1000\n",
            );
            fill(&mut driver, &names);
            // Not what the driver keeps for those who ask what was said.
            let Driver { partition, .. } = driver;
            kept = Some(partition);
        });
        drop(kept);
        counted.bytes_current
    };
    let more = i64::try_from(n - 1).expect("small");
    (build(n) - build(1)) / more
}

/// What the catalog says of each: an objective, and that it calls the eight after it.
fn catalog(driver: &mut Driver, names: &[Name]) {
    let events: Vec<String> = (0..names.len())
        .map(|i| {
            let (service, prefix) = &names[i];
            let callees = (1..9).map(|next| format!("\"{}\"", names[(i + next) % names.len()].0));
            let callees: Vec<String> = callees.collect();
            format!(
                r#"{{"kind":"service","id":"catalog-{prefix}","time":"{}","service":"{service}","slo":{{"objective":0.999}},"depends_on":[{}]}}"#,
                at(0),
                callees.join(",")
            )
        })
        .collect();
    driver.events(&events, at(0));
}

/// The same event for each service at a minute, and then time.
fn all(driver: &mut Driver, names: &[Name], (minutes, id): (i64, &str), kind: &str, fields: &str) {
    let time = at(minutes);
    let events: Vec<String> = names
        .iter()
        .map(|(service, prefix)| {
            format!(
                r#"{{"kind":"{kind}","id":"{kind}-{prefix}-{id}-{minutes}","time":"{time}","service":"{service}","environment":"production",{fields}}}"#
            )
        })
        .collect();
    driver.events(&events, time);
}

fn errors(driver: &mut Driver, names: &[Name], minutes: std::ops::Range<i64>, count: u32) {
    for i in minutes {
        let fields = format!(r#""count":{count},"requests":6000,"interval_ms":60000"#);
        all(driver, names, (i, ""), "error", &fields);
        driver.time(at(i) + seconds(30));
    }
}

/// Errors of as many long fingerprints as are told apart, of three versions, and a client that storms.
fn kinds(driver: &mut Driver, names: &[Name], minutes: std::ops::Range<i64>, counts: [u32; 4]) {
    for i in minutes {
        for (kind, count) in ["α", "β", "γ", "δ"].iter().zip(counts) {
            let fingerprint = kind.repeat(40);
            let version = i % 3;
            let fields = format!(
                r#""count":{count},"requests":1500,"interval_ms":60000,"fingerprint":"{fingerprint}","upstream":"callee-{version}","version":"1.{version}""#
            );
            all(driver, names, (i, kind), "error", &fields);
            let fields = format!(
                r#""count":90,"affected":1,"requests":90,"fingerprint":"{fingerprint}","upstream":"callee-{version}","version":"1.{version}""#
            );
            all(driver, names, (i, &format!("storm-{kind}")), "error", &fields);
        }
        driver.time(at(i) + seconds(30));
    }
}

fn deploys(driver: &mut Driver, names: &[Name], minutes: i64) {
    for i in 0..8 {
        let fields = format!(r#""deploy_id":"deploy-{minutes}-of-a-usual-length-{i:02}","status":"started""#);
        all(driver, names, (minutes, &i.to_string()), "deploy", &fields);
    }
}

/// More incidents and words of people than are remembered.
fn troubles(driver: &mut Driver, names: &[Name], minutes: i64) {
    for i in 0..8 {
        let fields = format!(r#""incident_id":"incident-long-ago-{i:02}","status":"resolved""#);
        all(driver, names, (minutes, &format!("resolved-{i}")), "incident", &fields);
    }
    for i in 0..20 {
        let fields = format!(r#""incident_id":"incident-of-a-usual-length-{i:02}","status":"detected""#);
        all(driver, names, (minutes, &i.to_string()), "incident", &fields);
        let fields = format!(r#""effect":"freeze","until":"{}","reason":"r","by":"p""#, at(900));
        all(driver, names, (minutes, &i.to_string()), "override", &fields);
    }
}

/// Errors have outlasted the freeze for one deploy, and others are watched.
fn outlasted() -> i64 {
    bytes_each(16, |driver, names| {
        errors(driver, names, 0..300, 8);
        deploys(driver, names, 300);
        errors(driver, names, 301..600, 900);
        deploys(driver, names, 600);
        kinds(driver, names, 601..606, [900, 2, 2, 2]);
        troubles(driver, names, 606);
        for (service, _) in names {
            let goes_on = |decision: &Decision| decision.reasons.iter().any(|reason| &*reason.code == "errors_go_on");
            let of = |decision: &&Decision| decision.subject.service().as_str() == service;
            let mut told = driver.decisions.iter().filter(of).filter(|decision| goes_on(decision));
            assert!(told.any(|decision| !decision.suspects.is_empty()), "{service}");
        }
    })
}

#[test]
fn a_service_in_an_environment_takes_at_most_four_kibibytes() {
    let usual = bytes_each(64, |driver, names| errors(driver, names, 0..300, 8));
    let watched = bytes_each(64, |driver, names| {
        errors(driver, names, 0..300, 8);
        deploys(driver, names, 300);
    });
    let looked_at = bytes_each(64, |driver, names| {
        catalog(driver, names);
        errors(driver, names, 0..300, 8);
        deploys(driver, names, 300);
        kinds(driver, names, 301..306, [2, 2, 2, 2]);
        troubles(driver, names, 306);
    });
    let alone = bytes_each(64, |driver, names| {
        errors(driver, names, 0..299, 8);
        kinds(driver, names, 299..300, [2, 2, 2, 2]);
        deploys(driver, names, 300);
        kinds(driver, names, 301..306, [2, 2, 2, 2]);
        troubles(driver, names, 306);
    });
    let joined = bytes_each(64, |driver, names| {
        errors(driver, names, 0..299, 8);
        kinds(driver, names, 299..300, [2, 2, 2, 2]);
        deploys(driver, names, 300);
        kinds(driver, names, 301..303, [2, 2, 2, 2]);
        catalog(driver, names);
        kinds(driver, names, 303..306, [2, 2, 2, 2]);
        troubles(driver, names, 306);
    });
    let full = bytes_each(64, |driver, names| {
        catalog(driver, names);
        errors(driver, names, 0..300, 8);
        deploys(driver, names, 300);
        // All of them are ill at once, and each calls others that are: nobody leaves it to the next for ever.
        kinds(driver, names, 301..316, [900, 2, 2, 2]);
        deploys(driver, names, 316);
        deploys(driver, names, 317);
        troubles(driver, names, 318);
        for (service, _) in names {
            let frozen = |decision: &Decision| {
                decision.action == Action::Freeze && decision.subject.service().as_str() == service
            };
            assert!(
                driver
                    .decisions
                    .iter()
                    .any(|decision| frozen(decision) && &*decision.reasons[0].code == "deploy_regression")
            );
        }
    });
    let outlasted = outlasted();
    eprintln!(
        "a service in an environment: {usual} bytes; with six deploys watched: {watched}; with all there is: {full}, \
         {looked_at} without a freeze, {alone} without objective and catalog, {joined} where these came last, {outlasted} where \
         errors outlast a freeze"
    );
    assert!(usual < watched && watched < full.min(looked_at));
    assert!(
        full.max(looked_at).max(alone).max(joined).max(outlasted) <= ENVIRONMENT_BYTES_MAX,
        "{full}, {looked_at}, {alone}, {joined}, {outlasted}"
    );
}

#[test]
fn remembered_commits_stay_within_their_bound_whatever_they_bring() {
    let cases = [
        ("as most are", 600, 40, 0),
        ("squashed", 600, 40, 8),
        ("squashed from hundreds", 100, 40, 250),
        ("with long names", 300, 250, 0),
    ];
    for (case, n, sha_length, n_heads) in cases {
        let bytes = bytes_each(4, |driver, names| {
            for i in 0..n {
                let heads: Vec<String> = (0..n_heads).map(|head| format!("\"{i}-{head}\"")).collect();
                let fields = format!(
                    r#""sha":"{i:0sha_length$x}","author":{{"id":"somebody","level":"senior"}},"change_id":"{i}","head_shas":[{}],"change":{{"lines_added":9,"lines_deleted":2,"files":1}}"#,
                    heads.join(",")
                );
                all(driver, names, (0, &i.to_string()), "commit", &fields);
                let fields = format!(
                    r#""change_id":"{}","verdict":"approved","by":"s","level":"senior""#,
                    i + 50
                );
                all(driver, names, (0, &i.to_string()), "review", &fields);
            }
            // What the last deploys brought is remembered with the commits.
            for i in n - 20..n {
                let sha = format!("{i:0sha_length$x}");
                let fields = format!(r#""deploy_id":"deploy-{i}","status":"started","commits":["{sha}"]"#);
                all(driver, names, (1, &i.to_string()), "deploy", &fields);
            }
        });
        eprintln!("commits {case}: {bytes} bytes");
        assert!(
            (20_000..COMMITS_BYTES_MAX + ENVIRONMENT_BYTES_MAX).contains(&bytes),
            "{case}: {bytes}"
        );
    }
}

/// Services of the steady state, one in ten with a deploy watched, and reports of each in a minute.
const STEADY_SERVICES: usize = 200;
const REPORTS: u64 = 5;
/// The window of duplicates is as full as it becomes after ten minutes.
const WARM_MINUTES: i64 = 30;
const STEADY_MINUTES: i64 = 70;

/// Reports of all services in one minute, ten seconds apart, so that each is an entry of its own.
fn reports(at_minute: i64) -> Vec<u8> {
    let mut batch = Batch::new(1);
    for i in 0..REPORTS {
        let time = at(at_minute) + seconds(i * 10);
        for n in 0..STEADY_SERVICES {
            let errors = u64::try_from(n).expect("small") % 7;
            add(
                &mut batch,
                &minute(&format!("steady-{n:03}"), time, errors, Some(6_000)),
                n,
                time,
            );
        }
    }
    let mut record = Vec::new();
    events::begin(&mut record);
    batch.pack(0, (&mut record, usize::MAX), events::append, |_, _| {});
    record
}

/// Steps a record the way the scorer does, and returns how many entries it held.
fn fold(driver: &mut Driver, record: &[u8], written_at: Timestamp) -> u64 {
    let (mut sayings, mut n_entries) = (Vec::new(), 0);
    driver.offset += 1;
    for entry in events::entries(record).expect("our own record") {
        let entry = entry.expect("our own entry");
        driver
            .partition
            .step(&entry, Offset(driver.offset), written_at, &mut sayings);
        n_entries += 1;
    }
    assert!(sayings.is_empty(), "errors say nothing of themselves: {sayings:?}");
    n_entries
}

/// Reading an error from the log and stepping it allocates nothing, whether its step is open already or the ones before
/// it are closed first. The window of duplicates is as full as it gets.
#[test]
fn errors_in_a_steady_state_allocate_nothing() {
    let mut driver = Driver::default();
    for i in 0..WARM_MINUTES {
        let record = reports(i);
        driver.append_record(record, at(i));
        driver.settle(at(i));
        driver.time(at(i + 1));
    }
    let deploys: Vec<String> = (0..STEADY_SERVICES)
        .step_by(10)
        .map(|n| {
            deploy(
                &format!("steady-{n:03}"),
                &format!("d-{n}"),
                at(WARM_MINUTES),
                "started",
                "",
            )
        })
        .collect();
    driver.events(&deploys, at(WARM_MINUTES));
    let (mut n_entries, mut n_allocations) = (0, 0);
    for i in WARM_MINUTES..STEADY_MINUTES {
        let record = reports(i);
        n_allocations += measure(|| n_entries += fold(&mut driver, &record, at(i))).count_total;
        driver.time(at(i + 1));
    }
    eprintln!("{n_allocations} allocations in {n_entries} entries");
    assert!(n_entries >= 40_000, "{n_entries}");
    assert_eq!(n_allocations, 0, "in {n_entries} entries");
}
