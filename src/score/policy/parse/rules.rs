//! The rules in force: the default ones, and over them the file's.
//!
//! A `[[rule]]` is added after those before it. One that has a default rule's name stands in its place, whole: nothing
//! of the default rule is kept. `enabled = false` takes a rule out; with a default rule's name it needs no more keys.

use std::collections::BTreeMap;

use super::{
    LEVELS,
    fault::Reader,
    section::{Item, Section},
    value::quote,
    windows::{WEEKDAYS, globs, hours, scope, zone},
};
use crate::{
    model::{Assistance, Level, check_name, short_hash},
    score::policy::{Condition, Glob, Rule, Scope},
};

/// Every change is held against every rule.
const MAX_RULES: usize = 256;
/// More than any change has.
const MAX_SIZE: i64 = 1_000_000_000;
/// More people than ever look at one change.
const MAX_APPROVALS: i64 = 16;

const ASSISTANCE: [(&str, Assistance); 4] = [
    ("none", Assistance::None),
    ("assisted", Assistance::Assisted),
    ("authored", Assistance::Authored),
    ("unknown", Assistance::Unknown),
];
const AUTHOR_LEVELS: [(&str, Level); 5] = [
    ("unknown", Level::Unknown),
    ("junior", Level::Junior),
    ("mid", Level::Mid),
    ("senior", Level::Senior),
    ("staff", Level::Staff),
];

/// A rule of the file.
struct Given {
    name: Option<Box<str>>,
    /// `None` where it is switched off.
    rule: Option<Rule>,
}

pub(super) fn defaults() -> Vec<Rule> {
    let sign_off = |name: &str, ai: &[Assistance], author_level: &[Level]| Rule {
        name: name.into(),
        ai: ai.to_vec(),
        author_level: author_level.to_vec(),
        scope: Scope::default(),
        condition: None,
        approvals: 1,
        level: Some(Level::Senior),
    };
    vec![
        sign_off(
            "ai-senior-sign-off",
            &[Assistance::Assisted, Assistance::Authored],
            &[Level::Junior, Level::Mid],
        ),
        sign_off("ai-authored-sign-off", &[Assistance::Authored], &[Level::Unknown]),
    ]
}

pub(super) fn rules(reader: &mut Reader, item: Option<Item<'_>>) -> Vec<Rule> {
    let mut rules = defaults();
    if let Some(item) = item.as_ref().filter(|item| item.value.is_table()) {
        reader.wrong(item, "is a table; expected [[rule]] in double brackets");
        return rules;
    }
    let at = item.as_ref().map_or(0, |item| item.at);
    let items = reader.list(item);
    if items.len() > MAX_RULES {
        reader.note(
            at,
            "rule",
            format!("is given {} times, at most {MAX_RULES}", items.len()),
        );
        return rules;
    }
    let mut first: BTreeMap<Box<str>, String> = BTreeMap::new();
    for item in items {
        let mut section = reader.section(Some(item));
        if !section.is_there() {
            continue;
        }
        let name = section.take("name");
        let name_at = name.as_ref().map_or(section.at, |name| name.at);
        let given = given(reader, &mut section, name);
        reader.close(&section);
        let Some(name) = given.name else { continue };
        if let Some(other) = first.get(&name) {
            let text = format!("is {}, which is the name of {other} already", quote(&name));
            reader.note(name_at, &format!("{}.name", section.path), text);
            continue;
        }
        match (rules.iter().position(|rule| rule.name == name), given.rule) {
            (Some(place), Some(rule)) => rules[place] = rule,
            (Some(place), None) => drop(rules.remove(place)),
            (None, rule) => rules.extend(rule),
        }
        first.insert(name, section.path);
    }
    rules
}

