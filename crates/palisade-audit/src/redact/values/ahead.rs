//! What is found by looking at more than its own neighbourhood: letters that only look different, columns of tables, the
//! values of an `INSERT`.

use super::classes::{CLASSES, KEY, WORD, run};
use super::value::{is_kind_word, quoted, telling};
use super::{Scanner, value};
use crate::redact::keys::{Kind, is_opaque, placeholder};
use crate::redact::policy::Masker;
use crate::redact::{Aim, Finding, Mask};

/// What is found in a text before it is read, the last one first.
pub(super) fn plan(text: &[u8], aim: Aim, masker: &Masker, nest: u8) -> Vec<Finding> {
    let mut found = Vec::new();
    if memchr::memchr(b'\n', &text[..text.len().min(HEAD_MAX)]).is_some() {
        table(text, &mut found);
    }
    if !text.is_ascii()
        && let Some(folded) = Folded::of(text)
    {
        folded.find(text, aim, masker, nest, &mut found);
    }
    found.sort_by_key(|finding| std::cmp::Reverse(finding.start));
    found
}

/// A text as it looks: full-width letters, the digits of other scripts, spaces and hyphens of all kinds as ASCII, what is
/// invisible left out.
struct Folded {
    text: Vec<u8>,
    /// Where each byte stands in the text that was folded, and where that one ends.
    places: Vec<u32>,
}

impl Folded {
    /// `None` for a text in which nothing looks like something else.
    fn of(text: &[u8]) -> Option<Self> {
        let mut at = 0;
        let first = loop {
            at += text.get(at..)?.iter().position(|byte| *byte >= 0xc2)?;
            if fold(&text[at..]).is_some() {
                break at;
            }
            at += 1;
        };
        if u32::try_from(text.len()).is_err() {
            return None;
        }
        let mut folded = Self {
            text: Vec::with_capacity(text.len()),
            places: Vec::with_capacity(text.len() + 1),
        };
        folded.text.extend_from_slice(&text[..first]);
        folded.places.extend(0..first as u32);
        at = first;
        while let Some(&byte) = text.get(at) {
            let (length, seen) = match byte {
                0..0xc2 => (1, Some(byte)),
                _ => fold(&text[at..]).unwrap_or((1, Some(byte))),
            };
            if let Some(seen) = seen {
                folded.text.push(seen);
                folded.places.push(at as u32);
            }
            at += length;
        }
        folded.places.push(text.len() as u32);
        Some(folded)
    }

    fn find(&self, text: &[u8], aim: Aim, masker: &Masker, nest: u8, found: &mut Vec<Finding>) {
        let mut scanner = Scanner::new(&self.text, aim, masker).nested(nest);
        while let Some(finding) = scanner.next() {
            // What stands in JSON is found when the JSON is read.
            if matches!(finding.mask, Mask::Given(..)) || finding.end == finding.start {
                continue;
            }
            let start = self.places[finding.start] as usize;
            let last = self.places[finding.end - 1] as usize;
            let mut end = last + 1;
            while text.get(end).is_some_and(|byte| byte & 0xc0 == 0x80) {
                end += 1;
            }
            found.push(Finding {
                start,
                end,
                // What is spelt otherwise has another hash: better none.
                mask: if end - start == finding.end - finding.start {
                    finding.mask
                } else {
                    Mask::Plain
                },
            });
        }
    }
}

