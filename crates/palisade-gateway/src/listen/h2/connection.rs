//! One HTTP/2 connection: hyper, with deadlines and an end.

use std::error::Error;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Mutex;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep_until, timeout};

use super::blocks::{BlockLimits, Blocks, MOST_DROPPED};
use super::faults::Faults;
use super::meter::{FrameMeter, MAX_FRAME_SIZE};
use super::metered::{Home, metered};
use super::stall::StreamExecutor;
use super::violation::Violation;

/// What one HTTP/2 connection may use up.
#[derive(Clone, Copy, Debug)]
pub struct Http2Limits {
    /// Streams at once.
    pub streams: u32,
    /// Bytes of one request head, as the stack counts them.
    pub header_bytes: usize,
    /// Fields of one request head.
    pub header_count: usize,
    /// From a ready connection to the end of its preface and first SETTINGS.
    pub first_byte: Duration,
    /// From the first byte of a request head to its last.
    pub headers: Duration,
    /// Without an open stream.
    pub idle: Duration,
    /// Of an answer of which the client takes nothing.
    pub write: Duration,
}

/// How a connection ended, below every request.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    /// What of ours ended it, if not the client or time.
    pub violation: Option<Violation>,
    /// What hyper has refused on it.
    pub faults: Faults,
}

/// Serves HTTP/2 on `io` to its end.
pub async fn serve<I, S, B>(
    io: I,
    service: S,
    limits: &Http2Limits,
    peer: SocketAddr,
    draining: &mut watch::Receiver<bool>,
) -> Ended
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Service<Request<Incoming>, Response = Response<B>, Future: Send + 'static>,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    let list = limits.header_list();
    let block = BlockLimits {
        value: limits.header_value(),
        block: list,
    };
    let now = Instant::now();
    let meter = FrameMeter::new(list.saturating_add(MOST_DROPPED), now);
    let (io, home) = metered(io, meter, Blocks::new(block, now));
    let executor = StreamExecutor::new(limits.write);
    let end = {
        let http = limits.builder(executor.clone(), list);
        let mut connection = pin!(http.serve_connection(TokioIo::new(io), service));
        let mut drained = pin!(draining.wait_for(|draining| *draining));
        let mut clock = Clock::new(limits, Instant::now());
        let ending = poll_fn(|cx| {
            executor.begin_turn();
            if clock.closing.is_none() && drained.as_mut().poll(cx).is_ready() {
                connection.as_mut().graceful_shutdown();
                clock.close(Instant::now());
            }
            loop {
                if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
                    return Poll::Ready(ended.map_or_else(End::Hyper, |()| End::Done));
                }
                home.flush(cx);
                if executor.has_waiting() {
                    cx.waker().wake_by_ref();
                }
                let next = {
                    let meter = home.meter();
                    if let Some(violation) = meter.violation() {
                        return Poll::Ready(End::Violation(violation));
                    }
                    let mut working = executor.working();
                    if clock.closing.is_some() {
                        // An answer that waits for the client has less time now.
                        working = working.saturating_sub(executor.waiting());
                    }
                    clock.next(&meter, working, Instant::now())
                };
                match next {
                    Next::At(at) => {
                        if clock.wait(at, cx).is_pending() {
                            return Poll::Pending;
                        }
                    }
                    Next::Close => {
                        connection.as_mut().graceful_shutdown();
                        clock.close(Instant::now());
                    }
                    Next::End(end) => return Poll::Ready(end),
                    Next::Never => return Poll::Pending,
                }
            }
        });
        let end = ending.await;
        executor.end();
        end
    };
    finish(&home, end, peer).await
}

