//! One field of a record as it was given, right or wrong.
//!
//! A field of the wrong type is a value here, no error: validation then says which field it was and what it should
//! have been, which the JSON parser cannot. What remains an error while reading is broken JSON, and a known key given
//! twice: the one error raised here.

use std::{borrow::Cow, fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

/// What a record said of one field.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::ingest) enum Field<T> {
    #[default]
    Absent,
    /// The same as absent, except that the key may not come again.
    Null,
    Value(T),
    /// Of another type: the one found, in words.
    Wrong(&'static str),
}

impl<T> Field<T> {
    /// Reads the value of `key` from `map` into this field. Errs if it was read before.
    pub(in crate::ingest) fn fill<'de, A>(&mut self, key: &'static str, map: &mut A) -> Result<(), A::Error>
    where
        T: Shape<'de>,
        A: MapAccess<'de>,
    {
        if !matches!(self, Self::Absent) {
            return Err(A::Error::custom(format_args!("duplicate key `{key}`")));
        }
        *self = map.next_value()?;
        Ok(())
    }
}

/// A type of value that a field can have. Each method makes one of what JSON has; what a shape does not override is
/// of the wrong type for it.
pub(in crate::ingest) trait Shape<'de>: Sized {
    /// The type in words, as in "must be a string".
    const EXPECTED: &'static str;

    fn text(_text: &str) -> Option<Self> {
        None
    }
    fn borrowed_text(text: &'de str) -> Option<Self> {
        Self::text(text)
    }
    fn number(_number: Number) -> Option<Self> {
        None
    }
    fn boolean(_flag: bool) -> Option<Self> {
        None
    }
    fn list<A: SeqAccess<'de>>(mut items: A) -> Result<Option<Self>, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }
    fn object<A: MapAccess<'de>>(mut members: A) -> Result<Option<Self>, A::Error> {
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

impl<'de, T: Shape<'de>> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FieldVisitor(PhantomData))
    }
}

struct FieldVisitor<T>(PhantomData<T>);

fn value_or<T>(value: Option<T>, found: &'static str) -> Field<T> {
    value.map_or(Field::Wrong(found), Field::Value)
}

impl<'de, T: Shape<'de>> Visitor<'de> for FieldVisitor<T> {
    type Value = Field<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }
    fn visit_unit<E>(self) -> Result<Field<T>, E> {
        Ok(Field::Null)
    }
    fn visit_bool<E>(self, flag: bool) -> Result<Field<T>, E> {
        Ok(value_or(T::boolean(flag), "true or false"))
    }
    fn visit_u64<E>(self, number: u64) -> Result<Field<T>, E> {
        Ok(value_or(T::number(Number::Whole(number)), "a number"))
    }
    fn visit_i64<E>(self, number: i64) -> Result<Field<T>, E> {
        let number = u64::try_from(number).map_or(Number::Negative, Number::Whole);
        Ok(value_or(T::number(number), "a number"))
    }
    fn visit_f64<E>(self, number: f64) -> Result<Field<T>, E> {
        Ok(value_or(T::number(Number::Decimal(number)), "a number"))
    }
    fn visit_str<E>(self, text: &str) -> Result<Field<T>, E> {
        Ok(value_or(T::text(text), "a string"))
    }
    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Field<T>, E> {
        Ok(value_or(T::borrowed_text(text), "a string"))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Field<T>, A::Error> {
        Ok(value_or(T::list(items)?, "a list"))
    }
    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Field<T>, A::Error> {
        Ok(value_or(T::object(members)?, "an object"))
    }
}

/// A string; copied only if it holds an escape.
pub(in crate::ingest) type Text<'a> = Cow<'a, str>;

impl<'de> Shape<'de> for Cow<'de, str> {
    const EXPECTED: &'static str = "a string";

    fn text(text: &str) -> Option<Self> {
        Some(Cow::Owned(text.to_owned()))
    }
    fn borrowed_text(text: &'de str) -> Option<Self> {
        Some(Cow::Borrowed(text))
    }
}

/// A string that nobody reads.
#[derive(Debug)]
pub(in crate::ingest) struct UnreadText;

