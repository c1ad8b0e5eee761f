//! One request and its answer, on a connection of its own.

use http::header::{ACCEPT_ENCODING, CONNECTION, HOST, HeaderValue, LOCATION};
use http::{HeaderMap, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use url::Url;

use super::decode::{Body, Bounds, OFFERED};
use super::error::FetchError;
use super::follow::{Answered, url_of};
use super::request::Request;
use super::tls::Tls;
use super::{Limits, Response, bodiless};
use crate::guard::{ConnectError, Guard, Stream};
use crate::policy::CheckedTarget;

/// Smallest buffer that the HTTP library takes.
const MIN_HEAD: usize = 8 << 10;

/// Most header fields of an answer.
const MAX_FIELDS: usize = 200;

/// An answer whose body has not been read.
pub(super) struct Answer {
    response: http::Response<Incoming>,
    empty: bool,
    bounds: Bounds,
    _connection: Connection,
}

/// Drives the connection, and ends it with the answer.
struct Connection(JoinHandle<()>);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Connects to a checked target and sends the request.
pub(super) async fn send(
    guard: &Guard,
    tls: &Tls,
    limits: &Limits,
    target: CheckedTarget,
    request: &Request,
) -> Result<Answer, FetchError> {
    let url = url_of(&target)?;
    let limit = guard.times().connect;
    let connection = guard.connect(target).await.map_err(|error| match error {
        ConnectError::Failed(error) => FetchError::Unreachable(Some(error)),
        ConnectError::Refused(refusal) => FetchError::Refused(refusal),
        ConnectError::Timeout => FetchError::Unreachable(None),
    })?;
    let stream: Box<dyn Stream> = if url.scheme() == "https" {
        let handshake = tls.connect(connection.target.host(), connection.stream);
        let stage = "the TLS handshake";
        let elapsed = |_| FetchError::Timeout { stage, limit };
        Box::new(timeout(limit, handshake).await.map_err(elapsed)??)
    } else {
        connection.stream
    };
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(limits.head.max(MIN_HEAD))
        .max_headers(MAX_FIELDS)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| FetchError::Http(Some(error)))?;
    let connection = Connection(tokio::spawn(async move {
        // Its errors come out at the answer.
        let _ = connection.await;
    }));
    let answered = timeout(
        limits.first_byte,
        sender.send_request(message(request, &url)?),
    )
    .await;
    let response = match answered {
        Err(_) => {
            let (stage, limit) = ("the answer's head", limits.first_byte);
            return Err(FetchError::Timeout { stage, limit });
        }
        Ok(Err(error)) if error.is_parse_too_large() => {
            let (what, limit) = ("the answer's head", limits.head.max(MIN_HEAD));
            return Err(FetchError::TooLarge { what, limit });
        }
        Ok(Err(error)) => return Err(FetchError::Http(Some(error))),
        // Nobody asked for another protocol.
        Ok(Ok(response)) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
            return Err(FetchError::Http(None));
        }
        Ok(Ok(response)) => response,
    };
    Ok(Answer {
        empty: bodiless(&request.method, response.status()),
        response,
        bounds: Bounds {
            size: limits.body,
            ratio: limits.ratio,
        },
        _connection: connection,
    })
}

fn message(request: &Request, url: &Url) -> Result<http::Request<Full<bytes::Bytes>>, FetchError> {
    const URL: FetchError = FetchError::Request("the URL does not fit into a request");
    let path = &url[url::Position::BeforePath..url::Position::AfterQuery];
    let host = &url[url::Position::BeforeHost..url::Position::AfterPort];
    let mut message = http::Request::new(Full::new(request.body.clone()));
    *message.method_mut() = request.method.clone();
    *message.uri_mut() = path.parse::<Uri>().map_err(|_| URL)?;
    let mut headers = HeaderMap::new();
    headers.insert(HOST, HeaderValue::from_str(host).map_err(|_| URL)?);
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(OFFERED));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    for (name, value) in &request.headers {
        headers.append(name, value.clone());
    }
    *message.headers_mut() = headers;
    Ok(message)
}

impl Answered for Answer {
    fn status(&self) -> StatusCode {
        self.response.status()
    }

    fn locations(&self) -> impl Iterator<Item = &HeaderValue> {
        self.response.headers().get_all(LOCATION).iter()
    }
}

impl Answer {
    /// Reads the body within its bounds.
    pub(super) async fn read(self, url: Url, redirects: u8) -> Result<Response, FetchError> {
        let (head, mut incoming) = self.response.into_parts();
        let mut body = Body::new(&head.headers, self.bounds)?;
        if !self.empty {
            // What is announced as too large is not begun.
            let announced = incoming.size_hint().lower();
            if usize::try_from(announced).unwrap_or(usize::MAX) > self.bounds.size {
                let (what, limit) = ("the answer's body", self.bounds.size);
                return Err(FetchError::TooLarge { what, limit });
            }
            while let Some(frame) = incoming.frame().await {
                if let Ok(data) = frame
                    .map_err(|error| FetchError::Http(Some(error)))?
                    .into_data()
                {
                    body.push(&data)?;
                }
            }
        }
        Ok(Response {
            status: head.status,
            headers: head.headers,
            url,
            redirects,
            body: body.finish()?.into(),
        })
    }
}
