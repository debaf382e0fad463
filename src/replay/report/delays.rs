//! How long it took from a deploy to its alarm.

use super::{
    Side,
    html::{Page, add, minutes, table, whole},
    tiers,
};
use crate::replay::summary::{count, number};

/// Bins by the minutes that they end before; the last holds the rest.
const BINS: [(&str, u64); 9] = [
    ("< 2", 2),
    ("2 – 5", 5),
    ("5 – 10", 10),
    ("10 – 15", 15),
    ("15 – 20", 20),
    ("20 – 30", 30),
    ("30 – 60", 60),
    ("60 – 120", 120),
    ("≥ 120", u64::MAX),
];
const HEIGHT: f64 = 150.0;
const LEFT: f64 = 8.0;
const STEP: f64 = 58.0;

pub(super) fn write(page: &mut Page, a: &Side<'_>, b: Option<&Side<'_>>) {
    add!(
        page,
        "<section>\n<h2>How soon after a deploy did the alarm come?</h2>\n"
    );
    let delays = a.replay.tally().detection.delays(None);
    let delays_of_b = b.map(|b| b.replay.tally().detection.delays(None));
    if delays.is_empty() && delays_of_b.as_ref().is_none_or(Vec::is_empty) {
        add!(page, "<p>No deploy of this history raised an alarm.</p>\n</section>\n");
        return;
    }
    add!(
        page,
        "<p>From the first status of a deploy to the alarm of its watch: {} deploys. A fault that shows itself late is \
         found late.</p>\n",
        whole(count(delays.len()))
    );
    add!(page, "<div class=\"pair\">\n");
    let (binned, binned_of_b) = (bins(&delays), delays_of_b.as_deref().map(bins));
    draw(page, &binned, binned_of_b.as_ref());
    let row = |(place, (name, _)): (usize, &(&str, u64))| {
        let mut row = vec![format!("{} min", name.replace('<', "&lt;")), whole(binned[place])];
        row.extend(binned_of_b.map(|of_b| whole(of_b[place])));
        row
    };
    let rows: Vec<Vec<String>> = BINS.iter().enumerate().map(row).collect();
    let heads = ["delay", "alarms", "alarms of B"];
    table(
        page,
        "Alarms by delay",
        &heads[..if b.is_some() { 3 } else { 2 }],
        &rows,
    );
    add!(page, "</div>\n");
    let tiers = tiers(a.summary, b.map(|b| b.summary)).into_iter();
    let rows: Vec<Vec<String>> = tiers
        .map(|(name, tier)| {
            let delay = tier.alarm_after_seconds;
            vec![
                name,
                whole(tier.watched),
                whole(delay.map_or(0, |delay| delay.n)),
                minutes(delay.map(|delay| delay.p50)),
                minutes(delay.map(|delay| delay.p90)),
                minutes(delay.map(|delay| delay.max)),
            ]
        })
        .collect();
    let heads = ["tier", "deploys watched", "alarms", "median", "nine in ten", "longest"];
    table(page, "Delay by tier of the service", &heads, &rows);
    add!(page, "</section>\n");
}

fn bins(delays: &[u64]) -> [u64; BINS.len()] {
    let mut bins = [0; BINS.len()];
    for delay in delays {
        let place = BINS.iter().position(|(_, end)| delay / 60 < *end);
        bins[place.unwrap_or(BINS.len() - 1)] += 1;
    }
    bins
}

fn draw(page: &mut Page, a: &[u64; BINS.len()], b: Option<&[u64; BINS.len()]>) {
    let greatest = a
        .iter()
        .chain(b.into_iter().flatten())
        .copied()
        .max()
        .unwrap_or(0)
        .max(1);
    let scale = HEIGHT / number(greatest);
    add!(
        page,
        "<figure><svg viewBox=\"0 0 540 214\" role=\"img\" aria-labelledby=\"delay-title\"><title id=\"delay-title\">Number \
         of alarms by minutes since the deploy; the table has the figures</title>\n<path class=\"grid\" d=\"M0 {0:.0}H540\"/>\n",
        HEIGHT + 22.0
    );
    for (place, (name, _)) in BINS.iter().enumerate() {
        let left = number(count(place)).mul_add(STEP, LEFT);
        let width = if b.is_some() { 21.0 } else { 44.0 };
        bar(page, "bar-a", (left, width), (a[place], scale));
        if let Some(b) = b {
            bar(page, "bar-b", (left + 23.0, width), (b[place], scale));
        }
        add!(
            page,
            "<text class=\"mid\" x=\"{:.0}\" y=\"{:.0}\">{}</text>\n",
            left + 22.0,
            HEIGHT + 40.0,
            name.replace('<', "&lt;")
        );
    }
    add!(
        page,
        "<text class=\"mid\" x=\"270\" y=\"{:.0}\">minutes from deploy to alarm</text></svg>",
        HEIGHT + 62.0
    );
    let key = if b.is_some() {
        "Blue: policy A. Orange: policy B."
    } else {
        ""
    };
    add!(page, "<figcaption>{key}</figcaption></figure>\n");
}

fn bar(page: &mut Page, class: &str, (left, width): (f64, f64), (n, scale): (u64, f64)) {
    if n == 0 {
        return;
    }
    let height = number(n) * scale;
    let top = HEIGHT + 22.0 - height;
    add!(
        page,
        "<rect class=\"{class}\" x=\"{left:.0}\" y=\"{top:.1}\" width=\"{width:.0}\" height=\"{height:.1}\" rx=\"2\"/>\
         <text class=\"mid strong\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
        left + width / 2.0,
        top - 5.0,
        whole(n)
    );
}
