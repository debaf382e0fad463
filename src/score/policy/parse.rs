//! This is where a policy file becomes a [`Policy`], or the list of all that is wrong with it.
//!
//! Each key is read into its place; what cannot be read is noted and reading goes on, so that one look at the list
//! is enough. Nothing of a faulty file comes into force.
//!
//! **Invariant:** the empty text is [`Policy::default`].

mod evidence;
mod fault;
mod rules;
mod section;
#[cfg(test)]
mod tests;
mod value;
mod windows;

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use sha2::{Digest as _, Sha256};

pub use fault::{Fault, Faults};

use self::{
    fault::Reader,
    section::{Item, Section},
};
use super::{Evidence, Freeze, Levels, Limiter, Patch, Policy, Review, ServicePatch, Settings, glob::is_pattern};
use crate::model::{Criticality, EnvironmentId, Level, Mode, ServiceId, UnitInterval, check_name};

/// A policy travels as one record of the log and within the partition's own, which brokers bound at a mebibyte.
const MAX_TEXT_BYTES: usize = 768 << 10;
/// Services named one by one; what is alike belongs in a tier.
const MAX_SERVICES: usize = 50_000;
/// A count above this is a slip of the keyboard: no fleet has as many services.
const MAX_FREEZES: i64 = 1_000_000;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);

const MODES: [(&str, Mode); 2] = [("shadow", Mode::Shadow), ("enforce", Mode::Enforce)];
const TIERS: [(&str, Criticality); 4] = [
    ("critical", Criticality::Critical),
    ("high", Criticality::High),
    ("medium", Criticality::Medium),
    ("low", Criticality::Low),
];
/// What a person can be listed as or asked to be.
const LEVELS: [(&str, Level); 4] = [
    ("junior", Level::Junior),
    ("mid", Level::Mid),
    ("senior", Level::Senior),
    ("staff", Level::Staff),
];

impl Default for Policy {
    /// What holds without a file: everything is said and nothing is blocked. Constants from the risk model, §2 and §4.
    fn default() -> Self {
        Self {
            digest: digest(""),
            revision: None,
            lateness: 10 * SECOND,
            limiter: Limiter {
                new_per_hour_share: UnitInterval::clamped(0.05),
                new_per_hour_min: 5,
                new_per_four_hours_share: UnitInterval::clamped(0.15),
                new_per_four_hours_min: 10,
                incident_per_hour_share: UnitInterval::clamped(0.25),
                incident_per_hour_min: 10,
            },
            evidence: Evidence::default(),
            rules: rules::defaults(),
            windows: Vec::new(),
            levels: Levels::default(),
            base: Settings {
                tier: Criticality::default(),
                mode: Mode::Shadow,
                freeze: Freeze {
                    false_freezes_per_week: 0.5,
                    margin: 0.25,
                    watch: 2 * HOUR,
                    lease: HOUR,
                    spent_budget: false,
                    low_loss_passes: false,
                },
                review: Review {
                    budget: UnitInterval::clamped(0.10),
                },
                require_known_changes: false,
            },
            tiers: BTreeMap::new(),
            environments: BTreeMap::new(),
            services: BTreeMap::new(),
        }
    }
}

pub(super) fn parse(text: &str) -> Result<Policy, Faults> {
    let mut reader = Reader::default();
    if text.len() > MAX_TEXT_BYTES {
        reader.note(
            0,
            "",
            format!("the policy is {} bytes, at most {MAX_TEXT_BYTES}", text.len()),
        );
        return reader.finish(text, Policy::default());
    }
    let (table, errors) = toml::de::DeTable::parse_recoverable(text);
    reader.note_syntax(text, &errors);
    let policy = read(&mut reader, Section::root(table.get_ref()), digest(text));
    reader.finish(text, policy)
}

fn digest(text: &str) -> Box<str> {
    let mut digest = "sha256:".to_owned();
    for byte in Sha256::digest(text) {
        write!(digest, "{byte:02x}").expect("a string takes all that is written");
    }
    digest.into()
}

fn read(reader: &mut Reader, mut file: Section<'_>, digest: Box<str>) -> Policy {
    let mut policy = Policy {
        digest,
        ..Policy::default()
    };
    policy.revision = reader.whole(file.take("revision"), i64::MIN..=i64::MAX);
    if let Some(lateness) = reader.duration(file.take("lateness"), SECOND..=MINUTE) {
        policy.lateness = lateness;
    }
    patch(reader, &mut file).apply(&mut policy.base);
    limiter(reader, file.take("limiter"), &mut policy.limiter);
    evidence::evidence(reader, file.take("evidence"), &mut policy.evidence);
    policy.rules = rules::rules(reader, file.take("rule"));
    policy.windows = windows::windows(reader, file.take("window"));
    policy.levels = levels(reader, file.take("levels"));
    policy.tiers = tiers(reader, file.take("tiers"));
    policy.environments = environments(reader, file.take("environments"));
    policy.services = services(reader, file.take("services"));
    reader.close(&file);
    policy
}

/// The keys that the file has for all and for each part of the fleet.
fn patch(reader: &mut Reader, section: &mut Section<'_>) -> Patch {
    let mut freeze = reader.section(section.take("freeze"));
    let mut review = reader.section(section.take("review"));
    let patch = Patch {
        mode: reader.word(section.take("mode"), &MODES),
        false_freezes_per_week: reader.number(
            freeze.take("false_freezes_per_week"),
            "a number above 0, at most 1000",
            |n| n > 0.0 && n <= 1_000.0,
        ),
        margin: reader.number(freeze.take("margin"), "a number from 0 to 10", |n| {
            (0.0..=10.0).contains(&n)
        }),
        watch: reader.duration(freeze.take("watch"), 10 * MINUTE..=24 * HOUR),
        lease: reader.duration(freeze.take("lease"), 15 * MINUTE..=4 * HOUR),
        spent_budget: reader.boolean(freeze.take("spent_budget")),
        low_loss_passes: reader.boolean(freeze.take("low_loss_passes")),
        budget: reader.share(review.take("budget")),
        require_known_changes: reader.boolean(section.take("require_known_changes")),
    };
    reader.close(&freeze);
    reader.close(&review);
    patch
}

