//! A leaderboard of football teams, recomputed from their matches and saved in DynamoDB.
//!
//! This is the kind of job that a memory table is for: every record is read once, changed in
//! memory, and written once, in as few requests as DynamoDB allows. See [`save`] for how.
//!
//! ```text
//! cargo run --release --example leaderboard                          # the 2022 World Cup
//! cargo run --release --example leaderboard -- --synthetic 100000    # 5,000 teams
//! cargo run --release --example leaderboard -- --help
//! ```
//!
//! The files in the order of the data's way: `options` (the command line), `matches` and
//! `synthetic` (the input), `elo` (the computation), this one (the database), `report` (the
//! output).

#[path = "../common/mod.rs"]
mod common;
mod elo;
mod failure;
mod matches;
mod options;
mod report;
mod synthetic;

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use memory_table::{ErrorKind, FlushReport, MemoryTable};

use crate::elo::Team;
use crate::failure::Failure;
use crate::matches::Matches;
use crate::options::Options;
use crate::report::{Planned, Summary};

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Nothing is left to be done if standard error is closed too.
            let _ = write!(io::stderr(), "{failure}");
            failure.exit_code()
        }
    }
}

async fn run(options: &Options) -> Result<(), Failure> {
    let started = Instant::now();

    // Whatever can be wrong with the input or the options shows before the first request.
    let matches = read_matches(options)?;
    let json = options.json.as_deref().map(|path| create(path, options)).transpose()?;

    let teams = elo::standings(&matches.played);
    let mut summary = Summary {
        matches: matches.played.len() as u64,
        skipped: matches.skipped,
        teams: teams.len() as u64,
        // Until the database has confirmed a team, it counts as not saved.
        items_failed: teams.len() as u64,
        ..Summary::default()
    };
    let saved = save(options, &teams, json.as_ref(), &mut summary).await;
    if let Ok(Some(plan)) = &saved {
        summary.planned(plan);
    }
    summary.seconds = started.elapsed().as_secs_f64();

    let printed = match &saved {
        Ok(plan) => print(&teams, options.top, &summary, plan.as_ref()),
        Err(_) => Ok(()),
    };
    // Also after a failure, when the numbers matter most.
    let written = json.map_or(Ok(()), |file| write_json(file, &summary));
    let written = written.map_err(|cause| Failure::json(options, cause));
    if let (Err(_), Err(failure)) = (&saved, &written) {
        let _ = write!(io::stderr(), "{failure}");
    }
    saved?;
    written?;
    printed.map_err(Failure::Output)
}

fn read_matches(options: &Options) -> Result<Matches, Failure> {
    let matches = match (options.synthetic, &options.matches) {
        (Some(count), _) => Ok(Matches { played: synthetic::play(count), skipped: 0 }),
        (None, Some(path)) => matches::read(path),
        (None, None) => matches::world_cup(),
    };
    matches.map_err(Failure::Input)
}

/// Creates the file for the JSON, unless it would overwrite what the job reads or writes.
fn create(path: &Path, options: &Options) -> Result<File, Failure> {
    let database = common::database_files(options.db.as_deref());
    let others = database.iter().map(|file| Some(file.as_path()));
    common::create(path, others.chain([options.matches.as_deref()]))
        .map_err(|cause| Failure::Json { path: path.to_owned(), cause })
}

