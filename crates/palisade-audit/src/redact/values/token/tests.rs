//! Tokens by their prefixes, to the letter.

use super::*;

/// Letters of a class that look random, none of them like the prefix of something else.
fn letters(class: u16, count: usize) -> String {
    let all: Vec<char> = (b'0'..=b'z')
        .rev()
        .filter(|byte| {
            CLASSES[usize::from(*byte)] & class != 0 && CLASSES[usize::from(*byte)] & WORD != 0
        })
        .map(char::from)
        .collect();
    (0..count).map(|at| all[(at * 7 + 3) % all.len()]).collect()
}

fn found(text: &str) -> Option<usize> {
    token(text.as_bytes(), 0, &mut Runs::default()).map(|finding| finding.end)
}

/// Each prefix with letters enough is found, to its end; with one too few it is not.
// REQ: L-2
#[test]
fn every_shape() {
    for shape in SHAPES {
        let prefix = std::str::from_utf8(shape.prefix).unwrap();
        let (good, short) = match shape.look {
            Look::Uuid => (
                "12345678-90ab-cdef-1234-567890abcdef".to_owned(),
                "12345678-90ab-cdef-1234-567890abcde".to_owned(),
            ),
            Look::Two => (
                format!("{}_{}", letters(WORD, 8), letters(WORD, shape.min + 1)),
                format!("{}_{}", letters(WORD, 8), letters(WORD, shape.min - 1)),
            ),
            Look::Upper => (letters(UPPER, shape.min), letters(UPPER, shape.min - 1)),
            _ => (
                letters(shape.letters, shape.min),
                letters(shape.letters, shape.min - 1),
            ),
        };
        let whole = format!("{prefix}{good}");
        assert_eq!(found(&whole), Some(whole.len()), "{whole}");
        assert_eq!(found(&format!("{whole} x")), Some(whole.len()), "{whole}");
        let other = |text: &str| {
            // A shorter prefix of the same letters may be content with less.
            SHAPES
                .iter()
                .filter(|other| other.prefix != shape.prefix)
                .any(|other| text.as_bytes().starts_with(other.prefix))
        };
        let short = format!("{prefix}{short}");
        assert!(found(&short).is_none() || other(&short), "{short}");
        let example = format!("{prefix}{}", "x".repeat(shape.min.max(8)));
        assert!(
            found(&example).is_none() || shape.letters & HEX != 0 || other(&example),
            "{example}"
        );
    }
}

#[test]
fn looks() {
    for (text, expected) in [
        // Exactly so long.
        ("SK0123456789abcdef0123456789abcdef", Some(34)),
        ("SK0123456789abcdef0123456789abcdef0", None),
        ("SK0123456789abcdef0123456789abcdeg", None),
        ("SK0123456789abcdef0123456789abcdef_x", Some(34)),
        // Words with hyphens are words.
        ("sk-learn-contribution-guide", None),
        ("sk-learn-contribution-guide2", Some(28)),
        ("sk-learncontributionguide", Some(25)),
        // Neither a digit nor two sizes.
        ("aio_abcdefghijklmnopqrstuvwxyz", None),
        ("aio_abcdefghijklmnopqrstuvwxyZ", Some(30)),
        ("aio_abcdefghijklmnopqrstuvwxy1", Some(30)),
        ("aio_12345678901234567890", None),
        ("re_compile_pattern", None),
        ("re_Abc12_abcdefghijklmnopqrst", None),
        ("re_Abc123_abcdefghijklmnopqrst", Some(30)),
        ("mob-12345678-90ab-cdef-1234-567890abcdeg", None),
        ("mob-12345678x90ab-cdef-1234-567890abcdef", None),
        ("ghp_xxxxxxxxxxxxxxxxxxxxxxxx", None),
        ("ghp_xxxxxxxxxxxxxxxxxxxxxxx1", Some(28)),
        ("zzz_abcdefghijklmnopqrstuvwxyz", None),
    ] {
        assert_eq!(found(text), expected, "{text}");
    }
}

