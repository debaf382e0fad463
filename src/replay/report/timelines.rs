//! What happened around each freeze, drawn.

use super::html::{Escaped, NONE, Page, add, instant, length, table, whole, words};
use crate::{
    model::{Mode, Suspect, Timestamp},
    replay::{
        chronicle::{Mark, MarkKind, Timeline},
        drive::Replay,
        holding::OVERRIDE,
        summary::{count, number},
    },
};

/// Timelines drawn; of the others so many are listed, and the page says how many are left out.
const DRAWN_MAX: usize = 24;
const LISTED_MAX: usize = 1_000;
const DRAWN_MAX_ONLY_B: usize = 8;
/// Width of the drawing, and height of its part for errors.
const WIDTH: f64 = 900.0;
const LEFT: f64 = 44.0;
const HEIGHT: f64 = 120.0;
/// Where errors begin from above, below the lane of marks.
const TOP: f64 = 34.0;

pub(super) fn write(page: &mut Page, replay: &Replay) {
    let Some(chronicle) = &replay.tally().chronicle else {
        return;
    };
    let timelines = chronicle.ranked(|_| true);
    add!(page, "<section>\n<h2>Each freeze</h2>\n");
    if timelines.is_empty() {
        add!(page, "<p>No service was frozen.</p>\n</section>\n");
        return;
    }
    let (drawn, others) = timelines.split_at(timelines.len().min(DRAWN_MAX));
    let n = chronicle.n_freezes();
    let n_others = n.saturating_sub(count(drawn.len()));
    if n_others > 0 {
        add!(
            page,
            "<p>{} of {} freezes are drawn, and the others listed below them: those that nothing bore out come first, then \
             those of the tiers that matter most, then the earliest; windows of the policy and people's words come last.</p>\n",
            whole(count(drawn.len())),
            whole(n)
        );
    } else {
        add!(page, "<p>Those that nothing bore out come first.</p>\n");
    }
    key(page);
    for (place, timeline) in drawn.iter().enumerate() {
        freeze(page, &format!("freeze-{place}"), timeline);
    }
    list(page, others, n_others);
    add!(page, "</section>\n");
}

/// Freezes that are not drawn, of `n` as many as are kept and have room.
fn list(page: &mut Page, timelines: &[&Timeline], n: u64) {
    if n == 0 {
        return;
    }
    let row = |timeline: &&Timeline| {
        let fate = match timeline.borne_out {
            Some(true) => "borne out",
            Some(false) => "<span class=\"flag\">not borne out</span>",
            None => of_ground(&timeline.ground),
        };
        vec![
            format!(
                "{} @ {}",
                Escaped(timeline.service.as_str()),
                Escaped(timeline.environment.as_str())
            ),
            instant(timeline.began),
            instant(timeline.ended_at()),
            timeline
                .suspects
                .first()
                .map_or_else(|| NONE.to_owned(), |first| suspect(first, timeline)),
            fate.to_owned(),
        ]
    };
    let rows: Vec<Vec<String>> = timelines.iter().take(LISTED_MAX).map(row).collect();
    let heads = ["service", "from", "to", "put down to", "borne out"];
    if !rows.is_empty() {
        table(page, "Freezes that are not drawn", &heads, &rows);
    }
    let n_left = n.saturating_sub(count(rows.len()));
    if n_left > 0 {
        add!(
            page,
            "<p class=\"soft\">{} more are left out; <code>--decisions</code> has all of them.</p>\n",
            whole(n_left)
        );
    }
}

/// Freezes of `b` at which `a` did not freeze the same service.
pub(super) fn write_only_b(page: &mut Page, a: &Replay, b: &Replay) {
    let Some(chronicle) = &b.tally().chronicle else { return };
    let held_by_a = a.held_totals();
    let is_only_b = |timeline: &Timeline| {
        if timeline.is_told() {
            return false;
        }
        let key = (timeline.service.clone(), timeline.environment.clone());
        let mut spans = held_by_a.get(&key).into_iter().flat_map(|total| &total.freezes);
        !spans.any(|(from, to)| *from < timeline.stood_until() && timeline.began < *to)
    };
    let timelines = chronicle.ranked(is_only_b);
    if timelines.is_empty() {
        return;
    }
    add!(
        page,
        "<section>\n<h2>Freezes that only B begins</h2>\n<p>The first of them are drawn, at most {DRAWN_MAX_ONLY_B}.</p>\n"
    );
    let (drawn, others) = timelines.split_at(timelines.len().min(DRAWN_MAX_ONLY_B));
    for (place, timeline) in drawn.iter().enumerate() {
        freeze(page, &format!("freeze-b-{place}"), timeline);
    }
    list(page, others, count(others.len()));
    add!(page, "</section>\n");
}

