//! A service that alarms asks its surroundings, and is asked by those that depend on it.
//!
//! It says extra review at once, asks what it calls (who pass the question on, three hops at most) and what calls it, and
//! proposes a freeze when all have answered, or after ten seconds: unless what it calls is ill. Each answer says how many
//! more were asked on its way, so that the asker knows when all are in.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Candidate;
use crate::model::{Path, Second, ServiceId, Timestamp, Told, short_hash};

/// A service that is no more answers nothing. By the wall clock: an answer takes its time, however much record time passes
/// while hours are caught up.
const WAIT: Duration = Duration::from_secs(10);
/// Candidates of others remembered.
const CANDIDATES_MAX: usize = 6;
/// Services that ask within this are alarmed by the same thing: detection takes one a few steps longer than another.
const ALARM_WINDOW: Duration = Duration::from_mins(5);
/// So many alarmed dependents are no chance; no more are remembered than are needed to count them.
pub(crate) const DEPENDENTS_MIN: usize = 3;
/// How long a service whose rise goes best with a callee's deploy waits for the callee to show that it is ill.
const PATIENCE: Duration = Duration::from_mins(5);
/// Nothing is explained for longer by others that nothing holds, as no freeze is longer; nor by any: well before a watch ends,
/// deploys are judged anew.
const EXPLAINED_MAX: Duration = Duration::from_hours(4);
const EXPLAINED_MAX_BY_HELD: Duration = Duration::from_hours(12);
/// After so many explanations that were over before the errors were, nothing explains them: services that call each other
/// in a circle would else each leave it to the next. One may be over for a lull only.
const GIVEN_UP_MAX: u8 = 2;
/// How long after the last answer that explains a rise it counts as explained: what fails recovers sooner or later than
/// what suffers from it.
pub(crate) const EXPLAINED_FOR: Duration = Duration::from_mins(10);

/// A question that is out, and what was answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Inquiry {
    pub(crate) asked_at: Timestamp,
    /// When it was first asked.
    began_at: Timestamp,
    /// Until when answers are waited for, by the wall clock.
    waits_until: Second,
    /// How many.
    n_outstanding: u16,
    /// Whether it was concluded once, be it that it is asked again.
    was_concluded: bool,
    /// What other services have that could be it.
    pub(crate) candidates: Vec<Candidate>,
    /// What it calls alarms many.
    pub(crate) shared: bool,
    /// It is put down to another service, until then.
    explained_until: Option<Timestamp>,
    /// When it first was, since the deploys under watch began to be.
    explained_since: Option<Timestamp>,
    /// How often what explained it was over and its errors were not.
    n_given_up: u8,
}

impl Inquiry {
    pub(crate) fn new(asked_at: Timestamp, wall: Timestamp, n_asked: u16) -> Self {
        Self {
            asked_at,
            began_at: asked_at,
            waits_until: waits_until(wall),
            n_outstanding: n_asked,
            was_concluded: false,
            candidates: Vec::new(),
            shared: false,
            explained_until: None,
            explained_since: None,
            n_given_up: 0,
        }
    }

    /// Asks for another conviction of the same deploys: what explained the one before stays known.
    pub(crate) fn begin_again(&mut self, now: Timestamp, wall: Timestamp, n_asked: u16) {
        *self = Self {
            explained_since: self.explained_since,
            n_given_up: self.n_given_up,
            ..Self::new(now, wall, n_asked)
        };
    }

    /// Asks once more; until the answers are in, what was answered before stands.
    pub(crate) fn ask_again(&mut self, now: Timestamp, wall: Timestamp, n_asked: u16) {
        self.asked_at = now;
        self.waits_until = waits_until(wall);
        self.n_outstanding = n_asked;
    }

    /// Whether answers are waited for.
    pub(crate) fn is_out(&self) -> bool {
        self.n_outstanding > 0
    }

    /// Takes in an answer, and keeps the candidates of the greatest weight; one to an earlier question, or after it was
    /// concluded, is passed over. True: it was the last.
    pub(crate) fn take(&mut self, told: &Told<'_>, weigh: impl Fn(&Candidate) -> f64) -> bool {
        let Ok(by) = told.by.parse::<ServiceId>() else {
            return false;
        };
        if told.asked_at != self.asked_at || self.n_outstanding == 0 {
            return false;
        }
        self.n_outstanding = (self.n_outstanding + u16::from(told.n_forwarded)).saturating_sub(1);
        self.shared |= told.path != Path::Caller && usize::from(told.n_askers) >= DEPENDENTS_MIN;
        // The shortest way to a service is told first: its messages take the fewest turns.
        self.candidates
            .retain(|known| known.service != by || known.path < told.path);
        if !self.candidates.iter().any(|known| known.service == by) {
            self.candidates.extend(told.clues.iter().map(|clue| Candidate {
                deploy_id: clue.deploy_id.as_deref().map(Into::into),
                service: by.clone(),
                path: told.path,
                state: told.state,
                started_at: Second::of(clue.started_at),
                stage_at: Second::of(clue.stage_at),
                weight: clue.weight,
                seen_from: Second::of(told.seen_from),
            }));
        }
        self.candidates.retain(|candidate| weigh(candidate) > 0.0);
        self.candidates.sort_by(|a, b| {
            let name = |candidate: &Candidate| (candidate.service.clone(), candidate.deploy_id.clone());
            weigh(b).total_cmp(&weigh(a)).then_with(|| name(a).cmp(&name(b)))
        });
        self.candidates.truncate(CANDIDATES_MAX);
        self.candidates.shrink_to_fit();
        self.n_outstanding == 0
    }

