//! Commands that need no broker, from outside.

mod gate;
mod import;
mod policy;
mod replay;

use std::{
    fmt::Write as _,
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
};

use holdpoint::model::is_unshowable;
use serde_json::Value;
use tempfile::TempDir;

/// 2026-03-02T00:00:00Z and `minutes`.
fn at(minutes: i64) -> String {
    holdpoint::model::Timestamp::from_millis(1_772_409_600_000 + minutes * 60_000).to_string()
}

/// Eight hours of two services in two files, each with a deploy; that of `checkout` multiplies its errors by six.
fn history(folder: &TempDir) -> [std::path::PathBuf; 2] {
    [("checkout", 6), ("search", 1)].map(|(service, factor)| {
        let mut lines = String::new();
        for i in 0..480 {
            let usual = 8 + i * 7 % 5;
            let errors = if i >= 400 { usual * factor } else { usual };
            let time = at(i);
            let event = format!(
                r#"{{"kind":"error","id":"{service}-{i}","time":"{time}","service":"{service}","environment":"production","count":{errors},"requests":5000,"interval_ms":60000}}"#
            );
            writeln!(lines, "{event}").expect("memory");
            if i % 50 == 0 {
                writeln!(lines, "{event}").expect("memory");
            }
            if i == 400 {
                writeln!(lines, r#"{{"kind":"deploy","id":"d","time":"{time}","service":"{service}","environment":"production","deploy_id":"d-{service}","status":"started"}}"#).expect("memory");
                writeln!(lines, "not an event").expect("memory");
            }
        }
        let path = folder.path().join(format!("{service}.ndjson"));
        fs::write(&path, lines).expect("written");
        path
    })
}

struct Replayed {
    summary: Value,
    decisions: String,
    scores: String,
}

fn replay(folder: &TempDir, events: &[&Path]) -> Replayed {
    let (decisions, scores) = (folder.path().join("decisions"), folder.path().join("scores"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_holdpoint"));
    command
        .args(["replay", "--json", "--decisions"])
        .arg(&decisions)
        .arg("--scores")
        .arg(&scores)
        .arg("--events")
        .args(events);
    let output = command.output().expect("replay runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Replayed {
        summary: serde_json::from_slice(&output.stdout).expect("JSON"),
        decisions: fs::read_to_string(decisions).expect("decisions"),
        scores: fs::read_to_string(scores).expect("scores"),
    }
}

#[test]
fn a_replay_freezes_what_broke_and_gives_the_same_bytes_whatever_the_order_of_files() {
    let folder = TempDir::new().expect("a folder");
    let [checkout, search] = history(&folder);
    let one = replay(&folder, &[&checkout, &search]);
    let other = replay(&folder, &[&search, &checkout]);
    assert_eq!(one.decisions, other.decisions);
    assert_eq!(one.scores, other.scores);
    assert_eq!(one.summary, other.summary);
    let freezes: Vec<Value> = one
        .decisions
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("a decision"))
        .filter(|decision| decision["action"] == "freeze")
        .collect();
    assert!(!freezes.is_empty());
    for freeze in &freezes {
        assert_eq!(freeze["subject"]["service"], "checkout");
        assert_eq!(freeze["reasons"][0]["evidence"]["deploy_id"], "d-checkout");
    }
    let events = &one.summary["events"];
    assert_eq!(
        (&events["applied"], &events["duplicates"], &events["rejected"]),
        (&962.into(), &20.into(), &2.into())
    );
    let verdicts: Vec<String> = one
        .scores
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("a score"))
        .map(|score| format!("{} {}", score["deploy_id"], score["verdict"]))
        .collect();
    assert_eq!(verdicts, [r#""d-checkout" "regressed""#, r#""d-search" "healthy""#]);
}

/// A freeze by hand at a broker that is not there, and what else is said of it.
fn freeze<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec!["override", "--brokers", "127.0.0.1:1"];
    arguments.extend(["--service", "a", "--effect", "freeze"]);
    arguments.extend(more);
    arguments
}

/// What is wrong, and whether a flag or the environment says so.
#[test]
fn a_wrong_value_of_a_flag_is_wrong_usage_and_a_wrong_setting_a_failure() {
    for (arguments, variable, status) in [
        (vec!["topics", "ensure", "--partitions", "0"], None, 2),
        (vec!["topics", "verify", "--brokers", ""], None, 2),
        (vec!["run", "--roles", "foo"], None, 2),
        (vec!["run", "--listen", "bogus"], Some(("HOLDPOINT_ROLES", "foo")), 2),
        (vec!["run", "--instance", ""], None, 2),
        (freeze(&["--reason", "r", "--for", "8d", "--by", "me"]), None, 2),
        (freeze(&["--reason", "r", "--for", "1h", "--by", ""]), None, 2),
        (vec!["run"], Some(("HOLDPOINT_ROLES", "foo")), 1),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_holdpoint"))
            .args(&arguments)
            .envs(variable)
            .output();
        let output = output.expect("it runs");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {errors}");
    }
}

/// By the flag that says it, not by the event that it would have become.
#[test]
fn an_override_is_refused_in_the_words_of_its_flags() {
    for (length, reason, expected) in [
        ("8d", "a fix", "'8d' for '--for <LENGTH>': at most 7d"),
        ("1h", "", "'--reason <REASON>'"),
        ("1h", "  ", "'--reason <REASON>': say why"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_holdpoint"))
            .args(freeze(&["--for", length, "--reason", reason]))
            .output()
            .expect("it runs");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(2) && errors.contains(expected), "{errors}");
    }
}

/// Each line can be clicked on: as those of `policy check`.
#[test]
fn faults_of_a_policy_are_named_with_their_file_wherever_it_is_read() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("bad.toml");
    let path = path.to_str().expect("UTF-8");
    fs::write(path, "mode = \"on\"\nlateness = 3\n").expect("written");
    for arguments in [
        &["replay", "--events", "-", "--policy", path][..],
        &["replay", "--events", "-", "--compare", path],
        &[
            "run",
            "--brokers",
            "127.0.0.1:1",
            "--listen",
            "127.0.0.1:0",
            "--policy",
            path,
        ],
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_holdpoint"))
            .args(arguments)
            .output()
            .expect("it runs");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{errors}");
        for place in ["1:8: mode ", "2:12: lateness "] {
            let expected = format!("{path}:{place}");
            assert!(errors.lines().any(|line| line.starts_with(&expected)), "{errors}");
        }
    }
}

/// One line each, for whoever reads the log first; and of the settings nothing that may be secret.
#[test]
fn an_instance_says_what_it_is_and_that_it_stopped() {
    let mut instance = Command::new(env!("CARGO_BIN_EXE_holdpoint"))
        .args([
            "run",
            "--brokers",
            "127.0.0.1:1",
            "--listen",
            "127.0.0.1:0",
            "--roles",
            "score,api",
        ])
        .args(["--instance", "it"])
        .env("HOLDPOINT_KAFKA_SASL_PASSWORD", "hush")
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut log = BufReader::new(instance.stderr.take().expect("piped"))
        .lines()
        .map_while(Result::ok);
    let started = log.find(|line| line.contains("started")).expect("it says so");
    for expected in ["INFO", "it", "score,api", "127.0.0.1:", "127.0.0.1:1", "as in force"] {
        assert!(started.contains(expected), "{expected}: {started}");
    }
    assert!(
        !started.contains("127.0.0.1:0\"") && !started.contains("hush"),
        "{started}"
    );
    let kill = Command::new("kill").arg(instance.id().to_string()).status();
    assert!(kill.expect("kill runs").success());
    let rest: Vec<String> = log.collect();
    assert_eq!(instance.wait().expect("it ends").code(), Some(0), "{rest:?}");
    assert!(
        rest.last()
            .is_some_and(|line| line.contains("INFO") && line.contains("stopped as told")),
        "{rest:?}"
    );
}

/// Else whoever asks for more, with a slip, waits for it.
#[test]
fn a_filter_of_logs_that_cannot_be_read_is_named() {
    for (filter, is_named) in [("holdpoint=debgu", true), ("holdpoint=debug", false), ("", false)] {
        let output = Command::new(env!("CARGO_BIN_EXE_holdpoint"))
            .args(["gate", "--service", "a", "--environment", "b", "--timeout", "1s"])
            .args(["--brokers", "127.0.0.1:1"])
            .env("HOLDPOINT_LOG", filter)
            .output()
            .expect("it runs");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(errors.contains("HOLDPOINT_LOG"), is_named, "{filter}: {errors}");
        assert_eq!(output.status.code(), Some(0), "{errors}");
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let output = Command::new(env!("CARGO_BIN_EXE_holdpoint"))
        .args(["replay", "--events", "/no/such/file"])
        .output()
        .expect("runs");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("/no/such/file"));
}

/// Names may hold marks that turn what follows around, and keys of a settings file what acts on a terminal.
#[test]
fn nothing_from_outside_acts_on_a_terminal_or_turns_a_line_around() {
    let folder = TempDir::new().expect("a folder");
    let of = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("written");
        path.to_str().expect("UTF-8").to_owned()
    };
    let rule = "[[rule]]\nname = \"r\\u202e\"\nwhen = {}\nthen = { action = \"extra_review\", approvals = 1 }\n";
    let policy = of("policy.toml", rule);
    let settings = of("holdpoint.toml", "\"\\u001b[2Jx\\u202e\" = 1\n");
    let events = of(
        "events.ndjson",
        r#"{"kind":"commit","id":"c","time":"2026-03-02T00:00:00Z","service":"s\u202e\u2028","sha":"4f1c\u2066"}"#,
    );
    for (arguments, named) in [
        (&["replay", "--events", &events, "--policy", &policy][..], "4f1c"),
        (&["policy", "explain", "--service", "s", &policy], "r "),
        (&["topics", "verify", "--config", &settings], "unknown key"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_holdpoint"))
            .args(arguments)
            .output()
            .expect("it runs");
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        assert!(text.contains(named), "{text}");
        let unshowable = text.chars().find(|c| *c != '\n' && is_unshowable(*c));
        assert_eq!(unshowable, None, "{arguments:?}: {text}");
    }
}
