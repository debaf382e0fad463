//! `GET /`: what is held up and why, for people. Whole without a script; one small script keeps it fresh.

mod markup;

use std::{fmt::Write as _, sync::Arc};

use axum::{
    extract,
    http::header,
    response::{Html, IntoResponse},
};

use super::{
    Edge, State,
    overview::{Findings, LoneWord, Overview},
};
use crate::{
    gate::StandingDecision,
    model::{Action, Effect, Level, Mode, Obligation, PartitionIndex, Subject, Timestamp},
};
use markup::Instant;
pub(super) use markup::Text;

/// Rows of what is held up: more than anyone reads, and the list behind it has them all.
pub(super) const HELD_MAX: usize = 200;
/// Overrides shown that stand where no decision holds anything up.
const WORDS_MAX: usize = 50;
/// Silent partitions shown by number.
const SILENT_MAX: usize = 24;
/// The latest decisions shown.
const LATEST_MAX: usize = 15;

const CSS: &str = include_str!("page/page.css");
const SCRIPT: &str = include_str!("page/page.js");
const ICON: &str = include_str!("page/icon.svg");

pub(super) async fn css() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], CSS)
}

pub(super) async fn script() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8")], SCRIPT)
}

pub(super) async fn icon() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "image/svg+xml")], ICON)
}

pub(super) async fn page(extract::State(edge): extract::State<Arc<Edge>>) -> Html<String> {
    let now = edge.state.clock.now();
    let overview = edge.lookout.overview(&edge.state).await;
    let mut html = String::new();
    write_page(&mut html, &edge.state, &overview, now).expect("writing to memory cannot fail");
    Html(html)
}

type Written = std::fmt::Result;

fn write_page(html: &mut String, state: &State, overview: &Overview, now: Timestamp) -> Written {
    let Findings {
        frozen: n_frozen,
        review: n_review,
        unknown: n_unknown,
        free: n_free,
    } = overview.findings;
    write!(
        html,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <noscript><meta http-equiv=\"refresh\" content=\"30\"></noscript>\n\
         <title>{n_frozen} frozen, {n_review} under review, {n_unknown} not known – Holdpoint</title>\n\
         <link rel=\"icon\" href=\"assets/icon.svg\">\n<link rel=\"stylesheet\" href=\"assets/page.css\">\n\
         <script src=\"assets/page.js\" defer></script>\n</head>\n<body>\n\
         <header><h1>Holdpoint</h1><p id=\"live\" role=\"status\"></p></header>\n<main>\n"
    )?;
    write_unready(html, state)?;
    write!(
        html,
        "<ul class=\"counts\">\n<li class=\"freeze\"><b>{n_frozen}</b> frozen</li>\n\
         <li class=\"review\"><b>{n_review}</b> under extra review</li>\n\
         <li class=\"unknown\"><b>{n_unknown}</b> not known</li>\n\
         <li class=\"proceed\"><b>{n_free}</b> free to proceed</li>\n</ul>\n"
    )?;
    write_silent(html, state, now)?;
    write_words(html, overview, now)?;
    write_held(html, state, overview, now)?;
    write_latest(html, state, now)?;
    super::fleet::write(html, state)?;
    write!(
        html,
        "<footer><p>Seen by {} at {}. Lists: <a href=\"v1/services\">services</a>, \
         <a href=\"v1/decisions\">decisions</a>. <a href=\"readyz\">Readiness</a>, <a href=\"metrics\">metrics</a>.</p></footer>\n\
         </main>\n</body>\n</html>\n",
        Text(&state.instance),
        Instant { at: now, now }
    )
}

/// What is not known must not look like what is free.
fn write_unready(html: &mut String, state: &State) -> Written {
    let reasons = state.health.reasons();
    if reasons.is_empty() {
        return Ok(());
    }
    html.write_str("<section class=\"unready\"><h2>This instance is not ready: what it shows may be old</h2><ul>\n")?;
    for (part, why) in &reasons {
        writeln!(html, "<li>{}: {}</li>", Text(part), Text(why))?;
    }
    html.write_str("</ul></section>\n")
}

