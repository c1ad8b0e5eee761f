//! One gateway before several upstreams: a server each, by path.

use e2e::wire::{Answer, Ask, Protocol};
use e2e::{Palisade, Reply, Upstream};
use serde_json::Value as Json;

/// The gateway and what stands behind it.
pub(crate) struct Rig {
    pub(crate) palisade: Palisade,
    upstreams: Vec<(String, Upstream)>,
}

/// A server of a [`Rig`]: its name, its upstream, more lines of its section.
pub(crate) struct Server(String, Upstream, String);

/// A server at `/name`.
pub(crate) fn server(name: &str, upstream: Upstream) -> Server {
    Server(name.to_owned(), upstream, String::new())
}

/// The same, always with one answer.
pub(crate) fn always(name: &str, reply: Reply) -> Server {
    server(name, Upstream::always(reply))
}

impl Server {
    /// More lines of its section.
    pub(crate) fn with(mut self, lines: &str) -> Self {
        self.2.push_str(lines);
        self.2.push('\n');
        self
    }
}

impl Rig {
    pub(crate) fn new(config: &str, servers: impl IntoIterator<Item = Server>) -> Self {
        let mut text = format!("{config}\n");
        let mut upstreams = Vec::new();
        for Server(name, upstream, lines) in servers {
            text.push_str(&section(&name, &upstream.url(), &lines));
            upstreams.push((name, upstream));
        }
        Self {
            palisade: Palisade::with(&text),
            upstreams,
        }
    }

    pub(crate) fn upstream(&self, name: &str) -> &Upstream {
        let fits = |(known, _): &&(String, Upstream)| known == name;
        &self.upstreams.iter().find(fits).unwrap().1
    }

    /// Sends to the server's path on a new connection.
    pub(crate) async fn ask(&self, name: &str, protocol: Protocol, ask: &Ask) -> Answer {
        let ask = ask.clone().target(&format!("/{name}"));
        self.palisade.client().ask(protocol, &ask).await
    }

    /// The same, and its record.
    pub(crate) async fn recorded(
        &self,
        name: &str,
        protocol: Protocol,
        ask: &Ask,
    ) -> (Answer, Json) {
        let answer = self.ask(name, protocol, ask).await;
        let record = self.palisade.record_of(&answer);
        (answer, record)
    }
}

/// A `[[server]]` at `/name`.
pub(crate) fn section(name: &str, url: &str, lines: &str) -> String {
    format!("[[server]]\nname = \"{name}\"\npath = \"/{name}\"\nupstream = \"{url}\"\n{lines}\n")
}

/// A `tools/call` of 2026-07-28 with the headers that mirror it.
pub(crate) fn modern(id: u64, tool: &str) -> Ask {
    modern_request(
        id,
        "tools/call",
        &serde_json::json!({ "name": tool, "arguments": {} }),
    )
    .field("mcp-name", tool)
}

/// A request of 2026-07-28, with `Mcp-Method` and `MCP-Protocol-Version`.
pub(crate) fn modern_request(id: u64, method: &str, params: &Json) -> Ask {
    let mut params = params.clone();
    params["_meta"] = serde_json::json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "1" },
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let json =
        serde_json::json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
    Ask::post(&json.to_string())
        .field("mcp-protocol-version", "2026-07-28")
        .field("mcp-method", method)
}
