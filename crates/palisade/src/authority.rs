//! The authority of a URI (RFC 3986 section 3.2) as Palisade reads it: one strict grammar for
//! `Host`, `:authority`, `Origin` and the allowlists, so that no two places read a host
//! differently.
//!
//! Decisions, where readers in the field differ:
//! * Userinfo, percent-encoding, bytes beyond ASCII, white space and zone ids are refused.
//!   International names are compared as A-labels (`xn--…`), the form that clients send.
//! * A label holds letters, digits, `-` and `_`; the underscore is no host name by RFC 1123, but
//!   container networks use it and no reader takes it for something else.
//! * A name whose last label is a number must be an IPv4 address of four decimal numbers without
//!   leading zeros: `127.1`, `0x7f.1` and `2130706433` are loopback to some readers.
//! * IPv6 stands in brackets and is compared by value; an IPv4-mapped one is not its IPv4 address.
//! * A port is a number from 1 to 65535 without leading zeros; `host:` is refused.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

/// A host and perhaps a port, borrowed from what was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authority<'a> {
    /// The host.
    pub host: Host<'a>,
    /// The port, where one is named.
    pub port: Option<u16>,
}

impl<'a> Authority<'a> {
    /// Reads `host[:port]`; one trailing dot of a name is dropped. Does not allocate.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &'a [u8]) -> Result<Self, AuthorityError> {
        let (mut colon, mut userinfo) = (None, false);
        for (at, byte) in text.iter().enumerate() {
            match byte {
                b':' if colon.is_none() => colon = Some(at),
                b'@' => userinfo = true,
                b'!'..=b'~' => {}
                _ => return Err(misplaced(*byte)),
            }
        }
        // Graphic ASCII is UTF-8.
        let text = std::str::from_utf8(text).map_err(|_| AuthorityError::NotAscii)?;
        let (host, port) = if let Some(bracketed) = text.strip_prefix('[') {
            let (address, rest) = bracketed.split_once(']').ok_or(AuthorityError::Ipv6)?;
            let address = address.parse().map_err(|_| AuthorityError::Ipv6)?;
            let port = match rest.strip_prefix(':') {
                None if rest.is_empty() => None,
                None => return Err(AuthorityError::Port),
                port => port,
            };
            (Host::Ipv6(address), port)
        } else if userinfo {
            return Err(AuthorityError::Userinfo);
        } else {
            match colon.and_then(|colon| text.split_at_checked(colon)) {
                Some((host, port)) => (name(host)?, port.strip_prefix(':')),
                None => (name(text)?, None),
            }
        };
        let port = port.map(number).transpose()?;
        Ok(Self { host, port })
    }
}

/// Lower case, without the trailing dot, addresses in their shortest form.
impl fmt::Display for Authority<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.host.fmt(f)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// A host: an address or a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host<'a> {
    /// An IPv4 address.
    Ipv4(Ipv4Addr),
    /// An IPv6 address.
    Ipv6(Ipv6Addr),
    /// A name.
    Name(Name<'a>),
}

impl Host<'_> {
    /// Whether it is this machine: `localhost`, 127.0.0.0/8 or `::1`.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        match self {
            Self::Ipv4(address) => address.is_loopback(),
            Self::Ipv6(address) => address.is_loopback(),
            Self::Name(name) => *name == Name("localhost"),
        }
    }
}

impl fmt::Display for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ipv4(address) => address.fmt(f),
            Self::Ipv6(address) => write!(f, "[{address}]"),
            Self::Name(name) => name.fmt(f),
        }
    }
}

/// A host name without its trailing dot, compared without regard to ASCII case.
#[derive(Clone, Copy, Debug, Eq)]
pub struct Name<'a>(&'a str);

impl<'a> Name<'a> {
    /// The name as it was written, without a trailing dot.
    #[must_use]
    pub const fn as_written(self) -> &'a str {
        self.0
    }
}

impl PartialEq for Name<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(other.0)
    }
}

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        self.0
            .chars()
            .try_for_each(|c| f.write_char(c.to_ascii_lowercase()))
    }
}

/// A host of an allowlist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HostEntry {
    Ipv4(Ipv4Addr),
    Ipv6(Ipv6Addr),
    Name(Box<str>),
}

impl HostEntry {
    pub(crate) fn new(host: Host<'_>) -> Self {
        match host {
            Host::Ipv4(address) => Self::Ipv4(address),
            Host::Ipv6(address) => Self::Ipv6(address),
            Host::Name(name) => Self::Name(name.0.to_ascii_lowercase().into()),
        }
    }

    pub(crate) fn as_host(&self) -> Host<'_> {
        match self {
            Self::Ipv4(address) => Host::Ipv4(*address),
            Self::Ipv6(address) => Host::Ipv6(*address),
            Self::Name(name) => Host::Name(Name(name)),
        }
    }
}

