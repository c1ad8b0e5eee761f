//! The exercises, each on a connection of its own.

use std::collections::HashSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail, ensure};
use rmcp::model::{
    CallToolRequest, ClientRequest, GetPromptRequestParams, ReadResourceRequestParams,
    ServerNotification, SubscribeRequestParams, SubscriptionFilter, UnsubscribeRequestParams,
};
use rmcp::service::PeerRequestOptions;
use serde_json::{Value, json};

use crate::{Era, Options, Peer, params};

const WATCHED: &str = "test://watched-resource";

pub(crate) fn all() -> impl Iterator<Item = (Era, &'static str)> {
    let both = [
        "list",
        "call",
        "progress",
        "sampling",
        "elicitation",
        "cancellation",
        "subscription",
    ];
    let legacy = both
        .into_iter()
        .chain(["resumption", "session_end"])
        .map(|name| (Era::Legacy, name));
    legacy.chain(
        both.into_iter()
            .chain(["rounds"])
            .map(|name| (Era::Auto, name)),
    )
}

pub(crate) async fn run(options: &Options, era: Era, exercise: &str) -> anyhow::Result<()> {
    let peer = Peer::connect(options, era).await?;
    match (exercise, era) {
        ("list", _) => list(&peer).await?,
        ("call", _) => call(&peer).await?,
        ("progress", _) => progress(&peer).await?,
        ("sampling", _) => sampling(&peer, era).await?,
        ("elicitation", _) => elicitation(&peer, era).await?,
        ("cancellation", _) => cancellation(&peer, era).await?,
        ("subscription", Era::Legacy) => changes_on_get_stream(&peer).await?,
        ("subscription", Era::Auto) => changes_on_listen_stream(&peer).await?,
        ("resumption", _) => resumption(&peer).await?,
        ("rounds", _) => rounds(&peer).await?,
        ("session_end", _) => return session_end(peer, options).await,
        _ => bail!("no such exercise"),
    }
    peer.service.cancel().await?;
    Ok(())
}

async fn list(peer: &Peer) -> anyhow::Result<()> {
    ensure!(
        peer.service
            .list_all_tools()
            .await?
            .iter()
            .any(|tool| tool.name == "echo"),
        "tools/list lacks echo"
    );
    ensure!(
        peer.service.list_all_prompts().await?.len() == 5,
        "prompts/list has not 5 prompts"
    );
    ensure!(
        peer.service.list_all_resources().await?.len() == 3,
        "resources/list has not 3 resources"
    );
    let templates = peer.service.list_all_resource_templates().await?;
    ensure!(
        templates.len() == 1,
        "resources/templates/list has not 1 template"
    );
    Ok(())
}

async fn call(peer: &Peer) -> anyhow::Result<()> {
    let message = "Grüße, 世界 — \"quoted\"\n\u{1F600}";
    ensure!(
        peer.said("echo", json!({ "message": message })).await? == message,
        "echo changed the message"
    );
    let failure = peer.call("test_error_handling", json!({})).await?;
    ensure!(
        failure.is_error == Some(true),
        "a failing tool was not reported as one"
    );
    let mut prompt = GetPromptRequestParams::new("test_prompt_with_arguments");
    prompt.arguments = json!({ "arg1": "a", "arg2": "b" }).as_object().cloned();
    let prompt = json!(peer.service.get_prompt(prompt).await?);
    let said = prompt["messages"][0]["content"]["text"]
        .as_str()
        .unwrap_or_default();
    ensure!(
        said.contains("arg1='a', arg2='b'"),
        "the prompt lost its arguments: {said}"
    );
    let read = peer
        .service
        .read_resource(ReadResourceRequestParams::new("test://template/42/data"))
        .await?;
    let read: Value = serde_json::from_str(
        json!(read)["contents"][0]["text"]
            .as_str()
            .unwrap_or_default(),
    )?;
    ensure!(read["id"] == "42", "the resource template lost its id");
    Ok(())
}

async fn progress(peer: &Peer) -> anyhow::Result<()> {
    peer.call("test_tool_with_progress", json!({})).await?;
    until("the progress arrives", async || {
        Ok(peer.handler.progress().len() >= 3)
    })
    .await?;
    let got = peer.handler.progress();
    ensure!(got == [0.0, 50.0, 100.0], "progress came as {got:?}");
    Ok(())
}

async fn sampling(peer: &Peer, era: Era) -> anyhow::Result<()> {
    let said = match era {
        Era::Legacy => {
            peer.said(
                "test_sampling",
                json!({ "prompt": "What is the capital of France?" }),
            )
            .await?
        }
        Era::Auto => {
            peer.said("test_input_required_result_sampling", json!({}))
                .await?
        }
    };
    ensure!(
        said.ends_with(": Paris"),
        "the answer of the model came back as: {said}"
    );
    Ok(())
}

