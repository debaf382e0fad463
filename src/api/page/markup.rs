//! What may stand in a page: texts, escaped, and instants.

use std::fmt::{self, Write as _};

use crate::model::{Timestamp, is_unshowable};

/// A text from outside, for use within an element or a quoted attribute.
pub(in crate::api) struct Text<'a>(pub(in crate::api) &'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|letter| match letter {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            '\'' => f.write_str("&#39;"),
            other if is_unshowable(other) => f.write_char('\u{fffd}'),
            other => f.write_char(other),
        })
    }
}

/// An instant as people read it at `now`: the time of day in UTC, the date if it is another, and how far off it is.
pub(super) struct Instant {
    pub(super) at: Timestamp,
    pub(super) now: Timestamp,
}

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (at, today) = (self.at.to_string(), self.now.to_string());
        let date = at.get(..10).unwrap_or_default();
        write!(f, "<time datetime=\"{at}\">")?;
        if today.get(..10) != Some(date) {
            write!(f, "{date} ")?;
        }
        write!(f, "{}Z</time>", at.get(11..16).unwrap_or_default())?;
        let (ahead, past) = (self.at.since(self.now).as_secs(), self.now.since(self.at).as_secs());
        match (ahead, past) {
            (0, 0..5) => Ok(()),
            (0, past) => write!(f, " <small>({} ago)</small>", Span(past)),
            (ahead, _) => write!(f, " <small>(in {})</small>", Span(ahead)),
        }
    }
}

/// Seconds, in the largest unit of which there are two.
struct Span(u64);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0..120 => write!(f, "{} s", self.0),
            120..7_200 => write!(f, "{} min", self.0 / 60),
            7_200..172_800 => write!(f, "{} h", self.0 / 3_600),
            _ => write!(f, "{} d", self.0 / 86_400),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_cannot_leave_their_place() {
        assert_eq!(
            Text("<a href=\"'&\">\0\u{202e}gpj\u{2066}").to_string(),
            "&lt;a href=&quot;&#39;&amp;&quot;&gt;\u{fffd}\u{fffd}gpj\u{fffd}"
        );
    }

    #[test]
    fn instants_say_how_far_off_they_are() {
        let now: Timestamp = "2026-03-10T14:02:07Z".parse().expect("a time");
        let cases = [
            ("2026-03-10T14:02:07Z", "14:02Z</time>"),
            ("2026-03-10T15:02:07Z", "15:02Z</time> <small>(in 60 min)</small>"),
            ("2026-03-10T14:00:37Z", "14:00Z</time> <small>(90 s ago)</small>"),
            (
                "2026-03-07T14:02:07Z",
                "2026-03-07 14:02Z</time> <small>(3 d ago)</small>",
            ),
        ];
        for (at, expected) in cases {
            let shown = Instant {
                at: at.parse().expect("a time"),
                now,
            }
            .to_string();
            assert_eq!(shown.split_once('>').map(|(_, rest)| rest), Some(expected), "{at}");
        }
    }
}
