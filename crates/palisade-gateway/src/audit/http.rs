//! Requests of sinks over the network, to the one host that the operator has configured; its address may be any.

use std::error::Error as StdError;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use palisade_audit::{DeliverError, DeliverErrorKind};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tower_service::Service;

use crate::connect::trust;
use crate::upstream::stream::Stream;

/// One sink's client. It is used on the sink's own thread, where it may block.
pub(super) struct Http {
    runtime: Runtime,
    client: HttpClient,
}

/// Its asynchronous half.
#[derive(Clone, Debug)]
pub(super) struct HttpClient(Client<Connector, Full<Bytes>>);

impl Http {
    /// Trusts the system's authorities, and those in the file `ca`.
    pub(super) fn new(ca: Option<&Path>) -> Result<Self, String> {
        let mut tls = trust::client_config(ca).map_err(|error| error.cause().to_owned())?;
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let connector = Connector { tls: Arc::new(tls) };
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(1)
            .build(connector);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(1)
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self {
            runtime,
            client: HttpClient(client),
        })
    }

    #[cfg(feature = "s3")]
    pub(super) fn client(&self) -> &HttpClient {
        &self.client
    }

    #[cfg(feature = "s3")]
    pub(super) fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    /// Sends a request and reads its answer.
    pub(super) fn send(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Bytes>, DeliverError> {
        let answer = self.runtime.block_on(self.client.send(request));
        answer.map_err(|cause| DeliverError {
            cause: format!(
                "it cannot be reached: {cause}; start it, or mend its URL under `[audit] sink`"
            ),
            kind: DeliverErrorKind::Passing(None),
        })
    }
}

impl HttpClient {
    pub(super) async fn send(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Bytes>, String> {
        let answer = async {
            let answer = self.0.request(request).await;
            let answer = answer.map_err(|error| causes(&error))?;
            let (head, body) = answer.into_parts();
            let body = Limited::new(body, ANSWER_MAX).collect().await;
            let body = body.map_err(|error| error.to_string())?;
            Ok(Response::from_parts(head, body.to_bytes()))
        };
        match timeout(PATIENCE, answer).await {
            Ok(answer) => answer,
            Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
        }
    }
}

/// What an answer that is none of success means; `passing`: of these statuses, time alone may help.
pub(super) fn refused(
    answer: &Response<Bytes>,
    passing: &[StatusCode],
    remedy: &str,
) -> DeliverError {
    let status = answer.status();
    let kind = if status == StatusCode::PAYLOAD_TOO_LARGE {
        DeliverErrorKind::TooLarge
    } else if passing.contains(&status) {
        DeliverErrorKind::Passing(retry_after(answer))
    } else {
        DeliverErrorKind::Lasting
    };
    let words = excerpt(answer.body());
    let colon = if words.is_empty() { "" } else { ": " };
    DeliverError {
        cause: format!("it answered {status}{colon}{words}; {remedy}"),
        kind,
    }
}

/// RFC 9110, section 10.2.3: seconds, or a date.
fn retry_after(answer: &Response<Bytes>) -> Option<Duration> {
    let text = answer
        .headers()
        .get(http::header::RETRY_AFTER)?
        .to_str()
        .ok()?;
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let moment = jiff::fmt::rfc2822::parse(text).ok()?;
    let moment = SystemTime::from(moment.timestamp());
    moment.duration_since(SystemTime::now()).ok()
}

/// The beginning of what a stranger wrote, on one line.
fn excerpt(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(4 * EXCERPT)]);
    // What stores answer (Amazon S3, "REST error responses").
    let of = |tag: &str| {
        let (_, rest) = text.split_once(&format!("<{tag}>"))?;
        Some(rest.split_once('<').map_or(rest, |(inside, _)| inside))
    };
    let said = of("Code").zip(of("Message"));
    let said = said.map(|(code, message)| format!("{code}: {message}"));
    let text = said.as_deref().unwrap_or_else(|| text.trim());
    let plain = |sign: char| if sign.is_control() { ' ' } else { sign };
    text.chars().take(EXCERPT).map(plain).collect()
}

fn causes(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut at = error.source();
    while let Some(cause) = at {
        text = cause.to_string();
        at = cause.source();
    }
    text
}

#[derive(Clone, Debug)]
struct Connector {
    tls: Arc<ClientConfig>,
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<TokioIo<Stream>>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let tls = Arc::clone(&self.tls);
        Box::pin(async move {
            let opened = timeout(CONNECT, open(&uri, tls)).await;
            let late = || {
                let words = format!("no connection within {} s", CONNECT.as_secs());
                io::Error::new(io::ErrorKind::TimedOut, words)
            };
            opened.unwrap_or_else(|_| Err(late())).map(TokioIo::new)
        })
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one address that whoever runs this has named"
)]
async fn open(uri: &Uri, tls: Arc<ClientConfig>) -> io::Result<Stream> {
    let https = uri.scheme() == Some(&http::uri::Scheme::HTTPS);
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let port = uri.port_u16().unwrap_or(if https { 443 } else { 80 });
    let stream = match host.parse::<IpAddr>() {
        Ok(address) => TcpStream::connect(SocketAddr::new(address, port)).await?,
        Err(_) => TcpStream::connect((host, port)).await?,
    };
    stream.set_nodelay(true)?;
    if !https {
        return Ok(Stream::Plain(stream));
    }
    let name = ServerName::try_from(host.to_owned())
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    let stream = TlsConnector::from(tls).connect(name, stream).await?;
    Ok(Stream::Tls(Box::new(stream)))
}

/// To connect, TLS included.
const CONNECT: Duration = Duration::from_secs(5);

/// For the whole exchange.
const PATIENCE: Duration = Duration::from_secs(10);

/// Connections are kept idle for less than the 5 s after which some servers close them.
const IDLE: Duration = Duration::from_secs(4);

/// No answer that means anything is longer.
const ANSWER_MAX: usize = 64 * 1024;

/// Characters of an answer that are told.
const EXCERPT: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    // REQ: L-3
    #[test]
    fn when_to_try_again() {
        for (text, seconds) in [
            ("3", Some(3)),
            (" 0 ", Some(0)),
            ("-1", None),
            ("soon", None),
            ("Sun, 06 Nov 1994 08:49:37 GMT", None),
        ] {
            let answer = Response::builder()
                .header("retry-after", text)
                .body(Bytes::new())
                .unwrap();
            let after = retry_after(&answer);
            assert_eq!(after.map(|after| after.as_secs()), seconds, "{text}");
        }
        let answer = Response::builder()
            .header("retry-after", "Fri, 01 Jan 2100 00:00:00 GMT")
            .body(Bytes::new())
            .unwrap();
        assert!(retry_after(&answer).unwrap() > Duration::from_secs(3600));
    }

    #[test]
    fn what_a_store_says() {
        let xml = "<?xml version=\"1.0\"?>\n<Error><Code>NoSuchBucket</Code><Message>it is gone</Message></Error>";
        assert_eq!(excerpt(xml.as_bytes()), "NoSuchBucket: it is gone");
        assert_eq!(excerpt(b"<Code>x"), "<Code>x");
        assert_eq!(excerpt(b" plain\n"), "plain");
    }

    #[test]
    fn an_answer_cannot_write_lines_of_its_own() {
        let answer = Response::builder()
            .status(400)
            .body(Bytes::from(format!("bad\nerror: {}", "é".repeat(1000))))
            .unwrap();
        let error = refused(&answer, &[], "mend it");
        assert!(!error.cause.contains('\n') && error.cause.chars().count() < 300);
        assert_eq!(error.kind, DeliverErrorKind::Lasting);
    }
}
