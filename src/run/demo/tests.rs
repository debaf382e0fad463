//! The script keeps to what the demo says of it, for many seeds.

use super::{
    counts::Counts,
    judge::Judge,
    scenario::{LIVE, MINUTE, Scenario},
    script::{Meant, Script},
};
use crate::{
    config::Settings,
    gate::{StandingDecision, StandingReason},
    ingest::{self, Origin},
    model::{Action, Kind, Mode, Sequence, Subject, Timestamp},
};

#[test]
fn the_same_seed_writes_the_same_records_and_another_one_others() {
    let topics = Settings::default().topics;
    let records = |seed| {
        let script = Script::new(&Scenario::new(seed), &topics);
        script
            .records
            .into_iter()
            .map(|planned| planned.write)
            .collect::<Vec<_>>()
    };
    let first = records(7);
    assert!(first == records(7), "seed 7 twice");
    assert!(first != records(8), "seeds 7 and 8");
}

#[test]
fn events_are_events_and_poison_is_poison() {
    let topics = Settings::default().topics;
    for seed in 1..=3 {
        for planned in Script::new(&Scenario::new(seed), &topics).records {
            let kind = topics.consumed().find(|(_, topic)| **topic == *planned.write.topic);
            let origin = Origin {
                topic: &planned.write.topic,
                kind: kind.map(|(kind, _)| kind),
            };
            let decoded = ingest::decode(planned.write.value.as_deref(), &origin, planned.write.timestamp);
            assert_eq!(
                decoded.is_err(),
                planned.meant == Meant::Poison,
                "seed {seed}: {planned:?} {decoded:?}"
            );
        }
    }
}

#[test]
fn no_service_with_a_deploy_has_another_trouble() {
    for seed in 1..=200 {
        let scenario = Scenario::new(seed);
        let mut deployed: Vec<usize> = scenario.deploys.iter().map(|deploy| deploy.service).collect();
        deployed.sort_unstable();
        deployed.dedup();
        assert_eq!(
            deployed.len(),
            scenario.deploys.len(),
            "seed {seed}: a service deployed twice"
        );
        let troubled = scenario.outage.services.iter().chain([&scenario.incident.service]);
        for service in troubled {
            assert!(!deployed.contains(service), "seed {seed}: service {service}");
        }
        let bad = scenario.deploys.iter().filter(|deploy| deploy.fault.is_some());
        let latent = scenario.deploys.iter().filter(|deploy| deploy.is_latent());
        assert_eq!((bad.count(), latent.count()), (5, 1), "seed {seed}");
        assert!(
            scenario.deploys.is_sorted_by_key(super::scenario::Deploy::at),
            "seed {seed}"
        );
    }
}

/// A freeze of a service for one of its deploys.
fn freeze(service: &str, deploy: &str, decided_at: Timestamp) -> StandingDecision {
    let json = format!(r#"{{"reasons":[{{"code":"deploy_regression","evidence":{{"deploy_id":"{deploy}"}}}}]}}"#);
    StandingDecision {
        sequence: Sequence(1),
        subject: Subject::Service {
            service: service.parse().expect("a name"),
            environment: "production".parse().expect("a name"),
        },
        action: Action::Freeze,
        mode: Mode::Enforce,
        decided_at,
        valid_until: None,
        frozen_since: None,
        risk: None,
        reasons: [StandingReason {
            code: "deploy_regression".into(),
            text: "more errors".into(),
        }]
        .into(),
        to_lift: [].into(),
        obligations: [].into(),
        exempt: [].into(),
        incidents: [].into(),
        requires_known_changes: false,
        low_loss: false,
        json: json.as_str().into(),
    }
}

/// What the judge says that holds `words`, of decisions on the first good and the first bad deploy, an hour later.
#[test]
fn the_judge_tells_right_from_wrong() {
    let scenario = Scenario::new(1);
    let script = Script::new(&scenario, &Settings::default().topics);
    let later = LIVE + MINUTE * 60;
    let counts = Counts {
        consumed: script.count(|_| true),
        rejected: script.count(|meant| meant == Meant::Poison),
        applied: Kind::ALL.map(|kind| script.count(|meant| meant == Meant::Event(kind))),
        duplicates: script.count(|meant| meant == Meant::Duplicate),
        ..Counts::default()
    };
    let n_faults = |decisions: &[StandingDecision], counts: &Counts, words: &str| {
        let mut judge = Judge::new(&scenario);
        for decision in decisions {
            judge.hear(decision);
        }
        let faults = judge.faults(counts, &script);
        faults.iter().filter(|fault| fault.contains(words)).count()
    };
    let name = |place: usize| scenario.name(scenario.deploys[place].service);
    let bad = (0..12)
        .find(|i| scenario.deploys[*i].fault.is_some())
        .expect("five are bad");
    let good = (0..12)
        .find(|i| scenario.deploys[*i].fault.is_none())
        .expect("seven are good");
    let (guilty, innocent) = (&scenario.deploys[bad].id, &scenario.deploys[good].id);
    let cases = [
        (vec![], "never frozen", 5),
        (vec![freeze(name(bad), guilty, later)], "never frozen", 4),
        (vec![freeze(name(bad), guilty, later)], "without cause", 0),
        (vec![freeze(name(bad), guilty, LIVE)], "without cause", 1),
        (vec![freeze(name(bad), innocent, later)], "without cause", 1),
        (vec![freeze(name(good), innocent, later)], "without cause", 1),
        (vec![freeze(name(good), guilty, later)], "without cause", 1),
        (vec![freeze(name(bad), guilty, later); 2], "went from 1 to 1", 1),
        (vec![], "commits got no decision", 1),
        (vec![], "records", 0),
    ];
    for (decisions, words, n) in cases {
        assert_eq!(n_faults(&decisions, &counts, words), n, "{words}: {decisions:?}");
    }
    let one_short = Counts {
        consumed: counts.consumed - 1,
        duplicates: counts.duplicates + 1,
        ..counts
    };
    assert_eq!(n_faults(&[], &one_short, "records"), 2);
}
