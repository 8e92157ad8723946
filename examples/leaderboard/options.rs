//! The command line: what each option means, and which exclude each other.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use crate::common::options::{Pace, endpoint, positive, seconds, table_name};

/// Recomputes the Elo ratings of football teams from their matches and saves them in DynamoDB
#[derive(Parser, Debug)]
#[command(name = "leaderboard", after_help = MORE_HELP)]
pub struct Options {
    /// CSV file of matches [default: the 2022 World Cup, built in]
    #[arg(long, value_name = "FILE", conflicts_with = "synthetic")]
    pub matches: Option<PathBuf>,

    /// Play N made-up matches between N/20 teams instead, the same ones each time
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub synthetic: Option<u32>,

    /// Table of the teams; created if it is missing
    #[arg(long, value_name = "NAME", default_value = "teams", value_parser = table_name)]
    pub table: String,

    /// How many teams to print
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub top: usize,

    /// Also write what the job cost to this file, as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,

    /// DynamoDB endpoint, such as http://localhost:8000
    #[arg(long, value_name = "URL", conflicts_with = "db", value_parser = endpoint)]
    pub endpoint: Option<String>,

    /// Embedded database on disk [default: embedded, in memory]
    #[arg(long, value_name = "PATH")]
    pub db: Option<PathBuf>,

    /// Keep what is not saved in this file too, so that a run that dies loses nothing; the next one goes on
    #[arg(long, value_name = "PATH", conflicts_with = "dry_run")]
    pub journal: Option<PathBuf>,

    /// Give up after so long without progress; fractions are allowed [default: 60]
    #[arg(long, value_name = "SECONDS", value_parser = seconds, allow_negative_numbers = true)]
    pub patience: Option<Duration>,

    /// Print what would be written and what it would cost, and write nothing
    #[arg(long)]
    pub dry_run: bool,

    /// How fast to write.
    #[command(flatten)]
    pub pace: Pace,

    /// Price of a million write units, for the cost that a dry run prints
    #[arg(long, value_name = "PRICE", value_parser = positive, requires = "dry_run",
        allow_negative_numbers = true)]
    pub price: Option<f64>,
}

const MORE_HELP: &str = "\
Without options it plays the 64 matches of the 2022 World Cup on an embedded database in memory,
and needs neither a server nor an account.

A file of matches has a header with at least date, home_team, away_team, home_score and
away_score. A score that is empty or NA skips its match.

A put of a kilobyte is a write unit. With --share the capacity is what DescribeTable says; a table on
demand without a maximum has none, and is written as fast as it takes it.

With --endpoint, fixed test credentials are used when none are set in the environment.

Exit codes:
  0    done
  1    the database failed, or some teams could not be saved: they are named
  2    wrong options or input, or a journal that cannot be opened: nothing was sent
  130  interrupted while saving";

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use clap::error::ErrorKind;

    use super::*;

    fn parse(arguments: &[&str]) -> Result<Options, ErrorKind> {
        Options::try_parse_from([&["leaderboard"], arguments].concat()).map_err(|e| e.kind())
    }

    #[test]
    fn the_command_line_is_consistent() {
        Options::command().debug_assert();
    }

    #[test]
    fn defaults_need_no_server() {
        let options = parse(&[]).unwrap();
        assert_eq!((options.table.as_str(), options.top), ("teams", 10));
        assert_eq!((options.matches, options.synthetic), (None, None));
        assert_eq!((options.endpoint, options.db, options.patience), (None, None, None));
        let pace = options.pace;
        assert_eq!((pace.write_capacity, pace.share, options.price), (None, None, None));
        assert!(!options.dry_run);
    }

    #[test]
    fn options_that_exclude_each_other_are_refused() {
        let inputs = parse(&["--matches", "m.csv", "--synthetic", "20"]);
        assert_eq!(inputs.unwrap_err(), ErrorKind::ArgumentConflict);
        let databases = parse(&["--endpoint", "http://localhost:8000", "--db", "x.db"]);
        assert_eq!(databases.unwrap_err(), ErrorKind::ArgumentConflict);
        let paces = parse(&["--write-capacity", "400", "--share", "0.5"]);
        assert_eq!(paces.unwrap_err(), ErrorKind::ArgumentConflict);
        let journal = parse(&["--journal", "j", "--dry-run"]);
        assert_eq!(journal.unwrap_err(), ErrorKind::ArgumentConflict);
        let price = parse(&["--price", "0.625"]);
        assert_eq!(price.unwrap_err(), ErrorKind::MissingRequiredArgument);
    }

    #[test]
    fn patience_takes_fractions_and_refuses_what_is_no_time_span() {
        let patience = |text| parse(&["--patience", text]).map(|options| options.patience);
        assert_eq!(patience("0.25"), Ok(Some(Duration::from_millis(250))));
        assert_eq!(patience("0"), Ok(Some(Duration::ZERO)));
        for bad in ["-1", "-0.5", "inf", "NaN", "1e300", "soon", ""] {
            assert_eq!(patience(bad), Err(ErrorKind::ValueValidation), "{bad}");
        }
    }

    #[test]
    fn impossible_values_are_refused() {
        for bad in [
            ["--table", "ab"],
            ["--table", "my table"],
            ["--endpoint", "localhost:8000"],
            ["--endpoint", "http://"],
            ["--endpoint", "http://localhost:notaport"],
            ["--table", "arn:aws:dynamodb:eu-central-1:1:table/teams"],
            ["--synthetic", "0"],
            ["--top", "some"],
            ["--write-capacity", "0"],
            ["--write-capacity", "-4"],
            ["--write-capacity", "inf"],
            ["--write-capacity", "fast"],
            ["--share", "0"],
            ["--share", "1.1"],
            ["--share", "NaN"],
        ] {
            assert_eq!(parse(&bad).unwrap_err(), ErrorKind::ValueValidation, "{bad:?}");
        }
    }
}
