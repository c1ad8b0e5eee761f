//! Tables: the names of columns stand in one array, the values below them in others.
//!
//! `{"columns":["user","password"],"rows":[["bob","…"]]}`, with the names before or behind the rows; and
//! `[["user","password"],["bob","…"]]`, with the names in the first row.

use super::Copier;
use super::beside::{HEADINGS, scalar_end, skip_space};
use super::string::characters;
use crate::redact::keys::{self, Kind};
use crate::redact::values;
use crate::survey::survey;

/// The columns of a table that is being read.
pub(super) struct Table {
    /// Forgotten when the level closes that this is the depth of.
    owner: u32,
    /// What stands in each column.
    kinds: Vec<Option<Kind>>,
    /// The second column says what things are: `["password","varchar"]` is no pair.
    typed: bool,
    /// The depth of the arrays that are rows; [`NO_ROWS`] elsewhere than between them.
    row: u32,
    /// The depth of the array that holds the rows, or the cells if there is but one row.
    within: u32,
    /// In the row of names.
    heading: bool,
    /// Numbers are values, too.
    numbers: bool,
    cell: usize,
}

/// Rows whose names may follow: what to go back to.
pub(super) struct Pending {
    pub(super) depth: u32,
    at: usize,
    written: usize,
    masked_keys: u32,
    changed: bool,
    lead: u64,
}

impl Pending {
    /// `old` bytes of the output at `at` have become `new`.
    pub(super) fn moved(&mut self, at: usize, old: usize, new: usize) {
        if at < self.written {
            self.written = self.written - old + new;
            self.changed = true;
        }
    }
}

/// No level is this deep.
pub(super) const NO_ROWS: u32 = u32::MAX;

impl Copier<'_> {
    /// The array of names that begins here.
    pub(super) fn columns(&mut self) {
        let Some((kinds, typed)) = headings(&self.json[self.at..]) else {
            return;
        };
        self.tables.retain(|table| table.owner != self.depth);
        self.tables.push(Table {
            owner: self.depth,
            kinds,
            typed,
            row: NO_ROWS,
            within: NO_ROWS,
            heading: false,
            numbers: true,
            cell: 0,
        });
        if let Some(pending) = self.pending.take_if(|pending| pending.depth == self.depth) {
            self.go_back(&pending);
        }
    }

    /// Whether the names of columns stand in the same object.
    pub(super) fn has_columns(&self) -> bool {
        let table = self.tables.last();
        table.is_some_and(|table| table.owner == self.depth)
    }

    /// Reads the rows again, now that their names are known. All that is read again is no longer than twice
    /// the whole.
    fn go_back(&mut self, pending: &Pending) {
        let length = self.at - pending.at;
        if self.again + length > AGAIN_MAX * self.json.len() {
            return;
        }
        self.again += length;
        self.out.truncate(pending.written);
        self.at = pending.at;
        self.run = pending.at;
        self.masked_keys = pending.masked_keys;
        self.changed = pending.changed;
        self.lead = pending.lead;
        self.unnamed = None;
        self.rows();
    }

    /// The array of rows that begins here, or the one row.
    pub(super) fn rows(&mut self) {
        let first = skip_space(&self.json[self.at + 1..]).and_then(<[u8]>::first);
        let nested = first == Some(&b'[');
        let depth = self.depth;
        match self.tables.last_mut() {
            Some(table) if table.owner == depth => {
                table.within = depth + 1;
                table.row = depth + 1 + u32::from(nested);
                table.numbers = nested;
                self.row_depth = table.row;
            }
            // Texts within texts are not read again: each level would double the time.
            _ if nested && self.pending.is_none() && !self.inner => {
                self.flush(self.at);
                self.pending = Some(Pending {
                    depth,
                    at: self.at,
                    written: self.out.len(),
                    masked_keys: self.masked_keys,
                    changed: self.changed,
                    lead: self.lead,
                });
            }
            _ => {}
        }
    }

    /// The array that was opened at `start` is a row, or the names of those that follow.
    pub(super) fn open_row(&mut self, start: usize) {
        if self.row_depth == self.depth {
            if let Some(table) = self.tables.last_mut() {
                table.cell = 0;
            }
            return self.judge_cell();
        }
        // The first element of an array.
        if self.peek() != b'"' || !self.json[..start].trim_ascii_end().ends_with(b"[") {
            return;
        }
        let Some((kinds, typed)) = headings(&self.json[start..]) else {
            return;
        };
        // `["password","…"]` is a pair.
        let pair = match kinds[..] {
            [_] | [Some(_), None] => true,
            [None, None] => false,
            [_, _] => !is_heading(&self.json[self.at + 1..]),
            _ => false,
        };
        if !pair {
            self.tables.push(Table {
                owner: self.depth - 1,
                kinds,
                typed,
                row: NO_ROWS,
                within: self.depth - 1,
                heading: true,
                numbers: true,
                cell: 0,
            });
        }
    }

    /// A level was closed.
    #[inline(never)]
    pub(super) fn close_row(&mut self) {
        let depth = self.depth;
        while self.tables.last().is_some_and(|table| table.owner > depth) {
            self.tables.pop();
        }
        self.row_depth = NO_ROWS;
        if let Some(table) = self.tables.last_mut() {
            if table.heading && table.owner == depth {
                table.heading = false;
                table.row = depth + 1;
            }
            if table.within > depth {
                table.row = NO_ROWS;
            }
            self.row_depth = table.row;
        }
    }

    /// A row goes on behind its comma.
    #[inline(never)]
    pub(super) fn next_cell(&mut self) {
        if let Some(table) = self.tables.last_mut()
            && self.objects & 1 == 0
        {
            table.cell += 1;
            self.judge_cell();
        }
    }

    /// Whether the array is a row whose second column says what things are.
    pub(super) fn in_typed_row(&self) -> bool {
        self.row_depth == self.depth && self.tables.last().is_some_and(|table| table.typed)
    }

    fn judge_cell(&mut self) {
        self.space();
        let Some(table) = self.tables.last() else {
            return;
        };
        let Some(&Some(kind)) = table.kinds.get(table.cell) else {
            return;
        };
        let quoted = match self.peek() {
            b'"' => true,
            b'-' | b'0'..=b'9' if table.numbers => false,
            _ => return,
        };
        let Some(end) = scalar_end(self.json, self.at) else {
            return;
        };
        let quote = usize::from(quoted);
        let value = &self.json[self.at + quote..end - quote];
        if self.hidden.is_none() && values::convinces(kind, value) {
            self.expected = Some(kind);
        }
    }
}

