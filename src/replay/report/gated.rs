//! The riskiest of the changes that were sent to extra review, by name.

use super::html::{Escaped, NONE, Page, add, table, whole, words};
use crate::replay::{
    gated::GatedChange,
    summary::{Summary, count},
};

pub(super) fn write(page: &mut Page, summary: &Summary) {
    let changes = &summary.changes;
    if changes.gated_riskiest.is_empty() {
        return;
    }
    add!(
        page,
        "<section>\n<h2>Which changes would have been sent to review?</h2>\n<p>{} by risk, for which the policy has a \
         budget of {:.1} % of changes.",
        whole(changes.gated_by_risk),
        changes.review_budget.value() * 100.0
    );
    if changes.gated_advised_only > 0 {
        add!(
            page,
            " {} are only advised, since no approval with a known level was seen.",
            whole(changes.gated_advised_only)
        );
    }
    add!(
        page,
        "</p>\n<details><summary>The riskiest of them, and the measures that add most to their risk</summary>"
    );
    let row = |change: &GatedChange| {
        let reasons: Vec<String> = change.reasons.iter().map(|code| words(code)).collect();
        let measures = change.measures_text();
        vec![
            format!(
                "{} <code>{}</code>",
                Escaped(change.service.as_str()),
                Escaped(&change.short_sha())
            ),
            Escaped(change.time.get(..10).unwrap_or(&change.time)).to_string(),
            format!("{:.1} %", change.risk.value() * 100.0),
            reasons.join(", "),
            if measures.is_empty() {
                NONE.to_owned()
            } else {
                Escaped(&measures).to_string()
            },
        ]
    };
    let rows: Vec<Vec<String>> = changes.gated_riskiest.iter().map(row).collect();
    table(
        page,
        "Changes sent to extra review, the riskiest first",
        &["change", "landed", "risk", "why", "measures"],
        &rows,
    );
    let left = changes.gated.saturating_sub(count(rows.len()));
    if left > 0 {
        add!(
            page,
            "<p class=\"soft\">{} less risky ones are left out; <code>--decisions</code> has all of them.</p>\n",
            whole(left)
        );
    }
    add!(page, "</details>\n</section>\n");
}
