//! What it costs to know a caller again: 1.5 µs at most for a token that was verified before.

use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::request::Parts;
use palisade::auth::{
    ACCESS_TOKEN, Algorithm, ApiKey, Authenticator, Bearer, FixedKeys, Issuer, Judged, KeyHash,
    KeySet,
};
use palisade::rate::Limiter;
use palisade::{Connection, Exchange};

fn main() {
    divan::main();
}

const NOW: u64 = 1_000_000;

/// A token of some 800 bytes, and who takes it.
fn known() -> (Authenticator, Parts) {
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let point = key.public_key().as_ref();
    let (x, y) = (encode(&point[1..33]), encode(&point[33..]));
    let set = format!(
        r#"{{"keys":[{{"kty":"EC","crv":"P-256","kid":"k","alg":"ES256","x":"{x}","y":"{y}"}}]}}"#
    );
    let header = encode(br#"{"alg":"ES256","kid":"k","typ":"at+jwt"}"#);
    let claims = format!(
        r#"{{"iss":"https://login.example.com","aud":"https://mcp.example.com/mcp","sub":"alice","exp":2000000,"scope":"files:read files:write","more":"{}"}}"#,
        "x".repeat(400)
    );
    let signed = format!("{header}.{}", encode(claims.as_bytes()));
    let signature = key
        .sign(&SystemRandom::new(), signed.as_bytes())
        .expect("a signature");
    let token = format!("{signed}.{}", encode(signature.as_ref()));
    let keys = KeySet::parse(set.as_bytes(), Algorithm::Rs256).expect("keys");
    let issuer = Issuer {
        name: "https://login.example.com".to_owned(),
        audiences: vec!["https://mcp.example.com/mcp".to_owned()],
        kinds: vec![ACCESS_TOKEN.to_owned()],
        algorithms: Algorithm::ALL.to_vec(),
        groups: "groups".to_owned(),
        leeway: 30,
        keys: Arc::new(FixedKeys::new(keys)),
    };
    let quota = "10/min".parse().expect("a quota");
    let authenticator = Authenticator {
        bearer: Some(Bearer::new(vec![issuer])),
        keys: vec![ApiKey {
            name: "ci".to_owned(),
            hash: KeyHash::of(b"palisade_key"),
            expires: None,
            scopes: Vec::new(),
            groups: Vec::new(),
        }],
        failed: Some(Arc::new(Limiter::new(quota))),
        ..Authenticator::default()
    };
    let request = http::Request::post("https://mcp.example.com/mcp")
        .header("authorization", format!("Bearer {token}"));
    let head = request.body(()).expect("a request").into_parts().0;
    (authenticator, head)
}

fn is_known(judged: &Judged) -> bool {
    matches!(judged, Judged::Caller(_))
}

/// Everything that layer 11 does for a request whose token was verified before, but for taking the
/// header out.
#[divan::bench]
fn a_token_that_was_verified(bencher: divan::Bencher<'_, '_>) {
    let (authenticator, head) = known();
    let exchange = Exchange::begin(Connection::default());
    assert!(is_known(&authenticator.judge(&head, &exchange, NOW, 0)));
    bencher.bench_local(|| {
        let judged = authenticator.judge(&head, &exchange, NOW, 0);
        if let Judged::Caller(caller) = judged {
            exchange.facts().caller = Some(caller);
        }
    });
}

/// The same where nothing is remembered: what a flood would cost without the limit of failures.
#[divan::bench]
fn a_token_that_is_new(bencher: divan::Bencher<'_, '_>) {
    let exchange = Exchange::begin(Connection::default());
    bencher
        .with_inputs(known)
        .bench_local_values(|(authenticator, head)| {
            assert!(is_known(&authenticator.judge(&head, &exchange, NOW, 0)));
        });
}

/// What a flood costs once its address has failed too often.
#[divan::bench]
fn a_bad_token_of_a_flood(bencher: divan::Bencher<'_, '_>) {
    let (authenticator, mut head) = known();
    let value = head.headers["authorization"].as_bytes();
    let mut forged = value[..value.len() - 8].to_vec();
    forged.extend(b"AAAAAAAA");
    let forged = http::HeaderValue::from_bytes(&forged).expect("a value");
    head.headers.insert("authorization", forged);
    let exchange = Exchange::begin(Connection::default());
    while !is_flood(&authenticator.judge(&head, &exchange, NOW, 0)) {}
    bencher.bench_local(|| is_flood(&authenticator.judge(&head, &exchange, NOW, 0)));
}

fn is_flood(judged: &Judged) -> bool {
    matches!(judged, Judged::Refused(rejection) if rejection.reason() == palisade::Reason::AuthFailures)
}

#[divan::bench]
fn an_api_key(bencher: divan::Bencher<'_, '_>) {
    let (authenticator, mut head) = known();
    let value = "Bearer palisade_key".parse().expect("a value");
    head.headers.insert("authorization", value);
    let exchange = Exchange::begin(Connection::default());
    assert!(is_known(&authenticator.judge(&head, &exchange, NOW, 0)));
    bencher.bench_local(|| authenticator.judge(&head, &exchange, NOW, 0));
}
