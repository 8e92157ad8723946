//! The job itself: look up the scorers and teams of some rows, add the goals, flush as it goes.

use std::collections::HashSet;

use memory_table::{BadItems, Error, ErrorKind, MemoryTable, Number};

use crate::common;
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
    /// The line of the last row that was added or refused.
    line: u64,
}

/// A row that is refused, and why.
type Refusal = Result<(), String>;

impl Job {
    /// Opens the tables; that of the scorers is made if it is missing.
    pub async fn open(options: &Options) -> Result<Self, Error> {
        let mut database = common::connect(options.endpoint.as_deref(), options.db.as_deref())?;
        if let Some(patience) = options.patience {
            database = database.with_patience(patience);
        }
        let scorers = database.table_named::<Scorer>(&options.table);
        scorers.create_if_missing().await?;
        // A change waits until a flush in the background has made room for it.
        let scorers = MemoryTable::builder(scorers)
            .max_unsaved_records(options.max_unsaved)
            .bad_items(BadItems::Skip)
            .build()?;
        let teams = MemoryTable::builder(database.table_named::<Team>(&options.teams));
        let teams = teams.bad_items(BadItems::Skip).build()?;
        Ok(Self { scorers, teams: Some(teams), added: HashSet::new(), line: 1 })
    }

    /// The line of the last row that was added or refused.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// Adds the goals of some rows, in their order.
    pub async fn add(&mut self, rows: &[Row], output: &mut Output) -> Result<(), Failure> {
        let goals: Vec<&Goal> = rows.iter().filter_map(|row| row.goal.as_ref().ok()).collect();
        let stopped = |line, error| Failure::Stopped { line, error };
        let first = rows.first().map_or(self.line, |row| row.line);
        self.look_up(&goals).await.map_err(|error| stopped(first, error))?;
        for row in rows {
            let added = match &row.goal {
                Ok(goal) => self.add_one(goal).await.map_err(|error| stopped(row.line, error))?,
                Err(reason) => Err(reason.clone()),
            };
            output.summary.rows += 1;
            if let Err(reason) = added {
                output.refuse(row.line, &reason, &row.fields)?;
            }
            self.line = row.line;
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
        let rating = match self.rating_against(goal).await {
            Ok(rating) => rating,
            Err(error) => return refused(error),
        };
        let mut added = Ok(());
        let update = self.scorers.update(goal.scorer.as_str(), |scorer| {
            added = scorer.add(goal, &rating);
        });
        if let Err(error) = update.await {
            return refused(error);
        }
        if added.is_err() {
            return Ok(Err("the sum of the opponents' ratings would not be exact".to_owned()));
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
        summary.scorers = self.added.len() as u64;
        summary.write_requests = stats.write_requests;
        summary.items_written = stats.items_written;
        summary.items_failed = stats.unsaved;
        let tables = [Some(stats), self.teams.map(|teams| teams.stats())];
        for stats in tables.into_iter().flatten() {
            summary.read_requests += stats.read_requests;
            summary.items_read += stats.items_read;
        }
        closed.map(drop).map_err(Failure::NotSaved)
    }
}

/// A stored item that does not fit concerns its rows alone; any other error concerns all.
fn refused(error: Error) -> Result<Refusal, Error> {
    match error.kind() {
        ErrorKind::InvalidItem | ErrorKind::InvalidKey | ErrorKind::InvalidRecord => {
            Ok(Err(error.to_string()))
        }
        _ => Err(error),
    }
}
