//! Access tokens of trusted issuers: judged once, remembered until they end.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::digest::{SHA256, digest};

use super::caller::{Caller, Proof};
use super::jwk::{Algorithm, KeySet};
use super::jwt::{Bound, Claims, Token, TokenFault};

/// Where an issuer's keys come from.
pub trait KeySource: fmt::Debug + Send + Sync + 'static {
    /// The keys that hold now; `None` where none could be had, or the last are too old. A set
    /// that differs from the one before it has another [generation](KeySet::generation).
    fn current(&self) -> Option<Arc<KeySet>>;

    /// Asks for fresher keys. The future resolves when they are there, or could not be had; it
    /// takes a bounded time. `None`: not now, they were asked for a moment ago.
    fn refresh(&self) -> Option<Refresh>;
}

/// See [`KeySource::refresh`].
pub type Refresh = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Keys that never change.
#[derive(Clone, Debug)]
pub struct FixedKeys(Arc<KeySet>);

impl FixedKeys {
    /// These keys.
    #[must_use]
    pub fn new(keys: KeySet) -> Self {
        Self(Arc::new(keys))
    }
}

impl KeySource for FixedKeys {
    fn current(&self) -> Option<Arc<KeySet>> {
        Some(Arc::clone(&self.0))
    }

    fn refresh(&self) -> Option<Refresh> {
        None
    }
}

/// An issuer that is trusted, and what its tokens must say.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// `iss`, letter by letter.
    pub name: String,
    /// One of these must be in `aud`, letter by letter.
    pub audiences: Vec<String>,
    /// What `typ` may be, in lower case and without `application/`. Where `jwt` is one of them, a
    /// token without `typ` passes too.
    pub kinds: Vec<String>,
    /// The algorithms that its keys may be for.
    pub algorithms: Vec<Algorithm>,
    /// The claim that names groups.
    pub groups: String,
    /// By how much the issuer's clock may differ, in seconds.
    pub leeway: u64,
    /// Its keys.
    pub keys: Arc<dyn KeySource>,
}

/// The kind of access tokens by RFC 9068.
pub const ACCESS_TOKEN: &str = "at+jwt";

/// A token that has been verified.
#[derive(Debug)]
pub(super) struct Verified {
    pub(super) caller: Arc<Caller>,
    pub(super) bound: Option<Bound>,
    /// In seconds since 1970; leeway included.
    until: u64,
    issuer: usize,
    generation: u64,
}

/// What came of a token.
pub(super) enum Verdict {
    /// It proves nothing.
    Fault(TokenFault),
    /// Its issuer's keys are asked for; then it is to be judged again. The fault is what is wrong
    /// with it by the keys that are there; `None`: there are none.
    Refresh(Option<TokenFault>, Refresh),
    /// Its issuer's keys cannot be had.
    Unavailable,
    /// It holds.
    Verified(Arc<Verified>),
}

/// Judges access tokens, and remembers which hold.
#[derive(Debug)]
pub struct Bearer {
    issuers: Vec<Issuer>,
    cache: Cache,
}

/// The SHA-256 of a token.
pub(super) type TokenHash = [u8; 32];

pub(super) fn hash(token: &str) -> TokenHash {
    let mut hash = TokenHash::default();
    hash.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
    hash
}

impl Bearer {
    /// Trusts these issuers.
    #[must_use]
    pub fn new(issuers: Vec<Issuer>) -> Self {
        Self {
            issuers,
            cache: Cache::default(),
        }
    }

    /// The issuers.
    #[must_use]
    pub fn issuers(&self) -> &[Issuer] {
        &self.issuers
    }

    /// The token of this hash, where it was verified by the keys that its issuer still has.
    pub(super) fn known(&self, hash: &TokenHash, now: u64) -> Option<Arc<Verified>> {
        let verified = self.cache.get(hash)?;
        let keys = self.issuers.get(verified.issuer)?.keys.current()?;
        (now < verified.until && keys.generation() == verified.generation).then_some(verified)
    }

    /// Judges a token that is not [known](Self::known).
    pub(super) fn judge(&self, token: &str, hash: TokenHash, now: u64) -> Verdict {
        match self.verify(token, now) {
            Ok(verified) => {
                let verified = Arc::new(verified);
                self.cache.put(hash, Arc::clone(&verified), now);
                Verdict::Verified(verified)
            }
            Err(Failed::Fault(fault)) => Verdict::Fault(fault),
            Err(Failed::NoKey(issuer, fault)) => {
                match (self.issuers[issuer].keys.refresh(), fault) {
                    (Some(refresh), fault) => Verdict::Refresh(fault, refresh),
                    (None, Some(fault)) => Verdict::Fault(fault),
                    (None, None) => Verdict::Unavailable,
                }
            }
        }
    }

