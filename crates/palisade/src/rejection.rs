//! The one way in which a layer says no.

use std::fmt;
use std::fmt::Write as _;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Response, StatusCode};

use crate::media;

use crate::field::{Field, Meet};

/// A refusal, or an answer that could not be had.
///
/// It becomes the answer by [`Rejection::into_response`] and travels on in that answer's
/// extensions, where audit, metrics and tests read it.
#[derive(Clone)]
pub struct Rejection(Box<Inner>);

#[derive(Clone)]
struct Inner {
    reason: Reason,
    detail: String,
    remedy: String,
    headers: Vec<Field>,
    id: Option<Bytes>,
    close: bool,
}

/// Longest detail and remedy kept for the log, in bytes.
const MAX_TEXT: usize = 500;

/// Longest JSON-RPC id that is given back, in bytes; a longer one becomes `null`.
const MAX_ID: usize = 256;

impl Rejection {
    /// A rejection for `reason`.
    #[must_use]
    #[cold]
    pub fn new(reason: Reason) -> Self {
        Self(Box::new(Inner {
            reason,
            detail: String::new(),
            remedy: String::new(),
            headers: Vec::new(),
            id: None,
            close: false,
        }))
    }

    /// What was found, for the log; never shown to the client. Cut at 500 bytes.
    #[must_use]
    #[cold]
    pub fn with_detail(mut self, detail: impl fmt::Display) -> Self {
        self.0.detail = bounded(detail, MAX_TEXT);
        self
    }

    /// The configuration line that would let it pass, for the operator. Cut at 500 bytes.
    #[must_use]
    #[cold]
    pub fn with_remedy(mut self, remedy: impl fmt::Display) -> Self {
        self.0.remedy = bounded(remedy, MAX_TEXT);
        self
    }

    /// Sets a header on the answer.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.push(Field {
            name,
            value,
            meet: Meet::Replace,
        });
        self
    }

    /// What outer guards want on the answer, after our own fields.
    pub(crate) fn with_headers(mut self, headers: Vec<Field>) -> Self {
        self.0.headers.extend(headers);
        self
    }

    /// The raw JSON-RPC id of the request, already known to be valid JSON.
    #[must_use]
    pub fn with_id(mut self, id: Option<Bytes>) -> Self {
        self.0.id = id.filter(|id| id.len() <= MAX_ID);
        self
    }

    /// Closes an HTTP/1.1 connection after the answer: what follows on it cannot be trusted.
    #[must_use]
    pub fn closing(mut self) -> Self {
        self.0.close = true;
        self
    }

    /// Why.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.0.reason
    }

    /// What was found; may hold what the client sent, bounded.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// What would let it pass; empty where nothing should.
    #[must_use]
    pub fn remedy(&self) -> &str {
        &self.0.remedy
    }

    /// What the operator is told: what was found, and behind a semicolon what would let it pass.
    /// Empty where neither is known.
    #[must_use]
    pub fn explanation(&self) -> String {
        let texts = [self.detail(), self.remedy()];
        let texts = texts.into_iter().filter(|text| !text.is_empty());
        texts.collect::<Vec<_>>().join("; ")
    }

    /// The HTTP status of the answer.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.0.reason.status()
    }

    /// The answer: a JSON-RPC error where the request was JSON-RPC, else
    /// `application/problem+json` (RFC 9457). It holds nothing that the client sent but the id.
    #[must_use]
    #[cold]
    pub fn into_response(self, request: &Parts) -> Response<Bytes> {
        let json_rpc = is_json_rpc(request);
        let mut body = String::with_capacity(160);
        if json_rpc {
            self.write_json_rpc(&mut body)
        } else {
            self.write_problem(&mut body)
        }
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() = self.status();
        let content_type = if json_rpc {
            "application/json"
        } else {
            "application/problem+json"
        };
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        for field in &self.0.headers {
            field.clone().apply(headers);
        }
        // RFC 9113 section 8.2.2: HTTP/2 knows no such header.
        if self.0.close && request.version < http::Version::HTTP_2 {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response.extensions_mut().insert(self);
        response
    }

    fn write_json_rpc(&self, out: &mut String) {
        let id = self
            .0
            .id
            .as_deref()
            .and_then(|id| std::str::from_utf8(id).ok())
            .unwrap_or("null");
        let reason = self.0.reason;
        // Writing to a string cannot fail.
        let _ = write!(
            out,
            r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":{},"message":"{}","data":{{"reason":"{}"}}}}}}"#,
            reason.json_rpc_code(),
            reason.message(),
            reason.code(),
        );
    }

    fn write_problem(&self, out: &mut String) {
        let reason = self.0.reason;
        let _ = write!(
            out,
            r#"{{"type":"about:blank","title":"{}","status":{},"reason":"{}"}}"#,
            reason.message(),
            reason.status().as_u16(),
            reason.code(),
        );
    }
}