/// Why a text is no authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthorityError {
    /// A character that no host name holds.
    Character,
    /// There is no host.
    Empty,
    /// The last label is a number, but the whole is not four decimal numbers.
    Ipv4,
    /// The brackets do not hold an IPv6 address.
    Ipv6,
    /// A label is empty or longer than 63 characters.
    Label,
    /// The name is longer than 253 characters.
    NameTooLong,
    /// A byte beyond ASCII.
    NotAscii,
    /// A percent sign.
    PercentEncoding,
    /// Not a number from 1 to 65535.
    Port,
    /// An `@`.
    Userinfo,
    /// A space, a tab or a control character.
    WhiteSpace,
}

impl AuthorityError {
    /// The cause in words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Character => "a character that no host name holds",
            Self::Empty => "no host",
            Self::Ipv4 => "a number as the last label, but not an IPv4 address",
            Self::Ipv6 => "not an IPv6 address in brackets",
            Self::Label => "a label that is empty or longer than 63 characters",
            Self::NameTooLong => "a name longer than 253 characters",
            Self::NotAscii => "a byte beyond ASCII (international names are written as xn--…)",
            Self::PercentEncoding => "percent-encoding",
            Self::Port => "a port that is not a number from 1 to 65535",
            Self::Userinfo => "userinfo before the host",
            Self::WhiteSpace => "white space or a control character",
        }
    }
}

impl fmt::Display for AuthorityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::error::Error for AuthorityError {}

fn name(text: &str) -> Result<Host<'_>, AuthorityError> {
    let text = text.strip_suffix('.').unwrap_or(text);
    if text.is_empty() {
        return Err(AuthorityError::Empty);
    }
    if text.len() > MAX_NAME {
        return Err(AuthorityError::NameTooLong);
    }
    // By hand, in one pass: every request's host is read here.
    let bytes = text.as_bytes();
    let mut begin = 0;
    for (at, byte) in bytes.iter().enumerate() {
        if *byte == b'.' {
            if !is_label_length(at - begin) {
                return Err(AuthorityError::Label);
            }
            begin = at + 1;
        } else if !is_label_byte(*byte) {
            return Err(misplaced(*byte));
        }
    }
    if !is_label_length(bytes.len() - begin) {
        return Err(AuthorityError::Label);
    }
    let last = text.get(begin..).unwrap_or_default();
    if last.starts_with(|first: char| first.is_ascii_digit()) && is_number(last) {
        let address = text.parse().map_err(|_| AuthorityError::Ipv4)?;
        return Ok(Host::Ipv4(address));
    }
    Ok(Host::Name(Name(text)))
}

const fn is_label_length(length: usize) -> bool {
    matches!(length, 1..=MAX_LABEL)
}

/// What the URL standard's "ends in a number" takes for one.
fn is_number(label: &str) -> bool {
    let hexadecimal = label
        .strip_prefix("0x")
        .or_else(|| label.strip_prefix("0X"))
        .is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    hexadecimal || label.bytes().all(|byte| byte.is_ascii_digit())
}

fn number(port: &str) -> Result<u16, AuthorityError> {
    // `parse` takes a plus sign and leading zeros.
    if !matches!(port.as_bytes().first(), Some(b'1'..=b'9')) {
        return Err(AuthorityError::Port);
    }
    port.parse().map_err(|_| AuthorityError::Port)
}

const fn is_label_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

const fn misplaced(byte: u8) -> AuthorityError {
    match byte {
        b'%' => AuthorityError::PercentEncoding,
        0..=b' ' | 0x7f => AuthorityError::WhiteSpace,
        0x80.. => AuthorityError::NotAscii,
        _ => AuthorityError::Character,
    }
}

/// RFC 1035 section 2.3.4, in the written form and without the trailing dot.
const MAX_NAME: usize = 253;
const MAX_LABEL: usize = 63;

#[cfg(test)]
mod tests {
    use super::*;
    use AuthorityError::{
        Character, Empty, Ipv4, Ipv6, Label, NameTooLong, NotAscii, PercentEncoding, Port,
        Userinfo, WhiteSpace,
    };
    use proptest::prelude::*;

