//! Deploys into errors that had risen before them, of which nobody told attempts.

use super::*;

const HOUR: i64 = 60;

/// Trouble that makes the same errors by day and by night, where twenty a minute are usual by day and four by night.
#[test]
fn trouble_that_does_not_follow_the_hours_convicts_nobody() {
    for (case, deployed_at, until) in [("by day", 10, 22), ("by night", 20, 32)] {
        let mut play = Play::new("");
        let usual = |minute: i64| {
            if minute.rem_euclid(24 * HOUR) < 12 * HOUR {
                20.0
            } else {
                4.0
            }
        };
        while play.minute < (4 * 24 + deployed_at) * HOUR - 40 {
            play.report(usual(play.minute));
        }
        play.reports(40, 80.0);
        play.deploy("d");
        play.reports((until - deployed_at) * HOUR, 80.0);
        assert_eq!(play.trial.n_proposed(), 0, "deployed {case}");
        for _ in 0..HOUR {
            play.report(usual(play.minute));
        }
        play.reports(HOUR, 100.0);
        assert!(play.trial.n_proposed() > 0, "what it shows later, deployed {case}");
    }
}

/// One bad minute before it, of a service with an error in ten, is no level that a deploy's own fault could hide below.
#[test]
fn a_burst_before_a_deploy_hides_no_fault_of_its_own() {
    let mut play = Play::new("");
    play.reports(4 * 24 * HOUR, 0.1);
    play.report(12.0);
    play.reports(9, 0.1);
    play.deploy("d");
    play.reports(3 * HOUR, 1.5);
    assert!(play.trial.n_proposed() > 0);
}