fn limiter(reader: &mut Reader, item: Option<Item<'_>>, limiter: &mut Limiter) {
    let mut section = reader.section(item);
    for (key, share) in [
        ("new_per_hour_share", &mut limiter.new_per_hour_share),
        ("new_per_four_hours_share", &mut limiter.new_per_four_hours_share),
        ("incident_per_hour_share", &mut limiter.incident_per_hour_share),
    ] {
        if let Some(given) = reader.share(section.take(key)) {
            *share = given;
        }
    }
    for (key, min) in [
        ("new_per_hour_min", &mut limiter.new_per_hour_min),
        ("new_per_four_hours_min", &mut limiter.new_per_four_hours_min),
        ("incident_per_hour_min", &mut limiter.incident_per_hour_min),
    ] {
        if let Some(given) = reader.whole(section.take(key), 0..=MAX_FREEZES) {
            *min = given;
        }
    }
    reader.close(&section);
}

/// Each member at one level only, else the greater would win in silence.
fn levels(reader: &mut Reader, item: Option<Item<'_>>) -> Levels {
    let mut section = reader.section(item);
    let mut listed: Vec<(Item<'_>, &str, Level)> = Vec::new();
    for (name, level) in LEVELS {
        for item in reader.list(section.take(name)) {
            if let Some(id) = reader.text(Some(&item)) {
                listed.push((item, id, level));
            }
        }
    }
    reader.close(&section);
    // The later in the file is the fault, whatever the order of the keys.
    listed.sort_by_key(|(item, _, _)| item.at);
    let mut levels = Levels::default();
    let mut first: BTreeMap<&str, String> = BTreeMap::new();
    for (item, id, level) in listed {
        if let Err(error) = check_name(id.strip_prefix("group:").unwrap_or(id)) {
            reader.wrong(&item, format!("is no person or \"group:<name>\": its name {error}"));
        } else if let Some(other) = first.get(id) {
            reader.wrong(
                &item,
                format!("is {}, already listed as {other}; list each once", value::quote(id)),
            );
        } else {
            levels.members.insert(id.into(), level);
            first.insert(id, item.path);
        }
    }
    levels
}

fn tiers(reader: &mut Reader, item: Option<Item<'_>>) -> BTreeMap<Criticality, Patch> {
    let mut section = reader.section(item);
    let mut tiers = BTreeMap::new();
    for (name, tier) in TIERS {
        if let Some(item) = section.take(name) {
            let mut own = reader.section(Some(item));
            tiers.insert(tier, patch(reader, &mut own));
            reader.close(&own);
        }
    }
    reader.close(&section);
    tiers
}

fn services(reader: &mut Reader, item: Option<Item<'_>>) -> BTreeMap<ServiceId, ServicePatch> {
    let section = reader.section(item);
    if section.len() > MAX_SERVICES {
        reader.note(
            section.at,
            &section.path,
            format!("names {} services, at most {MAX_SERVICES}", section.len()),
        );
        return BTreeMap::new();
    }
    let mut services = BTreeMap::new();
    for item in section.items() {
        refuse_pattern(
            reader,
            &item,
            "names one service; what holds for several belongs in their tier",
        );
        let name = reader.name::<ServiceId>(&item);
        let mut own = reader.section(Some(item));
        let tier = reader.word(own.take("tier"), &TIERS);
        refuse_budget(reader, &own);
        let patch = patch(reader, &mut own);
        let environments = environments(reader, own.take("environments"));
        reader.close(&own);
        if let Some(name) = name {
            services.insert(
                name,
                ServicePatch {
                    tier,
                    patch,
                    environments,
                },
            );
        }
    }
    services
}

/// A key is a whole name: a pattern would be that of nothing.
fn refuse_pattern(reader: &mut Reader, item: &Item<'_>, instead: &str) {
    if is_pattern(item.key) {
        reader.note(
            item.key_at,
            &item.path,
            format!("is a pattern, and a key here {instead}"),
        );
    }
}

/// A tier's changes are ranked together, so a share of one service's own would do nothing.
fn refuse_budget(reader: &mut Reader, section: &Section<'_>) {
    let review = section.items().find(|item| item.key == "review");
    let budget = review.and_then(|review| review.value.as_table().and_then(|table| table.get_key_value("budget")));
    if let Some((key, _)) = budget {
        let path = format!("{}.review.budget", section.path);
        reader.note(
            key.span().start,
            &path,
            "is a share of a tier's changes; set it at the top or under tiers",
        );
    }
}

fn environments(reader: &mut Reader, item: Option<Item<'_>>) -> BTreeMap<EnvironmentId, Patch> {
    let section = reader.section(item);
    let mut environments = BTreeMap::new();
    for item in section.items() {
        refuse_pattern(reader, &item, "names one environment; write a table for each");
        let name = reader.name::<EnvironmentId>(&item);
        let mut own = reader.section(Some(item));
        refuse_budget(reader, &own);
        let patch = patch(reader, &mut own);
        reader.close(&own);
        if let Some(name) = name {
            environments.insert(name, patch);
        }
    }
    environments
}
