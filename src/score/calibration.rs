//! What the fleet counts for evidence: watches a week, the mean risk of deploys, and windows without a deploy.
//!
//! α = clip(F / watches a week; 1e-5, 2e-3), F the false freezes a week that the policy allows; a deploy spends
//! α·w, w = clip(π / mean π; .2, 2.5), π its own chance of an incident: evidence is asked for where the risk is not. The
//! mean is one at today's rate of incidents: beside that of the days when its watches began, w would be below 1 for all for
//! as long as the rate falls, and spring up with it.

use serde::{Deserialize, Serialize};

use super::{
    evidence::narrow,
    placebo::Sketch,
    policy::{Evidence, Freeze},
};
use crate::model::{Calibration, Mode, RATE_CLASSES, Timestamp, Watched};

const ALPHA_MIN: f64 = 1e-5;
const ALPHA_MAX: f64 = 2e-3;
const WEIGHT_MIN: f64 = 0.2;
const WEIGHT_MAX: f64 = 2.5;
const DAYS: usize = 28;
const DAY_MS: i64 = 86_400_000;
/// No deploy is surer to cause an incident.
const PRIOR_MAX: f64 = 1.0 - 1e-9;
/// The mean risk remembers so many watches.
const PRIOR_MEMORY: f64 = 500.0;
/// A pooled sketch forgets half beyond so many windows.
const WINDOWS_MAX: u32 = 20_000;
/// All partitions are told what moved at most this often.
const TELL_EVERY: std::time::Duration = std::time::Duration::from_hours(1);
/// Alarms of so many services within so long are one cause of many, and no window's own.
const SHARED_SERVICES: usize = 3;
const SHARED_WITHIN: std::time::Duration = std::time::Duration::from_mins(15);
/// Alarms remembered: more services than this in a quarter of an hour are as good as all of them.
const ALARMS_MAX: usize = 64;

/// The state, and what was last told of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Counts {
    /// Watches of the last 28 days, in shadow and enforced, by day from the epoch.
    days: [[u32; DAYS]; 2],
    day: i64,
    first_day: Option<i64>,
    /// The mean of −ln(1−π) over the fleet's odds of an incident, as they were told when the watch began.
    mean_prior: f64,
    n_priors: f64,
    pools: Vec<Sketch>,
    alarms: Vec<Alarm>,
    /// When that were several at once, last.
    shared_at: Option<Timestamp>,
    told_at: Timestamp,
}

/// A service that asks for a freeze by evidence.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Alarm {
    /// By the hash of its name.
    service: u64,
    /// When it began to ask: one that is withheld asks again each minute.
    first: Timestamp,
    last: Timestamp,
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            days: [[0; DAYS]; 2],
            day: 0,
            first_day: None,
            mean_prior: 0.0,
            n_priors: 0.0,
            pools: Vec::new(),
            alarms: Vec::new(),
            shared_at: None,
            told_at: Timestamp::MIN,
        }
    }
}

impl Counts {
    /// A deploy's watch begins; `odds` are those of an incident that its risk rests on. True: it is time to tell all
    /// partitions.
    pub(crate) fn watched(&mut self, watched: &Watched, odds: f64, now: Timestamp) -> bool {
        self.turn_to(now);
        let of_mode = &mut self.days[mode_index(watched.mode)];
        let today = usize::try_from(self.day.rem_euclid(28)).unwrap_or(0);
        of_mode[today] = of_mode[today].saturating_add(1);
        self.n_priors = (self.n_priors + 1.0).min(PRIOR_MEMORY);
        let incidents = -(-watched.prior.min(PRIOR_MAX)).ln_1p();
        self.mean_prior += (incidents / odds - self.mean_prior) / self.n_priors;
        if !watched.windows.is_empty() {
            self.pools.resize_with(4 * RATE_CLASSES, Sketch::default);
            let class = usize::from(watched.rate_class).min(RATE_CLASSES - 1);
            let pool = &mut self.pools[watched.tier.index() * RATE_CLASSES + class];
            for bin in &watched.windows {
                pool.note(*bin, WINDOWS_MAX);
            }
        }
        let is_due = self.told_at == Timestamp::MIN || now.since(self.told_at) >= TELL_EVERY;
        if is_due {
            self.told_at = now;
        }
        is_due
    }

