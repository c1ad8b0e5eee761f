//! Whether the request head means one thing to every reader.
//!
//! A server has parsed the head already; this guard judges what parsers let through and what
//! another parser behind us could read in another way. It protects a parser, so it has no mode.
//!
//! What cannot occur is not looked for: `http`'s types hold no field name that is not a token
//! and no value with CR, LF or NUL (a test shows it).

use std::fmt;
use std::sync::Arc;

use http::header::UPGRADE;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Version};

use crate::guard::{Admit, Guard};
use crate::path;
use crate::rejection::{Reason, Rejection};

/// Refuses heads that are too large, ambiguous, or of a kind that Palisade does not carry.
///
/// * **Syntax.** 400, 408 or 431 for what a server's own parser found: [`Malformed`].
/// * **Size.** 431 for more fields or bytes than the limits allow.
/// * **Method.** GET, HEAD, POST, PUT, PATCH, DELETE and OPTIONS pass, for plain endpoints stand
///   beside MCP ones; the upstream says which of them it takes. 501 for all others: CONNECT (also
///   the extended one of RFC 8441) and TRACE would open a tunnel or read headers back, and the
///   meaning of an unknown method cannot be judged. Methods are case-sensitive.
/// * **Upgrade.** 501 for `websocket`, which a client waits for. Other offers, such as the `h2c`
///   that Java's client makes with every plaintext request, are declined by ignoring them
///   (RFC 9110 section 7.8).
/// * **Version.** HTTP/1.0 passes without a Transfer-Encoding, which it does not know; 0.9 does not.
/// * **Framing.** 400, and the connection closes, for a Content-Length that is doubled, listed or
///   not digits, one beside a Transfer-Encoding, and a Transfer-Encoding that is not exactly
///   `chunked` or comes with HTTP/2 (RFC 9112 section 6, RFC 9113 section 8.2.2).
/// * **Values.** 400 for one that begins or ends with a space or a tab: HTTP/2 can carry it
///   (RFC 9113 section 8.2.1 forbids it), a reader of HTTP/1.1 takes it for another value.
/// * **Doubles.** 400 for two Content-Types, Authorizations, `Mcp-Session-Id`s,
///   `MCP-Protocol-Version`s or `Last-Event-ID`s: which of them counts would be each reader's
///   own choice.
/// * **Authorization.** Where nothing but two of them, or the size of it, is at fault, a
///   [`Challenger`] may answer 401 in place of 400 and 431.
/// * **Connection.** 400 where it names a field of the message: that field would be judged here
///   and never reach the upstream.
/// * **Names.** 400 for a name with `_` or another sign that CGI-like servers confuse with one that
///   frames the message or vouches for the client or its caller, such as `content_length`,
///   `x_forwarded_for` or `x.palisade.caller`.
/// * **Scheme.** 400 for one that is neither `https` nor `http`.
/// * **Path.** 400 for one that [`path::check`] refuses; `OPTIONS *` passes.
#[derive(Clone, Debug)]
#[must_use]
pub struct Sanity {
    max_fields: usize,
    max_bytes: usize,
    challenger: Option<Arc<dyn Challenger>>,
}

/// Answers for the servers that ask for credentials.
///
/// A client whose `Authorization` cannot be read is as unknown as one without: it is told where to
/// get what would hold, where there is somebody to tell it (RFC 9110 section 11.6.1).
pub trait Challenger: fmt::Debug + Send + Sync + 'static {
    /// The refusal by the server that `head` is for; `None` where that one asks for nothing. Of a
    /// head that a parser did not read to its end, there is only what stood before the fault.
    fn refuse(&self, head: &Parts, fault: CredentialFault) -> Option<Rejection>;
}

/// Why the `Authorization` of a request is not even looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CredentialFault {
    /// There are two: which of them counts would be each reader's own choice.
    Doubled,
    /// It alone takes the head over its limit.
    TooLarge,
}

impl Default for Sanity {
    fn default() -> Self {
        Self {
            max_fields: 100,
            max_bytes: 32 * 1024,
            challenger: None,
        }
    }
}

impl Sanity {
    /// Most header fields. Default: 100.
    pub const fn max_fields(mut self, fields: usize) -> Self {
        self.max_fields = fields;
        self
    }

