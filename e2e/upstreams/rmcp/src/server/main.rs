//! An MCP server on rmcp, for the end-to-end tests.
//!
//! `rmcp-server stdio` speaks on its standard streams. `rmcp-server PORT` binds 127.0.0.1 (PORT 0 takes a free one), prints one JSON line
//! `{"port": N, "url": "http://127.0.0.1:N/mcp"}` when it is ready, and ends on SIGTERM. What it offers stands in
//! `../fixtures.json`, which the Python server reads too. Transport, sessions and the Host check are rmcp's own.
#![expect(
    deprecated,
    reason = "sampling, logging and resources/subscribe are deprecated, and serving both eras is what this is for"
)]

mod fixtures;
mod rounds;
mod sessions;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, CompleteRequestParams, CompleteResult,
    CompletionInfo, ContentBlock, ErrorCode, GetPromptRequestParams, GetPromptResponse,
    GetPromptResult, Implementation, InitializeResult, JsonObject, ListPromptsResult,
    ListResourceTemplatesResult, ListResourcesResult, ListToolsResult, LoggingLevel,
    LoggingMessageNotificationParam, PaginatedRequestParams, ProgressNotificationParam,
    ProtocolVersion, ReadResourceRequestParams, ReadResourceResponse, ReadResourceResult,
    ResourceUpdatedNotificationParam, ServerCapabilities, SetLevelRequestParams,
    SubscribeRequestParams, SubscriptionFilter, Tool, UnsubscribeRequestParams,
};
use rmcp::service::{RequestContext, SubscriptionContext};
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ErrorData, RoleServer, ServerHandler, ServiceExt as _};
use serde_json::{Value, json};
use tokio::sync::broadcast;

use crate::fixtures::{FIXTURES, completed, fill, filled, typed};
use crate::sessions::{Sessions, StreamCloser};

const WATCHED: &str = "test://watched-resource";

type Context = RequestContext<RoleServer>;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    if std::env::args().nth(1).as_deref() == Some("stdio") {
        let peer = Peer::new(Arc::new(Shared::new()?));
        peer.serve(rmcp::transport::stdio()).await?.waiting().await?;
        return Ok(());
    }
    let port: u16 = std::env::args()
        .nth(1)
        .and_then(|port| port.parse().ok())
        .context("usage: rmcp-server PORT | stdio (PORT 0 takes a free one)")?;
    let shared = Arc::new(Shared::new()?);
    let mut config = StreamableHttpServerConfig::default();
    config.sse_retry = Some(Duration::from_millis(100));
    let service = StreamableHttpService::new(
        move || Ok(Peer::new(Arc::clone(&shared))),
        Arc::new(Sessions::default()),
        config,
    );
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    let port = listener.local_addr()?.port();
    println!(
        "{}",
        json!({ "port": port, "url": format!("http://127.0.0.1:{port}/mcp") })
    );
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        ended = axum::serve(listener, axum::Router::new().nest_service("/mcp", service)) => Ok(ended?),
        _ = terminate.recv() => Ok(()),
    }
}

/// What all sessions have in common.
struct Shared {
    changes: broadcast::Sender<Change>,
    slow: Mutex<HashMap<String, &'static str>>,
    seal: rounds::Seal,
}

impl Shared {
    fn new() -> anyhow::Result<Self> {
        Ok(Self {
            changes: broadcast::channel(64).0,
            slow: Mutex::default(),
            seal: rounds::Seal::new()?,
        })
    }

    fn slow(&self, label: &str, outcome: &'static str) {
        self.slow
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(label.to_owned(), outcome);
    }
}

#[derive(Clone, Copy)]
enum Change {
    Prompts,
    Tools,
    Watched,
}

/// One session; from 2026-07-28 on, one request.
struct Peer {
    shared: Arc<Shared>,
    level: Mutex<LoggingLevel>,
    subscribed: Mutex<HashSet<String>>,
    /// Taken before a subscription is acknowledged, so that no change after the acknowledgement is missed.
    pending: Mutex<Vec<broadcast::Receiver<Change>>>,
}

