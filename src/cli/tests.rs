use clap::CommandFactory as _;

use super::*;

/// Columns of the narrowest terminal on which examples can be copied.
const COLUMNS: usize = 80;

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

/// The texts after the help of every command and its own, by the words that call it.
fn helps(command: &clap::Command, words: &str, helps: &mut Vec<(String, String)>) {
    let words = format!("{words} {}", command.get_name());
    if let Some(text) = command.get_after_help() {
        helps.push((words.clone(), text.to_string()));
    }
    for subcommand in command.get_subcommands() {
        self::helps(subcommand, &words, helps);
    }
}

/// The calls of this program in an example, without remarks and redirections.
fn calls(example: &str) -> impl Iterator<Item = Vec<String>> {
    let calls = example
        .split(" | ")
        .filter_map(|part| part.find("holdpoint ").map(|at| &part[at..]));
    calls.map(|call| {
        let call = call.split(" # ").next().unwrap_or(call);
        let call = call.split(" > ").next().unwrap_or(call);
        let quoted = call.split('\'').enumerate().flat_map(|(i, piece)| match i % 2 {
            0 => piece.split_whitespace().map(str::to_owned).collect(),
            _ => vec![piece.to_owned()],
        });
        quoted.collect()
    })
}

#[test]
fn every_example_can_be_copied_from_help_and_is_a_command() {
    let mut found = Vec::new();
    helps(&Cli::command(), "", &mut found);
    assert!(found.len() > 8, "{}", found.len());
    for (words, text) in found {
        // Nothing but clap's wrapping of lines is in question, so that one command stands for all.
        let wrapped = clap::Command::new("c")
            .term_width(COLUMNS)
            .after_help(text.clone())
            .render_help()
            .to_string();
        // Those of `replay` are longer.
        let lines = text
            .lines()
            .filter(|line| line.starts_with("  ") && !words.ends_with("replay"));
        for line in lines {
            assert!(wrapped.lines().any(|shown| shown == line), "{words}: broken: {line}");
        }
        let joined = text.replace("\\\n     ", "");
        for example in joined.lines().filter(|line| line.starts_with("  ")) {
            for call in calls(example.trim_start()) {
                let parsed = Cli::try_parse_from(&call);
                assert!(parsed.is_ok(), "{words}: {call:?}: {:?}", parsed.err());
            }
        }
    }
}
