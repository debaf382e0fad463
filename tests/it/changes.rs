//! What is published of a change: who made it and how, who approved it, and when it is forgotten.

use crate::script::{BY_JUNIOR, ENFORCE, check, commit, play, policy, review, seen_a_senior, until};

#[test]
fn who_made_a_change_and_how_may_ask_for_a_senior() {
    let cases: [(&str, &str, &str); 8] = [
        ("a junior with AI", BY_JUNIOR, "extra_review policy:ai-senior-sign-off"),
        (
            "a junior without",
            r#""author":{"id":"j","level":"junior"},"ai":{"assistance":"none"},"#,
            "proceed healthy",
        ),
        (
            "not told",
            r#""author":{"id":"j","level":"junior"},"#,
            "proceed healthy",
        ),
        (
            "a senior with AI",
            r#""author":{"id":"s","level":"senior"},"ai":{"assistance":"authored"},"#,
            "proceed healthy",
        ),
        (
            "nobody known, assisted",
            r#""author":{"id":"x"},"ai":{"assistance":"assisted"},"#,
            "proceed healthy",
        ),
        (
            "nobody known, authored",
            r#""author":{"id":"x"},"ai":{"assistance":"authored"},"#,
            "extra_review policy:ai-authored-sign-off",
        ),
        (
            "a bot",
            r#""author":{"id":"b","level":"junior","bot":true},"ai":{"assistance":"none"},"#,
            "proceed healthy",
        ),
        (
            "a bot that is AI",
            r#""author":{"id":"b","bot":true},"ai":{"assistance":"authored"},"#,
            "extra_review policy:ai-authored-sign-off",
        ),
    ];
    for (case, fields, expected) in cases {
        let told = play(ENFORCE, vec![seen_a_senior(1), commit("4f1c", 5, fields)]);
        assert_eq!(told.last(), Some(&format!("5 4f1c#1 enforce {expected}")), "{case}");
    }
}

