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
        trend.deployed(tier, at, &[unit]);
        let fails = (0.01 + 0.09 * risk * risk) * if ai { story.ratio } else { 1.0 };
        if chance.uniform() < fails {
            trend.failed(tier, at, unit);
        }
    }
    trend
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
        trend.deployed(Criticality::Low, at(hour), &[unit]);
    }
    let before = trend.buckets.clone();
    trend.deployed(Criticality::Low, at(0), &[unit]);
    assert_eq!(trend.buckets, before);
    assert_eq!(trend.buckets.len(), BUCKETS_MAX);
    let stratum = trend.stratum(Criticality::Low, 0.5).expect("enough changes");
    let [n, _] = trend.at_risk(stratum, at(400));
    trend.failed(Criticality::Low, at(400), unit);
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
        trend.deployed(Criticality::High, at, &[unit]);
        trend.failed(Criticality::High, at, unit);
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
    trend.deployed(Criticality::Low, day(-20), &[unit(Assistance::None); PROBABILITIES_MIN]);
    trend.deployed(Criticality::Low, day(0), &[unit(Assistance::None); 5]);
    trend.deployed(Criticality::High, day(3), &[unit(Assistance::Authored); 3]);
    trend.deployed(Criticality::High, day(3), &[unit(Assistance::Unknown); 2]);
    trend.failed(Criticality::High, day(4), unit(Assistance::Authored));
    let at_risk = |n| {
        let Classes { human, ai, unknown } = trend.outlook(day(n)).at_risk;
        (human, ai, unknown)
    };
    assert_eq!((at_risk(4), at_risk(8), at_risk(11)), ((5, 2, 2), (0, 2, 2), (0, 0, 0)));
    assert_eq!(trend.outlook(day(4)).evidence, trend.evidence());
}