fn key(page: &mut Page) {
    add!(page, "<ul class=\"key\">");
    let line = "<path class=\"usual\" d=\"M0 6H22\"/>";
    let entries: [(&str, &str); 8] = [
        (
            "<path class=\"errors\" d=\"M0 12V7L6 8L12 2L22 5V12Z\"/>",
            "errors a minute",
        ),
        (line, "usual, before the deploy"),
        (
            "<rect class=\"band\" width=\"22\" height=\"12\"/><path class=\"edge\" d=\"M1 0V12\"/>",
            "frozen",
        ),
        ("<path class=\"deploy\" d=\"M11 1L17 11H5Z\"/>", "deploy"),
        ("<path class=\"back\" d=\"M11 11L17 1H5Z\"/>", "taken back"),
        ("<path class=\"incident\" d=\"M11 0L17 6L11 12L5 6Z\"/>", "incident"),
        ("<path class=\"resolved\" d=\"M11 1L16 6L11 11L6 6Z\"/>", "resolved"),
        ("<circle class=\"word\" cx=\"11\" cy=\"6\" r=\"5\"/>", "a person's word"),
    ];
    for (drawing, text) in entries {
        add!(
            page,
            "<li><svg viewBox=\"0 0 22 12\" aria-hidden=\"true\">{drawing}</svg>{text}</li>"
        );
    }
    add!(page, "</ul>\n");
}

/// What froze it that no incident and no deploy taken back is asked to bear out.
fn of_ground(ground: &str) -> &'static str {
    match ground {
        OVERRIDE => "by a person",
        "incident" => "by an incident",
        "slo_burn" => "because its error budget burned",
        "slo_budget_spent" => "because its error budget was spent",
        "dependents_regressed" => "because what depends on it alarmed",
        _ if ground.starts_with("policy:") => "by a window of the policy",
        _ => "not by the evidence of a deploy",
    }
}

fn freeze(page: &mut Page, id: &str, timeline: &Timeline) {
    let fate = match timeline.borne_out {
        Some(true) => "<span class=\"good\">borne out</span> by an incident or a deploy taken back",
        Some(false) => "<span class=\"flag\">not borne out</span> by any incident or deploy taken back",
        None => of_ground(&timeline.ground),
    };
    let mode = match timeline.mode {
        _ if *timeline.ground == *OVERRIDE => "in any mode",
        Mode::Enforce => "enforced",
        Mode::Shadow => "in shadow: nothing was blocked",
    };
    add!(
        page,
        "<article class=\"freeze\"><h3>{} @ {}</h3>\n<p>{} tier · frozen {} for {}, {mode} · lifted: {} · {fate}</p>\n<p>{}",
        Escaped(timeline.service.as_str()),
        Escaped(timeline.environment.as_str()),
        timeline.tier.name(),
        instant(timeline.began),
        length(timeline.lasted()),
        timeline.lifted_by(),
        Escaped(&timeline.text)
    );
    for (name, figure) in timeline
        .figures
        .iter()
        .filter(|(name, _)| *name != "deploy_id" && *name != "incident_id")
    {
        add!(page, " · {} {}", words(name), Escaped(figure));
    }
    add!(page, "</p>\n");
    suspects(page, timeline);
    draw(page, id, timeline);
    as_table(page, timeline);
    add!(page, "</article>\n");
}

fn suspects(page: &mut Page, timeline: &Timeline) {
    if timeline.suspects.is_empty() {
        return;
    }
    add!(page, "<p>Put down to ");
    for (place, of) in timeline.suspects.iter().enumerate() {
        let separator = if place == 0 { "" } else { ", " };
        add!(page, "{separator}{}", suspect(of, timeline));
    }
    add!(page, "</p>\n");
}

