//! Who may call.

use std::time::Duration;

use http::HeaderName;
use palisade::auth::{KeyHash, is_scope};

use super::super::defaults;
use super::super::document;
use super::super::file::auth as file;
use super::super::names::{Fault, HttpUrl};
use super::super::problem::ProblemCode;
use super::super::settings::{
    Allow, ApiKey, Auth, AuthMode, CallerHeader, CertificateHeader, CertificateIdentity,
    Credential, Jwt, List, ServerAuth, TokenAlgorithm, Value,
};
use super::{MOST_ENTRIES, Resolver, above_nought, duration};

/// What of authentication a server says.
pub(super) struct OfServer<'a> {
    pub(super) auth: Option<&'a document::Said<AuthMode>>,
    pub(super) forward: Option<&'a document::Said<bool>>,
    pub(super) caller_header: Option<&'a document::Said<CallerHeader>>,
    pub(super) certificate_header: Option<&'a document::Said<CertificateHeader>>,
    pub(super) credential_file: Option<&'a document::Said<String>>,
    pub(super) credential_env: Option<&'a document::Said<String>>,
    pub(super) allow: &'a [document::Said<file::Allow>],
}

/// The bounds of `key_cache`.
const KEY_CACHE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(24 * 3600));

impl Resolver<'_> {
    /// `certificates`: clients are asked for one.
    pub(super) fn auth(&mut self, said: &file::Auth, certificates: bool, tls: bool) -> Auth {
        let mut auth = Auth::default();
        self.section = "auth".to_owned();
        self.list(&mut auth.scopes, said.scopes.as_ref(), "scopes", |text| {
            scope(text)
        });
        self.list(
            &mut auth.key_headers,
            said.key_headers.as_ref(),
            "key_headers",
            |text| key_header(text),
        );
        self.list(
            &mut auth.allow_special,
            said.allow_special.as_ref(),
            "allow_special",
            |text| Ok(text.clone()),
        );
        self.value(
            &mut auth.session_lifetime,
            said.session_lifetime.as_ref(),
            "session_lifetime",
            |text| above_nought(text),
        );
        let jwt = said.jwt.get(MOST_ENTRIES).map(|said| ("jwt", said.at));
        let keys = said.api_key.get(MOST_ENTRIES);
        if let Some((name, at)) = jwt.or_else(|| keys.map(|said| ("api_key", said.at))) {
            self.report(
                ProblemCode::BadValue,
                name,
                at,
                "there are more than 1,000",
                "shorten the list",
            );
            return auth;
        }
        for jwt in &said.jwt {
            self.section = "auth.jwt".to_owned();
            let jwt = self.jwt(jwt);
            auth.jwt.extend(jwt);
        }
        for key in &said.api_key {
            self.section = "auth.api_key".to_owned();
            let key = self.api_key(key);
            auth.keys.extend(key);
        }
        // Who is asked for a certificate is called by it.
        if certificates || said.certificate.is_some() {
            self.section = "auth.certificate".to_owned();
            let mut identity = defaults::list(CertificateIdentity::DEFAULT);
            if let Some(said) = &said.certificate {
                let list = said.value.identity.as_ref();
                self.list(&mut identity, list, "identity", |part| Ok(*part));
                if !certificates {
                    self.report(
                        ProblemCode::Missing,
                        "identity",
                        said.at,
                        "no client is asked for a certificate",
                        match tls {
                            true => "add `client_ca = \"clients.pem\"` under `[tls]`",
                            false => "add a `[tls]` section with `client_ca = \"clients.pem\"`",
                        },
                    );
                }
            }
            auth.certificate = Some(identity);
        }
        self.section.clear();
        self.twice(&auth);
        auth
    }

    fn jwt(&mut self, said: &document::Said<file::Jwt>) -> Option<Jwt> {
        let at = said.at;
        let said = &said.value;
        let mut issuer = None;
        self.option(&mut issuer, said.issuer.as_ref(), "issuer", |text| {
            issuer_url(text)
        });
        if said.issuer.is_none() {
            self.report(
                ProblemCode::Missing,
                "issuer",
                at,
                "whose tokens are trusted is not said",
                "add `issuer = \"https://login.example.com\"`, as the tokens say it in `iss`",
            );
        }
        let mut jwt = Jwt {
            issuer: issuer?,
            audience: List::default(),
            jwks: None,
            keys: None,
            kinds: defaults::list([palisade::auth::ACCESS_TOKEN.to_owned()]),
            algorithms: defaults::list(TokenAlgorithm::ALL.iter().copied()),
            groups: Value::from("groups".to_owned()),
            key_cache: Value::from(Duration::from_secs(300)),
            leeway: Value::from(Duration::from_secs(30)),
        };
        self.list(
            &mut jwt.audience,
            said.audience.as_ref(),
            "audience",
            |text| not_empty(text),
        );
        self.option(&mut jwt.jwks, said.jwks.as_ref(), "jwks", |text| {
            HttpUrl::parse(text)
        });
        jwt.keys = said.keys.as_ref().map(|said| self.path(said));
        if let (Some(_), Some(keys)) = (&said.jwks, &said.keys) {
            self.report(
                ProblemCode::Contradiction,
                "keys",
                keys.at,
                "keys from a file and keys from a URL exclude each other",
                "keep `jwks` or `keys`",
            );
        }
        self.list(&mut jwt.kinds, said.r#type.as_ref(), "type", |text| {
            not_empty(&text.to_ascii_lowercase().replace("application/", ""))
        });
        self.list(
            &mut jwt.algorithms,
            said.algorithms.as_ref(),
            "algorithms",
            |algorithm| Ok(*algorithm),
        );
        self.value(&mut jwt.groups, said.groups.as_ref(), "groups", |text| {
            Ok(text.clone())
        });
        self.value(
            &mut jwt.key_cache,
            said.key_cache.as_ref(),
            "key_cache",
            |text| match duration(text)? {
                time if (KEY_CACHE.0..=KEY_CACHE.1).contains(&time) => Ok(time),
                _ => Err(Fault::new(
                    "an issuer is not asked more often than once a second, nor less than once a day",
                    "write \"5m\", or any duration from \"1s\" to \"24h\"",
                )),
            },
        );
        if let (Some(cache), Some(_)) = (&said.key_cache, &said.keys) {
            self.report(
                ProblemCode::Contradiction,
                "key_cache",
                cache.at,
                "keys from a file are not fetched",
                "take `key_cache` out",
            );
        }
        self.value(
            &mut jwt.leeway,
            said.leeway.as_ref(),
            "leeway",
            |text| match duration(text)? {
                leeway if leeway <= Duration::from_secs(300) => Ok(leeway),
                _ => Err(Fault::new(
                    "a clock that is off by more than five minutes is to be set",
                    "write \"30s\", or at most \"5m\"",
                )),
            },
        );
        Some(jwt)
    }

    fn api_key(&mut self, said: &document::Said<file::ApiKey>) -> Option<ApiKey> {
        let at = said.at;
        let said = &said.value;
        let (mut name, mut hash, mut expires) = (None, None, None);
        self.option(&mut name, said.name.as_ref(), "name", |text| {
            not_empty(text)
        });
        self.option(&mut hash, said.hash.as_ref(), "hash", |text| {
            KeyHash::parse(text).ok_or_else(|| {
                Fault::new(
                    "it is not \"sha256:\" and 64 hexadecimal digits",
                    "run `palisade auth new-key NAME` and take the line that it prints",
                )
            })
        });
        self.option(&mut expires, said.expires.as_ref(), "expires", |text| {
            last_day(text)
        });
        for (said, key) in [(&said.name, "name"), (&said.hash, "hash")] {
            if said.is_none() {
                self.report(
                    ProblemCode::Missing,
                    key,
                    at,
                    &format!("the key has no {key}"),
                    "run `palisade auth new-key NAME` and take the lines that it prints",
                );
            }
        }
        let (mut scopes, mut groups) = (List::default(), List::default());
        self.list(&mut scopes, said.scopes.as_ref(), "scopes", |text| {
            scope(text)
        });
        self.list(&mut groups, said.groups.as_ref(), "groups", |text| {
            not_empty(text)
        });
        Some(ApiKey {
            name: name?,
            hash: hash?,
            expires,
            scopes,
            groups,
        })
    }

    /// Two issuers of one name, or two keys.
    fn twice(&mut self, auth: &Auth) {
        let issuers = auth.jwt.iter().map(|jwt| ("auth.jwt.issuer", &jwt.issuer));
        let keys = auth.keys.iter().map(|key| ("auth.api_key.name", &key.name));
        let all: Vec<_> = issuers.chain(keys).collect();
        for (index, (key, name)) in all.iter().enumerate() {
            let earlier = all[..index].iter();
            if earlier
                .clone()
                .any(|(other, known)| other == key && known.value == name.value)
            {
                let problem = super::Problem::error(
                    ProblemCode::Duplicate,
                    *key,
                    format!("`{}` is there twice", name.value),
                );
                let problem = problem.remedy("keep one of them");
                self.problems
                    .push(problem.at(self.places.place_of(&name.source)));
            }
        }
    }

    pub(super) fn server_auth(
        &mut self,
        said: &OfServer<'_>,
        configured: bool,
        section: &str,
    ) -> ServerAuth {
        self.section = section.to_owned();
        let mut auth = ServerAuth {
            required: Value::from(configured),
            ..ServerAuth::default()
        };
        self.value(&mut auth.required, said.auth, "auth", |mode| {
            Ok(*mode == AuthMode::Required)
        });
        if let Some(said) = said.auth
            && said.value == AuthMode::Required
            && !configured
        {
            self.report(
                ProblemCode::Missing,
                "auth",
                said.at,
                "callers are to be known, and there is no way for them to prove who they are",
                "add an [[auth.jwt]], an [[auth.api_key]] or [auth.certificate]",
            );
        }
        self.copy(&mut auth.forward, said.forward);
        self.copy(&mut auth.caller_header, said.caller_header);
        self.option(
            &mut auth.certificate_header,
            said.certificate_header,
            "certificate_header",
            |form| Ok(*form),
        );
        auth.credential = match (said.credential_file, said.credential_env) {
            (Some(file), _) => Some(Credential::File(self.path(file))),
            (None, Some(name)) => Some(Credential::Variable(Value::new(
                name.value.clone(),
                self.places.source(name.at),
            ))),
            (None, None) => None,
        };
        if let (Some(credential), true) = (
            said.credential_file.or(said.credential_env),
            auth.forward.value,
        ) {
            self.report(
                ProblemCode::Contradiction,
                "forward_authorization",
                credential.at,
                "the upstream gets the client's Authorization or one of its own, not both",
                "keep `forward_authorization`, or keep the credential",
            );
        }
        for allow in said.allow {
            self.section = format!("{section}.allow");
            let rule = self.allow(&allow.value);
            auth.allow.push(rule);
        }
        if let Some(allow) = said.allow.first()
            && !auth.required.value
        {
            self.section = section.to_owned();
            self.report(
                ProblemCode::Contradiction,
                "allow",
                allow.at,
                "there are rules about callers, and nobody is asked who calls",
                "add an [[auth.jwt]], an [[auth.api_key]] or [auth.certificate], and take `auth = \"none\"` out of this server",
            );
        }
        self.section.clear();
        auth
    }

    fn allow(&mut self, said: &file::Allow) -> Allow {
        let mut allow = Allow::default();
        for (slot, said, name) in [
            (&mut allow.callers, &said.caller, "caller"),
            (&mut allow.groups, &said.group, "group"),
            (&mut allow.tools, &said.tool, "tool"),
            (&mut allow.prompts, &said.prompt, "prompt"),
            (&mut allow.resources, &said.resource, "resource"),
        ] {
            self.list(slot, said.as_ref(), name, |text| not_empty(text));
            self.no_empty_list(said.as_ref(), name);
        }
        self.list(&mut allow.scopes, said.scope.as_ref(), "scope", |text| {
            scope(text)
        });
        self.no_empty_list(said.scope.as_ref(), "scope");
        allow
    }

    /// An empty list allows everybody, and looks as if it allowed nobody.
    fn no_empty_list(
        &mut self,
        said: Option<&document::Said<Vec<document::Said<String>>>>,
        name: &str,
    ) {
        if let Some(said) = said
            && said.value.is_empty()
        {
            self.report(
                ProblemCode::BadValue,
                name,
                said.at,
                "the list is empty",
                "name what is allowed, or take the key out to allow all",
            );
        }
    }
}

