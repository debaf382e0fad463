use super::*;
use crate::score::baseline::SCALES;

fn sizes(k: f64) -> Sizes {
    Sizes {
        step: k,
        blocks: [k; SCALES],
    }
}

/// A step of a service with 10 errors to be expected and 12.5 still harmless.
fn step(errors: f64, k: f64) -> Observation {
    Observation {
        errors,
        counted: errors,
        harmless: 12.5,
        expected: 10.0,
        sizes: sizes(k),
    }
}

/// Lets a process see a step against the baseline.
fn observe(process: &mut EProcess, recent: &mut Recent, o: &Observation, stages: &[u16]) {
    recent.push(o.errors, o.expected);
    let seen = Seen {
        ln_ratios: o.ln_ratios(o.sizes.step, 1.0),
        errors: o.errors,
        expected: o.expected,
        blocks: Some(Blocks {
            recent,
            sizes: &o.sizes,
            harmless: o.harmless / o.expected,
            exposure: 1.0,
            spike: 1_000.0,
        }),
    };
    process.observe(&seen, stages, 120);
}

#[test]
fn injected_mass_never_exceeds_one() {
    let (mut process, mut recent) = (EProcess::new(), Recent::new());
    let mut stages = [0_u16; 5];
    for n in 1..=400_u16 {
        if n % 20 == 1
            && let Some(stage) = stages.iter_mut().find(|first| **first == 0)
        {
            *stage = n;
        }
        observe(&mut process, &mut recent, &step(10.0, 10.0), &stages);
        assert!((-1e-6..1.0).contains(&process.rest), "step {n}: {}", process.rest);
    }
    assert!(
        process.rest > 0.0,
        "stages share half of it, and there was no fifth of them at the least mass"
    );
}

#[test]
fn five_times_the_errors_convict_within_minutes_and_the_baseline_never_does() {
    let (mut healthy, mut faulty) = (EProcess::new(), EProcess::new());
    let mut recents = [Recent::new(), Recent::new()];
    for n in 0..120_usize {
        let [a, b] = &mut recents;
        observe(&mut healthy, a, &step(10.0, 10.0), &[1]);
        let errors = if n < 30 { 10.0 } else { 50.0 };
        observe(&mut faulty, b, &step(errors, 10.0), &[1]);
        if n < 30 {
            assert!(faulty.ln_e() < 100_f64.ln());
        }
        if n == 36 {
            assert!(faulty.ln_e() > 1000_f64.ln(), "ln E is {}", faulty.ln_e());
            assert!(faulty.since_onset().n_steps <= 8, "{:?}", faulty.since_onset());
        }
    }
    assert!(healthy.ln_e() <= 0.0, "{}", healthy.ln_e());
}

/// Uniform between 0 and 1, of a linear congruence; the seed is in the assertion's text.
fn uniform(state: &mut u64) -> f64 {
    *state = state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    (f64::from(u32::try_from(*state >> 33).expect("31 bits")) + 0.5) / f64::from(1_u32 << 31)
}

/// A geometric count, negative binomial of size 1, with mean 12.5.
fn geometric(uniform: f64) -> f64 {
    (uniform.ln() / (12.5_f64 / 13.5).ln()).floor()
}

/// How many of 2,000 watches pass 1/α = 100 on counts that `draw` makes, 120 each.
fn alarms(sizes: Sizes, mut draw: impl FnMut(usize) -> f64) -> i32 {
    let mut alarms = 0;
    for _trial in 0..2_000 {
        let (mut process, mut recent) = (EProcess::new(), Recent::new());
        let alarmed = (0..120_usize).any(|n| {
            let o = Observation {
                sizes,
                ..step(draw(n), 1.0)
            };
            observe(&mut process, &mut recent, &o, &[1]);
            process.ln_e() >= 100_f64.ln()
        });
        alarms += i32::from(alarmed);
    }
    alarms
}