/// A deploy that it is put down to, and with what probability.
fn suspect(suspect: &Suspect, timeline: &Timeline) -> String {
    let is_own = suspect.service == timeline.service;
    let whose = if is_own {
        String::new()
    } else {
        format!(" of {}", Escaped(suspect.service.as_str()))
    };
    let probability = suspect.probability.value() * 100.0;
    match &suspect.deploy_id {
        Some(deploy_id) => format!("{}{whose} ({probability:.0} %)", Escaped(deploy_id)),
        None => format!("none of the deploys{whose} ({probability:.0} %)"),
    }
}

/// The stretch of time that is drawn.
struct Stretch {
    from: Timestamp,
    minutes: f64,
}

impl Stretch {
    fn of(timeline: &Timeline) -> Self {
        let drawn = timeline.ended_at() + crate::replay::chronicle::AFTER;
        let kept = number(count(timeline.errors.len()));
        let minutes = drawn.since(timeline.from).as_secs_f64() / 60.0;
        let minutes = if kept > 0.0 { minutes.min(kept) } else { minutes };
        Self {
            from: timeline.from,
            minutes: minutes.max(1.0),
        }
    }

    fn x(&self, at: Timestamp) -> f64 {
        let minutes = at.since(self.from).as_secs_f64() / 60.0;
        LEFT + (minutes / self.minutes).min(1.0) * (WIDTH - LEFT)
    }
}

fn draw(page: &mut Page, id: &str, timeline: &Timeline) {
    let stretch = Stretch::of(timeline);
    let greatest = timeline.errors.iter().copied().fold(1.0_f32, f32::max);
    let usual = timeline.usual();
    let ceiling = f64::from(greatest.max(usual.unwrap_or(0.0))) * 1.08;
    let y = |errors: f32| TOP + HEIGHT - f64::from(errors) / ceiling * HEIGHT;
    add!(
        page,
        "<figure><svg viewBox=\"0 0 {WIDTH:.0} {0:.0}\" role=\"img\" aria-labelledby=\"{id}\"><title \
         id=\"{id}\">Errors a minute around this freeze, with deploys and incidents; the table has the figures\
         </title>\n",
        TOP + HEIGHT + 24.0
    );
    let (begins, ends) = (stretch.x(timeline.began), stretch.x(timeline.ended_at()));
    add!(
        page,
        "<rect class=\"band\" x=\"{begins:.1}\" y=\"{TOP:.0}\" width=\"{:.1}\" height=\"{HEIGHT:.0}\"/>\
         <path class=\"edge\" d=\"M{begins:.1} {TOP:.0}V{:.0}M{ends:.1} {TOP:.0}V{:.0}\"/>\n",
        (ends - begins).max(1.0),
        TOP + HEIGHT,
        TOP + HEIGHT
    );
    if timeline.errors.is_empty() {
        add!(
            page,
            "<text x=\"{:.0}\" y=\"{:.0}\">errors were not kept</text>\n",
            LEFT + 8.0,
            TOP + 20.0
        );
    } else {
        let step = (WIDTH - LEFT) / stretch.minutes;
        add!(page, "<path class=\"errors\" d=\"M{LEFT:.0} {:.0}", TOP + HEIGHT);
        let n = count(timeline.errors.len());
        for (minute, errors) in (0..n).zip(&timeline.errors) {
            let right = (number(minute + 1).mul_add(step, LEFT)).min(WIDTH);
            add!(page, "V{:.1}H{right:.1}", y(*errors));
        }
        add!(page, "V{:.0}Z\"/>\n", TOP + HEIGHT);
    }
    if let Some(usual) = usual {
        add!(
            page,
            "<path class=\"usual\" d=\"M{LEFT:.0} {:.1}H{WIDTH:.0}\"/>\n",
            y(usual)
        );
    }
    axes(page, &stretch, f64::from(greatest), y(greatest));
    let shown = timeline.marks.iter().enumerate();
    for (number, mark) in shown {
        glyph(page, stretch.x(mark.at), number + 1, mark);
    }
    add!(page, "</svg></figure>\n");
}

