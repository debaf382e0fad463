//! What the platform team asks for: modes, margins, budgets, rules. Every key has a default; no file is needed.
//!
//! A policy is an entry of the log, whole, as text: what is in force at an offset is a function of the log.

mod condition;
mod difference;
mod evidence;
mod explain;
mod glob;
mod parse;
mod recurrence;
mod schedule;
#[cfg(test)]
mod tests;
mod window;

use std::{collections::BTreeMap, time::Duration};

pub use condition::Condition;
pub use difference::{Difference, differences};
pub use evidence::Evidence;
pub use explain::{Asked, Explanation, Named, Origin, Value, explain};
pub use glob::Glob;
pub use parse::{Fault, Faults};
pub use schedule::At;
pub use window::{Closed, Outlook, Scope, Window, WindowEffect};

use crate::model::{Assistance, Criticality, EnvironmentId, Level, Mode, ServiceId, UnitInterval};

/// A whole policy, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// `sha256:` and the digest of the text.
    pub digest: Box<str>,
    /// The order among policies: a lower one than that in force is not taken. The file's `revision` key.
    pub revision: Option<i64>,
    /// How long after its end an evidence step waits for stragglers. The log's, not a service's: one value for all.
    pub lateness: Duration,
    pub limiter: Limiter,
    /// How evidence is weighed: one value for all.
    pub evidence: Evidence,
    pub rules: Vec<Rule>,
    /// When services are closed to deploys, in the order of the file.
    pub windows: Vec<Window>,
    pub levels: Levels,
    pub base: Settings,
    pub tiers: BTreeMap<Criticality, Patch>,
    /// Of all services; over their tiers, since a staging is no less one for whose it is.
    pub environments: BTreeMap<EnvironmentId, Patch>,
    pub services: BTreeMap<ServiceId, ServicePatch>,
}

/// What may differ by tier, service and environment.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The tier of the service they are for.
    pub tier: Criticality,
    pub mode: Mode,
    pub freeze: Freeze,
    pub review: Review,
    /// A change never seen makes the gate's answer unknown, where the mode enforces.
    pub require_known_changes: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Freeze {
    /// False freezes by evidence that the fleet accepts in a week; > 0, at most 1,000.
    pub false_freezes_per_week: f64,
    /// Up to this share more errors than the baseline is no regression; 0 to 10.
    pub margin: f64,
    /// How much observed time a deploy is watched; 10 min to 24 h.
    pub watch: Duration,
    /// How long a freeze by evidence or burn lasts unless renewed; 15 min to 4 h.
    pub lease: Duration,
    /// A service that has spent its error budget is frozen, renewed daily.
    pub spent_budget: bool,
    /// Changes whose loss is in the lower half of their tier's pass a freeze.
    pub low_loss_passes: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Review {
    /// The share of changes of a tier that risk alone sends to extra review.
    pub budget: UnitInterval,
}

/// How many *new* freezes the fleet grants, per environment and mode: the greater of share and minimum.
#[derive(Debug, Clone, PartialEq)]
pub struct Limiter {
    pub new_per_hour_share: UnitInterval,
    pub new_per_hour_min: u32,
    pub new_per_four_hours_share: UnitInterval,
    pub new_per_four_hours_min: u32,
    pub incident_per_hour_share: UnitInterval,
    pub incident_per_hour_min: u32,
}

/// Settings given for a part of the fleet; `None` inherits.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Patch {
    pub mode: Option<Mode>,
    pub false_freezes_per_week: Option<f64>,
    pub margin: Option<f64>,
    pub watch: Option<Duration>,
    pub lease: Option<Duration>,
    pub spent_budget: Option<bool>,
    pub low_loss_passes: Option<bool>,
    pub budget: Option<UnitInterval>,
    pub require_known_changes: Option<bool>,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct ServicePatch {
    /// Stands before the catalog's `criticality`.
    pub tier: Option<Criticality>,
    pub patch: Patch,
    pub environments: BTreeMap<EnvironmentId, Patch>,
}

/// When a change is as `when` says, ask for what `then` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    pub name: Box<str>,
    /// Empty: any.
    pub ai: Vec<Assistance>,
    /// Empty: any. Bots are meant only where AI made the change, whatever it says.
    pub author_level: Vec<Level>,
    /// Of which services and tiers; environments mean nothing to a change.
    pub scope: Scope,
    /// What it asks of the change itself, when it lands; `None`: nothing.
    pub condition: Option<Box<Condition>>,
    /// Approvals asked for; 1 to 16.
    pub approvals: u8,
    /// The least level of who approves; `None`: any.
    pub level: Option<Level>,
}

