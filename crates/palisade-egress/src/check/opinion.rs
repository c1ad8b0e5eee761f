//! What the policy says of one URL, and why.

use std::net::SocketAddr;
use std::sync::Arc;

use serde::Serialize;
use url::Url;

use crate::decision::{Decision, Grant, Refusal};
use crate::guard::Guard;
use crate::policy::Policy;
use crate::resolve::{Resolve, SystemResolver};
use crate::target::Host;

/// What the policy says of one URL, for people and machines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Opinion {
    /// The URL in the form that would be sent; as it was given, without its query, where it
    /// cannot be read.
    pub url: String,
    /// `allow` or `block`.
    pub verdict: &'static str,
    /// The code of the decision.
    pub reason: &'static str,
    /// The cause in words.
    pub why: String,
    /// What was found, where it was refused; at most 300 bytes.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub detail: String,
    /// What to change where the destination is meant to be reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<&'static str>,
    /// The addresses that would be dialed: those of the host where it is an address or was looked
    /// up.
    pub addresses: Vec<SocketAddr>,
    /// Whether the host's addresses were judged too. A name without a lookup is judged as a name.
    pub complete: bool,
}

impl Opinion {
    /// Whether it may be reached, as far as was looked.
    #[must_use]
    pub fn is_allow(&self) -> bool {
        self.verdict == "allow"
    }

    /// Whether it was refused because its name could not be looked up, so that nothing is known.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        matches!(self.reason, "egress.dns.failed" | "egress.dns.timeout")
    }
}

/// Judges one URL under `policy`. Names are looked up where there is a resolver; nothing is dialed.
pub async fn explain(
    policy: &Arc<Policy>,
    resolver: Option<Arc<dyn Resolve>>,
    url: &str,
) -> Opinion {
    let target = match policy.check_url(url) {
        Ok(target) => target,
        Err(refusal) => return refused(url.split(['?', '#']).next().unwrap_or_default(), &refusal),
    };
    let shown = target.url().map_or_else(|| url.to_owned(), Url::to_string);
    let literal = matches!(target.host(), Host::Address(_));
    let grant = target.grant();
    let allowed = |grant: Grant, addresses: Vec<SocketAddr>, complete: bool| Opinion {
        url: shown.clone(),
        verdict: "allow",
        reason: Decision::Allow(grant).code(),
        why: match complete {
            true => grant.text().to_owned(),
            false => format!(
                "{}, as far as its name says; its addresses were not looked up",
                grant.text()
            ),
        },
        detail: String::new(),
        remedy: None,
        addresses,
        complete,
    };
    let resolver: Arc<dyn Resolve> = match resolver {
        Some(resolver) => resolver,
        // An address needs no lookup.
        None if literal => Arc::new(SystemResolver::default()),
        None => return allowed(grant, Vec::new(), false),
    };
    match Guard::new(Arc::clone(policy), resolver)
        .resolve(target)
        .await
    {
        Ok(checked) => allowed(checked.grant(), checked.addresses().to_vec(), true),
        Err(refusal) => refused(&shown, &refusal),
    }
}

fn refused(url: &str, refusal: &Refusal) -> Opinion {
    let reason = refusal.reason();
    Opinion {
        url: url.escape_debug().to_string(),
        verdict: "block",
        reason: reason.code(),
        why: reason.text().to_owned(),
        detail: refusal.detail().to_owned(),
        remedy: Some(refusal.remedy()),
        addresses: Vec::new(),
        complete: true,
    }
}
