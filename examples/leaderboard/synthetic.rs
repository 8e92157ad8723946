//! Made-up matches: as many as one likes, and the same ones each time.

use crate::matches::Match;

/// The first state of the generator. Any number would do; a fixed one makes runs comparable.
const SEED: u64 = 1872;

/// Goals a side scores, each entry as likely as any other: close to what real matches give.
const GOALS: [u32; 16] = [0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2, 3, 3, 4, 6];

/// Plays `count` matches between `count / 20` teams, at least two.
pub fn play(count: u32) -> Vec<Match> {
    let mut random = Random(SEED);
    let teams = (count / 20).max(2);
    (0..count).map(|number| play_one(&mut random, teams, number)).collect()
}

fn play_one(random: &mut Random, teams: u32, number: u32) -> Match {
    let home = random.below(teams);
    // Stepping on from the home side by 1 to teams - 1 places can reach every team but itself.
    let away = (u64::from(home) + 1 + u64::from(random.below(teams - 1))) % u64::from(teams);
    Match {
        date: date(number / (teams / 2)),
        home_team: format!("Team {:05}", home + 1),
        away_team: format!("Team {:05}", away + 1),
        home_score: random.goals(),
        away_score: random.goals(),
    }
}

/// The date of a round; every month has 28 days here, so that each date is a real one.
fn date(round: u32) -> String {
    let (year, month, day) = (2000 + round / 336, round / 28 % 12 + 1, round % 28 + 1);
    format!("{year}-{month:02}-{day:02}")
}

/// The splitmix64 generator: small, and the same on every platform and in every version.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number from 0 to `limit - 1`: the upper half of a product, which needs no division.
    fn below(&mut self, limit: u32) -> u32 {
        let product = (self.next() >> 32) * u64::from(limit);
        u32::try_from(product >> 32).unwrap_or_default()
    }

    fn goals(&mut self) -> u32 {
        let index = self.below(16) as usize;
        GOALS.get(index).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_same_count_gives_the_same_matches() {
        assert_eq!(play(200), play(200));
    }

    #[test]
    fn there_are_count_by_twenty_teams_and_none_meets_itself() {
        for (count, expected) in [(1, 2), (2, 2), (40, 2), (59, 2), (60, 3), (20_000, 1000)] {
            let matches = play(count);
            assert_eq!(matches.len(), count as usize);
            assert!(matches.iter().all(|game| game.home_team != game.away_team));
            let teams: BTreeSet<_> =
                matches.iter().flat_map(|game| [&game.home_team, &game.away_team]).collect();
            assert_eq!(teams.len(), expected, "{count} matches");
        }
    }

    #[test]
    fn the_generator_is_splitmix64() {
        // The first numbers of the published reference implementation for seed 1234567.
        let mut random = Random(1_234_567);
        assert_eq!(random.next(), 6_457_827_717_110_365_317);
        assert_eq!(random.next(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn dates_are_real_and_ascend() {
        assert_eq!(date(0), "2000-01-01");
        assert_eq!(date(28), "2000-02-01");
        assert_eq!(date(336), "2001-01-01");
        assert!((0..1000).map(date).is_sorted());
    }
}
