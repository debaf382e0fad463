use super::{learning::Learner, rate::RATIO_MEAN, trace::features, *};
use crate::{
    model::{Assistance, Bulletin, Level, N_MEASURES, Trace},
    score::{evidence::narrow, review::Target},
};

const UNKNOWN: Circumstances = Circumstances {
    ai: Assistance::Unknown,
    author_level: Level::Unknown,
};
const LINES_ADDED: usize = 4;

fn untold() -> Measures {
    [None; N_MEASURES]
}

fn with(i: usize, measure: f64) -> Measures {
    let mut measures = untold();
    measures[i] = Some(measure);
    measures
}

fn trace(z: [f64; N_MEASURES], made: Circumstances) -> Trace {
    pack(&z.map(Some), made, Target::of("sha"))
}

/// Numbers within ±2 that look like chance, the same each time.
fn scattered(seed: &mut u64) -> [f64; N_MEASURES] {
    std::array::from_fn(|_| {
        *seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        f64::from(u16::try_from(*seed >> 48).expect("sixteen bits")) / 16_384.0 - 2.0
    })
}

#[test]
fn contributions_add_up_to_the_logit_of_the_probability() {
    let learned = RiskWeights {
        linear: [0.3; N_MEASURES],
        square: [-0.05; N_MEASURES],
    };
    let mut measures: Measures = std::array::from_fn(|i| u8::try_from(i * i).ok().map(f64::from));
    measures[6] = None;
    for weights in [None, Some(learned)] {
        let bulletin = Bulletin {
            weights,
            incident_odds: weights.map(|_| 0.02),
            ..Bulletin::default()
        };
        let scaled = Moments::default().scale(&measures);
        let score = score(&measures, &scaled, &Rate::default(), &bulletin);
        assert_eq!(
            score.contributions.len(),
            1 + N_MEASURES - 1,
            "what was not told adds nothing"
        );
        let sum: f64 = score.contributions.iter().map(|part| part.logit).sum();
        let logit = (score.probability / (1.0 - score.probability)).ln();
        assert!((sum - logit).abs() < 1e-3, "{sum} and {logit}");
    }
}

#[test]
fn a_fresh_service_has_one_incident_in_a_hundred_changes() {
    let (rate, bulletin) = (Rate::default(), Bulletin::default());
    let mean = rate.mean(&bulletin);
    assert!((mean - 0.0099).abs() < 1e-4, "{mean}");
    let average = score(&untold(), &Moments::default().scale(&untold()), &rate, &bulletin);
    assert!(
        (average.probability - 1.0 / 151.0).abs() < 1e-6,
        "{}",
        average.probability
    );
    let large = with(LINES_ADDED, 5_000.0);
    let large = score(&large, &Moments::default().scale(&large), &rate, &bulletin);
    assert!(large.probability > 5.0 * average.probability, "{}", large.probability);
}

#[test]
fn probabilities_add_up_to_incidents() {
    let bulletin = Bulletin::default();
    for (share, n_per_incident) in [(0.02, 50), (0.005, 200)] {
        let (mut rate, mut expected) = (Rate::default(), 0.0);
        for n in 0..40_000 {
            let mut measures = untold();
            measures[LINES_ADDED] = Some([1.0, 15.0, 150.0][n % 3]);
            let score = score(&measures, &Moments::default().scale(&measures), &rate, &bulletin);
            if n >= 20_000 {
                expected += score.probability;
            }
            rate.land(&score);
            if n % n_per_incident == 0 {
                rate.reveal(1.0);
            }
        }
        let seen = 20_000.0 * share;
        // A tenth of what is known is still the prior's one in a hundred.
        assert!((expected / seen - 1.0).abs() < 0.15, "{expected} expected, {seen} seen");
    }
}

#[test]
fn a_small_service_is_near_its_fleet_and_a_fleet_near_one_in_a_hundred() {
    let mut fleet = Rate::default();
    assert!((fleet.fleet_odds() - 1.0 / 150.0).abs() < 1e-9);
    for n in 0..5_000 {
        fleet.land_any();
        if n % 20 == 0 {
            fleet.reveal(1.0);
        }
    }
    // By chance one comes within its month where others come later: the rate does not double by it.
    let mut quiet = Rate::default();
    (0..5_000).for_each(|_| quiet.land_any());
    let before = quiet.fleet_odds();
    assert!((1_900.0..2_000.0).contains(&before.recip()), "{before}");
    quiet.reveal(1.0);
    assert!(quiet.fleet_odds() < 1.4 * before, "{before}");
    // A twentieth of all changes; one of average measures is less risky than the mean one.
    let odds = fleet.fleet_odds();
    assert!((0.030..0.034).contains(&odds), "{odds}");
    let bulletin = Bulletin {
        incident_odds: Some(0.03),
        ..Bulletin::default()
    };
    let mut service = Rate::default();
    assert!((service.odds(&bulletin) - 0.03).abs() < 1e-6);
    service.reveal(1.0);
    assert!(
        (service.odds(&bulletin) - 0.033).abs() < 1e-6,
        "one incident is a tenth more"
    );
}

