//! The client of an HTTP upstream.
//!
//! One per worker, with connections of its own. A request is never sent twice: it is tried on
//! another connection only if not one byte of it has left. Answers stream; when the client leaves,
//! the upstream's connection closes at once.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::marker::PhantomData;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{Method, Request, Response};
use http_body::{Body, Frame, SizeHint};
use palisade::{Answer, Exchange, Reason, Rejection};
use palisade_http1::client::{Connection, Outgoing, ResponseBody, SendError};
use palisade_http1::{Fault, HeadLimits};
use pin_project_lite::pin_project;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tower_service::Service;

use super::head::{self, Client, LastHead, Target};
use super::keep_alive::KeepAlive;
use super::pool::Pool;
use super::stream::Stream;
use crate::auth::{Told, public_challenge};

/// Bounds of an answer's head. Servers are trusted further than clients, but not without end.
const HEAD_LIMITS: HeadLimits = HeadLimits {
    bytes: 256 * 1024,
    fields: 256,
};

/// Connections that are opened at a time, per worker and upstream: less than the queue of a listener
/// that was given none (128). A queue that overflows costs whoever comes next a second, which is how
/// long TCP waits before it asks again.
const MAX_OPENING: usize = 32;

/// What an upstream client is made of.
#[derive(Clone)]
pub struct Config {
    /// Where requests go.
    pub target: Target,
    /// For `https` upstreams.
    pub tls: Arc<rustls::ClientConfig>,
    /// How long a connection may take to stand, TLS included.
    pub connect_timeout: Duration,
    /// After how long a silence a comment is sent on an event stream; `None`: never.
    pub keep_alive: Option<Duration>,
    /// Whether a connection may be used again after a request with a body: only where the server
    /// is known to read bodies. One that does not would take the body for the next request.
    pub reuse_after_body: bool,
    /// Scheme and authority that clients call, for `Location`.
    pub public_url: Option<Arc<str>>,
    /// What the upstream is told of the caller, or by which credential it is asked.
    pub told: Option<Arc<Told>>,
    /// Where the upstream's protected resource metadata stand in public, where it does its own
    /// OAuth: its challenges are to say so.
    pub metadata: Option<Arc<str>>,
    /// Turns `true` when the gateway drains: streams that stay open are ended.
    pub draining: watch::Receiver<bool>,
}

/// The tower service that forwards requests to one upstream.
pub struct Upstream<B> {
    shared: Arc<Shared<B>>,
}

struct Shared<B> {
    /// No other upstream of this process has it.
    number: u64,
    config: Config,
    pool: Pool,
    /// One for each connection that is being opened.
    opening: Semaphore,
    body: PhantomData<fn() -> B>,
}

impl<B> Clone for Upstream<B> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<B> Upstream<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// A client of its own connections; make one per worker.
    #[must_use]
    pub fn new(config: Config) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        Self {
            shared: Arc::new(Shared {
                number: COUNT.fetch_add(1, Ordering::Relaxed),
                config,
                pool: Pool::default(),
                opening: Semaphore::new(MAX_OPENING),
                body: PhantomData,
            }),
        }
    }
}

impl<B> Service<Request<B>> for Upstream<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<UpstreamBody<B>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move { Ok(shared.forward(request).await) })
    }
}

