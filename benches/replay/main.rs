//! What a replay costs: the core alone, and from NDJSON, beside loops that only read or only parse the same lines.
//!
//! ```sh
//! cargo bench --bench replay                                        # a million events of 2,000 services
//! cargo bench --bench replay -- --events 2700000 --write a.ndjson   # writes them down instead: a gigabyte
//! cargo bench --bench replay -- --only core                         # for a profiler
//! ```
//! Figures are events per second of CPU, so that what else runs on the machine plays no part.

mod events;
mod usage;

use std::{
    fs::File,
    hint::black_box,
    io::{self, BufRead as _, BufReader, BufWriter, Write as _},
    path::Path,
};

use holdpoint::{
    ingest::{Origin, decode},
    model::{Event, Timestamp},
    replay::{ComparedPolicies, Comparison, Input, Merge, Replay},
};
use serde::de::IgnoredAny;
use serde_json::Value;

use self::{
    events::Events,
    usage::{cpu, peak_mib},
};

/// The allocator of the program.
#[cfg(feature = "service")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Lines made, decoded and stepped at a time: their decoded form is held in memory meanwhile.
const CHUNK: u64 = 20_000;
const BUFFER_BYTES: usize = 256 * 1024;

struct Options {
    n_events: u64,
    n_services: u64,
    n_deploys: u64,
    write: Option<String>,
    only: Option<String>,
}

fn main() -> io::Result<()> {
    let options = options();
    if let Some(path) = &options.write {
        return write(Path::new(path), &options);
    }
    if options.only.as_deref() == Some("core") {
        let per_second = core_alone(&options);
        return writeln!(io::stdout(), "replay: the core alone {per_second:.0} events/s");
    }
    let path = std::env::temp_dir().join(format!("holdpoint-replay-{}.ndjson", std::process::id()));
    let measured = write(&path, &options).and_then(|()| measure(&path, &options));
    std::fs::remove_file(&path)?;
    measured
}

fn options() -> Options {
    let mut options = Options {
        n_events: 1_000_000,
        n_services: 2_000,
        n_deploys: 1,
        write: None,
        only: None,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().unwrap_or_else(|| panic!("{argument} needs a value"));
        match &*argument {
            "--events" => options.n_events = value().parse().expect("--events is a number"),
            "--services" => options.n_services = value().parse().expect("--services is a number"),
            "--deploys" => options.n_deploys = value().parse().expect("--deploys is a number"),
            "--write" => options.write = Some(value()),
            "--only" => options.only = Some(value()),
            "--test" => options.n_events = 20_000,
            "--bench" => {}
            other => panic!(
                "{other} is no option: --events N, --services N, --deploys N a day and service, --write FILE, --only core, --test"
            ),
        }
    }
    options
}

fn write(path: &Path, options: &Options) -> io::Result<()> {
    let mut file = BufWriter::with_capacity(BUFFER_BYTES, File::create(path)?);
    let mut events = Events::new(options.n_services, options.n_deploys);
    let mut lines = Vec::new();
    for _ in 0..options.n_events {
        lines.clear();
        events.append(&mut lines);
        file.write_all(&lines)?;
    }
    file.flush()
}

fn measure(path: &Path, options: &Options) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let size = std::fs::metadata(path)?.len();
    writeln!(
        out,
        "{} lines of {} services, {} deploys a day each, {} bytes a line",
        options.n_events,
        options.n_services,
        options.n_deploys,
        size / options.n_events.max(1)
    )?;
    let core = core_alone(options);
    let rows = [
        ("lines read and counted", timed(options, || count_lines(path))?),
        (
            "… and parsed, values ignored (serde_json)",
            timed(options, || parse::<IgnoredAny>(path))?,
        ),
        (
            "… and parsed into values (serde_json)",
            timed(options, || parse::<Value>(path))?,
        ),
        ("replay: the core alone, events decoded before", core),
        ("replay: from NDJSON", timed(options, || replay(path, false))?),
        (
            "replay: from NDJSON, two policies",
            timed(options, || replay(path, true))?,
        ),
    ];
    let replayed = rows[4].1;
    for (name, per_second) in rows {
        writeln!(
            out,
            "  {name:<48}{per_second:>12.0} events/s {:>8.2}",
            per_second / replayed
        )?;
    }
    writeln!(out, "  memory at its highest: {} MiB", peak_mib()?)
}

#[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "counts to print")]
fn per_second(n: u64, before: f64) -> f64 {
    n as f64 / (cpu() - before).max(1e-9)
}

fn timed(options: &Options, run: impl FnOnce() -> io::Result<()>) -> io::Result<f64> {
    let before = cpu();
    run()?;
    Ok(per_second(options.n_events, before))
}

/// Only the stepping is timed.
fn core_alone(options: &Options) -> f64 {
    let mut events = Events::new(options.n_services, options.n_deploys);
    let mut replay = Replay::new(None);
    let (mut used, mut line, mut lines) = (0.0, 0_u64, Vec::new());
    let origin = Origin {
        topic: "events",
        kind: None,
    };
    while line < options.n_events {
        lines.clear();
        for _ in 0..CHUNK.min(options.n_events - line) {
            events.append(&mut lines);
        }
        let texts = lines.split(|byte| *byte == b'\n').filter(|text| !text.is_empty());
        let decoded: Vec<Event<'_>> = texts
            .map(|text| decode(Some(text), &origin, Timestamp::NEVER).expect("an event"))
            .collect();
        let before = cpu();
        for event in &decoded {
            line += 1;
            replay.take_event(event, "events", line);
            replay.take_said().for_each(|said| drop(black_box(said)));
        }
        used += cpu() - before;
    }
    per_second(line, cpu() - used)
}

fn count_lines(path: &Path) -> io::Result<()> {
    let mut file = BufReader::with_capacity(BUFFER_BYTES, File::open(path)?);
    let (mut line, mut n) = (Vec::new(), 0_u64);
    while file.read_until(b'\n', &mut line)? > 0 {
        n += u64::from(line.ends_with(b"\n"));
        line.clear();
    }
    black_box(n);
    Ok(())
}

fn parse<T: serde::de::DeserializeOwned>(path: &Path) -> io::Result<()> {
    let mut file = BufReader::with_capacity(BUFFER_BYTES, File::open(path)?);
    let mut line = Vec::new();
    while file.read_until(b'\n', &mut line)? > 0 {
        black_box(serde_json::from_slice::<T>(&line)?);
        line.clear();
    }
    Ok(())
}

fn replay(path: &Path, compare: bool) -> io::Result<()> {
    let input = Input {
        name: "events".into(),
        reader: Box::new(BufReader::with_capacity(BUFFER_BYTES, File::open(path)?)),
    };
    let mut merge = Merge::new(vec![input]).map_err(io::Error::other)?;
    if compare {
        let other = "[freeze]\nmargin = 0.5\n";
        let mut comparison = Comparison::new(Replay::new(None), Replay::new(Some(other)), ComparedPolicies::default());
        while let Some(arrival) = merge.next().map_err(io::Error::other)? {
            comparison.take(&arrival);
            comparison.take_said().for_each(|said| drop(black_box(said)));
        }
        return Ok(());
    }
    let mut replay = Replay::new(None);
    while let Some(arrival) = merge.next().map_err(io::Error::other)? {
        replay.take(&arrival);
        replay.take_said().for_each(|said| drop(black_box(said)));
    }
    Ok(())
}