#[test]
fn beginnings() {
    for shape in SHAPES {
        let (first, second) = (shape.prefix[0], shape.prefix[1]);
        let third = shape.prefix.get(2).copied();
        for third in third.map_or_else(|| (b'0'..=b'z').collect(), |third| vec![third]) {
            assert!(may_begin(first, second, third), "{:?}", shape.prefix);
        }
        let (from, to) = BY_PAIR[pair(first, second)];
        let places: Vec<_> = ORDER[usize::from(from)..usize::from(to)]
            .iter()
            .map(|place| SHAPES[usize::from(*place)].prefix)
            .collect();
        assert!(places.contains(&shape.prefix), "{:?}", shape.prefix);
        // The longer of two that begin alike comes first.
        for (at, prefix) in places.iter().enumerate() {
            assert_eq!(pair(prefix[0], prefix[1]), pair(first, second));
            assert!(
                !places[at + 1..]
                    .iter()
                    .any(|later| later.starts_with(prefix)),
                "{prefix:?}"
            );
        }
    }
    let mut all = ORDER.to_vec();
    all.sort_unstable();
    assert!(
        all.iter()
            .enumerate()
            .all(|(at, place)| at == usize::from(*place))
    );
    for (text, is) in [
        ("eyJ", true),
        ("eyK", false),
        ("exJ", false),
        ("qzx", false),
        ("ghp", true),
        ("ghq", false),
        ("gzp", false),
        ("Ghp", false),
    ] {
        let [first, second, third] = *text.as_bytes() else {
            panic!("{text}");
        };
        assert_eq!(may_begin(first, second, third), is, "{text}");
    }
    assert_eq!(pair(b'a', b'b'), 1 << 5 | 2);
    assert_eq!(pair(b'Z', b'z'), 26 << 5 | 26);
}

#[test]
fn what_follows() {
    let atlassian = |rest: &str| format!("ATATT3{}{rest}", "a1B2".repeat(5));
    let sentry = |rest: &str| format!("sntrys_{}{rest}", "a1B2".repeat(5));
    let databricks = |rest: &str| format!("dapi{}{rest}", "0a1b".repeat(8));
    for (text, behind) in [
        (atlassian("=0123ABCD"), 9),
        (atlassian("=0123ABCD x"), 9),
        (atlassian("=0123ABC"), 0),
        (atlassian("=0123ABCDE"), 0),
        (atlassian("=0123ABCX"), 0),
        (atlassian(" 0123ABCD"), 0),
        (atlassian("="), 0),
        (sentry("=_abc"), 5),
        (sentry("==_abc+/ x"), 8),
        (sentry("===_abc"), 0),
        (sentry("=abc"), 0),
        (sentry("_abc"), 4),
        (databricks("-2"), 2),
        (databricks("-2 x"), 2),
        (databricks("-23"), 0),
        (databricks("-2a"), 0),
        (databricks("-a"), 0),
        (databricks("-"), 0),
        (databricks(" 2"), 0),
    ] {
        let length = text.find("a1B2").map_or(36, |at| at + 20);
        assert_eq!(found(&text), Some(length + behind), "{text}");
        let shifted = format!("xx {text}");
        let finding = token(shifted.as_bytes(), 3, &mut Runs::default()).unwrap();
        assert_eq!(
            (finding.start, finding.end),
            (3, 3 + length + behind),
            "{text}"
        );
    }
    let hex = "0123456789abcdef";
    for (text, expected) in [
        // Two parts.
        (format!("re_abc123_{hex}9"), Some(27)),
        (format!("re_abc123_{hex}"), Some(26)),
        (format!("re_abc123_{}", &hex[1..]), None),
        (format!("re_abc12_{hex}"), None),
        (format!("re_abcdef_{}", "a".repeat(20)), None),
        (format!("re_{}_{hex}", "a".repeat(15)), Some(35)),
        (format!("re_{}_{hex}", "a".repeat(16)), Some(36)),
        (format!("re_{}_{hex}", "a".repeat(17)), None),
        (format!("pk_12345678_{}", "A1".repeat(15)), Some(42)),
        (format!("pk_live_{}", "A1".repeat(15)), None),
        // The sentence's dot, and that of a token.
        (
            "SG.012345678901234567890.0123456789...".to_owned(),
            Some(35),
        ),
        (
            "glpat-aB3dE5fG7hJ9kLmN1pQr.01.1a2b3c. x".to_owned(),
            Some(36),
        ),
        // Capitals and digits.
        (format!("A3-{}", "ABC123-".repeat(5)), Some(38)),
        (format!("A3-{}", "ABCDEF-".repeat(5)), None),
        (format!("A3-{}a", "ABC123-".repeat(5)), None),
        (format!("A3-{}_", "ABC123-".repeat(5)), None),
        // Exactly so many.
        (format!("s.{}", "aB1".repeat(8)), Some(26)),
        (format!("s.{}a", "aB1".repeat(8)), None),
        (format!("s.{}-", "aB1".repeat(8)), Some(26)),
        (format!("s.{}", "ab1".repeat(8)), None),
        (format!("s.{}", "AB1".repeat(8)), None),
        (format!("s.{}", "aBc".repeat(8)), None),
        (format!("key-{hex}{hex}"), Some(36)),
        (format!("key-{hex}{hex}g"), None),
        (format!("key-{hex}{hex}0"), None),
        ("sk-".to_owned(), None),
        ("sk".to_owned(), None),
        ("s".to_owned(), None),
    ] {
        assert_eq!(found(&text), expected, "{text}");
    }
}

