//! What the demo's `fetch_url` may reach: the public internet over http and https, one page,
//! bounded, by the same guard that holds for commands.

use std::sync::Arc;
use std::time::Duration;

use palisade_egress::client::{Client, FetchError, Limits, TrustError};
use palisade_egress::{DnsResolver, Guard, Policy, PolicyError, ResolveError};

const DEADLINE: Duration = Duration::from_secs(10);
const MAX_PAGE: usize = 256 * 1024;

/// Why pages cannot be fetched at all.
#[derive(Debug, thiserror::Error)]
pub(super) enum CannotFetch {
    #[error(transparent)]
    Policy(#[from] PolicyError),
    #[error("no DNS servers are known: {0}")]
    Resolver(#[from] ResolveError),
    #[error(transparent)]
    Trust(#[from] TrustError),
}

/// Fetches pages.
#[derive(Clone, Debug)]
pub(super) struct Fetcher(Client);

impl Fetcher {
    /// Must be called within a tokio runtime.
    pub(super) fn new() -> Result<Self, CannotFetch> {
        let policy = Arc::new(Policy::builder().build()?);
        let resolver = Arc::new(DnsResolver::of_this_machine(false)?);
        let mut limits = Limits::default();
        limits.total = DEADLINE;
        limits.body = MAX_PAGE;
        let client = Client::builder(Guard::new(policy, resolver));
        Ok(Self(client.limits(limits).build()?))
    }

    /// The page at `url`, as text; at most 256 KiB, within 10 s.
    pub(super) async fn text(&self, url: &str) -> Result<String, String> {
        match self.0.get(url).await {
            Ok(page) => Ok(page.text().into_owned()),
            // The text names the rule and no address, so the model may read it.
            Err(FetchError::Refused(refusal)) => Err(format!("refused: {refusal}")),
            Err(error) => Err(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // REQ: E-1
    #[tokio::test]
    async fn reaches_nothing_but_the_public_internet() {
        let fetcher = Fetcher::new().unwrap();
        for (url, code) in [
            (
                "http://169.254.169.254/latest/meta-data/",
                "egress.address.platform",
            ),
            ("http://127.0.0.1/", "egress.address.loopback"),
            ("http://[::1]/", "egress.address.loopback"),
            (
                "http://[::ffff:169.254.169.254]/",
                "egress.address.platform",
            ),
            ("http://10.0.0.1/", "egress.address.private"),
            ("http://localhost/", "egress.host.local"),
            ("http://2130706433/", "egress.address.loopback"),
            ("http://user@a.example/", "egress.url.userinfo"),
            ("file:///etc/passwd", "egress.url.scheme"),
            ("x", "egress.url.malformed"),
        ] {
            let error = fetcher.text(url).await.unwrap_err();
            assert!(error.contains(code), "{url}: {error}");
        }
    }
}
