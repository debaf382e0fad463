//! What a replay gave, as one page that needs nothing else: no network, no script, no font of its own.
//!
//! It is read in a meeting, so the answers come first: what would have been held, was it right, was it in time.
//! Everything drawn is also a table.
//!
//! **Invariant:** the same replay gives the same bytes. **Invariant:** nothing from outside is markup, and no person is
//! named.

mod ai;
mod answers;
mod capture;
mod changes;
mod delays;
mod freezes;
mod gated;
mod html;
mod learned;
mod timelines;

use self::html::{Escaped, Page, add, instant, style_hash, table, whole};
use super::{
    comparison::{Compared, Comparison},
    drive::Replay,
    interval::Share,
    summary::{Summary, TierSummary},
    text::counted,
    told::Told,
};
use crate::model::{Criticality, Timestamp};

const STYLE: &str = include_str!("style.css");

/// A page about one replay, or two that are compared.
#[derive(Debug)]
pub struct Report<'a> {
    a: Side<'a>,
    b: Option<(Side<'a>, &'a Compared)>,
}

/// One replay and what came of it.
#[derive(Debug, Clone, Copy)]
struct Side<'a> {
    replay: &'a Replay,
    summary: &'a Summary,
}

impl<'a> Report<'a> {
    /// Of a replay that is finished; `summary` is its own. Timelines are there if it had a chronicle from the beginning.
    #[must_use]
    pub fn new(replay: &'a Replay, summary: &'a Summary) -> Self {
        Self {
            a: Side { replay, summary },
            b: None,
        }
    }

    /// Of two; `summary` and `compared` are theirs.
    #[must_use]
    pub fn compared(comparison: &'a Comparison, summary: &'a Summary, compared: &'a Compared) -> Self {
        let b = Side {
            replay: comparison.b(),
            summary: &compared.b,
        };
        Self {
            b: Some((b, compared)),
            ..Self::new(comparison.a(), summary)
        }
    }

    /// The page.
    #[must_use]
    pub fn html(&self) -> String {
        let mut page = Page::default();
        self.head(&mut page);
        answers::write(&mut page, &self.a);
        if let Some((_, compared)) = &self.b {
            changes::write(&mut page, self.a.summary, compared);
        }
        decisions(&mut page, self.a.summary);
        gated::write(&mut page, self.a.summary);
        capture::write(&mut page, &self.a, self.b.as_ref().map(|(b, _)| b));
        delays::write(&mut page, &self.a, self.b.as_ref().map(|(b, _)| b));
        freezes::write(&mut page, self.a.summary, self.b.as_ref().map(|(b, _)| b.summary));
        rules(&mut page, self.a.summary);
        ai::write(&mut page, self.a.summary);
        learned::write(&mut page, self.a.summary);
        timelines::write(&mut page, self.a.replay);
        if let Some((b, _)) = &self.b {
            timelines::write_only_b(&mut page, self.a.replay, b.replay);
        }
        self.foot(&mut page);
        page.into_text()
    }

    fn head(&self, page: &mut Page) {
        let summary = self.a.summary;
        add!(
            page,
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src '{}'; base-uri 'none'; \
             form-action 'none'\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"referrer\" content=\"no-referrer\">\n<title>Holdpoint replay, {}</title>\n<style>{STYLE}</style>\n\
             </head>\n<body>\n<main>\n<header>\n",
            style_hash(STYLE),
            period(summary)
        );
        add!(
            page,
            "<h1>What Holdpoint would have done</h1>\n<p class=\"soft\">{}",
            period(summary)
        );
        if let Some(days) = days(summary) {
            add!(page, " ({days})");
        }
        add!(
            page,
            " · {} · {} · {} · {} watched</p>\n",
            counted(summary.services, "service"),
            counted(summary.events.applied, "event"),
            counted(summary.changes.scored, "change"),
            counted(summary.deploys.watched, "deploy")
        );
        add!(
            page,
            "<p class=\"soft\">Policy{} <code>{}</code>",
            if self.b.is_some() { " A" } else { "" },
            short(&summary.policy)
        );
        if let Some((b, _)) = &self.b {
            add!(page, ", compared with B <code>{}</code>", short(&b.summary.policy));
        }
        add!(page, "</p>\n</header>\n");
    }

