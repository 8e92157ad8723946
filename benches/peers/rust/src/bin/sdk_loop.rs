//! The jobs in a loop over the SDK with serde_dynamo: 16 requests in flight, what is unprocessed is asked for again.

use std::collections::HashMap;

use futures::{StreamExt, TryStreamExt, stream};
use memory_table::aws_sdk_dynamodb::Client;
use memory_table::aws_sdk_dynamodb::types::{
    AttributeValue, KeysAndAttributes, PutRequest, WriteRequest,
};
use memory_table::serde_dynamo::{from_item, to_item};
use peers::{Fails, Job, Match, NAIVE, PLAYERS, Player, Team};
use serde::Serialize;
use serde::de::DeserializeOwned;

const IN_FLIGHT: usize = 16;

type Key = HashMap<String, AttributeValue>;

#[tokio::main]
async fn main() -> Fails {
    let job = Job::begin().await?;
    let table = Table { client: &job.client, name: &job.table };
    match &*job.name {
        "change" => job.measure(change(table)).await,
        "leaderboard" => job.measure(leaderboard(table, &job.matches)).await,
        "naive" => job.measure(naive(table, &job.matches)).await,
        other => Err(format!("no job {other}").into()),
    }
}

#[derive(Clone, Copy)]
struct Table<'a> {
    client: &'a Client,
    name: &'a str,
}

impl Table<'_> {
    async fn get_all<T: DeserializeOwned>(self, keys: Vec<Key>) -> Fails<Vec<T>> {
        let batches = keys.chunks(100).map(|keys| self.get_batch(keys.to_vec()));
        stream::iter(batches).buffer_unordered(IN_FLIGHT).try_concat().await
    }

    async fn get_batch<T: DeserializeOwned>(self, keys: Vec<Key>) -> Fails<Vec<T>> {
        let keys = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true);
        let mut left = HashMap::from([(self.name.to_owned(), keys.build()?)]);
        let mut records = Vec::new();
        while !left.is_empty() {
            let answer = self.client.batch_get_item().set_request_items(Some(left)).send().await?;
            for item in answer.responses.unwrap_or_default().into_values().flatten() {
                records.push(from_item(item)?);
            }
            left = answer.unprocessed_keys.unwrap_or_default();
        }
        Ok(records)
    }

    async fn put_all<T: Serialize>(self, records: &[T]) -> Fails {
        let batches = records.chunks(25).map(|records| self.put_batch(records));
        stream::iter(batches).buffer_unordered(IN_FLIGHT).try_collect().await
    }

    async fn put_batch<T: Serialize>(self, records: &[T]) -> Fails {
        let puts = records.iter().map(|record| {
            let put = PutRequest::builder().set_item(Some(to_item(record)?)).build()?;
            Ok(WriteRequest::builder().put_request(put).build())
        });
        let puts: Fails<Vec<_>> = puts.collect();
        let mut left = HashMap::from([(self.name.to_owned(), puts?)]);
        while !left.is_empty() {
            let answer =
                self.client.batch_write_item().set_request_items(Some(left)).send().await?;
            left = answer.unprocessed_items.unwrap_or_default();
        }
        Ok(())
    }
}

fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

/// Loads 20,000 players, changes every tenth, and saves those.
async fn change(table: Table<'_>) -> Fails<usize> {
    let keys = (0..PLAYERS).map(|number| {
        let (game, name) = (text("chess"), text(&Player::name(number)));
        HashMap::from([("game".to_owned(), game), ("name".to_owned(), name)])
    });
    let players: Vec<Player> = table.get_all(keys.collect()).await?;
    let count = players.len();
    let is_tenth = |player: &Player| player.name.ends_with('0');
    let mut changed: Vec<Player> = players.into_iter().filter(is_tenth).collect();
    changed.iter_mut().for_each(Player::win);
    table.put_all(&changed).await?;
    Ok(count + changed.len())
}

/// Each team is read once and written once.
async fn leaderboard(table: Table<'_>, matches: &[Match]) -> Fails<usize> {
    let mut teams: HashMap<&str, Team> = HashMap::new();
    for name in matches.iter().flat_map(|game| [&*game.home_team, &*game.away_team]) {
        teams.entry(name).or_insert_with(|| Team::new(name));
    }
    let keys = teams.keys().map(|name| HashMap::from([("team".to_owned(), text(name))]));
    for found in table.get_all::<Team>(keys.collect()).await? {
        if let Some(team) = teams.get_mut(&*found.team) {
            *team = found;
        }
    }
    for game in matches {
        let gain = game.gain(teams[&*game.home_team].rating, teams[&*game.away_team].rating);
        let sides = [
            (&game.home_team, game.home_score, game.away_score, gain),
            (&game.away_team, game.away_score, game.home_score, -gain),
        ];
        for (name, scored, conceded, gain) in sides {
            if let Some(team) = teams.get_mut(&**name) {
                team.take_in(&game.date, scored, conceded, gain);
            }
        }
    }
    let teams: Vec<Team> = teams.into_values().collect();
    table.put_all(&teams).await?;
    Ok(matches.len())
}

/// Both teams of a match are read before it and written after it.
async fn naive(table: Table<'_>, matches: &[Match]) -> Fails<usize> {
    for game in &matches[..NAIVE] {
        let get = async |name: &str| -> Fails<Team> {
            let get = table.client.get_item().table_name(table.name).consistent_read(true);
            match get.key("team", text(name)).send().await?.item {
                Some(item) => Ok(from_item(item)?),
                None => Ok(Team::new(name)),
            }
        };
        let (mut home, mut away) = (get(&game.home_team).await?, get(&game.away_team).await?);
        let gain = game.gain(home.rating, away.rating);
        home.take_in(&game.date, game.home_score, game.away_score, gain);
        away.take_in(&game.date, game.away_score, game.home_score, -gain);
        for team in [home, away] {
            let put = table.client.put_item().table_name(table.name);
            put.set_item(Some(to_item(&team)?)).send().await?;
        }
    }
    Ok(NAIVE)
}