/// What the names in the array that `text` begins with say of their columns; `None` if they say nothing. An element is a
/// name, or an object with one. And whether the second is that of types.
fn headings(text: &[u8]) -> Option<(Vec<Option<Kind>>, bool)> {
    let mut kinds = Vec::new();
    let mut typed = false;
    let mut rest = text.strip_prefix(b"[")?;
    loop {
        rest = skip_space(rest)?;
        let kind = match rest.first()? {
            b'"' => {
                let (name, behind) = string(rest)?;
                rest = behind;
                typed |= kinds.len() == 1 && is_type(name);
                of(name)
            }
            b'{' => {
                let (kind, behind) = object(&rest[1..])?;
                rest = behind;
                kind
            }
            _ => return None,
        };
        kinds.push(kind);
        rest = skip_space(rest)?;
        match rest.first()? {
            b',' => rest = &rest[1..],
            b']' if typed || kinds.iter().any(Option::is_some) => return Some((kinds, typed)),
            _ => return None,
        }
    }
}

/// What the object says of its column, from behind its brace; and what stands behind it. What lies deeper than one level
/// is not looked through.
fn object(mut rest: &[u8]) -> Option<(Option<Kind>, &[u8])> {
    let mut kind = None;
    loop {
        rest = skip_space(rest)?;
        if let Some(behind) = rest.strip_prefix(b"}") {
            return Some((kind, behind));
        }
        if let Some(behind) = rest.strip_prefix(b",") {
            rest = behind;
            continue;
        }
        let (key, behind) = string(rest)?;
        rest = skip_space(skip_space(behind)?.strip_prefix(b":")?)?;
        match rest.first()? {
            b'"' => {
                let (name, behind) = string(rest)?;
                rest = behind;
                if NAMES.contains(&key) {
                    kind = kind.or_else(|| of(name));
                }
            }
            b'{' | b'[' => {
                let length = rest[1..]
                    .iter()
                    .position(|byte| matches!(byte, b'{' | b'[' | b'}' | b']'))?;
                rest =
                    rest[1 + length..].strip_prefix(if rest[0] == b'{' { b"}" } else { b"]" })?;
            }
            _ => rest = &rest[rest.iter().position(|byte| matches!(byte, b',' | b'}'))?..],
        }
    }
}

/// The inside of the string that `text` begins with, as it is spelt, and what stands behind it.
fn string(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = text
        .first()
        .filter(|byte| **byte == b'"')
        .and_then(|_| scalar_end(text, 0))?;
    Some((&text[1..end - 1], &text[end..]))
}

/// What stands in a column of this name.
fn of(name: &[u8]) -> Option<Kind> {
    if name.len() > NAME_MAX {
        return None;
    }
    keys::classify(&characters(name)).filter(|kind| kind.stands_in_cell())
}

/// `type`, `data_type`, `DataType`
fn is_type(name: &[u8]) -> bool {
    name.last_chunk::<4>()
        .is_some_and(|end| end.eq_ignore_ascii_case(b"type"))
}

/// Whether the string that `text` is the rest of is known for a column's name.
fn is_heading(text: &[u8]) -> bool {
    let name = &text[..survey(&text[..text.len().min(NAME_MAX)]).plain];
    HEADINGS.iter().any(|word| name.eq_ignore_ascii_case(word))
}

/// Members of the description of a column that name it.
const NAMES: [&[u8]; 14] = [
    b"name",
    b"field",
    b"key",
    b"header",
    b"title",
    b"label",
    b"id",
    b"column",
    b"columnName",
    b"column_name",
    b"fieldName",
    b"dataKey",
    b"dataIndex",
    b"accessor",
];

/// How long the name of a column is at most, in bytes.
const NAME_MAX: usize = 96;

/// How often as many bytes as the whole has are read again at most.
const AGAIN_MAX: usize = 2;
