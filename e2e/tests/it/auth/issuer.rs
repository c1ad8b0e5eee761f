//! An issuer that says what a test has it say.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use e2e::{Reply, Upstream};
use serde_json::{Value as Json, json};

use super::idp::RESOURCE;

/// One key for signatures, one port, any number of issuers: one below each path.
pub(super) struct Issuer {
    server: Upstream,
    key: EcdsaKeyPair,
    says: Arc<Mutex<HashMap<String, Reply>>>,
}

impl Issuer {
    pub(super) fn start() -> Self {
        let says: Arc<Mutex<HashMap<String, Reply>>> = Arc::default();
        let said = Arc::clone(&says);
        let server = Upstream::answering(move |request| {
            let said = said.lock().unwrap().get(request.target()).cloned();
            said.unwrap_or_else(|| Reply::status(404))
        });
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        Self { server, key, says }
    }

    /// `host:port`.
    pub(super) fn authority(&self) -> String {
        self.server.address().to_string()
    }

    /// The issuer at this path, such as `/a`; the empty one is at the root.
    pub(super) fn name(&self, path: &str) -> String {
        format!("http://{}{path}", self.authority())
    }

    /// `[auth]` of a gateway that trusts the issuer at the root, whose keys are where they ought to
    /// be.
    pub(super) fn section(&self) -> String {
        self.says("/jwks", Reply::json(&self.keys()));
        format!(
            "[auth]\nallow_special = [\"{}\"]\n{}",
            self.authority(),
            self.jwt("", "")
        )
    }

    /// `[[auth.jwt]]` of the issuer at `path`, with its keys below it.
    pub(super) fn jwt(&self, path: &str, more: &str) -> String {
        let name = self.name(path);
        format!(
            "[[auth.jwt]]\nissuer = \"{name}\"\njwks = \"{name}/jwks\"\naudience = \"{RESOURCE}\"\n{more}\n"
        )
    }

    /// From now on `target` is answered so.
    pub(super) fn says(&self, target: &str, reply: Reply) {
        self.says.lock().unwrap().insert(target.to_owned(), reply);
    }

    /// Its honest key set.
    pub(super) fn keys(&self) -> Json {
        json!({ "keys": [self.key("k")] })
    }

    /// Its public key under this id.
    pub(super) fn key(&self, id: &str) -> Json {
        let point = self.key.public_key().as_ref();
        json!({ "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": id,
            "x": encode(&point[1..33]), "y": encode(&point[33..]) })
    }

    /// A token of the issuer at the root; `more` are further claims, or others in their place.
    pub(super) fn token(&self, more: Json) -> String {
        self.token_of("", more)
    }

    /// A token of the issuer at `path`, unlike any before it.
    pub(super) fn token_of(&self, path: &str, more: Json) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let mut claims = json!({ "iss": self.name(path), "aud": RESOURCE, "sub": "alice",
            "exp": (now + Duration::from_secs(600)).as_secs(), "jti": e2e::wire::case() });
        for (name, value) in more.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let header = json!({ "alg": "ES256", "typ": "at+jwt", "kid": "k" });
        let signed = format!(
            "{}.{}",
            encode(header.to_string()),
            encode(claims.to_string())
        );
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes());
        format!("{signed}.{}", encode(signature.unwrap()))
    }
}

/// The same token under a signature that is another's.
pub(super) fn forged(token: &str) -> String {
    let (signed, _) = token.rsplit_once('.').unwrap();
    format!("{signed}.{}", encode([7; 64]))
}

pub(super) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
