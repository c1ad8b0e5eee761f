//! The path of a connection, top to bottom: accept → caps → TLS → HTTP → the stack.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, Version};
use http_body::Body;
use hyper::body::Incoming;
use hyper::rt::{Read, Write};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use palisade::Connection;
use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tower_service::Service;

use crate::linger;
use crate::listen::h2::{self, Http2Limits};
use crate::listen::limits::ConnectionPermit;
use crate::listen::tls::{self, Alpn, TlsAcceptor};
use crate::request_body::{AnswerBody, RequestBody, Unread};

/// Turns connections into requests to a stack. One per worker and kind of listener.
pub struct Path<S> {
    /// The layers, down to the upstream.
    pub stack: S,
    /// `None`: plain HTTP.
    pub tls: Option<TlsAcceptor>,
    /// What HTTP itself may use up.
    pub http: HttpLimits,
    /// Turns `true` when the gateway drains.
    pub draining: watch::Receiver<bool>,
}

/// Bounds that the HTTP servers keep.
#[derive(Clone, Debug)]
pub struct HttpLimits {
    /// Header fields of one request.
    pub header_count: usize,
    /// Bytes of one request head.
    pub header_bytes: usize,
    /// From the first byte of a request, or the end of the one before, to the end of its head.
    pub header_timeout: Duration,
    /// Of HTTP/2 connections.
    pub http2: Http2Limits,
}

/// The stack of a gateway: takes hyper's requests, never fails.
pub trait Stack:
    Service<Request<RequestBody>, Response = Response<Self::Body>, Error = Infallible, Future: Send>
    + Clone
    + Send
    + Sync
    + 'static
{
    /// The body of its answers.
    type Body: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static;
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl<B, S> Stack for S
where
    S: Service<Request<RequestBody>, Response = Response<B>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Body = B;
}

impl<S: Stack> Path<S> {
    /// Serves one accepted connection to its end. The `permit` is given back then.
    pub async fn serve(
        self: Arc<Self>,
        tcp: TcpStream,
        peer: SocketAddr,
        permit: ConnectionPermit,
    ) {
        let _permit = permit;
        let Some(acceptor) = &self.tls else {
            let connection = Connection::new(peer, false);
            return self.http1(TokioIo::new(tcp), connection).await;
        };
        match tls::accept(tcp, acceptor).await {
            Ok((stream, alpn)) => {
                let connection = Connection::new(peer, true);
                match alpn {
                    Alpn::Http2 => self.http2(stream, connection, peer).await,
                    Alpn::Http11 => self.http1(TokioIo::new(stream), connection).await,
                }
            }
            Err(error) => tracing::debug!(%peer, %error, kind = error.label(), "no TLS"),
        }
    }

    async fn http1<I>(&self, io: I, connection: Connection)
    where
        I: Read + Write + Unpin + Send + 'static,
    {
        let service = ToStack {
            stack: self.stack.clone(),
            connection,
        };
        let (io, home) = linger::lend(io);
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(self.http.header_timeout)
            .max_buf_size(self.http.header_bytes.max(MIN_BUFFER));
        // hyper's own bound is 100 fields, and any other costs every request some allocations.
        if self.http.header_count > HYPER_FIELDS {
            http.max_headers(self.http.header_count + 1);
        }
        let connection = http.serve_connection(io, service);
        let mut draining = self.draining.clone();
        let ended = {
            let mut connection = pin!(connection);
            tokio::select! {
                ended = connection.as_mut() => ended,
                () = drained(&mut draining) => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            }
        };
        note(ended);
        tokio::select! {
            () = home.linger() => {}
            () = drained(&mut draining) => {}
        }
    }

    async fn http2<I>(&self, io: I, connection: Connection, peer: SocketAddr)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let service = ToStack {
            stack: self.stack.clone(),
            connection,
        };
        let mut draining = self.draining.clone();
        h2::serve(io, service, &self.http.http2, peer, &mut draining).await;
    }
}

/// How many fields hyper takes by default.
const HYPER_FIELDS: usize = 100;
/// hyper's own lower bound.
const MIN_BUFFER: usize = 8192;

/// Resolves once the gateway drains.
async fn drained(draining: &mut watch::Receiver<bool>) {
    // An error means that the sender is gone, and with it the gateway.
    let _ = draining.wait_for(|draining| *draining).await;
}

fn note(ended: hyper::Result<()>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended");
    }
}

/// The stack as a hyper service that tells each request its connection.
struct ToStack<S> {
    stack: S,
    connection: Connection,
}

impl<S: Stack> hyper::service::Service<Request<Incoming>> for ToStack<S> {
    type Response = Response<AnswerBody<S::Body>>;
    type Error = Infallible;
    type Future = ToStackFuture<S::Future>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let version = request.version();
        let (mut request, unread) = RequestBody::of(request);
        request.extensions_mut().insert(self.connection.clone());
        ToStackFuture {
            // Every layer is always ready; see `palisade::GuardService`.
            future: self.stack.clone().call(request),
            version,
            unread,
        }
    }
}

pin_project! {
    /// The answer on its way.
    struct ToStackFuture<F> {
        #[pin]
        future: F,
        version: Version,
        unread: Option<Arc<Unread>>,
    }
}

impl<F, B> Future for ToStackFuture<F>
where
    F: Future<Output = Result<Response<B>, Infallible>>,
    B: Body<Data = Bytes>,
{
    type Output = Result<Response<AnswerBody<B>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Ok(answer) = ready!(this.future.poll(cx));
        let (version, unread) = (*this.version, this.unread.take());
        Poll::Ready(Ok(answer.map(|body| AnswerBody::new(body, version, unread))))
    }
}

/// Serves one accepted connection on a task of its own; `busy` is dropped with it.
pub fn spawn<S: Stack>(
    path: &Arc<Path<S>>,
    tcp: TcpStream,
    peer: SocketAddr,
    permit: ConnectionPermit,
    busy: mpsc::Sender<()>,
) {
    let served = Arc::clone(path).serve(tcp, peer, permit);
    tokio::spawn(async move {
        served.await;
        drop(busy);
    });
}
