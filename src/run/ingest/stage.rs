//! What turns one record of one partition into its fate: an event of the batch, or a refused record.

use std::sync::Arc;

use super::IngestSettings;
use crate::{
    ingest::{self, Arrival, Batch, Origin, Reject},
    model::{self, Event, Kind, PartitionIndex, Timestamp},
    run::books::{Books, Fate},
    stream::{Header, Record, TopicPartition, Write},
    wire::{events, partition::partition_of},
};

/// Bytes of a refused record's key and headers that are kept.
const REJECTED_EXTRA_BYTES_MAX: usize = 12 * 1024;

/// What the names of our own headers begin with.
const OWN_HEADERS: &str = "hp_";

/// What turns one record of one partition into its fate.
pub(super) struct Stage<'a> {
    pub(super) settings: &'a IngestSettings,
    pub(super) partition: &'a TopicPartition,
    pub(super) kind: Option<Kind>,
    pub(super) now: Timestamp,
}

impl Stage<'_> {
    /// Says how many bytes of it are kept as refused.
    pub(super) fn take_in(
        &self,
        record: &Record<'_>,
        batch: &mut Batch,
        writes: &mut Vec<Write>,
        books: &mut Books,
    ) -> usize {
        let origin = Origin {
            topic: &self.partition.topic,
            kind: self.kind,
        };
        // Gates read overrides too, and must refuse the same.
        let now = match self.kind {
            Some(Kind::Override) => ingest::judged_at(record.timestamp, self.now),
            Some(_) | None => self.now,
        };
        match ingest::decode(record.value, &origin, now).and_then(|event| self.at_home(event)) {
            Ok(event) => {
                let partition = partition_of(&event.service, self.settings.n_partitions);
                let arrival = Arrival {
                    origin: model::Origin {
                        topic: &self.partition.topic,
                        partition: self.partition.partition.0,
                        offset: record.offset.0,
                    },
                    default_environment: &self.settings.default_environment,
                };
                books.note(&self.partition.topic, Fate::Event(event.kind()));
                books.note_particulars(&event.body);
                batch.add(
                    &event,
                    usize::try_from(partition.0).unwrap_or(usize::MAX),
                    &arrival,
                    events::append,
                );
                0
            }
            Err(reject) => {
                books.note(&self.partition.topic, Fate::Rejected(reject.reason()));
                let write = self.rejected(record, &reject);
                let size_bytes = write.value.as_ref().map_or(0, Vec::len) + REJECTED_EXTRA_BYTES_MAX;
                writes.push(write);
                size_bytes
            }
        }
    }

    /// Refuses an override on another topic than its own: who may write some input may not open and shut gates with it, and
    /// gates would not hear it.
    fn at_home<'e>(&self, event: Event<'e>) -> Result<Event<'e>, Reject> {
        if event.kind() == Kind::Override && self.kind != Some(Kind::Override) {
            return Err(Reject::StrayOverride);
        }
        Ok(event)
    }

    /// The record as it was, with why it is no event and where it came from. What a producer may have made too large
    /// for a broker's limit is cut: headers first, then the key, then the value.
    fn rejected(&self, record: &Record<'_>, reject: &Reject) -> Write {
        let mut room = REJECTED_EXTRA_BYTES_MAX;
        let key = record.key.map(|key| key[..key.len().min(room / 2)].to_vec());
        room -= key.as_ref().map_or(0, Vec::len);
        let mut headers = (record.headers)();
        // A reader who takes the first of a name would believe the producer, or what was refused before and sent again.
        headers.retain(|header| !header.name.starts_with(OWN_HEADERS));
        headers.retain(|header| {
            let size_bytes = size_bytes(header);
            let fits = size_bytes <= room;
            room -= if fits { size_bytes } else { 0 };
            fits
        });
        let own = |name: &str, value: String| Header {
            name: name.into(),
            value: Some(value.into_bytes()),
        };
        headers.extend([
            own("hp_reason", reject.reason().to_owned()),
            own("hp_text", reject.to_string()),
            own("hp_topic", self.partition.topic.to_string()),
            own("hp_partition", self.partition.partition.to_string()),
            own("hp_offset", record.offset.to_string()),
        ]);
        let beside = key.as_ref().map_or(0, Vec::len) + headers.iter().map(size_bytes).sum::<usize>();
        let (value, truncated) = ingest::rejected_value(record.value, beside);
        headers.extend(truncated.map(|size_bytes| own("hp_truncated", size_bytes.to_string())));
        // Any partition will do; the source's keeps the order within a source.
        let partition =
            u32::try_from(self.partition.partition.0).unwrap_or(0) % self.settings.n_rejected_partitions.max(1);
        Write {
            topic: Arc::clone(&self.settings.rejected),
            partition: PartitionIndex(i32::try_from(partition).unwrap_or(0)),
            timestamp: self.now,
            key,
            value: value.map(<[u8]>::to_vec),
            headers,
        }
    }
}

