//! The `[evidence]` table.

use std::time::Duration;

use super::{HOUR, MINUTE, fault::Reader, section::Item};
use crate::score::policy::Evidence;

/// A number's key, its place, and its bounds.
type Number<'a> = (&'static str, &'a mut f64, f64, f64);

/// Reads what is given over what stands.
pub(super) fn evidence(reader: &mut Reader, item: Option<Item<'_>>, evidence: &mut Evidence) {
    let mut section = reader.section(item);
    for (key, value, range) in [
        ("baseline_age", &mut evidence.baseline_age, HOUR..=14 * 24 * HOUR),
        ("restart_blip", &mut evidence.restart_blip, Duration::ZERO..=10 * MINUTE),
    ] {
        if let Some(given) = reader.duration(section.take(key), range) {
            *value = given;
        }
    }
    if let Some(given) = reader.whole(section.take("baseline_steps"), 10..=10_000) {
        evidence.baseline_steps = given;
    }
    for (key, value, least, most) in numbers(evidence) {
        let expected = format!("a number from {least} to {most}");
        if let Some(given) = reader.number(section.take(key), &expected, |n| (least..=most).contains(&n)) {
            *value = given;
        }
    }
    reader.close(&section);
}

fn numbers(evidence: &mut Evidence) -> [Number<'_>; 13] {
    [
        ("restart_errors", &mut evidence.restart_errors, 1.0, 1e6),
        ("watch_errors", &mut evidence.watch_errors, 0.0, 1_000.0),
        ("spike_learned", &mut evidence.spike_learned, 2.0, 1_000.0),
        ("spike_judged", &mut evidence.spike_judged, 2.0, 1_000.0),
        ("step_caution", &mut evidence.step_caution, 1.0, 10.0),
        ("block_caution", &mut evidence.block_caution, 1.0, 10.0),
        ("unseen_margin", &mut evidence.unseen_margin, 0.0, 10.0),
        ("dense_share", &mut evidence.dense_share, 0.1, 1.0),
        ("silent_gaps", &mut evidence.silent_gaps, 2.0, 100.0),
        ("e_value_min", &mut evidence.e_value_min, 20.0, 1e6),
        ("calibration_max", &mut evidence.calibration_max, 1.0, 1e6),
        ("calibration_weight", &mut evidence.calibration_weight, 10.0, 1e4),
        ("watches_per_week", &mut evidence.watches_per_week, 1.0, 1e6),
    ]
}
