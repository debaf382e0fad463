use proptest::prelude::*;
use serde::Deserialize as _;
use serde_json::Value;

use super::*;

fn read(text: &str) -> Option<Value> {
    let mut reader = Reader::new(text);
    let value = Value::deserialize(&mut reader).ok()?;
    reader.end().ok()?;
    Some(value)
}

/// Any value; of an object, members that nobody reads.
struct Unread;

impl<'de> serde::Deserialize<'de> for Unread {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Unread {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }
    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }
    fn visit_bool<E>(self, _flag: bool) -> Result<Self, E> {
        Ok(self)
    }
    fn visit_u64<E>(self, _number: u64) -> Result<Self, E> {
        Ok(self)
    }
    fn visit_i64<E>(self, _number: i64) -> Result<Self, E> {
        Ok(self)
    }
    fn visit_f64<E>(self, _number: f64) -> Result<Self, E> {
        Ok(self)
    }
    fn visit_str<E>(self, _text: &str) -> Result<Self, E> {
        Ok(self)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self, A::Error> {
        while items.next_element::<Self>()?.is_some() {}
        Ok(self)
    }
    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self, A::Error> {
        while members.next_entry::<de::IgnoredAny, de::IgnoredAny>()?.is_some() {}
        Ok(self)
    }
}

fn reads_members(text: &str) -> bool {
    let mut reader = Reader::new(text);
    Unread::deserialize(&mut reader).is_ok() && reader.end().is_ok()
}

fn skips(text: &str) -> bool {
    let mut reader = Reader::new(text);
    reader.skip().is_ok() && reader.end().is_ok()
}

/// What it takes, `serde_json` takes with the same value; what it skips, `serde_json` skips. And what `serde_json`
/// takes, it takes: the usual form is all of JSON's, some of it token by token.
fn check(text: &str) {
    let exact = serde_json::from_str::<Value>(text).ok();
    assert_eq!(read(text), exact, "{text:?}");
    let members = serde_json::from_str::<Unread>(text).is_ok();
    assert_eq!(reads_members(text), members, "{text:?}");
    let ignored = serde_json::from_str::<de::IgnoredAny>(text).is_ok();
    assert_eq!(skips(text), ignored, "{text:?}");
}

const STRINGS: &[&str] = &[
    r#""""#,
    r#""plain""#,
    r#""eight by""#,
    r#""eight by eight""#,
    r#""\n\"\\\/\b\f\r\t\u0041""#,
    r#""\ud83d\ude00""#,
    r#""\ud83d""#,
    r#""\u12g4""#,
    r#""\x""#,
    r#""\"#,
    r#"""#,
    r#""é and 日本語 in it""#,
    "\"a\tb\"",
    "\"seven by\u{1}\"",
    "\"\u{7f}\"",
    r#""unfinished"#,
    r#""\u12""#,
];
const NUMBERS: &[&str] = &[
    "0",
    "-0",
    "00",
    "01",
    "-1",
    "-",
    "1.",
    ".5",
    "1.5",
    "1e3",
    "1E+3",
    "1e-3",
    "1e",
    "1e+",
    "1.5e400",
    "-1.5e-400",
    "999999999999999999",
    "9999999999999999999",
    "18446744073709551615",
    "18446744073709551616",
    "1_0",
    "1 2",
    "+1",
    "12a",
    "-01",
    "0x10",
    "NaN",
    "1.0.0",
];
const VALUES: &[&str] = &[
    "true",
    "false",
    "null",
    "tru",
    "truee",
    "nul",
    "",
    " ",
    " 1 ",
    "\n[1 ,\t2]\r\n",
    "[]",
    "[ ]",
    "[,]",
    "[1,]",
    "[1 2]",
    "[1",
    "{}",
    "{ }",
    r#"{"a":1}"#,
    r#"{"a" : 1 , "b" : [ {} ] }"#,
    r#"{"a":1,}"#,
    "{,}",
    r#"{"a"}"#,
    r#"{"a":}"#,
    "{1:2}",
    r#"{"a":1 "b":2}"#,
    r#"{"\u0061":1}"#,
    r#"{"\x":1}"#,
    r#"{"\ud83d":1}"#,
    r#"{"a":1}}"#,
    "[1]]",
    "]",
    "}",
    "\u{feff}1",
    "1\u{a0}",
    "[\u{b}1]",
    "\"\u{0}\"",
];

#[test]
fn it_takes_what_serde_json_takes() {
    for text in STRINGS.iter().chain(NUMBERS).chain(VALUES) {
        check(text);
        check(&format!("[{text}]"));
        check(&format!(r#"{{"a":{text},"b":[{text},{text}]}}"#));
    }
}

#[test]
fn it_goes_as_deep_as_is_taken() {
    for (depth, taken) in [(MAX_DEPTH, true), (MAX_DEPTH + 1, false), (100_000, false)] {
        let text = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!((read(&text).is_some(), skips(&text)), (taken, taken), "{depth}");
    }
}

#[test]
fn the_first_byte_that_ends_a_plain_stretch_is_found_wherever_it_is() {
    for length in 0..40 {
        for end in [b'"', b'\\', 0x1f, 0x00] {
            for filler in [b' ', b'a', b'!', b'#', 0x7f, 0x80, 0xff] {
                let mut bytes = vec![filler; length];
                bytes.extend([end, b'"', filler]);
                assert_eq!(plain_end(&bytes, 0), length, "{bytes:?}");
            }
        }
        assert_eq!(plain_end(&vec![b'a'; length], 0), length);
    }
}

proptest! {
    #[test]
    fn it_takes_nothing_else(text in r#"[\[\]{},:"\\ \n0-9eE.\-+tfnrusalé]{0,24}"#) {
        check(&text);
    }

    #[test]
    fn damage_is_seen_as_serde_json_sees_it(
        place in any::<prop::sample::Index>(), byte in prop::sample::select(br#"{}[],:"\ 0-1e.tn"#.to_vec()),
    ) {
        let mut text = r#"{"a":"b\u0041c","d":[1,-2.5e3,{"e":null}],"f":true,"g":{"h":[]}}"#.to_owned().into_bytes();
        let place = place.index(text.len());
        text[place] = byte;
        check(std::str::from_utf8(&text).expect("ASCII"));
    }
}
