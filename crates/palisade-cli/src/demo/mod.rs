//! `palisade demo`: the whole gateway in front of a built-in MCP server.

mod fetch;
mod server;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;

use palisade_gateway::certs::local_ca;
use palisade_gateway::config::{self, Flags};
use palisade_gateway::serve::Gateway;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};

use crate::arguments::Demo;
use crate::serve::{data_directory, exit_code, say_where};
use crate::{USAGE, signals};
use fetch::Fetcher;
use server::DemoServer;

/// What two gateways of one process share: the demo is served over TLS and in the clear.
pub(crate) fn run(demo: &Demo) -> anyhow::Result<ExitCode> {
    let upstream = upstream()?;
    let mut stop = signals::stop()?;
    let Some(data) = data_directory() else {
        return Err(local_ca::CaError::NoDirectory.into());
    };

    let mut gateways: Vec<Gateway> = Vec::new();
    for (listen, tls) in [(demo.listen_tls, true), (demo.listen, false)] {
        let text = file(listen, tls, upstream);
        let (settings, problems) =
            config::resolve(Some(("demo".as_ref(), &text)), [], &Flags::default());
        if problems.has_errors() {
            anstream::eprintln!("{}", problems.render(true));
            return Ok(ExitCode::from(USAGE));
        }
        let gateway = match gateways.first() {
            None => Gateway::prepare(&settings, Some(data.clone()))?,
            Some(first) => first.prepare_beside(&settings, Some(data.clone()))?,
        };
        if tls {
            say_where(&settings, &gateway);
        }
        gateways.push(gateway);
    }
    let addresses: Vec<SocketAddr> = gateways.iter().flat_map(Gateway::addresses).collect();
    greet(&addresses, &data.join("ca.pem").display().to_string());

    let mut stops = Vec::new();
    let mut running = Vec::new();
    for gateway in gateways {
        let (sender, receiver) = tokio::sync::mpsc::channel(2);
        stops.push(sender);
        running.push(thread::spawn(move || gateway.run(receiver)));
    }
    thread::spawn(move || {
        while stop.blocking_recv().is_some() {
            for sender in &stops {
                let _ = sender.blocking_send(());
            }
        }
    });
    let mut code = ExitCode::SUCCESS;
    for gateway in running {
        if let Ok(ended) = gateway.join() {
            code = exit_code(ended);
        }
    }
    Ok(code)
}

fn file(listen: SocketAddr, tls: bool, upstream: SocketAddr) -> String {
    let tls = if tls { "[tls]\nlocal = true\n" } else { "" };
    format!(
        "listen = \"{listen}\"\nworkers = 1\n{tls}[drain]\ndeadline = \"2s\"\n[[server]]\nname = \"demo\"\n\
         path = \"/mcp\"\nupstream = \"http://{upstream}/mcp\"\n"
    )
}

/// Starts the built-in server on a free port of this machine.
fn upstream() -> anyhow::Result<SocketAddr> {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    thread::Builder::new()
        .name("demo-server".to_owned())
        .spawn(move || {
            runtime.block_on(async move {
                let fetcher = Fetcher::new();
                let fetcher = fetcher
                    .inspect_err(|error| tracing::warn!(%error, "fetch_url has no way out"))
                    .ok();
                let service = StreamableHttpService::new(
                    move || Ok(DemoServer::new(fetcher.clone())),
                    Arc::new(LocalSessionManager::default()),
                    StreamableHttpServerConfig::default(),
                );
                let router = axum::Router::new().nest_service("/mcp", service);
                match tokio::net::TcpListener::from_std(listener) {
                    Ok(listener) => {
                        if let Err(error) = axum::serve(listener, router).await {
                            tracing::error!(%error, "the demo's server ended");
                        }
                    }
                    Err(error) => tracing::error!(%error, "the demo's server cannot listen"),
                }
            });
        })?;
    Ok(address)
}

fn greet(addresses: &[SocketAddr], ca: &str) {
    let [tls, plain] = addresses else { return };
    let (tls, plain) = (tls.port(), plain.port());
    anstream::eprintln!(
        r#"
An MCP server with the tools echo, add, slow, fetch_url and delete_note stands behind
  https://localhost:{tls}/mcp   (certificate authority: {ca})
  http://localhost:{plain}/mcp

Try it; each command is followed by what to expect.

  call='{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"add","arguments":{{"a":2,"b":3}},"_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{{"name":"curl","version":"1"}},"io.modelcontextprotocol/clientCapabilities":{{}}}}}}}}'
  mcp() {{ curl -sS -i --cacert {ca} -H 'content-type: application/json' \
    -H 'accept: application/json, text/event-stream' -H 'mcp-protocol-version: 2026-07-28' \
    -H 'mcp-method: tools/call' -H 'mcp-name: add' -d "$call" "$@" https://localhost:{tls}/mcp; }}

  mcp                                      200 and 5; the call stands on this terminal as an audit record
  mcp -H 'host: evil.example'              403 host.not_allowed: DNS rebinding ends here
  mcp -H 'origin: https://evil.example'    403 origin.not_allowed: no page of another site may call
  call='{{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"tools/call"}}' mcp
                                           400 message.malformed: one message, one reading
  npx @modelcontextprotocol/inspector --cli http://localhost:{plain}/mcp --transport http --method tools/list
                                           the five tools

Ctrl-C ends it.
"#
    );
}
