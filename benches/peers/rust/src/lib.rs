//! What both Rust programs share: the records, the matches, the rating, and the meter.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use memory_table::Record;
use memory_table::aws_sdk_dynamodb::config::interceptors::BeforeTransmitInterceptorContextRef;
use memory_table::aws_sdk_dynamodb::config::{
    BehaviorVersion, ConfigBag, Credentials, Intercept, Region, RuntimeComponents,
};
use memory_table::aws_sdk_dynamodb::error::BoxError;
use memory_table::aws_sdk_dynamodb::{Client, Config};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// The matches of the naive job.
pub const NAIVE: usize = 2_000;
/// The players that are loaded.
pub const PLAYERS: usize = 20_000;

pub type Fails<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

#[derive(Record, Serialize, Deserialize, Clone)]
#[record(table = "players")]
pub struct Player {
    #[record(partition_key)]
    pub game: String,
    #[record(sort_key)]
    pub name: String,
    pub rating: f64,
    pub played: u64,
    pub team: Option<String>,
    pub active: bool,
    pub last_played: String,
    pub motto: String,
}

impl Player {
    pub fn name(number: usize) -> String {
        format!("player {number:06}")
    }

    pub fn win(&mut self) {
        self.played += 1;
        self.rating += 10.0;
    }
}

#[derive(Record, Serialize, Deserialize, Clone)]
#[record(table = "teams")]
pub struct Team {
    #[record(partition_key)]
    pub team: String,
    pub rating: f64,
    pub played: u64,
    pub won: u64,
    pub drawn: u64,
    pub lost: u64,
    pub goals_for: u64,
    pub goals_against: u64,
    pub last_played: String,
}

impl Team {
    pub fn new(team: &str) -> Self {
        Self {
            team: team.to_owned(),
            rating: 1500.0,
            played: 0,
            won: 0,
            drawn: 0,
            lost: 0,
            goals_for: 0,
            goals_against: 0,
            last_played: String::new(),
        }
    }

    pub fn take_in(&mut self, date: &str, scored: u64, conceded: u64, gain: f64) {
        self.rating += gain;
        self.played += 1;
        self.won += u64::from(scored > conceded);
        self.drawn += u64::from(scored == conceded);
        self.lost += u64::from(scored < conceded);
        self.goals_for += scored;
        self.goals_against += conceded;
        date.clone_into(&mut self.last_played);
    }
}

#[derive(Deserialize)]
pub struct Match {
    pub date: String,
    pub home_team: String,
    pub away_team: String,
    pub home_score: u64,
    pub away_score: u64,
}

impl Match {
    /// The points that go from the away side to the home side.
    pub fn gain(&self, home: f64, away: f64) -> f64 {
        let result = match self.home_score.cmp(&self.away_score) {
            std::cmp::Ordering::Greater => 1.0,
            std::cmp::Ordering::Equal => 0.5,
            std::cmp::Ordering::Less => 0.0,
        };
        20.0 * (result - 1.0 / (1.0 + 10_f64.powf((away - home) / 400.0)))
    }
}

/// The matches that have a score, in the order of the file.
pub fn read(path: &str) -> Fails<Vec<Match>> {
    let mut file = csv::Reader::from_path(path)?;
    let header = file.headers()?.clone();
    let mut matches = Vec::new();
    for row in file.records() {
        let row = row?;
        if !row.iter().any(|field| field == "NA") {
            matches.push(row.deserialize(Some(&header))?);
        }
    }
    Ok(matches)
}

/// The job to be done, where, and on which matches.
pub struct Job {
    pub name: String,
    pub table: String,
    pub client: Client,
    pub matches: Vec<Match>,
    requests: Requests,
}

impl Job {
    /// As the command line has it: `JOB ENDPOINT TABLE [RESULTS]`.
    pub async fn begin() -> Fails<Self> {
        let mut arguments = std::env::args().skip(1);
        let mut next = |what: &str| arguments.next().ok_or_else(|| format!("{what} is missing"));
        let (name, endpoint, table) = (next("JOB")?, next("ENDPOINT")?, next("TABLE")?);
        let matches = next("RESULTS").map_or_else(|_| Ok(Vec::new()), |path| read(&path))?;
        let requests = Requests::default();
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("peer", "peer", None, None, "peer"))
            .endpoint_url(endpoint)
            .interceptor(requests.clone());
        let client = Client::from_conf(config.build());
        // The connection is made, and the table is there.
        client.describe_table().table_name(&table).send().await?;
        Ok(Self { name, table, client, matches, requests })
    }

    /// Measures the job, which says how many items or matches it took, and prints that.
    pub async fn measure(&self, job: impl Future<Output = Fails<usize>>) -> Fails {
        self.requests.0.store(0, Ordering::Relaxed);
        let (began, before) = (Instant::now(), cpu()?);
        let items = job.await?;
        let (wall, after) = (began.elapsed(), cpu()?);
        let measured = serde_json::json!({
            "items": items,
            "requests": self.requests.0.load(Ordering::Relaxed),
            "wall_seconds": wall.as_secs_f64(),
            "cpu_seconds": after.saturating_sub(before).as_secs_f64(),
            "peak_bytes": peak_bytes()?,
        });
        println!("{measured}");
        Ok(())
    }
}

/// Counts the requests that are sent.
#[derive(Clone, Debug, Default)]
struct Requests(Arc<AtomicU64>);

impl Intercept for Requests {
    fn name(&self) -> &'static str {
        "Requests"
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

fn cpu() -> Fails<Duration> {
    Ok(Duration::try_from(clock_gettime(ClockId::ProcessCPUTime))?)
}

fn peak_bytes() -> Fails<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes: u64 =
        line.and_then(|line| line.split_whitespace().next()).ok_or("no VmHWM")?.parse()?;
    Ok(kilobytes * 1024)
}
