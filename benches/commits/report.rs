//! The tables.

use std::io::{self, Write};

use crate::{
    arguments::Arguments,
    boosting, ensemble,
    figures::{Figures, figures, mean, shares},
    history::History,
    holdpoint::{self, Run},
    labels::{DAY, Latency, Reveals, reveals},
    logistic,
    refit::{Known, prequential},
};

/// How often the baselines are fitted again.
pub(crate) const LOGISTIC_EVERY_DAYS: i64 = 30;
pub(crate) const BOOSTING_EVERY_DAYS: i64 = 90;
/// A probability is the chance of an incident within so long.
const HORIZON: i64 = 30 * DAY;
/// The place of lines added among the measures.
const LINES_ADDED: usize = 4;
/// Into how many services a project is cut, to see what a fleet learns of small ones.
const SERVICES: usize = 20;

/// A way to score, and its figures by project.
struct Method {
    name: &'static str,
    figures: Vec<Vec<Figures>>,
}

const NAMES: [&str; 12] = [
    "lines added only",
    "cold-start weights",
    "LR, 14 measures, refitted",
    "gradient boosting, refitted",
    "LR, 14 measures, online",
    "these five, fixed share",
    "these five, stacked",
    "Holdpoint",
    "Holdpoint, at the reference rate",
    "Holdpoint, these five on top",
    "Holdpoint, 20 services",
    "Holdpoint, all in one fleet",
];
/// The places of the cold start and of Holdpoint among them, behind what is shown where every label is known at once, and of
/// all in one fleet.
const COLD_START: usize = 1;
const HOLDPOINT: usize = 7;
const ALONE: usize = 10;
const TOGETHER: usize = 11;

pub(crate) fn run(histories: &[History], arguments: &Arguments) -> io::Result<()> {
    if histories.is_empty() {
        return Ok(());
    }
    let mut out = io::stdout().lock();
    let delayed: Vec<Latency> = (0..arguments.n_seeds)
        .map(|seed| Latency::Lognormal {
            sigma: arguments.sigma,
            seed,
        })
        .collect();
    writeln!(
        out,
        "Labels: a bug after a lognormal delay with median 180 d and sigma {}, clean after 90 d; seeds: {}.\n\
         Scores of the moment a commit landed. Pooled: all from day 180 on; newest: the newest fifth.\n",
        arguments.sigma, arguments.n_seeds
    )?;
    let (methods, last) = evaluate(histories, &delayed, &NAMES);
    table(&mut out, histories, &methods)?;
    weights(&mut out, &last)?;
    writeln!(
        out,
        "\nEvery label known at once, as where a model is fitted on the oldest commits and judged on the newest:\n"
    )?;
    let (methods, _) = evaluate(histories, &[Latency::None], &NAMES[..ALONE]);
    table(&mut out, histories, &methods)?;
    if arguments.is_test {
        check(&methods)?;
    }
    Ok(())
}

/// What a synthetic history must show: that incidents taught what other projects could not.
fn check(methods: &[Method]) -> io::Result<()> {
    let newest = |method: &Method| method.figures[0][0].newest_auc;
    let (cold, learned) = (newest(&methods[COLD_START]), newest(&methods[HOLDPOINT]));
    if learned < cold + 0.05 {
        return Err(io::Error::other(format!(
            "nothing was learned: {learned:.3} after {cold:.3}"
        )));
    }
    Ok(())
}

