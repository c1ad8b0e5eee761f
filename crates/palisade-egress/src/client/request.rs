//! A request as the caller wants it, and what of it goes on to another origin.

use bytes::Bytes;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, CONNECTION, CONTENT_ENCODING, CONTENT_LANGUAGE,
    CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HOST, HeaderName, RANGE, TE, TRAILER, TRANSFER_ENCODING,
    UPGRADE, USER_AGENT,
};
use http::{HeaderMap, Method};

use super::error::FetchError;

/// Most header fields of a request.
const MAX_FIELDS: usize = 64;

/// A request to be sent by [`Client::fetch`](super::Client::fetch).
///
/// ```
/// use palisade_egress::client::Request;
///
/// let request = Request::get("https://api.example.com/v1/items")
///     .header(http::header::ACCEPT, http::HeaderValue::from_static("application/json"));
/// ```
#[derive(Clone, Debug)]
pub struct Request {
    pub(super) method: Method,
    pub(super) url: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Request {
    /// A request with this method.
    #[must_use]
    pub fn new(method: Method, url: impl Into<String>) -> Self {
        Self {
            method,
            url: url.into(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
        }
    }

    /// A GET.
    #[must_use]
    pub fn get(url: impl Into<String>) -> Self {
        Self::new(Method::GET, url)
    }

    /// A POST with a body of this media type.
    #[must_use]
    pub fn post(url: impl Into<String>, media: http::HeaderValue, body: impl Into<Bytes>) -> Self {
        let mut request = Self::new(Method::POST, url).header(CONTENT_TYPE, media);
        request.body = body.into();
        request
    }

    /// Adds a header field. What is not plainly harmless does not follow a redirect to another
    /// origin: `Authorization`, `Cookie`, and every field of your own.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: http::HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// What must not be the caller's to say.
    pub(super) fn check(&self) -> Result<(), FetchError> {
        if self.method == Method::CONNECT || self.method == Method::TRACE {
            return Err(FetchError::Request(
                "CONNECT and TRACE are not for fetching",
            ));
        }
        if self.headers.len() > MAX_FIELDS {
            return Err(FetchError::Request("there are more than 64 header fields"));
        }
        let framing = [
            HOST,
            CONNECTION,
            CONTENT_LENGTH,
            TRANSFER_ENCODING,
            TE,
            TRAILER,
            UPGRADE,
            EXPECT,
            ACCEPT_ENCODING,
        ];
        let hop = |name: &HeaderName| {
            let name = name.as_str();
            framing.iter().any(|framing| framing == name)
                || name.starts_with("proxy-")
                || matches!(name, "keep-alive" | "http2-settings")
        };
        if self.headers.keys().any(hop) {
            return Err(FetchError::Request(
                "it holds a header field that belongs to the connection, such as `Host`; take it out",
            ));
        }
        Ok(())
    }

    /// What a redirect makes of the request (RFC 9110 section 15.4, WHATWG Fetch section 4.4).
    pub(super) fn redirect(&mut self, status: u16, same_origin: bool) {
        let to_get = match status {
            301 | 302 => self.method == Method::POST,
            303 => self.method != Method::GET && self.method != Method::HEAD,
            _ => false,
        };
        if to_get {
            self.method = Method::GET;
            self.body = Bytes::new();
            for name in [CONTENT_TYPE, CONTENT_ENCODING, CONTENT_LANGUAGE] {
                self.headers.remove(name);
            }
        }
        if !same_origin {
            let harmless = [
                ACCEPT,
                ACCEPT_LANGUAGE,
                CONTENT_TYPE,
                CONTENT_ENCODING,
                CONTENT_LANGUAGE,
                RANGE,
                USER_AGENT,
            ];
            let headers = std::mem::take(&mut self.headers);
            let mut last = None;
            for (name, value) in headers {
                // A repeated field has its name at its first value alone.
                last = name.or(last);
                if let Some(name) = &last
                    && harmless.contains(name)
                    && !value.is_sensitive()
                {
                    self.headers.append(name, value);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http::header::{AUTHORIZATION, COOKIE};

    use super::*;

    fn request(method: Method) -> Request {
        let value = HeaderValue::from_static;
        let mut secret = value("agent 7");
        secret.set_sensitive(true);
        Request::new(method, "https://a.example/")
            .header(AUTHORIZATION, value("Bearer x"))
            .header(COOKIE, value("a=b"))
            .header(HeaderName::from_static("x-api-key"), value("k"))
            .header(ACCEPT, value("text/html"))
            .header(ACCEPT, value("text/plain"))
            .header(CONTENT_TYPE, value("text/plain"))
            .header(USER_AGENT, secret)
            .body("body")
    }

    // REQ: E-1
    #[test]
    fn credentials_stay_with_their_origin() {
        let mut same = request(Method::GET);
        same.redirect(302, true);
        assert_eq!(same.headers.len(), 7);
        let mut other = request(Method::GET);
        other.redirect(302, false);
        let names: Vec<_> = other.headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["accept", "content-type"]);
        assert_eq!(other.headers.get_all(ACCEPT).iter().count(), 2);
    }

    #[test]
    fn methods_after_a_redirect() {
        for (status, method, expected, kept) in [
            (301, Method::POST, Method::GET, false),
            (302, Method::POST, Method::GET, false),
            (302, Method::PUT, Method::PUT, true),
            (301, Method::HEAD, Method::HEAD, true),
            (303, Method::POST, Method::GET, false),
            (303, Method::DELETE, Method::GET, false),
            (303, Method::HEAD, Method::HEAD, true),
            (303, Method::GET, Method::GET, true),
            (307, Method::POST, Method::POST, true),
            (308, Method::POST, Method::POST, true),
        ] {
            let mut request = request(method.clone());
            request.redirect(status, true);
            assert_eq!(request.method, expected, "{status} {method}");
            assert_eq!(!request.body.is_empty(), kept, "{status} {method}");
            assert_eq!(
                request.headers.contains_key(CONTENT_TYPE),
                kept,
                "{status} {method}"
            );
        }
    }

    #[test]
    fn fields_of_the_connection_are_not_the_callers() {
        assert!(request(Method::GET).check().is_ok());
        for name in [
            "host",
            "connection",
            "content-length",
            "transfer-encoding",
            "te",
            "upgrade",
            "expect",
            "accept-encoding",
            "proxy-authorization",
            "proxy-connection",
            "keep-alive",
            "trailer",
        ] {
            let name = HeaderName::from_static(name);
            let request = Request::get("https://a.example/")
                .header(name.clone(), HeaderValue::from_static("x"));
            assert!(request.check().is_err(), "{name}");
        }
        assert!(request(Method::CONNECT).check().is_err());
        assert!(request(Method::TRACE).check().is_err());
        let many = (0..65).fold(Request::get("https://a.example/"), |request, _| {
            request.header(ACCEPT, HeaderValue::from_static("x"))
        });
        assert!(many.check().is_err());
    }
}