impl fmt::Debug for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rejection")
            .field("reason", &self.0.reason)
            .field("detail", &self.0.detail)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.reason.code())?;
        for text in [&self.0.detail, &self.0.remedy] {
            if !text.is_empty() {
                write!(f, ": {text}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Rejection {}

/// Whose fault a [`Reason`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The client's request.
    Client,
    /// Palisade's own state.
    Palisade,
    /// The upstream.
    Upstream,
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $status:ident, $fault:ident, $rpc:literal, $message:literal;)+) => {
        /// Why a request was refused. Its [code](Reason::code) is at once log field, metric
        /// label and documentation anchor.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Reason { $($(#[$doc])* $name,)+ }

        impl Reason {
            /// Every reason.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The stable name.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)+ }
            }

            /// The HTTP status it answers with.
            #[must_use]
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)+ }
            }

            /// Whose fault it is.
            #[must_use]
            pub const fn fault(self) -> Fault {
                match self { $(Self::$name => Fault::$fault,)+ }
            }

            /// The JSON-RPC error code. Our own are positive: the reserved range would tell
            /// a client something about the server's protocol era.
            #[must_use]
            pub const fn json_rpc_code(self) -> i32 {
                match self { $(Self::$name => $rpc,)+ }
            }

            /// What the client is told.
            #[must_use]
            pub const fn message(self) -> &'static str {
                match self { $(Self::$name => $message,)+ }
            }
        }
    };
}

