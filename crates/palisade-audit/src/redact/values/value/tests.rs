//! Where values begin and end, and what is none.

use super::*;

#[test]
fn quotes() {
    for (text, expected) in [
        (r#""a" b"#, "a"),
        (r#""a\"b" c"#, r#"a\"b"#),
        (r#""a\\" b"#, r"a\\"),
        (r"'a' b", "a"),
        ("`a` b", "a"),
        (r#"\"a\" b"#, "a"),
        (r#"\"a\\\"b\" c"#, r#"a\\\"b"#),
        (r#"\\\"a\\\" b"#, "a"),
        (r#""""a"b""" c"#, "a\"b"),
        (r#""a"#, "a"),
        (r#""""a"#, "a"),
        (r#""" b"#, ""),
    ] {
        let found = quoted(text.as_bytes(), 0).map(|(start, end)| &text[start..end]);
        assert_eq!(found, Some(expected), "{text}");
    }
    assert_eq!(quoted(b"a", 0), None);
    assert_eq!(quoted(b"", 0), None);
}

#[test]
fn bare_ends() {
    for (text, query, end) in [
        ("ab cd", false, 2),
        ("ab&c=d", false, 2),
        ("ab&c", false, 4),
        ("ab&c", true, 2),
        ("ab&amp;c", false, 2),
        ("ab;c=d", false, 2),
        ("ab; c", false, 2),
        ("ab;c d", false, 4),
        ("ab,c", false, 4),
        ("ab,", false, 2),
        ("ab,,c", false, 2),
        ("ab#c", true, 2),
        ("ab#c", false, 4),
        ("ab)", false, 2),
        ("ab", false, 2),
    ] {
        assert_eq!(bare_end(text.as_bytes(), 0, query), end, "{text}");
    }
}

#[test]
fn code_and_words() {
    for (value, code) in [
        ("getToken()", true),
        ("tokens[0]", true),
        ("a::b(c)", true),
        ("self.token", true),
        ("process.env.TOKEN", true),
        ("my.token", false),
        ("$TOKEN", true),
        ("$token", true),
        ("$p", true),
        ("$pw1", false),
        ("String!", true),
        ("Stringy!", false),
        ("$(cat x)", true),
        ("${X}", true),
        ("%TOKEN%", true),
        ("`x`", true),
        ("String", true),
        ("u32", true),
        ("str?", true),
        ("token", true),
        ("hunter2", false),
        ("hunter2(", false),
        ("correcthorse", false),
        ("(x)", true),
        ("(x1)", false),
        ("(Get-X y)", true),
        ("$ecret", false),
    ] {
        let end = value.find(' ').unwrap_or(value.len());
        assert_eq!(is_code(value.as_bytes(), 0, end, b"token"), code, "{value}");
    }
    for (word, is) in [
        ("hunter2", true),
        ("hunter", false),
        ("hunTer", true),
        ("Hunter", false),
        ("HUNTER", false),
        ("a!b", true),
        ("", false),
    ] {
        assert_eq!(telling(word.as_bytes()), is, "{word}");
    }
    for (word, is) in [
        ("abc", true),
        ("a_b.c", true),
        ("a1", false),
        ("a-b", false),
    ] {
        assert_eq!(is_identifier(word.as_bytes()), is, "{word}");
    }
    for (word, is) in [
        ("&str", true),
        ("STRING;", true),
        ("strings", false),
        ("", false),
        ("optional[str]", true),
        ("a-word-that-is-too-long", false),
    ] {
        assert_eq!(is_kind_word(word.as_bytes()), is, "{word}");
    }
}

#[test]
fn numbers_and_lines() {
    for (text, end) in [
        ("+1 (415) 555-2671, x", 17),
        ("1234.", 4),
        ("1234 ", 4),
        ("1234 abc", 4),
        ("X1234567 b", 8),
        ("abc", 3),
        ("1234", 4),
    ] {
        assert_eq!(number_end(text.as_bytes(), 0), end, "{text}");
    }
    for (text, ends) in [
        ("", true),
        ("\n", true),
        ("  \nx", true),
        (" x", false),
        (" # c", true),
        ("\\nx", true),
        (";", false),
        ("\r\n", true),
    ] {
        assert_eq!(ends_line(text.as_bytes(), 0), ends, "{text:?}");
    }
    assert_eq!(visible_end(b"ab,c d", 0), 4);
}

#[test]
fn words_of_kinds() {
    for word in ALL_KIND_WORDS {
        assert!(is_kind_word(word.as_bytes()), "{word}");
        assert!(is_kind_word(word.to_ascii_uppercase().as_bytes()), "{word}");
        assert!(!is_kind_word(format!("{word}z").as_bytes()), "{word}");
    }
    for (word, is) in [
        ("str?", true),
        ("&str;", true),
        ("&optional[str];?", true),
        ("option<string>;", true),
        ("option<strings>", false),
        ("?", false),
        ("&", false),
        (";", false),
        ("?str", false),
        ("str&", false),
        ("ztr", false),
    ] {
        assert_eq!(is_kind_word(word.as_bytes()), is, "{word}");
    }
    for owner in OWNERS {
        let value = [owner, b".key".as_slice()].concat();
        assert!(is_code(&value, 0, value.len(), b""), "{owner:?}");
        assert_eq!(
            is_code(owner, 0, owner.len(), b""),
            is_kind_word(owner),
            "{owner:?}"
        );
    }
}

#[test]
fn code() {
    for (text, code) in [
        ("?", true),
        ("??", false),
        ("$1", true),
        ("$12", true),
        ("$", false),
        ("$1a", false),
        ("$_X", true),
        ("$X1", true),
        ("$Xa", false),
        ("$1X", false),
        ("%X%", true),
        ("%", false),
        ("%%", true),
        ("<<<", true),
        ("<a", false),
        ("a(", true),
        ("a[", true),
        ("a{", false),
        ("a.b(", true),
        ("a1(", false),
        ("a.b1(", true),
        ("a.1b(", false),
        ("a1.b(", true),
        ("a..b1(", false),
        ("a-b(", false),
        ("a.b-1(", false),
        ("a::b::c(", true),
        ("a::b1(", false),
        ("a:b(", false),
        ("sha256(", true),
        ("(a)", true),
        ("(a", false),
        ("(a(", false),
        ("(a1)", false),
        ("(Get-A)", true),
        ("(get-a)", false),
        ("(Get-A1)", false),
        ("()", false),
        ("(", false),
        ("x.key", false),
        ("self.key1", false),
        ("self", true),
        (".self", false),
        ("self.", true),
    ] {
        assert_eq!(
            is_code(text.as_bytes(), 0, text.len(), b"k"),
            code,
            "{text}"
        );
    }
    // What stands behind it counts, too.
    for (text, end, code) in [
        ("a(b", 1, true),
        ("ab b", 2, false),
        ("(a b", 2, true),
        ("(a) b", 2, true),
        ("(A-B c", 4, true),
        ("(a.b-c d", 6, false),
        ("aa)", 2, false),
    ] {
        assert_eq!(is_code(text.as_bytes(), 0, end, b"k"), code, "{text}");
    }
    let long = |length: usize| format!("{}(", "a".repeat(length));
    assert!(is_code(long(63).as_bytes(), 0, 64, b"k"));
    assert!(!is_code(long(65).as_bytes(), 0, 66, b"k"));
    for (word, is) in [
        ("Get-Secret", true),
        ("ConvertTo-SecureString", true),
        ("Get", false),
        ("Get-", false),
        ("-Get", false),
        ("get-Secret", false),
        ("Get-secret", false),
        ("Get-Sec1", false),
        ("Get-A-B", false),
        ("", false),
    ] {
        assert_eq!(is_cmdlet(word.as_bytes()), is, "{word}");
    }
    for (word, is) in [
        ("a.b", true),
        ("a.b1_c", true),
        ("a", false),
        ("a.", false),
        (".a", false),
        ("a.1", false),
        ("a.b-c", false),
    ] {
        assert_eq!(is_path(word.as_bytes()), is, "{word}");
    }
}

#[test]
fn ends() {
    for (text, query, end) in [
        ("ab&c:d", false, 2),
        ("ab&=d", false, 5),
        ("ab&c=d", true, 2),
        ("ab;c=d", true, 2),
        ("ab,c=d", true, 2),
        ("ab;c", true, 4),
        ("ab#c&d=e", true, 2),
        ("ab&", false, 2),
        ("ab&&c", false, 2),
        ("ab&;c", false, 2),
        ("ab;\"", false, 2),
        ("ab;'", false, 2),
        ("ab;)", false, 2),
        ("ab;]", false, 2),
        ("ab;}", false, 2),
        ("ab;%", false, 2),
        ("ab;(", false, 4),
        ("ab&amp;c=d", false, 2),
        ("ab;amp;c", false, 8),
        ("a;b;c=d", false, 3),
        ("#a", true, 0),
        ("", false, 0),
        (" ", false, 0),
    ] {
        assert_eq!(bare_end(text.as_bytes(), 0, query), end, "{text}");
    }
    let name = |length: usize| format!("ab;{}=d", "c".repeat(length));
    assert_eq!(bare_end(name(63).as_bytes(), 0, false), 2);
    assert_eq!(bare_end(name(64).as_bytes(), 0, false), 2);
    assert_eq!(bare_end(name(65).as_bytes(), 0, false), 70);
    for (text, end) in [
        ("12 34", 5),
        ("12-34/5.6", 9),
        ("12. ", 2),
        ("12.x", 4),
        ("12 x", 2),
        ("+", 1),
        ("12)", 3),
        (" 12", 3),
        ("ab12 c", 4),
        ("ab-12 c", 5),
        ("", 0),
    ] {
        assert_eq!(number_end(text.as_bytes(), 0), end, "{text}");
        let shifted = format!("xx{text}");
        assert_eq!(number_end(shifted.as_bytes(), 2), end + 2, "{text}");
    }
    assert_eq!(number_end("1".repeat(40).as_bytes(), 0), 32);
    assert_eq!(number_end("a".repeat(80).as_bytes(), 0), 64);
    for (text, ends) in [
        ("\t\n", true),
        ("\\n", true),
        (" \\n", true),
        ("\\x", false),
        ("#", true),
        ("x#", false),
        ("               \nx", true),
        ("                x", true),
        ("               x", false),
    ] {
        assert_eq!(ends_line(text.as_bytes(), 0), ends, "{text:?}");
        assert_eq!(
            ends_line(format!("xx{text}").as_bytes(), 2),
            ends,
            "{text:?}"
        );
    }
    assert!(ends_line(b"x", 5));
}

#[test]
fn quotes_with_backslashes() {
    for (text, expected) in [
        (r#"\"a\""#, (2, 3)),
        (r#"\\\"a\\\""#, (4, 5)),
        (r#""a\\\"b""#, (1, 7)),
        (r#"\"a\\\"b\" c"#, (2, 8)),
        (r#""a\"#, (1, 3)),
        ("'''a'b''c''' d", (3, 9)),
        (r"\'''a'", (2, 2)),
        ("''", (1, 1)),
        ("'' '", (1, 1)),
    ] {
        assert_eq!(quoted(text.as_bytes(), 0), Some(expected), "{text}");
        let shifted = format!("xx{text}");
        let (from, to) = expected;
        assert_eq!(
            quoted(shifted.as_bytes(), 2),
            Some((from + 2, to + 2)),
            "{text}"
        );
    }
    assert_eq!(quoted(b"\\", 0), None);
    assert_eq!(quoted(b"\\x", 0), None);
    assert_eq!(in_text(b"email"), None);
    assert_eq!(in_text(b"password"), Some(Kind::Password));
    assert_eq!(in_text(b"name"), None);
    assert_eq!(in_text(b"value"), None);
}
