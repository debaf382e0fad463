//! The tables of repositories: who is right about what will be taken back.

use std::{
    io::{self, Write},
    path::Path,
};

use crate::{
    arguments::Arguments,
    boosting,
    figures::{self, Figures, figures},
    generated::{Plan, generate},
    git,
    history::History,
    holdpoint,
    labels::{CLEAN_AFTER, DAY, Reveals},
    logistic, paths,
    refit::{Known, prequential},
    report::{BOOSTING_EVERY_DAYS, LOGISTIC_EVERY_DAYS, calibration},
};

/// Fewer say nothing: of so many an AUC has a standard error of .04.
const REVERTS_MIN: usize = 50;
const BASELINES: [&str; 4] = [
    "cold-start weights",
    "LR, 14 measures, refitted",
    "gradient boosting, refitted",
    "Holdpoint",
];
const HOLDPOINT: usize = 3;
/// The candidates that `--test` looks at, among the methods of a table.
const PATHS: usize = 5;
const BOTH: usize = 9;
/// Commits of a generated repository, and the first seed: what the candidates are set to was chosen on others.
const COMMITS: usize = 6_000;
const TEST_COMMITS: usize = 3_000;
const SEED_FIRST: u64 = 100;

/// A method's figures, and by how much it is above Holdpoint.
#[derive(Clone, Copy)]
struct Row {
    figures: Figures,
    gain: f64,
    /// Half of the interval that holds the gain with 95 %.
    half: f64,
}

/// Of the repositories named, and of generated ones if that is asked for.
pub(crate) fn run(arguments: &Arguments) -> Result<(), String> {
    let mut out = io::stdout().lock();
    say(
        &mut out,
        "Labels: reverts, known when they landed; clean after 90 d. Scores of the moment a commit landed. Pooled: all from day \
         180 on; newest: the newest fifth. Gain: pooled AUC less Holdpoint's, with a 95 % interval (DeLong).\n",
    )?;
    for path in &arguments.repositories {
        let (history, reveals) = git::read(Path::new(path))?;
        if let Some(rows) = repository(&mut out, &history, &reveals)? {
            table(&mut out, &rows)?;
        }
    }
    if arguments.is_generated {
        for (name, do_paths_tell) in [("paths-tell", true), ("paths-say-nothing", false)] {
            generated(&mut out, arguments, (name, do_paths_tell))?;
        }
    }
    Ok(())
}

