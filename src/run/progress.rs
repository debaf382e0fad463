//! Whether a worker gets on: what it has to do, and since when it has done none of it.
//!
//! A client can be well by its own account and still do nothing. Whether that is its fault, or nobody could do it now,
//! is for a client of another make to find out: here it is only noticed.

use std::{collections::BTreeMap, fmt, time::Duration};

use crate::{
    clock::{Clock, Stopwatch},
    model::Offset,
    stream::TopicPartition,
};

/// What is to be read and not moved for so long is in want of an explanation.
const SILENT_AFTER: Duration = Duration::from_secs(30);
/// So is a worker outside its group, or one whose transactions are all aborted: a rebalance may take half of it.
const OUTSIDE_AFTER: Duration = Duration::from_secs(45);
const ABORTED_MIN: u32 = 3;
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What a worker is in its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Outside,
    /// A member, and some of what it was assigned is not begun yet.
    Settling,
    Member,
}

/// In what way a worker does not get on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stuck {
    /// There are records from this offset on, and none arrives.
    Silent(TopicPartition, Offset),
    /// It is no member of its group.
    Outside,
    /// Nothing it writes is committed.
    Aborting,
}

impl fmt::Display for Stuck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent(partition, offset) => {
                write!(
                    f,
                    "nothing of {partition} arrived from {offset} on for {SILENT_AFTER:?}"
                )
            }
            Self::Outside => write!(f, "no member of the group for {OUTSIDE_AFTER:?}"),
            Self::Aborting => write!(f, "every transaction was aborted for {OUTSIDE_AFTER:?}"),
        }
    }
}

/// How a worker gets on.
#[derive(Debug)]
pub(crate) struct Progress {
    clock: Clock,
    looked: Stopwatch,
    /// What was to be read when last looked at, with since when it has not moved.
    waiting: BTreeMap<TopicPartition, (Offset, Stopwatch)>,
    member: Stopwatch,
    committed: Stopwatch,
    n_aborted: u32,
    /// The first and the last look at which it had done, of all there was to do, at least some.
    well: Option<(Stopwatch, Stopwatch)>,
}

