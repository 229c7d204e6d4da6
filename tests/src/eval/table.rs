//! A table, for the terminal, as Markdown and as HTML.

use std::fmt::Write;

/// Rows of text under a heading.
#[derive(Debug, Clone)]
pub struct Table {
    heading: Vec<String>,
    /// How many columns, from the left, hold words; the others hold numbers.
    words: usize,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table whose first `words` columns hold words.
    pub fn new<S: Into<String>>(heading: impl IntoIterator<Item = S>, words: usize) -> Self {
        Self {
            heading: heading.into_iter().map(Into::into).collect(),
            words,
            rows: Vec::new(),
        }
    }

    /// Adds a row.
    pub fn row<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = S>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    /// With aligned columns.
    pub fn text(&self) -> String {
        let widths: Vec<usize> = (0..self.heading.len())
            .map(|column| {
                let cells = std::iter::once(&self.heading).chain(&self.rows);
                let width = |row: &Vec<String>| row.get(column).map_or(0, |c| c.chars().count());
                cells.map(width).max().unwrap_or(0)
            })
            .collect();
        let mut text = String::new();
        for row in std::iter::once(&self.heading).chain(&self.rows) {
            let mut line = String::new();
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                let gap = if column == 0 { "" } else { "  " };
                // Writing to a string can't fail.
                let _ = if column < self.words {
                    write!(line, "{gap}{cell:<width$}")
                } else {
                    write!(line, "{gap}{cell:>width$}")
                };
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }

    /// As Markdown.
    pub fn markdown(&self) -> String {
        let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
        let plain = |cell: &String| cell.replace('|', "\\|").replace(['\n', '\r'], " ");
        let rule = (0..self.heading.len())
            .map(|column| if column < self.words { "---" } else { "---:" })
            .map(str::to_owned);
        let mut text = line(self.heading.iter().map(plain).collect());
        text.push_str(&line(rule.collect()));
        for row in &self.rows {
            text.push_str(&line(row.iter().map(plain).collect()));
        }
        text
    }

    /// As an HTML table; a cell whose text is one of `classes` gets that class.
    pub fn html(&self, classes: &[&str]) -> String {
        let cells = |row: &[String], tag: &str| -> String {
            let cell = |(column, text): (usize, &String)| {
                let class = match classes.iter().find(|class| *class == text) {
                    Some(class) => format!(" class=\"{class}\""),
                    None if column >= self.words => " class=\"number\"".to_owned(),
                    None => String::new(),
                };
                format!("<{tag}{class}>{}</{tag}>", escaped(text))
            };
            row.iter().enumerate().map(cell).collect()
        };
        let rows = self.rows.iter();
        let body: String = rows
            .map(|row| format!("<tr>{}</tr>\n", cells(row, "td")))
            .collect();
        format!(
            "<table>\n<thead><tr>{}</tr></thead>\n<tbody>\n{body}</tbody>\n</table>\n",
            cells(&self.heading, "th")
        )
    }
}

/// Text as HTML.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(["name", "count"], 1);
        table.row(["a|b", "1"]);
        table.row(["<built>", "1000000"]);
        table
    }

    #[test]
    fn columns_line_up() {
        assert_eq!(
            table().text(),
            "name       count\na|b            1\n<built>  1000000\n"
        );
    }

    #[test]
    fn cells_can_not_break_out() {
        assert!(table().markdown().contains("| a\\|b | 1 |"));
        assert!(table().html(&[]).contains("<td>&lt;built&gt;</td>"));
    }
}
