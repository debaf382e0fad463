//! What it is told.

use holdpoint::{score::Policy, sim::Family};

pub(crate) const HELP: &str = "\
How well faults are found in simulated fleets.

Usage: cargo bench --no-default-features --bench fleet -- [options]

  --family NAME    tuning, held-out, loose or prototype (default: held-out)
  --seeds N        fleets, each of a seed of its own (default: 10)
  --first N        number of the family's first seed (default: 0)
  --days N         length of each (default: 8)
  --services N     services of each (default: the family's)
  --repair X       people take X times as long as the quickest to end a fault or an outage (default: 1; loose and prototype: 2)
  --policy FILE    policy to judge by (default: the built-in one, enforced)
  --plain          by the plain detector that the design starts from, in score's place
  --told           attempts tell what is usual, where they are told
  --threads N      fleets at once (default: 1)
  --cases N        single cases printed of each kind (default: 0)
  --trace SERVICE  all that one service of the first fleet went through, and nothing else
  --test           one small fleet: does it run";

#[derive(Debug, Clone)]
pub(crate) struct Arguments {
    pub(crate) family: Family,
    pub(crate) seeds: u64,
    pub(crate) first: u64,
    pub(crate) days: u16,
    pub(crate) threads: u64,
    pub(crate) cases: usize,
    pub(crate) trace: Option<String>,
    pub(crate) policy: Option<String>,
    pub(crate) told: bool,
    pub(crate) plain: bool,
}

/// Enforced: only there are false freezes a cost.
const POLICY: &str = "mode = \"enforce\"\n";

impl Arguments {
    /// `None`: help was asked for.
    pub(crate) fn parse(given: impl Iterator<Item = String>) -> Result<Option<Self>, String> {
        let mut arguments = Self {
            family: Family::HELD_OUT,
            seeds: 10,
            first: 0,
            days: 8,
            threads: 1,
            cases: 0,
            trace: None,
            policy: Some(POLICY.to_owned()),
            told: false,
            plain: false,
        };
        let (mut services, mut repair, mut is_bench, mut is_test) = (None, None, false, false);
        let mut given = given;
        while let Some(option) = given.next() {
            let mut value = || given.next().ok_or(format!("{option} needs a value"));
            match option.as_str() {
                "--bench" => is_bench = true,
                "--test" => is_test = true,
                "--help" | "-h" => return Ok(None),
                "--family" => arguments.family = family(&value()?)?,
                "--seeds" => arguments.seeds = number(&value()?)?,
                "--first" => arguments.first = number(&value()?)?,
                "--days" => arguments.days = number(&value()?)?,
                "--services" => services = Some(number(&value()?)?),
                "--threads" => arguments.threads = number(&value()?)?,
                "--cases" => arguments.cases = number(&value()?)?,
                "--trace" => arguments.trace = Some(value()?),
                "--plain" => arguments.plain = true,
                "--told" => arguments.told = true,
                "--repair" => repair = Some(positive(&value()?)?),
                "--policy" => arguments.policy = Some(policy(&value()?)?),
                _ => return Err(format!("{option} is no option")),
            }
        }
        // As with every bench, `cargo test` runs it without saying `--bench`.
        if is_test || !is_bench {
            (arguments.seeds, arguments.days, services) = (1, 2, Some(20));
        }
        if let Some(repair) = repair {
            arguments.family = arguments.family.with_repair(repair);
        }
        if let Some(services) = services {
            arguments.family = arguments.family.with_services(services);
        }
        Ok(Some(arguments))
    }
}

fn family(name: &str) -> Result<Family, String> {
    let found = Family::ALL.into_iter().find(|family| family.name == name);
    found.cloned().ok_or_else(|| {
        let names: Vec<&str> = Family::ALL.iter().map(|family| family.name).collect();
        format!("{name} is no family; there are {}", names.join(" and "))
    })
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_not_one| format!("{text} is no number"))
}

fn positive(text: &str) -> Result<f64, String> {
    let x: f64 = number(text)?;
    let is_good = x.is_finite() && x > 0.0;
    is_good.then_some(x).ok_or_else(|| format!("{text} is not above 0"))
}

fn policy(path: &str) -> Result<String, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
    Policy::parse(&text).map_err(|error| format!("{path}: {error}"))?;
    Ok(text)
}
