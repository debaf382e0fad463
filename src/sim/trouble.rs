//! What goes wrong besides deploys, and how it reaches those who call.
//!
//! Trouble travels along `depends_on`, from callees to callers, each call passing on its share of the excess. Callees
//! stand behind their callers in the fleet, so one pass from the last service to the first finds all of it.

use std::time::Duration;

use super::{
    chance::{Chance, real, whole},
    family::Family,
    fleet::{Reporting, Service},
    rollout::Shift,
    truth::{Cause, Deploy, Gap, Outage, Raise, Storm},
};
use crate::model::{ChangeKind, Timestamp};

/// A caller's excess below this share of its usual errors is nothing.
const NOTICEABLE: f64 = 0.1;
/// A caller's excess ends here: its other calls go on.
const PASSED_ON_MAX: f64 = 50.0;

/// Of the whole fleet, in working hours: when services are deployed and somebody must tell the two apart.
pub(super) fn outages(
    family: &Family,
    services: &[Service],
    span: (Timestamp, Timestamp),
    chance: &mut Chance,
) -> Vec<Outage> {
    let callees: Vec<usize> = (0..services.len())
        .filter(|place| {
            let depends = |service: &Service| {
                service
                    .depends_on
                    .iter()
                    .any(|on| on.service == *place && on.coupling > 0.0)
            };
            services[*place].batch.is_none() && services.iter().any(depends)
        })
        .collect();
    if callees.is_empty() {
        return Vec::new();
    }
    each_day(span, family.outages_per_day, chance, |day, chance| {
        let from = day + chance.seconds((8.0 * 3_600.0, 19.0 * 3_600.0));
        Outage {
            service: *chance.pick(&callees),
            from,
            until: from + chance.seconds((480.0 * family.repair, 2_700.0 * family.repair)),
            factor: chance.log_between((6.0, 40.0)),
        }
    })
}

pub(super) fn storms(family: &Family, place: usize, span: (Timestamp, Timestamp), chance: &mut Chance) -> Vec<Storm> {
    let mut all = each_day(span, family.storms_per_day, chance, |day, chance| {
        let from = day + chance.seconds((0.0, 86_000.0));
        Storm {
            service: place,
            from,
            until: from + chance.seconds((120.0, 900.0)),
            errors: whole(chance.log_between((25.0, 400.0))),
        }
    });
    // Told one after the other.
    all.sort_by_key(|storm| storm.from);
    all
}

/// Some begin with a deploy: the agent restarts with the service.
pub(super) fn gaps(
    family: &Family,
    place: usize,
    (span, deploys): ((Timestamp, Timestamp), &[Deploy]),
    chance: &mut Chance,
) -> Vec<Gap> {
    let mut all = each_day(span, family.gaps_per_day, chance, |day, chance| {
        let from = day + chance.seconds((0.0, 86_000.0));
        Gap {
            service: place,
            from,
            until: from + chance.seconds((180.0, 3_600.0)),
        }
    });
    for deploy in deploys {
        if chance.is(0.02) {
            let from = deploy.started_at();
            all.push(Gap {
                service: place,
                from,
                until: from + chance.seconds((60.0, 900.0)),
            });
        }
    }
    all.sort_by_key(|gap| gap.from);
    all
}

fn each_day<T>(
    (start, end): (Timestamp, Timestamp),
    per_day: f64,
    chance: &mut Chance,
    mut draw: impl FnMut(Timestamp, &mut Chance) -> T,
) -> Vec<T> {
    let mut all = Vec::new();
    let mut day = start;
    while day < end {
        for _ in 0..chance.poisson(per_day) {
            all.push(draw(day, chance));
        }
        day = day + Duration::from_hours(24);
    }
    all
}

/// What raises a service's errors by its own deploys: faults, and blips while instances restart.
pub(super) fn own_raises(family: &Family, deploys: &[(usize, &Deploy)], chance: &mut Chance) -> Vec<Raise> {
    let mut all = Vec::new();
    for (place, deploy) in deploys {
        faults(*place, deploy, &mut all);
        if !matches!(deploy.kind, ChangeKind::Config | ChangeKind::Flag) {
            blips(family, deploy, chance, &mut all);
        }
    }
    all
}

