//! Schedules: instances on a log in memory, whose threads take turns by a seed, with a fault before or after any step.
//!
//! The workers are those that run in production; the log keeps Kafka's promises (`stream/memory.rs`). Each schedule is
//! held against the core run alone on the same inputs. One that fails names its seed, and runs again by it:
//!
//! ```text
//! HOLDPOINT_SCHEDULE=4711 cargo test --lib schedules::one
//! HOLDPOINT_SCHEDULES=20000 cargo test --release --lib schedules
//! ```

mod baton;
mod check;
mod feed;
#[path = "../../tests/broker/fold.rs"]
mod fold;
mod plan;
mod site;

use std::{
    collections::BTreeSet,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex},
    time::Duration,
};

use metrics_exporter_prometheus::PrometheusBuilder;

use self::{
    baton::{Baton, Fault},
    check::Talk,
    feed::Feed,
    plan::{Plan, Scenario, plan},
    site::{Control, INGEST_GROUP, INPUTS, LOG_PARTITIONS, SCORE_GROUP, START, Site},
};
use crate::{
    gate::{Finding, Request, assess},
    model::{Entry, EnvironmentId, Offset, PartitionIndex, ServiceId, Tick, Timestamp, Watermark},
    run::{ingest::log_record, policy_file::PolicyFile},
    stream::{
        TopicPartition,
        memory::{Cluster, Process, Schedule, Step, Weakness},
    },
    wire::events,
};

/// A schedule that is not whole so long after the last fault has failed.
const WHOLE_WITHIN: Duration = Duration::from_secs(90);
/// Hours of downtime are caught up within, one step of record time after the other.
const CAUGHT_UP_WITHIN: Duration = Duration::from_mins(10);
/// After a day without anybody, so long is left for members to come together and to hear what time it is.
const SETTLES_WITHIN: Duration = Duration::from_mins(1);
/// The driver looks so often.
const LOOK_EVERY: Duration = Duration::from_millis(500);
const DAY: Duration = Duration::from_hours(24);

/// What came of it.
struct Played {
    n_steps: u64,
    /// What services asked each other.
    talk: Talk,
    /// Where faults struck, by name of the step.
    met: Vec<(u64, Process, Step, Fault)>,
    failure: Option<String>,
}

/// The instances of a schedule, each with the process it runs as now.
struct Fleet {
    site: Site,
    processes: Vec<Process>,
    n_processes: u32,
    /// When an instance that has ended is started again.
    back_at: Vec<Option<Timestamp>>,
}

impl Fleet {
    fn start(site: Site, n_instances: u32) -> Self {
        let mut fleet = Self {
            site,
            processes: Vec::new(),
            n_processes: n_instances,
            back_at: vec![None; usize::try_from(n_instances).unwrap_or(0)],
        };
        for index in 0..n_instances {
            fleet.processes.push(Process(index));
            fleet.site.start(&format!("i{index}"), Process(index));
        }
        fleet
    }

    /// Starts again what has ended, after a while.
    fn look_after(&mut self) {
        let baton = Arc::clone(&self.site.baton);
        for (index, process) in self.processes.iter_mut().enumerate() {
            let has_ended = baton.is_dead(*process) || (baton.is_stopping(*process) && baton.is_over(*process));
            if !has_ended {
                continue;
            }
            let now = baton.now();
            let after = Duration::from_millis(baton.chance(|chance| chance.below(15_000)));
            if *self.back_at[index].get_or_insert(now + after) <= now {
                self.back_at[index] = None;
                *process = Process(self.n_processes);
                self.n_processes += 1;
                self.site.start(&format!("i{index}"), *process);
            }
        }
    }

    /// All die, and are away for so long.
    fn leave(&mut self, away: Duration) {
        let back_at = self.site.baton.now() + away;
        for (process, back) in self.processes.iter().zip(&mut self.back_at) {
            self.site.baton.kill(*process);
            *back = Some(back_at);
        }
    }

