//! The job itself: look up the scorers and teams of some rows, add the goals, flush as it goes.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use memory_table::{
    BadItems, Error, ErrorKind, FlushError, Guard, MemoryTable, Number, OnConflict, Table,
};
use tokio::sync::watch;

use crate::common::{self, Interrupt};
use crate::failure::Failure;
use crate::goals::{Goal, Row};
use crate::options::Options;
use crate::output::{Output, Summary};
use crate::progress::Progress;
use crate::scorer::{Scorer, Team, first_rating};

/// The tables in memory.
pub struct Job {
    scorers: MemoryTable<Scorer>,
    /// `None` once it turned out that there is no such table.
    teams: Option<MemoryTable<Team>>,
    /// Those to whom something was added.
    added: HashSet<String>,
    /// Scorers and teams whose stored items do not fit, and why: each is read once.
    unfit: [HashMap<String, String>; 2],
    /// How often another job had changed a scorer.
    merged: Arc<AtomicU64>,
    /// Why nothing can be saved any more.
    ended: watch::Receiver<Option<Error>>,
    checkpoints: Option<Checkpoints>,
}

/// When the next checkpoint is due, and what it is to say.
struct Checkpoints {
    journal: PathBuf,
    every: usize,
    /// So many scorers wait for the checkpoint at most: they take the room of those that are being saved.
    most: usize,
    progress: Progress,
    /// Rows since the last one, and to whom something was added by them.
    rows: usize,
    added: HashSet<String>,
}

impl Checkpoints {
    fn is_due(&self) -> bool {
        self.rows >= self.every || self.added.len() >= self.most
    }
}

/// A row that is refused, and why.
type Refusal = Result<(), String>;

impl Job {
    /// Opens the tables and the journal. Nothing is sent.
    pub fn open(options: &Options) -> Result<Self, Failure> {
        let database = common::connect(options.endpoint.as_deref(), options.db.as_deref());
        let mut database = database.map_err(Failure::Options)?;
        if let Some(patience) = options.patience {
            database = database.with_patience(patience);
        }
        let scorers = options.pace.of(database.table_named::<Scorer>(&options.table));
        let job = Self::with(scorers, database.table_named(&options.teams), options);
        job.map_err(|error| match error.kind() {
            ErrorKind::Journal => Failure::Journal(error),
            _ => Failure::Database(error),
        })
    }

    /// What a run before this one had done of the same input, if it did not end well.
    pub fn before(&self) -> Result<Progress, Failure> {
        if self.checkpoints.is_none() {
            return Ok(Progress::default());
        }
        let progress = self.scorers.cursor::<Option<Progress>>().map_err(Failure::Journal)?;
        Ok(progress.flatten().unwrap_or_default())
    }

    /// The line behind the last row that was done.
    pub fn next_line(&self) -> u64 {
        self.checkpoints.as_ref().map_or(0, |it| it.progress.next_line).max(2)
    }

    pub fn journal(&self) -> Option<PathBuf> {
        self.checkpoints.as_ref().map(|it| it.journal.clone())
    }

    /// Goes on from there. The table of the scorers is made if it is missing.
    pub async fn begin(&mut self, options: &Options, before: &Progress) -> Result<(), Failure> {
        let table = self.scorers.table();
        table.create_if_missing().await.map_err(Failure::Database)?;
        options.pace.check(table, &options.table);
        if let Some(checkpoints) = &mut self.checkpoints {
            checkpoints.progress = before.clone();
        }
        Ok(())
    }

