use super::*;
use crate::exchange::Connection;
use http::Request;

// REQ: A-6
#[test]
fn a_token_in_the_query_is_seen_however_it_is_written() {
    for (query, found) in [
        ("", false),
        ("a=b", false),
        ("access_token=x", true),
        ("access_token", true),
        ("a=b&access_token=", true),
        ("a=b;access_token=x", true),
        ("access_token;a", true),
        ("%61ccess_token=x", true),
        ("access%5ftoken=x", true),
        ("%61%63%63%65%73%73%5F%74%6F%6B%65%6E=x", true),
        ("access_tokens=x", false),
        ("a=access_token", false),
        ("%=x&%6=y&%zz=z", false),
    ] {
        assert_eq!(token_in_query(query), found, "{query}");
    }
}

fn head(fields: &[(&str, &str)]) -> Parts {
    let mut request = Request::post("/mcp");
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

fn authenticator() -> Authenticator {
    Authenticator {
        keys: vec![ApiKey {
            name: "ci".to_owned(),
            hash: KeyHash::of(b"right"),
            expires: None,
            scopes: Vec::new(),
            groups: Vec::new(),
        }],
        key_headers: vec![HeaderName::from_static("x-api-key")],
        failed: Some(Arc::new(Limiter::new("3/h".parse().unwrap()))),
        ..Authenticator::default()
    }
}

fn reason(judged: Judged) -> Result<String, Reason> {
    match judged {
        Judged::Caller(caller) => Ok(caller.id().to_owned()),
        Judged::Refused(rejection) => Err(rejection.reason()),
        Judged::Wait(_) => panic!("nothing is fetched"),
    }
}

// REQ
#[test]
fn one_credential_that_holds_and_no_more_failures_than_allowed() {
    let authenticator = authenticator();
    let exchange = Exchange::begin(Connection::default());
    let judge =
        |fields: &[(&str, &str)]| reason(authenticator.judge(&head(fields), &exchange, 0, 0));
    for fields in [
        &[("authorization", "Bearer right")][..],
        &[("authorization", "bearer   right")],
        &[("authorization", "BEARER right")],
        &[("authorization", "bEaReR right")],
        &[("x-api-key", "right")],
    ] {
        assert_eq!(judge(fields).as_deref(), Ok("key:ci"), "{fields:?}");
    }
    // None of these is work, so none counts.
    for fields in [
        &[("authorization", "Bearer right"), ("x-api-key", "right")][..],
        &[("x-api-key", "right"), ("x-api-key", "right")],
        &[
            ("authorization", "Bearer right"),
            ("authorization", "Bearer right"),
        ],
        &[("authorization", "Bearer")],
        &[("authorization", "Basic right")],
        &[("authorization", "right")],
        &[("authorization", "Bearer right, Bearer right")],
        &[("authorization", "DPoP")],
        &[("authorization", "")],
        &[("authorization", "Bearer ")],
        &[("authorization", "Bearer\tright")],
        &[("authorization", "Bearer right\t")],
        &[("authorization", "Bearer right x")],
        &[("authorization", "Bearer right,")],
        &[("authorization", "Bearer right, x=\"y\"")],
        &[("authorization", "Bearer: right")],
        &[("authorization", "Bearer=right")],
        &[("authorization", "Bearerright")],
        &[("authorization", "\"Bearer right\"")],
        &[("authorization", "Token right")],
        &[("authorization", "Negotiate right")],
        &[("authorization", "MAC right")],
        &[("authorization", "Bearer r\u{ef}ght")],
    ] {
        assert_eq!(judge(fields), Err(Reason::AuthInvalid), "{fields:?}");
    }
    assert_eq!(judge(&[]), Err(Reason::AuthRequired));
    for _ in 0..3 {
        assert_eq!(judge(&[("x-api-key", "wrong")]), Err(Reason::AuthInvalid));
    }
    for key in ["wrong", "right"] {
        assert_eq!(
            judge(&[("x-api-key", key)]),
            Err(Reason::AuthFailures),
            "{key}"
        );
    }
    assert_eq!(judge(&[]), Err(Reason::AuthRequired));
}

// REQ: A-1
#[test]
fn what_is_not_looked_at_is_told_as_a_bad_credential() {
    let authenticator = authenticator();
    for fault in [CredentialFault::Doubled, CredentialFault::TooLarge] {
        let rejection = authenticator.unreadable(fault);
        assert_eq!(rejection.reason(), Reason::AuthInvalid);
        assert!(!rejection.remedy().is_empty());
        let answer = rejection.into_response(&head(&[]));
        let challenge = answer.headers()[WWW_AUTHENTICATE].to_str().unwrap();
        assert!(challenge.contains("error=\"invalid_token\""), "{challenge}");
    }
}

// REQ: A-1
#[test]
fn credentials_end_here_unless_they_are_to_go_on() {
    let fields = [
        ("authorization", "Bearer right"),
        ("dpop", "x"),
        ("x-api-key", "right"),
        ("cookie", "a"),
    ];
    let names = |authenticator: &Authenticator| {
        let mut head = head(&fields);
        authenticator.strip(&mut head);
        let mut names: Vec<String> = head
            .headers
            .keys()
            .map(|name| name.as_str().to_owned())
            .collect();
        names.sort();
        names
    };
    let mut authenticator = authenticator();
    assert_eq!(names(&authenticator), ["cookie"]);
    authenticator.forward = true;
    assert_eq!(names(&authenticator), ["authorization", "cookie", "dpop"]);
}