    fn foot(&self, page: &mut Page) {
        let events = &self.a.summary.events;
        add!(
            page,
            "<footer>\n<p>{} lines read: {} applied ({} of them too late to be evidence), {} duplicates, {} rejected. \
             Times are UTC.</p>\n",
            whole(events.consumed),
            whole(events.applied),
            whole(events.late),
            whole(events.duplicates),
            whole(events.rejected)
        );
        add!(
            page,
            "<p>Shares have exact 95 % intervals (Clopper and Pearson 1934), rates those of Garwood (1936). A freeze by \
             evidence is <em>borne out</em> by an incident that is open when it begins, or by an incident or a deploy taken \
             back within two hours of its beginning, before or after; or where the deploy that it is put down to is taken \
             back, or named by an incident, within 24 hours of its beginning or two of its end. One that is not was false, \
             or kept the incident away: the count is an upper bound of false freezes. Nothing here is about persons.</p>\n</footer>\n</main>\n</body>\n</html>\n"
        );
    }
}

/// The rows of a table by tier, the weightiest first: each tier's name and summary. Of two policies those of both, under one
/// another.
fn tiers<'a>(a: &'a Summary, b: Option<&'a Summary>) -> Vec<(String, &'a TierSummary)> {
    let both = [(Some(a), " · A"), (b, " · B")];
    let row = |tier: Criticality| {
        both.into_iter().filter_map(move |(summary, side)| {
            let summary = summary?.tiers.get(tier.name())?;
            let side = if b.is_some() { side } else { "" };
            Some((format!("{}{side}", tier.name()), summary))
        })
    };
    Criticality::ALL.into_iter().rev().flat_map(row).collect()
}

fn period(summary: &Summary) -> String {
    match (&summary.from, &summary.to) {
        (Some(from), Some(to)) => format!("{} to {}", at(from), at(to)),
        (None, _) | (_, None) => "no events".to_owned(),
    }
}

fn at(text: &str) -> String {
    text.parse::<Timestamp>()
        .map_or_else(|_unreadable| Escaped(text).to_string(), instant)
}

/// How long the history is.
fn days(summary: &Summary) -> Option<String> {
    let from: Timestamp = summary.from.as_ref()?.parse().ok()?;
    let to: Timestamp = summary.to.as_ref()?.parse().ok()?;
    let hours = to.since(from).as_secs() / 3_600;
    Some(match hours {
        0..48 => format!("{hours} hours"),
        _ => format!("{} days", whole(hours / 24)),
    })
}

/// The beginning of a digest: enough to tell policies apart.
fn short(digest: &str) -> String {
    Escaped(digest.get(..19).unwrap_or(digest)).to_string()
}