/// Partitions whose owner is not heard of: of their services gates know only what holds them up.
fn write_silent(html: &mut String, state: &State, now: Timestamp) -> Written {
    let n = state.n_partitions().unwrap_or(0);
    let all = (0..n).filter_map(|partition| i32::try_from(partition).ok());
    let silent: Vec<i32> = all
        .filter(|partition| !state.view.is_heard(PartitionIndex(*partition), now))
        .collect();
    if silent.is_empty() {
        return Ok(());
    }
    let plural = if silent.len() == 1 { "" } else { "s" };
    let shown: Vec<String> = silent.iter().take(SILENT_MAX).map(ToString::to_string).collect();
    let more = match silent.len().saturating_sub(SILENT_MAX) {
        0 => String::new(),
        n_more => format!(" and {n_more} more"),
    };
    writeln!(
        html,
        "<p class=\"silent\">Nothing is heard of partition{plural} {}{more}, of {n}: what is frozen or under extra review \
         there stays so to its end, and of all else gates know nothing.</p>",
        shown.join(", ")
    )
}

/// Words that no card tells of.
fn write_words(html: &mut String, overview: &Overview, now: Timestamp) -> Written {
    if overview.words.is_empty() {
        return Ok(());
    }
    html.write_str("<section aria-labelledby=\"words\"><h2 id=\"words\">Overrides</h2>\n<ul class=\"latest\">\n")?;
    for LoneWord {
        service,
        environment,
        word,
        ..
    } in overview.words.iter().take(WORDS_MAX)
    {
        let action = match word.effect {
            Effect::Proceed => Action::Proceed,
            Effect::Freeze => Action::Freeze,
        };
        write!(
            html,
            "<li class=\"{}\"><span class=\"action\">{}</span> <bdi>{}</bdi> <small>in ",
            action.name(),
            noun(action),
            Text(service.as_str())
        )?;
        match environment {
            Some(environment) => write!(html, "<bdi>{}</bdi>", Text(environment.as_str()))?,
            None => html.write_str("all environments")?,
        }
        let until = Instant { at: word.until, now };
        writeln!(
            html,
            "</small> until {until}: <span class=\"why\">{}</span></li>",
            Text(&word.reason)
        )?;
    }
    html.write_str("</ul>\n")?;
    let n_more = overview.words.len().saturating_sub(WORDS_MAX);
    if n_more > 0 {
        writeln!(html, "<p>And {n_more} more.</p>")?;
    }
    html.write_str("</section>\n")
}

fn write_held(html: &mut String, state: &State, overview: &Overview, now: Timestamp) -> Written {
    html.write_str("<section aria-labelledby=\"held\"><h2 id=\"held\">Held up</h2>\n")?;
    if overview.held.is_empty() {
        return html.write_str("<p class=\"nothing\">No decision holds anything up.</p></section>\n");
    }
    for decision in overview.held.iter().take(HELD_MAX) {
        write_card(html, state, decision, now)?;
    }
    let n_more = overview.held.len().saturating_sub(HELD_MAX);
    if n_more > 0 {
        writeln!(
            html,
            "<p>And {n_more} more: see <a href=\"v1/services\">services</a>.</p>"
        )?;
    }
    html.write_str("</section>\n")
}

fn write_card(html: &mut String, state: &State, decision: &StandingDecision, now: Timestamp) -> Written {
    writeln!(
        html,
        "<article class=\"{} {}\">\n<h3><span class=\"action\">{}</span> {}</h3>",
        decision.action.name(),
        decision.mode.name(),
        noun(decision.action),
        Who(&decision.subject)
    )?;
    // A freeze is renewed, and began before.
    let began = decision.frozen_since.unwrap_or(decision.decided_at);
    write!(html, "<p class=\"when\">since {}", Instant { at: began, now })?;
    if let Some(until) = decision.valid_until {
        write!(html, ", until {}", Instant { at: until, now })?;
    }
    html.write_str(match decision.mode {
        Mode::Shadow => " · <em>shadow: it blocks nothing</em></p>\n",
        Mode::Enforce => " · enforced</p>\n",
    })?;
    write_word(html, state, decision, now)?;
    html.write_str("<dl>\n")?;
    write_terms(
        html,
        "why",
        decision.reasons.iter().map(|reason| reason.text.to_string()),
    )?;
    write_terms(html, "asks for", decision.obligations.iter().map(obligation))?;
    write_terms(html, "what lifts it", decision.to_lift.iter().map(ToString::to_string))?;
    html.write_str("</dl>\n</article>\n")
}

