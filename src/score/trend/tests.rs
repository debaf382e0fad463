use super::*;

struct Chance(u64);

impl Chance {
    fn uniform(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        f64::from(u32::try_from(self.0 >> 33).expect("31 bits")) / f64::from(1_u32 << 31)
    }
}

/// What a history is made of.
struct Story {
    n: u32,
    /// How much likelier an AI change fails than another of the same risk.
    ratio: f64,
    /// Whether AI changes are mostly the riskier ones.
    confounded: bool,
    /// Whether their risk is told: else all are in one stratum.
    told: bool,
}

/// Fifty changes a day, of which half have AI in them; riskier ones fail more often.
fn play(story: &Story, seed: u64) -> Trend {
    let mut chance = Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x4d);
    let mut trend = Trend::default();
    for i in 0..story.n {
        let at = Timestamp::from_millis(1_772_409_600_000 + i64::from(i) * 86_400_000 / 50);
        let risk = chance.uniform();
        let share = if story.confounded { 0.15 + 0.7 * risk } else { 0.5 };
        let ai = chance.uniform() < share;
        let unit = Unit {
            ai: if ai { Assistance::Assisted } else { Assistance::None },
            probability: if story.told { f64_to_f32(risk) } else { 0.5 },
        };
        let tier = if i % 3 == 0 {
            Criticality::Low
        } else {
            Criticality::High
        };
        trend.deployed(tier, at, &[unit], true);
        let fails = (0.01 + 0.09 * risk * risk) * if ai { story.ratio } else { 1.0 };
        if chance.uniform() < fails {
            fail(&mut trend, tier, at, unit);
        }
    }
    trend
}

/// A deploy of one change fails when it is deployed.
fn fail(trend: &mut Trend, tier: Criticality, at: Timestamp, unit: Unit) {
    let lot = one_lot(&[unit], at).unwrap_or(lot_of(unit, at));
    trend.failed(tier, at, &lot);
}

fn f64_to_f32(value: f64) -> f32 {
    crate::score::evidence::narrow(value)
}

fn convicted(trend: &Trend) -> bool {
    trend
        .comparison()
        .is_some_and(|comparison| comparison.e_more >= CONVICTS)
}

#[test]
fn a_class_that_is_merely_the_riskier_one_is_not_convicted() {
    let mut n = [0, 0, 0];
    for seed in 0..200 {
        let story = |told| Story {
            n: 2_300,
            ratio: 1.0,
            confounded: true,
            told,
        };
        n[0] += u32::from(convicted(&play(&story(true), seed)));
        n[1] += u32::from(convicted(&play(&story(false), seed)));
        let fair = Story {
            n: 2_300,
            ratio: 1.0,
            confounded: false,
            told: true,
        };
        n[2] += u32::from(convicted(&play(&fair, seed)));
    }
    // 5 % of 200 are 10; three standard deviations more are 19.
    assert!(n[0] <= 19 && n[2] <= 19, "stratified {n:?} of 200");
    assert!(n[1] >= 60, "the confounder is one: without strata only {n:?}");
}

#[test]
fn a_ratio_of_one_and_a_half_is_found_and_lies_within_the_confidence_sequence() {
    let (mut n_found, mut n_within) = (0, 0);
    for seed in 0..20 {
        let trend = play(
            &Story {
                n: 20_000,
                ratio: 1.5,
                confounded: true,
                told: true,
            },
            seed,
        );
        let comparison = trend.comparison().expect("enough failures");
        n_found += u32::from(trend.multiplier().is_some());
        n_within += u32::from(comparison.ratio_low <= 1.5 && 1.5 <= comparison.ratio_high);
        assert!(comparison.e_less < 1.0, "{comparison:?}");
        assert!(
            trend
                .multiplier()
                .is_none_or(|multiplier| multiplier <= comparison.ratio)
        );
    }
    assert!(
        n_found >= 18 && n_within >= 18,
        "found {n_found}, within {n_within} of 20"
    );
}

#[test]
fn a_ratio_below_one_is_found_too_and_lets_nobody_off() {
    let trend = play(
        &Story {
            n: 20_000,
            ratio: 0.6,
            confounded: true,
            told: true,
        },
        3,
    );
    let comparison = trend.comparison().expect("enough failures");
    assert!(
        comparison.e_less >= CONVICTS && comparison.ratio_high < 1.0,
        "{comparison:?}"
    );
    assert_eq!(trend.multiplier(), None);
}

