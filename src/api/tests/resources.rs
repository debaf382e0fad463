//! One table: request, status, and what the body holds.

use std::time::Duration;

use super::support::{LIMITS_OF_TESTS, PATIENCE, Server, decision, state};
use crate::{
    api::{
        Health,
        server::{LIMITS, Limits},
    },
    gate::{Record, StandingDecision},
};

const PROBLEM: &str = "application/problem+json";
const JSON: &str = "application/json";

/// Request, status, type, and what the body holds.
const CASES: [(&str, u16, &str, &str); 41] = [
    ("/healthz", 200, JSON, r#""status":"alive""#),
    ("/readyz", 200, JSON, r#""status":"ready""#),
    (
        "/metrics",
        200,
        "text/plain; version=0.0.4; charset=utf-8",
        "holdpoint_services{action=\"freeze\"} 1\n",
    ),
    (
        "/",
        200,
        "text/html; charset=utf-8",
        "errors of checkout at 6.1 times the baseline &lt;since&gt; d-81",
    ),
    ("/assets/page.js", 200, "text/javascript; charset=utf-8", "EventSource"),
    (
        "/assets/page.css",
        200,
        "text/css; charset=utf-8",
        "prefers-color-scheme",
    ),
    ("/assets/icon.svg", 200, "image/svg+xml", "<svg"),
    (
        "/v1/verdict?service=checkout&environment=production",
        200,
        JSON,
        r#""exit_status":20,"decision":{"action":"freeze""#,
    ),
    (
        "/v1/verdict?service=checkout&kind=rollback",
        200,
        JSON,
        r#""verdict":"proceed""#,
    ),
    (
        "/v1/verdict?service=checkout&kind=hotfix",
        200,
        JSON,
        r#""verdict":"freeze""#,
    ),
    (
        "/v1/verdict?service=checkout&kind=hotfix&incident=INC-1",
        200,
        JSON,
        r#""exit_status":0"#,
    ),
    (
        "/v1/verdict?service=cart",
        200,
        JSON,
        r#""verdict":"proceed","known":true"#,
    ),
    (
        "/v1/verdict?service=cart&change=a1&change=b2",
        200,
        JSON,
        r#""sha":"b2""#,
    ),
    (
        "/v1/verdict?service=cart&environment=staging",
        200,
        JSON,
        r#""verdict":"unknown","known":false"#,
    ),
    (
        "/v1/verdict?service=who&fail_mode=closed",
        200,
        JSON,
        r#""exit_status":30,"decision":null"#,
    ),
    (
        "/v1/verdict?service=who&failmode=closed",
        400,
        PROBLEM,
        "`failmode` is none of service, environment, change, kind, incident, fail_mode",
    ),
    ("/v1/verdict?service=who&env=staging", 400, PROBLEM, "`env`"),
    ("/v1/verdict?service=who&changes=a1", 400, PROBLEM, "`changes`"),
    ("/v1/verdict?service=who&=", 400, PROBLEM, "`` is none of"),
    ("/v1/services?team=any&limit=1", 200, JSON, r#""items":[{"#),
    ("/v1/verdict", 400, PROBLEM, "`service` is missing"),
    ("/v1/verdict?service=", 400, PROBLEM, "`service` is empty"),
    ("/v1/verdict?service=a%0Ab", 400, PROBLEM, "control character"),
    ("/v1/verdict?service=%ff", 400, PROBLEM, "percent-encoded"),
    ("/v1/verdict?service=a&service=b", 400, PROBLEM, "given twice"),
    (
        "/v1/verdict?service=a&environment=",
        400,
        PROBLEM,
        "`environment` is empty",
    ),
    (
        "/v1/verdict?service=a&kind=big",
        400,
        PROBLEM,
        "release, rollback, hotfix, security",
    ),
    ("/v1/verdict?service=a&kind=", 400, PROBLEM, "`kind`"),
    ("/v1/verdict?service=a&fail_mode=maybe", 400, PROBLEM, "`fail_mode`"),
    ("/v1/verdict?service=a&change=", 400, PROBLEM, "change 1 of 1"),
    ("/v1/services?limit=0", 400, PROBLEM, "`limit`"),
    ("/v1/services?limit=many", 400, PROBLEM, "`limit`"),
    ("/v1/services?cursor=00", 400, PROBLEM, "`cursor`"),
    ("/v1/decisions?cursor=zz", 400, PROBLEM, "`cursor`"),
    (
        "/v1/services/checkout",
        200,
        JSON,
        r#""applied":{"commit":0,"deploy":0,"error":214,"#,
    ),
    ("/v1/services/nobody", 404, PROBLEM, "`nobody`"),
    ("/v1/services/wedged", 503, PROBLEM, "being rebuilt"),
    ("/v1/services/%ff", 400, PROBLEM, "path"),
    ("/v1/services/a%0Ab", 400, PROBLEM, "control character"),
    ("/nowhere", 404, PROBLEM, "`/nowhere`"),
    ("/v1/services/", 404, PROBLEM, "no `/v1/services/` here"),
];

async fn fleet() -> Server {
    let state = state();
    for (service, action, risk) in [
        ("checkout", "freeze", 0.93),
        ("search", "extra_review", 0.4),
        ("cart", "proceed", 0.1),
    ] {
        state.beat(service, "node-a", "http://node-a:8484", Duration::from_secs(1));
        state.decide(service, 1, action, risk);
    }
    Server::start(state).await
}

#[tokio::test]
async fn requests_are_answered_as_the_contract_has_it() {
    let server = fleet().await;
    for (target, status, content_type, holds) in CASES {
        let answer = server.get(target).await;
        assert_eq!(answer.status, status, "{target}: {}", answer.body);
        assert_eq!(answer.header("content-type"), Some(content_type), "{target}");
        assert!(
            answer.body.contains(holds),
            "{target} does not hold `{holds}`: {}",
            answer.body
        );
        if status >= 400 {
            assert_eq!(answer.json()["status"], status, "{target}");
            assert!(
                answer.json()["title"].is_string() && answer.json()["type"].is_string(),
                "{target}"
            );
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn head_is_get_without_a_body_and_other_methods_are_refused() {
    let server = fleet().await;
    for target in [
        "/",
        "/healthz",
        "/v1/services",
        "/v1/services/checkout",
        "/v1/verdict?service=cart",
    ] {
        let (get, head) = (server.get(target).await, server.ask("HEAD", target, "").await);
        assert_eq!((head.status, head.body.as_str()), (200, ""), "{target}");
        assert_eq!(head.header("content-length"), get.header("content-length"), "{target}");
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let answer = server.ask(method, "/v1/services", "").await;
        assert_eq!(answer.status, 405, "{method}");
        assert_eq!(
            answer.header("content-type"),
            Some("application/problem+json"),
            "{method}"
        );
        assert_eq!(answer.header("allow"), Some("GET,HEAD"), "{method}");
    }
    server.stop().await;
}

#[tokio::test]
async fn every_answer_forbids_sniffing_storing_and_foreign_scripts() {
    let server = fleet().await;
    for target in ["/", "/v1/services", "/nowhere", "/v1/verdict", "/metrics"] {
        let answer = server.get(target).await;
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{target}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{target}");
        let policy = answer.header("content-security-policy").expect(target);
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self'") && !policy.contains("unsafe"),
            "{target}"
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn lists_are_paged_worst_and_newest_first() {
    let server = fleet().await;
    let all = server.get("/v1/services").await.json();
    assert!(all["next"].is_null());
    let mut seen = Vec::new();
    let mut target = "/v1/services?limit=1".to_owned();
    loop {
        let page = server.get(&target).await.json();
        seen.extend(page["items"].as_array().expect("items").iter().cloned());
        let Some(next) = page["next"].as_str() else { break };
        target = format!("/v1/services?limit=1&cursor={next}");
    }
    let services: Vec<_> = seen.iter().map(|item| item["subject"]["service"].as_str()).collect();
    assert_eq!(services, [Some("checkout"), Some("search"), Some("cart")]);
    assert_eq!(all["items"].as_array(), Some(&seen));
    let newest = server.get("/v1/decisions?limit=2").await.json();
    assert_eq!(newest["items"][0]["subject"]["service"], "cart");
    let rest = server
        .get(&format!(
            "/v1/decisions?cursor={}",
            newest["next"].as_str().expect("more")
        ))
        .await
        .json();
    assert_eq!(rest["items"].as_array().map(Vec::len), Some(1));
    server.stop().await;
}

/// A topic of overrides that is misspelt must lift no freeze.
#[tokio::test]
async fn what_is_held_stays_so_where_only_overrides_are_not_known() {
    let wordless = state();
    wordless
        .health
        .set(Health::VIEW, Some("there is no topic `o`".to_owned()));
    wordless.health.note_control_read();
    for (service, action) in [("checkout", "freeze"), ("search", "extra_review"), ("cart", "proceed")] {
        wordless.beat(service, "node-a", "http://node-a:8484", Duration::from_secs(1));
        wordless.decide(service, 1, action, 0.5);
    }
    let server = Server::start(wordless).await;
    for (asked, verdict, exit_status) in [
        ("service=checkout", "freeze", 20),
        ("service=checkout&fail_mode=closed", "freeze", 20),
        ("service=search", "extra_review", 10),
        ("service=search&fail_mode=closed", "unknown", 30),
        ("service=cart&change=a", "unknown", 0),
        ("service=cart&fail_mode=closed", "unknown", 30),
    ] {
        let answer = server.get(&format!("/v1/verdict?{asked}")).await.json();
        let found = (answer["verdict"].as_str(), answer["exit_status"].as_u64());
        assert_eq!(found, (Some(verdict), Some(exit_status)), "{asked}: {answer}");
        assert_eq!(answer["known"], false, "{asked}");
        let why = match verdict {
            "unknown" => "there is no topic `o`",
            _ => "overrides may be missing (there is no topic `o`)",
        };
        assert!(answer["text"].to_string().contains(why), "{asked}: {answer}");
    }
    server.stop().await;
}

/// Mistaking what is not read for what is free would let everything by.
#[tokio::test]
async fn what_is_not_known_is_said() {
    let behind = state();
    behind.health.set("view", Some("at offset 3 of 9".to_owned()));
    behind.health.set("partitions", Some("2 are being restored".to_owned()));
    behind.decide("checkout", 1, "freeze", 0.9);
    let server = Server::start(behind).await;
    let ready = server.get("/readyz").await;
    assert_eq!(
        (ready.status, ready.json()["reasons"]["partitions"].as_str()),
        (503, Some("2 are being restored"))
    );
    assert_eq!(server.get("/healthz").await.status, 200);
    let verdict = server.get("/v1/verdict?service=checkout&fail_mode=closed").await.json();
    assert_eq!(
        (verdict["verdict"].as_str(), verdict["exit_status"].as_u64()),
        (Some("unknown"), Some(30))
    );
    assert!(server.get("/").await.body.contains("not ready"));
    assert!(server.get("/metrics").await.body.contains("\nholdpoint_ready 0\n"));
    server.state.health.set("view", None);
    assert_eq!(
        server.get("/v1/verdict?service=checkout").await.json()["verdict"],
        "freeze"
    );
    server.state.forget_n_partitions();
    assert_eq!(
        server.get("/v1/verdict?service=checkout").await.json()["verdict"],
        "unknown"
    );
    server.stop().await;
}

/// A page whose name comes to mean this machine reads nothing here, and asks nothing.
#[tokio::test]
async fn who_asks_by_a_strangers_name_is_refused() {
    let server = fleet().await;
    for (host, status) in [("evil.example", 403), ("node-a:8484", 200), ("127.0.0.1", 200)] {
        for target in ["/", "/v1/services", "/metrics"] {
            let request = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
            let answer = server.send(request.as_bytes()).await;
            assert_eq!(answer.status, status, "{host} {target}: {}", answer.body);
        }
        for check in ["/healthz", "/readyz"] {
            let request = format!("GET {check} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
            assert_eq!(server.send(request.as_bytes()).await.status, 200, "{host} {check}");
        }
    }
    assert_eq!(server.send(b"GET /healthz HTTP/1.0\r\n\r\n").await.status, 200);
    server.stop().await;
}

/// To look at all services for each who asks would leave the scorer no core.
#[tokio::test]
async fn what_is_told_of_all_services_is_shared() {
    let n_frozen = "holdpoint_services{action=\"freeze\"} ";
    let shared = Limits {
        overview_age: PATIENCE,
        ..LIMITS
    };
    for (limits, n) in [(shared, 0), (LIMITS_OF_TESTS, 1)] {
        let server = Server::start_within(limits, state()).await;
        assert!(server.get("/").await.body.contains("<b>0</b> frozen"));
        server.state.decide("checkout", 1, "freeze", 0.9);
        let metrics = server.get("/metrics").await.body;
        assert!(metrics.contains(&format!("{n_frozen}{n}\n")), "{metrics}");
        server.stop().await;
    }
}

/// Names come from outside, and series must be as many as services are frozen, no more.
#[tokio::test]
async fn metrics_name_what_stands_and_nothing_that_is_gone() {
    let state = state();
    state.decide("a\"b\\c", 1, "freeze", 0.5);
    let server = Server::start(state).await;
    let text = server.get("/metrics").await.body;
    for line in [
        r#"holdpoint_services{action="freeze"} 1"#,
        r#"holdpoint_services{action="proceed"} 0"#,
        r#"holdpoint_service_risk_ratio{service="a\"b\\c"} 0.5"#,
        r#"holdpoint_service_frozen_since_timestamp_seconds{service="a\"b\\c"} 1773151207.120"#,
        "holdpoint_ready 1",
    ] {
        assert!(text.lines().any(|known| known == line), "no `{line}` in {text}");
    }
    let began = "2026-03-10T12:00:00Z".parse().expect("a time");
    server.state.apply(
        "a\"b\\c",
        Record::Decision(StandingDecision {
            frozen_since: Some(began),
            ..decision("a\"b\\c", 2, "freeze", 0.5)
        }),
    );
    let text = server.get("/metrics").await.body;
    assert!(text.contains("} 1773144000.000\n"), "renewed: {text}");
    server.state.decide("a\"b\\c", 3, "proceed", 0.0);
    let text = server.get("/metrics").await.body;
    assert!(
        text.contains("holdpoint_services{action=\"freeze\"} 0\n") && !text.contains("b\\\\c"),
        "{text}"
    );
    server.stop().await;
}