/// Two services land as many changes; of the second ten times as many cause incidents as of the first, or nothing comes of
/// any. What is told of the fleet is what came so far.
#[test]
fn the_reference_takes_the_rate_of_the_fleet_out_and_leaves_how_services_differ() {
    let average = |rate: &Rate, fleet: &Rate| {
        let bulletin = Bulletin {
            incident_odds: Some(narrow(fleet.fleet_odds())),
            incident_odds_seen: Some(narrow(fleet.seen_odds())),
            ..Bulletin::default()
        };
        let score = score(&untold(), &Moments::default().scale(&untold()), rate, &bulletin);
        (score.probability, score.at_reference)
    };
    let first = average(&Rate::default(), &Rate::default());
    assert!((first.0 - first.1).abs() < 1e-9 && (first.1 - 1.0 / 151.0).abs() < 1e-6);
    for (n_services, is_quiet) in [(1, true), (1, false), (2, true), (2, false)] {
        let (mut services, mut fleet) = ([Rate::default(); 2], Rate::default());
        for n in 0..4_000 {
            for rate in services.iter_mut().take(n_services) {
                rate.expect(RATIO_MEAN);
                fleet.land_any();
            }
            let place = n_services - 1;
            let guilty = if n % 110 < 100 { place } else { 0 };
            if !is_quiet && n % 10 == 0 {
                services[guilty].reveal(1.0);
                fleet.reveal(1.0);
            }
        }
        let [one, other] = services.map(|rate| average(&rate, &fleet));
        if n_services == 1 || is_quiet {
            assert!((one.1 / first.1 - 1.0).abs() < 1e-3, "{one:?}");
            assert!((one.0 / first.0).ln().abs() > 1.0, "the rate itself has moved: {one:?}");
        } else {
            assert!(other.1 > 5.0 * one.1, "{one:?} {other:?}");
            let mean = f64::midpoint(one.1, other.1) / first.1;
            assert!((mean - 1.0).abs() < 0.05, "{mean}");
        }
    }
}

#[test]
fn own_moments_weigh_as_their_commits_against_fifty_of_others() {
    let mut moments = Moments::default();
    let measure = 2.76_f64.exp_m1();
    let z = |moments: &Moments, measure| moments.scale(&with(LINES_ADDED, measure))[LINES_ADDED].expect("told");
    assert!(z(&moments, measure).abs() < 1e-6, "the mean of other projects");
    let own = 6.76_f64.exp_m1();
    assert!((z(&moments, own) - 4.0 / 1.56).abs() < 1e-6);
    for _ in 0..50 {
        moments.learn(&with(LINES_ADDED, own));
    }
    // Fifty and fifty: the mean is in the middle, but for what fifty commits have forgotten.
    let (low, high) = (z(&moments, measure), z(&moments, own));
    assert!(low < 0.0 && high > 0.0 && (low + high).abs() < 0.05, "{low} {high}");
    for _ in 0..5_000 {
        moments.learn(&with(LINES_ADDED, own));
    }
    // 721 commits are what is left of all with that half-life, and the fifty of others stay.
    assert!((0.2..0.3).contains(&z(&moments, own)), "{}", z(&moments, own));
}

#[test]
fn a_trace_keeps_each_z_to_the_nearest_level_and_knows_its_sha() {
    let sha = Target::of("4f1c");
    let mut scaled: Scaled = [Some(0.0); N_MEASURES];
    (scaled[0], scaled[4], scaled[13]) = (Some(-9.0), Some(2.3), None);
    let made = Circumstances {
        ai: Assistance::Authored,
        author_level: Level::Staff,
    };
    let trace = pack(&scaled, made, sha);
    let seen = features(trace);
    assert_eq!((seen[0], seen[4], seen[7], seen[13]), (-2.1, 2.0, 0.0, 0.0));
    assert!((seen[N_MEASURES + 4] - 3.0).abs() < 1e-9, "2² − 1");
    assert_eq!(seen[2 * N_MEASURES..], [0.5, 1.5]);
    assert!(is_of(trace, sha) && !is_of(trace, Target::of("4f1d")));
    assert!(!is_revealed(trace) && is_revealed(revealed(trace)));
    assert_eq!(features(revealed(trace))[..], seen[..]);
    assert_eq!(features(pack(&scaled, UNKNOWN, sha))[2 * N_MEASURES..], [0.0, 0.0]);
}