impl Http2Limits {
    /// hyper's and h2's own knobs, all of them said.
    fn builder(&self, executor: StreamExecutor, list: u32) -> http2::Builder<StreamExecutor> {
        let mut http = http2::Builder::new(executor);
        http.timer(TokioTimer::new())
            .max_concurrent_streams(self.streams)
            // What is too large for the stack is told so by it; see `header_list`.
            .max_header_list_size(list)
            // The smallest that RFC 9113 knows: what is buffered of a frame is no larger.
            .max_frame_size(MAX_FRAME_SIZE)
            // A body is collected before it is forwarded, so there is nothing to gain by more.
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            // It would let a client raise what it may leave in memory, and send PINGs for it.
            .adaptive_window(false)
            // All frames that have come are read before a request is handed on: whoever cancels
            // a whole round of requests at once has as many waiting. The meter's budget is the
            // one over time.
            .max_pending_accept_reset_streams(2 * self.streams.max(128) as usize + 64)
            // Counted over the life of a connection: its default breaks honest clients that
            // live long (hyperium/h2 issue 856). The meter's budget grows again.
            .max_local_error_reset_streams(Some(LOCAL_RESETS))
            .max_send_buf_size(SEND_BUFFER)
            // Headers of a client that we remember; RFC 7541's default, said.
            .header_table_size(TABLE_SIZE)
            .keep_alive_interval(Some(PING))
            .keep_alive_timeout(PING);
        http
    }

    /// The largest header list that hyper hands on. It refuses a larger one by itself, with a
    /// bare 431; so it takes more than the stack does, which also says and records it. RFC 7541
    /// counts 32 bytes more for each field.
    fn header_list(&self) -> u32 {
        let fields = 32 * (self.header_count + 8);
        let fields = u32::try_from(fields).unwrap_or(u32::MAX);
        self.header_value().saturating_mul(2).saturating_add(fields)
    }

    /// The largest value that is looked at: a larger one is over the limit by itself, and empties HPACK's table.
    fn header_value(&self) -> u32 {
        let bytes = u32::try_from(self.header_bytes).unwrap_or(u32::MAX);
        bytes.max(TABLE_SIZE)
    }
}

/// HPACK's dynamic table, in bytes.
const TABLE_SIZE: u32 = 4096;
/// Flow control for bodies of requests, in bytes.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 1 << 20;
/// Bytes of answers that one stream may hold back for a slow reader.
const SEND_BUFFER: usize = 64 * 1024;
/// Resets that a client has provoked, over the life of its connection.
const LOCAL_RESETS: usize = 16_384;
/// A connection whose other end is gone without a word is found out by this.
const PING: Duration = Duration::from_secs(60);
/// How long a client may take to answer that it knows of our end.
const GRACE: Duration = Duration::from_secs(1);
/// The write stall while the gateway drains.
const DRAINING_WRITE: Duration = Duration::from_secs(5);
/// What is read of a client after our own end, so that our last frame is not overtaken by a
/// reset: for how long, and how many bytes.
const LINGER: (Duration, usize) = (Duration::from_secs(1), 256 * 1024);

/// How a connection ended.
#[derive(Debug)]
enum End {
    /// In order, or by the client.
    Done,
    /// By hyper, which has said so to the client where it could.
    Hyper(hyper::Error),
    /// By us: nobody was served any more.
    Quiet,
    /// By a limit of ours.
    Violation(Violation),
}

/// What is due next.
#[derive(Debug)]
enum Next {
    At(Instant),
    Close,
    End(End),
    Never,
}

/// The deadlines of one connection.
struct Clock {
    limits: Http2Limits,
    started: Instant,
    /// When we said that we are closing.
    closing: Option<Instant>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Clock {
    fn new(limits: &Http2Limits, now: Instant) -> Self {
        Self {
            limits: *limits,
            started: now,
            closing: None,
            sleep: None,
        }
    }

    fn close(&mut self, now: Instant) {
        self.closing.get_or_insert(now);
    }

    fn next(&self, meter: &FrameMeter, working: usize, now: Instant) -> Next {
        let limits = &self.limits;
        let (headers, write) = match self.closing {
            Some(_) => (limits.headers.min(GRACE), limits.write.min(DRAINING_WRITE)),
            None => (limits.headers, limits.write),
        };
        let ready = meter.is_ready();
        let idle = meter.idle_since();
        let end = |violation| move || Next::End(End::Violation(violation));
        let mut next = Due::new(now);
        next.by(
            (!ready).then_some(self.started),
            limits.first_byte,
            end(Violation::FirstByte),
        );
        next.by(meter.unfinished_since(), headers, end(Violation::Headers));
        next.by(meter.blocked_since(), write, end(Violation::Write));
        if meter.open() > working {
            // Some answer is over for us and waits in hyper for the client to take it.
            next.by(meter.still_since(working), write, end(Violation::Write));
        }
        match (self.closing, idle) {
            (Some(closing), Some(idle)) => {
                next.by(Some(closing.max(idle)), GRACE, || Next::End(End::Quiet));
            }
            // An answer that begins to wait wakes nobody here.
            (Some(_), None) => next.by(Some(now), GRACE, || Next::Never),
            (None, Some(idle)) if ready => next.by(Some(idle), limits.idle, || Next::Close),
            _ => {}
        }
        next.next
    }

    /// Waits until `at`, or something before it: what was due first may be so no more.
    fn wait(&mut self, at: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(at)));
        if at < sleep.deadline() || sleep.is_elapsed() {
            sleep.as_mut().reset(at);
        }
        sleep.as_mut().poll(cx)
    }
}

