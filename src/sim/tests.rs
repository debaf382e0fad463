use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use super::{
    Arrived, Cause, Deploy, Ending, Family, Reporting, START, Service, Simulation, chance::Chance, chance::real,
    signal::Drift,
};
use crate::{
    ingest::{self, Origin},
    model::{Body, ChangeKind, Kind, Timestamp},
};

const SEEDS: [(&Family, u64); 2] = [(&Family::TUNING, 4), (&Family::HELD_OUT, 1_000_004)];

fn small(family: &Family, seed: u64) -> Simulation {
    Simulation::new(&family.with_services(20), seed, 2)
}

/// All lines, in order.
fn lines(simulation: &Simulation) -> Vec<(Arrived, String)> {
    let (mut stream, mut line, mut all) = (simulation.stream(), String::new(), Vec::new());
    while let Some(arrived) = stream.next(&mut line) {
        all.push((arrived, line.clone()));
    }
    all
}

#[test]
fn the_same_seed_gives_the_same_truth_and_the_same_bytes() {
    for (family, seed) in SEEDS {
        let (one, two) = (small(family, seed), small(family, seed));
        assert_eq!(one.truth(), two.truth(), "{} {seed}", family.name);
        assert_eq!(lines(&one), lines(&two), "{} {seed}", family.name);
        assert_ne!(one.truth(), small(family, seed + 1).truth(), "{} {seed}", family.name);
    }
}

#[test]
fn families_share_no_seed() {
    for [before, after] in [[0, 1], [1, 2]].map(|pair| pair.map(|i| Family::ALL[i])) {
        assert!(before.seed(Family::N_SEEDS - 1) < after.seed(0));
        assert_eq!(before.seed(Family::N_SEEDS), before.seed(0));
    }
}

#[test]
fn every_event_passes_ingest_and_arrives_after_it_happened_in_order() {
    let mut kinds = BTreeSet::new();
    for (family, seed) in SEEDS {
        let mut last = Timestamp::MIN;
        for (arrived, line) in lines(&small(family, seed)) {
            let origin = Origin {
                topic: "simulated",
                kind: None,
            };
            let event = ingest::decode(Some(line.as_bytes()), &origin, arrived.at)
                .unwrap_or_else(|reject| panic!("{} {seed}: {reject}: {line}", family.name));
            assert!(
                event.time <= arrived.at && last <= arrived.at,
                "{} {seed}: {line}",
                family.name
            );
            last = arrived.at;
            kinds.insert(event.kind().name());
        }
    }
    // A person's word is the one kind that no fleet says of itself.
    let told = Kind::ALL.into_iter().filter(|kind| *kind != Kind::Override);
    assert_eq!(kinds, told.map(Kind::name).collect(), "{SEEDS:?}");
}

/// A copy has the bytes of what arrived before; everything else has an id of its own.
#[test]
fn what_comes_again_came_before() {
    for (family, seed) in SEEDS {
        let (mut seen, mut n_again) = (BTreeSet::new(), 0);
        for (arrived, line) in lines(&small(family, seed)) {
            let value: serde_json::Value = serde_json::from_str(&line).expect("JSON");
            let id = format!("{} {}", value["service"], value["id"]);
            assert_eq!(arrived.again, !seen.insert(id), "{} {seed}: {line}", family.name);
            n_again += u64::from(arrived.again);
        }
        let share = real(n_again) / real(u64::try_from(seen.len()).expect("small"));
        let asked = family.duplicated;
        assert!(
            (share / asked - 1.0).abs() < 0.15,
            "{} {seed}: {share} for {asked}",
            family.name
        );
    }
}

/// Sums of errors per hour, as the stream tells them, of a fleet in which nothing but chance happens.
fn quiet() -> Family {
    Family {
        bad: 0.0,
        blips: 0.0,
        outages_per_day: 0.0,
        storms_per_day: 0.0,
        gaps_per_day: 0.0,
        duplicated: 0.0,
        deploys_per_day: (1e-9, 2e-9),
        ..Family::TUNING.clone()
    }
}

/// By service, its errors minute by minute in the minute they are told of.
fn minutes(simulation: &Simulation, days: usize) -> Vec<Vec<f64>> {
    let names: BTreeMap<&str, usize> = simulation
        .services()
        .iter()
        .map(|service| &*service.name)
        .zip(0..)
        .collect();
    let mut all = vec![vec![0.0; days * 1_440]; names.len()];
    for (_, line) in lines(simulation) {
        let origin = Origin {
            topic: "simulated",
            kind: None,
        };
        let event = ingest::decode(Some(line.as_bytes()), &origin, Timestamp::NEVER).expect("it passes");
        if let Body::Error(count) = &event.body
            && event.environment.as_deref() == Some("production")
        {
            let minute = usize::try_from(event.time.since(START).as_secs() / 60).expect("small");
            if let Some(sum) = all[names[&*event.service]].get_mut(minute) {
                *sum += real(count.errors);
            }
        }
    }
    all
}

