//! Sessions of the revision 2024-11-05 (HTTP+SSE): the stream is the session, and its first event
//! names the endpoint for its messages.
//!
//! What makes an endpoint one session's own (a long part of its path or query) belongs to the caller
//! for as long as the stream lasts; nobody else may send there. The event passes unchanged. There is
//! nothing to keep over a restart, which no stream outlives.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use http::Uri;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::auth::Mark;
use crate::mcp::sse::Peeker;

/// What tells one session's endpoint from another's: a hash of a part of it.
type Part = [u8; 16];

/// Shorter parts are words, not ids that nobody guesses.
const SHORTEST: usize = 16;

/// Most parts of one endpoint or request that are looked at.
const MOST_PARTS: usize = 16;

/// Most parts that are known at once: more than there may be streams.
const MOST: usize = 65_536;

/// Who may send where.
#[derive(Debug, Default)]
pub(super) struct Endpoints {
    /// By part, who has streams whose endpoint has it, and how many.
    owners: Mutex<HashMap<Part, Vec<(Mark, usize)>>>,
    /// How many parts are known, to be read without the lock.
    count: AtomicUsize,
}

impl Endpoints {
    /// Whether `caller` may send to `uri`: it is nobody's endpoint, or its own.
    pub(super) fn admits(&self, uri: &Uri, caller: &Mark) -> bool {
        if self.count.load(Ordering::Acquire) == 0 {
            return true;
        }
        let target = uri.path_and_query().map_or("", |target| target.as_str());
        let owners = self.lock();
        parts(target).iter().all(|part| {
            let known = owners.get(part);
            known.is_none_or(|known| known.iter().any(|(owner, _)| owner == caller))
        })
    }

