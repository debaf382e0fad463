//! Clients of the log in memory: a worker's, and a restore's.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use super::{
    Cluster, Fate, Process, Step,
    cluster::{Decision, Stored},
    group::{MemberId, Token},
};
use crate::{
    model::Offset,
    stream::{Change, Client, Fault, Membership, Reader, Record, TopicPartition, Write},
};

/// Asks for what is not decided yet so often.
const AGAIN: Duration = Duration::from_millis(200);
/// An idle worker looks so seldom, whatever it asks for: a test of minutes is to be short.
const IDLE: Duration = Duration::from_millis(500);

/// A worker's client.
pub(crate) struct MemoryClient {
    cluster: Arc<Cluster>,
    process: Process,
    transactional_id: String,
    epoch: u32,
    group: String,
    topics: Vec<String>,
    member: MemberId,
    /// Where each assigned partition goes on; `None` until it is started.
    next: BTreeMap<TopicPartition, Option<Offset>>,
    ends: BTreeMap<TopicPartition, Offset>,
    broken: Option<&'static str>,
    is_silent: bool,
}

impl fmt::Debug for MemoryClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryClient").finish_non_exhaustive()
    }
}

impl MemoryClient {
    /// Takes the place of a former producer of the same id, then joins the group.
    pub(crate) fn open(
        cluster: &Arc<Cluster>,
        process: Process,
        (group, transactional_id): (&str, &str),
        topics: &[&str],
    ) -> Result<Self, Fault> {
        if cluster.schedule.reach(process, Step::Opening) != Fate::GoOn {
            return Err(Fault::Fatal("not opened".to_owned()));
        }
        let topics: Vec<String> = topics.iter().map(|topic| (*topic).to_owned()).collect();
        let (epoch, member) = {
            let mut state = cluster.now();
            (state.open(transactional_id), state.join(group, process, &topics))
        };
        let mut client = Self {
            cluster: Arc::clone(cluster),
            process,
            transactional_id: transactional_id.to_owned(),
            epoch,
            group: group.to_owned(),
            topics,
            member,
            next: BTreeMap::new(),
            ends: BTreeMap::new(),
            broken: None,
            is_silent: false,
        };
        client.reach(Step::Opened)?;
        Ok(client)
    }

    /// Leaves the group, unless the process has ended.
    pub(crate) fn close(self) {
        if self.cluster.schedule.reach(self.process, Step::Closing) != Fate::Crash {
            let mut state = self.cluster.now();
            state.end(&self.transactional_id);
            state.leave(&self.group, self.member);
        }
    }

    /// Lets others run, and says what has become of this client. A failure is for the caller to make sense of.
    fn reach(&mut self, step: Step) -> Result<(), Fault> {
        if let Some(why) = self.broken {
            return Err(Fault::Fatal(why.to_owned()));
        }
        match self.cluster.schedule.reach(self.process, step) {
            Fate::GoOn => Ok(()),
            Fate::Fail => Err(Fault::Retry(format!("failed at {step:?}"))),
            Fate::Break => self.break_down("broken"),
            Fate::FallSilent => {
                self.is_silent = true;
                Ok(())
            }
            Fate::Crash => self.break_down("the process has ended"),
        }
    }

    fn break_down(&mut self, why: &'static str) -> Result<(), Fault> {
        self.broken = Some(why);
        Err(Fault::Fatal(why.to_owned()))
    }

    fn serve(&mut self) -> Vec<Change> {
        let mut state = self.cluster.now();
        let group = state.groups.entry(self.group.clone()).or_default();
        let Some(changes) = group.serve(self.member) else {
            // Put out while it was silent: all it had is another's, and it comes back as a new member.
            self.member = state.join(&self.group, self.process, &self.topics);
            let lost = std::mem::take(&mut self.next);
            self.ends.clear();
            return lost.into_keys().map(Change::Lost).collect();
        };
        for change in &changes {
            match change {
                Change::Assigned(partition) => {
                    self.next.insert(partition.clone(), None);
                }
                Change::Revoked(partition) | Change::Lost(partition) => {
                    self.next.remove(partition);
                    self.ends.remove(partition);
                }
            }
        }
        changes
    }

    /// Whether anything can be taken; and the ends, as they are told once a poll.
    fn look(&mut self) -> bool {
        let mut state = self.cluster.now();
        let mut any = false;
        for (partition, next) in &self.next {
            let Some(found) = state.partition(&partition.topic, partition.partition) else {
                continue;
            };
            let end = found.decided();
            any |= next.is_some_and(|next| next < end);
            self.ends.insert(partition.clone(), end);
        }
        any
    }

    fn fill(&mut self, token: Token, positions: &[(TopicPartition, Offset)], writes: Vec<Write>) -> Result<(), Fault> {
        let id = self.transactional_id.clone();
        let now = self.cluster.schedule.now();
        self.cluster.now().begin(&id, self.epoch, now)?;
        self.reach(Step::Begun)?;
        for write in writes {
            let now = self.cluster.schedule.now();
            self.cluster.now().write(&id, self.epoch, write, now)?;
            self.reach(Step::Written)?;
        }
        self.reach(Step::SendingOffsets)?;
        self.cluster
            .now()
            .send_positions((&id, self.epoch), (&self.group, token), positions)?;
        self.reach(Step::OffsetsSent)?;
        self.cluster.now().prepare(&id, self.epoch)
    }

