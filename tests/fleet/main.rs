//! What the evaluation on simulated fleets is measured with, measured itself: intervals against published values, the
//! oracle against its own promise, and who dates a rise by its counts against rises whose date is clear.

#[path = "../../benches/fleet/dating.rs"]
#[expect(dead_code, reason = "how far back it looks is for the judge")]
mod dating;
#[path = "../../benches/fleet/interval.rs"]
mod interval;
#[path = "../../benches/fleet/oracle.rs"]
mod oracle;
#[path = "../../benches/fleet/sights.rs"]
#[expect(dead_code, reason = "requests are for the plain detector")]
mod sights;

use std::time::Duration;

use holdpoint::{
    model::ChangeKind,
    sim::{Deploy, Glimpse, START, Stage},
};

use self::{
    dating::Seen,
    interval::{Median, Share, poisson_upper},
    oracle::{ALPHA, Oracle},
    sights::Sights,
};

fn near(found: f64, published: f64) -> bool {
    (found - published).abs() < 5e-4
}

/// Garwood's one-sided 95 % bounds, as in tables of the chi-squared distribution.
#[test]
fn bounds_of_rare_events_are_the_published_ones() {
    for (n, published) in [(0, 2.9957), (1, 4.7439), (5, 10.5130), (50, 63.2871)] {
        assert!(near(poisson_upper(n), published), "{n}: {}", poisson_upper(n));
    }
}

/// Wilson's intervals for 5 of 10, 0 of 20 and 81 of 263 (the last from Newcombe 1998, table I).
#[test]
fn intervals_of_shares_are_the_published_ones() {
    for (hits, of, low, high) in [(5, 10, 0.2366, 0.7634), (0, 20, 0.0, 0.1611), (81, 263, 0.2553, 0.3662)] {
        let (found_low, found_high) = Share { hits, of }.interval().expect("there are cases");
        assert!(
            near(found_low, low) && near(found_high, high),
            "{hits}/{of}: {found_low} {found_high}"
        );
    }
    let odd = Share::of(0..9, |n| n % 2 == 1);
    assert_eq!((odd.hits, odd.of, odd.value()), (4, 9, Some(4.0 / 9.0)));
    assert_eq!(Share { hits: 0, of: 0 }.interval(), None);
}

#[test]
fn a_median_lies_within_its_ranks() {
    let median = Median::of((1..=101).rev().map(f64::from)).expect("there are values");
    assert_eq!(
        (median.value, median.low, median.high, median.n),
        (51.0, 41.0, 61.0, 101)
    );
    assert_eq!(Median::of(std::iter::empty()), None);
}

/// Uniform draws (Knuth's MMIX), which have nothing of the simulator's.
struct Uniform(u64);

impl Uniform {
    fn next(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        f64::from(u32::try_from(self.0 >> 33).expect("31 bits")) / f64::from(1_u32 << 31)
    }

    /// A negative-binomial count of size 1, which is geometric.
    fn geometric(&mut self, mean: f64) -> u64 {
        let mut count = 0;
        while self.next() < mean / (1.0 + mean) {
            count += 1;
        }
        count
    }
}

fn glimpse(deploy: usize, minute: u64, (errors, factor): (u64, f64)) -> Glimpse {
    let usual = 4.0;
    Glimpse {
        service: 0,
        version: None,
        fault: Some(deploy),
        time: START + Duration::from_mins(minute),
        interval: Duration::from_mins(1),
        errors,
        requests: 1_000,
        mean: factor * usual,
        mean_without: usual,
        usual,
        size: 1.0,
    }
}

