//! A few of the layers round an axum router, as the README shows them. `axum.rs` has the whole stack.
//!
//! ```text
//! cargo run -p palisade --example router
//! curl -i http://127.0.0.1:3000/mcp -H 'host: mcp.example.com' -H 'content-type: application/json' -d '{}'
//! ```

use std::error::Error;
use std::sync::Arc;

use axum::Router;
use axum::routing::post;
use palisade::GuardLayer;
use palisade::cors::{CorsLayer, CorsPolicy};
use palisade::headers::SecurityHeadersLayer;
use palisade::host::{HostGuard, HostSet};
use palisade::origin::OriginGuard;
use palisade::origins::OriginSet;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let origins = Arc::new(OriginSet::parse(["https://app.example.com"])?);
    let hosts = HostSet::parse(["mcp.example.com"])?;
    // The last layer of a router is the outermost.
    let router = Router::new()
        .route("/mcp", post(mcp))
        .layer(GuardLayer::new(OriginGuard::new(Arc::clone(&origins))))
        .layer(CorsLayer::new(CorsPolicy::builder(origins).build()?))
        .layer(GuardLayer::new(HostGuard::new(hosts)))
        .layer(SecurityHeadersLayer::default());

    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    axum::serve(listener, router).await?;
    Ok(())
}

async fn mcp() -> &'static str {
    "{}"
}
