//! A loop over the SDK as a good engineer writes it: serde_dynamo, 16 requests in flight, and what is unprocessed is
//! sent again.

use std::collections::HashMap;

use futures::{StreamExt, TryStreamExt, stream};
use memory_table::aws_sdk_dynamodb::types::{
    AttributeValue, KeysAndAttributes, PutRequest, ReturnConsumedCapacity, WriteRequest,
};
use memory_table::aws_sdk_dynamodb::{Client, Error};
use memory_table::serde_dynamo::{from_item, to_item};

use crate::players::Player;

const TABLE: &str = "players";
const IN_FLIGHT: usize = 16;

/// Puts all of them. `charged`: asks what the service charges, if it does.
pub(crate) async fn put(
    client: &Client,
    players: &[Player],
    charged: Option<ReturnConsumedCapacity>,
) -> Result<(), Error> {
    let batches = stream::iter(players.chunks(25)).map(|batch| {
        let puts = batch.iter().map(|player| {
            let item = to_item(player).expect("players can be stored");
            let put = PutRequest::builder().set_item(Some(item)).build().expect("an item");
            WriteRequest::builder().put_request(put).build()
        });
        write(client, puts.collect(), charged.clone())
    });
    batches.buffer_unordered(IN_FLIGHT).try_collect().await
}

async fn write(
    client: &Client,
    batch: Vec<WriteRequest>,
    charged: Option<ReturnConsumedCapacity>,
) -> Result<(), Error> {
    let mut left = HashMap::from([(TABLE.to_owned(), batch)]);
    while !left.is_empty() {
        let request = client.batch_write_item().set_request_items(Some(left));
        let answer = request.set_return_consumed_capacity(charged.clone()).send().await?;
        left = answer.unprocessed_items.unwrap_or_default();
    }
    Ok(())
}

/// Reads those of all these keys.
pub(crate) async fn get(client: &Client, keys: &[(&str, &str)]) -> Result<Vec<Player>, Error> {
    let batches = stream::iter(keys.chunks(100)).map(|batch| {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let keys = batch.iter().map(|(game, name)| {
            HashMap::from([("game".to_owned(), text(game)), ("name".to_owned(), text(name))])
        });
        read(client, keys.collect())
    });
    batches.buffer_unordered(IN_FLIGHT).try_concat().await
}

async fn read(
    client: &Client,
    keys: Vec<HashMap<String, AttributeValue>>,
) -> Result<Vec<Player>, Error> {
    let keys = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true);
    let mut left = HashMap::from([(TABLE.to_owned(), keys.build().expect("keys"))]);
    let mut players = Vec::new();
    while !left.is_empty() {
        let answer = client.batch_get_item().set_request_items(Some(left)).send().await?;
        let items = answer.responses.unwrap_or_default().into_values().flatten();
        players.extend(items.map(|item| from_item::<_, Player>(item).expect("a player")));
        left = answer.unprocessed_keys.unwrap_or_default();
    }
    Ok(players)
}
