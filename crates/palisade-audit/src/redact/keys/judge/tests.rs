use super::*;

#[test]
fn masks() {
    for (text, length) in [
        ("[REDACTED]", Some(10)),
        ("[REDACTED] x", Some(10)),
        ("[REDACTED:sha256:0123abcd]", Some(26)),
        ("[REDACTED:token:0123abcd]", Some(25)),
        ("[REDACTED:email:0123abcd] x", Some(25)),
        ("[REDACTED#2]", Some(12)),
        ("[REDACTED#123456]", Some(17)),
        ("[REDACTED#]", None),
        ("[REDACTED#1234567]", None),
        ("[REDACTED:hunter2]", None),
        ("[REDACTED:sha256:hunter22]", None),
        ("[REDACTED:sha256:0123abcd", None),
        ("[REDACTED:sha256:0123abcde]", None),
        ("[REDACTED", None),
        ("x[REDACTED]", None),
    ] {
        assert_eq!(mask_length(text.as_bytes()), length, "{text}");
        assert_eq!(
            is_mask(text.as_bytes()),
            length == Some(text.len()),
            "{text}"
        );
    }
}

// REQ: L-2
#[test]
fn by_value() {
    let (plain, print, address) = (
        Some(Mask::Plain),
        Some(Mask::Fingerprint),
        Some(Mask::Address),
    );
    for (kind, text, expected) in [
        (Kind::Password, "hunter2", plain),
        (Kind::Password, "${DB_PASSWORD}", None),
        (Kind::Password, "${it is}", plain),
        (Kind::Password, "{{ secrets.DB }}", None),
        (Kind::Password, "<your-password>", None),
        (Kind::Password, "<3hearts>", plain),
        (Kind::Password, "********", None),
        (Kind::Password, "••••", None),
        (Kind::Password, "None", None),
        (Kind::Password, "default", plain),
        (Kind::Password, "[REDACTED]", None),
        (Kind::Password, "[REDACTED:hunter2]", plain),
        (Kind::Token, "abc", print),
        (Kind::Token, "same-origin", None),
        (Kind::Tokens, "1,024", None),
        (Kind::Tokens, "abc1", print),
        (Kind::Tokens, "abc", None),
        (Kind::Tokens, "abcdefghijklmnop", print),
        (Kind::Digits(4), "1234", plain),
        (Kind::Digits(4), "13", None),
        (Kind::Digits(4), "GPIO1789", None),
        (Kind::Digits(4), "D13", None),
        (Kind::Digits(4), "G-123456", plain),
        (Kind::Digits(5), "+1 (415) 555-2671 ext. 5", plain),
        (Kind::Digits(5), "A1", None),
        (Kind::Digits(5), "2026-01-31T12:00:00Z", None),
        (Kind::Digits(5), "X1234567", plain),
        (Kind::Email, "a@b", address),
        (Kind::Email, "a%40b.com", address),
        (Kind::Email, "a[at]b.com", address),
        (Kind::Email, "daily", None),
        (Kind::Email, "A <a@b.com>", None),
        (Kind::Email, "say a@b.com", None),
        (Kind::Opaque, "0123456789ab", print),
        (Kind::Opaque, "0123456789a", print),
        (Kind::Opaque, "123456789012", None),
        (Kind::Opaque, "oauth2", None),
        (Kind::Opaque, "client_credentials_grant", None),
        (Kind::Opaque, "aBcDeFgHiJkLmNoPqRsT", print),
        (Kind::Opaque, "https://example.com/v2/a1", None),
        (Kind::Opaque, "a1 b2 c3 d4 e5 f6", None),
        (Kind::Name, "password", None),
        (Kind::Word, "hunter2", plain),
        (Kind::Word, "/home/bob", None),
        (Kind::Password, "{token}", None),
        (Kind::Password, "%s", None),
        (Kind::Password, "$DB_PASSWORD", None),
        (Kind::Password, "$DB", plain),
        (Kind::Password, "$ecret", plain),
        (Kind::Password, "%DB_PASSWORD%", None),
        (Kind::Password, "%db%", plain),
        (Kind::Password, "$(cat /run/x)", None),
        (Kind::Password, "YOUR_API_KEY", None),
        (Kind::Password, "your-password-here", None),
        (Kind::Password, "yours", plain),
        (Kind::Password, "your_1st", plain),
        (Kind::Token, "process.env.API_KEY", None),
        (Kind::Token, "env:API_KEY", None),
        (Kind::Token, "env:apikey", print),
        (Kind::Word, "12", None),
        (Kind::Word, "1234", plain),
        (Kind::Word, "ab", plain),
        (Kind::Password, "off", None),
    ] {
        assert_eq!(kind.judge(text.as_bytes()), expected, "{kind:?} {text}");
    }
    for (kind, number, expected) in [
        (Kind::Password, "1", true),
        (Kind::Token, "123", false),
        (Kind::Token, "1234", true),
        (Kind::Tokens, "123456", false),
        (Kind::Digits(4), "13", false),
        (Kind::Digits(4), "1234", true),
        (Kind::Digits(4), "1234567890123", false),
        (Kind::Digits(5), "4155552671", true),
        (Kind::Digits(5), "0.54030230586", false),
        (Kind::Digits(5), "-123456", false),
        (Kind::Email, "12345", false),
        (Kind::Word, "12", false),
        (Kind::Word, "1234", true),
    ] {
        assert_eq!(
            kind.judge_number(number.as_bytes()),
            expected,
            "{kind:?} {number}"
        );
    }
}

