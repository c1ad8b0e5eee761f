//! The request head as the upstream gets it, and the answer's head as the client gets it.
//!
//! Pure functions over [`http`] types. What they promise: hop-by-hop fields, upgrades and
//! forged forwarding fields never pass in either direction (RFC 9110 section 7.6.1); the
//! client's address, scheme and host are told by us alone (RFC 7239).

use http::HeaderMap;
use http::header::{
    CONNECTION, CONTENT_LENGTH, FORWARDED, HOST, HeaderName, HeaderValue, LOCATION,
};
use http::uri::{Authority, PathAndQuery, Uri};
use palisade_http1::{FieldLines, FieldWriter};

/// Whose name the upstream sees in `Host`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UpstreamHost {
    /// The name that the client asked for.
    Preserve,
    /// The upstream's own authority (the default): the official SDKs refuse any other.
    #[default]
    Rewrite,
}

/// Where a server's requests go.
#[derive(Clone, Debug)]
pub struct Target {
    /// Host and port, as they stand in `Host`.
    pub authority: Authority,
    /// `http` or `https`.
    pub tls: bool,
    /// The path of the upstream's URL, without a trailing slash.
    pub base: String,
    /// The public path prefix of the server, without a trailing slash.
    pub prefix: String,
    /// Which name goes into `Host`.
    pub host: UpstreamHost,
    /// Whether `Origin` and the fetch metadata go on: where nobody here enforces a rule about
    /// them, the upstream's own must not be disarmed.
    pub keep_origin: bool,
    host_value: HeaderValue,
}

impl Target {
    /// The target at `url` for requests below the public `prefix`.
    ///
    /// Returns `None` where `url` is not an absolute `http` or `https` URL.
    #[must_use]
    pub fn new(url: &Uri, prefix: &str, host: UpstreamHost) -> Option<Self> {
        let authority = url.authority()?.clone();
        let tls = match url.scheme_str()? {
            "http" => false,
            "https" => true,
            _ => return None,
        };
        Some(Self {
            host_value: HeaderValue::from_str(authority.as_str()).ok()?,
            authority,
            tls,
            base: url.path().trim_end_matches('/').to_owned(),
            prefix: prefix.trim_end_matches('/').to_owned(),
            host,
            keep_origin: false,
        })
    }

    /// The port to connect to.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.authority
            .port_u16()
            .unwrap_or(if self.tls { 443 } else { 80 })
    }

    /// The request target for a public one: the prefix replaced by the upstream's path.
    ///
    /// `None` where the path does not lie below the prefix; the route that led here makes that
    /// impossible.
    #[must_use]
    pub fn path(&self, public: &Uri) -> Option<PathAndQuery> {
        let path_and_query = public.path_and_query()?;
        if self.prefix == self.base {
            return Some(path_and_query.clone());
        }
        let rest = path_and_query.as_str().strip_prefix(&self.prefix)?;
        let joined = format!("{}{rest}", self.base);
        let joined = if joined.starts_with('/') {
            joined
        } else {
            format!("/{joined}")
        };
        PathAndQuery::try_from(joined).ok()
    }
}

/// What the client is, for the forwarding fields.
#[derive(Clone, Debug)]
pub struct Client<'a> {
    /// Its address, as text.
    pub address: Option<&'a HeaderValue>,
    /// Whether it came by TLS.
    pub tls: bool,
    /// The host that it asked for, as it wrote it.
    pub host: Option<&'a HeaderValue>,
}

