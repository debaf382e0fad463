//! `replay` from outside: archives, standard input, refused lines, comparison and page.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

use super::history;

fn holdpoint(arguments: &[&str], stdin: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_holdpoint"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut pipe = child.stdin.take().expect("piped");
    let stdin = stdin.to_vec();
    // It may end before it has read all, so that the pipe breaks.
    let feed = std::thread::spawn(move || drop(pipe.write_all(&stdin)));
    let output = child.wait_with_output().expect("it ends");
    feed.join().expect("fed");
    output
}

fn summary(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 3).expect("memory")
}

/// Each in two parts, as a shipper that appends writes them.
fn archives(bytes: &[u8]) -> [(&'static str, Vec<u8>); 2] {
    let (first, second) = bytes.split_at(bytes.len() / 2);
    [
        ("events.ndjson.gz", [gzip(first), gzip(second)].concat()),
        ("events.ndjson.zst", [zstd(first), zstd(second)].concat()),
    ]
}

#[test]
fn archives_give_what_plain_lines_give_from_a_file_and_from_standard_input() {
    let folder = TempDir::new().expect("a folder");
    let [checkout, _] = history(&folder);
    let plain = fs::read(&checkout).expect("read");
    let expected = summary(&holdpoint(&["replay", "--json", "--events", "-"], &plain));
    assert_eq!(expected["events"]["applied"], 481);
    for (name, packed) in archives(&plain) {
        assert!(packed.len() < plain.len() / 4);
        let path = folder.path().join(name);
        fs::write(&path, &packed).expect("written");
        let found = summary(&holdpoint(&["replay", "--json", "--events", text(&path)], b""));
        assert_eq!(found, expected, "{name}");
        let found = summary(&holdpoint(&["replay", "--json", "--events", "-"], &packed));
        assert_eq!(found, expected, "{name} on standard input");
    }
}

#[test]
fn an_archive_that_is_cut_short_is_an_error_that_names_it() {
    let folder = TempDir::new().expect("a folder");
    let [checkout, _] = history(&folder);
    let plain = fs::read(&checkout).expect("read");
    for (name, packed) in archives(&plain) {
        let path = folder.path().join(name);
        fs::write(&path, &packed[..packed.len() - 9]).expect("written");
        let output = holdpoint(&["replay", "--events", text(&path)], b"");
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{errors}");
        assert!(output.stdout.is_empty(), "half a history has no summary");
        assert!(errors.contains(name) && errors.contains("cut short"), "{errors}");
        fs::write(&path, &plain).expect("written");
        let output = holdpoint(&["replay", "--events", text(&path)], b"");
        assert_eq!(output.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&output.stderr).contains("does not begin so"));
    }
}

#[test]
fn the_first_refused_lines_are_named_and_all_are_counted() {
    let mut lines = Vec::new();
    for i in 0..9 {
        writeln!(
            lines,
            r#"{{"kind":"error","id":"{i}","time":"2026-03-02T08:00:0{i}Z"}}"#
        )
        .expect("memory");
    }
    let output = holdpoint(&["replay", "--json", "--events", "-"], &lines);
    assert_eq!(summary(&output)["events"]["rejected_by_reason"]["missing_field"], 9);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    let named: Vec<&str> = errors.lines().collect();
    assert_eq!(named.len(), 6, "{errors}");
    assert_eq!(named[0], "holdpoint: -:1: `service` is missing");
    assert_eq!(named[4], "holdpoint: -:5: `service` is missing");
    assert!(named[5].starts_with("holdpoint: 4 further lines"), "{errors}");
}

#[test]
fn an_input_without_events_is_warned_of_and_what_it_seems_to_be_is_said() {
    let cases: [(&[u8], &str, &str); 4] = [
        (b"", "the input has no lines", ""),
        (b"\n\n", "the input has no lines", ""),
        (
            b"[{\"kind\":\"error\"}]\n",
            "none of 1 line is one",
            "-: it begins as a JSON array",
        ),
        (
            b"id,time\n1,2\n",
            "none of 2 lines is one",
            "CSV and the like must be converted",
        ),
    ];
    for (input, warning, hint) in cases {
        let output = holdpoint(&["replay", "--events", "-"], input);
        assert_eq!(output.status.code(), Some(0));
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            said.contains("warning      no events at all: ") && said.contains(warning),
            "{said}"
        );
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            errors.contains(hint) && errors.is_empty() == hint.is_empty(),
            "{errors}"
        );
    }
}

