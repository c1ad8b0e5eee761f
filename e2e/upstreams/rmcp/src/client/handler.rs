//! What the client answers when the server asks, and what it is told unasked.

use std::sync::{Arc, Mutex, PoisonError};

use rmcp::model::{
    ClientCapabilities, ClientConfig, CreateMessageRequestParams, CreateMessageResult,
    ElicitRequestParams, ElicitResult, Implementation, JsonObject, ListRootsResult,
    ProgressNotificationParam, ResourceUpdatedNotificationParam,
};
use rmcp::service::{NotificationContext, RequestContext, RoleClient};
use rmcp::{ClientHandler, ErrorData};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Shared between the connection and the exercise.
#[derive(Clone, Default)]
pub(crate) struct Handler(Arc<Mutex<Heard>>);

#[derive(Default)]
struct Heard {
    progress: Vec<f64>,
    changes: Vec<String>,
}

impl Handler {
    pub(crate) fn progress(&self) -> Vec<f64> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .progress
            .clone()
    }

    pub(crate) fn heard(&self, change: &str) -> bool {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .changes
            .iter()
            .any(|heard| heard == change)
    }

    fn note(&self, change: impl Into<String>) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .changes
            .push(change.into());
    }
}

fn typed<T: DeserializeOwned>(value: Value) -> Result<T, ErrorData> {
    serde_json::from_value(value)
        .map_err(|error| ErrorData::internal_error(error.to_string(), None))
}

impl ClientHandler for Handler {
    fn get_info(&self) -> ClientConfig {
        let capabilities: ClientCapabilities =
            serde_json::from_value(json!({ "sampling": {}, "elicitation": {}, "roots": {} }))
                .unwrap_or_default();
        ClientConfig::new(
            capabilities,
            Implementation::new("palisade-e2e-rmcp", "1.0.0"),
        )
    }

    async fn create_message(
        &self,
        _: CreateMessageRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<CreateMessageResult, ErrorData> {
        typed(json!({
            "role": "assistant", "model": "test-model", "stopReason": "endTurn",
            "content": { "type": "text", "text": "Paris" },
        }))
    }

    async fn list_roots(
        &self,
        _: RequestContext<RoleClient>,
    ) -> Result<ListRootsResult, ErrorData> {
        typed(json!({ "roots": [{ "uri": "file:///srv/example", "name": "example" }] }))
    }

    /// Answers every property that the form asks for by its own name.
    async fn create_elicitation(
        &self,
        request: ElicitRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        let asked = json!(request);
        let properties = asked["requestedSchema"]["properties"]
            .as_object()
            .cloned()
            .unwrap_or_default();
        let content: JsonObject = properties
            .keys()
            .map(|key| (key.clone(), json!(format!("my {key}"))))
            .collect();
        typed(json!({ "action": "accept", "content": content }))
    }

    async fn on_progress(
        &self,
        params: ProgressNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .progress
            .push(params.progress);
    }

    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.note("tools");
    }

    async fn on_resource_updated(
        &self,
        params: ResourceUpdatedNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        self.note(params.uri);
    }
}
