//! Whether the comparison of changes that AI had a part in with others convicts the innocent, and finds the guilty.
//!
//! Which commits were buggy is as the histories say, and so is what bugs go with; which commits AI had a part in is drawn,
//! by a rule of each story. So where the ratio is 1, AI does no harm, however much its changes differ from others. For
//! another ratio, failures of one class are left out by chance. Commits are deployed soon after they land, one or a few
//! at a time, and of what is buggy a part is told to have failed, most of it within a day.

use std::{
    collections::{BTreeMap, VecDeque},
    io::{self, Write},
    mem,
};

use holdpoint::{
    model::{Assistance, Timestamp},
    score::Comparison,
};

use crate::{
    arguments::Arguments,
    chance::Chance,
    feed::Feed,
    figures::number,
    history::History,
    holdpoint::services,
    labels::{DAY, seconds, unit},
};

/// Into how many services a project is cut.
const SERVICES: usize = 20;
/// The share of buggy commits that is told to have failed: incidents are rarer than bugs.
const FAILS: f64 = 0.2;
/// It is told half a day after the deploy in the mean, mostly sooner, and within six days.
const MEAN_DAYS: f64 = 0.5;
const DAYS_MAX: f64 = 6.0;
/// A deploy goes out with each commit with this chance, and with so many at the latest.
const DEPLOYS: f64 = 0.6;
const CHANGES_MAX: usize = 4;
/// So long after its last commit, in seconds.
const DEPLOYS_AFTER: i64 = 600;
/// The place of the lines added among a change's measures.
const LINES_ADDED: usize = 4;
/// What convicts at 5 %, whenever it is looked at.
const CONVICTS: f64 = 20.0;
/// What a comparison of all changes as they come is mixed of, and how long they are at risk, in seconds: as in Holdpoint.
const RATIOS: [f64; 4] = [1.25, 1.5, 2.0, 3.0];
const AT_RISK: i64 = 7 * DAY;

/// Which changes AI has a part in.
#[derive(Debug, Clone, Copy)]
enum Rule {
    /// Two in five.
    Evenly,
    /// The more lines a change adds, the likelier: from one in twenty to nineteen.
    Larger,
    /// None at first, four in five at the end.
    Adopted,
    /// Four in five of the first project's, one in five of the second's, half of the third's.
    ByProject,
    /// One in twenty of a service's until it goes over, then all but one; one service after the other.
    GoingOver,
}

/// A rule, and how often changes of AI fail for each time that others of the same risk do.
#[derive(Debug, Clone, Copy)]
struct Story(Rule, f64);

const STORIES: [Story; 9] = [
    Story(Rule::Evenly, 1.0),
    Story(Rule::Larger, 1.0),
    Story(Rule::Adopted, 1.0),
    Story(Rule::ByProject, 1.0),
    Story(Rule::GoingOver, 1.0),
    Story(Rule::Evenly, 1.5),
    Story(Rule::Larger, 1.5),
    Story(Rule::Larger, 2.0),
    Story(Rule::Larger, 0.5),
];

impl Rule {
    fn name(self) -> &'static str {
        match self {
            Self::Evenly => "two changes in five",
            Self::Larger => "mostly the larger",
            Self::Adopted => "more with the years",
            Self::ByProject => "one project's mostly",
            Self::GoingOver => "services going over",
        }
    }

    /// The chance that AI had a part in a change: by its place among its project's by lines added and its place in time,
    /// both within 0 and 1, by its project, and by when its service goes over.
    fn share(self, (lines, time): (f64, f64), project: usize, goes_over_at: f64) -> f64 {
        match self {
            Self::Evenly => 0.4,
            Self::Larger => 0.05 + 0.9 * lines,
            Self::Adopted => 0.8 * time,
            Self::ByProject => [0.8, 0.2, 0.5][project.min(2)],
            Self::GoingOver if time < goes_over_at => 0.05,
            Self::GoingOver => 0.95,
        }
    }
}

impl Story {
    /// The chance that a buggy change is told to have failed.
    fn fails(self, is_ai: bool) -> f64 {
        let most = self.1.max(1.0);
        FAILS * if is_ai { self.1 / most } else { 1.0 / most }
    }
}

/// A commit, by its history and its place there.
struct Change {
    history: usize,
    commit: usize,
    is_ai: bool,
}

/// What happens, by the place of the change or deploy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Happening {
    Lands(usize),
    Deployed(usize),
    Fails(usize),
}

/// A story as it is told once.
#[derive(Default)]
struct Telling {
    changes: Vec<Change>,
    /// The changes of each.
    deploys: Vec<Vec<usize>>,
    /// Seconds after the beginning of all histories, which are laid side by side.
    happenings: Vec<(i64, Happening)>,
}