#[test]
fn a_ratio_of_two_is_found_soon_and_none_acquits_nobody() {
    let story = |n, ratio| Story {
        n,
        ratio,
        confounded: true,
        told: true,
    };
    let n_found = (0..20).filter(|seed| convicted(&play(&story(5_000, 2.0), *seed)));
    let acquitted = |trend: &Trend| trend.comparison().is_some_and(|found| found.e_less >= CONVICTS);
    let n_acquitted = (0..200).filter(|seed| acquitted(&play(&story(2_300, 1.0), *seed)));
    let (n_found, n_acquitted) = (n_found.count(), n_acquitted.count());
    assert!(n_found >= 17, "{n_found} of 20");
    // 5 % of 200 are 10; three standard deviations more are 19.
    assert!(n_acquitted <= 19, "{n_acquitted} of 200");
    let sure = play(&story(40_000, 6.0), 1);
    assert_eq!(sure.multiplier(), Some(MULTIPLIER_MAX), "{:?}", sure.comparison());
}

#[test]
fn what_was_deployed_before_all_that_is_kept_drops_nothing_newer() {
    let at = |hours: i64| Timestamp::from_millis(1_772_409_600_000 + hours * 3_600_000);
    let unit = Unit {
        ai: Assistance::None,
        probability: 0.5,
    };
    let mut trend = Trend::default();
    for hour in 0..400 {
        trend.deployed(Criticality::Low, at(hour), &[unit], true);
    }
    let before = trend.buckets.clone();
    trend.deployed(Criticality::Low, at(0), &[unit], true);
    assert_eq!(trend.buckets, before);
    assert_eq!(trend.buckets.len(), BUCKETS_MAX);
    let lot = one_lot(&[unit], at(399)).expect("of one class");
    let stratum = trend.stratum(Criticality::Low, &lot).expect("enough changes");
    let [n, _] = trend.at_risk(stratum, at(400));
    trend.failed(Criticality::Low, at(400), &lot);
    let [n_left, _] = trend.at_risk(stratum, at(400));
    assert!((n - n_left - 1.0).abs() < f64::EPSILON, "{n} {n_left}");
}

#[test]
fn few_failures_are_not_enough_and_what_was_not_told_takes_no_part() {
    let trend = play(
        &Story {
            n: 300,
            ratio: 1.0,
            confounded: false,
            told: true,
        },
        1,
    );
    assert_eq!(
        (trend.evidence().comparison, trend.evidence().multiplier.to_bits()),
        (None, 1.0_f64.to_bits())
    );
    let mut trend = play(
        &Story {
            n: 5_000,
            ratio: 1.0,
            confounded: false,
            told: true,
        },
        1,
    );
    let before = trend.comparison();
    let at = Timestamp::from_millis(1_772_409_600_000 + 5_000 * 86_400_000 / 50);
    for _ in 0..500 {
        let unit = Unit {
            ai: Assistance::Unknown,
            probability: 0.9,
        };
        trend.deployed(Criticality::High, at, &[unit], false);
        fail(&mut trend, Criticality::High, at, unit);
    }
    assert_eq!(trend.comparison(), before);
    assert_eq!(trend.evidence().failed.unknown, 500);
    assert!(trend.buckets.len() <= BUCKETS_MAX && trend.probabilities.len() <= PROBABILITIES_MAX);
}

#[test]
fn what_is_at_risk_is_what_was_deployed_within_a_week_and_has_not_failed() {
    let mut trend = Trend::default();
    let day = |n: i64| Timestamp::from_millis(1_772_409_600_000 + n * 86_400_000);
    let unit = |ai| Unit { ai, probability: 0.5 };
    // Before the quarters of risk are known, nothing is compared.
    trend.deployed(
        Criticality::Low,
        day(-20),
        &[unit(Assistance::None); PROBABILITIES_MIN - 1],
        false,
    );
    trend.deployed(Criticality::Low, day(0), &[unit(Assistance::None); 5], true);
    let authored = [unit(Assistance::Authored); 3];
    trend.deployed(Criticality::High, day(3), &authored, false);
    trend.deployed(Criticality::High, day(3), &authored, true);
    trend.deployed(Criticality::High, day(3), &[unit(Assistance::Unknown); 2], false);
    trend.failed(Criticality::High, day(4), &lot_of(unit(Assistance::Authored), day(3)));
    let at_risk = |trend: &Trend, n| {
        let Classes { human, ai, unknown } = trend.outlook(day(n)).at_risk;
        (human, ai, unknown)
    };
    assert_eq!(
        [4, 8, 11].map(|n| at_risk(&trend, n)),
        [(5, 5, 2), (0, 5, 2), (0, 0, 0)]
    );
    let deploy = one_lot(&authored, day(3)).expect("of one class");
    trend.failed(Criticality::High, day(4), &deploy);
    assert_eq!(at_risk(&trend, 4), (5, 2, 2), "with all its changes");
    let five = one_lot(&[unit(Assistance::None); 5], day(0)).expect("of one class");
    trend.left(Criticality::Low, &five);
    assert_eq!(at_risk(&trend, 4), (0, 2, 2));
    assert_eq!(trend.outlook(day(4)).evidence, trend.evidence());
}

