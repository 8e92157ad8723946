//! Matches, read from CSV. Everything that can be wrong with the input is found here, before the
//! first request, and named by file, line and column.

use std::error::Error;
use std::path::Path;
use std::{fmt, fs, io};

use csv::{ReaderBuilder, StringRecord};

/// The columns that the job reads, in any order and among any others.
const COLUMNS: [&str; 5] = ["date", "home_team", "away_team", "home_score", "away_score"];

/// The most bytes that DynamoDB takes for a partition key, which a team's name becomes.
const LONGEST_NAME: usize = 2048;

/// The matches of the 2022 World Cup.
const WORLD_CUP: &[u8] = include_bytes!("../data/world_cup_2022.csv");

/// One match that was played.
#[derive(Debug, Clone, PartialEq)]
pub struct Match {
    /// The date as it stands in the file.
    pub date: String,
    pub home_team: String,
    pub away_team: String,
    pub home_score: u32,
    pub away_score: u32,
}

/// All matches of a file, in file order.
#[derive(Debug, Default, PartialEq)]
pub struct Matches {
    pub played: Vec<Match>,
    /// Matches without a score. They are left out altogether: a team that occurs in no other
    /// match is not a team of the file.
    pub skipped: u64,
}

/// Reads the 2022 World Cup, which is built into the program.
pub fn world_cup() -> Result<Matches, BadInput> {
    parse("examples/data/world_cup_2022.csv", WORLD_CUP)
}

/// Reads a file of matches.
pub fn read(path: &Path) -> Result<Matches, BadInput> {
    let file = path.display().to_string();
    match fs::read(path) {
        Ok(bytes) => parse(&file, &bytes),
        Err(cause) => Err(BadInput { file, place: None, problem: Problem::Unreadable(cause) }),
    }
}

fn parse(file: &str, bytes: &[u8]) -> Result<Matches, BadInput> {
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    // Rows of the wrong length are let through here, so that `Row` can name the column.
    let mut csv = ReaderBuilder::new().has_headers(false).flexible(true).from_reader(bytes);
    let mut sheet = Sheet { file, bytes, header: StringRecord::new(), columns: [0; 5] };
    let mut record = StringRecord::new();

    csv.read_record(&mut sheet.header).map_err(|error| sheet.not_text(&error))?;
    sheet.columns = sheet.find_columns()?;

    let mut matches = Matches::default();
    while csv.read_record(&mut record).map_err(|error| sheet.not_text(&error))? {
        match sheet.row(&record, offset(csv.position()))?.read()? {
            Some(game) => matches.played.push(game),
            None => matches.skipped += 1,
        }
    }
    if matches == Matches::default() {
        return Err(sheet.error(bytes.len(), "date", "there is no match below the header"));
    }
    Ok(matches)
}

/// A file on its way through the parser: what it takes to say where something is wrong.
struct Sheet<'a> {
    file: &'a str,
    bytes: &'a [u8],
    header: StringRecord,
    /// Where each of `COLUMNS` stands in the header.
    columns: [usize; 5],
}

impl<'a> Sheet<'a> {
    fn find_columns(&self) -> Result<[usize; 5], BadInput> {
        let start = offset(self.header.position().unwrap_or(&csv::Position::new()));
        let mut columns = [0; 5];
        for (column, name) in columns.iter_mut().zip(COLUMNS) {
            let mut found = (0..).zip(&self.header).filter(|(_, title)| *title == name);
            let (index, _) = found.next().ok_or_else(|| {
                let titles = self.header.iter().collect::<Vec<_>>().join(", ");
                self.error(start, name, format!("the header lacks it; it has: {titles}"))
            })?;
            if found.next().is_some() {
                return Err(self.error(start, name, "the header names it twice"));
            }
            *column = index;
        }
        Ok(columns)
    }

