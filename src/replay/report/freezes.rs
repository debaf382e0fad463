//! False freezes with their intervals, and hours held, by tier.

use super::{
    html::{Page, add, rate, share, table, whole},
    tiers,
};
use crate::replay::summary::{ModeHours, Summary, TierSummary};

/// Of two policies both, under one another.
pub(super) fn write(page: &mut Page, a: &Summary, b: Option<&Summary>) {
    add!(page, "<section>\n<h2>False freezes, and hours held</h2>\n");
    let names = if b.is_some() {
        ["all · A", "all · B"]
    } else {
        ["all", ""]
    };
    let all = |(summary, name): (&Summary, &str)| {
        let freezes = &summary.freezes;
        vec![
            name.to_owned(),
            whole(freezes.evidence_borne_out + freezes.evidence_not_borne_out),
            whole(freezes.evidence_borne_out),
            whole(freezes.evidence_not_borne_out),
            share(freezes.not_borne_out_share.as_ref()),
            rate(freezes.not_borne_out_per_100_deploys.as_ref()),
        ]
    };
    let sides = || std::iter::once(a).chain(b).zip(names);
    let mut rows: Vec<Vec<String>> = sides().map(all).collect();
    rows.extend(tiers(a, b).into_iter().map(|(name, tier)| {
        vec![
            name,
            whole(tier.evidence_borne_out + tier.evidence_not_borne_out),
            whole(tier.evidence_borne_out),
            whole(tier.evidence_not_borne_out),
            share(tier.not_borne_out_share.as_ref()),
            rate(tier.not_borne_out_per_100_deploys.as_ref()),
        ]
    }));
    let heads = [
        "tier",
        "freezes by evidence",
        "borne out",
        "not borne out",
        "false at most",
        "for 100 deploys watched",
    ];
    table(page, "Freezes by evidence, with 95 % intervals", &heads, &rows);
    let per_week: Vec<String> = sides()
        .filter_map(|(summary, name)| {
            let per_week = summary.freezes.not_borne_out_per_week_interval.as_ref()?;
            let side = name.strip_prefix("all · ").map(|side| format!("{side} "));
            Some(format!("{}{}", side.unwrap_or_default(), rate(Some(per_week))))
        })
        .collect();
    if !per_week.is_empty() {
        add!(
            page,
            "<p>Not borne out a week, in the whole fleet: {}.</p>\n",
            per_week.join("; ")
        );
    }
    hours(page, &tiers(a, b));
    add!(page, "</section>\n");
}

fn hours(page: &mut Page, tiers: &[(String, &TierSummary)]) {
    let review = |tier: &TierSummary| {
        let held = tier.held_hours.get("extra_review");
        held.copied().unwrap_or(ModeHours::ZERO)
    };
    let held = tiers
        .iter()
        .map(|(_, tier)| tier.frozen_hours().all() + review(tier).all());
    let greatest = held.fold(0.0_f64, f64::max);
    let rows: Vec<Vec<String>> = tiers
        .iter()
        .map(|(name, tier)| {
            let (frozen, review) = (tier.frozen_hours(), review(tier));
            vec![
                name.clone(),
                format!("{:.1}", frozen.all()),
                format!("{:.1}", frozen.enforce),
                format!("{:.1}", review.all()),
                format!("{:.1}", review.enforce),
                bars(frozen.all(), review.all(), greatest),
                format!("{:.1}", tier.told_hours.all()),
            ]
        })
        .collect();
    let heads = [
        "tier",
        "frozen, h",
        "of it enforced",
        "extra review, h",
        "of it enforced",
        "",
        "windows, people, h",
    ];
    table(
        page,
        "Hours for which services were held, summed over them; the bars are frozen (orange) and extra review (blue), \
         windows of the policy and people's freezes apart",
        &heads,
        &rows,
    );
}

/// The hours of a row as a bar: frozen, then in extra review.
fn bars(frozen: f64, review: f64, greatest: f64) -> String {
    const WIDTH: f64 = 160.0;
    if greatest <= 0.0 {
        return String::new();
    }
    let (frozen, review) = (frozen / greatest * WIDTH, review / greatest * WIDTH);
    format!(
        "<svg viewBox=\"0 0 160 14\" aria-hidden=\"true\"><rect class=\"bar-freeze\" x=\"0\" y=\"1\" width=\"{frozen:.1}\" \
         height=\"12\"/><rect class=\"bar-a\" x=\"{frozen:.1}\" y=\"1\" width=\"{review:.1}\" height=\"12\"/></svg>"
    )
}
