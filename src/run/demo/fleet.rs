//! The services of the demo, and how many requests and errors each usually has.

use std::f64::consts::TAU;

use super::chance::Chance;
use crate::model::Timestamp;

/// Names and criticality. The last one is sparse: it reports an error now and then, and nothing else.
const NAMES: [(&str, &str); 24] = [
    ("accounts", "high"),
    ("cart", "high"),
    ("catalog", "medium"),
    ("checkout", "critical"),
    ("emails", "low"),
    ("fraud-check", "high"),
    ("gateway", "critical"),
    ("geo", "low"),
    ("inventory", "medium"),
    ("invoices", "medium"),
    ("ledger", "critical"),
    ("media", "low"),
    ("notifications", "low"),
    ("payments", "critical"),
    ("pricing", "high"),
    ("ratings", "low"),
    ("recommend", "medium"),
    ("search", "high"),
    ("sessions", "high"),
    ("shipping", "medium"),
    ("taxes", "medium"),
    ("webhooks", "medium"),
    ("wishlist", "low"),
    ("yearly-report", "low"),
];

/// One service, as it is when nothing happens.
#[derive(Debug, Clone)]
pub(super) struct Member {
    pub(super) name: &'static str,
    pub(super) criticality: &'static str,
    /// Errors a minute, on average over the day.
    pub(super) usual: f64,
    /// How they scatter: the size of a negative binomial.
    pub(super) size: f64,
    /// Attempts a minute, on average over the day; `None`: it does not tell.
    requests: Option<f64>,
    /// Instances that report; none for a sparse one.
    pub(super) n_reporters: u32,
    /// The second of each minute in which they do. Early, so that a slow machine has the rest of the minute.
    pub(super) second: u64,
}

/// What a service reports of one minute.
#[derive(Debug, Clone)]
pub(super) struct Minute {
    /// By reporter.
    pub(super) errors: Vec<u32>,
    /// Of each reporter.
    pub(super) requests: Option<u32>,
}

impl Member {
    pub(super) fn is_sparse(&self) -> bool {
        self.n_reporters == 0
    }

    /// Draws a minute with `times` the usual errors.
    pub(super) fn draw(&self, at: Timestamp, times: f64, chance: &mut Chance) -> Minute {
        let by_day = by_day(at);
        let total = chance.scattered(self.usual * by_day * times, self.size);
        let n = self.n_reporters.max(1);
        let mut errors = vec![0; usize::try_from(n).unwrap_or(1)];
        for _ in 0..total {
            let reporter = usize::try_from(chance.below(u64::from(n))).unwrap_or(0);
            errors[reporter] += 1;
        }
        let requests = self
            .requests
            .map(|requests| whole(requests * by_day * chance.between(0.95, 1.05) / f64::from(n)));
        Minute { errors, requests }
    }
}

/// Traffic over the day as a multiple of its mean: a quarter more in the early afternoon.
fn by_day(at: Timestamp) -> f64 {
    let minute = i32::try_from(at.millis().div_euclid(60_000).rem_euclid(1_440)).unwrap_or(0);
    1.0 + 0.25 * ((f64::from(minute) / 1_440.0 - 1.0 / 3.0) * TAU).sin()
}

fn whole(value: f64) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::as_conversions,
        reason = "thousands of requests, ≥ 0"
    )]
    let whole = value as u32;
    whole
}

/// The fleet that this chance draws, in the order of the names.
pub(super) fn fleet(chance: &mut Chance) -> Vec<Member> {
    let sparse = NAMES.len() - 1;
    let named = NAMES.into_iter().enumerate();
    named
        .map(|(i, (name, criticality))| {
            let usual = if i == sparse { 0.03 } else { chance.between(2.5, 9.0) };
            // Every fifth tells no requests: what is usual then depends on the hour alone.
            let tells = i % 5 != 4 && i != sparse;
            let rate = chance.between(0.001, 0.006);
            Member {
                name,
                criticality,
                usual,
                size: chance.between(8.0, 20.0),
                requests: tells.then_some(usual / rate),
                n_reporters: if i == sparse { 0 } else { 3 },
                second: 2 + chance.below(20),
            }
        })
        .collect()
}
