//! Candidates that see what the fourteen measures do not: which paths a change touches, and how lately its author was
//! there.
//!
//! Each adds to the logit that Holdpoint gave, and learns as Holdpoint does, from labels as they come: a change that is
//! taken back is compared with eight that landed about then. All are bounded as they would have to be: hashed tables, and
//! nothing is learned of a change further back than the traces of one service reach.

use std::collections::BTreeSet;

use holdpoint::model::hash_text;

use crate::{
    figures::number,
    history::{History, Landed},
    labels::{DAY, Reveals},
};

/// Changes back to which a label teaches.
const TRACES: usize = 2_048;
/// As in `src/score/change/verdict.rs`.
const BESIDE: [isize; 8] = [-5, 3, 9, -14, 20, -27, 35, -44];
pub(crate) const COMPARISON: f64 = 3.0 / 8.0;
/// Variance of the weights: of all parts of a change's paths together, and of each thing about its author. Wider ones find
/// as much, and make up more where nothing is; narrower ones find less.
const PATHS_PRIOR: f64 = 0.1;
const AUTHOR_PRIOR: f64 = 0.05;
/// How near a path's rate is to that of the folder above: gamma of this shape.
const RATE_SHAPE: f64 = 20.0;
const RATE_BUCKETS_LOG2: u32 = 12;
/// Changes in which half of what is known of a path's rate is forgotten.
const RATE_HALF_LIFE: f64 = 5_000.0;
/// Where it is kept when an author last was in a folder: hashed.
const VISITS_LOG2: u32 = 16;
/// Path prefixes of a change that are looked at.
const PREFIXES_MAX: usize = 256;

/// What is added to a change's logit.
pub(crate) trait Candidate {
    fn land(&mut self, change: &Landed, logit: f64) -> f64;
    /// The change in this place was taken back; `innocent` are those to compare it with.
    fn reveal(&mut self, guilty: usize, innocent: &[usize]);
}

pub(crate) const NAMES: [&str; 6] = [
    "… and hashed paths, 2^10",
    "… and hashed paths, 2^12",
    "… and hashed paths, 2^14",
    "… and rates by path",
    "… and author recency",
    "… and paths, 2^12, and recency",
];

/// Of each in [`NAMES`], the logits that come of Holdpoint's.
pub(crate) fn scores(history: &History, reveals: &Reveals, logits: &[f64]) -> Vec<Vec<f64>> {
    let mut candidates: [Box<dyn Candidate>; 6] = [
        Box::new(Weights::new(Some(10), false)),
        Box::new(Weights::new(Some(12), false)),
        Box::new(Weights::new(Some(14), false)),
        Box::new(Rates::default()),
        Box::new(Weights::new(None, true)),
        Box::new(Weights::new(Some(12), true)),
    ];
    let candidates = candidates.iter_mut();
    candidates
        .map(|candidate| prequential(&mut **candidate, history, reveals, logits))
        .collect()
}

/// Logits in order of time, each of the moment its commit landed.
pub(crate) fn prequential(
    candidate: &mut dyn Candidate,
    history: &History,
    reveals: &Reveals,
    logits: &[f64],
) -> Vec<f64> {
    let mut due: Vec<(i64, usize)> = reveals
        .iter()
        .enumerate()
        .filter_map(|(place, at)| Some(((*at)?, place)))
        .collect();
    due.sort_unstable();
    let mut due = due.into_iter().peekable();
    let mut is_known = vec![false; logits.len()];
    let mut scores = Vec::with_capacity(logits.len());
    for (place, (change, logit)) in history.commits.iter().zip(logits).enumerate() {
        while let Some((_, guilty)) = due.next_if(|(at, _)| *at < change.at) {
            if guilty + TRACES >= place {
                candidate.reveal(guilty, &beside(guilty, place, &is_known));
            }
            is_known[guilty] = true;
        }
        scores.push(logit + candidate.land(change, *logit));
    }
    scores
}

/// Those to compare with the one in this place, of which `n_landed` have landed.
fn beside(guilty: usize, n_landed: usize, is_known: &[bool]) -> Vec<usize> {
    let mut taken = Vec::with_capacity(BESIDE.len());
    for distance in BESIDE {
        let found = innocent(guilty, distance, n_landed, (is_known, &taken))
            .or_else(|| innocent(guilty, -distance, n_landed, (is_known, &taken)));
        taken.extend(found);
    }
    taken
}