    /// Whether it was concluded once, be it that it is asked again.
    pub(crate) fn was_concluded(&self) -> bool {
        self.was_concluded
    }

    /// What is in is all there will be.
    pub(crate) fn conclude(&mut self) {
        self.n_outstanding = 0;
        self.was_concluded = true;
    }

    /// When it may no longer be waited for, or is no longer explained.
    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        let waits_until = self.is_out().then_some(self.asked_at + WAIT);
        waits_until.into_iter().chain(self.explained_until).min()
    }

    /// Whether what it calls may yet turn out to be ill.
    pub(crate) fn is_young(&self, now: Timestamp) -> bool {
        now < self.began_at + PATIENCE
    }

    /// Whether errors that go on are no longer explained: for five minutes nothing it calls was ill of itself.
    pub(crate) fn is_stale(&self, now: Timestamp) -> bool {
        self.explained_until
            .is_some_and(|until| now + EXPLAINED_FOR / 2 >= until)
    }

    /// Whether it is put down to another service.
    pub(crate) fn is_explained(&self) -> bool {
        self.explained_until.is_some()
    }

    /// Whether it is remembered that it was, though nothing is asked.
    pub(crate) fn was_explained(&self) -> bool {
        self.explained_since.is_some()
    }

    /// It is put down to another service, for a while; not for longer than a freeze would last, unless that service is held
    /// for it: then somebody is, whoever calls whom. False: it no longer is.
    pub(crate) fn explain(&mut self, now: Timestamp, by_held: bool) -> bool {
        let since = *self.explained_since.get_or_insert(now);
        let (most, n_given_up_max) = if by_held {
            (EXPLAINED_MAX_BY_HELD, u8::MAX)
        } else {
            (EXPLAINED_MAX, GIVEN_UP_MAX)
        };
        let may = now < since + most && self.n_given_up < n_given_up_max;
        self.explained_until = may.then_some(now + EXPLAINED_FOR);
        may
    }

    /// Nothing explains it any more. After the second time nothing may until its errors are over, but a service that is held
    /// for it.
    pub(crate) fn give_up(&mut self) {
        self.explained_until = None;
        self.n_given_up = self.n_given_up.saturating_add(1);
    }

    /// The errors that nothing explained any more are over: the next ones may have an explanation.
    pub(crate) fn believe_again(&mut self) {
        self.n_given_up = 0;
    }

    /// Whether the time is over for which it was explained; not while it is asked whether it still is.
    pub(crate) fn lapse(&mut self, now: Timestamp) -> bool {
        let lapses = !self.is_out() && self.explained_until.is_some_and(|until| until <= now);
        if lapses {
            self.explained_until = None;
        }
        lapses
    }

    /// Whether those that have not answered are no longer waited for.
    pub(crate) fn is_due(&self, wall: Timestamp) -> bool {
        self.is_out() && wall >= self.waits_until.start()
    }
}

/// A second that begins no sooner than [`WAIT`] after `wall`.
fn waits_until(wall: Timestamp) -> Second {
    Second::of(wall + WAIT + Duration::from_millis(999))
}

/// Those that depend on a service and alarm: who, by a hash of its name, and when it asked last; at first, long ago.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Askers([(u32, Second); DEPENDENTS_MIN]);

impl Askers {
    pub(crate) fn note(&mut self, name: &str, asked_at: Timestamp) {
        let hash = short_hash(name);
        let known = self.0.iter().position(|(known, _)| *known == hash);
        let oldest = (0..DEPENDENTS_MIN).min_by_key(|place| self.0[*place].1);
        self.0[known.or(oldest).unwrap_or(0)] = (hash, Second::of(asked_at));
    }

    /// How many alarmed lately.
    pub(crate) fn n(&self, now: Timestamp) -> usize {
        let lately = |at: Second| now.since(at.start()) < ALARM_WINDOW;
        self.0.iter().filter(|(_, at)| lately(*at)).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Four hours at most, and not again after errors outlasted two explanations, until they are over.
    #[test]
    fn what_was_given_up_twice_is_explained_again_only_once_its_errors_are_over() {
        let minute = |n: u32| Timestamp::from_millis(1_772_409_600_000) + Duration::from_mins(1) * n;
        let mut inquiry = Inquiry::new(minute(0), minute(0), 1);
        assert!(inquiry.explain(minute(0), false) && inquiry.is_explained());
        assert!(!inquiry.is_stale(minute(4)) && inquiry.is_stale(minute(5)));
        inquiry.give_up();
        assert!(
            !inquiry.is_explained() && inquiry.explain(minute(6), false),
            "it may have been a lull"
        );
        inquiry.give_up();
        assert!(!inquiry.is_explained() && !inquiry.explain(minute(12), false));
        inquiry.begin_again(minute(13), minute(13), 1);
        assert!(!inquiry.explain(minute(13), false), "the same errors, convicted anew");
        inquiry.believe_again();
        assert!(inquiry.explain(minute(14), false) && inquiry.is_explained());
        assert!(!inquiry.explain(minute(240), false), "four hours after it first was");
        assert!(inquiry.explain(minute(241), true), "by one that is held");
        inquiry.give_up();
        inquiry.give_up();
        assert!(inquiry.explain(minute(719), true) && !inquiry.explain(minute(719), false));
        assert!(!inquiry.explain(minute(720), true), "twelve hours after it first was");
    }
}
