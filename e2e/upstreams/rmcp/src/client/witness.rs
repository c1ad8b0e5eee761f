//! rmcp's own HTTP client, watched: which streams were opened or resumed, which sessions ended.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::stream::BoxStream;
use http::{HeaderName, HeaderValue};
use rmcp::model::ClientJsonRpcMessage;
use rmcp::transport::streamable_http_client::{
    StreamableHttpClient, StreamableHttpError, StreamableHttpPostResponse,
};
use sse_stream::{Error as SseError, Sse};

#[derive(Clone)]
pub(crate) struct Witness {
    http: reqwest::Client,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Clone, Default)]
pub(crate) struct Seen {
    /// GET streams that opened.
    pub(crate) opened: usize,
    /// Streams resumed by `Last-Event-ID`, and how many of them the server refused.
    pub(crate) resumed: usize,
    pub(crate) refused: usize,
    /// The session that a DELETE ended.
    pub(crate) ended: Option<String>,
}

type Headers = HashMap<HeaderName, HeaderValue>;
type Error = StreamableHttpError<reqwest::Error>;
type Events = BoxStream<'static, Result<Sse, SseError>>;

impl Witness {
    pub(crate) fn new(http: reqwest::Client) -> Self {
        Self {
            http,
            seen: Arc::default(),
        }
    }

    pub(crate) fn seen(&self) -> Seen {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, resuming: bool, opened: bool) {
        let mut seen = self.lock();
        match (resuming, opened) {
            (true, true) => seen.resumed += 1,
            (true, false) => seen.refused += 1,
            (false, true) => seen.opened += 1,
            (false, false) => {}
        }
    }
}

impl StreamableHttpClient for Witness {
    type Error = reqwest::Error;

    async fn post_message(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session: Option<Arc<str>>,
        authorization: Option<String>,
        headers: Headers,
    ) -> Result<StreamableHttpPostResponse, Error> {
        self.http
            .post_message(uri, message, session, authorization, headers)
            .await
    }

    async fn post_message_with_max_sse_event_size(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session: Option<Arc<str>>,
        authorization: Option<String>,
        headers: Headers,
        limit: usize,
    ) -> Result<StreamableHttpPostResponse, Error> {
        let http = &self.http;
        http.post_message_with_max_sse_event_size(
            uri,
            message,
            session,
            authorization,
            headers,
            limit,
        )
        .await
    }

    async fn delete_session(
        &self,
        uri: Arc<str>,
        session: Arc<str>,
        authorization: Option<String>,
        headers: Headers,
    ) -> Result<(), Error> {
        self.http
            .delete_session(uri, Arc::clone(&session), authorization, headers)
            .await?;
        self.lock().ended = Some(session.to_string());
        Ok(())
    }

    async fn get_stream(
        &self,
        uri: Arc<str>,
        session: Option<Arc<str>>,
        last_event: Option<String>,
        authorization: Option<String>,
        headers: Headers,
    ) -> Result<Events, Error> {
        let resuming = last_event.is_some();
        let events = self
            .http
            .get_stream(uri, session, last_event, authorization, headers)
            .await;
        self.note(resuming, events.is_ok());
        events
    }

    async fn get_stream_with_max_sse_event_size(
        &self,
        uri: Arc<str>,
        session: Option<Arc<str>>,
        last_event: Option<String>,
        authorization: Option<String>,
        headers: Headers,
        limit: usize,
    ) -> Result<Events, Error> {
        let resuming = last_event.is_some();
        let http = &self.http;
        let events = http
            .get_stream_with_max_sse_event_size(
                uri,
                session,
                last_event,
                authorization,
                headers,
                limit,
            )
            .await;
        self.note(resuming, events.is_ok());
        events
    }
}
