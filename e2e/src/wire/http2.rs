//! HTTP/2 by the `h2` crate, with pseudo-headers of the test's own choice.

use bytes::Bytes;
use h2::client::SendRequest;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderName, HeaderValue, Method, Request, Uri, Version};

use super::{Answer, Ask, Stream, bounded, case};

/// A connection on which requests are sent as streams of their own.
#[derive(Clone, Debug)]
pub struct Http2 {
    send: SendRequest<Bytes>,
}

/// A stream whose answer has begun.
pub struct Opened {
    /// The head of the answer.
    pub head: Answer,
    /// What still comes.
    pub body: RecvStream,
    /// The request's own half.
    pub send: SendStream<Bytes>,
}

/// What became of a stream.
#[derive(Debug)]
pub enum Outcome {
    /// An answer.
    Answer(Answer),
    /// A reset of the stream, or of the connection, without an answer.
    Reset(Option<Reason>),
}

impl Http2 {
    /// Takes over a connection.
    ///
    /// # Panics
    /// Where the other end speaks no HTTP/2.
    pub async fn new(stream: Stream) -> Self {
        let (send, connection) = bounded("HTTP/2", h2::client::handshake(stream))
            .await
            .unwrap();
        // Ends with the last handle of it.
        tokio::spawn(connection);
        Self { send }
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Panics
    /// Where the stream is reset before an answer.
    pub async fn ask(&mut self, ask: &Ask) -> Answer {
        match self.outcome(ask).await {
            Outcome::Answer(answer) => answer,
            Outcome::Reset(reason) => panic!("no answer but a reset: {reason:?}"),
        }
    }

    /// Sends a request and reads what becomes of it.
    ///
    /// # Panics
    /// Where the `h2` crate cannot send the request.
    pub async fn outcome(&mut self, ask: &Ask) -> Outcome {
        let case = case();
        let request = render(ask, &case);
        let body = Bytes::copy_from_slice(&ask.body);
        match self.exchange(request, body, !ask.unfinished).await {
            Outcome::Answer(answer) => Outcome::Answer(Answer { case, ..answer }),
            reset @ Outcome::Reset(_) => reset,
        }
    }

    /// Sends a request made with [`http`]'s types; without `end` its content never ends.
    ///
    /// # Panics
    /// Where the `h2` crate cannot send the request.
    pub async fn exchange(&mut self, request: Request<()>, body: Bytes, end: bool) -> Outcome {
        let (answer, mut send) = self.begin(request, end && body.is_empty()).await;
        if !body.is_empty() {
            // The server may have answered and reset the rest by now.
            let _ = send.send_data(body, end);
        }
        let answer = match bounded("an answer", answer).await {
            Ok(answer) => answer,
            Err(error) => return Outcome::Reset(error.reason()),
        };
        let (head, mut body) = answer.into_parts();
        let mut answer = head_of(&head);
        while let Some(data) = bounded("the rest of an answer", body.data()).await {
            match data {
                Ok(data) => {
                    let _ = body.flow_control().release_capacity(data.len());
                    answer.body.extend(&data);
                }
                Err(error) => {
                    // RFC 9113 section 8.1: the answer is whole, the rest of the request unwanted.
                    answer.cut = error.reason() != Some(Reason::NO_ERROR);
                    break;
                }
            }
        }
        Outcome::Answer(answer)
    }

    /// Sends a request and its content, and reads the head of the answer.
    ///
    /// # Panics
    /// Where the stream is reset before an answer.
    pub async fn open(&mut self, ask: &Ask) -> Opened {
        let case = case();
        let request = render(ask, &case);
        let (answer, mut send) = self.begin(request, ask.body.is_empty()).await;
        if !ask.body.is_empty() {
            let _ = send.send_data(Bytes::copy_from_slice(&ask.body), true);
        }
        let answer = bounded("an answer", answer).await.unwrap();
        let (head, body) = answer.into_parts();
        let head = Answer {
            case,
            ..head_of(&head)
        };
        Opened { head, body, send }
    }

    /// Sends the head of a request alone; the content is up to the caller.
    ///
    /// # Panics
    /// Where the `h2` crate cannot send the request.
    pub async fn begin(
        &mut self,
        request: Request<()>,
        end: bool,
    ) -> (h2::client::ResponseFuture, SendStream<Bytes>) {
        let mut ready = bounded("a free stream", self.send.clone().ready())
            .await
            .unwrap();
        ready.send_request(request, end).unwrap()
    }
}

impl Opened {
    /// The next bytes; `None` at the end of the stream, however it ends.
    pub async fn chunk(&mut self) -> Option<Bytes> {
        let data = bounded("more of an answer", self.body.data()).await?.ok()?;
        let _ = self.body.flow_control().release_capacity(data.len());
        Some(data)
    }
}

fn head_of(head: &http::response::Parts) -> Answer {
    let headers = head.headers.iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        (name.as_str().to_owned(), value)
    });
    Answer {
        status: head.status.as_u16(),
        headers: headers.collect(),
        ..Answer::default()
    }
}

/// The request as the `h2` crate takes it.
fn render(ask: &Ask, case: &str) -> Request<()> {
    let mut request = Request::new(());
    *request.method_mut() = Method::from_bytes(ask.method.as_bytes()).unwrap();
    *request.uri_mut() = match &ask.host {
        Some(host) => {
            *request.version_mut() = Version::HTTP_2;
            let builder = Uri::builder().scheme("https").authority(host.as_str());
            builder.path_and_query(ask.target.as_str()).build().unwrap()
        }
        // Without an authority the crate takes only what it believes to come from HTTP/1.1, and
        // writes the scheme itself.
        None => {
            *request.version_mut() = Version::HTTP_11;
            ask.target.parse().unwrap()
        }
    };
    let headers = request.headers_mut();
    for (name, value) in &ask.fields {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        headers.append(name, HeaderValue::from_bytes(value).unwrap());
    }
    headers.append("x-case", HeaderValue::from_str(case).unwrap());
    request
}
