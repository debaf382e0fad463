//! Two summaries as people read them: which policies they are of, figure by figure, and what would change.

use std::fmt;

use super::{
    by_tier,
    comparison::{Compared, ComparedSummary, HeldFor},
    policies::ComparedPolicies,
    summary::{ModeHours, Summary, number},
    text::{counted, grouped},
};
use crate::score::policy::Difference;

/// Services named in a summary for people; the report and `--json` name more.
const SERVICES_SHOWN: usize = 8;
/// Of what differs between two policies.
const DIFFERENCES_SHOWN: usize = 12;

impl fmt::Display for ComparedSummary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { a, compared } = self;
        write!(f, "{a}")?;
        let policies = &compared.policies;
        writeln!(f, "\ncompared     A is {}, {}", policies.a, a.policy)?;
        writeln!(f, "             B is {}, {}", policies.b, compared.b.policy)?;
        write_policies(f, policies)?;
        writeln!(f, "{:<40}{:>12}{:>12}{:>12}", "", "A", "B", "B - A")?;
        for figure in figures(a, &compared.b) {
            let Figure { name, a, b, decimals } = figure;
            let text = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.decimals$}"));
            let apart = figure.apart();
            let apart = apart.map_or_else(|| "-".to_owned(), |apart| format!("{apart:+.decimals$}"));
            writeln!(f, "             {name:<27}{:>12}{:>12}{apart:>12}", text(a), text(b))?;
        }
        by_tier::write(f, a, &compared.b)?;
        write_changed(f, compared)?;
        for warning in &compared.b.warnings {
            writeln!(f, "warning of B {warning}")?;
        }
        Ok(())
    }
}

/// The keys whose values differ, each with both.
fn write_policies(f: &mut fmt::Formatter<'_>, policies: &ComparedPolicies) -> fmt::Result {
    if policies.differ == 0 {
        return writeln!(f, "             no value of theirs differs");
    }
    for Difference { key, a, b } in policies.first.iter().take(DIFFERENCES_SHOWN) {
        let [a, b] = [a, b].map(|side| side.as_deref().unwrap_or("none"));
        writeln!(f, "             {key}: {a} in A, {b} in B")?;
    }
    let left = policies.n_left(DIFFERENCES_SHOWN);
    if left > 0 {
        writeln!(f, "             and {} more", counted(left, "difference"))?;
    }
    Ok(())
}

fn write_changed(f: &mut fmt::Formatter<'_>, compared: &Compared) -> fmt::Result {
    let Compared { changes, services, .. } = compared;
    if compared.is_same() {
        return writeln!(f, "             both decide alike everywhere");
    }
    writeln!(
        f,
        "changes      {} of {} decided differently: {} only A sends to review, {} only B{}",
        grouped(changes.differ),
        grouped(changes.compared),
        grouped(changes.reviewed_only_by_a),
        grouped(changes.reviewed_only_by_b),
        in_mode(changes.only_in_mode, "both send there, and only one enforces it")
    )?;
    writeln!(
        f,
        "services     {} of {} held for other times{}; of A's {} frozen stretches B shares {}, of B's {} A shares {}",
        grouped(services.differ - services.only_in_mode),
        grouped(services.held),
        in_mode(services.only_in_mode, "for the same times, enforced otherwise"),
        grouped(services.freezes_of_a),
        grouped(services.freezes_of_a_shared),
        grouped(services.freezes_of_b),
        grouped(services.freezes_of_b_shared)
    )?;
    let (as_told, in_when) = (services.differ_only_as_told, services.differ_only_in_when);
    if as_told + in_when > 0 {
        writeln!(
            f,
            "             of them {} only by windows and people's words, and {} for as long",
            grouped(as_told),
            grouped(in_when)
        )?;
    }
    let shown = services.first.iter().filter(|difference| difference.is_seen());
    for difference in shown.take(SERVICES_SHOWN) {
        let (a, b) = (&difference.a, &difference.b);
        write!(
            f,
            "             {}@{}: frozen {:.1} h and {:.1} h, in review {:.1} h and {:.1} h",
            difference.service,
            difference.environment,
            a.freeze_hours,
            b.freeze_hours,
            a.extra_review_hours,
            b.extra_review_hours
        )?;
        let enforced = |held: &HeldFor| held.freeze_hours_enforced + held.extra_review_hours_enforced;
        if (enforced(a), enforced(b)) != (0.0, 0.0) {
            write!(f, "; enforced {:.1} h and {:.1} h", enforced(a), enforced(b))?;
        }
        writeln!(f)?;
    }
    write_passes(f, compared)
}

/// What differs in no hour that a service is held for and in no review, and shows in a gate's answers.
fn write_passes(f: &mut fmt::Formatter<'_>, compared: &Compared) -> fmt::Result {
    let Compared { changes, services, .. } = compared;
    let all = [
        (
            counted(services.differ_in_low_loss, "service"),
            "whose freezes let low loss by at other times",
        ),
        (
            counted(services.differ_in_known_changes, "service"),
            "whose changes must be known at other times, or in another mode",
        ),
        (
            counted(changes.differ_in_low_loss, "change"),
            "decided alike, of low loss under one policy only",
        ),
    ];
    let differing = all.into_iter().filter(|(n, _)| !n.starts_with("0 "));
    for (place, (n, what)) in differing.enumerate() {
        writeln!(f, "{:<13}{n} {what}", if place == 0 { "at the gate" } else { "" })?;
    }
    Ok(())
}

