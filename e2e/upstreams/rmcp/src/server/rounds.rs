//! Several rounds (SEP-2322): what to ask next, and the sealed state that goes with it.

use std::io::Read as _;

use rmcp::model::{
    InputRequiredResult, InputResponses, JsonObject, ProtocolVersion, RequestStateCodec,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer};
use serde_json::{Value, json};

use crate::fixtures::typed;

/// Seals the answers so far; what it did not seal itself it refuses.
pub(crate) struct Seal(RequestStateCodec);

pub(crate) enum Next {
    Ask(InputRequiredResult),
    /// The answers of every round, in order.
    Done(Vec<JsonObject>),
}

impl Seal {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let mut key = [0; 32];
        std::fs::File::open("/dev/urandom")?.read_exact(&mut key)?;
        Ok(Self(RequestStateCodec::try_new(key)?))
    }

    /// Only what the caller's capabilities allow is asked; a round of which nothing is left is refused.
    pub(crate) fn next(
        &self,
        entry: &Value,
        (given, state): (Option<InputResponses>, Option<String>),
        context: &RequestContext<RoleServer>,
    ) -> Result<Next, ErrorData> {
        if context
            .protocol_version()
            .is_none_or(|version| version < ProtocolVersion::V_2026_07_28)
        {
            return Err(ErrorData::invalid_request(
                "several rounds exist from 2026-07-28 on",
                None,
            ));
        }
        let capabilities = json!(context.client_capabilities());
        let mut answers = match state {
            Some(state) => self.open(&state)?,
            None => Vec::new(),
        };
        let mut given = given;
        let rounds = entry["rounds"].as_array().map_or(&[][..], Vec::as_slice);
        for round in rounds
            .iter()
            .skip(answers.len())
            .filter_map(Value::as_object)
        {
            let asked: JsonObject = round
                .iter()
                .filter(|(_, request)| !capabilities[capability(request)].is_null())
                .map(|(key, request)| (key.clone(), request.clone()))
                .collect();
            if asked.is_empty() {
                let missing: JsonObject = round
                    .values()
                    .map(|request| (capability(request).to_owned(), json!({})))
                    .collect();
                return Err(ErrorData::missing_required_client_capability(typed(
                    Value::Object(missing),
                )?));
            }
            let responses = given.take().unwrap_or_default();
            if asked.iter().all(|(key, request)| {
                responses
                    .get(key)
                    .is_some_and(|answer| fits(request, answer))
            }) {
                answers.push(
                    responses
                        .into_iter()
                        .filter(|(key, _)| asked.contains_key(key))
                        .collect(),
                );
                continue;
            }
            let sealed = (entry["state"] == json!(true))
                .then(|| self.0.seal(json!(answers).to_string().as_bytes()));
            return Ok(Next::Ask(InputRequiredResult::new(
                Some(typed(Value::Object(asked))?),
                sealed,
            )));
        }
        Ok(Next::Done(answers))
    }

    fn open(&self, state: &str) -> Result<Vec<JsonObject>, ErrorData> {
        let refused =
            |_| ErrorData::invalid_params("the request state is not one this server sealed", None);
        let opened = self.0.open(state).map_err(refused)?;
        serde_json::from_slice(&opened).map_err(|error| {
            ErrorData::internal_error(format!("a sealed request state is broken: {error}"), None)
        })
    }
}

/// The answers of all rounds as short texts, by key.
pub(crate) fn shown(answers: &[JsonObject]) -> JsonObject {
    answers
        .iter()
        .flatten()
        .map(|(key, answer)| (key.clone(), json!(short(answer))))
        .collect()
}

/// The text blocks of a message's content, which is one block or a list of them.
pub(crate) fn texts(content: &Value) -> String {
    let blocks = content
        .as_array()
        .map_or(std::slice::from_ref(content), Vec::as_slice);
    blocks
        .iter()
        .filter_map(|block| block["text"].as_str())
        .collect::<Vec<_>>()
        .join(" ")
}

fn short(answer: &Value) -> String {
    let plain = |value: &Value| {
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned)
    };
    if let Some(roots) = answer["roots"].as_array() {
        return roots
            .iter()
            .filter_map(|root| root["uri"].as_str())
            .collect::<Vec<_>>()
            .join(", ");
    }
    match (answer["action"].as_str(), answer["content"].as_object()) {
        (Some(_), Some(content)) => content.values().map(plain).collect::<Vec<_>>().join(", "),
        (Some(action), None) => action.to_owned(),
        (None, _) => texts(&answer["content"]),
    }
}

/// The client capability that a request of the server needs.
fn capability(request: &Value) -> &'static str {
    match request["method"].as_str() {
        Some("elicitation/create") => "elicitation",
        Some("sampling/createMessage") => "sampling",
        _ => "roots",
    }
}

/// Whether an answer has the form that its request asks for.
fn fits(request: &Value, answer: &Value) -> bool {
    match capability(request) {
        "elicitation" => match answer["action"].as_str() {
            Some("accept") => {
                let wanted = request["params"]["requestedSchema"]["required"].as_array();
                let content = answer["content"].as_object();
                content.is_some_and(|content| {
                    wanted
                        .into_iter()
                        .flatten()
                        .filter_map(Value::as_str)
                        .all(|name| content.contains_key(name))
                })
            }
            action => matches!(action, Some("decline" | "cancel")),
        },
        "sampling" => answer["content"].is_object() || answer["content"].is_array(),
        _ => answer["roots"].is_array(),
    }
}
