//! What incidents taught of commit risk.

use super::html::{NONE, Page, add, table, whole, words};
use crate::{replay::summary::Summary, score::LearnedWeight};

pub(super) fn write(page: &mut Page, summary: &Summary) {
    if summary.changes.scored == 0 {
        return;
    }
    let learned = &summary.learned;
    add!(
        page,
        "<section>\n<h2>What incidents taught</h2>\n<p>Each incident that names a change is a verdict: that change is compared \
         with those that landed beside it, and the weights of all measures move by as much as that tells. "
    );
    if learned.verdicts == 0 {
        add!(
            page,
            "<strong>Nothing is learned yet: 0 verdicts.</strong> Changes are scored by what other projects taught.</p>\n</section>\n"
        );
        return;
    }
    match learned.moved().count() {
        0 => add!(
            page,
            "After {} verdicts <strong>nothing is beyond chance yet</strong>: every interval holds what other projects \
             taught.</p>\n",
            whole(learned.verdicts)
        ),
        n => add!(
            page,
            "After {} verdicts <strong>{n} of {} measures</strong> weigh other than other projects taught, beyond \
             chance.</p>\n",
            whole(learned.verdicts),
            learned.weights.iter().filter(|weight| weight.is_scored).count()
        ),
    }
    scored(page, &learned.weights);
    let rows: Vec<Vec<String>> = learned.beside().map(beside).collect();
    add!(
        page,
        "<p>Beside the scores, and <strong>in none of them</strong>: what goes with incidents when all measures are alike. A \
         policy may ask something of such changes; a score never does. Levels are those the events tell, of all authors \
         together; where they tell none, the interval is as wide as it was before anything was known.</p>\n"
    );
    table(
        page,
        "Inputs of the policy, with 95 % intervals: 0 is no difference. An association, which shows no cause",
        &["input, not scored", "logits", "times the odds"],
        &rows,
    );
    add!(page, "</section>\n");
}

fn scored(page: &mut Page, weights: &[LearnedWeight]) {
    let rows: Vec<Vec<String>> = weights
        .iter()
        .filter(|weight| weight.is_scored)
        .map(|weight| {
            let square = weight.square.map_or_else(
                || NONE.to_owned(),
                |square| known(square.weight, square.low, square.high, square.has_moved()),
            );
            vec![
                words(weight.feature),
                signed(weight.cold_start),
                known(weight.weight, weight.low, weight.high, weight.has_moved()),
                square,
            ]
        })
        .collect();
    table(
        page,
        "Weights in logits per standard deviation, with 95 % intervals: +0.69 doubles the odds. Bold: beyond chance",
        &["measure", "other projects", "learned", "of its square, 0 before"],
        &rows,
    );
}

fn beside(weight: &LearnedWeight) -> Vec<String> {
    let name = match weight.feature {
        "ai" => "AI, against none".to_owned(),
        "author_level" => "author's level, per step up".to_owned(),
        other => words(other),
    };
    let [times, low, high] = [weight.weight, weight.low, weight.high].map(f64::exp);
    vec![
        name,
        known(weight.weight, weight.low, weight.high, weight.has_moved()),
        format!("{times:.2} <span class=\"within\">{low:.2} – {high:.2}</span>"),
    ]
}

/// A weight and its interval, in bold where it has moved.
fn known(weight: f64, low: f64, high: f64, has_moved: bool) -> String {
    let weight = signed(weight);
    let weight = if has_moved {
        format!("<strong>{weight}</strong>")
    } else {
        weight
    };
    format!(
        "{weight} <span class=\"within\">{} to {}</span>",
        signed(low),
        signed(high)
    )
}

/// With a sign that is as wide as the other: `+0.21`, `−0.06`.
fn signed(value: f64) -> String {
    // What rounds to zero has no sign.
    let value = (value * 100.0).round() / 100.0 + 0.0;
    let sign = if value < 0.0 { '−' } else { '+' };
    if value == 0.0 {
        "0.00".to_owned()
    } else {
        format!("{sign}{:.2}", value.abs())
    }
}
