//! Texts from outside, on their way to people.

/// Letters of a text that are quoted where something is said of it.
const QUOTED_CHARS_MAX: usize = 80;
/// Letters of a word that are compared with what was meant: words that are known are shorter.
const COMPARED_CHARS_MAX: usize = 64;

/// Whether a letter of a text from outside is shown to nobody as it is.
///
/// Control characters act on a terminal, and have no form in a page; separators of lines and paragraphs break what is
/// told as one line; marks that turn the order of what follows around would let a name pass for another. Such marks as
/// only say of what direction they are themselves (U+200E, U+200F, U+061C) belong to ordinary text.
#[must_use]
pub fn is_unshowable(letter: char) -> bool {
    letter.is_control() || matches!(letter, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Lines as terminals and logs are given them: what is shown to nobody as it is, but for line ends, is a space.
#[must_use]
pub fn shown(lines: &str) -> String {
    let show = |letter| {
        if letter != '\n' && is_unshowable(letter) {
            ' '
        } else {
            letter
        }
    };
    lines.chars().map(show).collect()
}

/// On one line, and not too much of it.
pub(crate) fn shorten(text: &str) -> String {
    let mut short: String = text
        .chars()
        .take(QUOTED_CHARS_MAX)
        .flat_map(char::escape_debug)
        .collect();
    if text.chars().nth(QUOTED_CHARS_MAX).is_some() {
        short.push('…');
    }
    short
}

/// The word that `written` was meant to be: the one with the fewest slips, if they are few for its length; the first of
/// several.
pub(crate) fn nearest<'a>(written: &str, words: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let close = words.into_iter().filter_map(|word| {
        let slips = slips(written, word);
        // One slip in four letters is a slip, more is another word.
        (slips <= word.len().div_ceil(4).min(3)).then_some((slips, word))
    });
    close.min_by_key(|(slips, _)| *slips).map(|(_, word)| word)
}

/// Letters left out, added, changed, or swapped with their neighbor, at least (optimal string alignment).
fn slips(written: &str, meant: &str) -> usize {
    let written: Vec<char> = written.chars().take(COMPARED_CHARS_MAX).collect();
    let meant: Vec<char> = meant.chars().collect();
    let mut rows: Vec<Vec<usize>> = vec![(0..=meant.len()).collect()];
    for (i, letter) in written.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, other) in meant.iter().enumerate() {
            let changed = rows[i][j] + usize::from(letter != other);
            let mut least = changed.min(rows[i][j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && written[i - 1] == *other && *letter == meant[j - 1] {
                least = least.min(rows[i - 1][j - 1] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[written.len()][meant.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_or_turns_order_around_is_not_shown() {
        for letter in "\0\n\u{1b}\u{7f}\u{9b}\u{2028}\u{2029}\u{202a}\u{202e}\u{2066}\u{2069}".chars() {
            assert!(is_unshowable(letter), "{letter:?}");
        }
        for letter in " aδش字\u{200f}\u{2027}\u{202f}\u{2065}\u{206a}".chars() {
            assert!(!is_unshowable(letter), "{letter:?}");
        }
    }

    #[test]
    fn a_slip_of_the_fingers_is_told_from_another_word() {
        let words = ["freeze", "review", "mode"];
        let cases = [
            ("freeze", Some("freeze")),
            ("freze", Some("freeze")),
            ("frezee", Some("freeze")),
            ("reveiws", Some("review")),
            ("moed", Some("mode")),
            ("moon", None),
            ("", None),
        ];
        for (written, meant) in cases {
            assert_eq!(nearest(written, words), meant, "{written}");
        }
        assert_eq!(nearest(&"mode".repeat(1_000), words), None);
    }

    #[test]
    fn a_long_text_is_cut_and_stays_on_its_line() {
        assert_eq!(shorten("a\nb"), "a\\nb");
        assert_eq!(shorten(&"é".repeat(80)), "é".repeat(80));
        assert_eq!(shorten(&"é".repeat(81)), format!("{}…", "é".repeat(80)));
    }
}
