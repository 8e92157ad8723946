//! Goals, read from CSV as a stream: a file may be larger than memory.

use std::error::Error;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use csv::{ByteRecord, ReaderBuilder, StringRecord};

use crate::lines::Lines;

/// The columns that the job reads, in any order and among any others.
const COLUMNS: [&str; 7] =
    ["date", "home_team", "away_team", "team", "scorer", "own_goal", "penalty"];

/// The most bytes that DynamoDB takes for a partition key, which a name becomes.
const LONGEST_NAME: usize = 2048;

/// The goals of the 2022 World Cup.
const WORLD_CUP: &[u8] = include_bytes!("../data/world_cup_2022_goals.csv");

/// A goal that can be added.
#[derive(Debug, Clone, PartialEq)]
pub struct Goal {
    /// The line of the file on which its row begins.
    pub line: u64,
    /// Year, month and day.
    pub date: String,
    /// The team that the goal counts for.
    pub team: String,
    /// The other team of the match.
    pub opponent: String,
    pub scorer: String,
    pub own_goal: bool,
    pub penalty: bool,
}

/// A row of the file.
#[derive(Debug)]
pub struct Row {
    /// The line on which it begins, from 1.
    pub line: u64,
    /// Its fields as they stand in the file.
    pub fields: ByteRecord,
    /// The goal, or why the row is refused.
    pub goal: Result<Goal, String>,
}

/// A file of goals, read up to some row.
pub struct Goals {
    file: String,
    csv: csv::Reader<Lines<Box<dyn Read + Send>>>,
    header: ByteRecord,
    /// Where each of `COLUMNS` stands in the header.
    columns: [usize; 7],
}

impl Goals {
    /// The goals of the 2022 World Cup, which are built into the program.
    pub fn world_cup() -> Result<Self, BadInput> {
        Self::new("examples/data/world_cup_2022_goals.csv", Box::new(WORLD_CUP))
    }

    /// Opens a file and checks its header.
    pub fn open(path: &Path) -> Result<Self, BadInput> {
        let file = path.display().to_string();
        match File::open(path) {
            Ok(opened) => Self::new(&file, Box::new(opened)),
            Err(cause) => Err(BadInput { file, problem: Problem::Unreadable(cause) }),
        }
    }

    fn new(file: &str, input: Box<dyn Read + Send>) -> Result<Self, BadInput> {
        // Rows of the wrong length are let through here, so that they can be refused one by one.
        let csv =
            ReaderBuilder::new().has_headers(false).flexible(true).from_reader(Lines::new(input));
        let (file, header) = (file.to_owned(), ByteRecord::new());
        let mut goals = Self { file, csv, header, columns: [0; 7] };
        let mut header = ByteRecord::new();
        goals.csv.read_byte_record(&mut header).map_err(|error| goals.unreadable(error))?;
        let start = header.position().map_or(0, csv::Position::byte);
        let line = goals.csv.get_mut().line_of(start);
        goals.header = header;
        for (at, name) in COLUMNS.into_iter().enumerate() {
            let mut found = (0..).zip(&goals.header).filter(|(_, title)| *title == name.as_bytes());
            let problem = match (found.next(), found.next()) {
                (Some((index, _)), None) => {
                    goals.columns[at] = index;
                    continue;
                }
                (None, _) if goals.header.is_empty() => "the file is empty".to_owned(),
                (None, _) => format!("line {line}, column {name}: the header lacks it"),
                (Some(_), Some(_)) => {
                    format!("line {line}, column {name}: the header names it twice")
                }
            };
            return Err(BadInput { file: goals.file, problem: Problem::Header(problem) });
        }
        Ok(goals)
    }

    /// The name of the file.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The titles of the columns.
    pub fn header(&self) -> &ByteRecord {
        &self.header
    }

    /// The next row; `None` at the end of the file.
    pub fn next(&mut self) -> Result<Option<Row>, BadInput> {
        let mut fields = ByteRecord::new();
        match self.csv.read_byte_record(&mut fields) {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            Err(error) => return Err(self.unreadable(error)),
        }
        let start = fields.position().map_or(0, csv::Position::byte);
        let line = self.csv.get_mut().line_of(start);
        let goal = self.goal(line, &fields);
        Ok(Some(Row { line, fields, goal }))
    }

    fn goal(&self, line: u64, fields: &ByteRecord) -> Result<Goal, String> {
        let (found, expected) = (fields.len(), self.header.len());
        if found != expected {
            let unclosed = if fields.iter().any(has_line_break) { UNCLOSED } else { "" };
            return Err(format!("the row has {found} fields, the header {expected}{unclosed}"));
        }
        let text = StringRecord::from_byte_record(fields.clone());
        let text = text.map_err(|_| "the text is not UTF-8".to_owned())?;
        let [date, home, away, team, scorer, own_goal, penalty] =
            self.columns.map(|column| text.get(column).unwrap_or_default());
        let opponent = opponent(home, away, team)?;
        Ok(Goal {
            line,
            date: checked_date(date)?,
            team: team.to_owned(),
            opponent: opponent.to_owned(),
            scorer: checked_scorer(scorer)?,
            own_goal: truth("own_goal", own_goal)?,
            penalty: truth("penalty", penalty)?,
        })
    }

