//! Who may call, as the gateway composes it: issuers' keys fetched in the background, the
//! authenticator of each server, and what its upstream is told.

mod askers;
mod assertion;
mod keys;
mod metadata;
mod store;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use http::header::{AUTHORIZATION, HeaderName};
use palisade::access::{Access, Pattern, Rule};
use palisade::auth::{
    Algorithm, ApiKey, Authenticator, Bearer, Challenge, DpopProofs, FixedKeys, IdentityField,
    Issuer, KeySet, KeySource,
};
use palisade::rate::{ByCaller, Limiter, RateGuard};
use palisade::session::SessionSeal;
use palisade::{Exchange, Moded};
use palisade_audit::Log;
use palisade_http1::FieldWriter;

pub use askers::Askers;
pub use assertion::Assertions;
pub use keys::{Endpoint, KeyKeeper};
pub(crate) use metadata::public_challenge;
pub use metadata::{OwnBody, OwnRoute, Passed};

use crate::certs::client;
use crate::config::{
    CallerHeader, CertificateHeader, CertificateIdentity, Credential, Kind, List, Server, Settings,
    TokenAlgorithm,
};
use crate::plan::StartError;

/// Where protected resource metadata stand (RFC 9728 section 3).
pub const RESOURCE_METADATA: &str = "/.well-known/oauth-protected-resource";

/// Where the keys of Palisade's own assertions stand.
pub const ASSERTION_KEYS: &str = "/.well-known/palisade/jwks.json";

/// What all servers have in common.
pub struct Common {
    issuers: HashMap<String, Arc<dyn KeySource>>,
    proofs: Arc<DpopProofs>,
    session_key: Option<[u8; 32]>,
    assertions: Option<Arc<Assertions>>,
    /// Scheme and authority that clients call.
    public: String,
    /// The same of every own host.
    origins: Vec<String>,
    /// Fetches keys while it lives.
    _keeper: Option<KeyKeeper>,
}

/// What one server is made of.
pub struct ServerAuth {
    /// Layer 11.
    pub authenticate: Option<Arc<Authenticator>>,
    /// Layer 13.
    pub sessions: Option<Arc<SessionSeal>>,
    /// Layer 15.
    pub access: Option<Arc<Access>>,
    /// Protected resource metadata; empty where no token would help.
    pub metadata: String,
}