/// The mean over repositories that differ in their seeds only.
fn generated(
    out: &mut impl Write,
    arguments: &Arguments,
    (name, do_paths_tell): (&'static str, bool),
) -> Result<(), String> {
    let mut all = Vec::new();
    for seed in SEED_FIRST..SEED_FIRST + arguments.n_seeds {
        let generated = generate(Plan {
            name,
            n_commits: if arguments.is_test { TEST_COMMITS } else { COMMITS },
            do_paths_tell,
            seed,
        })?;
        let (history, reveals) = git::read(&generated.path)?;
        all.extend(repository(out, &history, &reveals)?);
    }
    let rows = mean(&all);
    table(out, &rows)?;
    if arguments.is_test {
        check(do_paths_tell, &rows)?;
    }
    Ok(())
}

/// What generated repositories must show: that candidates find what is there, and make up little where nothing is.
fn check(do_paths_tell: bool, rows: &[Row]) -> Result<(), String> {
    for place in [PATHS, BOTH] {
        let gain = rows.get(place).ok_or("too few reverts to tell")?.gain;
        let is_right = if do_paths_tell { gain > 0.01 } else { gain > -0.02 };
        if !is_right {
            return Err(format!("paths tell: {do_paths_tell}; but they gain {gain:.3}"));
        }
    }
    Ok(())
}

fn mean(all: &[Vec<Row>]) -> Vec<Row> {
    let n = figures::number(all.len()).max(1.0);
    let n_methods = all.first().map_or(0, Vec::len);
    let of_method = |method: usize| {
        let rows: Vec<Row> = all.iter().map(|rows| rows[method]).collect();
        let figures: Vec<Figures> = rows.iter().map(|row| row.figures).collect();
        Row {
            figures: figures::mean(&figures),
            gain: rows.iter().map(|row| row.gain).sum::<f64>() / n,
            half: rows.iter().map(|row| row.half * row.half).sum::<f64>().sqrt() / n,
        }
    };
    (0..n_methods).map(of_method).collect()
}

/// The figures of a repository by method; none where too little was taken back to tell.
fn repository(out: &mut impl Write, history: &History, reveals: &Reveals) -> Result<Option<Vec<Row>>, String> {
    let commits = &history.commits;
    let pairs = commits.iter().zip(reveals);
    let mut days: Vec<i64> = pairs
        .filter_map(|(commit, reveal)| Some(((*reveal)? - commit.at) / DAY))
        .collect();
    days.sort_unstable();
    let median = days
        .get(days.len() / 2)
        .map_or_else(String::new, |days| format!(", half of them within {days} d"));
    let (name, n_commits, n_reverts) = (&history.project, commits.len(), days.len());
    say(
        out,
        &format!("{name}: {n_commits} commits, {n_reverts} taken back{median}"),
    )?;
    let is_buggy: Vec<bool> = reveals.iter().map(Option::is_some).collect();
    let at: Vec<i64> = commits.iter().map(|commit| commit.at).collect();
    let settled = figures::settled(&at);
    let n_counted = is_buggy[settled..].iter().filter(|buggy| **buggy).count();
    if n_counted < REVERTS_MIN {
        say(
            out,
            &format!("no figure: {n_counted} reverts of commits from day 180 on, {REVERTS_MIN} are the least\n"),
        )?;
        return Ok(None);
    }
    let scores = scores(history, reveals);
    let row = |own: &Vec<f64>| {
        let others = &scores[HOLDPOINT][settled..];
        let (gain, half) = figures::gain(&own[settled..], others, &is_buggy[settled..]);
        let figures = Figures {
            calibration: calibration(own, &at, reveals),
            ..figures(own, &is_buggy, &at)
        };
        Row { figures, gain, half }
    };
    Ok(Some(scores.iter().map(row).collect()))
}

fn table(out: &mut impl Write, rows: &[Row]) -> Result<(), String> {
    say(
        out,
        "\n| method | pooled AUC | gain | recall at 10 % | newest AUC | recall at 5 / 10 / 20 / 50 % | expected/seen |\n\
         | --- | ---: | --- | ---: | ---: | --- | ---: |",
    )?;
    for (place, (name, row)) in BASELINES.iter().chain(&paths::NAMES).zip(rows).enumerate() {
        let Row { figures, gain, half } = row;
        let (gained, expected) = if place == HOLDPOINT {
            ("–".to_owned(), format!("{:.2}", figures.calibration))
        } else {
            let (low, high) = (gain - half, gain + half);
            (format!("{gain:+.4} ({low:+.4} to {high:+.4})"), "–".to_owned())
        };
        let [five, ten, twenty, fifty] = figures.newest_recalls;
        say(
            out,
            &format!(
                "| {name} | {:.4} | {gained} | {:.4} | {:.4} | {five:.3} {ten:.3} {twenty:.3} {fifty:.3} | {expected} |",
                figures.pooled_auc, figures.pooled_recall, figures.newest_auc
            ),
        )?;
    }
    say(out, "")
}

/// Of the baselines, then of the candidates.
fn scores(history: &History, reveals: &Reveals) -> Vec<Vec<f64>> {
    let known = Known {
        history,
        reveals,
        clean_after: CLEAN_AFTER,
    };
    let cold = holdpoint::run(&[history], None, 1).scores.remove(0);
    let logistic = prequential(&known, LOGISTIC_EVERY_DAYS, cold.clone(), logistic::fit);
    let boosting = prequential(&known, BOOSTING_EVERY_DAYS, cold.clone(), boosting::fit);
    let own = holdpoint::run(&[history], Some(std::slice::from_ref(reveals)), 1)
        .scores
        .remove(0);
    let logits: Vec<f64> = own.iter().map(|p| (p.max(1e-6) / (1.0 - p).max(1e-6)).ln()).collect();
    let candidates = paths::scores(history, reveals, &logits);
    [cold, logistic, boosting, own].into_iter().chain(candidates).collect()
}

fn say(out: &mut impl Write, text: &str) -> Result<(), String> {
    writeln!(out, "{text}").map_err(|error| error.to_string())
}
