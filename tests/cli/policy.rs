//! `holdpoint policy`, from outside.

use std::{fs, process::Command};

use tempfile::TempDir;

fn policy(arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_holdpoint"))
        .arg("policy")
        .args(arguments)
        .output()
        .expect("runs");
    (output.status.code(), String::from_utf8(output.stdout).expect("UTF-8"))
}

#[test]
fn a_policy_is_explained_value_by_value_or_its_faults_are_named() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("policy.toml");
    let path = path.to_str().expect("UTF-8");
    fs::write(path, "mode = \"enforce\"\n[tiers.critical]\nfreeze.margin = 0.1\n").expect("written");
    let (status, text) = policy(&["explain", "--service", "shop", "--tier", "critical", path]);
    assert_eq!(status, Some(0));
    let line = |key: &str| {
        text.lines()
            .find(|line| line.trim_start().starts_with(key))
            .map(str::to_owned)
            .expect(key)
    };
    assert!(
        line("mode").ends_with("line 1") && line("mode").contains("enforce"),
        "{text}"
    );
    assert!(line("freeze.margin").ends_with("line 3, tiers.critical"), "{text}");
    assert!(line("lateness").ends_with("default"), "{text}");

    let (status, text) = policy(&["explain", "--service", "shop", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!((status, &json["environment"]), (Some(0), &"production".into()));
    assert!(
        json["values"]
            .as_array()
            .is_some_and(|values| values.iter().all(|value| value["origin"]["from"] == "default"))
    );

    let (status, text) = policy(&["check", path]);
    let good = "good; mode enforce; 2 rules, 0 windows; tables of 1 tier, 0 environments, 0 services\n";
    assert_eq!((status, text), (Some(0), format!("{path}: {good}")));

    fs::write(path, "mode = \"on\"\nlateness = 3\n").expect("written");
    for arguments in [&["check", path][..], &["explain", "--service", "shop", path]] {
        let (status, text) = policy(arguments);
        assert_eq!(status, Some(1));
        let places: Vec<String> = text
            .lines()
            .map(|line| line.chars().skip(path.chars().count()).take(5).collect())
            .collect();
        assert_eq!(places, [":1:8:", ":2:12"], "{text}");
    }
}
