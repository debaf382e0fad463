use super::*;

struct Chance(u64);

impl Chance {
    fn new(seed: u64) -> Self {
        let mut chance = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0xd3);
        // The first that such a generator gives are alike for seeds that are.
        for _ in 0..8 {
            chance.uniform();
        }
        chance
    }

    fn uniform(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        f64::from(u32::try_from(self.0 >> 33).expect("31 bits")) / f64::from(1_u32 << 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (0..n).find(|i| self.uniform() * as_f64(n - i) < 1.0).unwrap_or(n - 1)
    }
}

fn as_f64(n: usize) -> f64 {
    f64::from(u32::try_from(n).expect("small"))
}

/// Which changes AI had a part in.
#[derive(Debug, Clone, Copy)]
enum Share {
    Even(f64),
    /// The riskier, the likelier.
    Riskier,
    /// Nine in ten of the one half of the services, one in ten of the other, whose changes fail three times as often.
    BySteadyServices,
    /// None of a service's until it goes over to AI, then all; one service after the other.
    GoingOver,
}

/// How failures come to be known.
#[derive(Debug, Clone, Copy)]
enum Telling {
    ByDeploy,
    BySha,
    /// The one, the other, or the deploy at once and a day later the sha, as it happens.
    AsItHappens,
}

/// A history of deploys.
#[derive(Debug, Clone, Copy)]
struct Story {
    n_services: usize,
    n_deploys: usize,
    /// The least and the most changes of a deploy.
    sizes: (usize, usize),
    share: Share,
    telling: Telling,
    /// Within how many days after its deploy a failure is told, at any time of them.
    told_within: f64,
    /// How much likelier an AI change fails than another of the same risk and service.
    ratio: f64,
    /// Whether changes' risk is known: else all are taken for alike.
    is_told: bool,
}

const PLAIN: Story = Story {
    n_services: 8,
    n_deploys: 2_300,
    sizes: (1, 1),
    share: Share::Even(0.5),
    telling: Telling::ByDeploy,
    told_within: 6.0,
    ratio: 1.0,
    is_told: true,
};

/// A deploy as its service remembers it.
struct Brought {
    at: Timestamp,
    service: usize,
    changes: Vec<Brings>,
    /// By change, or the first for all of one lot.
    is_over: Vec<bool>,
}

#[derive(Clone, Copy)]
struct Brings {
    ai: Assistance,
    /// The chance that it fails, times the ratio where AI is in it.
    hazard: f64,
    probability: f32,
}

/// That a change of the deploy in this place failed, and which if that is told.
type Failure = (Timestamp, usize, Option<usize>);

impl Brought {
    fn is_one_lot(&self) -> bool {
        let first = class(self.changes[0].ai);
        self.changes.iter().all(|change| class(change.ai) == first)
    }

    fn kind(&self) -> Kind {
        if self.is_one_lot() {
            Kind::Deploys(u8::try_from(self.changes.len()).expect("few"))
        } else {
            Kind::Changes
        }
    }
}

/// Seven or eight changes a day of each service, each of which fails by its own hazard alone.
fn play(story: &Story, seed: u64) -> Trend {
    let mut chance = Chance::new(seed);
    let (mut deploys, mut failures): (Vec<Brought>, Vec<Failure>) = (Vec::new(), Vec::new());
    let mut at = Timestamp::from_millis(1_772_409_600_000);
    while deploys.len() < story.n_deploys {
        let deploy = bring(story, (at, deploys.len()), &mut chance);
        for (i, change) in deploy.changes.iter().enumerate() {
            if chance.uniform() < change.hazard {
                tell(story, at, (deploys.len(), i), &mut chance, &mut failures);
            }
        }
        let between = Duration::from_mins(8 * 24) / u32::try_from(story.n_services).expect("few");
        at = at + between * u32::try_from(deploy.changes.len()).expect("few");
        deploys.push(deploy);
    }
    failures.sort_unstable();
    let mut trend = Trend::default();
    let mut n_begun = 0;
    for (failed_at, place, sha) in failures {
        for deploy in deploys[n_begun..].iter().take_while(|deploy| deploy.at <= failed_at) {
            let mut n_changes = [0; 3];
            for change in &deploy.changes {
                n_changes[class(change.ai)] += 1;
            }
            trend.deployed(deploy.at, n_changes);
            n_begun += 1;
        }
        fail(&mut trend, &mut deploys[..n_begun], place, (failed_at, sha));
    }
    trend
}

