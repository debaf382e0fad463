//! Making topics and looking at them.

use std::{
    collections::BTreeMap,
    fmt,
    future::Future,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::Thread,
    time::Duration,
};

use rdkafka::{
    admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication},
    config::FromClientConfigAndContext,
    error::KafkaError,
    types::RDKafkaErrorCode as Code,
};

use super::{Bound, Connection, context::Plain, fault};
use crate::stream::Fault;

/// On one answer of the cluster.
const ANSWER_BOUND: Duration = Duration::from_secs(10);
/// Between two looks at topics that are not usable yet.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// A topic to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicPlan {
    pub name: String,
    pub n_partitions: u32,
    /// Replicas of each partition; `None` for the cluster's default.
    pub replication: Option<u32>,
    /// By Kafka's names of topic settings.
    pub configs: BTreeMap<String, String>,
}

/// What became of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Created {
    Made,
    /// There is a topic of that name, which was left as it is.
    Existed,
    Refused(String),
}

/// A topic as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicDescription {
    pub name: String,
    pub n_partitions: u32,
    /// The least number of replicas of any partition.
    pub replication: u32,
    /// Every partition has a leader.
    pub is_usable: bool,
    /// All settings in force, defaults included, by Kafka's names; empty where the cluster does not tell.
    pub configs: BTreeMap<String, String>,
}

/// A connection for administration.
pub struct Admin {
    client: AdminClient<Plain>,
    context: Plain,
}

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admin").finish_non_exhaustive()
    }
}

impl Admin {
    pub fn new(connection: &Connection, client_id: &str) -> Result<Self, Fault> {
        let context = Plain::default();
        let client = AdminClient::from_config_and_context(&connection.client(client_id), context.clone())
            .map_err(|error| fault::fault("admin client", &error))?;
        Ok(Self { client, context })
    }

    /// Makes the topics that do not exist; one fate for each plan, in their order.
    pub fn create(&self, plans: &[TopicPlan]) -> Result<Vec<Created>, Fault> {
        if plans.is_empty() {
            return Ok(Vec::new());
        }
        let topics = plans.iter().map(new_topic).collect::<Result<Vec<_>, Fault>>()?;
        let results = block_on(self.client.create_topics(&topics, &options())).map_err(|error| self.explain(&error))?;
        let mut fates: BTreeMap<String, Created> = results
            .into_iter()
            .map(|result| match result {
                Ok(name) => (name, Created::Made),
                Err((name, Code::TopicAlreadyExists)) => (name, Created::Existed),
                Err((name, code)) => (name, Created::Refused(code.to_string())),
            })
            .collect();
        Ok(plans
            .iter()
            .map(|plan| {
                fates
                    .remove(&plan.name)
                    .unwrap_or_else(|| Created::Refused("no answer".to_owned()))
            })
            .collect())
    }

    /// `None` where there is no such topic.
    pub fn describe(&self, topic: &str) -> Result<Option<TopicDescription>, Fault> {
        let Some(mut description) = self.look(topic)? else {
            return Ok(None);
        };
        let resources = [ResourceSpecifier::Topic(topic)];
        let answers =
            block_on(self.client.describe_configs(&resources, &options())).map_err(|error| self.explain(&error))?;
        for answer in answers {
            match answer {
                Ok(resource) => {
                    let known = resource
                        .entries
                        .into_iter()
                        .filter_map(|entry| Some((entry.name, entry.value?)));
                    description.configs.extend(known);
                }
                // Who may read a topic may often not ask for its settings.
                Err(Code::TopicAuthorizationFailed | Code::ClusterAuthorizationFailed) => {}
                Err(code) => return Err(fault::by_code(code, format!("settings of {topic}: {code}"))),
            }
        }
        Ok(Some(description))
    }

    /// Waits until every one of `topics` exists and has leaders, `bound` at most; then a `Retry` names one that has
    /// not.
    pub fn wait_usable(&self, topics: &[&str], bound: Duration) -> Result<(), Fault> {
        let bound = Bound::new(bound);
        for topic in topics {
            loop {
                match self.look(topic) {
                    Ok(Some(description)) if description.is_usable => break,
                    Ok(_) | Err(Fault::Retry(_)) if !bound.has_passed() => std::thread::sleep(LOOK_INTERVAL),
                    Ok(_) => {
                        return Err(Fault::Retry(format!(
                            "{topic} has partitions without a leader, or none"
                        )));
                    }
                    Err(fault) => return Err(fault),
                }
            }
        }
        Ok(())
    }

    /// What metadata says, without settings.
    fn look(&self, topic: &str) -> Result<Option<TopicDescription>, Fault> {
        let metadata = self
            .client
            .inner()
            .fetch_metadata(Some(topic), ANSWER_BOUND)
            .map_err(|error| self.explain(&error))?;
        let Some(found) = metadata.topics().iter().find(|found| found.name() == topic) else {
            return Ok(None);
        };
        if let Some(error) = found.error() {
            let code = Code::from(error);
            if matches!(code, Code::UnknownTopicOrPartition | Code::UnknownTopic) {
                return Ok(None);
            }
            return Err(fault::by_code(code, format!("topic {topic}: {code}")));
        }
        let partitions = found.partitions();
        let replication = partitions
            .iter()
            .map(|partition| partition.replicas().len())
            .min()
            .unwrap_or(0);
        Ok(Some(TopicDescription {
            name: topic.to_owned(),
            n_partitions: u32::try_from(partitions.len()).unwrap_or(u32::MAX),
            replication: u32::try_from(replication).unwrap_or(u32::MAX),
            is_usable: !partitions.is_empty()
                && partitions
                    .iter()
                    .all(|partition| partition.leader() >= 0 && partition.error().is_none()),
            configs: BTreeMap::new(),
        }))
    }

    fn explain(&self, error: &KafkaError) -> Fault {
        self.context.health.explain_fault(fault::fault("admin", error))
    }
}

fn new_topic(plan: &TopicPlan) -> Result<NewTopic<'_>, Fault> {
    let too_many = |n: u32| Fault::Fatal(format!("{n} is more than a topic can have"));
    let n_partitions = i32::try_from(plan.n_partitions).map_err(|_too_large| too_many(plan.n_partitions))?;
    let replication = match plan.replication {
        Some(n) => i32::try_from(n).map_err(|_too_large| too_many(n))?,
        None => -1,
    };
    let topic = NewTopic::new(&plan.name, n_partitions, TopicReplication::Fixed(replication));
    Ok(plan
        .configs
        .iter()
        .fold(topic, |topic, (name, value)| topic.set(name, value)))
}

fn options() -> AdminOptions {
    AdminOptions::new()
        .request_timeout(Some(ANSWER_BOUND))
        .operation_timeout(Some(ANSWER_BOUND))
}

/// The wrapper's answers come as futures, completed by a thread of the client's own: no runtime is needed to wait, and
/// none may be in the way. They end by themselves, for every request has its timeout.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}
