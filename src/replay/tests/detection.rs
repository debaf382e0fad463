//! What incidents and deploys taken back say of freezes.

use super::*;

/// The bad deploy is of minute 362, in production.
#[test]
fn a_deploy_is_found_where_the_incident_that_names_it_is() {
    let cases = [
        ("detected", "production", 1),
        ("resolved", "production", 1),
        ("detected", "staging", 0),
        ("resolved", "staging", 0),
    ];
    for (status, environment, found) in cases {
        let fields = incident(
            status,
            "checkout",
            &format!(r#","environment":"{environment}","caused_by":{{"deploy_id":"d-362"}}"#),
        );
        let mut files = Scenario::usual(2).files();
        files.push(("more", line(0, 390, &fields)));
        let detection = replay(&files, None).summary.detection;
        assert_eq!(
            (detection.deploys_blamed, detection.blamed_regressed),
            (1, found),
            "{status} {environment}"
        );
    }
}

#[test]
fn what_is_held_when_time_ends_is_said() {
    let mut files = Scenario::usual(2).files();
    assert_eq!(replay(&files, None).summary.warnings, [""; 0]);
    let word = format!(
        r#""kind":"override","service":"cart","effect":"freeze","until":"{}","reason":"r","by":"p""#,
        at(390 + 6 * 24 * 60)
    );
    files.push(("more", line(0, 390, &word)));
    let summary = replay(&files, None).summary;
    assert_eq!(summary.warnings, [""; 0], "a word of six days is waited for");
    let hours = summary.held_hours["freeze"].enforce;
    assert!((144.0..150.0).contains(&hours), "{hours}");

    let closed = "[[window]]\nname = \"weeks\"\neffect = \"deny\"\nfrom = 2026-03-02T08:00:00\nlength = \"20d\"\n\
                  services = [\"cart\"]\n";
    let expected = "cart@production is still held 54 hours after the last event (policy:weeks until 2026-03-22T08:00:00.000Z): \
                    hours beyond that are not counted";
    assert_eq!(
        replay(&files[..files.len() - 1], Some(closed)).summary.warnings,
        [expected]
    );
    let warnings = replay(
        &files[..files.len() - 1],
        Some(&closed.replace("\"cart\"", "\"cart\", \"search\"")),
    )
    .summary
    .warnings;
    assert!(
        warnings[0].starts_with("cart@production and 1 other are still held"),
        "{warnings:?}"
    );
}

/// The word ends, and what it stood before is there again.
#[test]
fn a_freeze_behind_a_word_is_waited_for() {
    let word = format!(
        r#""kind":"override","service":"cart","effect":"proceed","until":"{}","reason":"r","by":"p""#,
        at(60)
    );
    let files = [(
        "all",
        line(
            0,
            0,
            &incident("detected", "cart", "").replace("\"severity\":4", "\"severity\":1"),
        ) + &line(1, 1, &word),
    )];
    let outcome = replay(&files, Some(ENFORCE));
    let told: Vec<_> = outcome
        .decisions
        .iter()
        .map(|decision| (decision.action, &*decision.reasons[0].code))
        .collect();
    let ends = [
        (Action::Freeze, "incident"),
        (Action::ExtraReview, "cooldown"),
        (Action::Proceed, "no_baseline"),
    ];
    assert!(told.ends_with(&ends), "{told:?}");
    let hours = outcome.summary.held_hours["freeze"].enforce;
    assert!((3.0..3.1).contains(&hours), "{hours}");
}

/// The bad deploy is of minute 362 and freezes some minutes later.
#[test]
fn what_came_shortly_before_a_freeze_bears_it_out() {
    let told = |minute, more| vec![(minute, incident("detected", "checkout", more))];
    let resolved_at = |minute| (minute, incident("resolved", "checkout", ""));
    let deploy = |deploy_id: &str, more: &str| {
        format!(r#""kind":"deploy","service":"checkout","environment":"production","deploy_id":"{deploy_id}",{more}"#)
    };
    let cases = [
        (told(363, ""), true),
        (told(363, r#","caused_by":{"deploy_id":"d-362"}"#), true),
        (told(363, r#","caused_by":{"deploy_id":"d-100"}"#), false),
        (told(363, r#","environment":"staging""#), false),
        (vec![(363, incident("detected", "search", ""))], false),
        // Open since long, resolved in time, never resolved, told again after that.
        ([told(150, ""), vec![resolved_at(475)]].concat(), true),
        ([told(150, ""), vec![resolved_at(160)]].concat(), false),
        ([told(150, ""), vec![resolved_at(154)], told(150, "")].concat(), false),
        // Resolved before it is told of, and what is told of is from before that, or from after.
        ([vec![resolved_at(160)], told(150, "")].concat(), false),
        ([vec![resolved_at(155)], told(160, "")].concat(), true),
        (vec![resolved_at(365)], false),
        // What was resolved before its last word goes on.
        ([told(150, ""), told(155, ""), vec![resolved_at(152)]].concat(), true),
        (
            [told(150, ""), vec![resolved_at(220), resolved_at(220)], told(200, "")].concat(),
            false,
        ),
        // Told of again without its cause, which is another's, and late with it.
        (
            [told(300, r#","caused_by":{"deploy_id":"d-100"}"#), told(301, "")].concat(),
            false,
        ),
        (
            [told(301, ""), told(300, r#","caused_by":{"deploy_id":"d-100"}"#)].concat(),
            false,
        ),
        (told(60, ""), false),
        ([told(300, ""), vec![resolved_at(301)]].concat(), true),
        (vec![(300, deploy("d-200", r#""status":"failed""#))], false),
        (
            vec![(300, deploy("d-300", r#""status":"started","change_kind":"rollback""#))],
            true,
        ),
        // After it, whatever deploy it names.
        (told(400, r#","caused_by":{"deploy_id":"d-100"}"#), true),
        (told(479, ""), true),
        (Vec::new(), false),
    ];
    for (more, expected) in cases {
        let mut files = Scenario::usual(2).files();
        let lines = more.iter().enumerate();
        files.push((
            "more",
            lines.map(|(n, (minute, fields))| line(n, *minute, fields)).collect(),
        ));
        let freezes = replay(&files, None).summary.freezes;
        let found = (freezes.evidence_borne_out, freezes.evidence_not_borne_out);
        assert_eq!(found, (u64::from(expected), u64::from(!expected)), "{more:?}");
    }
}

/// Evidence freezes checkout some minutes after the bad deploy of minute 362.
#[test]
fn an_incident_found_its_service_frozen_only_if_evidence_froze_it_first() {
    let severe = |id: &str, status: &str| {
        format!(r#""kind":"incident","service":"checkout","incident_id":"{id}","status":"{status}","severity":1"#)
    };
    let detection = |more: String| {
        let mut files = Scenario::usual(2).files();
        files.push(("more", more));
        let Outcome { decisions, summary, .. } = replay(&files, None);
        let by_evidence = |decision: &&Decision| &*decision.reasons[0].code == "deploy_regression";
        let frozen = decisions.iter().filter(|decision| decision.action == Action::Freeze);
        let frozen_at = frozen.clone().find(by_evidence).expect("a freeze").decided_at;
        let lead = summary.detection.frozen_before_seconds.map(|lead| lead.max);
        (summary.detection.incidents_frozen_before, lead, frozen_at)
    };
    let (n, lead, frozen_at) = detection(line(0, 390, &severe("i", "detected")));
    assert_eq!((n, lead), (1, Some(at(390).since(frozen_at).as_secs())));

    // Told when the freeze stands, of minutes before it.
    let late = format!(
        "{{\"id\":\"late\",\"time\":\"{}\",{}}}\n",
        at(363),
        severe("i", "detected")
    );
    let arrives = line(0, 390, r#""kind":"service","service":"checkout""#);
    let (n, lead, _) = detection(arrives + &late);
    assert_eq!((n, lead), (0, None), "{frozen_at}");

    // An incident froze it for hours before evidence does, which is told once that is resolved.
    let covered = line(0, 250, &severe("i", "detected")) + &line(1, 390, &severe("i", "resolved"));
    let (n, lead, frozen_at) = detection(covered + &line(2, 400, &severe("j", "detected")));
    assert!(frozen_at >= at(390), "{frozen_at}");
    assert_eq!((n, lead), (1, Some(at(400).since(frozen_at).as_secs())));
}

/// The incident opens while the service is frozen by evidence, and is resolved before that ends.
#[test]
fn a_freeze_that_goes_on_behind_an_incident_is_counted_once() {
    let mut files = Scenario::usual(2).files();
    let told = |status| {
        format!(r#""kind":"incident","service":"checkout","incident_id":"i","status":"{status}","severity":1"#)
    };
    files.push((
        "more",
        line(0, 380, &told("detected")) + &line(1, 395, &told("resolved")),
    ));
    let outcome = replay(&files, None);
    let mut grounds: Vec<&str> = freezes(&outcome)
        .into_iter()
        .map(|decision| &*decision.reasons[0].code)
        .collect();
    grounds.dedup();
    assert_eq!(grounds, ["deploy_regression", "incident", "deploy_regression"]);
    let freezes = &outcome.summary.freezes;
    assert_eq!(
        (freezes.by_ground["deploy_regression"], freezes.by_ground["incident"]),
        (1, 1)
    );
    assert_eq!((freezes.evidence_borne_out, freezes.evidence_not_borne_out), (1, 0));
}

/// Two days of errors, whose bad deploy no incident bears out.
#[test]
fn freezes_a_week_are_of_the_time_in_which_errors_are_told() {
    let scenario = Scenario {
        minutes: 2 * 24 * 60,
        ..Scenario::usual(2)
    };
    let per_week = |more: &str| {
        let mut files = scenario.files();
        files.push(("more", more.to_owned()));
        let freezes = replay(&files, None).summary.freezes;
        assert_eq!(freezes.evidence_not_borne_out, 1);
        freezes.not_borne_out_per_week.expect("more than a day")
    };
    let years_before = |kind: &str| {
        format!("{{\"kind\":{kind},\"id\":\"old\",\"time\":\"2016-03-02T00:00:00Z\",\"service\":\"cart\"}}\n")
    };
    assert!((per_week("") - 3.5).abs() < 0.01);
    assert!((per_week(&years_before("\"commit\",\"sha\":\"abc\"")) - 3.5).abs() < 0.01);
    // One record with a wrong clock.
    assert!((per_week(&years_before("\"error\"")) - 7.0 / 3.0).abs() < 0.01);
}

/// Reverts of years in which nobody told errors, and an incident of the bad deploy.
#[test]
fn incidents_at_a_time_without_errors_could_find_no_service_frozen() {
    let revert = |n: usize| {
        let fields =
            format!(r#""kind":"incident","service":"cart","incident_id":"r-{n}","status":"detected","severity":3"#);
        format!("{{\"id\":\"r-{n}\",\"time\":\"2016-03-02T00:00:00Z\",{fields}}}\n")
    };
    let reverts = revert(1) + &revert(2);
    let mut files = vec![("reverts", reverts)];
    let summary = replay(&files, None).summary;
    let detection = summary.detection;
    assert_eq!((detection.incidents, detection.incidents_without_errors), (2, 2));
    assert!(detection.frozen_before_share.is_none());
    let text = summary.to_string();
    assert!(text.contains("before; 2 at a time without errors\n"), "{text}");
    let html = Report::new(&Replay::new(None), &summary).html();
    assert!(
        html.contains("no errors</p><p>2 incidents at a time without errors"),
        "{html}"
    );

    files.extend(Scenario::usual(2).files());
    files.push(("more", line(0, 390, &incident("detected", "checkout", ""))));
    let detection = replay(&files, None).summary.detection;
    assert_eq!((detection.incidents, detection.incidents_without_errors), (3, 2));
    let share = detection.frozen_before_share.expect("one incident");
    assert!((share.share - 1.0).abs() < f64::EPSILON);
}
