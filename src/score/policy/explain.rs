//! Every value that holds for a service in an environment, and where it comes from.
//!
//! The values are those the scorer asks the policy for; the file is read again only for where each stands. So an
//! explanation cannot show another value than the one that counts.

use std::{fmt, time::Duration};

use serde::Serialize;
use toml::de::{DeTable, DeValue};

use super::{Evidence, Faults, Freeze, Limiter, Policy, Review, Rule, Settings, Window, WindowEffect};
use crate::model::{Assistance, Criticality, Level, Timestamp};

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "from", rename_all = "lowercase")]
pub enum Origin {
    /// Built in.
    Default,
    /// Told by the catalog, or by who asks in its place.
    Catalog,
    /// A line of the file, from 1, and the table it is in: empty for the top, else such as `tiers.critical`.
    File { line: usize, table: String },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Catalog => f.write_str("the catalog, as told"),
            Self::File { line, table } if table.is_empty() => write!(f, "line {line}"),
            Self::File { line, table } => write!(f, "line {line}, {table}"),
        }
    }
}

/// A key, its value in the words of the file, and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Value {
    pub key: &'static str,
    pub value: String,
    pub origin: Origin,
}

/// A rule, or a window, in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Named {
    pub name: Box<str>,
    pub text: String,
    /// Whether it is about this service, in this environment.
    pub applies: bool,
    /// What it is not of, if it does not apply: `service`, or `environment`. None of what is switched off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_of: Option<&'static str>,
    pub origin: Origin,
}

/// What holds for a service in an environment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    pub service: String,
    pub environment: String,
    pub policy: Box<str>,
    pub values: Vec<Value>,
    pub rules: Vec<Named>,
    pub windows: Vec<Named>,
    /// What the windows say now.
    pub now: String,
    /// That instant, in UTC.
    pub at: String,
}

/// Whom an explanation is for.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    pub service: &'a str,
    pub environment: &'a str,
    /// As the catalog has it; the policy's own word stands before it.
    pub criticality: Option<Criticality>,
    pub now: Timestamp,
}

/// Explains what the policy `text` says of a service. Errs with its faults.
pub fn explain(text: &str, asked: &Asked<'_>) -> Result<Explanation, Faults> {
    let policy = Policy::parse(text)?;
    let file = File::of(text);
    let tier = policy.tier(asked.service, asked.criticality);
    let settings = policy.settings(asked.service, tier, asked.environment);
    let outlook = policy.outlook(asked.service, tier, asked.environment, asked.now);
    let changes = match outlook.changes_at {
        Timestamp::NEVER => String::new(),
        at => format!(", next looked at {at}"),
    };
    let now = match outlook.closed {
        None => format!("open{changes}"),
        Some(closed) => format!(
            "closed by {} until {}",
            closed.window.name,
            closed.window.local(closed.until)
        ),
    };
    Ok(Explanation {
        service: asked.service.to_owned(),
        environment: asked.environment.to_owned(),
        values: values(&policy, &settings, asked, &file),
        rules: policy
            .rules
            .iter()
            .map(|rule| file.rule(rule, asked.service, tier))
            .chain(file.switched_off("rule"))
            .collect(),
        windows: policy
            .windows
            .iter()
            .map(|window| file.window(window, asked, tier))
            .chain(file.switched_off("window"))
            .collect(),
        policy: policy.digest,
        now,
        at: asked.now.to_string(),
    })
}

