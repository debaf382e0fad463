//! The live view on a terminal, drawn over itself ten times a second with plain ANSI sequences.
//!
//! It lives on the terminal's other screen, so that what was there before comes back at the end. States differ by
//! symbol and letter too, not by colour alone; `NO_COLOR` takes the colours away.

use std::{
    collections::VecDeque,
    io::Write as _,
    process::{Command, Stdio},
    sync::Arc,
};

use super::{
    Frame,
    scenario::{Deploy, Hour, MINUTE},
    words,
};
use crate::{
    gate::StandingDecision,
    model::{Action, EnvironmentId, ServiceId, Timestamp},
};

/// Columns and lines where nobody says how many there are.
const SIZE: (usize, usize) = (100, 32);
/// Frames between two looks at the terminal's size.
const LOOK_EVERY: u32 = 20;
/// What a service takes up: at least, which leaves its note out, and at most.
const CELL_COLUMNS: (usize, usize) = (40, 50);
const NAME_COLUMNS: usize = 14;
const SPARK_MINUTES: usize = 20;
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Decisions kept for showing.
const NEWS_MAX: usize = 32;

const OTHER_SCREEN: &str = "\x1b[?1049h\x1b[?25l\x1b[2J";
const BACK: &str = "\x1b[?25h\x1b[?1049l";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Plain,
    Bold,
    Dim,
    Green,
    Amber,
    Red,
}

impl Style {
    fn code(self) -> &'static str {
        match self {
            Self::Plain => "0",
            Self::Bold => "1",
            Self::Dim => "2",
            Self::Green => "32",
            Self::Amber => "33",
            Self::Red => "1;31",
        }
    }
}

type Line = Vec<(Style, String)>;

/// The terminal while it shows the demo; it is put back when this is dropped.
#[derive(Debug)]
pub(super) struct Screen {
    colours: bool,
    size: (usize, usize),
    n_frames: u32,
    news: VecDeque<Arc<StandingDecision>>,
}

impl Screen {
    pub(super) fn open() -> Self {
        write(OTHER_SCREEN);
        Self {
            colours: std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
            size: SIZE,
            n_frames: 0,
            news: VecDeque::new(),
        }
    }

    pub(super) fn hear(&mut self, decision: &Arc<StandingDecision>) {
        self.news.push_front(Arc::clone(decision));
        self.news.truncate(NEWS_MAX);
    }

    pub(super) fn draw(&mut self, frame: &Frame<'_>) {
        if self.n_frames.is_multiple_of(LOOK_EVERY) {
            self.size = size();
        }
        self.n_frames = self.n_frames.wrapping_add(1);
        let (columns, n_lines) = self.size;
        let mut lines = header(frame);
        lines.push(Vec::new());
        lines.extend(grid(frame, columns));
        let left = n_lines.saturating_sub(lines.len() + 4);
        // On a small terminal decisions come first.
        if left > 4 {
            lines.push(Vec::new());
            lines.push(vec![(Style::Bold, "Deploys, the latest first".to_owned())]);
            lines.extend(deploys(frame, (left / 2).min(6)));
        }
        lines.push(Vec::new());
        lines.push(vec![(Style::Bold, "Decisions, the latest first".to_owned())]);
        lines.extend(self.news.iter().map(|decision| {
            vec![
                (Style::Dim, format!("{} ", Hour(decision.decided_at))),
                (style(decision.action), words::sentence(decision)),
            ]
        }));
        lines.truncate(n_lines);
        write(&self.paint(&lines, columns));
    }

    /// One write for one frame, each line over the one before it.
    fn paint(&self, lines: &[Line], columns: usize) -> String {
        let mut text = String::from("\x1b[H");
        for (i, line) in lines.iter().enumerate() {
            if i > 0 {
                text.push_str("\r\n");
            }
            let mut left = columns;
            for (style, part) in line {
                let shown: String = part.chars().take(left).collect();
                left -= shown.chars().count();
                if self.colours && *style != Style::Plain {
                    text.extend(["\x1b[", style.code(), "m", &shown, "\x1b[0m"]);
                } else {
                    text.push_str(&shown);
                }
            }
            text.push_str("\x1b[K");
        }
        text.push_str("\x1b[J");
        text
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        write(BACK);
    }
}