    fn are_up(&self) -> bool {
        let baton = &self.site.baton;
        self.processes
            .iter()
            .all(|process| !baton.is_dead(*process) && !baton.is_stopping(*process))
    }

    fn end(&self) {
        self.site.baton.disarm();
        for process in &self.processes {
            self.site.baton.stop(*process);
        }
        while !(0..self.n_processes).all(|process| self.site.baton.is_over(Process(process))) {
            self.site.baton.rest(LOOK_EVERY);
        }
    }
}

/// A log with all topics, and nothing in them.
fn site(plan: &Plan, start: Timestamp) -> Site {
    let baton = Baton::new(plan.seed, start, plan.faults.clone());
    let schedule: Arc<dyn Schedule> = baton.clone();
    let cluster = Arc::new(Cluster::new(schedule, plan.weakness));
    let n = usize::try_from(LOG_PARTITIONS).unwrap_or(0);
    for (_, topic, n_partitions) in INPUTS {
        cluster.create(topic, usize::try_from(n_partitions).unwrap_or(0), false);
    }
    for (topic, n_partitions, is_stamped) in [("events", n, true), ("state", n, false), ("control", n, true)] {
        cluster.create(topic, n_partitions, is_stamped);
    }
    cluster.create("rejected", 1, false);
    let recorder = Arc::new(PrometheusBuilder::new().build_recorder());
    Site {
        baton,
        cluster,
        recorder,
        policy: older_policy(),
    }
}

/// A file whose policy differs from what is in force, and does not take its place.
fn older_policy() -> Arc<PolicyFile> {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "revision = 0\n").expect("written");
    let policy = PolicyFile::new(Some(file.path().to_owned()));
    policy.reload().expect("a good policy");
    Arc::new(policy)
}

/// Plays a schedule to its end, and says what was wrong with it.
fn play(plan: &Plan) -> Played {
    let (start, feed) = match plan.scenario {
        Scenario::Running | Scenario::DayLater => (START, Feed::of(plan.seed)),
        Scenario::Downtime => (START + feed::HOURS_LAST, Feed::of_hours(plan.seed)),
        Scenario::Trouble => (START, Feed::of_trouble(plan.seed)),
    };
    let site = site(plan, start);
    let baton = Arc::clone(&site.baton);
    site.bring_into_force(feed::POLICY);
    for record in feed.records.iter().take_while(|record| record.timestamp < start) {
        site.cluster.append(record.clone());
    }
    let mut fleet = Fleet::start(site.clone(), plan.n_instances);
    let is_whole = match plan.scenario {
        Scenario::Running | Scenario::Trouble => run(&mut fleet, &feed, plan.armed_after, None),
        Scenario::DayLater => run(&mut fleet, &feed, plan.armed_after, Some(DAY)),
        Scenario::Downtime => catch_up(&mut fleet, &feed),
    };
    fleet.end();
    let checked = match baton.panics().into_iter().next() {
        Some(panic) => Err(panic),
        None if !is_whole => Err(format!("not whole within {WHOLE_WITHIN:?}")),
        None => catch_unwind(AssertUnwindSafe(|| check::check(&site, &feed, plan.scenario)))
            .map_err(|panic| baton::text_of(&*panic)),
    };
    Played {
        n_steps: baton.n_steps(),
        met: baton.met(),
        talk: checked.as_ref().copied().unwrap_or_default(),
        failure: checked.err(),
    }
}

/// Looks after the instances until they have caught up. False: they have not, or a gate was told what nobody knew.
fn catch_up(fleet: &mut Fleet, feed: &Feed) -> bool {
    let baton = Arc::clone(&fleet.site.baton);
    baton.arm();
    let began = baton.now();
    let mut gates = Gates::default();
    loop {
        baton.rest(LOOK_EVERY);
        fleet.look_after();
        gates.ask(&fleet.site, feed);
        let is_settled = fleet.are_up() && baton.now().since(began) >= Duration::from_mins(1);
        if is_settled && is_taken_in(&fleet.site) && is_scored(&fleet.site, &gates.goal(&fleet.site)) {
            return gates.n_unknown > 0;
        }
        if baton.now().since(began) > CAUGHT_UP_WITHIN || !baton.panics().is_empty() {
            return false;
        }
    }
}