    /// Reads, and only then computes: what is cheap to refuse is refused first.
    fn verify(&self, token: &str, now: u64) -> Result<Verified, Failed> {
        let token = Token::read(token)?;
        let header = token.header()?;
        // The issuer is told by the token, so that its keys can be found; they say whether it lied.
        let claims = self.claims(&token)?;
        let (index, issuer, claims) = claims;
        issuer.check(&claims, header.kind.as_deref(), now)?;
        let keys = issuer.keys.current();
        let keys = keys.ok_or(Failed::NoKey(index, None))?;
        if let Some(key) = keys.find(header.key_id.as_deref())
            && !issuer.algorithms.contains(&key.algorithm())
        {
            return Err(TokenFault::Algorithm.into());
        }
        match token.verify(&header, &keys) {
            Ok(()) => {}
            Err(TokenFault::UnknownKey) => {
                return Err(Failed::NoKey(index, Some(TokenFault::UnknownKey)));
            }
            Err(fault) => return Err(fault.into()),
        }
        let subject = claims.subject.unwrap_or_default();
        let mut caller = Caller::new(Proof::Jwt, &issuer.name, &subject)
            .with_scopes(claims.scopes)
            .with_groups(claims.groups)
            .with_client(claims.client);
        if self.issuers.len() > 1 {
            caller = caller.naming_issuer();
        }
        Ok(Verified {
            caller: Arc::new(caller),
            bound: claims.bound,
            until: claims.expires.unwrap_or(0).saturating_add(issuer.leeway),
            issuer: index,
            generation: keys.generation(),
        })
    }

    fn claims(&self, token: &Token<'_>) -> Result<(usize, &Issuer, Claims), TokenFault> {
        // Issuers may differ in which claim names groups; the rest they have in common.
        let first = token.claims("")?;
        let name = first.issuer.as_deref().ok_or(TokenFault::Missing("iss"))?;
        let mut issuers = self.issuers.iter().enumerate();
        let (index, issuer) = issuers
            .find(|(_, issuer)| issuer.name == name)
            .ok_or(TokenFault::Issuer)?;
        let claims = if issuer.groups.is_empty() {
            first
        } else {
            token.claims(&issuer.groups)?
        };
        Ok((index, issuer, claims))
    }
}

impl Issuer {
    /// Judges everything but the signature.
    fn check(&self, claims: &Claims, kind: Option<&str>, now: u64) -> Result<(), TokenFault> {
        let accepted = |kind: &str| self.kinds.iter().any(|known| known == kind);
        if !accepted(kind.unwrap_or("jwt")) {
            return Err(TokenFault::Type);
        }
        if claims.subject.as_deref().is_none_or(str::is_empty) {
            return Err(TokenFault::Missing("sub"));
        }
        if claims.audiences.is_empty() {
            return Err(TokenFault::Missing("aud"));
        }
        let mut audiences = claims.audiences.iter();
        if !audiences.any(|audience| self.audiences.contains(audience)) {
            return Err(TokenFault::Audience);
        }
        let expires = claims.expires.ok_or(TokenFault::Missing("exp"))?;
        if now >= expires.saturating_add(self.leeway) {
            return Err(TokenFault::Expired);
        }
        let soon = now.saturating_add(self.leeway);
        if claims.not_before.is_some_and(|from| from > soon) {
            return Err(TokenFault::NotYet);
        }
        if claims.issued_at.is_some_and(|at| at > soon) {
            return Err(TokenFault::IssuedInFuture);
        }
        Ok(())
    }
}

enum Failed {
    Fault(TokenFault),
    /// The keys of the issuer with this index do not hold the one that is named; `None`: there are
    /// no keys.
    NoKey(usize, Option<TokenFault>),
}

impl From<TokenFault> for Failed {
    fn from(fault: TokenFault) -> Self {
        Self::Fault(fault)
    }
}

/// Tokens that were verified. Only what an issuer signed gets in, so nobody can flood it who has
/// no account; it is bounded all the same.
struct Cache {
    shards: Vec<Mutex<HashMap<TokenHash, Arc<Verified>>>>,
}

const SHARDS: usize = 16;

/// In each of the shards: 16,384 tokens in all.
const MOST: usize = 1024;

impl Default for Cache {
    fn default() -> Self {
        Self {
            shards: std::iter::repeat_with(Mutex::default)
                .take(SHARDS)
                .collect(),
        }
    }
}

impl Cache {
    fn shard(&self, hash: &TokenHash) -> &Mutex<HashMap<TokenHash, Arc<Verified>>> {
        &self.shards[usize::from(hash[0]) % SHARDS]
    }

    fn get(&self, hash: &TokenHash) -> Option<Arc<Verified>> {
        let shard = self.shard(hash).lock();
        shard
            .unwrap_or_else(PoisonError::into_inner)
            .get(hash)
            .cloned()
    }

    fn put(&self, hash: TokenHash, verified: Arc<Verified>, now: u64) {
        let shard = self.shard(&hash).lock();
        let mut shard = shard.unwrap_or_else(PoisonError::into_inner);
        if shard.len() >= MOST {
            shard.retain(|_, verified| now < verified.until);
        }
        // All of them valid: the one that ends first makes room.
        if shard.len() >= MOST
            && let Some(first) = shard
                .iter()
                .min_by_key(|(_, verified)| verified.until)
                .map(|(hash, _)| *hash)
        {
            shard.remove(&first);
        }
        shard.insert(hash, verified);
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cache")
    }
}

#[cfg(test)]
mod tests;
