//! Query parameters: read strictly, so that a name that was mangled on its way is not asked about as another.

use std::str::FromStr;

use super::{json::reveal, problem::Problem};
use crate::model::InvalidName;

/// Items of a page where the request does not say.
const LIMIT_DEFAULT: usize = 50;
/// Items of a page, at most: a request for more gets so many, and where to go on.
const LIMIT_MAX: usize = 500;

/// The parameters of one request, in their order.
#[derive(Debug)]
pub(super) struct Parameters(Vec<(String, String)>);

/// Which part of a list is asked for.
#[derive(Debug)]
pub(super) struct Part<Cursor> {
    pub(super) limit: usize,
    pub(super) after: Option<Cursor>,
}

impl Parameters {
    pub(super) fn parse(query: Option<&str>) -> Result<Self, Problem> {
        let pairs = query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        let parsed = pairs.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decode(name)?, decode(value)?))
        });
        parsed
            .collect::<Option<_>>()
            .map(Self)
            .ok_or_else(|| Problem::bad_request("the query is not percent-encoded UTF-8"))
    }

    /// Refuses names that are none of `known`: of what a mistyped one asks, nothing would be answered.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), Problem> {
        match self.0.iter().find(|(name, _)| !known.contains(&name.as_str())) {
            None => Ok(()),
            Some((name, _)) => Err(Problem::bad_request(format!(
                "`{name}` is none of {}",
                known.join(", ")
            ))),
        }
    }

    /// All values of a parameter that may repeat.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .filter(move |(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// The value of a parameter that may be given once.
    pub(super) fn one(&self, name: &str) -> Result<Option<&str>, Problem> {
        let mut all = self.all(name);
        let first = all.next();
        if all.next().is_some() {
            return Err(Problem::bad_request(format!("`{name}` is given twice")));
        }
        Ok(first)
    }

    /// A parameter that is a name.
    pub(super) fn name<Name: FromStr<Err = InvalidName>>(&self, name: &str) -> Result<Option<Name>, Problem> {
        let parsed = self.one(name)?.map(str::parse).transpose();
        parsed.map_err(|invalid: InvalidName| Problem::bad_request(format!("`{name}` {invalid}")))
    }

    /// `limit` and `cursor`.
    pub(super) fn part<Cursor: FromStr>(&self) -> Result<Part<Cursor>, Problem> {
        let limit = match self.one("limit")?.map(str::parse::<usize>) {
            None => LIMIT_DEFAULT,
            Some(Ok(limit)) if limit > 0 => limit.min(LIMIT_MAX),
            Some(Ok(_) | Err(_)) => {
                return Err(Problem::bad_request(format!(
                    "`limit` is a number from 1 to {LIMIT_MAX}"
                )));
            }
        };
        let after = match self.one("cursor")? {
            None => None,
            Some(hidden) => {
                let cursor = reveal(hidden).and_then(|cursor| cursor.parse().ok());
                Some(cursor.ok_or_else(|| Problem::bad_request("`cursor` is not the `next` of this list"))?)
            }
        };
        Ok(Part { limit, after })
    }
}

/// Decodes `application/x-www-form-urlencoded`; `None` if an escape is broken or the bytes are no UTF-8.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => digit(rest.next()?)? << 4 | digit(rest.next()?)?,
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_decoded_and_what_is_mangled_is_refused() {
        let parameters = Parameters::parse(Some("a=x%20y+z&b=%CE%B4&&a=&c")).expect("well formed");
        assert_eq!(parameters.all("a").collect::<Vec<_>>(), ["x y z", ""]);
        assert_eq!(parameters.one("b").expect("once"), Some("δ"));
        assert_eq!(parameters.one("c").expect("once"), Some(""));
        assert_eq!(parameters.one("d").expect("not at all"), None);
        assert!(parameters.one("a").is_err(), "twice");
        for mangled in ["a=%", "a=%2", "a=%zz", "a=%ff", "%ff=a", "a=%+1"] {
            assert!(Parameters::parse(Some(mangled)).is_err(), "{mangled}");
        }
    }
}
