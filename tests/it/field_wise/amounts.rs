//! An amount that is stored and never read, and what is done to it.

use std::future::Future;

use memory_table::MemoryTable;

use super::Amount;
use crate::support::{Fault, Gate, Stage};

pub fn amount(wins: Option<u32>) -> Amount {
    Amount { id: 1, wins, exact: 1.into() }
}

/// A field-wise memory table of no amounts.
pub async fn opened() -> (Stage<Amount>, MemoryTable<Amount>) {
    let stage = Stage::<Amount>::new().await;
    let memory = stage.builder().field_wise().build().unwrap();
    (stage, memory)
}

/// Ten wins are stored, and nothing is read.
pub async fn stored_ten() -> (Stage<Amount>, MemoryTable<Amount>) {
    let (stage, memory) = opened().await;
    stage.truth.put(&amount(Some(10))).await.unwrap();
    (stage, memory)
}

pub async fn stored(stage: &Stage<Amount>) -> Amount {
    stage.truth.get_consistent(1).await.unwrap().expect("an item")
}

pub async fn add(memory: &MemoryTable<Amount>, by: i64) {
    memory.increment(1, Amount::FIELDS.wins, by).await.unwrap();
}

pub async fn assign(memory: &MemoryTable<Amount>, wins: Option<u32>) {
    memory.update_existing(1, |it| it.wins = wins).await.unwrap();
}

/// Flushes, and does this while the next request of an operation is held, which has a fault; nothing may
/// fail in the end.
pub async fn flush_during(
    (stage, memory): (&Stage<Amount>, &MemoryTable<Amount>),
    operation: &str,
    fault: Fault,
    during: impl Future<Output = ()>,
) {
    let gate = Gate::new();
    stage.faults.next(operation, fault.held_at(&gate));
    let (flushed, ()) = tokio::join!(memory.flush(), async {
        gate.reached().await;
        during.await;
        gate.open();
    });
    assert_eq!(flushed.unwrap().failed.len(), 0);
}
