//! What a change's loss decides: review, passing a freeze, and what waits behind one.

use holdpoint::{
    model::{Action, Bulletin, Decision, Entry, Evidence, Message, Subject},
    score::{Said, ScoredChange},
};

use crate::support::{Driver, at, deploy, minute, seconds};

fn commit(id: &str, minutes: i64, lines: u32, more: &str) -> String {
    format!(
        r#"{{"kind":"commit","id":"c-{id}","time":"{}","service":"checkout","sha":"{id}"{more},"change":{{"lines_added":{lines},"lines_deleted":0,"files":1}}}}"#,
        at(minutes)
    )
}

fn of_change<'a>(driver: &'a Driver, sha: &str) -> &'a Decision {
    let of = |decision: &&Decision| matches!(&decision.subject, Subject::Change(change) if *change.sha == *sha);
    driver.decisions.iter().rfind(of).expect("decided")
}

fn of_service(driver: &Driver) -> &Decision {
    let of = |decision: &&Decision| matches!(&decision.subject, Subject::Service { .. });
    driver.decisions.iter().rfind(of).expect("decided")
}

/// Sixty changes of one to sixty lines.
fn with_history(policy: &str) -> Driver {
    let mut driver = Driver::with_policy(policy);
    for i in 0..60_u32 {
        let lines = 1 + i * 37 % 60;
        driver.events(&[commit(&format!("h{i}"), i64::from(i), lines, "")], at(i64::from(i)));
        driver.time(at(i64::from(i)) + seconds(30));
    }
    driver
}

#[test]
fn changes_in_the_lower_half_of_their_tier_pass_where_the_policy_says_so() {
    let mut driver = with_history("mode = \"enforce\"\nfreeze.low_loss_passes = true\n");
    driver.events(
        &[
            commit("small", 61, 1, ""),
            commit("usual", 61, 70, ""),
            commit("huge", 61, 9_000, ""),
        ],
        at(61),
    );
    assert!(of_change(&driver, "small").low_loss && !of_change(&driver, "usual").low_loss);
    let huge = of_change(&driver, "huge");
    assert_eq!(
        (huge.action, &*huge.reasons[0].code, huge.low_loss),
        (Action::ExtraReview, "risk_quantile", false)
    );
    let incident = |status: &str, minutes: i64| {
        format!(
            r#"{{"kind":"incident","id":"i-{status}","time":"{}","service":"checkout","incident_id":"i","status":"{status}","severity":1}}"#,
            at(minutes)
        )
    };
    driver.events(&[incident("detected", 62)], at(62));
    assert_eq!(
        (of_service(&driver).action, of_service(&driver).low_loss),
        (Action::Freeze, true)
    );
    driver.events(&[incident("resolved", 63)], at(63));
    assert_eq!(
        (of_service(&driver).action, of_service(&driver).low_loss),
        (Action::ExtraReview, false)
    );
    let word = format!(
        r#"{{"kind":"override","id":"o","time":"{}","service":"checkout","effect":"freeze","until":"{}","reason":"r","by":"p"}}"#,
        at(64),
        at(90)
    );
    driver.events(&[word], at(64));
    assert_eq!(
        (of_service(&driver).action, of_service(&driver).low_loss),
        (Action::Freeze, false),
        "a person's word is meant"
    );
    let mut silent = with_history("mode = \"enforce\"\n");
    silent.events(&[incident("detected", 62)], at(62));
    assert_eq!(
        (of_service(&silent).action, of_service(&silent).low_loss),
        (Action::Freeze, false)
    );
}

/// What a window lets nobody through for, an incident within it does not open to changes of little loss.
#[test]
fn no_change_passes_a_closed_window_because_something_else_freezes_too() {
    let from = at(61).to_string();
    let policy = format!(
        "mode = \"enforce\"\nfreeze.low_loss_passes = true\n[[window]]\nname = \"w\"\neffect = \"deny\"\nzone = \"UTC\"\nfrom = {}\nlength = \"30m\"\n",
        &from[..19]
    );
    let mut driver = with_history(&policy);
    let incident = format!(
        r#"{{"kind":"incident","id":"i","time":"{}","service":"checkout","incident_id":"i","status":"detected","severity":1}}"#,
        at(62)
    );
    driver.time(at(62));
    driver.events(&[incident], at(62));
    let stands = |driver: &Driver| {
        let stands = of_service(driver);
        (stands.action, stands.reasons[0].code.to_string(), stands.low_loss)
    };
    assert_eq!(stands(&driver), (Action::Freeze, "incident".to_owned(), false));
    for i in 63..95 {
        driver.time(at(i));
    }
    assert_eq!(
        stands(&driver),
        (Action::Freeze, "incident".to_owned(), true),
        "when the window is over"
    );
}

