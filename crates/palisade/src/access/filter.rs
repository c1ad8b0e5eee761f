//! Leaves out of lists what a caller may not use.
//!
//! The rest of an answer stays byte for byte. What cannot be read is not let out: a list that two
//! readers could read differently would tell what it must not.

use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::{Access, Decision, Item};
use crate::auth::Caller;
use crate::mcp::json::{JsonError, Raw, Reader, ValueKind};

/// The largest answer in JSON, or event of a stream, that is filtered.
const MOST: usize = 16 << 20;

/// As deep as an answer is read.
const DEPTH: usize = 256;

/// What a caller may see.
#[derive(Debug)]
pub struct Filter {
    access: Arc<Access>,
    caller: Arc<Caller>,
}

impl Filter {
    pub(super) const fn new(access: Arc<Access>, caller: Arc<Caller>) -> Self {
        Self { access, caller }
    }

    fn shows(&self, list: &str, name: &str) -> bool {
        let item = match list {
            "tools" => Item::Tool(name),
            "prompts" => Item::Prompt(name),
            _ => Item::Resource(name),
        };
        self.access.decide(&self.caller, item) == Decision::Allowed
    }

    /// The JSON-RPC message, or the batch of them, without what the caller may not see; `None`
    /// where it is no strict JSON.
    pub(super) fn message(&self, json: &str) -> Option<String> {
        let mut edits = Vec::new();
        let mut reader = Reader::new(json.as_bytes(), DEPTH).ok()?;
        let read = match reader.peek().ok()? {
            ValueKind::Array => reader
                .array::<JsonError>(|reader| self.response(reader, &mut edits))
                .is_ok(),
            _ => self.response(&mut reader, &mut edits).is_ok(),
        };
        if !read || reader.end().is_err() {
            return None;
        }
        Some(edited(json, edits))
    }

    fn response(&self, reader: &mut Reader<'_>, edits: &mut Vec<Edit>) -> Result<(), JsonError> {
        if reader.peek()? != ValueKind::Object {
            reader.value()?;
            return Ok(());
        }
        reader.object::<JsonError>(|reader, name| {
            if name == "result" && reader.peek()? == ValueKind::Object {
                self.result(reader, edits)
            } else {
                reader.value().map(|_| ())
            }
        })?;
        Ok(())
    }

    fn result(&self, reader: &mut Reader<'_>, edits: &mut Vec<Edit>) -> Result<(), JsonError> {
        let mut listed = false;
        let mut scope: Option<(usize, usize)> = None;
        let start = reader.offset();
        let result = reader.object::<JsonError>(|reader, name| {
            let list = matches!(
                &*name,
                "tools" | "prompts" | "resources" | "resourceTemplates"
            );
            if list && reader.peek()? == ValueKind::Array {
                listed = true;
                return self.list(&name, reader, edits);
            }
            let value = reader.value()?;
            if name == "cacheScope" {
                let range = value.range();
                scope = Some((range.start, range.end));
            }
            Ok(())
        })?;
        if listed {
            // What one caller sees is not for another's cache.
            match scope {
                Some((from, to)) => edits.push(Edit::new(from, to, "\"private\"")),
                None => {
                    let from = result.range().start.max(start) + 1;
                    edits.push(Edit::new(from, from, "\"cacheScope\":\"private\","));
                }
            }
        }
        Ok(())
    }

    fn list(
        &self,
        list: &str,
        reader: &mut Reader<'_>,
        edits: &mut Vec<Edit>,
    ) -> Result<(), JsonError> {
        let mut kept: Vec<String> = Vec::new();
        let mut dropped = false;
        let whole = reader.array::<JsonError>(|reader| {
            let item = reader.value()?;
            if name_of(list, item)?.is_some_and(|name| self.shows(list, &name)) {
                kept.push(item.text().to_owned());
            } else {
                dropped = true;
            }
            Ok(())
        })?;
        if dropped {
            let range = whole.range();
            let list = format!("[{}]", kept.join(","));
            edits.push(Edit::new(range.start, range.end, &list));
        }
        Ok(())
    }
}