/// How failures come to be known.
#[derive(Debug, Clone, Copy)]
enum Telling {
    ByDeploy,
    BySha,
    /// The one, the other, or the deploy at once and a day later the sha, as it happens.
    AsItHappens,
}

/// A history of deploys of several changes.
#[derive(Debug, Clone, Copy)]
struct Deploys {
    n: usize,
    /// The least and the most changes of a deploy.
    sizes: (usize, usize),
    /// The share of changes that AI had a part in; `None`: the riskier, the more.
    share: Option<f64>,
    telling: Telling,
    ratio: f64,
}

/// A deploy as its service remembers it.
struct Brought {
    at: Timestamp,
    tier: Criticality,
    units: Vec<Unit>,
    lot: Option<Lot>,
    /// By change, or the first for all of one lot.
    has_failed: Vec<bool>,
}

/// That a change of the deploy in this place failed, and which if that is told.
type Failure = (Timestamp, usize, Option<usize>);

/// Sixty changes a day, each of which fails by its own risk and class alone, within six days.
fn play_deploys(story: &Deploys, seed: u64) -> Trend {
    let mut chance = Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0xd3);
    // The first that such a generator gives are alike for seeds that are.
    for _ in 0..8 {
        chance.uniform();
    }
    let (mut deploys, mut failures): (Vec<Brought>, Vec<Failure>) = (Vec::new(), Vec::new());
    let mut at = Timestamp::from_millis(1_772_409_600_000);
    while deploys.len() < story.n {
        let (least, most) = story.sizes;
        let size = (least..most).find(|size| chance.uniform() * as_f64(most + 1 - size) < 1.0);
        let deploy = bring(story, at, size.unwrap_or(most), &mut chance);
        for (i, unit) in deploy.units.iter().enumerate() {
            let risk = f64::from(unit.probability);
            let ratio = if class(unit.ai) == 1 { story.ratio } else { 1.0 };
            if chance.uniform() < (0.01 + 0.09 * risk * risk) * ratio {
                tell(story.telling, at, (deploys.len(), i), &mut chance, &mut failures);
            }
        }
        at = at + Duration::from_mins(24) * u32::try_from(deploy.units.len()).expect("few");
        deploys.push(deploy);
    }
    failures.sort_unstable();
    let mut trend = Trend::default();
    let mut n_begun = 0;
    for (failed_at, place, sha) in failures {
        for deploy in deploys[n_begun..].iter().take_while(|deploy| deploy.at <= failed_at) {
            trend.deployed(deploy.tier, deploy.at, &deploy.units, deploy.lot.is_some());
            n_begun += 1;
        }
        fail_one(&mut trend, &mut deploys[place], failed_at, sha);
    }
    trend
}

fn bring(story: &Deploys, at: Timestamp, size: usize, chance: &mut Chance) -> Brought {
    let mut unit = || {
        let risk = chance.uniform();
        let share = story.share.unwrap_or(0.15 + 0.7 * risk);
        let is_ai = chance.uniform() < share;
        Unit {
            ai: if is_ai { Assistance::Authored } else { Assistance::None },
            probability: narrow(risk),
        }
    };
    let units: Vec<Unit> = (0..size).map(|_| unit()).collect();
    let is_low = chance.uniform() < 0.3;
    Brought {
        at,
        tier: if is_low { Criticality::Low } else { Criticality::High },
        lot: one_lot(&units, at),
        has_failed: vec![false; size],
        units,
    }
}

