//! Paths that two readers could take for two different ones.
//!
//! A gateway chooses the server, and with it the policy, by the path; the upstream then reads
//! the same path with its own eyes. Where the two could normalise differently, one policy would
//! guard what another was asked for. So such a path is refused, never repaired.

use std::fmt;

/// Whether `path`, the path of a request target without its query, reads the same to everyone.
///
/// It must begin with `/`. Refused are, plain or percent-encoded: dot segments, backslash, `;`
/// (servlet containers cut what follows it), control characters; empty segments but for a
/// trailing slash; encoded `/`, `?`, `#` and `%` followed by two digits (they mean something
/// else when decoded twice); plain `"`, `<` and `>`; percent-encoded letters, digits, `-`, `.`, `_` and `~`, which
/// RFC 3986 section 6.2.2.2 lets every reader decode; `%` without two hexadecimal digits; bytes
/// above ASCII that are not encoded, encoded ones that are not UTF-8 (overlong forms), and
/// characters that compatibility normalisation turns into one of the above (U+FF0F and kin).
///
/// # Errors
/// The first [`Ambiguity`] found.
pub fn check(path: &str) -> Result<(), Ambiguity> {
    let path = path.as_bytes();
    if path.first() != Some(&b'/') {
        return Err(Ambiguity::NotAbsolute);
    }
    // Where the segment began, behind its slash.
    let mut segment = 1;
    let mut at = 1;
    while let Some(&byte) = path.get(at) {
        match byte {
            b'/' => {
                if at == segment {
                    return Err(Ambiguity::EmptySegment);
                }
                not_dots(&path[segment..at])?;
                segment = at + 1;
                at += 1;
            }
            b'%' => at = escape(path, at)?,
            b'\\' => return Err(Ambiguity::Backslash),
            b';' => return Err(Ambiguity::Parameters),
            // A reader of a bare URL would end the path here.
            b'?' | b'#' => return Err(Ambiguity::Delimiter),
            b'"' | b'<' | b'>' => return Err(Ambiguity::Quotation),
            0..=b' ' | 0x7f => return Err(Ambiguity::Control),
            0x80.. => return Err(Ambiguity::NotAscii),
            _ => at += 1,
        }
    }
    not_dots(&path[segment..])
}

/// Why a path is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Ambiguity {
    /// `\` or `%5c`, which some take for `/`.
    Backslash,
    /// A control character or a space, plain; or a control character, encoded.
    Control,
    /// `?` or `#` inside the path, or encoded `/`, `?` or `#`.
    Delimiter,
    /// `.` or `..` as a segment.
    DotSegment,
    /// `%25` and two hexadecimal digits: another character when decoded twice.
    DoubleEncoding,
    /// `//`.
    EmptySegment,
    /// A character that normalisation turns into one that separates or climbs.
    Lookalike,
    /// `%` without two hexadecimal digits.
    MalformedEscape,
    /// It does not begin with `/`.
    NotAbsolute,
    /// A byte above ASCII that is not percent-encoded.
    NotAscii,
    /// Percent-encoded bytes that are not UTF-8.
    NotUtf8,
    /// `;` or `%3b`.
    Parameters,
    /// `"`, `<` or `>`, by which URIs are set off from the text around them (RFC 3986 appendix C).
    Quotation,
    /// A percent-encoded letter, digit, `-`, `.`, `_` or `~`.
    UnreservedEncoded,
}

impl fmt::Display for Ambiguity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Backslash => "a backslash",
            Self::Control => "a control character or a space",
            Self::Delimiter => "an encoded or misplaced `/`, `?` or `#`",
            Self::DotSegment => "a dot segment",
            Self::DoubleEncoding => "a doubly encoded character",
            Self::EmptySegment => "an empty segment",
            Self::Lookalike => "a character that normalises to a separator",
            Self::MalformedEscape => "a `%` without two hexadecimal digits",
            Self::NotAbsolute => "no leading `/`",
            Self::NotAscii => "a character above ASCII that is not percent-encoded",
            Self::NotUtf8 => "percent-encoded bytes that are not UTF-8",
            Self::Parameters => "path parameters (`;`)",
            Self::Quotation => "a `\"`, `<` or `>` that is not percent-encoded",
            Self::UnreservedEncoded => "an encoded letter, digit, `-`, `.`, `_` or `~`",
        })
    }
}

impl std::error::Error for Ambiguity {}

const fn not_dots(segment: &[u8]) -> Result<(), Ambiguity> {
    match segment {
        b"." | b".." => Err(Ambiguity::DotSegment),
        _ => Ok(()),
    }
}

/// Judges the escape at `at`, or the run of escapes that make one character; where it ends.
fn escape(path: &[u8], at: usize) -> Result<usize, Ambiguity> {
    let byte = decode(path, at).ok_or(Ambiguity::MalformedEscape)?;
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            Err(Ambiguity::UnreservedEncoded)
        }
        b'/' | b'?' | b'#' => Err(Ambiguity::Delimiter),
        b'\\' => Err(Ambiguity::Backslash),
        b';' => Err(Ambiguity::Parameters),
        0..=0x1f | 0x7f => Err(Ambiguity::Control),
        b'%' if is_hex(path.get(at + 3)) && is_hex(path.get(at + 4)) => {
            Err(Ambiguity::DoubleEncoding)
        }
        0x80.. => encoded_char(path, at),
        _ => Ok(at + 3),
    }
}

