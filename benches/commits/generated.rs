//! Repositories made up by a seed, to see what a candidate finds where there is something to find, and what it loses
//! where there is nothing.
//!
//! In both, larger changes and fixes are reverted more often, which the measures tell. Where paths tell, so are changes of
//! a fifth of the directories, and those by authors who have not touched a directory for two months or ever.

use std::{
    collections::HashMap,
    fs,
    io::{BufWriter, Write},
    path::PathBuf,
};

use crate::{
    chance::Chance,
    figures::rounded,
    git,
    labels::{DAY, normal, seconds, unit},
};

const SUBSYSTEMS: usize = 6;
const DIRECTORIES: usize = 30;
const FILES_EACH: usize = 8;
const AUTHORS: usize = 40;
/// Four hours between commits; 2024-01-01.
const GAP_SECONDS: i64 = 4 * 3_600;
const START: i64 = 1_704_067_200;
/// Logits: of a usual change, per standard deviation of its size, of a fix, of a bad directory, of a stranger.
const USUAL: f64 = -3.4;
const OF_SIZE: f64 = 0.7;
const OF_FIX: f64 = 0.4;
const OF_DIRECTORY: f64 = 1.8;
const OF_STRANGER: f64 = 1.0;
/// Who has not touched a directory for so long is a stranger to it.
const STRANGER_AFTER: i64 = 60 * DAY;
const REVERTED_AFTER_DAYS: f64 = 4.0;
const REVERTED_SIGMA: f64 = 1.2;
const LINES_MAX: usize = 400;

/// A repository in a folder of its own, which goes when this does.
pub(crate) struct Generated {
    pub(crate) path: PathBuf,
}

impl Drop for Generated {
    fn drop(&mut self) {
        // In the temporary folder; if it stays, nothing is wrong but that.
        drop(self.path.parent().map(fs::remove_dir_all));
    }
}

/// What goes into it.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) name: &'static str,
    pub(crate) n_commits: usize,
    pub(crate) do_paths_tell: bool,
    pub(crate) seed: u64,
}

