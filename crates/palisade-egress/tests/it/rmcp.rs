//! The example, as an MCP client sees it.

#[allow(dead_code, reason = "its `main` is not called here")]
#[path = "../../examples/fetch_tool.rs"]
mod fetch_tool;
use crate::support::{LoopbackDialer, Names, guard, policy};
use palisade_egress::client::Client;
use rmcp::ServiceExt as _;
use rmcp::model::{CallToolRequestParams, CallToolResult};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

// REQ: E-1
#[tokio::test]
async fn a_tool_refuses_what_it_must_not_reach() {
    let page = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = page.local_addr().expect("an address");
    tokio::spawn(async move {
        let (mut stream, _) = page.accept().await.expect("a connection");
        let _ = stream.read(&mut [0; 4096]).await;
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
        stream.write_all(answer).await.expect("sent");
    });
    let policy = policy().allow_special([address.to_string()]);
    let guard = guard(
        policy,
        Names::loopback(&["page.example"]),
        <std::sync::Arc<LoopbackDialer>>::default(),
    );
    let client = Client::builder(guard).build().expect("a client");
    let (near, far) = tokio::io::duplex(64 << 10);
    let server = tokio::spawn(fetch_tool::Fetcher::new(client).serve(far));
    let client = ().serve(near).await.expect("a session");
    let _server = server.await.expect("no panic").expect("a session");
    let call = async |url: &str| -> CallToolResult {
        let arguments = serde_json::json!({ "url": url });
        let arguments = arguments.as_object().expect("an object").clone();
        let call = CallToolRequestParams::new("fetch").with_arguments(arguments);
        client.call_tool(call).await.expect("an answer")
    };
    for (url, code) in [
        (
            "http://169.254.169.254/latest/meta-data/iam/",
            "egress.address.platform",
        ),
        ("http://localhost:3000/", "egress.host.local"),
        ("http://0x7f.1/", "egress.address.loopback"),
        ("http://[::ffff:10.0.0.1]/", "egress.address.private"),
        ("file:///etc/passwd", "egress.url.scheme"),
    ] {
        let result = call(url).await;
        assert_eq!(result.is_error, Some(true), "{url}");
        let text = serde_json::to_string(&result.content).expect("content");
        assert!(text.contains(code), "{url}: {text}");
        assert!(
            !text.contains("169.254") && !text.contains("10.0.0.1"),
            "{text}"
        );
    }
    let result = call(&format!("http://page.example:{}/", address.port())).await;
    assert_ne!(result.is_error, Some(true));
    assert!(
        serde_json::to_string(&result.content)
            .expect("content")
            .contains("hello")
    );
}