impl Common {
    /// Starts fetching keys and opens those of our own. What is fetched is told to `log`.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn new(
        settings: &Settings,
        addresses: &[SocketAddr],
        data_directory: Option<PathBuf>,
        log: &Log,
    ) -> Result<Self, StartError> {
        let mut origins: Vec<String> = Vec::new();
        for address in addresses {
            origins.extend(settings.own_origins_on(*address));
        }
        let public = match &settings.public_url {
            Some(url) => url.value.origin(),
            None => public(settings, addresses, &origins),
        };
        let auth = &settings.auth;
        let mut issuers: HashMap<String, Arc<dyn KeySource>> = HashMap::new();
        let mut remote = Vec::new();
        for jwt in &auth.jwt {
            let rsa = Algorithm::of_rsa(&algorithms(&jwt.algorithms));
            let source: Arc<dyn KeySource> = match &jwt.keys {
                Some(file) => {
                    let failed = |cause: &dyn std::fmt::Display| StartError::Setting {
                        key: "auth.jwt.keys".to_owned(),
                        cause: format!("{}: {cause}", file.display()),
                    };
                    let bytes = std::fs::read(&file.value).map_err(|error| failed(&error))?;
                    let keys = KeySet::parse(&bytes, rsa).map_err(|error| failed(&error))?;
                    Arc::new(FixedKeys::new(keys))
                }
                None => {
                    let keys = Arc::new(keys::RemoteKeys::new(Endpoint {
                        issuer: jwt.issuer.value.clone(),
                        jwks: jwt.jwks.as_ref().map(|url| url.value.to_string()),
                        rsa,
                        least: jwt.key_cache.value,
                    }));
                    remote.push(Arc::clone(&keys));
                    keys
                }
            };
            issuers.insert(jwt.issuer.value.clone(), source);
        }
        let keeper = match remote.is_empty() {
            true => None,
            false => Some(KeyKeeper::start(remote, settings, log)?),
        };
        let asked = |server: &&Server| server.auth.required.value;
        let any = settings.servers.iter().any(|server| asked(&server));
        let directory = any.then_some(data_directory).flatten();
        let session_key = match any {
            true => Some(store::session_key(directory.as_deref())?),
            false => None,
        };
        let mut signed = settings.servers.iter().filter(asked);
        let signed = signed.any(|server| server.auth.caller_header.value == CallerHeader::Jwt);
        let assertions = match signed {
            true => Some(Arc::new(Assertions::new(
                &store::assertion_key(directory.as_deref())?,
                &public,
            )?)),
            false => None,
        };
        Ok(Self {
            issuers,
            proofs: Arc::default(),
            session_key,
            assertions,
            public,
            origins,
            _keeper: keeper,
        })
    }

    /// Scheme and authority that clients call.
    #[must_use]
    pub fn public(&self) -> &str {
        &self.public
    }

    /// Our own keys, for upstreams to verify assertions by.
    #[must_use]
    pub fn assertion_keys(&self) -> Option<String> {
        self.assertions.as_ref().map(|assertions| assertions.keys())
    }

    /// The parts of `server`.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn server(
        &self,
        server: &Server,
        settings: &Settings,
        failed: Limiter,
    ) -> Result<ServerAuth, StartError> {
        if !server.auth.required.value {
            return Ok(ServerAuth {
                authenticate: None,
                sessions: None,
                access: None,
                metadata: String::new(),
            });
        }
        let auth = &settings.auth;
        let path = &server.path.value;
        let metadata = match auth.jwt.is_empty() {
            true => String::new(),
            false => format!("{}{}", self.public, metadata_path(path)),
        };
        let challenge = Challenge {
            metadata: metadata.clone(),
            scopes: texts(&auth.scopes),
            dpop: true,
        };
        let own = self.resources(path);
        let issuers: Vec<Issuer> = auth
            .jwt
            .iter()
            .filter_map(|jwt| {
                Some(Issuer {
                    name: jwt.issuer.value.clone(),
                    audiences: match jwt.audience.is_empty() {
                        true => own.clone(),
                        false => texts(&jwt.audience),
                    },
                    kinds: texts(&jwt.kinds),
                    algorithms: algorithms(&jwt.algorithms),
                    groups: jwt.groups.value.clone(),
                    leeway: jwt.leeway.value.as_secs(),
                    keys: Arc::clone(self.issuers.get(&jwt.issuer.value)?),
                })
            })
            .collect();
        let authenticator = Authenticator {
            bearer: (!issuers.is_empty()).then(|| Bearer::new(issuers)),
            keys: auth.keys.iter().map(api_key).collect(),
            key_headers: (auth.key_headers.iter().map(|name| name.value.clone())).collect(),
            certificates: match &auth.certificate {
                Some(fields) => fields.iter().map(|field| identity(field.value)).collect(),
                None => Vec::new(),
            },
            challenge: challenge.clone(),
            failed: Some(Arc::new(failed)),
            forward: server.auth.forward.value,
            proofs: Some(Arc::clone(&self.proofs)),
            public_url: (settings.public_url.as_ref()).map(|_| self.public.as_str().into()),
        };
        let lifetime = auth.session_lifetime.value.as_secs();
        let sessions = match self.session_key {
            Some(key) => {
                let seal = SessionSeal::new(&key, server.name.value.as_str().into(), lifetime);
                Some(Arc::new(seal.map_err(|_| no_crypto())?))
            }
            None => None,
        };
        let rules: Vec<Rule> = server.auth.allow.iter().map(rule).collect();
        let access = (!rules.is_empty()).then(|| {
            Arc::new(Access {
                rules,
                challenge,
                plain: server.kind.value == Kind::Http,
            })
        });
        Ok(ServerAuth {
            authenticate: Some(Arc::new(authenticator)),
            sessions,
            access,
            metadata: match auth.jwt.is_empty() {
                true => String::new(),
                false => metadata::document(&resource(&self.public, path), settings, server),
            },
        })
    }

    /// What the upstream of `server` is told; `None`: nothing.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn told(&self, server: &Server) -> Result<Option<Told>, StartError> {
        let form = match server.auth.required.value {
            true => server.auth.caller_header.value,
            false => CallerHeader::None,
        };
        let credential = match &server.auth.credential {
            Some(credential) => Some(read_credential(credential, server)?),
            None => None,
        };
        let certificate = server.auth.certificate_header.as_ref();
        let certificate = certificate.map(|form| form.value);
        if form == CallerHeader::None && credential.is_none() && certificate.is_none() {
            return Ok(None);
        }
        Ok(Some(Told {
            certificate,
            credential,
            form,
            assertions: self.assertions.clone(),
            audience: match &server.backend {
                crate::config::Backend::Url(url) => url.value.to_string(),
                crate::config::Backend::Command(_) => server.name.value.clone(),
            },
        }))
    }

    /// Every way in which a client may name the server at `path` as a resource (RFC 8707).
    fn resources(&self, path: &str) -> Vec<String> {
        let mut all = vec![resource(&self.public, path)];
        all.extend(self.origins.iter().map(|origin| resource(origin, path)));
        if path == "/" {
            let without: Vec<_> = all
                .iter()
                .map(|url| url.trim_end_matches('/').to_owned())
                .collect();
            all.extend(without);
        }
        all.dedup();
        all
    }
}

