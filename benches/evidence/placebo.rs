//! Placebo deploys on real counts: how often a deploy that changed nothing would be convicted, and what is found.

use std::{path::Path, time::Duration};

use holdpoint::{
    model::{IncidentStatus, Timestamp},
    score::{Policy, Told, Trial},
};

use crate::{
    Options,
    chance::Chance,
    forecast::{Forecast, SPIKE_JUDGED, cut, watches},
    oracle::{Oracle, Searcher},
    share,
};

const FILES: [&str; 5] = ["AAPL", "AMZN", "CRM", "CVS", "FB"];
const STEP: Duration = Duration::from_mins(5);
/// A week is learned before the first.
pub(crate) const LEARN: usize = 7 * 288;
/// Two hours.
pub(crate) const WATCH: usize = 24;
/// One false alarm in a hundred is allowed for.
const ALPHA: f64 = 0.01;
const LN_NOMINAL: f64 = 4.605_170_185_988_092;

/// One series, with stretches that are no healthy service left out.
struct Series {
    counts: Vec<u64>,
    usual: Vec<f64>,
    size: f64,
    forecast: Forecast,
    anomalous: Vec<bool>,
}

/// What was found on one series.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    healthy: u32,
    /// At the nominal threshold, at the calibrated one, and with what else a conviction asks for.
    alarms: [u32; 3],
    faulty: u32,
    /// By conviction; by an oracle, and by one whose own false alarms are held to the target.
    found: [u32; 3],
    /// Of those that either oracle finds, found by conviction.
    shared: [u32; 2],
    /// Of those that the oracle finds at the target, found by a searcher held to it too; and healthy watches with E ≥ 100 of
    /// a searcher's.
    searched: u32,
    searched_for_nothing: u32,
    /// Of those that the oracle finds, found by a forecaster held to the target.
    forecast: u32,
}

/// Who looks for all multiples and instants: one that knows the mean of the time of day over all days, and one that knows
/// the past only.
struct Searchers {
    searcher: Searcher,
    forecaster: Searcher,
    from: usize,
}

/// What is harmless to who knows the past only, as Holdpoint has it where no attempts are told.
const HARMLESS: f64 = 1.5;

impl Searchers {
    fn new(series: &Series, from: usize) -> Self {
        Self {
            searcher: Searcher::new(series.size, WATCH),
            forecaster: Searcher::new(series.forecast.size, WATCH),
            from,
        }
    }

    /// Both logarithms of their e-values after step `i` with `x` errors.
    fn observe(&mut self, series: &Series, i: usize, x: f64) -> [f64; 2] {
        let mean = series.forecast.mean(self.from, i);
        [
            self.searcher.observe(x, series.usual[i]),
            self.forecaster.observe(cut(x, mean, SPIKE_JUDGED), mean * HARMLESS),
        ]
    }
}

/// The greater of each.
fn greater(a: [f64; 2], b: [f64; 2]) -> [f64; 2] {
    std::array::from_fn(|i| a[i].max(b[i]))
}

fn time(text: &str) -> Timestamp {
    let text = format!("{}Z", text.get(..19).expect("a time").replace(' ', "T"));
    text.parse().expect("a time")
}

fn read(folder: &Path, name: &str) -> Option<Series> {
    let file = format!("Twitter_volume_{name}.csv");
    let text = std::fs::read_to_string(folder.join(&file)).ok()?;
    let windows = std::fs::read_to_string(folder.join("anomaly_windows.json")).ok()?;
    let windows: serde_json::Value = serde_json::from_str(&windows).expect("JSON");
    let windows: Vec<(Timestamp, Timestamp)> = windows[&file]
        .as_array()
        .expect("windows")
        .iter()
        .map(|window| {
            (
                time(window[0].as_str().expect("a time")),
                time(window[1].as_str().expect("a time")),
            )
        })
        .collect();
    let rows: Vec<(Timestamp, u64)> = text
        .lines()
        .skip(1)
        .map(|line| {
            let (at, count) = line.split_once(',').expect("two columns");
            (time(at), count.trim().parse().expect("a count"))
        })
        .collect();
    let counts: Vec<u64> = rows.iter().map(|(_, count)| *count).collect();
    let anomalous: Vec<bool> = rows
        .iter()
        .map(|(at, _)| windows.iter().any(|(from, to)| from <= at && at <= to))
        .collect();
    let usual = by_time_of_day(&counts, &anomalous);
    let healthy = counts
        .iter()
        .zip(&usual)
        .zip(&anomalous)
        .filter(|(_, anomalous)| !**anomalous);
    let (over, squares) = healthy
        .map(|(pair, _)| pair)
        .fold((0.0, 0.0), |(over, squares), (x, m)| {
            let x = number(*x);
            (over + (x - m) * (x - m) - x, squares + m * m)
        });
    Some(Series {
        forecast: Forecast::new(&counts, &anomalous),
        counts,
        usual,
        size: (squares / over.max(squares * 1e-6)).max(0.01),
        anomalous,
    })
}

