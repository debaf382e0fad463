//! Texts from outside, on their way to people.

/// Whether a letter of a text from outside is shown to nobody as it is.
///
/// Control characters act on a terminal, and have no form in a page; separators of lines and paragraphs break what is
/// told as one line; marks that turn the order of what follows around would let a name pass for another. Such marks as
/// only say of what direction they are themselves (U+200E, U+200F, U+061C) belong to ordinary text.
#[must_use]
pub fn is_unshowable(letter: char) -> bool {
    letter.is_control() || matches!(letter, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
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
}