pub(crate) fn generate(plan: Plan) -> Result<Generated, String> {
    let folder = format!("holdpoint-commits-{}-{}", std::process::id(), plan.seed);
    let path = std::env::temp_dir().join(folder).join(plan.name);
    fs::create_dir_all(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let generated = Generated { path };
    let path = generated.path.as_path();
    git::ask(path, &["init", "--quiet", "--bare"])?;
    git::ask(path, &["symbolic-ref", "HEAD", "refs/heads/main"])?;
    let mut child = git::start(path, &["fast-import", "--quiet"])?;
    let mut out = BufWriter::new(child.stdin.take().ok_or("git has no standard input")?);
    write(plan, &mut out).map_err(|error| format!("telling git: {error}"))?;
    drop(out);
    git::ended(child, "fast-import")?;
    Ok(generated)
}

/// A change that will be taken back.
struct Due {
    at: i64,
    change: usize,
    files: Vec<usize>,
}

struct Tree {
    /// Of each file the changes that its lines are of.
    files: Vec<Vec<usize>>,
    touched: HashMap<(usize, usize), i64>,
}

fn write(plan: Plan, out: &mut impl Write) -> std::io::Result<()> {
    let mut chance = Chance::new(plan.seed);
    let mut tree = Tree {
        files: vec![Vec::new(); DIRECTORIES * FILES_EACH],
        touched: HashMap::new(),
    };
    let mut due: Vec<Due> = Vec::new();
    for change in 0..plan.n_commits {
        let at = START + i64::try_from(change).expect("thousands") * GAP_SECONDS;
        due.sort_by_key(|due| std::cmp::Reverse(due.at));
        while due.last().is_some_and(|due| due.at < at) {
            let Some(due) = due.pop() else { break };
            for file in &due.files {
                tree.files[*file].retain(|of| *of != due.change);
            }
            let message = format!("Revert \"{}\"\n\nIt broke.", title(due.change, plan.seed));
            commit(out, due.at, chance.below(AUTHORS), &message)?;
            contents(out, &tree, &due.files)?;
        }
        let author = chance.below(AUTHORS);
        let directory = directory(author, &mut chance);
        let size = normal(&mut chance);
        let files = edit(&mut tree, change, (directory, size), &mut chance);
        let told = if plan.do_paths_tell { 1.0 } else { 0.0 };
        let last = tree.touched.insert((author, directory), at);
        let is_stranger = last.is_none_or(|last| at - last > STRANGER_AFTER);
        let is_bad = directory.is_multiple_of(5);
        let of = |is: bool, logit: f64| if is { logit } else { 0.0 };
        let logit = USUAL
            + OF_SIZE * size
            + of(is_fix(change, plan.seed), OF_FIX)
            + told * (of(is_bad, OF_DIRECTORY) + of(is_stranger, OF_STRANGER));
        if unit(&mut chance) < 1.0 / (1.0 + (-logit).exp()) {
            let days = REVERTED_AFTER_DAYS * (REVERTED_SIGMA * normal(&mut chance)).exp();
            due.push(Due {
                at: at + 1 + seconds(days),
                change,
                files: files.clone(),
            });
        }
        commit(out, at, author, &title(change, plan.seed))?;
        contents(out, &tree, &files)?;
    }
    Ok(())
}

/// Mostly one of the author's three.
fn directory(author: usize, chance: &mut Chance) -> usize {
    if unit(chance) < 0.8 {
        (author * 7 + chance.below(3)) % DIRECTORIES
    } else {
        chance.below(DIRECTORIES)
    }
}

/// Adds lines of `change` to some files of the directory and takes others out.
fn edit(tree: &mut Tree, change: usize, (directory, size): (usize, f64), draws: &mut Chance) -> Vec<usize> {
    let n_files = 1 + draws.below(3);
    let mut files: Vec<usize> = (0..n_files)
        .map(|_| directory * FILES_EACH + draws.below(FILES_EACH))
        .collect();
    files.sort_unstable();
    files.dedup();
    let n_lines = rounded((2.7 + size).exp()).clamp(1, LINES_MAX).div_ceil(files.len());
    for file in &files {
        let lines = &mut tree.files[*file];
        let place = draws.below(lines.len() + 1);
        lines.splice(place..place, std::iter::repeat_n(change, n_lines));
        let mut n_gone = draws.below(n_lines + 1).max(lines.len().saturating_sub(LINES_MAX));
        // Its own stay, or there would be nothing to take back.
        lines.retain(|of| {
            let is_gone = n_gone > 0 && *of != change;
            n_gone -= usize::from(is_gone);
            !is_gone
        });
    }
    files
}

fn is_fix(change: usize, seed: u64) -> bool {
    let change = u64::try_from(change).expect("thousands");
    Chance::new(seed ^ change << 8).below(3) == 0
}

fn title(change: usize, seed: u64) -> String {
    let verb = if is_fix(change, seed) { "Fix" } else { "Add" };
    format!("{verb} number {change}")
}

fn commit(out: &mut impl Write, at: i64, author: usize, message: &str) -> std::io::Result<()> {
    let who = format!("Author {author} <a{author}@example.com> {at} +0000");
    writeln!(out, "commit refs/heads/main\nauthor {who}\ncommitter {who}")?;
    writeln!(out, "data {}\n{message}", message.len())
}

fn contents(out: &mut impl Write, tree: &Tree, files: &[usize]) -> std::io::Result<()> {
    for file in files {
        let mut text = String::new();
        for of in &tree.files[*file] {
            text += &of.to_string();
            text.push('\n');
        }
        let directory = file / FILES_EACH;
        let name = format!(
            "part{}/area{directory}/file{}.c",
            directory % SUBSYSTEMS,
            file % FILES_EACH
        );
        writeln!(out, "M 100644 inline {name}\ndata {}\n{text}", text.len())?;
    }
    Ok(())
}
