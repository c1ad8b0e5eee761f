//! The path of a connection, top to bottom: accept → caps → TLS → HTTP → the stack.

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use palisade::audit::Recorder;
use palisade::headers::Common;
use palisade::sanity::Malformed;
use palisade::{Connection, Exchange};
use palisade_http1::server as http1;
use palisade_http1::{Fault, FaultKind, FieldLines};
use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tower_service::Service;

use crate::certs::client;
use crate::config::ClientAddress;
use crate::listen::h2::{self, Http2Limits};
use crate::listen::limits::ConnectionPermit;
use crate::listen::proxy::Proxies;
use crate::listen::proxy_protocol;
use crate::listen::refused;
use crate::listen::socket::Socket;
use crate::listen::tls::{self, Alpn, TlsAcceptor};
use crate::request_body::{AnswerBody, Http2Body, RequestBody, Unread};

/// Turns connections into requests to a stack. One per worker and kind of listener.
pub struct Path<S> {
    /// The layers, down to the upstream.
    pub stack: S,
    /// `None`: plain HTTP.
    pub tls: Option<TlsAcceptor>,
    /// Where connections that come to nothing are recorded.
    pub recorder: Recorder,
    /// Terminators in front; `None`: every connection is a client's own.
    pub proxies: Option<Arc<Proxies>>,
    /// What HTTP itself may use up.
    pub http: HttpLimits,
    /// Turns `true` when the gateway drains.
    pub draining: watch::Receiver<bool>,
}

/// Bounds that the HTTP servers keep.
#[derive(Clone, Debug)]
pub struct HttpLimits {
    /// Of HTTP/1.1 connections.
    pub http1: http1::Config,
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
        mut tcp: TcpStream,
        peer: SocketAddr,
        permit: ConnectionPermit,
    ) {
        let _permit = permit;
        let Some(peer) = self.client(&mut tcp, peer).await else {
            return;
        };
        let tcp = Socket(tcp);
        let Some(acceptor) = &self.tls else {
            let connection = Connection::new(peer, false);
            return self.http1(tcp, connection).await;
        };
        let mut draining = self.draining.clone();
        let accepted = tokio::select! {
            accepted = tls::accept(tcp, acceptor) => accepted,
            // Who is still shaking hands has no request in flight.
            () = drained(&mut draining) => return,
        };
        match accepted {
            Ok((stream, alpn)) => {
                let mut connection = Connection::new(peer, true);
                // Of the chain, which the handshake judged, the first is the client's own.
                if let Some([own, ..]) = stream.get_ref().1.peer_certificates()
                    && let Some(certificate) = client::certificate(own)
                {
                    connection = connection.with_certificate(certificate);
                }
                match alpn {
                    Alpn::Http2 => self.http2(stream, connection, peer).await,
                    Alpn::Http11 => self.http1(stream, connection).await,
                }
            }
            Err(error) => refused::handshake(&self.recorder, peer, &error),
        }
    }

    /// Who is at the other end, where a trusted terminator says so first; `None`: it should have,
    /// and did not.
    async fn client(&self, tcp: &mut TcpStream, peer: SocketAddr) -> Option<SocketAddr> {
        let Some(proxies) = &self.proxies else {
            return Some(peer);
        };
        if proxies.client_address != ClientAddress::ProxyProtocol || !proxies.trusts(peer.ip()) {
            return Some(peer);
        }
        let patience = self.http.http1.patience.first_byte;
        match tokio::time::timeout(patience, proxy_protocol::read(tcp)).await {
            Ok(Ok(client)) => Some(client.unwrap_or(peer)),
            Ok(Err(error)) => {
                tracing::debug!(%peer, %error, "no client told by the PROXY protocol");
                None
            }
            Err(_) => None,
        }
    }

    async fn http1<I>(&self, io: I, connection: Connection)
    where
        I: AsyncRead + AsyncWrite + Unpin,
    {
        let mut stack = self.stack.clone();
        let mut draining = self.draining.clone();
        let ended = http1::serve(io, &self.http.http1, drained(&mut draining), |request| {
            let mut request = request.map(RequestBody::from);
            if let Some(fault) = request.extensions_mut().remove::<Fault>() {
                request.extensions_mut().insert(malformed(fault));
            }
            let client = behind(self.proxies.as_deref(), &connection, request.headers());
            let exchange = Exchange::begin_leaving_headers(client);
            request.extensions_mut().insert(exchange.clone());
            // Every layer is always ready; see `palisade::GuardService`.
            let answer = stack.call(request);
            async move {
                let Ok(answer) = answer.await;
                let (common, own) = {
                    let mut facts = exchange.facts();
                    (facts.common.take(), std::mem::take(&mut facts.lines))
                };
                let common = common.map_or_else(FieldLines::default, common_lines);
                (answer, common.and(own.into_bytes()))
            }
        });
        let ended = ended.await;
        tracing::trace!(?ended, "HTTP/1.1 connection ended");
    }

    async fn http2<I>(&self, io: I, connection: Connection, peer: SocketAddr)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let service = ToStack {
            stack: self.stack.clone(),
            connection,
            proxies: self.proxies.clone(),
        };
        let mut draining = self.draining.clone();
        let ended = h2::serve(io, service, &self.http.http2, peer, &mut draining).await;
        refused::http2(&self.recorder, peer, &ended);
    }
}