/// What a header takes of a record, its lengths included.
fn size_bytes(header: &Header) -> usize {
    header.name.len() + header.value.as_ref().map_or(0, Vec::len) + 8
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock::Clock, model::Offset};

    fn header(name: &str, value: &str) -> Header {
        Header {
            name: name.into(),
            value: Some(value.as_bytes().to_vec()),
        }
    }

    fn settings() -> IngestSettings {
        let topic = |name: &str| Arc::<str>::from(name);
        IngestSettings {
            instance: "a".into(),
            default_environment: "production".into(),
            kinds: Vec::new(),
            events: topic("holdpoint.events"),
            control: topic("holdpoint.control"),
            rejected: topic("holdpoint.rejected"),
            n_partitions: 1,
            n_rejected_partitions: 1,
            clock: Clock::wall(),
        }
    }

    fn partition() -> TopicPartition {
        TopicPartition {
            topic: Arc::from("errors"),
            partition: PartitionIndex(3),
        }
    }

    fn stage<'a>(settings: &'a IngestSettings, partition: &'a TopicPartition) -> Stage<'a> {
        Stage {
            settings,
            partition,
            kind: None,
            now: Timestamp::from_millis(0),
        }
    }

    /// That is for who may write the topic of overrides.
    #[test]
    fn an_override_counts_on_its_own_topic_alone() {
        let settings = settings();
        let partition = partition();
        let value = |kind: &str| {
            let said = r#""id":"o-1","time":"1999-01-01T00:00:00Z","service":"checkout","effect":"proceed","until":"1999-01-02T00:00:00Z","reason":"let me","by":"mira""#;
            format!("{{{kind}{said}}}")
        };
        let told = value(r#""kind":"override","#);
        let cases = [
            (Some(Kind::Override), value(""), None),
            (Some(Kind::Override), told.clone(), None),
            (Some(Kind::Error), told.clone(), Some("unknown_kind")),
            (Some(Kind::Commit), told, Some("unknown_kind")),
        ];
        for (kind, value, refused) in cases {
            let stage = Stage {
                kind,
                now: "1999-01-01T00:00:01Z".parse().expect("a time"),
                ..stage(&settings, &partition)
            };
            let record = Record {
                offset: Offset(0),
                timestamp: None,
                key: None,
                value: Some(value.as_bytes()),
                headers: &Vec::new,
            };
            let (mut batch, mut writes, mut books) = (Batch::new(1), Vec::new(), Books::default());
            stage.take_in(&record, &mut batch, &mut writes, &mut books);
            let reasons: Vec<&str> = writes
                .iter()
                .flat_map(|write| &write.headers)
                .filter(|header| &*header.name == "hp_reason")
                .filter_map(|header| std::str::from_utf8(header.value.as_deref()?).ok())
                .collect();
            assert_eq!(reasons, Vec::from_iter(refused), "{value} in a topic of {kind:?}");
        }
    }

    /// What a producer of an input says of itself, and what it pretends that we say.
    #[test]
    fn what_a_refused_record_says_of_its_refusal_is_ours_alone() {
        let settings = settings();
        let partition = partition();
        let stage = stage(&settings, &partition);
        let given = [
            ("hp_reason", "too_large"),
            ("trace", "t-1"),
            ("hp_truncated", "9"),
            ("hp_offset", "1"),
        ];
        let record = Record {
            offset: Offset(17),
            timestamp: None,
            key: None,
            value: None,
            headers: &|| given.map(|(name, value)| header(name, value)).to_vec(),
        };
        let expected = [
            ("trace", "t-1"),
            ("hp_reason", "null_value"),
            ("hp_text", "the record has no value"),
            ("hp_topic", "errors"),
            ("hp_partition", "3"),
            ("hp_offset", "17"),
        ];
        let rejected = stage.rejected(&record, &Reject::NullValue);
        assert_eq!(rejected.headers, expected.map(|(name, value)| header(name, value)));
    }

    /// A broker takes a mebibyte by default, all told; one that is refused would be written for ever.
    #[test]
    fn a_refused_record_is_one_that_a_broker_takes_however_large_its_parts() {
        let settings = settings();
        let partition = partition();
        let stage = stage(&settings, &partition);
        let large = vec![b'x'; 2 << 20];
        let text = "x".repeat(9 << 10);
        for n_headers in [0, 100] {
            let record = Record {
                offset: Offset(17),
                timestamp: None,
                key: Some(&large),
                value: Some(&large),
                headers: &|| vec![header("trace", &text); n_headers],
            };
            let rejected = stage.rejected(&record, &Reject::NullValue);
            let of_headers = |header: &Header| header.name.len() + header.value.as_ref().map_or(0, Vec::len);
            let size_bytes = rejected.key.map_or(0, |key| key.len())
                + rejected.value.map_or(0, |value| value.len())
                + rejected.headers.iter().map(of_headers).sum::<usize>();
            assert!(
                (1_047_000..1_048_588 - 100).contains(&size_bytes),
                "{n_headers} headers: {size_bytes} bytes"
            );
        }
    }

    /// Ten minutes late, as after an outage: a gate has read it at once, and refused it.
    #[test]
    fn an_override_too_far_ahead_when_it_was_written_is_refused_however_late_it_is_read() {
        let minute = |n: i64| Timestamp::from_millis(1_773_151_200_000 + n * 60_000);
        let settings = settings();
        let value = serde_json::json!({"id": "o", "time": minute(6).to_string(), "service": "checkout", "effect": "freeze",
            "until": minute(60).to_string(), "reason": "audit", "by": "mira"});
        let value = serde_json::to_vec(&value).expect("JSON");
        let partition = TopicPartition {
            topic: Arc::from("holdpoint.overrides"),
            partition: PartitionIndex(0),
        };
        let stage = Stage {
            settings: &settings,
            partition: &partition,
            kind: Some(Kind::Override),
            now: minute(10),
        };
        for (written_at, n_refused) in [(minute(0), 1), (minute(1), 0)] {
            let record = Record {
                offset: Offset(0),
                timestamp: Some(written_at),
                key: None,
                value: Some(&value),
                headers: &Vec::new,
            };
            let mut writes = Vec::new();
            stage.take_in(&record, &mut Batch::new(1), &mut writes, &mut Books::default());
            assert_eq!(writes.len(), n_refused, "{written_at}");
        }
    }
}
