//! Columns as wide as what is in them.

use super::output::harmless;

/// Lines of cells, and lines of text between them.
pub(super) struct Table {
    lines: Vec<Line>,
}

enum Line {
    Cells(Vec<String>),
    Text(String),
}

impl Table {
    pub(super) fn new(header: &[&str]) -> Self {
        Self { lines: vec![Line::Cells(header.iter().map(|&name| name.to_owned()).collect())] }
    }

    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.lines.push(Line::Cells(cells.into_iter().map(|cell| harmless(&cell)).collect()));
    }

    /// A line that goes over all columns.
    pub(super) fn text(&mut self, text: &str) {
        self.lines.push(Line::Text(harmless(text)));
    }

    pub(super) fn render(&self) -> String {
        let widths = self.widths();
        let mut text = String::new();
        for line in &self.lines {
            match line {
                Line::Text(line) => text.push_str(line),
                Line::Cells(cells) => {
                    let mut whole = String::new();
                    for (cell, width) in cells.iter().zip(&widths) {
                        whole.push_str(cell);
                        let gap = width.saturating_sub(cell.chars().count()) + GAP;
                        whole.extend(std::iter::repeat_n(' ', gap));
                    }
                    text.push_str(whole.trim_end());
                }
            }
            text.push('\n');
        }
        text
    }

    fn widths(&self) -> Vec<usize> {
        let mut widths = Vec::new();
        for line in &self.lines {
            let Line::Cells(cells) = line else { continue };
            widths.resize(widths.len().max(cells.len()), 0);
            for (width, cell) in widths.iter_mut().zip(cells) {
                *width = cell.chars().count().max(*width);
            }
        }
        widths
    }
}

const GAP: usize = 2;
