//! Who may call: what is meant.

use std::path::PathBuf;
use std::time::Duration;

use http::HeaderName;
use palisade::auth::KeyHash;

use super::{List, Value};
use crate::config::HttpUrl;

/// `[auth]`.
#[derive(Clone, Debug)]
pub struct Auth {
    /// `[[auth.jwt]]`.
    pub jwt: Vec<Jwt>,
    /// `[[auth.api_key]]`.
    pub keys: Vec<ApiKey>,
    /// `[auth.certificate]`; `None`: certificates name nobody.
    pub certificate: Option<List<CertificateIdentity>>,
    /// `key_headers`: headers that may hold an API key.
    pub key_headers: List<HeaderName>,
    /// `scopes`: what clients are told to ask for at first.
    pub scopes: List<String>,
    /// `allow_special`: addresses of issuers that the outbound policy would refuse.
    pub allow_special: List<String>,
    /// `session_lifetime`. Default one day.
    pub session_lifetime: Value<Duration>,
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            jwt: Vec::new(),
            keys: Vec::new(),
            certificate: None,
            key_headers: List::default(),
            scopes: List::default(),
            allow_special: List::default(),
            session_lifetime: Value::from(Duration::from_secs(24 * 3600)),
        }
    }
}

impl Auth {
    /// Whether callers can prove who they are in any way.
    #[must_use]
    pub const fn is_configured(&self) -> bool {
        !self.jwt.is_empty() || !self.keys.is_empty() || self.certificate.is_some()
    }
}

/// `[[auth.jwt]]`.
#[derive(Clone, Debug)]
pub struct Jwt {
    /// `issuer`, letter by letter.
    pub issuer: Value<String>,
    /// `audience`; empty: each server's own public URL.
    pub audience: List<String>,
    /// `jwks`; `None`: where the issuer's metadata say.
    pub jwks: Option<Value<HttpUrl>>,
    /// `keys`: a file in place of fetching.
    pub keys: Option<Value<PathBuf>>,
    /// `type`, in lower case. Default `at+jwt`.
    pub kinds: List<String>,
    /// `algorithms`. Default: all of them.
    pub algorithms: List<TokenAlgorithm>,
    /// `groups`: the claim. Default `groups`.
    pub groups: Value<String>,
    /// `key_cache`: the least time that fetched keys are used for. Default 5 min, at most a day.
    pub key_cache: Value<Duration>,
    /// `leeway`. Default 30 s.
    pub leeway: Value<Duration>,
}

/// `[[auth.api_key]]`.
#[derive(Clone, Debug)]
pub struct ApiKey {
    /// `name`.
    pub name: Value<String>,
    /// `hash`.
    pub hash: Value<KeyHash>,
    /// `expires`: the first second after its last day, since 1970.
    pub expires: Option<Value<u64>>,
    /// `scopes`.
    pub scopes: List<String>,
    /// `groups`.
    pub groups: List<String>,
}

/// What of authentication a server has for itself.
#[derive(Clone, Debug, Default)]
pub struct ServerAuth {
    /// `auth`. Default: required once anything of `[auth]` is configured.
    pub required: Value<bool>,
    /// `forward_authorization`. Default false.
    pub forward: Value<bool>,
    /// `caller_header`. Default `jwt`.
    pub caller_header: Value<CallerHeader>,
    /// `certificate_header`; `None`: it is not told.
    pub certificate_header: Option<Value<CertificateHeader>>,
    /// `credential_file` or `credential_env`: what the upstream gets in `Authorization`.
    pub credential: Option<Credential>,
    /// `[[server.allow]]`.
    pub allow: Vec<Allow>,
}

/// Where the upstream's credential comes from.
#[derive(Clone, Debug)]
pub enum Credential {
    /// A file, read at start.
    File(Value<PathBuf>),
    /// An environment variable, read at start.
    Variable(Value<String>),
}

/// `[[server.allow]]`.
#[derive(Clone, Debug, Default)]
pub struct Allow {
    /// `caller`.
    pub callers: List<String>,
    /// `group`.
    pub groups: List<String>,
    /// `scope`.
    pub scopes: List<String>,
    /// `tool`.
    pub tools: List<String>,
    /// `prompt`.
    pub prompts: List<String>,
    /// `resource`.
    pub resources: List<String>,
}

/// Whether a server asks who calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AuthMode {
    /// Everybody may call.
    None,
    /// Only who is known may.
    #[default]
    Required,
}

/// How the upstream is told who calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CallerHeader {
    /// In `X-Palisade-Caller`, `-Issuer`, `-Scopes` and `-Groups`, unsigned.
    Headers,
    /// In `X-Palisade-Assertion`, a token signed by Palisade.
    #[default]
    Jwt,
    /// Not at all.
    None,
}

/// Whose client certificates are taken.
#[derive(Clone, Debug)]
pub struct ClientCertificates {
    /// `client_ca`.
    pub ca: Value<PathBuf>,
    /// `client_auth`. Default required.
    pub auth: Value<ClientAuth>,
    /// `client_crl`.
    pub crl: Option<Value<PathBuf>>,
}

/// Whether a client without a certificate is refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientAuth {
    /// It may prove itself by other means.
    Optional,
    /// The handshake fails.
    #[default]
    Required,
}

/// How the upstream is told of the client's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateHeader {
    /// `ssl-client-verify`, `ssl-client-subject-dn` and `ssl-client-cert`.
    Nginx,
    /// `X-Forwarded-Client-Cert`.
    Xfcc,
}

/// A part of a client certificate that names a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateIdentity {
    /// The first DNS name.
    Dns,
    /// The first e-mail address.
    Email,
    /// The subject.
    Subject,
    /// The first URI.
    Uri,
}

impl CertificateIdentity {
    /// What is looked for, first to last, where nothing is said.
    pub const DEFAULT: [Self; 4] = [Self::Uri, Self::Dns, Self::Email, Self::Subject];
}

/// An algorithm of token signatures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names of RFC 7518 and RFC 8037")]
pub enum TokenAlgorithm {
    EdDsa,
    Es256,
    Es384,
    Ps256,
    Ps384,
    Ps512,
    Rs256,
    Rs384,
    Rs512,
}