    fn unreadable(&self, error: csv::Error) -> BadInput {
        BadInput { file: self.file.clone(), problem: Problem::Unreadable(error.into()) }
    }
}

/// The one common cause of rows within a field.
const UNCLOSED: &str = ": perhaps a quote is not closed";

fn has_line_break(field: &[u8]) -> bool {
    field.iter().any(|byte| matches!(byte, b'\n' | b'\r'))
}

fn has_control(name: &str) -> bool {
    name.contains(char::is_control)
}

/// The team that the one of the goal played against.
fn opponent<'r>(home: &'r str, away: &'r str, team: &str) -> Result<&'r str, String> {
    if team.trim().is_empty() {
        return Err("there is no team".to_owned());
    }
    let opponent = match (team == home, team == away) {
        (true, false) => away,
        (false, true) => home,
        (true, true) => return Err(format!("{team:?} plays against itself")),
        (false, false) => {
            return Err(format!("{team:?} did not play: {home:?} against {away:?}"));
        }
    };
    if [team, opponent].into_iter().any(has_control) {
        return Err(format!("a team's name has a line break or control character{UNCLOSED}"));
    }
    match opponent.len() {
        0 => Err("there is no opponent".to_owned()),
        1..=LONGEST_NAME => Ok(opponent),
        _ => Err(format!("the opponent's name is longer than {LONGEST_NAME} bytes")),
    }
}

fn checked_scorer(scorer: &str) -> Result<String, String> {
    if matches!(scorer.trim(), "" | "NA") {
        Err("there is no scorer".to_owned())
    } else if has_control(scorer) {
        Err(format!("the scorer's name has a line break or control character{UNCLOSED}"))
    } else if scorer.len() > LONGEST_NAME {
        Err(format!("the scorer's name is longer than {LONGEST_NAME} bytes"))
    } else {
        Ok(scorer.to_owned())
    }
}

/// Dates are compared as text, so they all have one form.
fn checked_date(date: &str) -> Result<String, String> {
    match date.parse::<jiff::civil::Date>() {
        // It reads other forms too, years of more digits among them.
        Ok(known) if known.to_string() == date && date.len() == 10 => Ok(date.to_owned()),
        _ => Err(format!("the date {date:?} is no date of the form year-month-day")),
    }
}

fn truth(column: &str, text: &str) -> Result<bool, String> {
    match text {
        "TRUE" | "True" | "true" => Ok(true),
        "FALSE" | "False" | "false" => Ok(false),
        _ => Err(format!("{column} is {text:?}, neither TRUE nor FALSE")),
    }
}

/// Why the file cannot be read as goals at all.
#[derive(Debug)]
pub struct BadInput {
    file: String,
    problem: Problem,
}

#[derive(Debug)]
enum Problem {
    Unreadable(io::Error),
    Header(String),
}

impl fmt::Display for BadInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.problem {
            Problem::Unreadable(_) => write!(f, "{}: the file cannot be read", self.file),
            Problem::Header(problem) => write!(f, "{}, {problem}", self.file),
        }
    }
}