// REQ: L-2
#[test]
fn words_about_secrets() {
    for (text, stays) in [
        ("Password", true),
        ("password", false),
        ("PASSWORD", false),
        ("Passwort", true),
        ("Password1", false),
        ("Secret", false),
        ("Confirm password", true),
        ("Enter your password", true),
        ("Forgot your password?", true),
        ("API key", true),
        ("super secret password", false),
        ("my secret key", false),
        ("letmein password", false),
        ("is too short", true),
        ("must contain a digit", true),
        ("Password must be at least 8 characters", true),
        ("This field is required.", true),
        ("is this it 123", false),
        ("please let me in", false),
        ("please enter your password", true),
        ("required|min:8", true),
        ("hunter|min:8", false),
        ("<type> <credentials>", true),
        ("<type> hunter2", false),
        ("Bearer ${TOKEN}", true),
        ("Bearer abc", false),
    ] {
        let kept = Kind::Password.judge(text.as_bytes()).is_none();
        assert_eq!(kept, stays, "{text}");
    }
}

/// Each rule with what is just short of it.
// REQ: L-2
#[test]
fn edges() {
    for (text, is) in [
        ("abc123", true),
        ("abc12", false),
        ("a1b2c3", true),
        ("hunter2!", true),
        ("oauth2", false),
        ("OAuth20", false),
        ("oauthx2", true),
        ("123456", false),
        ("abcdef", false),
        ("abc-123", false),
        ("bob:abc123", true),
        ("bob:abc12", false),
        (":abc123", false),
        ("b-b:abc123", false),
        ("bob:x:abc123", false),
        ("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1", true),
        ("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1", false),
    ] {
        assert_eq!(is_mixed(text.as_bytes()), is, "{text}");
    }
    for (text, is) in [
        ("0123456789ab", true),
        ("0123456789a", false),
        ("/123456789ab", false),
        ("012 456789ab", false),
        ("0123456789\u{7f}a", false),
        ("01234567890a", false),
        ("abcdefghij12", true),
        ("abcdefghijk1", false),
        ("ABCDEFGHIJ12", true),
        ("abcdefghijklmnopABCD", true),
        ("abcdefghijklmnopqABC", false),
        ("ABCDEFGHIJKLMNOPabcd", true),
        ("ABCDEFGHIJKLMNOPQabc", false),
        ("abcdefghijklmnoABCD", false),
        ("a1://bcdefgh23", false),
    ] {
        assert_eq!(is_opaque(text.as_bytes()), is, "{text}");
    }
    for (text, is) in [
        ("/x", true),
        ("~/x", true),
        ("./x", true),
        ("C:\\x", true),
        ("c:/x", true),
        ("1:/x", false),
        ("c:x", false),
        ("~x", false),
        (".x", false),
        ("x/", false),
    ] {
        assert_eq!(looks_like_path(text.as_bytes()), is, "{text}");
    }
    for (text, is) in [
        ("2026-01-31T12:00", true),
        ("2026-01-31T12:0", false),
        ("202x-01-31T12:00", false),
        ("2026.01-31T12:00", false),
        ("2026-01-31 12:00", false),
    ] {
        assert_eq!(looks_like_time(text.as_bytes()), is, "{text}");
    }
    for (text, is) in [
        ("a@b", true),
        ("@b", false),
        ("a(at)b", true),
        ("a%40b", true),
        ("a b@c", false),
        ("a@b\n", false),
        ("<a@b", false),
        ("abc", false),
    ] {
        assert_eq!(is_address(text.as_bytes()), is, "{text}");
    }
    for (text, least, is) in [
        ("1234", 4, true),
        ("123", 4, false),
        ("123", 3, true),
        ("12", 3, false),
        ("1 2 3 4", 4, true),
        ("27.0.1", 4, false),
        ("27.0.1.2.3.4", 4, true),
        ("abc123456", 4, true),
        ("abcd123456", 4, false),
        ("abc12345", 4, false),
        ("a1b2c3", 4, true),
        ("a1b2cd", 4, false),
        ("abc123", 4, false),
        ("a1b2c3-", 4, false),
        ("a1b2c3d4e5", 4, true),
        ("a1b2c3d4e5f", 4, false),
        ("12345", 5, true),
        ("1234", 5, false),
        ("call 12345 or so", 5, true),
    ] {
        assert_eq!(holds_digits(text.as_bytes(), least), is, "{text}");
    }
    assert!(holds_digits(
        format!("12345{}", " ".repeat(59)).as_bytes(),
        5
    ));
    assert!(!holds_digits(
        format!("12345{}", " ".repeat(60)).as_bytes(),
        5
    ));
    let words = "legal winner thank year wave sausage worth useful legal winner";
    assert!(is_phrase(words.as_bytes()));
    assert!(!is_phrase(words.trim_start_matches("legal ").as_bytes()));
    assert!(!is_phrase(words.replace("year", "yr").as_bytes()));
    assert!(!is_phrase(words.replace("year", "Year").as_bytes()));
    assert!(is_phrase(words.replace("year", "été").as_bytes()));
    for (text, is) in [
        ("", true),
        ("  ", true),
        (" null ", true),
        ("nulls", false),
        ("${a.b-c}", true),
        ("${}", false),
        ("{{ a }}", true),
        ("{{ a b }}", false),
        ("{a}", true),
        ("{a b}", false),
        ("$ABC", true),
        ("$AB", false),
        ("$A1C", false),
        ("%A_C%", true),
        ("%AB%", false),
        ("$(x)", true),
        ("$(x", false),
        ("%s", true),
        ("%v", true),
        ("%d", true),
        ("%x", false),
        ("<a b-c_d>", true),
        ("<base64>", true),
        ("<base64-secret>", true),
        ("<a1>", false),
        ("<>", false),
        ("your-x", true),
        ("YOUR_X", true),
        ("your x", true),
        ("your.x", false),
        ("your", false),
        ("your-", true),
        ("your-1", false),
        ("process.env.A_B", true),
        ("process.env.Ab", false),
        ("env:ABC", true),
        ("xxxx", true),
        ("XX.*", true),
        ("xxxxa", false),
        ("•••", true),
        ("●●", true),
        ("•a", false),
        ("••\u{e2}", false),
        ("-", true),
        ("n/a", true),
    ] {
        assert_eq!(placeholder(text.as_bytes()), is, "{text}");
    }
    for (kind, text, is) in [
        (Kind::Content, "abc", true),
        (Kind::Content, "", false),
        (Kind::Content, "a b", false),
        (Kind::Content, "é", true),
        (Kind::Content, "a\u{7f}", false),
        (Kind::Content, "token", false),
        (Kind::Single, "abc", true),
        (Kind::Single, "of good news", false),
        (Kind::Single, "token", false),
        (Kind::Phrase, "ADD", false),
        (Kind::Tokens, "1 2,3._/kKMx", false),
        (Kind::Tokens, "1 2,3.m", true),
        (Kind::Tokens, "abcdefghijklmno", false),
        (Kind::Tokens, "abcdefghijklmnop", true),
        (Kind::Tokens, "a1", true),
        (Kind::Word, "123", false),
        (Kind::Word, "1234", true),
        (Kind::Word, "100%", false),
        (Kind::Word, "12/ 15.5", false),
        (Kind::Word, "12/x5", true),
        (Kind::Word, "12.15", true),
        (Kind::Word, "ab1", true),
        (Kind::Opaque, "dXNlcjpwYXNz", true),
        (Kind::Opaque, "dTpw", false),
        (Kind::Opaque, "OnVzZXJwYXNz", false),
        (Kind::Opaque, "dXNlcjoAYXNz", false),
        (Kind::Opaque, "dXNlcnxwYXNz", false),
        (Kind::Columns, "hunter22", false),
        (Kind::Rows, "hunter22", false),
    ] {
        assert_eq!(kind.judge(text.as_bytes()).is_some(), is, "{kind:?} {text}");
    }
    for (kind, number, is) in [
        (Kind::Digits(4), "123456789012", true),
        (Kind::Digits(4), "123", false),
        (Kind::Digits(5), "12345", true),
        (Kind::Digits(5), "1234", false),
        (Kind::Digits(3), "123", true),
        (Kind::Content, "1234", true),
        (Kind::Content, "123", false),
        (Kind::Single, "-12.34", true),
        (Kind::Single, "12.3", false),
        (Kind::Opaque, "123456", false),
        (Kind::Phrase, "123456", false),
        (Kind::Columns, "123456", false),
        (Kind::Rows, "123456", false),
    ] {
        assert_eq!(
            kind.judge_number(number.as_bytes()),
            is,
            "{kind:?} {number}"
        );
    }
}