/// A terminal that is gone needs no picture.
fn write(text: &str) {
    let mut out = std::io::stdout().lock();
    drop(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
}

/// Columns and lines: what the shell says, else what `stty` finds.
fn size() -> (usize, usize) {
    let said = |name: &str| std::env::var(name).ok()?.parse().ok();
    let found = || {
        let stty = Command::new("stty")
            .arg("size")
            .stdin(Stdio::inherit())
            .stderr(Stdio::null())
            .output()
            .ok()?;
        let text = String::from_utf8(stty.stdout).ok()?;
        let (lines, columns) = text.trim().split_once(' ')?;
        Some((columns.parse().ok()?, lines.parse().ok()?))
    };
    let (columns, lines) = said("COLUMNS").zip(said("LINES")).or_else(found).unwrap_or(SIZE);
    (columns.max(40), lines.max(12))
}

fn style(action: Action) -> Style {
    match action {
        Action::Proceed => Style::Green,
        Action::ExtraReview => Style::Amber,
        Action::Freeze => Style::Red,
    }
}

fn header(frame: &Frame<'_>) -> Vec<Line> {
    let counts = &frame.counts;
    let state = frame
        .waits_for
        .as_ref()
        .map_or_else(String::new, |why| format!("  ({why})"));
    vec![
        vec![
            (Style::Bold, "Holdpoint demo".to_owned()),
            (
                Style::Plain,
                format!(
                    "   fleet time {}   {} times as fast   seed {}",
                    Hour(frame.now),
                    frame.rate,
                    frame.scenario.seed
                ),
            ),
            (Style::Amber, state),
        ],
        vec![(Style::Plain, format!("the page: {}   Ctrl-C ends it", frame.url))],
        vec![(
            Style::Plain,
            format!(
                "{} sent → ingest {}, {} rejected → score {}, {} twice, {} late → {} decisions",
                frame.n_sent,
                counts.consumed,
                counts.rejected,
                counts.n_applied(),
                counts.duplicates,
                counts.late,
                counts.decisions
            ),
        )],
        frame
            .milestones
            .iter()
            .rfind(|milestone| milestone.at <= frame.now)
            .map_or_else(Vec::new, |milestone| {
                vec![(Style::Bold, format!("{} {}", Hour(milestone.at), milestone.text))]
            }),
        vec![
            (Style::Green, "● P may proceed   ".to_owned()),
            (Style::Amber, "◐ R extra review   ".to_owned()),
            (Style::Red, "■ F frozen".to_owned()),
            (Style::Dim, "   bars: errors a minute, ▂ is usual".to_owned()),
        ],
    ]
}

/// The services, in as many columns as there is room for, in the order of their names down the columns.
fn grid(frame: &Frame<'_>, columns: usize) -> Vec<Line> {
    let n = frame.scenario.fleet.len();
    let n_columns = (columns / CELL_COLUMNS.0).clamp(1, 3);
    let width = (columns / n_columns).clamp(CELL_COLUMNS.0, CELL_COLUMNS.1);
    let n_rows = n.div_ceil(n_columns);
    (0..n_rows)
        .map(|row| {
            let places = (0..n_columns).map(|column| column * n_rows + row);
            places
                .filter(|place| *place < n)
                .flat_map(|place| cell(frame, place, width))
                .collect()
        })
        .collect()
}

/// A service in `width` columns: state, name, bars, and what it is about.
fn cell(frame: &Frame<'_>, service: usize, width: usize) -> Line {
    let name = frame.scenario.name(service);
    let standing = standing(frame, name);
    let (symbol, style) = match standing.as_ref().map(|decision| decision.action) {
        Some(Action::Proceed) => ("● P", Style::Green),
        Some(Action::ExtraReview) => ("◐ R", Style::Amber),
        Some(Action::Freeze) => ("■ F", Style::Red),
        None => ("· ?", Style::Dim),
    };
    let code = standing
        .as_ref()
        .and_then(|decision| Some(&*decision.reasons.first()?.code));
    let mut deploys = frame.scenario.deploys.iter();
    let deploy = deploys.rfind(|deploy| deploy.service == service && deploy.at() <= frame.now);
    let note = match (code, deploy) {
        (Some(code @ ("incident" | "override" | "cooldown")), _) => code,
        (_, Some(deploy)) => &deploy.id,
        (_, None) => "",
    };
    let room = width.saturating_sub(4 + NAME_COLUMNS + 1 + SPARK_MINUTES + 1);
    let note: String = note.chars().take(room.saturating_sub(1)).collect();
    vec![
        (style, format!("{symbol} {name:<NAME_COLUMNS$} ")),
        (style, sparkline(frame, service)),
        (Style::Dim, format!(" {note:<room$}")),
    ]
}

/// What stands for a service.
fn standing(frame: &Frame<'_>, name: &str) -> Option<Arc<StandingDecision>> {
    let service: ServiceId = name.parse().ok()?;
    let environment: EnvironmentId = "production".parse().ok()?;
    frame.view.decision(&service, &environment)
}

fn sparkline(frame: &Frame<'_>, service: usize) -> String {
    let member = &frame.scenario.fleet[service];
    let (begins, _) = super::Scenario::span();
    let first = begins + std::time::Duration::from_secs(member.second);
    let n_told = frame.now.since(first).as_secs() / MINUTE.as_secs();
    let n_told = usize::try_from(n_told)
        .unwrap_or(0)
        .min(frame.script.errors[service].len());
    let shown = &frame.script.errors[service][n_told.saturating_sub(SPARK_MINUTES)..n_told];
    let bars = shown
        .iter()
        .map(|errors| bar(f64::from(*errors) / member.usual.max(1.0)));
    std::iter::repeat_n(' ', SPARK_MINUTES - shown.len())
        .chain(bars)
        .collect()
}

/// A bar for a multiple of the usual: the second for once, the last for seven times and more.
fn bar(times: f64) -> char {
    let limits = [0.4, 1.6, 2.5, 3.5, 4.5, 5.5, 6.5];
    BARS[limits.into_iter().filter(|limit| times >= *limit).count()]
}

fn deploys(frame: &Frame<'_>, n: usize) -> Vec<Line> {
    let begun = frame.scenario.deploys.iter().filter(|deploy| deploy.at() <= frame.now);
    let latest: Vec<&Deploy> = begun.rev().take(n).collect();
    let mut lines: Vec<Line> = latest.into_iter().map(|deploy| of_deploy(frame, deploy)).collect();
    lines.resize_with(n, Vec::new);
    lines
}

fn of_deploy(frame: &Frame<'_>, deploy: &Deploy) -> Line {
    let name = frame.scenario.name(deploy.service);
    let reached = deploy.stages.iter().rfind(|(at, _)| *at <= frame.now);
    let share = reached.map_or(0.0, |(_, share)| share * 100.0);
    let ai = if deploy.ai { "AI" } else { "" };
    let age = age(frame.now, deploy.at());
    let standing = standing(frame, name);
    let (style, state) = match standing.as_ref().map_or(Action::Proceed, |decision| decision.action) {
        _ if deploy.rolled_back_at.is_some_and(|back| back <= frame.now) => (Style::Dim, "rolled back"),
        Action::Proceed => (Style::Green, "under watch"),
        Action::ExtraReview => (Style::Amber, "under suspicion"),
        Action::Freeze => (Style::Red, "service frozen"),
    };
    let text = format!("{:<6} {name:<14} {share:>3.0} %  {ai:<2}  {age:>3} min  ", deploy.id);
    vec![(Style::Plain, text), (style, state.to_owned())]
}

fn age(now: Timestamp, at: Timestamp) -> u64 {
    now.since(at).as_secs() / 60
}
