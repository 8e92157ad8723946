//! What is done to a memory table, one step after the other.

use proptest::prelude::*;

use crate::simulation::Fault;

/// A shelf and a place on it.
pub(super) type At = (u32, u32);

/// There are so many shelves, with so many places each.
pub(super) const SHELVES: u32 = 2;
pub(super) const PLACES: u32 = 4;

/// All keys.
pub(super) fn everywhere() -> impl Iterator<Item = At> {
    (0..SHELVES).flat_map(|shelf| (0..PLACES).map(move |place| (shelf, place)))
}

#[derive(Clone, Debug)]
pub(super) enum Step {
    Get(At),
    Contains(At),
    Prefetch(Vec<At>),
    LoadAll,
    Refresh(At),
    Put(At, i64, u8),
    PutGuarded(At, i64, u8),
    Merge(At, i64, u8),
    PutAll(Vec<At>, i64),
    GetOrCreate(At),
    /// From here to there, and a sum.
    Rekey(At, At, i64),
    /// The label; where there is no record it is made.
    Update(At, u8),
    /// A sum, of what is there.
    Add(At, i64),
    Delete(At),
    Take(At),
    Increment(At, i64),
    /// One whose answer is lost until its token has expired, and whether it was applied.
    Doubt(At, bool),
    Discard(At),
    Query {
        shelf: u32,
        descending: bool,
        limit: Option<u64>,
        page: u32,
    },
    Scan {
        page: u32,
    },
    Flush,
    FlushAll,
    /// The memory table is closed, in any case or within a time, and another one takes its place.
    Close(bool),
    /// A job that puts this, then a flush.
    Scope(At, i64),
    TakeUnsaved,
    ResetForced,
    FlushKeys(Vec<At>),
    /// Dropped after so many polls.
    Cancelled(u8),
    Reset,
    /// The policy lets a record go.
    Evict(At),
    /// Somebody else stores a count and a label, or deletes the item.
    Foreign(At, Option<(i64, u8)>),
    /// What becomes of the next request.
    Fault(Fault),
}

fn at() -> impl Strategy<Value = At> {
    (0..SHELVES, 0..PLACES)
}

fn count() -> impl Strategy<Value = i64> {
    0..4_i64
}

pub(super) fn any() -> impl Strategy<Value = Step> {
    let query = (0..SHELVES, any_bool(), proptest::option::of(1..4_u64), 1..4_u32);
    let query = query.prop_map(|(shelf, descending, limit, page)| Step::Query {
        shelf,
        descending,
        limit,
        page,
    });
    let many = || proptest::collection::vec(at(), 0..6);
    prop_oneof![
        4 => at().prop_map(Step::Get),
        1 => at().prop_map(Step::Contains),
        1 => many().prop_map(Step::Prefetch),
        1 => Just(Step::LoadAll),
        1 => at().prop_map(Step::Refresh),
        4 => (at(), count(), 0..3_u8).prop_map(|(at, count, label)| Step::Put(at, count, label)),
        1 => (at(), count(), 0..3_u8)
            .prop_map(|(at, count, label)| Step::PutGuarded(at, count, label)),
        1 => (at(), count(), 0..3_u8).prop_map(|(at, count, label)| Step::Merge(at, count, label)),
        1 => (many(), count()).prop_map(|(many, count)| Step::PutAll(many, count)),
        1 => at().prop_map(Step::GetOrCreate),
        1 => (at(), at(), count()).prop_map(|(old, new, by)| Step::Rekey(old, new, by)),
        4 => (at(), 0..3_u8).prop_map(|(at, label)| Step::Update(at, label)),
        2 => (at(), 1..3_i64).prop_map(|(at, by)| Step::Add(at, by)),
        2 => at().prop_map(Step::Delete),
        1 => at().prop_map(Step::Take),
        4 => (at(), 1..3_i64).prop_map(|(at, by)| Step::Increment(at, by)),
        1 => (at(), any_bool()).prop_map(|(at, applied)| Step::Doubt(at, applied)),
        1 => at().prop_map(Step::Discard),
        2 => query,
        1 => (1..6_u32).prop_map(|page| Step::Scan { page }),
        3 => Just(Step::Flush),
        1 => Just(Step::FlushAll),
        1 => any_bool().prop_map(Step::Close),
        1 => (at(), count()).prop_map(|(at, count)| Step::Scope(at, count)),
        1 => proptest::sample::select(vec![Step::TakeUnsaved, Step::ResetForced, Step::Reset]),
        1 => many().prop_map(Step::FlushKeys),
        1 => (1..12_u8).prop_map(Step::Cancelled),
        2 => at().prop_map(Step::Evict),
        3 => (at(), proptest::option::weighted(0.8, (count(), 0..3_u8)))
            .prop_map(|(at, item)| Step::Foreign(at, item)),
        1 => proptest::sample::select(Fault::ALL).prop_map(Step::Fault),
    ]
}

fn any_bool() -> impl Strategy<Value = bool> {
    proptest::bool::ANY
}
