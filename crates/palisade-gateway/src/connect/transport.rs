//! HTTP to the server: HTTP/2 where it offers that, else HTTP/1.1; one pool of connections.

use std::error::Error as StdError;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsConnector;
use tower_service::Service;

use super::backoff::Backoff;
use super::target::Target;
use crate::upstream::stream::Stream;

/// The way to the server.
#[derive(Clone, Debug)]
pub(super) struct Transport {
    client: Client<Connector, Full<Bytes>>,
    target: Arc<Target>,
}

/// Why no answer came.
#[derive(Debug)]
pub(super) enum Broken {
    /// The connection broke while the request was on its way; the server may have acted on it.
    Lost(String),
    /// No answer came in this time.
    Silent(Duration),
    /// There is no connection, so the server knows nothing of the request.
    Unreached {
        cause: String,
        /// The certificate is not one of the server's, or nobody who is trusted vouches for it.
        untrusted: bool,
    },
}

/// To connect, TLS included.
const CONNECT: Duration = Duration::from_secs(10);

/// How long a request waits for a server that cannot be reached, which may be starting again.
const RETURN: Duration = Duration::from_secs(5);

/// Connections are kept idle for less than the 5 s after which Node's server closes its own.
const IDLE: Duration = Duration::from_secs(4);

/// A connection on which nothing arrives is tried after this time, three times in this distance.
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(10));

impl Transport {
    pub(super) fn new(target: Arc<Target>, tls: Arc<ClientConfig>) -> Self {
        let connector = Connector {
            target: Arc::clone(&target),
            tls,
        };
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .http2_keep_alive_interval(KEEPALIVE.0)
            .http2_keep_alive_timeout(KEEPALIVE.1)
            .http2_keep_alive_while_idle(false)
            .build(connector);
        Self { client, target }
    }

    pub(super) fn target(&self) -> &Target {
        &self.target
    }

    /// Sends a request and waits for the head of its answer for at most `patience`. A server that
    /// cannot be reached is tried again for a while; a request that was sent is not sent again.
    pub(super) async fn send(
        &self,
        method: &Method,
        headers: &HeaderMap,
        body: &Bytes,
        patience: Duration,
    ) -> Result<Response<Incoming>, Broken> {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        let until = Instant::now() + RETURN;
        loop {
            let mut request = Request::new(Full::new(body.clone()));
            *request.method_mut() = method.clone();
            *request.uri_mut() = self.target.uri.clone();
            request.headers_mut().clone_from(headers);
            let broken = match timeout(patience, self.client.request(request)).await {
                Err(_) => return Err(Broken::Silent(patience)),
                Ok(Ok(response)) => return Ok(response),
                Ok(Err(error)) => Broken::of(&error),
            };
            let may_return = matches!(
                broken,
                Broken::Unreached {
                    untrusted: false,
                    ..
                }
            );
            let pause = backoff.pause();
            if !may_return || Instant::now() + pause > until {
                return Err(broken);
            }
            sleep(pause).await;
        }
    }
}

impl Broken {
    fn of(error: &ClientError) -> Self {
        if !error.is_connect() {
            return Self::Lost(causes(error));
        }
        let mut at: Option<&(dyn StdError + 'static)> = error.source();
        while let Some(cause) = at {
            if let Some(refused) = cause.downcast_ref::<io::Error>() {
                return Self::Unreached {
                    cause: refused.to_string(),
                    untrusted: is_untrusted(refused),
                };
            }
            at = cause.source();
        }
        Self::Unreached {
            cause: causes(error),
            untrusted: false,
        }
    }
}

/// An error with what caused it: the first alone says little.
pub(super) fn causes(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut at = error.source();
    while let Some(cause) = at {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        at = cause.source();
    }
    text
}

fn is_untrusted(error: &io::Error) -> bool {
    let inner = error.get_ref();
    inner
        .and_then(|inner| inner.downcast_ref::<rustls::Error>())
        .is_some_and(|error| matches!(error, rustls::Error::InvalidCertificate(_)))
}

/// Opens connections to the one server there is.
#[derive(Clone, Debug)]
struct Connector {
    target: Arc<Target>,
    tls: Arc<ClientConfig>,
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<TokioIo<Stream>>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    // Never another server than the configured one, whatever the URI.
    fn call(&mut self, _: Uri) -> Self::Future {
        let Self { target, tls } = self.clone();
        Box::pin(async move {
            let opened = timeout(CONNECT, open(&target, tls)).await;
            let late = || {
                io::Error::new(
                    io::ErrorKind::TimedOut,
                    format!("no connection within {CONNECT:?}"),
                )
            };
            opened.unwrap_or_else(|_| Err(late())).map(TokioIo::new)
        })
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one address that whoever runs this has named"
)]
async fn open(target: &Target, tls: Arc<ClientConfig>) -> io::Result<Stream> {
    let stream = match target.host.parse::<IpAddr>() {
        Ok(address) => TcpStream::connect(SocketAddr::new(address, target.port)).await?,
        Err(_) => TcpStream::connect((target.host.as_str(), target.port)).await?,
    };
    stream.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE.0)
        .with_interval(KEEPALIVE.1)
        .with_retries(3);
    SockRef::from(&stream).set_tcp_keepalive(&keepalive)?;
    if !target.tls {
        return Ok(Stream::Plain(stream));
    }
    let name = ServerName::try_from(target.host.clone())
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    let stream = TlsConnector::from(tls).connect(name, stream).await?;
    Ok(Stream::Tls(Box::new(stream)))
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        match self {
            Self::Tls(stream) if stream.get_ref().1.alpn_protocol() == Some(b"h2") => {
                Connected::new().negotiated_h2()
            }
            Self::Plain(_) | Self::Tls(_) => Connected::new(),
        }
    }
}
