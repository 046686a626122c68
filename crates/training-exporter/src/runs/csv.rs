//! Logs in CSV, as those of Lightning (`metrics.csv`) and Keras. A row gives only some of the columns; another header
//! may come at any time, when a trainer that logs other things goes on with a file. A row is one line.

use csv_core::{ReadRecordResult, Reader};

use super::record::Record;

/// Further columns are left out.
const MOST_COLUMNS: usize = 1000;

/// The columns, once their names are known.
#[derive(Debug)]
pub(crate) struct Columns {
    names: Vec<String>,
    /// Kept, since making one takes longer than reading a row.
    reader: Reader,
}

/// What a line is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Row {
    /// It names the columns, and one of them is the step.
    Header,
    /// What its cells say; `None` when that is nothing.
    Record(Option<Record>),
    /// It has more cells than there are columns.
    TooLong,
}

impl Columns {
    pub(crate) fn new() -> Self {
        Self {
            names: Vec::new(),
            reader: Reader::new(),
        }
    }

    /// Reads a line.
    pub(crate) fn row(&mut self, line: &[u8]) -> Row {
        let cells = cells(&mut self.reader, line);
        if is_header(&cells) && (self.names.is_empty() || !cells.iter().any(|cell| is_number(cell))) {
            self.names = cells;
            return Row::Header;
        }
        if self.names.is_empty() {
            return Row::Record(None);
        }
        // Some writers end each row with a comma.
        if cells.iter().skip(self.names.len()).any(|cell| !cell.is_empty()) {
            return Row::TooLong;
        }
        let mut record = Record::default();
        for (name, cell) in self.names.iter().zip(&cells) {
            match cell.parse() {
                Ok(number) => record.number(name, number),
                Err(_) => record.word(name, cell),
            }
        }
        Row::Record(record.whole())
    }
}

/// Whether these are names of columns, of which one is the step.
fn is_header(cells: &[String]) -> bool {
    let mut record = Record::default();
    for name in cells {
        record.number(name, 0.0);
    }
    record.whole().is_some()
}

fn is_number(cell: &str) -> bool {
    cell.parse::<f64>().is_ok()
}

fn cells(reader: &mut Reader, line: &[u8]) -> Vec<String> {
    let mut text = vec![0; line.len() + 1];
    let mut ends = [0; MOST_COLUMNS];
    let (mut written, mut count) = (0, 0);
    let mut rest = line;
    reader.reset();
    loop {
        let (result, read, text_written, ends_written) =
            reader.read_record(rest, &mut text[written..], &mut ends[count..]);
        rest = rest.get(read..).unwrap_or_default();
        written += text_written;
        count += ends_written;
        // An empty rest tells the reader that this is the end.
        if !matches!(result, ReadRecordResult::InputEmpty) {
            break;
        }
    }
    let starts = std::iter::once(0).chain(ends.iter().copied());
    starts
        .zip(&ends[..count])
        .filter_map(|(start, end)| text.get(start..*end))
        .map(|cell| String::from_utf8_lossy(cell).trim().to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scalars(row: Row) -> Vec<(String, f64)> {
        match row {
            Row::Record(Some(record)) => record.scalars,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn rows_are_sparse() {
        let mut columns = Columns::new();
        assert_eq!(columns.row(b"epoch,step,train_loss,val_loss"), Row::Header);
        let pairs = |pairs: &[(&str, f64)]| {
            pairs
                .iter()
                .map(|(tag, value)| ((*tag).to_owned(), *value))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            scalars(columns.row(b"0,9,0.5,")),
            pairs(&[("epoch", 0.0), ("train_loss", 0.5)])
        );
        assert_eq!(
            scalars(columns.row(b"0,9,,\" 0.25 \"")),
            pairs(&[("epoch", 0.0), ("val_loss", 0.25)])
        );
        assert_eq!(scalars(columns.row(b"0,9")), pairs(&[("epoch", 0.0)]));
        assert!(scalars(columns.row(b"1,11,nan,"))[1].1.is_nan());
        assert_eq!(columns.row(b",,,"), Row::Record(None));
        assert_eq!(columns.row(b"1,2,3,4,5"), Row::TooLong);
    }

    #[test]
    fn a_header_that_comes_again_is_no_row() {
        let mut columns = Columns::new();
        columns.row(b"step,loss");
        assert_eq!(columns.row(b"step,loss"), Row::Header);
        assert_eq!(scalars(columns.row(b"1,0.5")), [("loss".to_owned(), 0.5)]);
    }

    #[test]
    fn another_header_names_the_rows_behind_it() {
        let mut columns = Columns::new();
        columns.row(b"# written by a loop");
        columns.row(b"step,loss");
        assert_eq!(columns.row(b"step,lr"), Row::Header);
        assert_eq!(scalars(columns.row(b"1,0.5")), [("lr".to_owned(), 0.5)]);
        // The word is a value here.
        columns.row(b"phase,step,loss");
        assert_eq!(scalars(columns.row(b"epoch,7,0.25")), [("loss".to_owned(), 0.25)]);
    }

    #[test]
    fn rows_may_end_with_a_comma() {
        let mut columns = Columns::new();
        columns.row(b"step,loss");
        assert_eq!(scalars(columns.row(b"1,0.5,")), [("loss".to_owned(), 0.5)]);
        assert_eq!(columns.row(b"1,0.5,7"), Row::TooLong);
    }

    #[test]
    fn a_table_without_steps_is_no_log_of_a_run() {
        for header in ["name,price", "1,2,3", "step", "", "\""] {
            let row = Columns::new().row(header.as_bytes());
            assert_eq!(row, Row::Record(None), "{header}");
        }
    }

    #[test]
    fn very_many_columns_are_cut() {
        let header = vec!["x"; 2 * MOST_COLUMNS].join(",");
        let mut columns = Columns::new();
        columns.row(header.as_bytes());
        assert!(columns.names.len() <= MOST_COLUMNS, "{}", columns.names.len());
    }

    proptest! {
        #[test]
        fn any_lines_are_read_or_refused(lines: Vec<Vec<u8>>) {
            let mut columns = Columns::new();
            columns.row(b"step,loss");
            for line in lines {
                let _ = columns.row(&line);
            }
        }

        #[test]
        fn numbers_come_back(step: u32, value: f64) {
            let mut columns = Columns::new();
            columns.row(b"step,loss");
            let read = scalars(columns.row(format!("{step},{value}").as_bytes()));
            prop_assert!(read[0].1.to_bits() == value.to_bits() || value.is_nan() && read[0].1.is_nan());
        }
    }
}