fn policy(folder: &TempDir, name: &str, text: &str) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, text).expect("written");
    path
}

#[test]
fn two_policies_are_compared_and_a_page_is_written_the_same_each_time() {
    let folder = TempDir::new().expect("a folder");
    let [checkout, search] = history(&folder);
    let a = policy(&folder, "a.toml", "[freeze]\nlease = \"15m\"\n");
    let b = policy(&folder, "b.toml", "mode = \"enforce\"\n[freeze]\nlease = \"4h\"\n");
    let report = folder.path().join("report.html");
    let run = |first: &Path, second: &Path, other: &Path| {
        let mut arguments = vec!["replay", "--json", "--policy", text(&a), "--compare", text(other)];
        arguments.extend(["--report", text(&report), "--events", text(first), text(second)]);
        let summary = summary(&holdpoint(&arguments, b""));
        (summary, fs::read_to_string(&report).expect("a page"))
    };
    let (found, page) = run(&checkout, &search, &b);
    assert_eq!(
        (found.clone(), page.clone()),
        run(&search, &checkout, &b),
        "in any order"
    );
    let first = &found["compared"]["services"]["first"][0];
    assert_eq!(first["service"], "checkout");
    let hours = |side: &str| first[side]["freeze_hours_enforced"].as_f64().expect("hours");
    assert!(hours("b") > hours("a"), "{first}");
    assert!(page.contains("What would change") && page.contains("checkout @ production"));
    assert!(!page.contains("http:") && !page.contains("https:") && !page.contains("<script"));

    let (found, page) = run(&checkout, &search, &a);
    let compared = &found["compared"];
    assert_eq!(
        (&compared["changes"]["differ"], &compared["services"]["differ"]),
        (&0.into(), &0.into())
    );
    assert!(page.contains("<strong>Nothing.</strong>"));
}

#[test]
fn what_would_be_lost_or_counted_twice_is_refused_before_anything_is_written() {
    let folder = TempDir::new().expect("a folder");
    let [checkout, search] = history(&folder);
    let before = fs::read(&search).expect("read");
    let policy = policy(&folder, "a.toml", "");
    let spelled_apart = folder.path().join("sub/../checkout.ndjson");
    fs::create_dir(folder.path().join("sub")).expect("a folder");
    let (symlink, hard_link) = (folder.path().join("symlink"), folder.path().join("hard-link"));
    std::os::unix::fs::symlink(&checkout, &symlink).expect("a link");
    fs::hard_link(&search, &hard_link).expect("a link");
    let cases = [
        vec!["--events", text(&checkout), text(&search), "--report", text(&search)],
        vec![
            "--events",
            text(&checkout),
            "--policy",
            text(&policy),
            "--report",
            text(&policy),
        ],
        vec!["--events", text(&checkout), "--scores", "x.out", "--report", "x.out"],
        vec!["--events", text(&checkout), text(&checkout)],
        vec!["--events", "-", "-"],
        vec!["--events", text(&checkout), text(&spelled_apart)],
        vec!["--events", text(&checkout), text(&symlink)],
        vec!["--events", text(&checkout), text(&search), "--report", text(&symlink)],
        vec!["--events", text(&search), "--report", text(&hard_link)],
        vec!["--events", text(&checkout), "--scores", "x.out", "--report", "./x.out"],
    ];
    for arguments in cases {
        let output = holdpoint(&[&["replay"], &arguments[..]].concat(), b"");
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(errors.contains("is named twice"), "{errors}");
    }
    assert_eq!(fs::read(&search).expect("read"), before);
}