/// All values, key by key: a field that is added to the settings and not here does not compile.
pub(super) fn values(policy: &Policy, settings: &Settings, asked: &Asked<'_>, file: &File<'_>) -> Vec<Value> {
    let Settings {
        tier,
        mode,
        freeze:
            Freeze {
                false_freezes_per_week,
                margin,
                watch,
                lease,
                spent_budget,
                low_loss_passes,
            },
        // A tier's changes are ranked together, so its share is the tier's.
        review: Review { budget: _ },
        require_known_changes,
    } = settings;
    let budget = policy.budget(*tier);
    let Limiter {
        new_per_hour_share,
        new_per_hour_min,
        new_per_four_hours_share,
        new_per_four_hours_min,
        incident_per_hour_share,
        incident_per_hour_min,
    } = &policy.limiter;
    let own = [
        ("mode", mode.name().to_owned()),
        ("require_known_changes", require_known_changes.to_string()),
        ("freeze.false_freezes_per_week", false_freezes_per_week.to_string()),
        ("freeze.margin", margin.to_string()),
        ("freeze.watch", length(*watch)),
        ("freeze.lease", length(*lease)),
        ("freeze.spent_budget", spent_budget.to_string()),
        ("freeze.low_loss_passes", low_loss_passes.to_string()),
        ("review.budget", budget.to_string()),
    ];
    let fleet = [
        ("lateness", length(policy.lateness)),
        (
            "revision",
            policy
                .revision
                .map_or("the file's time".to_owned(), |revision| revision.to_string()),
        ),
        ("limiter.new_per_hour_share", new_per_hour_share.to_string()),
        ("limiter.new_per_hour_min", new_per_hour_min.to_string()),
        ("limiter.new_per_four_hours_share", new_per_four_hours_share.to_string()),
        ("limiter.new_per_four_hours_min", new_per_four_hours_min.to_string()),
        ("limiter.incident_per_hour_share", incident_per_hour_share.to_string()),
        ("limiter.incident_per_hour_min", incident_per_hour_min.to_string()),
    ];
    let tier_value = Value {
        key: "tier",
        value: tier.name().to_owned(),
        origin: file.tier(asked),
    };
    let own = own.into_iter().map(|(key, value)| Value {
        key,
        value,
        origin: file.layered(key, asked, *tier),
    });
    let fleet = fleet.into_iter().map(|(key, value)| file.value(key, value));
    let all = std::iter::once(tier_value).chain(own).chain(fleet);
    let all = all.chain(evidence(&policy.evidence, file));
    all.chain(levels(policy, file)).collect()
}

fn evidence(evidence: &Evidence, file: &File<'_>) -> impl Iterator<Item = Value> {
    let Evidence {
        baseline_age,
        baseline_steps,
        restart_blip,
        restart_errors,
        watch_errors,
        spike_learned,
        spike_judged,
        step_caution,
        block_caution,
        unseen_margin,
        dense_share,
        silent_gaps,
        e_value_min,
        calibration_max,
        calibration_weight,
        watches_per_week,
    } = evidence;
    let values = [
        ("evidence.baseline_age", length(*baseline_age)),
        ("evidence.baseline_steps", baseline_steps.to_string()),
        ("evidence.restart_blip", length(*restart_blip)),
        ("evidence.restart_errors", restart_errors.to_string()),
        ("evidence.watch_errors", watch_errors.to_string()),
        ("evidence.spike_learned", spike_learned.to_string()),
        ("evidence.spike_judged", spike_judged.to_string()),
        ("evidence.step_caution", step_caution.to_string()),
        ("evidence.block_caution", block_caution.to_string()),
        ("evidence.unseen_margin", unseen_margin.to_string()),
        ("evidence.dense_share", dense_share.to_string()),
        ("evidence.silent_gaps", silent_gaps.to_string()),
        ("evidence.e_value_min", e_value_min.to_string()),
        ("evidence.calibration_max", calibration_max.to_string()),
        ("evidence.calibration_weight", calibration_weight.to_string()),
        ("evidence.watches_per_week", watches_per_week.to_string()),
    ];
    values.map(|(key, value)| file.value(key, value)).into_iter()
}

/// How many people and groups are listed at each level: who they are is the file's to say.
fn levels(policy: &Policy, file: &File<'_>) -> impl Iterator<Item = Value> {
    let listed = [
        ("levels.staff", Level::Staff),
        ("levels.senior", Level::Senior),
        ("levels.mid", Level::Mid),
        ("levels.junior", Level::Junior),
    ];
    let value = |(key, level): (&'static str, Level)| {
        let members = policy.levels.members.values().filter(|known| **known == level);
        file.value(key, format!("{} listed", members.count()))
    };
    listed.map(value).into_iter()
}

