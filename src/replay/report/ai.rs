//! Changes by how AI had part in them.

use super::html::{NONE, Page, add, percent, share, table, whole, words};
use crate::{
    replay::{adjusted::Cell, interval::Share, summary::Summary},
    score::AiEvidence,
};

pub(super) fn write(page: &mut Page, summary: &Summary) {
    let ai = &summary.ai;
    let told = ai.classes.iter().filter(|class| class.assistance != "unknown");
    if told.map(|class| class.changes).sum::<u64>() == 0 {
        return;
    }
    add!(
        page,
        "<section>\n<h2>Changes made with AI</h2>\n<p>As the events say, silence being no answer. Changes with AI may be other \
         changes: larger, or in other services. So what can be compared is compared within services and like risk.</p>\n"
    );
    let rows: Vec<Vec<String>> = ai
        .classes
        .iter()
        .map(|class| {
            vec![
                words(class.assistance),
                whole(class.changes),
                percent(class.gated_share),
                whole(class.failed),
                share(class.failed_share.as_ref()),
            ]
        })
        .collect();
    let heads = ["AI", "changes", "extra review", "caused incidents", "share"];
    table(
        page,
        "Changes as they came, not adjusted for risk; with 95 % intervals",
        &heads,
        &rows,
    );
    match &ai.same_risk {
        Some(odds) => add!(
            page,
            "<p><strong>Service and risk being alike, the odds that a change with AI caused an incident are {:.2} \
             times those of one without</strong> (95 % interval {:.2} – {:.2}; 1 is no difference). Put together over services and tenths of \
             their tier's risk after Mantel and Haenszel (1959); one look at one history, which shows no cause.</p>\n",
            odds.ratio,
            odds.low,
            odds.high
        ),
        None => add!(
            page,
            "<p>Service and risk being alike: <strong>not enough data</strong>, fewer than five incidents on one of the \
             two sides, of services and tenths of risk that have changes of both.</p>\n"
        ),
    }
    strata(page, &ai.strata);
    tested(page, &ai.tested);
    add!(page, "</section>\n");
}

/// What the fleet's own test had come to.
fn tested(page: &mut Page, tested: &AiEvidence) {
    let n = whole(tested.n_compared);
    match &tested.comparison {
        Some(found) => add!(
            page,
            "<p>As the fleet tests it while it runs, by {n} rollbacks and incidents of deployed changes: a change with AI \
             fails {:.2} times as often as one without (95 % interval {:.2} – {:.2}, at all times at once). Evidence that \
             it is more: {:.2}, that it is less: {:.2}; 20 is enough.</p>\n",
            found.ratio,
            found.ratio_low,
            found.ratio_high,
            found.e_more,
            found.e_less
        ),
        None => add!(
            page,
            "<p>As the fleet tests it while it runs: <strong>not enough data</strong>, {n} failures of deployed changes that \
             both classes could have had.</p>\n"
        ),
    }
}

fn strata(page: &mut Page, cells: &[Cell]) {
    let side = |failed: u64, n: u64| {
        let failed = Share::of(failed, n);
        failed.map_or_else(|| NONE.to_owned(), |_| share(failed.as_ref()))
    };
    let rows: Vec<Vec<String>> = cells
        .iter()
        .map(|cell| {
            vec![
                format!("{}, quarter {}", cell.tier, cell.risk_quarter),
                whole(cell.counts.with_ai),
                side(cell.counts.with_ai_failed, cell.counts.with_ai),
                whole(cell.counts.without_ai),
                side(cell.counts.without_ai_failed, cell.counts.without_ai),
            ]
        })
        .collect();
    add!(
        page,
        "<details><summary>By tier and quarter of risk, the first being the least risky</summary>"
    );
    let heads = [
        "tier and risk",
        "with AI",
        "caused incidents",
        "without",
        "caused incidents",
    ];
    table(page, "Not adjusted for services; with 95 % intervals", &heads, &rows);
    add!(page, "</details>\n");
}
