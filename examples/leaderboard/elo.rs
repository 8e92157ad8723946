//! Elo ratings: teams and what a match does to them.

use std::collections::HashMap;

use memory_table::Record;
use serde::{Deserialize, Serialize};

use crate::matches::Match;

/// What a team that has not played is worth.
const START: f64 = 1500.0;

/// How many points a match can move at most.
const STEP: f64 = 20.0;

/// A team as it is saved: one item of the table, with these attributes.
///
/// The defaults let the job load items that lack an attribute, such as one made by hand.
#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[record(table = "teams")]
pub struct Team {
    #[record(partition_key)]
    pub team: String,
    #[serde(default)]
    pub rating: f64,
    #[serde(default)]
    pub played: u64,
    #[serde(default)]
    pub won: u64,
    #[serde(default)]
    pub drawn: u64,
    #[serde(default)]
    pub lost: u64,
    #[serde(default)]
    pub goals_for: u64,
    #[serde(default)]
    pub goals_against: u64,
    /// The date of the last match, as it stands in the file.
    #[serde(default)]
    pub last_played: String,
}

impl Team {
    fn new(name: &str) -> Self {
        Team {
            team: name.to_owned(),
            rating: START,
            played: 0,
            won: 0,
            drawn: 0,
            lost: 0,
            goals_for: 0,
            goals_against: 0,
            last_played: String::new(),
        }
    }

    /// Takes in the result of one match, seen from this team.
    fn play(&mut self, date: &str, scored: u32, conceded: u32, rating_change: f64) {
        self.rating += rating_change;
        self.played += 1;
        self.won += u64::from(scored > conceded);
        self.drawn += u64::from(scored == conceded);
        self.lost += u64::from(scored < conceded);
        self.goals_for += u64::from(scored);
        self.goals_against += u64::from(conceded);
        date.clone_into(&mut self.last_played);
    }
}

/// Plays all matches in order and returns the teams, best first, ties by name.
///
/// Every team starts anew: the ratings are recomputed, not added to those of an earlier run.
pub fn standings(matches: &[Match]) -> Vec<Team> {
    let mut teams: HashMap<&str, Team> = HashMap::new();
    for game in matches {
        let rating = |name: &str| teams.get(name).map_or(START, |team| team.rating);
        let gain = home_gain(rating(&game.home_team), rating(&game.away_team), home_result(game));

        let home = teams.entry(&game.home_team).or_insert_with(|| Team::new(&game.home_team));
        home.play(&game.date, game.home_score, game.away_score, gain);
        let away = teams.entry(&game.away_team).or_insert_with(|| Team::new(&game.away_team));
        away.play(&game.date, game.away_score, game.home_score, -gain);
    }
    let mut teams: Vec<Team> = teams.into_values().collect();
    teams.sort_by(|a, b| b.rating.total_cmp(&a.rating).then_with(|| a.team.cmp(&b.team)));
    teams
}

/// 1 for a win of the home side, 0.5 for a draw, 0 for a defeat.
fn home_result(game: &Match) -> f64 {
    match game.home_score.cmp(&game.away_score) {
        std::cmp::Ordering::Greater => 1.0,
        std::cmp::Ordering::Equal => 0.5,
        std::cmp::Ordering::Less => 0.0,
    }
}

/// The points that go from the away side to the home side: the more, the less expected.
fn home_gain(home: f64, away: f64, result: f64) -> f64 {
    let expected = 1.0 / (1.0 + 10_f64.powf((away - home) / 400.0));
    STEP * (result - expected)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matches::world_cup;

    fn game(date: &str, home: (&str, u32), away: (&str, u32)) -> Match {
        Match {
            date: date.to_owned(),
            home_team: home.0.to_owned(),
            away_team: away.0.to_owned(),
            home_score: home.1,
            away_score: away.1,
        }
    }

    fn names_and_ratings(teams: &[Team]) -> Vec<(&str, f64)> {
        teams.iter().map(|team| (team.team.as_str(), team.rating)).collect()
    }

    #[test]
    fn equals_exchange_half_a_step() {
        let teams = standings(&[game("d", ("A", 0), ("B", 1))]);
        assert_eq!(names_and_ratings(&teams), [("B", 1510.0), ("A", 1490.0)]);
    }

    #[test]
    fn a_draw_moves_points_to_the_weaker_side() {
        // 400 points apart, the stronger side is expected to take 10 points of 11.
        assert_eq!(home_gain(1900.0, 1500.0, 0.5), 20.0 * (0.5 - 1.0 / 1.1));
        assert_eq!(home_gain(1500.0, 1500.0, 0.5), 0.0);
    }

    #[test]
    fn both_sides_are_rated_as_they_were_before_the_match() {
        let cup = world_cup().unwrap().played;
        let sum: f64 = standings(&cup).iter().map(|team| team.rating).sum();
        assert!((sum - 32.0 * START).abs() < 1e-6, "{sum}");
    }

    #[test]
    fn every_count_is_kept() {
        let teams = standings(&[
            game("first", ("A", 3), ("B", 1)),
            game("second", ("B", 2), ("A", 2)),
            game("third", ("A", 0), ("B", 4)),
        ]);
        let a = teams.iter().find(|team| team.team == "A").unwrap();
        assert_eq!((a.played, a.won, a.drawn, a.lost), (3, 1, 1, 1));
        assert_eq!((a.goals_for, a.goals_against), (5, 7));
        assert_eq!(a.last_played, "third");
    }

    #[test]
    fn ties_are_ordered_by_name() {
        let teams = standings(&[game("d", ("b", 1), ("a", 1)), game("d", ("c", 0), ("B", 0))]);
        let names: Vec<&str> = teams.iter().map(|team| team.team.as_str()).collect();
        assert_eq!(names, ["B", "a", "b", "c"]);
    }
}
