//! What is too large or too slow is refused.

use std::{io::ErrorKind, pin::pin, sync::Arc, time::Duration};

use axum::{
    extract::{self, RawQuery},
    http::StatusCode,
};
use tokio::{net::TcpStream, sync::watch, time::timeout};

use super::support::{PATIENCE, Server, state};
use crate::{
    api::{
        Edge,
        server::{LIMITS, Limits},
        services::services,
    },
    gate::CHANGES_MAX,
};

/// Short enough to be waited for, and small enough to be sent at once.
pub(super) const SHORT: Limits = Limits {
    request: Duration::from_millis(100),
    body_bytes: 16,
    ..LIMITS
};

#[tokio::test]
async fn bodies_over_the_limit_are_refused_and_others_are_passed_over() {
    let server = Server::start_within(
        Limits {
            body_bytes: 16,
            ..LIMITS
        },
        state(),
    )
    .await;
    let head = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n";
    let cases = [
        (format!("{head}Content-Length: 16\r\n\r\n0123456789abcdef"), 200),
        (
            format!("{head}Transfer-Encoding: chunked\r\n\r\n4\r\n0123\r\n0\r\n\r\n"),
            200,
        ),
        (format!("{head}Content-Length: 17\r\n\r\n"), 413),
        (
            format!("{head}Transfer-Encoding: chunked\r\n\r\n11\r\n0123456789abcdef0\r\n0\r\n\r\n"),
            413,
        ),
        (format!("{head}Content-Length: -1\r\n\r\n"), 400),
        (
            "POST /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2000000\r\n\r\n".to_owned(),
            413,
        ),
    ];
    for (request, status) in cases {
        let answer = server.send(request.as_bytes()).await;
        assert_eq!(answer.status, status, "{request}: {}", answer.body);
    }
    server.stop().await;
}

#[tokio::test]
async fn a_request_that_does_not_end_is_refused() {
    let server = Server::start_within(SHORT, state()).await;
    let slow_body = server
        .send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n0123")
        .await;
    assert_eq!((slow_body.status, slow_body.header("connection")), (408, Some("close")));
    assert_eq!(slow_body.header("content-type"), Some("application/problem+json"));
    // A head that does not come, or not to its end, is worth no answer.
    for head in ["GET /healthz HTTP/1.1\r\nHost:", ""] {
        assert_eq!(server.send(head.as_bytes()).await.status, 0, "{head}");
    }
    server.stop().await;
}

/// Those who ask and read nothing would have all connections, and nobody could ask whether the instance lives.
#[tokio::test]
async fn one_who_does_not_read_its_answer_is_cut_off() {
    let state = state();
    for n in 0..300 {
        state.decide(&format!("service-{n}"), 1, "freeze", 0.5);
    }
    let server = Server::start_within(SHORT, state).await;
    server.ask_until_cut_off("/v1/services?limit=500").await;
    server.stop().await;
}

/// Who reads at a slow pace reads: the system must not keep so much back that nothing more is taken for long.
#[tokio::test]
async fn one_who_reads_its_answers_slowly_is_given_them_whole() {
    const N: usize = 60;
    let state = state();
    for n in 0..300 {
        state.decide(&format!("service-{n}"), 1, "freeze", 0.5);
    }
    let limits = Limits {
        request: Duration::from_secs(1),
        ..LIMITS
    };
    let server = Server::start_within(limits, state).await;
    let answers = server.read_slowly("/v1/services?limit=500", N).await;
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), N, "{} bytes", answers.len());
    assert!(answers.ends_with('}'), "the last is not whole");
    server.stop().await;
}

