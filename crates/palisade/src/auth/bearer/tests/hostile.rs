//! Further tokens that must not hold, each beside one of the same making that does.

use super::*;
use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED_SIGNING, Ed25519KeyPair};

use crate::auth::KeySetError;

/// Keys of every kind, and what they sign.
struct Forge {
    ed: Ed25519KeyPair,
    p384: EcdsaKeyPair,
}

impl Forge {
    fn new() -> Self {
        Self {
            ed: Ed25519KeyPair::generate().unwrap(),
            p384: EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap(),
        }
    }

    fn keys(&self) -> Json {
        let point = self.p384.public_key().as_ref();
        json!({ "keys": [
            SIGNERS.rsa_jwk(),
            SIGNERS.ec_jwk(),
            { "kty": "OKP", "crv": "Ed25519", "kid": "d1", "x": encode(self.ed.public_key()) },
            { "kty": "EC", "crv": "P-384", "kid": "p1", "x": encode(&point[1..49]), "y": encode(&point[49..]) },
        ] })
    }

    fn bearer(&self) -> Bearer {
        let keys = KeySet::parse(self.keys().to_string().as_bytes(), Algorithm::Rs256).unwrap();
        assert_eq!(keys.keys().len(), 4);
        Bearer::new(vec![issuer(Arc::new(FixedKeys::new(keys)))])
    }

    /// The parts as they are, signed by the key of this id.
    fn sign(&self, by: &str, header: &str, payload: &str) -> String {
        let input = format!("{}.{}", encode(header), encode(payload));
        let signature = match by {
            "d1" => self.ed.sign(input.as_bytes()).as_ref().to_vec(),
            "p1" => {
                let signature = self.p384.sign(&SIGNERS.random, input.as_bytes());
                signature.unwrap().as_ref().to_vec()
            }
            "e1" => SIGNERS.sign(&input, "ES256"),
            "r1 by pss" => SIGNERS.sign(&input, "PS256"),
            _ => SIGNERS.sign(&input, "RS256"),
        };
        format!("{input}.{}", encode(signature))
    }
}

fn headed(alg: &str, kid: &str) -> String {
    json!({ "alg": alg, "kid": kid, "typ": "at+jwt" }).to_string()
}

// REQ: A-1
#[test]
fn one_algorithm_for_each_key() {
    use TokenFault::{Algorithm, Signature};
    let forge = Forge::new();
    let bearer = forge.bearer();
    let payload = claims().to_string();
    for (alg, kid, by, expected) in [
        ("RS256", "r1", "r1", None),
        ("ES256", "e1", "e1", None),
        ("ES384", "p1", "p1", None),
        ("EdDSA", "d1", "d1", None),
        // RFC 9864's name for the same.
        ("Ed25519", "d1", "d1", None),
        ("RS256", "r1", "r1 by pss", Some(Signature)),
        ("PS256", "r1", "r1 by pss", Some(Algorithm)),
        ("RS384", "r1", "r1", Some(Algorithm)),
        ("RS512", "r1", "r1", Some(Algorithm)),
        ("ES256", "p1", "p1", Some(Algorithm)),
        ("ES384", "e1", "e1", Some(Algorithm)),
        ("ES384", "p1", "e1", Some(Signature)),
        ("ES256", "e1", "p1", Some(Signature)),
        ("ES256", "d1", "d1", Some(Algorithm)),
        ("EdDSA", "e1", "e1", Some(Algorithm)),
        ("EdDSA", "d1", "e1", Some(Signature)),
        ("ES256K", "e1", "e1", Some(Algorithm)),
        ("ES512", "e1", "e1", Some(Algorithm)),
        ("Ed448", "d1", "d1", Some(Algorithm)),
        ("eddsa", "d1", "d1", Some(Algorithm)),
        ("es256", "e1", "e1", Some(Algorithm)),
        ("ES256 ", "e1", "e1", Some(Algorithm)),
        ("NONE", "e1", "e1", Some(Algorithm)),
        ("", "e1", "e1", Some(Algorithm)),
        ("dir", "e1", "e1", Some(Algorithm)),
        ("HS512", "r1", "r1", Some(Algorithm)),
    ] {
        let token = forge.sign(by, &headed(alg, kid), &payload);
        let found = judge(&bearer, &token, NOW).err();
        assert_eq!(found, expected.map(Some), "{alg} {kid} {by}");
    }
}

