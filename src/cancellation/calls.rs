//! The calls that are dropped, each on something that makes it wait.

use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt, SinkExt, stream};

use super::stage::{
    CHANGED, Counted, IN_DOUBT, INCREMENTED, LOADED, MISSING, OTHERS, Stage, UNREAD, counted,
};
use crate::{Error, Increment, ScopeError, Tracked, flush_all};

/// A call of a public function.
pub(super) struct Call {
    pub(super) name: &'static str,
    pub(super) run: for<'s> fn(&'s Stage) -> BoxFuture<'s, ()>,
}

/// A table of calls. Whether one fails says nothing here: it is polled to its end.
macro_rules! calls {
    ($($name:literal: |$stage:ident| $call:expr,)*) => {
        pub(super) const CALLS: &[Call] = &[$(
            Call { name: $name, run: |$stage| async move { let _ended = $call.await; }.boxed() },
        )*];
    };
}

const ALL: [u32; 8] =
    [LOADED, CHANGED, UNREAD, MISSING, INCREMENTED, IN_DOUBT, OTHERS[0], OTHERS[1]];

calls! {
    "get": |s| s.memory.get(UNREAD),
    "get of an incremented record": |s| s.memory.get(INCREMENTED),
    "contains": |s| s.memory.contains(UNREAD),
    "get_or_default": |s| s.memory.get_or_default(MISSING),
    "get_or_create": |s| s.memory.get_or_create(MISSING),
    "refresh": |s| s.memory.refresh(LOADED),
    "prefetch": |s| s.memory.prefetch(ALL),
    "load_all": |s| s.memory.load_all(),
    "load_segment": |s| s.memory.load_segment(0, 2),
    "load": |s| s.memory.load(s.table.scan()),
    "plan": |s| s.memory.plan(),
    "plan_prefetch": |s| s.memory.plan_prefetch(ALL),
    "scan": |s| s.memory.scan().page_size(2).all(),
    "first of a scan": |s| s.memory.scan().page_size(2).first(),
    "put": |s| s.memory.put(counted(MISSING, 4)),
    "put of what is in doubt": |s| s.memory.put(counted(IN_DOUBT, 4)),
    "put_guarded": |s| s.memory.put_guarded(counted(MISSING, 4)),
    "merge": |s| s.memory.merge(counted(UNREAD, 4)),
    "update": |s| s.memory.update(UNREAD, |it| it.count += 1),
    "update of an incremented record": |s| s.memory.update(INCREMENTED, |it| it.count += 1),
    "update of what is in doubt": |s| s.memory.update(IN_DOUBT, |it| it.count += 1),
    "update_existing": |s| s.memory.update_existing(UNREAD, |it| it.count += 1),
    "delete": |s| s.memory.delete(CHANGED),
    "take": |s| s.memory.take(UNREAD),
    "increment": |s| s.memory.increment(UNREAD, Counted::FIELDS.count, 1),
    "increment of what is in doubt": |s| s.memory.increment(IN_DOUBT, Counted::FIELDS.count, 1),
    "resolve": |s| s.memory.resolve(IN_DOUBT, Increment::NotApplied),
    "discard": |s| s.memory.discard(CHANGED),
    "rekey": |s| s.memory.rekey(UNREAD, OTHERS[0], |it| it.count += 1),
    "rekey of two that are saved": |s| s.memory.rekey(LOADED, OTHERS[0], |it| it.count += 1),
    "put_all": |s| s.memory.put_all(stream::iter(OTHERS.map(|id| counted(id, 9)))),
    "sink": |s| async {
        let mut sink = s.memory.sink();
        for id in OTHERS {
            sink.send(counted(id, 9)).await?;
        }
        sink.close().await
    },
    "reset": |s| s.memory.reset(),
    "reset_forced": |s| s.memory.reset_forced(),
    "flush": |s| s.memory.flush(),
    "flush_keys": |s| s.memory.flush_keys(ALL),
    "flush_all": |s| async { flush_all(&[&s.memory, &s.other]).await },
    "close": |s| s.memory.close(),
    "close_within": |s| s.memory.close_within(Duration::from_secs(60)),
    "scope": |s| async {
        let job = async |memory: &crate::MemoryTable<Counted>| {
            memory.put(counted(MISSING, 4)).await?;
            memory.update(UNREAD, |it| it.count += 1).await.map(drop)
        };
        let ended: Result<_, ScopeError<Counted, Error>> = s.memory.scope(job).await;
        ended.map(drop)
    },
    "take_unsaved": |s| s.memory.take_unsaved(),
    "Table::get": |s| s.table.get(UNREAD),
    "Table::get_consistent": |s| s.table.get_consistent(UNREAD),
    "Table::get_item": |s| s.table.get_item(UNREAD),
    "Table::put": |s| async { s.table.put(&counted(OTHERS[0], 3)).await },
    "Table::delete": |s| s.table.delete(UNREAD),
    "Table::increment": |s| s.table.increment(OTHERS[0], Counted::FIELDS.count, 1),
    "Table::insert": |s| async { s.table.insert(&counted(OTHERS[0], 3)).await },
    "Table::update": |s| async {
        s.table.update(UNREAD).add(Counted::FIELDS.count, 1).await
    },
    "Table::merge": |s| async { s.table.merge(None, &counted(OTHERS[0], 3)).await },
    "Table::put_guarded": |s| async { s.table.put_guarded(None, &counted(OTHERS[0], 3)).await },
    "Table::get_tracked": |s| s.table.get_tracked(UNREAD),
    "Table::save": |s| async { s.table.save(&mut Tracked::new(counted(OTHERS[0], 3))).await },
    "Table::delete_guarded": |s| async {
        let Some(mut found) = s.table.get_tracked(UNREAD).await? else { return Ok(()) };
        s.table.delete_guarded(&mut found).await
    },
    "Table::batch_write": |s| async {
        s.table.batch_write().puts(OTHERS.map(|id| counted(id, 9))).await
    },
    "Table::batch_get": |s| async { s.table.batch_get(ALL).await },
    "Table::scan": |s| s.table.scan().page_size(2).all(),
}
