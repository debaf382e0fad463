//! What somebody may have meant.

use super::{KEYS, SECTIONS};

/// The key that `written` resembles: by few slips of the fingers, or by its last part in another table.
pub(super) fn key(written: &str) -> Option<&'static str> {
    let last = |key: &str| key.rsplit('.').next().map(str::to_owned);
    let known = || SECTIONS.into_iter().chain(KEYS);
    let misplaced = || KEYS.into_iter().find(|key| last(key) == last(written));
    nearest(written, known()).or_else(misplaced)
}

/// The candidate with the fewest slips, if they are few for its length; the first of several.
fn nearest<'a>(written: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let close = candidates.filter_map(|candidate| {
        let slips = slips(written, candidate);
        // One slip in four letters is a slip, more is another word.
        (slips <= candidate.len().div_ceil(4).min(3)).then_some((slips, candidate))
    });
    close.min_by_key(|(slips, _)| *slips).map(|(_, candidate)| candidate)
}

/// Letters left out, added, changed, or swapped with their neighbor, at least (optimal string alignment).
fn slips(written: &str, meant: &str) -> usize {
    let written: Vec<char> = written.chars().take(64).collect();
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
