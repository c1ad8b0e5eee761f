use super::*;

// REQ: A-6
#[test]
fn the_thumbprint_is_that_of_rfc_7638() {
    // Section 3.1.
    let key = br#"{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"}"#;
    let mut reader = Reader::new(key, 4).unwrap();
    let members = Members::read(&mut reader).unwrap();
    assert_eq!(
        thumbprint(&members).as_deref(),
        Some("NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs")
    );
}

// REQ: A-6
#[test]
fn which_urls_are_the_same() {
    let expected = "https://mcp.example.com/mcp";
    for (said, same) in [
        ("https://mcp.example.com/mcp", true),
        ("https://mcp.example.com:443/mcp", true),
        ("HTTPS://MCP.example.com/mcp", true),
        ("https://mcp.example.com/mcp?x=1#y", true),
        ("https://mcp.example.com/MCP", false),
        ("https://mcp.example.com/mcp/", false),
        ("https://mcp.example.com", false),
        ("http://mcp.example.com/mcp", false),
        ("https://mcp.example.com:8443/mcp", false),
        ("https://evil.example/mcp", false),
        ("mcp.example.com/mcp", false),
        ("", false),
    ] {
        assert_eq!(same_url(said, expected), same, "{said}");
    }
}

// REQ: A-6
#[test]
fn a_proof_is_good_for_once_and_memory_is_bounded() {
    let proofs = DpopProofs::default();
    assert_eq!(proofs.remember("a", "key", 1000), Ok(()));
    assert_eq!(proofs.remember("a", "key", 1060), Err(TokenFault::Binding));
    assert_eq!(proofs.remember("a", "other", 1000), Ok(()));
    assert_eq!(proofs.remember("b", "key", 1000), Ok(()));
    for number in 0..MOST + 10 {
        let _ = proofs.remember(&number.to_string(), "flood", 1000);
    }
    assert_eq!(proofs.seen.lock().unwrap().len(), MOST);
    // Full: rather none than one twice.
    assert_eq!(proofs.remember("c", "key", 1000), Err(TokenFault::Binding));
    assert_eq!(proofs.remember("c", "key", 1200), Ok(()));
}
