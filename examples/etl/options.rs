//! The command line: what each option means, and which exclude each other.

use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};

use crate::common::options::{Pace, endpoint, seconds, table_name};

/// Adds goals to the totals of those who scored them, in DynamoDB
#[derive(Parser, Debug)]
#[command(name = "etl", after_help = MORE_HELP)]
pub struct Options {
    /// CSV file of goals [default: those of the 2022 World Cup, built in]
    #[arg(long, value_name = "FILE")]
    pub goals: Option<PathBuf>,

    /// Write the rows that were refused to this file, as CSV with line and reason
    #[arg(long, value_name = "FILE")]
    pub refused: Option<PathBuf>,

    /// Table of the scorers; created if it is missing
    #[arg(long, value_name = "NAME", default_value = "scorers", value_parser = table_name)]
    pub table: String,

    /// Table of the teams' ratings, as the leaderboard makes it; only read
    #[arg(long, value_name = "NAME", default_value = "teams", value_parser = table_name)]
    pub teams: String,

    /// How many scorers may be unsaved before they are flushed on the way
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = at_least_one,
        allow_negative_numbers = true)]
    pub max_unsaved: usize,

    /// Let other jobs add to the same table at the same time: each scorer is written under the
    /// condition that nobody else did, one a request, and merged where somebody did
    #[arg(long)]
    pub guarded: bool,

    /// Keep what is not saved and how far the job is in this file too: a run that was interrupted, or
    /// died, goes on from its last checkpoint, and counts no row twice
    #[arg(long, value_name = "PATH")]
    pub journal: Option<PathBuf>,

    /// Make a checkpoint after so many rows at most
    #[arg(long, value_name = "ROWS", default_value_t = 1_000, value_parser = at_least_one,
        allow_negative_numbers = true, requires = "journal")]
    pub checkpoint_every: usize,

    /// Also write what the job cost to this file, as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,

    /// DynamoDB endpoint, such as http://localhost:8000
    #[arg(long, value_name = "URL", conflicts_with = "db", value_parser = endpoint)]
    pub endpoint: Option<String>,

    /// Embedded database on disk [default: embedded, in memory]
    #[arg(long, value_name = "PATH")]
    pub db: Option<PathBuf>,

    /// Give up after so long without progress; fractions are allowed. A request that gets no answer at
    /// all is waited for 15 s [default: 60]
    #[arg(long, value_name = "SECONDS", value_parser = seconds, allow_negative_numbers = true)]
    pub patience: Option<Duration>,

    /// How fast to write.
    #[command(flatten)]
    pub pace: Pace,
}

const MORE_HELP: &str = "\
Without options it adds the goals of the 2022 World Cup on an embedded database in memory, and
needs neither a server nor an account. What it adds is added: run twice on one table, the totals
are twice as high. Two jobs at the same time lose goals of each other unless both are --guarded;
even so a goal may be missing or count twice where the answer to a write is lost and another job
writes the same scorer before it is sent again.

A file of goals has a header with at least date, home_team, away_team, team, scorer, own_goal and
penalty. Rows without a scorer (empty or NA), with a team that did not play, or with anything else
that cannot be added are refused: counted, and written to the file of --refused.

The rating of the opponent is read from the table of the teams once for each; it is 1500 where
there is none.

With --journal a run that ended early, however it did, is gone on with by the next one that has the
same journal and input. What came before its last checkpoint is added once; --refused and the counts
of rows go on too. Once a run has ended well, the next one begins anew.

With --endpoint, fixed test credentials are used when none are set in the environment.

Exit codes:
  0    done; rows may have been refused
  1    the database failed, or some scorers could not be saved: they are named
  2    wrong options, input or journal: nothing was sent
  130  interrupted by Ctrl-C or SIGTERM: the rows before the line that it names are added, so go on
       with a file of the header and the others, or with the same --journal; twice, what is not saved
       is lost, or in the journal";

impl Options {
    /// The options of this process; what is wrong with them ends it.
    pub fn read() -> Self {
        let options = Self::parse();
        if options.table == options.teams {
            let text = "--table and --teams name the same table";
            Self::command().error(ErrorKind::ArgumentConflict, text).exit();
        }
        options
    }
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("not a whole number of 1 or more".to_owned()),
        Ok(number) => Ok(number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Options, ErrorKind> {
        Options::try_parse_from([&["etl"], arguments].concat()).map_err(|e| e.kind())
    }

    #[test]
    fn the_command_line_is_consistent() {
        Options::command().debug_assert();
    }

    #[test]
    fn defaults_need_no_server() {
        let options = parse(&[]).unwrap();
        assert_eq!((options.table.as_str(), options.teams.as_str()), ("scorers", "teams"));
        assert_eq!((options.max_unsaved, options.patience), (10_000, None));
        assert_eq!((options.endpoint, options.db, options.json), (None, None, None));
        assert!(!options.guarded);
        assert_eq!((options.journal, options.checkpoint_every), (None, 1_000));
        assert_eq!((options.pace.write_capacity, options.pace.share), (None, None));
    }

    #[test]
    fn impossible_values_are_refused() {
        for bad in [
            ["--max-unsaved", "0"],
            ["--max-unsaved", "-1"],
            ["--max-unsaved", "many"],
            ["--table", "ab"],
            ["--teams", "my teams"],
            ["--checkpoint-every", "0"],
            ["--endpoint", "localhost"],
            ["--patience", "-1"],
            ["--write-capacity", "0"],
            ["--share", "2"],
        ] {
            assert_eq!(parse(&bad).unwrap_err(), ErrorKind::ValueValidation, "{bad:?}");
        }
        let alone = parse(&["--checkpoint-every", "5"]);
        assert_eq!(alone.unwrap_err(), ErrorKind::MissingRequiredArgument);
        let databases = parse(&["--endpoint", "http://localhost:8000", "--db", "x.db"]);
        assert_eq!(databases.unwrap_err(), ErrorKind::ArgumentConflict);
    }
}