fn innocent(guilty: usize, distance: isize, n_landed: usize, (is_known, taken): (&[bool], &[usize])) -> Option<usize> {
    let mut place = guilty.checked_add_signed(distance)?;
    while place < n_landed {
        if !is_known[place] && !taken.contains(&place) {
            return Some(place);
        }
        place = place.checked_add_signed(distance.signum())?;
    }
    None
}

/// The folders above a path from the root's child down, and the path.
fn chain(path: &str) -> impl Iterator<Item = &str> {
    let ends = path.match_indices('/').map(|(end, _)| end);
    ends.chain([path.len()]).map(|end| &path[..end])
}

/// The same of all paths of a change, each once.
fn prefixes(change: &Landed) -> BTreeSet<&str> {
    let all = change.paths.iter().flat_map(|path| chain(path));
    all.take(PREFIXES_MAX).collect()
}

fn bucket(hash: u64, log2: u32) -> usize {
    usize::try_from(hash >> (u64::BITS - log2)).expect("a few bits")
}

/// A logistic regression on hashed features, each weight with a variance of its own (an extended Kalman filter whose
/// covariance is taken for diagonal).
struct Weights {
    paths_log2: Option<u32>,
    visits: Option<Visits>,
    means: Vec<f64>,
    variances: Vec<f64>,
    /// Of each change that landed: its logit, and its features by their places.
    landed: Vec<(f64, Vec<(usize, f64)>)>,
}

impl Weights {
    fn new(paths_log2: Option<u32>, with_author: bool) -> Self {
        let n_paths = paths_log2.map_or(0, |log2| 1 << log2);
        let mut variances = vec![PATHS_PRIOR; n_paths];
        variances.extend([AUTHOR_PRIOR; N_VISIT]);
        Self {
            paths_log2,
            visits: with_author.then(Visits::default),
            means: vec![0.0; variances.len()],
            variances,
            landed: Vec::new(),
        }
    }

    fn features(&mut self, change: &Landed) -> Vec<(usize, f64)> {
        let mut features = Vec::new();
        if let Some(log2) = self.paths_log2 {
            let prefixes = prefixes(change);
            // So that all together have one variance, however many they are.
            let scale = 1.0 / number(prefixes.len().max(1)).sqrt();
            features.extend(prefixes.iter().map(|prefix| {
                let hash = hash_text(prefix);
                let sign = if hash & 1 == 0 { 1.0 } else { -1.0 };
                (bucket(hash, log2), sign * scale)
            }));
        }
        if let Some(visits) = &mut self.visits {
            let first = self.means.len() - N_VISIT;
            features.extend((first..).zip(visits.land(change)));
        }
        features
    }

    fn dot(&self, features: &[(usize, f64)]) -> f64 {
        features.iter().map(|(place, value)| self.means[*place] * value).sum()
    }

    fn compare(&mut self, guilty: usize, other: usize) {
        let ((guilty_logit, guilty), (other_logit, other)) = (&self.landed[guilty], &self.landed[other]);
        let mut difference = guilty.clone();
        difference.extend(other.iter().map(|(place, value)| (*place, -value)));
        difference.sort_by_key(|(place, _)| *place);
        difference.dedup_by(|next, kept| {
            let is_same = next.0 == kept.0;
            kept.1 += if is_same { next.1 } else { 0.0 };
            is_same
        });
        let logit = guilty_logit - other_logit + self.dot(&difference);
        let surprise = 1.0 / (1.0 + logit.exp());
        let curvature = COMPARISON * (surprise * (1.0 - surprise)).max(1e-4);
        let spread: f64 = difference
            .iter()
            .map(|(place, value)| value * value * self.variances[*place])
            .sum();
        let scale = 1.0 / (1.0 + curvature * spread);
        for (place, value) in difference {
            let direction = self.variances[place] * value;
            self.means[place] += COMPARISON * surprise * scale * direction;
            self.variances[place] -= curvature * scale * direction * direction;
        }
    }
}

impl Candidate for Weights {
    fn land(&mut self, change: &Landed, logit: f64) -> f64 {
        let features = self.features(change);
        let added = self.dot(&features);
        self.landed.push((logit, features));
        added
    }