static X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
static X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Writes the fields of a client's request as `target` gets them.
pub fn put_to_upstream(
    target: &Target,
    uri: &Uri,
    headers: &HeaderMap,
    client: &Client<'_>,
    out: &mut FieldWriter<'_>,
) {
    let authority = || HeaderValue::from_str(uri.authority()?.as_str()).ok();
    let asked = client.host.cloned().or_else(authority);
    match (target.host, &asked) {
        (UpstreamHost::Preserve, Some(asked)) => out.put(&HOST, asked),
        _ => out.put(&HOST, &target.host_value),
    }
    let named = named_by_connection(headers);
    for (name, value) in headers {
        let text = name.as_str();
        let stays = !is_hop_by_hop(text)
            && !is_forged(text)
            && (target.keep_origin || !is_fetch_metadata(text));
        if stays && *name != HOST && !named.contains(name) {
            out.put(name, value);
        }
    }
    let scheme = if client.tls { "https" } else { "http" }.as_bytes();
    if let Some(address) = client.address {
        put_forwarded(address, scheme, asked.as_ref(), out);
        out.put(&X_REAL_IP, address);
        out.put(&X_FORWARDED_FOR, address);
    }
    out.put_pieces(&X_FORWARDED_PROTO, &[scheme]);
    if let Some(asked) = &asked {
        out.put(&X_FORWARDED_HOST, asked);
    }
}

/// Writes the field by which the upstream's lines about the request can be found.
pub fn put_request_id(id: &[u8], out: &mut FieldWriter<'_>) {
    out.put_pieces(&X_REQUEST_ID, &[id]);
}

/// The fields that were written for the last request of a connection.
#[derive(Default)]
pub(super) struct LastHead {
    /// A connection with one request, such as a stream, is not to hold this memory.
    again: bool,
    written: Option<Written>,
}

struct Written {
    /// Which upstream they were written for.
    upstream: u64,
    /// What the client had said.
    headers: HeaderMap,
    lines: FieldLines,
}

impl LastHead {
    /// Writes what [`put_to_upstream`] writes to the upstream of the number `upstream`.
    pub(super) fn put(
        &mut self,
        upstream: u64,
        target: &Target,
        uri: &Uri,
        headers: &HeaderMap,
        client: &Client<'_>,
        out: &mut FieldWriter<'_>,
    ) {
        if uri.authority().is_some() || !std::mem::replace(&mut self.again, true) {
            return put_to_upstream(target, uri, headers, client, out);
        }
        match &self.written {
            Some(last) if last.upstream == upstream && is_same(&last.headers, headers) => {
                out.put_lines(&last.lines);
            }
            _ => {
                let put =
                    |out: &mut FieldWriter<'_>| put_to_upstream(target, uri, headers, client, out);
                let lines = FieldLines::of(put);
                out.put_lines(&lines);
                self.written = Some(Written {
                    upstream,
                    headers: copy(headers),
                    lines,
                });
            }
        }
    }
}

/// Whether the same fields stand in the same order; Content-Length aside, which is not passed on.
fn is_same(known: &HeaderMap, headers: &HeaderMap) -> bool {
    let mut pairs = known.iter().zip(headers);
    known.len() == headers.len()
        && pairs.all(|((name, value), (other, new))| {
            name == other && (value == new || *name == CONTENT_LENGTH)
        })
}

/// A copy with memory of its own: that of `headers` may be the whole request's.
fn copy(headers: &HeaderMap) -> HeaderMap {
    let copies = headers.iter().filter_map(|(name, value)| {
        let value = HeaderValue::from_bytes(value.as_bytes()).ok()?;
        Some((name.clone(), value))
    });
    copies.collect()
}

/// RFC 7239: who asked, how, and for whom.
fn put_forwarded(
    address: &HeaderValue,
    scheme: &[u8],
    host: Option<&HeaderValue>,
    out: &mut FieldWriter<'_>,
) {
    let address = address.as_bytes();
    // Section 6: an IPv6 address stands in brackets and quotes.
    let (open, close): (&[u8], &[u8]) = if address.contains(&b':') {
        (b"for=\"[", b"]\";proto=")
    } else {
        (b"for=", b";proto=")
    };
    match host {
        // The host has been judged: nothing in it needs an escape.
        Some(host) => out.put_pieces(
            &FORWARDED,
            &[
                open,
                address,
                close,
                scheme,
                b";host=\"",
                host.as_bytes(),
                b"\"",
            ],
        ),
        None => out.put_pieces(&FORWARDED, &[open, address, close, scheme]),
    }
}

