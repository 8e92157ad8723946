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
use std::pin::pin;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use memory_table::{FlushReport, MemoryTable};

use crate::elo::Team;
use crate::failure::Failure;
use crate::matches::Matches;
use crate::options::Options;
use crate::report::Summary;

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
    summary.seconds = started.elapsed().as_secs_f64();

    let printed = match &saved {
        Ok(()) => print(&teams, options.top, &summary),
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

/// The job itself: load every team, change it in memory, flush once.
async fn save(
    options: &Options,
    teams: &[Team],
    json: Option<&File>,
    summary: &mut Summary,
) -> Result<(), Failure> {
    let memory = opened(options).await.map_err(|error| Failure::before_writing(error, teams))?;
    // From here on, the figures of an earlier run are those of another table.
    json.map_or(Ok(()), common::clear).map_err(|cause| Failure::json(options, cause))?;

    let saved = match load_and_change(&memory, teams).await {
        Ok(()) => flush(&memory).await,
        Err(error) => Err(Failure::before_writing(error, teams)),
    };

    let stats = memory.stats();
    summary.read_requests = stats.read_requests;
    summary.write_requests = stats.write_requests;
    summary.items_read = stats.items_read;
    // A flush that failed has a report too: of what it saved, and of what it did not.
    if let Some(report) = Failure::report_of(&saved) {
        summary.items_written = report.written;
        summary.items_unchanged = report.unchanged;
        summary.items_failed = report.not_saved().count() as u64;
    } else if let Err(Failure::Interrupted(unsaved)) = &saved {
        summary.items_written = stats.items_written;
        summary.items_unchanged = stats.items_unchanged;
        summary.items_failed = unsaved.len() as u64;
    }
    saved.map(drop)
}

/// The table in memory; the table itself is made if there is none.
async fn opened(options: &Options) -> Result<MemoryTable<Team>, memory_table::Error> {
    let mut database = common::connect(options.endpoint.as_deref(), options.db.as_deref())?;
    if let Some(patience) = options.patience {
        database = database.with_patience(patience);
    }
    let table = database.table_named::<Team>(&options.table);
    table.create_if_missing().await?;
    Ok(MemoryTable::new(table))
}

async fn load_and_change(
    memory: &MemoryTable<Team>,
    teams: &[Team],
) -> Result<(), memory_table::Error> {
    // 100 keys a request, where a `get` per team would be a request each.
    memory.prefetch(teams.iter().map(|team| team.team.as_str())).await?;

    // No request: the change waits in memory. What a stored item has beyond the fields of `Team`
    // is kept, and a team that is already as it should be is not written at all.
    for team in teams {
        memory.update(team.team.as_str(), |record| *record = team.clone()).await?;
    }
    Ok(())
}

/// Flushes with a progress bar, which shows only on a terminal, until done or interrupted.
async fn flush(memory: &MemoryTable<Team>) -> Result<FlushReport, Failure> {
    let unsaved = memory.stats().unsaved;
    let style = ProgressStyle::with_template("saving {bar:40} {pos}/{len} teams");
    let bar = ProgressBar::new(unsaved)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let mut flush = pin!(memory.flush());
    // Before the flush nothing is at stake, so nobody waits for it.
    let interrupt = common::Interrupt::listen();
    let mut tick = tokio::time::interval(Duration::from_millis(100));

    let result = loop {
        tokio::select! {
            result = &mut flush => break result.map_err(Failure::NotSaved),
            () = interrupt.pressed() => break Err(Failure::Interrupted(memory.unsaved())),
            _ = tick.tick() => bar.set_position(unsaved.saturating_sub(memory.stats().unsaved)),
        }
    };
    bar.finish_and_clear();
    result
}

fn write_json(mut file: File, summary: &Summary) -> io::Result<()> {
    let json = serde_json::to_string(summary)?;
    common::clear(&file)?;
    writeln!(file, "{json}")
}

fn print(teams: &[Team], top: usize, summary: &Summary) -> io::Result<()> {
    let text = format!("{}{summary}", report::table(teams, top));
    match io::stdout().write_all(text.as_bytes()) {
        // The reader has seen enough, as in `leaderboard | head -1`.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}
