//! A service with many changes is snapshotted by the page: what is written with each is little, and what is written
//! altogether is all of it.

use std::collections::BTreeMap;

use holdpoint::{
    model::{Offset, Timestamp},
    score::{Partition, SNAPSHOT_BYTES_MAX, Service},
    wire::state::{self, Snapshot},
};

use crate::support::{Driver, at};

const NAME: &str = "s";
const COMMITS: i64 = 700;
/// Of 700 commits the last 300 or so are remembered, in about 40 kB.
const BYTES_WITH_EACH: usize = 8_000;

/// The state topic as it is after compaction.
#[derive(Default)]
struct Kept(BTreeMap<Vec<u8>, Vec<u8>>);

impl Kept {
    /// Writes what has changed, as it is written with a decision; says how much that was.
    fn save(&mut self, partition: &mut Partition, covered: Offset) -> usize {
        let Some(service) = partition.service(NAME) else {
            return 0;
        };
        for page in service.gone_pages() {
            self.0.remove(&state::changes_key(NAME, *page));
        }
        let mut written = vec![(state::service_key(NAME), state::encode_service(service, covered))];
        for page in service.unsaved_pages() {
            written.push((state::changes_key(NAME, page.number()), state::encode_changes(page)));
        }
        partition.note_snapshot(NAME);
        let size_bytes = written.iter().map(|(_, value)| value.len()).sum();
        self.0.extend(written);
        size_bytes
    }

    fn read(&self) -> Service {
        let (mut service, mut pages) = (None, Vec::new());
        for (key, value) in &self.0 {
            match state::decode(key, value).expect("our own") {
                Snapshot::Service { service: read, .. } => service = Some(*read),
                Snapshot::Changes { service, page } => {
                    assert_eq!(&*service, NAME);
                    pages.push(page);
                }
                other @ (Snapshot::Fleet { .. } | Snapshot::Partition(_)) => panic!("{other:?}"),
            }
        }
        let mut service = service.expect("the service's own");
        for page in pages {
            service.lay_in(page);
        }
        assert_eq!(service.missing_page(), None);
        service
    }

    fn check(&self, partition: &Partition) {
        assert_eq!(Some(&self.read()), partition.service(NAME));
    }
}

fn commit(n: i64, time: Timestamp) -> String {
    format!(
        r#"{{"kind":"commit","id":"c{n}","time":"{time}","service":"{NAME}","sha":"{n:040x}","change_id":"{n}",
            "author":{{"id":"j","level":"junior"}},"ai":{{"assistance":"authored"}},"change":{{"lines_added":{n},"lines_deleted":2,"files":1}}}}"#
    )
}

fn approval(of: i64, time: Timestamp) -> String {
    format!(
        r#"{{"kind":"review","id":"r{of}","time":"{time}","service":"{NAME}","change_id":"{of}","verdict":"approved","by":"s","level":"senior"}}"#
    )
}

fn incident(of: i64, time: Timestamp) -> String {
    format!(
        r#"{{"kind":"incident","id":"i{of}","time":"{time}","service":"{NAME}","incident_id":"i{of}","status":"resolved",
            "caused_by":{{"sha":"{of:040x}"}}}}"#
    )
}