/// Makes the upstream's answer `headers` those of the answer to the client.
///
/// A `Location` that names the upstream becomes `public` (scheme and authority) with the
/// public path.
pub fn to_client(target: &Target, headers: &mut HeaderMap, public: Option<&str>) {
    // Most answers have none of them, so one look at each name is all that it costs.
    let mut moved = false;
    let mut hop_by_hop = false;
    for name in headers.keys() {
        moved |= *name == LOCATION;
        hop_by_hop |= is_hop_by_hop(name.as_str());
    }
    if hop_by_hop {
        strip(headers);
    }
    if moved
        && let Some(location) = headers.get(LOCATION).and_then(|value| value.to_str().ok())
        && let Some(rewritten) = public_location(target, location, public.unwrap_or_default())
        && let Ok(value) = HeaderValue::try_from(rewritten)
    {
        headers.insert(LOCATION, value);
    }
}

fn public_location(target: &Target, location: &str, public: &str) -> Option<String> {
    let path = if location.starts_with('/') && !location.starts_with("//") {
        location.to_owned()
    } else {
        let uri: Uri = location.parse().ok()?;
        let same = uri.authority().is_some_and(|authority| {
            authority
                .as_str()
                .eq_ignore_ascii_case(target.authority.as_str())
        });
        if !same {
            return None;
        }
        uri.path_and_query()?.as_str().to_owned()
    };
    let rest = path.strip_prefix(&target.base)?;
    if !(rest.is_empty() || rest.starts_with(['/', '?', '#'])) {
        return None;
    }
    Some(format!("{public}{}{rest}", target.prefix))
}

/// Removes what means one hop alone from an answer.
fn strip(headers: &mut HeaderMap) {
    let named = named_by_connection(headers);
    let of_kind = headers.keys().filter(|name| is_hop_by_hop(name.as_str()));
    let of_kind: Vec<HeaderName> = of_kind.cloned().collect();
    for name in named.iter().chain(&of_kind) {
        headers.remove(name);
    }
}

/// The fields that `Connection` names.
fn named_by_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| HeaderName::try_from(name.trim()).ok())
        // Fields that a message cannot do without are not hop-by-hop because a client says so.
        .filter(|name| !END_TO_END.contains(name))
        .collect()
}

