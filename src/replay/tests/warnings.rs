//! What a reader is warned of.

use super::*;

/// The bad deploy of one service would freeze it.
#[test]
fn services_whose_freezes_the_limiter_refused_are_counted() {
    let none = "limiter.new_per_hour_share = 0\nlimiter.new_per_hour_min = 0\n";
    let files = Scenario::usual(2).files();
    let summary = replay(&files, Some(none)).summary;
    let freezes = &summary.freezes;
    assert_eq!((freezes.by_ground.len(), freezes.withheld_services), (0, 1));
    assert!(freezes.withheld > 10);
    let [warning] = &summary.warnings[..] else {
        panic!("{:?}", summary.warnings);
    };
    let expected = "the limiter held back the freezes of 1 service, which";
    assert!(warning.starts_with(expected), "{warning}");
    assert_eq!(replay(&files, None).summary.freezes.withheld_services, 0);
}

/// One line in twenty comes two minutes after the others of its minute.
#[test]
fn late_errors_are_warned_of_with_the_lateness_that_was_not_enough() {
    let mut files = Scenario::usual(2).files();
    let errors = files[0].1.clone();
    let mut lines: Vec<&str> = errors.lines().collect();
    for chunk in lines.chunks_exact_mut(20) {
        chunk[..7].rotate_left(1);
    }
    files[0].1 = lines.join("\n");
    for (policy, expected) in [
        (None, "`lateness` of 10 s"),
        (Some("lateness = \"20s\""), "`lateness` of 20 s"),
    ] {
        let summary = replay(&files, policy).summary;
        assert_eq!(summary.events.late, 72);
        assert!(summary.warnings[0].contains(expected), "{:?}", summary.warnings);
    }
}

/// A copy of a line with a source is taken out as a duplicate, whatever its file.
#[test]
fn copies_in_another_file_are_warned_of_where_no_source_tells_them() {
    let [errors, deploys] = Scenario::usual(2).files().try_into().expect("two files");
    let [copy, unnamed] = ["", r#""source":"prober","#].map(|gone| ("errors.ndjson.gz", errors.1.replace(gone, "")));
    let named = replay(&[errors.clone(), deploys.clone(), copy], None).summary;
    assert_eq!((named.events.duplicates, named.warnings), (480 * 3, Vec::new()));
    let other = ("errors.ndjson", unnamed.1.clone());
    let summary = replay(&[other.clone(), deploys.clone(), unnamed], None).summary;
    assert_eq!(summary.events.duplicates, 0);
    let [warning] = &summary.warnings[..] else {
        panic!("{:?}", summary.warnings);
    };
    assert!(
        warning.starts_with("some 1,") && warning.contains(r#"in "errors.ndjson" and "errors.ndjson.gz": without"#),
        "{warning}"
    );
    assert_eq!(replay(&[other, deploys], None).summary.warnings, [""; 0]);
}