/// The length of the character that `text` begins with, and the ASCII that a reader sees.
fn fold(text: &[u8]) -> Option<(usize, Option<u8>)> {
    let seen = match *text {
        [0xc2, 0xa0, ..] => (2, Some(b' ')),
        [0xc2, 0xad, ..] => (2, None),
        [0xd9, digit @ 0xa0..=0xa9, ..] => (2, Some(b'0' + digit - 0xa0)),
        [0xdb, digit @ 0xb0..=0xb9, ..] => (2, Some(b'0' + digit - 0xb0)),
        [0xe0, 0xa5, digit @ 0xa6..=0xaf, ..] => (3, Some(b'0' + digit - 0xa6)),
        [0xe2, 0x80, 0x80..=0x8a | 0xaf, ..] => (3, Some(b' ')),
        [0xe2, 0x80, 0x8b..=0x8f, ..] | [0xe2, 0x81, 0xa0, ..] => (3, None),
        [0xe2, 0x80, 0x90..=0x95, ..] => (3, Some(b'-')),
        [0xe2, 0x80, 0x98 | 0x99, ..] => (3, Some(b'\'')),
        [0xe2, 0x80, 0x9c | 0x9d, ..] => (3, Some(b'"')),
        [0xe3, 0x80, 0x80, ..] => (3, Some(b' ')),
        [0xe3, 0x80, 0x81, ..] => (3, Some(b',')),
        // A sentence ends with it, too.
        [0xe3, 0x80, 0x82, next, ..] if next.is_ascii_alphanumeric() => (3, Some(b'.')),
        [0xe3, 0x80, 0x82, ..] => (3, Some(b' ')),
        [0xef, 0xbb, 0xbf, ..] => (3, None),
        [0xef, 0xbc, low @ 0x81..=0xbf, ..] => (3, Some(low - 0x60)),
        [0xef, 0xbd, low @ 0x80..=0x9e, ..] => (3, Some(low - 0x20)),
        _ => return None,
    };
    Some(seen)
}

/// The columns of a table with names above them: CSV, Markdown, what databases print.
fn table(text: &[u8], found: &mut Vec<Finding>) {
    let mut lines = Lines { text, at: 0 };
    for _ in 0..HEADS {
        let Some((start, end)) = lines.next() else {
            return;
        };
        if end - start > HEAD_MAX {
            return;
        }
        let Some((sign, count, kinds)) = header(&text[start..end]) else {
            continue;
        };
        let mut rows = 0;
        while let Some((start, end)) = lines.next() {
            let row = &text[start..end];
            let rule = row
                .iter()
                .all(|byte| matches!(byte, b'-' | b'+' | b'|' | b':' | b'=' | b' ' | b'\r'));
            if rule && rows == 0 && !row.is_empty() {
                continue;
            }
            if memchr::memchr_iter(sign, row).count() != count {
                break;
            }
            rows += 1;
            let mut from = start;
            for kind in &kinds {
                let length = memchr::memchr(sign, &text[from..end]).unwrap_or(end - from);
                if let Some(kind) = kind {
                    found.extend(cell(text, from, from + length, *kind, sign));
                }
                from = (from + length + 1).min(end);
            }
        }
        return;
    }
}

/// The sign between the columns, how often it stands in a line, and what the columns are.
fn header(line: &[u8]) -> Option<(u8, usize, Vec<Option<Kind>>)> {
    let sign = *[b'\t', b';', b'|', b',']
        .iter()
        .find(|sign| memchr::memchr(**sign, line).is_some())?;
    // An element of a list on a line of its own ends with a comma.
    if sign != b'|' && line.trim_ascii_end().ends_with(&[sign]) {
        return None;
    }
    let mut kinds = Vec::new();
    for name in line.split(|byte| *byte == sign) {
        let name = name.trim_ascii();
        let name = name.strip_prefix(b"\"").unwrap_or(name);
        let name = name.strip_suffix(b"\"").unwrap_or(name);
        let words = name.iter().filter(|byte| **byte == b' ').count();
        let is_name = name
            .iter()
            .all(|byte| CLASSES[usize::from(*byte)] & KEY != 0 || *byte == b' ')
            && name.len() <= 48
            && words <= usize::from(sign != b',');
        if !is_name {
            return None;
        }
        kinds.push(value::in_text(name).filter(|kind| kind.stands_in_cell()));
    }
    let count = kinds.len() - 1;
    kinds
        .iter()
        .any(Option::is_some)
        .then_some((sign, count, kinds))
}

fn cell(text: &[u8], start: usize, end: usize, kind: Kind, sign: u8) -> Option<Finding> {
    let whole = &text[start..end];
    let lead = whole.len() - whole.trim_ascii_start().len();
    let mut from = start + lead;
    let mut to = from + whole.trim_ascii().len();
    if to > from + 1 && text[from] == text[to - 1] && matches!(text[from], b'"' | b'\'' | b'`') {
        (from, to) = (from + 1, to - 1);
    }
    let value = &text[from..to];
    if !convinces(kind, value) || sign == b'|' && is_chosen(kind) && !telling(value) {
        return None;
    }
    let mask = kind.judge(value)?;
    Some(Finding {
        start: from,
        end: to,
        mask,
    })
}

