use super::*;
use crate::score::SNAPSHOT_BYTES_MAX;

fn at(minutes: i64) -> Timestamp {
    Timestamp::from_millis(minutes * 60_000)
}

fn asks(fleet: &mut Fleet, service: &str, minute: i64) -> bool {
    asks_by(fleet, Ground::Evidence, service, minute)
}

fn asks_by(fleet: &mut Fleet, ground: Ground, service: &str, minute: i64) -> bool {
    asks_in(fleet, ("production", Mode::Enforce), (ground, service), minute)
}

fn asks_in(
    fleet: &mut Fleet,
    (environment, mode): (&str, Mode),
    (ground, service): (Ground, &str),
    minute: i64,
) -> bool {
    let mut sayings = Vec::new();
    let message = Message::Propose {
        service: service.into(),
        environment: environment.into(),
        mode,
        ground,
    };
    fleet.step(&message, at(minute), &Policy::default(), &mut sayings);
    matches!(
        sayings.first().map(|saying| &saying.said),
        Some(Said::Message(Message::Answer { granted: true, .. }))
    )
}

#[test]
fn five_new_freezes_an_hour_and_ten_in_four_are_granted_to_a_small_fleet() {
    let mut fleet = Fleet::default();
    let granted: Vec<bool> = (0..7).map(|i| asks(&mut fleet, &format!("s{i}"), i)).collect();
    assert_eq!(granted, [true, true, true, true, true, false, false]);
    assert!(asks(&mut fleet, "s1", 5), "the same proposal again is the same grant");
    assert!(asks(&mut fleet, "s9", 61), "an hour after the first");
    let later: Vec<bool> = (0..8).map(|i| asks(&mut fleet, &format!("t{i}"), 130)).collect();
    assert_eq!(later.iter().filter(|granted| **granted).count(), 4, "ten in four hours");
    assert_eq!(fleet.n_withheld(), 6);
}

fn hears(fleet: &mut Fleet, message: &Message<'_>) {
    fleet.step(message, at(50_000_000), &Policy::default(), &mut Vec::new());
}

fn tells_presence(fleet: &mut Fleet, service: &str, environment: &str, known: bool) {
    let message = Message::Presence {
        service: service.into(),
        environment: environment.into(),
        known,
    };
    hears(fleet, &message);
}

/// More services, environments, freezes, losses and changes than it remembers, in the year 2065.
#[test]
fn a_fleet_that_is_full_is_one_record() {
    let mut fleet = Fleet::default();
    for i in 0..120_000 {
        tells_presence(&mut fleet, &format!("service-{i}"), "production", true);
    }
    for i in 0..12_000 {
        tells_presence(&mut fleet, "checkout", &format!("preview-{i}"), true);
    }
    for i in 0..600_u32 {
        let loss = f64::from(i).sqrt();
        for tier in Criticality::ALL {
            hears(&mut fleet, &Message::Loss { tier, loss });
            let deployed = Message::Deployed {
                at: at(50_000_000 + i64::from(i) * 360),
                n_changes: [u32::MAX; 3],
            };
            hears(&mut fleet, &deployed);
        }
    }
    for i in 0..100_u8 {
        let watched = Watched {
            tier: Criticality::Critical,
            mode: Mode::Enforce,
            prior: 0.1,
            rate_class: i % 6,
            windows: vec![31; 1_000],
        };
        hears(&mut fleet, &Message::Watched(watched));
        asks(&mut fleet, &format!("alarmed-{i}"), 50_000_000);
    }
    let trace = Trace(u64::MAX);
    hears(
        &mut fleet,
        &Message::Verdict {
            share: 1.0,
            guilty: trace,
            beside: vec![trace],
            is_timely: true,
        },
    );
    let grant = |i: usize| Grant {
        at: at(50_000_000),
        service: u64::MAX - u64::try_from(i).expect("small"),
        environment: u64::MAX,
        mode: Mode::Enforce,
        ground: Ground::Incident,
    };
    fleet.grants.extend((0..GRANTS_MAX).map(grant));
    assert!(
        !asks_by(&mut fleet, Ground::Incident, "search", 50_000_000),
        "beyond this nobody gets one"
    );
    let bytes = postcard::to_stdvec(&fleet).expect("it has a serial form");
    assert!(bytes.len() < SNAPSHOT_BYTES_MAX, "{}", bytes.len());
}

/// Two hundred deploys, each of ten average changes at the rate of its time, while ten thousand changes land of which
/// nothing comes.
#[test]
fn the_mean_risk_of_deploys_is_told_at_the_rate_of_the_day() {
    let mut fleet = Fleet::default();
    for i in 0..10_000_i64 {
        let (tier, loss) = (Criticality::High, 0.01);
        hears(&mut fleet, &Message::Loss { tier, loss });
        let odds = fleet.odds_told();
        if i % 50 == 0 {
            let watched = Watched {
                tier,
                mode: Mode::Enforce,
                prior: -(-10.0 * odds).exp_m1(),
                rate_class: 2,
                windows: Vec::new(),
            };
            fleet.step(
                &Message::Watched(watched),
                at(i * 60),
                &Policy::default(),
                &mut Vec::new(),
            );
        }
        let mean = f64::from(fleet.told.calibration.mean_prior);
        assert!(
            (mean / -(-10.0 * odds).exp_m1() - 1.0).abs() < 1e-5,
            "{i}: {mean} at odds of {odds}"
        );
    }
    assert!(fleet.odds_told() < 1.0 / 1_500.0, "the rate has fallen");
}

#[test]
fn burn_and_evidence_share_a_limit_that_incidents_have_no_part_in() {
    let mut fleet = Fleet::default();
    for i in 0..5 {
        let ground = if i % 2 == 0 { Ground::Burn } else { Ground::Evidence };
        assert!(asks_by(&mut fleet, ground, &format!("s{i}"), i));
    }
    assert!(!asks_by(&mut fleet, Ground::Burn, "s5", 5) && !asks(&mut fleet, "s6", 5));
    assert!(
        !asks_by(&mut fleet, Ground::Burn, "s1", 5),
        "a grant by evidence is none by burn"
    );
    assert!(asks_by(&mut fleet, Ground::Incident, "s5", 5));
}

/// What only advises takes no freeze from what is enforced, nor staging from production.
#[test]
fn each_mode_and_each_environment_has_a_limit_of_its_own() {
    let mut fleet = Fleet::default();
    for place in [
        ("production", Mode::Shadow),
        ("production", Mode::Enforce),
        ("staging", Mode::Enforce),
    ] {
        let mut asks = |i: i64| asks_in(&mut fleet, place, (Ground::Evidence, &format!("{place:?}-{i}")), i);
        let granted: Vec<bool> = (0..6).map(&mut asks).collect();
        assert_eq!(granted, [true, true, true, true, true, false], "{place:?}");
    }
}
