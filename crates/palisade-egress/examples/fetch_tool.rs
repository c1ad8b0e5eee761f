//! An MCP server over stdio with one tool, `fetch`, that a model cannot talk into reaching the
//! machine's own network: `cargo run -p palisade-egress --example fetch_tool`.

use std::sync::Arc;

use palisade_egress::client::{Client, FetchError};
use palisade_egress::{DnsResolver, Guard, Policy};
use rmcp::handler::server::router::tool::ToolRouter;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::{CallToolResult, ContentBlock, ServerCapabilities, ServerConfig};
use rmcp::{ErrorData, ServerHandler, ServiceExt as _, schemars, tool, tool_handler, tool_router};

/// The server.
#[derive(Clone)]
pub(crate) struct Fetcher {
    client: Client,
    #[expect(dead_code, reason = "read by the code of `tool_handler`")]
    tool_router: ToolRouter<Self>,
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Page {
    /// An http or https URL on the public internet.
    url: String,
}

#[tool_router]
impl Fetcher {
    pub(crate) fn new(client: Client) -> Self {
        Self {
            client,
            tool_router: Self::tool_router(),
        }
    }

    #[tool(
        description = "Fetches a page from the public internet",
        annotations(open_world_hint = true, read_only_hint = true)
    )]
    async fn fetch(
        &self,
        Parameters(Page { url }): Parameters<Page>,
    ) -> Result<CallToolResult, ErrorData> {
        match self.client.get(&url).await {
            Ok(page) => {
                let text = page.text().into_owned();
                Ok(CallToolResult::success(vec![ContentBlock::text(text)]))
            }
            // A certificate that cannot be proven is no answer of the tool.
            Err(error @ FetchError::Certificate { .. }) => {
                Err(ErrorData::internal_error(error.to_string(), None))
            }
            // The text names the rule and no address, so the model may read it.
            Err(error) => {
                let text = ContentBlock::text(error.to_string());
                Ok(CallToolResult::error(vec![text]))
            }
        }
    }
}

#[tool_handler]
impl ServerHandler for Fetcher {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let policy = Arc::new(Policy::builder().build()?);
    let resolver = Arc::new(DnsResolver::of_this_machine(false)?);
    let client = Client::builder(Guard::new(policy, resolver)).build()?;
    let server = Fetcher::new(client).serve(rmcp::transport::stdio()).await?;
    server.waiting().await?;
    Ok(())
}
