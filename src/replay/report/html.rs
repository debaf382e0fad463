//! Words, numbers and tables of a page, escaped.

use std::fmt::{self, Write as _};

use sha2::{Digest as _, Sha256};

use crate::{
    model::{Timestamp, is_unshowable},
    replay::{
        interval::{Rate, Share},
        text::grouped,
    },
};

/// A text as it may stand in a page, between tags or in an attribute's quotes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Escaped<'a>(pub(super) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for char in self.0.chars() {
            match char {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                other if is_unshowable(other) => f.write_char('\u{fffd}')?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

/// The page so far.
#[derive(Debug, Default)]
pub(super) struct Page(String);

impl Page {
    /// Appends markup. What comes from outside goes through [`Escaped`].
    pub(super) fn add(&mut self, markup: fmt::Arguments<'_>) {
        self.0.write_fmt(markup).expect("a string takes all that is written");
    }

    pub(super) fn into_text(self) -> String {
        self.0
    }
}

/// Appends to a page as `format!` does.
macro_rules! add {
    ($page:expr, $($argument:tt)*) => {
        $page.add(format_args!($($argument)*))
    };
}
pub(super) use add;

/// A table: its caption, its heads, and rows of cells that are markup already. The first column is text, the others
/// are figures.
pub(super) fn table(page: &mut Page, caption: &str, heads: &[&str], rows: &[Vec<String>]) {
    // Few figures far apart are hard to read along a line.
    let class = if heads.len() <= 3 { "wide few" } else { "wide" };
    add!(
        page,
        "<div class=\"{class}\"><table><caption>{}</caption><thead><tr>",
        Escaped(caption)
    );
    for head in heads {
        add!(page, "<th scope=\"col\">{}</th>", Escaped(head));
    }
    add!(page, "</tr></thead><tbody>\n");
    for row in rows {
        add!(page, "<tr>");
        for (column, cell) in row.iter().enumerate() {
            if column == 0 {
                add!(page, "<th scope=\"row\">{cell}</th>");
            } else {
                add!(page, "<td>{cell}</td>");
            }
        }
        add!(page, "</tr>\n");
    }
    add!(page, "</tbody></table></div>\n");
}

pub(super) const NONE: &str = "–";

pub(super) fn whole(n: u64) -> String {
    grouped(n)
}

/// A share from 0 to 1 as percent.
pub(super) fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| NONE.to_owned(), |share| format!("{:.1} %", share * 100.0))
}

/// `12.5 % (4.1 – 27.0)`.
pub(super) fn share(share: Option<&Share>) -> String {
    share.map_or_else(
        || NONE.to_owned(),
        |Share { share, low, high }| {
            format!(
                "{:.1} % <span class=\"within\">{:.1} – {:.1}</span>",
                share * 100.0,
                low * 100.0,
                high * 100.0
            )
        },
    )
}

pub(super) fn rate(rate: Option<&Rate>) -> String {
    rate.map_or_else(
        || NONE.to_owned(),
        |Rate { rate, low, high }| format!("{rate:.2} <span class=\"within\">{low:.2} – {high:.2}</span>"),
    )
}

/// Seconds as minutes.
pub(super) fn minutes(seconds: Option<u64>) -> String {
    seconds.map_or_else(
        || NONE.to_owned(),
        |seconds| format!("{} min", grouped((seconds + 30) / 60)),
    )
}

/// `1 h 12 min`.
pub(super) fn length(duration: std::time::Duration) -> String {
    let minutes = (duration.as_secs() + 30) / 60;
    match (minutes / 60, minutes % 60) {
        (0, minutes) => format!("{minutes} min"),
        (hours, 0) => format!("{} h", grouped(hours)),
        (hours, minutes) => format!("{} h {minutes} min", grouped(hours)),
    }
}

/// `2026-03-10 14:02`.
pub(super) fn instant(at: Timestamp) -> String {
    let text = at.to_string();
    text.get(..16).unwrap_or(&text).replace('T', " ")
}

/// A code such as `deploy_regression` as words.
pub(super) fn words(code: &str) -> String {
    Escaped(&code.replace('_', " ")).to_string()
}

/// The hash by which a content security policy lets in exactly this style sheet.
pub(super) fn style_hash(style: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = "sha256-".to_owned();
    for group in Sha256::digest(style).chunks(3) {
        let bits = (0..3).fold(0_usize, |bits, place| {
            bits << 8 | usize::from(group.get(place).copied().unwrap_or(0))
        });
        for place in 0..4 {
            let digit = char::from(DIGITS[bits >> (18 - 6 * place) & 63]);
            text.push(if place <= group.len() { digit } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_from_outside_is_text_and_nothing_else() {
        let hostile = "</title><script src='x'>&\"\u{202e}gpj\u{7}";
        assert_eq!(
            Escaped(hostile).to_string(),
            "&lt;/title&gt;&lt;script src=&#39;x&#39;&gt;&amp;&quot;\u{fffd}gpj\u{fffd}"
        );
    }

    /// `printf 'p{}' | openssl dgst -sha256 -binary | base64`, and of the empty text.
    #[test]
    fn a_style_sheet_is_named_by_its_hash() {
        assert_eq!(style_hash(""), "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
    }
}
