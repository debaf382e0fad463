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

/// Commands, and what they take, by the words that call them; whether each says what it is.
fn described(command: &clap::Command, words: &str, silent: &mut Vec<String>) {
    let words = format!("{words} {}", command.get_name());
    if command.get_about().is_none() || command.get_after_help().is_none() {
        silent.push(words.clone());
    }
    let arguments = command.get_arguments().filter(|argument| argument.get_help().is_none());
    silent.extend(arguments.map(|argument| format!("{words} {}", argument.get_id())));
    for subcommand in command.get_subcommands() {
        described(subcommand, &words, silent);
    }
}

#[test]
fn every_command_says_what_it_is_with_an_example_and_what_it_takes() {
    let mut silent = Vec::new();
    described(&Cli::command(), "", &mut silent);
    assert_eq!(silent, [""; 0]);
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
        for line in text.lines().filter(|line| line.starts_with("  ")) {
            assert!(wrapped.lines().any(|shown| shown == line), "{words}: broken: {line}");
        }
        // A sentence that is broken by hand is broken again where the terminal is narrower.
        for line in text.lines().filter(|line| !line.starts_with("  ") && !line.is_empty()) {
            assert!(line.ends_with(['.', ':']), "{words}: broken by hand: {line}");
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