impl<B> Shared<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    async fn forward(&self, request: Request<B>) -> Response<UpstreamBody<B>> {
        let (mut parts, body) = request.into_parts();
        let exchange = Exchange::of(&mut parts);
        if self
            .config
            .told
            .as_ref()
            .is_some_and(|told| told.has_credential())
        {
            parts.headers.remove(http::header::AUTHORIZATION);
        }
        let reuse = self.config.reuse_after_body || body.is_end_stream();
        let result = match self.config.target.path(&parts.uri) {
            Some(path) => {
                self.send(self.outgoing(&parts, &path, body, &exchange))
                    .await
            }
            None => Err(Rejection::new(Reason::Internal)
                .with_detail("the path does not lie below the route")),
        };
        match result {
            Ok(response) => {
                let stays_open = parts.method == Method::GET || exchange.facts().is_subscription();
                self.answer(response, stays_open, reuse)
            }
            Err(rejection) => refuse(rejection, &exchange, parts),
        }
    }

    /// The request as the upstream gets it.
    fn outgoing(
        &self,
        parts: &Parts,
        path: &PathAndQuery,
        body: B,
        exchange: &Exchange,
    ) -> Outgoing<B> {
        let client = Client {
            address: exchange.connection().peer_text(),
            tls: exchange.connection().tls,
            host: parts.headers.get(http::header::HOST),
        };
        let target = &self.config.target;
        Outgoing::new(&parts.method, path, body, |fields| {
            exchange.connection().memo(|last: &mut LastHead| {
                last.put(
                    self.number,
                    target,
                    &parts.uri,
                    &parts.headers,
                    &client,
                    fields,
                );
            });
            head::put_request_id(exchange.id().as_bytes(), fields);
            if let Some(told) = &self.config.told {
                told.put(exchange, fields);
            }
        })
    }

    /// Sends the request on an idle connection or on a new one.
    async fn send(
        &self,
        mut outgoing: Outgoing<B>,
    ) -> Result<Response<ResponseBody<Stream, B>>, Rejection> {
        // A connection that the upstream closed in the meantime gives the request back unsent;
        // after a few of those something else is wrong.
        let mut tries = 0..4;
        loop {
            let idle = tries.next().and_then(|_| self.pool.take());
            let fresh = idle.is_none();
            let connection = match idle {
                Some(connection) => connection,
                // Boxed, for it is rare and large.
                None => Box::pin(self.connect()).await?,
            };
            match connection.send(outgoing).await {
                Ok(response) => return Ok(response),
                Err(SendError::Unsent(unsent)) if !fresh => outgoing = *unsent,
                Err(error) => return Err(failed(&error)),
            }
        }
    }

    async fn connect(&self) -> Result<Connection<Stream>, Rejection> {
        let config = &self.config;
        let opened = async {
            // Never closed, so always granted.
            let _permit = self.opening.acquire().await;
            self.handshake().await
        };
        let Ok(result) = timeout(config.connect_timeout, opened).await else {
            return Err(Rejection::new(Reason::UpstreamTimeout)
                .with_detail(format_args!(
                    "{} took longer than {:?} to connect",
                    config.target.authority, config.connect_timeout
                ))
                .with_remedy("start the upstream, or raise `limits.timeouts.connect`"));
        };
        result
    }

    async fn handshake(&self) -> Result<Connection<Stream>, Rejection> {
        let target = &self.config.target;
        let unreachable = |error: &dyn std::fmt::Display| {
            Rejection::new(Reason::UpstreamUnreachable)
                .with_detail(format_args!("{}: {error}", target.authority))
                .with_remedy("start the upstream, or correct `upstream`")
        };
        let stream = open(target).await.map_err(|error| unreachable(&error))?;
        if !target.tls {
            return Ok(Connection::new(Stream::Plain(stream), HEAD_LIMITS));
        }
        let name =
            ServerName::try_from(target.authority.host().trim_matches(['[', ']']).to_owned())
                .map_err(|error| unreachable(&error))?;
        let connector = TlsConnector::from(Arc::clone(&self.config.tls));
        match connector.connect(name, stream).await {
            Ok(stream) => Ok(Connection::new(Stream::Tls(Box::new(stream)), HEAD_LIMITS)),
            Err(error) if is_untrusted(&error) => Err(Rejection::new(Reason::UpstreamUntrusted)
                .with_detail(format_args!("{}: {error}", target.authority))
                .with_remedy("add the certificate authority's file to the system's roots")),
            Err(error) => Err(unreachable(&error)),
        }
    }

    fn answer(
        &self,
        response: Response<ResponseBody<Stream, B>>,
        stays_open: bool,
        reuse: bool,
    ) -> Response<UpstreamBody<B>> {
        let (mut parts, mut body) = response.into_parts();
        head::to_client(
            &self.config.target,
            &mut parts.headers,
            self.config.public_url.as_deref(),
        );
        if let Some(metadata) = &self.config.metadata
            && matches!(parts.status.as_u16(), 401 | 403)
        {
            challenge(&mut parts.headers, metadata);
        }
        parts.version = http::Version::HTTP_11;
        let events = palisade::media::is_event_stream(&parts.headers);
        let lease = Lease {
            pool: reuse.then(|| self.pool.clone()),
        };
        if body.is_end_stream() {
            // Nobody polls a body that is over from the start (202 to a notification), so nobody
            // would come to its end.
            lease.end(&mut body);
        }
        let body = if events && let Some(every) = self.config.keep_alive {
            // Comments may come in between, and a drain may end it early.
            parts.headers.remove(http::header::CONTENT_LENGTH);
            let mut body = KeepAlive::new(body, every);
            if stays_open {
                let mut draining = self.config.draining.clone();
                body = body.until(Box::pin(async move {
                    let _ = draining.wait_for(|draining| *draining).await;
                }));
            }
            UpstreamBody::Events {
                body: Box::pin(body),
                lease,
            }
        } else {
            UpstreamBody::Plain { body, lease }
        };
        Response::from_parts(parts, body)
    }
}

