//! What must hold for every input. The fuzz targets call these with what the fuzzer invents, and
//! `crates/palisade/tests/mcp_corpus.rs` with the committed corpus.

use palisade::mcp::json::{JsonErrorKind, validate};
use palisade::mcp::outcome::{Outcomes, Scanner};
use palisade::mcp::sse::{Event, Peeker};
use palisade::mcp::{FaultKind, Limits, Payload, read};
use serde_json::value::RawValue;

/// The strict reader and serde_json agree on what is JSON, and on what a request says.
pub(crate) fn message(body: &[u8]) {
    let valid = serde_json::from_slice::<&RawValue>(body).is_ok();
    match read(body, &Limits::default()) {
        Ok(payload) => {
            assert!(valid);
            let Ok(theirs) = serde_json::from_slice::<serde_json::Value>(body) else {
                return; // A number beyond a double's range, which we leave to the upstream.
            };
            let theirs = match &theirs {
                serde_json::Value::Array(batch) => batch.as_slice(),
                single => std::slice::from_ref(single),
            };
            assert_eq!(payload.messages().len(), theirs.len());
            for (ours, theirs) in payload.messages().iter().zip(theirs) {
                assert_eq!(ours.method.as_deref(), theirs["method"].as_str());
                if ours.is("tools/call") {
                    let name = ours.target.as_ref().map(|target| &*target.name);
                    assert_eq!(name, theirs["params"]["name"].as_str());
                }
                if let Some(arguments) = ours.arguments {
                    assert_eq!(&body[arguments.range()], arguments.text().as_bytes());
                }
                let _ = ours.client_info();
                let _ = ours.revision();
            }
            if let Payload::Batch(batch) = &payload {
                assert!((1..=50).contains(&batch.len()));
            }
        }
        Err(fault) => {
            assert!(fault.offset <= body.len());
            if let FaultKind::Json(kind) = fault.kind {
                let stricter = matches!(
                    kind,
                    JsonErrorKind::DuplicateKey
                        | JsonErrorKind::LoneSurrogate
                        | JsonErrorKind::Depth
                );
                assert!(stricter || !valid, "{kind:?}");
            }
        }
    }
}

/// Chunks do not matter, and what strict reading accepts is readable.
pub(crate) fn outcome(body: &[u8]) {
    let scan = |chunk: usize| -> Outcomes {
        let mut scanner = Scanner::new();
        for chunk in body.chunks(chunk) {
            scanner.push(chunk);
        }
        scanner.finish()
    };
    let whole = scan(body.len().max(1));
    for chunk in [1, 2, 3, 7, 16] {
        assert_eq!(scan(chunk), whole);
    }
    if validate(body, 64).is_ok() {
        assert!(!whole.unreadable);
    }
    for message in &whole.messages {
        let _ = message.verdict();
        let text = message.error_text.as_deref().unwrap_or_default();
        assert!(text.chars().count() <= 500);
    }
}

/// Chunks do not matter, and neither does a comment between two events.
pub(crate) fn sse(stream: &[u8]) {
    let peek = |chunk: usize, comments: bool| -> (Vec<Event>, bool) {
        let mut events = Vec::new();
        let mut peeker = Peeker::new();
        for (index, chunk) in stream.chunks(chunk).enumerate() {
            if comments && index > 0 && peeker.between_events() {
                peeker.push(b": keep-alive\n\n", |event| events.push(event));
            }
            peeker.push(chunk, |event| events.push(event));
        }
        (events, peeker.between_events())
    };
    let whole = peek(stream.len().max(1), false);
    for chunk in [1, 2, 3, 7, 16] {
        assert_eq!(peek(chunk, false), whole);
        assert_eq!(peek(chunk, true), whole);
    }
}
