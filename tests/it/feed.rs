//! Records that come as streams.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::{SinkExt, StreamExt, stream};
use memory_table::{ErrorKind, FeedError};

use super::support::{Fault, Player, Stage, player, players, stage};

#[tokio::test(start_paused = true)]
async fn a_stream_is_read_as_fast_as_there_is_room() {
    let stage = Stage::<Player>::embedded().await;
    let memory = stage.builder().max_unsaved_records(20).build().unwrap();
    let gate = stage.faults.hold_next("BatchWriteItem");
    let read = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&read);
    let records = stream::iter(players(500)).inspect(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
    });
    let putting = tokio::spawn({
        let memory = memory.clone();
        async move { memory.put_all(records).await }
    });
    gate.reached().await;
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    assert_eq!(read.load(Ordering::SeqCst), 21, "the next one waits for room");
    gate.open();
    assert_eq!(putting.await.unwrap().unwrap(), 500);
    assert_eq!(memory.close().await.unwrap().failed.len(), 0);
    assert_eq!(stage.truth.scan().consistent().count().await.unwrap(), 500);
}

#[tokio::test]
async fn a_record_that_is_refused_ends_the_stream_and_those_before_it_are_put() {
    let (_stage, memory) = stage(0).await;
    let bad = player("bad", f64::NAN);
    let records = stream::iter(players(3).chain([bad]).chain(players(9)));
    let error = memory.put_all(records).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRecord);
    assert_eq!(error.key().unwrap().to_string(), r#"("chess", "bad")"#);
    assert_eq!(memory.unsaved().len(), 3);
}

#[tokio::test]
async fn a_sink_puts_what_it_is_sent_and_flushes_when_it_is_closed() {
    let (stage, memory) = stage(0).await;
    let mut sink = memory.sink();
    sink.feed(player("ada", 1.0)).await.unwrap();
    sink.send(player("bob", 1.0)).await.unwrap();
    assert_eq!((memory.unsaved().len(), stage.writes()), (2, 0), "in memory, not saved");
    let error = sink.send(player("bad", f64::NAN)).await.unwrap_err();
    assert!(matches!(&error, FeedError::Put(error) if error.kind() == ErrorKind::InvalidRecord));
    sink.send(player("eve", 1.0)).await.unwrap();
    assert!(sink.report().is_none());
    sink.close().await.unwrap();
    assert_eq!(sink.report().unwrap().written, 3);
    assert_eq!(stage.truth.scan().consistent().count().await.unwrap(), 3);
    stream::iter(players(100)).map(Ok).forward(memory.sink()).await.unwrap();
    assert_eq!(stage.writes(), 5);
}

#[tokio::test]
async fn a_sink_whose_flush_fails_says_so_and_loses_nothing() {
    let (stage, _) = stage(0).await;
    let memory = stage.impatient();
    stage.faults.next("BatchWriteItem", Fault::throttled());
    let forwarded = stream::iter(players(3)).map(Ok).forward(memory.sink()).await;
    let FeedError::Flush(error) = forwarded.unwrap_err() else { panic!("not of the flush") };
    assert_eq!((error.report().failed.len(), memory.unsaved().len()), (3, 3));
    memory.sink().close().await.unwrap();
    assert_eq!(memory.unsaved().len(), 0);
}