fn mean(of: &[f64]) -> f64 {
    of.iter().sum::<f64>() / real(u64::try_from(of.len()).expect("small"))
}

/// Two weekdays of thirty services without drift: mean and over-dispersion are what the truth says of each.
#[test]
fn counts_have_the_mean_and_the_size_that_the_truth_names() {
    let family = Family {
        drift: (0.0, 0.0),
        day_wave: (0.0, 0.0),
        errors_per_minute: (5.0, 50.0),
        intervals: [0.3, 0.7, 0.0],
        ..quiet().with_services(30)
    };
    let simulation = Simulation::new(&family, 11, 2);
    let mut ratios = Vec::new();
    for (service, minutes) in simulation.services().iter().zip(minutes(&simulation, 2)) {
        if service.batch.is_some() || service.born_at > START {
            continue;
        }
        let signal = &service.signal;
        let found = mean(&minutes[1..]);
        // Traffic drifts for half an hour at a time: the mean of two days is known to a few percent.
        assert!(
            (found / signal.errors_per_minute - 1.0).abs() < 0.1,
            "{}: {found} for {}",
            service.name,
            signal.errors_per_minute
        );
        let differences = minutes[1..].windows(2).map(|pair| (pair[1] - pair[0]).powi(2) / 2.0);
        let variance = mean(&differences.collect::<Vec<f64>>());
        let asked = found + found * found / signal.size;
        ratios.push(variance / asked);
    }
    assert!(ratios.len() > 20);
    let ratio = mean(&ratios);
    assert!((0.93..1.1).contains(&ratio), "variance is {ratio} of what sizes say");
}

/// Ornstein and Uhlenbeck's drift has mean 1, its spread, and after ten minutes what it keeps of a minute, ten times.
#[test]
fn drift_has_the_mean_the_spread_and_the_memory_asked_for() {
    let mut chance = Chance::new(5);
    for (sd, kept, step) in [(0.3, 0.9, 1.0), (0.2, 0.6, 1.0 / 6.0), (0.35, 0.97, 5.0)] {
        let mut drift = Drift::new(sd, kept, &mut chance);
        let path: Vec<f64> = (0..60_000).map(|_| drift.pass(step, &mut chance)).collect();
        assert!((mean(&path) - 1.0).abs() < 0.04, "mean {}", mean(&path));
        let logs: Vec<f64> = path.iter().map(|x| x.ln() + sd * sd / 2.0).collect();
        let variance = mean(&logs.iter().map(|x| x * x).collect::<Vec<f64>>());
        assert!(
            (variance.sqrt() / sd - 1.0).abs() < 0.08,
            "sd {} for {sd}",
            variance.sqrt()
        );
        let lagged: Vec<f64> = logs.windows(2).map(|pair| pair[0] * pair[1]).collect();
        let found = mean(&lagged) / variance;
        let asked = f64::powf(kept, step);
        assert!((found - asked).abs() < 0.03, "autocorrelation {found} for {asked}");
    }
}

#[test]
fn a_day_has_the_wave_and_a_week_the_weekend_asked_for() {
    let family = quiet().with_services(12);
    let simulation = Simulation::new(&family, 3, 7);
    for service in simulation.services().iter().filter(|service| service.batch.is_none()) {
        let signal = &service.signal;
        let of_day = |day: u64| -> Vec<f64> {
            (0..288)
                .map(|i| signal.season(START + Duration::from_secs(86_400 * day + 300 * i)))
                .collect()
        };
        let (monday, sunday) = (of_day(0), of_day(6));
        assert!((mean(&monday) - 1.0).abs() < 1e-9, "{}", service.name);
        assert!((mean(&sunday) - signal.weekend).abs() < 1e-9, "{}", service.name);
        let highest = monday.iter().fold(0.0, |a: f64, b| a.max(*b));
        assert!((highest - 1.0 - signal.day_wave).abs() < 1e-3, "{}", service.name);
        let peak = START + signal.peak;
        assert!((signal.season(peak) - highest).abs() < 1e-3, "{}", service.name);
    }
    // And so do the counts: the busiest six hours of a strong wave against the quietest.
    let found = minutes(&simulation, 7);
    let (service, counts) = simulation
        .services()
        .iter()
        .zip(&found)
        .filter(|(service, _)| service.batch.is_none() && service.born_at == START)
        .max_by(|(a, _), (b, _)| {
            (a.signal.day_wave * a.signal.errors_per_minute.sqrt())
                .total_cmp(&(b.signal.day_wave * b.signal.errors_per_minute.sqrt()))
        })
        .expect("there are services");
    let around = |hours: u64| -> f64 {
        let first = usize::try_from((service.signal.peak.as_secs() / 60 + 60 * hours - 180) % 1_440).expect("small");
        let of_day = |day: usize| (0..360).map(move |i| day * 1_440 + (first + i) % 1_440);
        mean(
            &(0..5)
                .flat_map(of_day)
                .map(|minute| counts[minute])
                .collect::<Vec<f64>>(),
        )
    };
    let wave = service.signal.day_wave * (std::f64::consts::FRAC_PI_4.sin() / std::f64::consts::FRAC_PI_4);
    let (found, asked) = (around(24) / around(12), (1.0 + wave) / (1.0 - wave));
    assert!(
        (found / asked - 1.0).abs() < 0.15,
        "{}: {found} for {asked}",
        service.name
    );
}