fn bring(story: &Story, (at, place): (Timestamp, usize), chance: &mut Chance) -> Brought {
    let (least, most) = story.sizes;
    let size = least + chance.below(most + 1 - least);
    let service = chance.below(story.n_services);
    let mut draw = || {
        let risk = chance.uniform();
        let is_steady = service.is_multiple_of(2);
        let (share, fails) = match story.share {
            Share::Even(share) => (share, 1.0),
            Share::Riskier => (0.02 + 0.96 * risk, 1.0),
            Share::BySteadyServices if is_steady => (0.9, 0.5),
            Share::BySteadyServices => (0.1, 1.5),
            Share::GoingOver => {
                let has_gone = place * (story.n_services + 1) / story.n_deploys > service;
                (if has_gone { 1.0 } else { 0.0 }, 1.0)
            }
        };
        let is_ai = chance.uniform() < share;
        let hazard = 0.01 + 0.09 * risk * risk;
        Brings {
            ai: if is_ai { Assistance::Authored } else { Assistance::None },
            hazard: hazard * fails * if is_ai { story.ratio } else { 1.0 },
            // What a service's own rate of failures is, is known late.
            probability: if story.is_told { narrow(hazard) } else { 0.04 },
        }
    };
    let changes: Vec<Brings> = (0..size).map(|_| draw()).collect();
    Brought {
        at,
        service,
        is_over: vec![false; size],
        changes,
    }
}

