//! What an operator may say about redaction: pseudonyms instead of hashes, tools whose arguments go whole, places
//! that stay.

use std::borrow::Cow;

use aws_lc_rs::hmac;

use super::copy::{self, Refused, Scratch};
use super::{Aim, Mask, fingerprint, push_invalid, push_omitted, text_masked};
use crate::digest::HEX;
use crate::pattern::Pattern;

/// Redaction by an operator's policy; [`redact_json`](super::redact_json) is that of an empty one.
///
/// ```
/// use palisade_audit::{Redactor, ToolPolicy};
///
/// let redactor = Redactor::new()
///     .tool("vault_*", ToolPolicy::Whole)
///     .tool("send_mail", ToolPolicy::allow(["/to", "/cc/*"]).unwrap());
/// let mut out = Vec::new();
/// redactor.json(Some("send_mail"), br#"{"to":"a@example.com","body":"I am b@example.com"}"#, &mut out);
/// assert_eq!(out, br#"{"to":"a@example.com","body":"I am [REDACTED]"}"#);
/// ```
#[derive(Debug, Default)]
pub struct Redactor {
    masker: Masker,
    tools: Vec<(Pattern, ToolPolicy)>,
    /// Without a tool.
    everywhere: Option<ToolPolicy>,
}

/// What becomes of one tool's arguments.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub enum ToolPolicy {
    /// What stands at these places stays as it is.
    Allow(Vec<Path>),
    /// By the rules.
    #[default]
    Default,
    /// Replaced whole.
    Whole,
}

/// A place in arguments, as a JSON Pointer (RFC 6901) in which `*` stands for every member or element. The elements of
/// an array are only told by `*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    segments: Vec<String>,
}

/// A path that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// RFC 6901, section 3.
    #[error(
        "`{path}` does not begin with `/`; write `/customer/email`, or an empty path for all of it"
    )]
    NoSlash {
        /// As it was given.
        path: String,
    },
    /// More than a register's bits.
    #[error("more than 64 paths for one tool; use `*`, or fewer")]
    TooMany,
}

/// An HMAC key of this length is made and kept best: that of SHA-256.
pub const PSEUDONYM_KEY_LEN: usize = 32;

impl Redactor {
    /// With an empty policy.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Tokens become `[REDACTED:token:…]` and e-mail addresses `[REDACTED:email:…]`, with eight characters of their
    /// HMAC-SHA256 under `key`: who has the key can tell whether two records mean the same. Passwords, card numbers and the
    /// numbers of persons are so few that whoever finds the key could try them all: they get no pseudonym.
    #[must_use]
    pub fn pseudonyms(mut self, key: &[u8; PSEUDONYM_KEY_LEN]) -> Self {
        self.masker.key = Some(hmac::Key::new(hmac::HMAC_SHA256, key));
        self
    }

    /// What becomes of the arguments of the tools that `pattern` means; `*` stands for any characters. The first
    /// pattern that matches counts.
    #[must_use]
    pub fn tool(mut self, pattern: impl Into<String>, policy: ToolPolicy) -> Self {
        self.tools.push((Pattern::new(pattern), policy));
        self
    }

    /// What becomes of JSON that is no tool's.
    #[must_use]
    pub fn everywhere(mut self, policy: ToolPolicy) -> Self {
        self.everywhere = Some(policy);
        self
    }

    /// As [`redact_json`](super::redact_json), for the arguments of `tool`. Says whether anything was replaced.
    pub fn json(&self, tool: Option<&str>, json: &[u8], out: &mut Vec<u8>) -> bool {
        self.json_into(tool, json, out, &mut Scratch::default())
    }

