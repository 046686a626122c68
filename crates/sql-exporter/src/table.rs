//! The result of a query, as text: every database writes numbers as text, whatever their type.

use crate::failure::{Failure, Kind};
use crate::text::cell;

/// Column names and rows.
#[derive(Debug, Default)]
pub(crate) struct Table {
    /// Empty when there is no row.
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<Row>,
}

/// One value per column; none for NULL.
pub(crate) type Row = Vec<Option<String>>;

impl Table {
    /// Where a column is. Without rows nobody knows, and nobody needs to.
    pub(crate) fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column == name)
    }
}

/// A number; truth is 1 or 0.
pub(crate) fn number(text: &str, column: &str) -> Result<f64, Failure> {
    match text {
        "t" | "true" => return Ok(1.0),
        "f" | "false" => return Ok(0.0),
        _ => {}
    }
    text.trim().parse().map_err(|_| {
        let hint = "take times as seconds, for instance with extract(epoch from …)";
        Failure::new(
            Kind::Value,
            format!("column {column}: {} is no number; {hint}", cell(text)),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_truth() {
        let read = |text| number(text, "x").map_err(|failure| failure.kind);
        assert_eq!(read("12.5"), Ok(12.5));
        assert_eq!(read("t"), Ok(1.0));
        assert_eq!(read("1e3"), Ok(1000.0));
        assert_eq!(read("2026-01-01 00:00:00"), Err(Kind::Value));
    }
}
