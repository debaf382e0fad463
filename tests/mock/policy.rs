//! A policy file on a file system that does not answer.

use std::process::Command;

use crate::support::{Cluster, Logged, events, eventually, wait_applied};

/// Who reads a pipe that nobody writes to waits as long as with a server of files that is gone.
#[test]
fn a_policy_file_that_does_not_answer_is_complained_of_and_holds_up_nothing() {
    let cluster = Cluster::start("hung-policy");
    let mut logged = Logged::start(&cluster.site, "ingest,score,api");
    logged.instance.wait_ready();
    let path = cluster.site.policy_path();
    std::fs::remove_file(path).expect("it is there");
    let made = Command::new("mkfifo").arg(path).status().expect("mkfifo runs");
    assert!(made.success());
    eventually("the metric says so", || {
        let text = logged.instance.metrics();
        text.contains("holdpoint_policy_last_reload_successful 0").then_some(())
    });
    let complaint = format!("{} has not been read for", path.display());
    assert_eq!(logged.log().matches(&complaint).count(), 1, "{}", logged.log());
    cluster.site.send(&events(0..1));
    wait_applied(&logged.instance, 1);
    logged.instance.signal("TERM");
    let ended = eventually("it ends", || logged.instance.ended());
    assert_eq!(ended.code(), Some(0));
}