impl Shape<'_> for UnreadText {
    const EXPECTED: &'static str = "a string";

    fn text(_text: &str) -> Option<Self> {
        Some(Self)
    }
}

/// An object whose members are the producer's own.
#[derive(Debug)]
pub(in crate::ingest) struct UnreadObject;

impl<'de> Shape<'de> for UnreadObject {
    const EXPECTED: &'static str = "an object";

    fn object<A: MapAccess<'de>>(mut members: A) -> Result<Option<Self>, A::Error> {
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Some(Self))
    }
}

/// A scalar that nobody reads and producers write as they like.
#[derive(Debug)]
pub(in crate::ingest) struct UnreadScalar;

impl Shape<'_> for UnreadScalar {
    const EXPECTED: &'static str = "a string or a number";

    fn text(_text: &str) -> Option<Self> {
        Some(Self)
    }
    fn number(_number: Number) -> Option<Self> {
        Some(Self)
    }
}

impl Shape<'_> for bool {
    const EXPECTED: &'static str = "true or false";

    fn boolean(flag: bool) -> Option<Self> {
        Some(flag)
    }
}

/// A number as JSON wrote it. `Decimal` is finite; whole numbers above 2⁶⁴ are among them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::ingest) enum Number {
    Whole(u64),
    Negative,
    Decimal(f64),
}

impl Shape<'_> for Number {
    const EXPECTED: &'static str = "a number";

    fn number(number: Number) -> Option<Self> {
        Some(number)
    }
}

/// A list of which the first `KEEP` items are kept and all are counted.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::ingest) struct List<T, const KEEP: usize> {
    pub(in crate::ingest) items: Vec<Field<T>>,
    pub(in crate::ingest) n_items: usize,
}

impl<'de, T: Shape<'de>, const KEEP: usize> Shape<'de> for List<T, KEEP> {
    const EXPECTED: &'static str = "a list";

    fn list<A: SeqAccess<'de>>(mut given: A) -> Result<Option<Self>, A::Error> {
        let mut items = Vec::new();
        while items.len() < KEEP {
            let Some(item) = given.next_element()? else {
                let n_items = items.len();
                return Ok(Some(Self { items, n_items }));
            };
            items.push(item);
        }
        let mut n_items = items.len();
        while given.next_element::<IgnoredAny>()?.is_some() {
            n_items += 1;
        }
        Ok(Some(Self { items, n_items }))
    }
}

/// An object with known members; others are skipped, however often they come.
pub(in crate::ingest) trait Object<'de> {
    /// Reads the value of `key` if that is a member, and says whether it is. Errs if the member was read before.
    fn fill<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<bool, A::Error>;
}

/// Reads all of an object.
pub(in crate::ingest) fn members<'de, T: Object<'de> + Default, A: MapAccess<'de>>(given: A) -> Result<T, A::Error> {
    let mut object = T::default();
    fill(&mut object, given)?;
    Ok(object)
}

fn fill<'de, A: MapAccess<'de>>(object: &mut impl Object<'de>, mut given: A) -> Result<(), A::Error> {
    while let Some(Key(key)) = given.next_key()? {
        if !object.fill(&key, &mut given)? {
            given.next_value::<IgnoredAny>()?;
        }
    }
    Ok(())
}

/// An object to be filled where it is.
pub(in crate::ingest) struct Members<'t, T>(pub(in crate::ingest) &'t mut T);

impl<'de, T: Object<'de>> DeserializeSeed<'de> for Members<'_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, T: Object<'de>> Visitor<'de> for Members<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }
    fn visit_map<A: MapAccess<'de>>(self, given: A) -> Result<(), A::Error> {
        fill(self.0, given)
    }
}

/// A member's key, escapes resolved.
struct Key<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(KeyVisitor)
    }
}

struct KeyVisitor;

impl<'de> Visitor<'de> for KeyVisitor {
    type Value = Key<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }
    fn visit_str<E>(self, text: &str) -> Result<Key<'de>, E> {
        Ok(Key(Cow::Owned(text.to_owned())))
    }
    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Key<'de>, E> {
        Ok(Key(Cow::Borrowed(text)))
    }
}
