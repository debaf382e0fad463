//! A summary as people read it: a line per question, the answer first.

use std::fmt::{self, Write as _};

use super::{
    gated::GatedChange,
    interval::{Rate, Share},
    summary::{CaptureSummary, DecisionCounts, ModeCounts, Summary, count},
    told::Told,
};

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_history(f)?;
        write_decisions(f, &self.decisions)?;
        self.write_held(f)?;
        self.write_changes(f)?;
        self.write_while_frozen(f)?;
        self.write_deploys(f)?;
        self.write_known_changes(f)?;
        self.write_freezes(f)?;
        self.write_tiers(f)?;
        self.write_ai(f)?;
        self.write_learned(f)?;
        self.write_riskiest(f)?;
        for warning in &self.warnings {
            writeln!(f, "warning      {warning}")?;
        }
        Ok(())
    }
}

impl Summary {
    fn write_history(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let events = &self.events;
        if let (Some(from), Some(to)) = (&self.from, &self.to) {
            writeln!(f, "history      {from} to {to}, {}", counted(self.services, "service"))?;
        }
        writeln!(f, "policy       {}", self.policy)?;
        writeln!(
            f,
            "events       {} read: {} applied ({} of them late), {} duplicates, {} rejected",
            grouped(events.consumed),
            grouped(events.applied),
            grouped(events.late),
            grouped(events.duplicates),
            grouped(events.rejected)
        )?;
        let kinds = events.by_kind.iter().filter(|(_, n)| **n > 0);
        write_list(f, "             applied: ", kinds)?;
        write_list(f, "             rejected: ", events.rejected_by_reason.iter())
    }

    fn write_held(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("held        ")?;
        let mut separator = "";
        for (action, hours) in &self.held_hours {
            let name = action.replace('_', " ");
            write!(
                f,
                "{separator} {name} {:.1} h (enforced {:.1} h)",
                hours.shadow + hours.enforce,
                hours.enforce
            )?;
            separator = ",";
        }
        writeln!(f)?;
        let mut separator = "             of it";
        for (by, told) in [("windows", &self.told.windows), ("people", &self.told.people)] {
            if told.freezes > 0 {
                write!(f, "{separator} frozen by {by} {:.1} h", told.hours.all())?;
                separator = ",";
            }
        }
        if separator == "," { writeln!(f) } else { Ok(()) }
    }

