//! A consumer group: who is a member, who owns what, and where it left off.

use std::collections::{BTreeMap, BTreeSet};

use super::Process;
use crate::{
    model::Offset,
    stream::{Change, TopicPartition},
};

/// A member of a group; one that was put out comes back as another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct MemberId(pub(super) u64);

/// What a member shows with a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) member: MemberId,
    pub(super) generation: u64,
}

#[derive(Debug)]
pub(super) struct Member {
    pub(super) process: Process,
    topics: Vec<String>,
    /// Until it gives a partition up, nobody else gets it.
    owns: BTreeSet<TopicPartition>,
    generation: u64,
}

#[derive(Debug, Default)]
pub(super) struct Group {
    generation: u64,
    pub(super) members: BTreeMap<MemberId, Member>,
    target: BTreeMap<TopicPartition, MemberId>,
    pub(super) committed: BTreeMap<TopicPartition, Offset>,
}

impl Group {
    pub(super) fn join(&mut self, id: MemberId, process: Process, topics: Vec<String>) {
        let member = Member {
            process,
            topics,
            owns: BTreeSet::new(),
            generation: 0,
        };
        self.members.insert(id, member);
        self.generation += 1;
    }

    pub(super) fn leave(&mut self, id: MemberId) {
        if self.members.remove(&id).is_some() {
            self.generation += 1;
        }
    }

    pub(super) fn is_wanted(&self, topic: &str) -> bool {
        self.members
            .values()
            .any(|member| member.topics.iter().any(|wanted| wanted == topic))
    }

    /// Lays out who is to own what: as even as can be, moving as little as can be.
    pub(super) fn balance(&mut self, partitions: &[TopicPartition]) {
        let takes =
            |member: &Member, partition: &TopicPartition| member.topics.iter().any(|topic| **topic == *partition.topic);
        let mut loads: BTreeMap<MemberId, usize> = self.members.keys().map(|id| (*id, 0)).collect();
        let n_members = self.members.len().max(1);
        let floor = partitions.len() / n_members;
        let mut n_extra = partitions.len() % n_members;
        let mut target = BTreeMap::new();
        let mut free = Vec::new();
        for partition in partitions {
            let owner = self.owner(partition).filter(|owner| {
                let load = loads[owner];
                let fits = load < floor || (load == floor && n_extra > 0);
                n_extra -= usize::from(fits && load == floor);
                fits
            });
            match owner {
                Some(owner) => {
                    *loads.entry(owner).or_default() += 1;
                    target.insert(partition.clone(), owner);
                }
                None => free.push(partition),
            }
        }
        for partition in free {
            let least = self
                .members
                .iter()
                .filter(|(_, member)| takes(member, partition))
                .min_by_key(|(id, _)| loads[id]);
            if let Some((id, _)) = least {
                *loads.entry(*id).or_default() += 1;
                target.insert(partition.clone(), *id);
            }
        }
        self.target = target;
    }

    pub(super) fn owner(&self, partition: &TopicPartition) -> Option<MemberId> {
        self.members
            .iter()
            .find(|(_, member)| member.owns.contains(partition))
            .map(|(id, _)| *id)
    }

    /// What a member learns when it asks: what it has to give up, or what is free for it. `None`: it is no member.
    pub(super) fn serve(&mut self, id: MemberId) -> Option<Vec<Change>> {
        let generation = self.generation;
        let member = self.members.get_mut(&id)?;
        member.generation = generation;
        let given_up: Vec<TopicPartition> = member
            .owns
            .iter()
            .filter(|partition| self.target.get(*partition) != Some(&id))
            .cloned()
            .collect();
        if !given_up.is_empty() {
            member.owns.retain(|partition| !given_up.contains(partition));
            // A second rebalance hands them on.
            self.generation += 1;
            member.generation = self.generation;
            return Some(given_up.into_iter().map(Change::Revoked).collect());
        }
        let free: Vec<TopicPartition> = self
            .target
            .iter()
            .filter(|(partition, to)| **to == id && self.owner(partition).is_none())
            .map(|(partition, _)| partition.clone())
            .collect();
        let member = self.members.get_mut(&id)?;
        member.owns.extend(free.iter().cloned());
        Some(free.into_iter().map(Change::Assigned).collect())
    }

    pub(super) fn token(&self, id: MemberId) -> Option<Token> {
        let member = self.members.get(&id)?;
        (member.generation > 0).then_some(Token {
            member: id,
            generation: member.generation,
        })
    }

    /// Whether a commit with this token is of a member as the group is now.
    pub(super) fn accepts(&self, token: Token) -> Result<(), String> {
        if !self.members.contains_key(&token.member) {
            return Err("unknown member".to_owned());
        }
        if token.generation != self.generation {
            return Err(format!("generation {} of {}", token.generation, self.generation));
        }
        Ok(())
    }
}
