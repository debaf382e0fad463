//! A fleet's history, line by line, the same each time: every service tells its errors and requests by the minute, and
//! is deployed so many times a day, with four commits each; one deploy in forty is bad and ends in an incident, and a few commits do, the larger the likelier. One line
//! in a hundred comes twice, and the catalog comes first.

use std::{io::Write as _, time::Duration};

use holdpoint::model::Timestamp;

/// 2026-03-02T00:00:00Z.
const START: Timestamp = Timestamp::from_millis(1_772_409_600_000);
/// How long a bad deploy makes errors.
const BAD_MINUTES: u64 = 60;

pub(crate) struct Events {
    n_services: u64,
    /// Of each service, a day.
    n_deploys: u64,
    n: u64,
    chance: u64,
    /// Until which line each service fails.
    bad_until: Vec<u64>,
    /// Incidents to come: the line, the service, and the cause.
    incidents: std::collections::BTreeMap<(u64, u64), String>,
}

impl Events {
    pub(crate) fn new(n_services: u64, n_deploys: u64) -> Self {
        Self {
            n_services,
            n_deploys,
            n: 0,
            chance: 7,
            bad_until: vec![0; usize::try_from(n_services).expect("a fleet fits in memory")],
            incidents: std::collections::BTreeMap::new(),
        }
    }

    /// Sebastiano Vigna's splitmix64.
    fn below(&mut self, n: u64) -> u64 {
        self.chance = self.chance.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.chance;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % n
    }

    /// The next line.
    pub(crate) fn append(&mut self, lines: &mut Vec<u8>) {
        let n = self.n;
        self.n += 1;
        let time = self.time(n);
        let written = if let Some((service, cause)) = self.due(n) {
            writeln!(
                lines,
                r#"{{"kind":"incident","id":"i-{n}","time":"{time}","service":"service-{service}","environment":"production","incident_id":"INC-{n}","status":"detected","severity":3,"caused_by":{{{cause}}}}}"#
            )
        } else {
            // There is a line for each minute of each service.
            let drawn = self.below(1_440);
            match n % 100 {
                29 if n / 100 < self.n_services => catalog(lines, n / 100, time),
                // The line before it once more.
                71 => self.error(lines, n - 1),
                _ if drawn < self.n_deploys => self.deploy(lines, n, time),
                _ if drawn < 5 * self.n_deploys => self.commit(lines, n, time),
                _ => self.error(lines, n),
            }
        };
        written.expect("memory takes it");
    }

    /// The service and the cause of an incident whose time has come by line `n`.
    fn due(&mut self, n: u64) -> Option<(u64, String)> {
        let incident = self.incidents.first_entry()?;
        (incident.key().0 <= n).then(|| {
            let ((_, service), cause) = incident.remove_entry();
            (service, cause)
        })
    }

    /// All services report once a minute, one after the other.
    fn time(&self, n: u64) -> Timestamp {
        START + Duration::from_millis(n * 60_000 / self.n_services)
    }

    fn error(&mut self, lines: &mut Vec<u8>, n: u64) -> std::io::Result<()> {
        let (service, time) = (n * 7_919 % self.n_services, self.time(n));
        let usual = service % 7;
        let place = usize::try_from(service).expect("small");
        let times = if self.bad_until[place] > n { 6 } else { 1 };
        let count = (usual + self.below(3)) * times;
        writeln!(
            lines,
            r#"{{"kind":"error","id":"01JNZ8Q4T7V0XK3M5R{n:08}","time":"{time}","service":"service-{service}","environment":"production","count":{count},"requests":18400,"interval_ms":60000,"version":"4.12.0-rc.3+build.88","fingerprint":"cart.total/overflow:7f3a9c","class":"http_5xx","message":"upstream connect error or disconnect before headers","tags":{{"region":"eu-central-1","host":"ip-10-2-33-17"}}}}"#
        )
    }

    fn deploy(&mut self, lines: &mut Vec<u8>, n: u64, time: Timestamp) -> std::io::Result<()> {
        let service = self.below(self.n_services);
        if self.below(40) == 0 {
            let place = usize::try_from(service).expect("small");
            self.bad_until[place] = n + BAD_MINUTES * self.n_services;
            let cause = format!(r#""deploy_id":"d-{n}""#);
            self.incidents
                .insert((n + BAD_MINUTES / 2 * self.n_services, service), cause);
        }
        writeln!(
            lines,
            r#"{{"kind":"deploy","id":"d-{n}/started","time":"{time}","service":"service-{service}","environment":"production","source":"cd","deploy_id":"d-{n}","status":"started","version":"4.12.0","previous_version":"4.11.3","change_kind":"release","initiator":"pipeline 9921"}}"#
        )
    }

    fn commit(&mut self, lines: &mut Vec<u8>, n: u64, time: Timestamp) -> std::io::Result<()> {
        let service = self.below(self.n_services);
        let (added, files) = (1 + self.below(400), 1 + self.below(12));
        let ai = ["none", "none", "assisted", "authored", "unknown"][usize::try_from(self.below(5)).expect("small")];
        let sha = format!("e9d71f5ee7c92d6dc9e92ffdad17b8{n:010}");
        if self.below(4_000) < added {
            let cause = format!(r#""sha":"{sha}""#);
            self.incidents.insert((n + 200 * self.n_services, service), cause);
        }
        writeln!(
            lines,
            r#"{{"kind":"commit","id":"push-{n}","time":"{time}","service":"service-{service}","source":"forge","sha":"{sha}","author":{{"level":"mid","bot":false}},"ai":{{"assistance":"{ai}"}},"change":{{"lines_added":{added},"lines_deleted":31,"files":{files},"directories":3,"subsystems":2,"entropy":1.92,"fix":true}},"history":{{"developers":7,"age_days":18.4,"prior_changes":96,"author_changes":412}}}}"#
        )
    }
}

fn catalog(lines: &mut Vec<u8>, service: u64, time: Timestamp) -> std::io::Result<()> {
    let criticality = ["low", "medium", "medium", "high", "critical"][usize::try_from(service % 5).expect("small")];
    writeln!(
        lines,
        r#"{{"kind":"service","id":"catalog-{service}","time":"{time}","service":"service-{service}","criticality":"{criticality}","owner":"team-{}"}}"#,
        service % 40
    )
}
