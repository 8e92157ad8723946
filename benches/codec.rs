//! Records to DynamoDB JSON and back.

use criterion::{Criterion, Throughput};
use memory_table::bench;

use crate::players::{Player, players};

/// The bytes of a record by DynamoDB's arithmetic.
const ITEM_BYTES: std::ops::RangeInclusive<usize> = 240..=260;

/// The benches of this file.
pub(crate) fn define(c: &mut Criterion) {
    encode(c);
    decode(c);
    decode_with_unknown(c);
}

/// Measures how long it takes to encode a record.
fn encode(c: &mut Criterion) {
    let (player, expected) = (player(), json());
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
    let (player, json) = (player(), json());
    let mut group = c.benchmark_group("codec/decode");
    group.throughput(Throughput::Elements(1)).bench_function("player", |b| {
        b.iter(|| {
            let (decoded, has_more) = bench::decode::<Player>(&json).expect("a player");
            assert_eq!(decoded, player);
            assert!(!has_more);
        });
    });
}

/// Measures how long it takes to decode an item with attributes that its type does not know.
fn decode_with_unknown(c: &mut Criterion) {
    let (player, mut json) = (player(), json());
    json.truncate(json.len() - 1);
    json.extend_from_slice(br#","colour":{"S":"blue"},"tags":{"SS":["fast","new"]}}"#);
    let mut group = c.benchmark_group("codec/decode");
    group.throughput(Throughput::Elements(1)).bench_function("player_with_unknown", |b| {
        b.iter(|| {
            let (decoded, has_more) = bench::decode::<Player>(&json).expect("a player");
            assert_eq!(decoded, player);
            assert!(has_more);
        });
    });
}

fn player() -> Player {
    players(1).swap_remove(0)
}

fn json() -> Vec<u8> {
    bench::encode(&player()).expect("a player can be stored").0
}
