use super::*;

// REQ: A-1
#[test]
fn metadata_are_looked_for_where_the_standards_put_them() {
    for (issuer, expected) in [
        (
            "https://login.example.com",
            [
                "https://login.example.com/.well-known/openid-configuration",
                "https://login.example.com/.well-known/oauth-authorization-server",
            ],
        ),
        (
            "https://login.example.com/tenant/",
            [
                "https://login.example.com/tenant/.well-known/openid-configuration",
                "https://login.example.com/.well-known/oauth-authorization-server/tenant",
            ],
        ),
    ] {
        assert_eq!(metadata_urls(issuer), expected);
    }
}

// REQ: A-1
#[test]
fn metadata_are_the_issuers_own_and_keep_to_tls() {
    let issuer = "https://login.example.com";
    for (document, works) in [
        (
            r#"{"issuer":"https://login.example.com","jwks_uri":"https://login.example.com/jwks"}"#,
            true,
        ),
        (
            r#"{"issuer":"https://login.example.com/","jwks_uri":"https://login.example.com/jwks"}"#,
            false,
        ),
        (
            r#"{"issuer":"https://evil.example","jwks_uri":"https://evil.example/jwks"}"#,
            false,
        ),
        (
            r#"{"issuer":"https://login.example.com","jwks_uri":"http://login.example.com/jwks"}"#,
            false,
        ),
        (r#"{"issuer":"https://login.example.com"}"#, false),
        ("[]", false),
        ("", false),
    ] {
        assert_eq!(
            jwks_uri(document.as_bytes(), issuer).is_ok(),
            works,
            "{document}"
        );
    }
}

// REQ: A-1
#[test]
fn freshness_is_bounded() {
    for (said, seconds) in [
        ("", 300),
        ("max-age=1", 300),
        ("max-age=0", 300),
        ("no-store", 300),
        ("public, max-age=600", 600),
        ("max-age=999999999", 86_400),
        ("max-age=-1", 300),
        ("max-age=x", 300),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert(CACHE_CONTROL, said.parse().unwrap());
        assert_eq!(
            freshness(&headers, Duration::from_secs(300)),
            Duration::from_secs(seconds),
            "{said}"
        );
        assert!(freshness(&headers, Duration::MAX) == MOST, "{said}");
    }
}