/// What the item of a list is called.
fn name_of(list: &str, item: Raw<'_>) -> Result<Option<String>, JsonError> {
    if item.kind() != ValueKind::Object {
        return Ok(None);
    }
    let key = match list {
        "resources" => "uri",
        "resourceTemplates" => "uriTemplate",
        _ => "name",
    };
    let mut found = None;
    Reader::over(item, DEPTH).object::<JsonError>(|reader, name| {
        let value = reader.value()?;
        if name == key {
            found = value.string().map(std::borrow::Cow::into_owned);
        }
        Ok(())
    })?;
    Ok(found)
}

/// A part of a text that is replaced.
struct Edit {
    from: usize,
    to: usize,
    text: String,
}

impl Edit {
    fn new(from: usize, to: usize, text: &str) -> Self {
        Self {
            from,
            to,
            text: text.to_owned(),
        }
    }
}

fn edited(text: &str, mut edits: Vec<Edit>) -> String {
    edits.sort_by_key(|edit| edit.from);
    let mut out = String::with_capacity(text.len() + 32);
    let mut at = 0;
    for edit in edits {
        out.push_str(text.get(at..edit.from).unwrap_or_default());
        out.push_str(&edit.text);
        at = edit.to;
    }
    out.push_str(text.get(at..).unwrap_or_default());
    out
}

pin_project! {
    /// An answer's body, without what its caller may not see.
    #[derive(Debug)]
    pub struct Filtered<R> {
        #[pin]
        body: R,
        work: Work,
    }
}

#[derive(Debug)]
enum Work {
    /// Nothing more comes.
    Done,
    /// Server-sent events, each filtered when it is whole.
    Events { filter: Filter, held: Vec<u8> },
    /// One JSON text, filtered at its end.
    Json { filter: Filter, held: Vec<u8> },
    /// It cannot be read.
    Unreadable,
    /// It passes as it is.
    Whole,
}

/// In place of what cannot be read.
const UNREADABLE: &str = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32603,"message":"the list could not be filtered"}}"#;

impl<R> Filtered<R> {
    pub(super) const fn whole(body: R) -> Self {
        Self::new(body, Work::Whole)
    }

    pub(super) const fn unreadable(body: R) -> Self {
        Self::new(body, Work::Unreadable)
    }

    pub(super) const fn json(body: R, filter: Filter) -> Self {
        let held = Vec::new();
        Self::new(body, Work::Json { filter, held })
    }

    pub(super) const fn events(body: R, filter: Filter) -> Self {
        let held = Vec::new();
        Self::new(body, Work::Events { filter, held })
    }

    const fn new(body: R, work: Work) -> Self {
        Self { body, work }
    }
}

impl<R: Body<Data = Bytes>> Body for Filtered<R> {
    type Data = Bytes;
    type Error = R::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, R::Error>>> {
        let mut this = self.project();
        loop {
            match this.work {
                Work::Whole => return this.body.as_mut().poll_frame(cx),
                Work::Done => return Poll::Ready(None),
                Work::Unreadable => {
                    *this.work = Work::Done;
                    return Poll::Ready(Some(Ok(Frame::data(UNREADABLE.into()))));
                }
                Work::Json { .. } | Work::Events { .. } => {}
            }
            let frame = match ready!(this.body.as_mut().poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                Some(Err(error)) => {
                    *this.work = Work::Done;
                    return Poll::Ready(Some(Err(error)));
                }
                None => {
                    let rest = match mem::replace(this.work, Work::Done) {
                        Work::Json { filter, held } => whole_json(&filter, &held),
                        // An event that is not ended does not count.
                        _ => Bytes::new(),
                    };
                    if rest.is_empty() {
                        return Poll::Ready(None);
                    }
                    return Poll::Ready(Some(Ok(Frame::data(rest))));
                }
            };
            let Some(data) = frame.data_ref() else {
                continue;
            };
            let out = match this.work {
                Work::Json { held, .. } => {
                    held.extend_from_slice(data);
                    if held.len() > MOST {
                        *this.work = Work::Unreadable;
                    }
                    continue;
                }
                Work::Events { filter, held } => {
                    held.extend_from_slice(data);
                    let out = events(filter, held);
                    if held.len() > MOST {
                        *this.work = Work::Done;
                    }
                    out
                }
                _ => Bytes::new(),
            };
            if !out.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(out))));
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.work {
            Work::Done => true,
            Work::Whole => self.body.is_end_stream(),
            Work::Json { held, .. } | Work::Events { held, .. } => {
                held.is_empty() && self.body.is_end_stream()
            }
            Work::Unreadable => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.work {
            Work::Whole => self.body.size_hint(),
            _ => SizeHint::default(),
        }
    }
}