/// Whether what stands in a column of this kind is more than a word about it.
pub(crate) fn convinces(kind: Kind, value: &[u8]) -> bool {
    let convinced = match kind {
        Kind::Digits(_) | Kind::Opaque | Kind::Phrase => true,
        Kind::Single | Kind::Token => value.len() >= 6 && (telling(value) || is_opaque(value)),
        _ => value.len() >= 4,
    };
    let spaces = matches!(kind, Kind::Digits(_) | Kind::Phrase);
    convinced && (spaces || !value.contains(&b' ')) && !is_kind_word(value)
}

/// Whether people choose what stands there.
fn is_chosen(kind: Kind) -> bool {
    matches!(kind, Kind::Password | Kind::Word)
}

/// The lines of a text, one after the other: where they begin and end.
struct Lines<'a> {
    text: &'a [u8],
    at: usize,
}

impl Lines<'_> {
    fn next(&mut self) -> Option<(usize, usize)> {
        let start = self.at;
        let rest = self.text.get(start..).filter(|rest| !rest.is_empty())?;
        let end = start + memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        self.at = end + 1;
        Some((start, end))
    }
}

/// `INSERT INTO users (name, password) VALUES ('bob', '…')`: where it was read to, and what was found, the last one first.
pub(super) fn insert(text: &[u8], at: usize) -> Option<(usize, Vec<Finding>)> {
    let window = &text[..text.len().min(at + INSERT_MAX)];
    let open = at + memchr::memchr(b'(', &window[at..window.len().min(at + 128)])?;
    let into = &window[at..open];
    if !into.get(..12)?.eq_ignore_ascii_case(b"insert into ") {
        return None;
    }
    let close = open + memchr::memchr(b')', &window[open..window.len().min(open + 512)])?;
    let kinds: Vec<_> = window[open + 1..close]
        .split(|byte| *byte == b',')
        .map(|name| {
            let name = name.trim_ascii();
            let name = name
                .strip_prefix(b"\"")
                .or_else(|| name.strip_prefix(b"`"))
                .unwrap_or(name);
            let name = name
                .strip_suffix(b"\"")
                .or_else(|| name.strip_suffix(b"`"))
                .unwrap_or(name);
            value::in_text(name)
        })
        .collect();
    if kinds.iter().all(Option::is_none) {
        return None;
    }
    let rest = window[close + 1..].trim_ascii_start();
    if !rest.get(..6)?.eq_ignore_ascii_case(b"values") {
        return None;
    }
    let mut at = window.len() - rest.len() + 6;
    let mut found = Vec::new();
    let mut column = 0;
    while let Some(&byte) = window.get(at) {
        match byte {
            b'(' => column = 0,
            b',' => column += 1,
            b')' => column = usize::MAX - 1,
            b'\'' | b'"' => {
                let (from, to) = quoted(window, at)?;
                if let Some(Some(kind)) = kinds.get(column)
                    && !placeholder(&window[from..to])
                    && memchr::memmem::find(&window[from..to], b"[REDACTED").is_none()
                    && let Some(mask) = kind.judge(&window[from..to])
                {
                    found.push(Finding {
                        start: from,
                        end: to,
                        mask,
                    });
                }
                at = to;
            }
            b'0'..=b'9' if matches!(window[at - 1], b'(' | b',' | b' ') => {
                let end = run(window, at, WORD);
                if let Some(Some(kind)) = kinds.get(column)
                    && kind.judge_number(&window[at..end])
                {
                    found.push(Finding {
                        start: at,
                        end,
                        mask: Mask::Plain,
                    });
                }
                at = end - 1;
            }
            // The place of a parameter.
            b'$' => at = run(window, at + 1, WORD) - 1,
            b' ' | b'\n' | b'\r' | b'\t' => {}
            // A word between two rows is the end of them.
            _ if column >= usize::MAX - 1 => break,
            _ => {}
        }
        at += 1;
    }
    found.reverse();
    Some((at, found))
}