/// What an oracle takes for the mean: that of the quarter-hour over all days, those to come included.
fn by_time_of_day(counts: &[u64], anomalous: &[bool]) -> Vec<f64> {
    let mut sums = [(0_u64, 0_u64); 96];
    for (i, count) in counts.iter().enumerate().filter(|(i, _)| !anomalous[*i]) {
        let cell = &mut sums[i / 3 % 96];
        *cell = (cell.0 + count, cell.1 + 1);
    }
    let mean = |i: usize| number(sums[i / 3 % 96].0) / number(sums[i / 3 % 96].1.max(1));
    (0..counts.len()).map(|i| mean(i).max(0.01)).collect()
}

pub(crate) fn number(n: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "small")]
    let value = n as f64;
    value
}

fn at(i: usize) -> Timestamp {
    Timestamp::from_millis(0) + STEP * u32::try_from(i).expect("months")
}

fn pass(trial: &mut Trial, i: usize, errors: u64) {
    let told = Told {
        errors,
        interval: STEP,
        ..Told::default()
    };
    assert!(trial.errors(at(i) + Duration::from_secs(150), &told), "on time");
    trial.advance(at(i + 1) + Duration::from_secs(10));
}

/// A watch from step `from` on, with five times the counts from `fault` on: whether it alarms, nominally, by the
/// calibrated threshold and by conviction; the greatest ln of the oracle's ratio; and those of the searchers' e-values.
fn watch(mut trial: Trial, series: &Series, from: usize, fault: Option<usize>) -> ([bool; 3], f64, [f64; 2]) {
    trial.deploy(at(from), "placebo", (None, None), None);
    let ln_threshold = trial.ln_threshold(ALPHA);
    let mut oracle = Oracle::new(series.size, 5.0);
    let mut searchers = Searchers::new(series, from);
    let (mut alarms, mut seen, mut ln_e) = ([false; 3], f64::NEG_INFINITY, [f64::NEG_INFINITY; 2]);
    for i in from..from + WATCH {
        let multiple = if fault.is_some_and(|fault| i >= fault) { 5 } else { 1 };
        pass(&mut trial, i, series.counts[i] * multiple);
        if multiple > 1 {
            seen = seen.max(oracle.observe(number(series.counts[i] * multiple), series.usual[i]));
        }
        let ln_found = searchers.observe(series, i, number(series.counts[i] * multiple));
        if fault.is_none() || multiple > 1 {
            ln_e = greater(ln_e, ln_found);
        }
        let Some(reading) = trial.reading().filter(|_| fault.is_none() || multiple > 1) else {
            continue;
        };
        let calibrated = reading.ln_e >= ln_threshold;
        let now = [
            reading.ln_e >= LN_NOMINAL,
            calibrated,
            calibrated && reading.is_material,
        ];
        alarms = std::array::from_fn(|i| alarms[i] || now[i]);
    }
    (alarms, seen, ln_e)
}

/// What one in a hundred healthy watches with an onset at random exceeds, by the greatest ln of an oracle's ratio, and by
/// those of the searchers' e-values.
fn thresholds(series: &Series, chance: &mut Chance) -> [f64; 3] {
    let mut greatest = [const { Vec::new() }; 3];
    for from in watches(&series.counts, &series.anomalous) {
        let mut oracle = Oracle::new(series.size, 5.0);
        let fault = from + usize::try_from(chance.below(24)).expect("small");
        let ratios = (fault..from + WATCH).map(|i| oracle.observe(number(series.counts[i]), series.usual[i]));
        let ratio = ratios.fold(f64::NEG_INFINITY, f64::max);
        let mut searchers = Searchers::new(series, from);
        let e_values = (from..from + WATCH).map(|i| searchers.observe(series, i, number(series.counts[i])));
        let [searched, forecast] = e_values.fold([f64::NEG_INFINITY; 2], greater);
        for (all, one) in greatest.iter_mut().zip([ratio, searched, forecast]) {
            all.push(one);
        }
    }
    let of_hundred = greatest.map(|mut greatest| {
        greatest.sort_unstable_by(f64::total_cmp);
        greatest[greatest.len() - 1 - greatest.len() / 100]
    });
    // Who knows what the oracle and the searcher know has Wald's and Ville's bound; of a forecaster only the figures tell.
    let [oracle, searcher, forecaster] = of_hundred;
    [oracle.max(LN_NOMINAL), searcher.max(LN_NOMINAL), forecaster.max(0.0)]
}

