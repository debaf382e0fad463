//! The core alone, folding a copy of a log: what it says is what is on control, and what is in state is what it was.

use std::collections::BTreeMap;

use holdpoint::{
    model::{Offset, Timestamp},
    score::{Partition, Said, Saying, Service},
    wire::{control::encode_decision, events, state},
};

/// A record as read back.
pub(crate) struct Kept {
    pub(crate) offset: Offset,
    pub(crate) written_at: Timestamp,
    pub(crate) key: Vec<u8>,
    pub(crate) value: Option<Vec<u8>>,
}

/// One partition of the log, of control and of state, from their beginnings.
pub(crate) struct Copied {
    pub(crate) log: Vec<Kept>,
    pub(crate) control: Vec<Kept>,
    pub(crate) state: Vec<Kept>,
}

/// What a fold went over, so that a caller sees that it was something, and what it came to.
pub(crate) struct Folded {
    pub(crate) n_decisions: usize,
    pub(crate) n_snapshots: usize,
    pub(crate) state: Partition,
    /// By subject, what was published in order; `None` for a tombstone.
    pub(crate) said: BTreeMap<String, Vec<Option<String>>>,
}

/// Folds the log and holds control and state against it; panics where they differ.
pub(crate) fn fold(copied: &Copied) -> Folded {
    let published = published(&copied.control);
    let mut snapshots = snapshots(&copied.state);
    let mut folded = Folded {
        n_decisions: published.values().map(Vec::len).sum(),
        n_snapshots: 0,
        state: Partition::default(),
        said: BTreeMap::new(),
    };
    for record in &copied.log {
        // One may cover a transaction's mark behind the last record: that changes nothing.
        let later = snapshots.split_off(&record.offset);
        folded.n_snapshots += compare(&folded.state, &std::mem::replace(&mut snapshots, later));
        let mut sayings = Vec::new();
        let value = record.value.as_deref().expect("the log holds no tombstones");
        for entry in events::entries(value).expect("our own record") {
            let entry = entry.expect("our own entry");
            folded
                .state
                .step(&entry, record.offset, record.written_at, &mut sayings);
        }
        note(sayings, &mut folded.said);
    }
    folded.n_snapshots += compare(&folded.state, &snapshots);
    for (subject, said) in &folded.said {
        assert_eq!(
            published.get(subject),
            Some(said),
            "{subject}: control, and what the log says"
        );
    }
    assert_eq!(
        published.len(),
        folded.said.len(),
        "subjects on control that nothing in the log speaks of"
    );
    folded
}

/// Holds services as snapshotted against a state; says how many there were.
fn compare(state: &Partition, snapshots: &BTreeMap<Offset, Vec<Service>>) -> usize {
    let mut n = 0;
    for (covered, service) in snapshots
        .iter()
        .flat_map(|(covered, all)| all.iter().map(move |one| (covered, one)))
    {
        assert_eq!(state.service(service.name().as_str()), Some(service), "as of {covered}");
        n += 1;
    }
    n
}

fn note(sayings: Vec<Saying>, said: &mut BTreeMap<String, Vec<Option<String>>>) {
    for saying in sayings {
        let (subject, value) = match saying.said {
            Said::Decision(decision) => {
                let json = String::from_utf8(encode_decision(&decision)).expect("JSON is text");
                (decision.subject, Some(json))
            }
            Said::Forget(subject) => (subject, None),
            Said::Message(_) | Said::Scored(_) | Said::Closed(_) => continue,
        };
        said.entry(subject.to_string()).or_default().push(value);
    }
}

fn published(control: &[Kept]) -> BTreeMap<String, Vec<Option<String>>> {
    let mut published: BTreeMap<String, Vec<Option<String>>> = BTreeMap::new();
    for record in control {
        let key = String::from_utf8_lossy(&record.key).into_owned();
        if key.starts_with("service:") || key.starts_with("change:") {
            let value = record.value.as_deref();
            let text = value.map(|value| String::from_utf8_lossy(value).into_owned());
            published.entry(key).or_default().push(text);
        }
    }
    published
}

/// Every snapshot of a service that was ever written, by the last record that it covers.
fn snapshots(state: &[Kept]) -> BTreeMap<Offset, Vec<Service>> {
    let mut snapshots: BTreeMap<Offset, Vec<Service>> = BTreeMap::new();
    for record in state {
        let Some(value) = &record.value else { continue };
        match state::decode(&record.key, value).expect("our own snapshot") {
            state::Snapshot::Service { service, covered } => snapshots.entry(covered).or_default().push(*service),
            state::Snapshot::Fleet { .. } | state::Snapshot::Partition(_) => {}
        }
    }
    snapshots
}