/// Ville's bound on seeded negative-binomial counts at the greatest harmless mean itself: of size 1 a step, and so of
/// size b a block.
#[test]
fn under_the_null_the_maximum_passes_one_in_alpha_at_most_alpha_often() {
    let mut state = 42;
    let true_sizes = Sizes {
        step: 1.0,
        blocks: [1.0, 2.0, 4.0, 8.0, 16.0, 32.0],
    };
    let n = alarms(true_sizes, |_| geometric(uniform(&mut state)));
    assert!(n <= 30, "{n} of 2000 at a nominal 20, seed 42");
    // The guarantee is not for nothing: it is lost where counts are taken to be steadier than they are.
    let n = alarms(sizes(30.0), |_| geometric(uniform(&mut state)));
    assert!(n > 500, "{n} of 2000");
}

/// Counts that stay for ten steps: only sizes of blocks that know it keep the bound, and single steps judged by the
/// size that each has by itself break it.
#[test]
fn blocks_keep_the_bound_where_steps_hang_together() {
    let mut state = 43;
    let mut count = 0.0;
    let blocks = [1.0; SCALES];
    let n = alarms(Sizes { step: 0.05, blocks }, |n| {
        if n % 10 == 0 {
            count = geometric(uniform(&mut state));
        }
        count
    });
    assert!(n <= 30, "{n} of 2000 at a nominal 20, seed 43");
    let n = alarms(Sizes { step: 1.0, blocks }, |n| {
        if n % 10 == 0 {
            count = geometric(uniform(&mut state));
        }
        count
    });
    assert!(n > 200, "{n} of 2000");
}

/// A rate that wanders leaves single steps no say; blocks still find five times the errors in a few.
#[test]
fn blocks_find_what_steps_cannot() {
    let (mut process, mut recent) = (EProcess::new(), Recent::new());
    let wandering = Sizes {
        step: 0.1,
        blocks: [12.0; SCALES],
    };
    for n in 0..46_u16 {
        let o = Observation {
            sizes: wandering,
            ..step(if n < 40 { 10.0 } else { 50.0 }, 1.0)
        };
        observe(&mut process, &mut recent, &o, &[1]);
    }
    assert!(process.ln_e() >= 100_f64.ln(), "{}", process.ln_e());
    let since = process.since_onset();
    assert!((5..=10).contains(&since.n_steps), "{since:?}");
}

/// What was seen in blocks fades when the errors are back to what is usual.
#[test]
fn an_alarm_passes_when_what_raised_it_has() {
    let (mut process, mut recent) = (EProcess::new(), Recent::new());
    for _ in 0..3 {
        observe(&mut process, &mut recent, &step(60.0, 10.0), &[1]);
    }
    let high = process.ln_e();
    assert!(high >= 100_f64.ln(), "{high}");
    for _ in 0..110 {
        observe(&mut process, &mut recent, &step(9.0, 10.0), &[1]);
    }
    assert!(process.ln_e() < high - 5.0, "{high} then {}", process.ln_e());
}

/// Errors enough for twice what is harmless show no recovery, as few as usual do; a lull of a wandering rate does not
/// as soon.
#[test]
fn recovery_is_twenty_to_one_and_slower_where_the_rate_wanders() {
    let after = |errors: f64, k: f64| {
        let mut recovery = Recovery::default();
        let n = (1..=200_u16).find(|_| {
            recovery.observe(&step(errors, k));
            recovery.shown()
        });
        n.unwrap_or(u16::MAX)
    };
    assert_eq!(after(25.0, 100.0), u16::MAX);
    let (steady, wandering) = (after(10.0, 100.0), after(10.0, 15.0));
    assert!(steady <= 3 && wandering > steady, "{steady} {wandering}");
}

/// A fault that a part of the traffic meets is looked for in that part.
#[test]
fn the_multiples_shrink_with_the_exposure() {
    let o = step(14.0, 1_000.0);
    let (whole, part) = (o.ln_ratios(1_000.0, 1.0), o.ln_ratios(1_000.0, 0.1));
    assert!(whole[3] < -10.0 && part[3] > whole[3] + 10.0, "{whole:?} {part:?}");
}