fn tell(telling: Telling, at: Timestamp, (place, i): (usize, usize), chance: &mut Chance, failures: &mut Vec<Failure>) {
    let at = at + Duration::from_secs_f64(chance.uniform() * 6.0 * 86_400.0);
    let which = match telling {
        Telling::ByDeploy => 0.0,
        Telling::BySha => 0.5,
        Telling::AsItHappens => chance.uniform(),
    };
    let is_again = which > 0.67;
    if which < 0.33 || is_again {
        failures.push((at, place, None));
    }
    if which >= 0.33 {
        let later = if is_again {
            Duration::from_hours(23)
        } else {
            Duration::ZERO
        };
        failures.push((at + later, place, Some(i)));
    }
}

/// As a service tells it: each lot once, and of a deploy of both classes what is named.
fn fail_one(trend: &mut Trend, deploy: &mut Brought, at: Timestamp, sha: Option<usize>) {
    let (i, lot) = match (deploy.lot, sha) {
        (Some(lot), _) => (0, lot),
        (None, Some(i)) => (i, lot_of(deploy.units[i], deploy.at)),
        (None, None) => return,
    };
    if !deploy.has_failed[i] && at.since(deploy.at) < AT_RISK {
        deploy.has_failed[i] = true;
        trend.failed(deploy.tier, at, &lot);
    }
}

fn as_f64(n: usize) -> f64 {
    f64::from(u32::try_from(n).expect("small"))
}

const TELLINGS: [Telling; 3] = [Telling::ByDeploy, Telling::BySha, Telling::AsItHappens];
const SIZES_PLAYED: [(usize, usize); 3] = [(1, 1), (3, 3), (1, 4)];

#[test]
fn where_each_change_fails_as_often_neither_class_is_convicted_however_many_ride_together() {
    let mut n_wrong = [0; 3];
    let mut n_histories = 0;
    for telling in TELLINGS {
        for sizes in SIZES_PLAYED {
            for share in [Some(0.2), Some(0.5), Some(0.8), None] {
                let story = Deploys {
                    n: 3_000 / sizes.1,
                    sizes,
                    share,
                    telling,
                    ratio: 1.0,
                };
                let mut wrong = [0; 3];
                for seed in 0..40 {
                    let found = play_deploys(&story, seed).comparison();
                    let is_wrong = found.map_or([false; 3], |found| {
                        let is_outside = found.ratio_low > 1.0 || found.ratio_high < 1.0;
                        [found.e_more >= CONVICTS, found.e_less >= CONVICTS, is_outside]
                    });
                    for (n, is_wrong) in wrong.iter_mut().zip(is_wrong) {
                        *n += u32::from(is_wrong);
                    }
                }
                // 5 % of 40 are 2; three standard deviations more are 6.
                assert!(wrong.iter().all(|n| *n <= 6), "{wrong:?} of 40: {story:?}");
                for (sum, n) in n_wrong.iter_mut().zip(wrong) {
                    *sum += n;
                }
                n_histories += 40;
            }
        }
    }
    assert!(
        n_wrong.iter().all(|n| n * 20 <= n_histories),
        "more, less, outside: {n_wrong:?} of {n_histories}"
    );
}

#[test]
fn twice_and_half_as_often_are_found_in_deploys_of_several_changes() {
    for (telling, sizes) in [
        (Telling::BySha, (3, 3)),
        (Telling::AsItHappens, (1, 4)),
        (Telling::ByDeploy, (1, 1)),
    ] {
        let play = |ratio, seed| {
            let story = Deploys {
                n: 9_000 / sizes.1,
                sizes,
                share: Some(0.5),
                telling,
                ratio,
            };
            let trend = play_deploys(&story, seed);
            (trend.comparison().expect("enough failures"), trend.n_compared)
        };
        let (mut n_found, mut n_within, mut n_compared) = ([0; 2], 0, 0);
        for seed in 0..10 {
            for (i, ratio) in [2.0, 0.5].into_iter().enumerate() {
                let (found, n) = play(ratio, seed);
                let e = if ratio > 1.0 { found.e_more } else { found.e_less };
                n_found[i] += u32::from(e >= CONVICTS);
                n_within += u32::from(found.ratio_low <= ratio && ratio <= found.ratio_high);
                n_compared += n;
            }
        }
        assert!(
            n_found.iter().all(|n| *n >= 8) && n_within >= 18,
            "{telling:?} {sizes:?}: found {n_found:?} of 10, within {n_within} of 20, by {n_compared} failures"
        );
    }
}
