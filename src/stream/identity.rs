//! Which topic a name stands for: one that is deleted and made again is another under the same name.

use std::fmt;

/// The id of a topic, and of the cluster that gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    cluster: Box<str>,
    topic: Box<str>,
}

impl Identity {
    #[must_use]
    pub fn new(cluster: &str, topic: &str) -> Self {
        Self {
            cluster: cluster.into(),
            topic: topic.into(),
        }
    }

    /// What was written beside something of ours; `None` where that is nothing of the kind.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (cluster, topic) = text.split_once('/')?;
        Some(Self::new(cluster, topic))
    }

    #[must_use]
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// Whether the two are topics of one cluster, and not the same. A topic of another cluster is a mirror.
    #[must_use]
    pub fn is_another(&self, other: &Self) -> bool {
        self.cluster == other.cluster && self.topic != other.topic
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cluster, topic } = self;
        write!(f, "{cluster}/{topic}")
    }
}