reasons! {
    /// No `[[server.allow]]` lets this caller do this.
    AccessDenied = "access.denied", FORBIDDEN, Client, 403, "not allowed";
    /// A `[[server.allow]]` would let this caller do this, had it the scopes.
    AccessScope = "access.scope", FORBIDDEN, Client, 403, "insufficient scope";
    /// The audit log cannot take a record, and `audit.fail` is `closed`.
    AuditUnavailable = "audit.unavailable", SERVICE_UNAVAILABLE, Palisade, 503, "the audit log cannot record this call";
    /// This address presented credentials that do not hold too often.
    AuthFailures = "auth.failures", TOO_MANY_REQUESTS, Client, 429, "too many failed authentications";
    /// A token stands in the query string.
    AuthInQuery = "auth.in_query", UNAUTHORIZED, Client, 401, "a token belongs in the Authorization header";
    /// The credential does not hold.
    AuthInvalid = "auth.invalid", UNAUTHORIZED, Client, 401, "the credential does not hold";
    /// No credential was presented.
    AuthRequired = "auth.required", UNAUTHORIZED, Client, 401, "authentication required";
    /// The keys of the token's issuer cannot be had.
    AuthUnavailable = "auth.unavailable", SERVICE_UNAVAILABLE, Palisade, 503, "authentication is unavailable";
    /// The body ended before its declared length, or its framing broke off.
    BodyIncomplete = "body.incomplete", BAD_REQUEST, Client, 400, "the request body is incomplete";
    /// The body did not arrive in time.
    BodyTimeout = "body.timeout", REQUEST_TIMEOUT, Client, 408, "the request body did not arrive in time";
    /// The body is larger than `limits.body`.
    BodyTooLarge = "body.too_large", PAYLOAD_TOO_LARGE, Client, 413, "the request body is too large";
    /// As many calls are in flight as `concurrency` allows.
    CallConcurrency = "call.concurrency", TOO_MANY_REQUESTS, Client, 429, "too many calls at once";
    /// The call took longer than `timeout`.
    CallTimeout = "call.timeout", GATEWAY_TIMEOUT, Upstream, 504, "the call took too long";
    /// The stdio server has more to do than it takes.
    ChildBusy = "child.busy", SERVICE_UNAVAILABLE, Upstream, 503, "the server takes no more for now";
    /// The stdio server ended before it answered.
    ChildEnded = "child.ended", BAD_GATEWAY, Upstream, 502, "the server ended before it answered";
    /// As many stdio servers run as may.
    ChildLimit = "child.limit", SERVICE_UNAVAILABLE, Palisade, 503, "too many sessions at once";
    /// The stdio server could not be started.
    ChildStart = "child.start", SERVICE_UNAVAILABLE, Upstream, 503, "the server could not be started";
    /// An HTTP/2 connection used up one of its budgets, or broke the protocol.
    ConnectionAbuse = "connection.abuse", TOO_MANY_REQUESTS, Client, 429, "the connection was ended";
    /// TLS could not be agreed on, or the client broke off amid the handshake.
    ConnectionHandshake = "connection.handshake", BAD_REQUEST, Client, 400, "no TLS";
    /// The handshake did not end in time.
    ConnectionHandshakeTimeout = "connection.handshake_timeout", REQUEST_TIMEOUT, Client, 408, "the TLS handshake took too long";
    /// HTTP/2 that is malformed below every request: streams were reset, or the connection was ended.
    ConnectionMalformed = "connection.malformed", BAD_REQUEST, Client, 400, "malformed HTTP/2";
    /// As many connections are open as `limits` allow, from this address or in all.
    ConnectionOverCap = "connection.over_cap", TOO_MANY_REQUESTS, Client, 429, "too many connections";
    /// Plain HTTP on a port that speaks TLS.
    ConnectionPlainHttp = "connection.plain_http", BAD_REQUEST, Client, 400, "this port speaks https";
    /// The client asked by SNI for a name that is not served, or for none where it must.
    ConnectionServerName = "connection.server_name", MISDIRECTED_REQUEST, Client, 421, "server name not served";
    /// A preflight for an origin, a method or a header that is not allowed.
    CorsPreflightRefused = "cors.preflight_refused", FORBIDDEN, Client, 403, "preflight refused";
    /// More than one Host header, or `:authority` and Host that differ.
    HostAmbiguous = "host.ambiguous", BAD_REQUEST, Client, 400, "ambiguous Host";
    /// The Host header is not a host.
    HostMalformed = "host.malformed", BAD_REQUEST, Client, 400, "malformed Host";
    /// No Host header (RFC 9112 section 3.2).
    HostMissing = "host.missing", BAD_REQUEST, Client, 400, "missing Host";
    /// The host is not in `hosts`.
    HostNotAllowed = "host.not_allowed", FORBIDDEN, Client, 403, "host not allowed";
    /// Something failed inside Palisade.
    Internal = "internal", INTERNAL_SERVER_ERROR, Palisade, 500, "internal error";
    /// More bytes of bodies are in flight than `limits.inflight_bytes`.
    LimitInflight = "limit.inflight", SERVICE_UNAVAILABLE, Palisade, 503, "overloaded";
    /// As many requests are in flight as `limits.inflight_requests` allows.
    LimitRequests = "limit.requests", SERVICE_UNAVAILABLE, Palisade, 503, "overloaded";
    /// A JSON array with more messages than a batch may have, or with none.
    MessageBatch = "message.batch", BAD_REQUEST, Client, -32600, "batch refused";
    /// The MCP headers say something else than the body (SEP-2243), towards an upstream that
    /// reads them.
    MessageHeaderMismatch = "message.header_mismatch", BAD_REQUEST, Client, -32020, "headers and body disagree";
    /// The body is JSON but not a JSON-RPC 2.0 message that two readers would read alike.
    MessageInvalid = "message.invalid", BAD_REQUEST, Client, -32600, "not a JSON-RPC 2.0 message";
    /// The body is not strict JSON (RFC 8259, RFC 7493).
    MessageMalformed = "message.malformed", BAD_REQUEST, Client, -32700, "malformed JSON";
    /// The body of a message is not declared as `application/json`.
    MessageMediaType = "message.media_type", UNSUPPORTED_MEDIA_TYPE, Client, 415, "Content-Type must be application/json";
    /// More than one Origin header, or one that is no origin.
    OriginMalformed = "origin.malformed", FORBIDDEN, Client, 403, "malformed Origin";
    /// The origin is not allowed.
    OriginNotAllowed = "origin.not_allowed", FORBIDDEN, Client, 403, "origin not allowed";
    /// More requests than the rate allows.
    RateExceeded = "rate.exceeded", TOO_MANY_REQUESTS, Client, 429, "too many requests";
    /// More header fields or bytes than `limits` allow.
    RequestHeaderTooLarge = "request.header_too_large", REQUEST_HEADER_FIELDS_TOO_LARGE, Client, 431, "request header too large";
    /// A method or an upgrade that Palisade does not carry.
    RequestMethod = "request.method", NOT_IMPLEMENTED, Client, 501, "method not supported";
    /// A path that two readers could normalise differently.
    RequestPathAmbiguous = "request.path_ambiguous", BAD_REQUEST, Client, 400, "ambiguous path";
    /// The message head is not well formed.
    RequestMalformed = "request.malformed", BAD_REQUEST, Client, 400, "malformed request";
    /// The message head did not come to its end in time.
    RequestTimeout = "request.timeout", REQUEST_TIMEOUT, Client, 408, "the request did not arrive in time";
    /// No server is configured for this path.
    RouteNotFound = "route.not_found", NOT_FOUND, Client, 404, "no server on this path";
    /// No such session, or it is another caller's, or it is over.
    SessionUnknown = "session.unknown", NOT_FOUND, Client, -32001, "session not found";
    /// The upstream's answer is not HTTP, or breaks off.
    UpstreamMalformed = "upstream.malformed", BAD_GATEWAY, Upstream, 502, "the upstream's answer is malformed";
    /// No answer came from the upstream in time.
    UpstreamTimeout = "upstream.timeout", GATEWAY_TIMEOUT, Upstream, 504, "the upstream did not answer in time";
    /// The upstream's certificate does not hold.
    UpstreamUntrusted = "upstream.untrusted", BAD_GATEWAY, Upstream, -32603, "the upstream's certificate could not be validated";
    /// No connection to the upstream, or it closed before it answered.
    UpstreamUnreachable = "upstream.unreachable", BAD_GATEWAY, Upstream, 502, "the upstream cannot be reached";
    /// A URL in the arguments of a call may not be reached.
    UrlRefused = "url.refused", FORBIDDEN, Client, 403, "a URL in the arguments is refused";
}

