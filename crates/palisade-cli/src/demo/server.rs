//! The MCP server behind `palisade demo`: the official SDK's, both protocol eras.

use std::time::Duration;

use rmcp::handler::server::router::tool::ToolRouter;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::{Implementation, ProgressNotificationParam, ServerCapabilities, ServerConfig};
use rmcp::service::RequestContext;
use rmcp::{RoleServer, ServerHandler, schemars, tool, tool_handler, tool_router};

use super::fetch::Fetcher;

/// Five tools, one of each kind that a gateway meets.
#[derive(Clone)]
pub(super) struct DemoServer {
    #[expect(dead_code, reason = "read by the code of `tool_handler`")]
    tool_router: ToolRouter<Self>,
    fetcher: Option<Fetcher>,
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Echo {
    /// What to say back.
    message: String,
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Add {
    a: i64,
    b: i64,
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Slow {
    /// How long to take, in seconds; at most 60.
    seconds: u64,
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct FetchUrl {
    /// An http or https URL on the public internet.
    url: String,
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct DeleteNote {
    /// The note's name.
    name: String,
}

#[tool_router]
impl DemoServer {
    /// `None`: this machine names no DNS servers or no trusted certificates, so nothing can be
    /// fetched.
    pub(super) fn new(fetcher: Option<Fetcher>) -> Self {
        Self {
            tool_router: Self::tool_router(),
            fetcher,
        }
    }

    #[tool(
        description = "Says the message back",
        annotations(read_only_hint = true)
    )]
    fn echo(&self, Parameters(Echo { message }): Parameters<Echo>) -> String {
        message
    }

    #[tool(description = "Adds two numbers", annotations(read_only_hint = true))]
    fn add(&self, Parameters(Add { a, b }): Parameters<Add>) -> Result<String, String> {
        a.checked_add(b)
            .map(|sum| sum.to_string())
            .ok_or_else(|| "the sum is too large".to_owned())
    }

    #[tool(
        description = "Takes its time and reports progress every second",
        annotations(read_only_hint = true)
    )]
    async fn slow(
        &self,
        Parameters(Slow { seconds }): Parameters<Slow>,
        context: RequestContext<RoleServer>,
    ) -> Result<String, String> {
        let seconds = seconds.min(60);
        let token = context.meta.get_progress_token();
        #[expect(clippy::cast_precision_loss, reason = "at most 60")]
        for done in 1..=seconds {
            tokio::select! {
                () = tokio::time::sleep(Duration::from_secs(1)) => {}
                () = context.ct.cancelled() => return Err("cancelled".to_owned()),
            }
            if let Some(token) = &token {
                let progress = ProgressNotificationParam::new(token.clone(), done as f64)
                    .with_total(seconds as f64);
                // A client that left needs no progress.
                let _ = context.peer.notify_progress(progress).await;
            }
        }
        Ok(format!("{seconds} s"))
    }

    #[tool(
        description = "Fetches a page from the public internet",
        annotations(open_world_hint = true)
    )]
    async fn fetch_url(
        &self,
        Parameters(FetchUrl { url }): Parameters<FetchUrl>,
    ) -> Result<String, String> {
        match &self.fetcher {
            Some(fetcher) => fetcher.text(&url).await,
            None => Err("this machine names no DNS servers or no trusted certificates".to_owned()),
        }
    }

    #[tool(
        description = "Deletes a note (there are none)",
        annotations(destructive_hint = true)
    )]
    fn delete_note(
        &self,
        Parameters(DeleteNote { name }): Parameters<DeleteNote>,
    ) -> Result<String, String> {
        Err(format!("there is no note {name:?}"))
    }
}

#[tool_handler]
impl ServerHandler for DemoServer {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new(
                "palisade-demo",
                env!("CARGO_PKG_VERSION"),
            ))
            .with_instructions("The built-in server of `palisade demo`")
    }
}
