//! What keeps this instance's view of the control topic and of the overrides up to date.

use std::{sync::Arc, time::Duration};

use tokio::sync::broadcast;

use crate::{
    clock::{Clock, Stopwatch},
    gate::{Applied, Place, StandingDecision, View},
    ingest::{self, Origin},
    model::{Kind, Timestamp},
    run::progress::{Progress, Standing, Stuck},
    stream::{
        Fault,
        kafka::{Connection, Followed, Follower, Lack, Tuning},
    },
    wire::control,
};

/// New partitions, topics made anew, and words long over, are looked for so often.
const LOOK_EVERY: Duration = Duration::from_secs(15);
/// So often while a topic cannot be followed: whoever is kept out of it waits for no more than that.
const LOOK_AGAIN_EVERY: Duration = Duration::from_secs(2);
const WAIT: Duration = Duration::from_millis(100);
/// So many records between two looks are a history being read; heartbeats alone are a few for each partition.
const BUSY_RECORDS_MIN: usize = 10_000;
/// An ingest worker whose mark is older than this holds up nobody.
const PEER_FRESH: Duration = Duration::from_secs(15);

/// What the viewer is told.
pub(crate) struct Viewer {
    pub(crate) connection: Connection,
    pub(crate) tuning: Tuning,
    pub(crate) client_id: String,
    pub(crate) control: Arc<str>,
    pub(crate) overrides: Arc<str>,
    pub(crate) view: Arc<View>,
    pub(crate) decisions: broadcast::Sender<Arc<StandingDecision>>,
    pub(crate) clock: Clock,
}

/// A view being kept up to date.
pub(crate) struct Following {
    viewer: Viewer,
    follower: Follower,
    looked: Stopwatch,
    /// When partitions were last looked for.
    refreshed: Stopwatch,
    /// Records given since the last look.
    n_given: usize,
    progress: Progress,
    stuck: Option<Stuck>,
}

impl Following {
    pub(crate) fn begin(viewer: Viewer) -> Result<Self, Fault> {
        let topics = [&*viewer.control, &*viewer.overrides];
        let follower = Follower::new(&viewer.connection, &viewer.client_id, &topics, &viewer.tuning)?;
        is_control_followed(&viewer, &follower)?;
        Ok(Self {
            progress: Progress::new(viewer.clock),
            viewer,
            follower,
            looked: Stopwatch::start(),
            refreshed: Stopwatch::start(),
            n_given: 0,
            stuck: None,
        })
    }

    pub(crate) fn turn(&mut self) -> Result<(), Fault> {
        let Self {
            viewer,
            follower,
            looked,
            refreshed,
            n_given,
            progress,
            stuck,
        } = self;
        *n_given += follower.poll(WAIT, &mut |followed| viewer.take_in(followed))?;
        let is_due = looked.elapsed() >= LOOK_EVERY;
        if is_due {
            *looked = Stopwatch::start();
        }
        let looks_again = is_due || (follower.lacks_any() && refreshed.elapsed() >= LOOK_AGAIN_EVERY);
        if looks_again {
            *refreshed = Stopwatch::start();
            follower.refresh()?;
        }
        if is_due {
            viewer.view.sweep(viewer.clock.now());
            if std::mem::take(n_given) >= BUSY_RECORDS_MIN && !follower.is_caught_up() {
                progress.note_busy();
            }
            // It is in no group, of which it could be outside.
            *stuck = progress.look(Standing::Member, follower.unread()?.into_iter());
        }
        // The partitions that have a leader are followed and looked after all the same.
        if looks_again {
            is_control_followed(viewer, follower)?;
        }
        Ok(())
    }

    /// In what way it does not get on, once for each look that found so.
    pub(crate) fn stuck(&mut self) -> Option<Stuck> {
        self.stuck.take()
    }

    /// That was nobody's fault.
    pub(crate) fn excuse(&mut self) {
        self.progress.excuse();
    }

    /// How long it did what there was to do.
    pub(crate) fn well_for(&self) -> Duration {
        self.progress.well_for()
    }

    /// Whether the control topic was read to its end, whatever is wrong with overrides.
    pub(crate) fn is_control_read(&self) -> bool {
        self.follower.has_given(&self.viewer.control)
    }

    /// Why the view is not whole, if it is not.
    pub(crate) fn not_ready(&self) -> Option<String> {
        let Viewer {
            control,
            overrides,
            connection,
            ..
        } = &self.viewer;
        // Without overrides a person's freeze would be taken for none.
        [control, overrides]
            .into_iter()
            .find_map(|topic| match self.follower.lack(topic) {
                Some(Lack::Missing) => Some(format!(
                    "there is no topic `{topic}` at {}: create it with `holdpoint topics ensure`",
                    connection.brokers
                )),
                Some(Lack::Fault(fault)) => Some(format!("following `{topic}`: {fault}")),
                None => (!self.follower.has_given(topic)).then(|| self.follower.explain(&format!("reading `{topic}`"))),
            })
    }
}

/// Nothing stands without control: a client that cannot follow it is given up, or tried again, by its fault.
fn is_control_followed(viewer: &Viewer, follower: &Follower) -> Result<(), Fault> {
    match follower.lack(&viewer.control) {
        Some(Lack::Fault(fault)) => Err(fault.clone()),
        Some(Lack::Missing) | None => Ok(()),
    }
}

impl Viewer {
    fn take_in(&self, followed: &Followed<'_>) {
        take_in(&self.view, followed, &self.overrides, self.clock.now(), |applied| {
            if let Applied::Decision(decision) = applied {
                // Nobody may be listening.
                drop(self.decisions.send(Arc::clone(decision)));
            }
        });
    }
}