impl Peer {
    fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            level: Mutex::new(LoggingLevel::Debug),
            subscribed: Mutex::default(),
            pending: Mutex::default(),
        }
    }

    /// Sends a log message: from 2026-07-28 on if the request asks for the level, before if the session does.
    async fn log(&self, context: &Context, line: &str) {
        let floor = if is_modern(context) {
            context.meta.log_level()
        } else {
            Some(*self.level.lock().unwrap_or_else(PoisonError::into_inner))
        };
        if floor.is_some_and(|floor| LoggingLevel::Info as u8 >= floor as u8) {
            let message = LoggingMessageNotificationParam::new(LoggingLevel::Info, json!(line));
            let _ = context.peer.notify_logging_message(message).await;
        }
    }

    /// Announces a change in the way of the caller's era.
    async fn announce(&self, context: &Context, change: Change) -> CallToolResult {
        if is_modern(context) {
            let _ = self.shared.changes.send(change);
            return text("announced");
        }
        let sent = match change {
            Change::Prompts => context.peer.notify_prompt_list_changed().await,
            Change::Tools => context.peer.notify_tool_list_changed().await,
            Change::Watched => {
                if !self
                    .subscribed
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .contains(WATCHED)
                {
                    return text("nobody subscribed");
                }
                context
                    .peer
                    .notify_resource_updated(ResourceUpdatedNotificationParam::new(WATCHED))
                    .await
            }
        };
        sent.map_or_else(|error| failed(error.to_string()), |()| text("announced"))
    }

    async fn by_hand(
        &self,
        name: &str,
        arguments: &JsonObject,
        context: &Context,
    ) -> CallToolResult {
        let string = |key: &str| {
            arguments
                .get(key)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let pause = || tokio::time::sleep(Duration::from_millis(50));
        match name {
            "echo" => text(string("message")),
            "request_headers" => request_headers(context),
            "slow" => {
                let seconds = arguments
                    .get("seconds")
                    .and_then(Value::as_f64)
                    .unwrap_or_default()
                    .clamp(0.0, 600.0);
                self.slow(&string("label"), Duration::from_secs_f64(seconds), context)
                    .await
            }
            "slow_outcome" => {
                let outcomes = self
                    .shared
                    .slow
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                text(*outcomes.get(&string("label")).unwrap_or(&"unknown"))
            }
            "test_tool_with_logging" => {
                self.log(context, "Tool execution started").await;
                pause().await;
                self.log(context, "Tool processing data").await;
                pause().await;
                self.log(context, "Tool execution completed").await;
                text("Tool with logging executed")
            }
            "test_logging_tool" => {
                self.log(context, "One message").await;
                text("One message was logged, if asked for")
            }
            "test_tool_with_progress" => {
                let token = context.meta.get_progress_token();
                for done in [0.0, 50.0, 100.0] {
                    if let Some(token) = token.clone() {
                        let report = ProgressNotificationParam::new(token, done)
                            .with_total(100.0)
                            .with_message(format!("{done} of 100"));
                        let _ = context.peer.notify_progress(report).await;
                    }
                    pause().await;
                }
                text("Tool with progress executed")
            }
            "test_sampling" => sampling(&string("prompt"), context).await,
            "test_reconnection" => {
                self.log(context, "Before the stream closes").await;
                if let Some(closer) = context.extensions.get::<StreamCloser>() {
                    closer.close(Duration::from_millis(100)).await;
                }
                tokio::time::sleep(Duration::from_millis(300)).await;
                self.log(context, "After the stream closed").await;
                text("Reconnection test completed")
            }
            "test_trigger_tool_change" => self.announce(context, Change::Tools).await,
            "test_trigger_prompt_change" => self.announce(context, Change::Prompts).await,
            "test_trigger_resource_update" => self.announce(context, Change::Watched).await,
            _ => failed(format!("{name} stands in the fixtures but not in the code")),
        }
    }

    async fn slow(&self, label: &str, wait: Duration, context: &Context) -> CallToolResult {
        // Dropped unfinished when the caller goes away, which from 2026-07-28 on is a cancellation too.
        struct Outcome<'a>(&'a Shared, &'a str, &'static str);
        impl Drop for Outcome<'_> {
            fn drop(&mut self) {
                self.0.slow(self.1, self.2);
            }
        }
        self.shared.slow(label, "running");
        let mut outcome = Outcome(&self.shared, label, "cancelled");
        tokio::select! {
            () = tokio::time::sleep(wait) => {
                outcome.2 = "finished";
                text(format!("waited {} s", wait.as_secs_f64()))
            }
            () = context.ct.cancelled() => failed("cancelled"),
        }
    }
}