/// Pipelines that ask while the system catches up.
#[derive(Default)]
struct Gates {
    control: Control,
    n_unknown: u64,
    goal: Option<Vec<Offset>>,
}

impl Gates {
    /// Asks for every service. One may proceed only once what is known of it is of now.
    fn ask(&mut self, site: &Site, feed: &Feed) {
        self.control.follow(&site.cluster);
        let now = site.baton.now();
        for service in feed.expected.keys() {
            let name: ServiceId = service.parse().expect("a name");
            let production: EnvironmentId = "production".parse().expect("a name");
            let request = Request::new(name, production);
            match assess(&self.control.view, &request, now).verdict {
                Finding::Unknown => self.n_unknown += 1,
                Finding::Proceed => assert!(is_taken_in(site), "{service} may proceed, and its past is not read yet"),
                Finding::ExtraReview | Finding::Freeze => {}
            }
        }
    }

    /// The log's end when all input was taken in, as first seen.
    fn goal(&mut self, site: &Site) -> Vec<Offset> {
        self.goal.get_or_insert_with(|| log_ends(site)).clone()
    }
}

/// Feeds the instances until all is fed, looks after them, and waits until the system is whole. False: it is not. Faults
/// strike from `armed_after` on. With `gap` all instances are gone for so long once all is fed.
fn run(fleet: &mut Fleet, feed: &Feed, armed_after: Duration, mut gap: Option<Duration>) -> bool {
    let baton = Arc::clone(&fleet.site.baton);
    let mut records = feed.records.iter().peekable();
    // The first members settle, and what was there before them is taken in, before anything happens.
    while records.next_if(|record| record.timestamp < START).is_some() {}
    baton.rest(Duration::from_secs(3));
    while !is_taken_in(&fleet.site) {
        baton.rest(LOOK_EVERY);
    }
    let history = log_ends(&fleet.site);
    while !is_scored(&fleet.site, &history) {
        baton.rest(LOOK_EVERY);
    }
    if armed_after.is_zero() {
        baton.arm();
    }
    let began = baton.now();
    let mut goal: Option<Vec<Offset>> = None;
    let mut deadline = None;
    let mut settled_at = began + feed.lasts;
    loop {
        baton.rest(LOOK_EVERY);
        fleet.look_after();
        let passed = baton.now().since(began);
        if passed >= armed_after {
            baton.arm();
        }
        while let Some(record) = records.next_if(|record| record.timestamp.since(START) <= passed) {
            let mut record = record.clone();
            record.timestamp = baton.now();
            fleet.site.cluster.append(record);
        }
        // An event whose second copy is read a day after the first is two.
        if records.peek().is_none()
            && passed > feed.last + Duration::from_secs(5)
            && is_taken_in(&fleet.site)
            && let Some(gap) = gap.take()
        {
            fleet.leave(gap);
            baton.rest(gap);
            // Those that come back tell time, and it is heard.
            settled_at = baton.now() + SETTLES_WITHIN;
        }
        // Words end, and the last that can happen has happened.
        if gap.is_some() && passed > feed.lasts + WHOLE_WITHIN * 2 {
            return false;
        }
        if gap.is_some() || records.peek().is_some() || baton.now() < settled_at || !fleet.are_up() {
            continue;
        }
        let deadline = *deadline.get_or_insert(baton.now() + WHOLE_WITHIN);
        if goal.is_none() && is_taken_in(&fleet.site) {
            goal = Some(log_ends(&fleet.site));
        }
        if goal.as_ref().is_some_and(|goal| is_scored(&fleet.site, goal)) {
            return true;
        }
        if baton.now() > deadline || !baton.panics().is_empty() {
            return false;
        }
    }
}