/// Errors that name no environment, and a deploy of `prod` that makes them many.
#[test]
fn events_without_an_environment_are_of_the_one_that_is_named() {
    let event = |minute: i32| {
        let time = format!("2026-03-02T{:02}:{:02}:00Z", minute / 60, minute % 60);
        let count = if minute > 360 { 90 } else { 5 + minute % 3 };
        let errors = format!(
            r#"{{"kind":"error","id":"{minute}","time":"{time}","service":"s","count":{count},"interval_ms":60000}}"#
        );
        let deploy = format!(
            r#"{{"kind":"deploy","id":"d","time":"{time}","service":"s","environment":"prod","deploy_id":"d-1","status":"succeeded"}}"#
        );
        if minute == 360 {
            format!("{errors}\n{deploy}\n")
        } else {
            format!("{errors}\n")
        }
    };
    let events: String = (0..480).map(event).collect();
    let run = |more: &[&str]| {
        let output = holdpoint(
            &[&["replay", "--json", "--events", "-"], more].concat(),
            events.as_bytes(),
        );
        let summary = summary(&output);
        (summary["deploys"]["regressed"].clone(), summary["warnings"].to_string())
    };
    let (regressed, warnings) = run(&[]);
    assert_eq!(regressed, 0);
    assert!(warnings.contains("--default-environment"), "{warnings}");
    let (regressed, warnings) = run(&["--default-environment", "prod"]);
    assert_eq!(regressed, 1);
    assert!(!warnings.contains("--default-environment"), "{warnings}");
    let output = holdpoint(&["replay", "--events", "-", "--default-environment", ""], b"");
    assert_eq!(output.status.code(), Some(2));
}

/// What is in a folder, by name.
fn names(folder: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(folder.path()).expect("a folder");
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
        .collect();
    names.sort();
    names
}

#[test]
fn a_run_that_fails_leaves_earlier_results_as_they_were() {
    let folder = TempDir::new().expect("a folder");
    let [checkout, search] = history(&folder);
    let packed = folder.path().join("cut.gz");
    let whole = gzip(&fs::read(&checkout).expect("read"));
    fs::write(&packed, &whole[..whole.len() - 9]).expect("written");
    let results = ["decisions", "scores", "report"].map(|name| folder.path().join(name));
    for result in &results {
        fs::write(result, "earlier").expect("written");
    }
    let before = names(&folder);
    let run = |events: &Path| {
        let mut arguments = vec!["replay", "--events", text(events), text(&search)];
        for (flag, result) in ["--decisions", "--scores", "--report"].into_iter().zip(&results) {
            arguments.extend([flag, text(result)]);
        }
        holdpoint(&arguments, b"").status.code()
    };
    assert_eq!(run(&packed), Some(1));
    for result in &results {
        assert_eq!(fs::read_to_string(result).expect("read"), "earlier", "{result:?}");
    }
    assert_eq!(run(&checkout), Some(0));
    for result in &results {
        assert_ne!(fs::read_to_string(result).expect("read"), "earlier", "{result:?}");
    }
    assert_eq!(names(&folder), before, "nothing is left beside them");
}

/// It waits for its input, and what it was to write is not whole.
#[test]
fn an_interrupted_run_leaves_nothing_beside_earlier_results() {
    let folder = TempDir::new().expect("a folder");
    let result = folder.path().join("decisions");
    for (signal, status) in [("INT", 130), ("TERM", 143)] {
        fs::write(&result, "earlier").expect("written");
        let mut child = Command::new(env!("CARGO_BIN_EXE_holdpoint"))
            .args(["replay", "--events", "-", "--decisions", text(&result)])
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it runs");
        let mut stdin = child.stdin.take().expect("piped");
        // How it begins tells an archive, which is looked for before results are.
        stdin.write_all(b"not an event\nnor this\n").expect("it reads");
        while names(&folder).len() < 2 {
            assert!(child.try_wait().expect("its state").is_none(), "it waits");
            std::thread::yield_now();
        }
        let kill = Command::new("kill")
            .args(["-s", signal, &child.id().to_string()])
            .status();
        assert!(kill.expect("kill runs").success());
        assert_eq!(child.wait().expect("it ends").code(), Some(status));
        assert_eq!(names(&folder), ["decisions"]);
        assert_eq!(fs::read_to_string(&result).expect("read"), "earlier");
    }
}

#[test]
fn a_result_has_a_file_of_its_own_and_is_no_stream() {
    let folder = TempDir::new().expect("a folder");
    let [checkout, _] = history(&folder);
    for flag in ["--decisions", "--scores", "--report"] {
        let output = holdpoint(&["replay", "--events", text(&checkout), flag, "-"], b"");
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{errors}");
        assert!(errors.contains(flag) && errors.contains("/dev/stdout"), "{errors}");
    }
}