/// A policy file, to be asked for where things stand.
pub(super) struct File<'a> {
    text: &'a str,
    root: DeTable<'a>,
}

impl<'a> File<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        let (root, _) = DeTable::parse_recoverable(text);
        Self {
            text,
            root: root.into_inner(),
        }
    }

    /// A value that is one for all.
    fn value(&self, key: &'static str, value: String) -> Value {
        Value {
            key,
            value,
            origin: self.at(&[], key),
        }
    }

    /// The line of `key`, dotted, below the tables named.
    fn at(&self, tables: &[&str], key: &str) -> Origin {
        let mut table = &self.root;
        let mut names = tables.iter().copied().chain(key.split('.')).peekable();
        while let Some(name) = names.next() {
            let Some((written, value)) = table.get_key_value(name) else {
                return Origin::Default;
            };
            if names.peek().is_none() {
                return Origin::File {
                    line: self.line(written.span().start),
                    table: tables.join("."),
                };
            }
            let DeValue::Table(inner) = value.get_ref() else {
                return Origin::Default;
            };
            table = inner;
        }
        Origin::Default
    }

    /// From the narrowest to the widest: as [`Policy::settings`] lays them over each other.
    fn layered(&self, key: &str, asked: &Asked<'_>, tier: Criticality) -> Origin {
        let layers: [&[&str]; 5] = [
            &["services", asked.service, "environments", asked.environment],
            &["services", asked.service],
            &["environments", asked.environment],
            &["tiers", tier.name()],
            &[],
        ];
        let found = layers.iter().map(|tables| self.at(tables, key));
        found
            .into_iter()
            .find(|origin| *origin != Origin::Default)
            .unwrap_or(Origin::Default)
    }

    fn tier(&self, asked: &Asked<'_>) -> Origin {
        match self.at(&["services", asked.service], "tier") {
            Origin::Default if asked.criticality.is_some() => Origin::Catalog,
            origin @ (Origin::Default | Origin::Catalog | Origin::File { .. }) => origin,
        }
    }

    fn rule(&self, rule: &Rule, service: &str, tier: Criticality) -> Named {
        let applies = rule.scope.has_service(service, tier);
        Named {
            name: rule.name.clone(),
            text: rule.to_string(),
            applies,
            not_of: (!applies).then_some("service"),
            origin: self.named("rule", &rule.name),
        }
    }

    fn window(&self, window: &Window, asked: &Asked<'_>, tier: Criticality) -> Named {
        let at = window.at(asked.now);
        let what = match (window.effect, at.open_until.is_some()) {
            (WindowEffect::Deny, false) => "closes next",
            (WindowEffect::Allow, true) => "lets by now, until",
            (WindowEffect::Deny, true) | (WindowEffect::Allow, false) => "closes now, until",
            (WindowEffect::Exempt, true) => "exempts now, until",
            (WindowEffect::Exempt, false) => "exempts next",
        };
        let instant = at.open_until.unwrap_or(at.next);
        let text = if instant == Timestamp::NEVER {
            "is over".to_owned()
        } else {
            format!("{what} {}", window.local(instant))
        };
        let is_of_service = window.scope.has_service(asked.service, tier);
        let applies = window.scope.has(asked.service, tier, asked.environment);
        let differs = if is_of_service { "environment" } else { "service" };
        Named {
            name: window.name.clone(),
            text,
            applies,
            not_of: (!applies).then_some(differs),
            origin: self.named("window", &window.name),
        }
    }

    /// What a `[[list]]` takes out, a default rule for example. The policy has it no more, so that the file alone can tell.
    fn switched_off(&self, list: &str) -> Vec<Named> {
        let off = self.entries(list).filter_map(|(line, entry)| {
            let enabled = entry.get("enabled")?.get_ref().as_bool()?;
            let name = entry.get("name")?.get_ref().as_str()?;
            (!enabled).then(|| Named {
                name: name.into(),
                text: "switched off".to_owned(),
                applies: false,
                not_of: None,
                origin: Origin::File {
                    line,
                    table: String::new(),
                },
            })
        });
        off.collect()
    }

    /// The line of the `[[list]]` entry of that name.
    fn named(&self, list: &str, name: &str) -> Origin {
        let is_named = |entry: &DeTable<'_>| {
            let own = entry.get("name");
            own.and_then(|own| own.get_ref().as_str()) == Some(name)
        };
        let entry = self.entries(list).find(|(_, entry)| is_named(entry));
        entry.map_or(Origin::Default, |(line, _)| Origin::File {
            line,
            table: String::new(),
        })
    }

    /// The entries of a `[[list]]`, each with its line.
    fn entries(&self, list: &str) -> impl Iterator<Item = (usize, &DeTable<'a>)> {
        let entries = self.root.get(list).and_then(|value| value.get_ref().as_array());
        let entries = entries.into_iter().flatten();
        entries.filter_map(|entry| Some((self.line(entry.span().start), entry.get_ref().as_table()?)))
    }

    fn line(&self, at: usize) -> usize {
        self.text
            .as_bytes()
            .iter()
            .take(at)
            .filter(|byte| **byte == b'\n')
            .count()
            + 1
    }
}