fn whole_json(filter: &Filter, held: &[u8]) -> Bytes {
    if held.is_empty() {
        return Bytes::new();
    }
    let text = std::str::from_utf8(held).ok();
    let filtered = text.and_then(|text| filter.message(text));
    filtered.map_or_else(|| Bytes::from_static(UNREADABLE.as_bytes()), Bytes::from)
}

/// Takes the whole events off the front of `held`, filtered.
fn events(filter: &Filter, held: &mut Vec<u8>) -> Bytes {
    let mut out = Vec::new();
    let mut from = 0;
    while let Some(length) = event_length(&held[from..]) {
        let event = &held[from..from + length];
        match event_without(filter, event) {
            Some(changed) => out.extend_from_slice(&changed),
            None => out.extend_from_slice(event),
        }
        from += length;
    }
    held.drain(..from);
    out.into()
}

/// How long the first event is, with the blank line that ends it. Lines end in CR LF, LF or CR
/// (HTML, section 9.2.6); a CR at the end of what has come may be half of the first.
fn event_length(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    let mut empty = true;
    while at < bytes.len() {
        let end = match bytes[at] {
            b'\r' => match bytes.get(at + 1) {
                Some(b'\n') => at + 2,
                Some(_) => at + 1,
                None => return None,
            },
            b'\n' => at + 1,
            _ => {
                empty = false;
                at += 1;
                continue;
            }
        };
        if empty {
            return Some(end);
        }
        empty = true;
        at = end;
    }
    None
}

/// The event with its data filtered; `None` where nothing in it is to be changed.
fn event_without(filter: &Filter, event: &[u8]) -> Option<Vec<u8>> {
    let lines: Vec<&[u8]> = event
        .split(|byte| matches!(byte, b'\r' | b'\n'))
        .filter(|line| !line.is_empty())
        .map(|line| line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line))
        .collect();
    let data = |line: &&[u8]| {
        let rest = line.strip_prefix(b"data")?;
        let rest = match rest.first() {
            None => rest,
            Some(b':') => &rest[1..],
            Some(_) => return None,
        };
        Some(rest.strip_prefix(b" ").unwrap_or(rest).to_vec())
    };
    let text: Vec<Vec<u8>> = lines.iter().filter_map(data).collect();
    if text.is_empty() {
        return None;
    }
    let text = text.join(&b'\n');
    let readable = std::str::from_utf8(&text).ok();
    let is_message = text.iter().find(|byte| !byte.is_ascii_whitespace());
    if !matches!(is_message, Some(b'{' | b'[')) {
        // The `endpoint` event of 2024-11-05 is a path.
        return None;
    }
    let filtered = readable.and_then(|text| filter.message(text));
    if filtered.as_deref() == readable {
        return None;
    }
    let filtered = filtered.unwrap_or_else(|| UNREADABLE.to_owned());
    let mut out = Vec::with_capacity(event.len());
    for line in lines.iter().filter(|line| data(line).is_none()) {
        out.extend_from_slice(line);
        out.push(b'\n');
    }
    for line in filtered.split(['\n', '\r']) {
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(line.as_bytes());
        out.push(b'\n');
    }
    out.push(b'\n');
    Some(out)
}
