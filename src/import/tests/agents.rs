//! Which commits AI had a part in: what agents write, and what only looks like it.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::{
    assistance::{self, Found},
    log::{Commit, Person},
    message::Message,
};
use crate::model::{
    Assistance::{self, Assisted, Authored, None as Nobody, Unknown},
    Confidence::{self, High, Medium},
};

const ALICE: (&str, &str) = ("Alice Doe", "alice@example.com");

fn person((name, email): (&str, &str)) -> Person {
    Person {
        name: name.to_owned(),
        email: email.to_owned(),
    }
}

fn found(author: (&str, &str), committer: (&str, &str), message: &str) -> Found {
    let commit = Commit {
        sha: "a".repeat(40).into(),
        committed_at: 0,
        parents: Vec::new(),
        author: person(author),
        author_key: author.1.to_owned(),
        committer: person(committer),
        message: message.to_owned(),
        files: Vec::new(),
    };
    assistance::of(&commit, &Message::of(message))
}

fn check(message: &str, expected: (Assistance, &[&str], Option<Confidence>)) {
    let found = found(ALICE, ALICE, message);
    let told = (found.assistance, found.tools.as_slice(), found.confidence);
    assert_eq!(told, expected, "{message:?}");
    assert!(!found.bot, "{message:?}");
}

#[test]
fn trailers_and_markers_tell_of_assistance() {
    let claude = "Co-Authored-By: Claude <noreply@anthropic.com>";
    let cases: [(String, &[&str], Confidence); 19] = [
        (format!("x\n\n{claude}"), &["claude-code"], High),
        (format!("x\n\nwords\n\n🤖 Generated with [Claude Code](https://claude.com/claude-code)\n\n{claude}"), &["claude-code"], High),
        ("x\n\nCo-authored-by: Copilot <1+Copilot@users.noreply.github.com>\nCo-authored-by: x <223556219+renamed@users.noreply.github.com>".into(), &["copilot"], High),
        ("x\n\nCo-authored-by: Copilot <175728472+Copilot@users.noreply.github.com>".into(), &["copilot"], High),
        ("x\n\nCo-authored-by: Copilot <copilot@github.com>".into(), &["copilot"], Medium),
        // Folded, and with a blank before the colon, as git reads them too.
        ("x\n\nCo-authored-by: Copilot the second\n <175728472+Copilot@users.noreply.github.com>".into(), &["copilot"], High),
        ("x\n\nCo-authored-by : Copilot <175728472+Copilot@users.noreply.github.com>".into(), &["copilot"], High),
        // A squash merge leaves the trailers of its parts behind.
        (format!("x (#3)\n\n* one\n\n{claude}\n\n* two\n\nmore words"), &["claude-code"], Medium),
        ("x\nAssisted-by: Claude:opus-5 coccinelle".into(), &["claude-code"], High),
        ("x\n\nAssisted-by: Claude Opus 5".into(), &["claude-code"], High),
        ("x\n\nGenerated-by: ChatGPT 4".into(), &["chatgpt"], High),
        ("x\n\nCo-authored-by: Codex <noreply@openai.com>".into(), &["codex"], High),
        ("x\n\nCo-authored-by: Qwen-Coder <qwen-coder@alibabacloud.com>".into(), &["qwen-code"], High),
        ("x\n\nGenerated-by: claude-opus-4.5".into(), &["claude-code"], High),
        ("x\n\nMade-with: Cursor".into(), &["cursor"], High),
        ("x\n\nAI-assisted: yes".into(), &[], High),
        ("x\n\nAI-assisted: GitHub Copilot".into(), &["copilot"], High),
        ("x\r\n\r\nSigned-off-by: A <a@b>\r\nAmp-Thread-ID: https://ampcode.com/threads/T-1\r\n".into(), &["amp"], High),
        ("aider: rename handler".into(), &["aider"], Medium),
    ];
    for (message, tools, confidence) in cases {
        check(&message, (Assisted, tools, Some(confidence)));
    }
}

#[test]
fn what_only_looks_like_it_is_unknown() {
    for message in [
        "",
        "x",
        "x\n\nCo-authored-by: Claude Dupont <claude.dupont@example.fr>",
        "x\n\nAssisted-by: Claude Dupont",
        "x\n\nAssisted-by: Devin Smith",
        "x\n\nAssisted-by: Jules-Antoine",
        "x\n\nMade-with: love",
        "x\n\nGenerated-by: ai.py script",
        "x\n\nGenerated-by: cursor-theme-builder 1.0",
        "x\n\nAI-assisted: maybe",
        "x\n\n> Co-Authored-By: Claude <noreply@anthropic.com>\n\nremove that line",
        "x\n\n    Co-Authored-By: Claude <noreply@anthropic.com>",
        "Co-Authored-By: Claude <noreply@anthropic.com>",
        "x\n\nThe agent writes\nCo-Authored-By: Claude <noreply@anthropic.com>\ninto each message.\n\nMore.",
        "x\n\nCo-authored-by: <<noreply@anthropic.com>>",
        "x\n\nCo-authored-by: noreply@anthropic.com",
        "Move the cursor and continue after codex lookup, generated with claude code",
        "feat(copilot): add toggle",
    ] {
        check(message, (Unknown, &[], None));
    }
}

