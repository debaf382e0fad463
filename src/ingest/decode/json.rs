//! JSON of the form that producers write, read in one pass over the text.
//!
//! A reader for serde that takes what nearly every record is made of: objects, lists, strings without escapes, whole
//! numbers. Strings and numbers of other forms are handed to `serde_json`, one token at a time. Whatever this reader
//! stumbles over is [`Unusual`], and says nothing but that: `serde_json` then reads the record again from its
//! beginning and has the last word, so which faults there are and how they are told is its business alone. It takes
//! two fifths of the time (`cargo bench --bench decode`).
//!
//! **Invariant:** it takes nothing that `serde_json` refuses, and hands visitors the same values.

use std::fmt;

use serde::de::{
    self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor,
    value::{BorrowedStrDeserializer, StringDeserializer},
};

use super::MAX_DEPTH;

/// Not to be read here: broken, too deep, or a fault that a visitor found.
#[derive(Debug)]
pub(super) struct Unusual;

impl fmt::Display for Unusual {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not JSON of the usual form")
    }
}

impl std::error::Error for Unusual {}

impl de::Error for Unusual {
    fn custom<T: fmt::Display>(_message: T) -> Self {
        Self
    }
}

/// Reads a text from its beginning.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    text: &'a str,
    at: usize,
    /// Lists and objects that are open.
    depth: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0, depth: 0 }
    }

    /// Errs unless only white space is left.
    pub(super) fn end(&mut self) -> Result<(), Unusual> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(Unusual),
        }
    }

    /// The next byte that is no white space; it is not passed.
    fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while let Some(byte) = bytes.get(self.at) {
            if !matches!(byte, b' ' | b'\n' | b'\t' | b'\r') {
                return Some(*byte);
            }
            self.at += 1;
        }
        None
    }

    /// Passes `byte`, which must come next but for white space.
    fn pass(&mut self, byte: u8) -> Result<(), Unusual> {
        if self.peek() == Some(byte) {
            self.at += 1;
            Ok(())
        } else {
            Err(Unusual)
        }
    }

    /// Passes a word that begins here.
    fn word(&mut self, word: &str) -> Result<(), Unusual> {
        let rest = self.text.as_bytes().get(self.at..).ok_or(Unusual)?;
        if !rest.starts_with(word.as_bytes()) {
            return Err(Unusual);
        }
        self.at += word.len();
        Ok(())
    }

    /// Passes the string that begins here, and says whether it holds an escape.
    fn string(&mut self) -> Result<bool, Unusual> {
        let bytes = self.text.as_bytes();
        let mut escaped = false;
        self.at += 1;
        loop {
            self.at = plain_end(bytes, self.at);
            match bytes.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(escaped);
                }
                Some(b'\\') => {
                    escaped = true;
                    self.at += escape_len(&bytes[self.at..])?;
                }
                _ => return Err(Unusual),
            }
        }
    }

    /// Passes the number that begins here, and says whether it is a whole one of at most 18 digits.
    fn number(&mut self) -> Result<bool, Unusual> {
        let bytes = self.text.as_bytes();
        let digits = |at: usize| bytes[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let mut at = self.at + usize::from(bytes[self.at] == b'-');
        let n_whole = digits(at);
        if n_whole == 0 || (n_whole > 1 && bytes[at] == b'0') {
            return Err(Unusual);
        }
        at += n_whole;
        let mut is_whole = n_whole <= 18;
        if bytes.get(at) == Some(&b'.') {
            let n_decimals = digits(at + 1);
            if n_decimals == 0 {
                return Err(Unusual);
            }
            at += 1 + n_decimals;
            is_whole = false;
        }
        if let Some(b'e' | b'E') = bytes.get(at) {
            at += 1;
            at += usize::from(matches!(bytes.get(at), Some(b'+' | b'-')));
            let n_exponent = digits(at);
            if n_exponent == 0 {
                return Err(Unusual);
            }
            at += n_exponent;
            is_whole = false;
        }
        self.at = at;
        Ok(is_whole)
    }

    /// Passes a value that nobody reads.
    fn skip(&mut self) -> Result<(), Unusual> {
        match self.peek().ok_or(Unusual)? {
            b'"' => self.string().map(|_escaped| ()),
            b'-' | b'0'..=b'9' => self.number().map(|_is_whole| ()),
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.word("null"),
            b'{' => {
                self.open()?;
                self.skip_items(b'}', |reader| {
                    reader.key()?;
                    reader.string()?;
                    reader.pass(b':')?;
                    reader.skip()
                })
            }
            b'[' => {
                self.open()?;
                self.skip_items(b']', Self::skip)
            }
            _ => Err(Unusual),
        }
    }

    /// Passes the bracket that begins here.
    fn open(&mut self) -> Result<(), Unusual> {
        self.at += 1;
        self.depth += 1;
        (self.depth <= MAX_DEPTH).then_some(()).ok_or(Unusual)
    }

    fn skip_items(&mut self, close: u8, item: impl Fn(&mut Self) -> Result<(), Unusual>) -> Result<(), Unusual> {
        let mut is_first = true;
        while self.next_item(close, is_first)? {
            is_first = false;
            item(self)?;
        }
        Ok(())
    }

    /// Goes to where the next item of a list or object begins; false: it was closed instead.
    fn next_item(&mut self, close: u8, is_first: bool) -> Result<bool, Unusual> {
        match self.peek().ok_or(Unusual)? {
            byte if byte == close => {
                self.at += 1;
                self.depth -= 1;
                Ok(false)
            }
            b',' if !is_first => {
                self.at += 1;
                // A comma before the closing bracket is none of JSON's.
                (self.peek().ok_or(Unusual)? != close).then_some(true).ok_or(Unusual)
            }
            _ => is_first.then_some(true).ok_or(Unusual),
        }
    }

    /// Goes to where a key begins.
    fn key(&mut self) -> Result<(), Unusual> {
        (self.peek() == Some(b'"')).then_some(()).ok_or(Unusual)
    }

    /// What was passed since `start`.
    fn since(&self, start: usize) -> &'a str {
        &self.text[start..self.at]
    }
}