/// The answer where the upstream gave none, in the shape that the request asks for.
fn refuse<B>(rejection: Rejection, exchange: &Exchange, parts: Parts) -> Response<UpstreamBody<B>> {
    let id = exchange
        .facts()
        .calls
        .first()
        .and_then(|call| call.id.clone());
    rejection
        .with_id(id)
        .into_response(&parts)
        .map(|body| UpstreamBody::Refusal {
            body: Answer::own(body),
        })
}

/// The upstream's challenges, by which a client finds the public metadata.
fn challenge(headers: &mut http::HeaderMap, metadata: &str) {
    let http::header::Entry::Occupied(mut entry) = headers.entry(http::header::WWW_AUTHENTICATE)
    else {
        return;
    };
    for value in entry.iter_mut() {
        if let Some(public) = public_challenge(value, metadata) {
            *value = public;
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the upstream")]
async fn open(target: &Target) -> io::Result<TcpStream> {
    let host = target.authority.host().trim_matches(['[', ']']);
    let stream = if let Ok(address) = host.parse::<IpAddr>() {
        TcpStream::connect(SocketAddr::new(address, target.port())).await?
    } else {
        TcpStream::connect((host, target.port())).await?
    };
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn failed<B>(error: &SendError<B>) -> Rejection {
    let (reason, remedy) = match error {
        SendError::Malformed(_) | SendError::Interim => (
            Reason::UpstreamMalformed,
            "look whether `upstream` names an HTTP server, by its scheme and port",
        ),
        _ => (
            Reason::UpstreamUnreachable,
            "look into the upstream's own log; the request was not sent again",
        ),
    };
    Rejection::new(reason)
        .with_detail(error)
        .with_remedy(remedy)
}

fn is_untrusted(error: &io::Error) -> bool {
    error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>())
        .is_some_and(|error| matches!(error, rustls::Error::InvalidCertificate(_)))
}

pin_project! {
    /// The upstream's answer as it streams through.
    #[project = UpstreamBodyProjection]
    #[allow(missing_docs, reason = "pin_project fields of the variants")]
    pub enum UpstreamBody<B> {
        /// Bytes as they come.
        Plain { body: ResponseBody<Stream, B>, lease: Lease },
        /// An event stream, with comments in its silences.
        Events { body: Pin<Box<KeepAlive<ResponseBody<Stream, B>>>>, lease: Lease },
        /// No answer came.
        Refusal { #[pin] body: Answer<http_body_util::Empty<Bytes>> },
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for UpstreamBody<B> {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        match self.project() {
            UpstreamBodyProjection::Plain { body, lease } => {
                let frame = ready!(Pin::new(&mut *body).poll_frame(cx));
                if body.is_end_stream() {
                    lease.end(body);
                }
                Poll::Ready(frame)
            }
            UpstreamBodyProjection::Events { body, lease } => {
                let frame = ready!(body.as_mut().poll_frame(cx));
                if frame.is_none() {
                    lease.end(body.as_mut().get_body());
                }
                Poll::Ready(frame)
            }
            UpstreamBodyProjection::Refusal { body } => body
                .poll_frame(cx)
                .map(|frame| frame.map(|frame| frame.map_err(|never| match never {}))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Plain { body, .. } => body.is_end_stream(),
            Self::Events { body, .. } => body.is_end_stream(),
            Self::Refusal { body } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Plain { body, .. } => body.size_hint(),
            Self::Events { body, .. } => body.size_hint(),
            Self::Refusal { body } => body.size_hint(),
        }
    }
}

/// Where a connection goes after its answer; an answer dropped before its end closes it.
pub struct Lease {
    /// `None`: it is closed after this answer.
    pool: Option<Pool>,
}

impl Lease {
    fn end<B>(&self, body: &mut ResponseBody<Stream, B>) {
        if let (Some(connection), Some(pool)) = (body.take_connection(), &self.pool) {
            pool.give(connection);
        }
    }
}
