//! Which topic a name stands for. One that is deleted and made again has another id under the same name, and where the
//! former was read to says nothing of it: it may be as long by then, or longer.
//!
//! So positions are committed with the id of the topic that they are of, as the text that Kafka keeps beside each. What
//! is committed for a topic that is no more counts as nothing. Who follows a topic and commits nothing asks for its id with
//! each look at it, and begins anew. Where no id is known, or the positions came from another cluster with the records they
//! count, they count as ever.

use std::{collections::HashMap, sync::Arc, time::Duration};

use rdkafka::{
    consumer::{BaseConsumer, Consumer as _, ConsumerContext},
    topic_partition_list::TopicPartitionList,
};

use super::{fault, ffi};
use crate::{
    model::Offset,
    stream::{Fault, Identity, TopicPartition},
};

/// On the ids of some topics, and on that of the cluster: the worker waits for them before it begins.
const ANSWER_BOUND: Duration = Duration::from_millis(500);

/// Which topics the names stood for when their positions were asked for.
#[derive(Debug)]
pub(super) struct Identities {
    /// Whether the cluster has any.
    asks: bool,
    /// Once it is known.
    cluster: Option<String>,
    held: HashMap<Arc<str>, Identity>,
}

impl Identities {
    pub(super) fn new(asks: bool) -> Self {
        Self {
            asks,
            cluster: None,
            held: HashMap::new(),
        }
    }

    /// Asks for `topics`, and holds and gives what was told of them; a fault where it is not what is held.
    pub(super) fn ask<C: ConsumerContext>(
        &mut self,
        consumer: &BaseConsumer<C>,
        topics: &[Arc<str>],
    ) -> Result<HashMap<Arc<str>, Identity>, Fault> {
        if !self.asks {
            return Ok(HashMap::new());
        }
        let cluster = self.cluster.take();
        self.cluster = cluster.or_else(|| cluster_id(consumer, topics));
        let Some(cluster) = &self.cluster else {
            return Ok(HashMap::new());
        };
        let told = ask(consumer, cluster, topics, ANSWER_BOUND);
        self.look(|topic| told.get(topic).cloned())?;
        for (topic, identity) in &told {
            self.held.insert(Arc::clone(topic), identity.clone());
        }
        Ok(told)
    }

    /// A topic that was deleted and made again is begun by another client: what this one holds of it is of the former.
    pub(super) fn look(&self, told: impl Fn(&str) -> Option<Identity>) -> Result<(), Fault> {
        for (topic, held) in &self.held {
            if told(topic).is_some_and(|told| told.is_another(held)) {
                return Err(Fault::Fatal(format!("{topic} was deleted and made anew")));
            }
        }
        Ok(())
    }

    /// Whether what was committed with `note` is of a former topic of this name.
    pub(super) fn is_of_former(&self, topic: &str, note: &str) -> bool {
        let of = Identity::parse(note);
        of.zip(self.held.get(topic))
            .is_some_and(|(of, held)| of.is_another(held))
    }

    /// Nothing of this topic is read any more.
    pub(super) fn let_go(&mut self, topic: &str) {
        self.held.remove(topic);
    }

    /// Positions as they are committed, each with what it is of.
    pub(super) fn note(&self, positions: &[(TopicPartition, Offset)]) -> Result<TopicPartitionList, Fault> {
        let mut list = TopicPartitionList::with_capacity(positions.len());
        for (TopicPartition { topic, partition }, offset) in positions {
            let mut element = list.add_partition(topic, partition.0);
            element
                .set_offset(rdkafka::Offset::Offset(offset.0))
                .map_err(|error| fault::fault("offset", &error))?;
            if let Some(identity) = self.held.get(topic) {
                element.set_metadata(identity.to_string());
            }
        }
        Ok(list)
    }
}

fn cluster_id<C: ConsumerContext>(consumer: &BaseConsumer<C>, topics: &[Arc<str>]) -> Option<String> {
    let topic = topics.first()?;
    // It comes with metadata, for which a client that was just made may not ask by itself in time.
    if let Err(error) = consumer.fetch_metadata(Some(topic), ANSWER_BOUND) {
        tracing::debug!(%error, "which cluster it is");
    }
    consumer.client().fetch_cluster_id(ANSWER_BOUND)
}

/// Of each of `topics`, as far as it is told within `bound`.
pub(super) fn ask<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    cluster: &str,
    topics: &[Arc<str>],
    bound: Duration,
) -> HashMap<Arc<str>, Identity> {
    let names: Vec<&str> = topics.iter().map(|topic| &**topic).collect();
    let ids = ffi::topic_ids(consumer.client(), &names, bound);
    let known = ids.into_iter().filter_map(|(name, id)| {
        let topic = topics.iter().find(|topic| ***topic == *name)?;
        Some((Arc::clone(topic), Identity::new(cluster, &id)))
    });
    known.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(text: &str) -> Option<Identity> {
        Identity::parse(text)
    }

    #[test]
    fn another_topic_of_the_same_cluster_is_another_and_a_mirror_is_not() {
        let topic: Arc<str> = Arc::from("errors");
        let held = identity("cluster-1/topic-1").expect("ours");
        let mut identities = Identities::new(true);
        identities.held.insert(Arc::clone(&topic), held);
        for (text, is_another) in [
            ("cluster-1/topic-1", false),
            ("cluster-1/topic-2", true),
            ("cluster-2/topic-2", false),
            ("", false),
            ("someone else's", false),
        ] {
            assert_eq!(identities.is_of_former(&topic, text), is_another, "{text}");
            assert_eq!(identities.look(|_topic| identity(text)).is_err(), is_another, "{text}");
            assert!(!identities.is_of_former("deploys", text), "nothing is known of it");
        }
    }

    #[test]
    fn what_is_committed_says_what_it_is_of_where_that_is_known() {
        let mut identities = Identities::new(true);
        let held = identity("cluster-1/topic-1").expect("ours");
        identities.held.insert(Arc::from("errors"), held);
        let at = |topic: &str, offset| {
            let partition = TopicPartition {
                topic: Arc::from(topic),
                partition: crate::model::PartitionIndex(3),
            };
            (partition, Offset(offset))
        };
        let list = identities.note(&[at("errors", 7), at("deploys", 8)]).expect("offsets");
        let noted: Vec<_> = list
            .elements()
            .iter()
            .map(|element| {
                (
                    element.topic().to_owned(),
                    element.offset(),
                    element.metadata().to_owned(),
                )
            })
            .collect();
        let offset = rdkafka::Offset::Offset;
        let expected = [("errors", 7, "cluster-1/topic-1"), ("deploys", 8, "")];
        assert_eq!(
            noted,
            expected.map(|(topic, at, note)| (topic.to_owned(), offset(at), note.to_owned()))
        );
    }
}
