//! What it is told: `--data DIR`, `--git PATH`, `--generated`, `--ai`, `--seeds N`, `--sigma S`, `--test`.

use std::str::FromStr;

pub(crate) struct Arguments {
    /// The folder that holds `commits/`.
    pub(crate) data: Option<String>,
    /// Local repositories, whose reverts are the labels.
    pub(crate) repositories: Vec<String>,
    /// Whether repositories are made up, to see what candidates find.
    pub(crate) is_generated: bool,
    /// Whether it is about AI's part in failures.
    pub(crate) is_ai: bool,
    /// How many times delays are drawn.
    pub(crate) n_seeds: u64,
    /// The spread of the lognormal delays.
    pub(crate) sigma: f64,
    pub(crate) is_test: bool,
}

pub(crate) fn parse(words: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let mut arguments = Arguments {
        data: std::env::var("HOLDPOINT_DATA").ok(),
        repositories: Vec::new(),
        is_generated: false,
        is_ai: false,
        n_seeds: 5,
        sigma: 1.0,
        is_test: false,
    };
    // As with every bench, `cargo test` runs it without saying `--bench`.
    let mut is_bench = false;
    let mut words = words.peekable();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--data" => arguments.data = Some(words.next().ok_or("--data needs a folder")?),
            "--git" => arguments.repositories.push(words.next().ok_or("--git needs a path")?),
            "--ai" => arguments.is_ai = true,
            "--generated" => arguments.is_generated = true,
            "--seeds" => arguments.n_seeds = value(&word, words.next())?,
            "--sigma" => arguments.sigma = value(&word, words.next())?,
            "--test" => arguments.is_test = true,
            "--bench" => is_bench = true,
            unknown => {
                return Err(format!(
                    "unknown argument `{unknown}`; known are --data DIR, --git PATH, --generated, --ai, --seeds N, --sigma \
                     S and --test"
                ));
            }
        }
    }
    arguments.is_test |= !is_bench;
    if arguments.is_test {
        arguments.n_seeds = 1;
        arguments.is_generated = true;
    }
    Ok(arguments)
}

fn value<T: FromStr>(name: &str, word: Option<String>) -> Result<T, String> {
    word.and_then(|word| word.parse().ok())
        .ok_or_else(|| format!("{name} needs a number"))
}
