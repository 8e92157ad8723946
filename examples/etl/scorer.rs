//! What the job keeps of a scorer, and how a goal is added to it.

use std::fmt;

use memory_table::{BoxError, Number, Record, Set};
use serde::{Deserialize, Serialize};

use crate::goals::Goal;

/// The rating of a team that has none yet.
pub const FIRST_RATING: u32 = 1500;

/// The totals of one scorer.
#[derive(Record, Serialize, Deserialize, Debug, Clone, PartialEq)]
#[record(table = "scorers")]
pub struct Scorer {
    #[record(partition_key)]
    pub scorer: String,
    /// Goals, penalties among them; no own goals.
    #[serde(default)]
    pub goals: u64,
    #[serde(default)]
    pub penalties: u64,
    #[serde(default)]
    pub own_goals: u64,
    /// The sum of the opponents' ratings over the goals. A decimal number: binary floats would round,
    /// and the sum depend on the order.
    #[serde(default)]
    pub opponents: Number,
    /// The teams that the goals were scored for.
    #[serde(default)]
    pub teams: Set<String>,
    /// The dates of the first and the last goal, own goals too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<String>,
}

/// What the job reads of a team in the leaderboard's table.
#[derive(Record, Serialize, Deserialize, Debug, Clone)]
#[record(table = "teams")]
pub struct Team {
    #[record(partition_key)]
    pub team: String,
    #[serde(default = "first_rating")]
    pub rating: Number,
}

pub fn first_rating() -> Number {
    FIRST_RATING.into()
}

impl Scorer {
    /// Adds a goal against an opponent of this rating. If a sum would not be exact, says so and adds
    /// nothing.
    pub fn add(&mut self, goal: &Goal, rating: &Number) -> Result<(), Inexact> {
        let plus = |sum: u64, one: bool| sum.checked_add(one.into()).ok_or(Inexact);
        if goal.own_goal {
            self.own_goals = plus(self.own_goals, true)?;
        } else {
            let opponents = self.opponents.checked_add(rating).ok_or(Inexact)?;
            let (goals, penalties) = (plus(self.goals, true)?, plus(self.penalties, goal.penalty)?);
            (self.opponents, self.goals, self.penalties) = (opponents, goals, penalties);
            self.teams.insert(goal.team.clone());
        }
        // Dates stand as year, month, day, so that text sorts as they do.
        let is_first = self.first.as_ref().is_none_or(|first| goal.date < *first);
        let is_last = self.last.as_ref().is_none_or(|last| goal.date > *last);
        if is_first {
            self.first = Some(goal.date.clone());
        }
        if is_last {
            self.last = Some(goal.date.clone());
        }
        Ok(())
    }

    /// What two jobs added to the totals that both loaded.
    pub fn merged(
        base: Option<&Self>,
        mine: Option<&Self>,
        theirs: Option<&Self>,
    ) -> Result<Option<Self>, BoxError> {
        let (Some(mine), Some(theirs)) = (mine, theirs) else { return Ok(mine.cloned()) };
        let sum = |of: fn(&Self) -> u64| {
            let added = of(mine).checked_sub(base.map_or(0, of)).ok_or(Inexact)?;
            of(theirs).checked_add(added).ok_or(Inexact)
        };
        let before = base.map(|base| base.opponents.clone()).unwrap_or_default();
        let added = mine.opponents.checked_sub(&before).ok_or(Inexact)?;
        let dates = [&mine.first, &theirs.first, &mine.last, &theirs.last];
        let dates = || dates.into_iter().flatten().cloned();
        Ok(Some(Self {
            scorer: mine.scorer.clone(),
            goals: sum(|scorer| scorer.goals)?,
            penalties: sum(|scorer| scorer.penalties)?,
            own_goals: sum(|scorer| scorer.own_goals)?,
            opponents: theirs.opponents.checked_add(&added).ok_or(Inexact)?,
            teams: mine.teams.iter().chain(theirs.teams.iter()).cloned().collect(),
            first: dates().min(),
            last: dates().max(),
        }))
    }
}

/// A sum has more digits than DynamoDB or its type keeps.
#[derive(Debug, PartialEq)]
pub struct Inexact;

impl fmt::Display for Inexact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the sum of the goals or of the opponents' ratings would not be exact")
    }
}

impl std::error::Error for Inexact {}

#[cfg(test)]
mod tests {
    use super::*;

    fn goal(date: &str, own_goal: bool, penalty: bool) -> Goal {
        let text = str::to_owned;
        Goal {
            line: 2,
            date: text(date),
            team: text("A"),
            opponent: text("B"),
            scorer: text("x"),
            own_goal,
            penalty,
        }
    }

    fn nobody() -> Scorer {
        Scorer {
            scorer: "x".into(),
            goals: 0,
            penalties: 0,
            own_goals: 0,
            opponents: Number::default(),
            teams: Set::default(),
            first: None,
            last: None,
        }
    }

    #[test]
    fn goals_are_added_and_penalties_are_goals() {
        let mut scorer = nobody();
        for (date, penalty) in [("2000-06-01", false), ("1999-01-01", true), ("2001-01-01", false)]
        {
            scorer.add(&goal(date, false, penalty), &"1500.1".parse().unwrap()).unwrap();
        }
        assert_eq!((scorer.goals, scorer.penalties, scorer.own_goals), (3, 1, 0));
        assert_eq!(scorer.opponents, "4500.3".parse().unwrap());
        assert_eq!(scorer.teams.iter().collect::<Vec<_>>(), ["A"]);
        assert_eq!(scorer.first.as_deref(), Some("1999-01-01"));
        assert_eq!(scorer.last.as_deref(), Some("2001-01-01"));
    }

    #[test]
    fn an_own_goal_changes_own_goals_and_dates_alone() {
        let mut scorer = nobody();
        scorer.add(&goal("2000-06-01", true, false), &first_rating()).unwrap();
        let date = Some("2000-06-01".to_owned());
        let expected = Scorer { own_goals: 1, first: date.clone(), last: date, ..nobody() };
        assert_eq!(scorer, expected);
    }

    #[test]
    fn a_sum_that_would_be_rounded_is_refused_and_changes_nothing() {
        let mut scorer = nobody();
        scorer.add(&goal("2000-06-01", false, false), &first_rating()).unwrap();
        let before = scorer.clone();
        let refused = scorer.add(&goal("2001-06-01", false, true), &"1E-100".parse().unwrap());
        assert_eq!((refused, scorer), (Err(Inexact), before));
    }
}