fn axes(page: &mut Page, stretch: &Stretch, greatest: f64, y_greatest: f64) {
    let bottom = TOP + HEIGHT;
    add!(
        page,
        "<path class=\"grid\" d=\"M{LEFT:.0} {bottom:.0}H{WIDTH:.0}\"/><text class=\"end tick\" x=\"{0:.0}\" \
         y=\"{1:.1}\">{greatest:.0}</text><text class=\"end tick\" x=\"{0:.0}\" y=\"{bottom:.0}\">0</text>\n",
        LEFT - 6.0,
        y_greatest + 4.0
    );
    let hours = stretch.minutes / 60.0;
    let every = if hours <= 3.5 { 30 } else { 60 };
    let step = std::time::Duration::from_mins(every);
    let mut at = stretch.from.floor(step) + step;
    while stretch.x(at) < WIDTH - 20.0 {
        let text = instant(at);
        let time = text.get(11..).unwrap_or_default();
        add!(
            page,
            "<path class=\"grid\" d=\"M{0:.1} {bottom:.0}v4\"/><text class=\"mid tick\" x=\"{0:.1}\" y=\"{1:.0}\">{time}</text>",
            stretch.x(at),
            bottom + 17.0
        );
        at = at + step;
    }
    add!(page, "\n");
}

/// A mark and its number, which the table explains.
fn glyph(page: &mut Page, x: f64, number: usize, mark: &Mark) {
    let drawing = match mark.kind {
        MarkKind::Deploy => "<path class=\"deploy\" d=\"M0 -6L6 5H-6Z\"/>",
        MarkKind::TakenBack => "<path class=\"back\" d=\"M0 5L6 -6H-6Z\"/>",
        MarkKind::Incident => "<path class=\"incident\" d=\"M0 -7L7 0L0 7L-7 0Z\"/>",
        MarkKind::Resolved => "<path class=\"resolved\" d=\"M0 -6L6 0L0 6L-6 0Z\"/>",
        MarkKind::Word => "<circle class=\"word\" r=\"5\"/>",
    };
    // Two lanes, so that what follows at once is not drawn on top of each other.
    let y = if number.is_multiple_of(2) { 25.0 } else { 9.0 };
    add!(
        page,
        "<g transform=\"translate({x:.1} {y:.0})\">{drawing}<text class=\"tick strong\" x=\"9\" y=\"4\">{number}</text></g>\n"
    );
}

fn as_table(page: &mut Page, timeline: &Timeline) {
    let mut rows: Vec<(Timestamp, usize, String)> = Vec::new();
    for (number, mark) in timeline.marks.iter().enumerate() {
        let kind = match mark.kind {
            MarkKind::Deploy => "deploy",
            MarkKind::TakenBack => "deploy taken back",
            MarkKind::Incident => "incident",
            MarkKind::Resolved => "incident resolved",
            MarkKind::Word => "override",
        };
        rows.push((
            mark.at,
            number + 1,
            format!("{} · {kind} {}", number + 1, Escaped(&mark.label)),
        ));
    }
    rows.push((timeline.began, usize::MAX, "<strong>freeze begins</strong>".to_owned()));
    let ends = format!("<strong>freeze ends</strong>: {}", timeline.lifted_by());
    rows.push((timeline.ended_at(), usize::MAX, ends));
    rows.sort_by_key(|(at, number, _)| (*at, *number));
    let rows: Vec<Vec<String>> = rows
        .into_iter()
        .map(|(at, _, text)| vec![instant(at), text, errors_around(timeline, at)])
        .collect();
    add!(page, "<details class=\"events\"><summary>The same as a table</summary>");
    let heads = ["time", "what", "errors a minute, ten minutes from there"];
    table(page, "Events and errors", &heads, &rows);
    if let Some(usual) = timeline.usual() {
        add!(page, "<p>Usual before: {usual:.1} errors a minute.</p>");
    }
    add!(page, "</details>\n");
}

/// Mean errors a minute in the ten minutes from `at`.
fn errors_around(timeline: &Timeline, at: Timestamp) -> String {
    let first = usize::try_from(at.since(timeline.from).as_secs() / 60).unwrap_or(usize::MAX);
    let errors: Vec<f64> = timeline
        .errors
        .iter()
        .skip(first)
        .take(10)
        .copied()
        .map(f64::from)
        .collect();
    if errors.is_empty() {
        return super::html::NONE.to_owned();
    }
    format!("{:.1}", errors.iter().sum::<f64>() / number(count(errors.len())))
}
