//! Ids of the server's questions, which must not be mistaken for another session's.
//!
//! When a session has been renewed, the new one counts its requests from the start again, while the
//! client may still be about to answer one of the old. So the ids of a renewed session carry its
//! number on their way to the client, and an answer to an older session goes nowhere. Those of the
//! first session pass as they are.

use serde_json::value::RawValue;

use crate::upstream::stdio::envelope::{Edit, Envelope, Sort, edited};

const MARK: &str = "palisade:";

/// A message of the server, as the client gets it.
pub(super) fn outward(text: &[u8], message: &Envelope<'_>, generation: u64) -> Vec<u8> {
    if generation == 0 {
        return edited(text, Vec::new());
    }
    let id = match message.sort() {
        Some(Sort::Request) => message.id,
        // It no longer wants an answer to what it asked.
        Some(Sort::Notification) if message.is("notifications/cancelled") => {
            message.params().request_id
        }
        _ => None,
    };
    let edits = id.map(|id| Edit::replace(text, id, marked(id, generation).into_bytes()));
    edited(text, edits.into_iter().collect())
}

/// An answer of the client, as the server gets it. `None`: it is for a session that is over.
pub(super) fn inward(text: &[u8], message: &Envelope<'_>, generation: u64) -> Option<Vec<u8>> {
    let id = message.id?;
    let (of, own) = match unmarked(id) {
        Some(found) => found,
        None => (0, id.get().to_owned()),
    };
    (of == generation).then(|| edited(text, vec![Edit::replace(text, id, own.into_bytes())]))
}

fn marked(id: &RawValue, generation: u64) -> String {
    // As a JSON text within a JSON string, it keeps its form: 1 is not "1".
    serde_json::Value::from(format!("{MARK}{generation}:{}", id.get())).to_string()
}

fn unmarked(id: &RawValue) -> Option<(u64, String)> {
    let text: String = serde_json::from_str(id.get()).ok()?;
    let (generation, own) = text.strip_prefix(MARK)?.split_once(':')?;
    serde_json::from_str::<&RawValue>(own).ok()?;
    Some((generation.parse().ok()?, own.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn out(text: &str, generation: u64) -> String {
        let message = Envelope::read(text.as_bytes()).unwrap();
        String::from_utf8(outward(text.as_bytes(), &message, generation)).unwrap()
    }

    fn back(text: &str, generation: u64) -> Option<String> {
        let message = Envelope::read(text.as_bytes()).unwrap();
        let found = inward(text.as_bytes(), &message, generation)?;
        Some(String::from_utf8(found).unwrap())
    }

    // REQ: U-2
    #[test]
    fn an_answer_finds_the_session_that_asked() {
        for id in ["1", "\"a\"", "\"pali\\\"sade\"", "-1.5"] {
            let question = format!(r#"{{"id":{id},"method":"roots/list"}}"#);
            assert_eq!(out(&question, 0), question);
            for generation in [0, 1, 7] {
                let asked = out(&question, generation);
                let seen = Envelope::read(asked.as_bytes()).unwrap().id.unwrap();
                let answer = format!(r#"{{"id":{},"result":{{}}}}"#, seen.get());
                let wanted = format!(r#"{{"id":{id},"result":{{}}}}"#);
                assert_eq!(back(&answer, generation), Some(wanted), "{answer}");
                assert_eq!(back(&answer, generation + 1), None);
            }
        }
    }

    #[test]
    fn other_messages_pass_and_a_forged_mark_is_no_way_out() {
        let progress = r#"{"method":"notifications/progress","params":{"progressToken":1}}"#;
        assert_eq!(out(progress, 3), progress);
        let cancelled = r#"{"method":"notifications/cancelled","params":{"requestId":4}}"#;
        assert_eq!(
            out(cancelled, 3),
            r#"{"method":"notifications/cancelled","params":{"requestId":"palisade:3:4"}}"#
        );
        for id in [
            "\"palisade:0:1,\\\"x\\\":2\"",
            "\"palisade:x:1\"",
            "\"palisade:1\"",
        ] {
            let answer = format!(r#"{{"id":{id},"result":{{}}}}"#);
            assert_eq!(back(&answer, 0), Some(answer.clone()));
            assert_eq!(back(&answer, 1), None);
        }
    }
}