fn given(reader: &mut Reader, section: &mut Section<'_>, name: Option<Item<'_>>) -> Given {
    let name = self::name(reader, section, name);
    let is_on = reader.boolean(section.take("enabled")).unwrap_or(true);
    let (when, then) = (section.take("when"), section.take("then"));
    if is_on {
        let missing = [
            (
                when.is_none(),
                "has no `when`: what it is about, or `when = {}` for every change",
            ),
            (
                then.is_none(),
                "has no `then`: what it asks for, as `then = { action = \"extra_review\" }`",
            ),
        ];
        for (_, text) in missing.into_iter().filter(|(is_missing, _)| *is_missing) {
            reader.note_missing(section.at, &section.path, text);
        }
    } else if when.is_none() && then.is_none() {
        check_switch(reader, section, name.as_deref());
    }

    let mut when = reader.section(when);
    let ai = reader.words(when.take("ai"), &ASSISTANCE);
    let author_level = reader.words(when.take("author_level"), &AUTHOR_LEVELS);
    let scope = scope(reader, &mut when, false);
    let condition = condition(reader, &mut when, name.as_deref());
    reader.close(&when);

    let mut then = reader.section(then);
    let action = then.take("action");
    if then.is_there() && action.is_none() {
        reader.note_missing(
            then.at,
            &then.path,
            "has no `action`; expected `action = \"extra_review\"`",
        );
    }
    reader.word(action, &[("extra_review", ())]);
    let approvals = reader.whole(then.take("approvals"), 1..=MAX_APPROVALS).unwrap_or(1);
    let level = reader.word(then.take("level"), &LEVELS);
    reader.close(&then);

    let rule = name.clone().filter(|_| is_on).map(|name| Rule {
        name,
        ai,
        author_level,
        scope,
        condition,
        approvals,
        level,
    });
    Given { name, rule }
}

/// What is asked of the change itself; `None` if nothing is.
fn condition(reader: &mut Reader, when: &mut Section<'_>, name: Option<&str>) -> Option<Box<Condition>> {
    let paths = globs(reader, when.take("paths"), Glob::of_paths);
    let min_lines: Option<u32> = reader.whole(when.take("min_lines"), 1..=MAX_SIZE);
    let min_files: Option<u32> = reader.whole(when.take("min_files"), 1..=MAX_SIZE);
    let (hours_item, weekdays_item, zone_item) = (when.take("hours"), when.take("weekdays"), when.take("zone"));
    // Ones that cannot be read have a fault of their own.
    let is_alone = hours_item.is_none() && weekdays_item.is_none();
    let hours = hours(reader, hours_item);
    let weekdays = reader.words(weekdays_item, &WEEKDAYS);
    if let Some(item) = zone_item.as_ref().filter(|_| is_alone) {
        reader.wrong(item, "is given without `hours` or `weekdays`, and means nothing alone");
    }
    let zone = zone(reader, zone_item);
    if paths.is_empty() && min_lines.is_none() && min_files.is_none() && hours.is_none() && weekdays.is_empty() {
        return None;
    }
    // Of another condition another tag: what a change met is no answer to what it was not asked.
    // Snapshots keep it, so it rests on no other crate's way to print.
    let minutes = hours.map(|(from, to)| [from, to].map(|time| (time.hour(), time.minute())));
    let days: Vec<i8> = weekdays.iter().map(|day| day.to_monday_zero_offset()).collect();
    let in_zone = zone.iana_name();
    let asked = format!("{name:?} {paths:?} {min_lines:?} {min_files:?} {minutes:?} {days:?} {in_zone:?}");
    let tag = short_hash(&asked);
    Some(Box::new(Condition {
        paths,
        min_lines,
        min_files,
        hours,
        weekdays,
        zone,
        tag,
    }))
}

/// A slip in the name would leave the default rule on.
fn check_switch(reader: &mut Reader, section: &Section<'_>, name: Option<&str>) {
    let defaults = defaults();
    if let Some(name) = name.filter(|name| defaults.iter().all(|rule| *rule.name != **name)) {
        let known: Vec<String> = defaults.iter().map(|rule| quote(&rule.name)).collect();
        let text = format!(
            "switches off {}, which is no default rule; those are {}",
            quote(name),
            known.join(" and ")
        );
        reader.note_missing(section.at, &section.path, text);
    }
}

/// The name of a rule, which stands in reasons as `policy:<name>`.
fn name(reader: &mut Reader, section: &Section<'_>, item: Option<Item<'_>>) -> Option<Box<str>> {
    let Some(item) = item else {
        reader.note_missing(section.at, &section.path, "has no `name`");
        return None;
    };
    let name = reader.text(Some(&item))?;
    match check_name(name) {
        Ok(()) => Some(name.into()),
        Err(error) => {
            reader.wrong(&item, error.to_string());
            None
        }
    }
}
