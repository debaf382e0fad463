//! What a reader should look at first: what the history lacks, and what the policy probably does not mean to do.

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
                "the rule {:?} asks for approvals on {:.0} % of the changes; above {:.0} % people work around a rule",
                rule.name,
                share * 100.0,
                RULE_SHARE_MAX * 100.0
            ));
        }
    }
    let allowed = policy.base.freeze.false_freezes_per_week;
    if let Some(found) = summary.freezes.not_borne_out_per_week.filter(|found| *found > allowed) {
        warnings.push(format!(
            "{found:.2} freezes a week were borne out by no incident or rollback; the policy allows {allowed} false ones a week"
        ));
    }
    let events = &summary.events;
    if events.applied == 0 {
        warnings.push(match events.consumed {
            0 => "no events at all: the input has no lines".to_owned(),
            n => format!(
                "no events at all: none of {} is one; each line must be a JSON object with its `kind`",
                counted(n, "line")
            ),
        });
        return warnings;
    }
    if ratio(events.late, events.consumed).is_some_and(|share| share > LATE_SHARE_MAX) {
        warnings.push(format!(
            "{} errors came too late to be evidence: are the lines of each file in the order of arrival, and is the policy's \
             `lateness` of {} s as long as errors take to arrive?",
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
            "the limiter held back the freezes of {}, which were under extra review instead; they asked for them {} in all, \
             each once a minute",
            counted(withheld_services, "service"),
            counted(withheld, "time")
        ));
    }
    if summary.capture.sampled < 1.0 {
        warnings.push(format!(
            "there are too many commits to keep all scores: capture is computed from {:.2} % of them",
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
        "some {} lines are copies of lines in another file, such as {id:?} of {service:?} in {one:?} and {other:?}: without \
         a `source` each copy counts as an event of its own; name only one of such files",
        grouped(n)
    )
}

/// Services whose errors and deploys are never in the same environment.
pub(super) fn of_apart(apart: &Apart<'_>, default_environment: &str) -> String {
    let Apart {
        n_services,
        service,
        errors,
        deploys,
    } = apart;
    format!(
        "no deploy can be convicted in {n_services} of the services, because their errors and deploys are in different \
         environments: {service:?}, for example, has errors in {} and deploys in {}; events that name no environment are in \
         {default_environment:?} (--default-environment)",
        quoted(errors),
        quoted(deploys)
    )
}

/// Services whose errors come too seldom to judge a deploy by.
pub(super) fn of_coarse(coarse: &Coarse<'_>) -> String {
    let Coarse { n_services, service } = coarse;
    let send = if *n_services == 1 {
        "service sends"
    } else {
        "services send"
    };
    format!(
        "{n_services} {send} errors by intervals of more than 15 minutes, such as {service:?}: what deploys break there is found \
         late or not at all; send a count every 10 to 60 seconds (`interval_ms`)"
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
    let deployed = are(*n_with_deploys, "service has deploys", "services have deploys");
    let erring = are(*n_with_errors, "has errors", "have errors");
    if *are_alike {
        format!(
            "{deployed} and no errors, {erring} and no deploys, such as deploys of {with_deploys:?} and errors of \
             {with_errors:?}: if these are one service by two names, none of its deploys can be convicted"
        )
    } else {
        format!(
            "{deployed} and no errors, which is most of those deployed, such as {with_deploys:?}; {erring} and no deploys, \
             such as {with_errors:?}: where two of them are one service by two names, none of its deploys can be convicted"
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
        "service has no commits of its own and is"
    } else {
        "services have no commits of their own and are"
    };
    format!(
        "{n_services} {are} deployed with commits of another service, such as {service:?} with {sha:?} of {other:?}: the risk \
         of these changes is not known; commits must name the service that is deployed (`import git --service`)"
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
        "{service}@{environment} {are} still held {} hours after the last event ({ground}{until}): hours beyond that are not counted",
        run_on.as_secs() / 3_600
    )
}

fn quoted(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
    names.join(", ")
}