/// Judges the escapes at `at` that make one character above ASCII; where they end.
fn encoded_char(path: &[u8], at: usize) -> Result<usize, Ambiguity> {
    let mut bytes = [0; 4];
    for length in 1..=4 {
        // The length is at most 4, so it lies inside.
        let Some(byte) = decode(path, at + 3 * (length - 1)) else {
            break;
        };
        bytes[length - 1] = byte;
        if let Ok(text) = std::str::from_utf8(&bytes[..length]) {
            return match text.chars().next() {
                Some('\u{80}'..='\u{9f}') => Err(Ambiguity::Control),
                Some(character) if is_lookalike(character) => Err(Ambiguity::Lookalike),
                _ => Ok(at + 3 * length),
            };
        }
    }
    Err(Ambiguity::NotUtf8)
}

/// Characters whose compatibility decomposition (Unicode NFKC) holds `.`, `/`, `\`, `;`, `%`,
/// `?` or `#`, and the slashes and backslashes that best-fit conversions to older character
/// sets make of others.
const fn is_lookalike(character: char) -> bool {
    matches!(
        character,
        '\u{37e}'
            | '\u{2024}'..='\u{2026}'
            | '\u{203d}'
            | '\u{2044}'
            | '\u{2047}'..='\u{2049}'
            | '\u{2100}'
            | '\u{2101}'
            | '\u{2105}'
            | '\u{2106}'
            | '\u{2215}'
            | '\u{2216}'
            | '\u{2488}'..='\u{249b}'
            | '\u{29f5}'
            | '\u{29f8}'
            | '\u{29f9}'
            | '\u{fe13}'..='\u{fe14}'
            | '\u{fe16}'
            | '\u{fe19}'
            | '\u{fe30}'
            | '\u{fe52}'
            | '\u{fe54}'
            | '\u{fe56}'
            | '\u{fe5f}'
            | '\u{fe68}'
            | '\u{fe6a}'
            | '\u{ff03}'
            | '\u{ff05}'
            | '\u{ff0e}'
            | '\u{ff0f}'
            | '\u{ff1b}'
            | '\u{ff1f}'
            | '\u{ff3c}'
            | '\u{1f100}'
    )
}

/// The byte that the escape at `at` stands for.
fn decode(path: &[u8], at: usize) -> Option<u8> {
    match path.get(at..at + 3)? {
        [b'%', high, low] => Some(hex(*high)? << 4 | hex(*low)?),
        _ => None,
    }
}

const fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

