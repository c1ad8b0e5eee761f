//! Answers as a table for people, as JSON, as CSV.

use std::io::{self, Write};

use palisade_audit::query::{Actor, Call, Tool};
use serde_json::{Map, Value, json};

/// Rows under names.
pub(super) struct Table {
    pub(super) name: &'static str,
    columns: &'static [&'static str],
    rows: Vec<Vec<Value>>,
    /// Rows that are not listed.
    pub(super) left: u64,
}

pub(super) fn calls(name: &'static str, calls: &[Call], left: u64) -> Table {
    Table {
        name,
        columns: &[
            "timestamp",
            "actor",
            "ip",
            "server",
            "tool",
            "outcome",
            "durationMs",
            "requestId",
            "error",
        ],
        rows: calls
            .iter()
            .map(|call| {
                vec![
                    call.timestamp.as_str().into(),
                    call.actor.as_str().into(),
                    call.ip.as_str().into(),
                    call.server.as_str().into(),
                    call.tool.as_str().into(),
                    call.outcome.as_str().into(),
                    call.duration_ms.into(),
                    call.request_id.as_str().into(),
                    call.error.as_str().into(),
                ]
            })
            .collect(),
        left,
    }
}

pub(super) fn actors(actors: &[Actor]) -> Table {
    Table {
        name: "frequent",
        columns: &["actor", "most", "from", "to", "calls"],
        rows: actors
            .iter()
            .map(|actor| {
                vec![
                    actor.actor.as_str().into(),
                    actor.most.into(),
                    time(actor.from).into(),
                    time(actor.to).into(),
                    actor.calls.into(),
                ]
            })
            .collect(),
        left: 0,
    }
}

pub(super) fn tools(tools: &[Tool]) -> Table {
    Table {
        name: "errors",
        columns: &["tool", "calls", "errors", "percent"],
        rows: tools
            .iter()
            .map(|tool| {
                vec![
                    tool.tool.as_str().into(),
                    tool.calls.into(),
                    tool.errors.into(),
                    json!((tool.rate * 1e4).round() / 1e2),
                ]
            })
            .collect(),
        left: 0,
    }
}

impl Table {
    pub(super) fn json(&self) -> Value {
        self.rows
            .iter()
            .map(|row| {
                let members: Map<String, Value> = self
                    .columns
                    .iter()
                    .map(|name| (*name).to_owned())
                    .zip(row.iter().cloned())
                    .collect();
                Value::from(members)
            })
            .collect()
    }

    /// RFC 4180; what a spreadsheet would take for a formula begins with an apostrophe.
    pub(super) fn csv(&self, out: &mut impl Write) -> io::Result<()> {
        write!(out, "{}\r\n", self.columns.join(","))?;
        for row in &self.rows {
            for (at, cell) in row.iter().enumerate() {
                let mut text = plain(cell);
                if cell.is_string() && text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
                    text.insert(0, '\'');
                }
                let comma = if at > 0 { "," } else { "" };
                if text.contains([',', '"', '\n', '\r']) {
                    write!(out, "{comma}\"{}\"", text.replace('"', "\"\""))?;
                } else {
                    write!(out, "{comma}{text}")?;
                }
            }
            write!(out, "\r\n")?;
        }
        Ok(())
    }

    /// Columns side by side; those that are empty are left out.
    pub(super) fn text(&self, out: &mut impl Write) -> io::Result<()> {
        if self.rows.is_empty() {
            return writeln!(out, "none");
        }
        let cells: Vec<Vec<String>> = self
            .rows
            .iter()
            .map(|row| row.iter().map(shown).collect())
            .collect();
        let widths: Vec<usize> = self
            .columns
            .iter()
            .enumerate()
            .map(|(at, name)| {
                let widest = cells
                    .iter()
                    .map(|row| row[at].chars().count())
                    .max()
                    .unwrap_or(0);
                if widest == 0 {
                    0
                } else {
                    widest.max(name.len())
                }
            })
            .collect();
        let head: Vec<String> = self.columns.iter().map(|name| (*name).to_owned()).collect();
        for row in std::iter::once(&head).chain(&cells) {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths).filter(|(_, width)| **width > 0) {
                line.push_str(&format!("{cell:<width$}  "));
            }
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

fn plain(cell: &Value) -> String {
    match cell {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// On a terminal: nothing that moves its cursor, and nothing without an end.
fn shown(cell: &Value) -> String {
    plain(cell)
        .chars()
        .map(|letter| {
            let hidden = letter.is_control() || matches!(letter, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{61c}');
            if hidden { '\u{fffd}' } else { letter }
        })
        .take(120)
        .collect()
}

/// RFC 3339, to the millisecond.
fn time(millis: i64) -> String {
    palisade_audit::query::format_time(millis)
}
