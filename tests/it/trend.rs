//! What counts for or against AI: which changes are at risk, and what is a failure of which.

use holdpoint::{
    model::Subject,
    score::{AiOutlook, Said},
};

use crate::support::{Driver, at, deploy};

const HOUR: i64 = 60;
const DAY: i64 = 24 * HOUR;

fn commit(sha: &str, minutes: i64, ai: &str) -> String {
    commit_of("checkout", sha, minutes, ai)
}

fn commit_of(service: &str, sha: &str, minutes: i64, ai: &str) -> String {
    format!(
        r#"{{"kind":"commit","id":"c-{sha}","time":"{}","service":"{service}","sha":"{sha}",
            "ai":{{"assistance":"{ai}"}},"change":{{"lines_added":10,"lines_deleted":1,"files":1}}}}"#,
        at(minutes)
    )
}

fn incident(id: &str, minutes: i64, status: &str, caused_by: &str) -> String {
    format!(
        r#"{{"kind":"incident","id":"{id}-{minutes}","time":"{}","service":"checkout","incident_id":"{id}","severity":4,
            "status":"{status}"{caused_by}}}"#,
        at(minutes)
    )
}

fn by_sha(sha: &str) -> String {
    format!(r#","caused_by":{{"sha":"{sha}"}}"#)
}

fn by_deploy(deploy_id: &str) -> String {
    format!(r#","caused_by":{{"deploy_id":"{deploy_id}"}}"#)
}

fn commits(shas: &[&str]) -> String {
    let shas: Vec<String> = shas.iter().map(|sha| format!("\"{sha}\"")).collect();
    format!(r#","commits":[{}]"#, shas.join(","))
}

/// Minutes count from when nothing of it was known.
#[derive(Default)]
struct Fleet(Driver);

impl Fleet {
    fn hears(&mut self, minutes: i64, events: &[String]) {
        self.0.events(events, at(minutes));
    }

    fn lands(&mut self, minutes: i64, ai: &str, shas: &[&str]) {
        for sha in shas {
            self.hears(minutes, &[commit(sha, minutes, ai)]);
        }
    }

    fn deploys(&mut self, id: &str, minutes: i64, status: &str, shas: &[&str]) {
        let event = deploy("checkout", id, at(minutes), status, &commits(shas));
        self.hears(minutes, &[event]);
    }

    fn is_told(&mut self, id: &str, minutes: i64, status: &str, caused_by: &str) {
        self.hears(minutes, &[incident(id, minutes, status, caused_by)]);
    }

    fn outlook(&self, minutes: i64) -> AiOutlook {
        self.0.partition.fleet().ai_outlook(at(minutes))
    }

    /// Failures and what is at risk: without AI, and with it.
    #[track_caller]
    fn expect(&self, minutes: i64, failed: [u64; 2], at_risk: [u64; 2]) {
        let AiOutlook { evidence, at_risk: n } = self.outlook(minutes);
        assert_eq!([evidence.failed.human, evidence.failed.ai], failed, "failed");
        assert_eq!([n.human, n.ai], at_risk, "at risk");
        assert_eq!(evidence.failed.unknown, 0);
    }
}

#[test]
fn a_deploy_of_more_than_is_known_is_of_no_class() {
    let mut fleet = Fleet::default();
    fleet.lands(0, "authored", &["a", "b", "c"]);
    fleet.lands(0, "unknown", &["u"]);
    fleet.deploys(
        "d1",
        1,
        "started",
        &["a", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9"],
    );
    fleet.deploys("d2", 2, "started", &["b", "u"]);
    fleet.expect(3, [0, 0], [0, 2]);
    fleet.deploys("d1", 3, "rolled_back", &[]);
    fleet.is_told("i", DAY, "detected", &by_deploy("d2"));
    fleet.expect(DAY, [0, 0], [0, 2]);
    // Commits that come to be known once it has begun do not make it one.
    fleet.deploys("d3", DAY + 1, "started", &["c", "late"]);
    fleet.lands(DAY + 2, "authored", &["late"]);
    fleet.deploys("d3", DAY + 3, "succeeded", &["late"]);
    fleet.deploys("d3", DAY + 4, "rolled_back", &[]);
    fleet.expect(DAY + 5, [0, 0], [0, 4]);
    fleet.is_told("j", DAY + 6, "detected", &by_sha("a"));
    fleet.expect(DAY + 7, [0, 1], [0, 3]);
}

#[test]
fn a_deploy_of_one_class_fails_once_by_whatever_names_it() {
    let mut fleet = Fleet::default();
    fleet.lands(0, "authored", &["a"]);
    fleet.lands(0, "assisted", &["b"]);
    fleet.deploys("d1", 1, "started", &["a", "b"]);
    fleet.expect(2, [0, 0], [0, 2]);
    fleet.deploys("d1", HOUR, "rolled_back", &[]);
    fleet.expect(HOUR, [0, 1], [0, 0]);
    fleet.is_told("i", DAY, "detected", &by_sha("b"));
    fleet.is_told("j", 2 * DAY, "detected", &by_deploy("d1"));
    fleet.expect(2 * DAY, [0, 1], [0, 0]);
}

#[test]
fn a_change_fails_once_however_often_and_late_it_is_named() {
    let mut fleet = Fleet::default();
    fleet.lands(0, "authored", &["a"]);
    fleet.lands(0, "none", &["h"]);
    fleet.deploys("d1", 1, "started", &["a", "h"]);
    fleet.deploys("d1", HOUR, "rolled_back", &[]);
    fleet.expect(HOUR, [0, 0], [1, 1]);
    fleet.is_told("i", HOUR + 1, "detected", &by_sha("h"));
    for hours in [2, 9, 30] {
        fleet.is_told("i", hours * HOUR, "detected", &by_sha("h"));
        fleet.is_told("again", hours * HOUR, "detected", &by_sha("h"));
    }
    fleet.expect(30 * HOUR, [1, 0], [0, 1]);
}

#[test]
fn a_cause_counts_when_it_is_first_told_which_is_mostly_at_the_end() {
    let mut fleet = Fleet::default();
    fleet.lands(0, "authored", &["a"]);
    fleet.lands(0, "none", &["h"]);
    fleet.deploys("d1", 1, "started", &["a"]);
    fleet.deploys("d2", 2, "started", &["h"]);
    fleet.is_told("i", HOUR, "detected", "");
    fleet.expect(HOUR, [0, 0], [1, 1]);
    fleet.is_told("i", 4 * HOUR, "resolved", &by_sha("a"));
    fleet.expect(4 * HOUR, [0, 1], [1, 0]);
    fleet.is_told("j", 2 * DAY, "resolved", &by_deploy("d2"));
    fleet.is_told("i", 3 * DAY, "resolved", &by_sha("a"));
    fleet.expect(3 * DAY, [1, 1], [0, 0]);
}

#[test]
fn within_six_hours_a_service_fails_once() {
    let mut fleet = Fleet::default();
    fleet.lands(0, "authored", &["a", "b"]);
    fleet.deploys("d1", 1, "started", &["a"]);
    fleet.deploys("d2", 2, "started", &["b"]);
    fleet.is_told("i", HOUR, "detected", &by_sha("a"));
    // It is taken back with the one before, which was the cause.
    fleet.deploys("d2", 2 * HOUR, "rolled_back", &[]);
    fleet.expect(2 * HOUR, [0, 1], [0, 0]);
    fleet.is_told("j", 9 * HOUR, "detected", &by_sha("b"));
    fleet.expect(9 * HOUR, [0, 1], [0, 0]);
}

#[test]
fn only_what_was_deployed_within_a_week_can_fail() {
    let mut fleet = Fleet::default();
    fleet.lands(0, "authored", &["a", "never"]);
    fleet.deploys("d1", 10, "started", &["a"]);
    fleet.is_told("before", 5, "detected", &by_sha("a"));
    fleet.is_told("i", HOUR, "detected", &by_sha("never"));
    fleet.is_told("j", HOUR, "detected", &by_sha("unheard-of"));
    fleet.is_told("k", 7 * DAY + HOUR, "detected", &by_sha("a"));
    fleet.expect(HOUR, [0, 0], [0, 1]);
}

#[test]
fn a_change_is_at_risk_by_the_first_deploy_that_brought_it() {
    let mut fleet = Fleet::default();
    fleet.lands(0, "authored", &["a", "b"]);
    fleet.deploys("d1", 1, "started", &["a", "a"]);
    fleet.deploys("d1", 2, "succeeded", &["a"]);
    let back = commits(&["b"]) + r#","change_kind":"rollback""#;
    let back = deploy("checkout", "back", at(HOUR), "started", &back);
    fleet.hears(HOUR, &[back]);
    fleet.expect(HOUR, [0, 0], [0, 1]);
    fleet.deploys("again", 2 * HOUR, "started", &["a"]);
    fleet.expect(2 * HOUR, [0, 0], [0, 1]);
    // One that brings another along is of no class: it might have been either.
    fleet.deploys("both", 3 * HOUR, "started", &["a", "b"]);
    fleet.expect(3 * HOUR, [0, 0], [0, 2]);
    fleet.deploys("both", 4 * HOUR, "rolled_back", &[]);
    fleet.expect(4 * HOUR, [0, 0], [0, 2]);
    fleet.expect(6 * DAY + 20 * HOUR, [0, 0], [0, 2]);
    fleet.expect(7 * DAY + 12 * HOUR, [0, 0], [0, 0]);
}

#[test]
fn what_is_forgotten_for_want_of_room_is_at_risk_no_more() {
    let mut fleet = Fleet::default();
    let n_landed = 600;
    for i in 0..n_landed / 2 {
        let shas = [0, 1].map(|of| format!("{:040x}", i * 2 + of));
        let shas = [shas[0].as_str(), shas[1].as_str()];
        fleet.lands(i, "assisted", &shas);
        // Lots of two, and now and then two of one.
        let is_apart = i % 5 == 0;
        let more: &[&str] = if is_apart { &["unheard-of"] } else { &[] };
        fleet.deploys(&format!("d{i}"), i, "started", &[&shas[..], more].concat());
    }
    let is_gone = |said: &&Said| matches!(said, Said::Forget(Subject::Change(change)) if change.sha.len() == 40);
    let n_gone = u64::try_from(fleet.0.said.iter().filter(is_gone).count()).expect("small");
    let n_at_risk = fleet.outlook(n_landed / 2).at_risk.ai;
    let n_kept = u64::try_from(n_landed).expect("small") - n_gone;
    // A lot leaves as a whole.
    assert!(
        n_gone > 100 && n_kept - n_at_risk <= 1,
        "{n_kept} kept, {n_at_risk} at risk"
    );
}

/// Changes land days before the one that completes their deploy, and are forgotten a fortnight after they landed.
#[test]
fn what_is_forgotten_for_its_age_leaves_with_its_lot() {
    let mut fleet = Fleet::default();
    fleet.lands(0, "authored", &["old"]);
    fleet.lands(8 * DAY, "authored", &["a", "b"]);
    fleet.deploys("train", 10 * DAY, "started", &["old", "a", "b"]);
    fleet.expect(13 * DAY, [0, 0], [0, 3]);
    fleet.0.time(at(14 * DAY + HOUR));
    fleet.expect(14 * DAY + 2 * HOUR, [0, 0], [0, 0]);
    fleet.deploys("train", 15 * DAY, "rolled_back", &[]);
    fleet.expect(15 * DAY, [0, 0], [0, 0]);
}

/// Those of other services say nothing of it: what fails more often may be the service.
#[test]
fn a_failure_is_compared_with_what_its_own_service_had_at_risk() {
    let mut fleet = Fleet::default();
    fleet.lands(0, "authored", &["a", "b", "c", "d"]);
    let elsewhere = deploy("search", "s1", at(1), "started", &commits(&["h"]));
    fleet.hears(1, &[commit_of("search", "h", 1, "none"), elsewhere]);
    fleet.deploys("d1", 1, "started", &["a"]);
    let n_compared = |fleet: &Fleet| fleet.outlook(0).evidence.n_compared;
    fleet.is_told("i", HOUR, "detected", &by_sha("a"));
    fleet.expect(HOUR, [0, 1], [1, 0]);
    assert_eq!(n_compared(&fleet), 0, "nothing was at risk with it");
    fleet.lands(DAY, "none", &["own"]);
    fleet.deploys("d2", DAY, "started", &["own"]);
    fleet.deploys("d3", DAY, "started", &["b"]);
    fleet.is_told("j", DAY + HOUR, "detected", &by_sha("b"));
    assert_eq!(n_compared(&fleet), 1);
    // A deploy of two is not set beside a deploy of one.
    fleet.deploys("d4", 2 * DAY, "started", &["c", "d"]);
    fleet.is_told("k", 2 * DAY + HOUR, "detected", &by_deploy("d4"));
    fleet.expect(2 * DAY + HOUR, [0, 3], [2, 0]);
    assert_eq!(n_compared(&fleet), 1);
    // Nor is a change of a deploy that is no lot set beside one that is.
    fleet.lands(3 * DAY, "authored", &["e"]);
    fleet.deploys("d5", 3 * DAY, "started", &["e", "unheard-of"]);
    fleet.is_told("l", 3 * DAY + HOUR, "detected", &by_sha("e"));
    fleet.expect(3 * DAY + HOUR, [0, 4], [2, 0]);
    assert_eq!(n_compared(&fleet), 1);
    // Nor is what has had its week.
    fleet.lands(9 * DAY, "authored", &["late"]);
    fleet.deploys("d6", 9 * DAY, "started", &["late"]);
    fleet.is_told("m", 9 * DAY + HOUR, "detected", &by_sha("late"));
    fleet.expect(9 * DAY + HOUR, [0, 5], [0, 0]);
    assert_eq!(n_compared(&fleet), 1);
}

/// A squash has another sha than what was announced; the deploy is named beside it.
#[test]
fn a_deploy_named_beside_a_sha_of_nothing_known_fails() {
    let of = |sha: &str| format!(r#","caused_by":{{"sha":"{sha}","deploy_id":"d1"}}"#);
    for (sha, failed, at_risk) in [("squashed", [0, 1], [0, 0]), ("other", [0, 0], [0, 2])] {
        let mut fleet = Fleet::default();
        fleet.lands(0, "authored", &["a", "b"]);
        fleet.lands(0, "none", &["other"]);
        fleet.deploys("d1", 1, "started", &["a", "b"]);
        fleet.is_told("i", HOUR, "detected", &of(sha));
        fleet.expect(HOUR + 1, failed, at_risk);
    }
}