    /// Empties the days that have passed.
    fn turn_to(&mut self, now: Timestamp) {
        // Before the first time entry there is no day.
        if now == Timestamp::MIN {
            return;
        }
        let day = now.millis().div_euclid(DAY_MS);
        self.first_day.get_or_insert(day);
        if day <= self.day {
            return;
        }
        let n_passed = usize::try_from(day - self.day).unwrap_or(DAYS).min(DAYS);
        for passed in 0..n_passed {
            let index = usize::try_from((day - i64::try_from(passed).unwrap_or(0)).rem_euclid(28)).unwrap_or(0);
            for days in &mut self.days {
                days[index] = 0;
            }
        }
        self.day = day;
    }

    /// A service asks for a freeze by evidence. The instant, if it is one of several and none was told of them yet.
    pub(crate) fn alarmed(&mut self, service: u64, now: Timestamp) -> Option<Timestamp> {
        self.turn_to(now);
        self.alarms.retain(|alarm| now.since(alarm.last) < SHARED_WITHIN);
        if let Some(alarm) = self.alarms.iter_mut().find(|alarm| alarm.service == service) {
            alarm.last = now;
        } else if self.alarms.len() < ALARMS_MAX {
            self.alarms.push(Alarm {
                service,
                first: now,
                last: now,
            });
        }
        let began = self
            .alarms
            .iter()
            .filter(|alarm| now.since(alarm.first) < SHARED_WITHIN);
        let is_told = self.shared_at.is_some_and(|at| now.since(at) < SHARED_WITHIN);
        if began.count() < SHARED_SERVICES || is_told {
            return None;
        }
        self.shared_at = Some(now);
        Some(now)
    }

    /// The mean of π over the last watches, were it at these odds of an incident.
    pub(crate) fn mean_prior(&self, odds: f64) -> f32 {
        narrow(-(-self.mean_prior * odds).exp_m1())
    }

    /// What all partitions are to know, at these odds of an incident; `presumed` watches a week count for the weeks not
    /// seen yet.
    pub(crate) fn told(&self, presumed: f64, odds: f64, shared_alarm_at: Option<Timestamp>) -> Calibration {
        let n_days = self.first_day.map_or(0, |first| (self.day - first + 1).clamp(0, 28));
        let seen = f64::from(i32::try_from(n_days).unwrap_or(28)) / 28.0;
        let per_week = |mode: usize| {
            let n = self.days[mode].iter().map(|n| f64::from(*n)).sum::<f64>();
            narrow(n / 4.0 + presumed * (1.0 - seen))
        };
        let mut tails = <[[crate::model::Tail; RATE_CLASSES]; 4]>::default();
        for (tail, pool) in tails.iter_mut().flatten().zip(&self.pools) {
            *tail = pool.tail();
        }
        Calibration {
            watches_per_week: [Some(per_week(0)), Some(per_week(1))],
            mean_prior: self.mean_prior(odds),
            tails,
            shared_alarm_at,
        }
    }
}

fn mode_index(mode: Mode) -> usize {
    match mode {
        Mode::Shadow => 0,
        Mode::Enforce => 1,
    }
}

/// What a deploy with the risk `prior` may spend of the false freezes a week.
pub(crate) fn alpha(freeze: &Freeze, mode: Mode, prior: f64, told: &Calibration, evidence: &Evidence) -> f64 {
    let watches = told.watches_per_week[mode_index(mode)].map_or(evidence.watches_per_week, f64::from);
    let alpha = (freeze.false_freezes_per_week / watches.max(1.0)).clamp(ALPHA_MIN, ALPHA_MAX);
    let mean = f64::from(told.mean_prior);
    let weight = if mean > 0.0 {
        (prior / mean).clamp(WEIGHT_MIN, WEIGHT_MAX)
    } else {
        1.0
    };
    alpha * weight
}