/// What differs in nothing but whether it binds, where there is any.
pub(super) fn in_mode(n: u64, what: &str) -> String {
    if n == 0 {
        String::new()
    } else {
        format!(", {} {what}", grouped(n))
    }
}

/// What can be put side by side.
pub(super) struct Figure {
    pub(super) name: &'static str,
    pub(super) a: Option<f64>,
    pub(super) b: Option<f64>,
    pub(super) decimals: usize,
}

impl Figure {
    /// B less A, as they are shown: readers subtract what they see.
    pub(super) fn apart(&self) -> Option<f64> {
        let shown = |value: f64| format!("{value:.0$}", self.decimals).parse().unwrap_or(value);
        // Nothing is less than nothing.
        self.a.zip(self.b).map(|(a, b)| shown(b) - shown(a) + 0.0)
    }
}

/// The figures by which two policies are compared.
pub(super) fn figures(a: &Summary, b: &Summary) -> Vec<Figure> {
    type Of = fn(&Summary) -> Option<f64>;
    type Hours = fn(&Summary) -> ModeHours;
    let in_review = |summary: &Summary| {
        let held = summary.held_hours.get("extra_review");
        held.copied().unwrap_or(ModeHours::ZERO)
    };
    let percent = |share: Option<f64>| share.map(|share| share * 100.0);
    let mut figures: Vec<Figure> = Vec::new();
    let mut add = |name, decimals, a, b| {
        figures.push(Figure { name, a, b, decimals });
    };
    let of_both = |of: Of| (of(a), of(b));
    let whole: [(&'static str, Of); 5] = [
        ("freezes", |summary| Some(number(summary.n_found()))),
        ("freezes by evidence", |summary| {
            let freezes = &summary.freezes;
            Some(number(freezes.evidence_borne_out + freezes.evidence_not_borne_out))
        }),
        ("  not borne out", |summary| {
            Some(number(summary.freezes.evidence_not_borne_out))
        }),
        ("incidents frozen before", |summary| {
            Some(number(summary.detection.incidents_frozen_before))
        }),
        ("changes sent to review", |summary| Some(number(summary.changes.gated))),
    ];
    for (name, of) in whole {
        let (a, b) = of_both(of);
        add(name, 0, a, b);
    }
    let both = |of: Hours| (of(a), of(b));
    let mut add_hours = |name, (a, b): (ModeHours, ModeHours)| {
        add(name, 1, Some(a.all()), Some(b.all()));
        add("  enforced", 1, Some(a.enforce), Some(b.enforce));
    };
    add_hours("hours frozen", both(Summary::hours_found));
    add_hours("hours in extra review", both(in_review));
    let told: [(&'static str, Hours); 2] = [
        ("hours frozen by windows", |summary| summary.told.windows.hours),
        ("hours frozen by people", |summary| summary.told.people.hours),
    ];
    for (name, of) in told {
        let (of_a, of_b) = both(of);
        if of_a.all() + of_b.all() > 0.0 {
            add_hours(name, (of_a, of_b));
        }
    }
    figures.extend(passing(a, b));
    let mut add = |name, decimals, a, b| {
        figures.push(Figure { name, a, b, decimals });
    };
    let minutes: Of = |summary| {
        summary
            .deploys
            .alarm_after_seconds
            .map(|delay| number(delay.p50) / 60.0)
    };
    let (of_a, of_b) = of_both(minutes);
    add("minutes to alarm (median)", 1, of_a, of_b);
    add(
        "causes sent to review, %",
        1,
        percent(a.capture.gated),
        percent(b.capture.gated),
    );
    // What neither has says nothing.
    figures.retain(|figure| figure.a.is_some() || figure.b.is_some());
    figures
}

/// What passes freezes for its low loss, and where changes must be known; of what neither has, nothing.
fn passing(a: &Summary, b: &Summary) -> Vec<Figure> {
    type Of = fn(&Summary) -> f64;
    let all: [(&'static str, usize, Of); 7] = [
        ("changes landed while frozen", 0, |summary| {
            number(summary.while_frozen.landed)
        }),
        ("  of low loss", 0, |summary| number(summary.while_frozen.low_loss)),
        ("  let by for it", 0, |summary| number(summary.while_frozen.let_by)),
        ("hours low loss passes", 1, |summary| {
            summary.while_frozen.let_by_hours.all()
        }),
        ("hours changes must be known", 1, |summary| {
            summary.known_changes.hours.all()
        }),
        ("  enforced", 1, |summary| summary.known_changes.hours.enforce),
        ("deploys left unknown for it", 0, |summary| {
            number(summary.known_changes.unanswered.all())
        }),
    ];
    let figures = all.map(|(name, decimals, of)| Figure {
        name,
        a: Some(of(a)),
        b: Some(of(b)),
        decimals,
    });
    let is_any = |figure: &Figure| figure.a.zip(figure.b).is_some_and(|(a, b)| a + b > 0.0);
    figures.into_iter().filter(is_any).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_that_of_the_figures_that_are_shown() {
        let apart = |a, b, decimals| {
            let (a, b) = (Some(a), Some(b));
            let figure = Figure {
                name: "",
                a,
                b,
                decimals,
            };
            format!("{:+.1}", figure.apart().expect("both are known"))
        };
        // 12.5 and 10.7; 1.0 and 1.0; 0 and 1.
        assert_eq!(apart(12.46, 10.74, 1), "-1.8");
        assert_eq!(apart(1.04, 0.96, 1), "+0.0");
        assert_eq!(apart(0.4, 0.6, 0), "+1.0");
    }
}
