//! What is known of one request while it passes the layers.

use std::any::Any;
use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use bytes::Bytes;
use http::request::Parts;
use http::{Extensions, HeaderValue};

use crate::lines::Lines;
use crate::rejection::{Reason, Rejection};

/// One request and its answer: who asks, what is asked, what came of it.
///
/// A cheap handle; every layer sees the same facts. It lives in the request's extensions.
#[derive(Clone, Debug)]
pub struct Exchange {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    id: RequestId,
    connection: Connection,
    started: Instant,
    began: SystemTime,
    /// Whether the server writes headers of answers itself.
    leaves_headers: bool,
    facts: Mutex<Facts>,
}

impl Exchange {
    /// Begins an exchange on `connection`, now.
    #[must_use]
    pub fn begin(connection: Connection) -> Self {
        Self::new(connection, false)
    }

    /// As [`Exchange::begin`], for a server that writes what the layers have to say on an answer
    /// itself, ready made, beside the answer's own headers: what all answers have in common from
    /// [`Facts::common`], and [`Facts::lines`].
    #[must_use]
    pub fn begin_leaving_headers(connection: Connection) -> Self {
        Self::new(connection, true)
    }

    fn new(connection: Connection, leaves_headers: bool) -> Self {
        Self {
            shared: Arc::new(Shared {
                id: RequestId::next(),
                connection,
                started: Instant::now(),
                began: SystemTime::now(),
                leaves_headers,
                facts: Mutex::default(),
            }),
        }
    }

    /// The exchange of this request; begins one when no outer layer has.
    pub fn of(head: &mut Parts) -> Self {
        Self::within(&mut head.extensions)
    }

    /// As [`Exchange::of`], from the request's extensions alone.
    pub fn within(extensions: &mut Extensions) -> Self {
        if let Some(exchange) = extensions.get::<Self>() {
            return exchange.clone();
        }
        let exchange = Self::begin(extensions.remove::<Connection>().unwrap_or_default());
        extensions.insert(exchange.clone());
        exchange
    }

    /// Whether headers stay in [`Facts::common`] and [`Facts::lines`].
    #[must_use]
    pub fn leaves_headers(&self) -> bool {
        self.shared.leaves_headers
    }

    /// The id under which every line about this request can be found.
    #[must_use]
    pub fn id(&self) -> RequestId {
        self.shared.id
    }

    /// The connection it came on.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        &self.shared.connection
    }

    /// When its head had been read.
    #[must_use]
    pub fn started(&self) -> Instant {
        self.shared.started
    }

    /// The same by the clock on the wall, for whoever reads of it.
    #[must_use]
    pub fn began(&self) -> SystemTime {
        self.shared.began
    }

    /// What has been found out so far. Held for a moment, never across an await.
    pub fn facts(&self) -> MutexGuard<'_, Facts> {
        self.shared
            .facts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what report mode would have refused.
    pub fn report(&self, rejection: &Rejection) {
        let mut facts = self.facts();
        if facts.reported.len() < MAX_REPORTED {
            facts.reported.push(rejection.reason());
        }
    }
}

/// One exchange meets each layer once, so this is never reached by honest stacks.
const MAX_REPORTED: usize = 16;

/// The facts of an exchange that layers find out on the way.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Facts {
    /// The configured name of the server that the route chose.
    pub server: Option<Arc<str>>,
    /// Who calls, once proven.
    pub caller: Option<Arc<crate::auth::Caller>>,
    /// The messages of the body, in order; empty before the body has been read.
    pub calls: Vec<Call>,
    /// Whether `calls` came as a JSON array.
    pub batch: bool,
    /// What report mode would have refused.
    pub reported: Vec<Reason>,
    /// Bytes of the request body.
    pub request_bytes: u64,
    /// The session that the request names, as its fingerprint.
    pub session: Option<palisade_audit::Fingerprint>,
    /// Whether CORS answered it as a preflight.
    pub preflight: bool,
    /// What the server has shown of itself.
    pub shown: Option<crate::mcp::shown::Shown>,
    /// Whether it was recorded before it left, and has left since.
    pub(crate) ahead: Passage,
    /// Its place among the requests in flight.
    pub(crate) slot: Option<crate::call_limits::Slot>,
    /// The server's own security headers, for the outer layer.
    pub headers: Option<Arc<crate::headers::HeaderPolicy>>,
    /// What the security headers do to the answer, where the server writes headers itself
    /// ([`Exchange::begin_leaving_headers`]).
    pub common: Option<Arc<crate::headers::Common>>,
    /// Such headers that no other answer has.
    pub lines: Lines,
}

