//! Lines of scores: one for each deploy, however often it is watched.

use serde_json::Value;

use super::scenario::{Scenario, at, replay};

/// Minutes of quiet history, and after them those of each scenario.
const HISTORY: i64 = 362;

/// The lines of deploys of a history in which `checkout` has these statuses, in minutes after its beginning, and seven
/// times the usual errors in these minutes; and how many deploys the summary says were watched.
fn lines(statuses: &[(i64, &str, &str)], faulty: std::ops::Range<i64>) -> (Vec<Value>, u64) {
    let mut scenario = Scenario::usual(3);
    scenario.minutes = HISTORY + 420;
    scenario.deploys.clear();
    let mut files = scenario.files();
    for (minutes, status, more) in statuses {
        let time = at(HISTORY + minutes);
        files[1].1 += &format!(
            "{{\"kind\":\"deploy\",\"id\":\"{minutes}\",\"time\":\"{time}\",\"service\":\"checkout\",\
             \"deploy_id\":\"d\",\"status\":\"{status}\"{more}}}\n"
        );
    }
    for minutes in faulty {
        let time = at(HISTORY + minutes);
        files[0].1 += &format!(
            "{{\"kind\":\"error\",\"id\":\"fault-{minutes}\",\"time\":\"{time}\",\"service\":\"checkout\",\
             \"source\":\"prober\",\"count\":300,\"requests\":300,\"interval_ms\":60000}}\n"
        );
    }
    // Lines of one file arrive in order.
    for (_, text) in &mut files {
        let mut lines: Vec<&str> = text.lines().collect();
        lines.sort_by_key(|line| line.find("\"time\"").map(|at| &line[at..at + 33]));
        *text = lines.join("\n");
    }
    let outcome = replay(&files, None);
    let deploys = outcome
        .written
        .lines()
        .filter(|line| line.starts_with(r#"{"kind":"deploy""#));
    let deploys = deploys.map(|line| serde_json::from_str(line).expect("JSON"));
    (deploys.collect(), outcome.summary.deploys.watched)
}

#[test]
fn a_rollout_whose_stages_are_hours_apart_is_one_line_with_all_of_its_time() {
    let rollout = [
        (0, "started", r#","exposure":0.05"#),
        (130, "progressing", r#","exposure":0.5"#),
        (260, "succeeded", ""),
    ];
    let (lines, watched) = lines(&rollout, 0..0);
    let [line] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!(watched, 1);
    assert_eq!(
        (&line["verdict"], &line["alarmed_at"]),
        (&"healthy".into(), &Value::Null)
    );
    assert_eq!(line["time"], at(HISTORY).to_string());
    let closed_at: crate::model::Timestamp = line["closed_at"].as_str().expect("a time").parse().expect("a time");
    assert!(closed_at > at(HISTORY + 370), "{line}");
}

#[test]
fn the_gravest_that_was_found_of_a_deploy_stands_whichever_of_its_watches_found_it() {
    let tried_again = [(0, "started", ""), (30, "rolled_back", ""), (180, "started", "")];
    let staged = [(0, "started", r#","exposure":0.05"#), (160, "succeeded", "")];
    for (statuses, faulty) in [
        (&tried_again[..], 5..30),
        (&tried_again[..], 190..230),
        (&staged[..], 165..200),
    ] {
        let (lines, watched) = lines(statuses, faulty.clone());
        let [line] = &lines[..] else {
            panic!("{faulty:?}: {lines:?}")
        };
        assert_eq!(watched, 1, "{faulty:?}");
        assert_eq!(line["verdict"], "regressed", "{faulty:?}: {line}");
        let alarmed_at: crate::model::Timestamp = line["alarmed_at"].as_str().expect("a time").parse().expect("a time");
        assert!(
            alarmed_at >= at(HISTORY + faulty.start) && alarmed_at < at(HISTORY + faulty.end),
            "{faulty:?}: {line}"
        );
        assert!(
            line["rate_ratio"].as_f64().expect("a number") > 2.0,
            "{faulty:?}: {line}"
        );
        assert!(
            line["e_value_max"].as_f64().expect("a number") > 100.0,
            "{faulty:?}: {line}"
        );
        assert_eq!(line["suspects"][0]["deploy_id"], "d", "{faulty:?}: {line}");
    }
}
