//! The job itself: look up the scorers and teams of some rows, add the goals, flush as it goes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use memory_table::{BadItems, Error, ErrorKind, Guard, MemoryTable, Number, OnConflict, Table};
use tokio::sync::watch;

use crate::common::{self, Interrupt};
use crate::failure::Failure;
use crate::goals::{Goal, Row};
use crate::options::Options;
use crate::output::{Output, Summary};
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
}

/// A row that is refused, and why.
type Refusal = Result<(), String>;

impl Job {
    /// Opens the tables; that of the scorers is made if it is missing.
    pub async fn open(options: &Options) -> Result<Self, Failure> {
        let database = common::connect(options.endpoint.as_deref(), options.db.as_deref());
        let mut database = database.map_err(Failure::Options)?;
        if let Some(patience) = options.patience {
            database = database.with_patience(patience);
        }
        let scorers = options.pace.of(database.table_named::<Scorer>(&options.table));
        scorers.create_if_missing().await.map_err(Failure::Database)?;
        options.pace.check(&scorers, &options.table);
        Self::with(scorers, database.table_named(&options.teams), options)
            .map_err(Failure::Database)
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
        Ok(Self { scorers, teams, added, unfit, merged, ended })
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
            if let Err(reason) = added {
                output.refuse(row.line, &reason, &row.fields)?;
            }
        }
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

    /// Saves what is not saved yet, and says what it all cost.
    pub async fn close(self, summary: &mut Summary) -> Result<(), Failure> {
        let closed = self.scorers.close().await;
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
        closed.map(drop).map_err(Failure::NotSaved)
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