fn partition(topic: &str, index: u32) -> TopicPartition {
    TopicPartition {
        topic: Arc::from(topic),
        partition: PartitionIndex(i32::try_from(index).unwrap_or(0)),
    }
}

/// Whether ingest has committed all of its input.
fn is_taken_in(site: &Site) -> bool {
    INPUTS.iter().all(|(_, topic, n_partitions)| {
        (0..*n_partitions).all(|index| {
            let partition = partition(topic, index);
            let (end, _) = site.cluster.ends(&partition);
            end == Offset(0) || site.cluster.committed(INGEST_GROUP, &partition) == Some(end)
        })
    })
}

fn log_ends(site: &Site) -> Vec<Offset> {
    let ends = (0..LOG_PARTITIONS).map(|index| site.cluster.ends(&partition("events", index)).0);
    ends.collect()
}

/// Whether score has committed the log up to `goal`.
fn is_scored(site: &Site, goal: &[Offset]) -> bool {
    (0..).zip(goal).all(|(index, end)| {
        let committed = site.cluster.committed(SCORE_GROUP, &partition("events", index));
        committed.is_some_and(|committed| committed >= *end)
    })
}

/// How many schedules are to be played.
fn n_wanted(usual: u64) -> u64 {
    let told = std::env::var("HOLDPOINT_SCHEDULES").ok();
    told.and_then(|n| n.parse().ok()).unwrap_or(usual)
}

/// Plays schedules on all cores; gives what was played, and the failures, each with the number to play it again by.
fn play_all(numbers: impl Iterator<Item = u64> + Send, weakness: Option<Weakness>) -> (Vec<Played>, Vec<String>) {
    let numbers = Mutex::new(numbers);
    let all = Mutex::new((Vec::new(), Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                loop {
                    let Some(number) = numbers.lock().expect("no panic in here").next() else {
                        return;
                    };
                    let plan = Plan {
                        weakness,
                        ..plan(number)
                    };
                    let played = play(&plan);
                    let mut all = all.lock().expect("no panic in here");
                    if let Some(why) = &played.failure {
                        all.1.push(format!(
                            "HOLDPOINT_SCHEDULE={number} of {plan:?}\nmet {:?}\n{why}",
                            played.met
                        ));
                    }
                    all.0.push(played);
                }
            });
        }
    });
    all.into_inner().expect("no panic in here")
}

/// Plays `n` schedules from number `first` on; all of them pass.
fn pass(first: u64, n: u64) -> Vec<Played> {
    let (played, failures) = play_all(first..first + n, None);
    let n_failed = failures.len();
    assert!(failures.is_empty(), "{n_failed} of {n}:\n{}", failures.join("\n\n"));
    played
}

#[test]
fn one() {
    let number = std::env::var("HOLDPOINT_SCHEDULE")
        .ok()
        .and_then(|number| number.parse().ok());
    let played = play(&plan(number.unwrap_or(1)));
    assert_eq!(played.failure, None, "met {:?}", played.met);
    assert!(played.n_steps > 500, "{} steps", played.n_steps);
}

#[test]
fn a_schedule_plays_the_same_again() {
    for seed in 1..4 {
        let (first, again) = (play(&plan(seed)), play(&plan(seed)));
        assert_eq!((first.n_steps, first.met), (again.n_steps, again.met));
    }
}

#[test]
fn any_faults_change_nothing() {
    pass(0, n_wanted(150));
}

/// One fault at a time, of each kind, at one step after the other of a schedule: those in which everything is going on.
#[test]
fn a_fault_at_any_step_changes_nothing() {
    let played = pass(1_000_000, n_wanted(300));
    let met = played.iter().flat_map(|played| &played.met);
    let steps: BTreeSet<Step> = met.map(|(_, _, step, _)| *step).collect();
    let inside = [
        Step::Begun,
        Step::Written,
        Step::OffsetsSent,
        Step::Prepared,
        Step::Marked,
        Step::Committed,
    ];
    assert!(
        inside.iter().all(|step| steps.contains(step)),
        "faults inside transactions: {steps:?}"
    );
}