#[test]
fn letters_of_a_token() {
    for (text, mixed, thoroughly) in [
        ("", false, false),
        ("a", false, false),
        ("1", false, false),
        ("A", false, false),
        ("a1", true, false),
        ("A1", true, false),
        ("aA", true, false),
        ("aA1", true, true),
        ("a-", false, false),
    ] {
        assert_eq!(is_mixed(text.as_bytes()), mixed, "{text}");
        assert_eq!(is_thoroughly_mixed(text.as_bytes()), thoroughly, "{text}");
    }
    let late = |at: usize| format!("{}1", "a".repeat(at));
    assert!(is_mixed(late(63).as_bytes()));
    assert!(!is_mixed(late(64).as_bytes()));
    for (text, is) in [("", false), ("xx", true), ("X.x", true), ("xxa", false)] {
        assert_eq!(is_example(text.as_bytes()), is, "{text}");
    }
    for (text, is) in [
        ("12345678-90ab-cdef-1234-567890abcdef", true),
        ("12345678-90ab-cdef-1234-567890abcdefg", true),
        ("12345678-90ab-cdef-1234-567890abcde", false),
        ("123456789-0ab-cdef-1234-567890abcdef", false),
        ("12345678-90abc-def-1234-567890abcdef", false),
        ("12345678-90ab-cdef1-234-567890abcdef", false),
        ("12345678-90ab-cdef-12345-67890abcdef", false),
        ("12345678-90ab-cdef-1234-56789gabcdef", false),
    ] {
        assert_eq!(is_uuid(text.as_bytes()), is, "{text}");
    }
}

/// What is remembered of a run is what a look at it would say.
#[test]
fn runs() {
    let text = b"abc-def.ghi1jkl mno.P";
    let mut runs = Runs::default();
    for start in [0, 2, 4, 6, 7, 8, 11, 14, 15, 16, 20, 3, 0] {
        for class in [URL_SAFE, DOTTED] {
            assert_eq!(
                runs.end(text, start, class, 2),
                run(text, start, class),
                "{start}"
            );
        }
        let head = &text[..text.len().min(start + 2)];
        assert_eq!(runs.end(text, start, WORD, 2), run(head, start, WORD));
        let random = text[start..]
            .iter()
            .position(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase());
        let expected = start + random.unwrap_or(text.len() - start);
        assert_eq!(runs.random(text, start), expected, "{start}");
    }
}
