//! Who makes a call, once proven.

use aws_lc_rs::digest::{SHA256, digest};

/// Who makes a call, as a credential proves it.
///
/// What tells callers apart is issuer and subject, the name of a key, or the identity in a
/// certificate; never the bytes of a token, which is refreshed.
#[derive(Clone, Debug)]
pub struct Caller {
    proof: Proof,
    id: String,
    realm: String,
    name: String,
    scopes: Vec<String>,
    groups: Vec<String>,
    client: Option<String>,
    mark: Mark,
}

/// Tells one caller from another: the first 16 bytes of a SHA-256 over method, realm and name.
pub type Mark = [u8; 16];

/// What a caller proved its identity by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Proof {
    /// An API key.
    ApiKey,
    /// A client certificate.
    Certificate,
    /// A signed access token.
    Jwt,
}

impl Proof {
    /// The word of the audit record's `authMethod`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ApiKey => "api_key",
            Self::Certificate => "mtls",
            Self::Jwt => "jwt",
        }
    }
}

fn is_taken(name: &str) -> bool {
    ["cert:", "key:", "sub:"]
        .iter()
        .any(|prefix| name.starts_with(prefix))
}

impl Caller {
    /// The caller that `proof` shows to be `name`; `realm` is who says so (the issuer of a token),
    /// empty where Palisade itself does.
    #[must_use]
    pub fn new(proof: Proof, realm: &str, name: &str) -> Self {
        let said = [proof.name().as_bytes(), realm.as_bytes(), name.as_bytes()].join(&0);
        let mut mark = Mark::default();
        mark.copy_from_slice(&digest(&SHA256, &said).as_ref()[..16]);
        let id = match proof {
            Proof::ApiKey => format!("key:{name}"),
            Proof::Certificate => format!("cert:{name}"),
            // A subject cannot pass for a key, a certificate, nobody, or one that is written so.
            Proof::Jwt if name == "anonymous" || is_taken(name) => format!("sub:{name}"),
            Proof::Jwt => name.to_owned(),
        };
        Self {
            proof,
            id,
            realm: realm.to_owned(),
            name: name.to_owned(),
            scopes: Vec::new(),
            groups: Vec::new(),
            client: None,
            mark,
        }
    }

    /// With the issuer in front of the [id](Self::id): where several issuers are trusted, two may
    /// have a subject of the same name.
    #[must_use]
    pub fn naming_issuer(mut self) -> Self {
        self.id = format!("{}|{}", self.realm, self.name);
        self
    }

    /// With these scopes.
    #[must_use]
    pub fn with_scopes(mut self, scopes: Vec<String>) -> Self {
        self.scopes = scopes;
        self
    }

    /// With these groups.
    #[must_use]
    pub fn with_groups(mut self, groups: Vec<String>) -> Self {
        self.groups = groups;
        self
    }

    /// With the OAuth client that acts for the caller.
    #[must_use]
    pub fn with_client(mut self, client: Option<String>) -> Self {
        self.client = client;
        self
    }

    /// What it proved itself by.
    #[must_use]
    pub const fn proof(&self) -> Proof {
        self.proof
    }

    /// What the audit record calls it and what rules name: a token's subject as it is, `key:NAME`,
    /// `cert:IDENTITY`.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The issuer of its token; empty for keys and certificates.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.realm
    }

    /// Subject, key name or certificate identity alone.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it was granted.
    #[must_use]
    pub fn scopes(&self) -> &[String] {
        &self.scopes
    }

    /// The groups that its credential names.
    #[must_use]
    pub fn groups(&self) -> &[String] {
        &self.groups
    }

    /// The OAuth client that acts for it (`client_id` or `azp`).
    #[must_use]
    pub fn client(&self) -> Option<&str> {
        self.client.as_deref()
    }

    /// What tells it from every other.
    #[must_use]
    pub const fn mark(&self) -> &Mark {
        &self.mark
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // REQ: A-3
    #[test]
    fn callers_are_told_apart_by_method_realm_and_name() {
        let all = [
            Caller::new(Proof::Jwt, "https://a", "ci"),
            Caller::new(Proof::Jwt, "https://b", "ci"),
            Caller::new(Proof::Jwt, "https://a", "cj"),
            Caller::new(Proof::Jwt, "https://ac", "i"),
            Caller::new(Proof::ApiKey, "", "ci"),
            Caller::new(Proof::Certificate, "", "ci"),
        ];
        for (at, one) in all.iter().enumerate() {
            for other in &all[..at] {
                assert_ne!(one.mark(), other.mark(), "{one:?} {other:?}");
            }
        }
        let again = Caller::new(Proof::Jwt, "https://a", "ci").with_scopes(vec!["x".to_owned()]);
        assert_eq!(again.mark(), all[0].mark());
    }

    #[test]
    fn no_subject_passes_for_a_key() {
        for (proof, name, id) in [
            (Proof::Jwt, "alice", "alice"),
            (Proof::Jwt, "key:ci", "sub:key:ci"),
            (Proof::Jwt, "cert:ci", "sub:cert:ci"),
            (Proof::Jwt, "sub:key:ci", "sub:sub:key:ci"),
            (Proof::Jwt, "anonymous", "sub:anonymous"),
            (Proof::Jwt, "Key:ci", "Key:ci"),
            (Proof::ApiKey, "ci", "key:ci"),
            (Proof::Certificate, "spiffe://a/b", "cert:spiffe://a/b"),
        ] {
            assert_eq!(Caller::new(proof, "https://a", name).id(), id);
        }
        let named = Caller::new(Proof::Jwt, "https://a", "alice").naming_issuer();
        assert_eq!(named.id(), "https://a|alice");
    }
}
