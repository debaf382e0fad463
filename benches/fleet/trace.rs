//! One service from hour to hour: what was true of it, what it told, what was decided.

use std::{collections::BTreeMap, time::Duration};

use holdpoint::{
    ingest::{self, Origin},
    model::{Body, Timestamp},
    sim::{Cause, START, Simulation},
};

use crate::{drive::Run, table::say};

/// Errors are summed over so long.
const STRETCH: Duration = Duration::from_mins(10);

/// Prints it; errors only around deploys and decisions, since a week of them is long.
pub(crate) fn print(run: &Run, name: &str) {
    let simulation = &run.simulation;
    let Some(place) = simulation.services().iter().position(|service| *service.name == *name) else {
        say(&format!("seed {} has no service {name}", simulation.seed()));
        return;
    };
    say(&format!("{:?}", simulation.services()[place]));
    let mut lines: BTreeMap<Timestamp, Vec<String>> = BTreeMap::new();
    let mut add = |at: Timestamp, line: String| lines.entry(at).or_default().push(line);
    truth(simulation, place, &mut add);
    for ((_, environment), voice) in run.voices.iter().filter(|((service, _), _)| **service == *name) {
        for heard in voice {
            let suspect = heard
                .suspect
                .as_ref()
                .map_or(String::new(), |suspect| format!(", suspects {}", suspect.name()));
            let deploy = heard.deploy.as_deref().unwrap_or("");
            add(
                heard.at,
                format!(
                    "{environment}: {} {} {deploy}{suspect}; {}",
                    heard.action.name(),
                    heard.code,
                    heard.text
                ),
            );
        }
    }
    for watch in run.watches.values().filter(|watch| watch.service.as_str() == name) {
        add(
            watch.closed_at,
            format!(
                "watch of {} closed, {:?}: e {:.1e}, ratio {:.2} (at least {:.2}), alarmed {:?}",
                watch.deploy_id,
                watch.verdict,
                watch.e_value_max,
                watch.rate_ratio,
                watch.rate_ratio_low,
                watch.alarmed_at.map(|at| at.to_string())
            ),
        );
    }
    let near: Vec<Timestamp> = lines.keys().copied().collect();
    for (at, (errors, requests, n)) in told(simulation, name) {
        let is_near = |other: &Timestamp| other.since(at).max(at.since(*other)) < STRETCH * 6;
        if near.iter().any(is_near) {
            let line = format!("    {errors} errors, {requests} requests in {n} records");
            lines.entry(at).or_default().push(line);
        }
    }
    for (at, texts) in &lines {
        for text in texts {
            say(&format!("{at} {text}"));
        }
    }
}

fn truth(simulation: &Simulation, place: usize, add: &mut impl FnMut(Timestamp, String)) {
    let truth = simulation.truth();
    for deploy in truth
        .deploys
        .iter()
        .filter(|deploy| deploy.service == place && deploy.preview.is_none())
    {
        for stage in &deploy.stages {
            let share = format!("declared {}, in truth {:.2}", stage.declared, stage.share);
            add(
                stage.at,
                format!("TRUTH {} {:?} v{} {share}", deploy.id, deploy.kind, deploy.version),
            );
        }
    }
    for raise in &truth.raises[place] {
        let cause = match raise.cause {
            Cause::Deploy(deploy) => truth.deploys[deploy].id.to_string(),
            Cause::Outage(_) => "outage".to_owned(),
            Cause::Blip => "blip".to_owned(),
        };
        let by = raise.by.map_or("", |by| &simulation.services()[by].name);
        add(
            raise.from,
            format!(
                "TRUTH + {:.2} of usual by {cause} {by} until {}",
                raise.excess, raise.until
            ),
        );
    }
    for storm in truth.storms.iter().filter(|storm| storm.service == place) {
        add(
            storm.from,
            format!("TRUTH storm of {} in 10 s until {}", storm.errors, storm.until),
        );
    }
    for gap in truth.gaps.iter().filter(|gap| gap.service == place) {
        add(gap.from, format!("TRUTH gap until {}", gap.until));
    }
}

/// Errors, requests and records by the stretch they are of.
fn told(simulation: &Simulation, name: &str) -> BTreeMap<Timestamp, (u64, u64, u64)> {
    let (mut stream, mut line) = (simulation.stream(), String::new());
    let mut sums: BTreeMap<Timestamp, (u64, u64, u64)> = BTreeMap::new();
    let origin = Origin {
        topic: "simulated",
        kind: None,
    };
    while let Some(arrived) = stream.next(&mut line) {
        if arrived.again {
            continue;
        }
        let Ok(event) = ingest::decode(Some(line.as_bytes()), &origin, Timestamp::NEVER) else {
            continue;
        };
        let Body::Error(count) = &event.body else { continue };
        if event.service == name && event.environment.as_deref() == Some("production") && event.time >= START {
            let sum = sums.entry(event.time.floor(STRETCH)).or_default();
            sum.0 += count.errors;
            sum.1 += count.requests.unwrap_or(0);
            sum.2 += 1;
        }
    }
    sums
}