    /// Checks the shape of the row that ends at byte `end`.
    fn row(&'a self, record: &'a StringRecord, end: usize) -> Result<Row<'a>, BadInput> {
        let start = offset(record.position().unwrap_or(&csv::Position::new()));
        let raw = self.bytes.get(start..end).unwrap_or_default();
        // A field whose quote stays open swallows the rest of the file, which would be lost unnoticed.
        let quoted = raw.starts_with(b"\"") || raw.windows(2).any(|pair| pair == b",\"");
        let odd = raw.iter().filter(|byte| **byte == b'"').count() % 2 == 1;
        if end >= self.bytes.len() && quoted && odd {
            let last = self.title(record.len() - 1);
            return Err(self.error(start, &last, "a quote is opened and not closed"));
        }
        let (found, expected) = (record.len(), self.header.len());
        if found != expected {
            let column = self.title(found.min(expected));
            let problem = format!("the line has {found} fields, the header {expected}");
            return Err(self.error(start, &column, problem));
        }
        Ok(Row { sheet: self, record, start })
    }

    /// What the header calls a column, or its number where the header does not reach.
    fn title(&self, index: usize) -> String {
        let number = || (index + 1).to_string();
        self.header.get(index).map_or_else(number, str::to_owned)
    }

    /// Turns the one error that reading from memory can give, text that is not UTF-8, into ours.
    fn not_text(&self, error: &csv::Error) -> BadInput {
        let start = error.position().map_or(0, offset);
        match error.kind() {
            csv::ErrorKind::Utf8 { err, .. } => {
                self.error(start, &self.title(err.field()), "the text is not UTF-8")
            }
            _ => self.error(start, &self.title(0), error.to_string()),
        }
    }

    fn error(&self, start: usize, column: &str, problem: impl Into<String>) -> BadInput {
        let place = Some((line_of(self.bytes, start), column.to_owned()));
        BadInput { file: self.file.to_owned(), place, problem: Problem::Wrong(problem.into()) }
    }
}

/// A row with as many fields as the header.
struct Row<'a> {
    sheet: &'a Sheet<'a>,
    record: &'a StringRecord,
    start: usize,
}

impl Row<'_> {
    /// Reads the row as a match; `None` if it has no score.
    fn read(&self) -> Result<Option<Match>, BadInput> {
        let [date, home_team, away_team, home_score, away_score] = self.sheet.columns;
        let (home, away) = (self.team(home_team)?, self.team(away_team)?);
        if home == away {
            return Err(self.error(away_team, format!("{home:?} plays against itself")));
        }
        // Both scores are checked before either may skip the match.
        let scores = (self.score(home_score)?, self.score(away_score)?);
        let (Some(home_score), Some(away_score)) = scores else {
            return Ok(None);
        };
        let date = self.text(date).to_owned();
        Ok(Some(Match { date, home_team: home, away_team: away, home_score, away_score }))
    }

    fn team(&self, column: usize) -> Result<String, BadInput> {
        let name = self.text(column);
        if name.trim().is_empty() {
            Err(self.error(column, "the team is empty"))
        } else if name.len() > LONGEST_NAME {
            Err(self.error(column, format!("the name is longer than {LONGEST_NAME} bytes")))
        } else {
            Ok(name.to_owned())
        }
    }

    /// Reads a score; `None` if there is none. Only digits count: `u32` would also parse "+1".
    fn score(&self, column: usize) -> Result<Option<u32>, BadInput> {
        let text = self.text(column);
        if text.is_empty() || text == "NA" {
            return Ok(None);
        }
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse() {
            Ok(score) if digits => Ok(Some(score)),
            Err(_) if digits => Err(self.error(column, format!("the score {text} is too large"))),
            _ => Err(self.error(column, format!("the score {text:?} is no whole number"))),
        }
    }

    fn text(&self, column: usize) -> &str {
        self.record.get(column).unwrap_or_default()
    }

    fn error(&self, column: usize, problem: impl Into<String>) -> BadInput {
        self.sheet.error(self.start, &self.sheet.title(column), problem)
    }
}

fn offset(position: &csv::Position) -> usize {
    usize::try_from(position.byte()).unwrap_or(usize::MAX)
}

/// The line, from 1, of the row that the reader began at byte `start`.
///
/// The reader's own line numbers lag behind where lines end in `\r\n` or are empty: it begins
/// the next row right behind the `\r`.
fn line_of(bytes: &[u8], start: usize) -> usize {
    let rest = bytes.get(start..).unwrap_or_default();
    let skipped = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    1 + breaks_in(bytes.get(..start + skipped).unwrap_or(bytes))
}