    /// Makes `endpoint` the caller's own until what is returned is dropped; `None`: there are too
    /// many.
    fn open(self: &Arc<Self>, endpoint: &str, caller: Mark) -> Option<Open> {
        let parts = parts(endpoint);
        let mut owners = self.lock();
        if owners.len() + parts.len() > MOST {
            return None;
        }
        for part in &parts {
            let known = owners.entry(*part).or_default();
            match known.iter_mut().find(|(owner, _)| *owner == caller) {
                Some((_, streams)) => *streams += 1,
                None => known.push((caller, 1)),
            }
        }
        self.count.store(owners.len(), Ordering::Release);
        drop(owners);
        Some(Open {
            endpoints: Arc::clone(self),
            parts,
            caller,
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Part, Vec<(Mark, usize)>>> {
        self.owners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stream whose endpoint is known.
#[derive(Debug)]
struct Open {
    endpoints: Arc<Endpoints>,
    parts: Vec<Part>,
    caller: Mark,
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut owners = self.endpoints.lock();
        for part in &self.parts {
            let Some(known) = owners.get_mut(part) else {
                continue;
            };
            for (owner, streams) in known.iter_mut() {
                if *owner == self.caller {
                    *streams = streams.saturating_sub(1);
                }
            }
            known.retain(|(_, streams)| *streams > 0);
            if known.is_empty() {
                owners.remove(part);
            }
        }
        self.endpoints.count.store(owners.len(), Ordering::Release);
    }
}

/// What may be a session's id in a target: segments of the path, names and values of the query.
fn parts(target: &str) -> Vec<Part> {
    let target = target.split('#').next().unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let query = query.split(['&', ';', '=']);
    let mut parts: Vec<Part> = path
        .split('/')
        .chain(query)
        .filter_map(part)
        .take(MOST_PARTS)
        .collect();
    parts.sort_unstable();
    parts.dedup();
    parts
}

/// However it is written: servers decode it, and some read `A-B` and `{ab}` as one UUID.
fn part(text: &str) -> Option<Part> {
    let mut plain = crate::auth::decoded(text);
    plain.retain(u8::is_ascii_alphanumeric);
    plain.make_ascii_lowercase();
    let plain = plain.strip_prefix(b"urnuuid").unwrap_or(&plain);
    if plain.len() < SHORTEST {
        return None;
    }
    let mut part = Part::default();
    part.copy_from_slice(&digest(&SHA256, plain).as_ref()[..16]);
    Some(part)
}

pin_project! {
    /// The body of an answer; of a stream that begins, what its first event says is looked at.
    #[derive(Debug)]
    pub struct Watched<R> {
        #[pin]
        body: R,
        watch: Option<Box<Watch>>,
    }
}

#[derive(Debug)]
pub(super) struct Watch {
    endpoints: Arc<Endpoints>,
    caller: Mark,
    /// `None` once the endpoint is known, or it is no such stream.
    peeker: Option<Peeker>,
    /// Events that have passed.
    events: u8,
    open: Option<Open>,
}

/// A stream of 2024-11-05 begins with its endpoint; one that has something to say before is looked at
/// for so long.
const FIRST_EVENTS: u8 = 8;

impl Watch {
    pub(super) fn new(endpoints: &Arc<Endpoints>, caller: Mark) -> Self {
        Self {
            endpoints: Arc::clone(endpoints),
            caller,
            peeker: Some(Peeker::new()),
            events: 0,
            open: None,
        }
    }

    /// Whether `bytes` may pass.
    fn reads(&mut self, bytes: &[u8]) -> bool {
        let Some(peeker) = &mut self.peeker else {
            return true;
        };
        let (mut found, mut events) = (None, self.events);
        peeker.push(bytes, |event| {
            events = events.saturating_add(1);
            found = found.take().or(event.endpoint);
        });
        self.events = events;
        if found.is_some() || events >= FIRST_EVENTS {
            self.peeker = None;
        }
        let Some(endpoint) = found else {
            return true;
        };
        self.open = self.endpoints.open(&endpoint, self.caller);
        self.open.is_some()
    }
}

impl<R> Watched<R> {
    pub(super) fn new(body: R, watch: Option<Watch>) -> Self {
        Self {
            body,
            watch: watch.map(Box::new),
        }
    }
}

impl<R: Body<Data = Bytes>> Body for Watched<R> {
    type Data = Bytes;
    type Error = R::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, R::Error>>> {
        let this = self.project();
        let frame = ready!(this.body.poll_frame(cx));
        if let (Some(watch), Some(Ok(frame))) = (this.watch.as_mut(), &frame)
            && let Some(bytes) = frame.data_ref()
            && !watch.reads(bytes)
        {
            // What cannot be bound is not given out.
            return Poll::Ready(None);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::io;
    use std::vec::IntoIter;

    const ALICE: Mark = [1; 16];
    const BOB: Mark = [2; 16];
    const ID: &str = "0a1b2c3d4e5f60718293a4b5c6d7e8f9";

    fn admits(endpoints: &Endpoints, uri: &str, caller: &Mark) -> bool {
        endpoints.admits(&uri.parse().unwrap(), caller)
    }

    // REQ: A-5
    #[test]
    fn an_endpoint_is_its_callers_while_the_stream_lasts() {
        for endpoint in [
            format!("/messages/?session_id={ID}"),
            format!("/messages/{ID}"),
            format!("/messages?{ID}"),
            format!("http://127.0.0.1:3000/messages?x=1&id={ID}"),
            format!("/messages?id={{{ID}}}"),
        ] {
            let endpoints = Arc::new(Endpoints::default());
            let own = format!("/messages/?session_id={ID}");
            assert!(admits(&endpoints, &own, &BOB));
            let open = endpoints.open(&endpoint, ALICE).unwrap();
            let again = endpoints.open(&endpoint, ALICE).unwrap();
            let dashed = format!(
                "{}-{}-{}-{}-{}",
                &ID[..8],
                &ID[8..12],
                &ID[12..16],
                &ID[16..20],
                &ID[20..]
            );
            for uri in [
                own.clone(),
                own.to_uppercase(),
                format!("/messages?session_id=&session_id={ID}"),
                format!("/messages?session_id={ID}&session_id=x"),
                format!("/messages?session_id=x;session_id={ID}"),
                format!("/messages?session_id=%30{}", &ID[1..]),
                format!("/messages?session_id=%7B{dashed}%7D"),
                format!("/messages?session_id=urn:uuid:{dashed}"),
                format!("/other/{ID}/"),
                format!("/other?{ID}"),
            ] {
                assert!(!admits(&endpoints, &uri, &BOB), "{endpoint} {uri}");
                assert!(admits(&endpoints, &uri, &ALICE), "{endpoint} {uri}");
            }
            for uri in [
                "/messages",
                "/messages?session_id=",
                "/mcp?x=1",
                &format!("/messages?session_id={}", &ID[1..]),
            ] {
                assert!(admits(&endpoints, uri, &BOB), "{endpoint} {uri}");
            }
            drop(open);
            assert!(!admits(&endpoints, &own, &BOB));
            drop(again);
            assert!(admits(&endpoints, &own, &BOB));
            assert_eq!(endpoints.count.load(Ordering::Relaxed), 0);
        }
    }

    #[test]
    fn what_all_endpoints_have_is_nobodys() {
        let endpoints = Arc::new(Endpoints::default());
        let long = "/messages-for-one-session";
        let _alice = endpoints.open(&format!("{long}?id={ID}"), ALICE).unwrap();
        let other = ID.replace('0', "f");
        let _bob = endpoints.open(&format!("{long}?id={other}"), BOB).unwrap();
        for (caller, own, foreign) in [(ALICE, ID, &*other), (BOB, &*other, ID)] {
            assert!(admits(&endpoints, &format!("{long}?id={own}"), &caller));
            assert!(!admits(
                &endpoints,
                &format!("{long}?id={foreign}"),
                &caller
            ));
        }
    }

    #[test]
    fn memory_is_bounded() {
        let endpoints = Arc::new(Endpoints::default());
        let open = |number: usize| endpoints.open(&format!("/?id={number:032}"), ALICE);
        let kept: Vec<_> = (0..MOST).map(|number| open(number).unwrap()).collect();
        assert!(open(MOST).is_none());
        drop(kept);
        assert!(open(MOST).is_some());
    }

    // REQ: A-5
    #[tokio::test]
    async fn the_event_is_bound_before_it_passes() {
        let endpoint = format!("/messages?id={ID}");
        for (name, stream, bound) in [
            (
                "whole",
                vec![format!("event: endpoint\ndata: {endpoint}\n\n")],
                true,
            ),
            (
                "in pieces",
                vec![
                    "event: end".to_owned(),
                    format!("point\r\ndata: {endpoint}\r\n"),
                    "\r\n".to_owned(),
                ],
                true,
            ),
            (
                "behind a comment",
                vec![format!(": hello\n\nevent: endpoint\ndata: {endpoint}\n\n")],
                true,
            ),
            (
                "with another behind it",
                vec![format!(
                    "event: endpoint\ndata: {endpoint}\n\ndata: {{}}\n\n"
                )],
                true,
            ),
            (
                "behind a message",
                vec![format!(
                    "data: {{}}\n\nevent: endpoint\ndata: {endpoint}\n\n"
                )],
                true,
            ),
            (
                "behind many",
                vec![
                    "data: {}\n\n".repeat(8),
                    format!("event: endpoint\ndata: {endpoint}\n\n"),
                ],
                false,
            ),
            (
                "unended",
                vec![format!("event: endpoint\ndata: {endpoint}\n")],
                false,
            ),
            (
                "of another name",
                vec![format!("event: endpoints\ndata: {endpoint}\n\n")],
                false,
            ),
        ] {
            let endpoints = Arc::new(Endpoints::default());
            let mut body = Watched::new(
                Script(stream.clone().into_iter()),
                Some(Watch::new(&endpoints, ALICE)),
            );
            let mut passed = String::new();
            while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
                let bytes = frame.unwrap().into_data().unwrap();
                passed.push_str(std::str::from_utf8(&bytes).unwrap());
            }
            assert_eq!(passed, stream.concat(), "{name}");
            assert_eq!(admits(&endpoints, &endpoint, &BOB), !bound, "{name}");
            drop(body);
            assert!(admits(&endpoints, &endpoint, &BOB), "{name}");
        }
    }

    #[derive(Debug)]
    struct Script(IntoIter<String>);

    impl Body for Script {
        type Data = Bytes;
        type Error = io::Error;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
            let next = self.0.next();
            Poll::Ready(next.map(|text| Ok(Frame::data(text.into()))))
        }
    }
}
