//! Rate limits: so many requests per window for each key.
//!
//! [`Quota`] is the generic cell rate algorithm as pure arithmetic, [`Limiter`] applies it to a
//! bounded table of keys, [`RateGuard`] asks a limiter about every request. A [`RateKey`] says
//! whose quota a request spends: [`Peer`], the client's address, or whatever a caller of this
//! crate counts by.

mod clock;
mod fields;
mod key;
mod limiter;
mod quota;

use std::sync::Arc;

use http::header::{HeaderValue, RETRY_AFTER};
use http::request::Parts;

pub use clock::{Clock, Monotonic};
pub use fields::Style;
pub use key::{ByCaller, Peer, PeerKey, Preflights, RateKey};
pub use limiter::Limiter;
pub use quota::{Decision, Quota, QuotaError};

use crate::exchange::Exchange;
use crate::guard::{Admit, Guard, Optional};
use crate::rejection::{Reason, Rejection};
use fields::Fields;

/// Refuses with 429 what goes over a [`Limiter`]'s quota.
///
/// Every answer says what is left in `RateLimit` and `RateLimit-Policy`
/// (draft-ietf-httpapi-ratelimit-headers-08) or the older forms; of several limits each speaks.
#[derive(Debug)]
#[must_use]
pub struct RateGuard<K, C = Monotonic> {
    key: K,
    limiter: Arc<Limiter<C>>,
    fields: Fields,
    setting: String,
}

impl<K: RateKey, C: Clock> RateGuard<K, C> {
    /// The guard of `limiter`, whose policy is called `name` on answers and whose setting is
    /// `rate.NAME` in remedies. The name is cut at 32 bytes.
    pub fn new(name: &str, key: K, limiter: Arc<Limiter<C>>) -> Self {
        Self {
            key,
            fields: Fields::new(name, &limiter.quota(), &[Style::Draft8]),
            setting: format!("rate.{name}"),
            limiter,
        }
    }

    /// Which forms the answers carry; none at all for an empty slice. Default: draft 8.
    pub fn styles(mut self, styles: &[Style]) -> Self {
        self.fields = self.fields.with_styles(styles);
        self
    }

    /// The configuration key that remedies name.
    pub fn setting(mut self, setting: impl Into<String>) -> Self {
        self.setting = setting.into();
        self
    }
}

impl<K: RateKey, C: Clock> Guard for RateGuard<K, C> {
    fn admit(&self, head: &mut Parts) -> Result<Admit, Rejection> {
        let Some(key) = self.key.of(head) else {
            return Ok(Admit::pass());
        };
        let decision = self.limiter.take_at(&key, self.limiter.clock().of(head));
        let unix = || self.limiter.clock().unix();
        if decision.allowed {
            if let Some(exchange) = head.extensions.get::<Exchange>()
                && exchange.leaves_headers()
                && self.fields.are_lists()
            {
                self.fields.put(&decision, &mut exchange.facts().lines);
                return Ok(Admit::pass());
            }
            return Ok(self.fields.admit(&decision, unix));
        }
        let quota = self.limiter.quota();
        let rejection = Rejection::new(Reason::RateExceeded)
            .with_detail(format_args!("over {quota}"))
            .with_remedy(format_args!("raise `{}` above `{quota}`", self.setting))
            .with_header(
                RETRY_AFTER,
                HeaderValue::from(fields::seconds(decision.retry_after)),
            );
        Err(self.fields.refuse(rejection, &decision, unix))
    }
}

impl<K: RateKey, C: Clock> Optional for RateGuard<K, C> {}

#[cfg(test)]
mod tests;