    // REQ: H-1
    #[test]
    fn reads_hosts_and_writes_them_in_one_form() {
        let long = format!("{0}.{0}.{0}.{1}", "a".repeat(63), "b".repeat(61));
        for (text, shown) in [
            ("example.com", "example.com"),
            ("MCP.Example.COM", "mcp.example.com"),
            ("example.com.", "example.com"),
            ("example.com.:443", "example.com:443"),
            ("example.com:1", "example.com:1"),
            ("example.com:65535", "example.com:65535"),
            ("localhost", "localhost"),
            ("mcp_server:8080", "mcp_server:8080"),
            ("-a.b-", "-a.b-"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("127.0.0.1", "127.0.0.1"),
            ("127.0.0.1.", "127.0.0.1"),
            ("127.0.0.1:80", "127.0.0.1:80"),
            ("1.2.3.4.example", "1.2.3.4.example"),
            ("0x7f.example", "0x7f.example"),
            ("0xg", "0xg"),
            ("[::1]", "[::1]"),
            ("[::1]:8443", "[::1]:8443"),
            ("[0:0:0:0:0:0:0:1]", "[::1]"),
            ("[2001:DB8::A]", "[2001:db8::a]"),
            ("[::ffff:127.0.0.1]", "[::ffff:127.0.0.1]"),
            (&long, &long),
        ] {
            let read = Authority::parse(text.as_bytes()).map(|read| read.to_string());
            assert_eq!(read.as_deref(), Ok(shown), "{text}");
        }
    }

    // REQ: H-1
    #[test]
    fn refuses_what_two_readers_could_read_differently() {
        let label = "a".repeat(64);
        let name = format!("{0}.{0}.{0}.{1}", "a".repeat(63), "b".repeat(62));
        for (text, why) in [
            ("", Empty),
            (".", Empty),
            (":80", Empty),
            ("example.com:", Port),
            ("example.com:0", Port),
            ("example.com:080", Port),
            ("example.com:+80", Port),
            ("example.com:65536", Port),
            ("example.com:99999999999", Port),
            ("example.com:http", Port),
            ("example.com:80:80", Port),
            ("::1", Empty),
            ("2001:db8::1", Ipv4),
            ("fe80::1", Port),
            ("[::1", Ipv6),
            ("[]", Ipv6),
            ("[::1%25eth0]", Ipv6),
            ("[v1.a]", Ipv6),
            ("[127.0.0.1]", Ipv6),
            ("[::1].", Port),
            ("[::1]8443", Port),
            ("[::1]:", Port),
            ("[::1]@evil.example", Port),
            ("a@example.com", Userinfo),
            ("a:b@example.com", Userinfo),
            ("example.com..", Label),
            (".example.com", Label),
            ("a..b", Label),
            (&label, Label),
            (&name, NameTooLong),
            ("127.1", Ipv4),
            ("2130706433", Ipv4),
            ("0x7f000001", Ipv4),
            ("0X7F.1", Ipv4),
            ("a.0x", Ipv4),
            ("127.0.0.01", Ipv4),
            ("0177.0.0.1", Ipv4),
            ("256.0.0.1", Ipv4),
            ("1.2.3.4.5", Ipv4),
            ("example.123", Ipv4),
            ("example%2ecom", PercentEncoding),
            ("exa mple.com", WhiteSpace),
            (" example.com", WhiteSpace),
            ("example.com\t", WhiteSpace),
            ("example.com\u{7f}", WhiteSpace),
            ("example.com\0", WhiteSpace),
            ("bücher.example", NotAscii),
            ("example。com", NotAscii),
            ("a,b", Character),
            ("http://example.com", Port),
            ("example.com/", Character),
            ("example.com\\", Character),
            ("*.example.com", Character),
            ("a]b", Character),
        ] {
            assert_eq!(Authority::parse(text.as_bytes()), Err(why), "{text}");
        }
    }

    #[test]
    fn knows_this_machine() {
        for (text, here) in [
            ("localhost", true),
            ("LOCALHOST.", true),
            ("127.0.0.1", true),
            ("127.9.9.9", true),
            ("[::1]", true),
            ("[::ffff:127.0.0.1]", false),
            ("a.localhost", false),
            ("localhost.example", false),
            ("0.0.0.0", false),
            ("[::]", false),
        ] {
            let read = Authority::parse(text.as_bytes()).unwrap();
            assert_eq!(read.host.is_loopback(), here, "{text}");
        }
    }

    #[test]
    fn an_entry_is_its_host() {
        for text in ["Example.com", "127.0.0.1", "[::1]"] {
            let host = Authority::parse(text.as_bytes()).unwrap().host;
            assert_eq!(HostEntry::new(host).as_host(), host, "{text}");
        }
    }

    proptest! {
        /// What is shown is read back as the same thing, whatever was sent.
        #[test]
        fn the_shown_form_is_a_fixed_point(text in "[\\[\\]a-zA-Z0-9.:%@_* é-]{0,24}") {
            if let Ok(read) = Authority::parse(text.as_bytes()) {
                let shown = read.to_string();
                let again = Authority::parse(shown.as_bytes());
                prop_assert_eq!(again, Ok(read));
                prop_assert_eq!(again.map(|again| again.to_string()), Ok(shown));
            }
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Authority::parse(&bytes);
        }
    }
}