/// Without a fault it is sure of one in at most α of all cases (Ville); with one it soon is.
#[test]
fn the_oracle_keeps_its_promise_and_sees_what_there_is() {
    let seed = 20_260_302;
    let mut uniform = Uniform(seed);
    for factor in [2.0, 5.0, 20.0] {
        let (mut healthy, mut faulty) = (Oracle::default(), Oracle::default());
        for case in 0..10_000 {
            for minute in 0..30 {
                healthy.see(&glimpse(case, minute, (uniform.geometric(4.0), factor)));
                if case < 100 {
                    faulty.see(&glimpse(case, minute, (uniform.geometric(4.0 * factor), factor)));
                }
            }
        }
        let alarms = |oracle: &Oracle| (0..10_000).filter_map(|case| oracle.alarmed_at(case)).count();
        // Five standard deviations above α of 10,000.
        let most = 10_000.0 * ALPHA + 5.0 * (10_000.0 * ALPHA).sqrt();
        assert!(
            f64::from(u32::try_from(alarms(&healthy)).expect("few")) < most,
            "{seed}: {factor}"
        );
        let least = if factor < 3.0 { 20 } else { 95 };
        assert!(alarms(&faulty) >= least, "{seed}: {} at {factor}", alarms(&faulty));
    }
}

/// A step closes ten seconds after its end, whatever the reporter's interval.
#[test]
fn the_oracle_speaks_when_steps_close() {
    let mut oracle = Oracle::default();
    oracle.see(&glimpse(7, 3, (1_000, 20.0)));
    assert_eq!(oracle.alarmed_at(7), Some(START + Duration::from_secs(4 * 60 + 10)));
    for (seconds, step) in [(10, 60), (60, 60), (61, 300), (300, 300), (900, 900), (3_600, 900)] {
        assert_eq!(oracle::step(Duration::from_secs(seconds)), Duration::from_secs(step));
    }
}

fn deploy(id: &str, minute: u64) -> Deploy {
    Deploy {
        service: 0,
        preview: None,
        id: id.into(),
        kind: ChangeKind::Release,
        stages: vec![Stage {
            at: START + Duration::from_mins(minute),
            declared: 1.0,
            share: 1.0,
        }],
        version: 2,
        previous: 1,
        shas: Vec::new(),
        fault: None,
    }
}

/// Two deploys an hour apart, and ten times the errors from a minute on, told as `told` leaves it: whom it is put down to.
fn named(onset: u64, outages: f64, told: impl Fn(u64) -> bool) -> Option<String> {
    let deploys = [deploy("first", 600), deploy("second", 660)];
    let mut sights = Sights::default();
    for minute in (0..onset + 60).filter(|minute| told(*minute)) {
        // A minute ends with its own number.
        let errors = if minute <= onset { 4 } else { 40 };
        sights.see(&glimpse(0, minute, (errors, 10.0)));
    }
    let seen = Seen {
        sights: sights.of(0, (START, START + Duration::from_mins(onset + 60))),
        excess: 9.0,
        is_of_deploy: false,
        is_batch: false,
        share_of_outages: outages,
    };
    seen.likeliest(deploys.iter()).map(|deploy| deploy.id.to_string())
}

/// By how often deploys fail so late, and how often outages begin.
#[test]
fn a_rise_is_put_down_by_its_date() {
    let (all, usual) = (|_: u64| true, 1.0 / 50.0);
    let cases = [
        (600, usual, Some("first"), "at once"),
        (660, usual, Some("second"), "at once"),
        (675, usual, Some("second"), "rather than the first, an hour late"),
        (700, usual, None, "so many times the errors are an outage's rather"),
        (700, usual / 5.0, Some("second"), "where outages are few"),
        (775, usual, None, "between two classes of the second's latencies"),
        (775, 0.0, Some("first"), "where there are none"),
        (1_100, 0.0, Some("second"), "too late for the first"),
    ];
    for (onset, outages, expected, why) in cases {
        assert_eq!(named(onset, outages, all).as_deref(), expected, "{onset}: {why}");
    }
}

/// What may have begun while nothing was told may have begun at any minute of it.
#[test]
fn a_rise_in_a_gap_is_of_either() {
    let gap = |minute: u64| !(655..690).contains(&minute);
    assert_eq!(named(656, 1.0 / 50.0, gap).as_deref(), Some("second"));
    let gap = |minute: u64| !(601..655).contains(&minute);
    assert_eq!(named(630, 1.0 / 50.0, gap).as_deref(), Some("first"));
}
