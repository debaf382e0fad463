//! The core alone, folding a copy of a log: what it says is what is on control, and what is in state is what it was.

use std::collections::{BTreeMap, BTreeSet};

use holdpoint::{
    model::{Entry, Offset, Timestamp},
    score::{ChangePage, Partition, Said, Saying, Service},
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
    /// Each decision and snapshot that is not what the core has, a line each.
    pub(crate) differences: Vec<String>,
}

/// Called after an entry is folded, with the offset of its record, the state there is then and what was said.
pub(crate) type Each<'a> = dyn FnMut(&Entry<'_>, Offset, &Partition, &[Saying]) + 'a;

/// Folds the log and holds control and state against it.
pub(crate) fn fold(copied: &Copied, each: &mut Each<'_>) -> Folded {
    let published = published(&copied.control);
    let mut snapshots = snapshots(&copied.state);
    let mut folded = Folded {
        n_decisions: published.values().map(Vec::len).sum(),
        n_snapshots: 0,
        state: Partition::default(),
        said: BTreeMap::new(),
        differences: Vec::new(),
    };
    for record in &copied.log {
        // One may cover a transaction's mark behind the last record: that changes nothing.
        let later = snapshots.split_off(&record.offset);
        folded.hold(&std::mem::replace(&mut snapshots, later));
        let mut sayings = Vec::new();
        let value = record.value.as_deref().expect("the log holds no tombstones");
        for entry in events::entries(value).expect("our own record") {
            let entry = entry.expect("our own entry");
            let n_said = sayings.len();
            folded
                .state
                .step(&entry, record.offset, record.written_at, &mut sayings);
            each(&entry, record.offset, &folded.state, &sayings[n_said..]);
        }
        note(sayings, &mut folded.said);
    }
    folded.hold(&snapshots);
    folded.compare(&published);
    folded
}

impl Folded {
    /// Holds services as snapshotted against the state.
    fn hold(&mut self, snapshots: &BTreeMap<Offset, Vec<Service>>) {
        for (covered, service) in snapshots
            .iter()
            .flat_map(|(covered, all)| all.iter().map(move |one| (covered, one)))
        {
            let folded = self.state.service(service.name().as_str());
            if folded != Some(service) {
                self.differences.push(format!(
                    "as of {covered}:\n  the core: {folded:?}\n  snapshot: {service:?}"
                ));
            }
            self.n_snapshots += 1;
        }
    }

    /// Holds what was published against what the log says.
    fn compare(&mut self, published: &BTreeMap<String, Vec<Option<String>>>) {
        let subjects: BTreeSet<&String> = self.said.keys().chain(published.keys()).collect();
        for subject in subjects {
            let [said, published] =
                [self.said.get(subject), published.get(subject)].map(|all| all.map_or(&[][..], |all| all));
            for place in 0..said.len().max(published.len()) {
                let (said, published) = (said.get(place), published.get(place));
                if said != published {
                    self.differences.push(format!(
                        "{subject}, {place}:\n  the core: {said:?}\n  published: {published:?}"
                    ));
                }
            }
        }
    }
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

/// Every snapshot of a service that was ever written, with the pages of its changes as they were then, by the last
/// record that it covers.
fn snapshots(state: &[Kept]) -> BTreeMap<Offset, Vec<Service>> {
    let mut snapshots: BTreeMap<Offset, Vec<Service>> = BTreeMap::new();
    let mut pages: BTreeMap<&[u8], (Box<str>, ChangePage)> = BTreeMap::new();
    for record in state {
        let Some(value) = &record.value else {
            pages.remove(&*record.key);
            continue;
        };
        match state::decode(&record.key, value).expect("our own snapshot") {
            state::Snapshot::Service { mut service, covered } => {
                let name = service.name().clone();
                for (_, page) in pages.values().filter(|(of, _)| **of == *name.as_str()) {
                    service.lay_in(page.clone());
                }
                assert_eq!(service.missing_page(), None, "a page of {}", service.name());
                snapshots.entry(covered).or_default().push(*service);
            }
            state::Snapshot::Changes { service, page } => {
                pages.insert(&record.key, (service, page));
            }
            state::Snapshot::Fleet { .. } | state::Snapshot::Partition(_) => {}
        }
    }
    snapshots
}
