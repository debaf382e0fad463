//! What a reader should look at first: what the history lacks, and what the policy does that it hardly means.

use std::time::Duration;

use super::{
    copies::Twice,
    environments::{Apart, Coarse, Lonely},
    holding::StillHeld,
    strangers::Strange,
    summary::{FreezeCounts, RULE_SHARE_MAX, Summary, ratio},
    text::{counted, grouped},
};
use crate::score::Policy;

/// More late errors than this share of all events, and the files are not in the order in which things happened.
const LATE_SHARE_MAX: f64 = 0.01;

/// What a reader should look at first.
pub(super) fn of_summary(summary: &Summary, policy: &Policy) -> Vec<String> {
    let mut warnings = Vec::new();
    for rule in &summary.changes.rules {
        if let Some(share) = rule.share.filter(|share| *share > RULE_SHARE_MAX) {
            warnings.push(format!(
                "the rule {:?} asks something of {:.0} % of changes; above {:.0} % people work around it",
                rule.name,
                share * 100.0,
                RULE_SHARE_MAX * 100.0
            ));
        }
    }
    let allowed = policy.base.freeze.false_freezes_per_week;
    if let Some(found) = summary.freezes.not_borne_out_per_week.filter(|found| *found > allowed) {
        warnings.push(format!(
            "{found:.2} freezes a week were borne out by no incident or rollback; the policy allows {allowed} false ones"
        ));
    }
    let events = &summary.events;
    if events.applied == 0 {
        warnings.push(match events.consumed {
            0 => "no events at all: there is no line to read".to_owned(),
            n => format!(
                "no events at all: of {} none is one; a JSON object a line is wanted, with its `kind`",
                counted(n, "line")
            ),
        });
        return warnings;
    }
    if ratio(events.late, events.consumed).is_some_and(|share| share > LATE_SHARE_MAX) {
        warnings.push(format!(
            "{} errors came too late to be evidence: are the files in the order of arrival, and is the policy's `lateness` of \
             {} s as long as errors take?",
            grouped(events.late),
            policy.lateness.as_secs()
        ));
    }
    if ratio(events.rejected, events.consumed).is_some_and(|share| share > LATE_SHARE_MAX) {
        warnings.push(format!(
            "{} of {} lines were rejected",
            events.rejected, events.consumed
        ));
    }
    let FreezeCounts {
        withheld,
        withheld_services,
        ..
    } = summary.freezes;
    if withheld > 0 {
        warnings.push(format!(
            "the limit on new freezes held back those of {}, which were under extra review instead; they were asked for {}, \
             each once a minute",
            counted(withheld_services, "service"),
            counted(withheld, "time")
        ));
    }
    if summary.capture.sampled < 1.0 {
        warnings.push(format!(
            "there are too many commits to keep all: capture is of {:.2} % of them",
            summary.capture.sampled * 100.0
        ));
    }
    warnings
}

/// Of about so many lines that are told in two files, the first.
pub(super) fn of_copies(n: u64, told: &Twice) -> String {
    let Twice {
        service,
        id,
        files: [one, other],
    } = told;
    format!(
        "some {} lines are copies of lines of another file, such as {id:?} of {service:?} in {one:?} and {other:?}: without \
         a `source`, each counts as another event; name one file of each",
        grouped(n)
    )
}

/// What services tell so that errors and deploys never meet.
pub(super) fn of_apart(apart: &Apart<'_>, default_environment: &str) -> String {
    let Apart {
        n_services,
        service,
        errors,
        deploys,
    } = apart;
    format!(
        "no deploy can be convicted in {n_services} of the services, for they tell errors and deploys in different \
         environments, such as {service:?} errors in {}, deploys in {}; what names none is of {default_environment:?} \
         (--default-environment)",
        quoted(errors),
        quoted(deploys)
    )
}

/// Services whose errors come too seldom to judge a deploy by.
pub(super) fn of_coarse(coarse: &Coarse<'_>) -> String {
    let Coarse { n_services, service } = coarse;
    let tell = if *n_services == 1 {
        "service tells"
    } else {
        "services tell"
    };
    format!(
        "{n_services} {tell} errors by intervals of more than 15 minutes, such as {service:?}: what deploys break there is found \
         late or not at all; a count every 10 to 60 seconds is wanted (`interval_ms`)"
    )
}

/// Names of services that may be meant for one another.
pub(super) fn of_lonely(lonely: &Lonely<'_>) -> String {
    let Lonely {
        n_with_errors,
        n_with_deploys,
        with_errors,
        with_deploys,
        are_alike,
    } = lonely;
    let are = |n: usize, what: &str, whats: &str| format!("{n} {}", if n == 1 { what } else { whats });
    let deployed = are(*n_with_deploys, "service tells deploys", "services tell deploys");
    let erring = are(*n_with_errors, "tells errors", "tell errors");
    if *are_alike {
        format!(
            "{deployed} and no errors, {erring} and no deploys, such as deploys of {with_deploys:?} and errors of \
             {with_errors:?}: where one is the other by another name, none of its deploys can be convicted"
        )
    } else {
        format!(
            "{deployed} and no errors, most of those deployed, such as {with_deploys:?}; {erring} and no deploys, such \
             as {with_errors:?}: where they are the same by other names, none of these deploys can be convicted"
        )
    }
}

/// Services whose changes go by another service's name.
pub(super) fn of_strange(strange: &Strange<'_>) -> String {
    let Strange {
        n_services,
        service,
        sha,
        other,
    } = strange;
    let are = if *n_services == 1 {
        "service tells no commits and is"
    } else {
        "services tell no commits and are"
    };
    format!(
        "{n_services} {are} deployed with those of another, such as {service:?} with {sha:?} of {other:?}: the risk of their \
         changes is not known; commits must name the service that is deployed (`import git --service`)"
    )
}

/// What stands for longer than time runs on after the last event.
pub(super) fn of_held(held: &StillHeld, run_on: Duration) -> String {
    let StillHeld {
        service,
        environment,
        ground,
        until,
        n_others,
    } = held;
    let are = match n_others {
        0 => "is".to_owned(),
        n => format!("and {} are", counted(*n, "other")),
    };
    let until = until.map_or_else(String::new, |until| format!(" until {until}"));
    format!(
        "{service}@{environment} {are} still held {} hours after the last event ({ground}{until}): no more of it is counted",
        run_on.as_secs() / 3_600
    )
}

fn quoted(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
    names.join(", ")
}