#[test]
fn truth_is_consistent() {
    for (family, seed) in SEEDS {
        let simulation = Simulation::new(family, seed, 7);
        let truth = simulation.truth();
        let what = format!("{} {seed}", family.name);
        let mut ids = BTreeSet::new();
        let mut last: BTreeMap<usize, Timestamp> = BTreeMap::new();
        for (place, deploy) in truth.deploys.iter().enumerate() {
            assert!(ids.insert(&deploy.id), "{what}: {} twice", deploy.id);
            assert!(deploy.stages.is_sorted_by(|a, b| a.at < b.at), "{what}: {}", deploy.id);
            assert!(deploy.started_at() >= simulation.services()[deploy.service].born_at);
            let Some(fault) = deploy.fault else { continue };
            assert!(
                fault.from >= deploy.started_at() && fault.from < fault.until,
                "{what}: {}",
                deploy.id
            );
            assert!(
                deploy.completed_at() < fault.until,
                "{what}: {} goes on after its end",
                deploy.id
            );
            assert!(fault.factor >= 1.5 && (0.0..=1.0).contains(&fault.share));
            let before = last.insert(deploy.service, fault.until);
            assert!(
                before.is_none_or(|until| until <= fault.from),
                "{what}: {} overlaps",
                deploy.id
            );
            let own = truth.raises[deploy.service]
                .iter()
                .filter(|raise| raise.cause == Cause::Deploy(place));
            assert!(own.clone().count() >= 1, "{what}: {} raises nothing", deploy.id);
            assert!(own.clone().all(|raise| raise.by.is_none()));
            if fault.ending == Ending::Mended {
                let mends = truth.deploys.iter().any(|other| {
                    other.service == deploy.service
                        && other.version > deploy.version
                        && other.started_at() == fault.until
                });
                assert!(mends, "{what}: {}", deploy.id);
            }
        }
        for (place, raises) in truth.raises.iter().enumerate() {
            assert!(raises.is_sorted_by_key(|raise| raise.from), "{what}: {place}");
            for raise in raises {
                assert!(
                    raise.from < raise.until && raise.excess >= 0.0,
                    "{what}: {place} {raise:?}"
                );
                let Some(by) = raise.by else { continue };
                let coupled = simulation.services()[place]
                    .depends_on
                    .iter()
                    .find(|on| on.service == by);
                let is_there = simulation.services()[by].born_at <= raise.from;
                assert!(
                    by > place && is_there && coupled.is_some_and(|on| on.coupling > 0.0),
                    "{what}: {place} {raise:?}"
                );
            }
        }
        for outage in &truth.outages {
            assert!(
                simulation.services()[outage.service].batch.is_none(),
                "{what}: {outage:?}"
            );
        }
    }
}

/// The events say what the truth says: each deploy in production has its first status then, and the bad ones that were
/// taken back say so.
#[test]
fn the_events_tell_of_every_deploy_as_the_truth_does() {
    let (family, seed) = SEEDS[1];
    let simulation = small(family, seed);
    let mut statuses: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for (arrived, line) in lines(&simulation) {
        let value: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        if value["kind"] == "deploy" && !arrived.again {
            let text = |key: &str| value[key].as_str().expect("a text").to_owned();
            statuses
                .entry(text("deploy_id"))
                .or_default()
                .push((text("time"), text("status")));
        }
    }
    assert!(statuses.len() > 50);
    for deploy in &simulation.truth().deploys {
        if deploy.started_at() >= simulation.end() - Duration::from_mins(5) {
            continue;
        }
        let said = &statuses[&*deploy.id];
        assert!(
            said.contains(&(deploy.started_at().to_string(), "started".into())),
            "{seed}: {}",
            deploy.id
        );
        let back = deploy.fault.filter(|fault| {
            fault.ending == Ending::RolledBack && fault.until < simulation.end() - Duration::from_mins(5)
        });
        let tells = said.iter().any(|(_, status)| status == "rolled_back");
        assert_eq!(tells, back.is_some(), "{seed}: {}", deploy.id);
    }
}

