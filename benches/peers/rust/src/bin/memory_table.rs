//! The jobs with a memory table.

use memory_table::{Database, MemoryTable, Table};
use peers::{Fails, Job, Match, NAIVE, PLAYERS, Player, Team};

#[tokio::main]
async fn main() -> Fails {
    let job = Job::begin().await?;
    let database = Database::from_client(job.client.clone());
    let teams = || database.table_named::<Team>(&job.table);
    match &*job.name {
        "change" => job.measure(change(database.table_named(&job.table))).await,
        "leaderboard" => job.measure(leaderboard(teams(), &job.matches)).await,
        "naive" => job.measure(naive(teams(), &job.matches)).await,
        other => Err(format!("no job {other}").into()),
    }
}

/// Loads 20,000 players, changes every tenth, and saves those.
async fn change(table: Table<Player>) -> Fails<usize> {
    let memory = MemoryTable::new(table);
    let names: Vec<_> = (0..PLAYERS).map(Player::name).collect();
    let loaded = memory.prefetch(names.iter().map(|name| ("chess", &**name))).await?;
    for name in names.iter().step_by(10) {
        memory.update_existing(("chess", &**name), Player::win).await?;
    }
    let saved = memory.flush().await?;
    Ok(usize::try_from(loaded.records + saved.written)?)
}

/// Each team is read once and written once.
async fn leaderboard(table: Table<Team>, matches: &[Match]) -> Fails<usize> {
    let memory = MemoryTable::new(table);
    memory.prefetch(matches.iter().flat_map(|game| [&*game.home_team, &*game.away_team])).await?;
    for game in matches {
        let (home, away) = (&*game.home_team, &*game.away_team);
        let rating = async |team: &str| -> Fails<f64> {
            let known = memory.get(team).await?;
            if known.is_none() {
                memory.put(Team::new(team)).await?;
            }
            Ok(known.map_or(1500.0, |known| known.rating))
        };
        let gain = game.gain(rating(home).await?, rating(away).await?);
        let (date, scored, conceded) = (&*game.date, game.home_score, game.away_score);
        memory.update_existing(home, |team| team.take_in(date, scored, conceded, gain)).await?;
        memory.update_existing(away, |team| team.take_in(date, conceded, scored, -gain)).await?;
    }
    let saved = memory.flush().await?;
    assert!(saved.written > 0, "no team was saved");
    Ok(matches.len())
}

/// Both teams of a match are read before it and written after it.
async fn naive(table: Table<Team>, matches: &[Match]) -> Fails<usize> {
    for game in &matches[..NAIVE] {
        let get = async |name: &str| -> Fails<Team> {
            Ok(table.get_consistent(name).await?.unwrap_or_else(|| Team::new(name)))
        };
        let (mut home, mut away) = (get(&game.home_team).await?, get(&game.away_team).await?);
        let gain = game.gain(home.rating, away.rating);
        home.take_in(&game.date, game.home_score, game.away_score, gain);
        away.take_in(&game.date, game.away_score, game.home_score, -gain);
        table.put(&home).await?;
        table.put(&away).await?;
    }
    Ok(NAIVE)
}
