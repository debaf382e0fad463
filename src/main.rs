//! Parse, dispatch, exit status.

use std::{path::Path, process::ExitCode};

use anyhow::Context as _;
use clap::Parser as _;
use holdpoint::{
    cli::{self, Cli, Command},
    config::{self, Flags, Origin, Settings, SettingsErrors, Warning},
    gate::{ExitStatus, Request, parse_changes},
    ingest::Reject,
    model::shown,
    run, telemetry,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// jemalloc's options, ended by a zero. What a fetch brings is larger than 8 MiB, and by default memory of that size goes
/// back to the system at once: the kernel would clear every page of it again for the next fetch. `MALLOC_CONF` in the
/// environment has the last word.
#[unsafe(export_name = "malloc_conf")]
static ALLOCATOR_OPTIONS: &[u8; 21] = b"oversize_threshold:0\0";

/// The settings file that is read if it is there and none is named.
const DEFAULT_CONFIG: &str = "holdpoint.toml";
/// An instance that gave up, for its supervisor: `EX_SOFTWARE`.
const GAVE_UP: u8 = 70;

fn main() -> ExitCode {
    let cli = Cli::parse();
    allow_open_files();
    match dispatch(cli.command) {
        Ok(code) => code,
        Err(error) if is_wrong_usage(&error) => wrong_usage(&format!("{error:#}")),
        Err(error) => {
            complain(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Raises the limit on open files to what the process may have. The usual one is low for programs that wait with
/// `select`: a replay reads all its files side by side, and an instance takes more connections than that.
fn allow_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    // Where it is refused, whoever comes to the limit says so.
    setrlimit(Resource::Nofile, raised).unwrap_or(());
}

/// Whether a flag says what cannot be: of settings, or of an override, which is refused as an event would be.
fn is_wrong_usage(error: &anyhow::Error) -> bool {
    let of_a_flag = |errors: &SettingsErrors| errors.iter().any(|error| matches!(error.origin, Origin::Flag(_)));
    error.downcast_ref().is_some_and(of_a_flag) || error.is::<Reject>()
}

fn dispatch(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Demo(demo) => run_demo(&demo),
        Command::Run(command) => run_service(&command),
        Command::Topics { command } => run_topics(&command),
        Command::Gate(gate) => Ok(run_gate(gate)),
        Command::Override(said) => run_override(said),
        Command::Replay(replay) => run_replay(replay),
        Command::Import { command } => run_import(command),
        Command::Policy { command } => run_policy(command),
    }
}

/// File, environment and flags, with the warnings on stderr; without a file named, the one that lies here.
fn settings(config: Option<&Path>, flags: &Flags) -> anyhow::Result<Settings> {
    let here = Path::new(DEFAULT_CONFIG);
    // One of which that cannot be said is an error when it is read.
    let lies_here = || here.try_exists().unwrap_or(true).then_some(here);
    settings_of(config.or_else(lies_here), flags)
}

/// The same, with no file but one that is named.
fn settings_of(config: Option<&Path>, flags: &Flags) -> anyhow::Result<Settings> {
    let read_config =
        |path: &Path| std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()));
    let text = config.map(read_config).transpose()?;
    let file = config.zip(text.as_deref());
    let read = |path: &Path| std::fs::read_to_string(path);
    let (settings, warnings) = Settings::load(file, environment(), flags, &read)?;
    warn(&warnings);
    Ok(settings)
}

/// The variables; what is no text in them is replaced, and so is no setting.
fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().map(|(name, value)| {
        (
            name.to_string_lossy().into_owned(),
            value.to_string_lossy().into_owned(),
        )
    })
}

fn warn(warnings: &[Warning]) {
    for warning in warnings {
        complain(&format!("warning: {warning}"));
    }
}

