//! What the job prints: the leaderboard and what it cost.

use std::fmt;

use memory_table::{FlushPlan, MemoryTable};
use serde::Serialize;
use unicode_width::UnicodeWidthStr;

use crate::elo::Team;

const HEADER: [&str; 10] = [
    "rank",
    "team",
    "rating",
    "played",
    "won",
    "drawn",
    "lost",
    "goals for",
    "goals against",
    "last played",
];

/// The columns that hold text and stand on the left; numbers stand on the right.
const TEXT_COLUMNS: [&str; 2] = ["team", "last played"];

/// What the job did and what it cost, printed and written by `--json` under these names.
#[derive(Serialize, Debug, Default, Clone, PartialEq)]
pub struct Summary {
    /// Matches that were played.
    pub matches: u64,
    /// Matches without a score.
    pub skipped: u64,
    /// Teams in the matches played.
    pub teams: u64,
    /// HTTP attempts that read items, retries included.
    pub read_requests: u64,
    /// HTTP attempts that wrote items, retries included.
    pub write_requests: u64,
    /// Items that the database returned.
    pub items_read: u64,
    /// Items that the flush reported as written.
    pub items_written: u64,
    /// Items that were as they should be already, so that nothing was sent.
    pub items_unchanged: u64,
    /// Items that are not known to be saved: `teams` less those written and unchanged.
    pub items_failed: u64,
    /// How long the job took, from the start of the program.
    pub seconds: f64,
    /// Units that the service charged for reading.
    pub read_units: f64,
    /// Units that the service charged for writing.
    pub write_units: f64,
    /// Units that items were not charged that were as they should be already.
    pub units_saved: f64,
    /// What was not done, in a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub planned: Option<Planned>,
}

/// What a dry run found is to be done.
#[derive(Serialize, Debug, Clone, PartialEq)]
pub struct Planned {
    /// Items to be written.
    pub puts: u64,
    /// Items to be deleted.
    pub deletes: u64,
    /// Items that are as they should be already.
    pub unchanged: u64,
    /// Items that cannot be written.
    pub parked: u64,
    /// Bytes of the items to be sent.
    pub bytes: u64,
    /// Requests, if none has to be sent twice.
    pub requests: u64,
    /// Units of writes.
    pub write_units: f64,
    /// Units that unchanged items do not cost.
    pub units_saved: f64,
    /// How long it takes at the table's present rate; null while that is not known.
    pub seconds: Option<f64>,
    /// What the units cost at the price that was given; null if none was.
    pub cost: Option<f64>,
}

impl Planned {
    pub fn new(plan: &FlushPlan, price: Option<f64>) -> Self {
        Self {
            puts: plan.puts,
            deletes: plan.deletes,
            unchanged: plan.unchanged,
            parked: plan.parked,
            bytes: plan.bytes,
            requests: plan.requests,
            write_units: plan.capacity.total,
            units_saved: plan.saved_capacity,
            seconds: plan.time.map(|time| time.as_secs_f64()),
            cost: price.map(|price| plan.cost(price)),
        }
    }
}

impl fmt::Display for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nDry run: nothing was written. A run without --dry-run would")?;
        writeln!(f, "put             {} items", self.puts)?;
        writeln!(f, "delete          {} items", self.deletes)?;
        writeln!(f, "leave           {} items unchanged", self.unchanged)?;
        if self.parked > 0 {
            writeln!(f, "not be able to write {} items", self.parked)?;
        }
        writeln!(f, "send            {} bytes in {} requests", self.bytes, self.requests)?;
        write!(f, "use             {} write units", self.write_units)?;
        writeln!(f, " ({} saved by unchanged items)", self.units_saved)?;
        if let Some(seconds) = self.seconds {
            writeln!(f, "take            {seconds:.2} s at the table's rate")?;
        }
        if let Some(cost) = self.cost {
            writeln!(f, "cost            {cost:.6}")?;
        }
        Ok(())
    }
}

impl Summary {
    /// Takes in what the requests were so far.
    pub fn counted(&mut self, memory: &MemoryTable<Team>) {
        let (stats, units) = (memory.stats(), memory.consumption());
        self.read_requests = stats.read_requests;
        self.write_requests = stats.write_requests;
        self.items_read = stats.items_read;
        self.read_units = units.reads.total;
        self.write_units = units.writes.total;
        self.units_saved = units.saved;
    }

    /// Nothing was to be written, so nothing failed.
    pub fn planned(&mut self, plan: &Planned) {
        self.items_unchanged = plan.unchanged;
        self.items_failed = 0;
        self.units_saved = plan.units_saved;
        self.planned = Some(plan.clone());
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Summary { read_requests, items_read, write_requests, .. } = self;
        let Summary { items_written, items_unchanged, .. } = self;
        writeln!(f, "matches         {} ({} skipped)", self.matches, self.skipped)?;
        writeln!(f, "teams           {}", self.teams)?;
        writeln!(f, "read requests   {read_requests} ({items_read} items read)")?;
        write!(f, "write requests  {write_requests} ")?;
        writeln!(f, "({items_written} items written, {items_unchanged} unchanged)")?;
        writeln!(f, "read units      {}", self.read_units)?;
        let Summary { write_units, units_saved, .. } = self;
        writeln!(f, "write units     {write_units} ({units_saved} saved by unchanged items)")?;
        writeln!(f, "seconds         {:.2}", self.seconds)
    }
}

