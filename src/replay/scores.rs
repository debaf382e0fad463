//! Scores as lines of JSON, as `schemas/scores.v1.schema.json` has them: one for each commit, one for each deploy watched.
//!
//! A deploy whose stages are hours apart, or that is tried again, is watched more than once, and what it does next nobody
//! knows. So its line is written last, of all that its watches found. A commit that is told again after it was forgotten is
//! scored again; it was judged by its first score.

use std::collections::BTreeMap;

use foldhash::{HashMap, HashSet};
use serde::Serialize;

use crate::{
    model::{EnvironmentId, EventHash, ServiceId, Suspect, UnitInterval},
    score::{ClosedWatch, Contribution, Said, ScoredChange, WatchVerdict},
};

/// Deploys held back; the next writes the one whose last watch ended first. 2,000 services that are deployed once a day
/// end as many in 50 days; 50 MiB.
const HELD_MAX: usize = 100_000;

/// Commits known to have a line, as many as capture knows exactly; 20 MiB. Of those beyond, one that is scored again has
/// another.
const WRITTEN_MAX: usize = 1_000_000;

/// Which lines were written, and which are yet to be.
#[derive(Debug, Default)]
pub struct Scores {
    /// Commits by their hash.
    written: HashSet<u64>,
    /// By which of all watches ended last, beginning at 0.
    held: BTreeMap<u64, ClosedWatch>,
    /// Where in `held` a deploy is, by its hash.
    places: HashMap<u64, u64>,
    n_closed: u64,
}

impl Scores {
    /// The line, without its line break, that is due when this was said: of a commit its own, the first time; of a deploy,
    /// where too many are held back, that of another one. The same bytes for the same scores.
    ///
    /// # Panics
    /// Never for what a step says: every figure has a JSON form, and writing to memory cannot fail.
    pub fn take(&mut self, said: Said) -> Option<Vec<u8>> {
        match said {
            Said::Scored(change) => self.is_first(&change).then(|| line(&change_json(&change))),
            Said::Closed(watch) => self.hold(*watch),
            Said::Decision(_) | Said::Forget(_) | Said::Message(_) => None,
        }
    }

    /// The lines that are left, in the order in which the last watch of each deploy ended.
    pub fn finish(self) -> impl Iterator<Item = Vec<u8>> {
        self.held.into_values().map(|watch| line(&watch_json(&watch)))
    }

    fn is_first(&mut self, scored: &ScoredChange) -> bool {
        let hash = EventHash::of(scored.change.service.as_str(), "", &scored.change.sha).0;
        if self.written.len() < WRITTEN_MAX {
            self.written.insert(hash)
        } else {
            !self.written.contains(&hash)
        }
    }

    fn hold(&mut self, watch: ClosedWatch) -> Option<Vec<u8>> {
        let earlier = self.places.insert(hash(&watch), self.n_closed);
        let earlier = earlier.and_then(|place| self.held.remove(&place));
        let watch = match earlier {
            Some(earlier) => together(earlier, watch),
            None => watch,
        };
        self.held.insert(self.n_closed, watch);
        self.n_closed += 1;
        if self.held.len() <= HELD_MAX {
            return None;
        }
        let (_, first) = self.held.pop_first()?;
        self.places.remove(&hash(&first));
        Some(line(&watch_json(&first)))
    }
}

fn hash(watch: &ClosedWatch) -> u64 {
    EventHash::of(watch.service.as_str(), watch.environment.as_str(), &watch.deploy_id).0
}

/// Two watches of a deploy as one: what the graver found, of the same the first.
fn together(earlier: ClosedWatch, later: ClosedWatch) -> ClosedWatch {
    let started_at = earlier.started_at.min(later.started_at);
    let closed_at = earlier.closed_at.max(later.closed_at);
    let e_value_max = earlier.e_value_max.max(later.e_value_max);
    let alarmed_at = [earlier.alarmed_at, later.alarmed_at].into_iter().flatten().min();
    let graver = if later.verdict > earlier.verdict {
        later
    } else {
        earlier
    };
    ClosedWatch {
        started_at,
        closed_at,
        e_value_max,
        alarmed_at,
        ..graver
    }
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum ScoreJson<'a> {
    Change {
        service: &'a ServiceId,
        sha: &'a str,
        time: String,
        probability: UnitInterval,
        gated: bool,
        contributions: Vec<ContributionJson>,
    },
    Deploy {
        service: &'a ServiceId,
        environment: &'a EnvironmentId,
        deploy_id: &'a str,
        time: String,
        closed_at: String,
        e_value_max: f64,
        rate_ratio: f64,
        rate_ratio_low: f64,
        verdict: WatchVerdict,
        alarmed_at: Option<String>,
        suspects: Vec<SuspectJson<'a>>,
    },
}

#[derive(Serialize)]
struct ContributionJson {
    feature: &'static str,
    value: f64,
    logit: f64,
}

