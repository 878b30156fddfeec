//! Aligned columns of plain text.

use std::fmt::Write as _;

/// How a column's cells stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// Rows of cells below a head.
pub struct Table {
    columns: Vec<Align>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with a head.
    #[must_use]
    pub fn new(head: &[(&str, Align)]) -> Self {
        let columns = head.iter().map(|(_, align)| *align).collect();
        Self { columns, rows: vec![head.iter().map(|(name, _)| (*name).to_owned()).collect()] }
    }

    /// Adds a row with a cell for each column.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        // A terminal obeys control characters, and a link's address may hold any.
        let plain = |cell: String| cell.replace(char::is_control, "\u{fffd}");
        self.rows.push(cells.into_iter().map(plain).collect());
    }

    /// The lines, each after `indent` blanks, without blanks at their ends.
    #[must_use]
    pub fn text(&self, indent: usize) -> String {
        let width = |column: usize| {
            self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = " ".repeat(indent);
            for ((cell, align), width) in row.iter().zip(&self.columns).zip(&widths) {
                let _ = match align {
                    Align::Left => write!(line, "{cell:<width$}  "),
                    Align::Right => write!(line, "{cell:>width$}  "),
                };
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_hold_no_control_characters() {
        let mut table = Table::new(&[("name", Align::Left), ("n", Align::Right)]);
        table.row(["Frühling".to_owned(), "1".to_owned()]);
        table.row(["a\u{1b}[2J".to_owned(), "1000".to_owned()]);
        assert_eq!(table.text(2), "  name         n\n  Frühling     1\n  a\u{fffd}[2J     1000\n");
    }
}
