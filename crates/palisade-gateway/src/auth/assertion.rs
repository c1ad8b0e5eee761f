//! Who calls, told to an upstream in a way that nobody else can: a short-lived token (RFC 7519)
//! signed by Palisade, whose public key is published.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderValue;
use palisade::auth::{Caller, Mark};
use serde_json::json;

use super::{ASSERTION_LIFETIME, no_crypto};
use crate::plan::StartError;

/// Signs assertions. One for all servers and workers.
pub struct Assertions {
    key: EcdsaKeyPair,
    key_id: String,
    issuer: String,
    x: String,
    y: String,
    random: SystemRandom,
    /// Made for callers lately: a signature costs more than a request.
    made: Mutex<HashMap<About, (HeaderValue, u64)>>,
}

/// Caller, audience, and a hash of what else is said of the caller.
type About = (Mark, String, [u8; 32]);

/// Most assertions that are kept.
const MOST: usize = 4096;

impl Assertions {
    /// Signs with a PKCS #8 key of P-256, as `issuer`.
    pub(super) fn new(pkcs8: &[u8], issuer: &str) -> Result<Self, StartError> {
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8);
        let key = key.map_err(|_| StartError::Setting {
            key: "auth".to_owned(),
            cause:
                "assertion.key in the data directory is damaged; remove it, and a new one is made"
                    .to_owned(),
        })?;
        // An uncompressed point: 4, x, y.
        let point = key.public_key().as_ref();
        let (x, y) = match point.get(1..33).zip(point.get(33..65)) {
            Some((x, y)) => (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y)),
            None => return Err(no_crypto()),
        };
        // RFC 7638.
        let members = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        let key_id = URL_SAFE_NO_PAD.encode(digest(&SHA256, members.as_bytes()).as_ref());
        Ok(Self {
            key,
            key_id,
            issuer: issuer.to_owned(),
            x,
            y,
            random: SystemRandom::new(),
            made: Mutex::default(),
        })
    }

    /// The public key, as a JSON Web Key Set.
    #[must_use]
    pub fn keys(&self) -> String {
        let key = json!({
            "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256",
            "kid": self.key_id, "x": self.x, "y": self.y,
        });
        json!({ "keys": [key] }).to_string()
    }

    /// The assertion for `caller` at `audience`; one that was made a moment ago does.
    pub(super) fn of(&self, caller: &Caller, audience: &str) -> Option<HeaderValue> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
        self.at(caller, audience, now)
    }

    fn at(&self, caller: &Caller, audience: &str, now: u64) -> Option<HeaderValue> {
        // The same caller may come with other scopes, or by another client, with another token.
        let key = (*caller.mark(), audience.to_owned(), granted(caller));
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((assertion, until)) = made.get(&key)
            && now < *until
        {
            return Some(assertion.clone());
        }
        let assertion = self.sign(caller, audience, now)?;
        if made.len() >= MOST {
            made.retain(|_, (_, until)| now < *until);
        }
        if made.len() < MOST {
            let until = now + ASSERTION_LIFETIME.as_secs() / 2;
            made.insert(key, (assertion.clone(), until));
        }
        Some(assertion)
    }

    fn sign(&self, caller: &Caller, audience: &str, now: u64) -> Option<HeaderValue> {
        let header = json!({ "alg": "ES256", "kid": self.key_id, "typ": "JWT" });
        let mut claims = json!({
            "iss": self.issuer,
            "aud": audience,
            "sub": caller.id(),
            "iat": now,
            "exp": now + ASSERTION_LIFETIME.as_secs(),
            "auth_method": caller.proof().name(),
            "scope": caller.scopes().join(" "),
            "groups": caller.groups(),
        });
        if !caller.issuer().is_empty() {
            claims["caller_iss"] = caller.issuer().into();
        }
        if let Some(client) = caller.client() {
            claims["client_id"] = client.into();
        }
        let encode = |json: &serde_json::Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let signed = format!("{}.{}", encode(&header), encode(&claims));
        let signature = self.key.sign(&self.random, signed.as_bytes()).ok()?;
        let signature = URL_SAFE_NO_PAD.encode(signature.as_ref());
        HeaderValue::try_from(format!("{signed}.{signature}")).ok()
    }
}

/// A hash of scopes, groups and client. Each part is told with its length, so that none passes for
/// two.
fn granted(caller: &Caller) -> [u8; 32] {
    let mut all = Vec::with_capacity(256);
    let mut put = |bytes: &[u8]| {
        all.extend_from_slice(&bytes.len().to_be_bytes());
        all.extend_from_slice(bytes);
    };
    for list in [caller.scopes(), caller.groups()] {
        put(&list.len().to_be_bytes());
        list.iter().for_each(|text| put(text.as_bytes()));
    }
    if let Some(client) = caller.client() {
        put(client.as_bytes());
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, &all).as_ref());
    hash
}

impl fmt::Debug for Assertions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Assertions")
            .field("key_id", &self.key_id)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use palisade::auth::{Algorithm, KeySet, Proof, Token};

    // REQ: A-3
    #[test]
    fn an_assertion_verifies_by_the_published_key_and_is_renewed_in_time() {
        let pkcs8 = super::super::store::assertion_key(None).unwrap();
        let assertions = Assertions::new(&pkcs8, "https://mcp.example.com").unwrap();
        let keys = KeySet::parse(assertions.keys().as_bytes(), Algorithm::Rs256).unwrap();
        let caller = Caller::new(Proof::Jwt, "https://login.example.com", "alice");
        let first = assertions
            .at(&caller, "http://127.0.0.1:3000/mcp", 1000)
            .unwrap();
        let token = Token::read(first.to_str().unwrap()).unwrap();
        token.verify(&token.header().unwrap(), &keys).unwrap();
        let claims = token.claims("groups").unwrap();
        assert_eq!(claims.subject.as_deref(), Some("alice"));
        assert_eq!(claims.expires, Some(1060));
        assert_eq!(claims.audiences, ["http://127.0.0.1:3000/mcp"]);
        let again = assertions
            .at(&caller, "http://127.0.0.1:3000/mcp", 1029)
            .unwrap();
        assert_eq!(again, first);
        let later = assertions
            .at(&caller, "http://127.0.0.1:3000/mcp", 1030)
            .unwrap();
        assert_ne!(later, first);
        let mut told = std::collections::HashSet::from([later.clone()]);
        let other = Caller::new(Proof::Jwt, "https://login.example.com", "bob");
        assert_ne!(
            assertions
                .at(&other, "http://127.0.0.1:3000/mcp", 1030)
                .unwrap(),
            later
        );
        // What one token says is not told of another of the same caller.
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        for more in [
            caller.clone().with_scopes(texts(&["x"])),
            caller.clone().with_scopes(texts(&["x", "y"])),
            caller.clone().with_scopes(texts(&["x\n", "y"])),
            caller.clone().with_groups(texts(&["x"])),
            caller.clone().with_groups(texts(&["x", "y"])),
            caller.clone().with_groups(texts(&["xy"])),
            caller.clone().with_client(Some("x".to_owned())),
            caller.clone().with_client(Some("y".to_owned())),
        ] {
            let assertion = assertions.at(&more, "http://127.0.0.1:3000/mcp", 1030);
            assert!(told.insert(assertion.unwrap()), "{more:?}");
        }
    }
}