impl Progress {
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            clock,
            looked: clock.stopwatch(),
            waiting: BTreeMap::new(),
            member: clock.stopwatch(),
            committed: clock.stopwatch(),
            n_aborted: 0,
            well: None,
        }
    }

    pub(crate) fn note_committed(&mut self) {
        self.committed = self.clock.stopwatch();
        self.n_aborted = 0;
    }

    pub(crate) fn note_aborted(&mut self) {
        if self.n_aborted == 0 {
            self.committed = self.clock.stopwatch();
        }
        self.n_aborted = self.n_aborted.saturating_add(1);
    }

    /// Whether it is time to look again.
    pub(crate) fn is_due(&mut self) -> bool {
        let due = self.looked.elapsed() >= LOOK_EVERY;
        if due {
            self.looked = self.clock.stopwatch();
        }
        due
    }

    /// Looks at what a worker has to do: `work` is every partition of which there is something to read, and from where.
    pub(crate) fn look(
        &mut self,
        standing: Standing,
        work: impl Iterator<Item = (TopicPartition, Offset)>,
    ) -> Option<Stuck> {
        let before = std::mem::take(&mut self.waiting);
        // Of one that is looked at for the first time nobody knows whether it moves.
        let (mut any_moves, mut any_stands) = (false, false);
        for (partition, offset) in work {
            let known = before.get(&partition);
            any_moves |= known.is_some_and(|(known, _)| *known != offset);
            any_stands |= known.is_some_and(|(known, _)| *known == offset);
            let since = known.filter(|(known, _)| *known == offset);
            let since = since.map_or_else(|| self.clock.stopwatch(), |(_, since)| *since);
            self.waiting.insert(partition, (offset, since));
        }
        let does_all = match standing {
            Standing::Outside => false,
            // What is not begun may be nobody's to begin, for days; that something is done shows that the worker can.
            Standing::Settling => any_moves,
            Standing::Member => any_moves || self.waiting.is_empty(),
        };
        if does_all && !any_stands && self.n_aborted == 0 {
            let now = self.clock.stopwatch();
            self.well.get_or_insert((now, now)).1 = now;
        }
        if standing != Standing::Outside {
            self.member = self.clock.stopwatch();
        }
        if self.member.elapsed() >= OUTSIDE_AFTER {
            return Some(Stuck::Outside);
        }
        if self.n_aborted >= ABORTED_MIN && self.committed.elapsed() >= OUTSIDE_AFTER {
            return Some(Stuck::Aborting);
        }
        let silent = self
            .waiting
            .iter()
            .find(|(_, (_, since))| since.elapsed() >= SILENT_AFTER);
        silent.map(|(partition, (offset, _))| Stuck::Silent(partition.clone(), *offset))
    }

    /// All this while it was given much of other partitions: who is slow is not silent, and what waits is looked at anew.
    pub(crate) fn note_busy(&mut self) {
        self.waiting.clear();
    }

    /// It was nobody's fault: to be noticed again after as long.
    pub(crate) fn excuse(&mut self) {
        *self = Self {
            well: self.well,
            ..Self::new(self.clock)
        };
    }

    /// From the first time that it was seen to get on to the last.
    pub(crate) fn well_for(&self) -> Duration {
        self.well.map_or(Duration::ZERO, |(first, last)| {
            first.elapsed().saturating_sub(last.elapsed())
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::{
        Standing::{Member, Outside, Settling},
        *,
    };
    use crate::model::PartitionIndex;

    struct Played {
        millis: &'static AtomicI64,
        progress: Progress,
    }

    impl Played {
        fn new() -> Self {
            let millis = Box::leak(Box::new(AtomicI64::new(0)));
            Self {
                millis,
                progress: Progress::new(Clock::set_by(millis)),
            }
        }

        /// What is noticed at `second`, of one who has this to do.
        fn at(&mut self, second: i64, standing: Standing, work: &[(i32, i64)]) -> Option<Stuck> {
            self.millis.store(second * 1_000, Ordering::Relaxed);
            let work = work.iter().map(|(index, offset)| (partition(*index), Offset(*offset)));
            self.progress.look(standing, work)
        }
    }

    fn partition(index: i32) -> TopicPartition {
        TopicPartition {
            topic: "errors".into(),
            partition: PartitionIndex(index),
        }
    }

    #[test]
    fn a_partition_that_does_not_move_is_noticed_and_one_that_does_is_not() {
        let mut played = Played::new();
        assert_eq!(played.at(0, Member, &[(0, 5), (1, 7)]), None);
        assert_eq!(played.at(29, Member, &[(0, 5), (1, 8)]), None);
        assert_eq!(
            played.at(30, Member, &[(0, 5), (1, 9)]),
            Some(Stuck::Silent(partition(0), Offset(5)))
        );
        played.progress.excuse();
        assert_eq!(played.at(31, Member, &[(0, 5)]), None, "excused");
        assert_eq!(played.at(50, Member, &[]), None, "nothing to do");
        assert_eq!(played.at(79, Member, &[(0, 5)]), None, "since 79 only");
    }

    /// A million decisions are read for minutes on a loaded machine, partition after partition.
    #[test]
    fn one_that_reads_much_of_other_partitions_is_not_silent() {
        let mut played = Played::new();
        for second in [0, 15, 30, 45] {
            assert_eq!(played.at(second, Member, &[(0, 5)]), None);
            played.progress.note_busy();
        }
        assert_eq!(played.at(60, Member, &[(0, 5)]), None);
        assert_eq!(
            played.at(90, Member, &[(0, 5)]),
            Some(Stuck::Silent(partition(0), Offset(5)))
        );
    }

    #[test]
    fn one_outside_its_group_is_noticed() {
        let mut played = Played::new();
        assert_eq!(played.at(44, Outside, &[]), None);
        assert_eq!(played.at(45, Outside, &[]), Some(Stuck::Outside));
        assert_eq!(played.at(46, Member, &[]), None);
    }

    #[test]
    fn one_whose_transactions_are_all_aborted_is_noticed() {
        let mut played = Played::new();
        for second in [10, 20, 70] {
            assert_eq!(played.at(second, Member, &[]), None);
            played.progress.note_aborted();
        }
        assert_eq!(played.at(71, Member, &[]), Some(Stuck::Aborting));
        played.progress.note_committed();
        assert_eq!(played.at(200, Member, &[]), None);
    }

    /// Else one that never wrote anything would be built anew for ever.
    #[test]
    fn one_whose_transactions_are_all_aborted_was_not_well() {
        let mut played = Played::new();
        for (second, offset) in [(1, 5), (20, 6), (40, 7), (60, 8)] {
            played.progress.note_aborted();
            played.at(second, Member, &[(0, offset)]);
        }
        assert_eq!(played.progress.well_for(), Duration::ZERO);
    }

    /// What it does until it is stuck, and how much of that was well.
    const DAY: i64 = 86_400;

    /// Seconds since the beginning, and the offsets of what is to be read, by partition.
    type Look = (i64, Standing, &'static [(i32, i64)]);

    /// For how many seconds a life was well that was looked at so.
    fn seconds_well(looks: &[Look]) -> u64 {
        let mut played = Played::new();
        for (second, standing, work) in looks {
            played.at(*second, *standing, work);
        }
        played.progress.excuse();
        played.progress.well_for().as_secs()
    }

    #[test]
    fn a_life_was_well_as_long_as_it_did_what_there_was_to_do() {
        let cases: [(&str, &[Look], i64); 8] = [
            (
                "silent after a day",
                &[
                    (3, Member, &[]),
                    (DAY, Member, &[(0, 5)]),
                    (DAY + 40, Member, &[(0, 5)]),
                ],
                0,
            ),
            (
                "read on for a day, then silent",
                &[
                    (3, Member, &[(0, 5)]),
                    (4, Member, &[(0, 6)]),
                    (DAY, Member, &[(0, 9)]),
                    (DAY + 40, Member, &[(0, 9)]),
                ],
                DAY - 4,
            ),
            (
                "silent from the beginning",
                &[(3, Member, &[(0, 5)]), (20, Member, &[(0, 5)]), (40, Member, &[(0, 5)])],
                0,
            ),
            (
                "silent in one of two",
                &[(3, Member, &[(0, 5), (1, 5)]), (20, Member, &[(0, 5), (1, 6)])],
                0,
            ),
            (
                "never done with beginning",
                &[(3, Settling, &[]), (40, Settling, &[])],
                0,
            ),
            (
                "read on for a day while something could not be begun",
                &[
                    (3, Settling, &[(0, 5)]),
                    (4, Settling, &[(0, 6)]),
                    (DAY, Settling, &[(0, 9)]),
                    (DAY + 40, Settling, &[(0, 9)]),
                ],
                DAY - 4,
            ),
            (
                "given more all the time",
                &[
                    (3, Member, &[(0, 5)]),
                    (4, Member, &[(0, 6), (1, 0)]),
                    (DAY, Member, &[(0, 9), (1, 7), (2, 0)]),
                    (DAY + 40, Member, &[(0, 9), (1, 7), (2, 0)]),
                ],
                DAY - 4,
            ),
            (
                "outside after a day with nothing to do",
                &[(3, Member, &[]), (DAY, Member, &[]), (DAY + 50, Outside, &[])],
                DAY - 3,
            ),
        ];
        for (what, looks, seconds) in cases {
            assert_eq!(seconds_well(looks), seconds.unsigned_abs(), "{what}");
        }
    }
}