    /// As [`redact_text`](super::redact_text).
    #[must_use]
    pub fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        text_masked(text, Aim::All, &self.masker)
    }

    /// As [`Redactor::json`], but nothing is appended for what is not JSON.
    ///
    /// # Errors
    /// [`NotJson`] when `json` is not one JSON value in UTF-8; nothing is appended then.
    pub fn json_strictly(
        &self,
        tool: Option<&str>,
        json: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<bool, NotJson> {
        let start = out.len();
        let scratch = &mut Scratch::default();
        match copy::copy(json, out, scratch, &self.masker, self.paths(tool)) {
            Ok(_) if matches!(self.policy(tool), Some(ToolPolicy::Whole)) => {
                out.truncate(start);
                out.extend_from_slice(b"\"[REDACTED]\"");
                Ok(true)
            }
            Ok(changed) => Ok(changed),
            Err(Refused::Deep) => {
                out.truncate(start);
                push_omitted(out, json);
                Ok(true)
            }
            Err(Refused::Invalid) => {
                out.truncate(start);
                Err(NotJson)
            }
        }
    }

    /// Whether all of what belongs to `tool` is replaced whole.
    pub(crate) fn replaces(&self, tool: Option<&str>) -> bool {
        matches!(self.policy(tool), Some(ToolPolicy::Whole))
    }

    pub(crate) fn json_into(
        &self,
        tool: Option<&str>,
        json: &[u8],
        out: &mut Vec<u8>,
        scratch: &mut Scratch,
    ) -> bool {
        let policy = self.policy(tool);
        if matches!(policy, Some(ToolPolicy::Whole)) {
            out.extend_from_slice(b"\"[REDACTED]\"");
            return true;
        }
        let start = out.len();
        match copy::copy(json, out, scratch, &self.masker, self.paths(tool)) {
            Ok(changed) => changed,
            Err(refused) => {
                out.truncate(start);
                match refused {
                    Refused::Deep => push_omitted(out, json),
                    Refused::Invalid => push_invalid(out, json, &self.masker),
                }
                true
            }
        }
    }

    fn policy(&self, tool: Option<&str>) -> Option<&ToolPolicy> {
        match tool {
            Some(tool) => self
                .tools
                .iter()
                .find(|(pattern, _)| pattern.matches(tool))
                .map(|(_, policy)| policy),
            None => self.everywhere.as_ref(),
        }
    }

    fn paths(&self, tool: Option<&str>) -> &[Path] {
        match self.policy(tool) {
            Some(ToolPolicy::Allow(paths)) => paths,
            _ => &[],
        }
    }
}

/// A line that [`Redactor::json_strictly`] does not take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not one JSON value in UTF-8")]
pub struct NotJson;

impl ToolPolicy {
    /// Lets stay what stands at these places.
    ///
    /// # Errors
    /// When one of them is no path, or there are more than 64.
    pub fn allow<'a>(paths: impl IntoIterator<Item = &'a str>) -> Result<Self, PathError> {
        let paths: Vec<_> = paths
            .into_iter()
            .map(Path::parse)
            .collect::<Result<_, _>>()?;
        if paths.len() > 64 {
            return Err(PathError::TooMany);
        }
        Ok(Self::Allow(paths))
    }
}

impl Path {
    /// Reads `/a/b`; the empty path is everything.
    ///
    /// # Errors
    /// When it begins with anything but `/`.
    pub fn parse(path: &str) -> Result<Self, PathError> {
        if path.is_empty() {
            return Ok(Self {
                segments: Vec::new(),
            });
        }
        let rest = path.strip_prefix('/').ok_or_else(|| PathError::NoSlash {
            path: path.to_owned(),
        })?;
        let unescape = |segment: &str| segment.replace("~1", "/").replace("~0", "~");
        Ok(Self {
            segments: rest.split('/').map(unescape).collect(),
        })
    }

    pub(super) fn segments(&self) -> &[String] {
        &self.segments
    }

    /// One bit for each.
    pub(super) fn all(paths: &[Self]) -> u64 {
        if paths.len() >= 64 {
            u64::MAX
        } else {
            (1 << paths.len()) - 1
        }
    }
}

/// Puts masks in the place of secrets.
#[derive(Debug, Default)]
pub(crate) struct Masker {
    key: Option<hmac::Key>,
}

impl Masker {
    /// Without a key.
    pub(crate) const PLAIN: Self = Self { key: None };

