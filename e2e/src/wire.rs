//! Raw clients: HTTP/1.1 by literal bytes and HTTP/2 by the `h2` crate, over TLS or plain TCP,
//! always to an address of this machine, whatever name they ask for.

mod answer;
pub mod frames;
mod http1;
mod http2;

use std::fmt;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll};

use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::{PATIENCE, authority};

pub use answer::Answer;
pub use http1::Http1;
pub use http2::{Http2, Opened, Outcome};

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().unwrap()
});

/// A version of HTTP, for tables that are driven through both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1
    Http1,
    /// HTTP/2
    Http2,
}

/// Both.
pub const BOTH: [Protocol; 2] = [Protocol::Http1, Protocol::Http2];

/// How to connect: where to, and by which TLS.
#[derive(Clone, Debug)]
pub struct Client {
    address: SocketAddr,
    tls: bool,
    sni: String,
    roots: RootCertStore,
    versions: Vec<&'static SupportedProtocolVersion>,
    alpn: Option<Vec<Vec<u8>>>,
    identity: Option<Arc<Identity>>,
}

/// A client's certificate chain and key.
type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

impl Client {
    /// A client that trusts `root` alone and asks for `localhost` by SNI.
    ///
    /// # Panics
    /// Where `root` is no certificate.
    #[must_use]
    pub fn new(address: SocketAddr, root: &CertificateDer<'_>) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(root.clone().into_owned()).unwrap();
        Self {
            address,
            tls: true,
            sni: "localhost".to_owned(),
            roots,
            versions: rustls::ALL_VERSIONS.to_vec(),
            alpn: None,
            identity: None,
        }
    }

    /// Without TLS.
    #[must_use]
    pub fn plain(mut self) -> Self {
        self.tls = false;
        self
    }

    /// The name in SNI, which the certificate must hold; an address sends none.
    #[must_use]
    pub fn sni(mut self, name: &str) -> Self {
        name.clone_into(&mut self.sni);
        self
    }

    /// Only this version of TLS: `rustls::version::TLS12` or `TLS13`.
    #[must_use]
    pub fn version(mut self, version: &'static SupportedProtocolVersion) -> Self {
        self.versions = vec![version];
        self
    }

    /// These protocols by ALPN, in place of the one that is then spoken.
    #[must_use]
    pub fn alpn(mut self, protocols: &[&str]) -> Self {
        self.alpn = Some(
            protocols
                .iter()
                .map(|name| name.as_bytes().to_vec())
                .collect(),
        );
        self
    }

    /// Shows this certificate where it is asked for one.
    #[must_use]
    pub fn identity(
        mut self,
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Self {
        self.identity = Some(Arc::new((chain, key)));
        self
    }

    /// Where it connects to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A connection for HTTP/1.1.
    ///
    /// # Panics
    /// Where it cannot be had.
    pub async fn http1(&self) -> Http1 {
        Http1::new(self.connect("http/1.1").await.unwrap())
    }

    /// A connection for HTTP/2.
    ///
    /// # Panics
    /// Where it cannot be had, or the server did not agree to `h2`.
    pub async fn http2(&self) -> Http2 {
        let client = self.clone();
        // An HTTP/2 connection must be looked after also while a test waits without letting its
        // own runtime run.
        let connected = RUNTIME.spawn(async move {
            let stream = client.connect("h2").await.unwrap();
            assert_ne!(stream.alpn().as_deref(), Some("http/1.1"), "no h2 by ALPN");
            Http2::new(stream).await
        });
        connected.await.unwrap()
    }

    /// Sends one request on a new connection and reads the whole answer.
    ///
    /// # Panics
    /// Where no answer comes.
    pub async fn ask(&self, protocol: Protocol, ask: &Ask) -> Answer {
        match protocol {
            Protocol::Http1 => self.http1().await.ask(ask).await,
            Protocol::Http2 => self.http2().await.ask(ask).await,
        }
    }

    /// A connection; `alpn` is offered where nothing else was said.
    ///
    /// # Errors
    /// What TCP or TLS says.
    pub async fn connect(&self, alpn: &str) -> std::io::Result<Stream> {
        bounded("a connection", async {
            #[expect(clippy::disallowed_methods, reason = "a test's client")]
            let tcp = TcpStream::connect(self.address).await?;
            tcp.set_nodelay(true)?;
            if !self.tls {
                return Ok(Stream::Plain(tcp));
            }
            let config = ClientConfig::builder_with_provider(authority::provider())
                .with_protocol_versions(&self.versions)
                .unwrap()
                .with_root_certificates(self.roots.clone());
            let mut config = match self.identity.as_deref() {
                Some((chain, key)) => config
                    .with_client_auth_cert(chain.clone(), key.clone_key())
                    .unwrap(),
                None => config.with_no_client_auth(),
            };
            config.alpn_protocols = match &self.alpn {
                Some(protocols) => protocols.clone(),
                None => vec![alpn.as_bytes().to_vec()],
            };
            let name = ServerName::try_from(self.sni.clone()).unwrap();
            let connector = TlsConnector::from(Arc::new(config));
            let stream = connector.connect(name, tcp).await?;
            Ok(Stream::Tls(Box::new(stream)))
        })
        .await
    }
}

/// A request in a form that both protocols can send.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The method.
    pub method: String,
    /// The path and query, or any other request target; HTTP/2 takes only the former.
    pub target: String,
    /// `Host` in HTTP/1.1, `:authority` in HTTP/2.
    pub host: Option<String>,
    /// Fields in order. `Content-Length` is added where there is content and HTTP/1.1.
    pub fields: Vec<(String, Vec<u8>)>,
    /// The content.
    pub body: Vec<u8>,
    /// Whether more content is announced than ever comes.
    pub unfinished: bool,
}

