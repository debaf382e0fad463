//! What the evidence after a deploy is worth: false alarms, power and delay, beside an oracle.
//!
//! ```sh
//! cargo bench --no-default-features --bench evidence -- null      # every truth, mean and producer of the grid
//! cargo bench --no-default-features --bench evidence -- control   # beside another version
//! cargo bench --no-default-features --bench evidence -- placebo --data DIR
//! cargo bench --no-default-features --bench evidence -- power     # by multiple of the baseline
//! cargo bench --no-default-features --bench evidence -- delay     # by mean, scatter and instant of the fault
//! ```
//!
//! `--trials N` and `--seed N` say how many and which, `--policy TEXT` by which policy; `--test` runs a little of each. The counts of `placebo` are those
//! of the Numenta Anomaly Benchmark, in `counts/` of the folder given by `--data` or `HOLDPOINT_DATA`.

#![expect(clippy::print_stdout, reason = "tables are what it is for")]

mod chance;
mod control;
mod forecast;
mod grid;
mod oracle;
mod placebo;
mod power;
mod run;
mod source;

use std::process::ExitCode;

/// What to evaluate, and on how much.
#[derive(Debug, Clone)]
struct Options {
    what: Vec<String>,
    data: Option<String>,
    seed: u64,
    trials: u32,
    /// A policy, as text: what would other values do?
    policy: String,
}

fn options() -> Result<Options, String> {
    let mut options = Options {
        what: Vec::new(),
        data: std::env::var("HOLDPOINT_DATA").ok(),
        seed: 1,
        trials: 200,
        policy: String::new(),
    };
    let mut arguments = std::env::args().skip(1);
    let mut test = false;
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} wants a value"));
        match argument.as_str() {
            // What `cargo bench` adds of itself.
            "--bench" => {}
            "--test" => test = true,
            "--data" => options.data = Some(value()?),
            "--policy" => options.policy = value()?,
            "--seed" => options.seed = value()?.parse().map_err(|error| format!("--seed: {error}"))?,
            "--trials" => options.trials = value()?.parse().map_err(|error| format!("--trials: {error}"))?,
            "null" | "control" | "placebo" | "power" | "delay" => options.what.push(argument),
            other => return Err(format!("`{other}` is none of null, control, placebo, power, delay")),
        }
    }
    if test {
        options.trials = 2;
    }
    if options.what.is_empty() {
        options.what = ["null", "control", "placebo", "power", "delay"]
            .map(String::from)
            .to_vec();
    }
    Ok(options)
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(error) => {
            eprintln!("evidence: {error}");
            return ExitCode::from(2);
        }
    };
    for what in &options.what {
        match what.as_str() {
            "null" => grid::print(&options),
            "control" => control::print(&options),
            "placebo" => {
                placebo::print(&options);
            }
            "power" => power::print(&options),
            _ => power::print_delays(&options),
        }
    }
    ExitCode::SUCCESS
}

fn share(part: u32, whole: u32) -> f64 {
    f64::from(part) / f64::from(whole.max(1))
}
