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
    /// Of all, and of the buggy ones, the share that was sent to review; 0 where it is not asked for.
    pub(crate) gated: [f64; 2],
}

const SHARES: [f64; 4] = [0.05, 0.10, 0.20, 0.50];
/// Days after which scores count: before, next to nothing is known to learn from.
const SETTLED_DAYS: i64 = 180;

/// From which place on scores count.
pub(crate) fn settled(at: &[i64]) -> usize {
    let start = at.first().copied().unwrap_or(0) + SETTLED_DAYS * crate::labels::DAY;
    at.partition_point(|at| *at < start)
}

/// Figures of scores in order of time.
pub(crate) fn figures(scores: &[f64], is_buggy: &[bool], at: &[i64]) -> Figures {
    let settled = settled(at);
    let newest = scores.len() - scores.len() / 5;
    let (late, late_buggy) = (&scores[newest..], &is_buggy[newest..]);
    Figures {
        pooled_auc: auc(&scores[settled..], &is_buggy[settled..]),
        pooled_recall: recall(&scores[settled..], &is_buggy[settled..], 0.10),
        newest_auc: auc(late, late_buggy),
        newest_recalls: SHARES.map(|share| recall(late, late_buggy, share)),
        calibration: 0.0,
        gated: [0.0; 2],
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

/// By how much the AUC of `scores` is above that of `others`, and half of the interval that holds it with 95 % (`DeLong`,
/// `DeLong` and Clarke-Pearson, 1988): both rank the same commits, so what they have in common drops out.
pub(crate) fn gain(scores: &[f64], others: &[f64], is_buggy: &[bool]) -> (f64, f64) {
    let apart: Vec<f64> = placements(scores, is_buggy)
        .iter()
        .zip(placements(others, is_buggy))
        .map(|(own, other)| own - other)
        .collect();
    let side = |buggy: bool| -> (f64, f64) {
        let of_side = apart.iter().zip(is_buggy).filter(|(_, own)| **own == buggy);
        let values: Vec<f64> = of_side.map(|(value, _)| *value).collect();
        let n = number(values.len()).max(2.0);
        let mean = values.iter().sum::<f64>() / n;
        let square = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
        (mean, square / (n - 1.0) / n)
    };
    let ((gain, of_buggy), (_, of_clean)) = (side(true), side(false));
    (gain, 1.96 * (of_buggy + of_clean).sqrt())
}

/// Of each buggy commit the share of clean ones below it, of each clean one the share of buggy ones above it.
fn placements(scores: &[f64], is_buggy: &[bool]) -> Vec<f64> {
    let order = ascending(scores);
    let n_buggy = number(is_buggy.iter().filter(|buggy| **buggy).count());
    let n_clean = number(scores.len()) - n_buggy;
    let mut placements = vec![0.0; scores.len()];
    let (mut buggy_below, mut clean_below) = (0.0, 0.0);
    for ties in order.chunk_by(|a, b| scores[*a].total_cmp(&scores[*b]).is_eq()) {
        let buggy = number(ties.iter().filter(|i| is_buggy[**i]).count());
        let clean = number(ties.len()) - buggy;
        for i in ties {
            placements[*i] = if is_buggy[*i] {
                (clean_below + clean / 2.0) / n_clean.max(1.0)
            } else {
                (n_buggy - buggy_below - buggy / 2.0) / n_buggy.max(1.0)
            };
        }
        buggy_below += buggy;
        clean_below += clean;
    }
    placements
}

/// The share of the buggy among the riskiest `share` of all.
pub(crate) fn recall(scores: &[f64], is_buggy: &[bool], share: f64) -> f64 {
    let n_taken = rounded(share * number(scores.len()));
    let taken = ascending(scores).into_iter().rev().take(n_taken);
    let caught = taken.filter(|i| is_buggy[*i]).count();
    number(caught) / number(is_buggy.iter().filter(|buggy| **buggy).count()).max(1.0)
}

/// The shares of all, and of the buggy ones, that are marked by a 1.
pub(crate) fn shares(marks: &[f64], is_buggy: &[bool]) -> [f64; 2] {
    let buggy = marks.iter().zip(is_buggy).filter(|(_, buggy)| **buggy);
    let (caught, n_buggy) = buggy.fold((0.0, 0.0), |(caught, n), (mark, _)| (caught + mark, n + 1.0));
    let n_marked: f64 = marks.iter().sum();
    [n_marked / number(marks.len()).max(1.0), caught / f64::max(n_buggy, 1.0)]
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
        gated: [of(|f| f.gated[0]), of(|f| f.gated[1])],
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
pub(crate) fn rounded(value: f64) -> usize {
    value.round() as usize
}