/// What came of it.
#[derive(Default)]
struct Outcome {
    /// Failures compared when AI was convicted, and acquitted, if it was.
    convicted_after: Option<u64>,
    acquitted_after: Option<u64>,
    /// The interval was without the true ratio once.
    was_beside: bool,
    /// Compared as they come AI would have been convicted.
    is_blamed: bool,
    n_compared: u64,
    last: Option<Comparison>,
}

pub(crate) fn run(histories: &[History], arguments: &Arguments) -> io::Result<()> {
    if histories.is_empty() {
        return Ok(());
    }
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "Changes with AI and without, by {} tellings of each story. Convicted: AI fails more often than others of the same \
         service and risk, at 5 %, at any time.\n\n\
         | AI had a part in | ratio | convicted | acquitted | interval beside it | failures until sure | of | at the end | \
         convicted as they come |\n\
         | --- | ---: | ---: | ---: | ---: | ---: | ---: | --- | ---: |",
        arguments.n_seeds
    )?;
    let services: Vec<Vec<String>> = histories.iter().map(|history| services(history, SERVICES)).collect();
    for story in &STORIES {
        let seeds = 0..arguments.n_seeds;
        let outcomes: Vec<Outcome> = seeds
            .map(|seed| Telling::new(histories, &services, *story, seed).play(histories, &services, *story))
            .collect();
        row(&mut out, *story, &outcomes)?;
        if outcomes.iter().all(|outcome| outcome.n_compared == 0) {
            return Err(io::Error::other("no failure was compared with anything"));
        }
    }
    Ok(())
}

fn row(out: &mut impl Write, story: Story, outcomes: &[Outcome]) -> io::Result<()> {
    let n = number(outcomes.len().max(1));
    let share = |is: fn(&Outcome) -> bool| number(outcomes.iter().filter(|outcome| is(outcome)).count()) / n;
    let found: Vec<&Comparison> = outcomes.iter().filter_map(|outcome| outcome.last.as_ref()).collect();
    let mean = |of: fn(&Comparison) -> f64| {
        let lns = found.iter().map(|found| of(found).ln());
        (lns.sum::<f64>() / number(found.len().max(1))).exp()
    };
    let at_the_end = if found.is_empty() {
        "not enough data".to_owned()
    } else {
        let [ratio, low, high] = [
            mean(|found| found.ratio),
            mean(|found| found.ratio_low),
            mean(|found| found.ratio_high),
        ];
        format!("{ratio:.2} ({low:.2} to {high:.2})")
    };
    let median = |of: fn(&Outcome) -> Option<u64>| {
        let mut all: Vec<u64> = outcomes.iter().map(|outcome| of(outcome).unwrap_or(u64::MAX)).collect();
        all.sort_unstable();
        let median = all.get(all.len() / 2).filter(|n| **n < u64::MAX);
        median.map_or("–".to_owned(), u64::to_string)
    };
    writeln!(
        out,
        "| {} | {} | {:.3} | {:.3} | {:.3} | {} | {} | {at_the_end} | {:.3} |",
        story.0.name(),
        story.1,
        share(|outcome| outcome.convicted_after.is_some()),
        share(|outcome| outcome.acquitted_after.is_some()),
        share(|outcome| outcome.was_beside),
        median(|outcome| outcome.convicted_after.or(outcome.acquitted_after)),
        median(|outcome| Some(outcome.n_compared)),
        share(|outcome| outcome.is_blamed),
    )?;
    out.flush()
}

impl Telling {
    fn new(histories: &[History], services: &[Vec<String>], story: Story, seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let mut telling = Self::default();
        for (place, history) in histories.iter().enumerate() {
            telling.add(history, &services[place], (place, story), &mut chance);
        }
        telling.happenings.sort_unstable();
        telling
    }

    fn add(&mut self, history: &History, services: &[String], (place, story): (usize, Story), chance: &mut Chance) {
        let lines = places_by_lines(history);
        let n_commits = number(history.commits.len());
        let mut waiting: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        let mut goes_over_at: BTreeMap<&str, f64> = BTreeMap::new();
        for (commit, landed) in history.commits.iter().enumerate() {
            let goes_over_at = *goes_over_at.entry(&services[commit]).or_insert_with(|| unit(chance));
            let share = story
                .0
                .share((lines[commit], number(commit) / n_commits), place, goes_over_at);
            let (n, is_ai) = (self.changes.len(), unit(chance) < share);
            self.changes.push(Change {
                history: place,
                commit,
                is_ai,
            });
            let at = landed.at - history.commits[0].at;
            self.happenings.push((at, Happening::Lands(n)));
            let rides = waiting.entry(&services[commit]).or_default();
            rides.push(n);
            if unit(chance) < DEPLOYS || rides.len() >= CHANGES_MAX {
                self.deploy(mem::take(rides), at + DEPLOYS_AFTER, (history, story), chance);
            }
        }
    }