fn is_hex(byte: Option<&u8>) -> bool {
    byte.is_some_and(u8::is_ascii_hexdigit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    // REQ: G-15
    #[test]
    fn what_reads_the_same_to_everyone() {
        for path in [
            "/",
            "/mcp",
            "/mcp/",
            "/a/b/c",
            "/.well-known/oauth-protected-resource/mcp",
            "/...",
            "/.a",
            "/a.",
            "/..a",
            "/a..",
            "/a.b",
            "/a%20b",
            "/caf%c3%a9",
            "/caf%C3%A9/x",
            "/%F0%9F%A6%80",
            "/a%2Bb",
            "/a+b",
            "/@scope/pkg",
            "/%40scope",
            "/a:b",
            "/a,b=c&d",
            "/~user",
            "/100%25",
            "/100%25/x",
            "/%25zz",
            "/%25a",
            "/a%22",
            "/('*')!$",
        ] {
            assert_eq!(check(path), Ok(()), "{path}");
        }
    }

    // REQ: G-15
    #[test]
    fn what_two_readers_could_read_differently() {
        use Ambiguity::*;
        for (path, expected) in [
            ("", NotAbsolute),
            ("*", NotAbsolute),
            ("mcp", NotAbsolute),
            ("/.", DotSegment),
            ("/..", DotSegment),
            ("/./", DotSegment),
            ("/../mcp", DotSegment),
            ("/a/../mcp", DotSegment),
            ("/a/./mcp", DotSegment),
            ("/a/..", DotSegment),
            ("/a/.", DotSegment),
            ("/%2e", UnreservedEncoded),
            ("/%2e%2e/mcp", UnreservedEncoded),
            ("/.%2e/mcp", UnreservedEncoded),
            ("/%2E./mcp", UnreservedEncoded),
            ("/a%2eb", UnreservedEncoded),
            ("/%6dcp", UnreservedEncoded),
            ("/%4Dcp", UnreservedEncoded),
            ("/%30", UnreservedEncoded),
            ("/%2d", UnreservedEncoded),
            ("/%5f", UnreservedEncoded),
            ("/%7e", UnreservedEncoded),
            ("//", EmptySegment),
            ("//mcp", EmptySegment),
            ("/a//b", EmptySegment),
            ("/a//", EmptySegment),
            ("/a%2fb", Delimiter),
            ("/a%2Fb", Delimiter),
            ("/mcp%3fx", Delimiter),
            ("/mcp%23x", Delimiter),
            ("/mcp?x", Delimiter),
            ("/mcp#x", Delimiter),
            ("/a\"b", Quotation),
            ("/\"a\"/b", Quotation),
            ("/a<b", Quotation),
            ("/a>", Quotation),
            ("/a\\b", Backslash),
            ("/..\\mcp", Backslash),
            ("/a%5cb", Backslash),
            ("/a%5Cb", Backslash),
            ("/mcp;x", Parameters),
            ("/..;/mcp", Parameters),
            ("/;/mcp", Parameters),
            ("/mcp%3bx", Parameters),
            ("/mcp%3Bx", Parameters),
            ("/a%00", Control),
            ("/a%0d%0aX: y", Control),
            ("/a%1f", Control),
            ("/a%7f", Control),
            ("/a%09b", Control),
            ("/a b", Control),
            ("/a\tb", Control),
            ("/a\0", Control),
            ("/a\x7f", Control),
            ("/a%c2%85", Control),
            ("/%252e%252e/mcp", DoubleEncoding),
            ("/%252fmcp", DoubleEncoding),
            ("/%2541", DoubleEncoding),
            ("/%25252e", DoubleEncoding),
            ("/%25%32e", UnreservedEncoded),
            ("/%2", MalformedEscape),
            ("/%", MalformedEscape),
            ("/%zz", MalformedEscape),
            ("/%u002e", MalformedEscape),
            ("/%2/", MalformedEscape),
            ("/% 20", MalformedEscape),
            ("/%+1", MalformedEscape),
            ("/%\u{e9}", MalformedEscape),
            ("/caf\u{e9}", NotAscii),
            ("/\u{ff0f}", NotAscii),
            ("/%c0%ae%c0%ae/mcp", NotUtf8),
            ("/%c0%af", NotUtf8),
            ("/%e0%80%af", NotUtf8),
            ("/%f0%80%80%af", NotUtf8),
            ("/%c3", NotUtf8),
            ("/%c3/x", NotUtf8),
            ("/%c3%28", NotUtf8),
            ("/%a9", NotUtf8),
            ("/%ff", NotUtf8),
            ("/%ed%a0%80", NotUtf8),
            ("/%f4%90%80%80", NotUtf8),
            ("/%ef%bc%8f", Lookalike),
            ("/%EF%BC%8E%EF%BC%8E/mcp", Lookalike),
            ("/%e2%80%a5", Lookalike),
            ("/%ef%bc%bc", Lookalike),
            ("/%e2%88%95", Lookalike),
            ("/%ef%bc%85%32%65", Lookalike),
        ] {
            assert_eq!(check(path), Err(expected), "{path:?}");
        }
    }

    /// Every escape decoded once, as bytes; what is no escape stays.
    fn decoded(path: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut at = 0;
        while at < path.len() {
            match decode(path, at) {
                Some(byte) => {
                    out.push(byte);
                    at += 3;
                }
                None => {
                    out.push(path[at]);
                    at += 1;
                }
            }
        }
        out
    }

    fn pieces() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            4 => "[a-zA-Z0-9._~-]{0,2}",
            3 => "%[0-9a-fA-F]{2}",
            2 => "%(2[eEfF5]|5[cC]|3[bBfF]|c[0-3]|a[0-9]|ef|bc|8[0-9a-f])",
            2 => "/",
            1 => "[\\\\;?#%. *:@+]",
            1 => any::<char>().prop_map(String::from),
        ];
        proptest::collection::vec(piece, 0..8).prop_map(|pieces| format!("/{}", pieces.concat()))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        // REQ: G-15
        #[test]
        fn nothing_allowed_turns_into_something_else(path in pieces()) {
            if check(&path).is_err() {
                return Ok(());
            }
            let once = decoded(path.as_bytes());
            let twice = decoded(&once);
            prop_assert_eq!(&once, &twice, "decoding twice changes it");
            // As many separators as before: the route cannot have moved.
            let slashes = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == b'/').count();
            prop_assert_eq!(slashes(path.as_bytes()), slashes(&once));
            let text = String::from_utf8(once).unwrap();
            prop_assert!(!text.contains(['\\', ';', '?', '#']));
            prop_assert!(!text.contains(char::is_control));
            let mut segments = text[1..].split('/').peekable();
            while let Some(segment) = segments.next() {
                prop_assert!(segment != "." && segment != "..");
                prop_assert!(!segment.is_empty() || segments.peek().is_none());
            }
            // Every reader that decodes unreserved characters finds none to decode.
            let plain = path.bytes().enumerate().all(|(at, _)| {
                decode(path.as_bytes(), at).is_none_or(|byte| {
                    !(byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
                })
            });
            prop_assert!(plain);
        }

        #[test]
        fn plain_paths_pass(path in "(/[a-z0-9_~-][a-z0-9._~-]{0,5}){1,4}/?") {
            prop_assert_eq!(check(&path), Ok(()));
        }
    }
}