/// The first lines that may be the names of columns.
const HEADS: usize = 3;

/// How long they may be, in bytes.
const HEAD_MAX: usize = 512;

const INSERT_MAX: usize = 8_192;

#[cfg(test)]
mod tests {
    use super::*;

    /// What is found ahead of the scan in a line with its secrets between `‹` and `›`.
    fn check(lines: &[&str], find: impl Fn(&[u8]) -> Vec<Finding>) {
        let mut faults = Vec::new();
        for line in lines {
            let text = line.replace(['‹', '›'], "");
            let mut shown = text.clone();
            // The last one first.
            for found in find(text.as_bytes()) {
                shown.insert(found.end, '›');
                shown.insert(found.start, '‹');
            }
            if shown != *line {
                faults.push(format!("{line}\n  -> {shown}"));
            }
        }
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }

    // REQ: L-2
    #[test]
    fn tables() {
        let wide = "x".repeat(490);
        check(
            &[
                "user,password\nbob,‹hunter2›\neve,‹hunter3›",
                "user,password\nbob,‹hunter2›\n",
                "user;password;x\nbob;‹hunter2›;y\n",
                "user\tpassword\nbob\t‹hunter2›\n",
                "password\tuser\n‹hunter2›\tbob\n",
                "user|password\nbob|‹hunter2›\n",
                "| user | password |\n|---|:--:|\n| bob | ‹hunter2› |\n",
                " user | password \n------+------\n bob | ‹hunter2›\n",
                "| user | password |\n|---|---|\n|---|---|\n| bob | ‹hunter2› |\n",
                "user,\"password\"\nbob,\"‹hunter2›\"\neve,'‹hunter3›'\nx,`‹hunter4›`",
                "user,password\nbob, ‹hunter2› \n",
                "user,password\nbob,abc\nx,‹abcd›\n",
                "user|password\nbob|abcd\nx|‹abc1›\n",
                "user,password\nbob,two words\n",
                "user,password\nbob,string\n",
                "user,password\nbob,\"\n",
                "user,password\nbob,\n",
                "user,password\nbob,‹hunter2›,x\n"
                    .replace(['‹', '›'], "")
                    .as_str(),
                "user,password\nbob\neve,hunter2\n",
                "user,password\nbob,‹hunter2›\n\neve,hunter3",
                "user,token\nbob,abcdef\neve,‹abcde1›\nx,abcd1\ny,‹abcDef›",
                "user,ssn\nbob,‹219 09 9999›\neve,none",
                "user,auth\nbob,‹k7Qz3xZ9›\neve,oauth2",
                "x\nuser,password\nbob,‹hunter2›",
                "x\ny\nuser,password\nbob,‹hunter2›",
                "x\ny\nz\nuser,password\nbob,hunter2",
                "user,the password\nbob,hunter2",
                "user|the password\nbob|‹hunter2›",
                "user|the new password\nbob|hunter2",
                "user,pass!word\nbob,hunter2",
                "user,title\nbob,hunter2",
                "  \"password\",\n  \"username\",\n",
                "password;\nhunter2;\n",
                ",user,password\n0,bob,‹hunter2›\n",
                "password,\r\nhunter2,\r\n",
                "|password|\n|‹hunter2›|\n",
                "user|mnemonic\nbob|‹legal winner thank year wave sausage worth useful legal winner›",
                "password\nhunter2",
                "user,password",
                &format!("{wide},password\nbob,hunter2"),
                &format!("{},password\nbob,‹hunter2›", "x".repeat(48)),
                &format!("{},password\nbob,hunter2", "x".repeat(49)),
                "user,password\n---\nbob,‹hunter2›\n---\neve,hunter3",
            ],
            |text| plan(text, Aim::All, &Masker::PLAIN, 0),
        );
        // Nor is a long line one, though its names are short.
        for (count, goes) in [(240, true), (260, false)] {
            let many = |cell: &str| format!("{cell},").repeat(count);
            let text = format!("x\n{}password\n{}hunter2", many("a"), many("1"));
            let found = plan(text.as_bytes(), Aim::All, &Masker::PLAIN, 0);
            assert_eq!(!found.is_empty(), goes, "{count}");
        }
        // What stands far from the beginning is no head.
        let text = format!("{wide}{wide}\nuser,password\nbob,hunter2");
        assert_eq!(plan(text.as_bytes(), Aim::All, &Masker::PLAIN, 0), []);
        for (kind, value, is) in [
            (Kind::Digits(5), "1", true),
            (Kind::Digits(5), "1 2", true),
            (Kind::Opaque, "x", true),
            (Kind::Opaque, "x y", false),
            (Kind::Phrase, "x y", true),
            (Kind::Token, "abcde1", true),
            (Kind::Token, "abcd1", false),
            (Kind::Token, "abcdef", false),
            (Kind::Single, "abcde1", true),
            (Kind::Single, "abcdef", false),
            (Kind::Password, "abcd", true),
            (Kind::Password, "abc", false),
            (Kind::Word, "abc", false),
            (Kind::Password, "string", false),
        ] {
            assert_eq!(convinces(kind, value.as_bytes()), is, "{kind:?} {value}");
        }
    }

