//! A summary as people read it: a line per question, the answer first.

use std::fmt::{self, Write as _};

use super::summary::{DecisionCounts, ModeCounts, Summary};

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_history(f)?;
        write_decisions(f, &self.decisions)?;
        self.write_held(f)?;
        self.write_changes(f)?;
        self.write_deploys(f)?;
        self.write_freezes(f)?;
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
            writeln!(f, "history      {from} to {to}, {} services", grouped(self.services))?;
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
        writeln!(f)
    }

    fn write_changes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (changes, capture) = (&self.changes, &self.capture);
        if changes.scored == 0 {
            return Ok(());
        }
        writeln!(
            f,
            "changes      {} scored, {} sent to extra review",
            grouped(changes.scored),
            grouped(changes.gated)
        )?;
        for rule in &changes.rules {
            let share = rule
                .share
                .map_or_else(String::new, |share| format!(", {:.1} %", share * 100.0));
            writeln!(
                f,
                "             rule {}: {} changes{share}",
                rule.name,
                grouped(rule.hits)
            )?;
        }
        if capture.commits_known == 0 {
            let n = capture.commits_named;
            return writeln!(
                f,
                "capture      not known: incidents name {n} commits, of which none was scored"
            );
        }
        let mut line = format!(
            "capture      of {} commits that caused incidents",
            capture.commits_known
        );
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
        writeln!(f)
    }

    fn write_freezes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (freezes, detection) = (&self.freezes, &self.detection);
        let n: u64 = freezes.by_ground.values().sum();
        writeln!(f, "freezes      {}", grouped(n))?;
        write_list(f, "             by ", freezes.by_ground.iter())?;
        if freezes.evidence_borne_out + freezes.evidence_not_borne_out > 0 {
            write!(
                f,
                "             by evidence: {} with an incident or rollback within 2 h, {} without",
                freezes.evidence_borne_out, freezes.evidence_not_borne_out
            )?;
            if let Some(rate) = freezes.not_borne_out_per_week {
                write!(f, " ({rate:.2} a week)")?;
            }
            writeln!(f)?;
        }
        writeln!(
            f,
            "incidents    {}, {} of them with the service frozen by evidence before",
            detection.incidents, detection.incidents_frozen_before
        )?;
        if detection.deploys_blamed > 0 {
            writeln!(
                f,
                "             {} deploys named as the cause: {} found, {} missed, {} not judged",
                detection.deploys_blamed,
                detection.blamed_regressed,
                detection.blamed_healthy,
                detection.blamed_unknown
            )?;
        }
        Ok(())
    }
}

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
fn grouped(n: u64) -> String {
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