/// As the file has it: in the greatest unit that leaves a whole number.
fn length(duration: Duration) -> String {
    match duration.as_secs() {
        seconds if seconds >= 3_600 && seconds % 3_600 == 0 => format!("{}h", seconds / 3_600),
        seconds if seconds >= 60 && seconds % 60 == 0 => format!("{}m", seconds / 60),
        seconds => format!("{seconds}s"),
    }
}

impl fmt::Display for Rule {
    /// What it asks of which changes, as a sentence without its end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let who = match self.level {
            None => "anybody".to_owned(),
            Some(Level::Staff) => "staff".to_owned(),
            Some(level) => format!("{level:?} or above").to_lowercase(),
        };
        let plural = if self.approvals == 1 { "" } else { "s" };
        write!(f, "{} approval{plural} by {who}", self.approvals)?;
        let mut when = Vec::new();
        let words = |words: Vec<String>| words.join(" or ").to_lowercase();
        if !self.ai.is_empty() {
            when.push(format!(
                "AI is {}",
                words(self.ai.iter().map(|ai| format!("{ai:?}")).collect())
            ));
        }
        if !self.author_level.is_empty() {
            let levels = self.author_level.iter().map(|level| format!("{level:?}"));
            when.push(format!("the author's level is {}", words(levels.collect())));
        }
        if let Some(condition) = &self.condition {
            when.push(condition.to_string());
        }
        match when.as_slice() {
            [] => f.write_str(" for every change")?,
            parts => write!(f, " where {}", parts.join(", "))?,
        }
        // What names AI means no other changes anyhow.
        let names_ai = |ai: &Assistance| matches!(ai, Assistance::Assisted | Assistance::Authored);
        if self.ai.is_empty() || !self.ai.iter().all(names_ai) {
            f.write_str(", but none that a bot made without AI")?;
        }
        Ok(())
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} in {}, policy {}", self.service, self.environment, self.policy)?;
        writeln!(f)?;
        for Value { key, value, origin } in &self.values {
            writeln!(f, "  {key:<34} {value:<16} {origin}")?;
        }
        for (title, list) in [("rules", &self.rules), ("windows", &self.windows)] {
            writeln!(f, "\n{title}")?;
            if list.is_empty() {
                writeln!(f, "  none")?;
            }
            for Named {
                name,
                text,
                applies: _,
                not_of,
                origin,
            } in list
            {
                let not = not_of.map_or_else(String::new, |what| format!(" – not of this {what}"));
                writeln!(f, "  {name}: {text} ({origin}){not}")?;
            }
        }
        writeln!(f, "\nnow, {}: {}", self.at, self.now)
    }
}