    // REQ: L-2
    #[test]
    fn inserts() {
        let find = |text: &[u8]| {
            let at = memchr::memchr(b'I', text).unwrap();
            let mut all = insert(text, at).map(|(_, found)| found).unwrap_or_default();
            all.sort_by_key(|found| std::cmp::Reverse(found.start));
            all
        };
        check(
            &[
                "INSERT INTO u (name, password) VALUES ('bob', '‹hunter2›')",
                "x; INSERT INTO u (name, password) VALUES ('bob', '‹hunter2›'), ('eve', '‹hunter3›'); y",
                "INSERT INTO u (password, name) VALUES ('‹hunter2›', 'bob')",
                "INSERT INTO u (name, password) VALUES\n('bob', '‹hunter2›'),\n('eve', '‹hunter3›');\n('x', 'hunter4')",
                "INSERT INTO u (\"name\", `password`) VALUES (\"bob\", \"‹hunter2›\")",
                "INSERT INTO u(name,pin)VALUES('bob',‹482913›),('eve',‹482914›)",
                "INSERT INTO u (pin, name) VALUES (‹482913›, 'bob')",
                "INSERT INTO u (pin, name) VALUES (12, 'bob')",
                "INSERT INTO u (pin, name) VALUES (x482913, 'bob')",
                "INSERT INTO u (name, password) VALUES ($1, $2)",
                "INSERT INTO u (name, password) VALUES ($1,'‹hunter2›')",
                "INSERT INTO u (name, password) VALUES ('bob', '${PW}')",
                "INSERT INTO u (name, password) VALUES ('bob', '[REDACTED] x')",
                "INSERT INTO u (name, password) VALUES (f('x'), '‹hunter2›')"
                    .replace("f('x')", "NULL")
                    .as_str(),
                "INSERT INTO u (name, password) VALUES ('bob', 'hunter2' ) RETURNING 'x'"
                    .replace("'hunter2' ", "'‹hunter2›' ")
                    .as_str(),
                "INSERT INTO u (name, title) VALUES ('bob', 'hunter2')",
                "INSERT INTO u (name, password) SELECT 'bob', 'hunter2'",
                "INSERT INTX u (name, password) VALUES ('bob', 'hunter2')",
                "INSERT INTO u VALUES ('bob', 'hunter2')",
                &format!(
                    "INSERT INTO {}(name, password) VALUES ('bob', '‹hunter2›')",
                    "x".repeat(115)
                ),
                &format!(
                    "INSERT INTO {}(name, password) VALUES ('bob', 'hunter2')",
                    "x".repeat(117)
                ),
                &format!(
                    "INSERT INTO u ({}, password) VALUES ('bob', '‹hunter2›')",
                    "x".repeat(495)
                ),
                &format!(
                    "INSERT INTO u ({}, password) VALUES ('bob', 'hunter2')",
                    "x".repeat(510)
                ),
            ],
            find,
        );
        // How far it was read.
        let text = b"x INSERT INTO u (a, password) VALUES ('b', 'c1d2'); INSERT";
        assert_eq!(insert(text, 2).map(|(end, _)| end), Some(50));
        let text = b"INSERT INTO u (a, password) VALUES ('b', 'c1d2')";
        assert_eq!(insert(text, 0).map(|(end, _)| end), Some(text.len()));
        // The last one first, as the plan wants them.
        let text = b"INSERT INTO u (a, password) VALUES ('b', 'c1d2'), ('d', 'e1f2')";
        let starts: Vec<_> = insert(text, 0)
            .unwrap()
            .1
            .iter()
            .map(|found| found.start)
            .collect();
        assert_eq!(starts, [57, 42]);
    }

