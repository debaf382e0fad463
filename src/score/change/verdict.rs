//! What an incident says of the changes before it: which of them caused it, and which are to be compared with that one.
//!
//! An incident names a commit, or a deploy and so the few commits that it carried. Who it was of these is not known:
//! each is taken for the guilty one with an equal share.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Changes, Scene};
use crate::{
    model::{CausedBy, Deploy, Message, Timestamp, Trace, hash_text},
    score::{
        Said,
        review::Target,
        risk::{Moments, Rate, is_revealed},
    },
};

/// A change counts for the rate of incidents if its own came within so long. Later ones teach the weights only: were
/// they counted, the rate would rise for as long as a history is young, and with every month that traces reach back.
const HORIZON: Duration = Duration::from_hours(30 * 24);
/// Where those that a guilty change is compared with landed: so many before or after it. Near ones were made under the
/// same circumstances; not the next ones, which are often of the same piece of work.
const BESIDE: [isize; 8] = [-5, 3, 9, -14, 20, -27, 35, -44];
/// Deploys whose commits are remembered; the next drops the oldest.
const DEPLOYS_MAX: usize = 16;
/// A deploy of more commits than this says too little of each.
const DEPLOYED_MAX: usize = 8;

/// What is learned of the changes of one service.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Learned {
    pub(super) moments: Moments,
    pub(super) rate: Rate,
    deploys: Vec<Deployed>,
}

/// The commits of a deploy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Deployed {
    deploy_id: u64,
    commits: Box<[Target]>,
}

impl Learned {
    /// What it takes beyond its own size.
    pub(super) fn bytes(&self) -> usize {
        let commits = self.deploys.iter().map(|deploy| size_of_val(&*deploy.commits));
        size_of_val(&*self.deploys) + commits.sum::<usize>()
    }

    fn deploy(&mut self, deploy: &Deploy<'_>) {
        let deploy_id = hash_text(&deploy.deploy_id);
        let is_known = self.deploys.iter().any(|known| known.deploy_id == deploy_id);
        if is_known || deploy.commits.is_empty() || deploy.commits.len() > DEPLOYED_MAX {
            return;
        }
        if self.deploys.len() >= DEPLOYS_MAX {
            self.deploys.remove(0);
        }
        self.deploys.reserve_exact(1);
        self.deploys.push(Deployed {
            deploy_id,
            commits: deploy.commits.iter().map(|sha| Target::of(sha)).collect(),
        });
    }

    /// The commits of a deploy, once: what is said of it again is nothing new.
    fn take_deployed(&mut self, deploy_id: &str) -> Box<[Target]> {
        let hash = hash_text(deploy_id);
        let place = self.deploys.iter().position(|deploy| deploy.deploy_id == hash);
        place.map_or_else(Box::default, |place| std::mem::take(&mut self.deploys[place].commits))
    }
}

impl Changes {
    /// Notes which commits a deploy carries.
    pub(crate) fn deploy(&mut self, deploy: &Deploy<'_>) {
        if let Some(learned) = &mut self.learned {
            learned.deploy(deploy);
        }
    }

    /// An incident at `time` was caused by this. What is known already, or of changes not known, says nothing.
    pub(crate) fn blame(&mut self, caused_by: &CausedBy<'_>, time: Timestamp, scene: &mut Scene<'_>) {
        let Some(learned) = &mut self.learned else { return };
        let by_sha = caused_by.sha.iter().map(|sha| Target::of(sha));
        let mut guilty: Vec<Target> = by_sha.collect();
        if let Some(deploy_id) = &caused_by.deploy_id {
            // A sha says more; the deploy is done with either way.
            let deployed = learned.take_deployed(deploy_id);
            if guilty.is_empty() {
                guilty.extend(deployed);
            }
        }
        // Of those not remembered nothing is learned, and they may have been it.
        let n_suspects = guilty.len();
        let mut places: Vec<usize> = guilty.into_iter().filter_map(|sha| self.list.trace_of(sha)).collect();
        places.sort_unstable();
        places.dedup();
        let traces = self.list.traces();
        // One of a deploy's is known to be guilty: so this incident is not another's.
        if places.iter().any(|place| is_revealed(traces[*place])) {
            return;
        }
        let Some(share) = share(n_suspects) else { return };
        for place in &places {
            let landed_at = self.list.landed_at(*place);
            let is_timely = landed_at.is_some_and(|at| time.since(at) <= HORIZON);
            if is_timely {
                learned.rate.reveal(f64::from(share));
            }
            let beside = beside(&traces, *place);
            // With nothing to compare it says how often, if not what.
            if is_timely || !beside.is_empty() {
                scene.said.push(Said::Message(Message::Verdict {
                    share,
                    guilty: traces[*place],
                    beside,
                    is_timely,
                }));
            }
        }
        if let ([place], 1) = (&places[..], n_suspects) {
            self.list.reveal(*place);
        }
    }
}

fn share(n_suspects: usize) -> Option<f32> {
    let n_suspects = u8::try_from(n_suspects).ok().filter(|n_suspects| *n_suspects > 0)?;
    Some(1.0 / f32::from(n_suspects))
}

/// Those to compare with the one at `place`: on each distance the next that is not known to be guilty itself, or where
/// there is none, as far on the other side.
fn beside(traces: &[Trace], place: usize) -> Vec<Trace> {
    let mut taken: Vec<usize> = Vec::with_capacity(BESIDE.len());
    for distance in BESIDE {
        let found = innocent(traces, place, distance, &taken).or_else(|| innocent(traces, place, -distance, &taken));
        taken.extend(found);
    }
    taken.into_iter().map(|place| traces[place]).collect()
}

/// The first innocent one from `distance` on, outwards, that is not taken.
fn innocent(traces: &[Trace], place: usize, distance: isize, taken: &[usize]) -> Option<usize> {
    let mut place = place.checked_add_signed(distance)?;
    loop {
        let trace = traces.get(place)?;
        if !is_revealed(*trace) && !taken.contains(&place) {
            return Some(place);
        }
        place = place.checked_add_signed(distance.signum())?;
    }
}

/// Where nothing is learned yet, as of the first commit.
pub(super) fn rate_of(learned: Option<&Learned>) -> Rate {
    learned.map(|learned| learned.rate).unwrap_or_default()
}