/// Takes one record of the control or the override topic into a view.
pub(crate) fn take_in(view: &View, followed: &Followed<'_>, overrides: &str, now: Timestamp, seen: impl Fn(&Applied)) {
    let record = followed.record;
    if followed.topic == overrides {
        let origin = Origin {
            topic: overrides,
            kind: Some(Kind::Override),
        };
        // What is no override was refused by ingest, and is in the topic for that.
        if let Ok(event) = ingest::decode(record.value, &origin, ingest::judged_at(record.timestamp, now)) {
            view.apply_override(&event);
        }
        return;
    }
    let place = Place {
        partition: followed.partition,
        offset: record.offset,
        timestamp: record.timestamp.unwrap_or(Timestamp::MIN),
    };
    let applied = view.apply(place, control::decode(record.key.unwrap_or_default(), record.value));
    seen(&applied);
}

/// What the other ingest workers that live say of themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Peers {
    /// The least watermark of those that are behind, [`Timestamp::MIN`] where one does not know yet; `None` if none is.
    pub(crate) least: Option<Timestamp>,
    /// Input partitions that they speak for.
    pub(crate) n_partitions: u32,
}

/// The other ingest workers, as of their last marks.
pub(crate) fn peers(view: &View, instance: &str, now: Timestamp) -> Peers {
    let mut peers = Peers::default();
    for seen in view.ingest_marks() {
        let mark = &seen.record;
        if *mark.instance == *instance || now.since(seen.timestamp) >= PEER_FRESH {
            continue;
        }
        // One of before this was told speaks for whatever is missing.
        peers.n_partitions = peers.n_partitions.saturating_add(mark.partitions.unwrap_or(u32::MAX));
        if mark.behind {
            let at = mark.watermark.unwrap_or(Timestamp::MIN);
            peers.least = Some(peers.least.map_or(at, |least| least.min(at)));
        }
    }
    peers
}

/// By how many seconds the clock of `instance` is ahead of the broker's, below 0 where it is behind, as its last mark
/// shows; `None` where it has left none for a while. How long the mark was on its way counts as behind.
pub(crate) fn clock_offset_seconds(view: &View, instance: &str, now: Timestamp) -> Option<f64> {
    let marks = view.ingest_marks();
    let seen = marks.iter().find(|seen| *seen.record.instance == *instance)?;
    // By the clock that wrote it: the broker's may be the one that is far away.
    if now.since(seen.record.at) >= PEER_FRESH {
        return None;
    }
    let offset_ms = seen.record.at.millis().saturating_sub(seen.timestamp.millis());
    #[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "a gauge")]
    Some(offset_ms as f64 / 1_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        gate::{IngestMark, Record as ControlRecord},
        model::{Offset, PartitionIndex},
        stream::Record,
    };

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_millis(1_773_151_200_000 + minutes * 60_000)
    }

    /// Dated so many minutes after it was written, in minute 0, and read so many after.
    fn is_obeyed(dated: i64, written_at: Option<Timestamp>, read: i64) -> bool {
        let value = serde_json::json!({"kind": "override", "id": "o", "time": at(dated).to_string(), "service": "checkout",
            "effect": "freeze", "until": at(dated + 60).to_string(), "reason": "audit", "by": "mira"});
        let value = serde_json::to_vec(&value).expect("JSON");
        let record = Record {
            offset: Offset(0),
            timestamp: written_at,
            key: None,
            value: Some(&value),
            headers: &Vec::new,
        };
        let followed = Followed {
            topic: "overrides",
            partition: PartitionIndex(0),
            record: &record,
        };
        let view = View::new();
        take_in(&view, &followed, "overrides", at(read), |_applied| {});
        let (service, environment) = (
            "checkout".parse().expect("a name"),
            "production".parse().expect("a name"),
        );
        view.word(&service, &environment).is_some()
    }

    /// As ingest does, which reads it at once.
    #[test]
    fn an_override_too_far_ahead_when_it_was_written_is_obeyed_by_no_later_reader() {
        let written_at = Some(at(0));
        assert!(!is_obeyed(6, written_at, 0));
        assert!(!is_obeyed(6, written_at, 3));
        assert!(is_obeyed(5, written_at, 0) && is_obeyed(5, written_at, 600));
        assert!(
            !is_obeyed(6, Some(at(60)), 0),
            "its writer dates it, or the broker's clock is wrong"
        );
        assert!(is_obeyed(6, None, 3), "nobody says when it was written");
    }

    #[test]
    fn a_clock_is_held_against_the_time_that_the_broker_gave_the_instances_own_mark() {
        let view = View::new();
        let broker = Timestamp::from_millis(1_790_000_000_000);
        for (offset, instance, ahead_ms) in [(0, "a", 0), (1, "b", 3_600_000), (2, "a", -1_500)] {
            let mark = IngestMark {
                instance: instance.into(),
                at: Timestamp::from_millis(broker.millis() + ahead_ms),
                watermark: None,
                behind: false,
                partitions: Some(1),
            };
            let place = Place {
                partition: PartitionIndex(0),
                offset: Offset(offset),
                timestamp: broker,
            };
            view.apply(place, Ok(ControlRecord::Ingest(mark)));
        }
        let offsets = |now| ["a", "b", "c"].map(|instance| clock_offset_seconds(&view, instance, now));
        assert_eq!(offsets(broker), [Some(-1.5), Some(3_600.0), None]);
        assert_eq!(offsets(broker + PEER_FRESH), [None, Some(3_600.0), None], "a is silent");
    }
}
