//! The capture curve: of the changes that caused incidents, how many are among the riskiest.

use super::{
    Side,
    html::{Page, add, share, table, whole},
    tiers,
};
use crate::replay::{
    capture::{Curve, SHARES},
    summary::Captured,
    text::{causes, unknown_causes},
};

/// Inside of the axes, in the units of the drawing.
const LEFT: f64 = 46.0;
const TOP: f64 = 14.0;
const SIZE: f64 = 300.0;
const STEPS: u32 = 100;

pub(super) fn write(page: &mut Page, a: &Side<'_>, b: Option<&Side<'_>>) {
    let summary = a.summary;
    add!(
        page,
        "<section>\n<h2>Were the changes that caused incidents among the riskiest?</h2>\n"
    );
    let capture = &summary.capture;
    if capture.n_known() == 0 {
        add!(page, "<p>Not known: {}.</p>\n</section>\n", unknown_causes(capture));
        return;
    }
    add!(
        page,
        "<p>Incidents and reverts name {} of this history as their cause. Reading the riskiest tenth of all \
         changes would have met the share of them shown at 10 %.",
        causes(capture.commits_known, capture.deploys_known)
    );
    if capture.deploys_known > 0 {
        add!(
            page,
            " A deploy stands where the riskiest of its commits does, and is met by chance the oftener the more it has."
        );
    }
    add!(page, "</p>\n<div class=\"pair\">\n");
    let curve_a = a.replay.tally().capture.curve(None);
    let curve_b = b.map(|b| b.replay.tally().capture.curve(None));
    draw(page, &curve_a, curve_b.as_ref());
    let heads = ["riskiest", "captured", "captured by B"];
    let rows = marks(&capture.riskiest, b.map(|b| &*b.summary.capture.riskiest));
    add!(page, "<div>");
    table(
        page,
        "Captured, with 95 % interval",
        &heads[..if b.is_some() { 3 } else { 2 }],
        &rows,
    );
    let rows: Vec<Vec<String>> = tiers(summary, b.map(|b| b.summary))
        .into_iter()
        .filter(|(_, tier)| tier.commits_known + tier.deploys_known > 0)
        .map(|(name, tier)| {
            let captured = tier.riskiest.get(1).and_then(|mark| mark.interval.as_ref());
            let n_known = tier.commits_known + tier.deploys_known;
            vec![name, whole(n_known), share(captured)]
        })
        .collect();
    // One tier is what all are.
    if rows.len() > if b.is_some() { 2 } else { 1 } {
        table(
            page,
            "The riskiest 10 % of each tier",
            &["tier", "causes named", "captured"],
            &rows,
        );
    }
    add!(page, "</div></div>\n</section>\n");
}

fn marks(a: &[Captured], b: Option<&[Captured]>) -> Vec<Vec<String>> {
    let row = |(place, mark): (usize, &Captured)| {
        let mut row = vec![format!("{:.0} %", mark.share * 100.0), share(mark.interval.as_ref())];
        if let Some(b) = b {
            row.push(share(b.get(place).and_then(|mark| mark.interval.as_ref())));
        }
        row
    };
    a.iter().enumerate().map(row).collect()
}

fn x(share: f64) -> f64 {
    LEFT + share * SIZE
}

fn y(captured: f64) -> f64 {
    TOP + (1.0 - captured) * SIZE
}

fn draw(page: &mut Page, a: &Curve, b: Option<&Curve>) {
    add!(
        page,
        "<figure><svg viewBox=\"0 0 372 366\" role=\"img\" aria-labelledby=\"capture-title\"><title id=\"capture-title\">\
         Share of guilty changes captured against share of changes looked at, riskiest first; the table has the figures\
         </title>\n"
    );
    axes(page);
    add!(
        page,
        "<path class=\"chance\" d=\"M{:.1} {:.1}L{:.1} {:.1}\"/>\n",
        x(0.0),
        y(0.0),
        x(1.0),
        y(1.0)
    );
    if let Some(b) = b {
        line(page, b, "curve-b");
        dots(page, b, "dot-b");
    }
    line(page, a, "curve-a");
    for mark in a.marks() {
        let Some(interval) = mark.interval else { continue };
        let at = x(mark.share);
        add!(
            page,
            "<path class=\"whisker\" d=\"M{at:.1} {:.1}V{:.1}\"/>",
            y(interval.low),
            y(interval.high)
        );
    }
    dots(page, a, "dot-a");
    for mark in a.marks() {
        let captured = mark.captured.unwrap_or(0.0);
        add!(
            page,
            "<text class=\"strong\" x=\"{:.1}\" y=\"{:.1}\">{:.0} %</text>",
            x(mark.share) + 9.0,
            (y(captured) + 14.0).min(TOP + SIZE - 4.0),
            captured * 100.0
        );
    }
    add!(
        page,
        "\n<text class=\"mid\" x=\"{:.0}\" y=\"{:.0}\">% of changes looked at, riskiest first</text>\n\
         <text class=\"mid\" transform=\"translate(12 {:.0}) rotate(-90)\">% of guilty changes captured</text></svg>\n",
        LEFT + SIZE / 2.0,
        TOP + SIZE + 40.0,
        TOP + SIZE / 2.0
    );
    add!(
        page,
        "<figcaption>Dotted: choosing at random. Whiskers: 95 % intervals."
    );
    if b.is_some() {
        add!(page, " Solid blue: policy A. Dashed orange: policy B.");
    }
    add!(page, "</figcaption></figure>\n");
}

fn axes(page: &mut Page) {
    for percent in [0_u32, 20, 40, 60, 80, 100] {
        let at = f64::from(percent) / 100.0;
        add!(
            page,
            "<path class=\"grid\" d=\"M{LEFT:.0} {1:.1}H{2:.0}M{0:.1} {TOP:.0}V{3:.0}\"/><text class=\"end\" x=\"{4:.0}\" \
             y=\"{5:.1}\">{percent}</text><text class=\"mid\" x=\"{0:.1}\" y=\"{6:.0}\">{percent}</text>\n",
            x(at),
            y(at),
            LEFT + SIZE,
            TOP + SIZE,
            LEFT - 8.0,
            y(at) + 4.0,
            TOP + SIZE + 18.0
        );
    }
}

fn line(page: &mut Page, curve: &Curve, class: &str) {
    add!(page, "<path class=\"{class}\" d=\"");
    for step in 0..=STEPS {
        let share = f64::from(step) / f64::from(STEPS);
        let command = if step == 0 { 'M' } else { 'L' };
        add!(
            page,
            "{command}{:.1} {:.1}",
            x(share),
            y(curve.captured(share).unwrap_or(0.0))
        );
    }
    add!(page, "\"/>\n");
}

fn dots(page: &mut Page, curve: &Curve, class: &str) {
    for share in SHARES {
        if let Some(captured) = curve.captured(share) {
            add!(
                page,
                "<circle class=\"{class}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"5\"/>",
                x(share),
                y(captured)
            );
        }
    }
}
