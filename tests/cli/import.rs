//! `holdpoint import git` on repositories made for it, by the git that is installed.

use std::{
    ffi::OsStr,
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Output, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .arg("-C")
        .arg(folder)
        .args([
            "-c",
            "user.name=Ann Onymous",
            "-c",
            "user.email=ann@example.com",
            "-c",
            "commit.gpgsign=false",
        ])
        .args(["-c", "protocol.file.allow=always"])
        .args(arguments)
        .output()
        .expect("these tests need git");
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn repository(arguments: &[&str]) -> TempDir {
    let folder = TempDir::new().expect("a folder");
    git(folder.path(), &[&["init", "-q", "-b", "main"], arguments].concat());
    folder
}

fn write(folder: &Path, path: impl AsRef<Path>, text: &[u8]) {
    let path = folder.join(path);
    fs::create_dir_all(path.parent().expect("a folder")).expect("made");
    fs::write(path, text).expect("written");
}

/// Commits all there is, and gives the sha.
fn commit(folder: &Path, message: &str) -> String {
    git(folder, &["add", "-A"]);
    git(
        folder,
        &["commit", "-q", "--allow-empty", "--allow-empty-message", "-m", message],
    );
    git(folder, &["rev-parse", "HEAD"])
}

fn import(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_holdpoint"));
    command
        .args(["import", "git"])
        .args(arguments)
        .output()
        .expect("import runs")
}

fn lines(output: &Output) -> Vec<Value> {
    assert!(output.status.success(), "{}", stderr(output));
    let text = String::from_utf8(output.stdout.clone()).expect("UTF-8");
    text.lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn files_of_every_kind_are_measured() {
    let folder = repository(&[]);
    let at = folder.path();
    write(at, "src/a.rs", b"1\n2\n3\n4\n5\n6\n7\n8\n");
    write(at, "odd\nname.txt", b"x\n");
    write(at, OsStr::new("caf\u{e9}"), b"x\n");
    write(at, "image", b"\0\x01\x02");
    let first = commit(at, "all");
    git(at, &["mv", "src/a.rs", "src/b.rs"]);
    write(at, "image", b"\0\x01\x03");
    fs::remove_file(at.join("odd\nname.txt")).expect("removed");
    let second = commit(at, "fix: move\n\nCo-authored-by: Cursor <cursoragent@cursor.com>");
    let inner = repository(&[]);
    write(inner.path(), "x", b"x\n");
    commit(inner.path(), "x");
    git(
        at,
        &[
            "submodule",
            "-q",
            "add",
            &inner.path().to_string_lossy(),
            "vendor/inner",
        ],
    );
    let third = commit(at, "");

    let output = import([at]);
    let events = lines(&output);
    let shas: Vec<&str> = events.iter().filter_map(|event| event["sha"].as_str()).collect();
    assert_eq!(shas, [&first, &second, &third]);
    let changes: Vec<&Value> = events.iter().map(|event| &event["change"]).collect();
    assert_eq!(changes[0]["lines_added"], 10);
    assert_eq!(changes[0]["files"], 4);
    assert_eq!(
        changes[0]["paths"],
        serde_json::json!(["café", "image", "odd\nname.txt", "src/a.rs"])
    );
    // The file that moved, the one that went, the image.
    assert_eq!(
        (&changes[1]["files"], &changes[1]["lines_before"]),
        (&3.into(), &9.into())
    );
    assert_eq!(
        (&changes[1]["lines_added"], &changes[1]["lines_deleted"]),
        (&0.into(), &1.into())
    );
    assert_eq!(events[1]["history"]["prior_changes"], 1);
    assert_eq!(changes[1]["fix"], true);
    assert_eq!(
        events[1]["ai"],
        serde_json::json!({"assistance": "assisted", "tools": ["cursor"], "confidence": "high"})
    );
    // `.gitmodules` and the pointer.
    assert_eq!(changes[2]["files"], 2);
    assert!(
        !String::from_utf8_lossy(&output.stdout).contains("example.com"),
        "no addresses"
    );
    assert_eq!(output.stdout, import([at]).stdout, "the same history, the same bytes");
    let since = import([OsStr::new("--since"), OsStr::new("2999-01-01"), at.as_os_str()]);
    assert!(lines(&since).is_empty());
}

#[test]
fn merges_are_left_out_and_what_they_brought_is_told_in_order() {
    let folder = repository(&[]);
    let at = folder.path();
    write(at, "a", b"1\n");
    commit(at, "one");
    git(at, &["checkout", "-q", "-b", "side"]);
    write(at, "b", b"1\n");
    let side = commit(at, "side");
    git(at, &["checkout", "-q", "main"]);
    write(at, "a", b"1\n2\n");
    let main = commit(at, "two");
    git(at, &["merge", "-q", "--no-edit", "side"]);
    git(at, &["revert", "--no-edit", &main]);
    let output = import([OsStr::new("--service"), OsStr::new("shop"), at.as_os_str()]);
    let events = lines(&output);
    let kinds: Vec<&str> = events.iter().filter_map(|event| event["kind"].as_str()).collect();
    assert_eq!(kinds, ["commit", "commit", "commit", "commit", "incident", "incident"]);
    assert!(events.iter().any(|event| event["sha"] == *side));
    assert_eq!(events[4]["caused_by"]["sha"], *main);
    assert!(events.iter().all(|event| event["service"] == "shop"));
    assert!(stderr(&output).contains("1 merge left out"), "{}", stderr(&output));
}

/// As forges do it: a branch of two commits comes by a merge, which is taken back.
#[test]
fn a_merge_taken_back_accuses_what_it_brought() {
    let folder = repository(&[]);
    let at = folder.path();
    write(at, "a", b"1\n");
    commit(at, "one");
    git(at, &["checkout", "-q", "-b", "side"]);
    let brought = ["b", "c"].map(|name| {
        write(at, name, b"1\n");
        commit(at, name)
    });
    git(at, &["checkout", "-q", "main"]);
    write(at, "a", b"1\n2\n");
    commit(at, "two");
    git(
        at,
        &[
            "merge",
            "-q",
            "--no-ff",
            "-m",
            "Merge pull request #1 from shop/side",
            "side",
        ],
    );
    git(at, &["revert", "--no-edit", "-m", "1", "HEAD"]);
    let output = import([at]);
    let events = lines(&output);
    let mut accused: Vec<&str> = events
        .iter()
        .filter_map(|event| event["caused_by"]["sha"].as_str())
        .collect();
    accused.sort_unstable();
    let mut brought = brought.each_ref().map(String::as_str);
    brought.sort_unstable();
    assert_eq!(accused, brought);
    assert!(
        stderr(&output).contains("2 reverts; 1 merge left out"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn other_kinds_of_repositories_are_read() {
    let folder = repository(&["--object-format=sha256"]);
    write(folder.path(), "a", b"1\n");
    let first = commit(folder.path(), "one");
    let revert_of = commit(folder.path(), "two");
    commit(
        folder.path(),
        &format!("x\n\nThis reverts commit {}.", &revert_of[..20]),
    );
    let events = lines(&import([folder.path()]));
    assert_eq!(first.len(), 64);
    assert_eq!(events[0]["sha"], *first);
    assert_eq!(events[3]["caused_by"]["sha"], *revert_of);

    let bare = TempDir::new().expect("a folder");
    let bare = bare.path().join("shop.git");
    git(folder.path(), &["clone", "-q", "--bare", ".", &bare.to_string_lossy()]);
    assert_eq!(lines(&import([&bare]))[0]["service"], "shop");
}

#[test]
fn a_shallow_clone_is_said_to_be_one_and_its_first_commit_is_no_change() {
    let folder = repository(&[]);
    for i in 0..4 {
        write(folder.path(), "a", format!("{i}\n").as_bytes());
        commit(folder.path(), &i.to_string());
    }
    let clone = TempDir::new().expect("a folder");
    let (from, to) = (format!("file://{}", folder.path().display()), clone.path().join("c"));
    git(
        clone.path(),
        &["clone", "-q", "--depth", "2", &from, &to.to_string_lossy()],
    );
    let output = import([&to]);
    assert_eq!(lines(&output).len(), 1);
    assert!(stderr(&output).contains("shallow clone"), "{}", stderr(&output));
}

/// The repository's settings name a program to fetch with, which the user's own git would run.
#[test]
fn in_a_partial_clone_nothing_is_fetched_and_no_program_of_it_runs() {
    let folder = repository(&[]);
    for i in 0..3 {
        write(folder.path(), "a", format!("{i}\n").as_bytes());
        commit(folder.path(), &i.to_string());
    }
    git(folder.path(), &["config", "uploadpack.allowFilter", "true"]);
    let beside = TempDir::new().expect("a folder");
    let (from, to) = (format!("file://{}", folder.path().display()), beside.path().join("c"));
    let filter = ["clone", "-q", "--no-checkout", "--filter=blob:none", &from];
    git(beside.path(), &[&filter[..], &[&to.to_string_lossy()]].concat());
    let ran = beside.path().join("ran");
    let program = format!("touch '{}'; git-upload-pack", ran.display());
    git(&to, &["config", "remote.origin.uploadpack", &program]);
    git(&to, &["config", "protocol.file.allow", "always"]);
    let packs = || {
        let packs = fs::read_dir(to.join(".git/objects/pack")).expect("packs");
        packs.count()
    };
    let before = packs();

    let output = import([&to]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let said = stderr(&output);
    assert!(
        said.contains("partial clone") && said.contains("git fetch --refetch --no-filter"),
        "{said}"
    );
    assert!(!ran.exists() && packs() == before);

    git(&to, &["config", "--unset", "remote.origin.uploadpack"]);
    git(&to, &["fetch", "-q", "--refetch", "--no-filter"]);
    assert_eq!(lines(&import([&to])).len(), 3);
}

/// All that could name one, in a repository's own settings, attributes and hooks.
#[test]
fn no_program_that_a_repository_names_is_run() {
    let folder = repository(&[]);
    let at = folder.path();
    write(at, ".gitattributes", b"* diff=own filter=own\n");
    write(at, "a", b"1\n");
    commit(at, "1");
    write(at, "a", b"2\n");
    commit(at, "2");
    let ran = at.join("ran");
    let program = format!("touch '{}'; cat", ran.display());
    for key in [
        "core.pager",
        "pager.rev-list",
        "pager.diff-tree",
        "core.fsmonitor",
        "core.sshCommand",
        "core.editor",
        "diff.external",
        "diff.own.command",
        "diff.own.textconv",
        "filter.own.clean",
        "filter.own.smudge",
        "filter.own.process",
        "gpg.program",
        "alias.rev-list",
        "alias.diff-tree",
    ] {
        git(at, &["config", key, &program]);
    }
    git(at, &["config", "log.showSignature", "true"]);
    for hook in ["post-index-change", "reference-transaction"] {
        let hook = at.join(".git/hooks").join(hook);
        fs::create_dir_all(hook.parent().expect("a folder")).expect("made");
        fs::write(&hook, format!("#!/bin/sh\n{program}\n")).expect("written");
        let rights = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(&hook, rights).expect("set");
    }
    // The file is other than what git remembers of it, so that it would look again.
    write(at, "a", b"3\n");
    assert_eq!(lines(&import([at])).len(), 2);
    assert!(!ran.exists());
    // They would run where git is asked otherwise.
    drop(Command::new("git").arg("-C").arg(at).args(["diff", "HEAD~1"]).output());
    assert!(ran.exists());
}

/// Whose address is whose is what the repository says, wherever the import runs.
#[test]
fn a_mailmap_of_the_users_own_changes_nobody() {
    let folder = repository(&[]);
    commit(folder.path(), "all");
    let author = || lines(&import([folder.path()]))[0]["author"]["id"].clone();
    let before = author();
    let map = folder.path().join("map");
    fs::write(&map, "<other@example.com> <ann@example.com>\n").expect("written");
    git(folder.path(), &["config", "mailmap.file", &map.to_string_lossy()]);
    assert_eq!(author(), before);
    write(folder.path(), ".mailmap", b"<other@example.com> <ann@example.com>\n");
    assert_ne!(author(), before);
}

#[test]
fn what_cannot_be_imported_is_named_with_the_reason() {
    let folder = TempDir::new().expect("a folder");
    let no_repository = import([folder.path()]);
    assert_eq!(no_repository.status.code(), Some(1));
    assert!(
        stderr(&no_repository).contains("is no git repository"),
        "{}",
        stderr(&no_repository)
    );
    assert!(stderr(&import(["/no/such/folder"])).contains("/no/such/folder"));
    let empty = repository(&[]);
    let output = import([empty.path()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("no history"), "{}", stderr(&output));
    let without = Command::new(env!("CARGO_BIN_EXE_holdpoint"))
        .args(["import", "git", "."])
        .env("PATH", folder.path())
        .output()
        .expect("runs");
    assert_eq!(without.status.code(), Some(1));
    assert!(
        stderr(&without).contains("no `git` on the PATH"),
        "{}",
        stderr(&without)
    );
}

/// A blob that is gone is no commit without files.
#[test]
fn a_damaged_repository_is_an_error_in_the_words_of_git() {
    let folder = repository(&[]);
    write(folder.path(), "a", b"1\n");
    commit(folder.path(), "one");
    let blob = git(folder.path(), &["rev-parse", "HEAD:a"]);
    fs::remove_file(folder.path().join(".git/objects").join(&blob[..2]).join(&blob[2..])).expect("removed");
    // Or git would take the file's word for it.
    fs::remove_file(folder.path().join("a")).expect("removed");
    let output = import([folder.path()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains(&blob), "{}", stderr(&output));
}

#[test]
fn what_is_imported_can_be_replayed_and_a_reader_may_go_away() {
    let folder = repository(&[]);
    for i in 0..80 {
        write(folder.path(), format!("d{}/f{i}", i % 3), "line\n".repeat(i).as_bytes());
        commit(folder.path(), &format!("change {i}"));
    }
    let output = import([OsStr::new("--service"), OsStr::new("shop"), folder.path().as_os_str()]);
    let mut replay = Command::new(env!("CARGO_BIN_EXE_holdpoint"))
        .args(["replay", "--json", "--events", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("replay runs");
    let mut stdin = replay.stdin.take().expect("a pipe");
    stdin.write_all(&output.stdout).expect("written");
    drop(stdin);
    let replayed = replay.wait_with_output().expect("replayed");
    let summary: Value = serde_json::from_slice(&replayed.stdout).expect("JSON");
    assert_eq!(
        (&summary["events"]["applied"], &summary["events"]["rejected"]),
        (&80.into(), &0.into())
    );

    let mut import = Command::new(env!("CARGO_BIN_EXE_holdpoint"))
        .args(["import", "git"])
        .arg(folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("import runs");
    drop(import.stdout.take());
    assert!(import.wait().expect("ended").success());
}
