//! When a deploy freezes its service, and when it does not.

use holdpoint::model::{Action, Mode};

use crate::support::{Driver, at, deploy, minute, seconds};

/// Minutes of history before the deploy, errors before and after it, how many minutes after; then whether it freezes.
struct Case {
    name: &'static str,
    history: i64,
    usual: u64,
    after: u64,
    requests: Option<u64>,
    freezes: bool,
}

fn run(case: &Case) -> Driver {
    let mut driver = Driver::with_policy("mode = \"enforce\"\n");
    for i in 0..case.history + 60 {
        let jitter = u64::try_from(i * 7 % 5).expect("small");
        let errors = if i < case.history {
            case.usual + jitter
        } else {
            case.after + jitter
        };
        let time = at(i);
        let mut events = vec![minute("checkout", time, errors, case.requests)];
        if i == case.history {
            events.push(deploy("checkout", "d-81", time, "started", ""));
        }
        driver.events(&events, time);
        driver.time(time + seconds(30));
    }
    driver
}

#[test]
fn a_deploy_freezes_its_service_when_errors_multiply_and_only_then() {
    let cases = [
        Case {
            name: "six times with requests",
            history: 330,
            usual: 8,
            after: 60,
            requests: Some(6_000),
            freezes: true,
        },
        Case {
            name: "six times without requests",
            history: 330,
            usual: 8,
            after: 60,
            requests: None,
            freezes: true,
        },
        Case {
            name: "as before",
            history: 330,
            usual: 8,
            after: 8,
            requests: Some(6_000),
            freezes: false,
        },
        Case {
            name: "a little more",
            history: 330,
            usual: 8,
            after: 9,
            requests: Some(6_000),
            freezes: false,
        },
        Case {
            name: "too short a history",
            history: 200,
            usual: 8,
            after: 60,
            requests: Some(6_000),
            freezes: false,
        },
        Case {
            name: "rare errors",
            history: 600,
            usual: 1,
            after: 12,
            requests: None,
            freezes: true,
        },
    ];
    for case in cases {
        let driver = run(&case);
        let frozen: Vec<_> = driver
            .decisions
            .iter()
            .filter(|decision| decision.action == Action::Freeze)
            .collect();
        assert_eq!(
            !frozen.is_empty(),
            case.freezes,
            "{}: {:#?}",
            case.name,
            driver.partition.report("checkout")
        );
        if let Some(freeze) = frozen.first() {
            let minutes = freeze.decided_at.since(at(case.history)).as_secs() / 60;
            assert!(minutes <= 15, "{}: after {minutes} minutes", case.name);
            assert_eq!(freeze.mode, Mode::Enforce);
            assert!(freeze.valid_until.is_some_and(|until| until > freeze.decided_at));
            assert_eq!(freeze.suspects[0].deploy_id.as_deref(), Some("d-81"), "{}", case.name);
        }
    }
}