    /// The decision is taken; what befalls the client now changes nothing in it.
    fn mark(&mut self) -> Result<(), Fault> {
        let mut met = self.reach(Step::Prepared);
        while self.cluster.now().mark(&self.transactional_id) {
            met = met.and(self.reach(Step::Marked));
        }
        met = met.and(self.reach(Step::Committed));
        match met {
            // Asked for again until the answer is known.
            Ok(()) | Err(Fault::Retry(_)) => Ok(()),
            Err(fault) => Err(fault),
        }
    }
}

impl Client for MemoryClient {
    fn poll(&mut self, wait: Duration) -> Result<Vec<Change>, Fault> {
        self.reach(Step::Polling)?;
        let changes = self.serve();
        if changes.is_empty() && !self.look() && !wait.is_zero() {
            self.cluster.schedule.wait(self.process, wait.max(IDLE));
        }
        self.look();
        // What the group said is said: a failure here would lose it.
        match self.reach(Step::Polled) {
            Err(Fault::Retry(_)) | Ok(()) => Ok(changes),
            Err(fault) => Err(fault),
        }
    }

    fn committed(&mut self, partitions: &[TopicPartition]) -> Result<Vec<Option<Offset>>, Fault> {
        self.reach(Step::AskingCommitted)?;
        let answer = committed(&self.cluster, &self.group, partitions)?;
        self.reach(Step::ToldCommitted)?;
        Ok(answer)
    }

    fn bounds(&mut self, partition: &TopicPartition) -> Result<(Offset, Offset), Fault> {
        self.reach(Step::AskingBounds)?;
        let (_, decided) = self.cluster.ends(partition);
        self.reach(Step::ToldBounds)?;
        Ok((Offset(0), decided))
    }

    fn start(&mut self, partition: &TopicPartition, offset: Offset) -> Result<(), Fault> {
        self.reach(Step::Starting)?;
        let Some(next) = self.next.get_mut(partition) else {
            return Err(Fault::Retry(format!("{partition} is not assigned")));
        };
        *next = Some(offset);
        match self.reach(Step::Started) {
            Err(Fault::Retry(_)) | Ok(()) => Ok(()),
            Err(fault) => Err(fault),
        }
    }

    fn take(
        &mut self,
        partition: &TopicPartition,
        max: usize,
        each: &mut dyn FnMut(&Record<'_>) -> bool,
    ) -> Result<usize, Fault> {
        self.reach(Step::Taking)?;
        let Some(next) = self.next.get_mut(partition) else {
            return Err(Fault::Retry(format!("{partition} is not assigned")));
        };
        let Some(mut offset) = next.filter(|_| !self.is_silent) else {
            return Ok(0);
        };
        let mut n_given = 0;
        while n_given < max {
            let (found, passed) = record(&self.cluster, partition, offset);
            offset = passed;
            *next = Some(passed);
            let Some((at, stored)) = found else { break };
            n_given += 1;
            if !lend(at, &stored, each) {
                break;
            }
        }
        match self.reach(Step::Taken) {
            Err(Fault::Retry(_)) | Ok(()) => Ok(n_given),
            Err(fault) => Err(fault),
        }
    }

    fn positions(&mut self) -> Result<Vec<(TopicPartition, Offset)>, Fault> {
        self.reach(Step::AskingPositions)?;
        if self.is_silent {
            return Ok(Vec::new());
        }
        let started = self.next.iter();
        Ok(started
            .filter_map(|(partition, next)| {
                let next = (*next)?;
                // Marks and aborted records are passed in fetching, before anybody takes what follows them.
                let (_, passed) = peek(&self.cluster, partition, next);
                Some((partition.clone(), passed))
            })
            .collect())
    }

    fn end(&self, partition: &TopicPartition) -> Option<Offset> {
        self.ends.get(partition).copied()
    }

    fn membership(&mut self) -> Option<Membership> {
        self.reach(Step::AskingMembership).ok()?;
        let mut state = self.cluster.now();
        let token = state.groups.entry(self.group.clone()).or_default().token(self.member)?;
        Some(Membership { token: Box::new(token) })
    }

    fn commit(
        &mut self,
        membership: &Membership,
        positions: &[(TopicPartition, Offset)],
        writes: Vec<Write>,
    ) -> Result<(), Fault> {
        assert!(!positions.is_empty(), "the broker would not check the membership");
        self.reach(Step::Beginning)?;
        let token = *membership.token.downcast_ref::<Token>().expect("our own token");
        match self.fill(token, positions, writes) {
            Ok(()) => self.mark(),
            Err(Fault::Retry(why) | Fault::Aborted(why)) => {
                self.cluster.now().abort(&self.transactional_id, self.epoch)?;
                Err(Fault::Aborted(why))
            }
            Err(fault) => Err(fault),
        }
    }

    fn partition_count(&mut self, topic: &str) -> Result<Option<u32>, Fault> {
        Ok(partition_count(&self.cluster, topic))
    }
}

/// A restore's reader.
pub(crate) struct MemoryReader {
    cluster: Arc<Cluster>,
    process: Process,
    group: String,
}

impl fmt::Debug for MemoryReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryReader").finish_non_exhaustive()
    }
}