fn run_service(command: &cli::Run) -> anyhow::Result<ExitCode> {
    let settings = settings(command.common.config.as_deref(), &command.flags())?;
    let logs = telemetry::install_logs_apart("info")?;
    let metrics = telemetry::install_metrics()?;
    for (key, value, origin) in settings.explain() {
        tracing::debug!("{key} = {value} ({origin})");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let ended = runtime.block_on(async { run::service::run(settings, metrics, run::stop_signal()).await });
    logs.flush();
    Ok(match ended? {
        run::service::Ended::Stopped => ExitCode::SUCCESS,
        run::service::Ended::GaveUp => {
            // A thread that hangs would hold up the end of the process.
            std::process::exit(i32::from(GAVE_UP))
        }
    })
}

fn run_demo(demo: &cli::Demo) -> anyhow::Result<ExitCode> {
    let options = run::demo::Options {
        seed: demo.seed,
        duration: demo.duration,
        headless: demo.headless,
        listen: demo.listen,
    };
    let passed = run::demo::run(&options)?;
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn run_topics(command: &cli::Topics) -> anyhow::Result<ExitCode> {
    let settings = settings(command.common().config.as_deref(), &command.flags())?;
    match command {
        cli::Topics::Ensure { .. } => {
            print_lines(&[run::topics::ensure(&settings)?.trim_end().to_owned()]);
            Ok(ExitCode::SUCCESS)
        }
        cli::Topics::Verify { .. } => {
            let differences = run::topics::verify(&settings)?;
            print_lines(&differences);
            Ok(if differences.is_empty() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            })
        }
    }
}

fn run_gate(gate: cli::Gate) -> ExitCode {
    let changes: Vec<&str> = gate.change.iter().map(String::as_str).collect();
    let changes = match parse_changes(&changes) {
        Ok(changes) => changes,
        Err(invalid) => return wrong_usage(&format!("--change: {invalid}")),
    };
    let source = match gate_source(&gate) {
        Ok(source) => source,
        // Not a verdict: what a pipeline was told to do when nothing is known is no answer to settings that are wrong.
        Err(wrong) => return wrong_usage(&wrong),
    };
    let request = Request {
        changes,
        kind: gate.kind.into(),
        incident: gate.incident.filter(|id| !id.is_empty()).map(String::into_boxed_str),
        fail_mode: gate.fail_mode.into(),
        ..Request::new(gate.service, gate.environment)
    };
    let gate = run::gate::Gate {
        source,
        request,
        wait: gate.wait,
        timeout: gate.timeout,
        json: gate.json,
    };
    telemetry::install_logs("error");
    ExitCode::from(run::gate::run(&gate).code())
}

/// Whom a gate asks. Flags win over the environment, and of that the address of an instance over brokers.
fn gate_source(gate: &cli::Gate) -> Result<run::gate::Source, String> {
    let from_environment = || std::env::var("HOLDPOINT_URL").ok().filter(|url| !url.is_empty());
    let url = match (&gate.url, &gate.brokers) {
        (Some(url), _) => Some(("--url", url.clone())),
        (None, Some(_)) => None,
        (None, None) => from_environment().map(|url| ("HOLDPOINT_URL", url)),
    };
    if let Some((origin, url)) = url {
        let url = cli::url(&url).map_err(|expected| format!("{origin}: expected {expected}"))?;
        warn(&config::unknown_variables(environment()));
        return Ok(run::gate::Source::Url(url));
    }
    if gate.brokers.is_none() && gate.config.is_none() && std::env::var_os("HOLDPOINT_BROKERS").is_none() {
        return Err("name whom to ask: --url or --brokers, or HOLDPOINT_URL or HOLDPOINT_BROKERS".to_owned());
    }
    let flags = gate
        .brokers
        .iter()
        .map(|brokers| ("brokers".to_owned(), brokers.clone()));
    // It runs where what it is to judge is checked out: a file there could turn it to other topics.
    let settings = settings_of(gate.config.as_deref(), &flags.collect()).map_err(|error| format!("{error:#}"))?;
    Ok(run::gate::Source::Topic {
        connection: run::connection(&settings),
        control: settings.topics.control,
        overrides: settings.topics.overrides,
    })
}

fn wrong_usage(text: &str) -> ExitCode {
    complain(text);
    ExitCode::from(ExitStatus::Usage.code())
}

fn run_override(said: cli::Override) -> anyhow::Result<ExitCode> {
    let settings = settings(said.common.config.as_deref(), &said.common.flags())?;
    telemetry::install_logs("error");
    let said = run::overrides::Override {
        service: said.service,
        environment: said.environment,
        effect: said.effect.into(),
        length: said.length,
        reason: said.reason,
        by: said.by,
    };
    print_lines(&[shown(&run::overrides::run(&settings, &said)?)]);
    Ok(ExitCode::SUCCESS)
}

fn run_replay(replay: cli::Replay) -> anyhow::Result<ExitCode> {
    let args = run::replay::Args {
        events: replay.events,
        policy: replay.policy,
        compare: replay.compare,
        default_environment: replay.default_environment,
        decisions: replay.decisions,
        scores: replay.scores,
        report: replay.report,
        json: replay.json,
    };
    run::replay::run(&args, &mut std::io::stdout().lock())?;
    Ok(ExitCode::SUCCESS)
}

fn run_policy(command: cli::Policy) -> anyhow::Result<ExitCode> {
    let told = match command {
        cli::Policy::Check { file } => run::policy::check(&file)?,
        cli::Policy::Explain {
            service,
            environment,
            tier,
            json,
            file,
        } => {
            let tier = tier.map(Into::into);
            let args = run::policy::Args {
                service,
                environment,
                tier,
                file,
            };
            match run::policy::explain(&args)? {
                Ok(explanation) if json => Ok(serde_json::to_string_pretty(&explanation)?),
                Ok(explanation) => Ok(shown(explanation.to_string().trim_end())),
                Err(faults) => Err(faults),
            }
        }
    };
    Ok(match told {
        Ok(text) => {
            print_lines(&[text]);
            ExitCode::SUCCESS
        }
        Err(faults) => {
            print_lines(&faults);
            ExitCode::FAILURE
        }
    })
}

fn run_import(command: cli::Import) -> anyhow::Result<ExitCode> {
    let cli::Import::Git { path, service, since } = command;
    run::import::run(
        &run::import::Args { path, service, since },
        &mut std::io::stdout().lock(),
    )?;
    Ok(ExitCode::SUCCESS)
}

fn print_lines(lines: &[String]) {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    for line in lines {
        // A reader that went away wants no more.
        if writeln!(out, "{line}").is_err() {
            return;
        }
    }
}

fn complain(text: &str) {
    use std::io::Write as _;
    drop(writeln!(std::io::stderr(), "holdpoint: {}", shown(text)));
}