/// The class of a rate of errors a minute.
pub(crate) fn rate_class(per_minute: f64) -> u8 {
    let bounds = [0.1, 1.0, 10.0, 100.0, 1_000.0];
    u8::try_from(bounds.iter().filter(|bound| per_minute >= **bound).count()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{model::Criticality, score::policy::Policy};

    const ODDS: f64 = 1.0 / 150.0;

    fn watched(mode: Mode, prior: f64) -> Watched {
        Watched {
            tier: Criticality::High,
            mode,
            prior,
            rate_class: 2,
            windows: vec![3, 4],
        }
    }

    fn at(days: i64) -> Timestamp {
        Timestamp::from_millis(days * DAY_MS + 3_600_000)
    }

    /// Watches a day over 28 days; what a watch may spend of half a false freeze a week.
    #[test]
    fn alpha_is_what_a_week_allows_over_the_watches_of_a_week_and_within_its_bounds() {
        let policy = Policy::default();
        for (per_day, alpha_at_end) in [(1, 2e-3), (100, 0.5 / 700.0), (3_000, 0.5 / 21_000.0)] {
            let mut counts = Counts::default();
            for day in 0..28 {
                for _ in 0..per_day {
                    counts.watched(&watched(Mode::Enforce, 0.01), ODDS, at(day));
                }
            }
            let told = counts.told(100.0, ODDS, None);
            let spent = |mode, prior| alpha(&policy.base.freeze, mode, prior, &told, &policy.evidence);
            assert!(
                (spent(Mode::Enforce, 0.01) / alpha_at_end - 1.0).abs() < 1e-3,
                "{per_day} a day"
            );
            assert!((spent(Mode::Enforce, 1.0) / alpha_at_end - 2.5).abs() < 1e-2);
            assert!((spent(Mode::Enforce, 0.0) / alpha_at_end - 0.2).abs() < 1e-3);
            assert!(
                (spent(Mode::Shadow, 0.01) / 2e-3 - 1.0).abs() < 1e-3,
                "shadow spends none of it"
            );
        }
    }

    #[test]
    fn a_week_without_history_counts_as_presumed_and_old_days_leave() {
        let mut counts = Counts::default();
        assert!(
            counts.watched(&watched(Mode::Enforce, 0.1), ODDS, at(100)),
            "the first is told at once"
        );
        assert!(
            !counts.watched(&watched(Mode::Enforce, 0.3), ODDS, at(100)),
            "the next within the hour is not"
        );
        let told = counts.told(100.0, ODDS, None);
        let per_week = told.watches_per_week[1].expect("counted");
        assert!(
            (f64::from(per_week) - (0.5 + 100.0 * 27.0 / 28.0)).abs() < 1e-3,
            "{per_week}"
        );
        let mean = 1.0 - (0.9_f32 * 0.7).sqrt();
        assert!(
            (told.mean_prior - mean).abs() < 1e-6,
            "as of two deploys, one after the other"
        );
        assert!(
            (told.tails[2][2].n - 4.0).abs() < 1e-6,
            "four windows of its tier and class"
        );
        assert!(
            counts.watched(&watched(Mode::Enforce, 0.1), ODDS, at(128)),
            "hours later"
        );
        let per_week = counts.told(100.0, ODDS, None).watches_per_week[1].expect("counted");
        assert!(
            (per_week - 0.25).abs() < 1e-6,
            "only the last day's is left of 28: {per_week}"
        );
    }

    #[test]
    fn services_that_go_on_asking_for_causes_of_their_own_share_none() {
        let mut counts = Counts::default();
        let minute = |n: u64| at(0) + std::time::Duration::from_mins(n);
        for now in 0..300 {
            for service in 0..3 {
                // One begins every hour, and all ask again each minute.
                if now >= 60 * service {
                    assert_eq!(counts.alarmed(service, minute(now)), None, "minute {now}");
                }
            }
        }
    }

    #[test]
    fn three_services_within_a_quarter_of_an_hour_are_a_shared_alarm() {
        let minute = |minutes: i64| Timestamp::from_millis(minutes * 60_000);
        let mut counts = Counts::default();
        assert_eq!(counts.alarmed(1, minute(0)), None);
        assert_eq!(counts.alarmed(1, minute(5)), None, "the same one again");
        assert_eq!(counts.alarmed(2, minute(6)), None);
        assert_eq!(counts.alarmed(3, minute(7)), Some(minute(7)));
        assert_eq!(counts.alarmed(4, minute(8)), None, "told already");
        assert_eq!(counts.alarmed(5, minute(40)), None, "long after");
    }
}
