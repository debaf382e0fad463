//! `CloudEvents` 1.0 in binary mode: attributes as headers of the Kafka record.

use std::fmt::Write;

use crate::{
    gate::{ControlKey, Heartbeat},
    model::{Decision, DecisionId},
};

/// The headers of a decision. `group` is the setting of that name.
#[must_use]
pub fn decision_headers(decision: &Decision, group: &str) -> Vec<(&'static str, String)> {
    let id = DecisionId {
        subject: &decision.subject,
        sequence: decision.sequence,
    };
    vec![
        ("ce_specversion", "1.0".to_owned()),
        ("ce_type", "dev.holdpoint.decision.v1".to_owned()),
        ("ce_id", id.to_string()),
        ("ce_source", source(group)),
        ("ce_subject", decision.subject.to_string()),
        ("ce_time", decision.decided_at.to_string()),
        ("content-type", "application/json".to_owned()),
    ]
}

/// The headers of a heartbeat, whose id is its key, its instance and its time.
#[must_use]
pub fn heartbeat_headers(heartbeat: &Heartbeat, group: &str) -> Vec<(&'static str, String)> {
    let key = ControlKey::Heartbeat(heartbeat.partition);
    vec![
        ("ce_specversion", "1.0".to_owned()),
        ("ce_type", "dev.holdpoint.heartbeat.v1".to_owned()),
        ("ce_id", format!("{key}#{}#{}", heartbeat.instance, heartbeat.at)),
        ("ce_source", source(group)),
        ("ce_subject", key.to_string()),
        ("ce_time", heartbeat.at.to_string()),
        ("content-type", "application/json".to_owned()),
    ]
}

/// `/holdpoint/<group>`, a URI reference: what a path segment may not hold is percent-encoded.
fn source(group: &str) -> String {
    let mut source = "/holdpoint/".to_owned();
    for byte in group.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte) {
            source.push(char::from(byte));
        } else {
            write!(source, "%{byte:02X}").expect("writing to memory cannot fail");
        }
    }
    source
}