fn is_modern(context: &Context) -> bool {
    context
        .protocol_version()
        .is_some_and(|version| version >= ProtocolVersion::V_2026_07_28)
}

fn text(line: impl Into<String>) -> CallToolResult {
    CallToolResult::success(vec![ContentBlock::text(line.into())])
}

fn failed(line: impl Into<String>) -> CallToolResult {
    CallToolResult::error(vec![ContentBlock::text(line.into())])
}

fn request_headers(context: &Context) -> CallToolResult {
    let Some(parts) = context.extensions.get::<http::request::Parts>() else {
        return failed("the request came without HTTP headers");
    };
    let headers: serde_json::Map<String, Value> = parts
        .headers
        .iter()
        .map(|(name, value)| {
            (
                name.to_string(),
                json!(String::from_utf8_lossy(value.as_bytes())),
            )
        })
        .collect();
    text(Value::Object(headers).to_string())
}

async fn sampling(prompt: &str, context: &Context) -> CallToolResult {
    let asked = json!({
        "messages": [{ "role": "user", "content": { "type": "text", "text": prompt } }],
        "maxTokens": 100,
    });
    let asked = match typed(asked) {
        Ok(asked) => asked,
        Err(error) => return failed(error.message),
    };
    match context.peer.create_message(asked).await {
        Ok(answer) => {
            let answer = json!(answer);
            text(format!(
                "LLM response: {}",
                rounds::texts(&answer["content"])
            ))
        }
        Err(error) => failed(format!("the client did not answer: {error}")),
    }
}

async fn elicit(
    entry: &Value,
    arguments: &JsonObject,
    context: &Context,
) -> Result<CallToolResult, ErrorData> {
    let mut asked = entry["elicit"].clone();
    asked["mode"] = json!("form");
    if let Some(message) = arguments.get("message") {
        asked["message"] = message.clone();
    }
    Ok(match context.peer.create_elicitation(typed(asked)?).await {
        Ok(answer) => {
            let answer = json!(answer);
            let reply = entry["reply"].as_str().unwrap_or_default();
            text(format!(
                "{reply}: action={}, content={}",
                answer["action"].as_str().unwrap_or("?"),
                answer["content"]
            ))
        }
        Err(error) => failed(format!("the client did not answer: {error}")),
    })
}

