//! What is found in a text, to the byte: each case is written with its secrets between `‹` and `›`.

use super::*;
use crate::digest::Fingerprint;
use crate::redact::redact_text;

/// What is between `‹` and `›` goes, nothing else.
pub(super) fn exact(marked: &str) {
    if let Some(fault) = fault(marked) {
        panic!("{fault}");
    }
}

/// As [`exact`], of each line; a line break within is written `⏎`.
pub(super) fn all(table: &str) {
    let faults: Vec<_> = table
        .lines()
        .filter_map(|line| fault(&line.replace('⏎', "\n")))
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

fn fault(marked: &str) -> Option<String> {
    let text = marked.replace(['‹', '›'], "");
    let output = redact_text(&text);
    let mut rest: &str = &output;
    for (at, part) in marked.split(['‹', '›']).enumerate() {
        let hash = format!("[REDACTED:sha256:{}]", Fingerprint::of(part.as_bytes()));
        let found = if at % 2 == 0 {
            rest.strip_prefix(part)
        } else {
            rest.strip_prefix("[REDACTED]")
                .or_else(|| rest.strip_prefix(&hash))
        };
        let Some(behind) = found else {
            return Some(format!("{marked}\n  -> {output}"));
        };
        rest = behind;
    }
    (!rest.is_empty()).then(|| format!("{marked}\n  -> {output}"))
}

const HEX32: &str = "0123456789abcdef0123456789abcdef";
const MIXED: &str = "aB3dE5fG7hJ9kLmN1pQrS2tUvW4xYz6c8aB3dE5fG7h";

// REQ: L-2
#[test]
fn tokens_that_begin_with_a_digit() {
    for (good, text) in [
        (true, "1//0aaaaaaaaaaaaaaaaaaaa".to_owned()),
        (false, "1//0aaaaaaaaaaaaaaaaaaa".to_owned()),
        (false, "2//0aaaaaaaaaaaaaaaaaaaa".to_owned()),
        (true, format!("1/1234567890:{HEX32}")),
        (true, format!("1/12345678901234567890:{HEX32}")),
        (false, format!("1/123456789012345678901:{HEX32}")),
        (false, format!("1/123456789:{HEX32}")),
        (false, format!("1/1234567890:{HEX32}0")),
        (false, format!("1/1234567890:{}", &HEX32[1..])),
        (false, format!("1/1234567890:{}g", &HEX32[1..])),
        (false, format!("1/1234567890;{HEX32}")),
        (true, format!("2/1234567890/1234567890:{HEX32}")),
        (true, format!("2/1234567890/12345678901234567890:{HEX32}")),
        (false, format!("2/1234567890/123456789012345678901:{HEX32}")),
        (false, format!("1/1234567890/1234567890:{HEX32}")),
        (false, format!("3/1234567890:{HEX32}")),
        (
            true,
            "0.48c78342-1635-48a6-accd-afbe01336365.C0tMmQqHnAp1h0gL8bng:B3h5D+YgLvFiQhWkIq6Bow=="
                .to_owned(),
        ),
        (
            false,
            "0.48c78342-1635-48a6-accd-afbe01336365.C0tMmQqHnAp1h0gL8bn:B3h5D+Yg".to_owned(),
        ),
        (
            false,
            "0.48c78342-1635-48a6-accd-afbe01336365-C0tMmQqHnAp1h0gL8bng:B3h5D+Yg".to_owned(),
        ),
        (
            false,
            "0.48c78342-1635-48a6-accd-afbe01336365.C0tMmQqHnAp1h0gL8bng;B3h5D+Yg".to_owned(),
        ),
        (true, format!("00D5g000004XyZ1!{}", &MIXED[..39])),
        (false, format!("00D5g000004XyZ1!{}", &MIXED[..38])),
        (true, format!("00D5g000004XyZ1AbC!{}", &MIXED[..39])),
        (false, format!("00D5g000004XyZ1A!{}", &MIXED[..39])),
        (false, format!("00D5g000004XyZ1AbCd!{}", &MIXED[..39])),
        (false, format!("00D5g000004XyZ1.{}", &MIXED[..39])),
    ] {
        if good {
            exact(&format!("‹{text}›"));
            exact(&format!("x ‹{text}›, y"));
        } else {
            exact(&text);
        }
    }
}

// REQ: L-2
#[test]
fn marks() {
    let (t35, t34) = (&MIXED[..34], &MIXED[..32]);
    for (good, text) in [
        // A bot of Telegram.
        (true, format!("123456:A{t35}")),
        (true, format!("123456789012:A{}", &MIXED[..32])),
        (false, format!("123456:A{}", &MIXED[..31])),
        (false, format!("12345:A{t35}")),
        // A client secret of Entra.
        (true, format!("abc8Q~{t34}")),
        (true, format!("_~.8Q~{}", &MIXED[..30])),
        (true, format!("abc8Q~{MIXED}aB3dE")),
        (false, format!("abc8Q~{}", &MIXED[..29])),
        (false, format!("abcdQ~{t34}")),
        (false, format!("a+c8Q~{t34}")),
        (false, format!("abc8R~{t34}")),
        // Mailchimp.
        (true, format!("{HEX32}-us1")),
        (true, format!("{HEX32}-us123")),
        (false, format!("{HEX32}-us")),
        (false, format!("{HEX32}-eu1")),
        (false, format!("{HEX32}-ut1")),
        (false, format!("{HEX32}-xs1")),
        (false, format!("{}-us1", &HEX32[1..])),
        (false, format!("a{HEX32}-us1")),
        (false, format!("x{HEX32}-us1")),
        // Hashes of passwords.
        (true, "$6$salt$abcdefgh".to_owned()),
        (true, "$2b$12$abcdefghij".to_owned()),
        (true, "$argon2id$v=19$m=1,t=2$a".to_owned()),
        (false, "$6$salt$abcde".to_owned()),
        (false, "$8$salt$abcdefgh".to_owned()),
        (false, "$6;salt$abcdefgh".to_owned()),
    ] {
        if good {
            exact(&format!("‹{text}›"));
            exact(&format!("x ‹{text}› y"));
        } else {
            exact(&text);
            exact(&format!("x {text} y"));
        }
    }
    for name in [
        "1",
        "2",
        "2a",
        "2y",
        "5",
        "6",
        "7",
        "y",
        "gy",
        "apr1",
        "md5",
        "sha1",
        "scrypt",
        "argon2i",
        "argon2d",
        "pbkdf2-sha256",
        "pbkdf2-sha512",
    ] {
        exact(&format!("‹${name}$aBcdefghijkl›, x"));
        exact(&format!("‹${name}$aBcdefghijkl›. x"));
    }
    all("x_ghp_ y
a_b_c_d
xgh_abcdefghijklmnopqrst
keygho_
key‹gho_abcdefghijklmnopqrst1›
0~abc
Q~abc
<<< x
a <<< b
a:b::c
12:30:45
12:abc
password12: ‹hunter2x›
pass1: ‹hunter2x›
token2:1234
a@b
 @ x@
x@y.z@
a%40b
mail=‹a%40example.com›&x=1
password%3d‹hunter2›&x
password%3Ehunter2
-a -- --- ----
----
x--y
xfreerdp /u:bob /p:‹hunter2› /v:h
xfreerdp /u:bob /p:\"‹hunter2›\" /v:h
xfreerdp /u:bob /p:'‹hunter2›' /v:h
xfreerdp /u:bob /p:‹h›
'xfreerdp /u:bob /p:‹hunter2›'
xfreerdp /u:bob /p:\"
xfreerdp /u:bob /p:\" x
xfreerdp /u:bob /p:
xfreerdp /u:bob /p: x
xfreerdp /u:bob /p:[REDACTED]
other /u:bob /p:hunter2
db.example.com:5432:app:bob:‹hunter2›
*:*:*:bob:‹hunter2›
db:5432:*:bob:‹hunter2›⏎db:5432:x:bob:‹hunter3›
db:5432:a_b-c.d:bob:‹hunt›
db:5432:app:bob:hun
db:543:app:bob:hunter2
db:543210:app:bob:hunter2
db:54321:app:bob:‹hunter2›
db:5432:1app:bob:hunter2
db:5432:app:b ob:hunter2
db:5432:app:bob:hunter2 x
db:5432:app:bob:[REDACTED]
a/db:5432:app:bob:hunter2
x db:5432:app:bob:‹hunter2›
-*:5432:app:bob:‹hunter2›");
    exact(&format!("rdp {}x /p:‹hunter2›", " ".repeat(88)));
    exact(&format!("rdp {}x /p:hunter2", " ".repeat(92)));
    exact(&format!("db:5432:{}:bob:‹hunter2›", "a".repeat(63)));
    exact(&format!("db:5432:{}:bob:hunter2", "a".repeat(64)));
    exact(&format!("{}:5432:app:bob:‹hunter2›", "a".repeat(96)));
    exact(&format!("{}:5432:app:bob:hunter2", "a".repeat(97)));
    // A compressed text of the same letters is not read for each of them.
    exact(&format!("MTA1MTQ1Njc4OTAxMjM0NTY3.GaBcDe.{}", &MIXED[..24]));
    exact(&format!(
        "‹MTA1MTQ1Njc4OTAxMjM0NTY3.GaBcDe.{}›",
        &MIXED[..25]
    ));
    exact(&format!(
        "‹MTA1MTQ1Njc4OTAxMjM0NTY3.GaBcDeFg.{}›",
        &MIXED[..25]
    ));
    exact(&format!("MTA1MTQ1Njc4OTAxMjM0NTY3.GaBcD.{}", &MIXED[..27]));
    exact(&format!(
        "MTA1MTQ1Njc4OTAxMjM0NTY3.GaBcDeFgh.{}",
        &MIXED[..27]
    ));
    exact(&format!("MTA1MTQ1Njc4OTAxMjM0NT.GaBcDe.{}", &MIXED[..27]));
    exact(&format!(
        "‹MTA1MTQ1Njc4OTAxMjM0NTY.GaBcDe.{}›",
        &MIXED[..27]
    ));
    exact(&format!(
        "‹{}.GaBcDe.{}›",
        &MIXED.replace('a', "N")[..1].replace('N', "N5A1MTQ1Njc4OTAxMjM0NTY3aBcDeF"),
        &MIXED[..27]
    ));
}

// REQ: L-2
#[test]
fn jwt() {
    all("‹eyJhbGciOi.eyJzdWI.x›
eyJhbGciO.eyJzdWI.x
‹eyJhbGciOi.eyJzdWI›
eyJhbGciOi.eyJzdW.x
‹eyJhbGciOi..iv.text.tag›
eyJhbGciOi.
‹eyJhbGciOi.›.
eyJhbGciOi x
‹eyJhbGciOi.eyJzdWI.a.b.c›.d
‹eyJhbGciOi.eyJzdWI›..a
‹eyJhbGciOi.eyJzdWI.a›..b
a.‹eyJhbGciOi.eyJzdWI.x›
‹eyJ-eyJ-eyJhbGciOi.eyJzdWI.x›");
}

/// Of an AWS key the secret behind it, wherever it stands within 64 bytes.
// REQ: L-2
#[test]
fn aws() {
    let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
    let id = "AKIAIOSFODNN7EXAMPLE";
    for space in [1, 2, 40, 63] {
        exact(&format!("‹{id}›{}‹{secret}› x", " ".repeat(space)));
    }
    exact(&format!("‹{id}›{}{secret} x", " ".repeat(64)));
    exact(&format!("‹ASIAIOSFODNN7EXAMPLE› ‹{secret}›"));
    exact(&format!("‹{id}› {}", &secret[1..]));
    exact(&format!("‹{id}› {secret}a"));
    exact(&format!("‹{id}› {}", secret.to_lowercase()));
    exact(&format!("‹{id}› {}", secret.to_uppercase()));
    exact(&format!("‹{id}A› {secret}"));
    exact(secret);
    for first in (b'0'..=b'9').chain(b'a'..=b'z').chain(*b"/+") {
        let secret = format!("{}{}", char::from(first), &secret[1..]);
        exact(&format!("‹{id}› ‹{secret}› x"));
    }
}

/// Two findings that overlap are one; a token before a private key leaves it to be seen.
// REQ: L-2
#[test]
fn side_by_side() {
    all("‹ghp_abcdefghijklmnopqrst›-----BEGIN CERTIFICATE-----
x.‹aB3dE5fG7hJ9kL.atlasv1.aB3dE5fG7hJ9kLmN1pQrS2tUvW4xYz6c8aB3dE5fG7h›
password is ‹hunter2x›, token is ‹abcdef12›, pin is ‹1234›
the password for bob is ‹hunter2x›
code is 1234, verification code is ‹1234›");
    // Pseudo-tables: what was found ahead and what is found on the way.
    all("name,password⏎bob,‹hunter2›⏎eve,‹hunter3›
name,token⏎bob,‹ghp_abcdefghijklmnopqrst›⏎eve,x");
}

/// Numbers of persons: what stands behind their first digit.
// REQ: L-2
#[test]
fn grouped_numbers() {
    all("x ‹1.234.567-4› y
‹1.234.567-4›
1.234.56
x 1.23.567-4 y
x 1.2345.567-4 y
x ‹1 85 05 78 006 084 91› y
‹1 85 05 78 006 084 91›
x 1 8 05 78 006 084 91
x 12
x 1
x 1.
x 1.2
x 1 2");
}

/// A finding within another that is put off; two that overlap are one, and what was told is not told again.
// REQ: L-2
#[test]
fn overlaps() {
    all("password is ‹ghp_abcdefghijklmnopqrst›, x
the password for bob is ‹ghp_abcdefghijklmnopqrst› x
echo ‹ghp_abcdefghijklmnopqrst› | sudo -S true
password is ‹pin1234x› pin is ‹1234›
bw login a@b ‹hunter2›
secret is ‹abcd1234-eyJhbGciOi.eyJzdWI.x› y
secret is [REDACTED]
secret is abcd1234[REDACTED]
name,password⏎‹alice@example.com›,‹hunter2›
name,password⏎bob,‹zz.ghp_abcdefghijklmnopqrst.ghp_abcdefghijklmnopqrst›
name,password⏎bob,‹zz.ghp_abcdefghijklmnopqrst.ghp_abcdefghijklmnopqrst›⏎x,‹hunter2›
name,password⏎x,‹alice@example.com›⏎y,‹hunter2›");
}

/// `text` without any of the signs that say at once that there is something to find.
// REQ: L-2
#[test]
fn what_may_hold_something() {
    all("bearer ‹abcdefghijklmnopqrstuvwxyz›
say bearer ‹abcdefghijklmnopqrstuvwxyz› now
bearer
a basic b
beard basics
a=b
x@y
a:b
pw=‹abcd›
pw:‹abc1›
‹12345678Z›
1234567Z
short
");
}

/// What was found ahead on one line is told before the next one is looked at.
// REQ: L-2
#[test]
fn line_by_line() {
    all("insert into t (password) values ('‹a1b2›');⏎insert into t (password) values ('‹c3d4›');
insert into t (password, n) values ('‹a1b2›', 1), ('‹e5f6›', 2);⏎insert into t (password) values ('‹c3d4›');⏎
git config a.token ‹x1›⏎git config b.token ‹y2›
rclone config create r s3 a_token ‹x1› b_token ‹y2›⏎aws configure set c_token ‹z3›⏎password=‹hunter2›
git config a.token ‹x1›; insert into t (password) values ('‹c3d4›')
a;password⏎insert into t (password) values ('‹a1b2›');‹abcd1›⏎insert into t (password) values ('‹c3d4›');‹efgh1›
");
}

/// Findings that are put off: two that overlap become one, more than there is room for go with what lies between.
#[test]
fn put_off() {
    let print = Mask::Fingerprint;
    for (waiting, expected) in [
        (vec![(5, 9)], vec![(5, 9, print)]),
        (vec![(5, 9), (5, 9)], vec![(5, 9, print)]),
        (vec![(5, 9), (6, 8)], vec![(5, 9, print)]),
        (vec![(5, 9), (7, 12)], vec![(5, 12, Mask::Plain)]),
        (vec![(5, 9), (3, 6)], vec![(3, 9, Mask::Plain)]),
        (vec![(5, 9), (9, 12)], vec![(5, 9, print), (9, 12, print)]),
        (vec![(5, 9), (3, 5)], vec![(3, 5, print), (5, 9, print)]),
        (vec![(7, 9), (3, 5)], vec![(3, 5, print), (7, 9, print)]),
        (
            vec![(2, 4), (6, 8), (12, 14)],
            vec![(2, 4, print), (6, 14, Mask::Plain)],
        ),
    ] {
        let mut scanner = Scanner::surveyed(&[b'x'; 20], Aim::All, &Masker::PLAIN);
        for (start, end) in &waiting {
            scanner.wait(Finding {
                start: *start,
                end: *end,
                mask: print,
            });
            assert!(scanner.due <= *start);
        }
        let mut found = Vec::new();
        while let Some(finding) = scanner.take_due() {
            found.push((finding.start, finding.end, finding.mask));
        }
        assert_eq!(found, expected, "{waiting:?}");
        assert_eq!(scanner.due, usize::MAX);
    }
    // What was told before is left out.
    for (floor, expected) in [
        (4, Some(5)),
        (5, Some(5)),
        (7, Some(7)),
        (9, None),
        (12, None),
    ] {
        let mut scanner = Scanner::surveyed(&[b'x'; 20], Aim::All, &Masker::PLAIN);
        scanner.floor = floor;
        scanner.wait(Finding {
            start: 5,
            end: 9,
            mask: print,
        });
        assert_eq!(scanner.take_due().map(|finding| finding.start), expected);
    }
}