    fn with(scorers: Table<Scorer>, teams: Table<Team>, options: &Options) -> Result<Self, Error> {
        let (end, ended) = watch::channel(None);
        // A change waits until a flush in the background has made room for it.
        let mut scorers = MemoryTable::builder(scorers)
            .max_unsaved_records(options.max_unsaved)
            .bad_items(BadItems::Skip)
            .on_background_error(move |error| {
                if is_final(error.cause()) {
                    end.send_replace(Some(error.cause().clone()));
                }
            });
        let checkpoints = options.journal.as_ref().map(|journal| Checkpoints {
            journal: journal.clone(),
            every: options.checkpoint_every,
            most: options.max_unsaved.div_ceil(2),
            progress: Progress::default(),
            rows: 0,
            added: HashSet::new(),
        });
        if let Some(journal) = &options.journal {
            scorers = scorers.journal(journal).checkpoints();
        }
        let merged = Arc::new(AtomicU64::new(0));
        if options.guarded {
            let merged = Arc::clone(&merged);
            let merge = OnConflict::try_merge(move |base, mine, theirs| {
                let both = Scorer::merged(base, mine, theirs)?;
                merged.fetch_add(1, Ordering::Relaxed);
                Ok(both)
            });
            scorers = scorers.guarded(Guard::Item).on_conflict(merge);
        }
        let teams = MemoryTable::builder(teams).bad_items(BadItems::Skip).build()?;
        let (teams, unfit) = (Some(teams), Default::default());
        let (scorers, added) = (scorers.build()?, HashSet::new());
        Ok(Self { scorers, teams, added, unfit, merged, ended, checkpoints })
    }

    /// Adds the goals of some rows, in their order, until it is interrupted.
    pub async fn add(
        &mut self,
        rows: &[Row],
        output: &mut Output,
        interrupt: &Interrupt,
    ) -> Result<(), Failure> {
        let Some(first) = rows.first() else { return Ok(()) };
        let goals: Vec<&Goal> = rows.iter().filter_map(|row| row.goal.as_ref().ok()).collect();
        let stopped = |line, error| Failure::Stopped { line, error };
        let mut ended = self.ended.clone();
        let mut end = async |line| {
            tokio::select! {
                () = interrupt.pressed() => Failure::Interrupted { line },
                error = until_ended(&mut ended) => stopped(line, error),
            }
        };
        tokio::select! {
            biased;
            end = end(first.line) => return Err(end),
            found = self.look_up(&goals) => found.map_err(|error| stopped(first.line, error))?,
        }
        for row in rows {
            let added = match &row.goal {
                // Dropped while it waits, nothing of the row is added.
                Ok(goal) => tokio::select! {
                    biased;
                    end = end(row.line) => return Err(end),
                    added = self.add_one(goal) => added.map_err(|error| stopped(row.line, error))?,
                },
                Err(reason) => Err(reason.clone()),
            };
            output.summary.rows += 1;
            let is_refused = added.is_err();
            if let Err(reason) = added {
                output.refuse(row.line, &reason, &row.fields)?;
            }
            self.note(row, is_refused, output).await.map_err(|error| stopped(row.line, error))?;
        }
        Ok(())
    }

    /// A row was added or refused; a checkpoint is made if one is due.
    async fn note(&mut self, row: &Row, is_refused: bool, output: &Output) -> Result<(), Error> {
        let Some(checkpoints) = &mut self.checkpoints else { return Ok(()) };
        checkpoints.progress.take(row, is_refused);
        checkpoints.progress.refused_bytes = output.refused_bytes();
        checkpoints.rows += 1;
        if let Some(goal) = row.goal.as_ref().ok().filter(|_| !is_refused) {
            checkpoints.added.insert(goal.scorer.clone());
        }
        if checkpoints.is_due() { self.checkpoint().await } else { Ok(()) }
    }

    /// What was done until now is in the journal, and may be saved.
    async fn checkpoint(&mut self) -> Result<(), Error> {
        let Some(checkpoints) = &mut self.checkpoints else { return Ok(()) };
        self.scorers.checkpoint(&Some(&checkpoints.progress)).await?;
        checkpoints.rows = 0;
        checkpoints.added.clear();
        Ok(())
    }

    /// Loads scorers and opponents, 100 a request, where a `get` for each would be a request each.
    async fn look_up(&mut self, goals: &[&Goal]) -> Result<(), Error> {
        let names = goals.iter().map(|goal| goal.scorer.as_str());
        // What does not fit is found again, and its rows are refused.
        let _skipped = self.scorers.prefetch(names).await?;
        let Some(teams) = &self.teams else {
            return Ok(());
        };
        let scored = goals.iter().filter(|goal| !goal.own_goal);
        match teams.prefetch(scored.map(|goal| goal.opponent.as_str())).await {
            // Nobody has a rating where there is no table of ratings.
            Err(error) if error.kind() == ErrorKind::TableNotFound => self.teams = None,
            result => {
                let _skipped = result?;
            }
        }
        Ok(())
    }

