//! Which environment events without one are of, and names that do not match.

use super::scenario::{Scenario, Text, merged};
use crate::{
    model::{Action, Subject},
    replay::{Replay, Report},
    score::Said,
};

/// A bad deploy, told to be in `prod`; errors name no environment.
fn history() -> Vec<Text> {
    let mut files = Scenario::usual(1).files();
    files[1].1 = files[1].1.replace("\"production\"", "\"prod\"");
    files
}

/// The environments of the freezes, the warnings and the page.
fn told(files: &[Text], default_environment: Option<&str>) -> (Vec<String>, Vec<String>, String) {
    let mut replay = Replay::new(None);
    replay.chronicle();
    if let Some(name) = default_environment {
        replay.default_to(&name.parse().expect("a name"));
    }
    let mut merge = merged(files);
    while let Some(arrival) = merge.next().expect("memory reads") {
        replay.take(&arrival);
    }
    replay.finish();
    let frozen = replay.take_said().filter_map(|said| match said {
        Said::Decision(decision) if decision.action == Action::Freeze => match decision.subject {
            Subject::Service { environment, .. } => Some(environment.as_str().to_owned()),
            Subject::Change(_) => None,
        },
        Said::Decision(_) | Said::Forget(_) | Said::Message(_) | Said::Scored(_) | Said::Closed(_) => None,
    });
    let frozen = frozen.collect();
    let summary = replay.summary();
    let html = Report::new(&replay, &summary).html();
    (frozen, summary.warnings, html)
}

#[test]
fn events_without_an_environment_are_of_the_default_one() {
    let (frozen, warnings, html) = told(&history(), Some("prod"));
    assert!(!frozen.is_empty() && frozen.iter().all(|environment| environment == "prod"));
    assert_eq!(warnings, [""; 0]);
    let (_, freeze) = html.split_once("<h3>checkout @ prod<").expect("its timeline");
    assert!(freeze.contains("Usual before: "), "with its errors");
}

#[test]
fn errors_and_deploys_that_never_meet_are_warned_of() {
    let (frozen, warnings, html) = told(&history(), None);
    assert_eq!(frozen, [""; 0]);
    let expected = "no deploy can be convicted in 2 of the services, because their errors and deploys are in different \
                    environments: \"checkout\", for example, has errors in \"production\" and deploys in \"prod\"; events \
                    that name no environment are in \"production\" (--default-environment)";
    assert_eq!(warnings, [expected]);
    assert!(html.contains("no deploy can be convicted in 2 of the services"));

    // Errors elsewhere too are no fault, where some are where it is deployed.
    let mut files = history();
    let there = r#""kind":"error","environment":"prod","service":"checkout","count":0"#;
    let other = there.replace("checkout", "search");
    files.push(("more", super::line(0, 5, there) + &super::line(1, 5, &other)));
    assert_eq!(told(&files, None).1, [""; 0]);
}

/// All deploys are of `…-api`.
#[test]
fn services_whose_errors_and_deploys_have_other_names_are_warned_of() {
    let mut files = Scenario::usual(1).files();
    let deploys = &mut files[1].1;
    *deploys = deploys.replace("\"checkout\"", "\"checkout-api\"");
    *deploys = deploys.replace("\"search\"", "\"search-api\"");
    let (frozen, warnings, html) = told(&files, None);
    assert_eq!(frozen, [""; 0]);
    let expected = "2 services have deploys and no errors, 3 have errors and no deploys, such as deploys of \
                    \"checkout-api\" and errors of \"checkout\": if these are one service by two names, none of its \
                    deploys can be convicted";
    assert_eq!(warnings, [expected]);
    assert!(html.contains("2 services have deploys and no errors"));
}

/// A database that is never deployed tells errors, and a job that never errs is deployed.
#[test]
fn services_that_only_err_or_are_only_deployed_are_ordinary() {
    let mut files = Scenario::usual(1).files();
    let error = r#""kind":"error","service":"postgres""#;
    let deploy = |service: &str| {
        format!(
            r#""kind":"deploy","service":"{service}","environment":"production","deploy_id":"d-{service}","status":"succeeded""#
        )
    };
    files.push((
        "more",
        super::line(0, 5, error) + &super::line(1, 6, &deploy("nightly")),
    ));
    assert_eq!(told(&files, None).1, [""; 0]);

    // As soon as most are so, names may be other ones throughout.
    let jobs = ["reports", "billing", "mailer"];
    let jobs = jobs.iter().enumerate();
    files.push((
        "jobs",
        jobs.map(|(n, job)| super::line(2 + n, 7, &deploy(job))).collect(),
    ));
    let expected = "4 services have deploys and no errors, which is most of those deployed, such as \"billing\"; 2 have \
                    errors and no deploys, such as \"cart\": where two of them are one service by two names, none of its \
                    deploys can be convicted";
    assert_eq!(told(&files, None).1, [expected]);
}

/// Both services that are deployed tell errors by the minute, or by the hour.
#[test]
fn errors_that_are_told_too_coarsely_are_warned_of() {
    let mut files = Scenario::usual(1).files();
    for (interval_ms, n_warned) in [(60_000, 0), (900_000, 0), (900_001, 2), (3_600_000, 2)] {
        let interval = |ms: u32| format!("\"interval_ms\":{ms}");
        files[0].1 = Scenario::usual(1).files()[0]
            .1
            .replace(&interval(60_000), &interval(interval_ms));
        let (_, warnings, _) = told(&files, None);
        let coarse = warnings.iter().find(|warning| warning.contains("by intervals"));
        assert_eq!(
            coarse.map(|warning| warning.split(':').next().unwrap_or_default().to_owned()),
            (n_warned > 0).then(|| format!(
                "{n_warned} services send errors by intervals of more than 15 minutes, such as \"checkout\""
            )),
            "{interval_ms}"
        );
    }
}

/// Both services that are deployed, with a commit each that is told of a service of the repository's name, or of their own.
#[test]
fn deploys_with_commits_of_another_service_are_warned_of() {
    let warned = |of_checkout: &str, of_search: &str| {
        let mut files = Scenario::usual(1).files();
        let deploys = &mut files[1].1;
        *deploys = deploys.replace(
            "\"deploy_id\":\"d-362\"",
            "\"deploy_id\":\"d-362\",\"commits\":[\"unknown\",\"c0\"]",
        );
        *deploys = deploys.replace(
            "\"deploy_id\":\"d-365\"",
            "\"deploy_id\":\"d-365\",\"commits\":[\"c0\",\"c1\"]",
        );
        let commit = |n, service: &str| {
            super::line(
                n,
                300,
                &format!(r#""kind":"commit","service":"{service}","sha":"c{n}""#),
            )
        };
        files.push(("commits", commit(0, of_checkout) + &commit(1, of_search)));
        told(&files, None).1
    };
    let expected = |services: &str, first: &str| {
        format!(
            "{services} deployed with commits of another service, such as {first}: the risk of these changes is not known; \
             commits must name the service that is deployed (`import git --service`)"
        )
    };
    let both = expected(
        "2 services have no commits of their own and are",
        r#""checkout" with "c0" of "shop""#,
    );
    assert_eq!(warned("shop", "shop"), [both]);
    let one = expected(
        "1 service has no commits of its own and is",
        r#""search" with "c0" of "checkout""#,
    );
    assert_eq!(warned("checkout", "cart"), [one]);
    // A repository of both, whose deploys list what is new in it.
    assert_eq!(warned("checkout", "search"), [""; 0]);
}
