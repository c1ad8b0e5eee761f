//! Host names, and which of them are refused before any lookup.

use std::fmt;

use crate::decision::Reason;

/// A host name in the one form that is compared, looked up and sent: A-labels in lower case
/// without a trailing dot.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Name(Box<str>);

impl Name {
    /// Reads a name that is already ASCII, as the URL parser or a DNS answer gives it. One
    /// trailing dot is dropped.
    ///
    /// # Errors
    /// [`Reason::HostMalformed`]: a label that is empty or longer than 63 bytes, more than 253
    /// bytes, or another character than a letter, a digit, `-` or `_`.
    pub fn from_ascii(text: &str) -> Result<Self, Reason> {
        let text = text.strip_suffix('.').unwrap_or(text);
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        };
        if text.len() > 253 || !text.split('.').all(label) {
            return Err(Reason::HostMalformed);
        }
        Ok(Self(text.to_ascii_lowercase().into()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is `suffix` or ends in `.suffix`.
    #[must_use]
    pub fn is_within(&self, suffix: &str) -> bool {
        self.0
            .strip_suffix(suffix)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    }

    /// Whether its last label is a number, so that readers of URLs take the whole for an IPv4 address
    /// (WHATWG URL, "ends in a number").
    pub(crate) fn ends_in_number(&self) -> bool {
        let last = self.0.rsplit('.').next().unwrap_or_default();
        match last.strip_prefix("0x") {
            Some(hex) => hex.bytes().all(|byte| byte.is_ascii_hexdigit()),
            None => last.bytes().all(|byte| byte.is_ascii_digit()),
        }
    }

    /// Judges the name by itself, before any lookup.
    ///
    /// # Errors
    /// [`Reason::HostMetadata`], [`Reason::HostOnion`], [`Reason::HostLocal`].
    pub fn classify(&self) -> Result<(), Reason> {
        let within = |suffixes: &[&str]| suffixes.iter().any(|suffix| self.is_within(suffix));
        if within(METADATA) {
            Err(Reason::HostMetadata)
        } else if within(&["onion"]) {
            Err(Reason::HostOnion)
        } else if within(LOCAL) || !self.0.contains('.') {
            Err(Reason::HostLocal)
        } else {
            Ok(())
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Names of clouds' metadata services, outside and inside the local suffixes.
const METADATA: &[&str] = &[
    "metadata.google.internal",
    "metadata.goog",
    "metadata.azure.internal",
    "metadata.tencentyun.com",
    "metadata.packet.net",
    "metadata.platformequinix.com",
    "instance-data",
    "instance-data.ec2.internal",
    "api.metadata.cloud.ibm.com",
];

/// Names that lead into the local network: RFC 6761, RFC 6762, RFC 8375, `internal`, which ICANN
/// has set aside for private use, what networks use besides (RFC 6762 appendix G), and `svc`, which
/// Kubernetes completes. None of them is a top-level domain.
const LOCAL: &[&str] = &[
    "localhost",
    "localdomain",
    "localdomain6",
    "local",
    "internal",
    "home.arpa",
    "corp",
    "home",
    "intranet",
    "lan",
    "private",
    "svc",
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn judge(text: &str) -> Result<(), Reason> {
        Name::from_ascii(text).and_then(|name| name.classify())
    }

    // REQ: E-1
    #[test]
    fn names() {
        use Reason::{HostLocal, HostMalformed, HostMetadata, HostOnion};
        let cases = [
            ("example.com", Ok(())),
            ("EXAMPLE.com.", Ok(())),
            ("a.b.c.d.e.example.co.uk", Ok(())),
            ("xn--bcher-kva.example", Ok(())),
            ("_dmarc.example.com", Ok(())),
            ("-a-.example.com", Ok(())),
            ("localhost.example.com", Ok(())),
            ("mylocalhost.com", Ok(())),
            ("notlocal.example", Ok(())),
            ("internal.example.com", Ok(())),
            ("xinternal.org", Ok(())),
            ("local.example", Ok(())),
            ("home.arpa.example", Ok(())),
            ("1.0.0.127.in-addr.arpa", Ok(())),
            ("localhost", Err(HostLocal)),
            ("LOCALHOST", Err(HostLocal)),
            ("localhost.", Err(HostLocal)),
            ("a.localhost", Err(HostLocal)),
            ("a.b.localhost.", Err(HostLocal)),
            ("localhost.localdomain", Err(HostLocal)),
            ("printer.local", Err(HostLocal)),
            ("db.internal", Err(HostLocal)),
            ("router.home.arpa", Err(HostLocal)),
            ("home.arpa", Err(HostLocal)),
            ("intranet", Err(HostLocal)),
            ("com", Err(HostLocal)),
            ("kubernetes", Err(HostLocal)),
            ("metadata.google.internal", Err(HostMetadata)),
            ("metadata.google.internal.", Err(HostMetadata)),
            ("METADATA.GOOGLE.INTERNAL", Err(HostMetadata)),
            ("x.metadata.google.internal", Err(HostMetadata)),
            ("metadata.goog", Err(HostMetadata)),
            ("metadata.tencentyun.com", Err(HostMetadata)),
            ("instance-data", Err(HostMetadata)),
            ("instance-data.ec2.internal", Err(HostMetadata)),
            ("api.metadata.cloud.ibm.com", Err(HostMetadata)),
            ("metadata.cloud.ibm.com", Ok(())),
            ("git.corp", Err(HostLocal)),
            ("router.home", Err(HostLocal)),
            ("wiki.intranet", Err(HostLocal)),
            ("printer.lan", Err(HostLocal)),
            ("db.private", Err(HostLocal)),
            ("kubernetes.default.svc", Err(HostLocal)),
            ("corp.example", Ok(())),
            ("www.home.example", Ok(())),
            ("lan.example.com", Ok(())),
            ("atlan.example", Ok(())),
            ("abc.onion", Err(HostOnion)),
            ("onion", Err(HostOnion)),
            ("onion.example", Ok(())),
            ("", Err(HostMalformed)),
            (".", Err(HostMalformed)),
            ("..", Err(HostMalformed)),
            (".example.com", Err(HostMalformed)),
            ("example..com", Err(HostMalformed)),
            ("example.com..", Err(HostMalformed)),
            ("localhost..", Err(HostMalformed)),
            ("exa mple.com", Err(HostMalformed)),
            ("example.com\0.evil.example", Err(HostMalformed)),
            ("exämple.com", Err(HostMalformed)),
            ("a*b.example.com", Err(HostMalformed)),
            ("example.com:80", Err(HostMalformed)),
            ("[::1]", Err(HostMalformed)),
        ];
        for (text, expected) in cases {
            assert_eq!(judge(text), expected, "{text:?}");
        }
    }

    // REQ: E-1
    #[test]
    fn numbers() {
        for (text, expected) in [
            ("169.254.169.254", true),
            ("2130706433", true),
            ("010.8.8.8", true),
            ("256.1.1.1", true),
            ("a.example.1", true),
            ("0x7f.1", true),
            ("127.0x1f", true),
            ("127.0X", true),
            ("1.example", false),
            ("127.0.0.1.example", false),
            ("1.2.3.4a", false),
            ("1.0xg", false),
            ("1.x1f", false),
            ("0.a0x1", false),
        ] {
            let name = Name::from_ascii(text).expect("a name");
            assert_eq!(name.ends_in_number(), expected, "{text}");
        }
    }

    #[test]
    fn lengths() {
        let label = "a".repeat(63);
        assert_eq!(judge(&format!("{label}.example")), Ok(()));
        assert_eq!(
            judge(&format!("{label}a.example")),
            Err(Reason::HostMalformed)
        );
        let longest = format!("{label}.{label}.{label}.{}", "b".repeat(61));
        assert_eq!(longest.len(), 253);
        assert_eq!(judge(&longest), Ok(()));
        assert_eq!(judge(&format!("{longest}.")), Ok(()));
        assert_eq!(judge(&format!("{longest}b")), Err(Reason::HostMalformed));
    }

    #[test]
    fn within_stops_at_labels() {
        let name = Name::from_ascii("api.example.com").expect("a name");
        for (suffix, expected) in [
            ("example.com", true),
            ("api.example.com", true),
            ("com", true),
            ("ample.com", false),
            ("xapi.example.com", false),
            ("example", false),
        ] {
            assert_eq!(name.is_within(suffix), expected, "{suffix}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_read_is_in_one_form(text in "[a-zA-Z0-9._-]{0,80}") {
            if let Ok(name) = Name::from_ascii(&text) {
                prop_assert_eq!(Name::from_ascii(name.as_str()), Ok(name.clone()));
                let upper = text.to_ascii_uppercase();
                prop_assert_eq!(Name::from_ascii(&upper), Ok(name));
            }
        }
    }
}