impl Facts {
    /// Whether all that was asked is a stream that ends only when somebody leaves
    /// (2026-07-28).
    #[must_use]
    pub fn is_subscription(&self) -> bool {
        let subscribes = |call: &Call| {
            let method = call.method.as_ref().map(Text::as_bytes);
            method == Some(b"subscriptions/listen")
        };
        !self.calls.is_empty() && self.calls.iter().all(subscribes)
    }
}

/// What has become of an exchange that is recorded before it leaves for the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Passage {
    /// It was recorded, and may have left.
    Gone,
    /// It waits to be recorded: the server knows nothing of it.
    Held,
    /// There is no such record of it.
    #[default]
    Unrecorded,
}

/// One JSON-RPC message of the request, as the body says it.
///
/// The texts are slices of the body: they cost a reference each.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Call {
    /// The JSON-RPC `method`; `None` for a response that the client sends.
    pub method: Option<Text>,
    /// The raw JSON of `id`; `None` for a notification or a response.
    pub id: Option<Bytes>,
    /// The id in the form in which the answer's is compared with it.
    pub key: Option<crate::mcp::RequestId>,
    /// Whether the message goes by the rules of 2026-07-28 or later.
    pub modern: bool,
    /// Tool or prompt name, or resource URI.
    pub target: Option<Text>,
    /// The raw JSON of `params.arguments`.
    pub arguments: Option<Bytes>,
    /// The protocol revision that the message names.
    pub revision: Option<Text>,
    /// The trace id of W3C trace context in `_meta`.
    pub trace_id: Option<Text>,
    /// Whether it may destroy something.
    pub destructive: bool,
    /// Whether it is written down before it leaves.
    pub intent: bool,
    /// What its intent said that its other records say again.
    pub(crate) opening: Option<palisade_audit::Opening>,
    /// The raw JSON of the answer, where it is to be recorded.
    pub response: Option<Bytes>,
    /// What came of it, once known.
    pub outcome: Option<CallOutcome>,
}

/// What came of a call, as the answer says it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CallOutcome {
    /// A JSON-RPC error, or a result with `isError`; the text is bounded.
    Error(String),
    /// The server asks the client for more before it goes on (2026-07-28).
    InputRequired,
    /// A result.
    Ok,
    /// It was cut off at its time limit.
    Timeout,
}

/// UTF-8 text that shares the request body's memory, or is one of a few words of the protocol.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Text(Held);

/// What is known is never held as a slice, so that equal texts are equal.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Held {
    /// Costs no reference, and no look at its bytes when it is read.
    Known(&'static str),
    Slice(Bytes),
}

impl Text {
    /// The text of `body` at `slice`, which must lie inside it; copied when it does not.
    #[must_use]
    pub fn shared(body: &Bytes, slice: &str) -> Self {
        let (start, end) = (body.as_ptr() as usize, body.as_ptr() as usize + body.len());
        let at = slice.as_ptr() as usize;
        if let Some(known) = known(slice) {
            return Self(Held::Known(known));
        }
        if at >= start && at + slice.len() <= end {
            let slice = body.slice(at - start..at - start + slice.len());
            return Self(Held::Slice(slice));
        }
        Self(Held::Slice(Bytes::copy_from_slice(slice.as_bytes())))
    }

    /// The text as bytes, for comparisons.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Held::Known(known) => known.as_bytes(),
            Held::Slice(slice) => slice,
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Held::Known(known) => known,
            // Only ever made from a `&str`; the check is cheap beside what it stands for.
            Held::Slice(slice) => std::str::from_utf8(slice).unwrap_or_default(),
        }
    }
}

impl Default for Text {
    fn default() -> Self {
        Self(Held::Known(""))
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self::shared(&Bytes::new(), text)
    }
}