// REQ: A-1
#[test]
fn what_a_header_must_not_say() {
    use TokenFault as F;
    let forge = Forge::new();
    let bearer = forge.bearer();
    let payload = claims().to_string();
    let with = |more: &str| {
        let header = headed("ES256", "e1");
        forge.sign(
            "e1",
            &format!("{}{more}}}", &header[..header.len() - 1]),
            &payload,
        )
    };
    let kid = |kid: &str| {
        let header = format!(r#"{{"alg":"ES256","typ":"at+jwt","kid":{kid}}}"#);
        forge.sign("e1", &header, &payload)
    };
    let typ = |typ: &str| {
        let header = format!(r#"{{"alg":"ES256","kid":"e1","typ":{typ}}}"#);
        forge.sign("e1", &header, &payload)
    };
    for (name, token) in [
        ("nothing more", with("")),
        ("what nobody knows", with(r#","x":{"y":[1]}"#)),
        ("content that is JSON", with(r#","cty":"json""#)),
        ("type in full", typ(r#""application/at+jwt""#)),
        ("type in capitals", typ(r#""AT+JWT""#)),
    ] {
        assert!(judge(&bearer, &token, NOW).is_ok(), "{name}");
    }
    for (name, token, fault) in [
        ("alg twice", with(r#","alg":"ES256""#), F::Json),
        ("alg twice, escaped", with(r#","\u0061lg":"none""#), F::Json),
        ("kid twice", with(r#","kid":"e1""#), F::Json),
        ("typ twice", with(r#","typ":"at+jwt""#), F::Json),
        (
            "twice further in",
            with(r#","x":[{"a":{"b":1,"b":1}}]"#),
            F::Json,
        ),
        ("crit empty", with(r#","crit":[]"#), F::Critical),
        ("crit null", with(r#","crit":null"#), F::Critical),
        (
            "crit of what is known",
            with(r#","crit":["b64"],"b64":true"#),
            F::Critical,
        ),
        ("b64 true", with(r#","b64":true"#), F::Critical),
        ("jwk null", with(r#","jwk":null"#), F::EmbeddedKey),
        ("jku empty", with(r#","jku":"""#), F::EmbeddedKey),
        ("x5c empty", with(r#","x5c":[]"#), F::EmbeddedKey),
        ("a token inside", with(r#","cty":"JWT""#), F::Form),
        (
            "a token inside, in full",
            with(r#","cty":"application/jwt""#),
            F::Form,
        ),
        ("cty of a number", with(r#","cty":1"#), F::WrongType("cty")),
        ("typ of a number", typ("1"), F::WrongType("typ")),
        ("typ of an array", typ(r#"["at+jwt"]"#), F::WrongType("typ")),
        ("typ empty", typ(r#""""#), F::Type),
        ("typ with a space", typ(r#""at+jwt ""#), F::Type),
        ("typ with a parameter", typ(r#""at+jwt;v=1""#), F::Type),
        (
            "typ in full twice",
            typ(r#""application/application/at+jwt""#),
            F::Type,
        ),
        ("typ of a proof", typ(r#""dpop+jwt""#), F::Type),
        ("typ of a logout", typ(r#""logout+jwt""#), F::Type),
        ("kid array", kid(r#"["e1"]"#), F::WrongType("kid")),
        ("kid number", kid("1"), F::WrongType("kid")),
        ("kid object", kid(r#"{"e1":1}"#), F::WrongType("kid")),
        (
            "kid long",
            kid(&format!("\"{}\"", "e1".repeat(400))),
            F::ClaimSize,
        ),
        ("kid empty", kid(r#""""#), F::UnknownKey),
        ("kid with zero", kid(r#""e1\u0000""#), F::UnknownKey),
        ("kid in capitals", kid(r#""E1""#), F::UnknownKey),
        ("kid of a path", kid(r#""../keys/e1""#), F::UnknownKey),
        (
            "kid of a url",
            kid(r#""https://evil.example/k""#),
            F::UnknownKey,
        ),
        ("kid of half a pair", kid(r#""\ud800""#), F::Json),
        (
            "no kid among several",
            forge.sign("e1", r#"{"alg":"ES256","typ":"at+jwt"}"#, &payload),
            F::UnknownKey,
        ),
        ("no header", forge.sign("e1", "", &payload), F::Json),
        ("an array", forge.sign("e1", "[]", &payload), F::Json),
        ("null", forge.sign("e1", "null", &payload), F::Json),
        (
            "behind a mark",
            forge.sign(
                "e1",
                &format!("\u{feff}{}", headed("ES256", "e1")),
                &payload,
            ),
            F::Json,
        ),
    ] {
        assert_eq!(
            judge(&bearer, &token, NOW).err(),
            Some(Some(fault)),
            "{name}"
        );
    }
}

// REQ: A-1
#[test]
fn what_claims_must_not_say() {
    use TokenFault as F;
    let forge = Forge::new();
    let bearer = forge.bearer();
    let signed = |payload: &str| forge.sign("e1", &headed("ES256", "e1"), payload);
    let good = claims();
    let claimed = |name: &str, value: Json| signed(&with(&good, name, value));
    let text = good.to_string();
    let more = |more: &str| signed(&format!("{}{more}}}", &text[..text.len() - 1]));
    let instead = |from: &str, to: &str| {
        assert!(text.contains(from));
        signed(&text.replace(from, to))
    };
    let exp = format!("\"exp\":{}", NOW + 60);
    for (name, token) in [
        ("as it is", signed(&text)),
        (
            "aud among others",
            claimed("aud", json!(["a", "b", AUDIENCE])),
        ),
        ("white space", signed(&format!(" \t\r\n{text}\n"))),
        ("nested", more(r#","x":{"a":{"b":[{"c":1}]}}"#)),
        ("nbf of now", claimed("nbf", json!(NOW))),
    ] {
        assert!(judge(&bearer, &token, NOW).is_ok(), "{name}");
    }
    for (name, token, fault) in [
        ("sub twice", more(r#","sub":"root""#), F::Json),
        ("exp twice", more(r#","exp":9999999999"#), F::Json),
        (
            "aud twice",
            more(&format!(r#","aud":"{AUDIENCE}""#)),
            F::Json,
        ),
        (
            "iss twice, escaped",
            more(r#","\u0069ss":"https://evil.example""#),
            F::Json,
        ),
        ("twice further in", more(r#","x":{"a":1,"a":2}"#), F::Json),
        (
            "twice in an array",
            more(r#","x":[[{"a":1,"\u0061":2}]]"#),
            F::Json,
        ),
        ("twice what nobody reads", more(r#","x":1,"x":1"#), F::Json),
        (
            "deep",
            more(&format!(r#","x":{}{}"#, "[".repeat(40), "]".repeat(40))),
            F::Json,
        ),
        (
            "cnf twice inside",
            more(r#","cnf":{"jkt":"a","jkt":"b"}"#),
            F::Json,
        ),
        (
            "exp fraction of nothing",
            instead(&exp, "\"exp\":1000060.0"),
            F::WrongType("exp"),
        ),
        (
            "exp with exponent",
            instead(&exp, "\"exp\":1e9"),
            F::WrongType("exp"),
        ),
        (
            "exp minus nothing",
            instead(&exp, "\"exp\":-0"),
            F::WrongType("exp"),
        ),
        (
            "exp beyond all",
            instead(&exp, "\"exp\":1000000000000"),
            F::WrongType("exp"),
        ),
        (
            "exp beyond 64 bits",
            instead(&exp, "\"exp\":18446744073709551617"),
            F::WrongType("exp"),
        ),
        (
            "exp with zeros in front",
            instead(&exp, "\"exp\":01000060"),
            F::Json,
        ),
        ("exp with plus", instead(&exp, "\"exp\":+1000060"), F::Json),
        (
            "exp hexadecimal",
            instead(&exp, "\"exp\":0xffffff"),
            F::Json,
        ),
        ("exp NaN", instead(&exp, "\"exp\":NaN"), F::Json),
        ("exp Infinity", instead(&exp, "\"exp\":Infinity"), F::Json),
        ("exp true", claimed("exp", json!(true)), F::WrongType("exp")),
        (
            "exp array",
            claimed("exp", json!([NOW + 60])),
            F::WrongType("exp"),
        ),
        (
            "exp object",
            claimed("exp", json!({ "x": 1 })),
            F::WrongType("exp"),
        ),
        ("exp of nothing", claimed("exp", json!(0)), F::Expired),
        ("nbf text", claimed("nbf", json!("1")), F::WrongType("nbf")),
        ("nbf null", claimed("nbf", Json::Null), F::WrongType("nbf")),
        (
            "nbf fraction",
            claimed("nbf", json!(1.5)),
            F::WrongType("nbf"),
        ),
        (
            "iat negative",
            claimed("iat", json!(-5)),
            F::WrongType("iat"),
        ),
        (
            "iat text",
            claimed("iat", json!("now")),
            F::WrongType("iat"),
        ),
        (
            "aud of a number among texts",
            claimed("aud", json!([AUDIENCE, 1])),
            F::WrongType("aud"),
        ),
        (
            "aud of null among texts",
            claimed("aud", json!([null, AUDIENCE])),
            F::WrongType("aud"),
        ),
        (
            "aud nested",
            claimed("aud", json!([[AUDIENCE]])),
            F::WrongType("aud"),
        ),
        ("aud null", claimed("aud", Json::Null), F::WrongType("aud")),
        ("aud true", claimed("aud", json!(true)), F::WrongType("aud")),
        ("aud empty text", claimed("aud", json!("")), F::Audience),
        ("aud star", claimed("aud", json!("*")), F::Audience),
        (
            "aud with a query",
            claimed("aud", json!(format!("{AUDIENCE}?x"))),
            F::Audience,
        ),
        (
            "aud with a fragment",
            claimed("aud", json!(format!("{AUDIENCE}#x"))),
            F::Audience,
        ),
        (
            "aud with a port",
            claimed("aud", json!("https://mcp.example.com:443/mcp")),
            F::Audience,
        ),
        (
            "aud with a user",
            claimed("aud", json!("https://mcp.example.com@evil.example/mcp")),
            F::Audience,
        ),
        (
            "aud with a space",
            claimed("aud", json!(format!("{AUDIENCE} "))),
            F::Audience,
        ),
        (
            "aud of several words",
            claimed("aud", json!(format!("{AUDIENCE} x"))),
            F::Audience,
        ),
        (
            "aud in look-alike letters",
            claimed("aud", json!("https://mcp.ex\u{0430}mple.com/mcp")),
            F::Audience,
        ),
        (
            "aud too many",
            claimed("aud", json!(vec!["x"; 600])),
            F::ClaimSize,
        ),
        (
            "iss array",
            claimed("iss", json!([ISSUER])),
            F::WrongType("iss"),
        ),
        ("iss null", claimed("iss", Json::Null), F::WrongType("iss")),
        ("iss empty", claimed("iss", json!("")), F::Issuer),
        (
            "iss longer",
            claimed("iss", json!(format!("{ISSUER}.evil.example"))),
            F::Issuer,
        ),
        (
            "iss with a path",
            claimed("iss", json!(format!("{ISSUER}/x"))),
            F::Issuer,
        ),
        (
            "iss with a port",
            claimed("iss", json!(format!("{ISSUER}:443"))),
            F::Issuer,
        ),
        (
            "iss without scheme",
            claimed("iss", json!("login.example.com")),
            F::Issuer,
        ),
        (
            "iss by http",
            claimed("iss", json!("http://login.example.com")),
            F::Issuer,
        ),
        (
            "iss with zero",
            claimed("iss", json!(format!("{ISSUER}\0"))),
            F::Issuer,
        ),
        (
            "iss in look-alike letters",
            claimed("iss", json!("https://login.ex\u{0430}mple.com")),
            F::Issuer,
        ),
        ("sub null", claimed("sub", Json::Null), F::WrongType("sub")),
        (
            "sub array",
            claimed("sub", json!(["alice"])),
            F::WrongType("sub"),
        ),
        (
            "sub object",
            claimed("sub", json!({ "sub": "alice" })),
            F::WrongType("sub"),
        ),
        (
            "sub of half a pair",
            instead("\"alice\"", r#""\ud800""#),
            F::Json,
        ),
        (
            "scope number",
            claimed("scope", json!(1)),
            F::WrongType("scope"),
        ),
        (
            "scope object",
            claimed("scope", json!({ "a": true })),
            F::WrongType("scope"),
        ),
        (
            "groups object",
            claimed("groups", json!({ "admin": true })),
            F::WrongType("groups"),
        ),
        ("cnf array", claimed("cnf", json!([])), F::Json),
        ("cnf text", claimed("cnf", json!("x")), F::Json),
        (
            "client number",
            claimed("client_id", json!(1)),
            F::WrongType("client_id"),
        ),
        (
            "another token",
            signed(&token(&header("ES256"), &text)),
            F::Json,
        ),
        (
            "a token in a text",
            signed(&json!(token(&header("ES256"), &text)).to_string()),
            F::Json,
        ),
        ("nothing", signed(""), F::Json),
        ("null", signed("null"), F::Json),
        ("a number", signed("1"), F::Json),
        ("two objects", signed(&format!("{text}{text}")), F::Json),
        ("behind a mark", signed(&format!("\u{feff}{text}")), F::Json),
        (
            "a comma too many",
            signed(&format!("{},}}", &text[..text.len() - 1])),
            F::Json,
        ),
        ("a comment", signed(&format!("{text}//")), F::Json),
        ("single quotes", signed(&text.replace('"', "'")), F::Json),
        ("a line in a name", more(",\"a\nb\":1"), F::Json),
    ] {
        assert_eq!(
            judge(&bearer, &token, NOW).err(),
            Some(Some(fault)),
            "{name}"
        );
    }
    // No UTF-8.
    let raw = |payload: &[u8]| {
        let input = format!("{}.{}", encode(headed("ES256", "e1")), encode(payload));
        let signature = SIGNERS.sign(&input, "ES256");
        format!("{input}.{}", encode(signature))
    };
    let honest = text.as_bytes();
    assert!(judge(&bearer, &raw(honest), NOW).is_ok());
    for bytes in [&b"\xff"[..], b"\xc0\xaf", b"\xed\xa0\x80", b"\0"] {
        let at = text.find("alice").unwrap();
        let payload = [&honest[..at], bytes, &honest[at..]].concat();
        let found = judge(&bearer, &raw(&payload), NOW).err();
        assert_eq!(found, Some(Some(F::Json)), "{bytes:?}");
    }
}

// REQ: A-1
#[test]
fn a_token_is_written_in_one_way() {
    use TokenFault as F;
    let forge = Forge::new();
    let bearer = forge.bearer();
    let honest = forge.sign("e1", &headed("ES256", "e1"), &claims().to_string());
    assert!(judge(&bearer, &honest, NOW).is_ok());
    let mut parts = honest.split('.');
    let [header, payload, signature] = std::array::from_fn(|_| parts.next().unwrap());
    let encoded: Vec<u8> = URL_SAFE_NO_PAD.decode(signature).unwrap();
    // The last character of 64 bytes has four bits that say nothing.
    let (rest, last) = signature.split_at(signature.len() - 1);
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let at = alphabet.find(last).unwrap();
    let other = &alphabet[at + 1..at + 2];
    let swapped = [&encoded[32..], &encoded[..32]].concat();
    let der = [
        &[0x30, 0x46, 0x02, 0x21, 0x00][..],
        &encoded[..32],
        &[0x02, 0x21, 0x00],
        &encoded[32..],
    ]
    .concat();
    // The order of P-256: as large as r and s must not be.
    let order = [
        0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc,
        0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];
    let with = |signature: &[u8]| format!("{header}.{payload}.{}", encode(signature));
    for (name, token, fault) in [
        (
            "bits that say nothing",
            format!("{header}.{payload}.{rest}{other}"),
            F::Base64,
        ),
        (
            "padding in the header",
            format!("{header}=.{payload}.{signature}"),
            F::Base64,
        ),
        (
            "padding in the claims",
            format!("{header}.{payload}=.{signature}"),
            F::Base64,
        ),
        ("padding in the signature", format!("{honest}=="), F::Base64),
        ("one character over", format!("{honest}AAA"), F::Base64),
        (
            "a space in it",
            format!("{header}.{payload} .{signature}"),
            F::Base64,
        ),
        (
            "a line end in it",
            format!("{header}.{payload}\n.{signature}"),
            F::Base64,
        ),
        ("a line end behind it", format!("{honest}\n"), F::Base64),
        (
            "a percent sign",
            format!("{header}.{payload}.%41{rest}"),
            F::Base64,
        ),
        (
            "letters beyond ASCII",
            format!("{header}.{payload}.{rest}\u{e9}"),
            F::Base64,
        ),
        ("quotes", format!("\"{honest}\""), F::Base64),
        ("no header", format!(".{payload}.{signature}"), F::Json),
        ("no claims", format!("{header}..{signature}"), F::Json),
        ("no signature", format!("{header}.{payload}."), F::Signature),
        ("a dot behind it", format!("{honest}."), F::Form),
        ("a dot before it", format!(".{honest}"), F::Form),
        ("four parts", format!("{honest}.AAAA"), F::Form),
        ("five parts", format!("{honest}.AAAA.AAAA"), F::Form),
        ("one part", header.to_owned(), F::Form),
        ("nothing", String::new(), F::Form),
        (
            "json in place of it",
            json!({ "payload": payload, "signatures": [] }).to_string(),
            F::Form,
        ),
        ("r and s swapped", with(&swapped), F::Signature),
        ("in DER", with(&der), F::Signature),
        (
            "r of zero",
            with(&[&[0; 32][..], &encoded[32..]].concat()),
            F::Signature,
        ),
        (
            "s of zero",
            with(&[&encoded[..32], &[0; 32][..]].concat()),
            F::Signature,
        ),
        (
            "r and s of the order",
            with(&[order, order].concat()),
            F::Signature,
        ),
        ("r and s of ones", with(&[0xff; 64]), F::Signature),
        (
            "zeros behind it",
            with(&[&encoded[..], &[0]].concat()),
            F::Signature,
        ),
        (
            "zeros before it",
            with(&[&[0], &encoded[..]].concat()),
            F::Signature,
        ),
        (
            "of another token",
            {
                let other = forge.sign("e1", &headed("ES256", "e1"), &with_sub("bob"));
                format!("{header}.{payload}.{}", other.rsplit_once('.').unwrap().1)
            },
            F::Signature,
        ),
        (
            "claims of another token",
            {
                let other = forge.sign("e1", &headed("ES256", "e1"), &with_sub("bob"));
                format!("{header}.{}.{signature}", other.split('.').nth(1).unwrap())
            },
            F::Signature,
        ),
    ] {
        assert_eq!(
            judge(&bearer, &token, NOW).err(),
            Some(Some(fault)),
            "{name}"
        );
    }
}

fn with_sub(sub: &str) -> String {
    with(&claims(), "sub", json!(sub))
}

// REQ: A-1
#[test]
fn no_key_that_verifies_what_nobody_signed() {
    let set = |x: &[u8]| json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "kid": "d1", "x": encode(x) }] });
    let parse = |x: &[u8]| KeySet::parse(set(x).to_string().as_bytes(), Algorithm::EdDsa);
    let honest = Ed25519KeyPair::generate().unwrap();
    let honest = honest.public_key().as_ref().to_vec();
    assert!(parse(&honest).is_ok());
    assert!(parse(&honest[1..]).is_err());
    let bytes = |first: u8, fill: u8, last: u8| {
        let mut point = [fill; 32];
        (point[0], point[31]) = (first, last);
        point
    };
    let mut small = vec![
        bytes(0, 0, 0),
        bytes(1, 0, 0),
        bytes(0xec, 0xff, 0x7f),
        bytes(0xed, 0xff, 0x7f),
        bytes(0xee, 0xff, 0x7f),
    ];
    for hex in [
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    ] {
        small.push(std::array::from_fn(|at| {
            u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()
        }));
    }
    for mut point in small {
        for sign in [0, 0x80] {
            point[31] ^= sign;
            assert_eq!(parse(&point).err(), Some(KeySetError::Empty), "{point:?}");
        }
    }
    // Points that only look alike are others.
    assert!(parse(&bytes(2, 0, 0)).is_ok());
}

// REQ: A-1, R-1
#[test]
fn what_a_hostile_token_costs_is_bounded_by_its_size() {
    let forge = Forge::new();
    let bearer = forge.bearer();
    // As many names as fit, so that each would have to be compared with all before it.
    let mut names = String::from("{");
    let mut number = 0;
    while names.len() < 11_000 {
        names.push_str(&format!("\"{number:x}\":0,"));
        number += 1;
    }
    names.push_str("\"x\":0}");
    let many = forge.sign("e1", &headed("ES256", "e1"), &names);
    assert!(many.len() <= MAX, "{}", many.len());
    assert_eq!(
        judge(&bearer, &many, NOW).err(),
        Some(Some(TokenFault::Missing("iss")))
    );
    for (length, fault) in [
        (MAX, TokenFault::Form),
        (MAX + 1, TokenFault::Size),
        (1 << 20, TokenFault::Size),
    ] {
        let found = judge(&bearer, &".".repeat(length), NOW).err();
        assert_eq!(found, Some(Some(fault)), "{length}");
    }
}