fn scope(text: &str) -> Result<String, Fault> {
    if is_scope(text) {
        return Ok(text.to_owned());
    }
    Err(Fault::new(
        "it is no scope: one word of printable ASCII without quotes and backslashes",
        "write each scope as an entry of its own, such as \"files:read\"",
    ))
}

fn not_empty(text: &str) -> Result<String, Fault> {
    if text.is_empty() || text.len() > 512 || text.chars().any(char::is_control) {
        return Err(Fault::new(
            "it is empty, too long, or has control characters",
            "write a name",
        ));
    }
    Ok(text.to_owned())
}

fn key_header(text: &str) -> Result<HeaderName, Fault> {
    let name = HeaderName::from_bytes(text.as_bytes());
    let taken = [
        "authorization",
        "cookie",
        "host",
        "content-type",
        "content-length",
        "origin",
    ];
    match name {
        Ok(name) if !taken.contains(&name.as_str()) && !name.as_str().starts_with("mcp-") => {
            Ok(name)
        }
        _ => Err(Fault::new(
            "it is not the name of a header that could hold a key",
            "write one such as \"X-API-Key\"; Authorization is always looked at",
        )),
    }
}

/// `iss` is compared letter by letter, so it stays as it is written.
fn issuer_url(text: &str) -> Result<String, Fault> {
    let url = HttpUrl::parse(text)?;
    if !url.https && !url.is_loopback() {
        return Err(Fault::new(
            "an issuer that speaks plain HTTP can be impersonated by whoever sits on the way",
            "write `https://`",
        ));
    }
    Ok(text.to_owned())
}

/// The first second after the day, since 1970.
fn last_day(text: &str) -> Result<u64, Fault> {
    let fault = || Fault::new("it is not a day", "write one such as \"2027-01-31\"");
    let day: jiff::civil::Date = text.parse().map_err(|_| fault())?;
    let next = day.tomorrow().map_err(|_| fault())?;
    let start = next
        .to_zoned(jiff::tz::TimeZone::UTC)
        .map_err(|_| fault())?;
    u64::try_from(start.timestamp().as_second()).map_err(|_| fault())
}