/// Where, from `at` on, the first byte is that a string cannot hold as it is: quote, backslash or control character.
fn plain_end(bytes: &[u8], mut at: usize) -> usize {
    const ONES: u64 = u64::MAX / 255;
    // The lowest marked byte is right; a borrow may mark bytes above it.
    let below = |word: u64, bound: u64| word.wrapping_sub(ONES * bound) & !word & (ONES << 7);
    while let Some(eight) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let word = u64::from_le_bytes(*eight);
        let marks =
            below(word, 0x20) | below(word ^ (ONES * u64::from(b'"')), 1) | below(word ^ (ONES * u64::from(b'\\')), 1);
        if marks != 0 {
            return at + usize::try_from(marks.trailing_zeros() / 8).unwrap_or(0);
        }
        at += 8;
    }
    let is_plain = |byte: &&u8| **byte >= 0x20 && **byte != b'"' && **byte != b'\\';
    at + bytes.get(at..).unwrap_or_default().iter().take_while(is_plain).count()
}

/// How long the escape is that `bytes` begin with.
fn escape_len(bytes: &[u8]) -> Result<usize, Unusual> {
    match bytes {
        [_, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => Ok(2),
        [_, b'u', a, b, c, d, ..] if [a, b, c, d].iter().all(|byte| byte.is_ascii_hexdigit()) => Ok(6),
        _ => Err(Unusual),
    }
}

/// One token as `serde_json` reads it.
fn exact<'a, V: Visitor<'a>>(token: &'a str, visitor: V) -> Result<V::Value, Unusual> {
    let mut json = serde_json::Deserializer::from_str(token);
    let value = json.deserialize_any(visitor).map_err(|_told_again| Unusual)?;
    json.end().map_err(|_told_again| Unusual)?;
    Ok(value)
}

impl<'a> Deserializer<'a> for &mut Reader<'a> {
    type Error = Unusual;

    fn deserialize_any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Unusual> {
        let first = self.peek().ok_or(Unusual)?;
        let start = self.at;
        match first {
            b'"' => {
                if self.string()? {
                    return exact(self.since(start), visitor);
                }
                visitor.visit_borrowed_str(&self.text[start + 1..self.at - 1])
            }
            b'-' | b'0'..=b'9' => {
                if self.number()? && first != b'-' {
                    let digits = self.since(start).bytes();
                    return visitor.visit_u64(digits.fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')));
                }
                exact(self.since(start), visitor)
            }
            b't' => {
                self.word("true")?;
                visitor.visit_bool(true)
            }
            b'f' => {
                self.word("false")?;
                visitor.visit_bool(false)
            }
            b'n' => {
                self.word("null")?;
                visitor.visit_unit()
            }
            b'{' => {
                self.open()?;
                let mut items = Items::new(self, b'}');
                let value = visitor.visit_map(&mut items)?;
                items.is_closed.then_some(value).ok_or(Unusual)
            }
            b'[' => {
                self.open()?;
                let mut items = Items::new(self, b']');
                let value = visitor.visit_seq(&mut items)?;
                items.is_closed.then_some(value).ok_or(Unusual)
            }
            _ => Err(Unusual),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Unusual> {
        self.skip()?;
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        <V: Visitor<'a>>
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier
    }
}

/// The items of a list, or the members of an object.
struct Items<'r, 'a> {
    reader: &'r mut Reader<'a>,
    close: u8,
    is_first: bool,
    is_closed: bool,
}

impl<'r, 'a> Items<'r, 'a> {
    fn new(reader: &'r mut Reader<'a>, close: u8) -> Self {
        Self {
            reader,
            close,
            is_first: true,
            is_closed: false,
        }
    }

    fn has_next(&mut self) -> Result<bool, Unusual> {
        let has_next = self.reader.next_item(self.close, std::mem::take(&mut self.is_first))?;
        self.is_closed = !has_next;
        Ok(has_next)
    }
}

impl<'a> MapAccess<'a> for &mut Items<'_, 'a> {
    type Error = Unusual;

    fn next_key_seed<K: DeserializeSeed<'a>>(&mut self, seed: K) -> Result<Option<K::Value>, Unusual> {
        if !self.has_next()? {
            return Ok(None);
        }
        self.reader.key()?;
        let start = self.reader.at;
        if self.reader.string()? {
            // Resolved, it may be a key that is known. A key is a text also for who ignores it: half a surrogate pair is none.
            let key: String = serde_json::from_str(self.reader.since(start)).map_err(|_told_again| Unusual)?;
            return seed.deserialize(StringDeserializer::new(key)).map(Some);
        }
        let key = &self.reader.text[start + 1..self.reader.at - 1];
        seed.deserialize(BorrowedStrDeserializer::new(key)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'a>>(&mut self, seed: V) -> Result<V::Value, Unusual> {
        self.reader.pass(b':')?;
        seed.deserialize(&mut *self.reader)
    }
}

impl<'a> SeqAccess<'a> for &mut Items<'_, 'a> {
    type Error = Unusual;

    fn next_element_seed<T: DeserializeSeed<'a>>(&mut self, seed: T) -> Result<Option<T::Value>, Unusual> {
        if !self.has_next()? {
            return Ok(None);
        }
        seed.deserialize(&mut *self.reader).map(Some)
    }
}

#[cfg(test)]
mod tests;
