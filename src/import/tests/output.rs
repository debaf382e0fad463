//! What comes out of bytes as git writes them.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::Value;

use super::super::{Commit, Counts, FileChange, Import, Log, LogError, Options, Person, Status};
use crate::{
    ingest::{self, Origin},
    model::{Body, MEASURE_NAMES, Timestamp},
};

const NOW: i64 = 1_800_000_000_000;

fn options() -> Options {
    Options {
        service: "checkout".parse().expect("a name"),
        repository: "shop".into(),
        since: None,
        now: Timestamp::from_millis(NOW),
        boundary: BTreeSet::new(),
    }
}

fn run(options: Options, commits: impl IntoIterator<Item = Commit>) -> (Vec<Value>, Counts, Vec<u8>) {
    let mut import = Import::new(options);
    let mut out = Vec::new();
    for commit in commits {
        import.take(commit, &mut out);
    }
    let counts = import.finish(&mut out);
    let lines = out.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let values = lines.map(|line| serde_json::from_slice(line).expect("JSON")).collect();
    (values, counts, out)
}

fn commit(number: u64, committed_at: i64, message: &str) -> Commit {
    Commit {
        sha: format!("{number:040x}").into(),
        committed_at,
        parents: Vec::new(),
        author: Person {
            name: "Ann Onymous".to_owned(),
            email: "ann@example.com".to_owned(),
        },
        author_key: "ann@example.com".to_owned(),
        committer: Person::default(),
        message: message.to_owned(),
        files: vec![FileChange {
            path: b"src/a.rs".as_slice().into(),
            status: Status::Modified,
            added: 1,
            deleted: 0,
        }],
    }
}

/// The bytes of a commit: fields, then entries, each with a zero byte behind it.
fn bytes(sha: &str, message: &str, entries: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let first = format!("C{sha}");
    for field in [
        &first,
        "1700000000",
        "0000000000000000000000000000000000000001",
        "Ann",
        "Ann@X",
        "ann@x",
        "Bob",
        "bob@x",
        message,
        "",
    ] {
        bytes.extend_from_slice(field.as_bytes());
        bytes.push(0);
    }
    for (place, entry) in entries.iter().enumerate() {
        if place == 0 {
            bytes.push(b'\n');
        }
        bytes.extend_from_slice(entry);
        bytes.push(0);
    }
    bytes
}

fn read(bytes: &[u8]) -> Result<Vec<Commit>, LogError> {
    let mut log = Log::new(bytes);
    let mut commits = Vec::new();
    while let Some(commit) = log.next_commit()? {
        commits.push(commit);
    }
    Ok(commits)
}

#[test]
fn every_name_a_file_can_have_is_read_as_one() {
    let odd: [&[u8]; 5] = [b"a\nb", b":100644 x", b"C0123", b"1\t2\tx", b"\xff\xfe"];
    let sha = "a".repeat(64);
    let mut entries: Vec<&[u8]> = Vec::new();
    for name in odd {
        entries.extend([b":100644 100644 1 2 M".as_slice(), name]);
    }
    entries.extend([b":100644 100644 1 2 R080".as_slice(), b"old\nname", b":160000"]);
    let counts: Vec<Vec<u8>> = odd.iter().map(|name| [b"3\t1\t".as_slice(), name].concat()).collect();
    entries.extend(counts.iter().map(Vec::as_slice));
    entries.extend([b"-\t-\t".as_slice(), b"old\nname", b":160000"]);
    let two = [bytes(&sha, "one\n\ntwo\n", &entries), bytes(&sha, "", &[])].concat();
    let commits = read(&two).expect("as git writes it");
    let [first, second] = commits.as_slice() else {
        panic!("two commits")
    };
    assert_eq!(
        (first.message.as_str(), first.committed_at),
        ("one\n\ntwo\n", 1_700_000_000)
    );
    assert_eq!((&*first.author.email, &*first.author_key), ("Ann@X", "ann@x"));
    let paths: Vec<&[u8]> = first.files.iter().map(|file| &*file.path).collect();
    assert_eq!(paths, [&odd[..], &[b":160000"]].concat());
    assert_eq!((first.files[0].added, first.files[0].deleted), (3, 1));
    assert_eq!(
        first.files[5].status,
        Status::RenamedFrom(b"old\nname".as_slice().into())
    );
    assert!(second.files.is_empty());

    let (lines, ..) = run(options(), commits);
    let paths = lines[0]["change"]["paths"].as_array().expect("paths");
    assert_eq!(
        (paths[0].as_str(), paths[4].as_str()),
        (Some("a\nb"), Some("\u{fffd}\u{fffd}"))
    );
}

