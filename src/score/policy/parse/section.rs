//! Tables, read by asking for each key once: what nobody asked for is unknown.

use toml::de::{DeTable, DeValue};

use super::{fault::Reader, value};
use crate::model::nearest;

/// A table whose keys are asked for one by one.
#[derive(Debug)]
pub(super) struct Section<'a> {
    pub(super) path: String,
    /// In bytes from the beginning of the text.
    pub(super) at: usize,
    table: Option<&'a DeTable<'a>>,
    asked: Vec<&'static str>,
}

/// A value and where it stands.
#[derive(Debug)]
pub(super) struct Item<'a> {
    pub(super) path: String,
    pub(super) key: &'a str,
    pub(super) key_at: usize,
    pub(super) at: usize,
    pub(super) value: &'a DeValue<'a>,
}

/// Keys one table further in, for who leaves the table out.
const INNER: [&str; 7] = [
    "freeze.false_freezes_per_week",
    "freeze.margin",
    "freeze.watch",
    "freeze.lease",
    "freeze.spent_budget",
    "freeze.low_loss_passes",
    "review.budget",
];

/// Keys at the top of the file, for who writes them below the header of a table.
const TOP: [&str; 10] = [
    "revision",
    "lateness",
    "mode",
    "require_known_changes",
    "limiter",
    "evidence",
    "rule",
    "window",
    "levels",
    "environments",
];

impl<'a> Section<'a> {
    pub(super) fn root(table: &'a DeTable<'a>) -> Self {
        Self {
            path: String::new(),
            at: 0,
            table: Some(table),
            asked: Vec::new(),
        }
    }

    pub(super) fn take(&mut self, key: &'static str) -> Option<Item<'a>> {
        self.asked.push(key);
        let (name, value) = self.table?.get_key_value(key)?;
        Some(Item {
            path: join(&self.path, key),
            key: name.get_ref(),
            key_at: name.span().start,
            at: value.span().start,
            value: value.get_ref(),
        })
    }

    /// Every value, for tables whose keys are names.
    pub(super) fn items(&self) -> impl Iterator<Item = Item<'a>> + use<'a> {
        let path = self.path.clone();
        self.table.into_iter().flatten().map(move |(name, value)| Item {
            path: join(&path, name.get_ref()),
            key: name.get_ref(),
            key_at: name.span().start,
            at: value.span().start,
            value: value.get_ref(),
        })
    }

    pub(super) fn is_there(&self) -> bool {
        self.table.is_some()
    }

    pub(super) fn len(&self) -> usize {
        self.table.map_or(0, DeTable::len)
    }

    /// What somebody may have meant by `key`, as the rest of a sentence.
    fn hint(&self, key: &str) -> String {
        let near = nearest(key, self.asked.iter().copied());
        let inner = || {
            INNER
                .into_iter()
                .find(|known| self.asked.contains(&"freeze") && last(known) == key)
        };
        if let Some(known) = near.or_else(inner) {
            let dot = if self.path.is_empty() { "" } else { "." };
            return format!("did you mean {}{dot}{known}?", self.path);
        }
        if !self.path.is_empty() && TOP.contains(&key) {
            return format!("did you mean {key} outside of {}?", self.path);
        }
        format!("known here: {}", self.asked.join(", "))
    }
}

impl Reader {
    /// The table at `item`; an empty one if there is none.
    pub(super) fn section<'a>(&mut self, item: Option<Item<'a>>) -> Section<'a> {
        let Some(item) = item else {
            return Section {
                path: String::new(),
                at: 0,
                table: None,
                asked: Vec::new(),
            };
        };
        let table = item.value.as_table();
        if table.is_none() {
            self.wrong(&item, format!("is {}; expected a table", value::describe(item.value)));
        }
        Section {
            path: item.path,
            at: item.at,
            table,
            asked: Vec::new(),
        }
    }

    /// Notes the keys nobody asked for.
    pub(super) fn close(&mut self, section: &Section<'_>) {
        for item in section.items().filter(|item| !section.asked.contains(&item.key)) {
            let hint = if self.is_full() {
                String::new()
            } else {
                format!("; {}", section.hint(item.key))
            };
            self.note(item.key_at, &item.path, format!("is unknown{hint}"));
        }
    }
}

/// `path.key`, with `key` in quotes where TOML wants them.
fn join(path: &str, key: &str) -> String {
    let is_bare = !key.is_empty()
        && key
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    let key = if is_bare { key.to_owned() } else { value::quote(key) };
    if path.is_empty() { key } else { format!("{path}.{key}") }
}

fn last(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}