fn faults(place: usize, deploy: &Deploy, all: &mut Vec<Raise>) {
    let Some(fault) = deploy.fault else { return };
    let raise = Raise {
        from: fault.from,
        until: fault.until,
        excess: fault.factor - 1.0,
        versions_from: Some(deploy.version),
        cause: Cause::Deploy(place),
        by: None,
    };
    if deploy.version != deploy.previous {
        all.push(raise);
        return;
    }
    // A config or a flag is on every version, as far as it has been rolled out.
    for (i, stage) in deploy.stages.iter().enumerate() {
        let next = deploy.stages.get(i + 1).map_or(Timestamp::NEVER, |next| next.at);
        let (from, until) = (fault.from.max(stage.at), fault.until.min(next));
        if from < until {
            all.push(Raise {
                from,
                until,
                excess: raise.excess * stage.share,
                versions_from: None,
                ..raise
            });
        }
    }
}

fn blips(family: &Family, deploy: &Deploy, chance: &mut Chance, all: &mut Vec<Raise>) {
    let mut before = 0.0;
    for stage in &deploy.stages {
        if chance.is(family.blips) {
            all.push(Raise {
                from: stage.at,
                until: stage.at + chance.seconds((15.0, 50.0)),
                excess: chance.log_between((1.0, 8.0)) * (stage.share - before).max(0.0),
                versions_from: None,
                cause: Cause::Blip,
                by: None,
            });
        }
        before = stage.share;
    }
}

/// Lets every service's raises reach those who call it once it is there. Each is sorted by its beginning.
pub(super) fn pass_on(services: &[Service], shifts: &[Vec<Shift>], raises: &mut [Vec<Raise>]) {
    for place in (0..services.len()).rev() {
        let mut passed = Vec::new();
        for on in services[place].depends_on.iter().filter(|on| on.coupling > 0.0) {
            if services[on.service].batch.is_some() {
                continue;
            }
            for raise in raises[on.service].iter().filter(|raise| raise.cause != Cause::Blip) {
                for (from, until, excess) in of_all_traffic(raise, &shifts[on.service]) {
                    // Who is not there yet is not called.
                    let from = from.max(services[on.service].born_at);
                    let excess = (excess * on.coupling).min(PASSED_ON_MAX);
                    if excess >= NOTICEABLE && from < until {
                        passed.push(Raise {
                            from,
                            until,
                            excess,
                            versions_from: None,
                            cause: raise.cause,
                            by: Some(on.service),
                        });
                    }
                }
            }
        }
        let own = &mut raises[place];
        own.extend(passed);
        own.sort_by(|a, b| a.from.cmp(&b.from).then(a.cause.cmp(&b.cause)).then(a.by.cmp(&b.by)));
    }
}

/// A raise in pieces, with its excess over all traffic of the service.
fn of_all_traffic(raise: &Raise, shifts: &[Shift]) -> Vec<(Timestamp, Timestamp, f64)> {
    let Some(first) = raise.versions_from else {
        return vec![(raise.from, raise.until, raise.excess)];
    };
    let ends = shifts.iter().skip(1).map(|shift| shift.at).chain([Timestamp::NEVER]);
    let mut pieces: Vec<(Timestamp, Timestamp, f64)> = Vec::new();
    for (shift, end) in shifts.iter().zip(ends) {
        let (from, until) = (raise.from.max(shift.at), raise.until.min(end));
        let excess = raise.excess * shift.share_from(first);
        if from >= until || excess <= 0.0 {
            continue;
        }
        match pieces.last_mut() {
            // A later version has the fault too: nothing changes for those who call.
            Some((_, last, same)) if *last == from && (*same - excess).abs() < 1e-9 => *last = until,
            Some(_) | None => pieces.push((from, until, excess)),
        }
    }
    pieces
}

/// Which share of the stretch from `start` to `end` a raise covers.
pub(super) fn covered(raise: &Raise, start: Timestamp, end: Timestamp) -> f64 {
    let length = end.since(start).as_millis();
    let covered = end.min(raise.until).since(start.max(raise.from)).as_millis();
    let of = |ms| real(u64::try_from(ms).unwrap_or(u64::MAX));
    of(covered) / of(length.max(1))
}

/// Whether a service has clients that may storm and say who is affected.
pub(super) fn has_storms(service: &Service) -> bool {
    service.reporting == Reporting::Tracked
}