/// What is asked of a tier is another as soon as the policy says so, though nothing lands there for weeks.
#[test]
fn another_share_of_changes_to_review_holds_from_the_next_change_on() {
    let asks = |driver: &Driver, sha: &str| of_change(driver, sha).action == Action::ExtraReview;
    let mut driver = with_history("mode = \"enforce\"\n");
    driver.policy(2, "mode = \"enforce\"\nreview.budget = 0.5\n", at(61));
    driver.events(&[commit("x", 62, 45, "")], at(62));
    assert!(asks(&driver, "x"), "among the riskier half");
    driver.policy(3, "mode = \"enforce\"\n", at(63));
    driver.events(&[commit("y", 64, 45, "")], at(64));
    assert!(!asks(&driver, "y"), "not among the riskiest tenth");
}

#[test]
fn what_hangs_on_a_service_and_how_often_it_fails_weigh_its_changes() {
    let asked = |before: &[String]| {
        let mut driver = with_history("mode = \"enforce\"\n");
        driver.events(before, at(61));
        // A little less than what is asked of.
        driver.events(&[commit("x", 62, 50, "")], at(62));
        of_change(&driver, "x").action == Action::ExtraReview
    };
    let entry = |service: &str, more: &str| {
        format!(
            r#"{{"kind":"service","id":"s-{service}","time":"{}","service":"{service}"{more}}}"#,
            at(61)
        )
    };
    assert!(!asked(&[]));
    assert!(
        asked(&[entry("web", r#","depends_on":["checkout"]"#)]),
        "half as much hangs on a caller"
    );
    assert!(!asked(&[entry("web", r#","depends_on":["other"]"#)]));
    let failed: Vec<String> = (0..3)
        .flat_map(|i| {
            let id = format!("d-{i}");
            ["started", "rolled_back"].map(|status| deploy("checkout", &id, at(61), status, ""))
        })
        .collect();
    assert!(asked(&failed), "three deploys of it were rolled back");
}

/// Of no level: risk asks that somebody looks, and the author and a bot did not.
#[test]
fn one_approval_by_another_person_meets_what_risk_asks_for() {
    for (case, by, meets) in [
        ("another", r#""by":"b""#, true),
        ("its author", r#""by":"a""#, false),
        ("a bot", r#""by":"b","bot":true"#, false),
    ] {
        let mut driver = with_history("mode = \"enforce\"\n");
        driver.events(&[commit("huge", 61, 9_000, r#","author":{"id":"a"}"#)], at(61));
        let asked = of_change(&driver, "huge").obligations.iter();
        let asked: Vec<_> = asked.map(|asked| (asked.count, asked.level)).collect();
        assert_eq!(asked, [(1, None)], "{case}");
        let review = format!(
            r#"{{"kind":"review","id":"r","time":"{}","service":"checkout","sha":"huge","verdict":"approved",{by}}}"#,
            at(62)
        );
        driver.events(&[review], at(62));
        let stands = of_change(&driver, "huge");
        let expected = if meets {
            (Action::Proceed, "approved")
        } else {
            (Action::ExtraReview, "risk_quantile")
        };
        assert_eq!((stands.action, &*stands.reasons[0].code), expected, "{case}");
    }
}

/// It is a weight of the loss, and no part of the chance.
#[test]
fn what_the_fleet_knows_of_ai_weighs_the_changes_that_ai_had_a_part_in() {
    let landed = |ai_multiplier: Option<f64>, assistance: &str| {
        let mut driver = Driver::with_policy("");
        let bulletin = Bulletin {
            ai_multiplier,
            ..Bulletin::default()
        };
        driver.append(&[Entry::Message(Message::Bulletin(Box::new(bulletin)))], at(0));
        let more = format!(r#","ai":{{"assistance":"{assistance}"}}"#);
        driver.events(&[commit("x", 1, 10, &more)], at(1));
        let loss = driver.said.iter().find_map(|said| {
            if let Said::Message(Message::Loss { loss, .. }) = said {
                Some(*loss)
            } else {
                None
            }
        });
        (loss.expect("it landed"), of_change(&driver, "x").risk)
    };
    let (loss, risk) = landed(None, "none");
    for (ai_multiplier, assistance, times) in [
        (None, "authored", 1.0),
        (Some(1.5), "none", 1.0),
        (Some(1.5), "unknown", 1.0),
        (Some(1.5), "assisted", 1.5),
        (Some(1.5), "authored", 1.5),
    ] {
        let case = format!("{assistance}, {ai_multiplier:?}");
        let weighed = landed(ai_multiplier, assistance);
        assert!(
            (weighed.0 / loss - times).abs() < 1e-9,
            "{case}: {weighed:?} and {loss}"
        );
        assert_eq!(weighed.1, risk, "{case}");
    }
}

#[test]
fn what_waits_behind_a_freeze_is_told_at_its_end() {
    let mut driver = Driver::with_policy("mode = \"enforce\"\n");
    for i in 0..480_i64 {
        let jitter = u64::try_from(i * 7 % 5).expect("small");
        let errors = if (330..340).contains(&i) { 60 } else { 8 };
        let mut events = vec![minute("checkout", at(i), errors + jitter, Some(6_000))];
        match i {
            320 => events.push(commit("before", i, 10, "")),
            330 => events.push(deploy("checkout", "d-81", at(i), "started", "")),
            350 | 360 => events.push(commit(&format!("at-{i}"), i, 10, "")),
            _ => {}
        }
        driver.events(&events, at(i));
        driver.time(at(i) + seconds(30));
    }
    let cooldown = driver
        .decisions
        .iter()
        .find(|decision| &*decision.reasons[0].code == "cooldown")
        .expect("a freeze ended");
    let evidence = &cooldown.reasons[0].evidence;
    assert_eq!(
        evidence.get("queued_changes"),
        Some(&Evidence::Count(2)),
        "{evidence:?}"
    );
    assert!(
        matches!(evidence.get("queued_lambda"), Some(Evidence::Number(lambda)) if (0.001..0.1).contains(lambda)),
        "{evidence:?}"
    );
}

/// Changes, deploys and rollbacks of three services, with or without AI in them.
#[test]
fn the_fleet_learns_what_was_deployed_and_what_failed() {
    let mut driver = Driver::with_policy("");
    for i in 0..200_i64 {
        let ai = ["none", "assisted", "unknown"][usize::try_from(i % 3).expect("small")];
        let lines = u32::try_from(1 + i * 37 % 60).expect("small");
        let sha = format!("s{i}");
        let more = format!(r#","ai":{{"assistance":"{ai}"}}"#);
        let started = deploy(
            "checkout",
            &format!("d{i}"),
            at(i * 60),
            "started",
            &format!(r#","commits":["{sha}"]"#),
        );
        driver.events(&[commit(&sha, i * 60, lines, &more), started], at(i * 60));
        if i % 10 == 9 {
            let back = deploy("checkout", &format!("d{i}"), at(i * 60 + 1), "rolled_back", "");
            driver.events(&[back], at(i * 60 + 1));
        }
        driver.time(at(i * 60 + 2));
    }
    let ai = driver.partition.fleet().ai_evidence();
    assert_eq!((ai.deployed.human, ai.deployed.ai, ai.deployed.unknown), (67, 67, 66));
    assert_eq!(ai.failed.human + ai.failed.ai + ai.failed.unknown, 20, "{ai:?}");
    assert!(
        ai.n_compared > 0 && ai.comparison.is_none() && (ai.multiplier - 1.0).abs() < 1e-12,
        "not enough data: {ai:?}"
    );
    let sha = format!(
        r#"{{"kind":"incident","id":"x","time":"{}","service":"checkout","incident_id":"x","status":"detected","severity":3,"caused_by":{{"sha":"s196"}}}}"#,
        at(200 * 60 + 600)
    );
    driver.events(&[sha.clone(), sha], at(200 * 60 + 600));
    let again = driver.partition.fleet().ai_evidence();
    assert_eq!(again.failed.ai, ai.failed.ai + 1, "an incident that names its change");
}

#[test]
fn what_hangs_on_a_service_is_known_two_hops_away_and_forgotten_with_the_call() {
    let mut driver = Driver::with_policy("");
    let entry = |service: &str, minutes: i64, share: f64, depends_on: &str| {
        format!(
            r#"{{"kind":"service","id":"{service}-{minutes}","time":"{}","service":"{service}","traffic_share":{share},"depends_on":[{depends_on}]}}"#,
            at(minutes)
        )
    };
    let blast = |driver: &Driver, service: &str| driver.partition.report(service).expect("known").blast_radius;
    let near = |a: f64, b: f64| (a - b).abs() < 1e-6;
    // The callers come first, and are known all the same.
    driver.events(
        &[
            entry("web", 0, 0.5, "\"api\""),
            entry("api", 0, 0.25, "\"db\""),
            entry("db", 0, 1.0, ""),
        ],
        at(0),
    );
    driver.time(at(1));
    driver.time(at(6));
    driver.time(at(7));
    assert!(
        near(blast(&driver, "api"), 0.25 * (1.0 + 0.5 * 0.5)),
        "{}",
        blast(&driver, "api")
    );
    assert!(
        near(blast(&driver, "db"), 1.0 + 0.5 * 0.25 + 0.25 * 0.5),
        "{}",
        blast(&driver, "db")
    );
    driver.events(&[entry("web", 8, 0.5, "")], at(8));
    assert!(near(blast(&driver, "api"), 0.25), "{}", blast(&driver, "api"));
    assert!(near(blast(&driver, "db"), 1.0 + 0.5 * 0.25), "{}", blast(&driver, "db"));
    let report = driver.partition.report("db").expect("known");
    assert_eq!((report.callers, report.depends_on), (vec!["api".into()], Vec::new()));
    // Of a service that is silent for so long that it is forgotten nothing hangs any more.
    for days in 1..100 {
        let now = days * 24 * 60;
        driver.events(&[entry("db", now, 1.0, "")], at(now));
        driver.time(at(now + 1));
    }
    assert!(driver.partition.report("api").is_none());
    assert!(near(blast(&driver, "db"), 1.0), "{}", blast(&driver, "db"));
    assert!(
        driver
            .partition
            .report("db")
            .is_some_and(|report| report.callers.is_empty())
    );
}

/// Uniform within 0 and 1, the same for a seed.
fn drawn(seed: &mut u64) -> f64 {
    *seed = seed
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    f64::from(u32::try_from(*seed >> 33).expect("31 bits")) / f64::from(1_u32 << 31)
}

/// Four times 500 changes of one law, of which nothing ever comes: what of each 500 was sent to review, is in the lower half,
/// and is among the riskiest tenth of all.
fn of_quiet_quarters(seed: u64) -> [[f64; 4]; 3] {
    let (mut driver, mut chance) = (Driver::default(), seed);
    for i in 0..2_000_i32 {
        // Lognormal about twenty lines, by the sum of twelve.
        let normal = (0..12).map(|_| drawn(&mut chance)).sum::<f64>() - 6.0;
        let lines: u32 = format!("{:.0}", (3.0 + 1.5 * normal).exp()).parse().expect("a number");
        let minutes = i64::from(i) * 30;
        driver.events(&[commit(&format!("{i:x}"), minutes, lines, "")], at(minutes));
    }
    let scored: Vec<&ScoredChange> = driver.said.iter().filter_map(scored).collect();
    assert_eq!(scored.len(), 2_000);
    let mut risks: Vec<f64> = scored.iter().map(|scored| scored.at_reference.value()).collect();
    risks.sort_by(f64::total_cmp);
    let of_quarters = |is_counted: &dyn Fn(&ScoredChange) -> bool| -> [f64; 4] {
        std::array::from_fn(|quarter| {
            let own = scored[quarter * 500..][..500].iter();
            own.map(|scored| f64::from(u8::from(is_counted(scored)))).sum::<f64>() / 500.0
        })
    };
    [
        of_quarters(&|scored| scored.gated),
        of_quarters(&|scored| of_change(&driver, &scored.change.sha).low_loss),
        of_quarters(&|scored| scored.at_reference.value() > risks[1_800]),
    ]
}

fn scored(said: &Said) -> Option<&ScoredChange> {
    match said {
        Said::Scored(scored) => Some(scored),
        Said::Decision(_) | Said::Forget(_) | Said::Message(_) | Said::Closed(_) => None,
    }
}

/// The rate of incidents falls with each of them. With it in their losses 3 % of the first thousand would be sent to review,
/// and four fifths of the riskiest tenth be in the first quarter.
#[test]
fn the_budget_is_met_while_nothing_comes_of_changes_and_the_riskiest_are_of_all_times() {
    for seed in [3, 14, 15] {
        let [gated, low, riskiest] = of_quiet_quarters(seed);
        let near = |shares: [f64; 4], share: f64, by: f64| shares.iter().all(|is| (is - share).abs() <= by);
        // Of the first fifty nothing is asked.
        let gated_later = [gated[0] / 0.9, gated[1], gated[2], gated[3]];
        assert!(near(gated_later, 0.10, 0.04), "seed {seed}: {gated:?}");
        assert!(
            near([low[1], low[1], low[2], low[3]], 0.50, 0.06),
            "seed {seed}: {low:?}"
        );
        assert!(near(riskiest, 0.10, 0.04), "seed {seed}: {riskiest:?}");
    }
}