    fn reveal(&mut self, guilty: usize, innocent: &[usize]) {
        for other in innocent {
            self.compare(guilty, *other);
        }
    }
}

/// Of an author: how much of the change is where they never were, how long ago they were there, and anywhere.
const N_VISIT: usize = 3;

/// When authors last were in folders, and anywhere, in seconds since 1970; 0 is never.
struct Visits(Vec<i64>);

impl Default for Visits {
    fn default() -> Self {
        Self(vec![0; 1 << VISITS_LOG2])
    }
}

impl Visits {
    fn land(&mut self, change: &Landed) -> [f64; N_VISIT] {
        let folders: BTreeSet<&str> = change
            .paths
            .iter()
            .map(|path| path.rsplit_once('/').map_or("", |(folder, _)| folder))
            .collect();
        let place = |folder: &str| bucket(hash_text(&format!("{}\0{folder}", change.author)), VISITS_LOG2);
        let anywhere = place("\0");
        let places: BTreeSet<usize> = folders.into_iter().map(place).collect();
        let since = |last: i64| number(usize::try_from(((change.at - last) / DAY).max(0)).unwrap_or(0)).ln_1p() / 2.0;
        let visited: Vec<i64> = places
            .iter()
            .map(|place| self.0[*place])
            .filter(|last| *last > 0)
            .collect();
        let n_new = number(places.len() - visited.len());
        let nearest = visited.iter().max().map_or(0.0, |last| since(*last));
        let any = Some(self.0[anywhere]).filter(|last| *last > 0).map_or(0.0, since);
        for place in places.iter().chain([&anywhere]) {
            self.0[*place] = change.at;
        }
        [n_new / number(places.len().max(1)), nearest, any]
    }
}

/// How often changes of a path were taken back, against what Holdpoint expected of them; near the rate of the folder above.
struct Rates {
    /// Taken back, expected, and the change up to which both were decayed.
    buckets: Vec<(f64, f64, usize)>,
    landed: Vec<Vec<Vec<usize>>>,
}

impl Default for Rates {
    fn default() -> Self {
        Self {
            buckets: vec![(0.0, 0.0, 0); 1 << RATE_BUCKETS_LOG2],
            landed: Vec::new(),
        }
    }
}

impl Rates {
    fn bucket(&mut self, place: usize) -> &mut (f64, f64, usize) {
        let now = self.landed.len();
        let bucket = &mut self.buckets[place];
        let keep = 0.5_f64.powf(number(now - bucket.2) / RATE_HALF_LIFE);
        *bucket = (bucket.0 * keep, bucket.1 * keep, now);
        bucket
    }

    /// Of a chain from the root down: its rate over the root's.
    fn ratio(&mut self, chain: &[usize]) -> f64 {
        let mut rate = 1.0;
        let mut root = None;
        for place in chain {
            let (taken_back, expected, _) = *self.bucket(*place);
            rate = (RATE_SHAPE * rate + taken_back) / (RATE_SHAPE + expected);
            root.get_or_insert(rate);
        }
        rate / root.unwrap_or(1.0)
    }
}

impl Candidate for Rates {
    fn land(&mut self, change: &Landed, logit: f64) -> f64 {
        let places = |path: &String| -> Vec<usize> {
            let from_root = std::iter::once("").chain(chain(path));
            from_root
                .map(|prefix| bucket(hash_text(prefix), RATE_BUCKETS_LOG2))
                .collect()
        };
        let chains: Vec<Vec<usize>> = change.paths.iter().map(places).collect();
        let ratios: f64 = chains.iter().map(|chain| self.ratio(chain)).sum();
        let added = if chains.is_empty() {
            0.0
        } else {
            (ratios / number(chains.len())).ln()
        };
        let places: BTreeSet<usize> = chains.iter().flatten().copied().collect();
        for place in places {
            self.bucket(place).1 += 1.0 / (1.0 + (-logit).exp());
        }
        self.landed.push(chains);
        added
    }

    fn reveal(&mut self, guilty: usize, _innocent: &[usize]) {
        let places: BTreeSet<usize> = self.landed[guilty].iter().flatten().copied().collect();
        for place in places {
            self.bucket(place).0 += 1.0;
        }
    }
}
