//! Records to DynamoDB JSON and back.

use criterion::{Criterion, Throughput};
use memory_table::bench;

use crate::players::{ITEM_BYTES, Player, players};

/// The benches of this file.
pub(crate) fn define(c: &mut Criterion) {
    encode(c);
    decode(c);
    decode_with_unknown(c);
}

/// Measures how long it takes to encode a record.
fn encode(c: &mut Criterion) {
    let player = player();
    let (expected, _) = bench::encode(&player).expect("a player can be stored");
    let mut group = c.benchmark_group("codec/encode");
    group.throughput(Throughput::Elements(1)).bench_function("player", |b| {
        b.iter(|| {
            let (json, bytes) = bench::encode(&player).expect("a player can be stored");
            assert_eq!(json, expected);
            assert!(ITEM_BYTES.contains(&bytes), "{bytes} bytes");
        });
    });
}

/// Measures how long it takes to decode an item.
fn decode(c: &mut Criterion) {
    let player = player();
    let (json, _) = bench::encode(&player).expect("a player can be stored");
    let mut group = c.benchmark_group("codec/decode");
    group.throughput(Throughput::Elements(1)).bench_function("player", |b| {
        b.iter(|| assert_eq!(bench::decode::<Player>(&json).expect("a player"), player));
    });
}

/// Measures how long it takes to decode an item with attributes that its type does not know.
fn decode_with_unknown(c: &mut Criterion) {
    let player = player();
    let (mut json, _) = bench::encode(&player).expect("a player can be stored");
    json.truncate(json.len() - 1);
    json.extend_from_slice(br#","colour":{"S":"blue"},"tags":{"SS":["fast","new"]}}"#);
    let mut group = c.benchmark_group("codec/decode");
    group.throughput(Throughput::Elements(1)).bench_function("player_with_unknown", |b| {
        b.iter(|| assert_eq!(bench::decode::<Player>(&json).expect("a player"), player));
    });
}

fn player() -> Player {
    players().swap_remove(0)
}