#[derive(Serialize)]
struct SuspectJson<'a> {
    deploy_id: Option<&'a str>,
    service: &'a ServiceId,
    probability: UnitInterval,
}

fn line(score: &ScoreJson<'_>) -> Vec<u8> {
    serde_json::to_vec(score).expect("texts and numbers have a JSON form, and memory takes it")
}

fn change_json(scored: &ScoredChange) -> ScoreJson<'_> {
    ScoreJson::Change {
        service: &scored.change.service,
        sha: &scored.change.sha,
        time: scored.time.to_string(),
        probability: scored.probability.rounded(),
        gated: scored.gated,
        contributions: scored.contributions.iter().map(contribution_json).collect(),
    }
}

fn contribution_json(contribution: &Contribution) -> ContributionJson {
    ContributionJson {
        feature: contribution.feature,
        value: contribution.value,
        logit: contribution.logit,
    }
}

fn watch_json(watch: &ClosedWatch) -> ScoreJson<'_> {
    ScoreJson::Deploy {
        service: &watch.service,
        environment: &watch.environment,
        deploy_id: &watch.deploy_id,
        time: watch.started_at.to_string(),
        closed_at: watch.closed_at.to_string(),
        e_value_max: significant(watch.e_value_max),
        rate_ratio: significant(watch.rate_ratio),
        rate_ratio_low: significant(watch.rate_ratio_low),
        verdict: watch.verdict,
        alarmed_at: watch.alarmed_at.map(|at| at.to_string()),
        suspects: watch.suspects.iter().map(suspect_json).collect(),
    }
}

fn suspect_json(suspect: &Suspect) -> SuspectJson<'_> {
    SuspectJson {
        deploy_id: suspect.deploy_id.as_deref(),
        service: &suspect.service,
        probability: suspect.probability.rounded(),
    }
}

/// Six significant digits: what lies behind them differs from machine to machine. Never less than 0 or endless.
fn significant(value: f64) -> f64 {
    if value.is_nan() || value <= 0.0 {
        return 0.0;
    }
    let text = format!("{:.5e}", value.min(f64::MAX));
    text.parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{Assistance, Change, Timestamp},
        score::ScoredChange,
    };

    fn scored(service: &str, probability: f64) -> Said {
        Said::Scored(Box::new(ScoredChange {
            change: Change {
                service: service.parse().expect("a name"),
                sha: "a".into(),
            },
            time: Timestamp::from_millis(0),
            probability: UnitInterval::clamped(probability),
            at_reference: UnitInterval::clamped(probability),
            ai: Assistance::None,
            gated: false,
            contributions: Vec::new(),
        }))
    }

    /// As after weeks, when it was forgotten.
    #[test]
    fn a_commit_that_is_scored_again_keeps_its_first_score() {
        let mut scores = Scores::default();
        assert!(scores.take(scored("s", 0.1)).is_some());
        assert_eq!(scores.take(scored("s", 0.2)), None);
        assert!(scores.take(scored("t", 0.1)).is_some(), "another service's");
        assert_eq!(scores.finish().count(), 0);
    }

    fn closed(deploy: usize, verdict: WatchVerdict) -> Said {
        Said::Closed(Box::new(ClosedWatch {
            service: "s".parse().expect("a name"),
            environment: "e".parse().expect("a name"),
            deploy_id: deploy.to_string().into(),
            started_at: Timestamp::from_millis(0),
            closed_at: Timestamp::from_millis(1),
            judged: true,
            in_trouble: false,
            n_steps: 1,
            e_value_max: 1.0,
            e_threshold: 1.0,
            rate_ratio: 1.0,
            rate_ratio_low: 1.0,
            verdict,
            earlier: None,
            alarmed_at: None,
            suspects: Vec::new(),
        }))
    }

    fn is_of(line: &[u8], deploy: usize) -> bool {
        String::from_utf8_lossy(line).contains(&format!(r#""deploy_id":"{deploy}""#))
    }

    /// The first is watched anew meanwhile, so the second is the one that nothing was heard of for longest.
    #[test]
    fn of_more_deploys_than_are_held_back_the_one_that_is_over_for_longest_is_written() {
        let mut scores = Scores::default();
        for deploy in 0..HELD_MAX {
            assert_eq!(scores.take(closed(deploy, WatchVerdict::Healthy)), None);
        }
        assert_eq!(scores.take(closed(0, WatchVerdict::Regressed)), None);
        let line = scores
            .take(closed(HELD_MAX, WatchVerdict::Healthy))
            .expect("one too many");
        assert!(is_of(&line, 1), "{}", String::from_utf8_lossy(&line));
        let rest: Vec<Vec<u8>> = scores.finish().collect();
        assert_eq!(rest.len(), HELD_MAX);
        assert!(is_of(&rest[HELD_MAX - 2], 0) && is_of(&rest[HELD_MAX - 1], HELD_MAX));
    }
}
