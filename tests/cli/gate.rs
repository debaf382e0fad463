//! `holdpoint gate`: what is asked wrongly is never let by.

use std::{
    ffi::OsStr,
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
    path::Path,
    process::{Command, Output},
    sync::mpsc,
    thread,
    time::Duration,
};

use serde_json::{Value, json};

/// What an instance answers that would have it freeze.
const FREEZE: &str = r#"{"verdict":"freeze","known":true,"enforced":true,"exit_status":20,"decision":null,"text":"checkout is frozen","changes":[],"override":null}"#;
/// Of a service that may be deployed, asked about with a change that it never saw.
const UNSEEN: &str = r#"{"verdict":"proceed","known":false,"enforced":true,"exit_status":0,"decision":null,"text":"the change was never seen; checkout may be deployed","changes":[],"override":null}"#;
const UNKNOWN: &str = r#"{"verdict":"unknown","known":false,"enforced":false,"exit_status":0,"decision":null,"text":"nothing is known of checkout; failing open","changes":[],"override":null}"#;
const SHA: &str = "0123456789abcdef0123456789abcdef01234567";

/// An instance that gives `status` and `body` to the one question put to it. Returns its address.
fn instance(status: &'static str, body: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a question");
        let mut lines = BufReader::new(stream.try_clone().expect("a stream")).lines();
        while !lines.next().expect("a head").expect("a line").is_empty() {}
        let size_bytes = body.len();
        write!(
            stream,
            "HTTP/1.1 {status}\r\nContent-Length: {size_bytes}\r\nConnection: close\r\n\r\n{body}"
        )
        .expect("answered");
    });
    address.to_string()
}

/// The line of a question, and on which connection it came.
type Asked = (String, usize);