/// Time jumps by a day for a partition whose words end meanwhile: they end at once, and nothing is said twice.
#[test]
fn a_day_without_instances_ends_what_ended_in_it() {
    pass(3_000_000, n_wanted(8));
}

/// Hours are caught up by one instance, by two, and with one killed on the way; nothing is late.
#[test]
fn downtime_leaves_the_decisions_as_they_would_have_been() {
    let played = pass(2_000_000, n_wanted(12));
    assert!(played.iter().any(|played| !played.met.is_empty()), "none was killed");
    let is_heard = |played: &Played| played.talk.convictions > 0 && played.talk.answers > 0;
    assert!(played.iter().all(is_heard), "nobody asked, or nobody answered");
    // An hour and more of record time is caught up in, in which they would ask each minute.
    let n_questions = played.iter().map(|played| played.talk.questions).max();
    assert!(
        n_questions < Some(60),
        "asked again before it was answered: {n_questions:?}"
    );
}

/// A gate goes by the time that a heartbeat tells: one told on the way would let pass what the rest of the tail stops.
#[test]
fn a_partition_that_is_not_whole_tells_no_time() {
    /// More than a turn takes in.
    const SECONDS: u32 = 12_000;
    let site = site(&plan(1), START);
    let log = partition("events", 0);
    for second in (1..=SECONDS).rev() {
        let at = START - Duration::from_secs(u64::from(second));
        let mut record = Vec::new();
        events::begin(&mut record);
        let watermark = Watermark {
            topic: "errors",
            partition: 0,
            at,
        };
        let tick = Tick {
            wall: at,
            watermarks: vec![watermark],
        };
        events::append(&Entry::Time(tick), &mut record);
        site.cluster
            .append(log_record(&log.topic, log.partition, at, record, 0));
    }
    let goal = log_ends(&site);
    let fleet = Fleet::start(site.clone(), 1);
    let began = site.baton.now();
    while !is_scored(&site, &goal) || check::times_told_of(&site, log.partition).is_empty() {
        site.baton.rest(LOOK_EVERY);
        assert!(site.baton.now().since(began) < WHOLE_WITHIN, "not whole");
    }
    fleet.end();
    let least = check::times_told_of(&site, log.partition).into_iter().min().flatten();
    assert!(
        least >= Some(START - Duration::from_secs(1)),
        "told {least:?} before the end of the tail"
    );
}

/// A log that breaks a promise of Kafka's is noticed: so the checks can fail.
#[test]
fn a_log_that_does_not_keep_its_promises_is_noticed() {
    for weakness in [Weakness::NoFence, Weakness::ShowsUndecided, Weakness::KeepsPositions] {
        let is_noticed = (0..30).any(|i| !play_all(i * 20..(i + 1) * 20, Some(weakness)).1.is_empty());
        assert!(is_noticed, "{weakness:?} went unnoticed");
    }
}

/// A deploy breaks a service, and those that call it suffer: they ask, and are answered, whatever fails meanwhile.
#[test]
fn trouble_is_put_down_to_its_cause_whatever_fails() {
    let played = pass(4_000_000, n_wanted(24));
    let n_in_time = played.iter().filter(|played| played.talk.late == 0).count();
    assert!(n_in_time * 2 > played.len(), "answered in time in {n_in_time} only");
    let of_all = |count: fn(&Talk) -> u64| -> u64 { played.iter().map(|played| count(&played.talk)).sum() };
    let n = u64::try_from(played.len()).expect("few");
    assert!(of_all(|talk| talk.convictions) >= n, "nobody is convicted");
    assert!(of_all(|talk| talk.questions) >= 4 * n, "nobody asks");
    assert!(of_all(|talk| talk.answers) >= 4 * n, "nobody answers");
}