    /// Most bytes of request target, field names and values together, with four for each field
    /// as HTTP/1.1 writes it. Default: 32 KiB.
    pub const fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Who refuses requests whose `Authorization` alone is at fault. Default: nobody; they are
    /// malformed, or too large, like any other.
    pub fn challenger(mut self, challenger: Arc<dyn Challenger>) -> Self {
        self.challenger = Some(challenger);
        self
    }

    /// The connection closes, as it would without a challenger.
    fn challenge(&self, head: &Parts, fault: CredentialFault) -> Option<Rejection> {
        let challenger = self.challenger.as_ref()?;
        challenger.refuse(head, fault).map(Rejection::closing)
    }

    fn too_large(what: &str, found: usize, setting: &str, limit: usize) -> Rejection {
        Rejection::new(Reason::RequestHeaderTooLarge)
            .with_detail(format_args!("{found} {what}"))
            .with_remedy(format_args!("raise `{setting}` above {limit}"))
            .closing()
    }
}

/// What a server's own parser found wrong with a request; it travels in the request's extensions,
/// so that the answer to it is one like any other.
///
/// The details are fixed texts: they quote nothing of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// 400: what it is cannot be said, or could be said in two ways.
    Syntax(&'static str),
    /// 431: over a limit of heads.
    TooLarge(&'static str),
    /// The same by `Authorization`; see [`Challenger`].
    CredentialTooLarge(&'static str),
    /// 408: the head did not come to its end.
    Timeout(&'static str),
}

impl Malformed {
    /// The connection closes: where the next request would begin is not known.
    fn rejection(self) -> Rejection {
        let rejection = match self {
            Self::Syntax(detail) => malformed(detail),
            Self::TooLarge(detail) | Self::CredentialTooLarge(detail) => {
                Rejection::new(Reason::RequestHeaderTooLarge)
                    .with_detail(detail)
                    .with_remedy("raise `limits.header_count` or `limits.header_bytes`")
            }
            Self::Timeout(detail) => Rejection::new(Reason::RequestTimeout)
                .with_detail(detail)
                .with_remedy("raise `limits.timeouts.headers`"),
        };
        rejection.closing()
    }
}

impl Guard for Sanity {
    fn admit(&self, head: &mut Parts) -> Result<Admit, Rejection> {
        if let Some(malformed) = head.extensions.get::<Malformed>() {
            let challenge = match malformed {
                Malformed::CredentialTooLarge(_) => self.challenge(head, CredentialFault::TooLarge),
                _ => None,
            };
            return Err(challenge.unwrap_or_else(|| malformed.rejection()));
        }
        let (fields, limit) = (head.headers.len(), self.max_fields);
        if fields > limit {
            return Err(Self::too_large(
                "fields",
                fields,
                "limits.header_count",
                limit,
            ));
        }
        let survey = Survey::of(head)?;
        let limit = self.max_bytes;
        if survey.bytes > limit {
            let challenge = match survey.bytes - survey.authorization_bytes <= limit {
                true => self.challenge(head, CredentialFault::TooLarge),
                false => None,
            };
            return Err(challenge.unwrap_or_else(|| {
                Self::too_large("bytes", survey.bytes, "limits.header_bytes", limit)
            }));
        }
        version(head)?;
        method(&head.method)?;
        if survey.upgrades {
            upgrade(&head.headers)?;
        }
        framing(head.version, survey.length, survey.coding)?;
        target(head)?;
        if survey.authorizations > 1 {
            let challenge = self.challenge(head, CredentialFault::Doubled);
            return Err(challenge.unwrap_or_else(|| doubled("authorization")));
        }
        Ok(Admit::pass())
    }
}

/// What one pass over the fields has found.
#[derive(Debug, Default)]
struct Survey<'a> {
    bytes: usize,
    length: Option<&'a HeaderValue>,
    coding: Option<&'a HeaderValue>,
    content_type: bool,
    authorizations: usize,
    authorization_bytes: usize,
    session: bool,
    revision: bool,
    last_event: bool,
    upgrades: bool,
}

impl<'a> Survey<'a> {
    fn of(head: &'a Parts) -> Result<Self, Rejection> {
        let mut survey = Self {
            bytes: target_length(head),
            ..Self::default()
        };
        for (name, value) in &head.headers {
            let name = name.as_str();
            if is_padded(value.as_bytes()) {
                return Err(malformed(format_args!("spaces round the value of {name}")).closing());
            }
            let bytes = name.len() + value.len() + 4;
            survey.bytes += bytes;
            let twice = match name {
                "content-length" => survey.length.replace(value).is_some(),
                "transfer-encoding" => survey.coding.replace(value).is_some(),
                "content-type" => std::mem::replace(&mut survey.content_type, true),
                "authorization" => {
                    survey.authorizations += 1;
                    survey.authorization_bytes += bytes;
                    false
                }
                "mcp-session-id" => std::mem::replace(&mut survey.session, true),
                "mcp-protocol-version" => std::mem::replace(&mut survey.revision, true),
                "last-event-id" => std::mem::replace(&mut survey.last_event, true),
                "connection" if names_another_field(value) => {
                    return Err(malformed("Connection names a field of the message").closing());
                }
                "upgrade" => {
                    survey.upgrades = true;
                    false
                }
                _ if name.bytes().any(is_sign) && is_confusable(name) => {
                    return Err(malformed(format_args!(
                        "`{name}` is another header to CGI-like servers"
                    ))
                    .closing());
                }
                _ => false,
            };
            if twice {
                return Err(doubled(name));
            }
        }
        Ok(survey)
    }
}

/// Whether there are spaces or tabs round `value` (RFC 9110 section 5.5).
fn is_padded(value: &[u8]) -> bool {
    let blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    blank(value.first()) || blank(value.last())
}

/// Whether a `Connection` header names anything but what HTTP itself names in it. Such a field
/// would be judged here and never reach the upstream.
fn names_another_field(connection: &HeaderValue) -> bool {
    const OPTIONS: [&[u8]; 8] = [
        b"",
        b"close",
        b"http2-settings",
        b"keep-alive",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"upgrade",
    ];
    connection
        .as_bytes()
        .split(|byte| *byte == b',')
        .any(|option| {
            let option = option.trim_ascii();
            !OPTIONS
                .iter()
                .any(|known| option.eq_ignore_ascii_case(known))
        })
}

fn target_length(head: &Parts) -> usize {
    let authority = head.uri.authority().map_or(0, |a| a.as_str().len());
    let path = head.uri.path_and_query().map_or(0, |p| p.as_str().len());
    authority + path
}

fn malformed(detail: impl fmt::Display) -> Rejection {
    Rejection::new(Reason::RequestMalformed).with_detail(detail)
}

fn doubled(name: &str) -> Rejection {
    malformed(format_args!("more than one {name}")).closing()
}

fn version(head: &Parts) -> Result<(), Rejection> {
    if head.version == Version::HTTP_09 {
        return Err(malformed("HTTP/0.9").closing());
    }
    Ok(())
}

fn method(method: &Method) -> Result<(), Rejection> {
    match *method {
        Method::DELETE
        | Method::GET
        | Method::HEAD
        | Method::OPTIONS
        | Method::PATCH
        | Method::POST
        | Method::PUT => Ok(()),
        _ => Err(not_carried(method)),
    }
}

fn upgrade(headers: &HeaderMap) -> Result<(), Rejection> {
    let websocket = headers.get_all(UPGRADE).iter().any(|offer| {
        let mut protocols = offer.as_bytes().split(|byte| *byte == b',');
        protocols.any(|protocol| {
            let name = protocol.split(|byte| *byte == b'/').next();
            name.is_some_and(|name| name.trim_ascii().eq_ignore_ascii_case(b"websocket"))
        })
    });
    if websocket {
        return Err(not_carried("upgrade to websocket"));
    }
    Ok(())
}

/// A client that waits for a tunnel may already send what belongs in it: so it closes.
fn not_carried(detail: impl fmt::Display) -> Rejection {
    Rejection::new(Reason::RequestMethod)
        .with_detail(detail)
        .closing()
}

fn framing(
    version: Version,
    length: Option<&HeaderValue>,
    coding: Option<&HeaderValue>,
) -> Result<(), Rejection> {
    let fault = match (length, coding) {
        (None, None) => return Ok(()),
        (Some(_), Some(_)) => "Content-Length beside Transfer-Encoding",
        (Some(length), None) if is_length(length) => return Ok(()),
        (Some(_), None) => "Content-Length is not a number",
        (None, Some(_)) if version != Version::HTTP_11 => "Transfer-Encoding outside HTTP/1.1",
        (None, Some(coding)) if coding.as_bytes().eq_ignore_ascii_case(b"chunked") => {
            return Ok(());
        }
        (None, Some(_)) => "Transfer-Encoding is not `chunked`",
    };
    Err(malformed(fault).closing())
}

/// `1*DIGIT` (RFC 9110 section 8.6) that every reader can count: below 10^18.
fn is_length(value: &HeaderValue) -> bool {
    let digits = value.as_bytes();
    (1..=18).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit)
}

/// Whether CGI-like servers write a byte of a name as they write `-`: RFC 3875 section 4.1.18 has
/// `_` for it, and some write all signs so.
const fn is_sign(byte: u8) -> bool {
    !byte.is_ascii_alphanumeric() && byte != b'-'
}

/// Whether `name`, with `-` for every sign, is one that decides something here or upstream.
fn is_confusable(name: &str) -> bool {
    const NAMES: [&str; 23] = [
        "accept-encoding",
        "content-encoding",
        "content-length",
        "content-type",
        "proxy-authorization",
        "transfer-encoding",
        "cf-connecting-ip",
        "client-ip",
        "fastly-client-ip",
        "forwarded",
        "remote-user",
        "true-client-ip",
        "x-client-ip",
        "x-cluster-client-ip",
        "x-envoy-external-address",
        "x-forwarded",
        "x-host",
        "x-http-method",
        "x-http-method-override",
        "x-method-override",
        "x-real-ip",
        "x-request-id",
        "x-rewrite-url",
    ];
    const PREFIXES: [&str; 10] = [
        "access-control-",
        "mcp-",
        "sec-fetch-",
        "ssl-client-",
        "x-client-cert",
        "x-forwarded-",
        "x-original-",
        "x-palisade-",
        "x-remote-",
        "x-ssl-",
    ];
    let dashed = |name: &str, pattern: &str| {
        let pairs = name.bytes().zip(pattern.bytes());
        name.len() >= pattern.len()
            && pairs
                .into_iter()
                .all(|(byte, wanted)| byte == wanted || (is_sign(byte) && wanted == b'-'))
    };
    // A parameter's own name may hold what it likes behind the prefix (SEP-2243).
    if name.starts_with("mcp-param-") {
        return false;
    }
    NAMES
        .iter()
        .any(|pattern| name.len() == pattern.len() && dashed(name, pattern))
        || PREFIXES.iter().any(|pattern| dashed(name, pattern))
}

fn target(head: &Parts) -> Result<(), Rejection> {
    // HTTP/2 can carry any (RFC 9113 section 8.3.1), a proxy's request line too.
    let scheme = head.uri.scheme_str();
    if scheme.is_some_and(|scheme| scheme != "https" && scheme != "http") {
        return Err(malformed("a scheme that is neither https nor http").closing());
    }
    // `http` reads an empty path as `/`; the next reader might not.
    let whole = head
        .uri
        .path_and_query()
        .map(http::uri::PathAndQuery::as_str);
    if whole.is_some_and(|whole| whole.starts_with('?')) && head.version == Version::HTTP_2 {
        return Err(malformed("no path before the query").closing());
    }
    let path = head.uri.path();
    if path == "*" && head.method == Method::OPTIONS {
        return Ok(());
    }
    path::check(path).map_err(|ambiguity| {
        Rejection::new(Reason::RequestPathAmbiguous)
            .with_detail(format_args!("{ambiguity} in {path}"))
            .with_remedy("send the path in its plain form")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
    use http::{HeaderName, Request};

    fn judge(head: http::request::Builder) -> Option<Rejection> {
        let (mut head, ()) = head.body(()).unwrap().into_parts();
        Sanity::default().admit(&mut head).err()
    }

    fn reason(head: http::request::Builder) -> Option<Reason> {
        judge(head).map(|rejection| rejection.reason())
    }

    fn closes(rejection: Rejection) -> bool {
        let (head, ()) = Request::new(()).into_parts();
        rejection
            .into_response(&head)
            .headers()
            .contains_key("connection")
    }

    // REQ: R-3, G-13
    #[test]
    fn methods_and_upgrades() {
        for (method, carried) in [
            ("GET", true),
            ("HEAD", true),
            ("POST", true),
            ("PUT", true),
            ("PATCH", true),
            ("DELETE", true),
            ("OPTIONS", true),
            ("TRACE", false),
            ("CONNECT", false),
            ("get", false),
            ("Post", false),
            ("PROPFIND", false),
            ("QUERY", false),
            ("PRI", false),
            ("GETT", false),
        ] {
            let rejection = judge(Request::builder().method(method));
            let expected = (!carried).then_some(Reason::RequestMethod);
            assert_eq!(
                rejection.as_ref().map(Rejection::reason),
                expected,
                "{method}"
            );
            assert!(rejection.is_none_or(closes), "{method}");
        }
        for (offers, carried) in [
            (&["h2c"][..], true),
            (&["TLS/1.0, HTTP/1.1"], true),
            (&["websocket2"], true),
            (&["websocket"], false),
            (&["WebSocket"], false),
            (&["h2c, websocket"], false),
            (&["websocket/13"], false),
            (&["h2c", "websocket"], false),
        ] {
            let mut head = Request::builder();
            for offer in offers {
                head = head.header(UPGRADE, *offer);
            }
            let expected = (!carried).then_some(Reason::RequestMethod);
            assert_eq!(reason(head), expected, "{offers:?}");
        }
    }

    // REQ: R-3
    #[test]
    fn framing_means_one_thing() {
        const V1: Version = Version::HTTP_11;
        const V0: Version = Version::HTTP_10;
        const V2: Version = Version::HTTP_2;
        for (version, lengths, codings, fine) in [
            (V1, &[][..], &[][..], true),
            (V1, &["0"], &[], true),
            (V1, &["5"], &[], true),
            (V1, &["005"], &[], true),
            (V1, &["999999999999999999"], &[], true),
            (V2, &["5"], &[], true),
            (V0, &["5"], &[], true),
            (V1, &[], &["chunked"], true),
            (V1, &[], &["Chunked"], true),
            (V1, &["5", "5"], &[], false),
            (V1, &["5", "6"], &[], false),
            (V2, &["5", "5"], &[], false),
            (V1, &["5, 5"], &[], false),
            (V1, &["5,"], &[], false),
            (V1, &["+5"], &[], false),
            (V1, &["-5"], &[], false),
            (V1, &["0x5"], &[], false),
            (V1, &["5 "], &[], false),
            (V1, &[" 5"], &[], false),
            (V1, &["5 6"], &[], false),
            (V1, &["5.0"], &[], false),
            (V1, &["1_0"], &[], false),
            (V1, &[""], &[], false),
            (V1, &["1000000000000000000"], &[], false),
            (V1, &["18446744073709551621"], &[], false),
            (V1, &["5"], &["chunked"], false),
            (V1, &["0"], &["chunked"], false),
            (V1, &["5"], &["identity"], false),
            (V1, &[], &["chunked", "chunked"], false),
            (V1, &[], &["gzip, chunked"], false),
            (V1, &[], &["chunked, identity"], false),
            (V1, &[], &["identity"], false),
            (V1, &[], &["xchunked"], false),
            (V1, &[], &["chunked "], false),
            (V1, &[], &["\tchunked"], false),
            (V1, &[], &["chunked;q=1"], false),
            (V1, &[], &[""], false),
            (V0, &[], &["chunked"], false),
            (V2, &[], &["chunked"], false),
        ] {
            let mut head = Request::builder().method("POST").version(version);
            for length in lengths {
                head = head.header(CONTENT_LENGTH, *length);
            }
            for coding in codings {
                head = head.header(TRANSFER_ENCODING, *coding);
            }
            let rejection = judge(head);
            let expected = (!fine).then_some(Reason::RequestMalformed);
            let got = rejection.as_ref().map(Rejection::reason);
            assert_eq!(got, expected, "{version:?} {lengths:?} {codings:?}");
            assert!(rejection.is_none_or(closes));
        }
        let old = Request::builder().version(Version::HTTP_09);
        assert_eq!(reason(old), Some(Reason::RequestMalformed));
        assert_eq!(reason(Request::builder().version(V0)), None);
        assert_eq!(reason(Request::builder().version(Version::HTTP_3)), None);
    }

    // REQ: R-3
    #[test]
    fn doubles_and_confusable_names() {
        for (fields, fine) in [
            (&[("content-type", "a"), ("content-type", "a")][..], false),
            (&[("authorization", "a"), ("authorization", "b")], false),
            (&[("accept", "a"), ("accept", "b")], true),
            (&[("x-own", " a")], false),
            (&[("x-own", "a ")], false),
            (&[("x-own", "\ta")], false),
            (&[("x-own", "a\t")], false),
            (&[("x-own", " ")], false),
            (&[("x-own", "a\t b")], true),
            (&[("x-own", "")], true),
            (&[("cookie", "a"), ("cookie", "b")], true),
            (&[("content_length", "1")], false),
            (&[("transfer_encoding", "chunked")], false),
            (&[("content_type", "a")], false),
            (&[("x_forwarded_for", "::1")], false),
            (&[("x-forwarded_for", "::1")], false),
            (&[("x_real-ip", "::1")], false),
            (&[("mcp_session_id", "s")], false),
            (&[("mcp-session_id", "s")], false),
            (&[("access_control_request_method", "s")], false),
            (&[("x_palisade_caller", "root")], false),
            (&[("x-palisade_caller", "root")], false),
            (&[("x.palisade.assertion", "root")], false),
            (&[("x~palisade!scopes", "root")], false),
            (&[("x-palisade-caller", "root")], true),
            (&[("ssl_client_verify", "SUCCESS")], false),
            (&[("x_client_cert", "a")], false),
            (&[("x.forwarded.client.cert", "a")], false),
            (&[("cf_connecting_ip", "::1")], false),
            (&[("fastly_client_ip", "::1")], false),
            (&[("x_cluster_client_ip", "::1")], false),
            (&[("accept_encoding", "gzip")], false),
            (&[("palisade_caller", "root")], true),
            (&[("x_palisades", "a")], true),
            (&[("x.own", "a")], true),
            (&[("api_key", "a")], true),
            (&[("x_custom", "a")], true),
            (&[("_", "a")], true),
            (&[("hos_", "a")], true),
            (&[("mcp-param-tenant_id", "a")], true),
            (&[("mcp_param-tenant", "a")], false),
            (&[("x-forwarded-for", "::1")], true),
        ] {
            let mut head = Request::builder();
            for (name, value) in fields {
                head = head.header(*name, *value);
            }
            let expected = (!fine).then_some(Reason::RequestMalformed);
            assert_eq!(reason(head), expected, "{fields:?}");
        }
    }

    /// Refuses for everything below `/asks`.
    #[derive(Debug)]
    struct Asks;

    impl Challenger for Asks {
        fn refuse(&self, head: &Parts, fault: CredentialFault) -> Option<Rejection> {
            let asks = head.uri.path() == "/asks";
            asks.then(|| Rejection::new(Reason::AuthInvalid).with_detail(format_args!("{fault:?}")))
        }
    }

    // REQ
    #[test]
    fn who_asks_for_credentials_answers_for_a_faulty_one() {
        use Reason::{AuthInvalid, RequestHeaderTooLarge, RequestMalformed, RequestMethod};
        let sanity = Sanity::default().max_bytes(300).challenger(Arc::new(Asks));
        let long = "x".repeat(290);
        let short = "x".repeat(10);
        let token = |value: &str| ("authorization", value.to_owned());
        let other = |value: &str| ("cookie", value.to_owned());
        for (name, fields, asked, unasked) in [
            ("one", vec![token(&short)], None, None),
            (
                "two",
                vec![token(&short), token(&short)],
                Some(AuthInvalid),
                Some(RequestMalformed),
            ),
            (
                "three",
                vec![token(&short), token("y"), token("z")],
                Some(AuthInvalid),
                Some(RequestMalformed),
            ),
            (
                "long",
                vec![token(&long), other(&short)],
                Some(AuthInvalid),
                Some(RequestHeaderTooLarge),
            ),
            (
                "long together",
                vec![token(&long[..150]), token(&long[..150])],
                Some(AuthInvalid),
                Some(RequestHeaderTooLarge),
            ),
            (
                "another is long",
                vec![token(&short), other(&long)],
                Some(RequestHeaderTooLarge),
                Some(RequestHeaderTooLarge),
            ),
            (
                "two, and something else",
                vec![
                    token(&short),
                    token(&short),
                    ("content-length", "x".to_owned()),
                ],
                Some(RequestMalformed),
                Some(RequestMalformed),
            ),
        ] {
            for (path, expected) in [("/asks", asked), ("/none", unasked)] {
                let mut head = Request::builder().uri(path);
                for (name, value) in &fields {
                    head = head.header(*name, value);
                }
                let (mut head, ()) = head.body(()).unwrap().into_parts();
                let rejection = sanity.admit(&mut head).err();
                let reason = rejection.as_ref().map(Rejection::reason);
                assert_eq!(reason, expected, "{name} {path}");
                assert!(rejection.is_none_or(closes), "{name} {path}");
                // Without anybody who asks it is as if nobody did.
                let alone = Sanity::default().max_bytes(300).admit(&mut head).err();
                assert_eq!(alone.map(|rejection| rejection.reason()), unasked, "{name}");
            }
        }
        // What a server's own parser found.
        for (malformed, asked, unasked) in [
            (
                Malformed::CredentialTooLarge("x"),
                AuthInvalid,
                RequestHeaderTooLarge,
            ),
            (
                Malformed::TooLarge("x"),
                RequestHeaderTooLarge,
                RequestHeaderTooLarge,
            ),
            (Malformed::Syntax("x"), RequestMalformed, RequestMalformed),
        ] {
            for (path, expected) in [("/asks", asked), ("/none", unasked)] {
                let head = Request::builder().uri(path).extension(malformed);
                let (mut head, ()) = head.body(()).unwrap().into_parts();
                let rejection = sanity.admit(&mut head).err().unwrap();
                assert_eq!(rejection.reason(), expected, "{malformed:?} {path}");
                assert!(closes(rejection), "{malformed:?} {path}");
            }
        }
        let traced = Request::builder().method("TRACE").uri("/asks");
        let traced = traced
            .header("authorization", "a")
            .header("authorization", "b");
        let (mut traced, ()) = traced.body(()).unwrap().into_parts();
        let rejection = sanity.admit(&mut traced).err().unwrap();
        assert_eq!(rejection.reason(), RequestMethod);
    }

    // REQ: R-3
    #[test]
    fn sizes_to_the_byte() {
        let with = |fields: usize, value: usize| {
            let mut head = Request::builder().uri("/mcp?q");
            for field in 0..fields {
                head = head.header(format!("x-{field:03}"), "v".repeat(value));
            }
            head.body(()).unwrap().into_parts().0
        };
        let sanity = Sanity::default().max_fields(3).max_bytes(6 + 3 * 19);
        for (fields, value, expected) in [
            (3, 10, None),
            (3, 11, Some("limits.header_bytes")),
            (4, 1, Some("limits.header_count")),
            (2, 25, Some("limits.header_bytes")),
            (0, 0, None),
        ] {
            let rejection = sanity.admit(&mut with(fields, value)).err();
            assert_eq!(rejection.is_some(), expected.is_some(), "{fields} {value}");
            if let (Some(rejection), Some(setting)) = (rejection, expected) {
                assert_eq!(rejection.reason(), Reason::RequestHeaderTooLarge);
                assert!(
                    rejection.remedy().contains(setting),
                    "{}",
                    rejection.remedy()
                );
            }
        }
        let mut long = Request::new(()).into_parts().0;
        long.uri = format!("/mcp?{}", "q".repeat(64)).parse().unwrap();
        assert!(sanity.admit(&mut long).is_err());
        let mut usual = with(100, 200);
        assert!(Sanity::default().admit(&mut usual).is_ok());
        assert!(Sanity::default().admit(&mut with(101, 1)).is_err());
    }

    // REQ: G-15
    #[test]
    fn targets() {
        for (method, target, fine) in [
            ("POST", "/mcp", true),
            ("POST", "/mcp?a=/../%2e%2e//;%00", true),
            ("POST", "https://a.example/mcp", true),
            ("POST", "https://a.example", true),
            ("POST", "https://a.example//mcp", false),
            ("OPTIONS", "*", true),
            ("POST", "*", false),
            ("POST", "/a/../mcp", false),
            ("POST", "/%2e%2e/mcp", false),
            ("POST", "a.example:443", false),
        ] {
            let got = reason(Request::builder().method(method).uri(target));
            let expected = (!fine).then_some(Reason::RequestPathAmbiguous);
            assert_eq!(got, expected, "{method} {target}");
        }
        for scheme in ["ftp", "file", "javascript", "wss"] {
            let got = reason(Request::builder().uri(format!("{scheme}://a.example/mcp")));
            assert_eq!(got, Some(Reason::RequestMalformed), "{scheme}");
        }
    }

    #[test]
    fn the_types_hold_nothing_that_could_break_a_head() {
        for byte in 0..=u8::MAX {
            let value = HeaderValue::from_bytes(&[byte]);
            let fine = byte == b'\t' || (byte >= b' ' && byte != 0x7f);
            assert_eq!(value.is_ok(), fine, "{byte:#x}");
            if HeaderName::from_bytes(&[byte]).is_ok() {
                assert!(byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte));
            }
        }
    }
}
