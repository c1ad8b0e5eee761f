mod hostile;

use super::*;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256,
    RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;
use serde_json::{Value as Json, json};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex as StdMutex};

use crate::auth::{Authenticator, Judged};
use crate::exchange::{Connection, Exchange};
use crate::rate::Limiter;
use crate::rejection::Reason;

const ISSUER: &str = "https://login.example.com";
const AUDIENCE: &str = "https://mcp.example.com/mcp";
const NOW: u64 = 1_000_000;

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

struct Signers {
    ec: EcdsaKeyPair,
    rsa: RsaKeyPair,
    random: SystemRandom,
}

static SIGNERS: LazyLock<Signers> = LazyLock::new(|| Signers {
    ec: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
    rsa: RsaKeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap(),
    random: SystemRandom::new(),
});

impl Signers {
    fn ec_jwk(&self) -> Json {
        let point = self.ec.public_key().as_ref();
        json!({ "kty": "EC", "crv": "P-256", "kid": "e1", "use": "sig", "x": encode(&point[1..33]), "y": encode(&point[33..]) })
    }

    fn rsa_jwk(&self) -> Json {
        // PKCS #1 (RFC 8017 appendix A.1.1) of 2,048 bits: two integers at known places.
        let der = self.rsa.public_key().as_ref();
        let (n, e) = (&der[9..265], &der[267..270]);
        json!({ "kty": "RSA", "kid": "r1", "n": encode(n), "e": encode(e) })
    }

    fn sign(&self, input: &str, alg: &str) -> Vec<u8> {
        match alg {
            "ES256" => self
                .ec
                .sign(&self.random, input.as_bytes())
                .unwrap()
                .as_ref()
                .to_vec(),
            alg => {
                let mut signature = vec![0; self.rsa.public_modulus_len()];
                let padding: &'static dyn aws_lc_rs::signature::RsaEncoding = if alg == "PS256" {
                    &RSA_PSS_SHA256
                } else {
                    &RSA_PKCS1_SHA256
                };
                self.rsa
                    .sign(padding, &self.random, input.as_bytes(), &mut signature)
                    .unwrap();
                signature
            }
        }
    }
}

fn token(header: &Json, payload: &str) -> String {
    let input = format!("{}.{}", encode(header.to_string()), encode(payload));
    let signature = SIGNERS.sign(&input, header["alg"].as_str().unwrap_or_default());
    format!("{input}.{}", encode(signature))
}

fn header(alg: &str) -> Json {
    let kid = if alg == "ES256" { "e1" } else { "r1" };
    json!({ "alg": alg, "kid": kid, "typ": "at+jwt" })
}