/// Lines end in `\n`, `\r\n` or a `\r` alone.
fn breaks_in(bytes: &[u8]) -> usize {
    let ends =
        |at: usize, byte: u8| byte == b'\n' || (byte == b'\r' && bytes.get(at + 1) != Some(&b'\n'));
    bytes.iter().enumerate().filter(|(at, byte)| ends(*at, **byte)).count()
}

/// What is wrong with the input, and where.
#[derive(Debug)]
pub struct BadInput {
    file: String,
    /// Line and column; a file that cannot be read has neither.
    place: Option<(usize, String)>,
    problem: Problem,
}

#[derive(Debug)]
enum Problem {
    Unreadable(io::Error),
    Wrong(String),
}

impl fmt::Display for BadInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some((line, column)) = &self.place {
            write!(f, ", line {line}, column {column}")?;
        }
        match &self.problem {
            Problem::Unreadable(_) => write!(f, ": the file cannot be read"),
            Problem::Wrong(problem) => write!(f, ": {problem}"),
        }
    }
}

impl Error for BadInput {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.problem {
            Problem::Unreadable(cause) => Some(cause),
            Problem::Wrong(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "date,home_team,away_team,home_score,away_score\n";

    fn message(bytes: impl AsRef<[u8]>) -> String {
        parse("m.csv", bytes.as_ref()).unwrap_err().to_string()
    }

    /// The message for a file whose header is well and whose rows are `rows`.
    fn row_message(rows: &str) -> String {
        message(format!("{HEADER}{rows}"))
    }

    fn game(date: &str, home: (&str, u32), away: (&str, u32)) -> Match {
        Match {
            date: date.to_owned(),
            home_team: home.0.to_owned(),
            away_team: away.0.to_owned(),
            home_score: home.1,
            away_score: away.1,
        }
    }

    #[test]
    fn the_world_cup_has_64_matches() {
        let cup = world_cup().unwrap();
        assert_eq!((cup.played.len(), cup.skipped), (64, 0));
        assert_eq!(cup.played[0], game("2022-11-20", ("Qatar", 0), ("Ecuador", 2)));
    }

    #[test]
    fn columns_are_found_by_name_among_others() {
        let text = "city,away_score,home_score,away_team,home_team,date\nRio,2,1,B,A,today\n";
        let matches = parse("m.csv", text.as_bytes()).unwrap();
        assert_eq!(matches.played, [game("today", ("A", 1), ("B", 2))]);
    }

    #[test]
    fn a_byte_order_mark_crlf_blank_lines_and_quotes_are_accepted() {
        let rows = "d,\"Bosnia, and \"\"H\"\"\",B,1,\"2\"\r\n\r\nd,\"two\nlines\",B,0,0";
        let text = format!("\u{feff}{}{rows}", HEADER.replace('\n', "\r\n"));
        let matches = parse("m.csv", text.as_bytes()).unwrap();
        let first = game("d", ("Bosnia, and \"H\"", 1), ("B", 2));
        assert_eq!(matches.played, [first, game("d", ("two\nlines", 0), ("B", 0))]);
    }

    #[test]
    fn a_quote_within_a_name_is_part_of_it() {
        let matches = parse("m.csv", format!("{HEADER}d,A\"B,C,1,0\n").as_bytes()).unwrap();
        assert_eq!(matches.played[0].home_team, "A\"B");
        assert_eq!(
            row_message("d,\"A,B,1,0\nd,A,B,1,0\n"),
            "m.csv, line 2, column home_team: a quote is opened and not closed"
        );
    }

    #[test]
    fn lines_that_end_in_a_carriage_return_are_counted() {
        let text = format!("{HEADER}d,A,B,1,0\nd,A,B,1,x\n");
        for end in ["\r", "\r\n", "\n"] {
            let message = message(text.replace('\n', end));
            assert!(message.starts_with("m.csv, line 3, column away_score"), "{message}");
        }
    }

    #[test]
    fn a_match_without_a_score_is_skipped_and_counted() {
        let rows = "d,A,B,NA,NA\nd,A,B,,\nd,A,B,3,NA\nd,A,B,,3\nd,A,B,1,0\n";
        let matches = parse("m.csv", format!("{HEADER}{rows}").as_bytes()).unwrap();
        assert_eq!((matches.played.len(), matches.skipped), (1, 4));
    }

    #[test]
    fn a_score_that_is_no_whole_number_is_named() {
        for bad in ["x", "-1", "+1", "1.5", "2.0", " 1", "na", "1e3", "٣"] {
            assert_eq!(
                row_message(&format!("d,A,B,1,0\nd,A,B,1,{bad}\n")),
                format!("m.csv, line 3, column away_score: the score {bad:?} is no whole number")
            );
        }
        // A score that is missing on one side does not excuse the other.
        assert!(row_message("d,A,B,x,NA\n").starts_with("m.csv, line 2, column home_score: "));
        assert!(row_message("d,A,B,NA,x\n").starts_with("m.csv, line 2, column away_score: "));
        assert_eq!(
            row_message("d,A,B,99999999999,0\n"),
            "m.csv, line 2, column home_score: the score 99999999999 is too large"
        );
    }

    #[test]
    fn teams_must_have_a_name_that_fits_and_an_opponent() {
        let empty = "m.csv, line 2, column home_team: the team is empty";
        assert_eq!(row_message("d,,B,1,0\n"), empty);
        assert_eq!(row_message("d,  ,B,NA,NA\n"), empty);
        assert_eq!(
            row_message("d,A,A,1,0\n"),
            "m.csv, line 2, column away_team: \"A\" plays against itself"
        );
        assert_eq!(
            row_message(&format!("d,A,{},1,0\n", "é".repeat(1025))),
            "m.csv, line 2, column away_team: the name is longer than 2048 bytes"
        );
    }

    #[test]
    fn the_header_must_name_each_column_once() {
        assert_eq!(
            message("date,home_team,away_team,home_score\nd,A,B,1\n"),
            "m.csv, line 1, column away_score: the header lacks it; \
             it has: date, home_team, away_team, home_score"
        );
        assert_eq!(
            message("date,date,home_team,away_team,home_score,away_score\n"),
            "m.csv, line 1, column date: the header names it twice"
        );
        assert!(message("").starts_with("m.csv, line 1, column date: the header lacks it"));
    }

    #[test]
    fn a_row_of_the_wrong_length_is_named() {
        assert_eq!(
            row_message("d,A,B,1\n"),
            "m.csv, line 2, column away_score: the line has 4 fields, the header 5"
        );
        assert_eq!(
            row_message("d,A,B,1,0,extra\n"),
            "m.csv, line 2, column 6: the line has 6 fields, the header 5"
        );
    }

    #[test]
    fn an_open_quote_does_not_swallow_the_rest_of_the_file() {
        let text = "home_team,away_team,home_score,away_score,date\nA,B,1,0,\"d\nA,B,1,0,d\n";
        assert_eq!(message(text), "m.csv, line 2, column date: a quote is opened and not closed");
    }

    #[test]
    fn text_that_is_not_utf8_is_named() {
        let row = |team: &[u8]| [HEADER.as_bytes(), b"d,", team, b",B,1,0\n"].concat();
        assert_eq!(
            message(row(b"S\xe3o")),
            "m.csv, line 2, column home_team: the text is not UTF-8"
        );
        assert_eq!(message(b"\xff\xfed\0a\0"), "m.csv, line 1, column 1: the text is not UTF-8");
    }

    #[test]
    fn lines_are_counted_as_an_editor_counts_them() {
        for rows in ["d,A,B,1,0\r\nd,A,B,x,0\r\n", "\nd,A,B,x,0\n", "\r\nd,A,B,x,0\r\n"] {
            assert!(row_message(rows).starts_with("m.csv, line 3, "), "{rows:?}");
        }
        assert!(row_message("d,\"A\nA\",B,1,0\nd,A,B,x,0\n").starts_with("m.csv, line 4, "));
    }

    #[test]
    fn a_file_without_matches_is_an_error() {
        let expected = "m.csv, line 2, column date: there is no match below the header";
        assert_eq!(message(HEADER), expected);
    }

    #[test]
    fn a_missing_file_is_named_with_its_cause() {
        let error = read(Path::new("no/such.csv")).unwrap_err();
        assert_eq!(error.to_string(), "no/such.csv: the file cannot be read");
        assert!(error.source().is_some());
    }
}
