use super::*;

const GRAIN: Grain = Grain::ONE_MINUTE;

fn minute(n: i64) -> Timestamp {
    Timestamp::from_millis(n * 60_000)
}

fn step(n: i64, errors: u64, requests: Option<u64>) -> Closed {
    Closed {
        start: minute(n),
        from: minute(n),
        until: minute(n + 1),
        length: GRAIN.duration(),
        errors,
        requests,
        n_records: 1,
        by_version: None,
    }
}

fn learned(minutes: i64, errors: impl Fn(i64) -> u64) -> Baseline {
    let mut baseline = Baseline::new();
    for n in 0..minutes {
        baseline.learn(GRAIN, &step(n, errors(n), None), 5.0);
    }
    baseline
}

/// 20 by day, 4 by night, alternating by half.
fn by_day(n: i64) -> u64 {
    let mean = if (n / 60) % 24 < 12 { 20 } else { 4 };
    if n % 2 == 0 { mean + mean / 2 } else { mean - mean / 2 }
}

#[test]
fn days_of_steps_give_the_level_the_shape_and_a_size_near_the_truth() {
    let baseline = learned(3 * 1_440, by_day);
    let mean = |n: i64| baseline.expect(GRAIN, minute(n), None).mean;
    let (day, night) = (mean(3 * 1_440 + 60), mean(3 * 1_440 + 20 * 60));
    assert!((16.0..23.0).contains(&day), "{day}");
    assert!((3.0..6.0).contains(&night), "{night}");
    assert!(baseline.is_known(minute(3 * 1_440), &Evidence::default()));
    // Of ±50 %, by turns: 1/k = .25 − 1/20 a step, and next to nothing of a longer block.
    let sizes = baseline.sizes(&Evidence::default());
    assert!((1.5..6.0).contains(&sizes.blocks[0]), "{sizes:?}");
    assert!(sizes.blocks[5] > 3.0 * sizes.blocks[0], "{sizes:?}");
}

/// Four hours and twelve steps are needed; of each too little will not do.
#[test]
fn a_short_history_convicts_nobody() {
    let evidence = Evidence::default();
    assert!(!learned(239, by_day).is_known(minute(239), &evidence));
    assert!(learned(241, by_day).is_known(minute(241), &evidence));
    let mut seldom = Baseline::new();
    for n in 0..11 {
        seldom.learn(GRAIN, &step(n * 10, 1, None), 5.0);
    }
    assert!(!seldom.is_known(minute(600), &evidence));
    seldom.learn(GRAIN, &step(110, 1, None), 5.0);
    assert!(seldom.is_known(minute(600), &evidence));
}

/// The level of a service whose errors doubled, days after: half-way after three.
#[test]
fn what_was_learned_counts_half_after_three_days() {
    let mut baseline = learned(20 * 1_440, |_| 10);
    for n in 20 * 1_440..23 * 1_440 {
        baseline.learn(GRAIN, &step(n, 20, None), 5.0);
    }
    let level = baseline.level(GRAIN);
    assert!((14.0..16.0).contains(&level), "{level}");
}

#[test]
fn where_attempts_are_told_the_rate_is_per_attempt() {
    let mut baseline = Baseline::new();
    for n in 0..300 {
        baseline.learn(GRAIN, &step(n, 10, Some(10_000)), 5.0);
    }
    let twice = baseline.expect(GRAIN, minute(300), Some(20_000));
    assert!(twice.by_requests && (19.0..21.0).contains(&twice.mean), "{twice:?}");
}

/// A rate that stays high or low for half an hour is no steadier in blocks than in steps; one that is new each step is.
#[test]
fn sizes_of_blocks_show_how_steps_hang_together() {
    let draw = |n: i64| {
        let mut z = n.unsigned_abs().wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        if (z ^ (z >> 31)) & 1 == 0 { 50 } else { 150 }
    };
    let independent = learned(4_000, draw).sizes(&Evidence::default());
    let hanging = learned(4_000, |n| draw(n / 32)).sizes(&Evidence::default());
    assert!(hanging.blocks[4] < 2.0 * hanging.blocks[0], "{hanging:?}");
    assert!(independent.blocks[4] > 4.0 * independent.blocks[0], "{independent:?}");
    assert!(hanging.step < 0.2 * independent.step, "{hanging:?} {independent:?}");
    assert!((hanging.of_block(64) / hanging.of_block(32) - 2.0).abs() < 1e-9);
}