/// The methods named, on each draw of delays; and what was learned in the last.
fn evaluate(histories: &[History], latencies: &[Latency], names: &[&'static str]) -> (Vec<Method>, Run) {
    let mut methods: Vec<Method> = names
        .iter()
        .map(|name| Method {
            name,
            figures: vec![Vec::new(); histories.len()],
        })
        .collect();
    let together: Vec<&History> = histories.iter().collect();
    let mut last = holdpoint::run(&[], None, 1);
    for latency in latencies {
        let all: Vec<Reveals> = histories.iter().map(|history| reveals(history, *latency)).collect();
        for (place, history) in histories.iter().enumerate() {
            let own = std::slice::from_ref(&all[place]);
            let known = Known {
                history,
                reveals: &all[place],
                clean_after: latency.clean_after(),
            };
            for (method, ranked) in methods.iter_mut().zip(ranked(&known, own, names.len())) {
                method.figures[place].push(judged(&ranked, history, &all[place]));
            }
        }
        if let Some(method) = methods.get_mut(TOGETHER) {
            last = holdpoint::run(&together, Some(&all), 1);
            for (place, history) in histories.iter().enumerate() {
                let ranked = Ranked::gating(last.scores[place].clone(), last.gated[place].clone());
                method.figures[place].push(judged(&ranked, history, &all[place]));
            }
        }
    }
    (methods, last)
}

/// What a method makes of the commits of a project.
struct Ranked {
    scores: Vec<f64>,
    /// 1 for those that it sent to review; none of a method that sends none.
    gated: Vec<f64>,
}

impl Ranked {
    fn by(scores: Vec<f64>) -> Self {
        Self::gating(scores, Vec::new())
    }

    fn gating(scores: Vec<f64>, gated: Vec<f64>) -> Self {
        Self { scores, gated }
    }
}

/// By the methods that see one project alone, in the order of [`NAMES`].
fn ranked(known: &Known<'_>, own: &[Reveals], n_methods: usize) -> Vec<Ranked> {
    let run = |reveals, n_services| holdpoint::run(&[known.history], reveals, n_services);
    let cold = run(None, 1).at_reference.remove(0);
    let logistic = prequential(known, LOGISTIC_EVERY_DAYS, cold.clone(), logistic::fit);
    // Its scores are logits.
    let boosting = prequential(known, BOOSTING_EVERY_DAYS, ensemble::logits(&cold), boosting::fit);
    let commits = known.history.commits.iter();
    let lines: Vec<f64> = commits.map(|commit| commit.measures[LINES_ADDED].ln_1p()).collect();
    let mut whole = run(Some(own), 1);
    let at_reference = whole.at_reference.remove(0);
    let [cold_logits, logistic_logits, own_logits] =
        [&cold, &logistic, &at_reference].map(|scores| ensemble::logits(scores));
    let online = ensemble::logistic(known, &cold_logits);
    let members: [&[f64]; 5] = [&lines, &cold_logits, &logistic_logits, &boosting, &online];
    let fixed_share = ensemble::fixed_share(known, &members);
    let stack = ensemble::stack(known, &members);
    let on_top = ensemble::stack_on(&own_logits, known, &members);
    let mut ranked: Vec<Ranked> = [lines, cold, logistic, boosting, online, fixed_share, stack]
        .map(Ranked::by)
        .into();
    ranked.push(Ranked::gating(whole.scores.remove(0), whole.gated.remove(0)));
    ranked.extend([at_reference, on_top].map(Ranked::by));
    if n_methods > ALONE {
        let mut cut = run(Some(own), SERVICES);
        ranked.push(Ranked::gating(cut.scores.remove(0), cut.gated.remove(0)));
    }
    ranked
}

fn judged(ranked: &Ranked, history: &History, reveals: &Reveals) -> Figures {
    let commits = &history.commits;
    let is_buggy: Vec<bool> = commits.iter().map(|commit| commit.is_buggy).collect();
    let at: Vec<i64> = commits.iter().map(|commit| commit.at).collect();
    Figures {
        calibration: calibration(&ranked.scores, &at, reveals),
        gated: shares(&ranked.gated, &is_buggy),
        ..figures(&ranked.scores, &is_buggy, &at)
    }
}

pub(crate) fn calibration(scores: &[f64], at: &[i64], reveals: &Reveals) -> f64 {
    let end = at.last().copied().unwrap_or(0) - HORIZON;
    let places = scores.len() - scores.len() / 5..at.partition_point(|at| *at <= end);
    let within = |place: &usize| reveals[*place].is_some_and(|revealed| revealed <= at[*place] + HORIZON);
    let expected: f64 = places.clone().map(|place| scores[place]).sum();
    expected / crate::figures::number(places.filter(within).count()).max(1.0)
}

fn table(out: &mut impl Write, histories: &[History], methods: &[Method]) -> io::Result<()> {
    writeln!(
        out,
        "| project | method | pooled AUC | recall at 10 % | newest AUC | recall at 5 / 10 / 20 / 50 % | expected/seen \
         | reviewed: all / buggy |"
    )?;
    writeln!(out, "| --- | --- | ---: | ---: | ---: | --- | ---: | --- |")?;
    for (place, history) in histories.iter().enumerate() {
        for method in methods {
            row(out, &history.project, method.name, mean(&method.figures[place]))?;
        }
    }
    if histories.len() > 1 {
        for method in methods {
            let all: Vec<Figures> = method.figures.iter().map(|figures| mean(figures)).collect();
            row(out, "mean", method.name, mean(&all))?;
        }
    }
    Ok(())
}

fn row(out: &mut impl Write, project: &str, name: &str, figures: Figures) -> io::Result<()> {
    let [five, ten, twenty, fifty] = figures.newest_recalls;
    let [all, buggy] = figures.gated;
    let (calibration, gated) = if all > 0.0 {
        (format!("{:.2}", figures.calibration), format!("{all:.3} {buggy:.3}"))
    } else {
        ("–".to_owned(), "–".to_owned())
    };
    writeln!(
        out,
        "| {project} | {name} | {:.4} | {:.4} | {:.4} | {five:.3} {ten:.3} {twenty:.3} {fifty:.3} | {calibration} | {gated} |",
        figures.pooled_auc, figures.pooled_recall, figures.newest_auc,
    )
}

fn weights(out: &mut impl Write, run: &Run) -> io::Result<()> {
    writeln!(
        out,
        "\nWeights of the last fleet after {} verdicts, with 95 % intervals (a change here tells neither AI nor level):\n",
        run.n_verdicts
    )?;
    for learned in &run.learned {
        writeln!(
            out,
            "{:26} {:7.3}  [{:.3}, {:.3}]{}",
            learned.feature,
            learned.weight,
            learned.low,
            learned.high,
            if learned.is_scored {
                ""
            } else {
                "  reported, not scored"
            }
        )?;
    }
    Ok(())
}
