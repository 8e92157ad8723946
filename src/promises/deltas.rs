//! Increments.

use std::time::Duration;

use super::{SECOND, Stage, player, rating};
use crate::testing::Fault;
use crate::{Increment, Outcome};

const ADD: &str = "TransactWriteItems";
/// For how long the service knows a token.
const TOKEN_LIFE: Duration = Duration::from_secs(600);

fn lost() -> Fault {
    Fault::connection_reset().after_applying()
}

#[tokio::test(start_paused = true)]
async fn increments_are_summed_and_sent_again_only_under_their_token() {
    let stage = Stage::with([player("ada", 10)]).await;
    let memory = stage.impatient();
    for _ in 0..3 {
        memory.increment("ada", super::Player::FIELDS.rating, 2).await.unwrap();
    }
    stage.faults.next(ADD, lost());
    let failed = memory.flush().await.unwrap_err().into_report().failed;
    assert_eq!((failed[0].outcome, failed[0].attempts), (Outcome::OutcomeUnknown, 1));
    assert_eq!(stage.stored("ada").await, Some(16), "it is a delta, and it was applied");
    assert_eq!(memory.flush().await.unwrap().written, 1);
    assert_eq!(stage.stored("ada").await, Some(16), "and not twice");
    let requests = stage.faults.requests(ADD);
    let token = |at: usize| &requests[at].body["ClientRequestToken"];
    assert_eq!((requests.len(), token(0)), (2, token(1)));
}

#[tokio::test(start_paused = true)]
async fn past_its_token_an_increment_of_unknown_outcome_waits_for_its_owner() {
    let stage = Stage::with([player("ada", 10)]).await;
    let memory = stage.impatient();
    memory.increment("ada", super::Player::FIELDS.rating, 6).await.unwrap();
    stage.faults.next(ADD, lost());
    assert_eq!(memory.flush().await.unwrap_err().report().failed.len(), 1);
    tokio::time::sleep(TOKEN_LIFE + SECOND).await;
    memory.increment("ada", super::Player::FIELDS.rating, 1).await.unwrap();
    let failed = memory.flush().await.unwrap_err().into_report().failed;
    assert_eq!((failed[0].outcome, failed[0].attempts), (Outcome::OutcomeUnknown, 0));
    assert_eq!((stage.faults.count(ADD), memory.unsaved().len()), (1, 1), "nor what came later");
    memory.resolve("ada", Increment::Applied).await.unwrap();
    assert_eq!(memory.flush().await.unwrap().written, 1);
    assert_eq!((stage.stored("ada").await, rating(&memory, "ada").await), (Some(17), Some(17)));
}
