//! Headers that only tell an attacker what runs here.

/// Whether `name`, in lower case, says what software or which inner host made the answer.
///
/// The OWASP Secure Headers Project's list of headers to remove, less those that a client may
/// work with (`SourceMap`). Matched by length and then by bytes, without hashing: it is asked
/// of every header of every answer.
pub(super) fn is_fingerprint(name: &str) -> bool {
    match name.as_bytes() {
        [b'x', b'-', rest @ ..] => is_x_fingerprint(rest),
        b"server" | b"via" => true,
        b"$wsep"
        | b"host-header"
        | b"liferay-portal"
        | b"pega-host"
        | b"powered-by"
        | b"product"
        | b"k-proxy-request"
        | b"oraclecommercecloud-version" => true,
        _ => false,
    }
}

/// Of a name that begins with `x-`: what follows.
fn is_x_fingerprint(rest: &[u8]) -> bool {
    const PREFIXES: [&[u8]; 11] = [
        b"aspnet",
        b"atmosphere-",
        b"b3-",
        b"envoy-",
        b"kong-",
        b"litespeed-",
        b"nextjs-",
        b"owa-",
        b"php-",
        b"powered-",
        b"varnish",
    ];
    match rest.first() {
        // No other letter begins one.
        Some(
            b'a'..=b'g'
            | b'j'
            | b'k'
            | b'l'
            | b'm'
            | b'n'
            | b'o'
            | b'p'
            | b'r'
            | b's'
            | b't'
            | b'u'
            | b'v',
        ) => {}
        _ => return false,
    }
    PREFIXES.iter().any(|prefix| rest.starts_with(prefix))
        || matches!(
            rest,
            b"backside-transport"
                | b"backend"
                | b"backend-server"
                | b"beserver"
                | b"calculatedbetarget"
                | b"cf-powered-by"
                | b"cms"
                | b"cocoon-version"
                | b"content-encoded-by"
                | b"diaginfo"
                | b"drupal-cache"
                | b"drupal-dynamic-cache"
                | b"dtagentid"
                | b"dthealthcheck"
                | b"dtinjectedservlet"
                | b"feserver"
                | b"framework"
                | b"generated-by"
                | b"generator"
                | b"jitsi-release"
                | b"joomla-version"
                | b"mod-pagespeed"
                | b"oneagent-js-injection"
                | b"page-speed"
                | b"redirect-by"
                | b"runtime"
                | b"ruxit-js-agent"
                | b"server"
                | b"server-name"
                | b"server-powered-by"
                | b"served-by"
                | b"sourcefiles"
                | b"turbo-charged-by"
                | b"umbraco-version"
                | b"upstream"
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    // REQ: S-4
    #[test]
    fn fingerprints_and_what_only_looks_like_one() {
        for name in [
            "server",
            "via",
            "powered-by",
            "x-powered-by",
            "x-powered-by-plesk",
            "x-powered-cms",
            "x-aspnet-version",
            "x-aspnetmvc-version",
            "x-runtime",
            "x-generator",
            "x-generated-by",
            "x-envoy-upstream-service-time",
            "x-envoy-decorator-operation",
            "x-kong-proxy-latency",
            "x-kong-upstream-latency",
            "x-varnish",
            "x-varnish-backend",
            "x-b3-traceid",
            "x-dtagentid",
            "x-nextjs-cache",
            "x-litespeed-cache-control",
            "x-php-version",
            "x-owa-version",
            "x-atmosphere-tracking-id",
            "x-served-by",
            "x-backend-server",
            "x-umbraco-version",
            "x-cms",
            "x-framework",
        ] {
            assert!(is_fingerprint(name), "{name}");
        }
        for name in [
            "server-timing",
            "serve",
            "vary",
            "x-",
            "x",
            "date",
            "mcp-session-id",
            "mcp-protocol-version",
            "x-accel-buffering",
            "x-request-id",
            "x-frame-options",
            "x-content-type-options",
            "x-dns-prefetch-control",
            "x-permitted-cross-domain-policies",
            "x-ratelimit-limit",
            "x-ratelimit-remaining",
            "x-robots-tag",
            "x-correlation-id",
            "x-total-count",
            "x-served-by-me",
            "x-version",
            "x-dt-cache",
            "www-authenticate",
            "sourcemap",
            "content-type",
        ] {
            assert!(!is_fingerprint(name), "{name}");
        }
    }
}
