//! Decisions as they are made.

use std::sync::Arc;

use super::{
    client::Follower,
    limits::SHORT,
    support::{PATIENCE, Server, decision, state},
};
use crate::model::{Change, Subject};

#[tokio::test]
async fn a_follower_is_sent_each_decision_and_its_stream_ends_with_the_server() {
    let server = Server::start(state()).await;
    let mut follower = Follower::connect(&server).await;
    follower.read_until("retry: 3000").await;
    let made = Arc::new(decision("checkout", 42, "freeze", 0.9));
    server.state.decisions.send(made.clone()).expect("one follows");
    follower.read_until(&made.json.text()).await;
    for wanted in [
        "content-type: text/event-stream",
        "event: decision\n",
        "id: service:checkout@production#42\n",
    ] {
        assert!(follower.text.contains(wanted), "no `{wanted}` in {}", follower.text);
    }
    server.stop().await;
    follower.read_out().await;
    assert!(follower.text.ends_with("0\r\n\r\n"), "it ended whole");
}

/// Names come from outside; one on two lines would make two of the event's, and no library takes it.
#[tokio::test]
async fn a_decision_whose_id_fits_on_no_line_is_sent_without_it() {
    let server = Server::start(state()).await;
    let mut follower = Follower::connect(&server).await;
    follower.read_until("retry: 3000").await;
    let mut made = decision("checkout", 1, "freeze", 0.9);
    made.subject = Subject::Change(Change {
        service: "checkout".parse().expect("a name"),
        sha: "a\nb".into(),
    });
    for made in [made, decision("checkout", 2, "freeze", 0.9)] {
        server.state.decisions.send(Arc::new(made)).expect("one follows");
    }
    follower.read_until("production#2\n").await;
    assert_eq!(follower.text.matches("event: decision\n").count(), 2);
    assert_eq!(follower.text.matches("\nid: ").count(), 1, "{}", follower.text);
    server.stop().await;
}

#[tokio::test]
async fn one_who_is_too_slow_is_told_that_it_missed_some() {
    let server = Server::start(state()).await;
    let mut follower = Follower::connect(&server).await;
    follower.read_until("retry: 3000").await;
    // More than the broadcast, the client's queue and the runtime's one thread can pass on before it yields.
    for sequence in 1..=40 {
        server
            .state
            .decisions
            .send(Arc::new(decision("checkout", sequence, "proceed", 0.1)))
            .expect("one follows");
    }
    follower.read_until("#40\n").await;
    assert!(
        follower.text.contains("event: lagged\ndata: {\"missed\":32}"),
        "{}",
        follower.text
    );
    server.stop().await;
}

/// A follower that left gives its place back.
#[tokio::test]
async fn one_who_leaves_is_let_go() {
    let server = Server::start(state()).await;
    let mut follower = Follower::connect(&server).await;
    follower.read_until("retry: 3000").await;
    assert_eq!(server.state.decisions.receiver_count(), 1);
    drop(follower);
    let gone = async {
        while server.state.decisions.receiver_count() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.expect("in time");
    server.stop().await;
}

/// A follower that does not read gives its place back too, once the sockets between are full.
#[tokio::test]
async fn one_who_does_not_read_is_cut_off() {
    let server = Server::start_within(SHORT, state()).await;
    let mut follower = Follower::connect(&server).await;
    follower.read_until("retry: 3000").await;
    let made = Arc::new(decision(&"a".repeat(200), 1, "freeze", 0.9));
    let gone = async {
        while server.state.decisions.send(made.clone()).is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.expect("in time");
    server.stop().await;
}