fn tell(story: &Story, at: Timestamp, (place, i): (usize, usize), chance: &mut Chance, failures: &mut Vec<Failure>) {
    let at = at + Duration::from_secs_f64(chance.uniform() * story.told_within * 86_400.0);
    let which = match story.telling {
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
fn fail(trend: &mut Trend, deploys: &mut [Brought], place: usize, (at, sha): (Timestamp, Option<usize>)) {
    let failed = &deploys[place];
    let (kind, i) = match (failed.is_one_lot(), sha) {
        (true, _) => (failed.kind(), 0),
        (false, Some(i)) => (Kind::Changes, i),
        (false, None) => return,
    };
    if failed.is_over[i] || at.since(failed.at) >= AT_RISK {
        return;
    }
    let lot = Lot {
        ai: failed.changes[i].ai,
        deployed_at: failed.at,
        n_changes: match kind {
            Kind::Deploys(n_changes) => n_changes,
            Kind::Changes => 1,
        },
    };
    let failed_at = failed.at;
    let beside = deploys.iter().enumerate().rev();
    let beside = beside.take_while(|(_, deploy)| at.since(deploy.at) < AT_RISK);
    let beside =
        beside.filter(|(_, deploy)| deploy.service == failed.service && deploy.is_one_lot() == failed.is_one_lot());
    let at_risk = beside.flat_map(|(place, deploy)| {
        let changes = deploy.changes.iter().enumerate();
        let left = changes.filter(|(i, _)| !deploy.is_over[if deploy.is_one_lot() { 0 } else { *i }]);
        left.map(move |(_, change)| AtRisk {
            lot: place,
            age: at.since(deploy.at),
            ai: change.ai,
            probability: change.probability,
        })
    });
    trend.failed(&lot, rivals((kind, at.since(failed_at)), at_risk.collect()));
    deploys[place].is_over[i] = true;
}

/// Of so many histories: more often, less often, and an interval without 1.
fn wrong(story: &Story, seeds: u64) -> [u32; 3] {
    let mut n_wrong = [0; 3];
    for seed in 0..seeds {
        let Some(found) = play(story, seed).comparison() else {
            continue;
        };
        let is_outside = found.ratio_low > 1.0 || found.ratio_high < 1.0;
        let is_wrong = [found.e_more >= CONVICTS, found.e_less >= CONVICTS, is_outside];
        for (n, is_wrong) in n_wrong.iter_mut().zip(is_wrong) {
            *n += u32::from(is_wrong);
        }
    }
    n_wrong
}

#[test]
fn a_class_that_is_merely_the_riskier_one_is_not_convicted() {
    let story = Story {
        n_deploys: 12_000,
        share: Share::Riskier,
        ..PLAIN
    };
    // 5 % of 40 are 2; three standard deviations more are 6.
    let known = wrong(&story, 40);
    assert!(known.iter().all(|n| *n <= 6), "{known:?} of 40");
    let [more, ..] = wrong(
        &Story {
            is_told: false,
            ..story
        },
        40,
    );
    assert!(more >= 20, "the confounder is one: where risk is not known only {more}");
}

#[test]
fn a_class_that_goes_with_services_that_rarely_fail_is_not_acquitted_for_them() {
    let story = Story {
        n_deploys: 12_000,
        share: Share::BySteadyServices,
        ..PLAIN
    };
    // 5 % of 40 are 2; three standard deviations more are 6.
    let n_wrong = wrong(&story, 40);
    assert!(n_wrong.iter().all(|n| *n <= 6), "{n_wrong:?} of 40");
}

/// Most that fails does so soon after its deploy, when what is older was all made by the class of before.
#[test]
fn what_fails_soon_is_not_put_down_to_the_class_that_is_deployed_of_late() {
    let story = Story {
        n_services: 60,
        n_deploys: 30_000,
        share: Share::GoingOver,
        told_within: 0.25,
        ..PLAIN
    };
    // 5 % of 30 are 1.5; three standard deviations more are 5.
    let n_wrong = wrong(&story, 30);
    assert!(n_wrong.iter().all(|n| *n <= 5), "{n_wrong:?} of 30");
}

const TELLINGS: [Telling; 3] = [Telling::ByDeploy, Telling::BySha, Telling::AsItHappens];
const SIZES_PLAYED: [(usize, usize); 3] = [(1, 1), (3, 3), (1, 4)];

#[test]
fn where_each_change_fails_as_often_neither_class_is_convicted_however_many_ride_together() {
    let mut n_wrong = [0; 3];
    let mut n_histories = 0;
    for telling in TELLINGS {
        for sizes in SIZES_PLAYED {
            for share in [Share::Even(0.2), Share::Even(0.5), Share::Even(0.8), Share::Riskier] {
                let story = Story {
                    n_deploys: 3_000 / sizes.1,
                    sizes,
                    share,
                    telling,
                    ..PLAIN
                };
                let wrong = wrong(&story, 40);
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
fn twice_and_half_as_often_are_found_however_many_ride_together() {
    for (telling, sizes) in [
        (Telling::BySha, (3, 3)),
        (Telling::AsItHappens, (1, 4)),
        (Telling::ByDeploy, (1, 1)),
    ] {
        let (mut n_found, mut n_within, mut n_compared) = ([0; 2], 0, 0);
        for seed in 0..10 {
            for (i, ratio) in [2.0, 0.5].into_iter().enumerate() {
                let story = Story {
                    n_deploys: 9_000 / sizes.1,
                    sizes,
                    telling,
                    ratio,
                    ..PLAIN
                };
                let trend = play(&story, seed);
                let found = trend.comparison().expect("enough failures");
                let e = if ratio > 1.0 { found.e_more } else { found.e_less };
                n_found[i] += u32::from(e >= CONVICTS);
                n_within += u32::from(found.ratio_low <= ratio && ratio <= found.ratio_high);
                n_compared += trend.n_compared;
            }
        }
        assert!(
            n_found.iter().all(|n| *n >= 8) && n_within >= 18,
            "{telling:?} {sizes:?}: found {n_found:?} of 10, within {n_within} of 20, by {n_compared} failures"
        );
    }
}

#[test]
fn a_ratio_of_one_and_a_half_is_found_and_lies_within_the_confidence_sequence() {
    let (mut n_found, mut n_within) = (0, 0);
    for seed in 0..20 {
        let story = Story {
            n_deploys: 20_000,
            ratio: 1.5,
            share: Share::Riskier,
            ..PLAIN
        };
        let trend = play(&story, seed);
        let found = trend.comparison().expect("enough failures");
        n_found += u32::from(trend.multiplier().is_some());
        n_within += u32::from(found.ratio_low <= 1.5 && 1.5 <= found.ratio_high);
        assert!(found.e_less < 1.0, "{found:?}");
        assert!(trend.multiplier().is_none_or(|multiplier| multiplier <= found.ratio));
    }
    assert!(
        n_found >= 18 && n_within >= 18,
        "found {n_found}, within {n_within} of 20"
    );
}

#[test]
fn a_ratio_below_one_lets_nobody_off_and_one_far_above_weighs_three_times() {
    let story = |ratio| Story {
        n_deploys: 20_000,
        ratio,
        ..PLAIN
    };
    let less = play(&story(0.6), 3);
    let found = less.comparison().expect("enough failures");
    assert!(found.e_less >= CONVICTS && found.ratio_high < 1.0, "{found:?}");
    assert_eq!(less.multiplier(), None);
    let sure = play(&story(6.0), 1);
    assert_eq!(sure.multiplier(), Some(MULTIPLIER_MAX), "{:?}", sure.comparison());
}

#[test]
fn few_failures_are_not_enough_and_what_was_not_told_takes_no_part() {
    let story = |n_deploys| Story { n_deploys, ..PLAIN };
    let few = play(&story(300), 1).evidence();
    assert_eq!((few.comparison, few.multiplier.to_bits()), (None, 1.0_f64.to_bits()));
    let mut trend = play(&story(5_000), 1);
    let before = trend.comparison();
    let at = Timestamp::from_millis(1_772_409_600_000);
    let unknown = Lot {
        ai: Assistance::Unknown,
        deployed_at: at,
        n_changes: 1,
    };
    let at_risk = |human: f32| Rivals {
        human: [human; N_AGES],
        ai: [1.0; N_AGES],
        age: 0,
    };
    for _ in 0..500 {
        trend.failed(&unknown, at_risk(1.0));
    }
    let alone = Lot {
        ai: Assistance::Assisted,
        ..unknown
    };
    trend.failed(&alone, at_risk(0.0));
    assert_eq!(trend.comparison(), before);
    assert_eq!(trend.evidence().failed.unknown, 500);
    assert!(trend.buckets.len() <= BUCKETS_MAX);
}

/// A change of next to no risk fails beside a thousand of the other class, after all others failed within the hour.
#[test]
fn what_was_hardly_to_be_expected_is_a_number() {
    let mut trend = Trend {
        n_by_age: [u32::MAX, 0, 0, 0, 0, 0, 0, 0],
        ..Trend::default()
    };
    let lot = Lot {
        ai: Assistance::None,
        deployed_at: Timestamp::from_millis(0),
        n_changes: 1,
    };
    let (mut human, mut ai) = ([0.0; N_AGES], [0.0; N_AGES]);
    (human[N_AGES - 1], ai[0]) = (1e-6, 6_900.0);
    for _ in 0..AI_FAILURES_MIN {
        trend.failed(&lot, Rivals { human, ai, age: 7 });
    }
    let found = trend.comparison().expect("enough failures");
    assert!(found.e_less >= CONVICTS && found.ratio_high < 1.0, "{found:?}");
    assert!(trend.ln_grid.iter().all(|ln| ln.is_finite()), "{:?}", trend.ln_grid);
}

#[test]
fn what_is_at_risk_is_what_was_deployed_within_a_week_and_has_not_failed() {
    let mut trend = Trend::default();
    let day = |n: i64| Timestamp::from_millis(1_772_409_600_000 + n * 86_400_000);
    let lot = |n, ai, n_changes| Lot {
        ai,
        deployed_at: day(n),
        n_changes,
    };
    trend.deployed(day(0), [5, 0, 0]);
    trend.deployed(day(3), [0, 6, 2]);
    trend.failed(&lot(3, Assistance::Authored, 1), Rivals::default());
    let at_risk = |trend: &Trend, n| {
        let Classes { human, ai, unknown } = trend.outlook(day(n)).at_risk;
        (human, ai, unknown)
    };
    assert_eq!(
        [4, 8, 11].map(|n| at_risk(&trend, n)),
        [(5, 5, 2), (0, 5, 2), (0, 0, 0)]
    );
    trend.failed(&lot(3, Assistance::Authored, 3), Rivals::default());
    assert_eq!(at_risk(&trend, 4), (5, 2, 2), "with all its changes");
    trend.left(&lot(0, Assistance::None, 5));
    assert_eq!(at_risk(&trend, 4), (0, 2, 2));
    assert_eq!(trend.outlook(day(4)).evidence, trend.evidence());
}

#[test]
fn what_was_deployed_before_all_that_is_kept_drops_nothing_newer() {
    let hour = |n: i64| Timestamp::from_millis(1_772_409_600_000 + n * 3_600_000);
    let mut trend = Trend::default();
    for n in 0..400 {
        trend.deployed(hour(n), [1, 0, 0]);
    }
    let before = trend.buckets.clone();
    trend.deployed(hour(0), [1, 0, 0]);
    assert_eq!(trend.buckets, before);
    assert_eq!(trend.buckets.len(), BUCKETS_MAX);
}

#[test]
fn a_deploy_is_set_beside_deploys_of_about_as_many_changes_by_what_their_risks_add_up_to() {
    let change = |lot: u64, ai, probability| AtRisk {
        lot,
        age: Duration::from_hours(2 * lot),
        ai,
        probability,
    };
    let at_risk = vec![
        change(1, Assistance::None, 0.5),
        change(2, Assistance::Authored, 0.25),
        change(3, Assistance::Authored, 0.5),
        change(2, Assistance::Assisted, 0.25),
        change(3, Assistance::Authored, 0.5),
        change(3, Assistance::Authored, 0.5),
        change(4, Assistance::Unknown, 0.9),
        change(5, Assistance::None, 1.0),
    ];
    let expect = |kind, human: [(usize, f64); 2], ai: [(usize, f64); 2]| {
        let found = rivals((kind, Duration::from_hours(30)), at_risk.clone());
        assert_eq!(found.age, 5);
        for (lambdas, expected) in [(found.human, human), (found.ai, ai)] {
            let mut all = [0.0; N_AGES];
            for (age, lambda) in expected {
                all[age] += lambda;
            }
            let is_near = lambdas
                .into_iter()
                .zip(all)
                .all(|(a, b)| (f64::from(a) - b).abs() < 1e-4);
            assert!(is_near, "{kind:?} {lambdas:?}, not {all:?}");
        }
    };
    let (half, quarter, sure) = (2.0_f64.ln(), (4.0 / 3.0_f64).ln(), 1_000.0_f64.ln());
    let none = [(0, 0.0); 2];
    // Of 2, 4, 6, 8 and 10 hours.
    expect(Kind::Deploys(1), [(1, half), (3, sure)], none);
    expect(Kind::Deploys(2), none, [(2, 2.0 * quarter), (0, 0.0)]);
    expect(Kind::Deploys(4), none, [(3, 3.0 * half), (0, 0.0)]);
    expect(
        Kind::Changes,
        [(1, half), (3, sure)],
        [(2, 2.0 * quarter), (3, 3.0 * half)],
    );
}