/// What is written into requests to an upstream.
#[derive(Debug)]
pub struct Told {
    certificate: Option<CertificateHeader>,
    credential: Option<HeaderValue>,
    form: CallerHeader,
    assertions: Option<Arc<Assertions>>,
    audience: String,
}

static ASSERTION: HeaderName = HeaderName::from_static("x-palisade-assertion");
static CALLER: HeaderName = HeaderName::from_static("x-palisade-caller");
static ISSUER: HeaderName = HeaderName::from_static("x-palisade-issuer");
static SCOPES: HeaderName = HeaderName::from_static("x-palisade-scopes");
static GROUPS: HeaderName = HeaderName::from_static("x-palisade-groups");

impl Told {
    /// Whether the client's own `Authorization` has to make way.
    #[must_use]
    pub const fn has_credential(&self) -> bool {
        self.credential.is_some()
    }

    /// Writes the fields. What a client sends under these names never comes this far.
    pub fn put(&self, exchange: &Exchange, out: &mut FieldWriter<'_>) {
        if let Some(credential) = &self.credential {
            out.put(&AUTHORIZATION, credential);
        }
        if let (Some(form), Some(certificate)) = (
            self.certificate,
            exchange.connection().certificate.as_deref(),
        ) {
            put_certificate(form, certificate, out);
        }
        let Some(caller) = exchange.facts().caller.clone() else {
            return;
        };
        match (self.form, &self.assertions) {
            (CallerHeader::Jwt, Some(assertions)) => {
                if let Some(assertion) = assertions.of(&caller, &self.audience) {
                    out.put(&ASSERTION, &assertion);
                }
            }
            (CallerHeader::Headers, _) => {
                let mut put = |name: &HeaderName, text: String| {
                    if let (false, Ok(value)) = (text.is_empty(), HeaderValue::try_from(text)) {
                        out.put(name, &value);
                    }
                };
                // Percent-encoding keeps what is not ASCII, and what would end a line.
                put(&CALLER, encoded(caller.id()));
                put(&ISSUER, encoded(caller.issuer()));
                put(&SCOPES, listed(caller.scopes(), ' '));
                put(&GROUPS, listed(caller.groups(), ','));
            }
            _ => {}
        }
    }
}

fn put_certificate(
    form: CertificateHeader,
    certificate: &palisade::auth::ClientCertificate,
    out: &mut FieldWriter<'_>,
) {
    let mut put = |name: &'static str, text: String| {
        if let Ok(value) = HeaderValue::try_from(text) {
            out.put(&HeaderName::from_static(name), &value);
        }
    };
    match form {
        CertificateHeader::Xfcc => {
            put(
                "x-forwarded-client-cert",
                encoded(&client::xfcc(certificate)),
            );
        }
        CertificateHeader::Nginx => {
            put("ssl-client-verify", "SUCCESS".to_owned());
            put("ssl-client-subject-dn", encoded(&certificate.subject));
            put("ssl-client-cert", client::escaped_pem(certificate));
        }
    }
}

/// As [`encoded`], each apart from the next: no name of one makes it two.
fn listed(names: &[String], separator: char) -> String {
    let escaped = format!("%{:02X}", u32::from(separator));
    let names = names
        .iter()
        .map(|name| encoded(name).replace(separator, &escaped));
    names.collect::<Vec<_>>().join(&separator.to_string())
}

/// Visible ASCII and spaces as they are, `%` and all else percent-encoded.
fn encoded(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => out.push(char::from(byte)),
            // Writing to a string cannot fail.
            _ => drop(write!(out, "%{byte:02X}")),
        }
    }
    out
}

/// The guard of layer 12.
pub fn by_caller(limiter: Arc<Limiter>) -> RateGuard<ByCaller> {
    RateGuard::new("caller", ByCaller, limiter).setting("rate.limit")
}

/// The type of that guard.
pub type CallerRate = Arc<Moded<RateGuard<ByCaller>>>;