#[test]
fn what_guilty_changes_have_more_of_gains_weight_and_what_they_share_does_not() {
    let mut learner = Learner::default();
    let before = learner.weights();
    let mut seed = 1;
    for _ in 0..500 {
        let mut guilty = scattered(&mut seed);
        guilty[10] = 2.0;
        let beside: Vec<Trace> = (0..8)
            .map(|_| {
                let mut other = scattered(&mut seed);
                other[10] = -0.6;
                trace(other, UNKNOWN)
            })
            .collect();
        learner.learn(1.0, trace(guilty, UNKNOWN), &beside);
    }
    let after = learner.weights();
    assert!(after.linear[10] > before.linear[10] + 0.5, "{}", after.linear[10]);
    assert!(
        (after.linear[12] - before.linear[12]).abs() < 0.1,
        "{}",
        after.linear[12]
    );
    assert_eq!(learner.n_verdicts(), 500);
    let same = Learner::default();
    let mut learner = same.clone();
    let alike = trace([1.25; N_MEASURES], UNKNOWN);
    learner.learn(1.0, alike, &[alike; 8]);
    assert_eq!(learner.weights(), same.weights(), "one like all others teaches nothing");
}

/// The comparisons of one verdict share its guilty change: beyond three, more of them tell no more.
#[test]
fn a_verdict_counts_as_three_comparisons_at_most() {
    let moved = |n_beside: usize| {
        let mut learner = Learner::default();
        let before = learner.weights().linear[10];
        let mut z = [0.0; N_MEASURES];
        let other = trace(z, UNKNOWN);
        z[10] = 1.0;
        learner.learn(1.0, trace(z, UNKNOWN), &vec![other; n_beside]);
        f64::from(learner.weights().linear[10] - before)
    };
    let one = moved(1);
    for (n_beside, times) in [(2, 2.0), (3, 3.0), (8, 3.0)] {
        let shown = moved(n_beside) / one;
        assert!((shown - times).abs() < 0.1, "{n_beside}: {shown}");
    }
}

#[test]
fn a_variance_falls_with_what_is_known_and_stays_one() {
    let mut learner = Learner::default();
    let width = |learner: &Learner| -> Vec<f64> {
        let weights = learner.learned().into_iter();
        weights.map(|weight| weight.high - weight.low).collect()
    };
    let before = width(&learner);
    let mut seed = 5;
    for _ in 0..3_000 {
        let beside: Vec<Trace> = (0..8).map(|_| trace(scattered(&mut seed), UNKNOWN)).collect();
        learner.learn(1.0, trace(scattered(&mut seed), UNKNOWN), &beside);
    }
    for (i, (before, after)) in before.iter().zip(width(&learner)).enumerate() {
        if i < N_MEASURES {
            assert!(after > 0.0 && after < before / 2.0, "{i}: {before} and {after}");
        } else {
            assert!((after - before).abs() < 1e-3, "nothing was told of {i}");
        }
    }
    assert_eq!(Learner::default(), {
        let mut learner = Learner::default();
        learner.learn(1.0, trace([0.0; N_MEASURES], UNKNOWN), &[]);
        learner
    });
}

/// Of 400 verdicts all guilty changes are made with AI by juniors, and none beside them is.
#[test]
fn what_goes_with_ai_and_level_is_reported_and_scores_nothing() {
    let made = |ai, author_level| Circumstances { ai, author_level };
    let (mut told, mut untold) = (Learner::default(), Learner::default());
    let mut seed = 9;
    for _ in 0..400 {
        let (guilty, other) = (scattered(&mut seed), scattered(&mut seed));
        told.learn(
            1.0,
            trace(guilty, made(Assistance::Assisted, Level::Junior)),
            &[trace(other, made(Assistance::None, Level::Senior))],
        );
        untold.learn(1.0, trace(guilty, UNKNOWN), &[trace(other, UNKNOWN)]);
    }
    let [.., ai, level] = &told.learned()[..] else {
        panic!("they are the last");
    };
    assert_eq!((ai.feature, level.feature), ("ai", "author_level"));
    assert!(ai.low > 0.0 && level.high < 0.0, "{ai:?} {level:?}");
    assert!(!ai.is_scored && !level.is_scored);
    let measures = with(LINES_ADDED, 100.0);
    let scaled = Moments::default().scale(&measures);
    let score = score(
        &measures,
        &scaled,
        &Rate::default(),
        &Bulletin {
            weights: Some(told.weights()),
            ..Bulletin::default()
        },
    );
    let named: Vec<&str> = score.contributions.iter().map(|part| part.feature).collect();
    assert_eq!(named, ["incident_rate", "lines_added"]);
    let [.., nothing, known] = &untold.learned()[..] else {
        panic!("they are the last");
    };
    assert!(nothing.weight.abs() < 1e-9 && known.weight.abs() < 1e-9);
}

#[test]
fn decisions_name_the_weights_they_rest_on() {
    let mut learned = weights::COLD_START;
    assert_eq!(model_digest(Some(&learned)), model_digest(None));
    learned.linear[0] += 1e-4;
    assert_ne!(model_digest(Some(&learned)), model_digest(None));
}