/// RFC 9110 section 7.6.1: the fields that mean this hop alone.
fn is_hop_by_hop(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "http2-settings"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "proxy-connection"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// Never removed on the word of a `Connection` header: policy and framing rest on them.
const END_TO_END: [HeaderName; 5] = [
    http::header::AUTHORIZATION,
    CONTENT_LENGTH,
    http::header::CONTENT_TYPE,
    HOST,
    http::header::COOKIE,
];

/// Where a browser says that a request comes from. It has been judged here, and the SDKs' own
/// checks would refuse our public origin.
fn is_fetch_metadata(name: &str) -> bool {
    name == "origin" || name.starts_with("sec-fetch-")
}

/// What a client must not tell an upstream: who it is, by the fields of proxies; and a coding
/// that would hide the answer from us.
fn is_forged(name: &str) -> bool {
    match name.as_bytes() {
        [b'x', b'-', ..] => is_forged_extension(name),
        [b's', b's', b'l', b'-', ..] => name.starts_with("ssl-client-"),
        _ => matches!(
            name,
            "accept-encoding"
                | "expect"
                | "forwarded"
                | "client-ip"
                | "remote-user"
                | "true-client-ip"
                | "cf-connecting-ip"
                | "fastly-client-ip"
                | "via"
        ),
    }
}

fn is_forged_extension(name: &str) -> bool {
    const PREFIXES: [&str; 6] = [
        "x-client-cert",
        "x-forwarded",
        "x-palisade-",
        "x-original-",
        "x-remote-",
        "x-ssl-",
    ];
    PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        || matches!(
            name,
            "x-real-ip"
                | "x-client-ip"
                | "x-cluster-client-ip"
                | "x-host"
                | "x-rewrite-url"
                | "x-http-method-override"
                | "x-http-method"
                | "x-method-override"
                | "x-envoy-external-address"
                | "x-request-id"
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Method;
    use palisade_http1::client::Outgoing;

    fn target(url: &str, prefix: &str, host: UpstreamHost) -> Target {
        Target::new(&url.parse().unwrap(), prefix, host).unwrap()
    }

    fn pass(target: &Target, uri: &str, fields: &[(&str, &str)]) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
        }
        let host = headers.get(HOST).cloned();
        let uri: Uri = uri.parse().unwrap();
        let address = HeaderValue::from_static("127.0.0.1");
        let client = Client {
            address: Some(&address),
            tls: true,
            host: host.as_ref(),
        };
        let path = target.path(&uri).unwrap();
        let body = http_body_util::Empty::new();
        let outgoing = Outgoing::new(&Method::GET, &path, body, |out| {
            put_to_upstream(target, &uri, &headers, &client, out);
            put_request_id(b"r1", out);
        });
        let head = String::from_utf8(outgoing.pending().to_vec()).unwrap();
        let mut lines = head.split("\r\n").map(str::to_owned);
        let line = lines.next().unwrap();
        assert_eq!(line, format!("GET {path} HTTP/1.1"));
        let mut lines: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
        assert!(lines[0].starts_with("host: "));
        lines.sort();
        lines
    }

    // REQ: G-15
    #[test]
    fn only_our_own_forwarding_fields_reach_the_upstream() {
        let target = target("http://127.0.0.1:3000/mcp", "/mcp", UpstreamHost::Rewrite);
        let seen = pass(
            &target,
            "/mcp?x=1",
            &[
                ("host", "mcp.example.com"),
                ("connection", "close, x-secret, host, authorization"),
                ("x-secret", "1"),
                ("authorization", "Bearer t"),
                ("x-forwarded-for", "6.6.6.6"),
                ("x-forwarded-for", "7.7.7.7"),
                ("x-forwarded-prefix", "/evil"),
                ("forwarded", "for=6.6.6.6"),
                ("x-real-ip", "6.6.6.6"),
                ("true-client-ip", "6.6.6.6"),
                ("origin", "https://app.example.com"),
                ("sec-fetch-site", "cross-site"),
                ("accept-encoding", "gzip"),
                ("te", "trailers"),
                ("upgrade", "websocket"),
                ("proxy-authorization", "Basic x"),
                ("x-request-id", "forged"),
                ("mcp-param-city", "Bern"),
            ],
        );
        assert_eq!(
            seen,
            [
                "authorization: Bearer t",
                "forwarded: for=127.0.0.1;proto=https;host=\"mcp.example.com\"",
                "host: 127.0.0.1:3000",
                "mcp-param-city: Bern",
                "x-forwarded-for: 127.0.0.1",
                "x-forwarded-host: mcp.example.com",
                "x-forwarded-proto: https",
                "x-real-ip: 127.0.0.1",
                "x-request-id: r1",
            ]
        );
    }

    // REQ: G-15
    #[test]
    fn a_head_like_the_last_one_is_written_as_if_it_were_the_first() {
        let rewrite = target("http://127.0.0.1:3000/mcp", "/mcp", UpstreamHost::Rewrite);
        let preserve = target("http://127.0.0.1:3000/mcp", "/mcp", UpstreamHost::Preserve);
        let usual = [
            ("host", "a.example"),
            ("authorization", "Bearer 1"),
            ("x-a", "1"),
            ("x-a", "2"),
            ("content-length", "5"),
        ];
        let with = |at: usize, field| {
            let mut fields = usual;
            fields[at] = field;
            fields
        };
        let mut heads: Vec<Vec<(&str, &str)>> = vec![
            usual.into(),
            usual.into(),
            with(4, ("content-length", "6")).into(),
            with(1, ("authorization", "Bearer 2")).into(),
            with(1, ("x-a", "Bearer 2")).into(),
            with(0, ("host", "b.example")).into(),
            with(2, ("x-b", "1")).into(),
            with(3, ("x-a", "3")).into(),
            with(4, ("connection", "x-a")).into(),
            usual[..4].into(),
            usual.into_iter().rev().collect(),
        ];
        heads.extend(heads.clone());
        let mut last = LastHead::default();
        for (first, second) in heads
            .iter()
            .flat_map(|one| heads.iter().map(move |two| (one, two)))
        {
            for (fields, (number, target)) in [first, second, second]
                .into_iter()
                .flat_map(|fields| [(fields, (1, &rewrite)), (fields, (2, &preserve))])
            {
                let fields = fields.iter().map(|(name, value)| {
                    let name = HeaderName::try_from(*name).unwrap();
                    (name, HeaderValue::from_static(value))
                });
                let headers: HeaderMap = fields.collect();
                let uri = Uri::from_static("/mcp");
                let client = Client {
                    address: None,
                    tls: true,
                    host: headers.get(HOST),
                };
                let fresh = FieldLines::of(|out| {
                    put_to_upstream(target, &uri, &headers, &client, out);
                });
                let again = FieldLines::of(|out| {
                    last.put(number, target, &uri, &headers, &client, out);
                });
                assert_eq!(format!("{again:?}"), format!("{fresh:?}"), "{headers:?}");
            }
        }
    }

    #[test]
    fn preserve_keeps_the_clients_host() {
        let target = target("http://127.0.0.1:3000", "/", UpstreamHost::Preserve);
        let seen = pass(&target, "/a", &[("host", "mcp.example.com")]);
        assert!(
            seen.contains(&"host: mcp.example.com".to_owned()),
            "{seen:?}"
        );
        let seen = pass(&target, "https://h2.example.com/a", &[]);
        assert!(
            seen.contains(&"host: h2.example.com".to_owned()),
            "{seen:?}"
        );
    }

    #[test]
    fn the_public_prefix_becomes_the_upstreams_path() {
        for (url, prefix, public, expected) in [
            ("http://u/mcp", "/mcp", "/mcp", "/mcp"),
            ("http://u/mcp", "/files", "/files", "/mcp"),
            ("http://u/mcp", "/files", "/files/a?b=c", "/mcp/a?b=c"),
            ("http://u/mcp/", "/files/", "/files/a", "/mcp/a"),
            ("http://u", "/files", "/files", "/"),
            ("http://u", "/files", "/files?q", "/?q"),
            ("http://u", "/files", "/files/a", "/a"),
            ("http://u/base", "/", "/a", "/base/a"),
            ("http://u", "/", "/a", "/a"),
        ] {
            let target = target(url, prefix, UpstreamHost::Rewrite);
            let mapped = target.path(&public.parse().unwrap()).unwrap();
            assert_eq!(mapped.to_string(), expected, "{url} {prefix} {public}");
        }
    }

    #[test]
    fn a_location_that_names_the_upstream_becomes_public() {
        let target = target("http://127.0.0.1:3000/mcp", "/files", UpstreamHost::Rewrite);
        for (location, expected) in [
            (
                "http://127.0.0.1:3000/mcp/",
                "https://mcp.example.com/files/",
            ),
            ("/mcp/x?y", "https://mcp.example.com/files/x?y"),
            ("/mcpx", "/mcpx"),
            ("//127.0.0.1:3000/mcp", "//127.0.0.1:3000/mcp"),
            ("https://login.example.com/", "https://login.example.com/"),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(LOCATION, location.parse().unwrap());
            to_client(&target, &mut headers, Some("https://mcp.example.com"));
            assert_eq!(headers[LOCATION], expected, "{location}");
        }
    }
}
