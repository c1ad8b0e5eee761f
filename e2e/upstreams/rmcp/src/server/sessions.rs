//! rmcp's own sessions, with one thing more: a tool can close the stream it answers on.

use std::time::Duration;

use futures_util::Stream;
use rmcp::model::{ClientJsonRpcMessage, GetExtensions as _, ServerJsonRpcMessage};
use rmcp::transport::common::server_side_http::ServerSseMessage;
use rmcp::transport::streamable_http_server::session::local::{
    LocalSessionHandle, LocalSessionManager, LocalSessionManagerError,
};
use rmcp::transport::streamable_http_server::{SessionId, SessionManager};

type Error = LocalSessionManagerError;

#[derive(Default)]
pub(crate) struct Sessions(LocalSessionManager);

/// Closes the stream of one request, so that its caller has to resume it (SEP-1699).
#[derive(Clone)]
pub(crate) struct StreamCloser {
    session: LocalSessionHandle,
    stream: u64,
}

impl StreamCloser {
    /// The caller is told to come back after `retry`.
    pub(crate) async fn close(&self, retry: Duration) {
        // A stream that is already gone is closed enough.
        let _ = self
            .session
            .close_sse_stream(self.stream, Some(retry))
            .await;
    }
}

impl SessionManager for Sessions {
    type Error = Error;
    type Transport = <LocalSessionManager as SessionManager>::Transport;

    async fn create_session(&self) -> Result<(SessionId, Self::Transport), Error> {
        self.0.create_session().await
    }

    async fn initialize_session(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<ServerJsonRpcMessage, Error> {
        self.0.initialize_session(id, message).await
    }

    async fn has_session(&self, id: &SessionId) -> Result<bool, Error> {
        self.0.has_session(id).await
    }

    async fn close_session(&self, id: &SessionId) -> Result<(), Error> {
        self.0.close_session(id).await
    }

    /// As rmcp does it, but the request carries its [`StreamCloser`].
    async fn create_stream(
        &self,
        id: &SessionId,
        mut message: ClientJsonRpcMessage,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Error> {
        let session = self.0.sessions.read().await.get(id).cloned();
        let session = session.ok_or_else(|| Error::SessionNotFound(id.clone()))?;
        let mut receiver = session.establish_request_wise_channel().await?;
        if let (ClientJsonRpcMessage::Request(request), Some(stream)) =
            (&mut message, receiver.http_request_id)
        {
            let closer = StreamCloser {
                session: session.clone(),
                stream,
            };
            request.request.extensions_mut().insert(closer);
        }
        session
            .push_message(message, receiver.http_request_id)
            .await?;
        Ok(futures_util::stream::poll_fn(move |context| {
            receiver.inner.poll_recv(context)
        }))
    }

    async fn accept_message(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<(), Error> {
        self.0.accept_message(id, message).await
    }

    async fn create_standalone_stream(
        &self,
        id: &SessionId,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Error> {
        self.0.create_standalone_stream(id).await
    }

    async fn resume(
        &self,
        id: &SessionId,
        last_event_id: String,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, Error> {
        self.0.resume(id, last_event_id).await
    }
}
