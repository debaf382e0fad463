//! Whether a regression goes on, or is over.

use serde::{Deserialize, Serialize};

use super::{LN_WEIGHT, N, Null, Observation, ln_add, narrow};

/// Whether errors go on: the mixture over multiples, begun with the first step taken in.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Still {
    ln_l: [f32; N],
}

impl Still {
    pub(crate) fn observe(&mut self, o: &Observation) {
        for (ln_l, ratio) in self.ln_l.iter_mut().zip(o.ln_ratios(o.sizes.step, 1.0)) {
            *ln_l += narrow(ratio);
        }
    }

    /// ln E.
    pub(crate) fn ln_e(&self) -> f64 {
        let sums = self.ln_l.iter().map(|ln_l| f64::from(*ln_l) + LN_WEIGHT);
        sums.fold(f64::NEG_INFINITY, ln_add)
    }
}

/// Whether errors are back to what is harmless rather than at twice of it: NB(X; M) / NB(X; 2M) of all errors since,
/// with the size of the whole block, so that a lull of an autocorrelated rate is not taken for a recovery.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Recovery {
    errors: f32,
    harmless: f32,
    n_steps: u16,
    shown: bool,
}

impl Recovery {
    pub(crate) fn observe(&mut self, o: &Observation) {
        self.errors += narrow(o.counted);
        self.harmless += narrow(o.harmless);
        self.n_steps = self.n_steps.saturating_add(1);
        let (x, m) = (f64::from(self.errors), f64::from(self.harmless));
        let k = o.sizes.of_block(self.n_steps);
        let ln_twice = Null::new(x, m, k).ln_ratio(2.0 * m, 2.0_f64.ln());
        self.shown = -ln_twice >= 20.0_f64.ln();
    }

    /// Twenty to one for "recovered".
    pub(crate) fn shown(self) -> bool {
        self.shown
    }
}