    fn write_changes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (changes, capture) = (&self.changes, &self.capture);
        if changes.scored == 0 {
            return Ok(());
        }
        writeln!(
            f,
            "changes      {} scored, {} sent to extra review ({})",
            grouped(changes.scored),
            grouped(changes.gated),
            percent(changes.gated_share)
        )?;
        if changes.gated > 0 {
            writeln!(
                f,
                "             by risk {} ({}; the policy's budget for it is {})",
                grouped(changes.gated_by_risk),
                percent(changes.gated_by_risk_share),
                percent(Some(changes.review_budget.value()))
            )?;
        }
        if changes.gated_advised_only > 0 {
            writeln!(
                f,
                "             only advised {}: no approval with a known level was seen (no_review_source)",
                grouped(changes.gated_advised_only)
            )?;
        }
        for rule in &changes.rules {
            let share = rule
                .share
                .map_or_else(String::new, |share| format!(", {:.1} %", share * 100.0));
            writeln!(
                f,
                "             rule {}: {}{share}",
                rule.name,
                counted(rule.hits, "change")
            )?;
        }
        if capture.n_known() == 0 {
            return writeln!(f, "capture      not known: {}", unknown_causes(capture));
        }
        let (n_commits, n_deploys) = (capture.commits_known, capture.deploys_known);
        let mut line = format!("capture      of {} that incidents name", causes(n_commits, n_deploys));
        for captured in &capture.riskiest {
            if let Some(found) = captured.captured {
                write!(
                    line,
                    ", {:.0} % in the riskiest {:.0} %",
                    found * 100.0,
                    captured.share * 100.0
                )?;
            }
        }
        if let Some(gated) = capture.gated {
            write!(line, "; {:.0} % were sent to extra review", gated * 100.0)?;
        }
        writeln!(f, "{line}")
    }

    /// What `freeze.low_loss_passes` lets by, or would.
    fn write_while_frozen(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let frozen = &self.while_frozen;
        if frozen.landed == 0 {
            return Ok(());
        }
        writeln!(
            f,
            "frozen out   {} landed while something found froze their service; incidents name {} as their cause",
            counted(frozen.landed, "change"),
            grouped(frozen.failed)
        )?;
        writeln!(
            f,
            "             {} of low loss, of which incidents name {}; freeze.low_loss_passes lets {} by",
            grouped(frozen.low_loss),
            grouped(frozen.low_loss_failed),
            grouped(frozen.let_by)
        )
    }

    /// What `require_known_changes` asks, or would.
    fn write_known_changes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = &self.known_changes;
        if known.unknown + known.decisions.all() == 0 {
            return Ok(());
        }
        writeln!(
            f,
            "             {} of {} that name their changes name one that is not known; require_known_changes leaves {} unknown \
             ({} enforced), in {} on services",
            grouped(known.unknown),
            counted(known.deploys, "deploy"),
            grouped(known.unanswered.all()),
            grouped(known.unanswered.enforce),
            counted(known.decisions.all(), "decision")
        )
    }

    fn write_deploys(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let deploys = &self.deploys;
        write!(
            f,
            "deploys      {} watched: {} healthy, {} regressed, {} unknown",
            grouped(deploys.watched),
            grouped(deploys.healthy),
            grouped(deploys.regressed),
            grouped(deploys.unknown)
        )?;
        if let Some(seconds) = deploys.alarm_after_seconds_median {
            write!(f, "; alarm after {} min (median)", (seconds + 30) / 60)?;
        }
        if let Some(quantiles) = &deploys.alarm_after_seconds {
            write!(f, ", {} min (nine in ten)", (quantiles.p90 + 30) / 60)?;
        }
        writeln!(f)
    }

    fn write_freezes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (freezes, detection) = (&self.freezes, &self.detection);
        writeln!(f, "freezes      {}", grouped(self.n_found()))?;
        let grounds = |told: bool| {
            let grounds = freezes.by_ground.iter();
            grounds.filter(move |(ground, _)| Told::of(ground).is_some() == told)
        };
        write_list(f, "             by ", grounds(false))?;
        write_list(f, "             beside them by windows and people: ", grounds(true))?;
        if freezes.evidence_borne_out + freezes.evidence_not_borne_out > 0 {
            write!(
                f,
                "             by evidence: {} borne out by an incident or rollback, {} not",
                freezes.evidence_borne_out, freezes.evidence_not_borne_out
            )?;
            if let Some(rate) = freezes.not_borne_out_per_week {
                write!(f, " ({rate:.2} a week)")?;
            }
            writeln!(f)?;
        }
        if let Some(share) = &freezes.not_borne_out_share {
            write!(f, "             false at most: {} of them", within(share))?;
            if let Some(rate) = &freezes.not_borne_out_per_100_deploys {
                write!(f, ", {} per 100 deploys watched", within_rate(rate))?;
            }
            writeln!(f)?;
        }
        let without_errors = match detection.incidents_without_errors {
            0 => String::new(),
            n => format!("; {} at a time without errors", grouped(n)),
        };
        writeln!(
            f,
            "incidents    {}, {} of them with the service frozen by evidence before{}{without_errors}",
            detection.incidents,
            detection.incidents_frozen_before,
            detection.frozen_before_seconds.map_or_else(String::new, |lead| format!(
                ", by {} min (median)",
                (lead.p50 + 30) / 60
            ))
        )?;
        if detection.deploys_blamed > 0 {
            writeln!(
                f,
                "             {} named as the cause: {} found, {} missed, {} not judged",
                counted(detection.deploys_blamed, "deploy"),
                detection.blamed_regressed,
                detection.blamed_healthy,
                detection.blamed_unknown
            )?;
        }
        Ok(())
    }

    /// Tiers, where there are several.
    fn write_tiers(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.tiers.len() < 2 {
            return Ok(());
        }
        for (i, (name, tier)) in self.tiers_by_weight().enumerate() {
            write!(
                f,
                "{:<13}{name}: {} watched, {} of {} freezes by evidence borne out",
                if i == 0 { "tiers" } else { "" },
                grouped(tier.watched),
                tier.evidence_borne_out,
                tier.evidence_borne_out + tier.evidence_not_borne_out
            )?;
            if let Some(delay) = &tier.alarm_after_seconds {
                write!(f, ", alarm after {} min (median)", (delay.p50 + 30) / 60)?;
            }
            writeln!(
                f,
                ", in review {:.1} h, frozen {:.1} h",
                tier.held_hours.get("extra_review").map_or(0.0, |hours| hours.all()),
                tier.frozen_hours().all()
            )?;
        }
        Ok(())
    }

    /// Which changes were sent to extra review, last: it is the longest answer.
    fn write_riskiest(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = &self.changes.gated_riskiest;
        let shown: Vec<&GatedChange> = all.iter().take(CHANGES_SHOWN).collect();
        let width = |of: fn(&GatedChange) -> usize| shown.iter().map(|change| of(change)).max().unwrap_or(0);
        let wide = width(|change| change.service.as_str().chars().count()).min(SERVICE_WIDTH_MAX);
        for (i, change) in shown.iter().enumerate() {
            let heading = if i == 0 { "to review" } else { "" };
            let (service, sha) = (change.service.as_str(), change.short_sha());
            let day = change.time.get(..10).unwrap_or(&change.time);
            let risk = change.risk.value() * 100.0;
            let reasons = change.reasons.join(", ");
            write!(
                f,
                "{heading:<13}{service:<wide$} {sha:<12} {day} {risk:>5.1} % {reasons}"
            )?;
            if !change.measures.is_empty() {
                write!(f, ": {}", change.measures_text())?;
            }
            writeln!(f)?;
        }
        let left = self.changes.gated.saturating_sub(count(shown.len()));
        if left > 0 {
            let where_to = "the page and --json name 100, --decisions all";
            writeln!(f, "             and {} less risky ones; {where_to}", grouped(left))?;
        }
        Ok(())
    }

    /// Nothing where no change says anything of AI.
    fn write_ai(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = self.ai.classes.iter().filter(|class| class.assistance != "unknown");
        if told.map(|class| class.changes).sum::<u64>() == 0 {
            return Ok(());
        }
        let mut separator = "ai           ";
        for class in &self.ai.classes {
            write!(f, "{separator}{} {}", class.assistance, grouped(class.changes))?;
            if let Some(share) = &class.failed_share {
                write!(f, " ({} failed)", within(share))?;
            }
            separator = ", ";
        }
        writeln!(f)?;
        match &self.ai.same_risk {
            Some(odds) => writeln!(
                f,
                "             of like service and risk, odds of failing with AI: {:.2} times those without ({:.2} to {:.2})",
                odds.ratio, odds.low, odds.high
            )?,
            None => writeln!(f, "             of like service and risk: not enough data to compare")?,
        }
        let tested = &self.ai.tested;
        match &tested.comparison {
            Some(found) => writeln!(
                f,
                "             as the fleet tests it, by {} of deployed changes: {:.2} times as likely ({:.2} to {:.2}); \
                 evidence for more {:.2}, for less {:.2}",
                counted(tested.n_compared, "failure"),
                found.ratio,
                found.ratio_low,
                found.ratio_high,
                found.e_more,
                found.e_less
            ),
            None => writeln!(
                f,
                "             as the fleet tests it: not enough data, {} of deployed changes",
                counted(tested.n_compared, "failure")
            ),
        }
    }
}