#[test]
fn an_approval_meets_a_rule_if_it_is_anothers_and_high_enough() {
    let met = "7 4f1c#2 enforce proceed approved";
    let cases: [(&str, &str, bool); 9] = [
        (
            "a senior",
            r#""sha":"4f1c","verdict":"approved","by":"s","level":"senior""#,
            true,
        ),
        (
            "staff",
            r#""sha":"4f1c","verdict":"approved","by":"s","level":"staff""#,
            true,
        ),
        (
            "of its pull request",
            r#""change_id":"77","verdict":"approved","by":"s","level":"senior""#,
            true,
        ),
        (
            "of a commit before the squash",
            r#""sha":"aaaa","verdict":"approved","by":"s","level":"senior""#,
            true,
        ),
        (
            "of another change",
            r#""sha":"bbbb","verdict":"approved","by":"s","level":"senior""#,
            false,
        ),
        (
            "a mid",
            r#""sha":"4f1c","verdict":"approved","by":"m","level":"mid""#,
            false,
        ),
        ("nobody known", r#""sha":"4f1c","verdict":"approved","by":"m""#, false),
        (
            "its author",
            r#""sha":"4f1c","verdict":"approved","by":"j","level":"senior""#,
            false,
        ),
        (
            "a bot",
            r#""sha":"4f1c","verdict":"approved","by":"b","level":"senior","bot":true"#,
            false,
        ),
    ];
    for (case, fields, meets) in cases {
        let made = format!(r#"{BY_JUNIOR}"change_id":"77","head_shas":["aaaa"],"#);
        let script = vec![seen_a_senior(1), commit("4f1c", 5, &made), review("r", 7, fields)];
        let told = play(ENFORCE, script);
        assert_eq!(told.last().is_some_and(|last| last == met), meets, "{case}: {told:#?}");
    }
}

/// A policy that comes into force is no event of a change: it is forgotten 14 days after the last of its own.
#[test]
fn a_policy_makes_no_change_last_longer() {
    let days = |n: i64| n * 24 * 60;
    check(
        "the same rules",
        ENFORCE,
        vec![
            seen_a_senior(1),
            commit("4f1c", 5, BY_JUNIOR),
            policy(days(13), &format!("# a word\n{ENFORCE}")),
            until(days(13) + 5),
            until(days(14) + 6),
        ],
        &[
            "5 production#1 enforce proceed new_service",
            "5 4f1c#1 enforce extra_review policy:ai-senior-sign-off",
            "forget service:checkout@production",
            "forget change:checkout:4f1c",
        ],
    );
}

/// Each word on a change is an event of it, whether or not more was asked for.
#[test]
fn an_approval_of_what_may_go_puts_off_its_end() {
    let days = |n: i64| n * 24 * 60;
    let approval = |by: &str| format!(r#""sha":"4f1c","verdict":"approved","by":"{by}","level":"senior""#);
    check(
        "a second one on the tenth day",
        ENFORCE,
        vec![
            seen_a_senior(1),
            commit("4f1c", 5, BY_JUNIOR),
            review("r", days(1), &approval("s")),
            review("q", days(10), &approval("t")),
            until(days(15) + 6),
            until(days(24) + 6),
        ],
        &[
            "5 production#1 enforce proceed new_service",
            "5 4f1c#1 enforce extra_review policy:ai-senior-sign-off",
            "1440 4f1c#2 enforce proceed approved",
            "forget service:checkout@production",
            "14400 4f1c#3 enforce proceed approved",
            "forget change:checkout:4f1c",
        ],
    );
}

#[test]
fn an_approval_never_asks_for_more() {
    let rule = "[[rule]]\nname = \"two\"\nwhen = { ai = [\"assisted\"] }\nthen = { action = \"extra_review\", approvals = 2 }\n";
    let approval = r#""sha":"4f1c","verdict":"approved","by":"s","level":"senior""#;
    check(
        "of a rule that came after the change",
        ENFORCE,
        vec![
            seen_a_senior(1),
            commit("4f1c", 5, r#""author":{"id":"x"},"ai":{"assistance":"assisted"},"#),
            policy(6, &format!("{ENFORCE}{rule}")),
            review("r", 7, approval),
        ],
        &[
            "5 production#1 enforce proceed new_service",
            "5 4f1c#1 enforce proceed healthy",
        ],
    );
}

#[test]
fn the_latest_word_of_a_reviewer_stands_before_the_commit_and_after() {
    check(
        "before the commit",
        ENFORCE,
        vec![
            review(
                "r",
                2,
                r#""change_id":"77","verdict":"approved","by":"s","level":"senior""#,
            ),
            commit("4f1c", 5, &format!(r#"{BY_JUNIOR}"change_id":"77","#)),
        ],
        &[
            "5 production#1 enforce proceed new_service",
            "5 4f1c#1 enforce proceed approved",
        ],
    );
    check(
        "and taken back",
        ENFORCE,
        vec![
            seen_a_senior(1),
            commit("4f1c", 5, BY_JUNIOR),
            review("r", 7, r#""sha":"4f1c","verdict":"approved","by":"s","level":"senior""#),
            review(
                "d",
                9,
                r#""sha":"4f1c","verdict":"dismissed","by":"s","level":"senior""#,
            ),
        ],
        &[
            "5 production#1 enforce proceed new_service",
            "5 4f1c#1 enforce extra_review policy:ai-senior-sign-off",
            "7 4f1c#2 enforce proceed approved",
            "9 4f1c#3 enforce extra_review policy:ai-senior-sign-off",
        ],
    );
}

/// Another change lands meanwhile, and is forgotten just after the approval.
#[test]
fn an_approval_may_come_a_fortnight_before_its_commit() {
    let approval = r#""change_id":"77","verdict":"approved","by":"s","level":"senior""#;
    for (days, expected) in [(13, "proceed approved"), (15, "extra_review policy:ai-senior-sign-off")] {
        let minute = 2 + days * 24 * 60;
        let script = vec![
            review("r", 2, approval),
            commit("4f1c", minute, &format!(r#"{BY_JUNIOR}"change_id":"77","#)),
        ];
        let expected = format!("{minute} 4f1c#1 enforce {expected}");
        assert_eq!(play(ENFORCE, script).last(), Some(&expected), "after {days} days");
    }
}

#[test]
fn who_takes_an_approval_back_takes_all_of_it_back() {
    check(
        "given for the commit and taken back for the pull request",
        ENFORCE,
        vec![
            seen_a_senior(1),
            commit("4f1c", 5, &format!(r#"{BY_JUNIOR}"change_id":"77","#)),
            review("r", 7, r#""sha":"4f1c","verdict":"approved","by":"s","level":"senior""#),
            review(
                "d",
                9,
                r#""change_id":"77","verdict":"dismissed","by":"s","level":"senior""#,
            ),
        ],
        &[
            "5 production#1 enforce proceed new_service",
            "5 4f1c#1 enforce extra_review policy:ai-senior-sign-off",
            "7 4f1c#2 enforce proceed approved",
            "9 4f1c#3 enforce extra_review policy:ai-senior-sign-off",
        ],
    );
    check(
        "in the commit itself, and taken back",
        ENFORCE,
        vec![
            seen_a_senior(1),
            commit(
                "4f1c",
                5,
                &format!(r#"{BY_JUNIOR}"approvals":[{{"by":"s","level":"senior"}}],"#),
            ),
            review(
                "d",
                9,
                r#""sha":"4f1c","verdict":"dismissed","by":"s","level":"senior""#,
            ),
        ],
        &[
            "5 production#1 enforce proceed new_service",
            "5 4f1c#1 enforce proceed approved",
            "9 4f1c#2 enforce extra_review policy:ai-senior-sign-off",
        ],
    );
}

/// What is asked of a commit that carries `approvals` under a rule that asks for `count` of a senior.
fn carried(count: u8, approvals: &str) -> Option<String> {
    let policy = format!(
        r#"{ENFORCE}
[[rule]]
name = "ai-senior-sign-off"
when = {{ author_level = ["junior"] }}
then = {{ action = "extra_review", approvals = {count}, level = "senior" }}
"#
    );
    let fields = format!(r#"{BY_JUNIOR}"approvals":[{approvals}],"#);
    play(&policy, vec![seen_a_senior(1), commit("4f1c", 5, &fields)]).pop()
}

#[test]
fn an_approval_that_a_commit_carries_counts_by_who_may_have_given_it() {
    let named = r#"{"by":"s","level":"senior"}"#;
    let other = r#"{"by":"t","level":"staff"}"#;
    let bot = r#"{"by":"b","level":"senior","bot":true}"#;
    let nameless = r#"{"level":"senior"}"#;
    let junior = r#"{"level":"junior"}"#;
    for (count, approvals, meets) in [
        (1, vec![named], true),
        (2, vec![named, other], true),
        (1, vec![bot], false),
        (2, vec![named, bot], false),
        (1, vec![nameless], true),
        (1, vec![junior, nameless], true),
        (1, vec![nameless, junior], true),
        (2, vec![nameless, nameless], false),
        (2, vec![named, nameless], false),
        (2, vec![named, other, nameless], true),
        (3, vec![named, other, nameless], false),
    ] {
        let expected = if meets {
            "proceed approved"
        } else {
            "extra_review policy:ai-senior-sign-off"
        };
        let expected = format!("5 4f1c#1 enforce {expected}");
        assert_eq!(
            carried(count, &approvals.join(",")),
            Some(expected),
            "{count} of {approvals:?}"
        );
    }
}

#[test]
fn an_approval_that_a_commit_carries_shows_that_reviews_are_seen() {
    let with = |approvals: &str| format!(r#"{BY_JUNIOR}"approvals":[{approvals}],"#);
    let mid = r#"{"by":"m","level":"mid"}"#;
    let bot = r#"{"by":"m","level":"mid","bot":true}"#;
    for (case, approvals, expected) in [
        ("a known level", mid, "enforce extra_review policy:ai-senior-sign-off"),
        (
            "an unknown one",
            r#"{"by":"m"}"#,
            "shadow extra_review policy:ai-senior-sign-off no_review_source",
        ),
        (
            "a bot's",
            bot,
            "shadow extra_review policy:ai-senior-sign-off no_review_source",
        ),
    ] {
        let told = play(ENFORCE, vec![commit("4f1c", 5, &with(approvals))]);
        assert_eq!(told.last(), Some(&format!("5 4f1c#1 {expected}")), "{case}");
    }
    let told = play(
        ENFORCE,
        vec![commit("4f1c", 5, BY_JUNIOR), commit("aaaa", 9, &with(mid))],
    );
    let stands = "9 4f1c#2 enforce extra_review policy:ai-senior-sign-off";
    assert!(told.iter().any(|line| line == stands), "a change of before: {told:#?}");
}

#[test]
fn a_rule_that_nobody_could_meet_only_advises() {
    check(
        "no approval with a level was ever seen",
        ENFORCE,
        vec![commit("4f1c", 5, BY_JUNIOR)],
        &[
            "5 production#1 enforce proceed new_service",
            "5 4f1c#1 shadow extra_review policy:ai-senior-sign-off no_review_source",
        ],
    );
    check(
        "until somebody is seen who could",
        ENFORCE,
        vec![commit("4f1c", 5, BY_JUNIOR), seen_a_senior(9)],
        &[
            "5 production#1 enforce proceed new_service",
            "5 4f1c#1 shadow extra_review policy:ai-senior-sign-off no_review_source",
            "9 4f1c#2 enforce extra_review policy:ai-senior-sign-off",
        ],
    );
    check(
        "none for a month",
        ENFORCE,
        vec![seen_a_senior(1), commit("4f1c", 31 * 24 * 60, BY_JUNIOR)],
        &[
            "44640 production#1 enforce proceed new_service",
            "44640 4f1c#1 shadow extra_review policy:ai-senior-sign-off no_review_source",
        ],
    );
}