fn tally(series: &Series, options: &Options, chance: &mut Chance) -> Tally {
    let policy = Policy::parse(&options.policy).expect("a policy");
    let names = ("counts".parse().expect("a name"), "production".parse().expect("a name"));
    let mut trial = Trial::new(names.0, names.1, policy, at(0));
    let [ln_oracle, ln_to_search, ln_to_forecast] = thresholds(series, chance);
    let mut tally = Tally::default();
    let n = series.counts.len();
    // So that about as many are tried as asked for: one step in `every`.
    let every = u32::try_from(n - LEARN - WATCH).expect("months") / options.trials.max(1);
    for i in 0..n - WATCH - 1 {
        let healthy = !series.anomalous[i..i + WATCH].contains(&true);
        if i >= LEARN && healthy && chance.below(every.max(1)) == 0 {
            let (alarms, _, [ln_found, _]) = watch(trial.clone(), series, i, None);
            tally.healthy += 1;
            tally.searched_for_nothing += u32::from(ln_found >= LN_NOMINAL);
            for (count, alarm) in tally.alarms.iter_mut().zip(alarms) {
                *count += u32::from(alarm);
            }
            let fault = i + usize::try_from(chance.below(24)).expect("small");
            let (alarms, ln_ratio, [ln_found, ln_forecast]) = watch(trial.clone(), series, i, Some(fault));
            let oracles = [ln_ratio >= LN_NOMINAL, ln_ratio >= ln_oracle];
            tally.faulty += 1;
            tally.found[0] += u32::from(alarms[2]);
            tally.searched += u32::from(ln_found >= ln_to_search && oracles[1]);
            tally.forecast += u32::from(ln_forecast >= ln_to_forecast && oracles[0]);
            for (which, seen) in oracles.into_iter().enumerate() {
                tally.found[which + 1] += u32::from(seen);
                tally.shared[which] += u32::from(alarms[2] && seen);
            }
        }
        // An anomaly is an incident: nothing is learned of it.
        if series.anomalous[i] {
            trial.incident(at(i), IncidentStatus::Detected);
        } else if i > 0 && series.anomalous[i - 1] {
            trial.incident(at(i), IncidentStatus::Resolved);
        }
        pass(&mut trial, i, series.counts[i]);
    }
    tally
}

/// Prints the table. False: there is no data.
pub(crate) fn print(options: &Options) -> bool {
    let Some(folder) = &options.data else {
        println!("SKIPPED placebo: no data; give its folder with --data or HOLDPOINT_DATA");
        return false;
    };
    println!(
        "Placebo deploys on real counts of 5 minutes, anomalies left out; target 1 %. Faults: 5 times the counts from a"
    );
    println!(
        "random step of the watch on. Power: found by conviction at the calibrated threshold, of those that an oracle"
    );
    println!(
        "finds which knows the mean of the time of day, the scatter, the multiple and the instant; and of those that it"
    );
    println!(
        "finds when its own false alarms on these series are held to 1 %. Searcher: knows mean and scatter as the oracle does,"
    );
    println!(
        "and neither multiple nor instant: its false alarms at E ≥ 100, and what it finds of the last when held to 1 %. Bound:"
    );
    println!(
        "what is found of the oracle's by a searcher that knows the past only, but for its constants and its threshold, which"
    );
    println!(
        "holds it to 1 % on each series. In number: all that is found, over all that the oracle finds at 1 %. Seed {}.",
        options.seed
    );
    println!(
        "| series | watches | E ≥ 100 | calibrated | convicted | faults found | power | at 1 % of false alarms | in number | searcher | bound |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    let mut all = Tally::default();
    for (i, name) in (1_u64..).zip(FILES) {
        let Some(series) = read(&Path::new(folder).join("counts"), name) else {
            println!("SKIPPED placebo: no {name} in {folder}/counts");
            return false;
        };
        let mut chance = Chance::new(options.seed.wrapping_mul(104_729) ^ i);
        let tally = tally(&series, options, &mut chance);
        row(name, &tally);
        all.healthy += tally.healthy;
        all.faulty += tally.faulty;
        all.searched += tally.searched;
        all.searched_for_nothing += tally.searched_for_nothing;
        all.forecast += tally.forecast;
        for (sum, n) in all.found.iter_mut().zip(tally.found) {
            *sum += n;
        }
        for (sum, n) in all.shared.iter_mut().zip(tally.shared) {
            *sum += n;
        }
        for (sum, n) in all.alarms.iter_mut().zip(tally.alarms) {
            *sum += n;
        }
    }
    row("all", &all);
    true
}

fn row(name: &str, tally: &Tally) {
    let [nominal, calibrated, convicted] = tally.alarms.map(|n| share(n, tally.healthy));
    let power = [0, 1].map(|i| {
        let (shared, of) = (tally.shared[i], tally.found[i + 1]);
        format!("{:.3} ({shared} of {of})", share(shared, of))
    });
    println!(
        "| {name} | {} | {nominal:.4} | {calibrated:.4} | {convicted:.4} | {} of {} | {} | {} | {:.3} | {:.4}; {:.3} | {:.3} |",
        tally.healthy,
        tally.found[0],
        tally.faulty,
        power[0],
        power[1],
        share(tally.found[0], tally.found[2]),
        share(tally.searched_for_nothing, tally.healthy),
        share(tally.searched, tally.found[2]),
        share(tally.forecast, tally.found[1]),
    );
}