#[test]
fn what_is_written_with_each_change_is_little_and_altogether_it_is_all() {
    let mut driver = Driver::with_policy("mode = \"enforce\"\n");
    let mut kept = Kept::default();
    let mut save = |driver: &mut Driver| {
        let covered = Offset(driver.offset - 1);
        let size_bytes = kept.save(&mut driver.partition, covered);
        kept.check(&driver.partition);
        (size_bytes, kept.0.len())
    };
    let mut most = 0;
    for n in 0..COMMITS {
        driver.events(&[commit(n, at(n))], at(n));
        most = most.max(save(&mut driver).0);
        if n % 50 == 49 {
            // One that waits on a page long full.
            driver.events(&[approval(n - 40, at(n))], at(n));
            most = most.max(save(&mut driver).0);
            // One known to have caused an incident: first of those remembered, in the end of those long forgotten.
            driver.events(&[incident(n / 2, at(n))], at(n));
            most = most.max(save(&mut driver).0);
        }
    }
    assert_eq!(driver.partition.fleet().n_verdicts(), 14);
    assert!((2_000..BYTES_WITH_EACH).contains(&most), "{most} bytes");
    let n_remembered = driver.partition.report(NAME).expect("there").changes_remembered;
    assert!((300..=512).contains(&n_remembered), "{n_remembered}");
    // All are decided anew, so all are written.
    driver.policy(2, "mode = \"shadow\"\n", at(COMMITS));
    let (all, n_records) = save(&mut driver);
    assert!(all > 30_000 && n_records > 10, "{all} bytes in {n_records} records");
    // Those approved were not decided anew: they are forgotten from among the others. Then the rest is, and their traces
    // stay.
    for (minutes, left) in [(COMMITS - 50, 1..n_remembered), (COMMITS, 0..1)] {
        driver.time(at(14 * 24 * 60 + minutes));
        save(&mut driver);
        let n_left = driver.partition.report(NAME).expect("there").changes_remembered;
        assert!(left.contains(&n_left), "{n_left}");
    }
    let (_, n_records) = save(&mut driver);
    assert!((10..=22).contains(&n_records), "{n_records}");
    let year = 366 * 24 * 60;
    driver.events(&[commit(COMMITS, at(year))], at(year));
    assert_eq!(save(&mut driver).1, 1, "the service's own");
}

/// A name as long as may be.
fn long(text: &str, n: i64) -> String {
    format!("{text}-{n:04}-{}", "x".repeat(230))
}

/// One of each kind that a service remembers, by the `i`th of all that happens: kind and fields.
fn one_of_each(i: i64) -> [(&'static str, String); 6] {
    let (id, sha) = (long("id", i), format!("{i:0>40x}"));
    let heads: Vec<String> = (0..20).map(|head| format!("\"{i}-{head}\"")).collect();
    let heads = heads.join(",");
    let (until, later) = (at(9_000), i + 400);
    [
        (
            "commit",
            format!(
                r#""sha":"{sha}","change_id":"{i}","head_shas":[{heads}],"change":{{"lines_added":9,"lines_deleted":2,"files":1}}"#
            ),
        ),
        (
            "review",
            format!(r#""change_id":"{later}","verdict":"approved","by":"s","level":"senior""#),
        ),
        (
            "deploy",
            format!(r#""deploy_id":"{id}","status":"started","version":"{id}","commits":["{sha}"]"#),
        ),
        ("incident", format!(r#""incident_id":"{id}","status":"detected""#)),
        (
            "override",
            format!(r#""effect":"freeze","until":"{until}","reason":"{id}","by":"{id}""#),
        ),
        (
            "error",
            format!(r#""count":90,"requests":90,"fingerprint":"{id}","upstream":"{id}","version":"{id}""#),
        ),
    ]
}

/// Environments, deploys, incidents, words, changes and approvals, each more than are remembered.
#[test]
fn each_snapshot_of_a_service_that_is_full_is_one_record() {
    let mut driver = Driver::with_policy("mode = \"enforce\"\n");
    let mut event = |i: i64, kind: &str, fields: &str| {
        let json = format!(
            r#"{{"kind":"{kind}","id":"{}","time":"{}","service":"{NAME}","environment":"{}",{fields}}}"#,
            long(kind, i),
            at(i / 100),
            long("environment", i / 45)
        );
        driver.events(&[json], at(i / 100));
    };
    for i in 0..16 * 45 {
        for (kind, fields) in one_of_each(i) {
            event(i, kind, &fields);
        }
    }
    let callees: Vec<String> = (0..16).map(|i| format!("\"{}\"", long("callee", i))).collect();
    let callees = callees.join(",");
    event(
        719,
        "service",
        &format!(r#""slo":{{"objective":0.999}},"depends_on":[{callees}]"#),
    );
    let service = driver.partition.service(NAME).expect("it is known");
    let own = state::encode_service(service, Offset(i64::MAX)).len();
    let pages: Vec<usize> = service.pages().map(|page| state::encode_changes(page).len()).collect();
    let largest = pages.iter().copied().max().unwrap_or_default();
    eprintln!(
        "a full service: {own} bytes, and {} pages of up to {largest}",
        pages.len()
    );
    assert!(own > 20_000 && pages.len() > 5, "it is full");
    assert!(own.max(largest) < SNAPSHOT_BYTES_MAX / 4);
}
