//! What a rule asks of a change itself: where it is, how large, and when it landed.
//!
//! These are known when a commit lands and not kept, so a rule's word on them is spoken then and remembered, as the
//! rule's tag. A rule that comes later, or is changed, is held against the changes that land from then on.

use std::fmt;

use jiff::{
    civil::{Time, Weekday},
    tz::TimeZone,
};

use super::glob::Glob;
use crate::model::{Commit, MEASURE_NAMES, Timestamp};

/// Conditions on a change; all that are given must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// Any of its first paths, as far as ingest keeps them; empty: any.
    pub(super) paths: Vec<Glob>,
    /// Lines added and deleted, at least. A change that does not say is not meant.
    pub(super) min_lines: Option<u32>,
    pub(super) min_files: Option<u32>,
    /// From, to: a stretch of the day, over midnight if it ends before it begins.
    pub(super) hours: Option<(Time, Time)>,
    /// Empty: any.
    pub(super) weekdays: Vec<Weekday>,
    pub(super) zone: TimeZone,
    /// Stands for the rule and its conditions where a change remembers that it met them.
    pub(super) tag: u32,
}

impl Condition {
    #[must_use]
    pub fn tag(&self) -> u32 {
        self.tag
    }

    /// Whether `commit`, landed at `time`, is meant.
    #[must_use]
    pub fn is_met(&self, commit: &Commit<'_>, time: Timestamp) -> bool {
        let path = |path: &str| self.paths.iter().any(|glob| glob.matches(path));
        let lines = [measure(commit, "lines_added"), measure(commit, "lines_deleted")];
        let lines: Option<f64> = lines.into_iter().sum();
        (self.paths.is_empty() || commit.paths.iter().any(|own| path(own)))
            && is_at_least(lines, self.min_lines)
            && is_at_least(measure(commit, "files"), self.min_files)
            && self.is_when(time)
    }

    fn is_when(&self, time: Timestamp) -> bool {
        if self.hours.is_none() && self.weekdays.is_empty() {
            return true;
        }
        let Ok(instant) = jiff::Timestamp::from_millisecond(time.millis()) else {
            return false;
        };
        let local = instant.to_zoned(self.zone.clone());
        let (time, today) = (local.time(), local.weekday());
        // Hours over midnight are of the day on which they begin.
        let day = match self.hours {
            Some((from, to)) if from > to && time < to => Some(today.previous()),
            Some((from, to)) if from > to => (time >= from).then_some(today),
            Some((from, to)) => (from..to).contains(&time).then_some(today),
            None => Some(today),
        };
        day.is_some_and(|day| self.weekdays.is_empty() || self.weekdays.contains(&day))
    }
}

fn measure(commit: &Commit<'_>, name: &str) -> Option<f64> {
    let place = MEASURE_NAMES.iter().position(|known| *known == name)?;
    commit.measures.get(place).copied().flatten()
}

fn is_at_least(value: Option<f64>, least: Option<u32>) -> bool {
    least.is_none_or(|least| value.is_some_and(|value| value >= f64::from(least)))
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if !self.paths.is_empty() {
            let paths: Vec<String> = self.paths.iter().map(ToString::to_string).collect();
            parts.push(format!("a path is as {}", paths.join(" or ")));
        }
        if let Some(lines) = self.min_lines {
            parts.push(format!("it has {lines} lines or more"));
        }
        if let Some(files) = self.min_files {
            parts.push(format!("it has {files} files or more"));
        }
        let zone = self.zone.iana_name().unwrap_or("UTC");
        if let Some((from, to)) = self.hours {
            let (from, to) = (from.strftime("%H:%M"), to.strftime("%H:%M"));
            parts.push(format!("it lands from {from} to {to} {zone}"));
        }
        if !self.weekdays.is_empty() {
            let days: Vec<String> = self.weekdays.iter().map(|day| format!("{day:?}")).collect();
            parts.push(format!("it lands on {} {zone}", days.join(" or ")));
        }
        f.write_str(&parts.join(", "))
    }
}