    /// Appends what stands in the place of `secret`; never a quote, a backslash or a control.
    pub(crate) fn push(&self, out: &mut Vec<u8>, secret: &[u8], mask: Mask) {
        let kind: &[u8] = match (mask, &self.key) {
            (Mask::Address, Some(_)) => b"email",
            (Mask::Fingerprint, Some(_)) if secret.len() >= FINGERPRINT_MIN => b"token",
            (Mask::Fingerprint, None) if secret.len() >= FINGERPRINT_MIN => {
                return fingerprint(out, secret);
            }
            _ => return out.extend_from_slice(b"[REDACTED]"),
        };
        let Some(key) = &self.key else { return };
        out.extend_from_slice(b"[REDACTED:");
        out.extend_from_slice(kind);
        out.push(b':');
        for byte in hmac::sign(key, secret).as_ref().iter().take(4) {
            out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
        out.push(b']');
    }
}

/// A shorter value could be found by trying all of them against the hash.
const FINGERPRINT_MIN: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn json(redactor: &Redactor, tool: Option<&str>, input: &str) -> String {
        let mut out = Vec::new();
        redactor.json(tool, input.as_bytes(), &mut out);
        String::from_utf8(out).unwrap()
    }

    // REQ: L-2
    #[test]
    fn tools_and_paths() {
        let redactor = Redactor::new()
            .tool("vault_*", ToolPolicy::Whole)
            .tool(
                "mail",
                ToolPolicy::allow(["/to", "/list/*/email", "/all/*", "/a~1b/token", "/x/*/*/y"])
                    .unwrap(),
            )
            .tool("free", ToolPolicy::allow([""]).unwrap());
        assert_eq!(json(&redactor, Some("vault_read"), "{}"), "\"[REDACTED]\"");
        assert_eq!(
            json(&redactor, Some("vault_read"), "no json"),
            "\"[REDACTED]\""
        );
        for (input, expected) in [
            (
                r#"{"to":"a@b.co","cc":"a@b.co"}"#,
                r#"{"to":"a@b.co","cc":"[REDACTED]"}"#,
            ),
            (
                r#"{"to":{"password":"x"},"cc":"a@b.co"}"#,
                r#"{"to":{"password":"x"},"cc":"[REDACTED]"}"#,
            ),
            (
                r#"{"to":["a@b.co"],"password":1}"#,
                r#"{"to":["a@b.co"],"password":"[REDACTED]"}"#,
            ),
            (
                r#"{"list":[{"email":"a@b.co"},{"mail":"a@b.co","email":"c@d.co"}]}"#,
                r#"{"list":[{"email":"a@b.co"},{"mail":"[REDACTED]","email":"c@d.co"}]}"#,
            ),
            (
                r#"{"all":["a@b.co",[1,"a@b.co"],{"pin":1234}],"b":"a@b.co"}"#,
                r#"{"all":["a@b.co",[1,"a@b.co"],{"pin":1234}],"b":"[REDACTED]"}"#,
            ),
            (
                r#"{"all":{"x":"a@b.co"},"list":{"email":"a@b.co"}}"#,
                r#"{"all":{"x":"a@b.co"},"list":{"email":"[REDACTED]"}}"#,
            ),
            (
                r#"{"a/b":{"token":4111111111111111}}"#,
                r#"{"a/b":{"token":4111111111111111}}"#,
            ),
            (
                r#"{"x":[{"q":{"y":"a@b.co","z":"a@b.co"}}]}"#,
                r#"{"x":[{"q":{"y":"a@b.co","z":"[REDACTED]"}}]}"#,
            ),
            (r#"[{"to":"a@b.co"}]"#, r#"[{"to":"[REDACTED]"}]"#),
            (r#"{"q":{"to":"a@b.co"}}"#, r#"{"q":{"to":"[REDACTED]"}}"#),
        ] {
            assert_eq!(json(&redactor, Some("mail"), input), expected);
        }
        for input in [
            r#"{"a":["a@b.co",{"password":"x"}]}"#,
            r#""a@b.co""#,
            "4111111111111111",
        ] {
            assert_eq!(json(&redactor, Some("free"), input), input);
        }
        assert_eq!(
            json(&redactor, None, r#"{"to":"a@b.co"}"#),
            r#"{"to":"[REDACTED]"}"#
        );
        assert_eq!(
            json(&redactor, Some("other"), r#"{"to":"a@b.co"}"#),
            r#"{"to":"[REDACTED]"}"#
        );
        let everywhere = Redactor::new().everywhere(ToolPolicy::allow(["/to"]).unwrap());
        assert_eq!(
            json(&everywhere, None, r#"{"to":"a@b.co"}"#),
            r#"{"to":"a@b.co"}"#
        );
        assert!(Path::parse("to").is_err());
        assert!(ToolPolicy::allow(std::iter::repeat_n("/a", 64)).is_ok());
        assert!(ToolPolicy::allow(std::iter::repeat_n("/a", 65)).is_err());
    }

    // REQ: L-2
    #[test]
    fn pseudonyms() {
        let one = Redactor::new().pseudonyms(&[1; 32]);
        let two = Redactor::new().pseudonyms(&[2; 32]);
        let input = r#"{"email":"a@b.co","x":"a@b.co","token":"0123456789abcdef","password":"0123456789abcdef","c":"4111111111111111"}"#;
        let shown = json(&one, None, input);
        let value: serde_json::Value = serde_json::from_str(&shown).unwrap();
        let email = value["email"].as_str().unwrap();
        assert!(
            email.starts_with("[REDACTED:email:") && email.len() == 25,
            "{email}"
        );
        assert_eq!(value["x"], value["email"]);
        let token = value["token"].as_str().unwrap();
        assert!(
            token.starts_with("[REDACTED:token:") && token.len() == 25,
            "{token}"
        );
        assert_eq!(value["password"], "[REDACTED]");
        assert_eq!(value["c"], "[REDACTED]");
        assert_ne!(json(&two, None, input), shown);
        assert_eq!(json(&two, None, &shown), shown);
        assert_eq!(one.text("x a@b.co"), format!("x {email}"));
        // HMAC-SHA256 by an independent implementation: python3 -c "import hmac;print(hmac.new(b'\x01'*32,b'a@b.co','sha256').hexdigest()[:8])"
        assert_eq!(email, format!("[REDACTED:email:{PYTHON}]"));
    }

    const PYTHON: &str = "f2a871ef";

    #[test]
    fn strictly() {
        let redactor = Redactor::new();
        let mut out = b"x".to_vec();
        assert_eq!(
            redactor.json_strictly(None, b"{\"a\":", &mut out),
            Err(NotJson)
        );
        assert_eq!(out, b"x");
        assert_eq!(
            redactor.json_strictly(None, b"{\"a\":1}", &mut out),
            Ok(false)
        );
        assert_eq!(
            redactor.json_strictly(None, b"{\"pin\":1234}", &mut out),
            Ok(true)
        );
        assert_eq!(out, b"x{\"a\":1}{\"pin\":\"[REDACTED]\"}");
        let deep = "[".repeat(100);
        assert!(
            redactor
                .json_strictly(None, deep.as_bytes(), &mut out)
                .unwrap()
        );
        assert!(out.ends_with(b"}"));
    }

    /// What is too short for a hash has none for a pseudonym, either.
    // REQ: L-2
    #[test]
    fn short_secrets() {
        let keyed = Redactor::new().pseudonyms(&[1; 32]);
        for (secret, kind) in [("0123456789abcde", ""), ("0123456789abcdef", ":")] {
            let input = format!("{{\"token\":\"{secret}\"}}");
            let shown = json(&keyed, None, &input);
            assert!(
                shown.contains(&format!(
                    "[REDACTED{}",
                    if kind.is_empty() { "]" } else { ":token:" }
                )),
                "{shown}"
            );
            let shown = json(&Redactor::new(), None, &input);
            assert!(
                shown.contains(&format!(
                    "[REDACTED{}",
                    if kind.is_empty() { "]" } else { ":sha256:" }
                )),
                "{shown}"
            );
        }
        assert!(json(&keyed, None, r#"["a@b.co"]"#).contains("[REDACTED:email:"));
        assert_eq!(
            json(&Redactor::new(), None, r#"["a@b.co"]"#),
            r#"["[REDACTED]"]"#
        );
    }

    // REQ: L-2
    #[test]
    fn whole() {
        let redactor = Redactor::new()
            .tool("vault_*", ToolPolicy::Whole)
            .tool("*", ToolPolicy::Default);
        assert!(redactor.replaces(Some("vault_read")));
        assert!(!redactor.replaces(Some("other")));
        assert!(!redactor.replaces(None));
        assert!(Redactor::new().everywhere(ToolPolicy::Whole).replaces(None));
        let mut out = b"x".to_vec();
        assert_eq!(
            redactor.json_strictly(Some("vault_read"), b"{\"a\":1}", &mut out),
            Ok(true)
        );
        assert_eq!(out, b"x\"[REDACTED]\"");
        assert_eq!(
            redactor.json_strictly(Some("vault_read"), b"{", &mut out),
            Err(NotJson)
        );
        assert_eq!(out, b"x\"[REDACTED]\"");
        let mut out = b"x".to_vec();
        assert!(redactor.json(Some("other"), b"{", &mut out));
        assert_eq!(out, b"x\"{\"");
        let mut out = b"x".to_vec();
        assert!(redactor.json(Some("other"), "[".repeat(65).as_bytes(), &mut out));
        assert!(out.starts_with(b"x{\"omitted\":true,\"bytes\":65,"));
        let mut out = b"x".to_vec();
        assert!(!redactor.json(Some("other"), b"[1]", &mut out));
        assert!(redactor.json(Some("vault_x"), b"[1]", &mut out));
        assert_eq!(out, b"x[1]\"[REDACTED]\"");
    }

    #[test]
    fn pointers() {
        let segments = |path: &str| Path::parse(path).unwrap().segments().to_vec();
        assert_eq!(segments(""), Vec::<String>::new());
        assert_eq!(segments("/"), [""]);
        assert_eq!(segments("/a~01b/~1c"), ["a~1b", "/c"]);
        assert_eq!(Path::all(&[]), 0);
        let paths = vec![Path::parse("/a").unwrap(); 64];
        assert_eq!(Path::all(&paths[..1]), 1);
        assert_eq!(Path::all(&paths[..63]), u64::MAX >> 1);
        assert_eq!(Path::all(&paths), u64::MAX);
        // The sixty-fourth counts as well.
        let many: Vec<String> = (0..64).map(|at| format!("/a{at}/b")).collect();
        let redactor =
            Redactor::new().everywhere(ToolPolicy::allow(many.iter().map(String::as_str)).unwrap());
        let input =
            r#"{"a63":{"b":"a@b.co","c":"a@b.co"},"a0":{"b":"a@b.co"},"a64":{"b":"a@b.co"}}"#;
        assert_eq!(
            json(&redactor, None, input),
            r#"{"a63":{"b":"a@b.co","c":"[REDACTED]"},"a0":{"b":"a@b.co"},"a64":{"b":"[REDACTED]"}}"#
        );
        // A path counts from the root, and ends where it does.
        let redactor =
            Redactor::new().everywhere(ToolPolicy::allow(["/a/b", "/c/*", "/d/*/e"]).unwrap());
        for (input, expected) in [
            (r#"{"a":"a@b.co"}"#, r#"{"a":"[REDACTED]"}"#),
            (r#"{"b":"a@b.co"}"#, r#"{"b":"[REDACTED]"}"#),
            (
                r#"{"a":{"b":{"c":"a@b.co"}},"x":"a@b.co"}"#,
                r#"{"a":{"b":{"c":"a@b.co"}},"x":"[REDACTED]"}"#,
            ),
            (r#"{"a":[{"b":"a@b.co"}]}"#, r#"{"a":[{"b":"[REDACTED]"}]}"#),
            (
                r#"{"a":{"b":[]},"x":"a@b.co"}"#,
                r#"{"a":{"b":[]},"x":"[REDACTED]"}"#,
            ),
            (
                r#"{"a":{"b":1},"x":"a@b.co"}"#,
                r#"{"a":{"b":1},"x":"[REDACTED]"}"#,
            ),
            (
                r#"{"c":["a@b.co",["a@b.co"]],"x":["a@b.co"]}"#,
                r#"{"c":["a@b.co",["a@b.co"]],"x":["[REDACTED]"]}"#,
            ),
            (
                r#"{"d":[{"e":"a@b.co","f":"a@b.co"},"a@b.co"]}"#,
                r#"{"d":[{"e":"a@b.co","f":"[REDACTED]"},"[REDACTED]"]}"#,
            ),
            (
                r#"{"d":{"x":{"e":"a@b.co"},"y":[{"e":"a@b.co"}]}}"#,
                r#"{"d":{"x":{"e":"a@b.co"},"y":[{"e":"[REDACTED]"}]}}"#,
            ),
            (
                r#"{"z":{},"a":{"z":{"q":1},"b":"a@b.co"}}"#,
                r#"{"z":{},"a":{"z":{"q":1},"b":"a@b.co"}}"#,
            ),
        ] {
            assert_eq!(json(&redactor, None, input), expected);
        }
    }
}
