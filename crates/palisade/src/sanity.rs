//! Whether the request head means one thing to every reader.
//!
//! A server has parsed the head already; this guard judges what parsers let through and what
//! another parser behind us could read in another way. It protects a parser, so it has no mode.
//!
//! What cannot occur is not looked for: `http`'s types hold no field name that is not a token, but for
//! `"` in those that HTTP/2 brings, and no value with CR, LF or NUL (a test shows it).

mod names;

use std::fmt;
use std::sync::Arc;

use http::header::UPGRADE;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Version};

use crate::guard::{Admit, Guard};
use crate::path;
use crate::rejection::{Reason, Rejection};
use names::{is_confusable, is_sign};

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
///   `x_forwarded_for` or `x.palisade.caller`; one with `"`, which is no token (RFC 9110 section 5.1)
///   and comes through parsers of HTTP/2; and `proxy`, which is `HTTP_PROXY` there (CVE-2016-5385).
/// * **Expect.** 400 for anything but one `100-continue` (RFC 9110 section 10.1.1 knows no other):
///   what waits for another answer before it sends its body, a reader behind could see or not.
/// * **Scheme.** 400 for one that is neither `https` nor `http`.
/// * **Path.** 400 for one that [`path::check`] refuses; `OPTIONS *` passes. Also for a query with
///   characters above ASCII, which no URI has (RFC 3986 section 3.4).
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
    expects: bool,
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
                "expect" if !is_continue(value.as_bytes()) => {
                    return Err(malformed("Expect is not `100-continue`").closing());
                }
                "expect" => std::mem::replace(&mut survey.expects, true),
                "proxy" => return Err(confusable(name)),
                "upgrade" => {
                    survey.upgrades = true;
                    false
                }
                _ if name.bytes().any(is_sign) => {
                    if name.contains('"') {
                        return Err(malformed("a field name with `\"`").closing());
                    }
                    if is_confusable(name) {
                        return Err(confusable(name));
                    }
                    false
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

/// Whether an `Expect` says nothing, or what everybody knows.
const fn is_continue(value: &[u8]) -> bool {
    value.is_empty() || value.eq_ignore_ascii_case(b"100-continue")
}

fn confusable(name: &str) -> Rejection {
    malformed(format_args!(
        "`{name}` is another header to CGI-like servers"
    ))
    .closing()
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
    // HTTP/2 lets it through; `path::check` says so of the path.
    if head.uri.query().is_some_and(|query| !query.is_ascii()) {
        return Err(malformed("characters above ASCII in the query").closing());
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
mod tests;