impl MemoryReader {
    pub(crate) fn new(cluster: &Arc<Cluster>, process: Process, group: &str) -> Self {
        Self {
            cluster: Arc::clone(cluster),
            process,
            group: group.to_owned(),
        }
    }

    fn reach(&self, step: Step) -> Result<(), Fault> {
        match self.cluster.schedule.reach(self.process, step) {
            Fate::GoOn | Fate::FallSilent => Ok(()),
            Fate::Fail => Err(Fault::Retry(format!("failed at {step:?}"))),
            Fate::Break | Fate::Crash => Err(Fault::Fatal(format!("ended at {step:?}"))),
        }
    }
}

impl Reader for MemoryReader {
    fn read(
        &mut self,
        partition: &TopicPartition,
        from: Option<Offset>,
        each: &mut dyn FnMut(&Record<'_>),
    ) -> Result<Offset, Fault> {
        self.reach(Step::Reading)?;
        let (end, _) = self.cluster.ends(partition);
        let mut offset = from.unwrap_or(Offset(0));
        while offset < end {
            let (found, passed) = record(&self.cluster, partition, offset);
            match found {
                Some((at, _)) if at >= end => break,
                Some((at, stored)) => {
                    lend(at, &stored, &mut |record| {
                        each(record);
                        true
                    });
                }
                None if passed < end => {
                    self.cluster.schedule.wait(self.process, AGAIN);
                    self.reach(Step::Reading)?;
                }
                None => {}
            }
            offset = passed;
        }
        self.reach(Step::Read)?;
        Ok(end)
    }

    fn committed(&mut self, partition: &TopicPartition) -> Result<Option<Offset>, Fault> {
        self.reach(Step::AskingCommitted)?;
        let answer = committed(&self.cluster, &self.group, std::slice::from_ref(partition))?;
        self.reach(Step::ToldCommitted)?;
        Ok(answer[0])
    }

    fn bounds(&mut self, partition: &TopicPartition) -> Result<(Offset, Offset), Fault> {
        self.reach(Step::AskingBounds)?;
        let (end, _) = self.cluster.ends(partition);
        Ok((Offset(0), end))
    }

    fn partition_count(&mut self, topic: &str) -> Result<Option<u32>, Fault> {
        Ok(partition_count(&self.cluster, topic))
    }
}

fn partition_count(cluster: &Cluster, topic: &str) -> Option<u32> {
    let state = cluster.now();
    let partitions = state.topics.get(topic)?;
    u32::try_from(partitions.len()).ok()
}

fn committed(cluster: &Cluster, group: &str, partitions: &[TopicPartition]) -> Result<Vec<Option<Offset>>, Fault> {
    let mut state = cluster.now();
    if state.is_pending(group, partitions) {
        return Err(Fault::Retry("a transaction is pending".to_owned()));
    }
    let group = state.groups.entry(group.to_owned()).or_default();
    Ok(partitions
        .iter()
        .map(|partition| group.committed.get(partition).copied())
        .collect())
}

/// The first record that may be shown from `offset` on, and the offset behind it, or behind what is none.
fn record(cluster: &Cluster, partition: &TopicPartition, offset: Offset) -> (Option<(Offset, Stored)>, Offset) {
    let (found, passed) = peek(cluster, partition, offset);
    match found {
        Some(stored) => (Some((passed, stored)), passed.next()),
        None => (None, passed),
    }
}

/// The first record that may be shown from `offset` on, with the offset reached: its own, or the end of what is decided.
fn peek(cluster: &Cluster, partition: &TopicPartition, offset: Offset) -> (Option<Stored>, Offset) {
    let mut state = cluster.now();
    let shows_undecided = state.shows_undecided();
    let Some(found) = state.partition(&partition.topic, partition.partition) else {
        return (None, offset);
    };
    let end = if shows_undecided { found.end() } else { found.decided() };
    let mut at = offset;
    while at < end {
        let slot = &found.slots[usize::try_from(at.0).unwrap_or(usize::MAX)];
        if let Some(stored) = &slot.record
            && (slot.decision == Decision::Committed || shows_undecided)
        {
            return (Some(stored.clone()), at);
        }
        at = at.next();
    }
    (None, at)
}

fn lend(offset: Offset, stored: &Stored, each: &mut dyn FnMut(&Record<'_>) -> bool) -> bool {
    each(&Record {
        offset,
        timestamp: Some(stored.timestamp),
        key: stored.key.as_deref(),
        value: stored.value.as_deref(),
        headers: &|| stored.headers.clone(),
    })
}
