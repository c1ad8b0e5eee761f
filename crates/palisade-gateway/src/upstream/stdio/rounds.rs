//! Questions of an older child to a client that has no session (2026-07-28, "Multi Round-Trip
//! Requests").
//!
//! The child asks in the middle of a call and waits; this client can only be asked by the answer
//! itself. So the call is answered with `input_required` and parked, and goes on when the client
//! sends it again with what was asked. The state that it brings back is the number of the parked
//! call, sealed, so that nobody can go on with another's.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::envelope::{Envelope, Params};
use super::seal::{Mark, Seal};

/// What is needed to ask the client of one request.
#[derive(Clone, Debug)]
pub(super) struct Rounds {
    seal: Arc<Seal>,
    caller: Mark,
    /// What the client can be asked, by its own word in this request.
    capabilities: Capabilities,
    /// Method and target: what is sent again must be the same call.
    what: Box<str>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct Capabilities {
    #[serde(deserialize_with = "present")]
    elicitation: bool,
    #[serde(deserialize_with = "present")]
    roots: bool,
    #[serde(deserialize_with = "present")]
    sampling: bool,
}

/// A question that a client has been given, or is to be given next.
#[derive(Clone, Debug)]
pub(super) struct Question {
    /// The raw id of the child's request.
    pub(super) id: Box<str>,
    method: Box<str>,
    params: Box<str>,
}

/// The one key of `inputRequests`.
const KEY: &str = "question";

/// What the sealed state is of.
const STATE_OF: &str = "a parked call";

impl Rounds {
    /// What this request says.
    pub(super) fn of(seal: &Arc<Seal>, caller: &Mark, message: &Envelope<'_>) -> Self {
        let capabilities = message
            .meta()
            .client_capabilities
            .and_then(|raw| serde_json::from_str(raw.get()).ok());
        Self {
            seal: Arc::clone(seal),
            caller: *caller,
            capabilities: capabilities.unwrap_or_default(),
            what: what(message),
        }
    }

    /// Whether the question is one that this client can be asked by an answer.
    pub(super) fn allow(&self, question: &Envelope<'_>) -> bool {
        match question.method.as_deref() {
            Some("elicitation/create") => self.capabilities.elicitation,
            Some("roots/list") => self.capabilities.roots,
            Some("sampling/createMessage") => self.capabilities.sampling,
            _ => false,
        }
    }

    /// The capability that the question needs and the client has not declared. Roots are not
    /// among them: servers ask for those by themselves, whatever call is under way.
    pub(super) fn lacks(&self, question: &Envelope<'_>) -> Option<&'static str> {
        let needed = match question.method.as_deref() {
            Some("elicitation/create") => "elicitation",
            Some("sampling/createMessage") => "sampling",
            _ => return None,
        };
        (!self.allow(question)).then_some(needed)
    }

    /// Whether that is the same call.
    pub(super) fn is_of(&self, other: &Self) -> bool {
        self.what == other.what
    }

    /// The answer that asks.
    pub(super) fn asking(&self, number: u64, id: &[u8], question: &Question) -> String {
        let state = self.seal.seal(STATE_OF, number, &self.caller);
        let state = state.unwrap_or_default();
        let id = String::from_utf8_lossy(id);
        let Question { method, params, .. } = question;
        format!(
            r#"{{"jsonrpc":"2.0","id":{id},"result":{{"resultType":"input_required","inputRequests":{{"{KEY}":{{"method":{method},"params":{params}}}}},"requestState":"{state}"}}}}"#
        )
    }

    /// The number of the parked call that the request goes on with. `Err`: it names one that this
    /// caller has not got. `Ok(None)`: it is a new call.
    pub(super) fn goes_on(&self, message: &Envelope<'_>) -> Result<Option<u64>, ()> {
        let Params { request_state, .. } = message.params();
        let Some(state) = request_state else {
            return Ok(None);
        };
        let state: String = serde_json::from_str(state.get()).map_err(drop)?;
        let number = self.seal.open(STATE_OF, state.as_bytes(), &self.caller);
        number.map(Some).ok_or(())
    }
}

impl Question {
    pub(super) fn read(message: &Envelope<'_>) -> Option<Self> {
        let method = serde_json::to_string(message.method.as_deref()?).ok()?;
        Some(Self {
            id: message.id?.get().into(),
            method: method.into(),
            params: message.params.map_or("{}", RawValue::get).into(),
        })
    }
}

/// The client's answer to the question, if it brings one.
pub(super) fn answer<'a>(message: &Envelope<'a>) -> Option<&'a RawValue> {
    let given = message.params().input_responses?;
    let mut given: HashMap<String, &'a RawValue> = serde_json::from_str(given.get()).ok()?;
    given.remove(KEY)
}

