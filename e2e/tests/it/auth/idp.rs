//! The authorization server, and a gateway that trusts it.

use e2e::{Palisade, Upstream};
use serde_json::{Value as Json, json};

use crate::peers::{Kind, Server};

/// oidc-provider.
pub(super) struct Idp(Server);

impl Idp {
    pub(super) fn start() -> Self {
        Self(Server::start(Kind::Idp))
    }

    /// One whose tokens last so many seconds.
    pub(super) fn lasting(seconds: u32) -> Self {
        Self(Server::start_with(Kind::Idp, &[&seconds.to_string()]))
    }

    pub(super) fn issuer(&self) -> &str {
        self.0.url()
    }

    /// `host:port`.
    pub(super) fn authority(&self) -> &str {
        self.issuer().trim_start_matches("http://")
    }

    /// `[auth]` of a gateway that trusts it.
    pub(super) fn section(&self) -> String {
        format!(
            "[auth]\nallow_special = [\"{}\"]\n[[auth.jwt]]\nissuer = \"{}\"\naudience = \"{RESOURCE}\"\n",
            self.authority(),
            self.issuer()
        )
    }

    pub(super) async fn control(&self, what: &str, body: &Json) -> Json {
        #[expect(clippy::disallowed_methods, reason = "a test's own server")]
        let stream = tokio::net::TcpStream::connect(self.authority());
        let stream = stream.await.unwrap();
        post(stream, &format!("/control/{what}"), self.authority(), body).await
    }

    /// A token by client credentials.
    pub(super) async fn token(&self, more: Json) -> String {
        let mut ask = json!({ "resource": RESOURCE, "scope": "mcp:read" });
        for (name, value) in more.as_object().unwrap() {
            ask[name] = value.clone();
        }
        let answer = self.control("token", &ask).await;
        let token = answer["access_token"].as_str();
        token.unwrap_or_else(|| panic!("{answer}")).to_owned()
    }
}

/// What tokens are for, unless a test says otherwise.
pub(super) const RESOURCE: &str = "https://mcp.example.com/mcp";

/// A gateway before `upstream` that trusts `idp`; `lines` are more of the server's section.
pub(super) fn gateway(idp: &Idp, upstream: &Upstream, lines: &str) -> Palisade {
    let url = upstream.url();
    Palisade::with(&format!(
        "{}[[server]]\nname = \"test\"\npath = \"/mcp\"\nupstream = \"{url}\"\n{lines}",
        idp.section()
    ))
}

async fn post(stream: tokio::net::TcpStream, path: &str, host: &str, body: &Json) -> Json {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = stream;
    let body = body.to_string();
    let head = format!(
        "POST {path} HTTP/1.0\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"))
}
