//! Schemes and their credentials, to the byte.

use proptest::prelude::*;

use super::super::tests::{all, exact};
use super::*;

proptest! {
    /// The look at pairs overlooks no scheme.
    #[test]
    fn pairs_are_found(text in prop::collection::vec(prop::sample::select(b"abeABEcx \x00\x20\xc2\xff".to_vec()), 9..40)) {
        let pair = text
            .windows(2)
            .any(|pair| matches!(pair, [b'b' | b'B', b'a' | b'A' | b'e' | b'E']));
        prop_assert_eq!(may_be_named(&text), pair);
    }
}

// REQ: L-2
#[test]
fn schemes() {
    all("use Bearer ‹abc123›
use bearer ‹abc123›, x
use Bearer ‹abc123›.
use Bearer ‹abc123›...
use Bearer abc12
use Bearer ${abc123}
use Bearer abcdef
use Bearer ‹abcDef›
use Bearer Abcdef
use Bearer abcdefghijklmnopqrs
use Bearer ‹abcdefghijklmnopqrst›
Bearer ‹abcdef›
Bearer abcdef x
Bearer realm=\"x\"
Bearer ‹realmx1=› x
Bearer ‹abc.def-ghi_j~k+l/m==›
Bearer token
Bearer Token
Bearer authorization
Bearer  abc123
Bearerabc123
use Basic ‹dXNlcjpwYXNz›
use basic ‹dTpw›
use Basic ‹dTpwYQ==›
use Basic dTpwYQx==
use Basic dTp
use Basic understanding
use Basic OmE!
use SSWS ‹0123456789abcdef›
use ssws ‹0123456789abcdef›, x
use SSWS 0123456789abcde
use SSWS abcdefghijklmnopq
use SSWS 01234567/89abcdef
use ApiKey ‹0123456789abcdef›
use apikey ‹0123456789abcdef›
use token ‹0123456789abcdef›
use Token ‹0123456789abcdef›
use tokens 0123456789abcdef
use tokens 0123456789abcdef");
    for word in PROSE {
        let word = std::str::from_utf8(word).unwrap();
        exact(&format!("the bearer {word}"));
        exact(&format!("Bearer {word}"));
        exact(&format!("Bearer {}", word.to_uppercase()));
    }
}

#[test]
fn base64_with_a_colon() {
    for (text, has) in [
        ("dTpw", true),
        ("dTp", false),
        ("Onh4", true),
        ("eDp4", true),
        ("eHg6", true),
        ("eHh4", false),
        ("dTpwYQ==", true),
        ("dTpwYQ", true),
        ("dTpwY", false),
        ("dTpwYWE=", true),
        ("dTpw YQ", false),
        ("dTpw!", false),
        ("dTo/Pz8/", true),
        ("dTo_Pz8_", true),
        ("dTo-Pj4-", true),
        ("dTo+Pj4+", true),
        ("dTofHx8f", false),
        ("dTogICAg", true),
        ("dTp/f39/", false),
        ("dTp+fn5+", true),
        ("dTr/////", true),
        ("OjEyMzQ1Njc4OTA=", true),
        ("QVpheno6OTA=", true),
        ("dTow ", true),
        ("", false),
        ("=", false),
        ("Og==", false),
        ("ADp4", false),
    ] {
        assert_eq!(has_colon(text.as_bytes()), has, "{text}");
    }
}

#[test]
fn credentials() {
    for (secret, expected, mask) in [
        ("Bearer abc", "abc", Mask::Fingerprint),
        ("bearer  abc", "abc", Mask::Fingerprint),
        ("bearerabc", "abc", Mask::Fingerprint),
        ("bearer", "", Mask::Fingerprint),
        ("Basic abc", "Basic abc", Mask::Plain),
        ("basicabc", "basicabc", Mask::Fingerprint),
        ("abc", "abc", Mask::Fingerprint),
        ("", "", Mask::Fingerprint),
    ] {
        let found = credential(secret.as_bytes(), Mask::Fingerprint);
        assert_eq!(found, (expected.as_bytes(), mask), "{secret}");
    }
    for (text, named) in [
        ("bearer x", true),
        ("BEARER x", true),
        ("basic x", true),
        ("x Basic ", true),
        ("x bearer", false),
        ("x basic", false),
        ("basics x", false),
        ("bearers x", false),
    ] {
        assert_eq!(is_named(text.as_bytes()), named, "{text}");
    }
}