fn what(message: &Envelope<'_>) -> Box<str> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Target {
        name: Option<String>,
        uri: Option<String>,
    }
    let target: Target = message
        .params
        .and_then(|params| serde_json::from_str(params.get()).ok())
        .unwrap_or_default();
    let method = message.method.as_deref().unwrap_or_default();
    let target = target.name.or(target.uri).unwrap_or_default();
    format!("{method} {target}").into()
}

/// Any value but null says yes.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(Option::<serde::de::IgnoredAny>::deserialize(deserializer)?.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: &str = r#"{"id":1,"method":"tools/call","params":{"name":"a","_meta":{"io.modelcontextprotocol/clientCapabilities":{"sampling":{},"roots":null}}}}"#;

    fn rounds(seal: &Arc<Seal>, caller: u8, text: &str) -> Rounds {
        Rounds::of(
            seal,
            &[caller; 16],
            &Envelope::read(text.as_bytes()).unwrap(),
        )
    }

    // REQ: G-16
    #[test]
    fn only_the_one_who_was_asked_goes_on() {
        let seal = Arc::new(Seal::new().unwrap());
        let alice = rounds(&seal, 1, CALL);
        let ask = r#"{"id":"q","method":"sampling/createMessage","params":{"x":1}}"#;
        let ask = Envelope::read(ask.as_bytes()).unwrap();
        assert!(alice.allow(&ask));
        let asking = alice.asking(7, b"1", &Question::read(&ask).unwrap());
        let asked: serde_json::Value = serde_json::from_str(&asking).unwrap();
        let question = &asked["result"]["inputRequests"][KEY];
        assert_eq!(question["method"], "sampling/createMessage");
        assert_eq!(question["params"]["x"], 1);
        let state = asked["result"]["requestState"].as_str().unwrap();
        let again = |state: &str| {
            format!(
                r#"{{"id":2,"method":"tools/call","params":{{"name":"a","requestState":"{state}","inputResponses":{{"{KEY}":{{"ok":1}}}}}}}}"#
            )
        };
        let (good, forged) = (again(state), again("AAAA"));
        let good = Envelope::read(good.as_bytes()).unwrap();
        assert_eq!(alice.goes_on(&good), Ok(Some(7)));
        assert_eq!(answer(&good).unwrap().get(), r#"{"ok":1}"#);
        assert_eq!(rounds(&seal, 2, CALL).goes_on(&good), Err(()));
        let forged = Envelope::read(forged.as_bytes()).unwrap();
        assert_eq!(alice.goes_on(&forged), Err(()));
        let new = Envelope::read(CALL.as_bytes()).unwrap();
        assert_eq!(alice.goes_on(&new), Ok(None));
        assert!(!alice.is_of(&rounds(&seal, 1, &CALL.replace("\"a\"", "\"b\""))));
    }

    #[test]
    fn a_client_is_asked_only_what_it_can_answer() {
        let seal = Arc::new(Seal::new().unwrap());
        let rounds = rounds(&seal, 1, CALL);
        for (method, allowed) in [
            ("sampling/createMessage", true),
            ("roots/list", false),
            ("elicitation/create", false),
            ("anything/else", false),
        ] {
            let text = format!(r#"{{"id":1,"method":"{method}"}}"#);
            let question = Envelope::read(text.as_bytes()).unwrap();
            assert_eq!(rounds.allow(&question), allowed, "{method}");
        }
    }
}