/// The words that nearly every message holds: the usual methods, the revisions.
fn known(text: &str) -> Option<&'static str> {
    macro_rules! one_of {
        ($($word:literal)*) => {
            match text {
                $($word => Some($word),)*
                _ => None,
            }
        };
    }
    one_of! {
        "" "2024-11-05" "2025-03-26" "2025-06-18" "2025-11-25" "2026-07-28"
        "initialize" "notifications/cancelled" "notifications/initialized" "ping"
        "prompts/get" "prompts/list" "resources/list" "resources/read" "server/discover"
        "subscriptions/listen" "tools/call" "tools/list"
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// The connection that a request came on. The server puts it into the request's extensions.
#[derive(Clone, Debug, Default)]
pub struct Connection {
    /// The other end, where it is known.
    pub peer: Option<SocketAddr>,
    /// Whether it is TLS.
    pub tls: bool,
    /// The client's certificate, where it showed one that holds.
    pub certificate: Option<Arc<crate::auth::ClientCertificate>>,
    /// The peer's address as forwarding headers write it; made once for all requests.
    address: Option<HeaderValue>,
    memos: Arc<Mutex<Vec<Box<dyn Any + Send>>>>,
}

impl Connection {
    /// A connection from `peer`.
    #[must_use]
    pub fn new(peer: SocketAddr, tls: bool) -> Self {
        Self {
            peer: Some(peer),
            tls,
            certificate: None,
            address: HeaderValue::try_from(peer.ip().to_canonical().to_string()).ok(),
            memos: Arc::default(),
        }
    }

    /// Works with what `T` remembers from one request of this connection to the next, at first
    /// its default. Clients send nearly the same head each time, so what was worked out for the
    /// last one often holds for this one; `T` holds what it depends on, and looks.
    pub fn memo<T: Default + Send + 'static, R>(&self, work: impl FnOnce(&mut T) -> R) -> R {
        // A panic elsewhere leaves at worst what is not remembered.
        let mut memos = self.memos.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(memo) = memos.iter_mut().find_map(|memo| memo.downcast_mut()) {
            return work(memo);
        }
        let mut memo = Box::<T>::default();
        let result = work(&mut memo);
        memos.push(memo);
        result
    }

    /// With the client's certificate, whose chain holds.
    #[must_use]
    pub fn with_certificate(mut self, certificate: crate::auth::ClientCertificate) -> Self {
        self.certificate = Some(Arc::new(certificate));
        self
    }

    /// The peer's address.
    #[must_use]
    pub fn peer_ip(&self) -> Option<IpAddr> {
        self.peer.map(|peer| peer.ip())
    }

    /// The peer's address as text; an IPv4 address in IPv6 clothes is written as what it is.
    #[must_use]
    pub const fn peer_text(&self) -> Option<&HeaderValue> {
        self.address.as_ref()
    }
}

/// Names one request within all instances: random per process, counted within it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId([u8; ID_LENGTH]);

/// 8 digits for the process, 16 for the request.
const ID_LENGTH: usize = 24;

impl RequestId {
    /// A fresh id.
    #[must_use]
    pub fn next() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        static PROCESS: LazyLock<(u32, u64)> = LazyLock::new(|| {
            let random = || RandomState::new().build_hasher().finish();
            #[allow(clippy::cast_possible_truncation, reason = "half of a random number")]
            (random() as u32, random())
        });
        let (process, seed) = *PROCESS;
        let mixed = mix(seed.wrapping_add(COUNT.fetch_add(1, Ordering::Relaxed)));
        let mut id = [0; ID_LENGTH];
        hex(&process.to_be_bytes(), &mut id[..8]);
        hex(&mixed.to_be_bytes(), &mut id[8..]);
        Self(id)
    }

    /// 24 lower-case hexadecimal digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The digits of [`RequestId::as_str`].
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// `SplitMix64`'s finaliser: a bijection, so distinct counts give distinct ids.
const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn hex(bytes: &[u8], out: &mut [u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (byte, pair) in bytes.iter().zip(out.chunks_exact_mut(2)) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_equal_however_they_are_held() {
        let body = Bytes::from_static(b"tools/call, tools/other");
        let whole = std::str::from_utf8(&body).unwrap();
        for text in ["tools/call", "tools/other"] {
            let at = whole.find(text).unwrap();
            let shared = Text::shared(&body, &whole[at..at + text.len()]);
            assert_eq!(shared.as_str(), text);
            assert_eq!(shared, Text::from(text));
            assert_eq!(shared, Text::shared(&body, &String::from(text)));
            assert_ne!(shared, Text::default());
        }
        assert_eq!(Text::default(), Text::shared(&body, &whole[3..3]));
        assert_eq!(Text::default().as_str(), "");
    }
}
