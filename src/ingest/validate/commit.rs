//! A commit: who made it, with what help, and fourteen measures of it.

use super::check::{
    GROUPS_BOUND, cut_text, first_items, flag, given, list, measure, name, names, not_null, one_of, required,
};
use crate::{
    ingest::{
        Reject,
        decode::{
            field::Text,
            native::{RawAi, RawApproval, RawAuthor, RawChange, RawCommit, RawHistory},
        },
    },
    model::{Ai, Approval, Author, Commit, Measures},
};

/// The bytes kept of a path or a repository's address.
const MAX_PATH_BYTES: usize = 1024;

pub(super) fn commit(raw: RawCommit<'_>) -> Result<Commit<'_>, Reject> {
    given(raw.message, "message")?;
    given(raw.labels, "labels")?;
    let (measures, paths) = measures(
        given(raw.change, "change")?,
        given(raw.history, "history")?.unwrap_or_default(),
    )?;
    Ok(Commit {
        sha: required(name(raw.sha, "sha")?, "sha")?,
        repository: cut_text(raw.repository, "repository", MAX_PATH_BYTES)?,
        author: author(given(raw.author, "author")?.unwrap_or_default())?,
        ai: ai(given(raw.ai, "ai")?.unwrap_or_default())?,
        measures,
        paths,
        approvals: list(raw.approvals, "approvals", "a list of at most 64 approvals", |raw| {
            approval(not_null(given(raw, "approvals[]")?, "approvals[]")?)
        })?
        .into_iter()
        .flatten()
        .collect(),
        change_id: name(raw.change_id, "change_id")?,
        head_shas: names(raw.head_shas, "head_shas", "head_shas[]", "a list of at most 256 shas")?,
    })
}

fn author(raw: RawAuthor<'_>) -> Result<Author<'_>, Reject> {
    Ok(Author {
        id: name(raw.id, "author.id")?,
        level: one_of(raw.level, "author.level")?.unwrap_or_default(),
        groups: names(raw.groups, "author.groups", "author.groups[]", GROUPS_BOUND)?,
        bot: flag(raw.bot, "author.bot")?,
    })
}

fn ai(raw: RawAi<'_>) -> Result<Ai, Reject> {
    first_items(raw.tools, "ai.tools", |tool| {
        not_null(given(tool, "ai.tools[]")?, "ai.tools[]")
    })?;
    Ok(Ai {
        assistance: one_of(raw.assistance, "ai.assistance")?.unwrap_or_default(),
        confidence: one_of(raw.confidence, "ai.confidence")?,
    })
}

/// `None` if it is a bot's: that counts nowhere, so the log need not have it.
fn approval(raw: RawApproval<'_>) -> Result<Option<Approval<'_>>, Reject> {
    let approval = Approval {
        by: name(raw.by, "approvals[].by")?,
        level: one_of(raw.level, "approvals[].level")?.unwrap_or_default(),
        groups: names(raw.groups, "approvals[].groups", "approvals[].groups[]", GROUPS_BOUND)?,
    };
    let is_bot = flag(raw.bot, "approvals[].bot")?;
    Ok((!is_bot).then_some(approval))
}

/// The fourteen measures, in the order of `MEASURE_NAMES`, and the first paths.
fn measures(change: Option<RawChange<'_>>, history: RawHistory) -> Result<(Measures, Vec<Text<'_>>), Reject> {
    let has_change = change.is_some();
    let change = change.unwrap_or_default();
    flag(change.tests_touched, "change.tests_touched")?;
    flag(change.config_touched, "change.config_touched")?;
    let lines_added = measure(change.lines_added, "change.lines_added")?;
    let lines_deleted = measure(change.lines_deleted, "change.lines_deleted")?;
    let files = measure(change.files, "change.files")?;
    if has_change {
        required(lines_added, "change.lines_added")?;
        required(lines_deleted, "change.lines_deleted")?;
        required(files, "change.files")?;
    }
    let measures = [
        measure(change.subsystems, "change.subsystems")?,
        measure(change.directories, "change.directories")?,
        files,
        measure(change.entropy, "change.entropy")?,
        lines_added,
        lines_deleted,
        measure(change.lines_before, "change.lines_before")?,
        given(change.fix, "change.fix")?.map(|fix| if fix { 1.0 } else { 0.0 }),
        measure(history.developers, "history.developers")?,
        measure(history.age_days, "history.age_days")?,
        measure(history.prior_changes, "history.prior_changes")?,
        measure(history.author_changes, "history.author_changes")?,
        measure(history.author_recent_changes, "history.author_recent_changes")?,
        measure(history.author_subsystem_changes, "history.author_subsystem_changes")?,
    ];
    let paths = first_items(change.paths, "change.paths", |path| {
        not_null(cut_text(path, "change.paths[]", MAX_PATH_BYTES)?, "change.paths[]")
    })?;
    Ok((measures, paths))
}