impl ServerHandler for Peer {
    fn get_info(&self) -> InitializeResult {
        let capabilities: ServerCapabilities = serde_json::from_value(json!({
            "completions": {}, "logging": {}, "prompts": { "listChanged": true },
            "resources": { "listChanged": true, "subscribe": true }, "tools": { "listChanged": true },
        }))
        .unwrap_or_default();
        InitializeResult::new(capabilities)
            .with_server_info(Implementation::new("palisade-e2e-rmcp", "1.0.0"))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        typed(FIXTURES.tool(name)?["tool"].clone()).ok()
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: Context,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(
            FIXTURES.all("tools", "tool")?,
        ))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: Context,
    ) -> Result<CallToolResponse, ErrorData> {
        let entry = FIXTURES.tool(&request.name).ok_or_else(|| {
            ErrorData::invalid_params(format!("unknown tool: {}", request.name), None)
        })?;
        let arguments = request.arguments.unwrap_or_default();
        for name in entry["tool"]["inputSchema"]["required"]
            .as_array()
            .into_iter()
            .flatten()
        {
            if !name
                .as_str()
                .is_some_and(|name| arguments.contains_key(name))
            {
                return Err(ErrorData::invalid_params(
                    format!("{} needs the argument {name}", request.name),
                    None,
                ));
            }
        }
        if let Some(result) = entry.get("result") {
            return Ok(completed::<CallToolResult>(result.clone())?.into());
        }
        if entry.get("rounds").is_some() {
            let given = (request.input_responses, request.request_state);
            return Ok(match self.shared.seal.next(entry, given, &context)? {
                rounds::Next::Ask(result) => result.into(),
                rounds::Next::Done(answers) => text(fill(
                    entry["reply"].as_str().unwrap_or_default(),
                    &rounds::shown(&answers),
                ))
                .into(),
            });
        }
        if entry.get("elicit").is_some() {
            return Ok(elicit(entry, &arguments, &context).await?.into());
        }
        Ok(self
            .by_hand(&request.name, &arguments, &context)
            .await
            .into())
    }

    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        _: Context,
    ) -> Result<ListPromptsResult, ErrorData> {
        Ok(ListPromptsResult::with_all_items(
            FIXTURES.all("prompts", "prompt")?,
        ))
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        context: Context,
    ) -> Result<GetPromptResponse, ErrorData> {
        let entry = FIXTURES.prompt(&request.name).ok_or_else(|| {
            ErrorData::invalid_params(format!("unknown prompt: {}", request.name), None)
        })?;
        let mut values = request.arguments.unwrap_or_default();
        for argument in entry["prompt"]["arguments"]
            .as_array()
            .into_iter()
            .flatten()
        {
            let name = argument["name"].as_str().unwrap_or_default();
            if argument["required"] == json!(true) && !values.contains_key(name) {
                return Err(ErrorData::invalid_params(
                    format!("{} needs the argument `{name}`", request.name),
                    None,
                ));
            }
        }
        if entry.get("rounds").is_some() {
            match self.shared.seal.next(
                entry,
                (request.input_responses, request.request_state),
                &context,
            )? {
                rounds::Next::Ask(result) => return Ok(result.into()),
                rounds::Next::Done(answers) => values = rounds::shown(&answers),
            }
        }
        let result: GetPromptResult =
            completed(json!({ "messages": filled(&entry["messages"], &values) }))?;
        Ok(result.into())
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: Context,
    ) -> Result<ListResourcesResult, ErrorData> {
        Ok(ListResourcesResult::with_all_items(
            FIXTURES.all("resources", "resource")?,
        ))
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: Context,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Ok(ListResourceTemplatesResult::with_all_items(
            FIXTURES.all("templates", "template")?,
        ))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: Context,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let content = FIXTURES.resource(&request.uri).ok_or_else(|| {
            ErrorData::new(
                ErrorCode::RESOURCE_NOT_FOUND,
                "Resource not found",
                Some(json!({ "uri": request.uri })),
            )
        })?;
        let result: ReadResourceResult = completed(json!({ "contents": [content] }))?;
        Ok(result.into())
    }

    async fn subscribe(
        &self,
        request: SubscribeRequestParams,
        _: Context,
    ) -> Result<(), ErrorData> {
        self.subscribed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(request.uri);
        Ok(())
    }

    async fn unsubscribe(
        &self,
        request: UnsubscribeRequestParams,
        _: Context,
    ) -> Result<(), ErrorData> {
        self.subscribed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&request.uri);
        Ok(())
    }

    fn accepted_subscription_filter(
        &self,
        requested: &SubscriptionFilter,
    ) -> Option<SubscriptionFilter> {
        let changes = self.shared.changes.subscribe();
        self.pending
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(changes);
        Some(requested.clone())
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let pending = self
            .pending
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        let Some(mut changes) = pending else {
            return Ok(());
        };
        loop {
            let change = tokio::select! {
                change = changes.recv() => change,
                () = context.cancelled() => return Ok(()),
            };
            // What the caller did not ask for the sink refuses: that is its filter at work.
            let _ = match change {
                Ok(Change::Prompts) => context.sink().notify_prompt_list_changed().await,
                Ok(Change::Tools) => context.sink().notify_tool_list_changed().await,
                Ok(Change::Watched) => context.sink().notify_resource_updated(WATCHED).await,
                Err(broadcast::error::RecvError::Lagged(_)) => continue,
                Err(broadcast::error::RecvError::Closed) => return Ok(()),
            };
        }
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        _: Context,
    ) -> Result<CompleteResult, ErrorData> {
        let values = FIXTURES.completions(&request.argument.name, &request.argument.value);
        let info = CompletionInfo::with_all_values(values)
            .map_err(|error| ErrorData::internal_error(error, None))?;
        Ok(CompleteResult::new(info))
    }

    async fn set_level(&self, request: SetLevelRequestParams, _: Context) -> Result<(), ErrorData> {
        *self.level.lock().unwrap_or_else(PoisonError::into_inner) = request.level;
        Ok(())
    }
}