/// A link stays a link, and rights stay as they are; what is no file is written as it is.
#[test]
fn results_go_where_they_are_told() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = TempDir::new().expect("a folder");
    let [checkout, _] = history(&folder);
    let (page, link) = (folder.path().join("page.html"), folder.path().join("link.html"));
    fs::write(&page, "earlier").expect("written");
    fs::set_permissions(&page, fs::Permissions::from_mode(0o640)).expect("set");
    std::os::unix::fs::symlink("page.html", &link).expect("a link");
    let arguments = ["replay", "--events", text(&checkout), "--report", text(&link)];
    let output = holdpoint(
        &[&arguments[..], &["--scores", "/dev/null", "--decisions", "/dev/stdout"]].concat(),
        b"",
    );
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        said.contains("\"holdpoint.decision/1\"") && said.contains("history  "),
        "{said}"
    );
    assert!(fs::symlink_metadata(&link).expect("there").is_symlink());
    assert!(fs::read_to_string(&page).expect("read").starts_with("<!DOCTYPE html>"));
    assert_eq!(fs::metadata(&page).expect("there").permissions().mode() & 0o777, 0o640);
}

/// Standard output is a file that is appended to, one that is new, or a pipe.
#[test]
fn a_result_on_standard_output_comes_before_the_summary_and_empties_nothing() {
    let folder = TempDir::new().expect("a folder");
    let [checkout, _] = history(&folder);
    let path = folder.path().join("output");
    let redirected = |flag: &str, result: &str| {
        let open = fs::OpenOptions::new().append(true).open(&path).expect("opened");
        let run = Command::new(env!("CARGO_BIN_EXE_holdpoint"))
            .args(["replay", "--events", text(&checkout), flag, result])
            .stdout(open)
            .status();
        assert!(run.expect("it runs").success());
        fs::read_to_string(&path).expect("read")
    };
    let piped = holdpoint(
        &["replay", "--events", text(&checkout), "--decisions", "/dev/stdout"],
        b"",
    );
    let piped = String::from_utf8(piped.stdout).expect("UTF-8");
    let (decisions, rest) = piped.split_once("history  ").expect("a summary");
    assert!(decisions.lines().count() > 1 && !rest.contains("holdpoint.decision/1"));
    assert!(
        decisions
            .lines()
            .all(|line| line.starts_with('{') && line.ends_with('}'))
    );
    for result in ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"] {
        fs::write(&path, "KEEP\n").expect("written");
        assert_eq!(redirected("--decisions", result), format!("KEEP\n{piped}"), "{result}");
        fs::write(&path, "").expect("written");
        assert_eq!(redirected("--decisions", result), piped, "{result}");
    }
    for flag in ["--scores", "--report"] {
        fs::write(&path, "KEEP\n").expect("written");
        let told = redirected(flag, "/dev/stdout");
        let (result, _) = told.split_once("history  ").expect("a summary");
        assert!(result.starts_with("KEEP\n") && result.len() > 100, "{flag}: {told}");
    }
    let twice = ["--scores", "/dev/fd/1", "--decisions", "/dev/stdout"];
    let output = holdpoint(&[&["replay", "--events", text(&checkout)], &twice[..]].concat(), b"");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("named twice") && output.stdout.is_empty());
}

#[test]
fn that_nobody_reads_on_is_no_error() {
    let folder = TempDir::new().expect("a folder");
    let [checkout, _] = history(&folder);
    let report = folder.path().join("report.html");
    for arguments in [&["--json"][..], &[]] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_holdpoint"))
            .args(["replay", "--events", text(&checkout), "--report", text(&report)])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it runs");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("it ends");
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{errors}");
        assert!(!errors.contains("pipe"), "{errors}");
        fs::remove_file(&report).expect("the page is written all the same");
    }
}

/// The limit that a shell sets is the lower of two, and the program may raise it to the other.
#[test]
fn more_files_are_read_than_may_be_open_by_default_and_the_error_says_what_to_do_where_there_are_still_too_many() {
    let folder = TempDir::new().expect("a folder");
    let n_files = 100;
    for n in 0..n_files {
        fs::write(folder.path().join(format!("{n}.ndjson")), "\n").expect("written");
    }
    let replay = |limit: &str| {
        let script = format!("ulimit {limit} 64 && exec \"$0\" replay --events \"$1\"/*.ndjson");
        let mut command = Command::new("sh");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_holdpoint"), text(folder.path())]);
        command.output().expect("it runs")
    };
    let output = replay("-Sn");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let output = replay("-n");
    assert_eq!(output.status.code(), Some(1));
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(complaint.contains("raise `ulimit -n`"), "{complaint}");
}