impl Reason {
    /// The HTTP status that the client was answered with: `None` where the connection is refused
    /// before HTTP is spoken on it, so that no [status](Self::status) is ever sent.
    #[must_use]
    pub const fn status_sent(self) -> Option<StatusCode> {
        match self {
            Self::ConnectionAbuse
            | Self::ConnectionHandshake
            | Self::ConnectionHandshakeTimeout
            | Self::ConnectionMalformed
            | Self::ConnectionOverCap
            | Self::ConnectionServerName => None,
            _ => Some(self.status()),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// A message to an MCP endpoint is a POST of JSON.
fn is_json_rpc(request: &Parts) -> bool {
    request.method == Method::POST && media::is_json(&request.headers)
}

/// The text, cut at a character to `most` bytes.
pub(crate) fn bounded(text: impl fmt::Display, most: usize) -> String {
    let mut text = text.to_string();
    if text.len() > most {
        let end = (0..=most)
            .rev()
            .find(|at| text.is_char_boundary(*at))
            .unwrap_or(0);
        text.truncate(end);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn head(method: Method, content_type: &str) -> Parts {
        let request = Request::builder()
            .method(method)
            .header(CONTENT_TYPE, content_type);
        request.body(()).unwrap().into_parts().0
    }

    // REQ: H-0
    #[test]
    fn explains_itself_to_the_operator() {
        let plain = Rejection::new(Reason::HostNotAllowed);
        let found = plain.clone().with_detail("a");
        for (rejection, expected) in [
            (plain.clone(), ""),
            (plain.with_remedy("b"), "b"),
            (found.clone(), "a"),
            (found.with_remedy("b"), "a; b"),
        ] {
            assert_eq!(rejection.explanation(), expected);
        }
    }

    #[test]
    fn renders_json_rpc_for_messages_and_a_problem_for_the_rest() {
        let rejection = || Rejection::new(Reason::HostNotAllowed).with_detail("evil.example");
        for (method, content_type, expected) in [
            (Method::POST, "application/json", "application/json"),
            (
                Method::POST,
                "Application/JSON ; charset=utf-8",
                "application/json",
            ),
            (
                Method::POST,
                "application/jsonp",
                "application/problem+json",
            ),
            (Method::POST, "text/plain", "application/problem+json"),
            (Method::GET, "application/json", "application/problem+json"),
        ] {
            let answer = rejection().into_response(&head(method, content_type));
            assert_eq!(answer.headers()[CONTENT_TYPE], expected, "{content_type}");
            let body: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
            assert!(!body.to_string().contains("evil.example"));
            assert_eq!(
                answer.extensions().get::<Rejection>().unwrap().detail(),
                "evil.example"
            );
        }
    }

    #[test]
    fn gives_the_id_back() {
        let rejection = Rejection::new(Reason::RateExceeded).with_id(Some("\"a\"".into()));
        let answer = rejection.into_response(&head(Method::POST, "application/json"));
        let body: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
        assert_eq!(body["id"], "a");
        assert_eq!(body["error"]["code"], 429);
        assert_eq!(body["error"]["data"]["reason"], "rate.exceeded");
    }

    #[test]
    fn codes_are_distinct_and_texts_need_no_escape() {
        let mut codes: Vec<_> = Reason::ALL.iter().map(|reason| reason.code()).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), Reason::ALL.len());
        for reason in Reason::ALL {
            assert!(!reason.message().contains(['"', '\\']) && reason.message().is_ascii());
        }
    }

    #[test]
    fn texts_are_bounded_at_a_character() {
        let rejection = Rejection::new(Reason::Internal).with_detail("é".repeat(400));
        assert_eq!(rejection.detail().len(), 500);
    }
}