    // REQ: L-2
    #[test]
    fn folds() {
        for (text, seen) in [
            ("\u{a0}x", (2, Some(b' '))),
            ("\u{ad}x", (2, None)),
            ("\u{660}", (2, Some(b'0'))),
            ("\u{669}", (2, Some(b'9'))),
            ("\u{6f0}", (2, Some(b'0'))),
            ("\u{6f9}", (2, Some(b'9'))),
            ("\u{966}", (3, Some(b'0'))),
            ("\u{96f}", (3, Some(b'9'))),
            ("\u{2000}", (3, Some(b' '))),
            ("\u{200a}", (3, Some(b' '))),
            ("\u{202f}", (3, Some(b' '))),
            ("\u{200b}", (3, None)),
            ("\u{200f}", (3, None)),
            ("\u{2060}", (3, None)),
            ("\u{2010}", (3, Some(b'-'))),
            ("\u{2015}", (3, Some(b'-'))),
            ("\u{2018}", (3, Some(b'\''))),
            ("\u{2019}", (3, Some(b'\''))),
            ("\u{201c}", (3, Some(b'"'))),
            ("\u{201d}", (3, Some(b'"'))),
            ("\u{3000}", (3, Some(b' '))),
            ("\u{3001}", (3, Some(b','))),
            ("\u{3002}1", (3, Some(b'.'))),
            ("\u{3002}x", (3, Some(b'.'))),
            ("\u{3002}好", (3, Some(b' '))),
            ("\u{3002}", (3, Some(b' '))),
            ("\u{feff}", (3, None)),
            ("\u{ff01}", (3, Some(b'!'))),
            ("\u{ff3f}", (3, Some(b'_'))),
            ("\u{ff40}", (3, Some(b'`'))),
            ("\u{ff5e}", (3, Some(b'~'))),
        ] {
            assert_eq!(fold(text.as_bytes()), Some(seen), "{text:?}");
        }
        for text in [
            "a", "é", "\u{66a}", "\u{6fa}", "\u{965}", "\u{2016}", "\u{201e}", "\u{ff5f}", "好",
            "\u{970}",
        ] {
            assert_eq!(fold(text.as_bytes()), None, "{text:?}");
        }
        assert!(Folded::of("plain é 好".as_bytes()).is_none());
        let folded = Folded::of("é ａ\u{200b}b\u{a0}c".as_bytes()).unwrap();
        assert_eq!(folded.text, "é ab c".as_bytes());
        assert_eq!(folded.places, [0, 1, 2, 3, 9, 10, 12, 13]);
        check(
            &[
                "é ‹ａ@b.co› x",
                "‹４１１１１１１１１１１１１１１１›",
                "‹4111\u{200b}111111111111›x".replace("›x", "› x").as_str(),
                "x\u{a0}‹a@b.co›\u{a0}y",
                "‹a@b.ｃｏ›，y",
                "ｘ 1",
            ],
            |text| plan(text, Aim::All, &Masker::PLAIN, 0),
        );
        // Spelt as it is, it keeps its hash; else it has none.
        let masks = |text: &str| -> Vec<Mask> {
            plan(text.as_bytes(), Aim::All, &Masker::PLAIN, 0)
                .iter()
                .map(|found| found.mask)
                .collect()
        };
        assert_eq!(
            masks("\u{a0}ghp_abcdefghijklmnopqrstuvwxyz0123456789"),
            [Mask::Fingerprint]
        );
        assert_eq!(
            masks("ｇhp_abcdefghijklmnopqrstuvwxyz0123456789"),
            [Mask::Plain]
        );
    }
}
