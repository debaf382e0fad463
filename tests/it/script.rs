//! Scripts: what happens at which minute, and what is published of it.

use std::fmt::Write as _;

use holdpoint::{
    model::{Decision, Subject},
    score::Said,
};

use crate::support::{Driver, at};

pub(crate) const ENFORCE: &str = "mode = \"enforce\"\n";

/// One thing that happens at a minute.
#[derive(Clone)]
pub(crate) enum Act {
    Event(String),
    Policy(String),
    /// Nothing but time.
    Time,
}

pub(crate) fn event(kind: &str, id: &str, minutes: i64, fields: &str) -> Act {
    let time = at(minutes);
    Act::Event(format!(
        r#"{{"kind":"{kind}","id":"{kind}-{id}","time":"{time}","service":"checkout",{fields}}}"#
    ))
}

pub(crate) fn commit(id: &str, minutes: i64, fields: &str) -> (i64, Act) {
    (
        minutes,
        event(
            "commit",
            id,
            minutes,
            &format!(r#""sha":"{id}",{fields}"change":{{"lines_added":9,"lines_deleted":2,"files":1}}"#),
        ),
    )
}

pub(crate) fn review(id: &str, minutes: i64, fields: &str) -> (i64, Act) {
    (minutes, event("review", id, minutes, fields))
}

pub(crate) fn incident(id: &str, minutes: i64, status: &str, severity: u8) -> (i64, Act) {
    let fields =
        format!(r#""environment":"production","incident_id":"{id}","status":"{status}","severity":{severity}"#);
    (
        minutes,
        event("incident", &format!("{id}-{status}-{minutes}"), minutes, &fields),
    )
}

/// What another minute's act brings, out of its time.
pub(crate) fn again((_, act): (i64, Act)) -> Act {
    act
}

pub(crate) fn word(id: &str, minutes: i64, effect: &str, until: i64) -> (i64, Act) {
    let fields = format!(
        r#""environment":"production","effect":"{effect}","until":"{}","reason":"r","by":"p""#,
        at(until)
    );
    (minutes, event("override", id, minutes, &fields))
}

pub(crate) fn policy(minutes: i64, text: &str) -> (i64, Act) {
    (minutes, Act::Policy(text.to_owned()))
}

pub(crate) fn until(minutes: i64) -> (i64, Act) {
    (minutes, Act::Time)
}

/// Plays a script with a time entry each minute up to two hours apart, and tells what was published: minutes since the
/// beginning, subject and sequence, action, mode where it enforces, reasons, and minutes to its end.
pub(crate) fn play(first_policy: &str, script: Vec<(i64, Act)>) -> Vec<String> {
    let driver = drive(first_policy, script);
    let told = driver.said.iter().filter_map(|said| match said {
        Said::Decision(decision) => Some(tell(decision)),
        Said::Forget(subject) => Some(format!("forget {subject}")),
        Said::Message(_) | Said::Scored(_) | Said::Closed(_) => None,
    });
    told.collect()
}

/// [`play`], without the telling.
pub(crate) fn drive(first_policy: &str, script: Vec<(i64, Act)>) -> Driver {
    let mut driver = Driver::with_policy(first_policy);
    let mut clock = 0;
    let mut revision = 1;
    driver.time(at(clock));
    for (minutes, act) in script {
        if minutes - clock > 24 * 60 {
            clock = minutes - 1;
            driver.time(at(clock));
        }
        while clock < minutes {
            clock += 1;
            driver.time(at(clock));
        }
        match act {
            Act::Event(json) => driver.events(&[json], at(minutes)),
            Act::Policy(text) => {
                revision += 1;
                driver.policy(revision, &text, at(minutes));
            }
            Act::Time => {}
        }
    }
    driver
}

pub(crate) fn tell(decision: &Decision) -> String {
    let minutes = |time: holdpoint::model::Timestamp| (time.millis() - at(0).millis()) / 60_000;
    let what = match &decision.subject {
        Subject::Service { environment, .. } => environment.to_string(),
        Subject::Change(change) => change.sha.to_string(),
    };
    let mut line = format!(
        "{} {what}#{} {} {}",
        minutes(decision.decided_at),
        decision.sequence,
        decision.mode.name(),
        decision.action.name(),
    );
    for reason in &decision.reasons {
        write!(line, " {}", reason.code).expect("writing to memory cannot fail");
    }
    if let (Some(until), Subject::Service { .. }) = (decision.valid_until, &decision.subject) {
        write!(line, " until {}", minutes(until)).expect("writing to memory cannot fail");
    }
    line
}

pub(crate) fn check(case: &str, policy: &str, script: Vec<(i64, Act)>, expected: &[&str]) {
    let told = play(policy, script);
    assert_eq!(told, expected, "{case}");
}

pub(crate) const BY_JUNIOR: &str = r#""author":{"id":"j","level":"junior"},"ai":{"assistance":"assisted"},"#;

pub(crate) fn seen_a_senior(minutes: i64) -> (i64, Act) {
    review(
        "first",
        minutes,
        r#""sha":"other","verdict":"approved","by":"s","level":"senior""#,
    )
}
