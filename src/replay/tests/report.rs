//! The page.

use super::{
    page::{Tag, tags},
    scenario::{Scenario, Text, at, merged},
};
use crate::replay::{ComparedPolicies, Comparison, Replay, Report};

/// A history with everything that a page tells of: a bad deploy that is rolled back, one that nobody minds, incidents,
/// overrides, tiers, changes with AI and without; `name` is of the service that breaks.
fn history(name: &str) -> Vec<Text> {
    let mut files = Scenario::usual(4).files();
    let json = serde_json::to_string(name).expect("a text");
    let name_in_json = &json[1..json.len() - 1];
    for (_, text) in &mut files {
        *text = text
            .replace("checkout", name_in_json)
            .replace("d-362", &format!("d-362{name_in_json}"));
    }
    let mut more = String::new();
    let mut add = |minute: i64, fields: &str| {
        let n = more.len();
        more.push_str(&format!("{{\"id\":\"{n}\",\"time\":\"{}\",{fields}}}\n", at(minute)));
    };
    add(
        0,
        &format!(r#""kind":"service","service":{json},"criticality":"critical""#),
    );
    add(
        0,
        r#""kind":"service","service":"search","criticality":"low","owner":"Grace Hopper""#,
    );
    for i in 0..300 {
        let (ai, lines) = (
            ["none", "assisted", "authored"][i % 3],
            if i % 10 == 3 { 8_000 } else { 20 + i },
        );
        let minute = i64::try_from(i).expect("small");
        let service = if i % 2 == 0 { json.as_str() } else { "\"search\"" };
        add(
            minute,
            &format!(
                r#""kind":"commit","service":{service},"sha":"sha-{i}","author":{{"id":"Ada Lovelace","level":"junior"}},"ai":{{"assistance":"{ai}"}},"change":{{"lines_added":{lines},"lines_deleted":1,"files":2}}"#
            ),
        );
        if i % 10 == 3 {
            add(
                minute,
                &format!(
                    r#""kind":"incident","service":{service},"incident_id":"i-{i}","status":"detected","severity":4,"caused_by":{{"sha":"sha-{i}"}}"#
                ),
            );
        }
    }
    add(
        390,
        &format!(
            r#""kind":"incident","service":{json},"environment":"production","incident_id":{json},"status":"detected","severity":1,"caused_by":{{"deploy_id":{}}}"#,
            json.replacen('"', "\"d-362", 1)
        ),
    );
    add(
        420,
        &format!(
            r#""kind":"incident","service":{json},"environment":"production","incident_id":{json},"status":"resolved","severity":1"#
        ),
    );
    add(
        430,
        &format!(
            r#""kind":"override","service":"cart","environment":"production","effect":"freeze","until":"{}","reason":"asked by Alan Turing","by":"Alan Turing""#,
            at(470)
        ),
    );
    files.push(("more.ndjson", more));
    files
}

fn page(files: &[Text], policy: Option<&str>, compare: Option<&str>) -> String {
    let mut a = Replay::new(policy);
    a.chronicle();
    let mut merge = merged(files);
    let Some(compare) = compare else {
        while let Some(arrival) = merge.next().expect("memory reads") {
            a.take(&arrival);
        }
        a.finish();
        return Report::new(&a, &a.summary()).html();
    };
    let mut b = Replay::new(Some(compare));
    b.chronicle();
    let of_a = ("a.toml", policy.unwrap_or_default());
    let policies = ComparedPolicies::new(of_a, ("b.toml", compare)).expect("both are good");
    let mut comparison = Comparison::new(a, b, policies);
    while let Some(arrival) = merge.next().expect("memory reads") {
        comparison.take(&arrival);
    }
    comparison.finish();
    let (summary, compared) = (comparison.a().summary(), comparison.compared());
    Report::compared(&comparison, &summary, &compared).html()
}

const STRICTER: &str = "mode = \"enforce\"\n[review]\nbudget = 0.3\n[freeze]\nlease = \"4h\"\n";

/// Begins of what is there only where a history has it: rules, capture, AI, what is learned, changes decided otherwise.
const OF_CHANGES: [&str; 6] = [
    "Changes sent to extra review, the riskiest first",
    "<h2>Rules of the policy</h2>",
    "<p>Incidents and reverts name 30 commits",
    "<h2>Changes made with AI</h2>",
    "Inputs of the policy, with 95 % intervals",
    " changes are decided differently when they land",
];

#[test]
fn a_page_is_whole_and_refers_to_nothing_outside() {
    let events = super::replay(&history("checkout"), None).summary.events;
    assert_eq!((events.rejected, events.by_kind["commit"]), (0, 300));
    for compare in [None, Some(STRICTER)] {
        let html = page(&history("checkout"), None, compare);
        for (i, begin) in OF_CHANGES.into_iter().enumerate() {
            assert_eq!(html.contains(begin), i < 5 || compare.is_some(), "{begin}");
        }
        let tags = tags(&html);
        for reference in ["http:", "https:", "src=", "href=", "url(", "@import", "//", "style=\""] {
            let found = html.find(reference).map(|at| html.get(at.saturating_sub(30)..at + 20));
            assert_eq!(found, None, "{reference}");
        }
        let handlers = tags
            .iter()
            .flat_map(|tag| &tag.attributes)
            .filter(|(name, _)| name.starts_with("on"));
        assert_eq!(handlers.count(), 0);
        for forbidden in ["script", "link", "img", "iframe", "object", "embed", "base", "form"] {
            assert!(tags.iter().all(|tag| tag.name != forbidden), "{forbidden}");
        }
        assert!(html.contains("default-src 'none'; style-src 'sha256-"));
        let n_charts = tags.iter().filter(|tag| has(tag, "role", "img")).count();
        let n_tables = tags.iter().filter(|tag| tag.name == "table").count();
        let n_captions = tags.iter().filter(|tag| tag.name == "caption").count();
        assert!(
            n_charts >= 4 && n_tables >= n_charts,
            "{n_charts} charts, {n_tables} tables"
        );
        assert_eq!(n_tables, n_captions);
    }
}

fn has(tag: &Tag, name: &str, value: &str) -> bool {
    tag.attributes.iter().any(|(own, of)| own == name && of == value)
}

/// The same page comes out, tag by tag, whatever the names in it are.
#[test]
fn a_hostile_name_is_shown_and_changes_no_tag() {
    let hostile = "c</style></title><script src=http://evil/x.js>alert(1)</script>\"' onload=\"x\"&lt;\u{202e}";
    let shape = |html: &str| {
        let tags = tags(html).into_iter();
        let shape = tags.map(|tag| {
            (
                tag.name,
                tag.attributes.into_iter().map(|(name, _)| name).collect::<Vec<_>>(),
            )
        });
        shape.collect::<Vec<_>>()
    };
    let rule = |name: &str| {
        let name = serde_json::to_string(name).expect("a text");
        format!(
            "[[rule]]\nname = {name}\nwhen = {{ ai = [\"assisted\"] }}\nthen = {{ action = \"extra_review\", approvals = 1 }}\n"
        )
    };
    let of_rule = hostile.replacen('c', "rule", 1).replace('\u{202e}', "");
    let (plain, named) = (rule("a-rule"), rule(&of_rule));
    let harmless = page(&history("checkout"), Some(&plain), Some(STRICTER));
    let html = page(&history(hostile), Some(&named), Some(STRICTER));
    assert_eq!(shape(&html), shape(&harmless));
    assert!(
        html.contains("&lt;script src=http://evil/x.js&gt;"),
        "it is shown as it is"
    );
    assert!(harmless.contains(">a-rule</th>") && html.contains(">rule&lt;/style&gt;"));
    assert!(!html.contains('\u{202e}'));
}

#[test]
fn the_same_history_gives_the_same_page_in_any_order_of_files_and_names_nobody() {
    let mut files = history("checkout");
    let html = page(&files, None, Some(STRICTER));
    files.reverse();
    assert_eq!(html, page(&files, None, Some(STRICTER)));
    for person in ["Lovelace", "Turing", "Hopper"] {
        assert!(!html.contains(person), "{person}");
    }
}

#[test]
fn a_freeze_is_drawn_with_what_happened_around_it() {
    let html = page(&history("checkout"), None, None);
    let (_, timelines) = html.split_once("<h2>Each freeze</h2>").expect("timelines");
    let (_, freeze) = timelines.split_once("checkout @ production").expect("the bad deploy's");
    for expected in [
        "critical tier · frozen 2026-03-02 06:",
        "borne out</span>",
        "errors at ",
        "Put down to d-362",
        "deploy d-362checkout",
        "incident checkout",
        "freeze begins",
        "Usual before: ",
    ] {
        assert!(freeze.contains(expected), "{expected}: {freeze}");
    }
    assert!(
        timelines.contains("a person freezes it"),
        "an override is among the marks"
    );
}

/// A person freezes cart for forty minutes, which holds in shadow mode too.
#[test]
fn a_page_says_that_nothing_would_have_been_blocked_only_where_nothing_would() {
    let nothing = "nothing would have been blocked.";
    let usual = Scenario::usual(2).files();
    assert!(page(&usual, None, None).contains(nothing));
    let enforced = page(&usual, Some("mode = \"enforce\"\n"), None);
    assert!(enforced.contains(" h of it enforced.") && !enforced.contains(nothing));

    let html = page(&history("checkout"), None, None);
    assert!(!html.contains(nothing) && html.contains("0.7 h of it enforced."));
    let (_, freeze) = html.split_once("cart @ production").expect("the person's");
    let (line, _) = freeze.split_once("</p>").expect("its first line");
    assert!(line.contains("in any mode") && !line.contains("in shadow"), "{line}");
    let held = super::replay(&history("checkout"), None).summary.held_hours["freeze"];
    assert!((held.enforce - 0.667).abs() < 0.001 && held.shadow > 1.0, "{held:?}");

    // No service is frozen, and changes are held in earnest.
    let calm = Scenario {
        deploys: Vec::new(),
        ..Scenario::usual(2)
    };
    let mut files = calm.files();
    files.push(("more", super::commits_and_incidents()));
    let html = page(&files, Some("mode = \"enforce\"\n"), None);
    assert!(!html.contains(nothing) && html.contains("None of it enforced, but"));
}

#[test]
fn a_page_says_that_a_deploy_was_taken_back_only_where_it_was() {
    let lifted = "lifted: the deploy was taken back and errors recovered";
    let html = page(&Scenario::usual(2).files(), None, None);
    assert!(html.contains("lifted: its end was reached") && !html.contains(lifted));

    // Errors are as usual again from the rollback on.
    let mut files = Scenario {
        deploys: vec![(380, "checkout", 1), (362, "checkout", 5)],
        ..Scenario::usual(2)
    }
    .files();
    let back =
        r#""kind":"deploy","service":"checkout","environment":"production","deploy_id":"d-362","status":"rolled_back""#;
    files.push(("more", super::line(0, 380, back)));
    let html = page(&files, None, None);
    assert!(html.contains(lifted) && !html.contains("lifted: its end was reached"));
}

/// The incident that takes over at minute 390 is resolved half an hour later, before the lease ends.
#[test]
fn a_freeze_that_goes_on_behind_an_incident_is_drawn_once() {
    let html = page(&history("checkout"), None, None);
    let (_, timelines) = html.split_once("<h2>Each freeze</h2>").expect("timelines");
    let of_checkout: Vec<&str> = timelines
        .split("<article")
        .filter(|freeze| freeze.contains("<h3>checkout @ production"))
        .collect();
    let by = |text: &str| of_checkout.iter().filter(|freeze| freeze.contains(text)).count();
    assert_eq!(
        (of_checkout.len(), by("times the baseline"), by("of severity 1")),
        (2, 1, 1)
    );
    assert_eq!(by("lifted: another freeze took over"), 1, "the incident's");
    assert_eq!(by("lifted: its end was reached"), 1, "that by evidence");
}

/// The policy in use lets nobody be convicted within the history.
#[test]
fn a_freeze_that_only_the_other_policy_begins_is_drawn_apart() {
    let lax = "[freeze]\nmargin = 10\n";
    let html = page(&history("checkout"), Some(lax), Some(""));
    let (_, only_b) = html.split_once("<h2>Freezes that only B begins</h2>").expect("one");
    assert!(only_b.contains("checkout @ production") && only_b.contains("Put down to d-362"));
    assert!(!page(&history("checkout"), Some(lax), Some(lax)).contains("only B begins"));
}

/// Each table by tier has a row of either policy, with intervals of both.
#[test]
fn tiers_of_two_policies_stand_under_one_another() {
    let mut files = history("checkout");
    let cause = super::incident("detected", "checkout", r#","caused_by":{"sha":"sha-0"}"#);
    files.push(("cause", super::line(0, 300, &cause)));
    let html = page(&files, None, Some(STRICTER));
    let captions = [
        "The riskiest 10 % of each tier",
        "Delay by tier of the service",
        "Freezes by evidence, with 95 % intervals",
        "Hours for which services were held, summed over them",
    ];
    for caption in captions {
        let (_, table) = html.split_once(&format!("<caption>{caption}")).expect("a table");
        let (table, _) = table.split_once("</table>").expect("its end");
        let heads: Vec<&str> = table.split("<th scope=\"row\">").skip(1).collect();
        let heads: Vec<&str> = heads
            .iter()
            .filter_map(|row| Some(row.split_once("</th>")?.0))
            .collect();
        let tiers = heads.iter().filter(|head| !head.starts_with("all"));
        let tiers: Vec<&str> = tiers.copied().collect();
        let sides: Vec<&str> = tiers
            .iter()
            .filter_map(|head| Some(head.split_once(" · ")?.1))
            .collect();
        assert_eq!(sides, ["A", "B"].repeat(tiers.len() / 2), "{caption}: {heads:?}");
        assert_eq!(tiers[..2], ["critical · A", "critical · B"], "{caption}");
    }
    assert!(html.contains(">all · A</th>") && html.contains(">all · B</th>"));
    // By itself a policy has no letter.
    assert!(!page(&history("checkout"), None, None).contains(" · A</th>"));
}

/// A grave incident on each of many services freezes them all, but for what the limiter withholds; nobody finds a deploy.
#[test]
fn freezes_that_are_not_drawn_are_listed() {
    let policy = "[limiter]\nincident_per_hour_min = 20_000\n";
    let rows = |n: usize| {
        let mut files = Scenario::usual(4).files();
        let grave = |i: usize| {
            let fields = format!(
                r#""kind":"incident","service":"s-{i:04}","environment":"production","incident_id":"i","status":"detected","severity":1"#
            );
            super::line(i, 200, &fields)
        };
        files.push(("grave", (0..n).map(grave).collect::<String>()));
        let html = page(&files, Some(policy), None);
        tags(&html);
        let (_, timelines) = html.split_once("<h2>Each freeze</h2>").expect("timelines");
        assert!(timelines.contains(&format!(
            "<p>24 of {} freezes are drawn",
            super::super::text::grouped(super::super::summary::count(n + 1))
        )));
        let (_, list) = timelines
            .split_once("<caption>Freezes that are not drawn")
            .expect("a list");
        let (list, more) = list.split_once("</table>").expect("its end");
        let rows: Vec<String> = list.split("<tr>").skip(2).map(str::to_owned).collect();
        let more = more
            .split_once(" more are left out")
            .map(|(before, _)| before.to_owned());
        (rows, more)
    };
    // That by evidence is drawn, and 23 of the others.
    let (listed, more) = rows(40);
    assert_eq!((listed.len(), more), (17, None));
    assert!(
        listed[0].starts_with("<th scope=\"row\">s-0023 @ production</th><td>2026-03-02 03:20</td><td>2026-03-02 0"),
        "{}",
        listed[0]
    );
    assert!(listed[0].contains("<td>by an incident</td>"), "{}", listed[0]);
    let (listed, more) = rows(1_100);
    let more = more.expect("some are left out");
    assert_eq!(listed.len(), 1_000);
    assert!(more.ends_with(">77"), "{more}");
}

#[test]
fn a_history_of_nothing_is_a_page_too() {
    let html = page(&[("none", String::new())], None, None);
    tags(&html);
    assert!(html.contains("no events") && html.contains("No service was frozen."));
}