/// A fault multiplies what is told by its factor, on the share of traffic that has it: glimpses against their means.
#[test]
fn faults_raise_errors_by_their_factor() {
    let (family, seed) = SEEDS[0];
    let simulation = Simulation::new(&family.with_services(60), seed, 3);
    let (mut stream, mut line) = (simulation.stream(), String::new());
    let (mut errors, mut means, mut n_full) = (0.0, 0.0, 0);
    while stream.next(&mut line).is_some() {
        for glimpse in stream.glimpses() {
            let Some(deploy) = glimpse.fault else {
                assert!(
                    (glimpse.mean - glimpse.mean_without).abs() < 1e-9,
                    "{seed}: {glimpse:?}"
                );
                continue;
            };
            let fault = simulation.truth().deploys[deploy].fault.expect("it is bad");
            let ratio = glimpse.mean / glimpse.mean_without.max(1e-12);
            assert!(glimpse.mean >= glimpse.mean_without, "{seed}: {glimpse:?}");
            assert!(ratio <= fault.factor * (1.0 + 1e-9), "{seed}: {glimpse:?} {fault:?}");
            n_full += u32::from((ratio / fault.factor - 1.0).abs() < 1e-9);
            // Bounded, so that the largest services do not drown the others.
            let weight = 1.0
                / (glimpse.mean + glimpse.mean * glimpse.mean / glimpse.size)
                    .sqrt()
                    .max(1e-3);
            errors += real(glimpse.errors) * weight;
            means += glimpse.mean * weight;
        }
    }
    assert!(n_full > 500, "{n_full}");
    assert!((errors / means - 1.0).abs() < 0.02, "{errors} for {means}");
}

#[test]
fn the_stream_holds_little_whatever_the_length() {
    let simulation = small(&Family::HELD_OUT, 1_000_009);
    let (mut stream, mut line) = (simulation.stream(), String::new());
    let mut waiting = VecDeque::new();
    while stream.next(&mut line).is_some() {
        waiting.push_back(stream.n_on_the_way());
    }
    let most = waiting.iter().max().copied().unwrap_or_default();
    assert!(most < 1_000 && waiting.len() > 50 * most, "{most} of {}", waiting.len());
}

#[test]
fn every_way_of_reporting_and_every_kind_of_trouble_occurs() {
    for family in Family::ALL {
        let fleets: Vec<Simulation> = (0..3).map(|n| Simulation::new(family, family.seed(n), 7)).collect();
        let services = || fleets.iter().flat_map(Simulation::services);
        let any = |is: &dyn Fn(&Service) -> bool| services().any(is);
        assert!(
            Reporting::ALL
                .iter()
                .all(|way| any(&|service| service.reporting == *way))
        );
        for seconds in [10, 60, 300] {
            assert!(any(&|service| service.interval == Duration::from_secs(seconds)));
        }
        assert!(any(&|service| service.batch.is_some()), "{}", family.name);
        assert!(any(&|service| service.born_at > START), "{}", family.name);
        assert!(any(&|service| service.objective.is_some()), "{}", family.name);
        assert!(any(&|service| service.tells_version) && any(&|service| service.tells_upstream));
        let deploys = |is: &dyn Fn(&Deploy) -> bool| fleets.iter().flat_map(|fleet| &fleet.truth().deploys).any(is);
        assert!(deploys(&|deploy| deploy.preview.is_some()), "{}", family.name);
        assert!(deploys(
            &|deploy| deploy.version == deploy.previous && deploy.kind == ChangeKind::Release
        ));
        assert!(deploys(&|deploy| matches!(
            deploy.kind,
            ChangeKind::Config | ChangeKind::Flag
        )));
        assert!(deploys(
            &|deploy| deploy.kind == ChangeKind::Rollback && deploy.previous > deploy.version
        ));
        let from = |deploy: &Deploy| deploy.fault.map(|fault| fault.from.since(deploy.started_at()));
        for hours in [0, 1, 3] {
            let least = Duration::from_hours(hours);
            assert!(
                deploys(&|deploy| from(deploy).is_some_and(|latent| latent >= least)),
                "{hours} h latent"
            );
        }
        for fleet in &fleets {
            let truth = fleet.truth();
            assert!(!truth.outages.is_empty() && !truth.storms.is_empty() && !truth.gaps.is_empty());
            assert!(truth.raises.iter().flatten().any(|raise| raise.by.is_some()));
        }
    }
}