/// A person's word counts at the gate before any decision says so.
fn write_word(html: &mut String, state: &State, decision: &StandingDecision, now: Timestamp) -> Written {
    let Subject::Service { service, environment } = &decision.subject else {
        return Ok(());
    };
    let Some(word) = state.view.word(service, environment).filter(|word| word.stands(now)) else {
        return Ok(());
    };
    let effect = match word.effect {
        Effect::Proceed => "lets it proceed",
        Effect::Freeze => "freezes it",
    };
    let until = Instant { at: word.until, now };
    writeln!(
        html,
        "<p class=\"word\">An override {effect} until {until}: {}</p>",
        Text(&word.reason)
    )
}

fn write_terms(html: &mut String, term: &str, texts: impl Iterator<Item = String>) -> Written {
    let mut texts = texts.peekable();
    if texts.peek().is_none() {
        return Ok(());
    }
    write!(html, "<div><dt>{term}</dt>")?;
    for text in texts {
        write!(html, "<dd>{}</dd>", Text(&text))?;
    }
    html.write_str("</div>\n")
}

fn write_latest(html: &mut String, state: &State, now: Timestamp) -> Written {
    html.write_str("<section aria-labelledby=\"latest\"><h2 id=\"latest\">Latest decisions</h2>\n")?;
    let latest = state.view.recent(None, LATEST_MAX).items;
    if latest.is_empty() {
        return html.write_str("<p class=\"nothing\">None yet.</p></section>\n");
    }
    html.write_str("<ul class=\"latest\">\n")?;
    for decision in latest {
        let why = decision.reasons.first().map_or("", |reason| &reason.text);
        writeln!(
            html,
            "<li class=\"{} {}\">{} <span class=\"action\">{}</span> {} <span class=\"why\">{}</span></li>",
            decision.action.name(),
            decision.mode.name(),
            Instant {
                at: decision.decided_at,
                now
            },
            noun(decision.action),
            Who(&decision.subject),
            Text(why)
        )?;
    }
    html.write_str("</ul></section>\n")
}

fn noun(action: Action) -> &'static str {
    match action {
        Action::Proceed => "free",
        Action::ExtraReview => "extra review",
        Action::Freeze => "frozen",
    }
}

fn obligation(asked: &Obligation) -> String {
    let Obligation {
        kind: _,
        count,
        level,
        group,
        when: _,
    } = asked;
    let noun = if *count == 1 { "approval" } else { "approvals" };
    let of_level = match level {
        None | Some(Level::Unknown) => String::new(),
        Some(level) => format!(" of level {} or above", format!("{level:?}").to_lowercase()),
    };
    let of_group = group.as_ref().map_or_else(String::new, |group| format!(" by {group}"));
    format!("{count} {noun}{of_level}{of_group}")
}

/// What a decision is about. Names may run right to left: each keeps its direction to itself.
struct Who<'a>(&'a Subject);

impl std::fmt::Display for Who<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let service = Text(self.0.service().as_str());
        match self.0 {
            Subject::Service { environment, .. } => {
                write!(
                    f,
                    "<bdi>{service}</bdi> <small>in <bdi>{}</bdi></small>",
                    Text(environment.as_str())
                )
            }
            Subject::Change(change) => {
                let short: String = change.sha.chars().take(12).collect();
                write!(
                    f,
                    "<bdi>{service}</bdi> <small>change <bdi>{}</bdi></small>",
                    Text(&short)
                )
            }
        }
    }
}
