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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::Exchange;
    use crate::guard::Mode;
    use http::header::{HeaderValue, ORIGIN};
    use http::{Method, Request};

    fn head(origins: &[&str]) -> Parts {
        let (mut head, ()) = Request::new(()).into_parts();
        for origin in origins {
            let value = HeaderValue::from_bytes(origin.as_bytes()).unwrap();
            head.headers.append(ORIGIN, value);
        }
        head
    }

    // REQ: H-3
    #[test]
    fn what_is_present_must_be_allowed() {
        use Reason::{OriginMalformed as Malformed, OriginNotAllowed as NotAllowed};
        let allowed = OriginSet::parse(["https://app.example.com"]).unwrap();
        let own = OriginSet::parse(["https://mcp.example.com:8443"]).unwrap();
        let guard = OriginGuard::new(allowed).with_own(own);
        let cases: &[(&[&str], Option<Reason>)] = &[
            (&[], None),
            (&["https://app.example.com"], None),
            (&["https://mcp.example.com:8443"], None),
            (&["https://mcp.example.com"], Some(NotAllowed)),
            (&["https://evil.example"], Some(NotAllowed)),
            (&["http://app.example.com"], Some(NotAllowed)),
            (&["https://app.example.com.evil.test"], Some(NotAllowed)),
            (&["chrome-extension://abc"], Some(NotAllowed)),
            (&["null"], Some(NotAllowed)),
            (&["Null"], Some(NotAllowed)),
            (&[""], Some(Malformed)),
            (&["app.example.com"], Some(Malformed)),
            (&["https://app.example.com/"], Some(Malformed)),
            (&["https://app.example.com."], Some(Malformed)),
            (
                &["https://app.example.com https://app.example.com"],
                Some(Malformed),
            ),
            (
                &["https://app.example.com", "https://app.example.com"],
                Some(Malformed),
            ),
            (
                &["https://app.example.com", "https://evil.example"],
                Some(Malformed),
            ),
            (
                &["https://evil.example", "https://app.example.com"],
                Some(Malformed),
            ),
            (&["null", "null"], Some(Malformed)),
        ];
        for (origins, expected) in cases {
            for method in [Method::GET, Method::POST, Method::DELETE, Method::OPTIONS] {
                let mut head = head(origins);
                head.method = method;
                let result = guard.admit(&mut head);
                let reason = result.err().map(|rejection| {
                    assert_eq!(rejection.status(), 403);
                    rejection.reason()
                });
                assert_eq!(reason, *expected, "{origins:?}");
            }
        }
    }

    // REQ: H-0, H-3
    #[test]
    fn a_refusal_names_the_line_that_would_allow_it() {
        for (origin, remedy, detail) in [
            (
                "HTTPS://App.example.com:443",
                "add \"https://app.example.com\" to cors.origins",
                "https://app.example.com",
            ),
            (
                "vscode-webview://1Ab",
                "add \"vscode-webview://1Ab\" to cors.origins",
                "vscode-webview://1Ab",
            ),
            ("null", "", "null is no origin"),
            ("https://a/\u{e9}", "", "\\xc3\\xa9"),
        ] {
            let guard = OriginGuard::new(OriginSet::new());
            let rejection = guard.admit(&mut head(&[origin])).unwrap_err();
            assert_eq!(rejection.remedy(), remedy);
            assert!(rejection.detail().contains(detail), "{rejection}");
            if let Some(line) = remedy.split('"').nth(1) {
                let guard = OriginGuard::new(OriginSet::parse([line]).unwrap());
                assert!(guard.admit(&mut head(&[origin])).is_ok(), "{origin}");
            }
        }
        let guard = OriginGuard::new(OriginSet::new());
        let several = head(&["https://a.example", "https://b.example"]);
        let rejection = guard.admit(&mut several.clone()).unwrap_err();
        assert_eq!(rejection.detail(), "more than one Origin header");
        assert_eq!(
            rejection.into_response(&several).headers()["connection"],
            "close"
        );
    }

    // REQ: G-7
    #[test]
    fn has_modes() {
        for (mode, refused, reported) in [
            (Mode::Enforce, true, 0),
            (Mode::Report, false, 1),
            (Mode::Off, false, 0),
        ] {
            let guard = OriginGuard::new(OriginSet::new()).with_mode(mode);
            let mut head = head(&["https://evil.example"]);
            assert_eq!(guard.admit(&mut head).is_err(), refused, "{mode:?}");
            assert_eq!(Exchange::of(&mut head).facts().reported.len(), reported);
        }
    }
}
