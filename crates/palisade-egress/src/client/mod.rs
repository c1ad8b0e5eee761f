//! An HTTP client for tools: fetches what a model asks for, and nothing that it must not reach.
//!
//! ```no_run
//! use std::sync::Arc;
//! use palisade_egress::{DnsResolver, Guard, Policy};
//! use palisade_egress::client::Client;
//!
//! # async fn tool() -> Result<(), Box<dyn std::error::Error>> {
//! let policy = Arc::new(Policy::builder().build()?);
//! let resolver = Arc::new(DnsResolver::of_this_machine(false)?);
//! let client = Client::builder(Guard::new(policy, resolver)).build()?;
//!
//! let page = client.get("https://example.com/").await?;
//! println!("{} {}", page.status, page.text());
//!
//! let refused = client.get("http://169.254.169.254/latest/meta-data/").await.unwrap_err();
//! assert_eq!(refused.code(), "egress.address.platform");
//! # Ok(())
//! # }
//! ```
//!
//! Every hop is judged afresh: its URL, then every address of its name, and the connection goes to
//! a judged address with the URL's host in `Host` and in the TLS handshake. Redirects are followed
//! here and nowhere else; credentials stay with their origin; from https to http there is no way.
//! Proxies in the environment are not asked. `Alt-Svc`, `Refresh` and cookies of the answer have no
//! effect. Each hop has a connection of its own, speaks HTTP/1.1 and closes it.

mod decode;
mod error;
mod exchange;
pub(crate) mod follow;
pub(crate) mod request;
mod tls;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use tokio::time::timeout;
use url::Url;

pub use error::FetchError;
pub use request::Request;
pub use tls::{TrustError, trusting};

use crate::event::{Observe, Unobserved};
use crate::guard::Guard;
use crate::policy::CheckedTarget;
use exchange::Answer;
use follow::{Asker, Exchange};
use tls::Tls;

/// Bounds of a fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Redirects that are followed. Default: 5; at most 20.
    pub redirects: u8,
    /// Bytes of the answer's body after unpacking. Default: 10 MiB.
    pub body: usize,
    /// How many times its packed size a body may unpack to, beyond the first MiB. Default: 200.
    pub ratio: u32,
    /// Bytes of an answer's head. Default: 64 KiB; at least 8 KiB.
    pub head: usize,
    /// From the sent request to the answer's head, for each hop. Default: 15 s.
    pub first_byte: Duration,
    /// For everything. Default: 30 s.
    pub total: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            redirects: 5,
            body: 10 << 20,
            ratio: 200,
            head: 64 << 10,
            first_byte: Duration::from_secs(15),
            total: Duration::from_secs(30),
        }
    }
}

/// A guarded HTTP client. Cheap to clone.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    guard: Guard,
    tls: Tls,
    limits: Limits,
    identity: String,
    observer: Arc<dyn Observe>,
}

impl Client {
    /// A client behind this guard.
    pub fn builder(guard: Guard) -> ClientBuilder {
        ClientBuilder {
            guard,
            ca: Vec::new(),
            limits: Limits::default(),
            identity: String::new(),
            observer: Arc::new(Unobserved),
        }
    }

    /// Gets a URL.
    ///
    /// # Errors
    /// See [`Client::fetch`].
    pub async fn get(&self, url: &str) -> Result<Response, FetchError> {
        self.fetch(Request::get(url)).await
    }

    /// Sends a request, follows its redirects and reads the whole answer.
    ///
    /// # Errors
    /// [`FetchError::Refused`] where the policy refuses the URL, its addresses or a redirect;
    /// otherwise what went wrong on the way or which limit was met. An answer with an error status
    /// is no error.
    pub async fn fetch(&self, request: Request) -> Result<Response, FetchError> {
        request.check()?;
        let limit = self.0.limits.total;
        let whole = timeout(limit, self.follow(request)).await;
        whole.unwrap_or(Err(FetchError::Timeout {
            stage: "the request",
            limit,
        }))
    }

    async fn follow(&self, request: Request) -> Result<Response, FetchError> {
        let inner = &*self.0;
        let asker = Asker {
            guard: &inner.guard,
            observer: &*inner.observer,
            identity: &inner.identity,
        };
        let (answer, url, hops) =
            follow::follow(&asker, inner, request, inner.limits.redirects).await?;
        answer.read(url, hops).await
    }
}

impl Exchange for Inner {
    type Answer = Answer;

    async fn send(&self, target: CheckedTarget, request: &Request) -> Result<Answer, FetchError> {
        exchange::send(&self.guard, &self.tls, &self.limits, target, request).await
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("guard", &self.0.guard)
            .field("limits", &self.0.limits)
            .finish_non_exhaustive()
    }
}

/// Collects what a client needs.
#[derive(Debug)]
#[must_use]
pub struct ClientBuilder {
    guard: Guard,
    ca: Vec<PathBuf>,
    limits: Limits,
    identity: String,
    observer: Arc<dyn Observe>,
}

impl ClientBuilder {
    /// Trusts the certificates of this PEM file beside the system's roots.
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.ca.push(path.into());
        self
    }

    /// With these bounds.
    pub const fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Tells every decision to `observer`, under this name.
    pub fn observer(mut self, identity: impl Into<String>, observer: Arc<dyn Observe>) -> Self {
        self.identity = identity.into();
        self.observer = observer;
        self
    }

    /// Makes the client.
    ///
    /// # Errors
    /// A CA file that cannot be used, or a system without trusted certificates.
    pub fn build(self) -> Result<Client, TrustError> {
        let tls = Tls::new(&self.ca)?;
        Ok(Client(Arc::new(Inner {
            guard: self.guard,
            tls,
            limits: self.limits,
            identity: self.identity,
            observer: self.observer,
        })))
    }
}

/// An answer, read to its end.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// The header fields. `Content-Encoding` and `Content-Length` are as they were sent; the body
    /// is unpacked.
    pub headers: HeaderMap,
    /// The URL that answered, after redirects.
    pub url: Url,
    /// How many redirects were followed.
    pub redirects: u8,
    /// The body, unpacked.
    pub body: Bytes,
}

impl Response {
    /// The body as text, with U+FFFD for what is no UTF-8.
    #[must_use]
    pub fn text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }
}

/// Whether an answer to `method` with this status has no body (RFC 9112 section 6.3).
fn bodiless(method: &Method, status: StatusCode) -> bool {
    method == Method::HEAD || matches!(status.as_u16(), 100..=199 | 204 | 304)
}
