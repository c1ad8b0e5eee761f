//! What the demo's `fetch_url` may reach: the public internet over HTTP, one page, bounded.
//!
//! Every address that the name has must be public, and the connection goes to an address that
//! was checked; redirects are not followed. Proxies from the environment are not asked.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use tokio::time::timeout;

const DEADLINE: Duration = Duration::from_secs(10);
const MAX_PAGE: usize = 256 * 1024;

/// Why a page was not fetched.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("{0:?} is no URL that this tool fetches: it takes http://host/path")]
    Url(String),
    #[error("{host} has the address {address}, which is not on the public internet: refused")]
    NotPublic { host: String, address: IpAddr },
    #[error("{0} cannot be resolved")]
    Unresolved(String),
    #[error("no answer within {} s", DEADLINE.as_secs())]
    TooSlow,
    #[error("the page could not be fetched: {0}")]
    Failed(Box<dyn std::error::Error + Send + Sync>),
}

/// The page at `url`, as text; at most 256 KiB, within 10 s.
pub(super) async fn text(url: &str) -> Result<String, FetchError> {
    timeout(DEADLINE, fetch(url))
        .await
        .unwrap_or(Err(FetchError::TooSlow))
}

async fn fetch(url: &str) -> Result<String, FetchError> {
    let bad = || FetchError::Url(url.chars().take(200).collect());
    let uri: http::Uri = url.parse().map_err(|_| bad())?;
    let authority = uri.authority().ok_or_else(bad)?;
    if uri.scheme_str() != Some("http") || authority.as_str().contains('@') {
        return Err(bad());
    }
    let host = authority.host().trim_matches(['[', ']']).to_owned();
    let port = authority.port_u16().unwrap_or(80);
    let address = checked_address(&host, port).await?;

    #[expect(clippy::disallowed_methods, reason = "the address has been checked")]
    let stream = tokio::net::TcpStream::connect(address)
        .await
        .map_err(failed)?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(failed)?;
    let connection = tokio::spawn(connection);
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = http::Request::get(path)
        .header(http::header::HOST, authority.as_str())
        .body(Empty::<Bytes>::new())
        .map_err(failed)?;
    let response = sender.send_request(request).await.map_err(failed)?;
    let page = Limited::new(response.into_body(), MAX_PAGE).collect().await;
    connection.abort();
    let page = page.map_err(FetchError::Failed)?.to_bytes();
    Ok(String::from_utf8_lossy(&page).into_owned())
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> FetchError {
    FetchError::Failed(Box::new(error))
}

/// One lookup; all its addresses must be public, the first is taken.
async fn checked_address(host: &str, port: u16) -> Result<SocketAddr, FetchError> {
    let addresses: Vec<SocketAddr> = if let Ok(address) = host.parse::<IpAddr>() {
        vec![SocketAddr::new(address, port)]
    } else {
        #[expect(clippy::disallowed_methods, reason = "what it finds is checked below")]
        let found = tokio::net::lookup_host((host, port)).await;
        found
            .map_err(|_| FetchError::Unresolved(host.to_owned()))?
            .collect()
    };
    if let Some(bad) = addresses.iter().find(|address| !is_public(address.ip())) {
        return Err(FetchError::NotPublic {
            host: host.to_owned(),
            address: bad.ip(),
        });
    }
    addresses
        .first()
        .copied()
        .ok_or_else(|| FetchError::Unresolved(host.to_owned()))
}

/// Whether `address` is plain public unicast. Rather too narrow than too wide: IPv6 forms that
/// embed an IPv4 address (6to4, Teredo, NAT64) are all refused.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => is_public_v4(v4),
            None => is_public_v6(v6),
        },
    }
}

/// The special-purpose blocks of the IANA IPv4 registry.
fn is_public_v4(v4: Ipv4Addr) -> bool {
    let [a, b, c, _] = v4.octets();
    !(v4.is_private()
        || v4.is_loopback()
        || v4.is_link_local()
        || v4.is_documentation()
        || a == 0
        || a >= 224
        || (a, b & 0xc0) == (100, 64)
        || (a, b, c) == (192, 0, 0)
        || (a, b, c) == (192, 88, 99)
        || (a, b, c) == (192, 31, 196)
        || (a, b, c) == (192, 52, 193)
        || (a, b, c) == (192, 175, 48)
        || (a, b & 0xfe) == (198, 18))
}

/// Allocated global unicast (`2000::/3`) less its special blocks.
fn is_public_v6(v6: Ipv6Addr) -> bool {
    let [a, b, ..] = v6.segments();
    (a & 0xe000) == 0x2000
        && a != 0x2002
        && (a, b & 0xfe00) != (0x2001, 0)
        && (a, b) != (0x2001, 0x0db8)
        && (a, b & 0xf000) != (0x3fff, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn reaches_nothing_but_the_public_internet() {
        for url in [
            "http://169.254.169.254/latest/meta-data/",
            "http://127.0.0.1:1/",
            "http://[::1]/",
            "http://[::ffff:169.254.169.254]/",
            "http://[fd00:ec2::254]/",
            "http://[64:ff9b::a9fe:a9fe]/",
            "http://[2002:7f00:1::]/",
            "http://0.0.0.0/",
            "http://10.0.0.1/",
            "http://100.100.100.200/",
            "http://localhost:1/",
        ] {
            let error = text(url).await.unwrap_err();
            assert!(
                matches!(error, FetchError::NotPublic { .. }),
                "{url}: {error}"
            );
        }
    }

    #[tokio::test]
    async fn takes_no_other_scheme() {
        for url in [
            "file:///etc/passwd",
            "ftp://a/",
            "gopher://a/",
            "http://user@a/",
            "x",
            "/",
            "",
        ] {
            assert!(
                matches!(text(url).await.unwrap_err(), FetchError::Url(_)),
                "{url}"
            );
        }
    }

    #[test]
    fn knows_public_addresses() {
        for address in [
            "1.1.1.1",
            "8.8.8.8",
            "2606:4700:4700::1111",
            "192.0.1.1",
            "100.128.0.1",
        ] {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
    }
}