impl Error for BadInput {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.problem {
            Problem::Unreadable(cause) => Some(cause),
            Problem::Header(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "date,home_team,away_team,team,scorer,minute,own_goal,penalty\n";

    fn goals(text: impl Into<Vec<u8>>) -> Result<Goals, BadInput> {
        Goals::new("g.csv", Box::new(io::Cursor::new(text.into())))
    }

    /// The rows below the header: their lines, and the goals or why they are refused.
    fn rows(text: impl AsRef<[u8]>) -> Vec<(u64, Result<Goal, String>)> {
        let mut goals = goals([HEADER.as_bytes(), text.as_ref()].concat()).unwrap();
        let rows = std::iter::from_fn(|| goals.next().unwrap());
        rows.map(|row| (row.line, row.goal)).collect()
    }

    fn reason(row: impl AsRef<[u8]>) -> String {
        rows(row).remove(0).1.unwrap_err()
    }

    #[test]
    fn the_world_cup_has_172_goals() {
        let mut goals = Goals::world_cup().unwrap();
        let rows: Vec<Row> = std::iter::from_fn(|| goals.next().unwrap()).collect();
        assert_eq!(rows.len(), 172);
        let first = rows[0].goal.as_ref().unwrap();
        assert_eq!((first.line, &*first.scorer, &*first.opponent), (2, "Enner Valencia", "Qatar"));
        assert!(first.penalty && rows.iter().all(|row| row.goal.is_ok()));
    }

    #[test]
    fn columns_are_found_by_name_among_others() {
        let text = "x,penalty,own_goal,scorer,team,away_team,home_team,date\n\
                    ?,true,False,Ada,B,B,A,2000-01-02\n";
        let goal = goals(text).unwrap().next().unwrap().unwrap().goal.unwrap();
        assert_eq!((&*goal.team, &*goal.opponent, &*goal.scorer), ("B", "A", "Ada"));
        assert_eq!((goal.own_goal, goal.penalty, &*goal.date), (false, true, "2000-01-02"));
    }

    #[test]
    fn rows_that_cannot_be_added_are_refused_with_a_reason() {
        for (row, expected) in [
            ("2000-01-02,A,B,A,NA,1,FALSE,FALSE", "there is no scorer"),
            ("2000-01-02,A,B,A,,1,FALSE,FALSE", "there is no scorer"),
            ("2000-01-02,A,B,C,Ada,1,FALSE,FALSE", "\"C\" did not play: \"A\" against \"B\""),
            ("2000-01-02,A,B,C,Ada,1,TRUE,FALSE", "\"C\" did not play: \"A\" against \"B\""),
            ("2000-01-02,A,B,,Ada,1,FALSE,FALSE", "there is no team"),
            ("2000-01-02,A,A,A,Ada,1,FALSE,FALSE", "\"A\" plays against itself"),
            ("2000-01-02,A,,A,Ada,1,FALSE,FALSE", "there is no opponent"),
            ("2000-01-02,A,B,A, NA,1,FALSE,FALSE", "there is no scorer"),
            (
                "02.01.2000,A,B,A,Ada,1,FALSE,FALSE",
                "the date \"02.01.2000\" is no date of the form year-month-day",
            ),
            ("2000-01-02,A,B,A,Ada,1,no,FALSE", "own_goal is \"no\", neither TRUE nor FALSE"),
            ("2000-01-02,A,B,A,Ada,1,FALSE,", "penalty is \"\", neither TRUE nor FALSE"),
            ("2000-01-02,A,B,A,Ada,1,FALSE", "the row has 7 fields, the header 8"),
            ("2000-01-02,A,B,A,Ada,1,FALSE,FALSE,x", "the row has 9 fields, the header 8"),
            (
                "2000-01-02,A,B,A,\"Ada,1,FALSE,FALSE\n",
                "the row has 5 fields, the header 8: perhaps a quote is not closed",
            ),
            (
                "2000-01-02,A,B,A,\"Ada,1,FALSE,FALSE\n2000-01-02,A,B,A,Bob\",1,FALSE,FALSE",
                "the scorer's name has a line break or control character: perhaps a quote is not \
                 closed",
            ),
            (
                "2000-01-02,A,\"B\n\",A,Ada,1,FALSE,FALSE",
                "a team's name has a line break or control character: perhaps a quote is not closed",
            ),
        ] {
            assert_eq!(reason(row), expected, "{row}");
        }
        let long = format!("2000-01-02,A,B,A,{},1,FALSE,FALSE", "é".repeat(1025));
        assert_eq!(reason(long), "the scorer's name is longer than 2048 bytes");
        assert_eq!(reason(b"2000-01-02,A,B,A,\xe9,1,FALSE,FALSE"), "the text is not UTF-8");
    }

    #[test]
    fn lines_are_counted_as_an_editor_counts_them() {
        let row = "2000-01-02,A,B,A,Ada,1,FALSE,FALSE";
        for end in ["\n", "\r\n", "\r"] {
            let text =
                format!("{row}{end}{end}{row}{end}2000-01-02,A,B,A,\"A{end}da\",1,FALSE,FALSE");
            let text = format!("{text}{end}{row}");
            let lines: Vec<u64> = rows(text).into_iter().map(|(line, _)| line).collect();
            assert_eq!(lines, [2, 4, 5, 7], "{end:?}");
        }
    }

    #[test]
    fn a_byte_order_mark_and_an_empty_file_below_the_header_are_accepted() {
        let text = format!("\u{feff}{HEADER}");
        assert!(goals(text).unwrap().next().unwrap().is_none());
    }

    #[test]
    fn the_header_must_name_each_column_once() {
        let message = |text: &str| goals(text).err().unwrap().to_string();
        assert_eq!(message(""), "g.csv, the file is empty");
        assert_eq!(message("\n\nx\n"), "g.csv, line 3, column date: the header lacks it");
        assert_eq!(
            message("date,home_team,away_team,team,scorer,own_goal\n"),
            "g.csv, line 1, column penalty: the header lacks it"
        );
        assert_eq!(
            message(&HEADER.replace("minute", "team")),
            "g.csv, line 1, column team: the header names it twice"
        );
    }

    #[test]
    fn a_missing_file_is_named_with_its_cause() {
        let error = Goals::open(Path::new("no/such.csv")).err().unwrap();
        assert_eq!(error.to_string(), "no/such.csv: the file cannot be read");
        assert!(error.source().is_some());
    }
}
