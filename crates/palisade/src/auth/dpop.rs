//! Demonstrating proof of possession (RFC 9449): a token that only the holder of a key can use.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::jwk::{Algorithm, Members};
use super::jwt::{Token, TokenFault};
use crate::mcp::json::{Raw, Reader, ValueKind};

/// How old a proof may be, and how far in the future, in seconds.
const WINDOW: u64 = 60;

/// Most proofs that are remembered; past it, proofs are refused rather than taken twice.
const MOST: usize = 65_536;

/// The largest `jti`.
const MAX_ID: usize = 256;

/// Judges proofs, each good for one request.
#[derive(Debug, Default)]
pub struct DpopProofs {
    /// Those of the last two windows, and when they may be forgotten.
    seen: Mutex<HashMap<[u8; 16], u64>>,
}

/// What a proof must say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected<'a> {
    /// The request's method.
    pub(super) method: &'a str,
    /// The request's URL, without query.
    pub(super) url: &'a str,
    /// The access token.
    pub(super) token: &'a str,
    /// The thumbprint that the token is bound to.
    pub(super) thumbprint: &'a str,
}

impl DpopProofs {
    /// Judges the proof in a `DPoP` header, and remembers it.
    pub(super) fn judge(
        &self,
        proof: &str,
        expected: &Expected<'_>,
        now: u64,
    ) -> Result<(), TokenFault> {
        let proof = Token::read(proof)?;
        let header = ProofHeader::read(proof.raw_header())?;
        if header.thumbprint != expected.thumbprint {
            return Err(TokenFault::Binding);
        }
        let claims = ProofClaims::read(proof.raw_payload())?;
        let hash = digest(&SHA256, expected.token.as_bytes());
        let bound = claims.token_hash == URL_SAFE_NO_PAD.encode(hash.as_ref());
        if claims.method != expected.method || !same_url(&claims.url, expected.url) || !bound {
            return Err(TokenFault::Binding);
        }
        if claims.issued_at > now + WINDOW {
            return Err(TokenFault::IssuedInFuture);
        }
        if claims.issued_at + WINDOW < now {
            return Err(TokenFault::Expired);
        }
        if !proof.is_signed_by(&header.key) {
            return Err(TokenFault::Signature);
        }
        self.remember(&claims.id, expected.thumbprint, now)
    }

    fn remember(&self, id: &str, thumbprint: &str, now: u64) -> Result<(), TokenFault> {
        let hash = digest(&SHA256, [thumbprint, id].join("\0").as_bytes());
        let mut key = [0; 16];
        key.copy_from_slice(&hash.as_ref()[..16]);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= MOST {
            seen.retain(|_, until| now <= *until);
        }
        if seen.len() >= MOST || seen.get(&key).is_some_and(|until| now <= *until) {
            return Err(TokenFault::Binding);
        }
        seen.insert(key, now + 2 * WINDOW + 1);
        Ok(())
    }
}

struct ProofHeader {
    key: super::jwk::Key,
    thumbprint: String,
}

impl ProofHeader {
    fn read(header: &[u8]) -> Result<Self, TokenFault> {
        let (mut kind, mut algorithm, mut key) = (None, None, None);
        object(header, |reader, name| {
            match name {
                "typ" => kind = string(reader.value()?)?,
                "alg" => algorithm = string(reader.value()?)?,
                "jwk" => {
                    if reader.peek()? != ValueKind::Object {
                        return Err(TokenFault::Json);
                    }
                    key = Some(Members::read(reader)?);
                }
                "crit" => return Err(TokenFault::Critical),
                _ => {
                    reader.value()?;
                }
            }
            Ok(())
        })?;
        if kind.as_deref() != Some("dpop+jwt") {
            return Err(TokenFault::Type);
        }
        let algorithm = algorithm.as_deref().and_then(Algorithm::named);
        let algorithm = algorithm.ok_or(TokenFault::Algorithm)?;
        let members = key.ok_or(TokenFault::Missing("jwk"))?;
        if members.private {
            return Err(TokenFault::EmbeddedKey);
        }
        let thumbprint = thumbprint(&members).ok_or(TokenFault::Algorithm)?;
        let key = members.key(algorithm).ok_or(TokenFault::Algorithm)?;
        Ok(Self { key, thumbprint })
    }
}