/// Sums L over counts: up to what restarts explain its mean is at most 1, at the edge itself 1.
#[test]
fn what_restarts_explain_is_no_evidence_and_what_is_beyond_them_is() {
    let (m, least) = (12.5, 4.0);
    // Of size 1: geometric.
    let means = |of: f64| {
        let mut means = [0.0; 6];
        let mut chance = 1.0 / (1.0 + of);
        for x in 0..20_000_u32 {
            let o = Observation {
                harmless: m,
                ..step(f64::from(x), 1.0)
            };
            for (mean, ratio) in means.iter_mut().zip(o.ln_ratios_beyond(least, 1.0, 1.0, 6.0)) {
                *mean += (chance.ln() + ratio).exp();
            }
            chance *= of / (1.0 + of);
            if chance < 1e-280 {
                break;
            }
        }
        means
    };
    assert!(
        means(least * m).iter().all(|mean| (mean - 1.0).abs() < 1e-6),
        "{:?}",
        means(least * m)
    );
    assert!(means(m).iter().all(|mean| *mean <= 1.0 + 1e-9), "{:?}", means(m));
    let beyond = step(200.0, 100.0).ln_ratios_beyond(least, 100.0, 1.0, 6.0);
    assert!(beyond[0].abs() < 1e-12 && beyond[4] > 10.0, "{beyond:?}");
}

/// Half of a stage's mass is laid before what its restarts show, and no more than all of it in the end.
#[test]
fn a_fault_that_begins_with_a_restart_is_found_by_what_the_restart_shows() {
    let ln_e = |restart: f64| {
        let (mut process, mut recent) = (EProcess::new(), Recent::new());
        let o = step(restart, 10.0);
        let beyond = Seen {
            ln_ratios: o.ln_ratios_beyond(2.0, o.sizes.step, 1.0, 6.0),
            errors: o.errors,
            expected: 2.0 * o.expected,
            blocks: None,
        };
        process.observe_restart(&beyond, (0, 1.0));
        let injected = 0.3 * 0.5 * (2.0 / 3.0);
        assert!(
            (f64::from(process.rest) - (1.0 - injected)).abs() < 1e-6,
            "{}",
            process.rest
        );
        assert_eq!(
            (process.n_steps(), process.since_onset().n_steps),
            (0, 0),
            "it is dated by what follows"
        );
        observe(&mut process, &mut recent, &step(40.0, 10.0), &[1]);
        process.ln_e()
    };
    let (quiet, faulty) = (ln_e(10.0), ln_e(60.0));
    assert!(faulty > quiet + 2.0, "{quiet} {faulty}");
}

/// Real spikes are over after three steps: of the fourth in a row as much counts as each of those before it had.
#[test]
fn a_spike_is_cut_and_what_lasts_is_not() {
    let mut recent = Recent::new();
    for _ in 0..5 {
        recent.push(100.0, 100.0);
    }
    let mut counted = Vec::new();
    for errors in [2_000.0, 1_800.0, 2_500.0, 2_000.0, 3_000.0, 500.0, 2_000.0] {
        counted.push(recent.counted((errors, 100.0), 6.0, 0));
        recent.push(errors, 100.0);
    }
    let mild = f64::from(6 * 100 + 10);
    // The fourth reaches 18 times, as each of the three before; the fifth no more than 18, and ten; the last follows on a
    // step that was none.
    let expected = [mild, mild, mild, 1_810.0, 1_810.0, 500.0, mild];
    for (n, (counted, expected)) in counted.iter().zip(expected).enumerate() {
        assert!((counted - expected).abs() < 20.0, "{n}: {counted} of {expected}");
    }
    assert!(
        Recent::new().counted((1e6, 100.0), 6.0, 0) <= mild,
        "nothing is known of before"
    );
}
