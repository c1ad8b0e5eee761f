//! The body of a request in the hands of the service.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::body::{Framing, Piece};
use crate::fault::Fault;

/// A request's body: here already, or read from the connection as it is polled.
///
/// It must be polled while the service's future or the answer's body is alive; the connection is
/// read by the same task. Dropped before its end, the rest is discarded, or the connection closes
/// after the answer.
#[derive(Debug)]
pub struct RequestBody {
    rest: Rest,
}

#[derive(Debug)]
enum Rest {
    Here(Bytes),
    Comes {
        upload: Arc<Upload>,
        /// Bytes still to come, where they were declared.
        declared: Option<u64>,
    },
}

impl RequestBody {
    pub(super) const fn here(bytes: Bytes) -> Self {
        Self {
            rest: Rest::Here(bytes),
        }
    }

    pub(super) fn comes(framing: Framing) -> (Self, Arc<Upload>) {
        let upload = Arc::new(Upload::default());
        let declared = match framing {
            Framing::Empty => Some(0),
            Framing::Length(length) => Some(length),
            Framing::Chunked | Framing::UntilClose => None,
        };
        let rest = Rest::Comes {
            upload: Arc::clone(&upload),
            declared,
        };
        (Self { rest }, upload)
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        match &mut self.rest {
            Rest::Here(bytes) => {
                let bytes = std::mem::take(bytes);
                Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
            }
            Rest::Comes { upload, declared } => {
                let mut slot = upload.slot();
                match slot.piece.take() {
                    Some(Ok(Piece::Data(data))) => {
                        if let Some(rest) = declared {
                            *rest = rest.saturating_sub(data.len() as u64);
                        }
                        Poll::Ready(Some(Ok(Frame::data(data))))
                    }
                    Some(Ok(Piece::End)) => {
                        slot.over = true;
                        Poll::Ready(None)
                    }
                    Some(Err(fault)) => {
                        slot.over = true;
                        Poll::Ready(Some(Err(fault)))
                    }
                    None if slot.over || *declared == Some(0) => Poll::Ready(None),
                    None => {
                        slot.wanted = true;
                        if !slot
                            .waker
                            .as_ref()
                            .is_some_and(|waker| waker.will_wake(cx.waker()))
                        {
                            slot.waker = Some(cx.waker().clone());
                        }
                        Poll::Pending
                    }
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.rest {
            Rest::Here(bytes) => bytes.is_empty(),
            Rest::Comes { upload, declared } => *declared == Some(0) || upload.slot().over,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.rest {
            Rest::Here(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Rest::Comes { declared, .. } => {
                declared.map_or_else(SizeHint::new, SizeHint::with_exact)
            }
        }
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        if let Rest::Comes { upload, .. } = &self.rest {
            upload.slot().abandoned = true;
        }
    }
}

/// Where the connection lays down the next piece of a body.
#[derive(Debug, Default)]
pub(super) struct Upload(Mutex<Slot>);

#[derive(Debug, Default)]
struct Slot {
    piece: Option<Result<Piece, Fault>>,
    wanted: bool,
    over: bool,
    abandoned: bool,
    waker: Option<Waker>,
}

impl Upload {
    /// Whether somebody waits for the next piece.
    pub(super) fn is_wanted(&self) -> bool {
        let slot = self.slot();
        slot.wanted && !slot.abandoned
    }

    /// Lays down a piece; only after [`Upload::is_wanted`].
    pub(super) fn put(&self, piece: Result<Piece, Fault>) {
        let mut slot = self.slot();
        slot.wanted = false;
        slot.piece = Some(piece);
        if let Some(waker) = slot.waker.take() {
            drop(slot);
            waker.wake();
        }
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