/// Lays out the first `top` teams as a table with a header and an empty line below; nothing if
/// there is no team to show.
pub fn table(teams: &[Team], top: usize) -> String {
    if teams.is_empty() || top == 0 {
        return String::new();
    }
    let mut rows = vec![HEADER.map(str::to_owned)];
    rows.extend((1..).zip(teams).take(top).map(|(rank, team)| row(rank, team)));
    let widths = rows.iter().fold([0; 10], wider);
    rows.iter().map(|row| line(row, widths)).chain(["\n".to_owned()]).collect()
}

fn row(rank: usize, team: &Team) -> [String; 10] {
    [
        rank.to_string(),
        printable(&team.team),
        format!("{:.2}", team.rating),
        team.played.to_string(),
        team.won.to_string(),
        team.drawn.to_string(),
        team.lost.to_string(),
        team.goals_for.to_string(),
        team.goals_against.to_string(),
        printable(&team.last_played),
    ]
}

/// The input is foreign text: a line break or an escape sequence must not reach the terminal.
fn printable(text: &str) -> String {
    text.replace(char::is_control, "\u{fffd}")
}

fn wider(mut widths: [usize; 10], row: &[String; 10]) -> [usize; 10] {
    for (width, cell) in widths.iter_mut().zip(row) {
        *width = cell.width().max(*width);
    }
    widths
}

fn line(row: &[String; 10], widths: [usize; 10]) -> String {
    let cells = row.iter().zip(widths).zip(HEADER).map(|((cell, width), title)| {
        // The standard padding counts characters; a terminal counts columns.
        let padding = " ".repeat(width - cell.width());
        if TEXT_COLUMNS.contains(&title) { cell.clone() + &padding } else { padding + cell }
    });
    let line = cells.collect::<Vec<_>>().join("  ");
    format!("{}\n", line.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn team(name: &str, rating: f64, played: u64) -> Team {
        Team {
            team: name.to_owned(),
            rating,
            played,
            won: 1,
            drawn: 0,
            lost: played - 1,
            goals_for: 12,
            goals_against: 3,
            last_played: "2022-12-18".to_owned(),
        }
    }

    #[test]
    fn columns_are_aligned() {
        let table = table(
            &[team("Brazil", 1534.5678, 1), team("Qatar", 987.1, 10), team("Togo", 1.0, 1)],
            2,
        );
        let expected = "\
rank  team     rating  played  won  drawn  lost  goals for  goals against  last played
   1  Brazil  1534.57       1    1      0     0         12              3  2022-12-18
   2  Qatar    987.10      10    1      0     9         12              3  2022-12-18

";
        assert_eq!(table, expected);
    }

    #[test]
    fn a_table_of_no_teams_is_empty() {
        assert_eq!(table(&[team("Brazil", 1500.0, 1)], 0), "");
        assert_eq!(table(&[], 10), "");
    }

    #[test]
    fn names_of_any_script_stay_aligned() {
        let names = ["Åland Islands", "A\u{30a}land", "日本", "Togo", "two\nlines"];
        let table = table(&names.map(|name| team(name, 1500.0, 1)), 5);
        let date_start = |line: &str| line[..line.rfind("2022").unwrap()].width();
        let starts: Vec<usize> = table.lines().skip(1).take(5).map(date_start).collect();
        assert_eq!(starts, [starts[0]; 5], "{table}");
    }

    #[test]
    fn the_summary_says_what_it_cost() {
        let summary = Summary {
            matches: 64,
            teams: 32,
            read_requests: 1,
            write_requests: 2,
            items_written: 30,
            items_unchanged: 2,
            seconds: 0.125,
            read_units: 16.5,
            write_units: 30.0,
            units_saved: 2.0,
            ..Summary::default()
        };
        let expected = "\
matches         64 (0 skipped)
teams           32
read requests   1 (0 items read)
write requests  2 (30 items written, 2 unchanged)
read units      16.5
write units     30 (2 saved by unchanged items)
seconds         0.12
";
        assert_eq!(summary.to_string(), expected);
    }

    #[test]
    fn the_json_has_the_agreed_keys_in_order() {
        let json = serde_json::to_string(&Summary::default()).unwrap();
        let keys: Vec<&str> = json.split('"').skip(1).step_by(2).collect();
        let expected = "matches skipped teams read_requests write_requests items_read \
                        items_written items_unchanged items_failed seconds read_units write_units \
                        units_saved";
        assert_eq!(keys.join(" "), expected);
    }
}