#[derive(Default)]
struct ProofClaims {
    id: String,
    method: String,
    url: String,
    issued_at: u64,
    token_hash: String,
}

impl ProofClaims {
    fn read(payload: &[u8]) -> Result<Self, TokenFault> {
        let mut claims = Self::default();
        let mut issued_at = None;
        object(payload, |reader, name| {
            let value = reader.value()?;
            match name {
                "jti" => claims.id = string(value)?.unwrap_or_default(),
                "htm" => claims.method = string(value)?.unwrap_or_default(),
                "htu" => claims.url = string(value)?.unwrap_or_default(),
                "ath" => claims.token_hash = string(value)?.unwrap_or_default(),
                "iat" => issued_at = value.text().parse().ok().filter(|at| *at < 1 << 40),
                _ => {}
            }
            Ok(())
        })?;
        claims.issued_at = issued_at.ok_or(TokenFault::Missing("iat"))?;
        match claims.id.len() {
            0 => Err(TokenFault::Missing("jti")),
            1..=MAX_ID => Ok(claims),
            _ => Err(TokenFault::ClaimSize),
        }
    }
}

fn object<'a>(
    json: &'a [u8],
    mut member: impl FnMut(&mut Reader<'a>, &str) -> Result<(), TokenFault>,
) -> Result<(), TokenFault> {
    let mut reader = Reader::new(json, 8)?;
    if reader.peek()? != ValueKind::Object {
        return Err(TokenFault::Json);
    }
    reader.object::<TokenFault>(|reader, name| member(reader, &name))?;
    Ok(reader.end()?)
}

fn string(value: Raw<'_>) -> Result<Option<String>, TokenFault> {
    let text = value.string().ok_or(TokenFault::WrongType("DPoP"))?;
    Ok(Some(text.into_owned()))
}

/// RFC 7638: the SHA-256 of the required members in alphabetical order.
fn thumbprint(members: &Members<'_>) -> Option<String> {
    let plain = |text: &Option<std::borrow::Cow<'_, str>>| {
        let text = text.as_deref()?;
        let safe = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        text.bytes().all(safe).then(|| text.to_owned())
    };
    let json = match members.kty.as_deref()? {
        "EC" => format!(
            r#"{{"crv":"{}","kty":"EC","x":"{}","y":"{}"}}"#,
            plain(&members.crv)?,
            plain(&members.x)?,
            plain(&members.y)?
        ),
        "OKP" => format!(
            r#"{{"crv":"{}","kty":"OKP","x":"{}"}}"#,
            plain(&members.crv)?,
            plain(&members.x)?
        ),
        "RSA" => format!(
            r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#,
            plain(&members.e)?,
            plain(&members.n)?
        ),
        _ => return None,
    };
    let hash = digest(&SHA256, json.as_bytes());
    Some(URL_SAFE_NO_PAD.encode(hash.as_ref()))
}

/// RFC 9449 section 4.3: query and fragment do not count; scheme and host know no case.
fn same_url(said: &str, expected: &str) -> bool {
    let said = said.split(['?', '#']).next().unwrap_or_default();
    let parts = |url: &str| -> Option<(String, String)> {
        let (scheme, rest) = url.split_once("://")?;
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, "/"),
        };
        let (scheme, authority) = (scheme.to_ascii_lowercase(), authority.to_ascii_lowercase());
        let port = if scheme == "https" { ":443" } else { ":80" };
        let authority = authority.strip_suffix(port).unwrap_or(&authority);
        Some((format!("{scheme}://{authority}"), path.to_owned()))
    };
    matches!((parts(said), parts(expected)), (Some(one), Some(other)) if one == other)
}

#[cfg(test)]
mod tests;
