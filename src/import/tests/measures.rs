//! The fourteen measures, by hand on a small history.

use super::super::{
    history::{History, Measured},
    log::{Commit, FileChange, Person, Status},
};
use crate::model::Timestamp;

const DAY: i64 = 86_400_000;

fn file(path: &str, status: Status, added: u64, deleted: u64) -> FileChange {
    FileChange {
        path: path.as_bytes().into(),
        status,
        added,
        deleted,
    }
}

fn from(path: &str) -> Status {
    Status::RenamedFrom(path.as_bytes().into())
}

/// Takes a commit by `author` on a day since 2026-01-01.
fn take(history: &mut History, author: &str, day: i64, files: Vec<FileChange>) -> Measured {
    let commit = Commit {
        sha: "a".repeat(40).into(),
        committed_at: 0,
        parents: Vec::new(),
        author: Person::default(),
        author_key: author.to_owned(),
        committer: Person::default(),
        message: String::new(),
        files,
    };
    history.take(&commit, Timestamp::from_millis(1_767_225_600_000 + day * DAY))
}

#[track_caller]
fn near(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-9, "{found} for {expected}");
}

#[test]
fn measures_are_those_of_kamei_and_others() {
    use Status::{Added, Modified};
    let mut history = History::default();
    let first = take(
        &mut history,
        "ann@x",
        0,
        vec![
            file("a/x", Added, 10, 0),
            file("a/b/y", Added, 30, 0),
            file("top", Added, 0, 0),
        ],
    );
    assert_eq!((first.subsystems, first.directories, first.files), (2, 3, 3));
    assert_eq!((first.lines_added, first.lines_deleted, first.lines_before), (40, 0, 0));
    near(first.entropy, -(0.25 * 0.25_f64.log2() + 0.75 * 0.75_f64.log2()));
    assert_eq!(
        (first.developers, first.author_changes, first.author_subsystem_changes),
        (0, 0, 0)
    );
    near(first.age_days + first.author_recent_changes, 0.0);
    assert_eq!(first.prior_changes, 0);

    take(&mut history, "bob@x", 2, vec![file("a/x", Modified, 5, 1)]);
    take(&mut history, "Ann@X ", 4, vec![file("top", Modified, 1, 0)]);
    let last = take(
        &mut history,
        "ann@x",
        10,
        vec![
            file("a/x", Modified, 1, 1),
            file("a/b/y", Modified, 1, 1),
            file("a/new", Added, 2, 0),
        ],
    );
    assert_eq!((last.subsystems, last.directories, last.files), (1, 2, 3));
    // 10 + 5 − 1 and 30.
    assert_eq!(last.lines_before, 44);
    assert_eq!(last.developers, 2);
    // The first commit changed both, and is counted once.
    assert_eq!(last.prior_changes, 2);
    // 8 and 10 days; the file that is made has no age.
    near(last.age_days, 9.0);
    // An address is the same in capitals; the change of `top` was in another subsystem.
    assert_eq!((last.author_changes, last.author_subsystem_changes), (2, 1));
    near(last.author_recent_changes, 2.0);
    near(last.entropy, 3_f64.log2());

    // Two changes in 2026 and none in 2027: seen from 2028, three of them are two years old.
    let later = take(&mut history, "ann@x", 730, vec![]);
    near(later.author_recent_changes, 3.0 / 3.0);
    assert_eq!((later.files, later.subsystems, later.author_changes), (0, 0, 3));
}

/// A commit to both of them is one change in them.
#[test]
fn an_authors_changes_in_several_subsystems_are_different_commits() {
    let mut history = History::default();
    let mut touch = |paths: &[&str]| {
        let files = paths.iter().map(|path| file(path, Status::Modified, 1, 0)).collect();
        take(&mut history, "ann", 0, files).author_subsystem_changes
    };
    touch(&["a/x", "b/x"]);
    touch(&["a/x", "b/y"]);
    touch(&["a/z"]);
    touch(&["c/x"]);
    touch(&["c/x"]);
    assert_eq!(touch(&["a/x", "b/x"]), 3);
    assert_eq!((touch(&["b/x"]), touch(&["c/x", "d/x"])), (3, 2));
}

