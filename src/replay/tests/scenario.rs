//! Small histories, drawn from a seed.

use std::fmt::Write as _;

use crate::{
    model::{Decision, Timestamp},
    replay::{Compared, ComparedSummary, Comparison, Input, Merge, Replay, Report, Scores, Summary},
    score::Said,
    wire::control::encode_decision,
};

/// A file: its name and its lines.
pub(super) type Text = (&'static str, String);

/// What a replay gave.
pub(super) struct Outcome {
    pub(super) decisions: Vec<Decision>,
    /// Everything that would be written, as bytes: decisions, scores, summary.
    pub(super) written: String,
    pub(super) summary: Summary,
}

/// The lines of files in their order.
pub(super) fn merged(files: &[Text]) -> Merge<'_> {
    let inputs = files.iter().map(|(name, text)| Input {
        name: (*name).into(),
        reader: Box::new(text.as_bytes()),
    });
    Merge::new(inputs.collect()).expect("memory reads")
}

/// What two policies come to over `files`: A's summary, the comparison, its text and its page.
pub(super) fn written(mut comparison: Comparison, files: &[Text]) -> (Summary, Compared, String, String) {
    let mut merge = merged(files);
    while let Some(arrival) = merge.next().expect("memory reads") {
        comparison.take(&arrival);
    }
    comparison.finish();
    let (summary, compared) = (comparison.a().summary(), comparison.compared());
    let html = Report::compared(&comparison, &summary, &compared).html();
    let both = ComparedSummary {
        a: &summary,
        compared: &compared,
    };
    let text = both.to_string();
    (summary, compared, text, html)
}

pub(super) fn replay(files: &[Text], policy: Option<&str>) -> Outcome {
    let mut merge = merged(files);
    let mut replay = Replay::new(policy);
    let (mut decisions, mut written) = (Vec::new(), Vec::new());
    let mut scores = Scores::default();
    let mut keep = |said: Said| {
        if let Said::Decision(decision) = said {
            written.push(encode_decision(&decision));
            decisions.push(*decision);
        } else {
            written.extend(scores.take(said));
        }
    };
    while let Some(arrival) = merge.next().expect("memory reads") {
        replay.take(&arrival);
        replay.take_said().for_each(&mut keep);
    }
    replay.finish();
    replay.take_said().for_each(&mut keep);
    written.extend(scores.finish());
    let summary = replay.summary();
    written.push(serde_json::to_vec(&summary).expect("JSON"));
    let written = String::from_utf8(written.join(&b'\n')).expect("JSON");
    Outcome {
        decisions,
        written,
        summary,
    }
}

/// The same draws for the same seed (Steele, Lea and Flood's `SplitMix64`).
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }

    /// A count whose mean and variance are near `mean`: of 100 trials per expected one, those that hit.
    fn scattered(&mut self, mean: u64) -> u64 {
        let hits = (0..mean * 100).filter(|_| self.below(100) == 0).count();
        u64::try_from(hits).expect("small")
    }
}

/// Minutes after 2026-03-02T00:00:00Z, a Monday.
pub(super) fn at(minutes: i64) -> Timestamp {
    Timestamp::from_millis(1_772_409_600_000 + minutes * 60_000)
}

/// What happens in a history of some hours.
pub(super) struct Scenario {
    pub(super) seed: u64,
    pub(super) minutes: i64,
    /// Usual errors a minute of each service.
    pub(super) services: Vec<(&'static str, u64)>,
    /// Minute, service, and how many times the usual errors there are from then on for an hour.
    pub(super) deploys: Vec<(i64, &'static str, u64)>,
    pub(super) with_requests: bool,
}

impl Scenario {
    /// Six hours of three services, then a bad deploy of one and a good one of another, then two hours more.
    pub(super) fn usual(seed: u64) -> Self {
        Self {
            seed,
            minutes: 480,
            services: vec![("checkout", 6), ("search", 3), ("cart", 9)],
            deploys: vec![(362, "checkout", 5), (365, "search", 1)],
            with_requests: true,
        }
    }

    pub(super) fn files(&self) -> Vec<Text> {
        let mut chance = Chance::new(self.seed);
        let (mut errors, mut deploys) = (String::new(), String::new());
        for minute in 0..self.minutes {
            let time = at(minute);
            for (service, usual) in &self.services {
                let bad = self
                    .deploys
                    .iter()
                    .find(|(from, name, _)| name == service && (*from..from + 60).contains(&minute));
                let n = chance.scattered(usual * bad.map_or(1, |(.., times)| *times));
                let requests = if self.with_requests { ",\"requests\":3000" } else { "" };
                writeln!(
                    errors,
                    r#"{{"kind":"error","id":"{service}-{minute}","time":"{time}","service":"{service}","source":"prober","count":{n},"interval_ms":60000{requests}}}"#
                )
                .expect("memory");
            }
            for (_, service, _) in self.deploys.iter().filter(|(from, ..)| *from == minute) {
                deploys += &deploy(service, minute, "started", time);
                deploys += &deploy(service, minute, "succeeded", time);
            }
        }
        vec![("errors.ndjson", errors), ("deploys.ndjson", deploys)]
    }
}

fn deploy(service: &str, minute: i64, status: &str, time: Timestamp) -> String {
    format!(
        "{{\"kind\":\"deploy\",\"id\":\"{service}-{minute}-{status}\",\"time\":\"{time}\",\"service\":\"{service}\",\
         \"environment\":\"production\",\"deploy_id\":\"d-{minute}\",\"status\":\"{status}\"}}\n"
    )
}
