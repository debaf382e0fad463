//! What is told of AI-assisted changes, and by whom.

use std::time::Duration;

use tokio::sync::watch;

use super::support::{Server, state};
use crate::score::{AiEvidence, AiOutlook, Classes, Comparison};

/// So many failures that can be compared, and what they come to.
fn outlook(n_compared: u64, comparison: Option<Comparison>) -> AiOutlook {
    AiOutlook {
        evidence: AiEvidence {
            deployed: Classes::default(),
            failed: Classes::default(),
            n_compared,
            comparison,
            multiplier: 1.0,
        },
        at_risk: Classes {
            human: 310,
            ai: 204,
            unknown: 17,
        },
    }
}

const FOUND: Comparison = Comparison {
    ratio: 1.09,
    ratio_low: 0.71,
    ratio_high: 1.683,
    e_more: 0.8,
    e_less: 0.3,
};

#[tokio::test]
async fn a_ratio_is_told_with_its_interval_and_what_it_rests_on_or_not_at_all() {
    let ratio = "holdpoint_ai_failure_ratio";
    let cases: [(AiOutlook, &[&str], &str); 2] = [
        (
            outlook(12, None),
            &["holdpoint_ai_comparable_failures 12\n"],
            "not enough data, 12 comparable failures of the 20 that are needed",
        ),
        (
            outlook(140, Some(FOUND)),
            &[
                "holdpoint_ai_comparable_failures 140\n",
                "holdpoint_ai_failure_ratio{bound=\"estimate\"} 1.09\n",
                "holdpoint_ai_failure_ratio{bound=\"lower\"} 0.71\n",
                "holdpoint_ai_failure_ratio{bound=\"upper\"} 1.683\n",
            ],
            "they fail 1.09 times as often as others: between 0.71 and 1.68 times with 95 % at all times, by 140 comparable",
        ),
    ];
    for (outlook, lines, sentence) in cases {
        let has_ratio = outlook.evidence.comparison.is_some();
        let mut state = state();
        let (sender, receiver) = watch::channel(Some(outlook));
        state.ai = receiver;
        let server = Server::start(state).await;
        let metrics = server.get("/metrics").await.body;
        for line in lines {
            assert!(metrics.contains(line), "no `{line}` in {metrics}");
        }
        for at_risk in ["with\"} 204", "without\"} 310", "unknown\"} 17"] {
            let line = format!("holdpoint_ai_changes_at_risk{{ai=\"{at_risk}\n");
            assert!(metrics.contains(&line), "no `{line}` in {metrics}");
        }
        for name in ["changes_at_risk", "comparable_failures", "failure_ratio"] {
            let is_told = has_ratio || name != "failure_ratio";
            let line = format!("# TYPE holdpoint_ai_{name} gauge\n");
            assert_eq!(metrics.contains(&line), is_told, "`{line}` in {metrics}");
        }
        assert_eq!(metrics.contains(ratio), has_ratio, "{metrics}");
        let page = server.get("/").await.body;
        assert!(page.contains(sentence), "no `{sentence}` in {page}");
        assert!(page.contains("204 with AI, 310 without, 17 do not say"), "{page}");
        // The partition goes to another instance.
        sender.send_replace(None);
        assert!(!server.get("/metrics").await.body.contains("holdpoint_ai"));
        assert!(!server.get("/").await.body.contains(" AI"));
        server.stop().await;
    }
}

#[tokio::test]
async fn an_instance_without_the_fleet_names_the_one_that_has_it() {
    for (instance, url, told) in [
        (
            "node-b",
            "http://node-b:8484",
            "<a href=\"http://node-b:8484\">node-b</a>, which holds",
        ),
        ("<b>", "javascript:alert(1)", "told by &lt;b&gt;, which holds"),
    ] {
        let state = state();
        state.beat("fleet", instance, url, Duration::from_secs(2));
        let server = Server::start(state).await;
        let page = server.get("/").await.body;
        assert!(page.contains(told), "no `{told}` in {page}");
        server.stop().await;
    }
    // Its own partition, which it is restoring.
    let state = state();
    state.beat("fleet", "node-a", "http://node-a:8484", Duration::from_secs(2));
    let server = Server::start(state).await;
    assert!(!server.get("/").await.body.contains(" AI "));
    server.stop().await;
}