/// Steps under watch from minute 1,000 on, the oldest watch still open when one closes healthy, and how many steps
/// are learned from; then the rest are dropped.
#[test]
fn steps_of_a_healthy_watch_are_learned_up_to_the_next_open_one() {
    let start = 1_005;
    for (open_since, n_learned) in [(minute(start), 0), (minute(start + 40), 30), (Timestamp::NEVER, 60)] {
        let mut baseline = learned(1_000, |_| 10);
        let before = baseline.n_observed();
        let mut pending = Pending::default();
        for n in start..start + 60 {
            let closed = step(n, 13, None);
            let expected = baseline.expect(GRAIN, closed.start, None).mean;
            let seen = crate::score::evidence::Observation {
                errors: 13.0,
                counted: 13.0,
                expected,
                harmless: expected,
                sizes: baseline.sizes(&Evidence::default()),
            };
            pending.keep((&closed, GRAIN), &seen, 5.0);
        }
        assert!(
            (baseline.level(GRAIN) - 10.0).abs() < 0.1,
            "not before it is known that they are healthy"
        );
        pending.release(&mut baseline, GRAIN, open_since);
        assert_eq!(baseline.n_observed() - before, n_learned, "{open_since}");
        let expected = (10.0 * 1_000.0 + 13.0 * f64::from(n_learned)) / (1_000.0 + f64::from(n_learned));
        assert!(
            (baseline.level(GRAIN) - expected).abs() < 0.05,
            "{}",
            baseline.level(GRAIN)
        );
        pending.drop_from(minute(start));
        assert_eq!(pending, Pending::default());
    }
}

/// One step of a hundred times the errors moves neither level nor scatter as far as it would by itself.
#[test]
fn a_spike_is_learned_from_as_little_as_it_counts() {
    let spike = |multiple: f64| {
        let mut baseline = learned(1_000, |n| 9 + u64::try_from(n % 3).expect("small"));
        baseline.learn(GRAIN, &step(1_000, 1_000, None), multiple);
        (baseline.level(GRAIN), baseline.sizes(&Evidence::default()).blocks[0])
    };
    let ((level, size), (whole_level, whole_size)) = (spike(5.0), spike(1e9));
    assert!(level < 10.2 && whole_level > 10.8, "{level} {whole_level}");
    assert!(size > 5.0 * whole_size, "{size} {whole_size}");
}

/// Learns minute by minute as a service does of which nothing is watched.
fn learned_quietly(minutes: i64, errors: impl Fn(i64) -> u64) -> Baseline {
    let mut baseline = Baseline::new();
    for n in 0..minutes {
        baseline.anchor_anew(minute(n));
        baseline.learn(GRAIN, &step(n, errors(n), None), 5.0);
    }
    baseline
}

/// Seven hours at 30, seven at 10, so that no time of day knows of it.
fn by_turns(n: i64) -> u64 {
    if (n / 420) % 2 == 0 { 30 } else { 10 }
}

const TURNS: i64 = 24 * 420;

#[test]
fn what_stays_of_the_hours_before_is_learned_and_expected() {
    let mean = |baseline: &Baseline, n: i64| baseline.expect(GRAIN, minute(n), None).mean;
    for (turns, expected) in [(0, 8.0..15.0), (1, 25.0..32.0)] {
        // Six hours into the turn.
        let end = TURNS - 60 - 420 * turns;
        let mut baseline = learned_quietly(end, by_turns);
        baseline.anchor(minute(end));
        assert!(expected.contains(&mean(&baseline, end)), "{}", mean(&baseline, end));
        // The further ahead, the less of it.
        let usual = baseline.level(GRAIN);
        let off = |n: i64| (mean(&baseline, end + n) - usual).abs();
        assert!(off(480) < 0.9 * off(0) && off(1_440) < 0.5 * off(0));
    }
    // By how much single minutes are off says nothing of the next hour.
    let mut noisy = learned_quietly(TURNS, |n| if mixed(n) { 30 } else { 10 });
    noisy.anchor(minute(TURNS));
    assert!((18.0..22.0).contains(&mean(&noisy, TURNS)), "{}", mean(&noisy, TURNS));
}

/// A coin, by a hash of the minute.
fn mixed(n: i64) -> bool {
    let z = n.unsigned_abs().wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (z ^ (z >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 63 == 1
}

#[test]
fn nothing_moves_what_is_expected_between_two_anchors() {
    let mut baseline = learned_quietly(TURNS, by_turns);
    baseline.anchor(minute(TURNS));
    let before = baseline.expect(GRAIN, minute(TURNS + 60), None).mean;
    for n in TURNS..TURNS + 10 {
        baseline.hour.note(300.0, before);
        baseline.anchor_anew(minute(n));
    }
    let after = baseline.expect(GRAIN, minute(TURNS + 60), None).mean;
    assert!((after - before).abs() < 1e-9, "{before} became {after}");
    baseline.anchor(minute(TURNS + 10));
    let anchored = baseline.expect(GRAIN, minute(TURNS + 60), None).mean;
    assert!(anchored > 1.2 * before, "{before} became {anchored}");
}
