//! Everything that happens besides errors, in the order in which it is told.

use std::{fmt::Write as _, time::Duration};

use super::{
    chance::Chance,
    change::Commit,
    fleet::Service,
    truth::{Ending, Truth},
};
use crate::model::{ChangeKind, Timestamp};

/// One event to be told.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) at: Timestamp,
    what: What,
}

#[derive(Debug)]
enum What {
    /// The catalog's word on a service.
    Service(usize),
    Commit(usize),
    Review(usize),
    /// Of a deploy, and its exposure.
    Status(usize, &'static str, Option<f64>),
    Incident(Incident),
}

#[derive(Debug)]
struct Incident {
    service: usize,
    id: String,
    severity: u8,
    resolved: bool,
    caused_by: Option<Blamed>,
}

#[derive(Debug)]
enum Blamed {
    Deploy(usize),
    /// The first commit of a deploy.
    Commit(usize),
}

/// From the first traffic to the word that a rollout is done.
const DONE_AFTER: Duration = Duration::from_secs(45);
/// Smaller faults make no incident.
const INCIDENT_FROM: f64 = 3.0;

pub(super) fn calendar(services: &[Service], truth: &Truth, commits: &[Commit], root: &Chance) -> Vec<Planned> {
    let mut all = Vec::new();
    for (place, service) in services.iter().enumerate() {
        all.push((service.born_at, What::Service(place)));
    }
    for (place, commit) in commits.iter().enumerate() {
        all.push((commit.at, What::Commit(place)));
        all.extend(commit.approved_at.map(|at| (at, What::Review(place))));
    }
    for place in 0..truth.deploys.len() {
        let chance = &mut root.branch(u64::try_from(place).unwrap_or(0));
        statuses(truth, place, &mut all);
        incidents_of_deploy(truth, place, chance, &mut all);
    }
    let chance = &mut root.branch(u64::MAX - 7);
    for (place, outage) in truth.outages.iter().enumerate() {
        if chance.is(0.5) {
            let id = format!("i-outage-{place}");
            let seen = outage.from + chance.seconds((240.0, 900.0));
            let span = (seen.min(outage.until), outage.until);
            incident((outage.service, id, *chance.pick(&[2, 3, 3])), span, None, &mut all);
        }
    }
    let mut planned: Vec<Planned> = all.into_iter().map(|(at, what)| Planned { at, what }).collect();
    planned.sort_by_key(|planned| planned.at);
    planned
}

fn statuses(truth: &Truth, place: usize, all: &mut Vec<(Timestamp, What)>) {
    let deploy = &truth.deploys[place];
    let taken_back = deploy
        .fault
        .filter(|fault| fault.ending == Ending::RolledBack)
        .map(|fault| fault.until);
    let is_complete = deploy.stages.last().is_some_and(|stage| stage.declared >= 1.0);
    for (i, stage) in deploy.stages.iter().enumerate() {
        let status = if i == 0 { "started" } else { "progressing" };
        all.push((stage.at, What::Status(place, status, Some(stage.declared))));
    }
    let done_at = deploy.completed_at() + DONE_AFTER;
    if is_complete && taken_back.is_none_or(|back| done_at < back) {
        all.push((done_at, What::Status(place, "succeeded", Some(1.0))));
    }
    all.extend(taken_back.map(|at| (at, What::Status(place, "rolled_back", None))));
}

/// Half of what hurts becomes an incident; a third is later known by its revert.
fn incidents_of_deploy(truth: &Truth, place: usize, chance: &mut Chance, all: &mut Vec<(Timestamp, What)>) {
    let deploy = &truth.deploys[place];
    let Some(fault) = deploy.fault else { return };
    let length = fault.until.since(fault.from);
    if fault.factor >= INCIDENT_FROM && chance.is(0.5) {
        let severity = *chance.pick(&[2, 3, 3, 3, 4, 4]);
        let seen = fault.from + length.mul_f64(chance.between((0.6, 0.9)));
        let cause = chance.is(0.6).then_some(Blamed::Deploy(place));
        let id = format!("i-{}", deploy.id);
        incident((deploy.service, id, severity), (seen, fault.until), cause, all);
    }
    if !deploy.shas.is_empty() && chance.is(0.35) {
        let at = fault.until + chance.seconds((600.0, 7_200.0));
        let id = format!("revert-{}", deploy.id);
        incident((deploy.service, id, 4), (at, at), Some(Blamed::Commit(place)), all);
    }
}

fn incident(
    (service, id, severity): (usize, String, u8),
    (from, until): (Timestamp, Timestamp),
    caused_by: Option<Blamed>,
    all: &mut Vec<(Timestamp, What)>,
) {
    let said = |resolved, caused_by| {
        What::Incident(Incident {
            service,
            id: id.clone(),
            severity,
            resolved,
            caused_by,
        })
    };
    all.push((from, said(false, None)));
    // Who did it is known at the end.
    all.push((until, said(true, caused_by)));
}

/// What a line is written from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Book<'a> {
    pub(super) services: &'a [Service],
    pub(super) truth: &'a Truth,
    pub(super) commits: &'a [Commit],
}

