//! The figures that the pacer is to reach.

use std::time::Duration;

use super::{Job, Ran, SECOND, Start};

const RATES: [f64; 3] = [10.0, 400.0, 5_000.0];

/// What a job is to reach at least, and at most.
struct Goal {
    used: f64,
    sent: f64,
    requests: f64,
}

/// Runs a job at each rate; those that do not reach their goal.
async fn missed(name: &str, goal: &Goal, job: impl Fn(f64) -> Job) -> Vec<String> {
    let mut missed = Vec::new();
    for rate in RATES {
        let ran = job(rate).run().await;
        let Ran { used, sent, requests, .. } = ran;
        let line = format!(
            "{name} at {rate}: used {used:.3}, items sent {sent:.3}, requests {requests:.3}"
        );
        println!("figures: {line}");
        if used < goal.used || sent > goal.sent || requests > goal.requests {
            missed.push(line);
        }
    }
    missed
}

#[tokio::test(start_paused = true)]
async fn a_given_rate_is_used_and_little_is_sent_twice() {
    let goal = Goal { used: 0.97, sent: 1.05, requests: 1.1 };
    let missed = missed("given", &goal, |rate| Job::at(rate).given()).await;
    assert!(missed.is_empty(), "{missed:#?}");
}

#[tokio::test(start_paused = true)]
async fn a_rate_is_found_and_little_is_sent_twice() {
    // What is in flight when the service has nothing left is sent again: the more, the longer a request takes.
    for (latency, sent) in [(Duration::ZERO, 1.05), (SECOND / 100, 1.05), (SECOND / 10, 1.08)] {
        let goal = Goal { used: 0.9, sent, requests: 1.1 };
        let name = format!("found, {latency:?} a request,");
        let missed = missed(&name, &goal, |rate| Job { latency, ..Job::at(rate) }).await;
        assert!(missed.is_empty(), "{missed:#?}");
    }
}

/// The first answers say little of a table that has nothing left, and of requests that overtake each other.
#[tokio::test(start_paused = true)]
async fn a_first_guess_that_is_far_too_low_is_left_behind_soon() {
    let goal = Goal { used: 0.9, sent: 1.05, requests: 1.1 };
    for start in [Start::Drained, Start::Overtaken] {
        let name = format!("{start:?}");
        let missed = missed(&name, &goal, |rate| Job { start, ..Job::at(rate) }).await;
        assert!(missed.is_empty(), "{missed:#?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_given_rate_that_is_halved_and_doubled_is_followed() {
    let goal = Goal { used: 0.97, sent: 1.05, requests: 1.1 };
    for latency in [Duration::ZERO, SECOND / 100, SECOND / 20] {
        let name = format!("given, halved and doubled, {latency:?} a request,");
        let job = |rate| Job { latency, ..Job::at(rate).given().halved_and_doubled() };
        let missed = missed(&name, &goal, job).await;
        assert!(missed.is_empty(), "{missed:#?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_found_rate_that_is_halved_and_doubled_is_followed() {
    let goal = Goal { used: 0.9, sent: 1.05, requests: 1.1 };
    let job = |rate| Job::at(rate).halved_and_doubled();
    let missed = missed("found, halved and doubled", &goal, job).await;
    assert!(missed.is_empty(), "{missed:#?}");
}

#[tokio::test(start_paused = true)]
async fn databases_that_share_nothing_else_use_it_together() {
    let goal = Goal { used: 0.9, sent: 1.25, requests: f64::INFINITY };
    let missed = missed("four", &goal, |rate| Job { databases: 4, ..Job::at(rate) }).await;
    assert!(missed.is_empty(), "{missed:#?}");
}
