//! Where errors come from: truths that scatter more than Poisson, hang together, and follow the day.

use crate::chance::Chance;

/// The log-rate's autocorrelation from one minute to the next: half of an excursion is over after 6.6 minutes.
const PHI: f64 = 0.9;
/// Its standard deviation.
const SD: f64 = 0.3;
const MINUTES_A_DAY: f64 = 1_440.0;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Truth {
    Poisson,
    /// Negative binomial of so large a size a minute.
    Nb(f64),
    /// A log-rate that is an AR(1) process of standard deviation 0.3.
    Ar,
    /// All at once, and half as many again by day and half as many by night.
    Nb5ArDiurnal,
}

impl Truth {
    pub(crate) const GRID: [Self; 4] = [Self::Poisson, Self::Nb(5.0), Self::Ar, Self::Nb5ArDiurnal];
    /// Those of which one minute tells of the next.
    pub(crate) const WANDERING: [Self; 2] = [Self::Ar, Self::Nb5ArDiurnal];

    pub(crate) fn name(self) -> String {
        match self {
            Self::Poisson => "Poisson".to_owned(),
            Self::Nb(size) => format!("NB k={size}"),
            Self::Ar => "AR(1) sd .3".to_owned(),
            Self::Nb5ArDiurnal => "NB5+AR+diurnal".to_owned(),
        }
    }

    /// The size of a minute's counts, all scatter together.
    pub(crate) fn size(self) -> f64 {
        let ar = (SD * SD).exp_m1();
        match self {
            Self::Poisson => 1e9,
            Self::Nb(size) => size,
            Self::Ar => 1.0 / ar,
            Self::Nb5ArDiurnal => 1.0 / (1.2 * (1.0 + ar) - 1.0),
        }
    }
}

/// One service's errors, minute by minute.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    truth: Truth,
    mean: f64,
    /// The log-rate's deviation, in standard deviations.
    z: f64,
}

impl Source {
    pub(crate) fn new(truth: Truth, mean: f64, chance: &mut Chance) -> Self {
        Self {
            truth,
            mean,
            z: chance.normal(),
        }
    }

    /// The size of a minute's counts.
    pub(crate) fn size(&self) -> f64 {
        self.truth.size()
    }

    /// The mean of a minute of the day, over all that may happen.
    pub(crate) fn mean(&self, minute: i64) -> f64 {
        if self.truth != Truth::Nb5ArDiurnal {
            return self.mean;
        }
        let of_day = f64::from(i32::try_from(minute.rem_euclid(1_440)).expect("below 1440"));
        self.mean * (1.0 + 0.5 * (std::f64::consts::TAU * of_day / MINUTES_A_DAY).sin())
    }

    /// The rate that a minute turns out to have.
    pub(crate) fn rate(&mut self, minute: i64, chance: &mut Chance) -> f64 {
        let mut rate = self.mean(minute);
        if matches!(self.truth, Truth::Ar | Truth::Nb5ArDiurnal) {
            self.z = PHI * self.z + (1.0 - PHI * PHI).sqrt() * chance.normal();
            rate *= (SD * self.z - SD * SD / 2.0).exp();
        }
        match self.truth {
            Truth::Nb(size) => rate * chance.gamma_of_mean_one(size),
            Truth::Nb5ArDiurnal => rate * chance.gamma_of_mean_one(5.0),
            Truth::Poisson | Truth::Ar => rate,
        }
    }
}