    async fn add_one(&mut self, goal: &Goal) -> Result<Refusal, Error> {
        let [scorers, teams] = &self.unfit;
        let opponent = Some(&goal.opponent).filter(|_| !goal.own_goal);
        let unfit = scorers.get(&goal.scorer).or_else(|| teams.get(opponent?));
        if let Some(reason) = unfit {
            return Ok(Err(reason.clone()));
        }
        let rating = match self.rating_against(goal).await {
            Ok(rating) => rating,
            Err(error) => return refused(error, &mut self.unfit[1], &goal.opponent),
        };
        let mut added = Ok(());
        let update = self.scorers.update(goal.scorer.as_str(), |scorer| {
            added = scorer.add(goal, &rating);
        });
        if let Err(error) = update.await {
            return refused(error, &mut self.unfit[0], &goal.scorer);
        }
        if let Err(inexact) = added {
            return Ok(Err(inexact.to_string()));
        }
        if !self.added.contains(&goal.scorer) {
            self.added.insert(goal.scorer.clone());
        }
        Ok(Ok(()))
    }

    /// The rating of the team that a goal was scored against; nobody asks for that of an own goal.
    async fn rating_against(&self, goal: &Goal) -> Result<Number, Error> {
        let Some(teams) = self.teams.as_ref().filter(|_| !goal.own_goal) else {
            return Ok(first_rating());
        };
        let opponent = teams.get(goal.opponent.as_str()).await?;
        Ok(opponent.map_or_else(first_rating, |team| team.rating.clone()))
    }

    /// Saves what is not saved yet, and says what it all cost. `is_whole`: the input was read to its end.
    pub async fn close(mut self, summary: &mut Summary, is_whole: bool) -> Result<(), Failure> {
        // In the journal first, whatever becomes of the database.
        let covered = self.checkpoint().await;
        let closed = self.save(is_whole && covered.is_ok()).await;
        let stats = self.scorers.stats();
        let not_saved = closed.as_ref().err().map_or(0, |error| error.report().not_saved().count());
        summary.scorers = self.added.len().saturating_sub(not_saved) as u64;
        summary.write_requests = stats.write_requests;
        summary.items_written = stats.items_written;
        summary.items_failed = stats.unsaved;
        summary.merged = self.merged.load(Ordering::Relaxed);
        let scorers = (stats, self.scorers.consumption());
        let teams = self.teams.map(|teams| (teams.stats(), teams.consumption()));
        for (stats, units) in [Some(scorers), teams].into_iter().flatten() {
            summary.read_requests += stats.read_requests;
            summary.items_read += stats.items_read;
            summary.read_units += units.reads.total;
            summary.write_units += units.writes.total;
        }
        covered.map_err(Failure::NotCovered)?;
        closed.map_err(Failure::NotSaved)
    }

    /// Saves what the last checkpoint covers. If that is the whole input, the next run begins anew.
    async fn save(&self, is_whole: bool) -> Result<(), FlushError> {
        if is_whole && self.checkpoints.is_some() {
            let _saved = self.scorers.flush().await?;
            // What cannot be written down is found to be done by the next run.
            let _anew = self.scorers.checkpoint(&None::<Progress>).await;
        }
        self.scorers.close().await.map(drop)
    }
}

/// A stored item that does not fit concerns its rows alone; any other error concerns all.
fn refused(
    error: Error,
    unfit: &mut HashMap<String, String>,
    name: &str,
) -> Result<Refusal, Error> {
    match error.kind() {
        ErrorKind::InvalidItem | ErrorKind::InvalidKey | ErrorKind::InvalidRecord => {
            let reason = error.to_string();
            unfit.insert(name.to_owned(), reason.clone());
            Ok(Err(reason))
        }
        _ => Err(error),
    }
}

/// Whether nothing can be saved until somebody does something about it.
fn is_final(error: &Error) -> bool {
    use ErrorKind::{AccessDenied, Credentials, TableMismatch, TableNotFound};
    matches!(error.kind(), AccessDenied | Credentials | TableMismatch | TableNotFound)
}

async fn until_ended(ended: &mut watch::Receiver<Option<Error>>) -> Error {
    match ended.wait_for(Option::is_some).await.map(|error| error.clone()) {
        Ok(Some(error)) => error,
        // Nobody is left to say so.
        _ => std::future::pending().await,
    }
}