/// One who loses count of its connections would keep a probe out, and have a good instance restarted.
#[tokio::test]
async fn one_address_has_so_many_connections_and_leaves_the_rest_to_others() {
    let limits = Limits {
        connections_of_one: 2,
        ..LIMITS
    };
    let server = Server::start_within(limits, state()).await;
    let (first, _second) = (server.connect(1).await, server.connect(1).await);
    assert!(!is_answered(&server.connect(1).await).await, "a third of the same");
    assert!(is_answered(&server.connect(2).await).await, "another address");
    drop(first);
    let again = timeout(PATIENCE, async {
        while !is_answered(&server.connect(1).await).await {}
    });
    again.await.expect("one that ended makes room");
    server.stop().await;
}

/// Whether a connection is served: one that is closed, or reset, is not.
async fn is_answered(stream: &TcpStream) -> bool {
    let request = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    stream.writable().await.expect("a socket");
    if stream.try_write(request).is_err() {
        return false;
    }
    loop {
        stream.readable().await.expect("a socket");
        match stream.try_read(&mut [0]) {
            Ok(n_read) => return n_read > 0,
            Err(fault) if fault.kind() == ErrorKind::WouldBlock => {}
            Err(_reset) => return false,
        }
    }
}

/// Memory is the scorer's: what clients have asked for and do not take has a bound together, not only each.
#[tokio::test]
async fn answers_that_find_no_room_are_refused_and_those_taken_make_room() {
    let state = state();
    for n in 0..300 {
        state.decide(&format!("service-{n}"), 1, "freeze", 0.5);
    }
    let limits = Limits {
        answers_kib: 64,
        ..LIMITS
    };
    let server = Server::start_within(limits, state).await;
    let all = server.get("/v1/services?limit=500").await;
    assert_eq!(
        (all.status, all.header("retry-after")),
        (503, Some("5")),
        "{}",
        all.body
    );
    for _ in 0..3 {
        let some = server.get("/v1/services?limit=80").await;
        assert!(
            some.status == 200 && some.body.len() > 33 * 1_024,
            "{}",
            some.body.len()
        );
    }
    assert_eq!(server.get("/healthz").await.status, 200);
    let changes = "&change=0123456789abcdef0123456789abcdef01234567".repeat(CHANGES_MAX);
    let verdict = server.get(&format!("/v1/verdict?service=service-0{changes}")).await;
    assert!(
        verdict.status == 200 && verdict.body.len() > 64 * 1_024,
        "{}",
        verdict.body
    );
    server.stop().await;
}

#[tokio::test]
async fn a_head_that_is_too_long_is_refused() {
    let server = Server::start(state()).await;
    let answer = server
        .get(&format!("/v1/verdict?service={}", "a".repeat(300_000)))
        .await;
    assert!([414, 431].contains(&answer.status), "{}", answer.status);
    server.stop().await;
}

/// What a gate may ask at most, and one more.
#[tokio::test]
async fn as_many_changes_as_a_gate_may_name_are_answered() {
    let server = Server::start(state()).await;
    for (n, status) in [(CHANGES_MAX, 200), (CHANGES_MAX + 1, 400)] {
        let changes = "&change=0123456789abcdef0123456789abcdef01234567".repeat(n);
        let answer = server.get(&format!("/v1/verdict?service=a{changes}")).await;
        assert_eq!(answer.status, status, "{n}: {}", answer.body);
    }
    server.stop().await;
}

/// Each look at all services takes a core that the scorer has not. Who comes meanwhile waits, and is answered then.
#[tokio::test]
async fn the_list_of_services_is_looked_up_for_one_at_a_time() {
    let edge = Arc::new(Edge::new(Arc::new(state()), &LIMITS, watch::channel(false).1));
    // As one who looks has it.
    let turn = edge.scans.clone().acquire_owned().await.expect("it is never closed");
    let mut next = pin!(services(extract::State(edge.clone()), RawQuery(None)));
    let early = timeout(SHORT.request, &mut next).await;
    assert!(early.is_err(), "it did not wait");
    drop(turn);
    let answer = timeout(PATIENCE, next).await.expect("its turn has come");
    assert!(answer.is_ok_and(|answer| answer.status() == StatusCode::OK));
    assert!(edge.scans.try_acquire().is_ok(), "the turn is given back");
}
