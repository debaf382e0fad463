use super::*;

fn sketch(windows: impl IntoIterator<Item = f64>) -> Sketch {
    let mut sketch = Sketch::default();
    for ln_e in windows {
        sketch.note(bin(ln_e), 10_000);
    }
    sketch
}

/// Quantiles of an exponential tail of the given mean beyond 0, evenly.
fn exponential(mean: f64, n: u32) -> impl Iterator<Item = f64> {
    (0..n).map(move |i| -mean * ((f64::from(i) + 0.5) / f64::from(n)).ln())
}

/// The mean of the windows' ln E, and the quantiles that follow from it.
#[test]
fn the_tail_beyond_the_ninth_decile_is_that_of_the_windows() {
    for mean in [0.5, 1.0, 3.0] {
        let tail = sketch(exponential(mean, 2_000)).tail();
        let (u, excess) = (f64::from(tail.u), f64::from(tail.excess));
        assert!(
            (u / (mean * std::f64::consts::LN_10) - 1.0).abs() < 0.1,
            "{mean}: {tail:?}"
        );
        assert!((excess / mean - 1.0).abs() < 0.2, "{mean}: {tail:?}");
    }
    assert_eq!(sketch([]).tail(), Tail::default());
    assert_eq!(
        Tail {
            n: 0.0,
            ..sketch([50.0; 10]).tail()
        },
        Tail::default(),
        "ten windows are no tail"
    );
}

#[test]
fn a_threshold_is_at_least_one_in_alpha_and_rises_with_the_noise_up_to_its_cap() {
    let (evidence, pool) = (Evidence::default(), Tail::default());
    let of =
        |mean: f64, n: u32, alpha: f64| Threshold::of(alpha, &sketch(exponential(mean, n)).tail(), &pool, &evidence);
    let ln = |threshold: Threshold| f64::from(threshold.ln_e);
    // Nothing known: Ville's bound, or the least e-value.
    let none = Threshold::of(1e-3, &Tail::default(), &pool, &evidence);
    assert!((ln(none) - 1e3_f64.ln()).abs() < 1e-3 && !none.is_noisy, "{none:?}");
    let large = Threshold::of(0.05, &Tail::default(), &pool, &evidence);
    assert!((ln(large) - 200_f64.ln()).abs() < 1e-3, "{large:?}");
    // Quiet windows lower nothing.
    let quiet = of(0.3, 2_000, 1e-3);
    assert!((ln(quiet) - 1e3_f64.ln()).abs() < 0.1 && !quiet.is_noisy, "{quiet:?}");
    // Noisy ones raise it, many more than few, and no further than to the cap.
    let (few, many) = (of(1.5, 40, 1e-3), of(1.5, 4_000, 1e-3));
    assert!(ln(none) < ln(few) && ln(few) < ln(many), "{few:?} {many:?}");
    let capped = of(8.0, 4_000, 1e-3);
    assert!(
        (ln(capped) - 1e6_f64.ln()).abs() < 1e-3 && capped.is_noisy,
        "{capped:?}"
    );
    let quantile = f64::from(capped.ln_quantile);
    assert!(capped.is_noise(quantile - 1.0) && !capped.is_noise(quantile) && !many.is_noise(20.0));
}

/// Three of twenty windows of a pool met an outage: nothing follows from so few for one in a thousand.
#[test]
fn few_windows_of_its_like_make_nobody_noisy() {
    let threshold = |n: usize| {
        let windows = std::iter::repeat_n(1.0, 17 * n).chain(std::iter::repeat_n(80.0, 3 * n));
        Threshold::of(2e-2, &Tail::default(), &sketch(windows).tail(), &Evidence::default())
    };
    let (few, many) = (threshold(1), threshold(100));
    assert!(!few.is_noisy && many.is_noisy, "{few:?} {many:?}");
}

/// One window in a hundred met an outage of something else: it is no noise, and moves the quantiles little.
#[test]
fn a_window_in_a_hundred_that_had_a_cause_is_no_noise() {
    let causes = |n: usize| sketch(exponential(1.0, 990).chain(std::iter::repeat_n(200.0, n))).tail();
    let (clean, troubled, noisy) = (causes(0), causes(10), causes(100));
    assert!(troubled.excess < 1.4 * clean.excess, "{clean:?} {troubled:?}");
    assert!(noisy.excess > 20.0 * clean.excess, "one in ten is how it is: {noisy:?}");
}

#[test]
fn windows_begin_by_hash_and_an_alarm_shared_by_many_voids_them() {
    let quarter = |n: i64| Timestamp::from_millis(n * Timestamp::QUARTER_HOUR_MS);
    let begun = |seed: u32| {
        (0..4_000_i64)
            .filter(|n| {
                let mut placebo = Placebo::default();
                placebo.begin(seed, quarter(*n), 4);
                placebo.is_on()
            })
            .collect::<Vec<_>>()
    };
    let (a, b) = (begun(1), begun(2));
    assert!(
        (800..1_200).contains(&a.len()) && a == begun(1) && a != b,
        "{}",
        a.len()
    );
    let seen = Seen {
        ln_ratios: [0.0; 6],
        errors: 1.0,
        expected: 1.0,
        blocks: None,
    };
    let windows = |shared_alarm_at: Option<Timestamp>| {
        let mut placebo = Placebo::default();
        placebo.begin(1, quarter(a[0]), 4);
        for _ in 0..4 {
            assert!(placebo.is_on());
            placebo.observe(quarter(a[0]), &seen, shared_alarm_at);
        }
        assert!(!placebo.is_on(), "as long as a watch");
        (
            placebo.take_untold().len(),
            placebo.take_untold().len(),
            placebo.tail().n.round(),
        )
    };
    assert_eq!(windows(None), (1, 0, 1.0), "told once");
    assert_eq!(windows(Some(quarter(a[0] - 1))), (1, 0, 1.0), "before it");
    assert_eq!(windows(Some(quarter(a[0] + 1))), (0, 0, 0.0), "during it");
    let mut placebo = Placebo::default();
    placebo.begin(1, quarter(a[0]), 4);
    placebo.abandon(quarter(a[1]));
    assert!(!placebo.is_on());
    placebo.begin(1, quarter(a[0]), 4);
    assert!(!placebo.is_on(), "before what is quiet again");
    placebo.begin(1, quarter(a[1]), 4);
    assert!(placebo.is_on());
}