#[test]
fn output_cut_short_or_of_another_form_is_an_error() {
    let whole = bytes(&"a".repeat(40), "x", &[b":1 1 1 1 M", b"a", b"1\t1\ta"]);
    assert_eq!(read(&whole).expect("whole").len(), 1);
    let before_files = bytes(&"a".repeat(40), "x", &[]).len();
    for end in 1..whole.len() {
        // A commit whose files are missing looks like one that has none: there, only git's exit status tells.
        if !(before_files - 1..=before_files + 1).contains(&end) {
            assert!(read(&whole[..end]).is_err(), "cut at {end}");
        }
    }
    for wrong in [b"fatal: bad object\0".as_slice(), b"Cxyz\0", b"C\0"] {
        assert!(matches!(read(wrong), Err(LogError::Unexpected { .. })));
    }
}

#[test]
fn a_commit_has_all_fourteen_measures_and_names_nobody() {
    let (lines, counts, bytes) = run(
        options(),
        [commit(
            1,
            1_700_000_000,
            "fix: x\n\nCo-authored-by: Zoë <zoe@example.com>",
        )],
    );
    assert_eq!((counts.commits, counts.written), (1, 1));
    let text = String::from_utf8(bytes.clone()).expect("UTF-8").to_lowercase();
    for secret in ["ann", "zo", "example"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    assert_eq!(lines[0]["author"]["id"].as_str().map(str::len), Some(16));
    assert_eq!(lines[0]["ai"]["assistance"], "unknown", "silence is not a person alone");
    let event = decode(&bytes[..bytes.len() - 1]);
    let Body::Commit(commit) = event.body else {
        panic!("a commit")
    };
    for (measure, name) in commit.measures.iter().zip(MEASURE_NAMES) {
        assert!(measure.is_some(), "{name}");
    }
    assert_eq!(commit.measures[7], Some(1.0), "it says that it fixes");
}

fn decode(line: &[u8]) -> crate::model::Event<'_> {
    let origin = Origin {
        topic: "file",
        kind: None,
    };
    ingest::decode(Some(line), &origin, Timestamp::from_millis(NOW)).expect("an event that ingest takes")
}

#[test]
fn a_revert_is_an_incident_put_down_to_the_commit_and_over_at_once() {
    let culprit = format!("{:040x}", 1);
    let revert = format!("Revert \"x\"\n\nThis reverts commit {culprit}.");
    let (lines, counts, bytes) = run(
        options(),
        [commit(1, 1_700_000_000, "x"), commit(2, 1_700_000_100, &revert)],
    );
    let kinds: Vec<&str> = lines.iter().filter_map(|line| line["kind"].as_str()).collect();
    assert_eq!(kinds, ["commit", "commit", "incident", "incident"]);
    assert_eq!((counts.written, counts.reverts, counts.unknown_reverts), (2, 1, 0));
    let [detected, resolved] = [&lines[2], &lines[3]];
    assert_eq!(
        (&detected["status"], &resolved["status"]),
        (&"detected".into(), &"resolved".into())
    );
    assert_eq!(detected["incident_id"], resolved["incident_id"]);
    assert_eq!(detected["caused_by"]["sha"], *culprit);
    assert_eq!(detected["time"], lines[1]["time"]);
    for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        decode(line);
    }
}

#[test]
fn since_leaves_out_lines_and_changes_none() {
    let commits = || (0..40_u32).map(|i| commit(u64::from(i), 1_700_000_000 + i64::from(i) * 3_600, "fix"));
    let (all, ..) = run(options(), commits());
    let since = Some(Timestamp::from_millis(1_700_000_000_000 + 25 * 3_600_000));
    let (late, counts, _) = run(Options { since, ..options() }, commits());
    assert_eq!(late, all[25..]);
    assert_eq!((counts.commits, counts.written), (40, 15));
}

