//! What the tables say of an answer, and of what reached the upstream.

use e2e::wire::{Answer, Ask, Client, Protocol};
use e2e::{Arrived, Palisade, Upstream};

/// A gateway and the recording upstream behind it.
pub(crate) struct Pair {
    pub(crate) upstream: Upstream,
    pub(crate) palisade: Palisade,
}

impl Pair {
    /// A gateway with this configuration, to which a server at `/mcp` is added.
    pub(crate) fn new(config: &str) -> Self {
        Self::before(Upstream::new(), config)
    }

    /// The same before an upstream of the test's own.
    pub(crate) fn before(upstream: Upstream, config: &str) -> Self {
        let palisade = Palisade::builder().server(&upstream).config(config).start();
        Self { upstream, palisade }
    }

    pub(crate) fn client(&self) -> Client {
        self.palisade.client()
    }

    pub(crate) async fn ask(&self, protocol: Protocol, ask: &Ask) -> Answer {
        self.client().ask(protocol, ask).await
    }

    /// The answer is the upstream's, and the request reached it once, under its own name.
    #[track_caller]
    pub(crate) fn passed(&self, answer: &Answer, row: &str) -> Arrived {
        assert_eq!(answer.reason(), None, "{row}");
        assert_eq!(answer.status, 200, "{row}: {answer:?}");
        let mut arrived = self.upstream.of_case(&answer.case);
        assert_eq!(arrived.len(), 1, "{row}: {arrived:?}");
        let arrived = arrived.remove(0);
        let own = self.upstream.address().to_string();
        assert_eq!(arrived.header("host"), Some(&*own), "{row}");
        arrived
    }

    /// Palisade refused for this reason, and nothing reached the upstream.
    #[track_caller]
    pub(crate) fn refused(&self, answer: &Answer, status: u16, reason: &str, row: &str) {
        assert_eq!(
            answer.reason().as_deref(),
            Some(reason),
            "{row}: {answer:?}"
        );
        assert_eq!(answer.status, status, "{row}");
        assert!(!answer.cut, "{row}");
        assert_eq!(
            answer.header("x-content-type-options"),
            Some("nosniff"),
            "{row}"
        );
        assert_eq!(self.upstream.of_case(&answer.case), [], "{row}");
    }
}

/// No CORS header at all.
#[track_caller]
pub(crate) fn ungranted(answer: &Answer, row: &str) {
    assert_eq!(answer.names_with("access-control-"), [""; 0], "{row}");
}

/// What a page of an allowed origin may read, and caches must know.
#[track_caller]
pub(crate) fn granted(answer: &Answer, origin: &str, row: &str) {
    let allowed = answer.header("access-control-allow-origin");
    assert_eq!(allowed, Some(origin), "{row}: {answer:?}");
    assert!(answer.lists("vary", "origin"), "{row}: {answer:?}");
}

/// The headers of row S-1 for answers that are not HTML.
pub(crate) const SECURITY: [(&str, &str); 11] = [
    ("x-frame-options", "DENY"),
    ("x-content-type-options", "nosniff"),
    (
        "permissions-policy",
        "camera=(), microphone=(), geolocation=(), payment=()",
    ),
    ("cross-origin-resource-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("origin-agent-cluster", "?1"),
    ("x-permitted-cross-domain-policies", "none"),
    ("x-dns-prefetch-control", "off"),
    ("cache-control", "no-store"),
    ("referrer-policy", "no-referrer"),
    (
        "content-security-policy",
        "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
];

pub(crate) const HSTS: &str = "max-age=63072000; includeSubDomains";

/// Every header of [`SECURITY`], each once, and no fingerprint.
#[track_caller]
pub(crate) fn secured(answer: &Answer, row: &str) {
    for (name, value) in SECURITY {
        assert_eq!(answer.all(name), [value], "{row}: {name}");
    }
    for name in ["server", "x-powered-by", "via"] {
        assert_eq!(answer.all(name), [""; 0], "{row}: {name}");
    }
}