#[test]
fn a_file_keeps_its_past_under_another_name() {
    let mut history = History::default();
    take(
        &mut history,
        "ann",
        0,
        vec![file("a", Status::Added, 10, 0), file("b", Status::Added, 20, 0)],
    );
    take(&mut history, "bob", 1, vec![file("a", Status::Modified, 1, 0)]);
    // They change their names with each other.
    let swapped = take(
        &mut history,
        "cid",
        2,
        vec![file("b", from("a"), 0, 0), file("a", from("b"), 5, 0)],
    );
    assert_eq!((swapped.lines_before, swapped.developers), (31, 2));
    assert_eq!(swapped.prior_changes, 2);
    let b = take(&mut history, "ann", 3, vec![file("b", Status::Modified, 0, 1)]);
    assert_eq!((b.lines_before, b.developers), (11, 3));
    let a = take(&mut history, "ann", 3, vec![file("a", Status::Modified, 0, 1)]);
    assert_eq!((a.lines_before, a.developers), (25, 2));
}

/// Commits come by date, whatever branch they are of.
#[test]
fn a_file_renamed_in_one_branch_keeps_its_past_in_the_others() {
    use Status::{Added, Modified};
    let mut history = History::default();
    take(&mut history, "ann", 0, vec![file("old", Added, 10, 0)]);
    take(&mut history, "bob", 1, vec![file("old", Modified, 5, 0)]);
    take(&mut history, "cid", 2, vec![file("new", from("old"), 0, 0)]);
    // Another branch has it under its old name, and renames it as well.
    let elsewhere = take(&mut history, "dan", 3, vec![file("old", Modified, 1, 1)]);
    assert_eq!((elsewhere.developers, elsewhere.lines_before), (2, 15));
    let again = take(&mut history, "eve", 4, vec![file("new", from("old"), 0, 0)]);
    assert_eq!((again.developers, again.prior_changes, again.lines_before), (3, 3, 15));
    let merged = take(&mut history, "ann", 5, vec![file("new", Modified, 1, 0)]);
    assert_eq!(
        (merged.developers, merged.prior_changes, merged.lines_before),
        (5, 5, 15)
    );
    // What is made under the old name later is another file; so is what was forgotten.
    let made = take(&mut history, "ann", 6, vec![file("old", Added, 3, 0)]);
    assert_eq!((made.developers, made.prior_changes), (0, 0));
    let changed = take(&mut history, "bob", 7, vec![file("old", Modified, 1, 0)]);
    assert_eq!((changed.developers, changed.lines_before), (1, 3));
    let unknown = take(&mut history, "bob", 8, vec![file("new", from("nowhere"), 1, 0)]);
    assert_eq!((unknown.developers, unknown.prior_changes), (0, 0));
    assert_eq!(
        take(&mut history, "bob", 9, vec![file("new", Modified, 1, 0)]).developers,
        5
    );
}

#[test]
fn a_deleted_file_that_comes_back_has_its_past_and_no_lines() {
    let mut history = History::default();
    take(&mut history, "ann", 0, vec![file("a", Status::Added, 10, 0)]);
    let gone = take(&mut history, "bob", 1, vec![file("a", Status::Deleted, 0, 12)]);
    assert_eq!(gone.lines_before, 12, "what git deletes was there");
    let back = take(&mut history, "bob", 2, vec![file("a", Status::Added, 3, 0)]);
    assert_eq!((back.lines_before, back.developers), (0, 2));
    assert_eq!(back.prior_changes, 2);
    assert_eq!(
        take(&mut history, "bob", 3, vec![file("a", Status::Modified, 0, 0)]).lines_before,
        3
    );
}

/// Files that come and go leave a bounded rest.
#[test]
fn what_is_deleted_is_forgotten_in_the_end() {
    let mut history = History::default();
    let first = || vec![file("first", Status::Added, 1, 0)];
    take(&mut history, "ann", 0, first());
    take(&mut history, "ann", 0, vec![file("first", Status::Deleted, 0, 1)]);
    for i in 0..65_536 {
        let name = format!("f{i}");
        take(&mut history, "ann", 0, vec![file(&name, Status::Added, 1, 0)]);
        take(&mut history, "ann", 0, vec![file(&name, Status::Deleted, 0, 1)]);
    }
    assert_eq!(take(&mut history, "ann", 0, first()).developers, 0);
    assert_eq!(
        take(&mut history, "ann", 0, vec![file("f9", Status::Added, 1, 0)]).developers,
        1
    );
}
