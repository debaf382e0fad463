//! The page says of each service what gates are told of it.

use std::time::Duration;

use super::support::{N_PARTITIONS, Server, decision, partition, state};
use crate::{
    api::{State, page::HELD_MAX},
    gate::{Record, StandingDecision},
    model::Effect::{Freeze, Proceed},
};

const SECOND: Duration = Duration::from_secs(1);

/// Four services on four partitions, so that each has a heartbeat of its own.
const SERVICES: [&str; 4] = ["checkout", "search", "cart", "mail"];

fn fleet(n_heard: usize) -> State {
    let state = state();
    for (n, service) in SERVICES.into_iter().enumerate() {
        let ago = if n < n_heard { SECOND } else { SECOND * 16 };
        state.beat(service, "node-a", "http://node-a:8484", ago);
    }
    state
}

async fn check(state: State, counts: [u32; 4], tells: &[&str], tells_not: &[&str]) {
    let server = Server::start(state).await;
    let page = server.get("/").await.body;
    for (n, what) in counts
        .into_iter()
        .zip(["frozen", "under extra review", "not known", "free to proceed"])
    {
        let count = format!("<b>{n}</b> {what}</li>");
        assert!(page.contains(&count), "no `{count}` in {page}");
    }
    for told in tells {
        assert!(page.contains(told), "no `{told}` in {page}");
    }
    for told in tells_not {
        assert!(!page.contains(told), "`{told}` in {page}");
    }
    server.stop().await;
}

#[test]
fn the_services_are_on_partitions_of_their_own() {
    let mut partitions = SERVICES.map(partition);
    partitions.sort_unstable();
    assert!(partitions.windows(2).all(|two| two[0] != two[1]), "{partitions:?}");
    assert_eq!(u32::try_from(SERVICES.len()), Ok(N_PARTITIONS));
}

#[tokio::test]
async fn what_nobody_vouches_for_is_not_called_free() {
    let decide = |state: &State| {
        state.decide("checkout", 1, "freeze", 0.9);
        state.decide("search", 1, "extra_review", 0.4);
        state.decide("cart", 1, "proceed", 0.1);
        state.decide("mail", 1, "proceed", 0.1);
    };
    let all_heard = fleet(4);
    decide(&all_heard);
    check(
        all_heard,
        [1, 1, 0, 2],
        &["0 not known"],
        &["Nothing is heard", "Overrides"],
    )
    .await;
    // What holds a service up stands without its scorer; a proceed does not.
    let some_silent = fleet(3);
    decide(&some_silent);
    let silent = format!("Nothing is heard of partition {}, of 4", partition("mail").0);
    check(some_silent, [1, 1, 1, 1], &[&silent, "1 not known"], &[]).await;
    let all_silent = fleet(0);
    decide(&all_silent);
    check(all_silent, [1, 1, 2, 0], &["of partitions 0, 1, 2, 3, of 4"], &[]).await;
}

#[tokio::test]
async fn a_freeze_that_has_ended_is_not_called_free() {
    let state = fleet(4);
    state.decide("checkout", 1, "lapsed", 0.9);
    check(state, [0, 0, 1, 0], &["No decision holds anything up"], &[]).await;
}

/// Gates go by words at once, also where no decision says so.
#[tokio::test]
async fn words_are_shown_and_counted_as_gates_go_by_them() {
    let state = fleet(4);
    state.decide("checkout", 1, "freeze", 0.9);
    state.decide("cart", 1, "proceed", 0.1);
    state.say("checkout", Proceed, "drill");
    state.say("cart", Freeze, "stocktaking");
    state.say("nobody", Freeze, "<moving>");
    let tells = [
        "An override lets it proceed until",
        "<span class=\"action\">frozen</span> <bdi>cart</bdi> <small>in all environments</small> until ",
        "<span class=\"why\">stocktaking</span>",
        "<span class=\"action\">frozen</span> <bdi>nobody</bdi> <small>in all environments</small> until ",
        "&lt;moving&gt;",
    ];
    // One line for each, and none where a card tells it.
    let told_already = [
        "<bdi>cart</bdi> <small>in <bdi>production</bdi></small> until",
        "<bdi>checkout</bdi> <small>in all",
    ];
    check(state, [2, 0, 0, 1], &tells, &told_already).await;
}

/// A decision renewed tells more of a freeze that began before.
#[tokio::test]
async fn a_freeze_is_told_since_it_began() {
    let state = fleet(4);
    let renewed = StandingDecision {
        frozen_since: Some("2026-03-10T12:00:00Z".parse().expect("a time")),
        ..decision("checkout", 2, "freeze", 0.9)
    };
    state.apply("checkout", Record::Decision(renewed));
    state.decide("search", 1, "extra_review", 0.4);
    let since = |at: &str| format!("<p class=\"when\">since <time datetime=\"{at}\"");
    let tells = [since("2026-03-10T12:00:00.000Z"), since("2026-03-10T14:00:07.120Z")];
    check(state, [1, 1, 0, 0], &tells.each_ref().map(String::as_str), &[]).await;
}

/// Cards are written up to a number, and what people said of a service that has none is told all the same.
#[tokio::test]
async fn a_word_on_what_has_no_card_is_told_with_the_others() {
    let state = state();
    for n in 0..=HELD_MAX {
        state.decide(&format!("service-{n:03}"), 1, "freeze", 0.5);
    }
    let last = format!("service-{HELD_MAX:03}");
    state.say("service-000", Proceed, "drill");
    state.say(&last, Proceed, "outage");
    let server = Server::start(state).await;
    let page = server.get("/").await.body;
    assert_eq!(page.matches("<article").count(), HELD_MAX);
    let card = format!("<bdi>{last}</bdi> <small>in <bdi>production</bdi></small></h3>");
    assert!(page.contains("And 1 more") && !page.contains(&card), "{page}");
    let told = |service: &str| format!("<bdi>{service}</bdi> <small>in all environments</small> until ");
    assert!(page.contains(&told(&last)) && page.contains("outage"), "{page}");
    assert!(!page.contains(&told("service-000")) && page.contains("drill"), "{page}");
    server.stop().await;
}