/// Where the metadata of the server at `path` stand.
#[must_use]
pub fn metadata_path(path: &str) -> String {
    format!("{RESOURCE_METADATA}{}", path.trim_end_matches('/'))
}

/// The server at `path`, as a resource.
pub(crate) fn resource(origin: &str, path: &str) -> String {
    format!("{origin}{path}")
}

/// What clients call where no `public_url` says it: the first host that was named, else the first
/// address.
fn public(settings: &Settings, addresses: &[SocketAddr], origins: &[String]) -> String {
    if let Some(host) = settings.hosts.first() {
        let ending = format!("://{}", host.value.host);
        let fits = |origin: &&String| origin.contains(&ending);
        if let Some(origin) = origins.iter().find(fits) {
            return origin.clone();
        }
    }
    let scheme = if settings.is_tls() { "https" } else { "http" };
    match addresses.first() {
        Some(address) => format!("{scheme}://{address}"),
        None => format!("{scheme}://localhost"),
    }
}

fn texts(list: &List<String>) -> Vec<String> {
    list.iter().map(|text| text.value.clone()).collect()
}

fn algorithms(list: &List<TokenAlgorithm>) -> Vec<Algorithm> {
    let named = list.iter().map(|algorithm| algorithm.value.name());
    named.filter_map(Algorithm::named).collect()
}

fn api_key(key: &crate::config::ApiKey) -> ApiKey {
    ApiKey {
        name: key.name.value.clone(),
        hash: key.hash.value,
        expires: key.expires.as_ref().map(|end| end.value),
        scopes: texts(&key.scopes),
        groups: texts(&key.groups),
    }
}

const fn identity(field: CertificateIdentity) -> IdentityField {
    match field {
        CertificateIdentity::Dns => IdentityField::Dns,
        CertificateIdentity::Email => IdentityField::Email,
        CertificateIdentity::Subject => IdentityField::Subject,
        CertificateIdentity::Uri => IdentityField::Uri,
    }
}

fn rule(allow: &crate::config::Allow) -> Rule {
    let patterns = |list: &List<String>| list.iter().map(|text| Pattern::new(text)).collect();
    Rule {
        callers: patterns(&allow.callers),
        groups: patterns(&allow.groups),
        scopes: texts(&allow.scopes),
        tools: patterns(&allow.tools),
        prompts: patterns(&allow.prompts),
        resources: patterns(&allow.resources),
    }
}

fn read_credential(credential: &Credential, server: &Server) -> Result<HeaderValue, StartError> {
    let (key, text) = match credential {
        Credential::File(path) => (
            "credential_file",
            std::fs::read_to_string(&path.value)
                .map_err(|error| format!("{}: {error}", path.display())),
        ),
        #[expect(
            clippy::disallowed_methods,
            reason = "the variable that the settings name"
        )]
        Credential::Variable(name) => (
            "credential_env",
            std::env::var(&name.value).map_err(|_| format!("{} is not set", name.value)),
        ),
    };
    let failed = |cause: String| StartError::Setting {
        key: format!("server.{}.{key}", server.name.value),
        cause,
    };
    let text = text.map_err(failed)?;
    let text = text.trim();
    let mut value = HeaderValue::from_str(text)
        .ok()
        .filter(|_| text.contains(' '))
        .ok_or_else(|| {
            failed("it is no value of Authorization; write one such as `Bearer TOKEN`".to_owned())
        })?;
    value.set_sensitive(true);
    Ok(value)
}

pub(crate) fn no_crypto() -> StartError {
    StartError::Setting {
        key: "auth".to_owned(),
        cause: "the system gives no random numbers".to_owned(),
    }
}

/// How long an assertion holds.
pub(crate) const ASSERTION_LIFETIME: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    // REQ: A-3
    #[test]
    fn no_name_in_a_list_makes_two() {
        let listed = |names: &[&str], separator| {
            let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
            listed(&names, separator)
        };
        for (names, separator, expected) in [
            (&["a", "b"][..], ',', "a,b"),
            (&["a,admin", "b"], ',', "a%2Cadmin,b"),
            (&["a b"], ',', "a b"),
            (&["read admin", "x"], ' ', "read%20admin x"),
            (&["a%2Cb"], ',', "a%252Cb"),
            (
                &["a\r\nX-Palisade-Caller: root"],
                ',',
                "a%0D%0AX-Palisade-Caller: root",
            ),
            (&["é"], ',', "%C3%A9"),
            (&[], ',', ""),
        ] {
            assert_eq!(listed(names, separator), expected, "{names:?}");
        }
    }
}