    /// Changes of one history go out, of which some fail.
    fn deploy(&mut self, changes: Vec<usize>, at: i64, (history, story): (&History, Story), chance: &mut Chance) {
        self.happenings.push((at, Happening::Deployed(self.deploys.len())));
        for n in &changes {
            let Change { commit, is_ai, .. } = self.changes[*n];
            let after = (-MEAN_DAYS * unit(chance).ln()).min(DAYS_MAX);
            if unit(chance) < story.fails(is_ai) && history.commits[commit].is_buggy {
                self.happenings.push((at + seconds(after), Happening::Fails(*n)));
            }
        }
        self.deploys.push(changes);
    }

    fn play(&self, histories: &[History], services: &[Vec<String>], Story(_, ratio): Story) -> Outcome {
        let (mut feed, mut unadjusted, mut outcome) = (Feed::default(), Unadjusted::default(), Outcome::default());
        let landed = |n: usize| {
            let Change { history, commit, is_ai } = self.changes[n];
            let service = services[history][commit].as_str();
            (service, &histories[history].commits[commit], is_ai)
        };
        let start = histories[0].commits[0].at;
        for (after, happening) in &self.happenings {
            let at = Timestamp::from_millis((start + after) * 1_000);
            match *happening {
                Happening::Lands(n) => {
                    let (service, landed, is_ai) = landed(n);
                    let assistance = if is_ai { Assistance::Assisted } else { Assistance::None };
                    feed.land(service, landed, assistance, at);
                }
                Happening::Deployed(n) => {
                    let changes = &self.deploys[n];
                    let shas: Vec<&str> = changes.iter().map(|n| landed(*n).1.sha.as_str()).collect();
                    feed.deploy(landed(changes[0]).0, &format!("d-{n}"), &shas, at);
                    let at_risk = changes.iter().map(|n| (*after, *n, self.changes[*n].is_ai));
                    unadjusted.at_risk.extend(at_risk);
                }
                Happening::Fails(n) => {
                    let (service, landed, is_ai) = landed(n);
                    feed.reveal(service, &landed.sha, at);
                    unadjusted.failed(*after, n, is_ai);
                    outcome.see(&feed, ratio);
                }
            }
        }
        outcome.is_blamed = unadjusted.has_convicted;
        outcome
    }
}

impl Outcome {
    fn see(&mut self, feed: &Feed, ratio: f64) {
        let evidence = feed.fleet().ai_evidence();
        self.n_compared = evidence.n_compared;
        let Some(found) = evidence.comparison else { return };
        let n = evidence.n_compared;
        let note = |after: &mut Option<u64>, e: f64| *after = after.or((e >= CONVICTS).then_some(n));
        note(&mut self.convicted_after, found.e_more);
        note(&mut self.acquitted_after, found.e_less);
        self.was_beside |= found.ratio_low > ratio || found.ratio_high < ratio;
        self.last = Some(found);
    }
}

/// Each commit's place among its project's by lines added, within 0 and 1; of the same lines the later is above.
fn places_by_lines(history: &History) -> Vec<f64> {
    let mut order: Vec<usize> = (0..history.commits.len()).collect();
    let lines = |commit: &usize| history.commits[*commit].measures[LINES_ADDED];
    order.sort_by(|a, b| lines(a).total_cmp(&lines(b)));
    let mut places = vec![0.0; order.len()];
    for (place, commit) in order.into_iter().enumerate() {
        places[commit] = number(place) / number(history.commits.len());
    }
    places
}

/// The same test of all that is at risk, of whatever service and risk.
#[derive(Default)]
struct Unadjusted {
    /// Since when, which change, and whether AI had a part in it.
    at_risk: VecDeque<(i64, usize, bool)>,
    ln_e: [f64; RATIOS.len()],
    has_convicted: bool,
}

impl Unadjusted {
    fn failed(&mut self, at: i64, change: usize, is_ai: bool) {
        while self.at_risk.front().is_some_and(|(since, ..)| since + AT_RISK <= at) {
            self.at_risk.pop_front();
        }
        let Some(place) = self.at_risk.iter().position(|(_, n, _)| *n == change) else {
            return;
        };
        let n_ai = number(self.at_risk.iter().filter(|(.., is_ai)| *is_ai).count());
        let n_others = number(self.at_risk.len()) - n_ai;
        self.at_risk.remove(place);
        for (ln_e, ratio) in self.ln_e.iter_mut().zip(RATIOS) {
            let likelier = if is_ai { ratio } else { 1.0 };
            *ln_e += (likelier * (n_ai + n_others) / (ratio * n_ai + n_others)).ln();
        }
        let e = self.ln_e.iter().map(|ln_e| ln_e.exp()).sum::<f64>() / number(RATIOS.len());
        self.has_convicted |= e >= CONVICTS;
    }
}