/// An instance behind a proxy that keeps connections, and refuses request lines over 8 KiB as nginx does. `answer` has
/// the number of the question, from 0, and its changes. Returns the address, and what was asked.
fn behind_proxy(
    answer: impl Fn(usize, &[&str]) -> (&'static str, String) + Send + 'static,
) -> (String, mpsc::Receiver<Asked>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let (send, asked) = mpsc::channel();
    thread::spawn(move || {
        let mut n_questions = 0;
        for (connection, stream) in listener.incoming().enumerate() {
            let mut stream = stream.expect("a connection");
            let mut lines = BufReader::new(stream.try_clone().expect("a stream")).lines();
            while let Some(Ok(line)) = lines.next() {
                while lines.next().is_some_and(|line| !line.expect("a line").is_empty()) {}
                let query = line.split(['?', ' ']).nth(2).unwrap_or_default();
                let changes: Vec<_> = query
                    .split('&')
                    .filter_map(|pair| pair.strip_prefix("change="))
                    .collect();
                let (status, body) = match line.len() {
                    0..=8192 => answer(n_questions, &changes),
                    _ => ("414 URI Too Long", "{}".to_owned()),
                };
                n_questions += 1;
                // A gate that waits no longer asks nothing more.
                drop(send.send((line, connection)));
                drop(write!(
                    stream,
                    "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                ));
            }
        }
    });
    (format!("http://{address}"), asked)
}

/// What an instance says of `changes`, all of them known.
fn verdict(verdict: &str, exit_status: u8, changes: &[&str]) -> String {
    let changes: Vec<_> = changes.iter().map(|sha| json!({"sha": sha, "known": true})).collect();
    json!({
        "verdict": verdict, "known": true, "enforced": true, "exit_status": exit_status, "decision": {"id": verdict},
        "text": format!("{verdict} it is"), "changes": changes, "override": null,
    })
    .to_string()
}

/// A thousand changes, each another, as arguments.
fn thousand(url: &str) -> Vec<String> {
    let changes = (0..1_000).map(|i| format!("--change={i:040x}"));
    [format!("--url={url}"), "--json".to_owned()]
        .into_iter()
        .chain(changes)
        .collect()
}

fn gate(arguments: &[impl AsRef<OsStr>]) -> Output {
    gate_in(&[], arguments)
}

/// With no variable of Holdpoint's but these.
fn gate_in(variables: &[(&str, &str)], arguments: &[impl AsRef<OsStr>]) -> Output {
    gate_at(Path::new("."), variables, arguments)
}

/// The same, run in `folder`.
fn gate_at(folder: &Path, variables: &[(&str, &str)], arguments: &[impl AsRef<OsStr>]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_holdpoint"));
    for (variable, _) in std::env::vars().filter(|(variable, _)| variable.starts_with("HOLDPOINT_")) {
        command.env_remove(variable);
    }
    command
        .current_dir(folder)
        .envs(variables.iter().copied())
        .args(["gate", "--service", "checkout", "--environment", "production"])
        .args(arguments);
    command.output().expect("the gate runs")
}

fn status_and_stderr(output: &Output) -> (Option<i32>, String) {
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

/// An instance would refuse these, and a broker know nothing of them: neither may lift a freeze.
#[test]
fn a_change_that_cannot_be_asked_about_is_wrong_usage_whomever_it_asks() {
    let long = "a".repeat(257);
    for to in [["--url", "http://127.0.0.1:1"], ["--brokers", "127.0.0.1:1"]] {
        for (change, why) in [
            ("", r#"change 2 of 2, "", is empty"#),
            ("dead\n", r#"change 2 of 2, "dead\n", holds a control character"#),
            (long.as_str(), "is 257 bytes, at most 256"),
        ] {
            let output = gate(&[to[0], to[1], "--change", SHA, "--change", change]);
            let (status, stderr) = status_and_stderr(&output);
            assert_eq!(status, Some(2), "{change:?}: {stderr}");
            assert!(stderr.contains(why) && output.stdout.is_empty(), "{stderr}");
        }
        let incident = gate(&[to[0], to[1], "--incident", &long]);
        assert_eq!(incident.status.code(), Some(2));
    }
}

/// Each is read as a setting, and only making a client tells that it is wrong.
#[test]
fn a_property_that_librdkafka_refuses_is_wrong_usage_whatever_the_fail_mode() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let config = folder.path().join("holdpoint.toml");
    let config = config.to_str().expect("UTF-8");
    for (property, named) in [
        (r#""sasl.passwordx" = "hush""#, "sasl.passwordx"),
        (r#""security.protocol" = "hush""#, "security.protocol"),
        (
            "\"security.protocol\" = \"SSL\"\n\"ssl.ca.location\" = \"/no/such.pem\"",
            "ssl.ca.location",
        ),
    ] {
        std::fs::write(config, format!("[kafka]\n{property}\n")).expect("written");
        for fail_mode in ["open", "closed"] {
            let output = gate(&[
                "--brokers",
                "127.0.0.1:1",
                "--config",
                config,
                "--fail-mode",
                fail_mode,
                "--timeout",
                "5s",
            ]);
            let (status, stderr) = status_and_stderr(&output);
            assert_eq!(status, Some(2), "{property}: {stderr}");
            assert!(stderr.contains(named) && !stderr.contains("hush"), "{stderr}");
        }
    }
}

#[test]
fn what_an_instance_refuses_is_wrong_usage_and_not_unknown() {
    for status in [
        "400 Bad Request",
        "403 Forbidden",
        "404 Not Found",
        "414 URI Too Long",
        "431 Request Header Fields Too Large",
    ] {
        let address = instance(status, r#"{"detail":"`change` is\nnot to its liking"}"#);
        let output = gate(&["--url", &format!("http://{address}"), "--change", SHA]);
        let (code, stderr) = status_and_stderr(&output);
        assert_eq!(code, Some(2), "{status}: {stderr}");
        let expected = format!("http://{address} refuses the question: {status}: `change` is not to its liking");
        assert!(stderr.contains(&expected) && output.stdout.is_empty(), "{stderr}");
    }
    let elsewhere = instance("404 Not Found", "<html>nginx</html>");
    let (code, stderr) = status_and_stderr(&gate(&["--url", &format!("http://{elsewhere}/v1")]));
    assert_eq!(code, Some(2), "{stderr}");
    assert!(stderr.contains("`/v1/verdict` follows"), "{stderr}");
    let address = instance("503 Service Unavailable", "{}");
    assert_eq!(gate(&["--url", &format!("http://{address}")]).status.code(), Some(0));
}

/// In a pipeline's log a line may be a command, and on a terminal an escape one.
#[test]
fn an_instances_text_stays_on_its_line_and_acts_on_no_terminal() {
    let body = r#"{"verdict":"freeze","known":true,"enforced":true,"exit_status":20,"text":"\u001b[2Jso\n::set-env::\u202e\u009b0m"}"#;
    let address = instance("200 OK", body);
    let output = gate(&["--url", &format!("http://{address}")]);
    assert_eq!(output.status.code(), Some(20));
    assert_eq!(String::from_utf8_lossy(&output.stdout), " [2Jso ::set-env::  0m\n");
}

/// A gate runs where what it is to judge is checked out: a file in there would turn it to other topics, or have it load a
/// library.
#[test]
fn settings_that_lie_where_a_gate_runs_are_not_its_own() {
    let folder = tempfile::TempDir::new().expect("a folder");
    std::fs::write(folder.path().join("holdpoint.toml"), "no_such_key = 1\n").expect("written");
    let to = ["--brokers", "127.0.0.1:1", "--timeout", "1s"];
    let of = |more: &[&str]| status_and_stderr(&gate_at(folder.path(), &[], &[&to, more].concat()));
    let (status, stderr) = of(&[]);
    assert!(status == Some(0) && stderr.contains("failing open"), "{stderr}");
    let (status, stderr) = of(&["--config", "holdpoint.toml"]);
    assert!(status == Some(2) && stderr.contains("no_such_key"), "{stderr}");
}

#[test]
fn a_thousand_changes_pass_a_proxy_in_parts_and_the_worst_of_them_decides() {
    let (url, asked) = behind_proxy(|question, changes| match question {
        3 => ("200 OK", verdict("freeze", 20, changes)),
        5 => ("200 OK", verdict("extra_review", 10, changes)),
        _ => ("200 OK", verdict("proceed", 0, changes)),
    });
    let output = gate(&thousand(&url));
    let (status, stderr) = status_and_stderr(&output);
    assert_eq!(status, Some(20), "{stderr}");
    let answer: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let shas: Vec<String> = (0..1_000).map(|i| format!("{i:040x}")).collect();
    let shas: Vec<&str> = shas.iter().map(String::as_str).collect();
    let whole: Value = serde_json::from_str(&verdict("freeze", 20, &shas)).expect("JSON");
    assert_eq!(answer, whole);
    let asked: Vec<Asked> = asked.try_iter().collect();
    assert_eq!(asked.len(), 9);
    for (line, connection) in asked {
        assert!(line.len() < 6_100, "{} bytes", line.len());
        assert_eq!(connection, 0, "the connection is kept");
    }
}

#[test]
fn more_than_a_thousand_changes_are_wrong_usage() {
    let mut arguments = thousand("http://127.0.0.1:1");
    arguments.extend(["--change".to_owned(), SHA.to_owned()]);
    let (status, stderr) = status_and_stderr(&gate(&arguments));
    assert_eq!(status, Some(2));
    assert!(stderr.contains("1001 changes are too many"), "{stderr}");
}

#[test]
fn a_question_that_fits_is_one_request_and_its_answer_is_passed_on_as_it_is() {
    let spaced = FREEZE.replace(',', " , ");
    let body = spaced.clone();
    let (url, asked) = behind_proxy(move |_, _| ("200 OK", body.clone()));
    let output = gate(&["--url", &url, "--json", "--change", SHA, "--change", "a b"]);
    assert_eq!(output.status.code(), Some(20));
    assert_eq!(String::from_utf8_lossy(&output.stdout), format!("{spaced}\n"));
    let lines: Vec<String> = asked.try_iter().map(|(line, _)| line).collect();
    let expected = format!(
        "GET /v1/verdict?service=checkout&environment=production&kind=release&fail_mode=open&change={SHA}&change=a%20b \
         HTTP/1.1"
    );
    assert_eq!(lines, [expected]);
}

/// What the eighth of nine parts comes to, beside what the others say.
#[test]
fn a_part_that_is_refused_is_wrong_usage_and_one_that_fails_is_unknown_beside_what_the_others_say() {
    for (eighth, others, fail_mode, expected) in [
        ("400 Bad Request", ("freeze", 20), "closed", 2),
        ("414 URI Too Long", ("freeze", 20), "closed", 2),
        ("431 Request Header Fields Too Large", ("freeze", 20), "closed", 2),
        ("503 Service Unavailable", ("proceed", 0), "closed", 30),
        ("200 OK", ("proceed", 0), "closed", 30),
        ("200 OK", ("proceed", 0), "open", 0),
        ("503 Service Unavailable", ("extra_review", 10), "open", 10),
        ("503 Service Unavailable", ("freeze", 20), "open", 20),
        ("200 OK", ("freeze", 20), "closed", 20),
    ] {
        let (url, _asked) = behind_proxy(move |question, changes| match question {
            7 => (eighth, "no verdict".to_owned()),
            _ => ("200 OK", verdict(others.0, others.1, changes)),
        });
        let mut arguments = thousand(&url);
        arguments.push(format!("--fail-mode={fail_mode}"));
        let output = gate(&arguments);
        let (status, stderr) = status_and_stderr(&output);
        assert_eq!(status, Some(expected), "{eighth}, {others:?}: {stderr}");
        if expected == 2 {
            assert!(stderr.contains(eighth) && output.stdout.is_empty(), "{stderr}");
            continue;
        }
        let answer: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let finding = if others.1 == 0 { "unknown" } else { others.0 };
        assert_eq!((&answer["verdict"], &answer["known"]), (&json!(finding), &json!(false)));
        let known: Vec<_> = answer["changes"]
            .as_array()
            .expect("changes")
            .iter()
            .map(|change| &change["known"])
            .collect();
        assert_eq!(known.len(), 1_000);
        assert!(*known[0] == json!(true) && known.contains(&&json!(false)));
    }
}

/// The first of nine parts fails, and a freeze lets the others by for their changes of low loss.
#[test]
fn a_freeze_stands_whichever_part_fails_and_lets_nothing_by_that_is_not_known() {
    for passes in [false, true] {
        let (url, asked) = behind_proxy(move |question, changes| match question {
            0 => ("503 Service Unavailable", "{}".to_owned()),
            _ if passes && !changes.is_empty() => ("200 OK", verdict("proceed", 0, changes)),
            _ => ("200 OK", verdict("freeze", 20, changes)),
        });
        let (status, stderr) = status_and_stderr(&gate(&thousand(&url)));
        assert_eq!(status, Some(20), "{passes}: {stderr}");
        assert_eq!(asked.try_iter().count(), 10);
    }
}

/// Nine answers, each well within the bound, and all of them together beyond it.
#[test]
fn the_parts_of_a_question_share_its_time() {
    let (url, _asked) = behind_proxy(|_, changes| {
        thread::sleep(Duration::from_millis(200));
        ("200 OK", verdict("proceed", 0, changes))
    });
    let mut arguments = thousand(&url);
    arguments.extend(["--fail-mode=closed", "--timeout=1s"].map(str::to_owned));
    let (status, stderr) = status_and_stderr(&gate(&arguments));
    assert_eq!(status, Some(30), "{stderr}");
}

/// A change never seen decides nothing: the fail mode is not asked.
#[test]
fn going_on_with_a_change_never_seen_is_not_put_down_to_the_fail_mode() {
    for (answer, says) in [
        (UNSEEN, "a change that was never seen decides nothing"),
        (UNKNOWN, "going on since the fail mode is open"),
    ] {
        let url = format!("http://{}", instance("200 OK", answer));
        let (status, stderr) = status_and_stderr(&gate(&["--url", &url, "--change", "nope"]));
        assert_eq!(status, Some(0));
        assert!(stderr.contains(says), "{stderr}");
        assert_eq!(stderr.contains("fail mode"), answer == UNKNOWN, "{stderr}");
    }
}

#[test]
fn a_password_in_an_address_is_never_printed() {
    let ok = instance("200 OK", FREEZE);
    let (refusing, down) = (
        instance("400 Bad Request", "{}"),
        instance("503 Service Unavailable", "{}"),
    );
    let odd = instance("200 OK", "no verdict");
    for (address, status) in [
        (format!("http://me:hush@{ok}/"), 20),
        (format!("http://me:hush@{refusing}"), 2),
        (format!("http://me:hush@{down}"), 0),
        (format!("http://me:hush@{odd}"), 0),
        ("http://me:hush@127.0.0.1:1".to_owned(), 0),
        ("http://m/e:hush@127.0.0.1:1".to_owned(), 0),
        ("http://me:hush@".to_owned(), 2),
        ("http://me:hush@a b".to_owned(), 2),
        ("http://me:hush@127.0.0.1:84845".to_owned(), 2),
        ("me:hush@127.0.0.1:1".to_owned(), 2),
    ] {
        for json in [&[][..], &["--json"]] {
            let output = gate(&[&["--url", &address], json].concat());
            let (code, stderr) = status_and_stderr(&output);
            let printed = format!("{}{stderr}", String::from_utf8_lossy(&output.stdout));
            assert!(!printed.contains("hush"), "{address}: {printed}");
            if json.is_empty() {
                assert_eq!(code, Some(status), "{address}: {printed}");
            }
        }
    }
}

#[test]
fn a_variable_that_is_no_setting_is_warned_of_whomever_it_asks() {
    let variables = [("HOLDPOINT_FAIL_MODE", "closed")];
    for to in [["--url", "http://127.0.0.1:1"], ["--brokers", "127.0.0.1:1"]] {
        let output = gate_in(&variables, &[to[0], to[1], "--timeout", "1s"]);
        let (status, stderr) = status_and_stderr(&output);
        assert_eq!(status, Some(0), "{stderr}");
        assert_eq!(stderr.matches("warning: ").count(), 1, "{stderr}");
        assert!(stderr.contains("HOLDPOINT_FAIL_MODE"), "{stderr}");
    }
}
