//! The table: each figure beside what is aimed at.

use crate::{
    arguments::Arguments,
    figures::{Figures, Recall},
    interval::{Median, Share, poisson_upper},
    judge::{Judged, RATIO_MAX},
    oracle::ALPHA,
};

pub(crate) fn print(arguments: &Arguments, judged: &[Judged], figures: &Figures) {
    let seeds: Vec<u64> = judged.iter().map(|judged| judged.seed).collect();
    let (first, last) = (seeds.first().copied().unwrap_or(0), seeds.last().copied().unwrap_or(0));
    say(&format!(
        "family {}, seeds {first} to {last}, {} days each: {} events, {:.0} service-weeks, {} healthy deploys",
        arguments.family.name, arguments.days, figures.n_lines, figures.weeks, figures.n_healthy
    ));
    say(&format!(
        "oracle: sequential probability ratio test at α = {ALPHA}, from the true onset\n"
    ));
    say(&format!(
        "{:<58} {:>8} {:>17}  {:<12} {}",
        "", "figure", "95 % interval", "aimed at", "met"
    ));
    print_freezes(figures);
    print_recalls(figures);
    print_delays(figures);
    print_blame(figures);
}

fn print_freezes(figures: &Figures) {
    let per = 100.0 / f64::from(figures.n_healthy.max(1));
    let (rate, upper) = (f64::from(figures.n_false) * per, poisson_upper(figures.n_false) * per);
    row(
        "false freezes per 100 healthy deploys",
        &figure(rate),
        "",
        "≤ .5",
        Some(rate <= 0.5),
    );
    row("… upper 95 % bound", &figure(upper), "", "≤ 1", Some(upper <= 1.0));
    share(
        "precision: the failing service itself, of all freezes",
        figures.precision,
        Some((0.97, "≥ .97")),
    );
    share(
        "… of freezes, the service failed for any cause",
        figures.truly_failing,
        None,
    );
    say(&format!(
        "  {} freezes by errors: {} for a bad deploy of its own, {} for an outage of its own, {} innocent, {} false",
        figures.n_freezes, figures.n_own, figures.n_own_outages, figures.n_innocent, figures.n_false
    ));
    let weeks = figures.weeks.max(1e-9);
    say(&format!(
        "  hours held per service-week: {:.2}, of which innocent or false {:.2}",
        figures.held_hours / weeks,
        figures.held_hours_wrong / weeks
    ));
    let reviews = figures.reviews.iter().map(|(code, reviewed)| {
        let [all, for_nothing] = [reviewed.hours, reviewed.hours_for_nothing].map(|hours| hours / weeks);
        format!("{code} {all:.2} ({for_nothing:.2})")
    });
    let reviews: Vec<String> = reviews.collect();
    say(&format!(
        "  hours of extra review per service-week (while nothing raised errors): {}\n",
        reviews.join(", ")
    ));
}

fn print_recalls(figures: &Figures) {
    for recall in &figures.recalls {
        let aim = match (recall.from, recall.until) {
            (5.0, _) => Some((0.97, "≥ .97")),
            (3.0, f64::INFINITY) => Some((0.88, "≥ .88")),
            _ => None,
        };
        let range = range_of(recall);
        share(
            &format!("recall {range}, of what the oracle saw"),
            Some(recall.share),
            aim,
        );
        if recall.share.of > recall.burning.of {
            share(
                "… without those that burn too little, by the policy",
                Some(recall.burning),
                None,
            );
        }
        share(
            &format!("… of those that last {RATIO_MAX} times as long as it needs"),
            Some(recall.timely),
            None,
        );
        share("… of one who knows what is usual", Some(recall.to_be_found), None);
        share("… and keeps the margin", Some(recall.beyond_margin), None);
        share("… of services that tell requests", Some(recall.by_requests), None);
        share(
            "… of one who knows what is usual and keeps the margin",
            Some(recall.by_requests_beyond_margin),
            None,
        );
        let Recall {
            n_faults,
            n_after_watch,
            n_unseen,
            n_held,
            n_withheld,
            n_reviewed,
            ..
        } = recall;
        say(&format!(
            "  of {n_faults}: {n_after_watch} began after the watch, {n_unseen} unseen by the oracle, {n_held} held before; \
             withheld by the limiter {n_withheld}, extra review only {n_reviewed}"
        ));
    }
    say("");
}

fn range_of(recall: &Recall) -> String {
    if recall.until.is_finite() {
        format!("{} to {} ×", recall.from, recall.until)
    } else {
        format!("≥ {} ×", recall.from)
    }
}

fn print_delays(figures: &Figures) {
    median(
        "delay at 5 ×, ≥ 10 errors a minute, k ≥ 5 (minutes)",
        figures.delay_frequent,
        Some((5.0, "≤ 5")),
    );
    median("… of producers of at most 60 s", figures.delay_frequent_fine, None);
    median(
        "… k ≥ 5, the rate's drift included",
        figures.delay_frequent_steady,
        None,
    );
    median(
        "delay at 5 ×, about 1 error a minute, k ≥ 3 (minutes)",
        figures.delay_rare,
        Some((20.0, "≤ 20")),
    );
    median("delay of all that was found (minutes)", figures.delay_all, None);
    median("… the oracle's of the same (minutes)", figures.oracle_delay, None);
    median(
        "ratio to the oracle's delay",
        figures.ratio,
        Some((f64::from(RATIO_MAX), "≤ 4")),
    );
    say("");
}

fn print_blame(figures: &Figures) {
    share(
        "blame hit@1 with overlapping deploys",
        figures.blame_overlapping,
        Some((0.85, "≥ .85")),
    );
    share("… of rises to three times and more", figures.blame_large, None);
    share("… of one who knows where and when it began", figures.blame_known, None);
    share("… of one who knows where, and all but when", figures.blame_dated, None);
    for (name, hits) in &figures.blames {
        share(&format!("… {name}"), Some(*hits), None);
    }
    say("");
}

fn share(name: &str, share: Option<Share>, aim: Option<(f64, &str)>) {
    let Some((found, (value, (low, high)))) =
        share.and_then(|share| Some((share, share.value().zip(share.interval())?)))
    else {
        row(name, "–", "no case", aim.map_or("", |(_, text)| text), None);
        return;
    };
    let name = format!("{name} ({}/{})", found.hits, found.of);
    let interval = format!("{low:.3} to {high:.3}");
    row(
        &name,
        &format!("{value:.3}"),
        &interval,
        aim.map_or("", |(_, text)| text),
        aim.map(|(aim, _)| value >= aim),
    );
}

fn median(name: &str, median: Option<Median>, aim: Option<(f64, &str)>) {
    let Some(Median { value, low, high, n }) = median else {
        row(name, "–", "no case", aim.map_or("", |(_, text)| text), None);
        return;
    };
    let interval = format!("{} to {}", figure(low), figure(high));
    let met = aim.map(|(aim, _)| value <= aim);
    row(
        &format!("{name} (n {n})"),
        &figure(value),
        &interval,
        aim.map_or("", |(_, text)| text),
        met,
    );
}

fn figure(value: f64) -> String {
    format!("{value:.2}")
}

fn row(name: &str, value: &str, interval: &str, aim: &str, met: Option<bool>) {
    let met = match met {
        Some(true) => "yes",
        Some(false) => "NO",
        None => "",
    };
    say(&format!("{name:<58} {value:>8} {interval:>17}  {aim:<12} {met}"));
}

#[expect(clippy::print_stdout, reason = "the table is what it is for")]
pub(crate) fn say(line: &str) {
    println!("{line}");
}
