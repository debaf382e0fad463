//! Gradient boosting of histogram trees, as in `LightGBM` (Ke et al., NIPS 2017): the best leaf is split next.

use holdpoint::model::N_MEASURES;

use crate::{figures::number, refit::Row};

const BINS: usize = 64;
const TREES: usize = 150;
const LEAVES: usize = 15;
const LEAF_ROWS_MIN: usize = 40;
const RATE: f64 = 0.03;

/// A commit's measures by their bins.
type Binned = [u8; N_MEASURES];
/// Of one measure and bin: the sum of gradients, of curvatures, and how many.
type Histogram = Box<[[[f64; 3]; BINS]]>;

/// At a node: those whose bin of the measure is at most this go to the first, else to the second.
struct Split {
    measure: usize,
    bin: u8,
    below: usize,
    above: usize,
}

enum Node {
    Leaf(f64),
    Split(Split),
}

type Tree = Vec<Node>;

pub(crate) fn fit(rows: &[Row], is_buggy: &[bool]) -> impl Fn(&Row) -> f64 + use<> {
    let edges = edges(rows);
    let binned: Vec<Binned> = rows.iter().map(|row| bins(&edges, row)).collect();
    let rate = number(is_buggy.iter().filter(|buggy| **buggy).count()) / number(rows.len());
    let base = (rate / (1.0 - rate)).ln();
    let mut logits = vec![base; rows.len()];
    let mut trees = Vec::with_capacity(TREES);
    for _ in 0..TREES {
        let slopes: Vec<(f64, f64)> = logits
            .iter()
            .zip(is_buggy)
            .map(|(logit, buggy)| {
                let p = 1.0 / (1.0 + (-logit).exp());
                (f64::from(u8::from(*buggy)) - p, p * (1.0 - p))
            })
            .collect();
        let tree = grow(&binned, &slopes);
        for (logit, row) in logits.iter_mut().zip(&binned) {
            *logit += value(&tree, row);
        }
        trees.push(tree);
    }
    move |row| {
        let row = bins(&edges, row);
        base + trees.iter().map(|tree| value(tree, &row)).sum::<f64>()
    }
}

/// Per measure the bins' upper edges: quantiles of what was seen.
fn edges(rows: &[Row]) -> [Vec<f64>; N_MEASURES] {
    std::array::from_fn(|i| {
        let mut values: Vec<f64> = rows.iter().map(|row| row[i]).collect();
        values.sort_by(f64::total_cmp);
        let mut edges: Vec<f64> = (1..BINS).map(|bin| values[bin * (values.len() - 1) / BINS]).collect();
        edges.dedup();
        edges
    })
}

fn bins(edges: &[Vec<f64>; N_MEASURES], row: &Row) -> Binned {
    std::array::from_fn(|i| u8::try_from(edges[i].partition_point(|edge| *edge < row[i])).expect("below 64"))
}

fn value(tree: &Tree, row: &Binned) -> f64 {
    let mut place = 0;
    loop {
        match &tree[place] {
            Node::Leaf(value) => return *value,
            Node::Split(split) => {
                place = if row[split.measure] <= split.bin {
                    split.below
                } else {
                    split.above
                };
            }
        }
    }
}

/// A leaf that may be split.
struct Open {
    place: usize,
    rows: Vec<usize>,
    histogram: Histogram,
    best: Option<(f64, usize, u8)>,
}

fn grow(binned: &[Binned], slopes: &[(f64, f64)]) -> Tree {
    let all: Vec<usize> = (0..binned.len()).collect();
    let histogram = count(&all, binned, slopes);
    let mut tree = vec![Node::Leaf(leaf(&histogram))];
    let mut open = vec![opened(0, all, histogram)];
    while open.len() < LEAVES {
        let gain = |open: &Open| open.best.map_or(0.0, |(gain, ..)| gain);
        let best = (0..open.len()).max_by(|a, b| gain(&open[*a]).total_cmp(&gain(&open[*b])));
        let Some(place) = best.filter(|place| open[*place].best.is_some()) else {
            break;
        };
        let parent = open.swap_remove(place);
        let Some((_, measure, bin)) = parent.best else { break };
        let (below, above): (Vec<usize>, Vec<usize>) =
            parent.rows.iter().partition(|row| binned[**row][measure] <= bin);
        // The smaller side is counted, the other is what is left.
        let (below_histogram, above_histogram) = if below.len() < above.len() {
            let counted = count(&below, binned, slopes);
            let rest = less(parent.histogram, &counted);
            (counted, rest)
        } else {
            let counted = count(&above, binned, slopes);
            (less(parent.histogram, &counted), counted)
        };
        let first = tree.len();
        tree.push(Node::Leaf(leaf(&below_histogram)));
        tree.push(Node::Leaf(leaf(&above_histogram)));
        tree[parent.place] = Node::Split(Split {
            measure,
            bin,
            below: first,
            above: first + 1,
        });
        open.push(opened(first, below, below_histogram));
        open.push(opened(first + 1, above, above_histogram));
    }
    tree
}

fn opened(place: usize, rows: Vec<usize>, histogram: Histogram) -> Open {
    Open {
        place,
        best: best(&histogram),
        rows,
        histogram,
    }
}

fn count(rows: &[usize], binned: &[Binned], slopes: &[(f64, f64)]) -> Histogram {
    let mut histogram: Histogram = vec![[[0.0; 3]; BINS]; N_MEASURES].into_boxed_slice();
    for row in rows {
        let (gradient, curvature) = slopes[*row];
        for (bins, bin) in histogram.iter_mut().zip(binned[*row]) {
            let sums = &mut bins[usize::from(bin)];
            sums[0] += gradient;
            sums[1] += curvature;
            sums[2] += 1.0;
        }
    }
    histogram
}

fn less(mut all: Histogram, some: &Histogram) -> Histogram {
    for (all, some) in all.iter_mut().flatten().flatten().zip(some.iter().flatten().flatten()) {
        *all -= some;
    }
    all
}

fn sums(bins: &[[f64; 3]]) -> [f64; 3] {
    bins.iter()
        .fold([0.0; 3], |sum, bin| std::array::from_fn(|i| sum[i] + bin[i]))
}

fn leaf(histogram: &Histogram) -> f64 {
    let [gradient, curvature, _] = sums(&histogram[0]);
    RATE * gradient / curvature.max(1e-9)
}

/// The split that gains most, if any gains: gain, measure, bin.
fn best(histogram: &Histogram) -> Option<(f64, usize, u8)> {
    let worth = |[gradient, curvature, _]: [f64; 3]| gradient * gradient / curvature.max(1e-9);
    let all = sums(&histogram[0]);
    let mut best: Option<(f64, usize, u8)> = None;
    for (measure, bins) in histogram.iter().enumerate() {
        let mut below = [0.0; 3];
        for (bin, sums) in (0_u8..).zip(bins) {
            below = std::array::from_fn(|i| below[i] + sums[i]);
            let above: [f64; 3] = std::array::from_fn(|i| all[i] - below[i]);
            if below[2] < number(LEAF_ROWS_MIN) || above[2] < number(LEAF_ROWS_MIN) {
                continue;
            }
            let gain = worth(below) + worth(above) - worth(all);
            if gain > 1e-9 && best.is_none_or(|(most, ..)| gain > most) {
                best = Some((gain, measure, bin));
            }
        }
    }
    best
}
