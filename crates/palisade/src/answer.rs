//! The body of an answer: the inner service's, or one that a layer wrote itself.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

pin_project! {
    /// A response body that is either the inner service's or a short one of our own.
    ///
    /// Size hints pass through, so a server still sends `Content-Length` and writes head and
    /// body together where the inner body allows it.
    #[derive(Debug)]
    #[project = AnswerProjection]
    #[allow(missing_docs, reason = "pin_project fields of the two variants")]
    pub enum Answer<R> {
        /// What the inner service answered.
        Inner { #[pin] body: R },
        /// What a layer answered in its place; `None` once it has been read.
        Own { body: Option<Bytes> },
    }
}

impl<R> Answer<R> {
    /// The inner service's body, unchanged.
    pub const fn inner(body: R) -> Self {
        Self::Inner { body }
    }

    /// A body of our own; an empty one ends at once.
    pub fn own(body: impl Into<Bytes>) -> Self {
        let body = body.into();
        Self::Own {
            body: (!body.is_empty()).then_some(body),
        }
    }
}

impl<R> Body for Answer<R>
where
    R: Body<Data = Bytes>,
{
    type Data = Bytes;
    type Error = R::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, R::Error>>> {
        match self.project() {
            AnswerProjection::Inner { body } => body.poll_frame(cx),
            AnswerProjection::Own { body } => Poll::Ready(body.take().map(|b| Ok(Frame::data(b)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Inner { body } => body.is_end_stream(),
            Self::Own { body } => body.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Inner { body } => body.size_hint(),
            Self::Own { body } => SizeHint::with_exact(body.as_ref().map_or(0, |b| b.len() as u64)),
        }
    }
}
