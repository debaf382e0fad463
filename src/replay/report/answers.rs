//! The three answers at the head of the page.

use super::{
    Side,
    html::{Escaped, Page, add, minutes, percent, whole},
};
use crate::{
    model::Action,
    replay::{holding::OVERRIDE, summary::Summary, text::counted},
};

pub(super) fn write(page: &mut Page, side: &Side<'_>) {
    let summary = side.summary;
    add!(page, "<div class=\"answers\">\n");
    held(page, summary);
    right(page, summary);
    in_time(page, summary);
    add!(page, "</div>\n");
    if summary.warnings.is_empty() {
        return;
    }
    add!(page, "<ul class=\"warnings\" aria-label=\"Warnings\">\n");
    for warning in &summary.warnings {
        add!(page, "<li>{}</li>\n", Escaped(warning));
    }
    add!(page, "</ul>\n");
}

fn answer(page: &mut Page, question: &str, big: &str, sentences: &[String]) {
    add!(
        page,
        "<section class=\"answer\"><h2>{question}</h2><p class=\"big\">{big}</p>"
    );
    for sentence in sentences {
        add!(page, "<p>{sentence}</p>");
    }
    add!(page, "</section>\n");
}

fn held(page: &mut Page, summary: &Summary) {
    let freezes = summary.n_found();
    let (hours, enforced) = (summary.hours_found().all(), summary.hours_found().enforce);
    let mode = if enforced > 0.0 {
        format!("{enforced:.1} h of it enforced.")
    } else if is_all_shadow(summary) {
        "All in shadow mode: nothing would have been blocked.".to_owned()
    } else if summary.told.windows.hours.enforce + summary.told.people.hours.enforce > 0.0 {
        "None of it enforced.".to_owned()
    } else {
        "None of it enforced, but extra review is.".to_owned()
    };
    let (scored, gated) = (summary.changes.scored, summary.changes.gated);
    let review = format!(
        "{} of {} changes ({}) sent to extra review.",
        whole(gated),
        whole(scored),
        percent(super::super::summary::ratio(gated, scored))
    );
    let big = counted(freezes, "freeze");
    let mut sentences = vec![format!("Services frozen for {hours:.1} h in all. {mode}"), review];
    for (by, told) in [
        ("Windows of the policy", &summary.told.windows),
        ("People", &summary.told.people),
    ] {
        if told.freezes > 0 {
            sentences.push(format!(
                "{by} froze services beside that: {} for {:.1} h, {:.1} h of it enforced.",
                counted(told.freezes, "time"),
                told.hours.all(),
                told.hours.enforce
            ));
        }
    }
    answer(page, "What would have been held?", &big, &sentences);
}

/// Whether nothing would have been blocked: no decision binds, and no person froze anything, which holds in any mode.
fn is_all_shadow(summary: &Summary) -> bool {
    let decisions = &summary.decisions;
    let mut held = [&decisions.services, &decisions.changes]
        .into_iter()
        .flatten()
        .filter(|(action, _)| **action != Action::Proceed.name());
    held.all(|(_, modes)| modes.enforce == 0) && !summary.freezes.by_ground.contains_key(OVERRIDE)
}

fn right(page: &mut Page, summary: &Summary) {
    let freezes = &summary.freezes;
    let (borne_out, not) = (freezes.evidence_borne_out, freezes.evidence_not_borne_out);
    let Some(share) = &freezes.not_borne_out_share else {
        let sentence = "No freeze by evidence in this history: there is nothing to be right or wrong about.";
        answer(page, "Would it have been right?", "no freezes", &[sentence.to_owned()]);
        return;
    };
    let mut sentences = vec![format!(
        "freezes by evidence were borne out by an incident or a rollback. At most {:.0} % were false (95 % interval \
         {:.0} – {:.0} %).",
        share.share * 100.0,
        share.low * 100.0,
        share.high * 100.0
    )];
    if let Some(rate) = &freezes.not_borne_out_per_week_interval {
        sentences.push(format!(
            "That is {:.2} a week ({:.2} – {:.2}).",
            rate.rate, rate.low, rate.high
        ));
    }
    let big = format!("{} of {}", whole(borne_out), whole(borne_out + not));
    answer(page, "Would it have been right?", &big, &sentences);
}

fn in_time(page: &mut Page, summary: &Summary) {
    let (detection, delay) = (&summary.detection, &summary.deploys.alarm_after_seconds);
    let without_errors = detection.incidents_without_errors;
    let incidents = detection.incidents.saturating_sub(without_errors);
    let mut sentences = Vec::new();
    if let Some(lead) = &detection.frozen_before_seconds {
        sentences.push(format!(
            "incidents found their service frozen already, by {} (median).",
            minutes(Some(lead.p50))
        ));
    } else if incidents > 0 {
        sentences.push("incidents found their service frozen already.".to_owned());
    }
    if without_errors > 0 {
        sentences.push(format!(
            "{} at a time without errors, when nothing freezes by evidence.",
            counted(without_errors, "incident")
        ));
    }
    if let Some(delay) = delay {
        sentences.push(format!(
            "From deploy to alarm {} (median), {} in nine of ten.",
            minutes(Some(delay.p50)),
            minutes(Some(delay.p90))
        ));
    }
    if let Some(gated) = summary.capture.gated {
        sentences.push(format!(
            "Of what incidents name as their cause, {} was sent to extra review.",
            percent(Some(gated))
        ));
    }
    let big = if incidents > 0 {
        format!("{} of {}", whole(detection.incidents_frozen_before), whole(incidents))
    } else if without_errors > 0 {
        "no errors".to_owned()
    } else {
        "no incidents".to_owned()
    };
    answer(page, "Would it have been in time?", &big, &sentences);
}
