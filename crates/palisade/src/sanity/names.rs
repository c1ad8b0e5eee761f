//! Names that another reader takes for other names.

/// Whether CGI-like servers write a byte of a name as they write `-`: RFC 3875 section 4.1.18 has
/// `_` for it, and some write all signs so.
pub(super) const fn is_sign(byte: u8) -> bool {
    !byte.is_ascii_alphanumeric() && byte != b'-'
}

/// Whether `name`, with `-` for every sign, is one that decides something here or upstream.
pub(super) fn is_confusable(name: &str) -> bool {
    const NAMES: [&str; 24] = [
        "accept-encoding",
        "content-encoding",
        "content-length",
        "content-type",
        "last-event-id",
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
