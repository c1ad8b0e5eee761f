//! The server's URL.

use std::net::IpAddr;

use http::Uri;
use http::uri::{Authority, Scheme};

/// Where messages go.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) uri: Uri,
    pub(super) tls: bool,
    /// Without brackets.
    pub(super) host: String,
    pub(super) port: u16,
}

/// Why a URL cannot be used; the text says what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the URL {cause}; {remedy}")]
pub struct BadUrl {
    cause: String,
    remedy: &'static str,
}

impl Target {
    /// Reads a URL. `with_token`: a token is going to be sent there.
    pub(super) fn read(
        text: &str,
        accept_plaintext: bool,
        with_token: bool,
    ) -> Result<Self, BadUrl> {
        const EXAMPLE: &str = "write it like https://mcp.example.com/mcp";
        let bad = |cause: &str, remedy| BadUrl {
            cause: cause.to_owned(),
            remedy,
        };
        if !text.is_ascii() {
            return Err(bad(
                "has characters beyond ASCII",
                "write the host in its ASCII form (xn--…), the rest percent-encoded",
            ));
        }
        let uri: Uri = text.parse().map_err(|_| bad("cannot be read", EXAMPLE))?;
        let tls = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP => false,
            _ => return Err(bad("is neither https nor http", EXAMPLE)),
        };
        let Some(authority) = uri.authority().filter(|found| !found.host().is_empty()) else {
            return Err(bad("names no host", EXAMPLE));
        };
        if authority.as_str().contains('@') {
            return Err(bad(
                "holds a user name or a password",
                "leave it out, and give a token by --token-file or PALISADE_TOKEN",
            ));
        }
        if text.contains('#') {
            return Err(bad("has a fragment", "leave out `#` and what follows"));
        }
        if uri.query().is_some_and(|query| {
            query
                .split('&')
                .any(|pair| pair.split('=').next() == Some("access_token"))
        }) {
            // OAuth 2.1 section 5.1; MCP 2025-03-26 and later, "Access Token Usage".
            return Err(bad(
                "holds a token, which would stand in the logs on its way",
                "leave it out, and give the token by --token-file or PALISADE_TOKEN",
            ));
        }
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        let port = authority.port_u16().unwrap_or(if tls { 443 } else { 80 });
        if !tls && !is_loopback(&host) {
            if with_token {
                return Err(bad(
                    "is plain http to another machine, and everyone on the way could read the token",
                    "write https",
                ));
            }
            if !accept_plaintext {
                return Err(bad(
                    "is plain http to another machine",
                    "write https, or accept the risk by --i-accept-plaintext",
                ));
            }
        }
        Ok(Self {
            tls,
            host,
            port,
            uri,
        })
    }

    /// Scheme, host and port, for people.
    pub(super) fn shown(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        let authority = self.uri.authority().map_or("", Authority::as_str);
        format!("{scheme}://{authority}")
    }
}

/// `localhost` and what lies below it (RFC 6761 section 6.3), 127.0.0.0/8, ::1.
fn is_loopback(host: &str) -> bool {
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost"
        || name.ends_with(".localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| match address {
            IpAddr::V4(address) => address.is_loopback(),
            IpAddr::V6(address) => {
                address.is_loopback()
                    || address
                        .to_ipv4_mapped()
                        .is_some_and(|address| address.is_loopback())
            }
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    // REQ: U-2, T-5
    #[test]
    fn urls() {
        for (url, wanted) in [
            ("https://mcp.example.com/mcp", Ok(443)),
            ("https://mcp.example.com:8443/mcp?tenant=a", Ok(8443)),
            ("http://127.0.0.1:8080/mcp", Ok(8080)),
            ("http://localhost/mcp", Ok(80)),
            ("http://a.localhost:1/mcp", Ok(1)),
            ("http://[::1]:9/mcp", Ok(9)),
            ("http://[::ffff:127.0.0.1]:9/mcp", Ok(9)),
            ("http://mcp.example.com/mcp", Err("plain http")),
            ("http://127.0.0.1.example.com/mcp", Err("plain http")),
            ("http://localhost.example.com/mcp", Err("plain http")),
            ("http://[::ffff:10.0.0.1]:9/mcp", Err("plain http")),
            ("http://0.0.0.0/mcp", Err("plain http")),
            ("https://user@mcp.example.com/mcp", Err("user name")),
            ("https://127.0.0.1@mcp.example.com/mcp", Err("user name")),
            ("https://mcp.example.com/mcp#a", Err("fragment")),
            ("https://mcp.example.com/mcp?access_token=x", Err("token")),
            (
                "https://mcp.example.com/mcp?a=1&access_token=x",
                Err("token"),
            ),
            ("ftp://mcp.example.com/", Err("neither https nor http")),
            ("mcp.example.com/mcp", Err("")),
            ("/mcp", Err("neither https nor http")),
            ("https:///mcp", Err("")),
            ("https://bücher.example/mcp", Err("ASCII")),
            ("https://a b/", Err("cannot be read")),
            ("", Err("")),
        ] {
            let found = Target::read(url, false, false).map(|target| target.port);
            match (found, wanted) {
                (Ok(port), Ok(wanted)) => assert_eq!(port, wanted, "{url}"),
                (Err(error), Err(wanted)) => {
                    assert!(error.to_string().contains(wanted), "{url}: {error}");
                }
                (found, _) => panic!("{url}: {found:?}"),
            }
        }
    }

    // REQ: U-2, T-5
    #[test]
    fn plaintext_off_this_machine_takes_a_flag_and_never_a_token() {
        let url = "http://mcp.example.com/mcp";
        assert!(Target::read(url, true, false).is_ok());
        assert!(Target::read(url, true, true).is_err());
        assert!(Target::read("http://127.0.0.1/mcp", false, true).is_ok());
    }
}