async fn elicitation(peer: &Peer, era: Era) -> anyhow::Result<()> {
    let (said, wanted) = match era {
        Era::Legacy => (
            peer.said("test_elicitation", json!({ "message": "Who are you?" }))
                .await?,
            "my username",
        ),
        Era::Auto => (
            peer.said("test_input_required_result_elicitation", json!({}))
                .await?,
            "my name",
        ),
    };
    ensure!(
        said.contains(wanted),
        "the answer of the user came back as: {said}"
    );
    Ok(())
}

async fn rounds(peer: &Peer) -> anyhow::Result<()> {
    let said = peer
        .said("test_input_required_result_multi_round", json!({}))
        .await?;
    ensure!(
        said == "my name likes my color",
        "two rounds came back as: {said}"
    );
    Ok(())
}

async fn cancellation(peer: &Peer, era: Era) -> anyhow::Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos();
    let label = format!("{}-{}-{now}", era.name(), std::process::id());
    let outcome =
        async |wanted| Ok(peer.said("slow_outcome", json!({ "label": label })).await? == wanted);
    let slow = params("slow", json!({ "label": label, "seconds": 20 }));
    let request = ClientRequest::CallToolRequest(CallToolRequest::new(slow));
    let slow = peer
        .service
        .send_cancellable_request(request, PeerRequestOptions::no_options())
        .await?;
    until("the call runs", async || outcome("running").await).await?;
    slow.cancel(Some("no longer wanted".to_owned())).await?;
    until("the server notices the cancellation", async || {
        outcome("cancelled").await
    })
    .await
}

async fn changes_on_get_stream(peer: &Peer) -> anyhow::Result<()> {
    until("the GET stream opens", async || {
        Ok(peer.is_blind() || peer.witness.seen().opened > 0)
    })
    .await?;
    peer.service
        .subscribe(SubscribeRequestParams::new(WATCHED))
        .await?;
    peer.call("test_trigger_tool_change", json!({})).await?;
    peer.call("test_trigger_resource_update", json!({})).await?;
    until("both changes arrive", async || {
        Ok(peer.handler.heard("tools") && peer.handler.heard(WATCHED))
    })
    .await?;
    peer.service
        .unsubscribe(UnsubscribeRequestParams::new(WATCHED))
        .await?;
    Ok(())
}

async fn changes_on_listen_stream(peer: &Peer) -> anyhow::Result<()> {
    let wanted: SubscriptionFilter = serde_json::from_value(
        json!({ "toolsListChanged": true, "resourceSubscriptions": [WATCHED] }),
    )?;
    let mut subscription = peer.service.listen(wanted).await?;
    for tool in [
        "test_trigger_prompt_change",
        "test_trigger_tool_change",
        "test_trigger_resource_update",
    ] {
        peer.call(tool, json!({})).await?;
    }
    let mut got = HashSet::new();
    while got.len() < 2 {
        got.insert(
            match subscription
                .next()
                .await?
                .context("the stream ended early")?
            {
                ServerNotification::ToolListChangedNotification(_) => "tools",
                ServerNotification::ResourceUpdatedNotification(update)
                    if update.params.uri == WATCHED =>
                {
                    "watched"
                }
                other => bail!("a change came that was not asked for: {other:?}"),
            },
        );
    }
    subscription.cancel().await?;
    Ok(())
}

async fn resumption(peer: &Peer) -> anyhow::Result<()> {
    let said = peer.said("test_reconnection", json!({})).await?;
    ensure!(
        said == "Reconnection test completed",
        "the resumed call answered: {said}"
    );
    let seen = peer.witness.seen();
    if peer.is_blind() {
        return Ok(());
    }
    ensure!(
        seen.resumed > 0,
        "the stream was not resumed by Last-Event-ID"
    );
    ensure!(
        seen.refused == 0,
        "resuming was refused {} times",
        seen.refused
    );
    Ok(())
}

async fn session_end(peer: Peer, options: &Options) -> anyhow::Result<()> {
    peer.service.cancel().await?;
    until("DELETE ends the session", async || {
        Ok(peer.witness.seen().ended.is_some())
    })
    .await?;
    let session = peer.witness.seen().ended.unwrap_or_default();
    let after = options
        .http
        .post(&options.url)
        .header("accept", "application/json, text/event-stream")
        .header("mcp-session-id", session)
        .header("mcp-protocol-version", Era::Legacy.version().as_str())
        .json(&json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" }))
        .send()
        .await?;
    ensure!(
        after.status() == 404,
        "the ended session was answered {}",
        after.status()
    );
    Ok(())
}

async fn until(what: &str, probe: impl AsyncFn() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    let limit = Duration::from_secs(20);
    let waiting = async {
        while !probe().await? {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    };
    tokio::time::timeout(limit, waiting)
        .await
        .unwrap_or_else(|_| bail!("did not come about in {limit:?}: {what}"))
}