#[test]
fn where_a_shallow_clone_begins_is_not_a_change() {
    let boundary = BTreeSet::from([format!("{:040x}", 0).into()]);
    let commits = [commit(0, 1_700_000_000, "all"), commit(1, 1_700_000_001, "one")];
    let (lines, counts, _) = run(Options { boundary, ..options() }, commits);
    assert_eq!((lines.len(), counts.commits, counts.written), (1, 2, 1));
    assert_eq!(
        lines[0]["history"]["prior_changes"], 1,
        "but it is the past of what follows"
    );
}

fn times(dates: &[i64]) -> Vec<i64> {
    let commits = (0..).zip(dates).map(|(number, date)| commit(number, *date, "x"));
    let (lines, ..) = run(options(), commits);
    let time = |line: &Value| {
        line["time"]
            .as_str()
            .expect("a time")
            .parse::<Timestamp>()
            .expect("a time")
    };
    lines.iter().map(|line| time(line).millis() / 1_000).collect()
}

#[test]
fn a_wrong_clock_moves_no_commit_but_its_own() {
    let right: Vec<i64> = (0..40).map(|i| 1_700_000_000 + i * 3_600).collect();
    assert_eq!(times(&right), right);
    for wrong in [0, -5, i64::MAX, 1_799_000_000, i64::MIN] {
        for place in 0..39 {
            let mut dates = right.clone();
            dates[place] = wrong;
            let told = times(&dates);
            for (other, (told, right)) in told.iter().zip(&right).enumerate() {
                // A median over one wrong date moves by one place; the first takes that of one of the two behind it.
                let places = if other == 0 && place == 0 { 2 } else { 1 };
                let is_near = (told - right).abs() <= places * 3_600;
                assert!(is_near, "{wrong} at {place} moves {other} from {right} to {told}");
            }
        }
    }
}

fn any_file() -> impl Strategy<Value = FileChange> {
    let path = prop::collection::vec(1_u8.., 1..2_000);
    let status = prop_oneof![
        Just(Status::Added),
        Just(Status::Deleted),
        Just(Status::Modified),
        prop::collection::vec(1_u8.., 1..3).prop_map(|old| Status::RenamedFrom(old.into())),
    ];
    (path, status, 0_u64..1 << 36, 0_u64..1 << 36).prop_map(|(path, status, added, deleted)| FileChange {
        path: path.into(),
        status,
        added,
        deleted,
    })
}

fn any_commit() -> impl Strategy<Value = Commit> {
    let text = "(?s).{0,60}(\n\n(Revert|Backed out|Assisted-by: |Co-authored-by: ).{0,40})?";
    let files = prop::collection::vec(any_file(), 0..70);
    (any::<i64>(), text, "(?s).{0,20}", "(?s).{0,20}", files).prop_map(|(committed_at, message, name, email, files)| {
        Commit {
            committed_at,
            parents: Vec::new(),
            author: Person {
                name,
                email: email.clone(),
            },
            author_key: email,
            files,
            ..commit(0, 0, &message)
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the history, ingest takes every line, time never runs backwards, and each id is there once.
    #[test]
    fn every_line_is_an_event_that_ingest_takes(mut commits in prop::collection::vec(any_commit(), 0..24)) {
        for (number, commit) in commits.iter_mut().enumerate() {
            commit.sha = format!("{number:040x}").into();
        }
        let n = commits.len();
        let (_, counts, bytes) = run(options(), commits);
        prop_assert_eq!(counts.written, u64::try_from(n).expect("few"));
        let mut latest = Timestamp::MIN;
        let mut ids = BTreeSet::new();
        for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let event = decode(line);
            prop_assert!(event.time >= latest);
            latest = event.time;
            prop_assert!(ids.insert(event.id.into_owned()));
            if let Body::Commit(commit) = event.body {
                prop_assert!(commit.measures.iter().all(Option::is_some));
            }
        }
    }

    /// Bytes of any kind are read to an end, with commits or an error, and never panic.
    #[test]
    fn any_bytes_are_read_to_an_end(bytes in prop::collection::vec(prop_oneof![Just(0_u8), Just(b':'), Just(b'C'), any::<u8>()], 0..400)) {
        drop(read(&bytes));
    }
}