/// `3 commits and 1 deploy`.
pub(super) fn causes(commits: u64, deploys: u64) -> String {
    match (commits, deploys) {
        (_, 0) => counted(commits, "commit"),
        (0, _) => counted(deploys, "deploy"),
        (_, _) => format!("{} and {}", counted(commits, "commit"), counted(deploys, "deploy")),
    }
}

/// Why nothing can be said of the causes of incidents.
pub(super) fn unknown_causes(capture: &CaptureSummary) -> String {
    let named = causes(capture.commits_named, capture.deploys_named);
    match (capture.commits_named, capture.deploys_named) {
        (0, 0) => "no incident names a commit or a deploy as its cause (caused_by)".to_owned(),
        (_, 0) => format!("incidents name {named}, of which none was scored"),
        (_, _) => format!("incidents name {named}, but no commit that was scored, and no deploy whose commits were"),
    }
}

/// `1 deploy`, `2,000 deploys`.
pub(super) fn counted(n: u64, what: &str) -> String {
    format!("{} {what}{}", grouped(n), if n == 1 { "" } else { "s" })
}

/// `12.5 % (4.1 to 27.0)`.
pub(super) fn within(share: &Share) -> String {
    let [share, low, high] = [share.share, share.low, share.high].map(|value| value * 100.0);
    format!("{share:.1} % ({low:.1} to {high:.1})")
}

/// `12.5 %`.
fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "-".to_owned(), |share| format!("{:.1} %", share * 100.0))
}

fn within_rate(rate: &Rate) -> String {
    format!("{:.2} ({:.2} to {:.2})", rate.rate, rate.low, rate.high)
}

/// Changes sent to review that are named in a summary for people; the report and `--json` name more.
const CHANGES_SHOWN: usize = 20;
/// Longer names of services put what follows out of line.
const SERVICE_WIDTH_MAX: usize = 24;

fn write_decisions(f: &mut fmt::Formatter<'_>, decisions: &DecisionCounts) -> fmt::Result {
    for (subject, counts) in [("services", &decisions.services), ("changes", &decisions.changes)] {
        write!(
            f,
            "{:<13}on {subject}:",
            if subject == "services" { "decisions" } else { "" }
        )?;
        let mut separator = "";
        for (action, ModeCounts { shadow, enforce }) in counts {
            let name = action.replace('_', " ");
            write!(f, "{separator} {name} {}", grouped(shadow + enforce))?;
            if *action != "proceed" && *enforce > 0 {
                write!(f, " ({} enforced)", grouped(*enforce))?;
            }
            separator = ",";
        }
        writeln!(f)?;
    }
    Ok(())
}

fn write_list<'a, K: fmt::Display + 'a>(
    f: &mut fmt::Formatter<'_>,
    heading: &str,
    items: impl Iterator<Item = (K, &'a u64)>,
) -> fmt::Result {
    let items: Vec<String> = items.map(|(name, n)| format!("{name} {}", grouped(*n))).collect();
    if items.is_empty() {
        return Ok(());
    }
    writeln!(f, "{heading}{}", items.join(", "))
}

/// With a comma between thousands.
pub(super) fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
