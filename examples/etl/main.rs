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
//! input), `scorer` (the totals), `job` (the database), `output` (what is refused, what it cost),
//! `failure` (how it can end early).

#[path = "../common/mod.rs"]
mod common;
mod failure;
mod goals;
mod job;
mod lines;
mod options;
mod output;
mod scorer;

use std::io::{self, Write};
use std::pin::pin;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use futures::FutureExt;
use indicatif::ProgressBar;

use crate::failure::Failure;
use crate::goals::{BadInput, Goals, Row};
use crate::job::Job;
use crate::options::Options;
use crate::output::Output;

/// Rows that are looked up together: keys are read by 100 a request.
const ROWS: usize = 1_000;

#[tokio::main]
async fn main() -> ExitCode {
    let failures = run(&Options::parse()).await;
    for failure in &failures {
        // Nothing is left to be done if standard error is closed too.
        let _ = write!(io::stderr(), "{failure}");
    }
    failures.first().map_or(ExitCode::SUCCESS, Failure::exit_code)
}

/// Everything that went wrong, the worst first.
async fn run(options: &Options) -> Vec<Failure> {
    let started = Instant::now();

    // Whatever can be wrong with the options or the header shows before the first request.
    let (mut goals, mut output) = match open(options) {
        Ok(opened) => opened,
        Err(failure) => return vec![failure],
    };
    let mut failures = match Job::open(options).await {
        Ok(job) => add_all(job, &mut goals, &mut output).await,
        Err(error) => vec![Failure::Database(error)],
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
    let output = Output::open(options, goals.header())?;
    Ok((goals, output))
}

/// Streams the rows through the job, then saves what is not saved yet.
async fn add_all(mut job: Job, goals: &mut Goals, output: &mut Output) -> Vec<Failure> {
    let bar = ProgressBar::new_spinner();
    bar.enable_steady_tick(Duration::from_millis(100));
    let mut interrupt = pin!(common::interrupt());
    let mut failures = Vec::new();
    loop {
        let (rows, end) = read(goals);
        failures.extend(job.add(&rows, output).await.err());
        bar.set_message(format!("{} rows", output.summary.rows));
        // Rows that were read together are added together, also when Ctrl-C is pressed meanwhile.
        let interrupted = interrupt.as_mut().now_or_never().is_some();
        match end {
            _ if !failures.is_empty() => break,
            End::OfRows if interrupted => {
                failures.push(Failure::Interrupted { line: job.line() });
                break;
            }
            End::OfRows => {}
            End::OfFile => break,
            End::Error(error) => {
                failures.push(Failure::Unreadable(error));
                break;
            }
        }
    }
    bar.set_message("saving");
    failures.extend(job.close(&mut output.summary).await.err());
    bar.finish_and_clear();
    failures
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
