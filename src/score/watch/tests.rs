use super::*;
use crate::score::blame::density_ratio;

fn minute(n: u32) -> Timestamp {
    Timestamp::from_millis(1_772_409_600_000) + Duration::from_mins(1) * n
}

/// Stages so close that all of their steps are restarts': none of them is a step that was judged.
#[test]
fn a_rise_goes_with_the_stages_of_a_quick_rollout() {
    let mut watch = Watch::new("d", minute(10), true, 0.01, (Version::NONE, Version::NONE));
    for (n, exposure) in [(10, 0.1), (20, 0.25), (30, 0.5), (40, 1.0)] {
        watch.stage(minute(n), Exposure::of(exposure), 120);
    }
    let goes = |watch: &Watch, onset: u32| watch.at_stage(minute(onset), Duration::from_mins(1), |_, _| Duration::ZERO);
    let near = density_ratio([0.0]);
    for onset in [10, 12, 20, 31, 43] {
        assert!(
            (goes(&watch, onset) - near).abs() < 1e-9,
            "{onset}: {}",
            goes(&watch, onset)
        );
    }
    let (between, after, before) = (goes(&watch, 26), goes(&watch, 70), goes(&watch, 0));
    assert!(
        near > between && between > after && after > before,
        "{between} {after} {before}"
    );
    let mut late = Watch::new("d", minute(10), true, 0.01, (Version::NONE, Version::NONE));
    late.stage(minute(40), Exposure::of(1.0), 120);
    assert!(
        (goes(&late, 41) - near).abs() < 1e-9,
        "what reaches no traffic makes no errors"
    );
    watch.begin_anew();
    assert!((goes(&watch, 26) - between).abs() < 1e-9, "no step of it was judged");
}