impl Ask {
    /// A request to `localhost`.
    #[must_use]
    pub fn new(method: &str, target: &str) -> Self {
        Self {
            method: method.to_owned(),
            target: target.to_owned(),
            host: Some("localhost".to_owned()),
            fields: Vec::new(),
            body: Vec::new(),
            unfinished: false,
        }
    }

    /// A JSON-RPC request, as MCP clients send it.
    #[must_use]
    pub fn call() -> Self {
        Self::post(
            r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","arguments":{}}}"#,
        )
    }

    /// A POST of JSON to `/mcp`.
    #[must_use]
    pub fn post(json: &str) -> Self {
        Self::new("POST", "/mcp")
            .field("content-type", "application/json")
            .field("accept", "application/json, text/event-stream")
            .body(json)
    }

    /// A preflight for `/mcp`.
    #[must_use]
    pub fn preflight(origin: &str, method: &str) -> Self {
        Self::new("OPTIONS", "/mcp")
            .field("origin", origin)
            .field("access-control-request-method", method)
    }

    /// Another path.
    #[must_use]
    pub fn target(mut self, target: &str) -> Self {
        target.clone_into(&mut self.target);
        self
    }

    /// Another host.
    #[must_use]
    pub fn host(mut self, host: &str) -> Self {
        self.host = Some(host.to_owned());
        self
    }

    /// No host.
    #[must_use]
    pub fn no_host(mut self) -> Self {
        self.host = None;
        self
    }

    /// One more field, also one of a name that is there.
    #[must_use]
    pub fn field(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.fields.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    /// `Origin`.
    #[must_use]
    pub fn origin(self, origin: impl AsRef<[u8]>) -> Self {
        self.field("origin", origin)
    }

    /// Without the fields of this name.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.fields
            .retain(|(key, _)| !key.eq_ignore_ascii_case(name));
        self
    }

    /// The content breaks off: more is announced than ever comes, on a connection that stays open.
    #[must_use]
    pub fn unfinished(mut self) -> Self {
        self.unfinished = true;
        self
    }

    /// The content.
    #[must_use]
    pub fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = body.as_ref().to_vec();
        self
    }
}

/// A number that no other request of this test process has, for `X-Case`.
#[must_use]
pub fn case() -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed).to_string()
}

/// A connection.
pub enum Stream {
    /// TCP.
    Plain(TcpStream),
    /// TLS over it.
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    /// What ALPN agreed on.
    #[must_use]
    pub fn alpn(&self) -> Option<String> {
        let Self::Tls(stream) = self else { return None };
        let protocol = stream.get_ref().1.alpn_protocol()?;
        Some(String::from_utf8_lossy(protocol).into_owned())
    }

    /// The TLS session, where there is one.
    #[must_use]
    pub fn tls(&self) -> Option<&rustls::ClientConnection> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(stream) => Some(stream.get_ref().1),
        }
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.tls().is_some() { "Tls" } else { "Plain" })
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

/// Waits for `future`, but not for ever.
async fn bounded<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("{what} did not come in {PATIENCE:?}"),
    }
}