/// The job itself: load every team, change it in memory, flush once. A dry run stops before that, with the
/// plan of it.
async fn save(
    options: &Options,
    teams: &[Team],
    json: Option<&File>,
    summary: &mut Summary,
) -> Result<Option<Planned>, Failure> {
    let opened = opened(options).await;
    let (memory, is_there) = opened.map_err(|error| match error.kind() {
        ErrorKind::Journal => Failure::Journal(error),
        _ => Failure::before_writing(error, teams),
    })?;
    // From here on, the figures of an earlier run are those of another table.
    json.map_or(Ok(()), common::clear).map_err(|cause| Failure::json(options, cause))?;

    let loaded = load_and_change(&memory, teams, is_there).await;
    let loaded = loaded.map_err(|error| Failure::before_writing(error, teams));
    if options.dry_run && loaded.is_ok() {
        summary.counted(&memory);
        return Ok(Some(Planned::new(&memory.plan().await, options.price)));
    }
    let saved = match loaded {
        Ok(()) => flush(&memory, options).await,
        Err(failure) => Err(failure),
    };

    summary.counted(&memory);
    // A flush that failed has a report too: of what it saved, and of what it did not.
    if let Some(report) = Failure::report_of(&saved) {
        summary.items_written = report.written;
        summary.items_unchanged = report.unchanged;
        summary.items_failed = report.not_saved().count() as u64;
    } else if let Err(Failure::Interrupted { unsaved, .. }) = &saved {
        let stats = memory.stats();
        summary.items_written = stats.items_written;
        summary.items_unchanged = stats.items_unchanged;
        summary.items_failed = unsaved.len() as u64;
    }
    saved.map(|_| None)
}

/// The table in memory, and whether there is one in the database: it is made if there is none, unless nothing
/// is to be written.
async fn opened(options: &Options) -> Result<(MemoryTable<Team>, bool), memory_table::Error> {
    // The database would be made with its file.
    let is_new = |path: &Path| !path.exists() && common::folder(path).is_some_and(Path::exists);
    let path = options.db.as_deref().filter(|path| !(options.dry_run && is_new(path)));
    let mut database = common::connect(options.endpoint.as_deref(), path)?;
    if let Some(patience) = options.patience {
        database = database.with_patience(patience);
    }
    let table = options.pace.of(database.table_named::<Team>(&options.table));
    if options.dry_run && !table.exists().await? {
        return Ok((MemoryTable::builder(table).assume_absent().build()?, false));
    }
    // How far the load and the flush have come, if standard error is a terminal.
    let mut builder = MemoryTable::builder(table.clone()).progress_bar();
    if let Some(journal) = &options.journal {
        // What a run before this one could not save is unsaved again, and goes with the flush.
        builder = builder.journal(journal);
    }
    let memory = builder.build()?;
    if !options.dry_run {
        table.create_if_missing().await?;
    }
    options.pace.check(&table, &options.table);
    Ok((memory, true))
}

async fn load_and_change(
    memory: &MemoryTable<Team>,
    teams: &[Team],
    is_there: bool,
) -> Result<(), memory_table::Error> {
    // 100 keys a request, where a `get` per team would be a request each.
    if is_there {
        memory.prefetch(teams.iter().map(|team| team.team.as_str())).await?;
    }

    // No request: the change waits in memory. What a stored item has beyond the fields of `Team`
    // is kept, and a team that is already as it should be is not written at all.
    for team in teams {
        memory.update(team.team.as_str(), |record| *record = team.clone()).await?;
    }
    Ok(())
}

/// Flushes until done or interrupted.
async fn flush(memory: &MemoryTable<Team>, options: &Options) -> Result<FlushReport, Failure> {
    let journal = options.journal.clone();
    // Before the flush nothing is at stake, so nobody waits for it.
    let interrupt = common::Interrupt::listen();
    tokio::select! {
        result = memory.flush() => result.map_err(|error| Failure::NotSaved { error, journal }),
        () = interrupt.pressed() => {
            Err(Failure::Interrupted { unsaved: memory.unsaved(), journal })
        }
    }
}

fn write_json(mut file: File, summary: &Summary) -> io::Result<()> {
    let json = serde_json::to_string(summary)?;
    common::clear(&file)?;
    writeln!(file, "{json}")
}

fn print(teams: &[Team], top: usize, summary: &Summary, plan: Option<&Planned>) -> io::Result<()> {
    let plan = plan.map_or_else(String::new, Planned::to_string);
    let text = format!("{}{summary}{plan}", report::table(teams, top));
    match io::stdout().write_all(text.as_bytes()) {
        // The reader has seen enough, as in `leaderboard | head -1`.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}
