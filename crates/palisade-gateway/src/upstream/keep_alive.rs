//! Comments on silent event streams, so that nothing between here and the client takes a
//! quiet stream for a dead one.
//!
//! The upstream's bytes pass unchanged; a comment (`: keep-alive`, WHATWG HTML section 9.2.6)
//! is put only where the stream stands between two events.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep};

const COMMENT: &[u8] = b": keep-alive\n\n";

pin_project! {
    /// An event stream that is never silent for longer than a period.
    pub struct KeepAlive<B> {
        #[pin]
        body: B,
        #[pin]
        timer: Sleep,
        every: Duration,
        last: Instant,
        boundary: Boundary,
        end: Option<End>,
    }
}

/// Resolves when streams that would stay open for ever are to be ended.
pub type End = Pin<Box<dyn Future<Output = ()> + Send>>;

impl<B> KeepAlive<B> {
    /// Puts a comment into `body` whenever it has been silent for `every`.
    pub fn new(body: B, every: Duration) -> Self {
        Self {
            body,
            timer: sleep(every),
            every,
            last: Instant::now(),
            boundary: Boundary::default(),
            end: None,
        }
    }

    /// The stream itself.
    pub fn get_body(self: Pin<&mut Self>) -> &mut B
    where
        B: Unpin,
    {
        self.project().body.get_mut()
    }

    /// Ends the stream between two events once `end` resolves.
    #[must_use]
    pub fn until(mut self, end: End) -> Self {
        self.end = Some(end);
        self
    }
}

impl<B: Body<Data = Bytes>> Body for KeepAlive<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let mut this = self.project();
        if let Poll::Ready(frame) = this.body.poll_frame(cx) {
            if let Some(Ok(frame)) = &frame
                && let Some(data) = frame.data_ref()
            {
                this.boundary.push(data);
                // The timer is not touched here: one comparison when it fires is cheaper than
                // moving it with every event.
                *this.last = Instant::now();
            }
            return Poll::Ready(frame);
        }
        if let Some(end) = this.end
            && this.boundary.between_events()
            && end.as_mut().poll(cx).is_ready()
        {
            *this.end = None;
            return Poll::Ready(None);
        }
        while this.timer.as_mut().poll(cx).is_ready() {
            let quiet_until = *this.last + *this.every;
            let now = Instant::now();
            if now < quiet_until {
                this.timer.as_mut().reset(quiet_until);
                continue;
            }
            *this.last = now;
            this.timer.as_mut().reset(now + *this.every);
            if this.boundary.between_events() {
                return Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(COMMENT)))));
            }
        }
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = SizeHint::new();
        hint.set_lower(self.body.size_hint().lower());
        hint
    }
}

/// Where in an event stream the bytes so far end: a blank line ends an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Boundary {
    /// Nothing came yet, or the last line was blank.
    #[default]
    Between,
    /// Like `Between`, after a CR: an LF still belongs to that line end.
    BetweenAfterCr,
    /// At the start of a line inside an event.
    LineStart,
    /// Like `LineStart`, after a CR.
    LineStartAfterCr,
    /// Inside a line.
    Line,
}

impl Boundary {
    fn push(&mut self, data: &[u8]) {
        // Only the last line ends matter: three bytes back decide, unless the chunk is shorter.
        let tail = data.len().saturating_sub(4);
        let mut state = if tail == 0 { *self } else { Self::Line };
        for byte in &data[tail..] {
            state = state.step(*byte);
        }
        *self = state;
    }

    const fn step(self, byte: u8) -> Self {
        match (self, byte) {
            (Self::Between | Self::BetweenAfterCr | Self::LineStart, b'\r') => Self::BetweenAfterCr,
            (Self::LineStartAfterCr, b'\r') => Self::BetweenAfterCr,
            (Self::Line, b'\r') => Self::LineStartAfterCr,
            (Self::Between | Self::BetweenAfterCr | Self::LineStart, b'\n') => Self::Between,
            (Self::LineStartAfterCr | Self::Line, b'\n') => Self::LineStart,
            _ => Self::Line,
        }
    }

    /// Whether a comment may stand here. Not after a CR: an LF that follows would end one line
    /// more, which is harmless between events but not ours to rely on.
    const fn between_events(self) -> bool {
        matches!(self, Self::Between)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    #[test]
    fn knows_where_an_event_ends() {
        for (stream, between) in [
            ("", true),
            ("data: a", false),
            ("data: a\n", false),
            ("data: a\n\n", true),
            ("data: a\r\n\r\n", true),
            ("data: a\r\r", false),
            ("data: a\r\r\n", true),
            (": x\n\n", true),
            ("\n", true),
            ("data: a\n\ndata", false),
            ("data: a\n\n\n", true),
        ] {
            for split in 0..=stream.len() {
                let mut boundary = Boundary::default();
                boundary.push(&stream.as_bytes()[..split]);
                boundary.push(&stream.as_bytes()[split..]);
                assert_eq!(
                    boundary.between_events(),
                    between,
                    "{stream:?} split at {split}"
                );
            }
        }
    }

    // REQ: G-3
    #[tokio::test(start_paused = true)]
    async fn speaks_only_between_events() {
        let (mut sender, body) = http_body_util::channel::Channel::<Bytes>::new(4);
        let every = Duration::from_secs(15);
        let mut body = Box::pin(KeepAlive::new(body, every));
        let begun = Instant::now();
        let frame = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(&frame[..], COMMENT);
        assert_eq!(begun.elapsed(), every);

        sender
            .send_data(Bytes::from_static(b"data: half"))
            .await
            .unwrap();
        assert_eq!(
            body.frame().await.unwrap().unwrap().into_data().unwrap(),
            "data: half"
        );
        assert!(
            tokio::time::timeout(every * 3, body.frame()).await.is_err(),
            "inside an event"
        );

        sender.send_data(Bytes::from_static(b"\n\n")).await.unwrap();
        assert_eq!(
            body.frame().await.unwrap().unwrap().into_data().unwrap(),
            "\n\n"
        );
        assert_eq!(
            body.frame().await.unwrap().unwrap().into_data().unwrap(),
            COMMENT
        );
    }
}