/// The first of several deadlines.
struct Due {
    now: Instant,
    next: Next,
}

impl Due {
    const fn new(now: Instant) -> Self {
        Self {
            now,
            next: Next::Never,
        }
    }

    fn by(&mut self, since: Option<Instant>, after: Duration, then: impl FnOnce() -> Next) {
        let Some(at) = since.and_then(|since| since.checked_add(after)) else {
            return;
        };
        if at <= self.now {
            if matches!(self.next, Next::At(_) | Next::Never | Next::Close) {
                self.next = then();
            }
            return;
        }
        match self.next {
            Next::Never => self.next = Next::At(at),
            Next::At(first) if at < first => self.next = Next::At(at),
            _ => {}
        }
    }
}

/// Says why, if it can still be said, and closes.
async fn finish<I>(home: &Home<I>, end: End, peer: SocketAddr) -> Ended
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let mut faults = home.meter().faults();
    let violation = match end {
        // hyper has closed it, and with that sent everything.
        End::Done => {
            return Ended {
                violation: None,
                faults,
            };
        }
        End::Hyper(ref error) => {
            let code = code(error);
            let violation =
                (code == Some(h2::Reason::ENHANCE_YOUR_CALM)).then(|| home.meter().last_taken());
            match (violation, code) {
                (Some(violation), _) => TALLY.note(home, violation, peer),
                (None, Some(code)) => {
                    faults.goaway(code.into());
                    tracing::debug!(%peer, %error, "malformed HTTP/2");
                }
                (None, None) => tracing::debug!(%peer, %error, "connection ended"),
            }
            violation
        }
        End::Quiet => None,
        End::Violation(violation) => {
            TALLY.note(home, violation, peer);
            Some(violation)
        }
    };
    let is_hypers = matches!(end, End::Hyper(_));
    let goaway = home
        .meter()
        .goaway(violation.map_or(0, Violation::code))
        .filter(|_| !is_hypers);
    if let Some((io, mut last)) = home.take() {
        last.extend(goaway.into_iter().flatten());
        // Whether it was heard or not: the connection is over.
        let _ = timeout(LINGER.0, close(io, &last)).await;
    }
    Ended { violation, faults }
}

/// The code by which hyper has told the client why it ends the connection.
fn code(error: &hyper::Error) -> Option<h2::Reason> {
    let error = error.source()?.downcast_ref::<h2::Error>()?;
    error.is_library().then(|| error.reason()).flatten()
}

async fn close<I>(mut io: I, last: &[u8]) -> io::Result<()>
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    io.write_all(last).await?;
    io.shutdown().await?;
    let mut memory = vec![0; 16 * 1024];
    let mut length = 0;
    while length < LINGER.1 {
        match io.read(&mut memory).await? {
            0 => break,
            read => length += read,
        }
    }
    Ok(())
}

/// What ended connections, and when it was last said.
static TALLY: Tally = Tally(Mutex::new(Vec::new()));

struct Tally(Mutex<Vec<Count>>);

struct Count {
    violation: Violation,
    ended: u64,
    said: Instant,
}

impl Tally {
    /// Counts, and says so at once where it is the first of its kind in a minute: whoever
    /// comes back a thousand times does not fill the log.
    fn note<I>(&self, home: &Home<I>, violation: Violation, peer: SocketAddr) {
        let taken = home.meter().taken(violation);
        let (ended, say) = self.count(violation, Instant::now());
        let kind = violation.name();
        let (frames, all) = (taken.frames, taken.all);
        if say && !violation.is_timeout() {
            tracing::warn!(
                %peer, kind, frames, all, ended,
                "HTTP/2 connection ended by a limit; `ended` counts those of this kind since the start"
            );
        } else {
            tracing::debug!(%peer, kind, frames, all, ended, "HTTP/2 connection ended by a limit");
        }
    }

