//! One service as a producer reports it, learned for days and then watched.

use std::time::Duration;

use holdpoint::{
    model::Timestamp,
    score::{Policy, Told, Trial},
};

use crate::{chance::Chance, oracle::Oracle, source::Source};

/// How often a producer reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Producer {
    TenSeconds,
    Minute,
}

impl Producer {
    pub(crate) const ALL: [Self; 2] = [Self::TenSeconds, Self::Minute];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::TenSeconds => "10 s",
            Self::Minute => "60 s",
        }
    }
}

/// What a service is like while it is learned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum History {
    /// Nothing is deployed.
    Quiet,
    /// A healthy deploy every two and a half hours: most steps are under watch.
    Deployed,
}

impl History {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Quiet => "",
            Self::Deployed => ", deployed all day",
        }
    }
}

/// Between two deploys of a service that is deployed all day.
const DEPLOY_EVERY: i64 = 150;

pub(crate) const MINUTE_MS: i64 = 60_000;
/// The watch: two hours of one-minute steps.
pub(crate) const WATCH_MINUTES: i64 = 120;
/// Where errors are rare it lasts longer.
pub(crate) const LONGEST_MINUTES: i64 = 4 * WATCH_MINUTES;
/// ln of the e-value at a nominal 1 %.
pub(crate) const LN_NOMINAL: f64 = 4.605_170_185_988_092;

/// A service and what becomes of it.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) trial: Trial,
    pub(crate) source: Source,
    producer: Producer,
    /// The next minute to come, since an epoch that begins with a day.
    minute: i64,
}

/// What a watch of two hours showed.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Shown {
    /// The greatest ln E before its last step.
    pub(crate) ln_e_max: f64,
    /// Minutes from the fault to conviction at the nominal 1 %.
    pub(crate) delay: Option<u32>,
    /// The oracle's.
    pub(crate) oracle_delay: Option<u32>,
}

/// A fault: from which minute of the watch on, and how many times the usual errors.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fault {
    pub(crate) from: i64,
    pub(crate) multiple: f64,
}

impl Run {
    pub(crate) fn new(source: Source, producer: Producer, policy: &str) -> Self {
        let policy = Policy::parse(policy).expect("a policy");
        let at = Timestamp::from_millis(0);
        let names = (
            "service".parse().expect("a name"),
            "production".parse().expect("a name"),
        );
        Self {
            trial: Trial::new(names.0, names.1, policy, at),
            source,
            producer,
            minute: 0,
        }
    }

    /// Lets a minute pass at `multiple` times the usual rate; returns its errors.
    pub(crate) fn pass(&mut self, multiple: f64, chance: &mut Chance) -> u64 {
        let rate = self.source.rate(self.minute, chance) * multiple;
        let start = Timestamp::from_millis(self.minute * MINUTE_MS);
        let mut told = |time: Timestamp, errors: u64, interval: Duration| {
            let told = Told {
                errors,
                interval,
                ..Told::default()
            };
            assert!(self.trial.errors(time, &told), "on time");
        };
        let errors = match self.producer {
            Producer::Minute => {
                let errors = chance.poisson(rate);
                told(start + Duration::from_secs(30), errors, Duration::from_mins(1));
                errors
            }
            Producer::TenSeconds => {
                let mut sum = 0;
                for i in 0..6 {
                    let errors = chance.poisson(rate / 6.0);
                    told(start + Duration::from_secs(i * 10 + 5), errors, Duration::from_secs(10));
                    sum += errors;
                }
                sum
            }
        };
        self.minute += 1;
        self.trial
            .advance(Timestamp::from_millis(self.minute * MINUTE_MS) + Duration::from_secs(10));
        errors
    }

    /// Lets healthy minutes pass, and then the last watch.
    pub(crate) fn learn(&mut self, history: History, minutes: i64, chance: &mut Chance) {
        for n in 0..minutes {
            if history == History::Deployed && n % DEPLOY_EVERY == 0 {
                self.deploy(&format!("d-{n}"));
            }
            self.pass(1.0, chance);
        }
        while history == History::Deployed && self.trial.reading().is_some() {
            self.pass(1.0, chance);
        }
    }

    fn deploy(&mut self, id: &str) {
        let at = Timestamp::from_millis(self.minute * MINUTE_MS);
        self.trial.deploy(at, id, (None, None), None);
    }

    /// Deploys and watches until the watch is over; a conviction is one at ln E ≥ `ln_threshold`, an oracle's too.
    pub(crate) fn watch(&mut self, fault: Option<Fault>, ln_threshold: f64, chance: &mut Chance) -> Shown {
        self.deploy("d");
        let mut oracle = Oracle::new(self.source.size(), fault.map_or(1.0, |fault| fault.multiple));
        let mut shown = Shown::default();
        for minute in 0..LONGEST_MINUTES {
            let Some(reading) = self.trial.reading() else { break };
            shown.ln_e_max = shown.ln_e_max.max(reading.ln_e);
            if let Some(fault) = fault.filter(|fault| minute >= fault.from && shown.delay.is_none())
                && reading.ln_e >= ln_threshold
                && reading.is_material
            {
                shown.delay = u32::try_from(minute - fault.from).ok();
            }
            let running = fault.filter(|fault| minute >= fault.from);
            let mean = self.source.mean(self.minute);
            let errors = self.pass(running.map_or(1.0, |fault| fault.multiple), chance);
            if let Some(fault) = running {
                #[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "a small count")]
                let ln_ratio = oracle.observe(errors as f64, mean);
                if ln_ratio >= ln_threshold && shown.oracle_delay.is_none() {
                    shown.oracle_delay = u32::try_from(minute - fault.from + 1).ok();
                }
            }
        }
        shown
    }
}