/// What was decided, and what became of it.
fn decisions(page: &mut Page, summary: &Summary) {
    add!(page, "<section>\n<h2>What was decided</h2>\n");
    let mut rows = Vec::new();
    for (subject, counts) in [
        ("services", &summary.decisions.services),
        ("changes", &summary.decisions.changes),
    ] {
        for (action, modes) in counts {
            if modes.shadow + modes.enforce == 0 {
                continue;
            }
            let hours = summary.held_hours.get(action).filter(|_| subject == "services");
            rows.push(vec![
                format!("{} on {subject}", html::words(action)),
                whole(modes.shadow),
                whole(modes.enforce),
                hours.map_or_else(
                    || html::NONE.to_owned(),
                    |held| format!("{:.1}", held.shadow + held.enforce),
                ),
            ]);
        }
    }
    let heads = ["decision", "in shadow", "enforced", "hours it stood"];
    table(
        page,
        "Decisions published, renewals included; hours are summed over services",
        &heads,
        &rows,
    );
    let fates = &summary.changes.fates;
    let n_let_by = summary.changes.scored - summary.changes.gated;
    let row =
        |name: &str, n: u64, failed: u64, share| vec![name.to_owned(), whole(n), whole(failed), html::share(share)];
    let rows = [
        row(
            "sent to extra review",
            summary.changes.gated,
            fates.gated_failed,
            fates.gated_failed_share.as_ref(),
        ),
        row(
            "let by",
            n_let_by,
            fates.let_by_failed,
            fates.let_by_failed_share.as_ref(),
        ),
    ];
    let heads = ["change", "changes", "named by incidents or reverts", "share"];
    table(page, "Changes when they landed, and what became of them", &heads, &rows);
    passing(page, summary);
    let mut grounds: Vec<(&str, u64)> = summary
        .freezes
        .by_ground
        .iter()
        .map(|(ground, n)| (&**ground, *n))
        .collect();
    // What was found first; stable.
    grounds.sort_by_key(|(ground, _)| Told::of(ground).is_some());
    let rows: Vec<Vec<String>> = grounds
        .into_iter()
        .map(|(ground, n)| vec![html::words(ground), whole(n)])
        .collect();
    if !rows.is_empty() {
        table(page, "Freezes by their ground", &["ground", "freezes"], &rows);
    }
    add!(page, "</section>\n");
}

/// What freezes let by for its low loss, and what changes that nobody knows would mean.
fn passing(page: &mut Page, summary: &Summary) {
    let frozen = &summary.while_frozen;
    if frozen.landed > 0 {
        let row = |name: &str, n: u64, failed: u64, let_by: u64| {
            let share = Share::of(failed, n);
            vec![
                name.to_owned(),
                whole(n),
                whole(failed),
                html::share(share.as_ref()),
                whole(let_by),
            ]
        };
        let (rest, rest_failed) = (frozen.landed - frozen.low_loss, frozen.failed - frozen.low_loss_failed);
        let rows = [
            row("of low loss", frozen.low_loss, frozen.low_loss_failed, frozen.let_by),
            row("others", rest, rest_failed, 0),
        ];
        let heads = ["change", "changes", "named by incidents or reverts", "share", "let by"];
        let caption = "Changes that landed while something found froze their service. With freeze.low_loss_passes \
                       deploys of low loss alone pass";
        table(page, caption, &heads, &rows);
    }
    let known = &summary.known_changes;
    if known.unknown + known.decisions.all() > 0 {
        add!(
            page,
            "<p>{} of {} that name their changes name one that is not known. <code>require_known_changes</code> stands in {} \
             on services, and leaves {} of these deploys unknown to a gate, {} of them enforced.</p>\n",
            whole(known.unknown),
            counted(known.deploys, "deploy"),
            counted(known.decisions.all(), "decision"),
            whole(known.unanswered.all()),
            whole(known.unanswered.enforce)
        );
    }
}

/// How often each rule of the policy met a change.
fn rules(page: &mut Page, summary: &Summary) {
    if summary.changes.rules.is_empty() {
        return;
    }
    add!(page, "<section>\n<h2>Rules of the policy</h2>\n");
    let row = |rule: &super::summary::RuleHits| {
        let too_many = rule.share.is_some_and(|share| share > super::summary::RULE_SHARE_MAX);
        let share = html::percent(rule.share);
        vec![
            Escaped(&rule.name).to_string(),
            whole(rule.hits),
            if too_many {
                format!("<span class=\"flag\">{share}, too many</span>")
            } else {
                share
            },
        ]
    };
    let rows: Vec<Vec<String>> = summary.changes.rules.iter().map(row).collect();
    let caption = "Changes that each rule asked something of. Above 25 % people learn to work around a rule";
    table(page, caption, &["rule", "changes", "share"], &rows);
    add!(page, "</section>\n");
}
