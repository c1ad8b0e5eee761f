//! Who is calling: access tokens of an OAuth 2.1 authorization server, API keys, client
//! certificates, several side by side.
//!
//! [`Authenticator`] judges one request; [`AuthenticateLayer`] asks it in front of a service and
//! leaves the [`Caller`] in the [`Exchange`]. A credential that is presented must hold: there is no
//! falling back from a bad token to a certificate. What is refused costs little: a token that was
//! verified is known again by its hash, and an address that failed too often is refused before any
//! signature is computed.

mod apikey;
mod bearer;
mod caller;
mod certificate;
mod challenge;
mod dpop;
mod jwk;
mod jwt;
mod layer;

use std::sync::Arc;

use http::header::{AUTHORIZATION, HOST, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::request::Parts;

pub use apikey::{ApiKey, KeyHash, PREFIX as KEY_PREFIX, generate as generate_key};
pub use bearer::{ACCESS_TOKEN, Bearer, FixedKeys, Issuer, KeySource, Refresh};
pub use caller::{Caller, Mark, Proof};
pub use certificate::{ClientCertificate, IdentityField};
pub use challenge::{Challenge, is_scope};
pub use dpop::DpopProofs;
pub use jwk::{Algorithm, Key, KeySet, KeySetError, MAX_KEY_SET, MAX_KEYS, Unusable};
pub use jwt::{Bound, Claims, Header, MAX_TOKEN, Token, TokenFault};
pub use layer::{AuthenticateFuture, AuthenticateLayer, AuthenticateService};

use crate::exchange::Exchange;
use crate::rate::{Limiter, Peer, RateKey as _};
use crate::rejection::{Reason, Rejection};
use crate::sanity::CredentialFault;
use bearer::{Verdict, Verified};

static DPOP: HeaderName = HeaderName::from_static("dpop");

/// Says who calls one server.
#[derive(Debug, Default)]
pub struct Authenticator {
    /// Access tokens; `None`: none is taken.
    pub bearer: Option<Bearer>,
    /// API keys.
    pub keys: Vec<ApiKey>,
    /// Headers that may hold an API key, beside `Authorization`.
    pub key_headers: Vec<HeaderName>,
    /// Which part of a client certificate names its holder; empty: certificates name nobody.
    pub certificates: Vec<IdentityField>,
    /// What clients are told.
    pub challenge: Challenge,
    /// How often one address may fail; `None`: as often as it likes.
    pub failed: Option<Arc<Limiter>>,
    /// Whether the upstream gets `Authorization` as the client sent it.
    pub forward: bool,
    /// Proofs of DPoP, shared by all servers; `None`: bound tokens are refused.
    pub proofs: Option<Arc<DpopProofs>>,
    /// Scheme and authority that clients call, for DPoP; `None`: as the request says.
    pub public_url: Option<Arc<str>>,
}

/// What an [`Authenticator`] found.
pub enum Judged {
    /// Who calls.
    Caller(Arc<Caller>),
    /// Nobody who is known.
    Refused(Rejection),
    /// The issuer's keys are being fetched; judge again when this resolves.
    Wait(Refresh),
}

/// The credential of a request.
enum Credential<'a> {
    /// An API key in a header of its own.
    Key(&'a HeaderValue),
    /// A token, or an API key, by the scheme `Bearer`.
    Bearer(&'a str),
    /// A bound token, by the scheme `DPoP`.
    Dpop(&'a str),
}

impl Authenticator {
    /// Judges the request; `now` is in seconds since 1970, `waited` how often it has been waited for
    /// keys. For an issuer's first keys it is waited once, for a new one twice.
    #[must_use]
    pub fn judge(&self, head: &Parts, exchange: &Exchange, now: u64, waited: u8) -> Judged {
        if token_in_query(head.uri.query().unwrap_or_default()) {
            let rejection = Rejection::new(Reason::AuthInQuery)
                .with_header(WWW_AUTHENTICATE, self.challenge.invalid_request())
                .with_remedy("send the token in the Authorization header");
            return Judged::Refused(rejection);
        }
        let credential = match self.credential(head) {
            Ok(credential) => credential,
            Err(why) => return Judged::Refused(self.invalid(why)),
        };
        let judged = match credential {
            None => return self.by_certificate(exchange),
            Some(Credential::Bearer(text)) if self.is_token(text) => {
                self.by_token(text, false, head, exchange, now, waited)
            }
            Some(Credential::Dpop(text)) => self.by_token(text, true, head, exchange, now, waited),
            Some(Credential::Bearer(text)) => self.by_key(text.as_bytes(), head, now),
            Some(Credential::Key(value)) => self.by_key(value.as_bytes(), head, now),
        };
        if let Judged::Refused(rejection) = &judged
            && rejection.reason() == Reason::AuthInvalid
            && let Some(failed) = &self.failed
        {
            failed.take(&Peer::default().of(head));
        }
        judged
    }

    /// Refuses a request whose `Authorization` is not even looked at.
    #[must_use]
    pub fn unreadable(&self, fault: CredentialFault) -> Rejection {
        match fault {
            CredentialFault::Doubled => self
                .invalid("more than one credential")
                .with_remedy("have the client send one Authorization field"),
            CredentialFault::TooLarge => self
                .invalid("Authorization is longer than any token")
                .with_remedy("have the issuer say less in its tokens: 16 KiB at most"),
        }
    }

    /// Takes credentials and proofs out of a request that goes on.
    pub fn strip(&self, head: &mut Parts) {
        if !self.forward {
            head.headers.remove(AUTHORIZATION);
            head.headers.remove(&DPOP);
        }
        for name in &self.key_headers {
            head.headers.remove(name);
        }
    }

    /// A key has no dot in it, a token two.
    fn is_token(&self, text: &str) -> bool {
        self.keys.is_empty() || text.contains('.')
    }

    fn credential<'a>(&self, head: &'a Parts) -> Result<Option<Credential<'a>>, &'static str> {
        let mut found = None;
        for name in &self.key_headers {
            let mut values = head.headers.get_all(name).iter();
            if let Some(value) = values.next() {
                if found.is_some() || values.next().is_some() {
                    return Err("more than one credential");
                }
                found = Some(Credential::Key(value));
            }
        }
        let mut values = head.headers.get_all(AUTHORIZATION).iter();
        let Some(value) = values.next() else {
            return Ok(found);
        };
        if found.is_some() || values.next().is_some() {
            return Err("more than one credential");
        }
        let text = value.to_str().map_err(|_| "Authorization is not ASCII")?;
        let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
        let token = token.trim_matches(' ');
        if token.is_empty() || token.contains([' ', ',', '\t']) {
            return Err("Authorization holds no token");
        }
        if scheme.eq_ignore_ascii_case("bearer") {
            Ok(Some(Credential::Bearer(token)))
        } else if scheme.eq_ignore_ascii_case("dpop") {
            Ok(Some(Credential::Dpop(token)))
        } else {
            Err("Authorization is of a scheme that is not taken")
        }
    }

    fn by_certificate(&self, exchange: &Exchange) -> Judged {
        let certificate = exchange.connection().certificate.as_deref();
        match certificate.and_then(|certificate| certificate.caller(&self.certificates)) {
            Some(caller) => Judged::Caller(Arc::new(caller)),
            None => Judged::Refused(
                Rejection::new(Reason::AuthRequired)
                    .with_header(WWW_AUTHENTICATE, self.challenge.missing())
                    .with_remedy(
                        "send a credential, or set `auth = \"none\"` for this server if everyone may call it",
                    ),
            ),
        }
    }

    fn by_key(&self, presented: &[u8], head: &Parts, now: u64) -> Judged {
        if let Err(rejection) = self.may_fail(head) {
            return Judged::Refused(rejection);
        }
        match apikey::find(&self.keys, presented, now) {
            Ok(caller) => Judged::Caller(Arc::new(caller)),
            Err(apikey::KeyFault::Expired) => Judged::Refused(self.invalid("the key is expired")),
            Err(apikey::KeyFault::Unknown) => Judged::Refused(self.invalid("the key is not known")),
        }
    }

    fn by_token(
        &self,
        text: &str,
        dpop: bool,
        head: &Parts,
        exchange: &Exchange,
        now: u64,
        waited: u8,
    ) -> Judged {
        let Some(bearer) = &self.bearer else {
            return Judged::Refused(self.invalid("no issuer of tokens is trusted"));
        };
        let hash = bearer::hash(text);
        let verified = match bearer.known(&hash, now) {
            Some(verified) => verified,
            None => {
                if let Err(rejection) = self.may_fail(head) {
                    return Judged::Refused(rejection);
                }
                match bearer.judge(text, hash, now) {
                    Verdict::Verified(verified) => verified,
                    Verdict::Refresh(None, refresh) if waited == 0 => return Judged::Wait(refresh),
                    Verdict::Refresh(None, _) | Verdict::Unavailable => {
                        return Judged::Refused(unavailable());
                    }
                    // What was waited for may have begun before the issuer had its new key.
                    Verdict::Refresh(Some(_), refresh) if waited < 2 => {
                        return Judged::Wait(refresh);
                    }
                    Verdict::Refresh(Some(fault), _) | Verdict::Fault(fault) => {
                        return Judged::Refused(self.faulty(fault, dpop));
                    }
                }
            }
        };
        // A proof is a signature to be computed, also where the token is known.
        if dpop && let Err(rejection) = self.may_fail(head) {
            return Judged::Refused(rejection);
        }
        match self.possessed(&verified, text, dpop, head, exchange, now) {
            Ok(()) => Judged::Caller(Arc::clone(&verified.caller)),
            Err(fault) => Judged::Refused(self.faulty(fault, dpop)),
        }
    }

    /// Whether the request shows what its token is bound to, and binds nothing else.
    fn possessed(
        &self,
        verified: &Verified,
        token: &str,
        dpop: bool,
        head: &Parts,
        exchange: &Exchange,
        now: u64,
    ) -> Result<(), TokenFault> {
        match (&verified.bound, dpop) {
            (None, false) => Ok(()),
            (Some(Bound::Certificate(thumbprint)), false) => {
                let certificate = exchange.connection().certificate.as_deref();
                let shown = certificate.map(|certificate| base64url(&certificate.thumbprint));
                if shown.as_ref() == Some(thumbprint) {
                    Ok(())
                } else {
                    Err(TokenFault::Binding)
                }
            }
            (Some(Bound::Key(thumbprint)), true) => {
                let proofs = self.proofs.as_ref().ok_or(TokenFault::Binding)?;
                let mut headers = head.headers.get_all(&DPOP).iter();
                let (Some(proof), None) = (headers.next(), headers.next()) else {
                    return Err(TokenFault::Binding);
                };
                let proof = proof.to_str().map_err(|_| TokenFault::Binding)?;
                let url = self.url(head, exchange);
                let expected = dpop::Expected {
                    method: head.method.as_str(),
                    url: &url,
                    token,
                    thumbprint,
                };
                proofs.judge(proof, &expected, now)
            }
            _ => Err(TokenFault::Binding),
        }
    }

    /// The URL that the client called.
    fn url(&self, head: &Parts, exchange: &Exchange) -> String {
        let path = head.uri.path();
        match &self.public_url {
            Some(public) => format!("{public}{path}"),
            None => {
                let scheme = if exchange.connection().tls {
                    "https"
                } else {
                    "http"
                };
                let asked = head.headers.get(HOST).and_then(|host| host.to_str().ok());
                let target = head.uri.authority().map(http::uri::Authority::as_str);
                let authority = target.or(asked).unwrap_or_default();
                format!("{scheme}://{authority}{path}")
            }
        }
    }

    /// Checked before the work, charged after the failure.
    fn may_fail(&self, head: &Parts) -> Result<(), Rejection> {
        let Some(failed) = &self.failed else {
            return Ok(());
        };
        let decision = failed.peek(&Peer::default().of(head));
        if decision.allowed {
            return Ok(());
        }
        let seconds = decision.retry_after.div_ceil(1_000_000_000).max(1);
        Err(Rejection::new(Reason::AuthFailures)
            .with_detail(format_args!("over {} failures", failed.quota()))
            .with_remedy("look for a client with a stale credential, or raise `rate.failed`")
            .with_header(RETRY_AFTER, HeaderValue::from(seconds)))
    }

    fn faulty(&self, fault: TokenFault, dpop: bool) -> Rejection {
        let text = fault.to_string();
        // What stands in quotes needs no escape: the texts are our own, and have backquotes.
        let challenge = match dpop {
            true => self.challenge.invalid_bound_token(&text),
            false => self.challenge.invalid_token(&text),
        };
        Rejection::new(Reason::AuthInvalid)
            .with_header(WWW_AUTHENTICATE, challenge)
            .with_detail(format_args!("the token: {text}"))
            .with_remedy(remedy(fault))
    }

    fn invalid(&self, why: &'static str) -> Rejection {
        Rejection::new(Reason::AuthInvalid)
            .with_header(WWW_AUTHENTICATE, self.challenge.invalid_token(why))
            .with_detail(why)
    }
}

/// What the operator can do about a token that ought to hold.
const fn remedy(fault: TokenFault) -> &'static str {
    match fault {
        TokenFault::Audience => {
            "have clients ask for this server's URL as `resource`, or add the audience to `auth.jwt.audience`"
        }
        TokenFault::Issuer => "add an [[auth.jwt]] with this `issuer`, letter by letter",
        TokenFault::Type => "have the issuer write `at+jwt`, or set `auth.jwt.type`",
        TokenFault::UnknownKey => "see whether the issuer publishes the key that it signs with",
        TokenFault::Algorithm => "see `auth.jwt.algorithms` and the `alg` of the issuer's keys",
        _ => "",
    }
}

fn unavailable() -> Rejection {
    Rejection::new(Reason::AuthUnavailable)
        .with_detail("the issuer's keys could not be fetched")
        .with_remedy("see the log for why; start the issuer, or correct `auth.jwt.issuer`")
        .with_header(RETRY_AFTER, HeaderValue::from_static("5"))
}

fn base64url(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

/// Whether a query holds `access_token` (RFC 6750 section 2.3), however it is written.
fn token_in_query(query: &str) -> bool {
    // Some read `;` as they read `&`.
    query.split(['&', ';']).any(|pair| {
        let name = pair.split('=').next().unwrap_or_default();
        // No percent sign, no decoding.
        name == "access_token" || name.contains('%') && decoded(name) == b"access_token"
    })
}

/// A part of a URI, percent-decoded; what is no escape stays.
pub(crate) fn decoded(name: &str) -> Vec<u8> {
    let mut bytes = name.bytes();
    let mut out = Vec::with_capacity(name.len());
    while let Some(byte) = bytes.next() {
        let mut rest = bytes.clone();
        let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
        match (byte, digit(rest.next()), digit(rest.next())) {
            (b'%', Some(high), Some(low)) => {
                out.push(u8::try_from(high << 4 | low).unwrap_or_default());
                bytes = rest;
            }
            _ => out.push(byte),
        }
    }
    out
}

#[cfg(test)]
mod tests;