    fn count(&self, violation: Violation, now: Instant) -> (u64, bool) {
        const SAY_EVERY: Duration = Duration::from_secs(60);
        let mut counts = self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let known = counts.iter_mut().find(|count| count.violation == violation);
        let Some(count) = known else {
            counts.push(Count {
                violation,
                ended: 1,
                said: now,
            });
            return (1, true);
        };
        count.ended += 1;
        let say = now.saturating_duration_since(count.said) >= SAY_EVERY;
        if say {
            count.said = now;
        }
        (count.ended, say)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Http2Limits = Http2Limits {
        streams: 100,
        header_bytes: 32_768,
        header_count: 100,
        first_byte: Duration::from_secs(10),
        headers: Duration::from_secs(8),
        idle: Duration::from_secs(60),
        write: Duration::from_secs(30),
    };

    fn opening() -> Vec<u8> {
        let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
        [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &settings].concat()
    }

    // REQ: R-3, G-10
    #[test]
    fn what_is_due_and_when() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let silent = FrameMeter::new(65_536, start);
        let mut idle = silent.clone();
        idle.received(&opening(), start).unwrap();
        let request = [&[0, 0, 1, 1, 5, 0, 0, 0, 1][..], b"b"].concat();
        let mut half = idle.clone();
        half.received(&request[..5], after(1)).unwrap();
        let mut asked = idle.clone();
        asked.received(&request, after(2)).unwrap();
        let mut full = asked.clone();
        full.blocked(after(3));
        for (name, meter, working, at, ends) in [
            ("no preface", &silent, 0, 10, "Violation(FirstByte)"),
            ("half a head", &half, 0, 9, "Violation(Headers)"),
            ("nothing asked", &idle, 0, 60, "Close"),
            (
                "an answer in memory alone",
                &asked,
                0,
                32,
                "Violation(Write)",
            ),
            ("a full socket", &full, 1, 33, "Violation(Write)"),
        ] {
            let clock = Clock::at(start);
            let early = clock.next(meter, working, after(at - 1));
            assert!(
                matches!(early, Next::At(due) if due == after(at)),
                "{name}: {early:?}"
            );
            let late = format!("{:?}", clock.next(meter, working, after(at)));
            assert!(late.contains(ends), "{name}: {late}");
        }
        // An answer that is being made has time.
        let next = Clock::at(start).next(&asked, 1, after(1000));
        assert!(matches!(next, Next::Never), "{next:?}");
        // While it closes.
        for (name, meter, working, at, ends) in [
            ("no preface", &silent, 0, 5, "Quiet"),
            ("nothing asked", &idle, 0, 5, "Quiet"),
            ("half a head", &half, 0, 2, "Violation(Headers)"),
            (
                "an answer in memory alone",
                &asked,
                0,
                7,
                "Violation(Write)",
            ),
        ] {
            let mut clock = Clock::at(start);
            clock.close(after(4));
            let late = format!("{:?}", clock.next(meter, working, after(at)));
            assert!(late.contains(ends), "{name}: {late}");
        }
        let mut clock = Clock::at(start);
        clock.close(after(4));
        let next = clock.next(&asked, 1, after(100));
        assert!(
            matches!(next, Next::At(due) if due == after(101)),
            "{next:?}"
        );
    }

    impl Clock {
        fn at(started: Instant) -> Self {
            Self {
                limits: LIMITS,
                started,
                closing: None,
                sleep: None,
            }
        }
    }

    // REQ: R-3
    #[test]
    fn an_end_is_said_once_a_minute_and_counted_always() {
        let tally = Tally(Mutex::new(Vec::new()));
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        for (seconds, violation, expected) in [
            (0, Violation::Ping, (1, true)),
            (1, Violation::Ping, (2, false)),
            (1, Violation::Reset, (1, true)),
            (59, Violation::Ping, (3, false)),
            (60, Violation::Ping, (4, true)),
            (61, Violation::Ping, (5, false)),
        ] {
            assert_eq!(tally.count(violation, after(seconds)), expected);
        }
    }
}
