//! HTTP/1.1 messages read straight from the grammar of RFC 9112 and RFC 9110, slowly, and without
//! a repair. Each function is named after its rule and takes what the rule takes from the front.
//!
//! It keeps none of the limits that `palisade-http1` has; what it refuses must be refused there.

use std::collections::BTreeMap;

/// Fields by their names in lower case, values in order.
pub(crate) type Fields = BTreeMap<String, Vec<Vec<u8>>>;

/// A request's head.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) method: Vec<u8>,
    pub(crate) target: Vec<u8>,
    pub(crate) minor: u8,
    pub(crate) fields: Fields,
    pub(crate) framing: Framing,
    /// Bytes of the head.
    pub(crate) length: usize,
}

/// A response's head.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) minor: u8,
    pub(crate) status: u16,
    pub(crate) fields: Fields,
    pub(crate) framing: Framing,
    pub(crate) length: usize,
}

/// How a body is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    Length(u64),
    Chunked,
    UntilClose,
}

/// `HTTP-message = start-line CRLF *( field-line CRLF ) CRLF [ message-body ]`, with one empty
/// line before it (section 2.2). `None`: refused, or not whole.
pub(crate) fn request(bytes: &[u8]) -> Option<Request> {
    let mut rest = bytes;
    if let Some(after) = rest.strip_prefix(b"\r\n") {
        rest = after;
    }
    let method = token(&mut rest)?.to_vec();
    sp(&mut rest)?;
    let target = request_target(&mut rest, &method)?.to_vec();
    sp(&mut rest)?;
    let minor = http_version(&mut rest)?;
    crlf(&mut rest)?;
    let fields = section(&mut rest)?;
    let framing = framing(&fields, minor)?.unwrap_or(Framing::Length(0));
    Some(Request {
        method,
        target,
        minor,
        fields,
        framing,
        length: bytes.len() - rest.len(),
    })
}

/// `status-line = HTTP-version SP status-code SP [ reason-phrase ]`; the last SP may be missing.
pub(crate) fn response(bytes: &[u8], head_only: bool) -> Option<Response> {
    let mut rest = bytes;
    let minor = http_version(&mut rest)?;
    sp(&mut rest)?;
    let code = rest.split_off(..3)?;
    let (b'1'..=b'9', true) = (code[0], code.iter().all(u8::is_ascii_digit)) else {
        return None;
    };
    let status = code
        .iter()
        .fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'));
    if sp(&mut rest).is_some() {
        while matches!(rest.first()?, b'\t' | b' ' | 0x21..=0x7e | 0x80..) {
            rest = &rest[1..];
        }
    }
    crlf(&mut rest)?;
    let fields = section(&mut rest)?;
    let framing = framing(&fields, minor)?;
    let none = head_only || status < 200 || status == 204 || status == 304;
    let framing = if none {
        Framing::Length(0)
    } else {
        framing.unwrap_or(Framing::UntilClose)
    };
    Some(Response {
        minor,
        status,
        fields,
        framing,
        length: bytes.len() - rest.len(),
    })
}

/// `chunked-body = *chunk last-chunk trailer-section CRLF`: the content, and the bytes it took.
pub(crate) fn chunked_body(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut rest = bytes;
    let mut content = Vec::new();
    loop {
        let size = chunk_size(&mut rest)?;
        chunk_ext(&mut rest)?;
        crlf(&mut rest)?;
        if size == 0 {
            break;
        }
        content.extend(rest.split_off(..usize::try_from(size).ok()?)?);
        crlf(&mut rest)?;
    }
    let trailers = section(&mut rest)?;
    // RFC 9110 section 6.5.1.
    for framing in ["content-length", "transfer-encoding", "host"] {
        if trailers.contains_key(framing) {
            return None;
        }
    }
    Some((content, bytes.len() - rest.len()))
}

/// `chunk-size = 1*HEXDIG`
fn chunk_size(rest: &mut &[u8]) -> Option<u128> {
    let mut digits = Vec::new();
    while rest.first()?.is_ascii_hexdigit() {
        digits.push(rest[0]);
        *rest = &rest[1..];
    }
    u128::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()
}

/// `chunk-ext = *( ";" chunk-ext-name [ "=" chunk-ext-val ] )`, without the bad white space.
fn chunk_ext(rest: &mut &[u8]) -> Option<()> {
    while rest.first()? == &b';' {
        *rest = &rest[1..];
        token(rest)?;
        if rest.first()? == &b'=' {
            *rest = &rest[1..];
            if rest.first()? == &b'"' {
                quoted_string(rest)?;
            } else {
                token(rest)?;
            }
        }
    }
    Some(())
}

/// `quoted-string = DQUOTE *( qdtext / quoted-pair ) DQUOTE`
fn quoted_string(rest: &mut &[u8]) -> Option<()> {
    dquote(rest)?;
    loop {
        match rest.first()? {
            b'"' => return dquote(rest),
            b'\\' => {
                *rest = &rest[1..];
                let (b'\t' | b' ' | 0x21..=0x7e | 0x80..) = rest.first()? else {
                    return None;
                };
            }
            b'\t' | b' ' | 0x21 | 0x23..=0x5b | 0x5d..=0x7e | 0x80.. => {}
            _ => return None,
        }
        *rest = &rest[1..];
    }
}