fn claims() -> Json {
    json!({ "iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "exp": NOW + 60, "scope": "a b", "groups": ["g"] })
}

fn with(claims: &Json, name: &str, value: Json) -> String {
    let mut claims = claims.clone();
    claims[name] = value;
    claims.to_string()
}

#[derive(Debug, Default)]
struct Changing(StdMutex<Option<Arc<KeySet>>>);

impl KeySource for Changing {
    fn current(&self) -> Option<Arc<KeySet>> {
        self.0.lock().unwrap().clone()
    }

    fn refresh(&self) -> Option<Refresh> {
        None
    }
}

fn keys() -> KeySet {
    let set = json!({ "keys": [SIGNERS.rsa_jwk(), SIGNERS.ec_jwk()] });
    KeySet::parse(set.to_string().as_bytes(), Algorithm::Rs256).unwrap()
}

fn bearer() -> (Bearer, Arc<Changing>) {
    let source = Arc::new(Changing(StdMutex::new(Some(Arc::new(keys())))));
    let issuer = issuer(Arc::clone(&source) as _);
    (Bearer::new(vec![issuer]), source)
}

fn issuer(keys: Arc<dyn KeySource>) -> Issuer {
    Issuer {
        name: ISSUER.to_owned(),
        audiences: vec![AUDIENCE.to_owned()],
        kinds: vec![ACCESS_TOKEN.to_owned()],
        algorithms: Algorithm::ALL.to_vec(),
        groups: "groups".to_owned(),
        leeway: 30,
        keys,
    }
}

fn judge(bearer: &Bearer, token: &str, now: u64) -> Result<Arc<Verified>, Option<TokenFault>> {
    match bearer.judge(token, hash(token), now) {
        Verdict::Verified(verified) => Ok(verified),
        Verdict::Fault(fault) => Err(Some(fault)),
        Verdict::Refresh(..) | Verdict::Unavailable => Err(None),
    }
}

// REQ: A-1
#[test]
fn an_honest_token_holds_for_its_time_and_its_keys() {
    let (bearer, source) = bearer();
    for alg in ["RS256", "ES256"] {
        let token = token(&header(alg), &claims().to_string());
        let verified = judge(&bearer, &token, NOW).unwrap();
        assert_eq!(verified.caller.id(), "alice");
        assert_eq!(verified.caller.scopes(), ["a", "b"]);
        assert_eq!(verified.caller.groups(), ["g"]);
        let hash = hash(&token);
        assert!(bearer.known(&hash, NOW + 89).is_some());
        assert!(bearer.known(&hash, NOW + 90).is_none());
    }
    let token = token(&header("ES256"), &claims().to_string());
    judge(&bearer, &token, NOW).unwrap();
    assert!(bearer.known(&hash(&token), NOW).is_some());
    *source.0.lock().unwrap() = Some(Arc::new(keys().of_generation(1)));
    assert!(bearer.known(&hash(&token), NOW).is_none());
    assert!(judge(&bearer, &token, NOW).is_ok());
    *source.0.lock().unwrap() = None;
    assert!(bearer.known(&hash(&token), NOW).is_none());
    assert!(matches!(judge(&bearer, &token, NOW), Err(None)));
}

// REQ: A-1
#[test]
fn what_a_token_must_not_say() {
    use TokenFault as F;
    let (bearer, _) = bearer();
    let good = claims();
    let rs = header("RS256");
    let headed = |name: &str, value: Json| {
        let mut header = rs.clone();
        header[name] = value;
        token(&header, &good.to_string())
    };
    let claimed = |name: &str, value: Json| token(&rs, &with(&good, name, value));
    let without = |name: &str| {
        let mut claims = good.clone();
        claims.as_object_mut().unwrap().remove(name);
        token(&rs, &claims.to_string())
    };
    let raw = |payload: &str| token(&rs, payload);
    let honest = token(&rs, &good.to_string());
    let es = token(&header("ES256"), &good.to_string());
    let (es_signed, _) = es.rsplit_once('.').unwrap();
    let (signed, signature) = honest.rsplit_once('.').unwrap();
    let rest = &good.to_string()[1..];
    for (name, token, fault) in [
        (
            "none",
            format!(
                "{}.{}.",
                encode(r#"{"alg":"none","typ":"at+jwt"}"#),
                encode(good.to_string())
            ),
            F::UnknownKey,
        ),
        ("none with kid", headed("alg", json!("none")), F::Algorithm),
        ("None", headed("alg", json!("None")), F::Algorithm),
        ("HS256", headed("alg", json!("HS256")), F::Algorithm),
        (
            "ps256 by an rs256 key",
            token(&header("PS256"), &good.to_string()),
            F::Algorithm,
        ),
        (
            "rs256 by the ec key",
            headed("kid", json!("e1")),
            F::Algorithm,
        ),
        (
            "zero signature",
            format!("{es_signed}.{}", encode([0; 64])),
            F::Signature,
        ),
        (
            "short signature",
            format!("{es_signed}.{}", encode([1; 63])),
            F::Signature,
        ),
        (
            "der signature",
            format!("{es_signed}.{}", encode([0x30, 6, 2, 1, 1, 2, 1, 1])),
            F::Signature,
        ),
        ("no signature", format!("{signed}."), F::Signature),
        ("no kid", headed("kid", Json::Null), F::WrongType("kid")),
        (
            "kid traversal",
            headed("kid", json!("../../r1")),
            F::UnknownKey,
        ),
        ("jwk", headed("jwk", json!({})), F::EmbeddedKey),
        ("jku", headed("jku", json!("x")), F::EmbeddedKey),
        ("x5u", headed("x5u", json!("x")), F::EmbeddedKey),
        ("x5c", headed("x5c", json!([])), F::EmbeddedKey),
        ("crit", headed("crit", json!(["exp"])), F::Critical),
        ("b64", headed("b64", json!(false)), F::Critical),
        ("zip", headed("zip", json!("DEF")), F::Critical),
        ("id token", headed("typ", json!("JWT")), F::Type),
        ("jwe", format!("{honest}.a.b"), F::Form),
        ("two parts", signed.to_owned(), F::Form),
        ("padding", format!("{honest}="), F::Base64),
        ("alphabet", format!("{signed}.++++"), F::Base64),
        ("space", format!("{signed}. {signature}"), F::Base64),
        ("size", "A".repeat(MAX + 1), F::Size),
        (
            "duplicate",
            raw(&format!(r#"{{"sub":"bob",{rest}"#)),
            F::Json,
        ),
        (
            "duplicate escaped",
            raw(&format!(r#"{{"\u0073ub":"bob",{rest}"#)),
            F::Json,
        ),
        ("trailing", raw(&format!("{good} {{}}")), F::Json),
        ("array", raw("[]"), F::Json),
        ("text", raw("x"), F::Json),
        (
            "exp text",
            claimed("exp", json!("9999999")),
            F::WrongType("exp"),
        ),
        (
            "exp fraction",
            claimed("exp", json!(9_999_999.5)),
            F::WrongType("exp"),
        ),
        (
            "exp negative",
            claimed("exp", json!(-1)),
            F::WrongType("exp"),
        ),
        ("exp null", claimed("exp", Json::Null), F::WrongType("exp")),
        (
            "exp endless",
            raw(&good.to_string().replace("1000060", "1e999")),
            F::WrongType("exp"),
        ),
        (
            "exp huge",
            claimed("exp", json!(u64::MAX)),
            F::WrongType("exp"),
        ),
        ("expired", claimed("exp", json!(NOW - 30)), F::Expired),
        ("no exp", without("exp"), F::Missing("exp")),
        ("no iss", without("iss"), F::Missing("iss")),
        ("no aud", without("aud"), F::Missing("aud")),
        ("no sub", without("sub"), F::Missing("sub")),
        ("empty sub", claimed("sub", json!("")), F::Missing("sub")),
        ("sub number", claimed("sub", json!(7)), F::WrongType("sub")),
        (
            "sub long",
            claimed("sub", json!("x".repeat(600))),
            F::ClaimSize,
        ),
        ("nbf", claimed("nbf", json!(NOW + 31)), F::NotYet),
        ("iat", claimed("iat", json!(NOW + 31)), F::IssuedInFuture),
        (
            "aud longer",
            claimed("aud", json!(format!("{AUDIENCE}/"))),
            F::Audience,
        ),
        (
            "aud prefix",
            claimed("aud", json!("https://mcp.example.com")),
            F::Audience,
        ),
        (
            "aud capitals",
            claimed("aud", json!("HTTPS://mcp.example.com/mcp")),
            F::Audience,
        ),
        ("aud empty", claimed("aud", json!([])), F::Missing("aud")),
        (
            "aud of numbers",
            claimed("aud", json!([1])),
            F::WrongType("aud"),
        ),
        (
            "aud object",
            claimed("aud", json!({ "x": AUDIENCE })),
            F::WrongType("aud"),
        ),
        (
            "iss slash",
            claimed("iss", json!(format!("{ISSUER}/"))),
            F::Issuer,
        ),
        (
            "iss capitals",
            claimed("iss", json!("https://LOGIN.example.com")),
            F::Issuer,
        ),
    ] {
        assert_eq!(
            judge(&bearer, &token, NOW).err(),
            Some(Some(fault)),
            "{name}"
        );
        assert!(bearer.known(&hash(&token), NOW).is_none(), "{name}");
    }
    for (name, token) in [
        ("aud among others", claimed("aud", json!(["x", AUDIENCE]))),
        ("nbf in the leeway", claimed("nbf", json!(NOW + 30))),
        ("just expired", claimed("exp", json!(NOW - 29))),
        ("typ in full", headed("typ", json!("application/AT+JWT"))),
        ("scp", claimed("scp", json!(["c"]))),
    ] {
        assert!(judge(&bearer, &token, NOW).is_ok(), "{name}");
    }
}

// REQ: A-4
#[test]
fn scopes_are_words_however_they_are_written() {
    let (bearer, _) = bearer();
    for (name, value, scopes) in [
        ("scope", json!("a  b "), &["a", "b"][..]),
        ("scope", json!(["a", "b"]), &["a", "b"]),
        ("scope", json!(["a b", "c"]), &["a", "b", "c"]),
        ("scope", json!(""), &[]),
        ("scp", json!("c"), &["a", "b", "c"]),
        ("scp", json!(["c d"]), &["a", "b", "c", "d"]),
    ] {
        let token = token(&header("ES256"), &with(&claims(), name, value.clone()));
        let verified = judge(&bearer, &token, NOW).unwrap();
        let mut found = verified.caller.scopes().to_vec();
        found.sort();
        assert_eq!(found, scopes, "{name} {value}");
    }
}

const MAX: usize = super::super::jwt::MAX_TOKEN;

// REQ: A-1
#[test]
fn which_keys_are_taken_from_a_set() {
    let (rsa, ec) = (SIGNERS.rsa_jwk(), SIGNERS.ec_jwk());
    let changed = |key: &Json, name: &str, value: Json| {
        let mut key = key.clone();
        key[name] = value;
        key
    };
    let weak = encode([0xff; 128]);
    for (name, key, taken) in [
        ("rsa", rsa.clone(), true),
        ("ec", ec.clone(), true),
        ("verify", changed(&rsa, "key_ops", json!(["verify"])), true),
        ("for encryption", changed(&rsa, "use", json!("enc")), false),
        ("signs", changed(&rsa, "key_ops", json!(["sign"])), false),
        ("1024 bits", changed(&rsa, "n", json!(weak)), false),
        ("exponent 3", changed(&rsa, "e", json!("Aw")), false),
        (
            "exponent even",
            changed(&rsa, "e", json!(encode([1, 0, 0]))),
            false,
        ),
        ("private", changed(&rsa, "d", json!("AQAB")), false),
        ("hs256", changed(&rsa, "alg", json!("HS256")), false),
        ("es256 of rsa", changed(&rsa, "alg", json!("ES256")), false),
        ("rs256 of ec", changed(&ec, "alg", json!("RS256")), false),
        (
            "another curve",
            changed(&ec, "crv", json!("secp256k1")),
            false,
        ),
        ("short x", changed(&ec, "x", json!("AA")), false),
        (
            "symmetric",
            json!({ "kty": "oct", "k": "AAAA", "kid": "s" }),
            false,
        ),
    ] {
        let set = json!({ "keys": [key] }).to_string();
        let parsed = KeySet::parse(set.as_bytes(), Algorithm::Rs256);
        assert_eq!(parsed.is_ok(), taken, "{name}");
    }
    for (document, error) in [
        ("", None),
        ("{}", Some(super::super::KeySetError::Shape)),
        (r#"{"keys":{}}"#, Some(super::super::KeySetError::Shape)),
        (r#"{"keys":[7]}"#, Some(super::super::KeySetError::Shape)),
        (r#"{"keys":[]}"#, Some(super::super::KeySetError::Empty)),
        (r#"{"keys":[],"keys":[]}"#, None),
    ] {
        let found = KeySet::parse(document.as_bytes(), Algorithm::Rs256).unwrap_err();
        assert!(
            error.is_none_or(|error| error == found),
            "{document} {found}"
        );
    }
    let many = json!({ "keys": vec![ec.clone(); 65] }).to_string();
    let large = format!(
        "{}{}",
        json!({ "keys": [ec] }),
        " ".repeat(super::super::MAX_KEY_SET)
    );
    for set in [many, large] {
        let found = KeySet::parse(set.as_bytes(), Algorithm::Rs256).unwrap_err();
        assert_eq!(found, super::super::KeySetError::TooLarge);
    }
}

/// Counts how often keys are asked for: nothing is verified without.
#[derive(Debug, Default)]
struct Counting(AtomicUsize);

impl KeySource for Counting {
    fn current(&self) -> Option<Arc<KeySet>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Some(Arc::new(keys()))
    }

    fn refresh(&self) -> Option<Refresh> {
        None
    }
}

// REQ: R-1, A-6
#[test]
fn a_flood_of_bad_tokens_costs_no_more_signatures_than_failures_are_allowed() {
    let source = Arc::new(Counting::default());
    let authenticator = Authenticator {
        bearer: Some(Bearer::new(vec![issuer(Arc::clone(&source) as _)])),
        failed: Some(Arc::new("5/h".parse().map(Limiter::new).unwrap())),
        ..Authenticator::default()
    };
    let judged = |token: &str, address: [u8; 4]| {
        let exchange = Exchange::begin(Connection::new((address, 4711).into(), true));
        let request =
            http::Request::post("/mcp").header("authorization", format!("Bearer {token}"));
        let mut head = request.body(()).unwrap().into_parts().0;
        head.extensions.insert(exchange.clone());
        match authenticator.judge(&head, &exchange, NOW, 0) {
            Judged::Caller(caller) => Ok(caller.id().to_owned()),
            Judged::Refused(rejection) => Err(rejection.reason()),
            Judged::Wait(_) => panic!("nothing is fetched"),
        }
    };
    let (here, elsewhere) = ([192, 0, 2, 1], [192, 0, 2, 2]);
    let honest = |id: &str| token(&header("ES256"), &with(&claims(), "jti", json!(id)));
    let known = honest("known");
    assert_eq!(judged(&known, here).as_deref(), Ok("alice"));
    let before = source.0.load(Ordering::Relaxed);
    for number in 0..500 {
        let token = honest(&number.to_string());
        let (signed, _) = token.rsplit_once('.').unwrap();
        let forged = format!("{signed}.{}", encode([7; 64]));
        let expected = match number {
            0..5 => Reason::AuthInvalid,
            _ => Reason::AuthFailures,
        };
        assert_eq!(judged(&forged, here), Err(expected), "{number}");
    }
    assert_eq!(source.0.load(Ordering::Relaxed), before + 5);
    // Who is known already is not shut out with the flood; whose token is new has to wait.
    assert_eq!(judged(&known, here).as_deref(), Ok("alice"));
    assert_eq!(judged(&honest("new"), here), Err(Reason::AuthFailures));
    assert_eq!(judged(&honest("new"), elsewhere).as_deref(), Ok("alice"));
}

#[test]
fn what_is_remembered_is_bounded() {
    let cache = Cache::default();
    let verified = |until| {
        Arc::new(Verified {
            caller: Arc::new(Caller::new(Proof::Jwt, "i", "s")),
            bound: None,
            until,
            issuer: 0,
            generation: 0,
        })
    };
    for number in 0..4000_u64 {
        let mut hash = TokenHash::default();
        hash[8..16].copy_from_slice(&number.to_be_bytes());
        cache.put(hash, verified(NOW + number), NOW);
    }
    assert_eq!(cache.shards[0].lock().unwrap().len(), MOST);
    let mut last = TokenHash::default();
    last[8..16].copy_from_slice(&3999_u64.to_be_bytes());
    assert!(cache.get(&last).is_some());
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic_or_pass(text in "[A-Za-z0-9_.=-]{0,200}") {
        let (bearer, _) = bearer();
        prop_assert!(judge(&bearer, &text, NOW).is_err());
    }

    #[test]
    fn one_changed_byte_is_no_token(at in 0_usize..10_000) {
        let (bearer, _) = bearer();
        let honest = token(&header("ES256"), &claims().to_string());
        let at = at % honest.len();
        let mut bytes = honest.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(bytes).unwrap();
        prop_assert!(judge(&bearer, &changed, NOW).is_err());
    }
}