#[test]
fn a_denial_is_taken_at_its_word_unless_something_speaks_against_it() {
    check("x\n\nAI-assisted: no", (Nobody, &[], Some(High)));
    check("x\n\nAssisted-by: none", (Nobody, &[], Some(High)));
    check("x\n\nAI-assisted: No, written by hand", (Nobody, &[], Some(High)));
    check("x\n\nAssisted-by: none (all by hand)", (Nobody, &[], Some(High)));
    check(
        "x\n\nAI-assisted: no\nCo-authored-by: Cursor <cursoragent@cursor.com>",
        (Assisted, &["cursor"], Some(High)),
    );
}

#[test]
fn an_agent_as_the_author_made_the_change_and_a_bot_is_no_ai() {
    let github = |local: &str| format!("{local}@users.noreply.github.com");
    let cases = [
        ("RenamedBot", github("198982749+RenamedBot"), Authored, false),
        ("jules", github("161369871+google-labs-jules[bot]"), Authored, false),
        ("Cursor Agent", "CursorAgent@cursor.com".to_owned(), Authored, false),
        ("dependabot[bot]", github("49699333+dependabot[bot]"), Unknown, true),
        (
            "Renovate Bot",
            "renovate@whitesourcesoftware.com".to_owned(),
            Unknown,
            true,
        ),
        ("any[bot]", github("123+any[bot]"), Unknown, true),
        ("github-actions", github("alice"), Unknown, false),
        ("robot[bot]", "robot@example.com".to_owned(), Unknown, false),
        ("Alice Doe (aider)", "alice@example.com".to_owned(), Assisted, false),
    ];
    for (name, email, assistance, bot) in cases {
        let found = found((name, &email), ALICE, "x");
        assert_eq!((found.assistance, found.bot), (assistance, bot), "{name} {email}");
    }
    // It saved what a person wrote.
    let saved = found(ALICE, ("Alice Doe (aider)", "alice@example.com"), "x");
    assert_eq!(saved, Found::default());
}

/// Every rule of the table is found by what it describes, and no address is listed twice.
#[test]
fn the_table_has_no_dead_lines() {
    use super::super::assistance::table::{AGENTS, Address, BOTS, TOOLS, TRAILERS};
    let address = |address: Address| match address {
        Address::Is(address) => address.to_owned(),
        Address::GithubId(id) => format!("{id}+x@users.noreply.github.com"),
    };
    let mut seen = BTreeSet::new();
    for (of, agent, confidence) in AGENTS {
        let address = address(of);
        assert!(seen.insert(address.clone()), "{address} twice");
        let found = found(("x", &address), ALICE, "x");
        assert_eq!(
            (found.tools.as_slice(), found.confidence),
            (&[agent][..], Some(confidence)),
            "{address}"
        );
    }
    for of in BOTS {
        let address = address(of);
        assert!(seen.insert(address.clone()), "{address} twice");
        assert!(found(("x", &address), ALICE, "x").bot, "{address}");
    }
    for (key, _) in TRAILERS {
        let values = ["x <cursoragent@cursor.com>", "cursor", "yes"];
        let is_found = |value: &&str| found(ALICE, ALICE, &format!("x\n\n{key}: {value}")).is_by_ai();
        assert!(values.iter().any(is_found), "{key}");
    }
    for (word, agent, _) in TOOLS {
        let found = found(ALICE, ALICE, &format!("x\n\nAssisted-by: {word}"));
        assert!(found.is_by_ai(), "{word}");
        assert!(
            agent == "unknown" || found.tools == [agent],
            "{word}: {:?}",
            found.tools
        );
    }
}

/// Messages that others collected, where they are at hand: `$HOLDPOINT_DATA/payloads/ai-commits/corpus.jsonl`.
#[test]
fn a_collected_corpus_comes_out_as_its_authors_say() {
    let path = std::env::var("HOLDPOINT_DATA").map(|folder| format!("{folder}/payloads/ai-commits/corpus.jsonl"));
    let Ok(corpus) = path
        .map_err(|_not_set| ())
        .and_then(|path| std::fs::read_to_string(path).map_err(|_no_file| ()))
    else {
        eprintln!("SKIPPED: HOLDPOINT_DATA names no folder with payloads/ai-commits/corpus.jsonl");
        return;
    };
    let mut n = 0;
    for line in corpus.lines() {
        let case: Value = serde_json::from_str(line).expect("JSON");
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let who = |who: &Value| (text(&who["name"]), text(&who["email"]));
        let (author, committer) = (who(&case["author"]), who(&case["committer"]));
        let found = found(
            (&author.0, &author.1),
            (&committer.0, &committer.1),
            &text(&case["message"]),
        );
        let expect = &case["expect"];
        let (assistance, bot) = match expect["kind"].as_str().expect("a kind") {
            "assisted" => (Assisted, false),
            "agent" => (Authored, false),
            "bot" => (Unknown, true),
            // Nothing said: whether a person wrote it alone nobody knows.
            _ => (Unknown, false),
        };
        assert_eq!((found.assistance, found.bot), (assistance, bot), "{line}");
        if found.is_by_ai() {
            let tool = found.tools.first().copied().unwrap_or("unknown");
            assert_eq!(tool, text(&expect["agent"]), "{line}");
            let confidence = serde_json::to_value(found.confidence).expect("a word");
            assert_eq!(confidence, expect["confidence"], "{line}");
            let list = expect["evidence"].as_array().expect("a list").iter().map(text);
            let (list, evidence): (BTreeSet<String>, BTreeSet<String>) =
                (list.collect(), found.evidence.into_iter().collect());
            assert_eq!(evidence, list, "{line}");
        }
        n += 1;
    }
    assert!(n > 0, "an empty corpus");
    eprintln!("{n} messages as expected");
}
