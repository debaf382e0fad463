//! `holdpoint gate`: what is asked wrongly is never let by.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
    process::{Command, Output},
    thread,
};

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

fn gate(arguments: &[&str]) -> Output {
    gate_in(&[], arguments)
}

/// With no variable of Holdpoint's but these.
fn gate_in(variables: &[(&str, &str)], arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_holdpoint"));
    for (variable, _) in std::env::vars().filter(|(variable, _)| variable.starts_with("HOLDPOINT_")) {
        command.env_remove(variable);
    }
    command
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

#[test]
fn what_an_instance_refuses_is_wrong_usage_and_not_unknown() {
    for status in [
        "400 Bad Request",
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
    let address = instance("503 Service Unavailable", "{}");
    assert_eq!(gate(&["--url", &format!("http://{address}")]).status.code(), Some(0));
}

#[test]
fn a_thousand_changes_are_asked_about_and_more_are_wrong_usage() {
    let address = instance("200 OK", FREEZE);
    let url = format!("http://{address}");
    let mut arguments = vec!["--url", &url];
    arguments.extend(vec![["--change", SHA]; 1_000].as_flattened());
    let (status, stderr) = status_and_stderr(&gate(&arguments));
    assert_eq!(status, Some(20), "{stderr}");
    arguments.extend(["--change", SHA]);
    let (status, stderr) = status_and_stderr(&gate(&arguments));
    assert_eq!(status, Some(2));
    assert!(stderr.contains("1001 changes are too many"), "{stderr}");
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
        ("http://me:hush@".to_owned(), 0),
        ("http://me:hush@a b".to_owned(), 0),
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
