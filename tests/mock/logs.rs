//! A log that cannot be written: its disk is full, or who read it is gone, or does not read on.

use std::{fs::File, io::Write as _};

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

#[test]
fn an_instance_whose_log_is_not_read_goes_on_and_stops_as_told() {
    let cluster = Cluster::start("stalled-log");
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    // What a pipe holds, but for room for what is said before there is a log.
    writer.write_all(&vec![b'\n'; 63 * 1_024]).expect("as much as it holds");
    let instance = Instance::spawn(&cluster.site, "a", |command| {
        command.stderr(writer).env("HOLDPOINT_LOG", "debug");
    });
    instance.wait_ready();
    cluster.site.send(&events(0..1));
    wait_applied(&instance, 1);
    assert_eq!(instance.terminate(), 0);
    drop(reader);
}
