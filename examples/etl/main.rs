//! Goals of football matches, added to the totals of those who scored them, in DynamoDB.
//!
//! The second kind of job that a memory table is for: input that may be larger than memory streams
//! through, what it changes is flushed as it goes, and what cannot be used is set aside with a
//! reason. See [`Job`] for how.
//!
//! ```text
//! cargo run --release --example etl                        # the goals of the 2022 World Cup
//! cargo run --release --example etl -- --goals FILE --refused FILE
//! cargo run --release --example etl -- --help
//! ```
//!
//! The files in the order of the data's way: `options` (the command line), `goals` and `lines` (the
//! input), `scorer` (the totals), `job` (the database), `progress` (how far it is), `output` (what is
//! refused, what it cost), `failure` (how it can end early).

#[path = "../common/mod.rs"]
mod common;
mod failure;
mod goals;
mod job;
mod lines;
mod options;
mod output;
mod progress;
mod scorer;

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use indicatif::ProgressBar;

use crate::common::Interrupt;
use crate::failure::{Failure, Told};
use crate::goals::{BadInput, Goals, Row};
use crate::job::Job;
use crate::options::Options;
use crate::output::Output;

/// Rows that are looked up together: keys are read by 100 a request.
const ROWS: usize = 1_000;

fn main() -> ExitCode {
    let options = Options::read();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(cause) => {
            let _ = writeln!(io::stderr(), "error: the program cannot be started: {cause}");
            return ExitCode::FAILURE;
        }
    };
    let failures = runtime.block_on(run(&options));
    // A read of a pipe may be under way that has no end.
    runtime.shutdown_background();
    for failure in &failures {
        // Nothing is left to be done if standard error is closed too.
        let _ = write!(io::stderr(), "{}", Told(failure, options.journal.as_deref()));
    }
    failures.first().map_or(ExitCode::SUCCESS, Failure::exit_code)
}

/// Everything that went wrong, the worst first.
async fn run(options: &Options) -> Vec<Failure> {
    let started = Instant::now();

    // Whatever can be wrong with the options or the header shows before the first request.
    let (goals, mut output) = match open(options) {
        Ok(opened) => opened,
        Err(failure) => return vec![failure],
    };
    let mut failures = match begin(options, goals, &mut output).await {
        Ok((job, goals)) => add_all(job, goals, &mut output).await,
        Err(failure) => vec![failure],
    };
    output.summary.seconds = started.elapsed().as_secs_f64();
    // The files are written also after a failure, when they matter most.
    let printed = failures.is_empty();
    failures.extend(output.finish(printed));
    failures
}

fn open(options: &Options) -> Result<(Goals, Output), Failure> {
    let goals = match &options.goals {
        Some(path) => Goals::open(path),
        None => Goals::world_cup(),
    };
    let goals = goals.map_err(Failure::Input)?;
    let output = Output::open(options)?;
    Ok((goals, output))
}

/// Goes to where a run before this one came, if it has its journal.
async fn begin(
    options: &Options,
    mut goals: Goals,
    output: &mut Output,
) -> Result<(Job, Goals), Failure> {
    let mut job = Job::open(options)?;
    let before = job.before()?;
    if let Some(journal) = job.journal() {
        let (progress, skipping) = (before.clone(), journal);
        let skipped = tokio::task::spawn_blocking(move || {
            progress.skip(&mut goals, &skipping).map(|()| goals)
        });
        goals = match skipped.await {
            Ok(skipped) => skipped?,
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        };
    }
    job.begin(options, &before).await?;
    output.begin(goals.header(), &before)?;
    Ok((job, goals))
}

/// Streams the rows through the job, then saves what is not saved yet.
async fn add_all(mut job: Job, goals: Goals, output: &mut Output) -> Vec<Failure> {
    let interrupt = Interrupt::listen();
    let bar = ProgressBar::new_spinner();
    bar.enable_steady_tick(Duration::from_millis(100));
    let mut failures = Vec::new();
    failures.extend(stream(&mut job, goals, output, &interrupt, &bar).await.err());
    bar.set_message("saving");
    let (is_whole, has_journal) = (failures.is_empty(), job.journal().is_some());
    let say = async {
        interrupt.pressed().await;
        let text = if has_journal {
            "interrupted: saving what was added; Ctrl-C or SIGTERM again leaves it in the journal"
        } else {
            "interrupted: saving what was added; Ctrl-C or SIGTERM again ends without"
        };
        let _ = bar.suspend(|| writeln!(io::stderr(), "{text}"));
        std::future::pending().await
    };
    failures.extend(tokio::select! {
        closed = job.close(&mut output.summary, is_whole) => closed.err(),
        never = say => never,
    });
    bar.finish_and_clear();
    failures
}

/// Adds the rows to the end.
async fn stream(
    job: &mut Job,
    mut goals: Goals,
    output: &mut Output,
    interrupt: &Interrupt,
    bar: &ProgressBar,
) -> Result<(), Failure> {
    // The line behind the last row that was added or refused.
    let mut next = job.next_line();
    loop {
        // Where the input is a pipe, it may have nothing to be read for long.
        let reading = tokio::task::spawn_blocking(move || {
            let read = read(&mut goals);
            (goals, read)
        });
        let (rows, end);
        (goals, (rows, end)) = tokio::select! {
            biased;
            () = interrupt.pressed() => return Err(Failure::Interrupted { line: next }),
            read = reading => match read {
                Ok(read) => read,
                Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
            },
        };
        job.add(&rows, output, interrupt).await?;
        next = rows.last().map_or(next, |row| row.line + 1);
        bar.set_message(format!("{} rows", output.summary.rows));
        match end {
            End::OfRows => {}
            End::OfFile => return Ok(()),
            End::Error(error) => return Err(Failure::Unreadable(error)),
        }
    }
}

/// Why no more rows were read.
enum End {
    /// There are enough.
    OfRows,
    OfFile,
    Error(BadInput),
}

/// Rows to be looked up together.
fn read(goals: &mut Goals) -> (Vec<Row>, End) {
    let mut rows = Vec::new();
    while rows.len() < ROWS {
        match goals.next() {
            Ok(Some(row)) => rows.push(row),
            Ok(None) => return (rows, End::OfFile),
            Err(error) => return (rows, End::Error(error)),
        }
    }
    (rows, End::OfRows)
}
