//! rmcp's client, put through the same exercises as the others in `e2e/clients`, in both eras.
//!
//! `rmcp-client URL [--ca FILE] [--http1] [--only EXERCISE]… [--connect PALISADE]` prints one JSON line
//! `{"client", "url", "http", "passed": [ERA/EXERCISE…], "failed": [{"exercise", "reason"}…]}`, `http` being the version
//! it was answered in; exit 0: all passed; 1: some did not. Without `--ca` the machine's own roots count. Over TLS it takes HTTP/2 if it is offered it; `--http1` forbids
//! that. `--connect`: by the standard streams of `PALISADE connect URL`. It needs a server that offers `e2e/upstreams/fixtures.json`.
#![expect(
    deprecated,
    reason = "sampling and resources/subscribe are deprecated, and speaking both eras is what this is for"
)]

mod exercises;
mod handler;
mod witness;

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use rmcp::model::{CallToolRequestParams, CallToolResult, JsonObject, ProtocolVersion};
use rmcp::service::{ClientLifecycleMode, ClientServiceExt as _, RoleClient, RunningService};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use serde_json::{Value, json};

use crate::handler::Handler;
use crate::witness::Witness;

const LIMIT: Duration = Duration::from_secs(60);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse(std::env::args().skip(1))?;
    let (mut passed, mut failed) = (Vec::new(), Vec::new());
    for (era, exercise) in exercises::all() {
        if options.command.is_some() && exercise == "session_end" {
            continue;
        }
        let title = format!("{}/{exercise}", era.name());
        if !options.only.is_empty()
            && !options
                .only
                .iter()
                .any(|only| *only == title || only == exercise)
        {
            continue;
        }
        let result = tokio::time::timeout(LIMIT, exercises::run(&options, era, exercise)).await;
        match result.unwrap_or_else(|_| bail!("took more than {LIMIT:?}")) {
            Ok(()) => passed.push(title),
            Err(error) => failed.push(json!({ "exercise": title, "reason": format!("{error:#}") })),
        }
    }
    let good = failed.is_empty() && !passed.is_empty();
    let http = if options.command.is_some() {
        "none".to_owned()
    } else {
        // The pool that the exercises used answers this too.
        let answer = options.http.get(&options.url).send().await?;
        format!("{:?}", answer.version())
    };
    println!(
        "{}",
        json!({ "client": "rmcp", "url": options.url, "http": http, "passed": passed, "failed": failed })
    );
    std::process::exit(i32::from(!good));
}

struct Options {
    url: String,
    http: reqwest::Client,
    only: Vec<String>,
    /// The command of a server that speaks stdio.
    command: Option<Vec<String>>,
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> anyhow::Result<Self> {
        const USAGE: &str =
            "usage: rmcp-client URL [--ca FILE] [--http1] [--only EXERCISE]… [--connect PALISADE]";
        let (mut url, mut only) = (None, Vec::new());
        let (mut ca, mut program) = (None, None);
        let mut http = reqwest::Client::builder();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--ca" => {
                    let path = arguments.next().context(USAGE)?;
                    let pem = std::fs::read(&path).with_context(|| path.clone())?;
                    http = http.tls_certs_only(
                        reqwest::Certificate::from_pem_bundle(&pem).context(path.clone())?,
                    );
                    ca = Some(path);
                }
                "--connect" => program = Some(arguments.next().context(USAGE)?),
                "--http1" => http = http.http1_only(),
                "--only" => only.push(arguments.next().context(USAGE)?),
                _ if url.is_none() && !argument.starts_with('-') => url = Some(argument),
                _ => bail!(USAGE),
            }
        }
        let url = url.context(USAGE)?;
        let command = program.map(|program| {
            let mut command = vec![program, "connect".to_owned(), url.clone()];
            command.extend(ca.into_iter().flat_map(|ca| ["--ca".to_owned(), ca]));
            command
        });
        Ok(Self {
            url,
            http: http.build()?,
            only,
            command,
        })
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Era {
    Legacy,
    /// Probes for 2026-07-28 first, and must find it.
    Auto,
}

impl Era {
    fn name(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::Auto => "auto",
        }
    }

    fn version(self) -> ProtocolVersion {
        match self {
            Self::Legacy => ProtocolVersion::V_2025_11_25,
            Self::Auto => ProtocolVersion::V_2026_07_28,
        }
    }
}

/// A connected client and what is known of its traffic.
struct Peer {
    service: RunningService<RoleClient, Handler>,
    handler: Handler,
    witness: Witness,
    /// The command that it speaks to; killed when it is dropped.
    child: Option<tokio::process::Child>,
}

impl Peer {
    async fn connect(options: &Options, era: Era) -> anyhow::Result<Self> {
        let witness = Witness::new(options.http.clone());
        let handler = Handler::default();
        let config = StreamableHttpClientTransportConfig::with_uri(options.url.as_str());
        let transport = StreamableHttpClientTransport::with_client(witness.clone(), config);
        let lifecycle = match era {
            Era::Legacy => ClientLifecycleMode::Initialize,
            Era::Auto => ClientLifecycleMode::Auto {
                preferred_versions: vec![era.version()],
                legacy_version: None,
            },
        };
        let mut child = None;
        let service = match &options.command {
            None => {
                handler
                    .clone()
                    .serve_with_lifecycle(transport, lifecycle)
                    .await?
            }
            Some(command) => {
                let mut started = tokio::process::Command::new(&command[0])
                    .args(&command[1..])
                    .stdin(Stdio::piped())
                    .stdout(Stdio::piped())
                    .kill_on_drop(true)
                    .spawn()
                    .context("palisade connect")?;
                let streams = started.stdout.take().zip(started.stdin.take());
                let streams = streams.context("the child has no streams")?;
                child = Some(started);
                handler
                    .clone()
                    .serve_with_lifecycle(streams, lifecycle)
                    .await?
            }
        };
        let version = service
            .peer_info()
            .map(|info| info.protocol_version.clone());
        ensure!(
            version == Some(era.version()),
            "{} was to be negotiated, not {version:?}",
            era.version()
        );
        Ok(Self {
            service,
            handler,
            witness,
            child: child,
        })
    }

    /// Whether it sees no HTTP.
    fn is_blind(&self) -> bool {
        self.child.is_some()
    }

    /// Calls a tool, through all rounds it asks for.
    async fn call(&self, name: &'static str, arguments: Value) -> anyhow::Result<CallToolResult> {
        Ok(self.service.call_tool(params(name, arguments)).await?)
    }

    /// The text of a tool's answer.
    async fn said(&self, name: &'static str, arguments: Value) -> anyhow::Result<String> {
        let result = self.call(name, arguments).await?;
        Ok(result
            .content
            .iter()
            .filter_map(|block| block.as_text())
            .map(|text| text.text.as_str())
            .collect())
    }
}

fn params(name: &'static str, arguments: Value) -> CallToolRequestParams {
    let arguments: JsonObject = arguments.as_object().cloned().unwrap_or_default();
    CallToolRequestParams::new(name).with_arguments(arguments)
}
