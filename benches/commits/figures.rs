//! What a ranking is worth.

/// Of one ranking: all scores from half a year on, and those of the newest fifth.
#[derive(Clone, Copy, Default)]
pub(crate) struct Figures {
    pub(crate) pooled_auc: f64,
    /// The share of buggy commits among the riskiest tenth.
    pub(crate) pooled_recall: f64,
    pub(crate) newest_auc: f64,
    /// Among the riskiest 5, 10, 20 and 50 %.
    pub(crate) newest_recalls: [f64; 4],
    /// The mean of the probabilities over the rate at which bugs came within 30 days, in the newest fifth whose 30 days
    /// are over; 0 where it is not asked for.
    pub(crate) calibration: f64,
}

const SHARES: [f64; 4] = [0.05, 0.10, 0.20, 0.50];
/// Days after which scores count: before, next to nothing is known to learn from.
const SETTLED_DAYS: i64 = 180;

/// Figures of scores in order of time.
pub(crate) fn figures(scores: &[f64], is_buggy: &[bool], at: &[i64]) -> Figures {
    let start = at.first().copied().unwrap_or(0) + SETTLED_DAYS * crate::labels::DAY;
    let settled = at.partition_point(|at| *at < start);
    let newest = scores.len() - scores.len() / 5;
    let (late, late_buggy) = (&scores[newest..], &is_buggy[newest..]);
    Figures {
        pooled_auc: auc(&scores[settled..], &is_buggy[settled..]),
        pooled_recall: recall(&scores[settled..], &is_buggy[settled..], 0.10),
        newest_auc: auc(late, late_buggy),
        newest_recalls: SHARES.map(|share| recall(late, late_buggy, share)),
        calibration: 0.0,
    }
}

/// The chance that a buggy commit is ranked above one that is not; ties count half (Mann and Whitney).
pub(crate) fn auc(scores: &[f64], is_buggy: &[bool]) -> f64 {
    let order = ascending(scores);
    let (mut below, mut wins, mut n_buggy) = (0.0, 0.0, 0.0);
    for ties in order.chunk_by(|a, b| scores[*a].total_cmp(&scores[*b]).is_eq()) {
        let buggy = number(ties.iter().filter(|i| is_buggy[**i]).count());
        let clean = number(ties.len()) - buggy;
        wins += buggy * (below + clean / 2.0);
        below += clean;
        n_buggy += buggy;
    }
    wins / (n_buggy * below).max(1.0)
}

/// The share of the buggy among the riskiest `share` of all.
pub(crate) fn recall(scores: &[f64], is_buggy: &[bool], share: f64) -> f64 {
    let n_taken = rounded(share * number(scores.len()));
    let taken = ascending(scores).into_iter().rev().take(n_taken);
    let caught = taken.filter(|i| is_buggy[*i]).count();
    number(caught) / number(is_buggy.iter().filter(|buggy| **buggy).count()).max(1.0)
}

fn ascending(scores: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*a].total_cmp(&scores[*b]));
    order
}

/// The mean of figures of several seeds.
pub(crate) fn mean(all: &[Figures]) -> Figures {
    let n = number(all.len()).max(1.0);
    let of = |get: fn(&Figures) -> f64| all.iter().map(get).sum::<f64>() / n;
    Figures {
        pooled_auc: of(|f| f.pooled_auc),
        pooled_recall: of(|f| f.pooled_recall),
        newest_auc: of(|f| f.newest_auc),
        newest_recalls: [
            of(|f| f.newest_recalls[0]),
            of(|f| f.newest_recalls[1]),
            of(|f| f.newest_recalls[2]),
            of(|f| f.newest_recalls[3]),
        ],
        calibration: of(|f| f.calibration),
    }
}

#[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "counts below 2^53")]
pub(crate) fn number(n: usize) -> f64 {
    n as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::as_conversions,
    reason = "a share of a count"
)]
fn rounded(value: f64) -> usize {
    value.round() as usize
}
