//! Logistic regression on the fourteen measures: standardized, with a ridge of 1, by Newton's method.

use holdpoint::model::N_MEASURES;

use crate::{figures::number, refit::Row};

/// An intercept beside the measures.
const N: usize = N_MEASURES + 1;
const STEPS_MAX: usize = 25;
const RIDGE: f64 = 1.0;
const CLOSE: f64 = 1e-8;

type Vector = [f64; N];

pub(crate) fn fit(rows: &[Row], is_buggy: &[bool]) -> impl Fn(&Row) -> f64 + use<> {
    let (means, sds) = moments(rows);
    let scaled = move |row: &Row| -> Vector {
        std::array::from_fn(|i| {
            if i == N_MEASURES {
                1.0
            } else {
                (row[i] - means[i]) / sds[i]
            }
        })
    };
    let inputs: Vec<Vector> = rows.iter().map(scaled).collect();
    let mut weights = [0.0; N];
    for _ in 0..STEPS_MAX {
        let step = newton(&inputs, is_buggy, &weights);
        for (weight, step) in weights.iter_mut().zip(step) {
            *weight += step;
        }
        if step.iter().all(|step| step.abs() < CLOSE) {
            break;
        }
    }
    move |row| sigmoid(dot(&weights, &scaled(row)))
}

fn moments(rows: &[Row]) -> (Row, Row) {
    let n = number(rows.len()).max(1.0);
    let means: Row = std::array::from_fn(|i| rows.iter().map(|row| row[i]).sum::<f64>() / n);
    let sds = std::array::from_fn(|i| {
        let squares = rows.iter().map(|row| (row[i] - means[i]).powi(2)).sum::<f64>();
        (squares / n).sqrt().max(1e-9)
    });
    (means, sds)
}

/// The step to the maximum of the likelihood's second-order image; the intercept carries no ridge.
fn newton(inputs: &[Vector], is_buggy: &[bool], weights: &Vector) -> Vector {
    let ridge = |i: usize| if i < N_MEASURES { RIDGE } else { 0.0 };
    let mut gradient: Vector = std::array::from_fn(|i| -ridge(i) * weights[i]);
    let mut curvature = [[0.0; N]; N];
    for (i, row) in curvature.iter_mut().enumerate() {
        row[i] = ridge(i) + 1e-9;
    }
    for (input, buggy) in inputs.iter().zip(is_buggy) {
        let p = sigmoid(dot(weights, input));
        let residual = f64::from(u8::from(*buggy)) - p;
        let curve = p * (1.0 - p);
        for i in 0..N {
            gradient[i] += residual * input[i];
            for j in 0..=i {
                curvature[i][j] += curve * input[i] * input[j];
            }
        }
    }
    solve(curvature, gradient)
}

/// Cholesky's: `curvature` is positive definite, and its lower half is given.
fn solve(mut curvature: [[f64; N]; N], mut right: Vector) -> Vector {
    for j in 0..N {
        for k in 0..j {
            for i in j..N {
                curvature[i][j] -= curvature[i][k] * curvature[j][k];
            }
        }
        let root = curvature[j][j].max(1e-12).sqrt();
        for row in curvature.iter_mut().skip(j) {
            row[j] /= root;
        }
    }
    for i in 0..N {
        for k in 0..i {
            right[i] -= curvature[i][k] * right[k];
        }
        right[i] /= curvature[i][i];
    }
    for i in (0..N).rev() {
        for k in i + 1..N {
            right[i] -= curvature[k][i] * right[k];
        }
        right[i] /= curvature[i][i];
    }
    right
}

fn dot(a: &Vector, b: &Vector) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn sigmoid(logit: f64) -> f64 {
    1.0 / (1.0 + (-logit).exp())
}
