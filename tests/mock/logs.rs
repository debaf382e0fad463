//! A log that cannot be written: its disk is full, or who read it is gone.

use std::fs::File;

use crate::support::{Cluster, Instance, events, wait_applied};

#[test]
fn an_instance_whose_log_cannot_be_written_goes_on() {
    let cluster = Cluster::start("full-disk");
    let full = File::options().write(true).open("/dev/full").expect("Linux has one");
    let instance = Instance::spawn(&cluster.site, "a", |command| {
        command.stderr(full);
    });
    instance.wait_ready();
    cluster.site.send(&events(0..1));
    wait_applied(&instance, 1);
    assert_eq!(instance.terminate(), 0);
}
