//! Origin check: a page of a site that is not allowed is refused, not merely left without CORS
//! headers, because the browser has sent the request by then and a tool would have run.

use std::sync::Arc;

use http::HeaderMap;
use http::request::Parts;

use crate::guard::{Admit, Guard, Optional};
use crate::origins::{OriginError, OriginSet, Sent};
use crate::rejection::{Reason, Rejection};

/// Refuses requests whose `Origin` is present and not allowed, as the MCP transport
/// specification demands (2025-11-25 and later, "Security Warning": 403).
///
/// | `Origin` | reason | status |
/// |---|---|---|
/// | absent (curl, servers, SDK clients) | passes | |
/// | allowed, or one of our own public origins | passes | |
/// | not allowed, and `null` always | `origin.not_allowed` | 403 |
/// | two headers, or not an origin | `origin.malformed` | 403 |
#[derive(Clone, Debug)]
pub struct OriginGuard {
    allowed: Arc<OriginSet>,
    own: OriginSet,
}

impl OriginGuard {
    /// Allows the origins of `allowed`: those that CORS allows.
    #[must_use]
    pub fn new(allowed: impl Into<Arc<OriginSet>>) -> Self {
        Self {
            allowed: allowed.into(),
            own: OriginSet::new(),
        }
    }

    /// Allows also the origins of pages that Palisade itself serves
    /// ([`OriginSet::insert_hosts`]). CORS does not concern them.
    #[must_use]
    pub fn with_own(mut self, own: OriginSet) -> Self {
        self.own = own;
        self
    }
}

impl Guard for OriginGuard {
    fn admit(&self, head: &mut Parts) -> Result<Admit, Rejection> {
        judge(&head.headers, &self.allowed, &self.own).map(|()| Admit::pass())
    }
}

impl Optional for OriginGuard {}

fn judge(headers: &HeaderMap, allowed: &OriginSet, own: &OriginSet) -> Result<(), Rejection> {
    match Sent::of(headers) {
        Sent::Absent => Ok(()),
        Sent::One(origin, _) if allowed.allows(&origin) || own.allows(&origin) => Ok(()),
        Sent::One(origin, _) => Err(Rejection::new(Reason::OriginNotAllowed)
            .with_detail(origin)
            .with_remedy(format_args!("add \"{origin}\" to cors.origins"))),
        Sent::Unreadable(error @ OriginError::Null, _) => {
            Err(Rejection::new(Reason::OriginNotAllowed).with_detail(error))
        }
        Sent::Unreadable(error, value) => Err(Rejection::new(Reason::OriginMalformed).with_detail(
            format_args!("{error}: \"{}\"", value.as_bytes().escape_ascii()),
        )),
        Sent::Several => Err(Rejection::new(Reason::OriginMalformed)
            .with_detail("more than one Origin header")
            .closing()),
    }
}
