//! Names and values as XML and HTML have them: elements, attributes, properties.

use super::super::classes::{KEY, run};
use super::super::value::{in_text, quoted};
use super::judge;
use crate::redact::Finding;
use crate::redact::keys::Kind;

/// `<password>…</password>`, also with attributes; `<string name="api_key">…</string>`;
/// `<key>Password</key><string>…</string>`.
#[inline(never)]
pub(in super::super) fn element(text: &[u8], at: usize) -> Option<Finding> {
    let end = run(&text[..text.len().min(at + 65)], at + 1, KEY);
    let mut name = &text[at + 1..end];
    let mut close = end;
    if text.get(end) == Some(&b':') {
        close = run(&text[..text.len().min(end + 65)], end + 1, KEY);
        name = &text[end + 1..close];
    }
    let tag = &text[at + 1..close];
    let mut kind = None;
    if text.get(close) == Some(&b' ') {
        let head = &text[..text.len().min(close + 128)];
        let end = close + memchr::memchr2(b'>', b'<', &head[close..])?;
        if head[end] == b'<' || head[end - 1] == b'/' {
            return None;
        }
        kind = by_attribute(&head[close..end]);
        close = end;
    }
    if name.is_empty() || text.get(close) != Some(&b'>') {
        return None;
    }
    // `<setting name="ApiKey"><value>…`
    if let Some(kind) = kind
        && let Some((start, end)) = inner(text, close + 1)
    {
        return judge(text, start, end, kind);
    }
    let (start, end) = content(text, close + 1, tag)?;
    if matches!(name, b"key" | b"name" | b"Key" | b"Name") {
        let kind = in_text(text[start..end].trim_ascii())?;
        let (start, end) = inner(text, end + tag.len() + 3)?;
        return judge(text, start, end, kind);
    }
    // What a button or a heading is called is its text.
    let kind = in_text(name).or_else(|| kind.filter(|_| !SHOWN.contains(&name)))?;
    judge(text, start, end, kind)
}

/// `key="ApiKey" value="…"` of XML, `name="csrf-token" content="…"` of HTML.
pub(super) fn beside(text: &[u8], floor: usize, at: usize) -> Option<Finding> {
    if !matches!(text.get(at + 1), Some(b'"' | b'\'')) {
        return None;
    }
    let head = &text[floor.max(at.saturating_sub(96))..at];
    let before = head
        .strip_suffix(b"value")
        .or_else(|| head.strip_suffix(b"content"))?;
    let before = before.trim_ascii_end();
    let quote = *before.last()?;
    let inside = before
        .strip_suffix(b"\"")
        .or_else(|| before.strip_suffix(b"'"))?;
    let opening = memchr::memrchr(quote, inside)?;
    let sign = inside[..opening].strip_suffix(b"=")?;
    let known = [b"key".as_slice(), b"name", b"id", b"type", b"property"];
    if !known.iter().any(|word| sign.ends_with(word)) {
        return None;
    }
    let kind = in_text(&inside[opening + 1..])?;
    let (start, end) = quoted(text, at + 1)?;
    judge(text, start, end, kind)
}

/// What an element has in it that says no more than that it is a value, behind spaces at most.
fn inner(text: &[u8], at: usize) -> Option<(usize, usize)> {
    let rest = text.get(at..)?;
    let space = rest
        .iter()
        .take(32)
        .take_while(|byte| byte.is_ascii_whitespace())
        .count();
    let tag = [b"<string>".as_slice(), b"<value>", b"<Value>"]
        .into_iter()
        .find(|tag| rest[space..].starts_with(tag))?;
    content(text, at + space + tag.len(), &tag[1..tag.len() - 1])
}

/// What stands between the tags of an element that holds no other.
fn content(text: &[u8], start: usize, tag: &[u8]) -> Option<(usize, usize)> {
    let (start, end, after) = if let Some(data) = text.get(start..)?.strip_prefix(b"<![CDATA[") {
        let start = start + 9;
        let length = memchr::memmem::find(&data[..data.len().min(4096)], b"]]>")?;
        (start, start + length, start + length + 3)
    } else {
        let end = start + memchr::memchr(b'<', &text[start..text.len().min(start + 4096)])?;
        (start, end, end)
    };
    let closed = text[after..].starts_with(b"</") && text[after + 2..].starts_with(tag);
    (closed && !text[start..end].trim_ascii().is_empty()).then_some((start, end))
}

/// Of an element's attributes the one that names it.
fn by_attribute(attributes: &[u8]) -> Option<Kind> {
    let names = [
        b" name=\"".as_slice(),
        b" key=\"",
        b" id=\"",
        b" name='",
        b" key='",
    ];
    let (from, quote) = names.iter().find_map(|name| {
        let at = memchr::memmem::find(attributes, name)?;
        Some((at + name.len(), name[name.len() - 1]))
    })?;
    let length = memchr::memchr(quote, &attributes[from..])?;
    in_text(&attributes[from..from + length])
}

/// Elements whose text is for people, whatever they are called.
const SHOWN: [&[u8]; 16] = [
    b"a", b"button", b"label", b"legend", b"option", b"summary", b"th", b"h1", b"h2", b"h3", b"h4",
    b"h5", b"h6", b"p", b"li", b"title",
];
