//! Following topics: what is known to be there, and not given.

use std::time::Duration;

use holdpoint::{
    model::Offset,
    stream::kafka::{Follower, Tuning},
};

use crate::support::{Cluster, events, eventually};

/// By this a view that gets nothing of what there is is known from one for which there is nothing.
#[test]
fn what_is_not_given_is_unread_and_what_is_given_is_not() {
    let cluster = Cluster::start("follow-unread");
    let topic = cluster.site.topic("errors");
    let mut follower = eventually("the topic is followed", || {
        Follower::new(&cluster.site.connection, "follower", &[&topic], &Tuning::embedded())
            .ok()
            .filter(|follower| !follower.lacks_any())
    });
    assert_eq!(follower.unread().expect("told"), [], "an empty topic");
    for round in 0..2 {
        let sent = events(round..round + 1);
        cluster.site.send(&sent);
        let n_sent = i64::try_from(sent.iter().filter(|(topic, ..)| *topic == "errors").count()).expect("few");
        let unread = follower.unread().expect("told");
        let offsets: Vec<Offset> = unread.iter().map(|(_, offset)| *offset).collect();
        assert_eq!(offsets, [Offset(i64::from(round) * n_sent)], "of the only partition");
        let mut n_given = 0;
        eventually("all is given", || {
            let given = follower.poll(Duration::from_millis(100), &mut |_| ()).expect("polled");
            n_given += i64::try_from(given).expect("few");
            (n_given == n_sent).then_some(())
        });
        assert_eq!(follower.unread().expect("told"), [], "all was given");
    }
}