impl Planned {
    /// Writes its event, the `n`th of them, as a line of JSON.
    pub(super) fn write(&self, n: usize, book: Book<'_>, line: &mut String) -> std::fmt::Result {
        let (kind, service) = match &self.what {
            What::Service(place) => ("service", *place),
            What::Commit(place) => ("commit", book.commits[*place].service),
            What::Review(place) => ("review", book.commits[*place].service),
            What::Status(place, ..) => ("deploy", book.truth.deploys[*place].service),
            What::Incident(incident) => ("incident", incident.service),
        };
        let (time, name) = (self.at, &book.services[service].name);
        write!(
            line,
            r#"{{"kind":"{kind}","id":"{kind}-{n}","time":"{time}","service":"{name}""#
        )?;
        match &self.what {
            What::Service(place) => write_service(*place, book, line)?,
            What::Commit(place) => book.commits[*place].write(line)?,
            What::Review(place) => book.commits[*place].write_review(line)?,
            What::Status(place, status, exposure) => write_status(*place, (status, *exposure), book, line)?,
            What::Incident(incident) => write_incident(incident, book, line)?,
        }
        line.push('}');
        Ok(())
    }
}

fn write_service(place: usize, book: Book<'_>, line: &mut String) -> std::fmt::Result {
    let service = &book.services[place];
    write!(
        line,
        r#","criticality":"{}","traffic_share":{},"depends_on":["#,
        service.criticality.name(),
        service.traffic_share
    )?;
    for (i, on) in service.depends_on.iter().enumerate() {
        let comma = if i == 0 { "" } else { "," };
        write!(line, r#"{comma}"{}""#, book.services[on.service].name)?;
    }
    line.push(']');
    if let Some(objective) = service.objective {
        write!(line, r#","slo":{{"objective":{objective}}}"#)?;
    }
    Ok(())
}

fn write_status(
    place: usize,
    (status, exposure): (&str, Option<f64>),
    book: Book<'_>,
    line: &mut String,
) -> std::fmt::Result {
    let deploy = &book.truth.deploys[place];
    write!(
        line,
        r#","environment":"{}","deploy_id":"{}","status":"{status}","change_kind":"{}""#,
        Environment(deploy.preview),
        deploy.id,
        kind_name(deploy.kind)
    )?;
    if !matches!(deploy.kind, ChangeKind::Config | ChangeKind::Flag) && deploy.preview.is_none() {
        write!(
            line,
            r#","version":"v{}","previous_version":"v{}""#,
            deploy.version, deploy.previous
        )?;
    }
    if let Some(exposure) = exposure {
        write!(line, r#","exposure":{exposure}"#)?;
    }
    if !deploy.shas.is_empty() {
        write!(line, r#","commits":["{}"]"#, deploy.shas.join(r#"",""#))?;
    }
    Ok(())
}

fn write_incident(incident: &Incident, book: Book<'_>, line: &mut String) -> std::fmt::Result {
    let status = if incident.resolved { "resolved" } else { "detected" };
    write!(
        line,
        r#","environment":"production","incident_id":"{}","status":"{status}","severity":{}"#,
        incident.id, incident.severity
    )?;
    match incident.caused_by {
        Some(Blamed::Deploy(place)) => write!(
            line,
            r#","caused_by":{{"deploy_id":"{}"}}"#,
            book.truth.deploys[place].id
        ),
        Some(Blamed::Commit(place)) => {
            let sha = book.truth.deploys[place].shas.first().map_or("", |sha| sha);
            write!(line, r#","caused_by":{{"sha":"{sha}"}}"#)
        }
        None => Ok(()),
    }
}

fn kind_name(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Release => "release",
        ChangeKind::Rollback => "rollback",
        ChangeKind::Hotfix => "hotfix",
        ChangeKind::Security => "security",
        ChangeKind::Config => "config",
        ChangeKind::Flag => "flag",
    }
}

/// The name of production, or of a preview by its number.
#[derive(Debug, Clone, Copy)]
pub(super) struct Environment(pub(super) Option<u32>);

impl std::fmt::Display for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            None => f.write_str("production"),
            Some(number) => write!(f, "preview-{number}"),
        }
    }
}
