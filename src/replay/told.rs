//! Freezes that nothing was found for: a window of the policy closed the service, or a person did.
//!
//! They are known beforehand and stand for long. Counted among the others they would hide what evidence and incidents
//! froze, which is what a replay is read for.

use serde::Serialize;

use super::{
    holding::OVERRIDE,
    summary::{ModeHours, Summary, round},
};

/// Who told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    Window,
    Person,
}

impl Told {
    /// By the code of a freeze's reason; `None` of what was found.
    pub(super) fn of(ground: &str) -> Option<Self> {
        if ground == OVERRIDE {
            return Some(Self::Person);
        }
        ground.starts_with("policy:").then_some(Self::Window)
    }
}

/// Freezes by the calendar and by people, apart from the others.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ToldSummary {
    pub windows: ToldFreezes,
    pub people: ToldFreezes,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ToldFreezes {
    pub freezes: u64,
    /// For how long services stood closed by them.
    pub hours: ModeHours,
}

impl Summary {
    fn n_freezes(&self, told: Option<Told>) -> u64 {
        let grounds = self.freezes.by_ground.iter();
        let meant = grounds.filter(|(ground, _)| Told::of(ground) == told);
        meant.map(|(_, n)| n).sum()
    }

    /// Freezes for which something was found.
    pub(super) fn n_found(&self) -> u64 {
        self.n_freezes(None)
    }

    /// For how long services were frozen by them.
    pub(super) fn hours_found(&self) -> ModeHours {
        let all = self.held_hours.get("freeze").copied().unwrap_or(ModeHours::ZERO);
        all.without(self.told.windows.hours).without(self.told.people.hours)
    }

    pub(super) fn tell(&mut self, windows: ModeHours, people: ModeHours) {
        self.told = ToldSummary {
            windows: ToldFreezes {
                freezes: self.n_freezes(Some(Told::Window)),
                hours: windows,
            },
            people: ToldFreezes {
                freezes: self.n_freezes(Some(Told::Person)),
                hours: people,
            },
        };
    }
}

impl ToldSummary {
    pub(super) const NONE: Self = Self {
        windows: ToldFreezes::NONE,
        people: ToldFreezes::NONE,
    };
}

impl ToldFreezes {
    const NONE: Self = Self {
        freezes: 0,
        hours: ModeHours::ZERO,
    };
}

impl ModeHours {
    pub(super) const ZERO: Self = Self {
        shadow: 0.0,
        enforce: 0.0,
    };

    pub(super) fn all(self) -> f64 {
        self.shadow + self.enforce
    }

    /// What is left of it; to three decimals, as it is.
    pub(super) fn without(self, part: Self) -> Self {
        let left = |all: f64, part: f64| round(all - part, 1e3).max(0.0);
        Self {
            shadow: left(self.shadow, part.shadow),
            enforce: left(self.enforce, part.enforce),
        }
    }
}
