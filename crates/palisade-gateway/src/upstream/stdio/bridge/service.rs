//! The bridge as a tower service.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::BodyExt as _;
use palisade::{Answer, Exchange};
use tokio::sync::watch;
use tower_service::Service;

use super::super::body::StdioBody;
use super::super::underway;
use super::Bridge;

/// The tower service of a [`Bridge`]; one per worker.
#[derive(Clone, Debug)]
pub struct Stdio {
    bridge: Arc<Bridge>,
    draining: watch::Receiver<bool>,
}

impl Stdio {
    /// A worker's share; `draining` turns `true` when streams that stay open are to be ended.
    #[must_use]
    pub const fn new(bridge: Arc<Bridge>, draining: watch::Receiver<bool>) -> Self {
        Self { bridge, draining }
    }
}

impl<B> Service<Request<B>> for Stdio
where
    B: Body<Data = Bytes> + Send + 'static,
{
    type Response = Response<StdioBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let Self { bridge, draining } = self.clone();
        Box::pin(async move {
            let (mut head, body) = request.into_parts();
            let exchange = Exchange::of(&mut head);
            let text = match body.collect().await {
                Ok(body) => body.to_bytes(),
                // It has been collected before; there is nothing left that could fail.
                Err(_) => Bytes::new(),
            };
            let answer = bridge.answer(&head, &text, &exchange, &draining);
            let answer = underway::answering(exchange.clone(), answer).await;
            Ok(answer.unwrap_or_else(|rejection| {
                let id = exchange
                    .facts()
                    .calls
                    .first()
                    .and_then(|call| call.id.clone());
                let answer = rejection.with_id(id).into_response(&head);
                answer.map(Answer::own)
            }))
        })
    }
}