/// The client of one request.
fn behind(proxies: Option<&Proxies>, connection: &Connection, headers: &HeaderMap) -> Connection {
    let told = proxies.and_then(|proxies| proxies.client(connection, headers));
    told.unwrap_or_else(|| connection.clone())
}

/// Resolves once the gateway drains.
async fn drained(draining: &mut watch::Receiver<bool>) {
    // An error means that the sender is gone, and with it the gateway.
    let _ = draining.wait_for(|draining| *draining).await;
}

/// The lines of headers that many answers have in common. There are a few sets of them for each
/// server, so the last few are kept as they are written.
fn common_lines(common: Arc<Common>) -> FieldLines {
    thread_local! {
        static LAST: RefCell<Vec<(Arc<Common>, FieldLines)>> = const { RefCell::new(Vec::new()) };
    }
    LAST.with_borrow_mut(|last| {
        if let Some((_, lines)) = last.iter().find(|(known, _)| Arc::ptr_eq(known, &common)) {
            return lines.clone();
        }
        let hides = Arc::clone(&common);
        let lines = FieldLines::new(common.headers()).hiding(move |name| hides.hides(name));
        if last.len() >= MAX_COMMON {
            last.remove(0);
        }
        last.push((common, lines.clone()));
        lines
    })
}

/// More sets than one worker's servers usually have.
const MAX_COMMON: usize = 32;

/// What HTTP/1.1 found wrong with a request, for the stack to answer.
const fn malformed(fault: Fault) -> Malformed {
    let detail = fault.text();
    match (fault, fault.kind()) {
        (Fault::AuthorizationTooLarge, _) => Malformed::CredentialTooLarge(detail),
        (_, FaultKind::Malformed) => Malformed::Syntax(detail),
        (_, FaultKind::TooLarge) => Malformed::TooLarge(detail),
        (_, FaultKind::Timeout) => Malformed::Timeout(detail),
    }
}

/// The stack as a hyper service that tells each request its connection.
struct ToStack<S> {
    stack: S,
    connection: Connection,
    proxies: Option<Arc<Proxies>>,
}

impl<S: Stack> hyper::service::Service<Request<Incoming>> for ToStack<S> {
    type Response = Response<AnswerBody<S::Body>>;
    type Error = Infallible;
    type Future = ToStackFuture<S::Future>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let (request, unread) = Http2Body::of(request);
        let mut request = request.map(RequestBody::from);
        let client = behind(self.proxies.as_deref(), &self.connection, request.headers());
        let exchange = Exchange::begin(client);
        request.extensions_mut().insert(exchange);
        ToStackFuture {
            // Every layer is always ready; see `palisade::GuardService`.
            future: self.stack.clone().call(request),
            unread,
            fresh: true,
        }
    }
}

pin_project! {
    /// The answer on its way.
    struct ToStackFuture<F> {
        #[pin]
        future: F,
        unread: Option<Arc<Unread>>,
        fresh: bool,
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
        if std::mem::take(this.fresh) {
            // hyper looks whether a request still stands only after its first poll. One whose
            // client took it back in the same breath (rapid reset) shall cost nothing here, and
            // its server nothing at all.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let Ok(answer) = ready!(this.future.poll(cx));
        let unread = this.unread.take();
        Poll::Ready(Ok(answer.map(|body| AnswerBody::new(body, unread))))
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
