//! One service's state is with the owner of its partition: others point there, and never in a circle.

use std::time::Duration;

use super::support::{N_PARTITIONS, Server, nothing_owned, partition, state};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn another_instance_points_to_the_owner() {
    let state = state();
    state.beat("search", "node-b", "http://node-b:8484/", SECOND);
    state.beat("pet shop", "node-b", "https://holdpoint.example/b", SECOND);
    let server = Server::start(state).await;
    let cases = [
        ("/v1/services/search", "http://node-b:8484/v1/services/search"),
        (
            "/v1/services/pet%20shop?a=b",
            "https://holdpoint.example/b/v1/services/pet%20shop?a=b",
        ),
    ];
    assert_ne!(
        partition("search"),
        partition("pet shop"),
        "the cases need two partitions of {N_PARTITIONS}"
    );
    for (target, location) in cases {
        let answer = server.get(target).await;
        assert_eq!(
            (answer.status, answer.header("location")),
            (307, Some(location)),
            "{target}"
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn without_an_owner_to_point_to_it_names_the_one_it_knows() {
    // Instance and URL in the last heartbeat, how long ago it was, and what the problem says.
    let cases = [
        (None, "no owner of partition"),
        (
            Some(("node-a", "http://elsewhere:1", 1)),
            "this instance is restoring partition",
        ),
        (
            Some(("node-b", "http://node-a:8484/", 1)),
            "this instance is restoring partition",
        ),
        (
            Some(("node-b", "http://node-b:8484", 16)),
            "`node-b` (http://node-b:8484), the owner of partition",
        ),
        (Some(("node-b", "", 1)), "no URL"),
        (Some(("node-b", "http://node-b\r\nx: y", 1)), "no URL"),
    ];
    for (heartbeat, says) in cases {
        let mut state = state();
        state.reports = nothing_owned();
        if let Some((instance, url, seconds_ago)) = heartbeat {
            state.beat("search", instance, url, SECOND * seconds_ago);
        }
        let server = Server::start(state).await;
        let answer = server.get("/v1/services/search").await;
        assert_eq!(
            (answer.status, answer.header("retry-after")),
            (503, Some("5")),
            "{heartbeat:?}"
        );
        assert!(
            answer.json()["detail"]
                .as_str()
                .is_some_and(|detail| detail.contains(says)),
            "{heartbeat:?}: {}",
            answer.body
        );
        server.stop().await;
    }
}

#[tokio::test]
async fn before_the_partitions_are_known_nobody_is_pointed_to() {
    let state = state();
    state.beat("search", "node-b", "http://node-b:8484", SECOND);
    state.forget_n_partitions();
    let server = Server::start(state).await;
    assert_eq!(server.get("/v1/services/search").await.status, 503);
    server.stop().await;
}