fn dquote(rest: &mut &[u8]) -> Option<()> {
    *rest = rest.strip_prefix(b"\"")?;
    Some(())
}

/// `*( field-line CRLF ) CRLF`
fn section(rest: &mut &[u8]) -> Option<Fields> {
    let mut fields = Fields::new();
    while crlf(rest).is_none() {
        let (name, value) = field_line(rest)?;
        fields.entry(name).or_default().push(value);
        crlf(rest)?;
    }
    Some(fields)
}

/// `field-line = field-name ":" OWS field-value OWS`
fn field_line(rest: &mut &[u8]) -> Option<(String, Vec<u8>)> {
    let name = String::from_utf8(token(rest)?.to_ascii_lowercase()).ok()?;
    *rest = rest.strip_prefix(b":")?;
    // field-vchar, SP and HTAB; the white space at both ends belongs to OWS.
    let length = rest
        .iter()
        .position(|byte| !matches!(byte, b'\t' | b' ' | 0x21..=0x7e | 0x80..))?;
    let mut value = rest.split_off(..length)?;
    while let [b' ' | b'\t', inner @ ..] | [inner @ .., b' ' | b'\t'] = value {
        value = inner;
    }
    Some((name, value.to_vec()))
}

/// Section 6.3, where everything that lets two readers differ is refused.
fn framing(fields: &Fields, minor: u8) -> Option<Option<Framing>> {
    match (
        fields.get("content-length"),
        fields.get("transfer-encoding"),
    ) {
        (None, None) => Some(None),
        (Some(lengths), None) => {
            let [length] = &lengths[..] else { return None };
            // `Content-Length = 1*DIGIT`
            if length.is_empty() || !length.iter().all(u8::is_ascii_digit) {
                return None;
            }
            let length = std::str::from_utf8(length).ok()?.parse().ok()?;
            Some(Some(Framing::Length(length)))
        }
        (None, Some(codings)) => {
            let [coding] = &codings[..] else { return None };
            let chunked = coding.eq_ignore_ascii_case(b"chunked") && minor == 1;
            chunked.then_some(Some(Framing::Chunked))
        }
        (Some(_), Some(_)) => None,
    }
}

/// `HTTP-version = HTTP-name "/" DIGIT "." DIGIT`, of which two are known.
fn http_version(rest: &mut &[u8]) -> Option<u8> {
    *rest = rest.strip_prefix(b"HTTP/1.")?;
    let (digit @ (b'0' | b'1'), after) = rest.split_first()? else {
        return None;
    };
    *rest = after;
    Some(digit - b'0')
}

/// `request-target = origin-form / absolute-form / authority-form / asterisk-form`, each for its
/// methods (section 3.2).
fn request_target<'a>(rest: &mut &'a [u8], method: &[u8]) -> Option<&'a [u8]> {
    // Every VCHAR but those that no URI has; browsers send some more than RFC 3986 allows.
    let is_uri = |byte: &u8| matches!(byte, 0x21..=0x7e) && !b"\"#<>".contains(byte);
    let length = rest.iter().position(|byte| !is_uri(byte))?;
    let target = rest.split_off(..length)?;
    let fits = match (method, target) {
        (b"CONNECT", target) => authority(target, true),
        (b"OPTIONS", b"*") => true,
        (_, [b'/', ..]) => true,
        (_, target) => absolute_form(target),
    };
    fits.then_some(target)
}

/// `absolute-form = absolute-URI` of the schemes that are HTTP's.
fn absolute_form(target: &[u8]) -> bool {
    let text = String::from_utf8_lossy(target).to_ascii_lowercase();
    let rest = text
        .strip_prefix("http://")
        .or_else(|| text.strip_prefix("https://"));
    rest.is_some_and(|rest| {
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        authority(&rest.as_bytes()[..end], false)
    })
}

/// `uri-host [ ":" port ]` without userinfo; with `port`, it must be there.
fn authority(text: &[u8], port: bool) -> bool {
    let Ok(text) = std::str::from_utf8(text) else {
        return false;
    };
    let (host, rest) = match text.strip_prefix('[').and_then(|text| text.split_once(']')) {
        Some(literal) => literal,
        None => text.find(':').map_or((text, ""), |at| text.split_at(at)),
    };
    let port_fits = match rest.strip_prefix(':') {
        Some(digits) => {
            digits.bytes().all(|byte| byte.is_ascii_digit()) && !(port && digits.is_empty())
        }
        None => rest.is_empty() && !port,
    };
    let host_fits = !host.bytes().any(|byte| b"@/?[]\\".contains(&byte));
    !host.is_empty() && host_fits && port_fits
}

/// `token = 1*tchar`
fn token<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let is_tchar = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    let length = rest.iter().position(|byte| !is_tchar(byte))?;
    if length == 0 {
        return None;
    }
    rest.split_off(..length)
}

fn sp(rest: &mut &[u8]) -> Option<()> {
    *rest = rest.strip_prefix(b" ")?;
    Some(())
}

fn crlf(rest: &mut &[u8]) -> Option<()> {
    *rest = rest.strip_prefix(b"\r\n")?;
    Some(())
}
