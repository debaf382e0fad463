//! `holdpoint.toml` as values with their place, tables flattened to dotted keys.
//!
//! `topics.errors = …`, `[topics] errors = …` and `[kafka] "security.protocol" = …` or, without quotes,
//! `security.protocol = …` are all the same.

use std::ops::Range;
use std::path::Path;

use toml::de::{DeInteger, DeTable, DeValue};

use super::error::{Origin, Problem, SettingError};
use super::given::{Given, Reader, Value};
use super::parse::Wrong;
use super::{SECTIONS, is_known, kafka, unknown};

/// Adds all that the file says. If it is not TOML, only where that is.
pub(super) fn read(name: &Path, text: &str, reader: &mut Reader) {
    // Some editors put a byte order mark in front.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let document = Document {
        name: name.display().to_string(),
        text,
    };
    let (table, faults) = DeTable::parse_recoverable(text);
    if faults.is_empty() {
        document.read_table("", table.get_ref(), reader);
        return;
    }
    reader.is_partial = true;
    // The parser's own display would quote the line, and with it a secret.
    for fault in faults {
        let origin = document.origin(&fault.span().unwrap_or_default());
        reader.errors.push(SettingError {
            origin,
            problem: Problem::Syntax(fault.message().to_owned()),
        });
    }
}

struct Document<'a> {
    name: String,
    text: &'a str,
}

impl Document<'_> {
    fn read_table(&self, parent: &str, table: &DeTable<'_>, reader: &mut Reader) {
        for (name, value) in table {
            let key = if parent.is_empty() {
                name.get_ref().to_string()
            } else {
                format!("{parent}.{}", name.get_ref())
            };
            let origin = self.origin(&self.whole_key(name.span()));
            if let DeValue::Table(inner) = value.get_ref()
                && is_section(&key)
            {
                self.read_table(&key, inner, reader);
            } else if SECTIONS.contains(&key.as_str()) {
                let wrong = Wrong {
                    must: "a table",
                    found: "a value".to_owned(),
                };
                reader.errors.push(wrong.error(&key, &origin));
            } else if is_known(&key) {
                reader.add(
                    &key,
                    Given {
                        value: self.value(value.get_ref()),
                        origin,
                    },
                );
            } else {
                reader.errors.push(SettingError {
                    origin,
                    problem: unknown(&key),
                });
            }
        }
    }

    fn value(&self, value: &DeValue<'_>) -> Value {
        match value {
            DeValue::String(text) => Value::Text(text.to_string()),
            DeValue::Integer(number) => whole(number),
            DeValue::Float(_) => Value::Other("a decimal number"),
            DeValue::Boolean(boolean) => Value::Boolean(*boolean),
            DeValue::Datetime(_) => Value::Other("a date or time"),
            DeValue::Table(_) => Value::Other("a table"),
            DeValue::Array(items) => Value::List(
                items
                    .iter()
                    .map(|item| Given {
                        value: self.value(item.get_ref()),
                        origin: self.origin(&item.span()),
                    })
                    .collect(),
            ),
        }
    }

    /// A dotted key begins with its line; the parser tells only where its last part is.
    fn whole_key(&self, last_part: Range<usize>) -> Range<usize> {
        let before = self.text.get(..last_part.start).unwrap_or_default();
        let line = before.rsplit('\n').next().unwrap_or_default();
        let others = line.trim_start();
        if others.contains(['[', '{', '=', ',']) {
            last_part
        } else {
            before.len() - others.len()..last_part.end
        }
    }

    fn origin(&self, span: &Range<usize>) -> Origin {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |end| end + 1);
        Origin::File {
            name: self.name.clone(),
            line: before.matches('\n').count() + 1,
            column: before.chars().count() - before.get(..line_start).map_or(0, |lines| lines.chars().count()) + 1,
        }
    }
}

fn is_section(key: &str) -> bool {
    SECTIONS.contains(&key) || key.starts_with(kafka::PREFIX)
}

fn whole(number: &DeInteger<'_>) -> Value {
    i64::from_str_radix(number.as_str(), number.radix()).map_or(Value::Other("a number beyond 64 bits"), Value::Whole)
}