/// Who counts as what where events do not say: `group:<name>` or a person's id, each at one level only.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Levels {
    pub members: BTreeMap<Box<str>, Level>,
}

impl Levels {
    /// The highest level that `id` or one of `groups` is listed under.
    #[must_use]
    pub fn of<'a>(&self, id: Option<&str>, groups: impl IntoIterator<Item = &'a str>) -> Level {
        if self.members.is_empty() {
            return Level::Unknown;
        }
        let own = id.and_then(|id| self.members.get(id)).copied();
        let by_group = groups
            .into_iter()
            .filter_map(|group| self.members.get(format!("group:{group}").as_str()).copied());
        own.into_iter().chain(by_group).max().unwrap_or_default()
    }
}

impl Patch {
    fn apply(&self, settings: &mut Settings) {
        let Self {
            mode,
            false_freezes_per_week,
            margin,
            watch,
            lease,
            spent_budget,
            low_loss_passes,
            budget,
            require_known_changes,
        } = self;
        set(&mut settings.mode, *mode);
        set(&mut settings.freeze.false_freezes_per_week, *false_freezes_per_week);
        set(&mut settings.freeze.margin, *margin);
        set(&mut settings.freeze.watch, *watch);
        set(&mut settings.freeze.lease, *lease);
        set(&mut settings.freeze.spent_budget, *spent_budget);
        set(&mut settings.freeze.low_loss_passes, *low_loss_passes);
        set(&mut settings.review.budget, *budget);
        set(&mut settings.require_known_changes, *require_known_changes);
    }
}

fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

impl Policy {
    /// Reads a policy file. All faults are reported at once, each with its line and column.
    pub fn parse(text: &str) -> Result<Self, Faults> {
        parse::parse(text)
    }

    /// The tier of a service: the policy's word, else the catalog's, else medium.
    #[must_use]
    pub fn tier(&self, service: &str, criticality: Option<Criticality>) -> Criticality {
        self.services
            .get(service)
            .and_then(|patch| patch.tier)
            .or(criticality)
            .unwrap_or_default()
    }

    /// The share of a tier's changes that risk alone sends to extra review.
    #[must_use]
    pub fn budget(&self, tier: Criticality) -> UnitInterval {
        let own = self.tiers.get(&tier).and_then(|patch| patch.budget);
        own.unwrap_or(self.base.review.budget)
    }

    /// What holds for a service of a tier in an environment: the base, then the patches of the tier, of the environment, of
    /// the service and of the service in that environment, each over the one before. Looked up for each event: it may
    /// depend on the number of tables only as their maps do, and must allocate nothing.
    #[must_use]
    pub fn settings(&self, service: &str, tier: Criticality, environment: &str) -> Settings {
        let mut settings = Settings {
            tier,
            ..self.base.clone()
        };
        if let Some(patch) = self.tiers.get(&tier) {
            patch.apply(&mut settings);
        }
        if let Some(patch) = self.environments.get(environment) {
            patch.apply(&mut settings);
        }
        if let Some(own) = self.services.get(service) {
            own.patch.apply(&mut settings);
            if let Some(patch) = own.environments.get(environment) {
                patch.apply(&mut settings);
            }
        }
        settings
    }
}
